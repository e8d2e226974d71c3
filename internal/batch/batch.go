// Package batch decides how much to ask an endpoint for in one request.
//
// It goes by the effect and not by the reason that is given: gateways refuse what is too much for them with any status,
// any error, or by hanging up. When a request fails, a single call tells whether it was the size. If that works, the
// next request is half as big. If that fails too, it was not the size, which stays as it is. A Size is safe for
// concurrent use.
package batch

import (
	"sync"
	"time"
)

// A size that has been too much twice is a wall: it is tried again only after a pause, which doubles each time.
const (
	firstRest = 10 * time.Minute
	mostRest  = 6 * time.Hour
	patience  = 4 // requests that must have worked, before a larger one is tried
)

// Size is how much to ask for at once.
type Size struct {
	mu      sync.Mutex // guards the rest
	n, most int
	good    int       // requests in a row that worked
	failed  int       // the size that has failed just now: a single call is to tell why; 0: none
	suspect int       // the size that was too much last, and has not worked since; 0: none
	wall    int       // the size that was too much twice; 0: none
	hit     time.Time // when that was seen last
	rest    time.Duration
}

// New returns a size that begins at n, and grows to most.
func New(n, most int) *Size { return &Size{n: min(n, most), most: most} }

// Get returns how much to ask for now.
func (s *Size) Get() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed > 0 {
		return 1
	}
	return s.n
}

// Worked notes that a request of n was answered.
func (s *Size) Worked(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed := s.failed; failed > 0 {
		s.failed = 0
		if n < failed {
			s.tooMuch(failed)
			return
		}
	}
	if n >= s.suspect {
		s.suspect = 0
	}
	if n >= s.wall {
		s.wall, s.rest = 0, 0
	}
	if s.good++; s.good < patience || s.n == s.most {
		return
	}
	larger := min(2*s.n, s.most)
	if s.wall > 0 && larger >= s.wall && time.Since(s.hit) < s.rest {
		return
	}
	s.n, s.good = larger, 0
}

// tooMuch halves. Called with mu held.
func (s *Size) tooMuch(n int) {
	if s.suspect > 0 && n >= s.suspect {
		s.wall, s.hit, s.rest = n, time.Now(), min(max(2*s.rest, firstRest), mostRest)
	}
	s.n, s.good, s.suspect = max(1, n/2), 0, n
}

// Failed notes that a request of n failed, and reports whether to ask again at once, for Get.
func (s *Size) Failed(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n <= 1 {
		s.failed = 0 // it was not the size
		return false
	}
	s.failed = n
	return true
}
