package watch

import (
	"container/heap"
	"context"
	"sync"
)

// Level is a number that many wait for, each until it is as large as a number of his own: a change wakes those alone for whom it is, so that ten thousand
// who wait for what is far away cost a producer nothing. Make it with LevelOf.
type Level[T any] struct {
	of func(T) uint64

	mu      sync.Mutex // guards the rest
	now     uint64
	closed  bool
	waiting levelHeap
}

// LevelOf returns the number that of returns of each value of w, as soon as w holds it. It ends with w. of is called under the lock of w: it must be quick and
// must not use w.
func LevelOf[T any](w *Value[T], of func(T) uint64) *Level[T] {
	l := &Level[T]{of: of}
	w.tell(l)
	return l
}

// Wait returns when the number is n or larger, or has been since Wait was called, when its producer has ended, or when ctx ends. Which of these, the caller
// sees by looking at the Value: the number may be smaller again by then.
func (l *Level[T]) Wait(ctx context.Context, n uint64) {
	reached := make(chan struct{})
	forget := l.Notify(n, func() { close(reached) })
	select {
	case <-reached:
	case <-ctx.Done():
		forget()
	}
}

// Notify calls f once, when Wait would return for the number; perhaps at once. f runs under locks: it must be quick and use neither the level nor its Value. It
// is not called any more when forget has returned.
func (l *Level[T]) Notify(n uint64, f func()) (forget func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.now >= n {
		f()
		return func() {}
	}
	w := &levelWaiter{n: n, reached: f}
	heap.Push(&l.waiting, w)
	return func() { l.forget(w) }
}

func (l *Level[T]) forget(w *levelWaiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.at >= 0 {
		heap.Remove(&l.waiting, w.at)
	}
}

func (l *Level[T]) take(v T) {
	now := l.of(v)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
	l.wake()
}

// Close ends the level: with its Value, as a rule.
func (l *Level[T]) Close(error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wake()
}

// wake must be called with mu held.
func (l *Level[T]) wake() {
	for len(l.waiting) > 0 && (l.closed || l.waiting[0].n <= l.now) {
		heap.Pop(&l.waiting).(*levelWaiter).reached()
	}
}

type levelWaiter struct {
	n       uint64
	reached func() // called when it is, or will never be
	at      int    // in the heap; -1: not any more
}

// levelHeap has whoever waits for the smallest number first.
type levelHeap []*levelWaiter

func (h levelHeap) Len() int           { return len(h) }
func (h levelHeap) Less(i, j int) bool { return h[i].n < h[j].n }
func (h levelHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *levelHeap) Push(x any) {
	w := x.(*levelWaiter)
	w.at = len(*h)
	*h = append(*h, w)
}

func (h *levelHeap) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	w.at, (*h)[last] = -1, nil
	*h = (*h)[:last]
	return w
}
