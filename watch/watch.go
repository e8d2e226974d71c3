// Package watch broadcasts the latest value of something and lets any number of goroutines wait for it to satisfy a predicate.
//
// A Value is stored first and announced second, under one lock, so no wake-up is lost: a waiter that saw the value before a Set is woken by
// that Set, and one that comes later, or when nobody else is there, finds it at once. Values in between may be passed over; the last one never is.
// A Value that ends carries its producer's reason, and every wait ends: with the value, with the caller's context, or with that reason.
//
// Each Set wakes all who wait. Where many do, most of them in vain, Part and Level wake those alone whom it concerns.
package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrClosed is what a wait's error matches (errors.Is) when the producer has ended. The producer's own error, if any, is wrapped beside it.
var ErrClosed = errors.New("producer has ended")

// Value is the latest value of type T. The zero Value holds the zero T and is ready to use; it must not be copied. All methods are safe for concurrent use.
type Value[T any] struct {
	mu      sync.Mutex
	v       T
	at      time.Time     // of the last Set
	changed chan struct{} // closed at the next Set or Close; made when somebody asks for it
	closed  bool
	err     error // the producer's, once closed

	parts []part[T] // who is told of each value, with mu held
}

// part is a Value or a Level of a part of the values.
type part[T any] interface {
	take(v T)
	Close(err error)
}

// New returns a Value holding v.
func New[T any](v T) *Value[T] { return &Value[T]{v: v, at: time.Now()} }

// Set stores v and wakes the waiters. After Close it does nothing: a value's end is final.
func (w *Value[T]) Set(v T) { w.Update(func(T) T { return v }) }

// Update stores f of the present value and wakes the waiters, as one step. f runs under the lock: it must be quick and must not use w.
func (w *Value[T]) Update(f func(T) T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.v = f(w.v)
	w.at = time.Now()
	for _, p := range w.parts {
		p.take(w.v)
	}
	w.wake()
}

// Close ends the value for good. Waits that the last value does not satisfy return an error that wraps ErrClosed and err. Only the first Close counts.
func (w *Value[T]) Close(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed, w.err = true, err
	for _, p := range w.parts {
		p.Close(err)
	}
	w.wake()
}

// tell has p told of the present value and of those that come, and of the end.
func (w *Value[T]) tell(p part[T]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.take(w.v)
	if w.closed {
		p.Close(w.err)
		return
	}
	w.parts = append(w.parts, p)
}

// Part returns a Value that holds of each value of w, as soon as w holds it, what of returns, and wakes its waiters only when that is another one. It lives
// as long as w, and ends with it. of is called under the lock of w: it must be quick and use neither.
func Part[T any, P comparable](w *Value[T], of func(T) P) *Value[P] {
	v := new(valuePart[T, P])
	v.of = of
	w.tell(v)
	return &v.Value
}

type valuePart[T any, P comparable] struct {
	Value[P]
	of func(T) P
}

func (v *valuePart[T, P]) take(value T) {
	if now := v.of(value); v.Load() != now || v.at.IsZero() { // nobody else sets it
		v.Set(now)
	}
}

// wake must be called with mu held.
func (w *Value[T]) wake() {
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// closedChan is what Get returns of a Value that has ended: it will not change again, and whoever selects on it must look at Err.
var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Get returns the present value and a channel that is closed at the next change. Both are taken under one lock. Once the value has ended the channel is
// closed already; see Err.
func (w *Value[T]) Get() (T, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.v, closedChan
	}
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.v, w.changed
}

// Load returns the present value.
func (w *Value[T]) Load() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.v
}

// Err returns nil while the producer lives, and afterwards an error that wraps ErrClosed and the producer's error.
func (w *Value[T]) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.errLocked()
}

func (w *Value[T]) errLocked() error {
	switch {
	case !w.closed:
		return nil
	case w.err == nil:
		return ErrClosed
	default:
		return fmt.Errorf("%w: %w", ErrClosed, w.err)
	}
}

// Wait returns the first value seen that satisfies pred, looking at the present one first. Otherwise it returns the last value seen and why the wait
// ended: an error wrapping ctx's cause, or one wrapping ErrClosed and the producer's error. A value reached by then counts, whatever else has
// ended. pred is called without the lock and may be called for the same value again.
func (w *Value[T]) Wait(ctx context.Context, pred func(T) bool) (T, error) {
	for {
		v, changed := w.Get()
		if pred(v) {
			return v, nil
		}
		select {
		case <-changed:
			if w.Err() != nil { // the last value may have come between Get and Close
				v := w.Load()
				if pred(v) {
					return v, nil
				}
				return v, w.Err()
			}
		case <-ctx.Done():
			w.mu.Lock()
			v, at := w.v, w.at
			w.mu.Unlock()
			if pred(v) {
				return v, nil
			}
			return v, fmt.Errorf("wait: %w (last change %s ago)", context.Cause(ctx), since(at))
		}
	}
}

func since(at time.Time) string {
	if at.IsZero() {
		return "never, or long"
	}
	return time.Since(at).Round(time.Millisecond).String()
}
