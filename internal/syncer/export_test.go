package syncer

import (
	"time"

	"headrace/block"
)

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

// TestedRhythm is a rhythm alone.
type TestedRhythm struct{ rhythm }

// Block notes the next block.
func (r *TestedRhythm) Block(made time.Time, txs int) {
	r.rhythm.block(block.Ref{Height: r.last.Height + 1}, made, txs)
}

// Brought notes a height of the source that brought a safe block.
func (r *TestedRhythm) Brought(height uint64) { r.rhythm.brought(height) }

// Is returns what is known.
func (r *TestedRhythm) Is() Rhythm { return r.is }
