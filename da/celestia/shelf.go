package celestia

import (
	"slices"
	"sync"

	"headrace/da"
	"headrace/follow"
)

// shelf holds what a fetch leaves when it ends for the next one, of whichever endpoint: contents that were not
// delivered, within a bound in bytes, and what has come so far of one height that is fetched in pieces. All of it is
// known by the hash of its header, which commits to it: nothing of another fork is mixed in. It is safe for
// concurrent use.
type shelf struct {
	limit int

	mu     sync.Mutex // guards the rest
	left   []leftover // by height
	pieces *pieces    // nil while somebody has them
	stuck  uint64     // height that the last fetch could not get; 0: none
}

// leftover is the content of a height.
type leftover struct {
	height uint64
	hash   follow.Hash
	blobs  []da.Blob
	size   int

	unproven *endpoint // whose word they are; nil: they are verified
}

// take gives all contents from a height on, the lowest first. Those below it are of no use any more.
func (s *shelf) take(from uint64) []leftover {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.left
	s.left = nil
	return slices.DeleteFunc(left, func(l leftover) bool { return l.height < from })
}

// put takes contents that were not delivered, the lowest heights first, as many as there is room for.
func (s *shelf) put(left []leftover) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, left...)
	slices.SortStableFunc(s.left, func(a, b leftover) int { return int(int64(a.height - b.height)) })
	held := 0
	for i := range s.left {
		if held += s.left[i].size; held > s.limit {
			clear(s.left[i:])
			s.left = s.left[:i]
			return
		}
	}
}

// takePieces gives what there is of a height's pieces, or new ones. Pieces of another height stay only if it is lower:
// it is needed first.
func (s *shelf) takePieces(height uint64, hash follow.Hash) *pieces {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pieces; p != nil && p.hash == hash {
		s.pieces = nil
		return p
	}
	return newPieces(height, hash)
}

// putPieces takes them back.
func (s *shelf) putPieces(p *pieces) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pieces == nil || p.height <= s.pieces.height {
		s.pieces = p
	}
}

// passed drops pieces of heights below one that was delivered.
func (s *shelf) passed(height uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pieces != nil && s.pieces.height <= height {
		s.pieces = nil
	}
	if s.stuck <= height {
		s.stuck = 0
	}
}

// failed notes the height that a fetch could not get.
func (s *shelf) failed(height uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = height
}

// isStuck reports whether a height could not be got.
func (s *shelf) isStuck(height uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stuck == height
}
