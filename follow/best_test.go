package follow_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
)

// wrappers are the ways to follow a chain through more than one source. Each source has faults of its own.
var wrappers = []struct {
	name string
	wrap func(c *followtest.Chain, faults func(followtest.Op) followtest.Fault) follow.Source[string]
}{
	{"alone", func(c *followtest.Chain, faults func(followtest.Op) followtest.Fault) follow.Source[string] {
		return c.Endpoint(faults)
	}},
	{"best of two", func(c *followtest.Chain, faults func(followtest.Op) followtest.Fault) follow.Source[string] {
		return follow.Best[string](c.Endpoint(faults), c.Endpoint(faults))
	}},
	{"fallback", func(c *followtest.Chain, faults func(followtest.Op) followtest.Fault) follow.Source[string] {
		return follow.Fallback[string](c.Endpoint(faults), c.Endpoint(faults), follow.FallbackOptions{Retry: time.Second})
	}},
	{"fallback between the best", func(c *followtest.Chain, faults func(followtest.Op) followtest.Fault) follow.Source[string] {
		first := follow.Best[string](c.Endpoint(faults), c.Endpoint(faults))
		return follow.Fallback[string](first, follow.Best[string](c.Endpoint(faults)), follow.FallbackOptions{Retry: time.Second})
	}},
}

func TestWrappersAreSources(t *testing.T) {
	for _, w := range wrappers {
		t.Run(w.name, func(t *testing.T) {
			followtest.TestSource(t, func(t *testing.T) followtest.Harness[string] {
				c := followtest.NewChain(5)
				return followtest.Harness[string]{Source: w.wrap(c, nil), Start: 1, Extend: c.Extend, Head: c.Head, Fork: c.Fork}
			})
		})
	}
}

// A source that breaks the contract of Fetch, in any way, is found out by the follower, and costs time only. With a
// second source it costs none.
func TestFetchContractIsInsistedOn(t *testing.T) {
	for name, fault := range map[string]followtest.Fault{
		"delivers another height":  {Other: true},
		"returns nil early":        {Early: true},
		"delivers more than asked": {More: true},
		"contradicts itself":       {Torn: true},
	} {
		broken := func(on *atomic.Bool) func(followtest.Op) followtest.Fault {
			var ops atomic.Uint64
			return func(op followtest.Op) followtest.Fault {
				if ops.Add(1) > 20_000 {
					return followtest.Fault{Err: follow.Fatal(errors.New("called without a pause"))}
				}
				if op.Name == "news" {
					return followtest.Fault{NoItem: true} // everything is fetched
				}
				if on.Load() && op.Height%5 == 3 {
					return fault
				}
				return followtest.Fault{}
			}
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var on atomic.Bool
				on.Store(true)
				c, sink := followtest.NewChain(20), followtest.NewSink[string](1)
				run(t, c.Endpoint(broken(&on)), sink, follow.Options{})
				time.Sleep(time.Minute)
				on.Store(false)
				c.Extend(1)
				time.Sleep(time.Minute)
				synctest.Wait()
				wantLast(t, sink, c.Head())
				if n := sink.Reverted(); n != 0 {
					t.Fatalf("%d items reverted, want none", n)
				}
			})
		})
		t.Run(name+", with a second source", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var on atomic.Bool
				on.Store(true)
				c, sink := followtest.NewChain(20), followtest.NewSink[string](1)
				source := follow.Best[string](c.Endpoint(broken(&on)), c.Endpoint(func(op followtest.Op) followtest.Fault {
					return followtest.Fault{NoItem: true}
				}))
				run(t, source, sink, follow.Options{})
				time.Sleep(5 * time.Second)
				synctest.Wait()
				wantLast(t, sink, c.Head())
				if n := sink.Reverted(); n != 0 {
					t.Fatalf("%d items reverted, want none", n)
				}
			})
		})
	}
}

// overrun delivers what was not asked for, up to its head.
type overrun struct{ *followtest.Chain }

func (o overrun) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	return o.Chain.Fetch(ctx, from, o.Head().Height+1, deliver)
}

// What is delivered beyond what was asked for is not applied, even if it would follow.
func TestMoreThanAskedIsNotApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(10), followtest.NewSink[string](1)
		var news atomic.Uint64
		news.Store(4)
		low := lowNews{overrun{c}, &news}
		run(t, low, sink, follow.Options{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if at := sink.Last().Height; at != 4 {
			t.Fatalf("sink stands at %d, want 4, the head that was announced", at)
		}
	})
}

// lowNews announces one height only.
type lowNews struct {
	overrun
	height *atomic.Uint64
}

func (l lowNews) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	item := l.Item(l.height.Load())
	update(follow.Update[string]{Head: item.Ref()})
	<-ctx.Done()
	return ctx.Err()
}

// pool is an endpoint behind which two chains take turns, one answer each: back ends on different forks.
type pool struct {
	a, b  *followtest.Chain
	one   atomic.Bool // from now on a answers alone
	n     atomic.Uint64
	calls *atomic.Uint64
}

func (p *pool) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	return p.a.Subscribe(ctx, func(u follow.Update[string]) { u.Item = nil; update(u) })
}

func (p *pool) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	if p.calls.Add(1) > 20_000 {
		return follow.Fatal(errors.New("called without a pause"))
	}
	if p.n.Add(1)%2 == 0 || p.one.Load() {
		return p.a.Fetch(ctx, from, to, deliver)
	}
	return p.b.Fetch(ctx, from, to, deliver)
}

// forked returns a chain, and another one that shares its first items.
func forked(shared, each int) (a, b *followtest.Chain) {
	a, b = followtest.NewChain(shared), followtest.NewChain(shared)
	a.Extend(each)
	b.Extend(1)
	b.Fork(1, each)
	return a, b
}

// A source that gives now one fork and now the other is not followed at its own rate: the calls of a minute grow with
// the logarithm of the reverts that it asks for. When it is of one mind again, the follower is at the head within the
// bound.
func TestTurnsCostCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := forked(10, 5)
		var calls atomic.Uint64
		p := &pool{a: a, b: b, calls: &calls}
		sink := followtest.NewSink[string](1)
		f, _ := run(t, p, sink, follow.Options{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := calls.Load(); n > 150 {
			t.Fatalf("%d calls in the first minute, want some tens", n)
		}
		before := calls.Load()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := calls.Load() - before; n > 600 {
			t.Fatalf("%d calls in ten minutes, want some tens each", n)
		}
		p.one.Store(true)
		time.Sleep(31 * time.Second) // two of the longest pauses, and a fetch
		synctest.Wait()
		wantLast(t, sink, a.Head())
		if w := f.State().Load().Waiting; w != (follow.Waiting{}) {
			t.Fatalf("waiting is %+v, want none", w)
		}
	})
}

// bulk is a chain that from a height on gives items whose parent is nobody's: blocks that were mined in bulk.
type bulk struct {
	*followtest.Chain
	from  uint64
	calls *atomic.Uint64
}

func (b bulk) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	return b.Chain.Subscribe(ctx, func(u follow.Update[string]) { u.Item = nil; update(u) })
}

func (b bulk) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	if b.calls.Add(1) > 20_000 {
		return follow.Fatal(errors.New("called without a pause"))
	}
	return b.Chain.Fetch(ctx, from, to, func(item follow.Item[string]) error {
		if item.Height >= b.from {
			item.Parent = follow.Hash{}
		}
		return deliver(item)
	})
}

// An item that does not follow is no reorg while the source holds the same one at our height: nothing is reverted,
// the status says what is wrong, and few calls are made. A second source is asked.
func TestChildAloneIsNoFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Uint64
		c, sink := followtest.NewChain(20), followtest.NewSink[string](1)
		b := bulk{c, 11, &calls}
		f, stop := run(t, b, sink, follow.Options{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := calls.Load(); n > 60 {
			t.Fatalf("%d calls in a minute, want some tens", n)
		}
		if at, n := sink.Last().Height, sink.Reverted(); at != 10 || n != 0 {
			t.Fatalf("sink stands at %d after %d reverts, want 10 and none", at, n)
		}
		if w := f.State().Load().Waiting; !strings.Contains(w.Cause, "contradicts itself") {
			t.Fatalf("waiting is %+v, want that the source contradicts itself", w)
		}
		_ = stop()

		run(t, follow.Best[string](b, late{c.Endpoint(nil)}), sink, follow.Options{})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		wantLast(t, sink, c.Head())
	})
}

// An item whose predecessor the source does not have is no reorg either.
func TestChildWithoutParentIsNoFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := forked(10, 5)
		sink := followtest.NewSink[string](1)
		source := &switched{now: a}
		f, _ := run(t, source, sink, follow.Options{Stall: time.Second})
		synctest.Wait()
		wantLast(t, sink, a.Head())
		b.Extend(3)
		source.set(hole{b, 15})
		time.Sleep(time.Minute)
		synctest.Wait()
		wantLast(t, sink, a.Head())
		if w := f.State().Load().Waiting; !strings.Contains(w.Cause, "none at 15") {
			t.Fatalf("waiting is %+v, want that the source has nothing at 15", w)
		}
		source.set(b)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantLast(t, sink, b.Head())
	})
}

// hole is a chain without the item at a height.
type hole struct {
	*followtest.Chain
	height uint64
}

func (h hole) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	if from <= h.height && h.height < to {
		return follow.ErrNotYet
	}
	return h.Chain.Fetch(ctx, from, to, deliver)
}

// A source that announces often does not choose how often what failed is tried again.
func TestNewsDoesNotSetTheRate(t *testing.T) {
	for _, failing := range []string{"fetch", "apply", "not yet"} {
		t.Run(failing, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, sink := followtest.NewChain(10), followtest.NewSink[string](1)
				var calls atomic.Uint64
				c.Faults = func(op followtest.Op) followtest.Fault {
					switch {
					case op.Name == "news":
						return followtest.Fault{NoItem: true}
					case op.Name == "fetch":
						calls.Add(1)
						switch failing {
						case "fetch":
							return followtest.Fault{Err: followtest.ErrInjected}
						case "not yet":
							return followtest.Fault{Err: follow.ErrNotYet}
						}
					}
					return followtest.Fault{}
				}
				sink.Fault = func(string, uint64) error {
					if failing == "apply" {
						calls.Add(1)
						return followtest.ErrInjected
					}
					return nil
				}
				run(t, c, sink, follow.Options{})
				for range 3000 {
					c.Extend(1)
					time.Sleep(10 * time.Millisecond)
				}
				most := uint64(40) // in 30 s: the back-off's own rate
				if failing == "not yet" {
					most = 500 // a higher head may cure it, but not more often than after the shortest pause
				}
				if n := calls.Load(); n > most {
					t.Fatalf("%d tries in 30 s of news each 10 ms, want at most %d", n, most)
				}
			})
		})
	}
}

// What cures a failure does end its pause, however long that has become: a subscription that is made again, and a
// pushed item.
func TestNewsThatHelps(t *testing.T) {
	for _, cure := range []string{"subscription", "item"} {
		t.Run(cure, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, sink := followtest.NewChain(10), followtest.NewSink[string](1)
				var down, push atomic.Bool
				c.Faults = func(op followtest.Op) followtest.Fault {
					f := followtest.Fault{NoItem: !push.Load()}
					if down.Load() && op.Name == "fetch" {
						f.Err = followtest.ErrInjected
					}
					return f
				}
				source := &restart{c, make(chan struct{}, 1)}
				f, _ := run(t, source, sink, follow.Options{Stall: 100 * time.Hour, Backoff: follow.Backoff{Max: time.Hour}})
				synctest.Wait()
				wantLast(t, sink, c.Head())
				down.Store(true)
				c.Extend(1)
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				if w := f.State().Load().Waiting; time.Until(w.Next) < 5*time.Minute {
					t.Fatalf("waiting is %+v at %s, want a long pause", w, time.Now())
				}
				switch cure {
				case "subscription":
					down.Store(false)
					source.cut <- struct{}{}
				case "item":
					push.Store(true)
					c.Fork(1, 1) // announced with its item, which follows
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
				wantLast(t, sink, c.Head())
			})
		})
	}
}

// restart is a chain whose subscriptions can be cut.
type restart struct {
	*followtest.Chain
	cut chan struct{}
}

func (r *restart) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() {
		select {
		case <-r.cut:
			cancel()
		case <-ctx.Done():
		}
	})
	return r.Chain.Subscribe(ctx, update)
}

// moody is an endpoint that can be lost, fall behind or fall silent.
type moody struct {
	*followtest.Chain
	mood  *atomic.Value // "", "lost", "silent", "behind"
	calls atomic.Uint64
}

func (m *moody) is(mood string) bool { return m.mood.Load() == mood }

func (m *moody) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	if m.is("lost") {
		return followtest.ErrInjected
	}
	ctx, cancel := context.WithCancelCause(ctx)
	err := m.Chain.Subscribe(ctx, func(u follow.Update[string]) {
		switch {
		case m.is("lost"):
			cancel(followtest.ErrInjected)
		case m.is("behind") && u.Head.Height > 10:
			item := m.Item(10)
			update(follow.Update[string]{Head: item.Ref()})
		case !m.is("silent"):
			update(u)
		}
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (m *moody) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	m.calls.Add(1)
	switch {
	case m.is("lost"):
		return followtest.ErrInjected
	case m.is("silent"):
		<-ctx.Done()
		return ctx.Err()
	case m.is("behind") && to > 11:
		return follow.ErrNotYet
	}
	return m.Chain.Fetch(ctx, from, to, deliver)
}

// One of two endpoints may be lost, fall behind or fall silent: every block comes with its announcement, nothing is
// reverted, and the state of each says so.
func TestOneOfTwoFails(t *testing.T) {
	for _, mood := range []string{"lost", "silent", "behind"} {
		for _, bad := range []int{0, 1} {
			t.Run(fmt.Sprint(mood, bad), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, sink := followtest.NewChain(20), followtest.NewSink[string](1)
					m := &moody{Chain: c.Endpoint(nil), mood: new(atomic.Value)}
					m.mood.Store("")
					sources := []follow.Source[string]{m, c.Endpoint(nil)}
					if bad == 1 {
						sources[0], sources[1] = sources[1], sources[0]
					}
					best := follow.Best(sources...)
					highest := uint64(0)
					run(t, best, sink, follow.Options{Observer: follow.Observer{News: func(head follow.Ref, _ bool) {
						if head.Height < highest {
							t.Errorf("height %d is announced after %d", head.Height, highest)
						}
						highest = head.Height
					}}})
					synctest.Wait()
					wantLast(t, sink, c.Head())
					m.mood.Store(mood)
					for range 10 {
						c.Extend(1)
						synctest.Wait()
						wantLast(t, sink, c.Head())
						time.Sleep(time.Second)
					}
					status := best.Status()
					st, other := status[bad], status[1-bad]
					if mood == "lost" && (st.Healthy || st.Live || st.LastError == "" || st.Errors == 0) || mood != "lost" && st.Lag < 9 || st.Since.IsZero() && mood == "lost" {
						t.Errorf("status of the one that is %s: %+v", mood, st)
					}
					if !other.Healthy || !other.Live || other.Lag != 0 || other.Head != c.Head().Height || other.Pace <= 0 {
						t.Errorf("status of the other one: %+v", other)
					}
					if n := sink.Reverted(); n != 0 {
						t.Errorf("%d items reverted, want none", n)
					}
					m.mood.Store("")
					c.Extend(1)
					time.Sleep(10 * time.Second)
					synctest.Wait()
					if st := best.Status()[bad]; !st.Healthy || !st.Live || st.Lag != 0 {
						t.Errorf("status after it is back: %+v", st)
					}
				})
			})
		}
	}
}

// mute announces heads, without their items, and does not answer a fetch.
type mute struct {
	bare
	health *follow.Health
}

func (m mute) Health() *follow.Health { return m.health }

func (m mute) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	return m.bare.Subscribe(ctx, func(u follow.Update[string]) {
		m.health.Heard(u.Head.Height, "news")
		update(u)
	})
}

func (m mute) Fetch(ctx context.Context, _, _ uint64, _ func(follow.Item[string]) error) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// bare is a chain whose news comes without items.
type bare struct{ *followtest.Chain }

func (b bare) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	return b.Chain.Subscribe(ctx, func(u follow.Update[string]) { u.Item = nil; update(u) })
}

// lateBare is bare, and announces a second later: the other one is asked first.
type lateBare struct{ bare }

func (l lateBare) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	time.Sleep(time.Second)
	return l.bare.Subscribe(ctx, update)
}

// An endpoint that announces and answers no fetch is asked last after the follower has given one up: its own calls
// ended with it, and say nothing.
func TestUnansweredFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(20), followtest.NewSink[string](1)
		best := follow.Best(mute{bare{c}, new(follow.Health)}, follow.Source[string](lateBare{bare{c.Endpoint(nil)}}))
		run(t, best, sink, follow.Options{Stall: 30 * time.Second})
		time.Sleep(time.Minute)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if st := best.Status()[0]; st.Errors == 0 || st.LastError == "" {
			t.Errorf("status of the one that does not answer: %+v", st)
		}
	})
}

// The one that failed lately is asked last, for a while.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := followtest.NewChain(20)
		m := &moody{Chain: c.Endpoint(nil), mood: new(atomic.Value)}
		m.mood.Store("lost")
		best := follow.Best[string](m, c.Endpoint(nil))
		fetch := func() {
			n := 0
			if err := best.Fetch(t.Context(), 1, 21, func(follow.Item[string]) error { n++; return nil }); err != nil || n != 20 {
				t.Fatalf("fetch: %v after %d items, want 20", err, n)
			}
		}
		fetch()
		fetch()
		if n := m.calls.Load(); n != 1 {
			t.Fatalf("the one that fails was asked %d times, want once", n)
		}
		m.mood.Store("")
		time.Sleep(2 * time.Second)
		fetch()
		fetch()
		if n := m.calls.Load(); n != 3 {
			t.Fatalf("the first was asked %d times, want three: it is back", n)
		}
	})
}

// An endpoint that announces another item at the same height is not believed, and its state says so.
func TestDisagreement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := forked(10, 5)
		sink := followtest.NewSink[string](1)
		best := follow.Best[string](a, late{b})
		run(t, best, sink, follow.Options{})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		wantLast(t, sink, a.Head())
		if st := best.Status()[1]; st.Healthy || !strings.Contains(st.LastError, "fork") {
			t.Fatalf("status of the other fork's: %+v, want that it is on another fork", st)
		}
		b.Extend(1) // it is the longer one: now it leads
		time.Sleep(5 * time.Second)
		synctest.Wait()
		wantLast(t, sink, b.Head())
	})
}

// late is a chain that announces a second later.
type late struct{ *followtest.Chain }

func (l late) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	time.Sleep(time.Second)
	return l.Chain.Subscribe(ctx, update)
}

// A source that announced a height that nobody else has, and died, is no measure for the others for ever.
func TestDeadHeadIsNoMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(5), followtest.NewSink[string](1)
		best := follow.Best[string](boast{c}, c.Endpoint(nil))
		run(t, best, sink, follow.Options{})
		time.Sleep(2 * time.Second)
		if lag := best.Status()[1].Lag; lag == 0 {
			t.Fatal("an endpoint that boasts is not heard at first: this test shows nothing")
		}
		time.Sleep(2 * time.Minute)
		c.Extend(1)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if lag := best.Status()[1].Lag; lag != 0 {
			t.Fatalf("the other one is %d behind an endpoint that has been dead for two minutes, want 0", lag)
		}
	})
}

// boast announces a height far above its chain, once, and then nothing.
type boast struct{ *followtest.Chain }

func (b boast) Subscribe(_ context.Context, update func(follow.Update[string])) error {
	if at := time.Now(); at.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) < time.Second { // a bubble's clock begins there
		update(follow.Update[string]{Head: follow.Ref{Height: 1 << 40}})
	}
	return followtest.ErrInjected
}

// The subscription ends when all have failed, with what each said; and one that still works keeps it.
func TestBestEndsWithTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := followtest.NewChain(5)
		fail := func(err error) follow.Source[string] {
			return c.Endpoint(func(followtest.Op) followtest.Fault { return followtest.Fault{Err: err} })
		}
		one, two := errors.New("one"), errors.New("two")
		err := follow.Best(fail(one), fail(two)).Subscribe(t.Context(), func(follow.Update[string]) {})
		if !errors.Is(err, one) || !errors.Is(err, two) {
			t.Fatalf("Subscribe: %v, want both reasons", err)
		}
		for range 20 {
			if got := follow.Best(fail(one), fail(two)).Subscribe(t.Context(), func(follow.Update[string]) {}); got.Error() != "one; two" {
				t.Fatalf("Subscribe: %v, want the reasons in the sources' order, always", got)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := follow.Best(fail(one), c).Subscribe(ctx, func(follow.Update[string]) {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Subscribe: %v, want to the end of its context", err)
		}
	})
}

// A source that has asked to be left alone is not subscribed to until then.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &resting{Chain: followtest.NewChain(3)}
		r.health.Rest(time.Minute)
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		_ = follow.Best[string](r).Subscribe(ctx, func(follow.Update[string]) { cancel() })
		if waited := time.Since(start); waited != time.Minute {
			t.Fatalf("subscribed after %s, want a minute", waited)
		}
	})
}

type resting struct {
	*followtest.Chain
	health follow.Health
}

func (r *resting) Health() *follow.Health { return &r.health }

// asked is a source that says by itself how it does.
type asked struct {
	follow.Source[string]
	health follow.Health
}

func (a *asked) Health() *follow.Health { return &a.health }

// A source of which no news comes counts as far behind as it was when it was asked last, and not as far as the news
// of others has come since.
func TestLagOfTheAsked(t *testing.T) {
	var quiet, loud asked
	best := follow.Best[string](&quiet, &loud)
	for _, step := range []struct {
		do    func()
		order string
		lags  string
	}{
		{func() { loud.health.Heard(100, "") }, "[1 0]", "0 0"},
		{func() { quiet.health.Seen(100, 0) }, "[0 1]", "0 0"},
		{func() { loud.health.Heard(200, "") }, "[0 1]", "0 0"},
		{func() { quiet.health.Seen(197, 3) }, "[1 0]", "3 0"},
		{func() { loud.health.Seen(7, 7) }, "[1 0]", "3 0"}, // its news tells more
		{func() { quiet.health.Heard(199, "") }, "[1 0]", "1 0"},
		{func() { quiet.health.Heard(201, "") }, "[0 1]", "0 1"},
		{func() { quiet.health.Silent(nil); quiet.health.Seen(201, 0); loud.health.Heard(300, "") }, "[0 1]", "0 0"},
	} {
		step.do()
		s := best.Status()
		if got := fmt.Sprint(s[0].Lag, s[1].Lag); got != step.lags || fmt.Sprint(best.Order()) != step.order {
			t.Errorf("spoken %d, %d: got lags %s, order %v, want %s, %s", s[0].Head, s[1].Head, got, best.Order(), step.lags, step.order)
		}
	}
}

// spoken is a source whose heads a test announces, and whose subscription ends when they do.
type spoken struct {
	follow.Source[int]
	health *follow.Health
	next   chan uint64
}

func (h *spoken) Health() *follow.Health { return h.health }

func (h *spoken) Subscribe(ctx context.Context, update func(follow.Update[int])) error {
	for {
		select {
		case height, open := <-h.next:
			if !open {
				h.health.Silent(nil)
				<-ctx.Done()
				return ctx.Err()
			}
			h.health.Heard(height, "websocket")
			update(follow.Update[int]{Head: follow.Ref{Height: height, Hash: follow.Hash{byte(height)}}})
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A source that announces nothing is silent since another one has announced a height that it has not.
func TestSilentSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sources := []*spoken{
			{health: follow.NewHealth("a", "news", nil), next: make(chan uint64)},
			{health: follow.NewHealth("b", "news", nil), next: make(chan uint64)},
		}
		best := follow.Best[int](sources[0], sources[1])
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- best.Subscribe(ctx, func(follow.Update[int]) {}) }()
		defer func() { cancel(); <-ended }()
		say := func(i int, height uint64) time.Time {
			sources[i].next <- height
			synctest.Wait()
			return time.Now()
		}
		want := func(when string, want ...time.Time) {
			t.Helper()
			for i, s := range best.Status() {
				if !s.Silent.Equal(want[i]) {
					t.Errorf("%s: %s is silent since %s, want %s", when, s.Address, s.Silent, want[i])
				}
			}
		}
		none := time.Time{}
		say(0, 1)
		say(1, 1)
		want("level", none, none)
		time.Sleep(time.Hour) // nobody has anything to say
		want("a quiet chain", none, none)
		first := say(0, 2)
		time.Sleep(time.Second)
		say(0, 3)
		want("one goes on", none, first)
		time.Sleep(time.Second)
		say(1, 2)
		want("one is behind, and speaks", none, none)
		first = say(0, 4)
		want("one goes on again", none, first)
		time.Sleep(time.Second)
		first = say(1, 9)
		want("the other one goes on", first, none)
		close(sources[0].next)
		synctest.Wait()
		want("not subscribed to", none, none)
	})
}
