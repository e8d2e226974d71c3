package devnet_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/internal/latetest"
	"headrace/node"
)

// beat is the time between DA blocks, and about that between the rollup's.
const beat = 100 * time.Millisecond

// bounds fit the beat; the defaults fit six seconds.
var bounds = node.Bounds{
	Silence: time.Second, Hold: 200 * time.Millisecond, Probe: 500 * time.Millisecond, Polling: 500 * time.Millisecond,
	Stall: 2 * time.Second, Retry: 500 * time.Millisecond,
}

// callTimeout of the nodes in a world.
const callTimeout = time.Second

// world is a DA layer and a sequencer that posts to it.
type world struct {
	*devnet.DA
	key     *block.PrivateKey
	genesis *block.Genesis
	seq     *node.Node
	slowest atomic.Pointer[node.Node] // that blocks wait for; nil: none
}

// newWorld runs a DA layer whose own port has the given faults, until the test ends.
func newWorld(t *testing.T, faults *fault.Set) *world {
	t.Helper()
	w := new(world)
	var err error
	w.DA, err = devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: -1}, Handler: celestia.HandlerOptions{Faults: faults}})
	if err != nil {
		t.Fatal(err)
	}
	background(t, w.Run)
	background(t, w.makeBlocks)
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	w.key, w.genesis = key, &block.Genesis{
		ChainID: "faults", StartTime: time.Now().UTC(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"},
	}
	return w
}

// makeBlocks makes a DA block each beat, and later if the slowest kind of node, without faults, has not kept up: then the machine is busy.
func (w *world) makeBlocks(ctx context.Context) error {
	clock := time.NewTicker(beat)
	defer clock.Stop()
	for {
		select {
		case <-clock.C:
		case <-ctx.Done():
			return nil
		}
		head, err := w.Chain().Produce()
		if err != nil {
			return err
		}
		if n := w.slowest.Load(); n != nil {
			if _, err := n.Status().Wait(ctx, func(s node.Status) bool { return s.Source.Proven.Height >= head.Height }); err != nil {
				return nil // at the test's end
			}
		}
	}
}

// pace has the DA layer wait for a node of the slowest kind.
func (w *world) pace(t *testing.T) {
	t.Helper()
	faults := new(fault.Set)
	begin(t, faults, fault.Fault{Kind: fault.NoSubscription})
	w.slowest.Store(w.node(t, w.endpoint(t, faults), da.Prove, nil))
}

// background calls run until the test ends, and checks that it ends well.
func background(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := run(ctx); err != nil {
			t.Errorf("got %v after a context's end, want nil", err)
		}
	})
	t.Cleanup(func() { cancel(); work.Wait() })
}

// endpoint serves the chain with faults, as one endpoint of several, until the test ends.
func (w *world) endpoint(t *testing.T, faults *fault.Set) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := celestia.NewHandler(w.Chain().View(faults), celestia.HandlerOptions{Faults: faults})
	background(t, func(ctx context.Context) error { return h.Serve(ctx, l) })
	return "http://" + l.Addr().String()
}

// node runs a full node, or what tune makes of it, until the test ends.
func (w *world) node(t *testing.T, url string, level da.Level, tune func(*node.Options)) *node.Node {
	t.Helper()
	o := node.Options{Home: t.TempDir(), Genesis: w.genesis, Config: node.Default(), Bounds: bounds}
	o.Config.DA.Address, o.Config.DA.Level, o.Config.DA.CallTimeout, o.Config.DA.BlockTime, o.Config.DA.SubmitTimeout = node.At(url), level.String(), callTimeout, beat, time.Second
	o.Config.HTTP.Address = "127.0.0.1:0"
	if tune != nil {
		tune(&o)
	}
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	background(t, n.Run)
	return n
}

// sequence runs the sequencer, with two transactions for each block, until the test ends.
func (w *world) sequence(t *testing.T, url string) {
	t.Helper()
	w.seq = w.node(t, url, da.ProveEmpty, func(o *node.Options) {
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime = w.key, true, beat
	})
	w.load(t, beat/2)
}

// load sends the sequencer a transaction so often, until the test ends.
func (w *world) load(t *testing.T, each time.Duration) {
	t.Helper()
	background(t, func(ctx context.Context) error {
		clock := time.NewTicker(each) // the load's own pace
		defer clock.Stop()
		for i := 0; ; i++ {
			select {
			case <-clock.C:
				if err := w.seq.SubmitTx(ctx, fmt.Appendf(nil, "key-%d=%d", i%100, i)); err != nil && ctx.Err() == nil {
					return err
				}
			case <-ctx.Done():
				return nil
			}
		}
	})
}

// counter counts how often each block became safe.
type counter struct {
	mu    sync.Mutex
	times map[uint64]int
}

func (c *counter) applied(a node.Applied) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.Safe {
		if c.times == nil {
			c.times = map[uint64]int{}
		}
		c.times[a.Ref.Height]++
	}
}

// check fails the test unless n has applied every block up to height once, and has the sequencer's.
func (w *world) check(t *testing.T, n *node.Node, c *counter, height uint64) {
	t.Helper()
	if _, err := w.seq.Wait(bounded(t), height); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Wait(bounded(t), height+1); err != nil { // by then all up to height have been counted
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for h := uint64(1); h <= height; h++ {
		got, errGot := n.Block(h)
		want, errWant := w.seq.Block(h)
		if errGot != nil || errWant != nil || got.Hash != want.Hash || string(got.StateRoot) != string(want.StateRoot) {
			t.Fatalf("block %d: got %s (%v), want %s (%v)", h, got.Hash, errGot, want.Hash, errWant)
		}
		if c.times[h] != 1 {
			t.Errorf("block %d was applied %d times, want once", h, c.times[h])
		}
	}
}

// lateness measures how late this process wakes up; and how late a layer's blocks are, which others may make.
type lateness struct {
	*latetest.Meter
	mu    sync.Mutex
	block []late
	last  time.Time // when the layer's last block came; zero: none is looked for
	each  time.Duration
}

// late is that a block was late by so much, as was found then.
type late struct {
	at time.Time
	by time.Duration
}

// follow measures how late the blocks of the layer are that n follows without a fault, one each so long.
func (l *lateness) follow(t *testing.T, n *node.Node, each time.Duration) {
	l.last, l.each = time.Now(), each
	background(t, func(ctx context.Context) error {
		for height := uint64(0); ; {
			s, err := n.Status().Wait(ctx, func(s node.Status) bool { return s.Source.Head.Height > height })
			if err != nil {
				return nil
			}
			l.mu.Lock()
			now := time.Now()
			l.block, l.last, height = append(l.block, late{now, now.Sub(l.last) - each}), now, s.Source.Head.Height
			l.mu.Unlock()
		}
	})
}

// blocks is how late the layer's blocks have been since then, the next one too.
func (l *lateness) blocks(since time.Time) (by time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.block {
		if b.at.After(since) {
			by = max(by, b.by)
		}
	}
	if !l.last.IsZero() {
		by = max(by, time.Since(l.last)-l.each)
	}
	return by
}
