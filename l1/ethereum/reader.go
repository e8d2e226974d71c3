package ethereum

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/l1"
)

// Finalized is l1.Reader's.
func (c *Client) Finalized(ctx context.Context) (l1.Ref, error) { return c.tag(ctx, "finalized") }

// Safe is l1.Reader's.
func (c *Client) Safe(ctx context.Context) (l1.Ref, error) { return c.tag(ctx, "safe") }

func (c *Client) tag(ctx context.Context, tag string) (l1.Ref, error) {
	h, err := c.header(ctx, tag)
	var rpcErr rpc.Error
	switch {
	case err == nil && h == nil, errors.As(err, &rpcErr) && saysNoSuchBlock(rpcErr):
		return l1.Ref{}, fmt.Errorf("%s L1 block: %w", tag, l1.ErrNoFinality)
	case err != nil:
		return l1.Ref{}, err
	}
	return l1.Ref{Number: h.number(), Hash: l1.Hash(h.hash)}, nil
}

// saysNoSuchBlock knows how clients say that a block, or a tag, is not there: -39001 by the specification, and geth's own words.
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
	out, err := c.view(ctx, at, bindings.PackGetCoreState())
	if err != nil {
		return l1.CoreState{}, fmt.Errorf("inbox state: %w", err)
	}
	s, err := bindings.UnpackGetCoreState(out)
	if err != nil {
		return l1.CoreState{}, fmt.Errorf("unpack inbox state: %w", err)
	}
	return l1.CoreState{
		NextID: s.NextId, LastBlock: s.LastBlock, LastProposal: s.LastProposal, FinalizedID: s.FinalizedId, FinalizedHash: s.FinalizedHash,
		ForcedHead: s.ForcedHead, ForcedTail: s.ForcedTail,
	}, nil
}

// Queue is l1.Reader's.
func (c *Client) Queue(ctx context.Context, at l1.Hash, limit int) ([]l1.Forced, error) {
	if at.IsZero() { // one block for all that is read
		head, err := c.header(ctx, "latest")
		if err != nil || head == nil {
			return nil, errors.Join(err, errors.New("L1 has no head"))
		}
		at = l1.Hash(head.hash)
	}
	state, err := c.State(ctx, at)
	if err != nil {
		return nil, err
	}
	var queue []l1.Forced
	for i := state.ForcedHead; i < state.ForcedTail && len(queue) < limit; i++ {
		out, err := c.view(ctx, at, bindings.PackGetForced(i))
		if err != nil {
			return nil, fmt.Errorf("forced item %d: %w", i, err)
		}
		s, err := bindings.UnpackGetForced(out)
		if err != nil {
			return nil, fmt.Errorf("unpack forced item %d: %w", i, err)
		}
		f, err := c.queued(ctx, source(s))
		if err != nil {
			return nil, err
		}
		queue = append(queue, f)
	}
	return queue, nil
}

// Settings is l1.Reader's. They never change, so they are asked for once.
func (c *Client) Settings(ctx context.Context) (l1.Settings, error) {
	c.mu.Lock()
	known := c.settings
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	out, err := c.view(ctx, l1.Hash{}, bindings.PackForcedDelay())
	if err != nil {
		return l1.Settings{}, fmt.Errorf("inbox settings: %w", err)
	}
	delay, err := bindings.UnpackForcedDelay(out)
	if err != nil {
		return l1.Settings{}, fmt.Errorf("unpack inbox settings: %w", err)
	}
	if out, err = c.view(ctx, l1.Hash{}, bindings.PackForcedMax()); err != nil {
		return l1.Settings{}, fmt.Errorf("inbox settings: %w", err)
	}
	most, err := bindings.UnpackForcedMax(out)
	if err != nil {
		return l1.Settings{}, fmt.Errorf("unpack inbox settings: %w", err)
	}
	s := l1.Settings{ForcedDelay: delay, ForcedMax: int(most)}
	c.mu.Lock()
	c.settings = &s
	c.mu.Unlock()
	return s, nil
}

// view calls a method of the inbox at a block hash; the zero hash is the head.
func (c *Client) view(ctx context.Context, at l1.Hash, input []byte) ([]byte, error) {
	var block any = "latest"
	if !at.IsZero() {
		block = map[string]any{"blockHash": common.Hash(at)}
	}
	var out hexutil.Bytes
	err := c.call(ctx, &out, "eth_call", map[string]any{"to": c.inbox, "input": hexutil.Bytes(input)}, block)
	var rpcErr rpc.Error
	if errors.As(err, &rpcErr) { // no method that is called here reverts: the block or its state is not there
		return nil, fmt.Errorf("%w: %w", err, l1.ErrNotFound)
	}
	if err == nil && len(out) == 0 {
		return nil, fmt.Errorf("block %s, address %s: %w", at, c.opt.Inbox, l1.ErrNoInbox)
	}
	return out, err
}
