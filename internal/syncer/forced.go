package syncer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/store"
	"headrace/l1"
)

// Taken returns how many items of the inbox's forced queue, from its head, a proposal of these stored blocks can
// take: none of their transactions may be missing in the blocks, unless it is exempt by the state after the last of
// them. Every node judges the proposal by the same rule (I3).
func (s *Syncer) Taken(ctx context.Context, blocks []*block.Block, queue []l1.Forced) (int, error) {
	items := sources(queue)
	missing := derive.MissingTxs(blocks, items, s.ownTxs())
	if len(missing) == 0 {
		return len(queue), nil
	}
	last := blocks[len(blocks)-1].Ref()
	s.foresee(ctx, last, items, missing)
	s.mu.Lock()
	defer s.mu.Unlock()
	must, err := s.mustInclude(ctx, last, items, missing)
	if err != nil {
		return 0, err
	}
	n := len(queue)
	if must != nil {
		n = must.Source
	}
	return n, s.reconcile(ctx)
}

// Search looks for the transactions of a forced queue in stored blocks. It keeps what it has found: while the queue stays
// and the chain grows, each block is read once, however many wait. It is not safe for concurrent use.
type Search struct {
	block func(height uint64) (store.Record, error)
	own   int // transactions at the front of each block are the engine's

	from   uint64
	last   block.Ref // that was looked at: from-1, without a hash, at the start
	queue  []l1.Forced
	wanted *derive.Wanted // nil: nothing was looked at
}

// NewSearch returns a search in the stored blocks.
func (s *Syncer) NewSearch() *Search { return &Search{block: s.Block, own: s.ownTxs()} }

// Missing returns the transactions of a forced queue that are in none of the stored blocks from one height to another, in
// order. One block is in memory at a time. A queue that was read anew is another one, and must not be changed afterwards.
func (r *Search) Missing(from, to uint64, queue []l1.Forced) ([]derive.MissingTx, error) {
	if len(queue) == 0 {
		return nil, nil
	}
	goesOn := r.wanted != nil && r.from == from && r.last.Height <= to && len(r.queue) == len(queue) && &r.queue[0] == &queue[0]
	if goesOn && r.last.Height >= from {
		rec, err := r.block(r.last.Height)
		if err != nil {
			return nil, err
		}
		goesOn = rec.Block.Ref() == r.last
	}
	if !goesOn {
		r.begin(from, queue)
	}
	again := false
	for r.last.Height < to {
		rec, err := r.block(r.last.Height + 1)
		if err != nil {
			return nil, err
		}
		if r.last.Height >= from && !bytes.Equal(rec.Block.Header.Header.LastHeaderHash, r.last.Hash.Field()) {
			if again {
				r.wanted = nil
				return nil, fmt.Errorf("block %d does not follow %s", r.last.Height+1, r.last.Hash)
			}
			again = true // blocks were replaced meanwhile
			r.begin(from, queue)
			continue
		}
		r.wanted.Has(rec.Block)
		r.last = rec.Block.Ref()
	}
	return r.wanted.Missing(), nil
}

func (r *Search) begin(from uint64, queue []l1.Forced) {
	r.from, r.last, r.queue = from, block.Ref{Height: from - 1}, queue
	r.wanted = derive.Want(sources(queue), r.own)
}

func sources(queue []l1.Forced) []l1.Source {
	out := make([]l1.Source, len(queue))
	for i := range queue {
		out[i] = queue[i].Source
	}
	return out
}

// ownTxs is how many transactions at the front of each block are the engine's.
func (s *Syncer) ownTxs() int { return exec.OwnTxs(s.cfg.Engine) }

// mustInclude returns the first missing transaction that is not exempt by the state after a block: with it missing, a
// proposal is void. It is nil if all are exempt.
func (s *Syncer) mustInclude(ctx context.Context, after block.Ref, items []l1.Source, missing []derive.MissingTx) (must *derive.MissingTx, err error) {
	e, ok := s.cfg.Engine.(exec.Exempter)
	switch {
	case len(missing) == 0:
		return nil, nil
	case !ok:
		return &missing[0], nil
	}
	if err := s.reconcile(ctx); err != nil {
		return nil, err
	}
	var exempt []bool
	for i := range missing {
		l := &missing[i]
		if i == 0 || l.Source != missing[i-1].Source {
			if exempt, err = s.exempt(ctx, e, after, items[l.Source].Txs); err != nil {
				return nil, s.stuck(follow.StageEngine, after.Height, fmt.Errorf("see which transactions of forced item %d could be included: %w", l.Index, err))
			}
		}
		if !exempt[l.N] {
			return l, nil
		}
	}
	return nil, nil
}

// exempt says which transactions of an item are exempt after a block that the engine has executed. If that is not known
// yet it asks the engine. One that has dropped the state is reverted to it first; the blocks above come back by replay.
func (s *Syncer) exempt(ctx context.Context, e exec.Exempter, after block.Ref, item [][]byte) ([]bool, error) {
	if known, ok := s.judged.get(after.Hash, item); ok {
		return known, nil
	}
	start := time.Now()
	why, err := e.Exempt(ctx, after.Height, item)
	if errors.Is(err, exec.ErrPruned) {
		s.engineKnown = false
		if err := s.revertTo(ctx, after.Height); err != nil {
			return nil, fmt.Errorf("revert to block %d, whose state is needed: %w", after.Height, err)
		}
		why, err = e.Exempt(ctx, after.Height, item)
	}
	if err == nil && len(why) != len(item) {
		err = fmt.Errorf("the engine gives %d reasons for %d transactions", len(why), len(item))
	}
	s.Took(StepExempt, after.Height, start, err)
	if err != nil {
		return nil, err
	}
	for n, reason := range why {
		if reason != "" {
			s.cfg.Logger.Debug("forced transaction cannot be included", "transaction", n, "height", after.Height, "reason", reason)
		}
	}
	return s.judged.put(after.Hash, item, why), nil
}

// DropAbove drops the unsafe blocks above height, so that others can be made in their place. Safe blocks stay.
func (s *Syncer) DropAbove(ctx context.Context, height uint64, why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.cfg.Store.State()
	if height < st.Safe.Height || height >= st.Unsafe.Height {
		return nil
	}
	if err := s.commit(&store.Batch{Named: map[string][]byte{proposedKey: nil}}); err != nil { // what was signed last is not to be used again
		return err
	}
	s.counts.Dropped += st.Unsafe.Height - height
	return s.dropUnsafe(ctx, height, why)
}
