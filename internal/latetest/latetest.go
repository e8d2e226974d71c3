// Package latetest measures how late a test's process wakes up: what a busy machine adds to each step of what the test
// waits for. A test that bounds a time allows that much more.
package latetest

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// step is how often a Meter looks.
const step = 20 * time.Millisecond

// Meter measures until its test ends or it is stopped. Its methods may be called from any goroutine.
type Meter struct {
	end  chan struct{}
	done chan struct{}
	stop func()

	mu    sync.Mutex
	wakes []wake
	due   time.Time // when it is to wake up; zero at the end
}

// wake is one look: when it was, and how late.
type wake struct {
	at time.Time
	by time.Duration
}

// New begins to measure, until t ends or Stop is called.
func New(t testing.TB) *Meter {
	m := &Meter{end: make(chan struct{}), done: make(chan struct{})}
	m.stop = sync.OnceFunc(func() {
		close(m.end)
		<-m.done
	})
	t.Cleanup(m.stop)
	go m.run()
	return m
}

// Stop ends the measuring, and returns when it has ended. What was measured stays.
func (m *Meter) Stop() { m.stop() }

func (m *Meter) run() {
	defer close(m.done)
	for ended := false; !ended; {
		due := time.Now().Add(step)
		m.mu.Lock()
		m.due = due
		m.mu.Unlock()
		timer := time.NewTimer(step) // the measurement itself
		select {
		case <-timer.C:
		case <-m.end:
			timer.Stop()
			ended = true
		}
		// A process that stood still may hear both at once, or the end before the timer: it was late in either case.
		now := time.Now()
		m.mu.Lock()
		m.due = time.Time{}
		if by := now.Sub(due); by > 0 {
			m.wakes = append(m.wakes, wake{now, by})
		}
		m.mu.Unlock()
	}
}

// Worst is the worst lateness that was found since then.
func (m *Meter) Worst(since time.Time) time.Duration {
	var worst time.Duration
	for _, by := range m.All(since) {
		worst = max(worst, by)
	}
	return worst
}

// Total is the sum of all lateness since then: how much longer the machine made what waited all that time.
func (m *Meter) Total(since time.Time) (sum time.Duration) {
	for _, by := range m.All(since) {
		sum += by
	}
	return sum
}

// All is each lateness that was found since then, in the order of time. Who should have woken up by now is late already.
func (m *Meter) All(since time.Time) (all []time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, _ := slices.BinarySearchFunc(m.wakes, since, func(w wake, t time.Time) int {
		if w.at.After(t) {
			return 1
		}
		return -1
	})
	for _, w := range m.wakes[from:] {
		all = append(all, w.by)
	}
	if by := time.Since(m.due); !m.due.IsZero() && by > 0 {
		all = append(all, by)
	}
	return all
}
