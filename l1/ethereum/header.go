package ethereum

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/follow"
	"headrace/l1"
)

// header is an L1 header whose fields hash to the hash that came with it.
type header struct {
	types.Header
	hash common.Hash
}

// UnmarshalJSON reads a header, or a block's header part, and checks its hash: what it says about logs and
// transactions is then as good as the hash.
func (h *header) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &h.Header); err != nil {
		return err
	}
	var claim struct {
		Hash common.Hash `json:"hash"`
	}
	if err := json.Unmarshal(b, &claim); err != nil {
		return err
	}
	h.hash = h.Header.Hash()
	if h.hash != claim.Hash {
		return fmt.Errorf("L1 header %v claims hash %s, its fields make %s: garbled, or of a fork of Ethereum that this version does not know", h.Number, claim.Hash, h.hash)
	}
	if !h.Number.IsUint64() || h.number() > follow.MaxHeight {
		return fmt.Errorf("L1 header has number %s", h.Number)
	}
	return nil
}

func (h *header) number() uint64  { return h.Number.Uint64() }
func (h *header) ref() follow.Ref { return follow.Ref{Height: h.number(), Hash: follow.Hash(h.hash)} }

// head returns the endpoint's head, and notes how far behind others that is.
func (e *endpoint) head(ctx context.Context) (*header, error) {
	h, err := e.header(ctx, "latest")
	switch {
	case err != nil:
		return nil, err
	case h == nil:
		return nil, fmt.Errorf("%s: L1 head: %w", e.name, l1.ErrNotFound)
	}
	e.health.Seen(h.number(), e.behind(h))
	return h, nil
}

// behind returns how many blocks a head of the endpoint is below the highest that another one has announced last.
func (e *endpoint) behind(head *header) uint64 {
	highest := head.number()
	for _, other := range e.client.readers {
		if other != e {
			highest = max(highest, other.health.Standing())
		}
	}
	return highest - head.number()
}

// header returns the block with a number or a tag, nil if the endpoint has none.
func (e *endpoint) header(ctx context.Context, number string) (*header, error) {
	var h *header
	err := e.call(ctx, &h, "eth_getBlockByNumber", number, false)
	return h, err
}

// headers returns the canonical headers from number on: as many as one request brings, at most n and, unless err says
// why, at least one. They are linked.
func (e *endpoint) headers(ctx context.Context, from uint64, n int) ([]*header, error) {
	for {
		n = min(n, e.batch.Get())
		got, err := e.headerBatch(ctx, from, n)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err == nil, errors.Is(err, follow.ErrNotYet):
			e.batch.Worked(n)
			return got, err
		case errors.Is(err, errLie), errors.Is(err, follow.ErrResting), !e.batch.Failed(n): // at rest, it has not said what it bears
			return nil, err
		case len(got) > 0:
			return got, nil // the next call begins at the first that failed
		}
		e.client.opt.Logger.Debug("ask for fewer L1 headers", "n", n, "err", err)
	}
}

// headerBatch makes one request. An error may come with the headers before the first that failed.
func (e *endpoint) headerBatch(ctx context.Context, from uint64, n int) ([]*header, error) {
	got := make([]*header, n)
	elems := make([]rpc.BatchElem, n)
	for i := range elems {
		elems[i] = rpc.BatchElem{Method: "eth_getBlockByNumber", Args: []any{hexutil.EncodeUint64(from + uint64(i)), false}, Result: &got[i]}
	}
	if err := e.callOnce(ctx, elems); err != nil {
		return nil, err
	}
	for i, h := range got {
		switch {
		case elems[i].Error != nil:
			return got[:i], elems[i].Error
		case h == nil && i == 0:
			return nil, fmt.Errorf("L1 block %d: %w", from, follow.ErrNotYet)
		case h == nil:
			return got[:i], nil
		case h.number() != from+uint64(i):
			return nil, e.lies("asked for L1 block %d, got %d", from+uint64(i), h.number())
		case i > 0 && h.ParentHash != got[i-1].hash:
			return got[:i], nil // a reorg during the request: what is linked is good, the rest is asked for again
		}
	}
	return got, nil
}

// checkInbox fails if the block has no contract at the inbox's address though it should.
func (c *Client) checkInbox(ctx context.Context, at *header) error {
	if at.number() < c.opt.StartBlock {
		return nil // not deployed yet
	}
	_, err := ask(ctx, c, func(e *endpoint) (struct{}, error) {
		var code hexutil.Bytes
		err := e.call(ctx, &code, "eth_getCode", c.inbox, "latest")
		if err == nil && len(code) == 0 {
			err = fmt.Errorf("L1 block %d, address %s: %w", at.number(), c.opt.Inbox, l1.ErrNoInbox)
		}
		return struct{}{}, err
	})
	return err
}
