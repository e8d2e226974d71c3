package celestia_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/follow"
	"headrace/watch"
)

// sink keeps all items, insists on the contract of follow.Sink, and has what is claimed shown, one height after the other; a claim that is false
// takes it back to before the height.
type sink struct {
	t     *testing.T
	mu    sync.Mutex
	items []follow.Item[da.Block]
	last  *watch.Value[follow.Ref]
	shown *watch.Value[int] // how many of items are proven
}

func newSink(t *testing.T) *sink {
	return &sink{t: t, last: watch.New(follow.Ref{}), shown: watch.New(0)}
}

func (s *sink) Last() follow.Ref { return s.last.Load() }

func (s *sink) At(height uint64) (follow.Ref, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if height == 0 || height > uint64(len(s.items)) {
		return follow.Ref{}, false
	}
	return s.items[height-1].Ref(), true
}

func (s *sink) Apply(_ context.Context, item follow.Item[da.Block]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.Last()
	if item.Height != last.Height+1 {
		return nil // the prover has just gone back
	}
	if !last.Hash.IsZero() && item.Parent != last.Hash {
		s.t.Errorf("apply %d on %d: not its successor", item.Height, last.Height)
	}
	s.items = append(s.items, item)
	s.last.Set(item.Ref())
	return nil
}

func (s *sink) Revert(context.Context) error { return follow.ErrFinalized }

// prove shows item after item until ctx ends.
func (s *sink) prove(ctx context.Context, prover da.Prover, wake func()) {
	backoff := follow.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond}
	for n := 0; ; {
		if _, err := s.last.Wait(ctx, func(r follow.Ref) bool { return r.Height > uint64(n) }); err != nil {
			return
		}
		s.mu.Lock()
		item := s.items[n]
		s.mu.Unlock()
		switch err := prover.Prove(ctx, item.Height, item.Hash, item.Data.Unproven); {
		case err == nil:
			n++
			s.shown.Set(n)
		case errors.Is(err, da.ErrNotProven):
			s.mu.Lock()
			s.items = s.items[:n]
			last := follow.Ref{}
			if n > 0 {
				last = s.items[n-1].Ref()
			}
			s.last.Set(last)
			s.mu.Unlock()
			wake()
		case backoff.Sleep(ctx, nil) != nil:
			return
		}
	}
}

// flood posts a blob to both namespaces as often as blocks are made.
func flood(t testing.TB, chain *local.Chain) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			blobs := []da.Blob{blob(alpha, fmt.Sprintf("header %d", i)), blob(beta, fmt.Sprintf("data %d", i))}
			if i%5 == 4 {
				blobs = blobs[:1]
			}
			if _, err := chain.Submit(ctx, blobs); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	t.Cleanup(func() { cancel(); work.Wait() })
}

// TestFaults: whatever goes wrong on the wire or in what the node knows of its chain, while it lasts and after it ends every height is
// applied once, in order, as the chain has it, and the follower catches up (I1, I7, I12). With a WebSocket and without.
func TestFaults(t *testing.T) {
	proven := []fault.Fault{
		{Kind: fault.FalseEmpty},
		{Kind: fault.FalseEmpty, Namespace: &beta},
		{Kind: fault.FalseEmpty, Rate: 0.5},
		{Kind: fault.CorruptBlob, Rate: 0.5},
		{Kind: fault.FalseEmpty, Delay: fault.Duration(100 * time.Millisecond)},
		{Kind: fault.FalseEmpty, Delay: fault.Duration(time.Hour)},
		{Kind: fault.FalseEmpty, Namespace: &beta, Delay: fault.Duration(100 * time.Millisecond)},
		{Kind: fault.FalseEmpty, Namespace: &beta, Delay: fault.Duration(time.Hour)},
		{Kind: fault.FalseEmpty, Rate: 0.5, Delay: fault.Duration(100 * time.Millisecond)},
	}
	for _, mode := range []string{"websocket", "polling"} {
		for i, f := range append(proven, fault.Fault{Kind: fault.MissingBlob}, fault.Fault{Kind: fault.HugeBlob, Size: 1000}) {
			for _, level := range []da.Level{da.ProveEmpty, da.Prove} {
				if level == da.ProveEmpty && i >= len(proven) {
					continue // what this level does not cover
				}
				t.Run(fmt.Sprintf("%s-%d/%s/%s", f.Kind, i, mode, level), func(t *testing.T) {
					t.Parallel()
					testFault(t, f, mode, level)
				})
			}
		}
	}
	for _, f := range []fault.Fault{
		{Kind: fault.OtherChain, From: 1},
		{Kind: fault.OtherChain, From: 1, Text: "another"},
		{Kind: fault.BelowTail, To: 1 << 40},
		{Kind: fault.Gap, Rate: 0.5},
		{Kind: fault.Gap, Rate: 0.5, Namespace: &beta},
		{Kind: fault.Duplicate},
		{Kind: fault.Reorder, Rate: 0.5},
		{Kind: fault.Stall},
		{Kind: fault.Stall, Namespace: &alpha},
		{Kind: fault.ChannelClose, Rate: 0.3},
		{Kind: fault.ChannelClose, Namespace: &beta},
		{Kind: fault.Disconnect, Rate: 0.3},
		{Kind: fault.HalfOpen},
		{Kind: fault.Refuse},
		{Kind: fault.Unauthorized},
		{Kind: fault.RateLimited},
		{Kind: fault.NoSubscription},
		{Kind: fault.Latency, Delay: fault.Duration(50 * time.Millisecond)},
		{Kind: fault.Bandwidth, PerSecond: 50 << 10},
		{Kind: fault.Pause},
		{Kind: fault.HeadBehind, Depth: 5},
		{Kind: fault.Syncing, From: 10},
	} {
		for _, mode := range []string{"websocket", "polling"} {
			name := string(f.Kind)
			if f.Namespace != nil {
				name += "-one-namespace"
			}
			for _, level := range []da.Level{da.ProveEmpty, da.Prove} {
				t.Run(fmt.Sprintf("%s/%s/%s", name, mode, level), func(t *testing.T) {
					t.Parallel()
					testFault(t, f, mode, level)
				})
			}
		}
	}
}

func testFault(t *testing.T, f fault.Fault, mode string, level da.Level) {
	chain := newChain(t, local.Options{Interval: 10 * time.Millisecond})
	faults := &fault.Set{}
	if mode == "polling" {
		addFault(t, faults, fault.Fault{Kind: fault.NoSubscription})
	}
	url := serve(t, chain.View(faults), celestia.HandlerOptions{Faults: faults})
	c := newClient(t, url, celestia.Options{Level: level, Namespaces: []da.Namespace{alpha, beta}, Silence: 200 * time.Millisecond, CallTimeout: time.Second,
		Hold: 50 * time.Millisecond, Probe: 100 * time.Millisecond, Polling: 100 * time.Millisecond})
	run(t, chain)
	flood(t, chain)
	s := newSink(t)
	follower := follow.New(c, s, follow.Options{Stall: time.Second, Backoff: follow.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond}})
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := follower.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("follower: %v", err)
		}
	})
	work.Go(func() { s.prove(ctx, c, follower.Wake) })
	defer work.Wait()
	defer cancel()

	reach := func(what string, height uint64) {
		t.Helper()
		if _, err := s.shown.Wait(deadline(t), func(n int) bool { return uint64(n) >= height }); err != nil {
			t.Fatalf("%s: did not reach %d: %v; follower %+v; endpoint %+v", what, height, err, follower.State().Load(), c.Endpoints())
		}
	}
	reach("before", chain.Head().Load().Height+10)
	id := addFault(t, faults, f)
	if err := chain.WaitHeight(deadline(t), chain.Head().Load().Height+30); err != nil {
		t.Fatal(err)
	}
	faults.Remove(id)
	reach("after", chain.Head().Load().Height+5)
	cancel()
	work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	want := fetch(t, chain.Source(alpha, beta), 1, uint64(s.shown.Load())+1)
	for i := range want {
		s.items[i].Data.Unproven = nil
		if !reflect.DeepEqual(s.items[i], want[i]) {
			t.Fatalf("height %d: got %+v, want %+v", want[i].Height, s.items[i], want[i])
		}
	}
}
