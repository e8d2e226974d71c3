package evolve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"headrace/exec"
)

const (
	maxPool   = 32 << 20 // bytes of waiting transactions: the executor is asked for no more while there are as many
	maxFilter = 16 << 20 // bytes of transactions that it is asked about at a time
	maxSeen   = 1 << 14  // transactions of the last blocks that are remembered: it may go on to return them for a while
)

// pool has the transactions that the executor has returned and that are in no block yet, in its order. The zero value
// is an empty one.
type pool struct {
	waiting  []waiting
	bytes    int
	has      map[[32]byte]struct{} // those that wait, and those in last
	last     [][32]byte            // transactions of the last blocks, the oldest first
	maxBytes uint64                // of a block, as the executor says; 0: it does not
	dropped  uint64                // because no block can hold them
}

type waiting struct {
	id [32]byte
	tx []byte
}

// add takes what is new of what the executor returns.
func (p *pool) add(txs [][]byte) {
	if p.has == nil {
		p.has = map[[32]byte]struct{}{}
	}
	for _, tx := range txs {
		id := sha256.Sum256(tx)
		if _, has := p.has[id]; has || len(tx) == 0 {
			continue
		}
		p.has[id] = struct{}{}
		p.waiting = append(p.waiting, waiting{id, bytes.Clone(tx)})
		p.bytes += len(tx)
	}
}

// remove drops the waiting transactions for which gone says so.
func (p *pool) remove(gone func(i int, w waiting) bool) {
	kept := p.waiting[:0]
	for i, w := range p.waiting {
		if gone(i, w) {
			p.bytes -= len(w.tx)
			delete(p.has, w.id)
			continue
		}
		kept = append(kept, w)
	}
	clear(p.waiting[len(kept):])
	p.waiting = kept
}

// included notes the transactions of a block.
func (p *pool) included(txs [][]byte) {
	if p.has == nil || len(txs) == 0 { // nothing was ever built here
		return
	}
	in := make(map[[32]byte]struct{}, len(txs))
	for _, tx := range txs {
		in[sha256.Sum256(tx)] = struct{}{}
	}
	p.remove(func(_ int, w waiting) bool { _, yes := in[w.id]; return yes })
	for id := range in {
		if _, has := p.has[id]; !has {
			p.has[id] = struct{}{}
			p.last = append(p.last, id)
		}
	}
	for len(p.last) > maxSeen {
		delete(p.has, p.last[0])
		p.last = p.last[1:]
	}
}

// first returns the transactions that the executor is asked about: the first ones, as many as one call can have.
func (p *pool) first() (txs [][]byte) {
	size := 0
	for _, w := range p.waiting {
		if size += len(w.tx); size > maxFilter && len(txs) > 0 {
			break
		}
		txs = append(txs, w.tx)
	}
	return txs
}

// SubmitTx implements exec.Builder: an executor takes transactions in its own way.
func (e *Engine) SubmitTx(context.Context, []byte) error {
	return fmt.Errorf("send transactions to the executor itself: this node asks it for them (%w)", errors.ErrUnsupported)
}

// Limit implements exec.Pool: Build says it, too.
func (e *Engine) Limit(int) {}

// Dropped implements exec.Pool.
func (e *Engine) Dropped() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pool.dropped
}

// Build implements exec.Builder.
func (e *Engine) Build(ctx context.Context, height, _ uint64, maxBytes int) ([][]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.settle(ctx); err != nil {
		return nil, err
	}
	if height != e.head.height+1 {
		return nil, fmt.Errorf("%w: build block %d, head is %d", exec.ErrParent, height, e.head.height)
	}
	info, err := e.info(ctx)
	if err != nil {
		return nil, err
	}
	if e.pool.bytes < maxPool {
		txs, err := e.x.GetTxs(ctx)
		if err != nil {
			return nil, e.failed(fmt.Errorf("ask the executor for transactions: %w", err))
		}
		e.pool.add(txs)
	}
	before := len(e.pool.waiting)
	e.pool.remove(func(_ int, w waiting) bool { return len(w.tx)+exec.TxOverhead > maxBytes })
	e.pool.dropped += uint64(before - len(e.pool.waiting))
	if e.pool.maxBytes > 0 {
		maxBytes = int(min(uint64(maxBytes), e.pool.maxBytes))
	}
	return e.filter(ctx, maxBytes, info.MaxGas)
}

// filter has the executor choose among the transactions that wait.
func (e *Engine) filter(ctx context.Context, maxBytes int, maxGas uint64) (txs [][]byte, err error) {
	asked := e.pool.first()
	if len(asked) == 0 {
		return nil, nil
	}
	answer, err := e.x.FilterTxs(ctx, asked, uint64(maxBytes), maxGas, false)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		answer = make([]Filtered, len(asked)) // it takes all
	case err != nil:
		return nil, e.failed(fmt.Errorf("have the executor filter transactions: %w", err))
	case len(answer) != len(asked):
		return nil, fmt.Errorf("the executor says what becomes of %d transactions, and was asked about %d", len(answer), len(asked))
	}
	size := 0
	for i, tx := range asked {
		if n := len(tx) + exec.TxOverhead; answer[i] == Taken && size+n <= maxBytes {
			txs = append(txs, bytes.Clone(tx))
			size += n
		}
	}
	if p := &e.pool; len(txs) == 0 { // those behind are asked about next
		p.waiting = slices.Concat(p.waiting[len(asked):], p.waiting[:len(asked)])
		answer = slices.Concat(make([]Filtered, len(p.waiting)-len(asked)), answer)
	}
	e.pool.remove(func(i int, _ waiting) bool { return i < len(answer) && answer[i] == Removed })
	return txs, nil
}
