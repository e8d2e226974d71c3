package syncer

import (
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
	s.mu.Lock()
	defer s.mu.Unlock()
	must, err := s.mustInclude(ctx, blocks[len(blocks)-1].Height(), items, missing)
	if err != nil {
		return 0, err
	}
	n := len(queue)
	if must != nil {
		n = must.Source
	}
	return n, s.reconcile(ctx)
}

// MissingTxs returns the transactions of the forced queue that are in none of blocks, in order.
func (s *Syncer) MissingTxs(blocks []*block.Block, queue []l1.Forced) []derive.MissingTx {
	return derive.MissingTxs(blocks, sources(queue), s.ownTxs())
}

func sources(queue []l1.Forced) []l1.Source {
	out := make([]l1.Source, len(queue))
	for i := range queue {
		out[i] = queue[i].Source
	}
	return out
}

// ownTxs is how many transactions at the front of each block are the engine's.
func (s *Syncer) ownTxs() int {
	if e, ok := s.cfg.Engine.(exec.Sealer); ok {
		return e.OwnTxs()
	}
	return 0
}

// mustInclude returns the first missing transaction that is not exempt by the state after height: with it missing, a
// proposal is void. It is nil if all are exempt.
func (s *Syncer) mustInclude(ctx context.Context, height uint64, items []l1.Source, missing []derive.MissingTx) (must *derive.MissingTx, err error) {
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
	var why []string
	for i := range missing {
		l := &missing[i]
		if i == 0 || l.Source != missing[i-1].Source {
			start := time.Now()
			why, err = s.exempt(ctx, e, height, items[l.Source].Txs)
			s.Took(StepExempt, height, start, err)
			if err != nil {
				return nil, s.stuck(follow.StageEngine, height, fmt.Errorf("see which transactions of forced item %d could be included: %w", l.Index, err))
			}
		}
		if why[l.N] == "" {
			return l, nil
		}
		s.cfg.Logger.Debug("forced transaction cannot be included", "item", l.Index, "transaction", l.N, "height", height, "reason", why[l.N])
	}
	return nil, nil
}

// exempt asks the engine. An engine that has dropped the state is reverted to it first; the blocks above come back by
// replay.
func (s *Syncer) exempt(ctx context.Context, e exec.Exempter, height uint64, item [][]byte) ([]string, error) {
	why, err := e.Exempt(ctx, height, item)
	if errors.Is(err, exec.ErrPruned) {
		s.engineKnown = false
		if err := s.revertTo(ctx, height); err != nil {
			return nil, fmt.Errorf("revert to block %d, whose state is needed: %w", height, err)
		}
		why, err = e.Exempt(ctx, height, item)
	}
	if err == nil && len(why) != len(item) {
		err = fmt.Errorf("the engine gives %d reasons for %d transactions", len(why), len(item))
	}
	return why, err
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
