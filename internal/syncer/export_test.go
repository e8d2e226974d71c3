package syncer

import (
	"time"

	"headrace/block"
	"headrace/internal/store"
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
func (r *TestedRhythm) Brought(height uint64) { r.rhythm.brought(height, time.Time{}) }

// Waited notes that the next height of the source, of a time, has brought a block which has waited for so long.
func (r *TestedRhythm) Waited(wait time.Duration, at time.Time) {
	height := r.item + 1
	r.rhythm.passed(height, at)
	r.rhythm.brought(height, at.Add(-wait))
	r.rhythm.brought(height, at) // and another one
}

// Is returns what is known.
func (r *TestedRhythm) Is() Rhythm { return r.is }

// SearchIn is a search in the blocks that block returns; own transactions at the front of each are the engine's.
func SearchIn(block func(height uint64) (store.Record, error), own int) *Search {
	return &Search{block: block, own: own}
}
