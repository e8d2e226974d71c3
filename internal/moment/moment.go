// Package moment keeps when something happened last, for those who look at it from another goroutine. It promises that
// what has passed since then is told by the monotonic clock, as for any time of package time: a machine's clock may be
// put forth or back by a day at any moment, and a number of nanoseconds since 1970 does not survive that. A connection
// that was heard of in a time to come is never silent; a call that was sent yesterday is never late.
package moment

import (
	"sync/atomic"
	"time"
)

// began is what moments are counted from.
var began = time.Now()

// Last is when something happened last. Its zero value: it never did. Its methods are safe for concurrent use, and
// allocate nothing.
type Last struct{ since atomic.Int64 }

// Now has it that it happens now.
func (l *Last) Now() { l.Set(time.Now()) }

// Set has it that it happened at t, or never, if t is zero.
func (l *Last) Set(t time.Time) { l.since.Store(since(t)) }

// Raise is Set, but for a t that is not after what Load returns.
func (l *Last) Raise(t time.Time) {
	at := since(t)
	for was := l.since.Load(); (was == 0 || was < at) && !l.since.CompareAndSwap(was, at); was = l.since.Load() {
	}
}

// Load returns when it happened last; the zero time, if it never did. What it returns has a reading of the monotonic
// clock.
func (l *Last) Load() time.Time {
	if d := l.since.Load(); d != 0 {
		return began.Add(time.Duration(d))
	}
	return time.Time{}
}

// since is t as it is kept: 0 is kept for never.
func since(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if d := t.Sub(began); d != 0 {
		return int64(d)
	}
	return 1
}
