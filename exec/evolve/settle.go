package evolve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
)

var errClosed = errors.New("the engine is closed")

// settle finds out, if that is not known, which block the executor takes. mu is held.
func (e *Engine) settle(ctx context.Context) error {
	if e.closed {
		return errClosed
	}
	if e.known != unknown {
		return nil
	}
	e.said = nil
	last, err := e.last()
	if err != nil {
		return err
	}
	if e.tried, err = e.index.tried(last.height + 1); err != nil {
		return err
	}
	height, err := e.height(ctx)
	if err != nil {
		return err
	}
	if height < last.height { // it has lost blocks, and says so
		e.opt.Logger.Warn("the executor has lost blocks", "height", height, "was", last.height)
		if err := e.index.truncate(max(height, e.before())); err != nil {
			return err
		}
		if last, err = e.last(); err != nil {
			return err
		}
	}
	if height <= last.height {
		e.tried = nil // it was not executed
	}
	head := last
	if last.height > e.before() { // to be executed again
		if head, err = e.index.at(last.height - 1); err != nil {
			return err
		}
	}
	e.head, e.from, e.known = head, head.height+1, doubted
	return e.begin(ctx, last, height)
}

// last returns the last block of the index; height InitialHeight-1 if it has none.
func (e *Engine) last() (record, error) {
	r, ok, err := e.index.top()
	if !ok {
		r = record{height: e.before()}
	}
	return r, err
}

// begin brings an executor that is too high down, and one that has executed nothing to the genesis state.
func (e *Engine) begin(ctx context.Context, last record, height uint64) error {
	most := last.height
	if e.tried != nil {
		most++
	}
	if back, can := e.x.(Rollbacker); can && height > most && (height != math.MaxUint64 || last.height > e.before() || e.tried != nil) {
		// What it can take back is not in doubt.
		if err := e.rollback(ctx, back, e.head); err != nil {
			return err
		}
	} else if height > most && height != math.MaxUint64 {
		e.known = unknown
		return fmt.Errorf("%w: it is at block %d, and was given none above %d: %s", ErrLost, height, most, e.anew())
	}
	if e.head.height > e.before() {
		return nil
	}
	root, err := e.x.InitChain(ctx, e.opt.GenesisTime.UTC(), e.opt.InitialHeight, e.opt.ChainID)
	if err != nil {
		e.known = unknown
		return fmt.Errorf("make the executor's genesis state: %w", err)
	}
	// An executor that has executed a block may answer what it likes. Else this is its state, whatever it was before.
	if _, has, err := e.index.get(e.before()); err != nil || has && (last.height > e.before() || e.tried != nil) {
		return err
	}
	e.head.root = bytes.Clone(root)
	return e.index.put(e.head)
}

// height returns the executor's height, or MaxUint64 if it does not tell.
func (e *Engine) height(ctx context.Context) (uint64, error) {
	x, ok := e.x.(Heighter)
	if !ok {
		return math.MaxUint64, nil
	}
	height, err := x.GetLatestHeight(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return math.MaxUint64, nil
	}
	if err != nil {
		return 0, fmt.Errorf("ask the executor for its height: %w", err)
	}
	return height, nil
}
