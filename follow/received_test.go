package follow_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
)

// link is a chain behind a link on which each item takes so many seconds, in each of which so many bytes come.
type link struct {
	*followtest.Chain
	each, seconds int
	fetches       atomic.Int32
}

func (l *link) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	l.fetches.Add(1)
	return l.Chain.Fetch(ctx, from, to, func(item follow.Item[string]) error {
		for range l.seconds {
			select {
			case <-time.After(time.Second):
				follow.Received(ctx, l.each)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return deliver(item)
	})
}

// An item that takes long to come in is waited for as long as its bytes come at the lowest rate, and no longer.
func TestBytesAreProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, sink := &link{Chain: followtest.NewChain(3), each: 17 << 10, seconds: 600}, followtest.NewSink[string](1)
		run(t, source, sink, follow.Options{})
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		wantLast(t, sink, source.Head())
		if n := source.fetches.Load(); n != 1 {
			t.Errorf("%d fetches, want one", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		source, sink := &link{Chain: followtest.NewChain(3), each: 15 << 10, seconds: 600}, followtest.NewSink[string](1)
		f, _ := run(t, source, sink, follow.Options{})
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if w := f.State().Load().Waiting; !strings.Contains(w.Cause, "delivered nothing") || source.fetches.Load() < 2 {
			t.Errorf("waiting is %+v after %d fetches, want that nothing was delivered, and another try", w, source.fetches.Load())
		}
	})
}

// A source whose bytes come slowly is left within a minute for another one that could serve, be its items large or
// small, and is not gone back to.
func TestSlowSourceIsLeft(t *testing.T) {
	for name, seconds := range map[string]int{"large items": 600, "small items": 5} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, sink := followtest.NewChain(1000), followtest.NewSink[string](1)
				slow, quick := &link{Chain: c, each: 20 << 10, seconds: seconds}, &link{Chain: c.Endpoint(nil)}
				run(t, follow.Best[string](slow, late{quick.Chain}), sink, follow.Options{})
				time.Sleep(time.Minute)
				synctest.Wait()
				wantLast(t, sink, c.Head())
				if n := slow.fetches.Load(); n != 1 {
					t.Errorf("the slow one was asked %d times, want once", n)
				}
			})
		})
	}
}

// A slow source is not left when there is no better one: not when the other has nothing to give, and not when it has
// been found slow too. What is large comes through.
func TestSlowSourceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(2), followtest.NewSink[string](1)
		a, b := &link{Chain: c, each: 20 << 10, seconds: 100}, &link{Chain: c.Endpoint(nil), each: 20 << 10, seconds: 100}
		run(t, follow.Best[string](a, b), sink, follow.Options{})
		time.Sleep(150 * time.Second)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if n := a.fetches.Load() + b.fetches.Load(); n != 2 {
			t.Errorf("%d fetches, want one of each", n)
		}
		c.Extend(2) // of which the second one is pushed
		time.Sleep(150 * time.Second)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if n := a.fetches.Load() + b.fetches.Load(); n != 3 {
			t.Errorf("%d fetches, want one more", n)
		}
	})
}

// A source whose bytes come at a fair rate is not left, however long its items take.
func TestFairSourceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(10), followtest.NewSink[string](1)
		var others atomic.Int32
		other := c.Endpoint(func(op followtest.Op) followtest.Fault {
			if op.Name == "fetch" {
				others.Add(1)
			}
			return followtest.Fault{}
		})
		run(t, follow.Best[string](&link{Chain: c, each: 70 << 10, seconds: 120}, late{other}), sink, follow.Options{})
		time.Sleep(21 * time.Minute)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if n := others.Load(); n != 0 {
			t.Errorf("the other one was asked for %d items", n)
		}
	})
}
