package ethereum

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/l1"
	"headrace/l1/ethereum/inbox"
)

// What an operator asks of an inbox. Unlike what makes blocks, these answers are taken as the endpoint gives them.

// ErrNotKnown says that an endpoint keeps too little of the past, or refuses to search it.
var ErrNotKnown = errors.New("endpoint cannot tell")

// AddressOf returns the address of a key's account.
func AddressOf(key *ecdsa.PrivateKey) l1.Address {
	return l1.Address(crypto.PubkeyToAddress(key.PublicKey))
}

// AskChainID returns the id of the chain that an endpoint serves, over HTTP or WebSocket. A timeout of 0 is the
// default of Options.CallTimeout.
func AskChainID(ctx context.Context, at Endpoint, timeout time.Duration) (uint64, error) {
	opt := Options{CallTimeout: timeout}.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, opt.CallTimeout)
	defer cancel()
	access, err := at.Open()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", at, err)
	}
	asker := newHTTP(&opt, access, nil)
	defer asker.CloseIdleConnections()
	conn, err := dialRPC(ctx, at.URL, access, nil, rpc.WithHTTPClient(asker))
	if err != nil {
		return 0, fmt.Errorf("dial L1: %w", access.Error(err))
	}
	defer conn.Close()
	var id hexutil.Uint64
	if err := conn.CallContext(ctx, &id, "eth_chainId"); err != nil {
		return 0, fmt.Errorf("ask L1 for its chain id: %w", access.Error(err))
	}
	return uint64(id), nil
}

// ChainID returns the id of the L1.
func (c *Client) ChainID() uint64 { return c.opt.ChainID }

// Inbox returns the address of the contract.
func (c *Client) Inbox() l1.Address { return c.opt.Inbox }

// Owner returns who may name proposers.
func (c *Client) Owner(ctx context.Context) (l1.Address, error) {
	owner, err := viewed(ctx, c.view, l1.Hash{}, bindings.PackOwner(), bindings.UnpackOwner)
	if err != nil {
		return l1.Address{}, fmt.Errorf("inbox owner: %w", err)
	}
	return l1.Address(owner), nil
}

// IsProposer reports whether an account may propose.
func (c *Client) IsProposer(ctx context.Context, account l1.Address) (bool, error) {
	allowed, err := viewed(ctx, c.view, l1.Hash{}, bindings.PackIsProposer(common.Address(account)), bindings.UnpackIsProposer)
	if err != nil {
		return false, fmt.Errorf("inbox proposer: %w", err)
	}
	return allowed, nil
}

// Proposers returns who may propose, in the order of addresses, from the inbox's events since Options.StartBlock.
// ErrNotKnown: the endpoint refuses to search so many blocks.
func (c *Client) Proposers(ctx context.Context) ([]l1.Address, error) {
	logs, err := c.events(ctx, inbox.InboxProposerSet{}.ContractEventName())
	if err != nil {
		return nil, err
	}
	allowed := map[l1.Address]bool{}
	for i := range logs {
		e, err := bindings.UnpackProposerSetEvent(&logs[i])
		if err != nil {
			return nil, fmt.Errorf("unpack proposer: %w", err)
		}
		allowed[l1.Address(e.Proposer)] = e.Allowed
	}
	var out []l1.Address
	for a, ok := range allowed {
		if ok {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b l1.Address) int { return slices.Compare(a[:], b[:]) })
	return out, nil
}

// DeployedAt returns the number of the L1 block that the inbox was deployed in: that of its first event or, where the
// endpoint does not search so far, the first block with its code. ErrNoInbox: there is no contract. ErrNotKnown: the
// endpoint has neither old events nor old states.
func (c *Client) DeployedAt(ctx context.Context) (uint64, error) {
	head, err := ask(ctx, c, func(e *endpoint) (*header, error) { return e.head(ctx) })
	if err != nil {
		return 0, err
	}
	there, err := c.hasCode(ctx, head.number())
	switch {
	case err != nil:
		return 0, err
	case !there:
		return 0, fmt.Errorf("address %s: %w", c.opt.Inbox, l1.ErrNoInbox)
	}
	if logs, err := c.events(ctx, inbox.InboxOwnerSet{}.ContractEventName()); err == nil && len(logs) > 0 {
		return logs[0].BlockNumber, nil
	}
	return c.searchCode(ctx, head.number())
}

// searchCode returns the first block up to head, which has the inbox's code, that has it.
func (c *Client) searchCode(ctx context.Context, head uint64) (uint64, error) {
	var failed error
	at := sort.Search(int(head), func(n int) bool {
		if failed != nil {
			return true
		}
		there, err := c.hasCode(ctx, uint64(n))
		failed = err
		return there
	})
	if failed != nil && answered(failed) {
		failed = fmt.Errorf("%w: %w", ErrNotKnown, failed)
	}
	return uint64(at), failed
}

func (c *Client) hasCode(ctx context.Context, number uint64) (bool, error) {
	var code hexutil.Bytes
	err := c.call(ctx, &code, "eth_getCode", c.inbox, hexutil.EncodeUint64(number))
	return len(code) > 0, err
}

// events returns the inbox's events of one kind since Options.StartBlock, in order.
func (c *Client) events(ctx context.Context, name string) ([]types.Log, error) {
	var logs []types.Log
	err := c.call(ctx, &logs, "eth_getLogs", map[string]any{
		"fromBlock": hexutil.EncodeUint64(c.opt.StartBlock), "toBlock": "latest", "address": c.inbox, "topics": []any{inboxABI.Events[name].ID},
	})
	if err != nil && answered(err) {
		err = fmt.Errorf("%w: %w", ErrNotKnown, err)
	}
	return logs, err
}

// Fee is what an inbox of version 2 charges for an item of its queue, beside the gas of the transaction. It is Gas times
// the L1's base fee, in wei.
type Fee struct {
	Gas uint64
	Wei *big.Int // never nil
}

// ForcedFee returns what an item of so many bytes would cost after the L1's head: nothing in version 1. Others may come
// first, and the base fee moves, so it is no promise.
func (c *Client) ForcedFee(ctx context.Context, length int) (Fee, error) {
	settings, err := c.Settings(ctx)
	if err != nil || settings.Version() == 1 {
		return Fee{Wei: new(big.Int)}, err
	}
	return ask(ctx, c, func(e *endpoint) (Fee, error) { return e.forcedFee(ctx, length) })
}

// forcedFee takes the base fee from the head: in a call that is not paid for, some nodes have it be zero.
func (e *endpoint) forcedFee(ctx context.Context, length int) (Fee, error) {
	head, err := e.head(ctx)
	if err != nil {
		return Fee{}, err
	}
	gas, err := viewed(ctx, e.view, l1.Hash(head.hash), bindings.PackForcedGas(big.NewInt(int64(length))), bindings.UnpackForcedGas)
	switch {
	case err != nil:
		return Fee{}, fmt.Errorf("inbox fee: %w", err)
	case !gas.IsUint64():
		return Fee{}, fmt.Errorf("inbox fee: %s gas is none", gas)
	case head.BaseFee == nil:
		return Fee{}, errors.New("L1 has no base fee")
	}
	return Fee{Gas: gas.Uint64(), Wei: gas.Mul(gas, head.BaseFee)}, nil
}

// Pricing says how an inbox of version 2 charges, after the L1's head. Of one of version 1 all is 0.
type Pricing struct {
	GasPerByte uint64   // while nothing waits; the owner's setting
	Waiting    int      // bytes by l1.Forced.Room of what waits in the queue
	Earned     *big.Int // wei that the owner can withdraw; never nil
}

// Pricing returns how the inbox charges.
func (c *Client) Pricing(ctx context.Context) (p Pricing, err error) {
	p.Earned = new(big.Int)
	settings, err := c.Settings(ctx)
	if err != nil || settings.Version() == 1 {
		return p, err
	}
	if p.GasPerByte, err = viewed(ctx, c.view, l1.Hash{}, bindings.PackForcedFee(), bindings.UnpackForcedFee); err != nil {
		return p, fmt.Errorf("inbox fee: %w", err)
	}
	waiting, err := viewed(ctx, c.view, l1.Hash{}, bindings.PackForcedWaiting(), bindings.UnpackForcedWaiting)
	if err == nil && !waiting.IsInt64() {
		err = fmt.Errorf("%s bytes", waiting)
	}
	if err != nil {
		return p, fmt.Errorf("inbox queue: %w", err)
	}
	p.Waiting = int(waiting.Int64())
	err = c.call(ctx, (*hexutil.Big)(p.Earned), "eth_getBalance", c.inbox, "latest")
	return p, err
}

// ForcedQueue is what waits in an inbox's queue as of an L1 block, and how it is there with an item that is queued next.
type ForcedQueue struct {
	L1    uint64 // that block
	Items uint64
	Bytes int // by l1.Forced.Room; 0 in version 1
	Fee   Fee // of the item; nothing in version 1
	Wait  int // it is in one of so many proposals from when it is due
}

// ForcedQueue returns what waits after the L1's head. length is that of an item, in bytes, whose fee is told.
func (c *Client) ForcedQueue(ctx context.Context, length int) (ForcedQueue, error) {
	settings, err := c.Settings(ctx)
	if err != nil {
		return ForcedQueue{}, err
	}
	q, err := ask(ctx, c, func(e *endpoint) (ForcedQueue, error) { return e.forcedQueue(ctx, settings, length) })
	if err != nil {
		return ForcedQueue{}, fmt.Errorf("inbox queue: %w", err)
	}
	return q, nil
}

func (e *endpoint) forcedQueue(ctx context.Context, settings l1.Settings, length int) (q ForcedQueue, err error) {
	head, err := e.head(ctx)
	if err != nil {
		return q, err
	}
	at := l1.Hash(head.hash)
	state, err := e.state(ctx, at)
	if err != nil {
		return q, err
	}
	q = ForcedQueue{L1: head.number(), Items: state.ForcedTail - state.ForcedHead, Fee: Fee{Wei: new(big.Int)}}
	if q.Items > math.MaxInt32 {
		return q, fmt.Errorf("it has the items [%d, %d)", state.ForcedHead, state.ForcedTail)
	}
	if settings.Version() > 1 {
		perByte, err := viewed(ctx, e.view, at, bindings.PackForcedFee(), bindings.UnpackForcedFee)
		if err != nil {
			return q, err
		}
		waiting, err := viewed(ctx, e.view, at, bindings.PackForcedWaiting(), bindings.UnpackForcedWaiting)
		switch {
		case err != nil:
			return q, err
		case perByte > MostForcedFee || waiting.Cmp(big.NewInt(math.MaxInt32)) > 0:
			return q, fmt.Errorf("it has %s bytes at %d gas", waiting, perByte)
		case head.BaseFee == nil:
			return q, errors.New("L1 has no base fee")
		}
		q.Bytes = int(waiting.Int64())
		q.Fee.Gas = settings.ForcedGas(perByte, length, q.Bytes)
		q.Fee.Wei.Mul(head.BaseFee, new(big.Int).SetUint64(q.Fee.Gas))
	}
	q.Wait = settings.Wait(int(q.Items), q.Bytes)
	return q, nil
}

// Withdrawn returns the wei that a transaction has paid out of an inbox of version 2.
func (c *Client) Withdrawn(ctx context.Context, at l1.Inclusion) (*big.Int, error) {
	return ask(ctx, c, func(e *endpoint) (*big.Int, error) { return e.withdrawn(ctx, at) })
}

func (e *endpoint) withdrawn(ctx context.Context, at l1.Inclusion) (*big.Int, error) {
	r, err := e.receiptOf(ctx, at)
	if err != nil {
		return nil, err
	}
	for _, l := range r.Logs {
		if l.Address == e.client.inbox && len(l.Topics) > 0 && l.Topics[0] == topicWithdrawn {
			event, err := bindings.UnpackFeesWithdrawnEvent(l)
			if err != nil {
				return nil, fmt.Errorf("unpack payment: %w", err)
			}
			return event.Amount, nil
		}
	}
	return nil, fmt.Errorf("transaction %s paid nothing out: %w", at.Tx, l1.ErrNotFound)
}

// receiptOf returns the receipt of a transaction; one without logs if the endpoint has none.
func (e *endpoint) receiptOf(ctx context.Context, at l1.Inclusion) (*types.Receipt, error) {
	var r *types.Receipt
	err := e.call(ctx, &r, "eth_getTransactionReceipt", common.Hash(at.Tx))
	if r == nil {
		r = new(types.Receipt)
	}
	return r, err
}

// Queued is an item of the queue, as the transaction shows it that queued it.
type Queued struct {
	Index uint64   // its place
	Fee   *big.Int // wei that the inbox has kept; never nil
}

// Queued returns what a transaction queued, the first item if there are several.
func (c *Client) Queued(ctx context.Context, at l1.Inclusion) (Queued, error) {
	return ask(ctx, c, func(e *endpoint) (Queued, error) { return e.queuedBy(ctx, at) })
}

func (e *endpoint) queuedBy(ctx context.Context, at l1.Inclusion) (q Queued, err error) {
	r, err := e.receiptOf(ctx, at)
	if err != nil {
		return q, err
	}
	for _, l := range r.Logs {
		switch {
		case l.Address != e.client.inbox || len(l.Topics) == 0:
		case l.Topics[0] == topicForced && q.Fee == nil:
			event, err := bindings.UnpackForcedQueuedEvent(l)
			if err != nil {
				return q, fmt.Errorf("unpack forced item: %w", err)
			}
			q.Index, q.Fee = event.Index, new(big.Int)
		case l.Topics[0] == topicPaid:
			event, err := bindings.UnpackForcedPaidEvent(l)
			if err != nil {
				return q, fmt.Errorf("unpack fee: %w", err)
			}
			if q.Fee != nil && event.Index == q.Index {
				q.Fee = event.Fee
			}
		}
	}
	if q.Fee == nil {
		err = fmt.Errorf("transaction %s queued nothing: %w", at.Tx, l1.ErrNotFound)
	}
	return q, err
}
