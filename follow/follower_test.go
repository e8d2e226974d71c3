package follow_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/watch"
)

func TestChainIsASource(t *testing.T) {
	followtest.TestSource(t, func(t *testing.T) followtest.Harness[string] {
		c := followtest.NewChain(5)
		return followtest.Harness[string]{Source: c, Start: 1, Extend: c.Extend, Head: c.Head, Fork: c.Fork}
	})
}

// run starts a follower inside a bubble; the returned stop ends it and returns Run's error.
func run[T any](t *testing.T, source follow.Source[T], sink follow.Sink[T], opt follow.Options) (*follow.Follower[T], func() error) {
	t.Helper()
	f := follow.New(source, sink, opt)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var err error
	wg.Go(func() { err = f.Run(ctx) })
	stop := func() error { cancel(); wg.Wait(); return err }
	t.Cleanup(func() { _ = stop() })
	return f, stop
}

func wantLast(t *testing.T, sink *followtest.Sink[string], want follow.Ref) {
	t.Helper()
	if got := sink.Last(); got != want {
		t.Fatalf("sink stands at %v, want %v", got, want)
	}
	if err := sink.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestPushedItemsAreNotFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(3), followtest.NewSink[string](1)
		f, _ := run(t, c, sink, follow.Options{})
		synctest.Wait()
		fetched := f.State().Load().Counts.Fetched
		for range 100 {
			c.Extend(1)
			synctest.Wait()
			wantLast(t, sink, c.Head())
		}
		s := f.State().Load()
		if s.Counts.Fetched != fetched || s.Counts.Inline < 100 {
			t.Fatalf("got %+v, want 100 items inline and none fetched since the start (%d)", s.Counts, fetched)
		}
		if !s.Live || s.Waiting != (follow.Waiting{}) {
			t.Fatalf("got live %v, waiting %+v; want live, waiting for news", s.Live, s.Waiting)
		}
	})
}

// I10, S24: news of an earlier item of our own chain is an endpoint behind, not a reorg.
func TestEndpointBehindIsNoReorg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(20), followtest.NewSink[string](1)
		var behind atomic.Bool
		c.Faults = func(op followtest.Op) followtest.Fault {
			return followtest.Fault{OldHead: behind.Load() && op.Name == "news"}
		}
		run(t, c, sink, follow.Options{})
		synctest.Wait()
		wantLast(t, sink, c.Head())
		behind.Store(true)
		c.Extend(1)
		synctest.Wait()
		behind.Store(false)
		c.Extend(1)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if n := sink.Reverted(); n != 0 {
			t.Fatalf("%d items reverted, want none", n)
		}
	})
}

// I8: forged news of a fork, at, below and above our head, and forged pushed items, change nothing.
func TestForgedNews(t *testing.T) {
	for _, fault := range []followtest.Fault{{FalseRef: true}, {Forged: true}, {FalseRef: true, NoItem: true}, {OldHead: true, FalseRef: true}} {
		synctest.Test(t, func(t *testing.T) {
			c, sink := followtest.NewChain(20), followtest.NewSink[string](1)
			var forge atomic.Bool
			c.Faults = func(op followtest.Op) followtest.Fault {
				if forge.Load() && op.Name == "news" {
					return fault
				}
				return followtest.Fault{}
			}
			run(t, c, sink, follow.Options{})
			synctest.Wait()
			forge.Store(true)
			c.Extend(5)
			time.Sleep(time.Minute)
			forge.Store(false)
			c.Extend(1)
			time.Sleep(time.Minute)
			synctest.Wait()
			wantLast(t, sink, c.Head())
			if n := sink.Reverted(); n != 0 {
				t.Fatalf("%+v: %d items reverted, want none", fault, n)
			}
		})
	}
}

// I10: at or below finality nothing is reverted; the follower says that the endpoint serves another chain, and by which
// item it knows, and goes on when ours is back.
func TestAnotherChainStalls(t *testing.T) {
	for name, c := range map[string]struct{ length, shown uint64 }{
		"a longer one": {23, 10}, "one as long": {10, 10}, "a shorter one": {6, 6},
	} {
		t.Run(name, func(t *testing.T) { testAnotherChainStalls(t, c.length, c.shown) })
	}
}

func testAnotherChainStalls(t *testing.T, length, shown uint64) {
	synctest.Test(t, func(t *testing.T) {
		ours, other, sink := followtest.NewChain(10), followtest.NewChain(4), followtest.NewSink[string](1)
		other.Fork(3, int(length)-1)
		if other.Head().Height != length {
			t.Fatalf("the other chain ends at %d, want %d", other.Head().Height, length)
		}
		source := &switched{now: ours}
		f, _ := run(t, source, remembering{sink, ours}, follow.Options{Stall: time.Second})
		synctest.Wait()
		sink.Finalize(10)
		source.set(other)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantLast(t, sink, ours.Head())
		proof := fmt.Sprintf("its item %d is %s, ours is %s", shown, other.Item(shown).Hash, ours.Item(shown).Hash)
		if w := f.State().Load().Waiting; w.Stage != follow.StageRevert || !strings.Contains(w.Cause, proof) {
			t.Fatalf("waiting is %+v, want the cause of a refused revert: %s", w, proof)
		}
		ours.Extend(1)
		source.set(ours)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantLast(t, sink, ours.Head())
		if w := f.State().Load().Waiting; w != (follow.Waiting{}) {
			t.Fatalf("still waiting: %+v", w)
		}
	})
}

// remembering is a sink that knows what is final, too.
type remembering struct {
	*followtest.Sink[string]
	chain *followtest.Chain
}

func (r remembering) At(height uint64) (follow.Ref, bool) {
	item := r.chain.Item(height)
	return item.Ref(), true
}

// switched is a source that can be exchanged while it is used.
type switched struct {
	mu  sync.Mutex
	now follow.Source[string]
}

func (s *switched) set(c follow.Source[string]) { s.mu.Lock(); s.now = c; s.mu.Unlock() }
func (s *switched) get() follow.Source[string]  { s.mu.Lock(); defer s.mu.Unlock(); return s.now }
func (s *switched) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	return s.get().Subscribe(ctx, update)
}
func (s *switched) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	return s.get().Fetch(ctx, from, to, deliver)
}

// P35, P39: a silent subscription and a fetch that never answers are ended by the watchdog and made again (I5, I12);
// being subscribed is not being caught up.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(3), followtest.NewSink[string](1)
		silent := &silence{Source: c}
		f, _ := run(t, silent, sink, follow.Options{Stall: 10 * time.Second})
		synctest.Wait()
		wantLast(t, sink, c.Head())
		silent.on(true)
		time.Sleep(11 * time.Second) // the old subscription is still alive; it ends without news
		c.Extend(5)
		time.Sleep(time.Minute)
		s := f.State().Load()
		if s.Subscribed || s.News.Cause == "" {
			t.Fatalf("got subscribed %v, news %+v; want the silence named", s.Subscribed, s.News)
		}
		silent.on(false)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		wantLast(t, sink, c.Head())
	})
}

// silence swallows calls for ever while it is on.
type silence struct {
	follow.Source[string]
	mu   sync.Mutex
	mute bool
}

func (s *silence) on(v bool) { s.mu.Lock(); s.mute = v; s.mu.Unlock() }
func (s *silence) muted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mute
}
func (s *silence) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	return s.Source.Subscribe(ctx, func(u follow.Update[string]) {
		if !s.muted() {
			update(u)
		}
	})
}
func (s *silence) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	if s.muted() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Source.Fetch(ctx, from, to, deliver)
}

// Case 10: an item whose application fails is tried again by itself, without news and without a fetch.
func TestFailedApplyIsRetriedWithoutNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(1), followtest.NewSink[string](1)
		fail := 0
		sink.Fault = func(op string, height uint64) error {
			if height == 2 && fail < 3 {
				fail++
				return followtest.ErrInjected
			}
			return nil
		}
		f, _ := run(t, c, sink, follow.Options{})
		synctest.Wait()
		fetched := f.State().Load().Counts.Fetched
		c.Extend(1)
		time.Sleep(time.Second)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if got := f.State().Load().Counts.Fetched; got != fetched || fail != 3 {
			t.Fatalf("%d fetched after %d failures, want %d after 3", got, fail, fetched)
		}
	})
}

func TestFatalEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(3), followtest.NewSink[string](1)
		broken := errors.New("broken")
		sink.Fault = func(string, uint64) error { return fmt.Errorf("store: %w", follow.Fatal(broken)) }
		f, stop := run(t, c, sink, follow.Options{})
		_, err := f.State().Wait(t.Context(), func(follow.State) bool { return false })
		if !errors.Is(err, watch.ErrClosed) || !errors.Is(err, broken) {
			t.Fatalf("got %v, want the fatal error", err)
		}
		if err := stop(); !errors.Is(err, broken) {
			t.Fatalf("Run: %v, want the fatal error", err)
		}
	})
}

// I6: pushed items wait within the bound; the oldest go first and are fetched.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(1), followtest.NewSink[string](1)
		release := make(chan struct{})
		sink.Fault = func(op string, height uint64) error {
			if height == 2 {
				<-release
			}
			return nil
		}
		f, _ := run(t, c, sink, follow.Options{QueueBytes: 1000}) // ten items
		synctest.Wait()
		for range 50 {
			c.Extend(1)
			synctest.Wait()
		}
		if got := f.State().Load().Counts.Dropped; got != 40 {
			t.Fatalf("%d items dropped, want 40 of 50", got)
		}
		close(release)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if got := f.State().Load().Counts; got.Fetched < 39 || got.Inline < 10 {
			t.Fatalf("got %+v, want the dropped ones fetched and the kept ones used", got)
		}
	})
}

// TestSimulation runs random schedules of growth, forks, faults, crashes and silence, then ends the faults: the sink
// must have seen successors only (I1), never lost a finalized item (I10), and reach the head within a bound (I12).
func TestSimulation(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 30
	}
	for _, w := range wrappers {
		t.Run(w.name, func(t *testing.T) {
			for seed := range seeds {
				synctest.Test(t, func(t *testing.T) { simulate(t, uint64(seed), w.wrap) })
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func simulate(t *testing.T, seed uint64, wrap func(*followtest.Chain, func(followtest.Op) followtest.Fault) follow.Source[string]) {
	r := rand.New(rand.NewPCG(seed, 1))
	var mu sync.Mutex
	chance := func(p float64) bool { mu.Lock(); defer mu.Unlock(); return r.Float64() < p }
	number := func(n uint64) uint64 { mu.Lock(); defer mu.Unlock(); return r.Uint64() % n }
	faulty := true
	faults := func() bool { mu.Lock(); defer mu.Unlock(); return faulty }
	c, sink := followtest.NewChain(3), followtest.NewSink[string](1)
	source := wrap(c, func(op followtest.Op) followtest.Fault {
		if !faults() {
			return followtest.Fault{}
		}
		f := followtest.Fault{Drop: chance(.2), NoItem: chance(.3), FalseRef: chance(.1), OldHead: chance(.1), Forged: chance(.05)}
		if chance(.1) {
			f.Other, f.Torn, f.Early, f.More = chance(.25), chance(.25), chance(.25), chance(.25)
		}
		if chance(.1) {
			f.Err = followtest.ErrInjected
		}
		return f
	})
	sink.Fault = func(string, uint64) error {
		if faults() && chance(.1) {
			return followtest.ErrInjected
		}
		return nil
	}
	sink.After = func(string, uint64) error {
		if faults() && chance(.05) {
			return followtest.ErrInjected
		}
		return nil
	}
	f, stop := run(t, source, sink, follow.Options{QueueBytes: 500, Stall: 5 * time.Second})
	finalized := follow.Ref{}
	for range 60 {
		switch {
		case chance(.5):
			c.Extend(1 + int(number(5)))
		case chance(.4):
			// Not deeper than what is final.
			c.Fork(int(min(number(6), c.Head().Height-finalized.Height)), int(number(6)))
		case chance(.3):
			if last := sink.Last(); last.Height > finalized.Height+4 && c.Head().Height >= last.Height {
				if at, ok := sink.At(last.Height - 3); ok && c.Item(at.Height).Hash == at.Hash {
					finalized = at
					sink.Finalize(at.Height)
				}
			}
		case chance(.3):
			sink.SetBack(max(finalized.Height, sink.Last().Height-min(sink.Last().Height, 3)))
			f.Wake()
		case chance(.5):
			time.Sleep(time.Duration(number(uint64(3 * time.Second))))
		default:
			_ = stop() // a crash: a new follower goes on from where the sink stands
			f, stop = run(t, source, sink, follow.Options{QueueBytes: 500, Stall: 5 * time.Second})
		}
		synctest.Wait()
	}
	mu.Lock()
	faulty = false
	mu.Unlock()
	c.Extend(1)
	time.Sleep(20 * time.Second) // the bound of I12 here: the stall bound plus the longest backoff, and some fetches
	synctest.Wait()
	if got, want := sink.Last(), c.Head(); got != want {
		t.Errorf("seed %d: I12: sink stands at %v, want %v; state %+v", seed, got, want, f.State().Load())
	}
	if err := sink.Err(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	if finalized.Height > 0 && c.Item(finalized.Height).Hash != finalized.Hash {
		t.Errorf("seed %d: the simulation itself broke finality", seed)
	}
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v, want the context's error", err)
	}
}

// A fetched item whose application fails is kept, too: the link is not asked for it again.
func TestFailedApplyOfAFetchedItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(3), followtest.NewSink[string](1)
		fail, fetches := 0, map[uint64]int{}
		sink.Fault = func(op string, height uint64) error {
			if height == 2 && fail < 3 {
				fail++
				return followtest.ErrInjected
			}
			return nil
		}
		c.Faults = func(op followtest.Op) followtest.Fault {
			if op.Name == "fetch" {
				fetches[op.Height]++
			}
			return followtest.Fault{}
		}
		run(t, c, sink, follow.Options{})
		time.Sleep(time.Second)
		synctest.Wait()
		wantLast(t, sink, c.Head())
		if fetches[2] != 1 || fail != 3 {
			t.Fatalf("item 2 fetched %d times over %d failures, want once over 3", fetches[2], fail)
		}
	})
}

// choosy is a sink that never takes one item.
type choosy struct {
	*followtest.Sink[string]
	never follow.Hash
}

func (c *choosy) Apply(ctx context.Context, item follow.Item[string]) error {
	if item.Hash == c.never {
		return followtest.ErrInjected
	}
	return c.Sink.Apply(ctx, item)
}

// An item that can never be applied, and is on a fork that the source has left: news names the new head alone, above it.
// What stands there now is read, and the sink goes on. While the source goes on from the item, it is read again now and
// then, and not more often.
func TestKeptItemOfAFork(t *testing.T) {
	for _, inline := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, fetches := followtest.NewChain(4), map[uint64]int{}
			sink := &choosy{followtest.NewSink[string](1), c.Item(4).Hash}
			c.Faults = func(op followtest.Op) followtest.Fault {
				if op.Name == "fetch" {
					fetches[op.Height]++
				}
				return followtest.Fault{NoItem: !inline}
			}
			ctx, cancel := context.WithCancel(t.Context())
			var work sync.WaitGroup
			defer work.Wait()
			defer cancel()
			f := follow.New[string](c, sink, follow.Options{})
			work.Go(func() { _ = f.Run(ctx) })
			time.Sleep(time.Minute)
			for range 60 {
				c.Extend(1)
				time.Sleep(time.Second)
			}
			synctest.Wait()
			if fetches[4] > 5 || sink.Last().Height != 3 {
				t.Errorf("inline %t: item 4 was read %d times in a minute, the sink is at %d", inline, fetches[4], sink.Last().Height)
			}
			c.Fork(61, 70) // one announcement
			time.Sleep(time.Minute)
			synctest.Wait()
			wantLast(t, sink.Sink, c.Head())
		})
	}
}

// barred is a chain whose subscription ends with an error, after it has announced the head.
type barred struct {
	*followtest.Chain
	err error
}

func (b barred) Subscribe(_ context.Context, update func(follow.Update[string])) error {
	update(follow.Update[string]{Head: b.Head()})
	return b.err
}

// A subscription that no retry can cure ends Run too, even while the loop waits for its next try of something else.
func TestFatalSubscriptionEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		sink := followtest.NewSink[string](1)
		sink.Fault = func(string, uint64) error { return errors.New("engine is away") }
		f, stop := run(t, barred{followtest.NewChain(3), fmt.Errorf("subscribe: %w", follow.Fatal(broken))}, sink, follow.Options{})
		if _, err := f.State().Wait(t.Context(), func(s follow.State) bool { return s.Counts.Subscriptions > 1 }); !errors.Is(err, broken) {
			t.Fatalf("got %v, want the fatal error before a second subscription", err)
		}
		if err := stop(); !errors.Is(err, broken) {
			t.Fatalf("Run: %v, want the fatal error", err)
		}
	})
}
