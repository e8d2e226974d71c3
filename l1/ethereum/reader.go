package ethereum

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/l1"
	"headrace/l1/ethereum/inbox"
)

// Finalized is l1.Reader's. It never goes back: an endpoint that is behind has not heard of all that is final.
func (c *Client) Finalized(ctx context.Context) (l1.Ref, error) {
	ref, err := ask(ctx, c, func(e *endpoint) (l1.Ref, error) { return e.tag(ctx, "finalized") })
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil && ref.Height > c.final.Height:
		c.final = ref
	case err != nil && (!errors.Is(err, l1.ErrNoFinality) || c.final == l1.Ref{}):
		return l1.Ref{}, err
	case c.final != l1.Ref{}:
		return c.final, nil
	}
	return ref, nil
}

// Safe is l1.Reader's.
func (c *Client) Safe(ctx context.Context) (l1.Ref, error) {
	return ask(ctx, c, func(e *endpoint) (l1.Ref, error) { return e.tag(ctx, "safe") })
}

func (e *endpoint) tag(ctx context.Context, tag string) (l1.Ref, error) {
	h, err := e.header(ctx, tag)
	var rpcErr rpc.Error
	switch {
	case err == nil && h == nil, errors.As(err, &rpcErr) && saysNoSuchBlock(rpcErr):
		return l1.Ref{}, fmt.Errorf("%s L1 block: %w", tag, l1.ErrNoFinality)
	case err != nil:
		return l1.Ref{}, err
	}
	return l1.Ref(h.ref()), nil
}

// saysNoSuchBlock knows how clients say that a block, or a tag, is not there: -39001 by the specification, and geth's
// own words.
func saysNoSuchBlock(err rpc.Error) bool {
	text := err.Error()
	return err.ErrorCode() == -39001 || strings.Contains(text, "block not found") || strings.Contains(text, "header not found") || strings.Contains(text, "nknown block")
}

// saysIndexing knows how geth says that it cannot find a receipt yet, since it has just begun to index transactions.
func saysIndexing(err error) bool {
	var rpcErr rpc.Error
	return errors.As(err, &rpcErr) && strings.Contains(rpcErr.Error(), "transaction indexing is in progress")
}

// State is l1.Reader's.
func (c *Client) State(ctx context.Context, at l1.Hash) (l1.CoreState, error) {
	return ask(ctx, c, func(e *endpoint) (l1.CoreState, error) { return e.state(ctx, at) })
}

func (e *endpoint) state(ctx context.Context, at l1.Hash) (l1.CoreState, error) {
	s, err := viewed(ctx, e.view, at, bindings.PackGetCoreState(), bindings.UnpackGetCoreState)
	if err != nil {
		return l1.CoreState{}, fmt.Errorf("inbox state: %w", err)
	}
	return l1.CoreState{
		NextID: s.NextId, LastBlock: s.LastBlock, LastProposal: s.LastProposal, FinalizedID: s.FinalizedId, FinalizedHash: s.FinalizedHash,
		ForcedHead: s.ForcedHead, ForcedTail: s.ForcedTail,
	}, nil
}

// Queue is l1.Reader's.
func (c *Client) Queue(ctx context.Context, at l1.Hash, limit int) ([]l1.Forced, error) {
	return ask(ctx, c, func(e *endpoint) ([]l1.Forced, error) { return e.queue(ctx, at, limit) })
}

func (e *endpoint) queue(ctx context.Context, at l1.Hash, limit int) ([]l1.Forced, error) {
	if at.IsZero() { // one block for all that is read
		head, err := e.head(ctx)
		if err != nil {
			return nil, err
		}
		at = l1.Hash(head.hash)
	}
	state, err := e.state(ctx, at)
	if err != nil {
		return nil, err
	}
	if state.ForcedHead == state.ForcedTail {
		return nil, nil
	}
	items, room, err := e.waiting(ctx, at, state, limit)
	if err != nil {
		return nil, err
	}
	sources := make([]l1.Source, len(items))
	for i := range items {
		sources[i] = source(items[i])
	}
	queue, err := e.queuedAll(ctx, sources)
	for i := range queue {
		queue[i].Room = room[i]
	}
	return queue, err
}

// waiting returns what the inbox keeps of the first items that wait, limit at most, and the room that each takes: 0 in
// version 1.
func (e *endpoint) waiting(ctx context.Context, at l1.Hash, state l1.CoreState, limit int) (items []inbox.InboxSource, room []int, err error) {
	settings, err := e.client.Settings(ctx)
	if err != nil {
		return nil, nil, err
	}
	n := int(min(state.ForcedTail-state.ForcedHead, uint64(limit)))
	if settings.Version() > 1 {
		return e.itemsFrom(ctx, at, state.ForcedHead, n)
	}
	for i := range n {
		index := state.ForcedHead + uint64(i)
		s, err := viewed(ctx, e.view, at, bindings.PackGetForced(index), bindings.UnpackGetForced)
		if err != nil {
			return nil, nil, fmt.Errorf("forced item %d: %w", index, err)
		}
		items = append(items, s)
	}
	return items, make([]int, n), nil
}

// itemsFrom returns n items from an index on, which is the queue's, of an inbox of version 2.
func (e *endpoint) itemsFrom(ctx context.Context, at l1.Hash, index uint64, n int) (items []inbox.InboxSource, room []int, err error) {
	got, err := viewed(ctx, e.view, at, bindings.PackGetForcedItems(index, big.NewInt(int64(n))), bindings.UnpackGetForcedItems)
	if err != nil {
		return nil, nil, fmt.Errorf("forced items from %d on: %w", index, err)
	}
	if len(got.Sources) != n || len(got.Room) != n {
		return nil, nil, fmt.Errorf("forced items from %d on: got %d and the room of %d, want %d", index, len(got.Sources), len(got.Room), n)
	}
	for i, r := range got.Room {
		if !r.IsInt64() || r.Int64() <= l1.ForcedItemBytes || r.Int64() > l1.ForcedItemBytes+l1.MaxForced {
			return nil, nil, fmt.Errorf("forced item %d takes %s bytes of room, which no item does", index+uint64(i), r)
		}
		room = append(room, int(r.Int64()))
	}
	return got.Sources, room, nil
}

// Gone is l1.Reader's.
func (c *Client) Gone(ctx context.Context, at l1.Ref) (head l1.Ref, gone bool, err error) {
	e, err := c.front(ctx)
	if err != nil {
		return head, false, err
	}
	h, err := e.head(ctx)
	switch {
	case err != nil:
		return head, false, err
	case e.behind(h) > 0:
		return l1.Ref(h.ref()), false, nil
	case h.number() < at.Height:
		return l1.Ref(h.ref()), true, nil
	}
	there, err := e.header(ctx, hexutil.EncodeUint64(at.Height))
	return l1.Ref(h.ref()), err == nil && (there == nil || there.hash != common.Hash(at.Hash)), err
}

// Settings is l1.Reader's. They never change, so they are asked for once. Which version the inbox is of, an endpoint
// shows by answering what inboxes of that version alone answer: a call that fails shows nothing, since whatever stands
// before a node fails calls too.
func (c *Client) Settings(ctx context.Context) (l1.Settings, error) {
	if known := c.settings.Load(); known != nil {
		return *known, nil
	}
	s, err := ask(ctx, c, func(e *endpoint) (l1.Settings, error) { return e.settings(ctx) })
	if err != nil {
		return l1.Settings{}, fmt.Errorf("inbox settings: %w", err)
	}
	c.settings.Store(&s)
	return s, nil
}

func (e *endpoint) settings(ctx context.Context) (s l1.Settings, err error) {
	version, err := viewed(ctx, e.view, l1.Hash{}, bindings.PackVersion(), bindings.UnpackVersion)
	switch {
	case err == nil && version.Cmp(big.NewInt(2)) == 0:
		room, err := viewed(ctx, e.view, l1.Hash{}, bindings.PackForcedRoom(), bindings.UnpackForcedRoom)
		if err != nil {
			return s, err
		}
		if room < l1.MinRoom || room > l1.MaxRoom {
			return s, fmt.Errorf("it says that %d bytes of forced items fit into a proposal, which is not from %d to %d", room, l1.MinRoom, l1.MaxRoom)
		}
		s.ForcedRoom = int(room)
	case err == nil:
		return s, fmt.Errorf("it is of version %s, and versions 1 and 2 are known here", version)
	case !errors.Is(err, l1.ErrNotFound) && !errors.Is(err, l1.ErrNoInbox):
		return s, err
	default: // version 1 has no method of that name
		most, err := viewed(ctx, e.view, l1.Hash{}, packForcedMax, unpackForcedMax)
		if err != nil {
			return s, err
		}
		s.ForcedMax = most
	}
	s.ForcedDelay, err = viewed(ctx, e.view, l1.Hash{}, bindings.PackForcedDelay(), bindings.UnpackForcedDelay)
	return s, err
}

// packForcedMax calls what inboxes of version 1 alone have.
var packForcedMax = crypto.Keccak256([]byte("forcedMax()"))[:4]

// unpackForcedMax reads a uint16 that is not 0.
func unpackForcedMax(out []byte) (int, error) {
	n := new(big.Int).SetBytes(out)
	if len(out) != 32 || n.Sign() == 0 || n.BitLen() > 16 {
		return 0, fmt.Errorf("got %#x as the forcedMax of an inbox", out)
	}
	return int(n.Int64()), nil
}

// viewed calls a method of the inbox by view, and unpacks what that returns.
func viewed[T any](ctx context.Context, view viewFunc, at l1.Hash, input []byte, unpack func([]byte) (T, error)) (v T, err error) {
	out, err := view(ctx, at, input)
	if err == nil {
		v, err = unpack(out)
	}
	return v, err
}

// viewFunc calls a method of the inbox at a block hash; the zero hash is the head.
type viewFunc func(ctx context.Context, at l1.Hash, input []byte) ([]byte, error)

// view is a viewFunc.
func (c *Client) view(ctx context.Context, at l1.Hash, input []byte) ([]byte, error) {
	return ask(ctx, c, func(e *endpoint) ([]byte, error) { return e.view(ctx, at, input) })
}

func (e *endpoint) view(ctx context.Context, at l1.Hash, input []byte) ([]byte, error) {
	out, err := e.viewAt(ctx, at, input)
	if answeredByRPC(err) { // no method that is called here reverts: the block or its state is not there
		return nil, fmt.Errorf("%w: %w", err, l1.ErrNotFound)
	}
	if err == nil && len(out) == 0 {
		return nil, fmt.Errorf("block %s, address %s: %w", at, e.client.opt.Inbox, l1.ErrNoInbox)
	}
	return out, err
}

// viewAt calls at a block's hash; the zero hash is the head.
func (e *endpoint) viewAt(ctx context.Context, at l1.Hash, input []byte) (out []byte, err error) {
	if at.IsZero() {
		return e.ethCall(ctx, input, "latest")
	}
	err = e.asOf(ctx, common.Hash(at), func(block any) error {
		out, err = e.ethCall(ctx, input, block)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// asOf asks for something as of the block with a hash: named as EIP-1898 has it, or where that is not known by number.
func (e *endpoint) asOf(ctx context.Context, at common.Hash, question func(block any) error) error {
	if e.byNumber.Load() {
		return e.asOfNumber(ctx, at, question)
	}
	err := question(map[string]any{"blockHash": at})
	var rpcErr rpc.Error
	if !errors.As(err, &rpcErr) {
		return err
	}
	switch other := e.asOfNumber(ctx, at, question); {
	case other == nil:
		e.byNumber.Store(true)
		return nil
	case errors.Is(other, l1.ErrNotFound):
		return other // which is the reason, whether such objects are known or not
	}
	return err
}

// asOfNumber asks by the number of a block that is canonical, before and after: the answer is as of that block.
func (e *endpoint) asOfNumber(ctx context.Context, at common.Hash, question func(block any) error) error {
	var h *header
	if err := e.call(ctx, &h, "eth_getBlockByHash", at, false); err != nil {
		return err
	}
	if h == nil || h.hash != at {
		return fmt.Errorf("block %s: %w", at, l1.ErrNotFound)
	}
	canonical := func() error {
		if err := e.stillCanonical(ctx, h); err != nil {
			return fmt.Errorf("%w: %w", err, l1.ErrNotFound)
		}
		return nil
	}
	for _, step := range []func() error{
		canonical, func() error { return question(hexutil.EncodeUint64(h.number())) }, canonical,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// ethCall calls the inbox. The input goes by its older name alone, which all clients know: Ganache does not know the other
// one, and Hardhat refuses a call with both.
func (e *endpoint) ethCall(ctx context.Context, input []byte, block any) ([]byte, error) {
	var out hexutil.Bytes
	err := e.call(ctx, &out, "eth_call", map[string]any{"to": e.client.inbox, "data": hexutil.Bytes(input)}, block)
	return out, err
}
