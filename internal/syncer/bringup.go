package syncer

import "context"

// BringUp brings the engine up to the store by replay (I4). The first call that needs the engine does it too; this one lets reads of the engine's state be right before any
// item comes. An error can be retried, and is in the status.
func (s *Syncer) BringUp(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reconcile(ctx)
}
