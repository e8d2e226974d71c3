package follow_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
)

func TestAheadIsASource(t *testing.T) {
	type early = *follow.Early[string, string]
	followtest.TestSource(t, func(t *testing.T) followtest.Harness[early] {
		c := followtest.NewChain(400)
		source := follow.Ahead[string](c, func(s string) string { return "result of " + s })
		same := func(a, b *early) bool {
			return (*a).Data == (*b).Data && (*a).Result() == (*b).Result() && (*a).Result() == "result of "+(*a).Data
		}
		return followtest.Harness[early]{Source: source, Start: 1, Extend: c.Extend, Head: c.Head, Fork: c.Fork, Equal: same}
	})
}

// What is pushed, and what is fetched alone, goes straight through: there is no work on it until its result is asked
// for, and then once.
func TestAheadLeavesTheHeadAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := followtest.NewChain(1)
		var worked []string
		source := follow.Ahead[string](c, func(s string) int { worked = append(worked, s); return len(worked) })
		var got []*follow.Early[string, int]
		if err := source.Fetch(t.Context(), 1, 2, func(i follow.Item[*follow.Early[string, int]]) error { got = append(got, i.Data); return nil }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = source.Subscribe(ctx, func(u follow.Update[*follow.Early[string, int]]) {
				if u.Item == nil || u.Head != u.Item.Ref() {
					t.Errorf("got %+v, want the head with its item", u)
					return
				}
				got = append(got, u.Item.Data)
			})
		})
		synctest.Wait()
		c.Extend(1)
		synctest.Wait()
		cancel()
		wg.Wait()
		if len(worked) != 0 {
			t.Fatalf("got work on %q before anybody asked", worked)
		}
		var results []int
		for _, e := range slices.Concat(got, got) {
			results = append(results, e.Result())
		}
		if want := []string{"1/0", "1/0", "2/0"}; !slices.Equal(worked, want) || !slices.Equal(results, []int{1, 2, 3, 1, 2, 3}) {
			t.Errorf("got work on %q and results %v, want work on %q, each once", worked, results, want)
		}
	})
}

// sized is a source of n items of one size, which counts what it has delivered.
type sized struct {
	n         uint64
	size      int
	delivered atomic.Uint64
	end       error
}

func (s *sized) Subscribe(context.Context, func(follow.Update[uint64])) error {
	return errors.ErrUnsupported
}

func (s *sized) Fetch(_ context.Context, from, to uint64, deliver func(follow.Item[uint64]) error) error {
	for h := from; h < min(to, s.n+1); h++ {
		if err := deliver(follow.Item[uint64]{Height: h, Size: s.size, Data: h}); err != nil {
			return err
		}
		s.delivered.Add(1)
	}
	return s.end
}

// The items come in order, each worked on once, several ahead of their turn but never more than a few side by side.
func TestAheadWorksOnEachOnce(t *testing.T) {
	const n = 5000
	var counts [n + 1]atomic.Int32
	var busy, most atomic.Int32
	work := func(h uint64) uint64 {
		now := busy.Add(1)
		for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
		}
		counts[h].Add(1)
		runtime.Gosched()
		busy.Add(-1)
		return 2 * h
	}
	next := uint64(1)
	source := &sized{n: n, size: 100}
	err := follow.Ahead(source, work).Fetch(t.Context(), 1, n+1, func(i follow.Item[*follow.Early[uint64, uint64]]) error {
		if i.Height != next || i.Data.Data != next || i.Data.Result() != 2*next {
			return fmt.Errorf("got item %d with %d and %d, want %d with %d", i.Height, i.Data.Data, i.Data.Result(), next, 2*next)
		}
		next++
		return nil
	})
	if err != nil || next != n+1 {
		t.Fatalf("got %v after %d items, want all %d", err, next-1, n)
	}
	for h := 1; h <= n; h++ {
		if c := counts[h].Load(); c != 1 {
			t.Fatalf("item %d was worked on %d times", h, c)
		}
	}
	if m := int(most.Load()); m > runtime.GOMAXPROCS(0)+1 {
		t.Errorf("got %d worked on side by side, want at most one for each core and the one whose turn it is", m)
	}
}

// While the sink is busy with one item, those behind it are worked on: as many as fit in the bounds (I6), and one at
// least.
func TestAheadIsBounded(t *testing.T) {
	for _, c := range []struct {
		size int
		want uint64 // delivered by the source while the sink is at the first
	}{{0, 257}, {100, 257}, {1 << 20, 8}, {3 << 20, 2}, {4 << 20, 2}, {4<<20 + 1, 1}, {8 << 20, 1}, {9 << 20, 1}, {1 << 40, 1}, {-1, 257}} {
		t.Run(fmt.Sprint(c.size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &sized{n: 1000, size: c.size}
				var ready atomic.Uint64
				ahead := follow.Ahead(source, func(h uint64) uint64 { ready.Add(1); return h })
				n := 0
				err := ahead.Fetch(t.Context(), 1, 1001, func(follow.Item[*follow.Early[uint64, uint64]]) error {
					if n++; n == 1 || n == 300 {
						synctest.Wait()
						if got := source.delivered.Load() - uint64(n) + 1; got != c.want {
							t.Errorf("at item %d: got %d items between source and sink, want %d", n, got, c.want)
						}
						if got, all := ready.Load(), source.delivered.Load(); got < all/2+1 { // those that the workers were too slow for are left to their turn
							t.Errorf("at item %d: got %d items worked on of %d, want most", n, got, all)
						}
					}
					return nil
				})
				if err != nil || n != 1000 {
					t.Errorf("got %v after %d items, want all 1000", err, n)
				}
			})
		})
	}
}

// Fetch ends with whatever ends first, after what came before it, and leaves nothing behind: the bubble would find it.
func TestAheadEnds(t *testing.T) {
	broken := errors.New("broken")
	identity := func(h uint64) uint64 { return h }
	t.Run("the source's error comes after its items", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			err := follow.Ahead(&sized{n: 50, end: broken}, identity).Fetch(t.Context(), 1, 100, func(follow.Item[*follow.Early[uint64, uint64]]) error { n++; return nil })
			if err != broken || n != 50 {
				t.Errorf("got %v after %d items, want %v after 50", err, n, broken)
			}
		})
	})
	t.Run("the sink's error ends it at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			source := &sized{n: 1e9}
			err := follow.Ahead(source, identity).Fetch(t.Context(), 1, 1e9, func(follow.Item[*follow.Early[uint64, uint64]]) error {
				if n++; n == 3 {
					return broken
				}
				return nil
			})
			if err != broken || n != 3 {
				t.Errorf("got %v after %d items, want %v after 3", err, n, broken)
			}
		})
	})
	t.Run("the caller's end ends a source that waits, and a full window", func(t *testing.T) {
		for _, size := range []int{1, 9 << 20} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				n := 0
				err := follow.Ahead(&sized{n: 1e9, size: size}, identity).Fetch(ctx, 1, 1e9, func(follow.Item[*follow.Early[uint64, uint64]]) error {
					n++
					synctest.Wait()
					cancel()
					return nil
				})
				if !errors.Is(err, context.Canceled) || n != 1 {
					t.Errorf("got %v after %d items, want %v after 1", err, n, context.Canceled)
				}
			})
		}
	})
}

// A follower of such a source reaches the head through faults and forks, as it does without.
func TestAheadUnderAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(1000), followtest.NewSink[*follow.Early[string, int]](1)
		var ops atomic.Uint64
		c.Faults = func(op followtest.Op) followtest.Fault {
			switch n := ops.Add(1); {
			case n%97 == 0:
				return followtest.Fault{Err: followtest.ErrInjected}
			case n%31 == 0 && op.Name == "news":
				return followtest.Fault{NoItem: true}
			}
			return followtest.Fault{}
		}
		f, _ := run(t, follow.Ahead(c, func(s string) int { return len(s) }), sink, follow.Options{})
		for i := range 50 {
			switch i % 3 {
			case 0:
				c.Extend(300)
			case 1:
				c.Fork(20, 25)
			case 2:
				c.Extend(1)
			}
			if _, err := f.State().Wait(t.Context(), func(s follow.State) bool { return s.Last == c.Head() }); err != nil {
				t.Fatal(err)
			}
		}
		if err := sink.Err(); err != nil {
			t.Fatal(err)
		}
	})
}

// asking is a sink that needs the results.
type asking struct {
	*followtest.Sink[*follow.Early[string, int]]
}

func (a asking) Apply(ctx context.Context, item follow.Item[*follow.Early[string, int]]) error {
	item.Data.Result()
	return a.Sink.Apply(ctx, item)
}

// Work that takes longer than a source may be silent, as on an item that is stuffed by strangers, is not taken for
// the source's silence (I9).
func TestAheadTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(400), followtest.NewSink[*follow.Early[string, int]](1)
		source := follow.Ahead[string](c, func(s string) int {
			if s == "1/0" || s == "200/0" {
				time.Sleep(time.Minute)
			}
			return 0
		})
		begin := time.Now()
		f, _ := run(t, source, asking{sink}, follow.Options{Stall: 5 * time.Second, Observer: follow.Observer{Waiting: func(_, w follow.Waiting) {
			if w.Stage == follow.StageFetch {
				t.Errorf("waits: %+v", w)
			}
		}}})
		if _, err := f.State().Wait(t.Context(), func(s follow.State) bool { return s.Last == c.Head() }); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 2*time.Minute {
			t.Errorf("got to the head after %s, want at most the two minutes that the work takes", took)
		}
		if n := f.State().Load().Counts; n.Fetched+n.Inline != 400 {
			t.Errorf("got %+v, want 400 items", n)
		}
	})
}
