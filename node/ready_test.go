package node_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/latetest"
	"headrace/internal/nettest"
	"headrace/node"
)

// TestReadiness: a node with a DA layer and no peers becomes ready. When its link stalls it is unready within three DA block times of the last news, with the reason in its
// status, and when the link works again it is ready by itself (I5).
func TestReadiness(t *testing.T) {
	t.Parallel()
	const blockTime = 400 * time.Millisecond
	const bound, slack = 3 * blockTime, 2 * blockTime
	faults := map[string]struct {
		stall, mend func(*stage)
		why         string
	}{
		"frozen link":     {func(s *stage) { s.link.Freeze(true) }, func(s *stage) { s.link.Freeze(false) }, "no new DA block for"},
		"cut link":        {func(s *stage) { s.link.Cut(true) }, func(s *stage) { s.link.Cut(false) }, "subscribe at"},
		"DA layer paused": {func(s *stage) { s.stopDA() }, func(s *stage) { s.startDA(blockTime) }, "subscribe at"},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStage(t, blockTime)
			o := newChain(t, "ready").full(t, "http://"+st.link.Address())
			o.Config.DA.BlockTime = blockTime
			n := start(t, o)
			s := n.until(t, "ready", ready)
			if s.Reason != "" || s.Mode != "full" || s.Source.Lag > 3 {
				t.Errorf("got a ready status of %+v, want no reason and no lag", s)
			}
			n.until(t, "live", func(s node.Status) bool { return s.Ready && s.Source.Live && s.Counts.InlineItems >= 2 })
			late, begin := latetest.New(t), time.Now()
			fault.stall(st)
			s = n.until(t, "unready", unready)
			if age := time.Since(s.Source.HeadAt); age > bound+slack+late.Total(begin) {
				t.Errorf("got unready %s after the last news, want at most %s; the machine was late by %s", age, bound, late.Total(begin))
			}
			late.Stop()
			if !strings.Contains(s.Reason, fault.why) {
				t.Errorf("got reason %q, want one with %q", s.Reason, fault.why)
			}
			position := s.Source.Position.Height
			fault.mend(st)
			s = n.until(t, "ready again", func(s node.Status) bool { return s.Ready && s.Source.Live && s.Source.Position.Height > position })
			if s.Reason != "" || len(s.Waiting) > 0 {
				t.Errorf("got %q and %+v from a node that is ready", s.Reason, s.Waiting)
			}
			n.stopped(t)
		})
	}
}

// stage is a DA layer that can go and come back, behind a link.
type stage struct {
	*testing.T
	listen, dir string
	stopDA      func() time.Duration
	link        interface {
		Address() string
		Cut(bool)
		Freeze(bool)
		SetDelay(time.Duration)
	}
}

func newStage(t *testing.T, interval time.Duration) *stage {
	t.Helper()
	s := &stage{T: t, listen: nettest.FreeAddress(t), dir: t.TempDir()}
	s.link = link(t, s.listen)
	s.startDA(interval)
	return s
}

func (s *stage) startDA(interval time.Duration) {
	s.Helper()
	_, s.stopDA = daLayer(s.T, s.listen, s.dir, interval)
}

// TestCatchingUp: a node that is far behind says so, and is ready once it is not.
func TestCatchingUp(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 20*time.Millisecond)
	l := link(t, d.URL())
	l.SetDelay(100 * time.Millisecond) // so that catching up takes longer than a status is looked at
	if _, err := d.Chain().Head().Wait(bounded(t), func(h headOf) bool { return h.Height >= 50 }); err != nil {
		t.Fatal(err)
	}
	n := start(t, newChain(t, "behind").full(t, "http://"+l.Address()))
	s := n.until(t, "catching up", func(s node.Status) bool { return strings.HasPrefix(s.Reason, "catching up: ") })
	if s.Ready || s.Source.Lag < 40 {
		t.Errorf("got %+v, want unready with a lag", s)
	}
	n.until(t, "ready", ready)
	n.stopped(t)
}

// TestDALayerComesLater: a DA layer that is down at the start is not fatal. The node says what it waits for, and goes on when it comes.
func TestDALayerComesLater(t *testing.T) {
	t.Parallel()
	address := nettest.FreeAddress(t)
	c := newChain(t, "later")
	full := start(t, c.full(t, "http://"+address))
	seq := start(t, c.sequencer(t, "http://"+address, 50*time.Millisecond))
	for _, n := range []*running{full, seq} {
		s := n.until(t, "told that nobody listens", func(s node.Status) bool { return strings.Contains(s.Reason, "connection refused") })
		if s.Ready || !strings.Contains(s.Reason, address) || len(s.Waiting) == 0 {
			t.Errorf("got %+v, want unready, and the address in the reason", s)
		}
	}
	s := seq.until(t, "paused", func(s node.Status) bool { return strings.Contains(s.Sequencer.Paused, "waiting for the DA layer") })
	if s.Heads.Unsafe.Height != 0 {
		t.Errorf("got block %d, want none before the DA layer has shown whether the chain has some", s.Heads.Unsafe.Height)
	}
	daLayer(t, address, "", 50*time.Millisecond)
	for _, n := range []*running{full, seq} {
		s := n.until(t, "going on", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 3 })
		if len(s.Waiting) != 0 {
			t.Errorf("got %+v, want nothing waited for", s.Waiting)
		}
	}
	full.stopped(t)
	seq.stopped(t)
}

// TestBlackHole: an endpoint that takes connections and never answers blocks neither New nor Run nor the stop, and the status says what the node waits for.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var taken sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	taken.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			taken.Go(func() { <-ctx.Done(); _ = conn.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); cancel(); taken.Wait() })
	url := "http://" + l.Addr().String()
	c := newChain(t, "black-hole")
	for name, o := range map[string]node.Options{"full": c.full(t, url), "sequencer": c.sequencer(t, url, 50*time.Millisecond)} {
		n := start(t, o)
		n.until(t, name+" that names the DA layer and its address", func(s node.Status) bool {
			return !s.Ready && strings.Contains(s.Reason, "DA layer") && strings.Contains(s.Reason, url)
		})
		wantStatus(t, n, "/livez", 200)
		wantStatus(t, n, "/readyz", 503)
		n.stopped(t)
	}
}

// TestSilentThenHere: an endpoint that is silent at the start, with open sockets, and then answers, needs no restart of the node.
func TestSilentThenHere(t *testing.T) {
	t.Parallel()
	st := newStage(t, 100*time.Millisecond)
	st.link.Freeze(true)
	c := newChain(t, "silent")
	o := c.sequencer(t, "http://"+st.link.Address(), 50*time.Millisecond)
	n := start(t, o)
	n.until(t, "unready", unready)
	st.link.Freeze(false)
	n.until(t, "going on", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 3 })
	st.link.Freeze(true) // a stop does not wait for the submission under way
	n.until(t, "stalled with blocks pending", func(s node.Status) bool { return !s.Ready && s.Sequencer.Pending > 3 })
	n.stopped(t)
}

// TestAnotherDAChain: a DA layer that comes back as another one, with a shorter or a longer history, is told from one that is merely behind: the node keeps what it has, is unready,
// says why, and goes on when the right one is back (I10).
func TestAnotherDAChain(t *testing.T) {
	t.Parallel()
	st := newStage(t, 50*time.Millisecond)
	n := start(t, newChain(t, "other").full(t, "http://"+st.listen))
	position := n.until(t, "beyond 20", func(s node.Status) bool { return s.Source.Position.Height > 20 }).Source.Position.Height
	st.stopDA()

	other, stop := daLayer(t, st.listen, "", 50*time.Millisecond)
	says := func(s node.Status) bool { return strings.Contains(s.Reason, "another chain") && !s.Ready }
	shorter := n.until(t, "told of another chain", says)
	if _, err := other.Chain().Head().Wait(bounded(t), func(h headOf) bool { return h.Height > position+20 }); err != nil {
		t.Fatal(err)
	}
	longer := n.until(t, "told of another, longer chain", func(s node.Status) bool { return says(s) && s.Source.Head.Height > position+20 })
	if shorter.Source.Position != longer.Source.Position {
		t.Errorf("got the position %d, then %d, on another chain, want it untouched", shorter.Source.Position.Height, longer.Source.Position.Height)
	}
	stop()
	st.startDA(50 * time.Millisecond)
	n.until(t, "going on", func(s node.Status) bool { return s.Ready && s.Source.Position.Height > longer.Source.Head.Height })
	n.stopped(t)
}

// TestStatusTellsWhatIsStored is P6: no status names a block that the node does not have, and safe heads only rise (I2).
func TestStatusTellsWhatIsStored(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 20*time.Millisecond)
	c := newChain(t, "stored")
	seq := start(t, c.sequencer(t, d.URL(), 20*time.Millisecond))
	full := start(t, c.full(t, d.URL()))
	ctx := bounded(t)
	for _, n := range []*running{seq, full} {
		var before node.Status
		for before.Heads.Safe.Height < 60 {
			s, changed := n.Status().Get()
			for _, ref := range []block.Ref{s.Heads.Unsafe, s.Heads.Safe} {
				if ref.Height == 0 {
					continue
				}
				if b, err := n.Block(ref.Height); err != nil || b.Hash != ref.Hash.String() {
					t.Fatalf("status names block %d %s, got %s (%v) from the store", ref.Height, ref.Hash, b.Hash, err)
				}
			}
			if s.Heads.Safe.Height < before.Heads.Safe.Height || s.Source.Position.Height < before.Source.Position.Height {
				t.Fatalf("got safe %d at DA height %d after %d at %d", s.Heads.Safe.Height, s.Source.Position.Height, before.Heads.Safe.Height, before.Source.Position.Height)
			}
			before = s
			select {
			case <-changed:
			case <-ctx.Done():
				t.Fatalf("no progress: %+v", s)
			}
		}
	}
}

// TestOutage: while the DA layer is away the sequencer makes blocks up to its bound, then pauses and says so; when it is back the sequencer goes on, and everything it made, with the
// transactions it took meanwhile, is posted.
func TestOutage(t *testing.T) {
	t.Parallel()
	const most = 8
	st := newStage(t, 50*time.Millisecond)
	c := newChain(t, "outage")
	o := c.sequencer(t, "http://"+st.link.Address(), 20*time.Millisecond)
	o.Config.Sequencer.MaxPending = most
	var mu sync.Mutex
	var safe, unsafe, pending uint64 // the most blocks that ever waited
	o.Observer.Applied = func(a node.Applied) {
		mu.Lock()
		defer mu.Unlock()
		if unsafe = max(unsafe, a.Ref.Height); a.Safe {
			safe = a.Ref.Height
		}
		pending = max(pending, unsafe-safe)
	}
	n := start(t, o)
	full := start(t, c.full(t, "http://"+st.listen))
	n.until(t, "making blocks", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 5 })
	for round := range 2 {
		st.link.Cut(true)
		s := n.until(t, "paused", func(s node.Status) bool { return s.Sequencer.Paused != "" && s.Sequencer.Failure != "" && !s.Ready })
		if s.Sequencer.Pending != most || !strings.Contains(s.Sequencer.Paused, fmt.Sprintf("%d blocks wait for inclusion", most)) {
			t.Errorf("got %+v, want a pause with %d blocks pending", s.Sequencer, most)
		}
		for _, w := range s.Waiting {
			if w.Since.IsZero() {
				t.Errorf("got %+v, want since when it waits", w)
			}
		}
		if err := n.SubmitTx(t.Context(), fmt.Appendf(nil, "round=%d", round)); err != nil {
			t.Errorf("submit during the pause: %v", err)
		}
		if now := n.Status().Load(); now.Heads.Unsafe != s.Heads.Unsafe {
			t.Errorf("got block %d during the pause at %d", now.Heads.Unsafe.Height, s.Heads.Unsafe.Height)
		}
		st.link.Cut(false)
		n.until(t, "going on", func(now node.Status) bool {
			return now.Ready && now.Sequencer.Paused == "" && now.Sequencer.Failure == "" && now.Heads.Safe.Height > s.Heads.Unsafe.Height+5
		})
		waitValue(t, full, "round", fmt.Sprint(round))
	}
	height := n.until(t, "there", func(node.Status) bool { return true }).Heads.Safe.Height
	full.until(t, "level", func(s node.Status) bool { return s.Heads.Safe.Height >= height })
	for h := uint64(1); h <= height; h++ {
		a, errA := n.Block(h)
		b, errB := full.Block(h)
		if err := errors.Join(errA, errB); err != nil || a.Hash != b.Hash {
			t.Fatalf("block %d: got %s on the full node, want %s: %v", h, b.Hash, a.Hash, err)
		}
	}
	if s := n.Status().Load(); s.Counts.RevertedUnsafe != 0 || s.Counts.Produced < s.Heads.Unsafe.Height {
		t.Errorf("got %+v for %d blocks, want none reverted", s.Counts, s.Heads.Unsafe.Height)
	}
	n.stopped(t)
	mu.Lock()
	defer mu.Unlock()
	if pending != most {
		t.Errorf("got at most %d blocks pending, want %d and never more", pending, most)
	}
}

// TestSilentEndpoint: of two endpoints one falls silent with its connections open. The node goes on with the other one,
// and its status says which one is silent, for as long as it is.
func TestSilentEndpoint(t *testing.T) {
	t.Parallel()
	const blockTime = 200 * time.Millisecond
	d, _ := daLayer(t, "127.0.0.1:0", "", blockTime)
	live, stalled := link(t, d.URL()), link(t, d.URL())
	o := newChain(t, "one-silent").full(t, "http://"+live.Address())
	o.Config.DA.Address = append(o.Config.DA.Address, node.At("http://"+stalled.Address())...)
	o.Config.DA.BlockTime = blockTime
	n := start(t, o)
	n.until(t, "subscribed to both", func(s node.Status) bool {
		return s.Ready && s.Source.Endpoints[0].Live && s.Source.Endpoints[1].Live && len(s.Waiting) == 0
	})
	stalled.Freeze(true)
	var w node.Waiting
	s := n.until(t, "ready, and telling which one is silent", func(s node.Status) bool { // on a busy machine other things may wait, too
		at := slices.IndexFunc(s.Waiting, func(w node.Waiting) bool {
			return w.Stage == follow.StageEndpoint && strings.HasPrefix(w.Cause, "http://"+stalled.Address()+" is silent: it has announced nothing for ")
		})
		if at >= 0 {
			w = s.Waiting[at]
		}
		return at >= 0 && s.Ready && s.Source.Endpoints[0].Silent.IsZero()
	})
	if e := s.Source.Endpoints; e[1].Silent != w.Since || s.At.Sub(w.Since) < time.Second || !e[0].Silent.IsZero() {
		t.Errorf("it is silent since %s, the other one since %s, at %s; told since %s", e[1].Silent, e[0].Silent, s.At, w.Since)
	}
	stalled.Freeze(false)
	n.until(t, "well again", func(s node.Status) bool {
		return s.Ready && len(s.Waiting) == 0 && s.Source.Endpoints[1].Live && s.Source.Endpoints[1].Silent.IsZero()
	})
	n.stopped(t)
}

// A DA layer whose chain has begun anew, of which a node has read more than there is now, is told as that: the node does
// not wait for the chain's blocks, nor call itself at the head. Of the newest 256 heights it knows what they held.
func TestLayerBegunAnew(t *testing.T) {
	for name, c := range map[string]struct {
		length int
		stage  follow.Stage
		reason string
	}{
		"its first height is known":     {60, follow.StageRevert, "serves another chain than the one followed so far, or its chain has begun anew: its item "},
		"its first height is forgotten": {400, follow.StageHead, "and this home has read it up to "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, stop := daLayer(t, "127.0.0.1:0", "", time.Hour)
			for range c.length {
				if _, err := d.Chain().Produce(); err != nil {
					t.Fatal(err)
				}
			}
			last := d.Chain().Head().Load().Height
			address := strings.TrimPrefix(d.URL(), "http://")
			o := newChain(t, "anew").full(t, d.URL())
			n := start(t, o)
			n.until(t, "at the last height", func(s node.Status) bool { return s.Source.Position.Height == last })
			n.stopped(t)
			stop()
			_, _ = daLayer(t, address, "", time.Second)
			n = start(t, o)
			n.until(t, "saying that the layer has begun anew", func(s node.Status) bool {
				return !s.Ready && s.Stage == c.stage && strings.Contains(s.Reason, c.reason) && strings.Contains(s.Reason, "has begun anew")
			})
		})
	}
}
