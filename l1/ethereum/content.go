package ethereum

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/trie"

	"headrace/follow"
	"headrace/l1"
	"headrace/l1/ethereum/inbox"
)

var (
	bindings = inbox.NewInbox()
	inboxABI = func() *abi.ABI {
		parsed, err := inbox.InboxMetaData.ParseABI()
		if err != nil {
			panic(err) // generated code
		}
		return parsed
	}()
	topicProposed  = inboxABI.Events["Proposed"].ID
	topicForced    = inboxABI.Events["ForcedQueued"].ID
	topicPaid      = inboxABI.Events["ForcedPaid"].ID
	topicWithdrawn = inboxABI.Events["FeesWithdrawn"].ID
	topicProved    = inboxABI.Events["Proved"].ID
	messageTopics  = []common.Hash{topicProposed, topicForced, topicProved}
)

// mayHold reports whether a block may hold messages of the inbox: its bloom filter has no false negatives.
func (c *Client) mayHold(h *header) bool {
	return h.number() >= c.opt.StartBlock && types.BloomLookup(h.Bloom, c.inbox) &&
		slices.ContainsFunc(messageTopics, func(t common.Hash) bool { return types.BloomLookup(h.Bloom, t) })
}

func (c *Client) isMessage(l *types.Log) bool {
	return l.Address == c.inbox && len(l.Topics) > 0 && slices.Contains(messageTopics, l.Topics[0])
}

// item reads the block of a header, proven complete (I7).
func (e *endpoint) item(ctx context.Context, h *header) (follow.Item[l1.Block], error) {
	logs, err := e.provenLogs(ctx, h)
	if err != nil {
		return follow.Item[l1.Block]{}, err
	}
	return e.itemOf(ctx, h, logs)
}

// provenLogs returns all of a block's logs that are messages.
func (e *endpoint) provenLogs(ctx context.Context, h *header) ([]*types.Log, error) {
	if !e.client.mayHold(h) {
		return nil, nil
	}
	receipts, err := e.receipts(ctx, h)
	if err != nil {
		return nil, err
	}
	var logs []*types.Log
	index := uint(0)
	for i, r := range receipts {
		for _, l := range r.Logs {
			l.TxIndex, l.Index = uint(i), index // these are not part of the root: count them ourselves
			index++
			if e.client.isMessage(l) {
				logs = append(logs, l)
			}
		}
	}
	return logs, nil
}

// itemOf makes a block's item of its logs.
func (e *endpoint) itemOf(ctx context.Context, h *header, logs []*types.Log) (follow.Item[l1.Block], error) {
	b := l1.Block{Number: h.number(), Hash: l1.Hash(h.hash), Parent: l1.Hash(h.ParentHash), Time: h.Time}
	if len(logs) > 0 {
		txs, err := e.transactions(ctx, h)
		if err != nil {
			return follow.Item[l1.Block]{}, err
		}
		for _, l := range logs {
			m, err := e.message(ctx, h, l, txs)
			if err != nil {
				return follow.Item[l1.Block]{}, err
			}
			b.Messages = append(b.Messages, m)
		}
	}
	return follow.Item[l1.Block]{Height: b.Number, Hash: follow.Hash(b.Hash), Parent: follow.Hash(b.Parent), Size: b.Size(), Data: b}, nil
}

// transactions returns a block's transactions, checked against its header.
func (e *endpoint) transactions(ctx context.Context, h *header) (types.Transactions, error) {
	var body *struct {
		Transactions types.Transactions `json:"transactions"`
	}
	if err := e.call(ctx, &body, "eth_getBlockByHash", h.hash, true); err != nil {
		return nil, err
	}
	if body == nil {
		return nil, fmt.Errorf("block %s: %w", h.hash, l1.ErrNotFound)
	}
	if got := types.DeriveSha(body.Transactions, trie.NewListHasher()); got != h.TxHash {
		return nil, e.lies("%d transactions of block %s have root %s, want %s", len(body.Transactions), h.hash, got, h.TxHash)
	}
	return body.Transactions, nil
}

// message decodes one log and gets the content it names.
func (e *endpoint) message(ctx context.Context, h *header, l *types.Log, txs types.Transactions) (l1.Message, error) {
	if int(l.TxIndex) >= len(txs) {
		return l1.Message{}, e.lies("log %d of transaction %d, block %s has %d", l.Index, l.TxIndex, h.hash, len(txs))
	}
	tx := txs[l.TxIndex]
	m := l1.Message{Tx: l1.Hash(tx.Hash()), LogIndex: l.Index}
	var err error
	switch l.Topics[0] {
	case topicProposed:
		m.Proposal, err = e.proposal(ctx, h, l, tx)
	case topicForced:
		m.Forced, err = e.forcedItem(ctx, l, tx)
		if err == nil {
			e.client.forced.add(forcedKey{h.hash, m.Forced.Source.Index}, *m.Forced)
		}
	default:
		m.Proved, err = proved(l)
	}
	if err != nil {
		return l1.Message{}, fmt.Errorf("log %d: %w", l.Index, err)
	}
	return m, nil
}

func (e *endpoint) proposal(ctx context.Context, h *header, l *types.Log, tx *types.Transaction) (*l1.Proposal, error) {
	event, err := bindings.UnpackProposedEvent(l)
	if err != nil {
		return nil, fmt.Errorf("unpack Proposed: %w", err)
	}
	if len(event.Sources) == 0 {
		return nil, fmt.Errorf("proposal %d has no source: not our inbox contract", event.Id)
	}
	p := &l1.Proposal{ID: event.Id, Proposer: l1.Address(event.Proposer), Parent: event.ParentHash}
	forced := len(event.Sources) - 1
	taken := make([]l1.Source, forced)
	for i := range taken {
		taken[i] = source(event.Sources[i])
	}
	items, err := e.queuedAll(ctx, taken)
	if err != nil {
		return nil, err
	}
	for i := range items {
		p.Sources = append(p.Sources, items[i].Source)
	}
	if forced > 0 { // they were read by number
		if err := e.stillCanonical(ctx, h); err != nil {
			return nil, err
		}
	}
	p.Sources = append(p.Sources, source(event.Sources[forced]))
	payload, err := e.payload(ctx, p.Own(), tx, "propose")
	if err != nil && !isVerdict(err) {
		return nil, fmt.Errorf("content of proposal %d: %w", p.ID, err)
	}
	p.Resolve(payload, err)
	return p, nil
}

func (e *endpoint) forcedItem(ctx context.Context, l *types.Log, tx *types.Transaction) (*l1.Forced, error) {
	event, err := bindings.UnpackForcedQueuedEvent(l)
	if err != nil {
		return nil, fmt.Errorf("unpack ForcedQueued: %w", err)
	}
	f := &l1.Forced{Sender: l1.Address(event.Sender), Source: source(event.Source)}
	payload, err := e.payload(ctx, &f.Source, tx, "force")
	if err != nil && !isVerdict(err) {
		return nil, fmt.Errorf("content of forced item %d: %w", event.Index, err)
	}
	f.Source.Resolve(payload, err)
	return f, nil
}

func proved(l *types.Log) (*l1.Proved, error) {
	e, err := bindings.UnpackProvedEvent(l)
	if err != nil {
		return nil, fmt.Errorf("unpack Proved: %w", err)
	}
	return &l1.Proved{ID: e.Id, Hash: e.BlockHash}, nil
}

func source(s inbox.InboxSource) l1.Source {
	out := l1.Source{Forced: s.Forced, Index: s.Index, Number: s.BlockNumber, Time: s.Timestamp, DataHash: s.DataHash, Offset: s.Offset}
	for _, b := range s.BlobHashes {
		out.Blobs = append(out.Blobs, b)
	}
	return out
}

// payload gets the content of a source that tx brought by calling method, or one with blobs. An error is a verdict on
// the content (ErrContent), the same for everybody, or says why the content could not be had; the two are never
// confused.
func (e *endpoint) payload(ctx context.Context, s *l1.Source, tx *types.Transaction, method string) ([]byte, error) {
	if len(s.Blobs) > 0 {
		blobs, err := e.client.blobs(ctx, s.Time, s.Blobs)
		if err != nil {
			return nil, err
		}
		return l1.UnpackBlobs(blobs, s.Offset)
	}
	return callData(tx, e.client.inbox, method, s.DataHash)
}

// callData returns the last argument, data, of a direct call of the inbox's method. tx is proven to be the
// transaction that made the log, so whatever is wrong here is wrong for everybody: each error is a verdict.
func callData(tx *types.Transaction, to common.Address, method string, want l1.Hash) ([]byte, error) {
	m := inboxABI.Methods[method]
	if tx.To() == nil || *tx.To() != to || !bytes.HasPrefix(tx.Data(), m.ID) {
		return nil, fmt.Errorf("%w: transaction does not call %s directly", l1.ErrContent, method)
	}
	args, err := m.Inputs.Unpack(tx.Data()[len(m.ID):])
	if err != nil {
		return nil, fmt.Errorf("%w: arguments of %s: %w", l1.ErrContent, method, err)
	}
	data, ok := args[len(args)-1].([]byte)
	if !ok || l1.Hash(crypto.Keccak256Hash(data)) != want {
		return nil, fmt.Errorf("%w: data of %s is not what the log names", l1.ErrContent, method)
	}
	return data, nil
}
