package leader

import (
	"context"
	"time"
)

// Ask asks a question until ctx ends, and asks it once more each time that there is no answer for so long. The question of
// before is left open: what is asked while there is no leader is never answered, and what a slow server is asked is
// answered late. The first answer counts, an error too. So a question must be one that can be asked twice at once. Each ends
// with the context that it is given, which ends with Ask; it need not have returned then.
func Ask[T any](ctx context.Context, each time.Duration, question func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answers := make(chan answer)
	again := time.NewTicker(each)
	defer again.Stop()
	for {
		go func() {
			v, err := question(ctx)
			select {
			case answers <- answer{v, err}:
			case <-ctx.Done():
			}
		}()
		select {
		case a := <-answers:
			return a.value, a.err
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		case <-again.C:
		}
	}
}
