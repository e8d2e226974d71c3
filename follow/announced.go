package follow

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Announced are the heights that a source has announced and that are not applied yet, with the time when each was first:
// for an Observer that measures how long it takes. It is bounded: while it is full no more are noted, and the oldest ones,
// which say how far the follower is behind, stay. The zero value is ready. It may be used from any goroutine.
type Announced struct {
	mu    sync.Mutex // guards the rest
	queue []moment   // by their heights
	at    uint64     // applied last
}

type moment struct {
	height uint64
	at     time.Time
}

// keepAnnounced bounds the announcements that wait.
const keepAnnounced = 1024

// Note notes that a head was announced. Higher ones are forgotten: there was no such head, or it is gone.
func (a *Announced) Note(height uint64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n := len(a.queue); n > 0 && a.queue[n-1].height > height; n-- {
		a.queue = a.queue[:n-1]
	}
	last := a.at
	if n := len(a.queue); n > 0 {
		last = max(last, a.queue[n-1].height)
	}
	if height > last && len(a.queue) < keepAnnounced {
		a.queue = append(a.queue, moment{height, now})
	}
}

// Applied notes the position, and returns when its height was announced; the zero time if it was not by itself.
func (a *Announced) Applied(height uint64) (at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for n < len(a.queue) && a.queue[n].height <= height {
		if a.queue[n].height == height {
			at = a.queue[n].at
		}
		n++
	}
	if n > 0 {
		a.queue = append(a.queue[:0], a.queue[n:]...) // it is short as a rule
	}
	a.at = height
	return at
}

// Reverted notes that the position is below a height.
func (a *Announced) Reverted(height uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = height - 1
}

// When returns when a height that is not applied was announced; the zero time if it was not by itself.
func (a *Announced) When(height uint64) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, found := slices.BinarySearchFunc(a.queue, height, func(m moment, h uint64) int { return cmp.Compare(m.height, h) })
	if !found {
		return time.Time{}
	}
	return a.queue[i].at
}

// Waiting returns since when something that was announced has not been applied; the zero time if all is.
func (a *Announced) Waiting() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return time.Time{}
	}
	return a.queue[0].at
}
