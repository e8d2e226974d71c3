package followtest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"headrace/follow"
	"headrace/watch"
)

// Harness is a source under test and the means to move what it reads.
type Harness[T any] struct {
	Source follow.Source[T]
	Start  uint64                  // the lowest height that can be fetched
	Extend func(n int)             // n more items; returns when they exist
	Head   func() follow.Ref       // of the chain itself, not of the source
	Fork   func(depth, n int)      // nil: the chain cannot fork
	Equal  func(a, b *T) (ok bool) // nil: reflect.DeepEqual
	Within time.Duration           // bound of each wait, only for a test that hangs; default 20 s
	Cut    func()                  // ends present subscriptions abruptly; nil: cannot
}

// TestSource checks the contract of follow.Source. open gives a fresh source of at least three items.
func TestSource[T any](t *testing.T, open func(t *testing.T) Harness[T]) {
	sub := func(name string, f func(t *testing.T, ctx context.Context, h Harness[T])) {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			if h.Within <= 0 {
				h.Within = 20 * time.Second
			}
			if h.Equal == nil {
				h.Equal = func(a, b *T) bool { return reflect.DeepEqual(a, b) }
			}
			ctx, cancel := context.WithTimeout(t.Context(), h.Within)
			defer cancel()
			f(t, ctx, h)
		})
	}
	sub("first update is the present head", testFirstUpdate[T])
	sub("every subscription ends with a reason", testSubscribeEnds[T])
	sub("fetch delivers a linked range", testFetch[T])
	sub("fetch repeats itself", testFetchRepeats[T])
	sub("fetch beyond the head", testFetchBeyond[T])
	sub("fetch stops at deliver's error", testDeliverError[T])
	sub("pushed items equal fetched ones", testPushed[T])
	sub("a follower reaches the head and stays there", testFollow[T])
	sub("a cut subscription is made again", testCut[T])
	sub("forks", testForks[T])
}

// listen subscribes until the test ends, or stop, and publishes the newest update.
func listen[T any](ctx context.Context, t *testing.T, h Harness[T]) (news *watch.Value[follow.Update[T]], stop func() error) {
	t.Helper()
	news = new(watch.Value[follow.Update[T]])
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var err error
	wg.Go(func() {
		err = h.Source.Subscribe(ctx, news.Set)
		news.Close(err)
	})
	var once sync.Once
	stop = func() error {
		once.Do(func() { cancel(); wg.Wait() })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return news, stop
}

func fetchAll[T any](ctx context.Context, t *testing.T, h Harness[T], from, to uint64) []follow.Item[T] {
	t.Helper()
	var items []follow.Item[T]
	if err := h.Source.Fetch(ctx, from, to, func(i follow.Item[T]) error { items = append(items, i); return nil }); err != nil {
		t.Fatalf("fetch [%d, %d): %v", from, to, err)
	}
	if got, want := uint64(len(items)), to-from; got != want {
		t.Fatalf("fetch [%d, %d) delivered %d items, want %d", from, to, got, want)
	}
	for i := range items {
		if got, want := items[i].Height, from+uint64(i); got != want {
			t.Fatalf("item %d has height %d, want %d", i, got, want)
		}
		if i > 0 && items[i].Parent != items[i-1].Hash {
			t.Fatalf("item %d has parent %s, want %s", items[i].Height, items[i].Parent, items[i-1].Hash)
		}
		if items[i].Hash.IsZero() || items[i].Size <= 0 {
			t.Fatalf("item %d has hash %s and size %d, want both set", items[i].Height, items[i].Hash, items[i].Size)
		}
	}
	return items
}

func testFirstUpdate[T any](t *testing.T, ctx context.Context, h Harness[T]) {
	head := h.Head()
	news, _ := listen(ctx, t, h)
	u, err := news.Wait(ctx, func(u follow.Update[T]) bool { return u.Head.Height > 0 })
	if err != nil {
		t.Fatal(err)
	}
	if u.Head.Height < head.Height {
		t.Fatalf("first update is height %d, want at least %d", u.Head.Height, head.Height)
	}
	h.Extend(1)
	if _, err := news.Wait(ctx, func(u follow.Update[T]) bool { return u.Head.Height >= h.Head().Height }); err != nil {
		t.Fatal(err)
	}
}

func testSubscribeEnds[T any](t *testing.T, ctx context.Context, h Harness[T]) {
	news, stop := listen(ctx, t, h)
	if _, err := news.Wait(ctx, func(u follow.Update[T]) bool { return u.Head.Height > 0 }); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err == nil {
		t.Fatal("Subscribe returned nil, want a reason")
	}
}

func testFetch[T any](t *testing.T, ctx context.Context, h Harness[T]) {
	h.Extend(3)
	head := h.Head()
	items := fetchAll(ctx, t, h, h.Start, head.Height+1)
	if got := items[len(items)-1].Ref(); got != head {
		t.Fatalf("last item is %v, want the head %v", got, head)
	}
	if err := h.Source.Fetch(ctx, h.Start, h.Start, func(follow.Item[T]) error { t.Error("empty range delivered an item"); return nil }); err != nil {
		t.Fatalf("fetch of an empty range: %v", err)
	}
}

func testFetchRepeats[T any](t *testing.T, ctx context.Context, h Harness[T]) {
	to := h.Head().Height + 1
	a, b := fetchAll(ctx, t, h, h.Start, to), fetchAll(ctx, t, h, h.Start, to)
	for i := range a {
		if a[i].Ref() != b[i].Ref() || !h.Equal(&a[i].Data, &b[i].Data) {
			t.Fatalf("item %d differs between two fetches", a[i].Height)
		}
	}
}

func testFetchBeyond[T any](t *testing.T, ctx context.Context, h Harness[T]) {
	beyond := h.Head().Height + 1000
	err := h.Source.Fetch(ctx, beyond, beyond+1, func(follow.Item[T]) error { return nil })
	if !errors.Is(err, follow.ErrNotYet) {
		t.Fatalf("fetch of a future height: %v, want ErrNotYet", err)
	}
}

func testDeliverError[T any](t *testing.T, ctx context.Context, h Harness[T]) {
	stop, n := errors.New("stop"), 0
	err := h.Source.Fetch(ctx, h.Start, h.Head().Height+1, func(follow.Item[T]) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Fatalf("fetch: %v after %d items, want deliver's error after one", err, n)
	}
}

func testPushed[T any](t *testing.T, ctx context.Context, h Harness[T]) {
	var mu sync.Mutex
	pushed := map[uint64]follow.Item[T]{}
	news := new(watch.Value[follow.Ref])
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		news.Close(h.Source.Subscribe(ctx, func(u follow.Update[T]) {
			if u.Item != nil {
				mu.Lock()
				pushed[u.Item.Height] = *u.Item
				mu.Unlock()
			}
			news.Set(u.Head)
		}))
	})
	defer wg.Wait()
	defer cancel()
	for range 3 {
		h.Extend(1)
		head := h.Head()
		if _, err := news.Wait(ctx, func(r follow.Ref) bool { return r.Height >= head.Height }); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for height, item := range pushed {
		f := fetchAll(ctx, t, h, height, height+1)[0]
		if f.Ref() != item.Ref() || f.Parent != item.Parent || !h.Equal(&f.Data, &item.Data) {
			t.Fatalf("pushed item %d is %+v, fetched it is %+v", height, item, f)
		}
	}
}

// follow runs a follower with a checking sink until the test ends.
func runFollower[T any](ctx context.Context, t *testing.T, h Harness[T]) (*Sink[T], *watch.Value[follow.State]) {
	t.Helper()
	sink := NewSink[T](h.Start)
	f := follow.New(h.Source, sink, follow.Options{Backoff: follow.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond}})
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := sink.Err(); err != nil {
			t.Error(err)
		}
	})
	return sink, f.State()
}

func waitLast(ctx context.Context, t *testing.T, state *watch.Value[follow.State], want func() follow.Ref) {
	t.Helper()
	if s, err := state.Wait(ctx, func(s follow.State) bool { return s.Last == want() }); err != nil {
		t.Fatalf("follower stands at %v, want %v: %v (waiting: %+v, news: %+v)", s.Last, want(), err, s.Waiting, s.News)
	}
}

func testFollow[T any](t *testing.T, ctx context.Context, h Harness[T]) {
	_, state := runFollower(ctx, t, h)
	waitLast(ctx, t, state, h.Head)
	for range 5 {
		h.Extend(1)
		waitLast(ctx, t, state, h.Head)
	}
}

func testCut[T any](t *testing.T, ctx context.Context, h Harness[T]) {
	if h.Cut == nil {
		t.Skip("this source's connection cannot be cut")
	}
	sink, state := runFollower(ctx, t, h)
	waitLast(ctx, t, state, h.Head)
	for range 3 {
		h.Cut()
		h.Extend(2)
		waitLast(ctx, t, state, h.Head)
	}
	if n := sink.Reverted(); n != 0 {
		t.Fatalf("%d items were reverted, want none: a lost connection is not a reorg", n)
	}
}

func testForks[T any](t *testing.T, ctx context.Context, h Harness[T]) {
	if h.Fork == nil {
		t.Skip("this chain cannot fork")
	}
	_, state := runFollower(ctx, t, h)
	h.Extend(6)
	waitLast(ctx, t, state, h.Head)
	for _, f := range []struct{ depth, n int }{{1, 2}, {2, 2}, {3, 1}, {2, 5}} { // to a higher, an equal, a lower, a higher head
		h.Fork(f.depth, f.n)
		waitLast(ctx, t, state, h.Head)
	}
}
