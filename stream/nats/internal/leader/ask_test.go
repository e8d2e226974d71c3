package leader_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"headrace/stream/nats/internal/leader"
)

// TestAsk: a question that is never answered is asked again, in time; one that is answered late is not lost for that. An
// error is an answer.
func TestAsk(t *testing.T) {
	t.Parallel()
	errAnswer := errors.New("an answer")
	const never = -1
	for name, c := range map[string]struct {
		answered []time.Duration // how long each question is on its way
		with     error
		want     int           // which one is answered; 0 if none is
		after    time.Duration // how long it takes in all
	}{
		"at once":                {answered: []time.Duration{0}, want: 1},
		"an error at once":       {answered: []time.Duration{0}, with: errAnswer, want: 1},
		"the first has no one":   {answered: []time.Duration{never, 100 * time.Millisecond}, want: 2, after: 2100 * time.Millisecond},
		"three have no one":      {answered: []time.Duration{never, never, never, 0}, want: 4, after: 6 * time.Second},
		"the first is late":      {answered: []time.Duration{2500 * time.Millisecond, never}, want: 1, after: 2500 * time.Millisecond},
		"the second is faster":   {answered: []time.Duration{5 * time.Second, time.Second}, want: 2, after: 3 * time.Second},
		"each would be too late": {answered: []time.Duration{20 * time.Second, never, never, never, never}, after: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				asked := make(chan int, len(c.answered)) // numbers of the questions
				for i := range c.answered {
					asked <- i
				}
				close(asked)
				begun := time.Now()
				got, err := leader.Ask(ctx, 2*time.Second, func(ctx context.Context) (int, error) {
					i := <-asked
					if c.answered[i] == never {
						<-ctx.Done()
						return 0, ctx.Err()
					}
					select {
					case <-time.After(c.answered[i]):
						return i + 1, c.with
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				})
				want := c.with
				if c.want == 0 {
					want = context.DeadlineExceeded
				}
				if got != c.want || !errors.Is(err, want) || time.Since(begun) != c.after {
					t.Errorf("got %d, %v after %s, want %d, %v after %s", got, err, time.Since(begun), c.want, want, c.after)
				}
			})
		})
	}
}
