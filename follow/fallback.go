package follow

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// FallbackOptions tune Fallback. The zero value works.
type FallbackOptions struct {
	Retry    time.Duration       // how long news comes from the second source before the first is tried again, at first; default 10 s
	Switched func(toSecond bool) // called when news changes from one to the other: while neither announces anything it does not
}

// A first source is tried again after a while, longer each time, until it has lasted; and when several subscriptions
// in a row have not, the next is not tried at once. So a first source that comes and goes does not make the news come
// and go.
const (
	maxRetry   = 2 * time.Minute
	lasting    = 30 * time.Second
	shortLives = 3
)

// Either is a source with another in its place while it does not work. Make it with Fallback. It is safe for
// concurrent use, but for Subscribe, of which one call may be under way at a time.
type Either[T any] struct {
	first, second Source[T]
	opt           FallbackOptions

	mu    sync.Mutex    // guards the rest
	short int           // subscriptions to the first in a row that did not last
	wait  time.Duration // how long the second was listened to before the last try of the first
}

// Fallback returns first with second in its place while first announces nothing: a subscription with polling in its
// place, as a rule. What second announces is passed on until first announces something again, and no longer. A fetch
// asks first, and goes on with second where that fails.
func Fallback[T any](first, second Source[T], opt FallbackOptions) *Either[T] {
	opt.Retry = cmp.Or(opt.Retry, 10*time.Second)
	if opt.Switched == nil {
		opt.Switched = func(bool) {}
	}
	return &Either[T]{first: first, second: second, opt: opt}
}

// Fetch implements Source.
func (e *Either[T]) Fetch(ctx context.Context, from, to uint64, deliver func(Item[T]) error) error {
	return Best(e.first, e.second).Fetch(ctx, from, to, deliver)
}

// Subscribe implements Source. It ends when the source that announces ends, and with both errors when neither
// announces anything.
func (e *Either[T]) Subscribe(ctx context.Context, update func(Update[T])) error {
	if e.restless() {
		return e.fall(ctx, update)
	}
	heard, err := e.listen(ctx, update)
	if heard || ctx.Err() != nil {
		return err
	}
	heard = false
	err2 := e.fall(ctx, func(u Update[T]) {
		heard = true
		update(u)
	})
	if heard || ctx.Err() != nil {
		return err2
	}
	return &FailedError{0, []error{err, err2}}
}

// listen subscribes to first, and notes how that went.
func (e *Either[T]) listen(ctx context.Context, update func(Update[T])) (heard bool, err error) {
	start := time.Now()
	err = e.first.Subscribe(ctx, func(u Update[T]) {
		heard = true
		update(u)
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case !heard:
	case time.Since(start) >= lasting:
		e.short, e.wait = 0, 0
	default:
		e.short++
	}
	return heard, err
}

// restless reports whether several subscriptions to first in a row have not lasted.
func (e *Either[T]) restless() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.short >= shortLives
}

// patience returns how long to listen to second before the next try of first.
func (e *Either[T]) patience() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wait = min(max(2*e.wait, e.opt.Retry), max(maxRetry, e.opt.Retry))
	e.short = 0
	return e.wait
}

// fall listens to second, and tries first beside it from time to time; once that announces something it takes over.
func (e *Either[T]) fall(ctx context.Context, update func(Update[T])) error {
	ctx, cancel := context.WithCancelCause(ctx)
	second, stop := context.WithCancel(ctx)
	var mu sync.Mutex // guards the two, and is held during update: one at a time
	on := false       // news comes from second
	over := false     // first has taken over
	switched := func(to bool) {
		if on != to {
			on = to
			e.opt.Switched(to)
		}
	}
	defer func() { switched(false) }() // when nobody calls update any more
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel(nil)
	defer stop()
	work.Go(func() {
		err := e.second.Subscribe(second, func(u Update[T]) {
			mu.Lock()
			defer mu.Unlock()
			if !over {
				switched(true)
				update(u)
			}
		})
		if second.Err() == nil {
			cancel(err)
		}
	})
	for {
		if sleep(ctx, e.patience(), nil) != nil {
			return context.Cause(ctx)
		}
		heard, err := e.listen(ctx, func(u Update[T]) {
			mu.Lock()
			defer mu.Unlock()
			if !over {
				over = true
				stop()
				switched(false)
			}
			update(u)
		})
		if heard || ctx.Err() != nil {
			return err
		}
	}
}
