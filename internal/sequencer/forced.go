package sequencer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"headrace/exec"
	"headrace/internal/syncer"
	"headrace/l1"
)

const (
	tryAgain   = 5 * time.Second  // after which a forced item that no block could hold is tried again
	offerAgain = 30 * time.Second // after which one is offered again to a builder's pool, which may have lost it
)

// forced is the head of the inbox's forced queue: the proposer reads it, and the producer puts what is in it into blocks. A nil one is empty.
type forced struct {
	q    *Sequencer
	into exec.Forcer // nil: the builder has nothing but its pool
	most int         // items that a proposal may take; the proposer's alone; 0: not read yet

	mu    sync.Mutex // guards the rest
	queue []l1.Forced
	safe  uint64               // the safe height that goes with queue: what is above may hold its transactions
	tried map[uint64]time.Time // when last, in vain, by place in the queue
}

func newForced(q *Sequencer) *forced {
	if q.cfg.Inbox == nil {
		return nil
	}
	f := &forced{q: q, tried: map[uint64]time.Time{}}
	f.into, _ = q.cfg.Builder.(exec.Forcer)
	return f
}

// look reads as many items as a proposal may take, as they are at the node's position.
func (f *forced) look(ctx context.Context, s syncer.Status) ([]l1.Forced, error) {
	if f == nil {
		return nil, nil
	}
	if f.most == 0 {
		settings, err := f.q.cfg.Inbox.Settings(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the inbox's settings: %w", err)
		}
		f.most = settings.ForcedMax
		if need, limit := settings.ForcedMax*l1.MaxForced, f.q.cfg.Proposer.Limit(); need > limit {
			f.q.cfg.Logger.Warn("the inbox's forced items may not fit into a proposal: propose in blobs, or deploy an inbox that takes fewer", "most", f.most, "bytes", need, "limit", limit)
		}
	}
	queue, err := f.q.cfg.Inbox.Queue(ctx, l1.Hash(s.Position.Hash), f.most)
	if err != nil {
		return nil, fmt.Errorf("read forced queue: %w", err)
	}
	f.mu.Lock()
	f.queue, f.safe = queue, s.Safe.Height
	for index := range f.tried {
		if len(queue) == 0 || index < queue[0].Source.Index {
			delete(f.tried, index)
		}
	}
	f.mu.Unlock()
	f.offer(ctx, s.Unsafe.Height)
	return queue, nil
}

// again forgets what was tried: the blocks that held it were given up.
func (f *forced) again(ctx context.Context) {
	f.mu.Lock()
	clear(f.tried)
	f.mu.Unlock()
	f.offer(ctx, f.q.cfg.Syncer.Status().Load().Unsafe.Height)
}

// attempt is what of the queue a block should hold.
type attempt struct {
	txs    [][]byte
	items  []uint64 // the place of each one's item in the queue
	places []int    // of each one in its item
}

// left returns what is in none of the blocks up to top, and was not tried lately.
func (f *forced) left(top uint64, interval time.Duration) (a attempt, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return a, nil
	}
	blocks, err := f.q.blocks(f.safe+1, top)
	if err != nil {
		return a, err
	}
	for _, l := range f.q.cfg.Syncer.LeftOut(blocks, f.queue) {
		if at, ok := f.tried[l.Index]; !ok || time.Since(at) >= interval {
			a.txs, a.items, a.places = append(a.txs, l.Tx), append(a.items, l.Index), append(a.places, l.N)
		}
	}
	return a, nil
}

// vain notes that an attempt was in vain, unless anything of it got into txs: then there may only have been no room for the rest.
func (f *forced) vain(a attempt, txs [][]byte) {
	have := map[string]bool{}
	for _, tx := range txs {
		have[string(tx)] = true
	}
	some := slices.ContainsFunc(a.txs, func(tx []byte) bool { return have[string(tx)] })
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, index := range a.items {
		if some {
			delete(f.tried, index)
		} else {
			f.tried[index] = time.Now()
		}
	}
}

// build builds a block of what is forced, if anything is. It is called in the syncer's section, with the engine's head below height.
func (f *forced) build(ctx context.Context, height, now uint64, most int) ([][]byte, error) {
	a, err := f.left(height-1, tryAgain)
	if err == nil {
		a, err = f.unexcused(ctx, height-1, a)
	}
	if err != nil {
		return nil, err
	}
	if len(a.txs) == 0 {
		return f.q.cfg.Builder.Build(ctx, height, now, most)
	}
	txs, err := f.into.BuildForced(ctx, height, now, most, a.txs)
	if err == nil {
		f.vain(a, txs)
	}
	return txs, err
}

// unexcused drops what a proposal up to height may leave out: it has no right to a block of its own.
func (f *forced) unexcused(ctx context.Context, height uint64, a attempt) (out attempt, err error) {
	e, ok := f.q.cfg.Builder.(exec.Excuser)
	if !ok {
		return a, nil
	}
	why := map[uint64][]string{} // by place in the queue
	f.mu.Lock()
	queue := f.queue
	f.mu.Unlock()
	for i := range queue {
		if src := &queue[i].Source; slices.Contains(a.items, src.Index) {
			if why[src.Index], err = e.Excuse(ctx, height, src.Txs); err != nil {
				return out, err
			}
		}
	}
	for i, index := range a.items {
		if reasons := why[index]; a.places[i] < len(reasons) && reasons[a.places[i]] == "" {
			out.txs, out.items, out.places = append(out.txs, a.txs[i]), append(out.items, index), append(out.places, a.places[i])
		}
	}
	if len(out.txs) < len(a.txs) {
		f.vain(a, out.txs)
	}
	return out, nil
}

// offer tells the producer that there is something to include; or the builder's pool, if there is no other way. Its refusal is no failure: what cannot be
// included needs not be.
func (f *forced) offer(ctx context.Context, top uint64) {
	interval := tryAgain
	if f.into == nil {
		interval = offerAgain
	}
	a, err := f.left(top, interval)
	if err != nil || len(a.txs) == 0 {
		return // an error is the draft's or the next block's, too
	}
	if f.into == nil {
		for i, tx := range a.txs {
			if err := f.q.cfg.Builder.SubmitTx(ctx, tx); err != nil {
				f.q.cfg.Logger.Debug("forced transaction not taken by the engine", "item", a.items[i], "err", err)
			}
		}
		f.vain(a, nil)
	}
	f.q.Notify()
}
