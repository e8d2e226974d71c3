package follow_test

import (
	"testing"
	"time"

	"headrace/follow"
)

// S19: delays grow to the longest and stay there, of which at most a quarter is taken off; only a success begins anew.
func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		b        follow.Backoff
		min, max time.Duration
	}{
		{follow.Backoff{}, 100 * time.Millisecond, 5 * time.Second},
		{follow.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}, time.Millisecond, 10 * time.Millisecond},
		{follow.Backoff{Min: time.Minute}, time.Minute, time.Minute},
	} {
		for range 3 {
			whole := c.min
			for range 100 {
				if d := c.b.Next(); d > whole || d < whole-whole/4-1 {
					t.Fatalf("%+v: got a delay of %s, want %s less at most a quarter", c.b, d, whole)
				}
				whole = min(2*whole, c.max)
			}
			c.b.Reset()
		}
	}
}
