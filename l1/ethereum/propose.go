package ethereum

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/follow"
	"headrace/l1"
)

// callDataLimit is what fits beside the rest into the 128 KiB that nodes' pools accept as one transaction.
const callDataLimit = 120_000

// Limit is l1.Proposer's.
func (a *Account) Limit() int {
	if a.opt.Content == CallData {
		return callDataLimit
	}
	return min(a.opt.MaxBlobs*l1.BlobCapacity, l1.MaxPayload)
}

// Propose is l1.Proposer's. It looks before it sends: a draft that an earlier call, or an earlier process, got
// included is found by its id.
func (a *Account) Propose(ctx context.Context, d l1.Draft) (l1.Inclusion, error) {
	payload, err := d.Encode(a.Limit())
	switch {
	case err != nil:
		return l1.Inclusion{}, err
	case d.ID == 0 || payload == nil || d.Forced < 0 || d.Forced > 0xffff:
		return l1.Inclusion{}, fmt.Errorf("draft with id %d, %d blocks and %d forced items", d.ID, len(d.Blocks), d.Forced)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p := proposing{Account: a, version: version{draft: d, payload: payload}}
	otherwise := false // it was tried in the other kind
	for reverted := 0; ; {
		var err error
		if p.at, err = a.client.front(ctx); err != nil {
			return l1.Inclusion{}, err
		}
		state, found, at, err := p.lookUp(ctx)
		if err == nil && !found {
			err = p.check(ctx, state)
		}
		if err != nil || found {
			return at, p.verdict(err)
		}
		r, err := p.request(ctx, state)
		if err != nil {
			return l1.Inclusion{}, err
		}
		receipt, err := a.transact(ctx, p.at, p.nonce, r)
		switch {
		case errors.Is(err, errNonceTaken) && ctx.Err() == nil:
			continue // by an earlier attempt, perhaps: look
		case errors.Is(err, errOtherKind) && a.opt.Content == Cheapest && !otherwise && ctx.Err() == nil: // of an earlier process
			a.kind.blobs, otherwise = !a.kind.blobs, true
			continue
		case errors.Is(err, errOtherKind):
			return l1.Inclusion{}, fmt.Errorf("%w: wait until it is included, or set l1.content to auto", err)
		case err != nil:
			return l1.Inclusion{}, err
		case receipt.Status == types.ReceiptStatusSuccessful:
			return p.inclusion(receipt)
		}
		if err := p.refused(ctx, state, receipt); err != nil {
			return l1.Inclusion{}, err
		}
		if reverted++; reverted == 3 { // each costs a fee
			return l1.Inclusion{}, fmt.Errorf("proposal %d: %w", d.ID, errReverted)
		}
	}
}

// Nudge is l1.Nudger's: the account sends nothing to itself.
func (a *Account) Nudge(ctx context.Context) error {
	_, err := a.send(ctx, request{to: &a.from})
	return err
}

// proposing is one draft under way.
type proposing struct {
	*Account
	at      *endpoint // of this try
	late    bool      // at was behind others when it was asked
	nonce   uint64    // of the account, as of the block that the state is of
	version           // as it is sent now
	earlier []version // as it was sent before, with fewer blocks
}

// version is a draft as it is sent.
type version struct {
	draft   l1.Draft
	payload []byte
	sidecar *types.BlobTxSidecar // of payload, once it is needed
}

// lookUp returns the inbox's state, and the draft's inclusion if that is there already. ErrStale: another proposal
// has its id, or earlier ones are missing.
func (p *proposing) lookUp(ctx context.Context) (state l1.CoreState, found bool, at l1.Inclusion, err error) {
	head, err := p.at.head(ctx)
	if err != nil {
		return state, false, at, err
	}
	p.late = p.at.behind(head) > 0
	// The nonce is of the same block as the state, whichever of several nodes behind one address answers. What was
	// included since, from an earlier call perhaps, has taken the nonce. A newer one would have this proposal follow
	// that, only to be reverted.
	if p.nonce, err = p.at.nonceAt(ctx, p.from, head); err != nil {
		return state, false, at, err
	}
	if state, err = p.at.state(ctx, l1.Hash(head.hash)); err != nil {
		return state, false, at, err
	}
	switch {
	case p.draft.ID == state.NextID:
		return state, false, at, nil
	case p.draft.ID > state.NextID:
		return state, false, at, fmt.Errorf("proposal %d, next is %d: %w", p.draft.ID, state.NextID, l1.ErrStale)
	}
	l, err := p.find(ctx, state.LastBlock)
	if err != nil {
		return state, false, at, fmt.Errorf("look for proposal %d: %w", p.draft.ID, err)
	}
	v, err := p.sentAs(l)
	if err == nil && v == nil {
		err = fmt.Errorf("proposal %d is another one: %w", p.draft.ID, l1.ErrStale)
	}
	return state, err == nil, inclusionOf(p.draft.ID, l), err
}

// verdict makes of what speaks against the draft at an endpoint that is behind others an error that is none: the
// others may say something else.
func (p *proposing) verdict(err error) error {
	if err != nil && p.late {
		return fmt.Errorf("%s is behind other L1 endpoints, and says: %v", p.at.name, err)
	}
	return err
}

func inclusionOf(id uint64, l *types.Log) l1.Inclusion {
	return l1.Inclusion{ID: id, Block: l1.Ref{Height: l.BlockNumber, Hash: [32]byte(l.BlockHash)}, Tx: l1.Hash(l.TxHash), LogIndex: l.Index}
}

// find searches for the log of the proposal with the draft's id, from the block of the last proposal down: it is
// seldom far.
func (p *proposing) find(ctx context.Context, last uint64) (*types.Log, error) {
	e, opt := p.at, &p.client.opt
	for to := last; ; {
		n := uint64(e.logs.Get())
		from := max(to-min(to, n-1), min(opt.StartBlock, to))
		var logs []*types.Log
		err := e.call(ctx, &logs, "eth_getLogs", map[string]any{
			"fromBlock": hexutil.EncodeUint64(from), "toBlock": hexutil.EncodeUint64(to), "address": p.client.inbox,
			"topics": []any{topicProposed, indexTopic(p.draft.ID)},
		})
		switch {
		case err != nil && ctx.Err() == nil && !errors.Is(err, follow.ErrResting) && e.logs.Failed(int(to-from+1)):
			continue
		case err != nil:
			return nil, err
		case len(logs) > 0:
			return logs[len(logs)-1], nil
		case from <= opt.StartBlock:
			return nil, fmt.Errorf("the endpoint shows no such log: %w", l1.ErrNotFound)
		}
		e.logs.Worked(int(to - from + 1))
		to = from - 1
	}
}

// sentAs returns the version of the draft that a log is of; nil: none.
func (p *proposing) sentAs(l *types.Log) (*version, error) {
	for i := range len(p.earlier) + 1 {
		v := &p.version
		if i > 0 {
			v = &p.earlier[i-1]
		}
		if same, err := v.isDraft(l); same || err != nil {
			return v, err
		}
	}
	return nil, nil
}

// isDraft reports whether a log is of the very draft, in call data or in blobs, by whichever account: operators
// change keys.
func (p *version) isDraft(l *types.Log) (bool, error) {
	e, err := bindings.UnpackProposedEvent(l)
	if err != nil || len(e.Sources) == 0 {
		return false, errors.Join(err, errors.New("not a log of our inbox contract"))
	}
	own := e.Sources[len(e.Sources)-1]
	if l1.Hash(e.ParentHash) != p.draft.Parent || len(e.Sources)-1 != p.draft.Forced {
		return false, nil
	}
	if len(own.BlobHashes) == 0 {
		return own.DataHash == crypto.Keccak256Hash(p.payload), nil
	}
	sidecar, err := p.blobs()
	if err != nil {
		return false, err
	}
	return slices.EqualFunc(own.BlobHashes, sidecar.BlobHashes(), func(a [32]byte, b common.Hash) bool { return a == b }), nil
}

func (p *version) blobs() (*types.BlobTxSidecar, error) {
	var err error
	if p.sidecar == nil {
		p.sidecar, err = newSidecar(p.payload)
	}
	return p.sidecar, err
}

// check finds out what the inbox would refuse, before it costs anything.
func (p *proposing) check(ctx context.Context, state l1.CoreState) error {
	ok, err := viewed(ctx, p.at.view, l1.Hash{}, bindings.PackIsProposer(p.from), bindings.UnpackIsProposer)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("account %s: %w", p.from, l1.ErrNotProposer)
	}
	if waiting := state.ForcedTail - state.ForcedHead; uint64(p.draft.Forced) > waiting {
		return fmt.Errorf("draft takes %d forced items, %d wait: %w", p.draft.Forced, waiting, l1.ErrStale)
	}
	return p.checkDue(ctx, l1.Hash{})
}

// checkDue returns ErrForcedDue if, after the block with this hash, the draft takes too few forced items.
func (p *proposing) checkDue(ctx context.Context, at l1.Hash) error {
	view := p.at.view
	if !at.IsZero() {
		view = p.client.view // by hash, any endpoint may serve it
	}
	due, err := viewed(ctx, view, at, bindings.PackForcedDue(), bindings.UnpackForcedDue)
	if err == nil && due.Cmp(big.NewInt(int64(p.draft.Forced))) > 0 {
		err = fmt.Errorf("draft takes %d forced items, %s are due: %w", p.draft.Forced, due, l1.ErrForcedDue)
	}
	return err
}

// kind is of which kind the transaction with a nonce is: nodes replace one by another of its kind alone.
type kind struct {
	sent  bool // one was, by this process
	nonce uint64
	blobs bool
}

// request makes the transaction of the draft.
func (p *proposing) request(ctx context.Context, state l1.CoreState) (request, error) {
	blobs, err := p.useBlobs(ctx)
	if err != nil {
		return request{}, err
	}
	r, err := p.as(state, blobs)
	r.fuller = func(ctx context.Context) (request, bool) { return p.fuller(ctx, state, blobs) }
	return r, err
}

// fuller makes the transaction of a draft with more blocks, of the same kind, if there is one by now.
func (p *proposing) fuller(ctx context.Context, state l1.CoreState, blobs bool) (r request, ok bool) {
	if p.draft.Fuller == nil {
		return r, false
	}
	d, ok := p.draft.Fuller(ctx)
	if !ok || d.ID != p.draft.ID || d.Parent != p.draft.Parent || d.Len() <= p.draft.Len() || d.Forced < p.draft.Forced || d.Forced > 0xffff {
		return r, false
	}
	payload, err := d.Encode(p.Limit())
	if err != nil || !blobs && len(payload) > callDataLimit {
		return r, false
	}
	next := version{draft: d, payload: payload}
	next.draft.Fuller = p.draft.Fuller
	was := p.version
	p.version = next
	r, err = p.as(state, blobs)
	if err != nil { // of its commitments, which is told when they are needed
		p.version = was
		return r, false
	}
	p.earlier = append(p.earlier, was)
	return r, true
}

// as makes the transaction of what is sent now.
func (p *proposing) as(state l1.CoreState, blobs bool) (r request, err error) {
	r = request{to: &p.client.inbox, extraGas: 400_000 + 30_000*uint64(p.draft.Forced)}
	if !blobs {
		r.data = bindings.PackPropose(state.LastProposal, p.draft.Parent, uint16(p.draft.Forced), p.payload)
		return r, nil
	}
	if r.sidecar, err = p.blobs(); err != nil {
		return r, err
	}
	r.data = bindings.PackProposeBlobs(state.LastProposal, p.draft.Parent, uint16(p.draft.Forced), 0)
	r.extraGas += 60_000 * uint64(len(r.sidecar.Blobs))
	return r, nil
}

// useBlobs decides where the content goes: by option, by size, or by cost.
func (p *proposing) useBlobs(ctx context.Context) (bool, error) {
	switch {
	case p.opt.Content != Cheapest:
		return p.opt.Content == Blobs, nil
	case p.kind.sent && p.kind.nonce == p.nonce: // it may wait in a pool, which takes nothing of the other kind beside it
		if !p.kind.blobs && len(p.payload) > callDataLimit {
			return false, fmt.Errorf("a transaction with call data is under way, which holds %d bytes: %w", callDataLimit, l1.ErrTooBig)
		}
		return p.kind.blobs, nil
	case len(p.payload) > callDataLimit:
		return true, nil
	}
	return p.cheaperInBlobs(ctx, p.at, len(p.payload))
}

// Worth is l1.Weigher's. Blobs are paid for whole, so they are filled; and where either will do, what costs less for each
// byte decides.
func (a *Account) Worth(ctx context.Context, size int) (int, error) {
	size = min(size, a.Limit())
	blobs := a.opt.Content == Blobs
	if a.opt.Content == Cheapest {
		at, err := a.client.front(ctx)
		if err != nil {
			return 0, err
		}
		if blobs, err = a.cheaperInBlobs(ctx, at, size); err != nil {
			return 0, err
		}
	}
	switch {
	case !blobs:
		return min(size, callDataLimit), nil
	case size > l1.BlobCapacity:
		return size / l1.BlobCapacity * l1.BlobCapacity, nil
	}
	return size, nil
}

// cheaperInBlobs reports whether a byte of a payload of size bytes costs less in blobs than in call data.
func (a *Account) cheaperInBlobs(ctx context.Context, at *endpoint, size int) (bool, error) {
	var gasPrice, blobFee hexutil.Big
	if err := at.call(ctx, &gasPrice, "eth_gasPrice"); err != nil {
		return false, err
	}
	var rpcErr rpc.Error
	if err := at.call(ctx, &blobFee, "eth_blobBaseFee"); errors.As(err, &rpcErr) {
		return false, nil // an L1 without blobs
	} else if err != nil {
		return false, err
	}
	const blobGas = 131_072
	inData, inBlobs := int64(min(size, callDataLimit)), int64(size)
	number := max(inBlobs/l1.BlobCapacity, 1)
	inBlobs = min(inBlobs, number*l1.BlobCapacity)
	asData := new(big.Int).Mul(gasPrice.ToInt(), big.NewInt(40*inData))
	asBlobs := new(big.Int).Mul(blobFee.ToInt(), big.NewInt(blobGas*number))
	asBlobs.Add(asBlobs, new(big.Int).Mul(gasPrice.ToInt(), big.NewInt(25_000*number))) // storing its hash
	return asBlobs.Mul(asBlobs, big.NewInt(inData)).Cmp(asData.Mul(asData, big.NewInt(inBlobs))) < 0, nil
}

// inclusion reads where the draft is from its own log in a receipt.
func (p *proposing) inclusion(r *types.Receipt) (l1.Inclusion, error) {
	for _, l := range r.Logs {
		if !p.client.isMessage(l) || l.Topics[0] != topicProposed {
			continue
		}
		e, err := bindings.UnpackProposedEvent(l)
		if err != nil {
			return l1.Inclusion{}, fmt.Errorf("unpack Proposed: %w", err)
		}
		if e.Id != p.draft.ID { // cannot be: the transaction names the proposal before it
			return l1.Inclusion{}, fmt.Errorf("draft for id %d was included as %d in transaction %s", p.draft.ID, e.Id, r.TxHash)
		}
		if v, err := p.sentAs(l); err == nil && v != nil {
			p.posted.proposed(r, v.draft.Len(), len(v.payload))
		}
		return inclusionOf(e.Id, l), nil
	}
	return l1.Inclusion{}, fmt.Errorf("transaction %s succeeded without a proposal: no inbox contract at %s?", r.TxHash, p.client.inbox)
}

// refused finds out why the inbox refused the draft in the block of a receipt. nil: for a reason that may be gone, or
// that looking up tells.
func (p *proposing) refused(ctx context.Context, sent l1.CoreState, r *types.Receipt) error {
	if err := p.checkDue(ctx, l1.Hash(r.BlockHash)); err != nil {
		return err
	}
	state, err := p.client.State(ctx, l1.Hash(r.BlockHash))
	if err != nil {
		return err
	}
	if state.LastProposal != sent.LastProposal || state.LastBlock == r.BlockNumber.Uint64() {
		return nil // another proposal came first
	}
	return fmt.Errorf("proposal %d, transaction %s in L1 block %d: %w", p.draft.ID, r.TxHash, r.BlockNumber, errReverted)
}
