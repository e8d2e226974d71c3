package celestia_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/devnet/proxy"
	"headrace/follow"
)

// The slow links are those of the field divided by tenth: sizes and time-outs, while the rates stay. So a time-out
// means the same for them.
var full = flag.Bool("full", false, "slow links with sizes and time-outs as they are in the field: minutes")

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
	ctx := deadline(t, time.Minute)
	var work sync.WaitGroup
	for i, b := range blobs {
		work.Go(func() {
			if _, err := chain.Submit(ctx, []da.Blob{b}); err != nil {
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
	sink.reach(t, height+2, 5*time.Minute)
	if got := c.Stats(); got.ContentFetches != 1 {
		t.Errorf("asked for contents %d times, want once", got.ContentFetches)
	}
}
