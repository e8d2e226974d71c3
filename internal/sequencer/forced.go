package sequencer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"headrace/exec"
	"headrace/internal/derive"
	"headrace/internal/syncer"
	"headrace/l1"
)

const (
	tryAgain   = 5 * time.Second  // after which a forced item that no block could hold is tried again
	offerAgain = 30 * time.Second // after which one is offered again to a builder's pool, which may have lost it

	// judgedPerBlock bounds the transactions of items that the engine is asked about while a block is made: strangers
	// choose the items. The largest item has fewer.
	judgedPerBlock = 300
)

// forced is the head of the inbox's forced queue: the proposer reads it, and the producer puts what is in it into
// blocks. A nil one is empty.
type forced struct {
	q    *Sequencer
	into exec.Forcer // nil: the builder has nothing but its pool
	most int         // items that a proposal may take; the proposer's alone, as the next; 0: not read yet

	settings l1.Settings // of the inbox, likewise

	mu     sync.Mutex // guards the rest
	queue  []l1.Forced
	safe   uint64               // the safe height that goes with queue: what is above may hold its transactions
	tried  map[uint64]time.Time // when last, in vain, by place in the queue
	search *syncer.Search       // for what is in queue
}

func newForced(q *Sequencer) *forced {
	if q.cfg.Inbox == nil {
		return nil
	}
	f := &forced{q: q, tried: map[uint64]time.Time{}, search: q.cfg.Syncer.NewSearch()}
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
		f.most, f.settings = settings.Most(), settings
		if need, limit := settings.MostBytes(), f.q.cfg.Proposer.Limit(); need > limit {
			f.q.cfg.Logger.Warn("the inbox's forced items may not fit into a proposal: propose in blobs, or deploy an inbox that takes fewer", "most", f.most, "bytes", need, "limit", limit)
		}
	}
	queue, err := f.q.cfg.Inbox.Queue(ctx, l1.Hash(s.Position.Hash), f.most)
	if err != nil {
		return nil, fmt.Errorf("read forced queue: %w", err)
	}
	queue = queue[:f.settings.Fit(queue)]
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

// again forgets what was tried: the blocks that held it were dropped.
func (f *forced) again(ctx context.Context) {
	f.mu.Lock()
	clear(f.tried)
	f.mu.Unlock()
	f.offer(ctx, f.q.cfg.Syncer.Status().Load().Unsafe.Height)
}

// missing returns what is in none of the blocks up to top, and was not tried lately, and the queue that it is of.
func (f *forced) missing(top uint64, interval time.Duration) (missing []derive.MissingTx, queue []l1.Forced, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return nil, nil, nil
	}
	if missing, err = f.search.Missing(f.safe+1, top, f.queue); err != nil {
		return nil, nil, err
	}
	missing = slices.DeleteFunc(missing, func(l derive.MissingTx) bool {
		at, ok := f.tried[l.Index]
		return ok && time.Since(at) < interval
	})
	slices.SortStableFunc(missing, func(a, b derive.MissingTx) int { return f.tried[a.Index].Compare(f.tried[b.Index]) }) // each has its turn
	return missing, f.queue, nil
}

// tries notes that what is missing was tried in vain, unless something got into a block: then there may only have
// been no room for the rest.
func (f *forced) tries(missing []derive.MissingTx, some bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range missing {
		if some {
			delete(f.tried, missing[i].Index)
		} else {
			f.tried[missing[i].Index] = time.Now()
		}
	}
}

// build builds a block of what is forced, if anything is. It is called in the syncer's section, with the engine's
// head below height.
func (f *forced) build(ctx context.Context, height, now uint64, most int) ([][]byte, error) {
	missing, queue, err := f.missing(height-1, tryAgain)
	if err == nil {
		missing, err = f.mustInclude(ctx, height-1, firstItems(missing, queue), queue)
	}
	if err != nil {
		return nil, err
	}
	if len(missing) == 0 {
		return f.q.cfg.Builder.Build(ctx, height, now, most)
	}
	wanted, have := make([][]byte, len(missing)), map[string]bool{}
	for i := range missing {
		wanted[i] = missing[i].Tx
	}
	txs, err := f.into.BuildForced(ctx, height, now, most, wanted)
	if err != nil {
		return nil, err
	}
	for _, tx := range txs {
		have[string(tx)] = true
	}
	f.tries(missing, slices.ContainsFunc(wanted, func(tx []byte) bool { return have[string(tx)] }))
	return txs, nil
}

// firstItems returns what is missing of the first items, as many as are judged for one block; the rest is for the
// blocks that follow.
func firstItems(missing []derive.MissingTx, queue []l1.Forced) []derive.MissingTx {
	judged := 0
	for i, l := range missing {
		if i > 0 && l.Source == missing[i-1].Source {
			continue
		}
		if judged += len(queue[l.Source].Source.Txs); i > 0 && judged > judgedPerBlock {
			return missing[:i]
		}
	}
	return missing
}

// mustInclude returns those of the missing transactions that are not exempt after height. The others need no block.
func (f *forced) mustInclude(ctx context.Context, height uint64, missing []derive.MissingTx, queue []l1.Forced) (out []derive.MissingTx, err error) {
	e, ok := f.q.cfg.Builder.(exec.Exempter)
	if !ok {
		return missing, nil
	}
	var why []string // of the item that missing[i] is of
	for i, l := range missing {
		if i == 0 || l.Source != missing[i-1].Source {
			item := queue[l.Source].Source.Txs
			if why, err = e.Exempt(ctx, height, item); err != nil {
				return nil, err
			}
			if len(why) != len(item) {
				return nil, fmt.Errorf("the engine gives %d reasons for %d transactions", len(why), len(item))
			}
		}
		if why[l.N] == "" {
			out = append(out, l)
		}
	}
	if len(out) < len(missing) {
		f.tries(missing, len(out) > 0)
	}
	return out, nil
}

// offer tells the producer that there is something to include; or the builder's pool, if there is no other way. Its
// refusal is no failure: what cannot be included needs not be.
func (f *forced) offer(ctx context.Context, top uint64) {
	interval := tryAgain
	if f.into == nil {
		interval = offerAgain
	}
	missing, _, err := f.missing(top, interval)
	if err != nil || len(missing) == 0 {
		return // an error is the draft's or the next block's, too
	}
	if f.into == nil {
		for _, l := range missing {
			if err := f.q.cfg.Builder.SubmitTx(ctx, l.Tx); err != nil {
				f.q.cfg.Logger.Debug("forced transaction not taken by the engine", "item", l.Index, "transaction", l.N, "err", err)
			}
		}
		f.tries(missing, false)
	}
	f.q.Notify()
}
