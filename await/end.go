package await

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"headrace/watch"
)

// Error is why a wait ended without what it was for. It unwraps to Cause.
type Error struct {
	What    string // was waited for
	Last    string // value seen; empty if none was
	Failure error  // the last thing that went wrong on the way; nil if nothing did
	Cause   error  // the context's cause, or ErrEnded and the producer's error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "wait for %s: %s", e.What, strings.TrimPrefix(e.Cause.Error(), "wait: "))
	if e.Last != "" {
		fmt.Fprintf(&b, "; last seen: %s", e.Last)
	}
	if e.Failure != nil {
		fmt.Fprintf(&b, "; last error: %v", e.Failure)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Cause }

// Option changes one wait.
type Option func(*Settings)

// Settings are what options have set. They are for waits that are made of others than these, as those of
// await/ethereum are.
type Settings struct {
	Ends  []End
	Label Label
	Body  bool
}

// SettingsOf returns what opts set.
func SettingsOf(opts []Option) (s Settings) {
	for _, o := range opts {
		o(&s)
	}
	return s
}

// WithLabel makes Height wait for another head than the safe one.
func WithLabel(l Label) Option { return func(s *Settings) { s.Label = l } }

// WithBody makes the waits of await/ethereum for a block return the whole block with its transactions; else it is the
// header only.
func WithBody() Option { return func(s *Settings) { s.Body = true } }

// WithAbort ends the wait when one of the producers ends, for whatever reason: what is waited for will not come any
// more.
func WithAbort(producers ...End) Option {
	return func(s *Settings) { s.Ends = append(s.Ends, producers...) }
}

// End blocks until a producer has ended and returns why, which may be nil; it returns early when ctx ends.
type End func(ctx context.Context) error

// Closed is the end of whoever sets v.
func Closed[T any](v *watch.Value[T]) End {
	return func(ctx context.Context) error {
		_, err := v.Wait(ctx, func(T) bool { return false })
		return err
	}
}

// Exit is the end that c tells of, by a value or by being closed: the result of a Run, a process that exited. A value
// is taken from c; if it is an error, that is why.
func Exit[T any](c <-chan T) End {
	return func(ctx context.Context) error {
		select {
		case v := <-c:
			err, _ := any(v).(error)
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Race returns a context that also ends, with a cause that matches ErrEnded, when one of the producers does: for
// waits that are made of others than these. stop waits for all it started.
func Race(ctx context.Context, producers []End) (_ context.Context, stop func()) {
	if len(producers) == 0 {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var listeners sync.WaitGroup
	for _, end := range producers {
		listeners.Go(func() {
			err := end(ctx)
			switch {
			case ctx.Err() != nil: // too late to matter
			case err == nil:
				cancel(ErrEnded)
			case errors.Is(err, ErrEnded):
				cancel(err)
			default:
				cancel(fmt.Errorf("%w: %w", ErrEnded, err))
			}
		})
	}
	return ctx, func() { cancel(nil); listeners.Wait() }
}

var errOther = errors.New("another wait failed")

// All runs the waits side by side under one context and returns their results in order. When one fails the others are
// called off, and what failed is returned.
func All[T any](ctx context.Context, waits ...func(context.Context) (T, error)) ([]T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	got, errs := make([]T, len(waits)), make([]error, len(waits))
	var g sync.WaitGroup
	for i, wait := range waits {
		g.Go(func() {
			var err error
			if got[i], err = wait(ctx); err != nil && !errors.Is(err, errOther) {
				errs[i] = err
				cancel(errOther)
			}
		})
	}
	g.Wait()
	return got, errors.Join(errs...)
}

var errWon = errors.New("another wait succeeded")

// Any runs the waits side by side under one context and returns the number and the result of the first that succeeds;
// the others are called off. When all fail, the number is -1 and the error says why each did.
func Any[T any](ctx context.Context, waits ...func(context.Context) (T, error)) (int, T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex // guards winner and got
	winner := -1
	var got T
	errs := make([]error, len(waits))
	var g sync.WaitGroup
	for i, wait := range waits {
		g.Go(func() {
			v, err := wait(ctx)
			if err != nil {
				errs[i] = err
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if winner < 0 {
				winner, got = i, v
				cancel(errWon)
			}
		})
	}
	g.Wait()
	if winner < 0 {
		return -1, got, errors.Join(errs...)
	}
	return winner, got, nil
}
