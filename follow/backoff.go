package follow

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff spaces retries of something outside: each delay is about twice the one before, from Min up to Max, of which a random quarter is taken off
// so that many clients do not come back in step. The zero Backoff starts at 100 ms and ends at 5 s.
type Backoff struct {
	Min, Max time.Duration
	next     time.Duration
}

// Next returns the delay before the next try.
func (b *Backoff) Next() time.Duration {
	lo, hi := b.Min, b.Max
	if lo <= 0 {
		lo = 100 * time.Millisecond
	}
	if hi < lo {
		hi = max(lo, 5*time.Second)
	}
	d := min(max(b.next, lo), hi)
	b.next = 2 * d
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}

// Reset makes the next delay the shortest again. Call it after a success.
func (b *Backoff) Reset() { b.next = 0 }

// Sleep waits for the next delay, or less when ctx ends or wake (which may be nil) yields. It returns ctx's error, if any.
func (b *Backoff) Sleep(ctx context.Context, wake <-chan struct{}) error {
	return sleep(ctx, b.Next(), wake)
}

func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err()
}
