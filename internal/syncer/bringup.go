package syncer

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"headrace/follow"
)

// lookTimeout bounds how long a look at where the engine stands may hold the section up.
const lookTimeout = 5 * time.Second

// BringUp looks where the engine stands and brings it up to the store by replay (I4). What executes a block does so
// too; this is for the time before, and for an engine that was restarted since: reads of its state are right again
// without waiting for a block. An error can be retried, and is in the status.
func (s *Syncer) BringUp(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.cfg.Store.State()
	want := st.Unsafe
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	head, err := s.head(look)
	cancel()
	switch {
	case err != nil && ctx.Err() != nil: // the node stops, which is no trouble of the engine's
		return ctx.Err()
	case err != nil:
		s.engineKnown = false
		return s.stuck(follow.StageEngine, want.Height, fmt.Errorf("engine head: %w", err))
	case s.engineKnown && (head.Height != want.Height || head.Hash != want.Hash || st.Root != nil && !bytes.Equal(head.Root, st.Root)):
		s.cfg.Logger.Warn("the engine is not where it was left", "height", head.Height, "want", want.Height)
		s.engineKnown = false
	}
	return s.reconcile(ctx)
}
