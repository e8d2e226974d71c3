package watch_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/watch"
)

func atLeast(n int) func(int) bool { return func(v int) bool { return v >= n } }

// P1, P3: what is set is kept, whether anybody is there or not, and there is no other copy of it.
func TestZeroValueAndLateSubscriber(t *testing.T) {
	var w watch.Value[int]
	w.Set(5) // nobody is there
	if got, err := w.Wait(t.Context(), atLeast(5)); got != 5 || err != nil {
		t.Fatalf("got %d, %v, want 5: a value set with no subscriber must be kept", got, err)
	}
}

// E1: waiters that come before, during and after.
func TestWaitersBeforeDuringAndAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch.New(0)
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				if got, err := w.Wait(t.Context(), atLeast(i)); err != nil || got < i {
					t.Errorf("waiter %d got %d, %v", i, got, err)
				}
			})
		}
		for i := 1; i < 10; i++ {
			synctest.Wait()
			w.Set(i)
		}
		wg.Wait()
	})
}

// P13: the context is the only clock, and its end says so.
func TestDeadlineNamesCauseAndKeepsValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch.New(3)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := w.Wait(ctx, atLeast(5))
		if got != 3 || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %d, %v, want the last value and the deadline", got, err)
		}
	})
}

// P12, P14: a value that is there when the deadline strikes counts. The condition may even set it: it is looked at without the lock.
func TestValueAtTheDeadlineCounts(t *testing.T) {
	w := watch.New(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Set(5)
	if got, err := w.Wait(ctx, atLeast(5)); got != 5 || err != nil {
		t.Fatalf("got %d, %v, want 5", got, err)
	}
	// Reached between the first look and the end of the context.
	calls := 0
	got, err := w.Wait(ctx, func(v int) bool {
		calls++
		if calls == 1 {
			w.Set(9)
			return false
		}
		return v == 9
	})
	if got != 9 || err != nil {
		t.Fatalf("got %d, %v, want 9", got, err)
	}
}

// P15, P16: the end of the producer ends every wait with its reason; a value reached before counts; nothing is set after.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch.New(1)
		broken := errors.New("broken")
		var wg sync.WaitGroup
		wg.Go(func() {
			if got, err := w.Wait(t.Context(), atLeast(3)); got != 2 || !errors.Is(err, watch.ErrClosed) || !errors.Is(err, broken) {
				t.Errorf("got %d, %v, want 2 and the producer's error", got, err)
			}
		})
		wg.Go(func() {
			if got, err := w.Wait(t.Context(), atLeast(2)); got != 2 || err != nil {
				t.Errorf("got %d, %v, want 2: it was reached", got, err)
			}
		})
		synctest.Wait()
		w.Set(2)
		w.Close(broken)
		w.Close(errors.New("second"))
		w.Set(7)
		wg.Wait()
		if got, err := w.Wait(t.Context(), atLeast(2)); got != 2 || err != nil {
			t.Errorf("late waiter got %d, %v, want 2", got, err)
		}
		if _, err := w.Wait(t.Context(), atLeast(3)); !errors.Is(err, broken) {
			t.Errorf("late waiter got %v, want the first reason", err)
		}
		if err := w.Err(); !errors.Is(err, broken) || !errors.Is(err, watch.ErrClosed) {
			t.Errorf("Err is %v", err)
		}
	})
}

// P9: values may be passed over, but never go back, and the last one always arrives. A value that has ended ends the loop that watches it (P17).
func TestSlowSubscriberSeesTheLast(t *testing.T) {
	w := watch.New(0)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; i <= 10000; i++ {
			w.Update(func(v int) int { return v + 1 })
		}
		w.Close(nil)
	})
	last := 0
	for {
		v, changed := w.Get()
		if v < last {
			t.Fatalf("got %d after %d", v, last)
		}
		last = v
		if w.Err() != nil {
			break
		}
		<-changed
	}
	wg.Wait()
	if last = w.Load(); last != 10000 {
		t.Fatalf("last value is %d, want 10000", last)
	}
}

// I11, P10: no wake-up is lost, in a million random schedules of setters and waiters (fewer with -short).
func TestNoLostWakeUp(t *testing.T) {
	schedules := 1_000_000
	if testing.Short() {
		schedules = 20_000
	}
	const perBubble = 20_000
	for done := 0; done < schedules; done += perBubble {
		synctest.Test(t, func(t *testing.T) {
			for range perBubble {
				w := new(watch.Value[int])
				var wg sync.WaitGroup
				for _, n := range []int{1, 2} {
					yields := rand.IntN(3)
					wg.Go(func() {
						for range yields {
							runtime.Gosched()
						}
						if got, err := w.Wait(t.Context(), atLeast(n)); err != nil || got < n {
							t.Errorf("got %d, %v, want %d", got, err, n)
						}
					})
				}
				yields := rand.IntN(3)
				w.Set(1)
				for range yields {
					runtime.Gosched()
				}
				w.Set(2)
				wg.Wait() // a lost wake-up is a deadlock, which ends the bubble with a report
			}
		})
	}
}

func BenchmarkSetToWaiter(b *testing.B) {
	w, back := new(watch.Value[int]), new(watch.Value[int])
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1; ; i++ {
			if _, err := w.Wait(ctx, atLeast(i)); err != nil {
				return
			}
			back.Set(i)
		}
	})
	for i := 1; b.Loop(); i++ {
		w.Set(i)
		_, _ = back.Wait(ctx, atLeast(i))
	}
	cancel()
	wg.Wait()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2, "ns/wake")
}
