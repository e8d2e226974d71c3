package follow_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/watch"
)

// liar is a chain whose Fetch is another one than the contract of follow.Source says, as long as fetch is not nil. It
// ends the test's patience with a follower that asks without a pause: after a thousand calls it answers no more.
type liar struct {
	*followtest.Chain
	fetch func(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error
	calls atomic.Int64
}

func (l *liar) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	if l.calls.Add(1) > 1000 {
		<-ctx.Done()
		return ctx.Err()
	}
	if l.fetch != nil {
		return l.fetch(ctx, from, to, deliver)
	}
	return l.Chain.Fetch(ctx, from, to, deliver)
}

// headsOnly makes news carry no items, so that all of them must be fetched.
func headsOnly(op followtest.Op) followtest.Fault { return followtest.Fault{NoItem: op.Name == "news"} }

// I1: what the source delivers beyond the range that it was asked for is not applied: nobody has announced it, or it
// waits in the queue.
func TestMoreThanAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(10), followtest.NewSink[string](1)
		source := &announcer{liar: liar{Chain: c}}
		source.fetch = func(ctx context.Context, from, _ uint64, deliver func(follow.Item[string]) error) error {
			return c.Fetch(ctx, from, 11, deliver) // all there is, whatever was asked for
		}
		run(t, source, sink, follow.Options{Stall: time.Hour})
		for _, announced := range []uint64{5, 6, 9} {
			item := c.Item(announced)
			source.head.Set(item.Ref())
			time.Sleep(time.Minute)
			synctest.Wait()
			wantLast(t, sink, item.Ref())
		}
		if n := source.calls.Load(); n != 3 {
			t.Fatalf("got %d fetches, want 3: what was asked for had come", n)
		}
	})
}

// announcer tells the heads that a test sets, and no items.
type announcer struct {
	liar
	head watch.Value[follow.Ref]
}

func (a *announcer) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	for {
		head, changed := a.head.Get()
		update(follow.Update[string]{Head: head})
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A source that says that all is delivered when it is not has not reached the rest: the follower waits and says so,
// and does not ask in a circle.
func TestNilTooEarly(t *testing.T) {
	for _, given := range []uint64{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			c, sink := followtest.NewChain(5), followtest.NewSink[string](1)
			c.Faults = headsOnly
			source := &liar{Chain: c}
			source.fetch = func(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
				return c.Fetch(ctx, from, max(from, min(to, given+1)), deliver)
			}
			f, stop := run(t, source, sink, follow.Options{})
			time.Sleep(time.Minute)
			synctest.Wait()
			if got, want := sink.Last().Height, given; got != want {
				t.Fatalf("sink stands at %d, want %d", got, want)
			}
			if n := source.calls.Load(); n > 100 {
				t.Fatalf("got %d fetches in a minute, want pauses between them", n)
			}
			if w := f.State().Load().Waiting; w.Stage != follow.StageFetch || w.Height != given+1 || w.Cause != follow.ErrNotYet.Error() {
				t.Fatalf("got %+v, want a wait for item %d, which the source has not reached", w, given+1)
			}
			_ = stop()
			source.fetch = nil
			run(t, source, sink, follow.Options{})
			synctest.Wait()
			wantLast(t, sink, c.Head())
		})
	}
}

// I6: an item that could not be applied is put back only if there is room for it. Else it is forgotten, like any that
// the queue cannot hold, and fetched again.
func TestPutBackWithinTheBound(t *testing.T) {
	for _, c := range []struct{ waiting, fetches int }{{9, 0}, {10, 1}} { // of ten items that the queue can hold
		synctest.Test(t, func(t *testing.T) {
			chain, sink := followtest.NewChain(1), followtest.NewSink[string](1)
			fetches, failed, release := 0, false, make(chan struct{})
			chain.Faults = func(op followtest.Op) followtest.Fault {
				if op.Name == "fetch" && op.Height == 2 {
					fetches++
				}
				return followtest.Fault{}
			}
			sink.Fault = func(_ string, height uint64) error {
				if height != 2 || failed {
					return nil
				}
				<-release
				failed = true
				return followtest.ErrInjected
			}
			run(t, chain, sink, follow.Options{QueueBytes: 1000})
			for range 1 + c.waiting { // item 2 is being applied, the others wait
				chain.Extend(1)
				synctest.Wait()
			}
			close(release)
			time.Sleep(time.Second)
			synctest.Wait()
			wantLast(t, sink, chain.Head())
			if fetches != c.fetches {
				t.Fatalf("with %d items waiting: got item 2 fetched %d times, want %d", c.waiting, fetches, c.fetches)
			}
		})
	}
}

// I6: an item that is larger than the whole queue is still held when it is the newest, so that it is applied without
// a fetch.
func TestNewestAlwaysStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(1), followtest.NewSink[string](1)
		f, _ := run(t, c, sink, follow.Options{QueueBytes: 10}) // an item has 100
		synctest.Wait()
		before := f.State().Load().Counts
		for range 5 {
			c.Extend(1)
			synctest.Wait()
		}
		wantLast(t, sink, c.Head())
		if got := f.State().Load().Counts; got.Fetched != before.Fetched || got.Dropped != before.Dropped {
			t.Fatalf("got %+v after %+v, want none fetched and none dropped", got, before)
		}
	})
}

// I6: pushed items of a fork that the source has left do not wait beside those of the new one.
func TestPushedForkTakesTheOthersPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(1), followtest.NewSink[string](1)
		release := make(chan struct{})
		sink.Fault = func(_ string, height uint64) error {
			if height == 2 {
				<-release
			}
			return nil
		}
		f, _ := run(t, c, sink, follow.Options{QueueBytes: 1000}) // ten items
		for range 9 {
			c.Extend(1)
			synctest.Wait()
		}
		for range 30 { // the head is exchanged: what was held at its height has no use
			c.Fork(1, 1)
			synctest.Wait()
		}
		if got := f.State().Load().Counts.Dropped; got != 0 {
			t.Fatalf("got %d items dropped for want of room, want 0: nine heights were pushed", got)
		}
		close(release)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if got := f.State().Load().Counts; got.Fetched > 1 || got.Reverted != 0 { // the first one may be
			t.Fatalf("got %+v, want the new head applied as pushed", got)
		}
	})
}

// A sink that goes back by itself while a fetch is under way is not given the next item of that fetch (I1), and that
// is no fault of the source: no pause.
func TestSinkGoesBackDuringAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(10), followtest.NewSink[string](1)
		c.Faults = headsOnly
		back := false
		sink.After = func(op string, height uint64) error {
			if height == 6 && !back {
				back = true
				sink.SetBack(2)
			}
			return nil
		}
		waits := 0
		f, _ := run(t, c, sink, follow.Options{Observer: follow.Observer{Waiting: func(_, _ follow.Waiting) { waits++ }}})
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if got := f.State().Load().Counts; !back || got.Reverted != 0 || waits != 0 {
			t.Fatalf("set back: %v, %+v, %d waits; want it set back, and no revert and no wait", back, got, waits)
		}
	})
}

// Apart from the watchdog there is no bound to what a source may take, and apart from its own time none to what the
// sink may: it is not the source's.
func TestSlowSinkIsNoIdleFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(3), followtest.NewSink[string](1)
		c.Faults = headsOnly
		sink.Fault = func(string, uint64) error {
			time.Sleep(time.Minute)
			return nil
		}
		var cause error
		source := &liar{Chain: c}
		source.fetch = func(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
			err := c.Fetch(ctx, from, to, deliver)
			cause = errors.Join(cause, err, context.Cause(ctx))
			return err
		}
		run(t, source, sink, follow.Options{Stall: time.Second})
		time.Sleep(time.Hour)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if n := source.calls.Load(); n != 1 || cause != nil {
			t.Fatalf("got %d fetches, ended by %v, want one that ends well", n, cause)
		}
	})
}

// A fetch may be given longer than a silence of the news: a call of it then ends by its own clock, and says what it was
// about.
func TestFetchOutlivesSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(3), followtest.NewSink[string](1)
		c.Faults = headsOnly
		own := errors.New("no answer about height 2")
		source := &liar{Chain: c}
		source.fetch = func(ctx context.Context, _, _ uint64, _ func(follow.Item[string]) error) error {
			select {
			case <-time.After(35 * time.Second):
				return own
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		f, _ := run(t, source, sink, follow.Options{Stall: 30 * time.Second, FetchStall: 45 * time.Second})
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if w := f.State().Load().Waiting; !strings.Contains(w.Cause, own.Error()) {
			t.Errorf("waiting for %+v, want the call's own error", w)
		}
	})
}
