// Package devnet_test runs whole rollups over links that are slow, cut or frozen, and holds the project's promises against them.
package devnet_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/devnet"
	"headrace/devnet/proxy"
	"headrace/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait: what takes longer on a busy machine hangs.
const patience = 2 * time.Minute

// fast are block times that make a minute's worth of blocks in a few seconds.
var fast = devnet.Options{BlockTime: 50 * time.Millisecond, DABlockTime: 100 * time.Millisecond, TxRate: 50}

// running is a devnet at work.
type running struct {
	*devnet.Net
	stop func() time.Duration // ends Run, checks its result, and returns how long that took; may be called again
}

func run(t *testing.T, opt devnet.Options) *running {
	t.Helper()
	n, err := devnet.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // Run's result
	go func() { ended <- n.Run(ctx) }()
	stop := sync.OnceValue(func() time.Duration {
		begin := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v after its context's end, want nil", err)
		}
		return time.Since(begin)
	})
	t.Cleanup(func() { stop() })
	return &running{n, stop}
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// reach waits until every node's safe head has reached height.
func (n *running) reach(t *testing.T, height uint64) {
	t.Helper()
	ctx := bounded(t)
	for i, each := range n.Nodes() {
		if s, err := each.Wait(ctx, height); err != nil {
			t.Fatalf("%s: safe head %d, want %d: %v; not ready because %q", n.Name(i), s.Heads.Safe.Height, height, err, s.Reason)
		}
	}
}

// until waits for node i's status to satisfy pred.
func (n *running) until(t *testing.T, i int, what string, pred func(node.Status) bool) node.Status {
	t.Helper()
	s, err := n.Nodes()[i].Status().Wait(bounded(t), pred)
	if err != nil {
		t.Fatalf("%s is not %s: %v: %+v", n.Name(i), what, err, s)
	}
	return s
}

// agree settles the net, and fails the test unless all nodes agree.
func (n *running) agree(t *testing.T) devnet.Report {
	t.Helper()
	r := n.Settle(bounded(t))
	if !r.OK || r.Problem != "" {
		t.Fatalf("got report %+v, want all to agree", r)
	}
	return r
}

// chain returns the blocks up to height as node i has them, after checking that each links to the one before.
func (n *running) chain(t *testing.T, i int, height uint64) []node.Block {
	t.Helper()
	var blocks []node.Block
	for h := uint64(1); h <= height; h++ {
		b, err := n.Nodes()[i].Block(h)
		if err != nil {
			t.Fatalf("%s: block %d: %v", n.Name(i), h, err)
		}
		if h > 1 {
			checkLink(t, &blocks[h-2], &b)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// links puts a proxy between each node and the DA layer.
type links struct {
	proxies []*proxy.Proxy // by node
	through func(int, string) (string, error)
}

func newLinks(t *testing.T, delay time.Duration) *links {
	t.Helper()
	l := new(links)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	t.Cleanup(func() { cancel(); work.Wait() })
	l.through = func(_ int, address string) (string, error) {
		p, err := proxy.New(strings.TrimPrefix(address, "http://"), delay)
		if err != nil {
			return "", err
		}
		l.proxies = append(l.proxies, p)
		work.Go(func() { _ = p.Run(ctx) })
		return "http://" + p.Address(), nil
	}
	return l
}

// TestLive: once live, every block is applied from what was pushed, however slow requests are: nothing is fetched, and the delay of requests is not in the
// latency. All agree, and a stop takes less than a second.
func TestLive(t *testing.T) {
	t.Parallel()
	for name, delay := range map[string]time.Duration{"near": 0, "50ms away": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opt := fast
			opt.Through = newLinks(t, delay).through
			var mu sync.Mutex
			seen := map[uint64]int{} // how often OnBlock told of a height
			fastest := time.Hour
			opt.OnBlock = func(l devnet.Line) {
				mu.Lock()
				defer mu.Unlock()
				seen[l.Height]++
				fastest = min(fastest, slices.Min(l.Latency))
				if len(l.Latency) != 2 || min(l.Latency[0], l.Latency[1]) <= 0 {
					t.Errorf("block %d: got latencies %v, want one above zero of each full node", l.Height, l.Latency)
				}
			}
			n := run(t, opt)
			n.reach(t, 120)
			r := n.agree(t)
			if r.FetchesAtHead != 0 {
				t.Errorf("got %d fetches of content at the head, want none", r.FetchesAtHead)
			}
			for i := range n.Nodes() {
				s := n.until(t, i, "ready", func(s node.Status) bool { return s.Ready })
				if i > 0 && (s.Counts.FetchedItems > 10 || s.Counts.InlineItems < 50) {
					t.Errorf("%s: got %d DA heights fetched and %d inline, want only the first few fetched", n.Name(i), s.Counts.FetchedItems, s.Counts.InlineItems)
				}
			}
			want := n.chain(t, 0, 120)
			for i := 1; i <= 2; i++ {
				sameChain(t, n.chain(t, i, 120), want)
			}
			if took := n.stop(); took > 30*time.Second {
				t.Errorf("got a stop that took %s, want a second, or more on a busy machine", took)
			}
			mu.Lock()
			defer mu.Unlock()
			for h, times := range seen {
				if times != 1 {
					t.Errorf("OnBlock told %d times of block %d, want once", times, h)
				}
			}
			if delay > 0 && fastest >= delay { // a slow machine may make others slower
				t.Errorf("got %s as the shortest latency, want less than the %s that a request takes longer", fastest, delay)
			}
			if got := uint64(len(seen)); got < r.Blocks {
				t.Errorf("OnBlock told of %d blocks, the report of %d", got, r.Blocks)
			}
			t.Logf("%d blocks, latency %+v ms", r.Blocks, r.LatencyMS)
		})
	}
}

// TestRestart: a devnet on a home it has used goes on with the same chain; without a home it leaves nothing behind.
func TestRestart(t *testing.T) {
	t.Parallel()
	opt := fast
	opt.Home = t.TempDir()
	first := run(t, opt)
	first.reach(t, 20)
	before := first.chain(t, 1, 20)
	first.stop()

	second := run(t, opt)
	if s := second.Nodes()[1].Status().Load(); s.Heads.Safe.Height < 20 {
		t.Errorf("got safe head %d before anything runs, want at least 20", s.Heads.Safe.Height)
	}
	second.reach(t, second.Nodes()[0].Status().Load().Heads.Unsafe.Height+20)
	second.agree(t)
	for i := range second.Nodes() {
		sameChain(t, second.chain(t, i, 40)[:20], before)
	}
	second.stop()
	if _, err := os.Stat(opt.Home); err != nil {
		t.Errorf("a home that was given is gone: %v", err)
	}

	opt.Home = ""
	third := run(t, opt)
	home := third.Home()
	third.stop()
	if _, err := os.Stat(home); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v for the temporary home after the end, want none left", err)
	}
}

// TestHomeOfOthers: a devnet writes over nothing, and into no home of a node. One that was ended after its first file goes on.
func TestHomeOfOthers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"genesis.json", "config.yaml"} {
		opt := fast
		opt.Home = t.TempDir()
		path, theirs := filepath.Join(opt.Home, name), []byte("chain_id: theirs")
		if err := os.WriteFile(path, theirs, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := devnet.New(opt); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "a directory of its own") {
			t.Errorf("with a %s: got %v, want that the devnet needs a directory of its own", name, err)
			if n != nil {
				_ = n.Close()
			}
		}
		kept, err := os.ReadFile(path)
		if found, _ := os.ReadDir(opt.Home); err != nil || !bytes.Equal(kept, theirs) || len(found) != 1 {
			t.Errorf("with a %s: it is %q now, and there are %v, %v; want nothing changed", name, kept, found, err)
		}
	}

	opt := fast
	opt.Home = t.TempDir()
	begun := run(t, opt)
	begun.stop()
	for _, gone := range []string{"genesis.json", "da", "sequencer", "node-1", "node-2"} {
		if err := os.RemoveAll(filepath.Join(opt.Home, gone)); err != nil {
			t.Fatal(err)
		}
	}
	again := run(t, opt)
	again.reach(t, 3)
	again.agree(t)
	again.stop()
}

// TestNewFails: a devnet that cannot be made leaves nothing behind; TestMain looks for goroutines.
func TestNewFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	opt := fast
	wrong := errors.New("no such link")
	opt.Through = func(i int, address string) (string, error) {
		if i == 2 {
			return "", wrong
		}
		return address, nil
	}
	if _, err := devnet.New(opt); !errors.Is(err, wrong) {
		t.Errorf("got %v, want the error of Through", err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("got %v (%v) in the temporary directory, want nothing left", left, err)
	}
}

// TestLinks: a link that is cut or frozen makes its node say so; nothing is lost, and when it is whole again the node is ready and at the head by itself (I5, I12).
func TestLinks(t *testing.T) {
	t.Parallel()
	faults := map[string]struct{ begin, end func(*proxy.Proxy) }{
		"cut":    {func(p *proxy.Proxy) { p.Cut(true) }, func(p *proxy.Proxy) { p.Cut(false) }},
		"frozen": {func(p *proxy.Proxy) { p.Freeze(true) }, func(p *proxy.Proxy) { p.Freeze(false) }},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLinks(t, 0)
			opt := fast
			opt.Through = l.through
			n := run(t, opt)
			n.reach(t, 10)
			for victim := range n.Nodes() {
				n.until(t, victim, "ready", func(s node.Status) bool { return s.Ready })
				fault.begin(l.proxies[victim])
				s := n.until(t, victim, "unready", func(s node.Status) bool { return !s.Ready })
				if s.Reason == "" {
					t.Errorf("%s is unready with a link %s, and says not why", n.Name(victim), name)
				}
				if victim > 0 { // the others go on without it
					height := s.Heads.Safe.Height + 10
					for _, other := range []int{0, 3 - victim} {
						n.until(t, other, "going on", func(s node.Status) bool { return s.Heads.Safe.Height >= height })
					}
				} else { // the sequencer goes on making blocks, which nobody gets
					n.until(t, 0, "making blocks", func(now node.Status) bool { return now.Heads.Unsafe.Height >= s.Heads.Unsafe.Height+10 })
				}
				ahead := n.Nodes()[0].Status().Load().Heads.Unsafe.Height
				fault.end(l.proxies[victim])
				n.reach(t, ahead)
				n.until(t, victim, "ready again", func(s node.Status) bool { return s.Ready })
				t.Logf("%s: %q, then at %d", n.Name(victim), s.Reason, ahead)
			}
			n.agree(t)
			height := n.Nodes()[0].Status().Load().Heads.Safe.Height
			n.reach(t, height)
			want := n.chain(t, 0, height)
			sameChain(t, n.chain(t, 1, height), want)
			sameChain(t, n.chain(t, 2, height), want)
		})
	}
}

// TestFlappingLink: connections that are cut again and again, at each block, cost time and nothing else (I8, I12).
func TestFlappingLink(t *testing.T) {
	t.Parallel()
	l := newLinks(t, 10*time.Millisecond)
	opt := fast
	opt.Through = l.through
	n := run(t, opt)
	for i := range 24 {
		victim := i % 3
		before := n.Nodes()[victim].Status().Load().Heads.Safe.Height
		l.proxies[victim].Cut(false)
		n.until(t, victim, "going on", func(s node.Status) bool { return s.Heads.Safe.Height > before })
	}
	n.reach(t, n.Nodes()[0].Status().Load().Heads.Unsafe.Height)
	n.agree(t)
	if s := n.Nodes()[1].Status().Load(); s.Counts.Subscriptions < 4 {
		t.Errorf("got %d subscriptions, want one for each cut at least: the cuts did not bite", s.Counts.Subscriptions)
	}
	if s := n.Nodes()[0].Status().Load(); s.Counts.RevertedUnsafe != 0 {
		t.Errorf("the sequencer reverted %d of its own blocks, want none", s.Counts.RevertedUnsafe)
	}
}
