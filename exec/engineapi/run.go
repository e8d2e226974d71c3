package engineapi

import (
	"context"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/exec"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/params/forks"
)

// read gives b's execution block. ErrInvalid comes from the content of b and of the blocks before it alone.
func (e *Engine) read(b *block.Block) (*Payload, error) {
	h, p, err := unseal(b.Data.Txs)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w: %w", b.Height(), exec.ErrInvalid, err)
	}
	if want := e.number(b.Height()); p.Data.Number != want {
		return nil, fmt.Errorf("block %d: %w: sealed header has number %d, want %d", b.Height(), exec.ErrInvalid, p.Data.Number, want)
	}
	if h.ParentHash != e.head.exec {
		if e.head.height == e.first.height {
			return nil, fmt.Errorf("%w: the first block is sealed on %s, but the genesis given to this node and its client is %s", ErrConfig, h.ParentHash, e.head.exec)
		}
		return nil, fmt.Errorf("block %d: %w: sealed on %s, want %s", b.Height(), exec.ErrInvalid, h.ParentHash, e.head.exec)
	}
	if h.Time <= e.head.time {
		return nil, fmt.Errorf("block %d: %w: sealed time %d is not after %d", b.Height(), exec.ErrInvalid, h.Time, e.head.time)
	}
	fork := e.opt.Genesis.Config.LatestFork(h.Time)
	if hasRequests := h.RequestsHash != nil; hasRequests != (fork >= forks.Prague) {
		return nil, fmt.Errorf("%w: block %d has a requests hash: %t, but by the execution genesis given to this node the fork at its time %d is %s",
			ErrConfig, b.Height(), hasRequests, h.Time, fork)
	}
	return p, nil
}

// run has the client execute a block on our head. The client's head stays where it is.
func (e *Engine) run(ctx context.Context, p *Payload) error {
	status, err := e.client.NewPayload(ctx, p)
	if err != nil {
		return err
	}
	switch status.Status {
	case engine.VALID:
		return nil
	case engine.INVALID:
		if e.derived {
			return fmt.Errorf("client says INVALID of the block that it has made itself: no verdict: %s", reason(status))
		}
		return e.judge(ctx, p, status)
	case engine.SYNCING:
		return e.lost(ctx, "does not know the parent")
	case engine.ACCEPTED:
		return e.lost(ctx, "has the parent, but not its state")
	}
	return fmt.Errorf("client gives a block the unknown status %q", status.Status)
}

// lost explains why the client did not execute a block: usually, because it crashed and has gone back.
func (e *Engine) lost(ctx context.Context, why string) error {
	head := e.head
	if err := e.settle(ctx); err != nil {
		return err
	}
	if e.head != head {
		return fmt.Errorf("%w: the client has lost blocks and is at %d %s", exec.ErrParent, e.head.height, e.head.hash)
	}
	return fmt.Errorf("%w: it %s (%d %s)", ErrUnavailable, why, e.number(head.height), head.exec)
}

func reason(status engine.PayloadStatusV1) string {
	if status.ValidationError != nil {
		return *status.ValidationError
	}
	return "no reason given"
}

// judge decides whether the client's INVALID is a verdict on the content.
func (e *Engine) judge(ctx context.Context, p *Payload, status engine.PayloadStatusV1) error {
	reason := reason(status)
	if status.LatestValidHash == nil || *status.LatestValidHash != p.Data.ParentHash {
		return fmt.Errorf("client says INVALID, but not on top of the parent %s (latest valid block: %v): no verdict: %s", p.Data.ParentHash, status.LatestValidHash, reason)
	}
	if err := e.canExecute(ctx); err != nil {
		return fmt.Errorf("client says INVALID (%s), but cannot execute a block of its own on the same parent either, so that is no verdict: %w", reason, err)
	}
	return fmt.Errorf("%w: %s", exec.ErrInvalid, reason)
}

// canExecute asks the client to make and execute a block of its own on our head.
func (e *Engine) canExecute(ctx context.Context) error {
	if e.ahead {
		// It has a canonical block there, which may be final: then it would not build another, and need not.
		next, err := e.client.Canonical(ctx, e.number(e.head.height)+1)
		if err != nil {
			return err
		}
		if next != nil && next.ParentHash == e.head.exec {
			return nil
		}
	}
	envelope, root, err := e.produce(ctx, e.head.time+1, 0)
	if err != nil {
		return err
	}
	txs, err := Transactions(envelope, root)
	if err != nil {
		return err
	}
	_, p, err := unseal(txs)
	if err != nil {
		return err
	}
	status, err := e.client.NewPayload(ctx, p)
	if err == nil && status.Status != engine.VALID {
		err = fmt.Errorf("client gives its own block the status %s", status.Status)
	}
	return err
}

// promote makes an executed block the client's head and reads the head back. When the client is ahead with this very
// block, it is left there: a fork choice would take it back below what it holds to be final, which it refuses, or
// just cost time.
func (e *Engine) promote(ctx context.Context, r record) error {
	if e.ahead {
		latest, err := e.client.Latest(ctx)
		if err != nil {
			return err
		}
		at, err := e.client.Canonical(ctx, e.number(r.height))
		if err != nil {
			return err
		}
		if at != nil && at.Reported == r.exec {
			e.ahead = latest.Reported != r.exec
			return nil
		}
	}
	if err := e.choose(ctx, r.exec, true); err != nil {
		return err
	}
	e.ahead = false
	return nil
}

var errNotMoved = errors.New("the client's head is another block after it said that it had made this one the head")

// choose makes one fork choice and reads the head back.
func (e *Engine) choose(ctx context.Context, head common.Hash, labels bool) error {
	state := engine.ForkchoiceStateV1{HeadBlockHash: head}
	if labels {
		state.SafeBlockHash, state.FinalizedBlockHash = e.safe.exec, e.finalized.exec
	}
	r, err := e.client.ForkchoiceUpdated(ctx, state, nil)
	if err != nil {
		return err
	}
	switch r.PayloadStatus.Status {
	case engine.VALID:
	case engine.SYNCING:
		return e.lost(ctx, "does not know the block that is to be its head")
	default:
		return fmt.Errorf("client answers a fork choice with status %q", r.PayloadStatus.Status)
	}
	latest, err := e.client.Latest(ctx)
	if err != nil {
		return err
	}
	if latest == nil || latest.Reported != head {
		return fmt.Errorf("%w: want %s, got %v", errNotMoved, head, latest)
	}
	return nil
}

// rewindStep is how far below its head a client goes in one fork choice: go-ethereum refuses 32 and more.
const rewindStep = 31

// Revert is exec.Engine's. Our head is at height when it returns nil. The client's is too, unless the client holds
// what is above to be final.
func (e *Engine) Revert(ctx context.Context, height uint64) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	if height < e.first.height {
		return fmt.Errorf("revert to %d: the first height is %d", height, e.first.height+1)
	}
	if height < e.head.height {
		r, err := e.at(height)
		if err != nil {
			return fmt.Errorf("revert to %d: %w", height, err)
		}
		// First ours: a crash from here on leaves the client ahead, which is harmless.
		if err := e.index.truncate(height); err != nil {
			return err
		}
		e.goTo(r)
		e.ahead = true
	}
	if !e.ahead || height > e.head.height {
		return nil
	}
	if err := e.rewind(ctx); err != nil {
		return fmt.Errorf("revert to %d: %w", height, err)
	}
	return nil
}

// rewind takes the client back to our head, in steps.
func (e *Engine) rewind(ctx context.Context) error {
	if err := e.settle(ctx); err != nil || !e.ahead {
		return err
	}
	latest, err := e.client.Latest(ctx)
	if err != nil {
		return err
	}
	target := e.number(e.head.height)
	for at := latest.Number.Uint64(); at > target; {
		at = max(target, at-min(at, rewindStep))
		h, err := e.client.Canonical(ctx, at)
		if err != nil {
			return err
		}
		if h == nil {
			return fmt.Errorf("%w: it has no block %d below its head", ErrUnavailable, at)
		}
		err = e.choose(ctx, h.Reported, false)
		if errors.Is(err, errNotMoved) {
			e.said.Warn(e.opt.Logger, "execution client keeps blocks that were reverted", err, "height", e.head.height)
			return nil
		}
		if err != nil {
			return err
		}
	}
	e.ahead = false
	return nil
}

// Label is exec.Labeler's. A label at the beginning is none: a client told that its genesis is final could not be
// taken back to it.
func (e *Engine) Label(ctx context.Context, safe, finalized block.Ref) error {
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.mu.Unlock()
	s, err := e.labelled(safe)
	if err != nil {
		return fmt.Errorf("label safe: %w", err)
	}
	f, err := e.labelled(finalized)
	if err != nil {
		return fmt.Errorf("label finalized: %w", err)
	}
	if s == e.safe && f == e.finalized {
		return nil
	}
	e.safe, e.finalized = s, f
	if e.ahead {
		return nil // a fork choice would move the client's head; the labels go with a later one
	}
	if err := e.choose(ctx, e.head.exec, true); err != nil {
		e.safe, e.finalized = record{}, record{} // so that the same labels are tried again
		return fmt.Errorf("label blocks: %w", err)
	}
	return nil
}

// labelled is the record of a block to label, or none.
func (e *Engine) labelled(ref block.Ref) (record, error) {
	if ref.Height <= e.first.height {
		return record{}, nil
	}
	if ref.Height > e.head.height {
		return record{}, fmt.Errorf("block %d is above the head %d: %w", ref.Height, e.head.height, exec.ErrParent)
	}
	r, err := e.at(ref.Height)
	if err == nil && r.hash != ref.Hash {
		err = fmt.Errorf("block %d is %s, not %s: %w", ref.Height, r.hash, ref.Hash, exec.ErrParent)
	}
	return r, err
}
