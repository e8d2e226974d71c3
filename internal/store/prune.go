package store

import (
	"errors"
	"fmt"
)

// pruneStep bounds the blocks deleted by one commit of Prune, and with it the time that a commit of the node waits for it.
const pruneStep = 1000

// Prune deletes the blocks below a height, but never the finalized block or those above it (I10). It works in small commits of its own: after a
// crash some of them may be undone, and the next Prune goes on from there.
func (s *Store) Prune(below uint64) error {
	for {
		done, err := s.pruneSome(below)
		if err != nil {
			return fmt.Errorf("prune below %d: %w", below, err)
		}
		if done {
			return nil
		}
	}
}

func (s *Store) pruneSome(below uint64) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := *s.state.Load()
	to := min(below, next.Finalized.Height, next.Oldest+pruneStep)
	if to <= next.Oldest {
		return true, nil
	}
	if to, err = s.within(next.Oldest, to); err != nil {
		return false, err
	}
	b := s.db.NewBatch()
	defer b.Close()
	err = s.dropBlocks(b, next.Oldest, to)
	next.Oldest = to
	if err = errors.Join(err, b.Set(chainKey, encodeChain(&next), nil)); err != nil {
		return false, err
	}
	if err := s.db.Commit(b, false); err != nil {
		return false, err
	}
	s.state.Store(&next)
	return false, nil
}
