package celestia_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/devnet/proxy"
	"headrace/follow"
)

// The slow links are those of the field with sizes and time-outs divided by ten, while the rates stay: a time-out means
// the same for them.
var full = flag.Bool("full", false, "slow links with sizes and time-outs as they are in the field: minutes")

// sized is a size of the field as the tests have it. What is not about time is smaller still under the race detector.
func sized(n int) int {
	if *full {
		return n
	}
	return n / 10 / (1 << 20 / scale)
}

func tenth[T int | time.Duration](v T) T {
	if *full {
		return v
	}
	return v / 10
}

// slowLink puts a link of so many bytes a second before an endpoint.
func slowLink(t testing.TB, address string, rate int) (*proxy.Proxy, string) {
	t.Helper()
	link, err := proxy.New(strings.TrimPrefix(address, "http://"), 0)
	if err != nil {
		t.Fatal(err)
	}
	link.SetRate(rate)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = link.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return link, "http://" + link.Address()
}

// random returns a blob of so many bytes.
func random(ns da.Namespace, size int, seed byte) da.Blob {
	b := da.Blob{Namespace: ns, Data: make([]byte, size), Index: -1}
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b.Data)
	return b
}

// kept is a sink that keeps what it was given.
type kept struct {
	mu     sync.Mutex
	last   follow.Ref
	blocks []da.Block
	at     chan uint64 // heights as they are applied
}

func newKept() *kept { return &kept{at: make(chan uint64, 1024)} }

func (k *kept) Last() follow.Ref                 { k.mu.Lock(); defer k.mu.Unlock(); return k.last }
func (k *kept) At(uint64) (follow.Ref, bool)     { return follow.Ref{}, false }
func (k *kept) Revert(ctx context.Context) error { return follow.ErrFinalized }
func (k *kept) Apply(_ context.Context, item follow.Item[da.Block]) error {
	k.mu.Lock()
	k.last, k.blocks = item.Ref(), append(k.blocks, item.Data)
	k.mu.Unlock()
	k.at <- item.Height
	return nil
}

// reach waits until a height is applied.
func (k *kept) reach(t testing.TB, height uint64, within time.Duration) {
	t.Helper()
	limit := time.After(within) // a watchdog over the follower
	for {
		select {
		case at := <-k.at:
			if at >= height {
				return
			}
		case <-limit:
			t.Fatalf("height %d is not applied within %s, last %d", height, within, k.Last().Height)
		}
	}
}

// follow1 follows by way of a client until the test ends.
func follow1(t testing.TB, source follow.Source[da.Block], sink follow.Sink[da.Block]) *follow.Follower[da.Block] {
	f := follow.New(source, sink, follow.Options{Stall: tenth(30 * time.Second)})
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = f.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return f
}

// fill makes a height of these blobs, each a submission of its own.
func fill(t testing.TB, chain *local.Chain, blobs ...da.Blob) uint64 {
	t.Helper()
	return fillBy(t, chain, chain, blobs...)
}

// fillBy is fill by way of whoever submits.
func fillBy(t testing.TB, chain *local.Chain, by da.Submitter, blobs ...da.Blob) uint64 {
	t.Helper()
	ctx := deadline(t)
	var work sync.WaitGroup
	for i, b := range blobs {
		work.Go(func() {
			if _, err := by.Submit(ctx, []da.Blob{b}); err != nil {
				t.Error(err)
			}
		})
		if _, err := chain.Pending().Wait(ctx, func(n int) bool { return n > i }); err != nil {
			t.Fatal(err)
		}
	}
	produce(t, chain, 1)
	work.Wait()
	return chain.Head().Load().Height
}

// TestSlowBigHeight: three blobs of 7.9 MB at one height, 63 s on a link of 4 Mbit/s and so longer than any time-out,
// are followed; they come once.
func TestSlowBigHeight(t *testing.T) {
	chain := newChain(t, local.Options{})
	size := tenth(7_900_000)
	height := fill(t, chain, random(alpha, size, 1), random(alpha, size, 2), random(alpha, size, 3))
	produce(t, chain, 2)
	_, address := slowLink(t, serve(t, chain, celestia.HandlerOptions{}), 4_000_000/8)
	c := newClient(t, address, celestia.Options{Namespaces: []da.Namespace{alpha, beta}, CallTimeout: tenth(30 * time.Second)})
	sink := newKept()
	follow1(t, c, sink)
	sink.reach(t, height+2, 10*tenth(time.Minute))
	if got := c.Stats(); got.ContentFetches != 1 {
		t.Errorf("asked for contents %d times, want once", got.ContentFetches)
	}
}

// TestSlowManyHeights: 24 blobs of 1 MB in 18 heights over 400 kB/s are followed, and come once, though the link is cut
// in between: what had come by then is kept.
func TestSlowManyHeights(t *testing.T) {
	chain := newChain(t, local.Options{})
	for i := range 18 {
		at := []da.Blob{random(alpha, tenth(1_000_000), byte(i))}
		if i%3 == 0 {
			at = append(at, random(alpha, tenth(1_000_000), byte(100+i)))
		}
		fill(t, chain, at...)
	}
	link, address := slowLink(t, serve(t, chain, celestia.HandlerOptions{}), 400_000)
	c := newClient(t, address, celestia.Options{Namespaces: []da.Namespace{alpha, beta}, CallTimeout: tenth(30 * time.Second)})
	sink := newKept()
	follow1(t, c, sink)
	for _, height := range []uint64{4, 12} {
		sink.reach(t, height, 3*time.Minute)
		link.Cut(true)
		link.Cut(false)
	}
	sink.reach(t, 18, 3*time.Minute)
	// Each cut costs what was in flight, a message or two, and the headers again.
	once := uint64(24 * tenth(1_000_000) * 4 / 3)
	if got := link.Passed(); got > once*5/4 {
		t.Errorf("%d bytes have come, %d would be all contents once", got, once)
	}
}

// crowd makes a height of so many bytes in one namespace, with a little of others before and behind it.
func crowd(t testing.TB, size int) (chain *local.Chain, height uint64, blobs []da.Blob) {
	chain = newChain(t, local.Options{MaxBlockBytes: 160 << 20, MaxPending: 200 << 20})
	before, behind := da.NamespaceFromName("aaa"), da.NamespaceFromName("zzz")
	all := []da.Blob{random(before, 3000, 200), random(behind, 5000, 201), random(beta, 700, 202)}
	for i := 0; size > 0; i++ {
		b := random(alpha, min(size, sized(7_900_000)), byte(i))
		blobs, size = append(blobs, b), size-len(b.Data)
	}
	height = fill(t, chain, append(all, blobs...)...)
	return chain, height, append(blobs, all[2])
}

// same compares blobs by their data, in the order of the square.
func same(t testing.TB, got, want []da.Blob) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d blobs, want %d", len(got), len(want))
	}
	have := map[string]bool{}
	for _, b := range want {
		have[string(b.Namespace[:])+string(b.Data)] = true
	}
	for i, b := range got {
		if key := string(b.Namespace[:]) + string(b.Data); !have[key] {
			t.Errorf("blob %d is none of those posted, or is there twice", i)
		} else {
			delete(have, key)
		}
	}
}

// TestInPieces: a height that does not fit into one message passes at each level, and its blobs are what they are at a
// client that takes such a message.
func TestInPieces(t *testing.T) {
	chain, height, blobs := crowd(t, sized(63_000_000))
	address := serve(t, chain, celestia.HandlerOptions{})
	opt := celestia.Options{Namespaces: []da.Namespace{beta, alpha}, MaxMessage: 1 << 30}
	want := fetch(t, newClient(t, address, opt), height, height+1)[0]
	same(t, want.Data.Blobs, blobs)
	for _, level := range []da.Level{da.Trust, da.ProveEmpty, da.Prove} {
		opt.Level, opt.MaxMessage = level, sized(64<<20)
		c := newClient(t, address, opt)
		got := fetch(t, c, height, height+1)[0]
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: what came in pieces differs from what came whole", level)
		}
		if n := c.Stats().ProofCalls; n < 20 {
			t.Errorf("%s: %d proofs: it came whole", level, n)
		}
	}
}

// TestPiecesAreKept: the endpoint restarts when half of a large height has come, and again near its end; little of it
// comes twice, and its blobs are right.
func TestPiecesAreKept(t *testing.T) {
	chain, height, blobs := crowd(t, sized(63_000_000))
	for _, level := range []da.Level{da.ProveEmpty, da.Prove} {
		link, address := slowLink(t, serve(t, chain, celestia.HandlerOptions{}), 0)
		opt := celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Level: level, MaxMessage: sized(64 << 20)}
		whole := newClient(t, address, opt)
		fetch(t, whole, height, height+1)
		once := link.Passed()

		c := newClient(t, address, opt)
		link.SetRate(sized(64 << 20))
		sink := newKept()
		follow1(t, c, sink)
		for _, part := range []uint64{50, 90} {
			for start := time.Now(); (link.Passed()-once)*100 < part*once; {
				if time.Since(start) > time.Minute {
					t.Fatalf("%d bytes have come of %d", link.Passed()-once, once)
				}
				time.Sleep(10 * time.Millisecond) // the proxy tells nobody
			}
			link.Cut(true)
			link.Cut(false)
		}
		sink.reach(t, height, time.Minute)
		same(t, sink.blocks[len(sink.blocks)-1].Blobs, blobs)
		if got := link.Passed() - once; got > once*11/10 {
			t.Errorf("%s: %d bytes have come, %d are enough", level, got, once)
		}
	}
}

// TestLongEvent: an event that is too long is not read to its end. Its height is fetched, and later heads are
// announced.
func TestLongEvent(t *testing.T) {
	chain := newChain(t, local.Options{MaxBlockBytes: 160 << 20, MaxPending: 200 << 20})
	produce(t, chain, 1)
	link, address := slowLink(t, serve(t, chain, celestia.HandlerOptions{}), 0)
	c := newClient(t, address, celestia.Options{Namespaces: []da.Namespace{alpha, beta}, MaxMessage: 2 << 20})
	sink := newKept()
	f := follow1(t, c, sink)
	sink.reach(t, 1, time.Minute)
	if _, err := f.State().Wait(deadline(t), func(s follow.State) bool { return s.Live }); err != nil {
		t.Fatal(err)
	}
	was, pushed := link.Passed(), c.Stats().Inline
	link.SetRate(16 << 20) // so that little is under way when the event is left
	var want []da.Blob
	for i := range 8 {
		want = append(want, random(alpha, 700_000, byte(i))) // 7.5 MB of JSON
	}
	height := fill(t, chain, want...)
	sink.reach(t, height, time.Minute)
	same(t, sink.blocks[len(sink.blocks)-1].Blobs, want)
	if got := c.Stats().Inline; got != pushed {
		t.Errorf("the event was read to its end: %d heights came whole, %d before it", got, pushed)
	}
	// Its shares come twice each, as share.GetRange gives them, and of the event little more than the limit.
	if got, most := link.Passed()-was, uint64(len(want)*700_000*8/3*11/10+4<<20); got > most {
		t.Errorf("%d bytes have come, want at most %d", got, most)
	}
	if _, err := f.State().Wait(deadline(t), func(s follow.State) bool { return s.Subscribed }); err != nil {
		t.Fatal(err)
	}
	produce(t, chain, 1)
	sink.reach(t, height+1, time.Minute)
	for _, e := range c.Endpoints() {
		if !e.Healthy {
			t.Errorf("the endpoint is not healthy: %s", e.LastError)
		}
	}
}

// TestStuckHeight: while a height cannot be had, it alone is asked for; what lies beyond and has come is not asked for
// again.
func TestStuckHeight(t *testing.T) {
	chain := newChain(t, local.Options{})
	for range 100 {
		submit(t, chain, blob(alpha, "one"))
	}
	faults := &fault.Set{}
	addFault(t, faults, fault.Fault{Kind: fault.FalseEmpty, From: 5, To: 6})
	c := newClient(t, serve(t, chain.View(faults), celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha}, Level: da.Prove, Window: 8})
	sink := newKept()
	deliver := func(item follow.Item[da.Block]) error { return sink.Apply(t.Context(), item) }
	ctx := deadline(t)
	if err := c.Fetch(ctx, 1, 101, deliver); err == nil || sink.Last().Height != 4 {
		t.Fatalf("first try: %v at %d, want an error after 4", err, sink.Last().Height)
	}
	first := c.Stats()
	for range 5 {
		if err := c.Fetch(ctx, 5, 101, deliver); err == nil {
			t.Fatal("height 5 was delivered without its data")
		}
	}
	if again := c.Stats(); again.ContentFetches-first.ContentFetches != 5 || again.HeaderCalls-first.HeaderCalls > 10 {
		t.Errorf("five more tries: %+v after %+v; want 5 content fetches and no more than 10 header calls", again, first)
	}
	faults.Clear()
	if err := c.Fetch(ctx, 5, 101, deliver); err != nil || sink.Last().Height != 100 {
		t.Fatalf("at the end: %v at %d, want 100", err, sink.Last().Height)
	}
	if n := c.Stats().ContentFetches; n > 100+6+2*8 { // what was in flight when the first try ended was lost, and what began until all knew
		t.Errorf("%d content fetches of 100 heights", n)
	}
}
