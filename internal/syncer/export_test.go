package syncer

// Free reports whether nobody is in the section.
func (s *Syncer) Free() bool {
	if !s.mu.TryLock() {
		return false
	}
	s.mu.Unlock()
	return true
}

// Verify does work as verification is done.
func (s *Syncer) Verify(work func()) { s.verify(work) }
