package syncer

import (
	"context"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/exec"
	"headrace/internal/derive"
	"headrace/internal/store"
	"headrace/l1"
)

// Taken returns how many items of the inbox's forced queue, from its head, a proposal of these stored blocks can take: those whose transactions are all in them, or
// excused by the state after the last of them. It is how every node judges the proposal then (I3).
func (s *Syncer) Taken(ctx context.Context, blocks []*block.Block, queue []l1.Forced) (int, error) {
	sources := make([]l1.Source, len(queue))
	for i := range queue {
		sources[i] = queue[i].Source
	}
	left := derive.LeftOut(blocks, sources, s.ownTxs())
	if len(left) == 0 {
		return len(queue), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	without, err := s.unexcused(ctx, blocks[len(blocks)-1].Height(), left, func(derive.Left, string) {})
	if err != nil {
		return 0, err
	}
	n := len(queue)
	if without != nil {
		n = without.Source
	}
	return n, s.reconcile(ctx)
}

// ownTxs is how many transactions at the front of each block are the engine's.
func (s *Syncer) ownTxs() int {
	if e, ok := s.cfg.Engine.(exec.Sealer); ok {
		return e.OwnTxs()
	}
	return 0
}

// unexcused returns the first of the transactions left out that could have been in a block by the state after height, or nil; those before it are told to excused.
func (s *Syncer) unexcused(ctx context.Context, height uint64, left []derive.Left, excused func(derive.Left, string)) (*derive.Left, error) {
	e, ok := s.cfg.Engine.(exec.Excuser)
	if len(left) == 0 || !ok {
		return first(left), nil
	}
	if err := s.reconcile(ctx); err != nil {
		return nil, err
	}
	for i := range left {
		why, err := e.Excuse(ctx, height, left[i].Tx)
		if errors.Is(err, exec.ErrPruned) { // it no longer has that state, but can go back to it; the blocks above come back by replay
			s.engineKnown = false
			if err = s.cfg.Engine.Revert(ctx, height); err == nil {
				why, err = e.Excuse(ctx, height, left[i].Tx)
			}
		}
		if err != nil {
			return nil, s.stuck("engine", height, fmt.Errorf("see whether transaction %d of forced item %d could be included: %w", left[i].N, left[i].Index, err))
		}
		if why == "" {
			return &left[i], nil
		}
		excused(left[i], why)
	}
	return nil, nil
}

func first(left []derive.Left) *derive.Left {
	if len(left) == 0 {
		return nil
	}
	return &left[0]
}

// GiveUp takes back the unsafe blocks above height, so that others can be made in their place. Safe blocks stay.
func (s *Syncer) GiveUp(ctx context.Context, height uint64, why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.cfg.Store.State()
	if height < st.Safe.Height || height >= st.Unsafe.Height {
		return nil
	}
	if err := s.commit(&store.Batch{Named: map[string][]byte{proposedKey: nil}}); err != nil { // what was signed last is not to be used again
		return err
	}
	return s.dropUnsafe(ctx, height, why)
}
