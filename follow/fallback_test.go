package follow_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
)

// flaky is a chain whose subscriptions fail while it is down, and end after a while otherwise.
type flaky struct {
	*followtest.Chain
	down  atomic.Bool
	life  atomic.Int64 // nanoseconds; 0: for ever
	tries atomic.Uint64
	told  atomic.Uint64
}

func (f *flaky) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	f.tries.Add(1)
	if f.down.Load() {
		return followtest.ErrInjected
	}
	if life := f.life.Load(); life > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(life), errCut)
		defer cancel()
	}
	err := f.Chain.Subscribe(ctx, func(u follow.Update[string]) {
		f.told.Add(1)
		update(u)
	})
	if context.Cause(ctx) == errCut {
		return errCut
	}
	return err
}

var errCut = errors.New("cut")

// While the first does not work the second announces; when the first is back it takes over, and the second is left.
func TestFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(5), followtest.NewSink[string](1)
		first, second := &flaky{Chain: c.Endpoint(nil)}, &flaky{Chain: c.Endpoint(nil)}
		first.down.Store(true)
		var mu sync.Mutex
		var switches []bool
		source := follow.Fallback[string](first, second, follow.FallbackOptions{Switched: func(on bool) {
			mu.Lock()
			defer mu.Unlock()
			switches = append(switches, on)
		}})
		run(t, source, sink, follow.Options{})
		synctest.Wait()
		wantLast(t, sink, c.Head())
		for range 5 {
			c.Extend(1)
			synctest.Wait()
			wantLast(t, sink, c.Head())
		}
		if first.told.Load() != 0 || second.told.Load() == 0 {
			t.Fatalf("announced by the first %d times, by the second %d: want by the second", first.told.Load(), second.told.Load())
		}
		first.down.Store(false)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		before := second.told.Load()
		for range 5 {
			c.Extend(1)
			synctest.Wait()
			wantLast(t, sink, c.Head())
		}
		if got := second.told.Load(); got != before || first.told.Load() < 5 {
			t.Fatalf("announced by the second %d times more: want by the first only", got-before)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(switches) != 2 || !switches[0] || switches[1] {
			t.Fatalf("switched %v, want to the second and back", switches)
		}
	})
}

// Hysteresis: a first source that comes and goes is tried less and less often, and the news comes from the second
// meanwhile.
func TestFallbackHysteresis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(5), followtest.NewSink[string](1)
		first, second := &flaky{Chain: c.Endpoint(nil)}, &flaky{Chain: c.Endpoint(nil)}
		first.life.Store(int64(100 * time.Millisecond))
		run(t, follow.Fallback[string](first, second, follow.FallbackOptions{}), sink, follow.Options{})
		for range 600 {
			c.Extend(1)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if n := first.tries.Load(); n > 60 || n < 6 {
			t.Fatalf("the first was tried %d times in ten minutes, want some tens at most", n)
		}
		if n := second.told.Load(); n < 400 {
			t.Fatalf("the second announced %d of 600 heights, want most", n)
		}
		first.life.Store(0)
		time.Sleep(5 * time.Minute)
		before := second.told.Load()
		for range 60 {
			c.Extend(1)
			time.Sleep(time.Second)
		}
		if n := second.told.Load() - before; n != 0 {
			t.Fatalf("the second announced %d heights after the first has lasted, want none", n)
		}
	})
}

// After an outage of both the first is the first again: its failures meanwhile are not held against it.
func TestFallbackAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(5), followtest.NewSink[string](1)
		first, second := &flaky{Chain: c.Endpoint(nil)}, &flaky{Chain: c.Endpoint(nil)}
		first.down.Store(true)
		second.down.Store(true)
		var switches atomic.Uint64
		either := follow.Fallback[string](first, second, follow.FallbackOptions{Switched: func(bool) { switches.Add(1) }})
		f, _ := run(t, either, sink, follow.Options{})
		time.Sleep(time.Minute)
		if n := switches.Load(); n != 0 {
			t.Fatalf("news changed from one to the other %d times, and neither announced anything", n)
		}
		if w := f.State().Load().News; w.Cause == "" {
			t.Fatal("nothing is said of the outage")
		}
		first.down.Store(false)
		second.down.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if first.told.Load() == 0 || second.told.Load() != 0 {
			t.Fatalf("announced by the first %d times, by the second %d: want by the first", first.told.Load(), second.told.Load())
		}
	})
}
