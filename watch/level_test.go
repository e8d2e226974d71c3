package watch_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"headrace/watch"
)

func self(n int) uint64 { return uint64(n) }

// A level wakes those alone whose number is reached, in whatever order they came; those who have gone are forgotten, and the end of its Value wakes the rest.
func TestLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch.New(3)
		l := watch.LevelOf(w, self)
		l.Wait(t.Context(), 3) // is there
		var woken atomic.Int64
		var wg sync.WaitGroup
		gone, cancel := context.WithCancel(t.Context())
		for _, i := range rand.Perm(100) {
			wg.Go(func() {
				ctx := t.Context()
				if i%10 == 9 {
					ctx = gone
				}
				l.Wait(ctx, uint64(4+i))
				woken.Add(1)
			})
		}
		want := func(n int64) {
			t.Helper()
			if synctest.Wait(); woken.Load() != n {
				t.Errorf("got %d who go on, want %d", woken.Load(), n)
			}
		}
		want(0)
		w.Set(2)
		want(0)
		w.Set(8)
		want(5)
		w.Set(4) // has no use for those who are left
		want(5)
		cancel()
		want(15)
		w.Set(23)
		want(28) // 4 to 23: two of these have gone before
		w.Close(errors.New("over"))
		want(100)
		wg.Wait()
		l.Wait(t.Context(), 1000)                      // ends at once
		watch.LevelOf(w, self).Wait(t.Context(), 1000) // likewise
	})
}

// P1: a number that is reached for a moment, while somebody begins to wait for it, is not missed, whatever the order.
func TestLevelLosesNoWake(t *testing.T) {
	w := watch.New(0)
	l := watch.LevelOf(w, self)
	for n := range 2000 {
		var wg sync.WaitGroup
		wg.Go(func() { w.Set(n + 1) })
		wg.Go(func() { l.Wait(t.Context(), uint64(n+1)) })
		wg.Wait()
	}
}

// Whoever has gone is in nobody's memory.
func TestLevelForgets(t *testing.T) {
	w := watch.New(0)
	l := watch.LevelOf(w, self)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := used()
	for range 100_000 {
		l.Wait(gone, 1)
	}
	if got := used(); got > before+1<<20 {
		t.Errorf("those who have gone take %d bytes", got-before)
	}
	w.Set(1)
}

// A part is what its Value is, at any time, wakes nobody when it stays the same, and ends with the Value's error.
func TestPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch.New(10)
		tens := watch.Part(w, func(n int) int { return n / 10 })
		v, changed := tens.Get()
		if v != 1 {
			t.Errorf("got %d, want a part of the present value", v)
		}
		w.Set(19)
		select {
		case <-changed:
			t.Error("a part that stays the same has woken somebody")
		default:
		}
		w.Set(20)
		<-changed
		if v := tens.Load(); v != 2 {
			t.Errorf("got %d, want 2", v)
		}
		over := errors.New("over")
		w.Close(over)
		if err := tens.Err(); !errors.Is(err, over) || !errors.Is(err, watch.ErrClosed) {
			t.Errorf("got %v, want the end of the Value", err)
		}
		if late := watch.Part(w, func(n int) int { return n }); late.Load() != 20 || !errors.Is(late.Err(), over) {
			t.Errorf("got %d, %v of a part that was asked for after the end", late.Load(), late.Err())
		}
	})
}

// BenchmarkLevelInACrowd is a Set that nobody waits for of ten thousand who wait for more, beside the same by predicates.
func BenchmarkLevelInACrowd(b *testing.B) {
	const crowd = 10_000
	for name, wait := range map[string]func(context.Context, *watch.Value[int], *watch.Level[int]){
		"level": func(ctx context.Context, _ *watch.Value[int], l *watch.Level[int]) { l.Wait(ctx, 1<<40) },
		"predicate": func(ctx context.Context, w *watch.Value[int], _ *watch.Level[int]) {
			_, _ = w.Wait(ctx, atLeast(1<<40))
		},
	} {
		b.Run(name, func(b *testing.B) {
			w := watch.New(0)
			l := watch.LevelOf(w, self)
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			for range crowd {
				wg.Go(func() { wait(ctx, w, l) })
			}
			for n := 0; b.Loop(); n++ {
				w.Set(n)
				_, _ = w.Wait(ctx, atLeast(n)) // all of them have a turn
			}
			cancel()
			wg.Wait()
		})
	}
}
