package node_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/da"
	"headrace/da/local"
	"headrace/exec"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/l1"
	locall1 "headrace/l1/local"
	"headrace/node"
)

// hanging is an engine some of whose calls do not return, or fail, while there is trouble.
type hanging struct {
	*kv.Engine
	trouble
}

func (e *hanging) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	for e.is("execute hangs") != nil && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond) // the engine's own time
	}
	if err := e.is("execute"); err != nil {
		return nil, err
	}
	return e.Engine.Execute(ctx, b)
}

func (e *hanging) Head(ctx context.Context) (exec.Head, error) {
	if err := e.is("head"); err != nil {
		return exec.Head{}, err
	}
	return e.Engine.Head(ctx)
}

// ailing is a sequencer and a full node in a bubble, either of which can have trouble.
type ailing struct {
	*healthy
	seq, full     *node.Node
	seqs, fulls   trouble
	stopSeq, stop context.CancelFunc
	pause         chan struct{}    // empty: the layer makes no block
	clock         func() time.Time // the sequencer's; nil: a right one
	l1            *locall1.Chain
}

const layerTime = 6 * time.Second

func newAiling(t *testing.T, onL1 bool) *ailing { return newAilingWith(t, onL1, nil) }

// newAilingWith is newAiling with a log of the full node.
func newAilingWith(t *testing.T, onL1 bool, log *slog.Logger) *ailing {
	return newAilingAs(t, onL1, func(_ *ailing, full *node.Options) { full.Logger = log })
}

// newAilingAs is newAiling with other options of the full node, or trouble from the start on.
func newAilingAs(t *testing.T, onL1 bool, change func(a *ailing, full *node.Options)) *ailing {
	h := &healthy{T: t, chain: newChain(t, "well")}
	a := &ailing{healthy: h, seqs: trouble{new(sync.Map)}, fulls: trouble{new(sync.Map)}, pause: make(chan struct{}, 1)}
	a.pause <- struct{}{}
	ctx, stop := context.WithCancel(t.Context())
	a.stop = stop
	seq, full := h.sequencer(time.Second, false), h.full()
	change(a, &full)
	seq.Clock = a.clock
	seq.Config.DA.MaxSubmitBytes = 100_000
	mine := func() {}
	if onL1 {
		h.chain.genesis.DA, h.chain.genesis.DAStartHeight = nil, 0
		h.chain.genesis.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x00000000000000000000000000000000000000aa", StartBlock: 1}
		a.l1 = locall1.New(locall1.Options{Finality: 8})
		seq.Config.L1.BlockTime, full.Config.L1.BlockTime = layerTime.String(), layerTime.String()
		seq = seq.OnL1(newL1Near(a.l1, a.seqs), &proposing{a.l1.Proposer(l1.Address{1}), a.seqs})
		full = full.OnL1(newL1Near(a.l1, a.fulls), nil)
		mine = func() { a.l1.Mine() }
	} else {
		chain, err := local.New(local.Options{Interval: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = chain.Close() })
		late := func() time.Duration { return layerTime / 10 }
		namespaces := []da.Namespace{da.NamespaceFromName("well-headers"), da.NamespaceFromName("well-data")}
		seq, full = seq.OnDA(newDANear(chain, namespaces, late, a.seqs)), full.OnDA(newDANear(chain, namespaces, late, a.fulls))
		mine = func() {
			if _, err := chain.Produce(); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
		for range 10 {
			time.Sleep(layerTime)
			mine()
		}
	}
	h.work.Go(func() {
		for ctx.Err() == nil {
			time.Sleep(layerTime)
			select {
			case token := <-a.pause:
				mine()
				a.pause <- token
			case <-ctx.Done():
			}
		}
	})
	seqCtx, stopSeq := context.WithCancel(ctx)
	a.stopSeq = stopSeq
	a.seq, a.full = a.start(seqCtx, seq, a.seqs), a.start(ctx, full, a.fulls)
	return a
}

// proposing is an account whose proposals get no answer while there is trouble.
type proposing struct {
	l1.Proposer
	trouble
}

func (p *proposing) Propose(ctx context.Context, d l1.Draft) (l1.Inclusion, error) {
	if p.is("submit hangs") != nil {
		<-ctx.Done()
		return l1.Inclusion{}, fmt.Errorf("%w: %w", l1.ErrUnknownOutcome, ctx.Err())
	}
	return p.Proposer.Propose(ctx, d)
}

func (a *ailing) start(ctx context.Context, opt node.Options, t trouble) *node.Node {
	state, err := kv.Open("kv", kv.Options{FS: vfs.NewMem(), InitialHeight: 1})
	if err != nil {
		a.Fatal(err)
	}
	opt.Engine = &hanging{state, t}
	n, run, err := node.Unserved(node.OnDisks(opt, vfs.NewMem(), nil))
	if err != nil {
		a.Fatal(err)
	}
	a.work.Go(func() {
		if err := run(ctx); !errors.Is(err, context.Canceled) {
			a.Error(err)
		}
		_ = state.Close()
	})
	return n
}

// until waits, on the bubble's clock, for a status.
func (a *ailing) until(n *node.Node, what string, pred func(node.Status) bool) node.Status {
	a.Helper()
	ctx, cancel := context.WithTimeout(a.Context(), 10*time.Minute)
	defer cancel()
	s, err := n.Status().Wait(ctx, pred)
	if err != nil {
		a.Fatalf("not %s: %v: ready %t, %s (%s), %+v, safe %d", what, err, s.Ready, s.Reason, s.Stage, s.Waiting, s.Heads.Safe.Height)
	}
	return s
}

// TestNotReady: whatever keeps a node from serving the chain's head, it says within three block times of the layer, or
// of its own pace, that it is not ready, at which stage, and in which words; it names what waits; and when it is over it
// is ready again by itself, with nothing waited for (I5).
func TestNotReady(t *testing.T) {
	slots := layerTime / 2 // more on an L1
	for name, c := range map[string]struct {
		l1     bool
		seq    bool          // the trouble is the sequencer's
		with   string        // what there is trouble with
		begin  func(*ailing) // or what happens
		end    func(*ailing) // nil: nothing ends it
		stages string        // one of these
		says   string        // the reason
		within time.Duration // of the last thing that went well
		last   func(node.Status) time.Time
	}{
		"a subscription that is lost":      {with: "subscribe", stages: "subscribe", says: "trouble with subscribe", within: 3 * layerTime},
		"heights that cannot be read":      {with: "fetch", stages: "fetch", says: "trouble with fetch", within: 3 * layerTime},
		"heights that do not come":         {with: "fetch hangs", stages: "fetch", says: "it was announced", within: 3 * layerTime},
		"a layer that stands":              {begin: func(a *ailing) { <-a.pause }, end: func(a *ailing) { a.pause <- struct{}{} }, stages: "head", says: "no new DA block for 18s", within: 3 * layerTime},
		"a proof that does not come":       {with: "prove", stages: "prove", says: "trouble with prove", within: 3 * layerTime, last: func(s node.Status) time.Time { return s.Waiting[0].Since }},
		"a sequencer that stops":           {begin: func(a *ailing) { a.stopSeq() }, stages: "chain", says: "brings no new block of the chain for 18s", within: 3 * layerTime},
		"an engine that hangs":             {with: "execute hangs", stages: "execute", says: "has not answered for", within: 3 * layerTime},
		"an engine that refuses":           {with: "execute", stages: "execute", says: "trouble with execute", within: 3 * layerTime},
		"a submission without an answer":   {seq: true, with: "submit hangs", stages: "submit", says: "which has not answered for", within: 3 * layerTime},
		"submissions that are refused":     {seq: true, with: "submit", stages: "submit", says: "submission rejected", within: 3 * layerTime},
		"an L1 that stands":                {l1: true, begin: func(a *ailing) { <-a.pause }, end: func(a *ailing) { a.pause <- struct{}{} }, stages: "head", says: "no new L1 block for 21s", within: 3*layerTime + slots},
		"an L1 whose subscription is lost": {l1: true, with: "subscribe", stages: "subscribe", says: "trouble with subscribe", within: 3*layerTime + slots},
		"L1 blocks that cannot be read":    {l1: true, with: "fetch", stages: "fetch", says: "trouble with fetch", within: 3*layerTime + slots},
		"L1 blocks that do not come":       {l1: true, with: "fetch hangs", stages: "fetch", says: "it was announced", within: 3*layerTime + slots},
		"a proposal without an answer":     {l1: true, seq: true, with: "submit hangs", stages: "submit", says: "which has not answered for", within: 3*layerTime + slots},
		"an account that may not propose": {
			l1: true, seq: true, begin: func(a *ailing) { a.l1.SetProposers(l1.Address{2}) }, end: func(a *ailing) { a.l1.SetProposers() },
			stages: "submit", says: "may not propose: have the inbox's owner let it", within: 3*layerTime + slots,
		},
		"an L1 chain whose sequencer stops": {l1: true, begin: func(a *ailing) { a.stopSeq() }, stages: "chain", says: "the L1 brings no new block of the chain for 21s", within: 3*layerTime + slots},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := newAiling(t, c.l1)
				defer a.work.Wait()
				defer a.stop()
				n, with := a.full, a.fulls
				if c.seq {
					n, with = a.seq, a.seqs
				}
				a.until(n, "well", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 30 && s.Chain.Quiet != "" })
				begin, end := c.begin, c.end
				if c.with != "" {
					begin, end = func(*ailing) { with.with.Store(c.with, true) }, func(*ailing) { with.with.Delete(c.with) }
				}
				begin(a)
				s := a.until(n, "not ready", unready)
				last := s.Chain.SafeAt
				if c.last != nil {
					last = c.last(s)
				}
				if after := time.Since(last); after > c.within {
					t.Errorf("not ready %s after what went well last, want %s at most", after, c.within)
				}
				if !strings.Contains(c.stages, s.Stage.String()) || !strings.Contains(s.Reason, c.says) || s.Remedy != s.Stage.Remedy() || len(s.Waiting) == 0 {
					t.Errorf("got %q (%s), %q and %+v, want %q (%s)", s.Reason, s.Stage, s.Remedy, s.Waiting, c.says, c.stages)
				}
				first := s.Waiting[0]
				time.Sleep(30 * time.Second)
				if s = n.Status().Load(); s.Ready || len(s.Waiting) == 0 || s.Waiting[0].Stage == first.Stage && !s.Waiting[0].Since.Equal(first.Since) {
					t.Errorf("30 s later: ready %t, %+v, want it since %s", s.Ready, s.Waiting, first.Since)
				}
				if end == nil {
					return
				}
				end(a)
				a.until(n, "ready again", func(now node.Status) bool {
					return now.Ready && len(now.Waiting) == 0 && now.Heads.Safe.Height > s.Heads.Safe.Height+10
				})
			})
		})
	}
}

// A sequencer that makes more than the layer takes is not ready, though each submission is answered at once.
func TestNotReadyFarBehindPosting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAiling(t, false)
		defer a.work.Wait()
		defer a.stop()
		a.until(a.seq, "well", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 30 })
		for i := 0; a.seq.Status().Load().Ready; i++ { // a block each second holds what is posted in one layer block
			if i > 300 {
				t.Fatalf("ready with %d blocks to be posted", a.seq.Status().Load().Sequencer.Pending)
			}
			if err := a.seq.SubmitTx(t.Context(), fmt.Appendf(nil, "k=%090000d", i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		s := a.seq.Status().Load()
		if s.Stage != follow.StagePost || !strings.Contains(s.Reason, "is not on the DA layer yet") || len(s.Waiting) == 0 {
			t.Errorf("got %q (%s), %+v", s.Reason, s.Stage, s.Waiting)
		}
		if oldest := time.Since(s.Waiting[len(s.Waiting)-1].Since); oldest > 3*layerTime+time.Second { // it is looked at each second
			t.Errorf("it is the turn of the oldest block since %s", oldest)
		}
		a.until(a.seq, "ready again", func(s node.Status) bool { return s.Ready && s.Sequencer.Pending < 10 })
	})
}

// A sequencer is ready whatever its clock says, while its blocks are posted as fast as ever: also if their times stand
// still, since the clock was put back a day, or are those that the source shows.
func TestReadyWithAWrongClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"a day ahead": 24 * time.Hour, "a day behind": -24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var wrong atomic.Bool
				a := newAilingAs(t, false, func(a *ailing, _ *node.Options) {
					a.clock = func() time.Time {
						if wrong.Load() {
							return time.Now().Add(off)
						}
						return time.Now()
					}
				})
				defer a.work.Wait()
				defer a.stop()
				a.until(a.seq, "well", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 30 })
				wrong.Store(true)
				a.until(a.seq, "told of the clock", func(s node.Status) bool { return s.Sequencer.Clock != "" })
				for before, end := a.seq.Status().Load(), time.Now().Add(5*time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
					if s := a.seq.Status().Load(); !s.Ready {
						t.Fatalf("not ready %s after the clock was put %s, with %d blocks safe since then: %s", 5*time.Minute-time.Until(end), off, s.Heads.Safe.Height-before.Heads.Safe.Height, s.Reason)
					}
				}
			})
		})
	}
}

// buildsLate is an engine whose blocks take as long as a test wants.
type buildsLate struct {
	*kv.Engine
	begun chan struct{} // gets a token when a block is asked for, if there is room; nil: it gets none
	held  chan struct{} // closed: it builds
}

func (e *buildsLate) Build(ctx context.Context, height, at uint64, most int) ([][]byte, error) {
	select {
	case e.begun <- struct{}{}:
	default:
	}
	select {
	case <-e.held:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return e.Engine.Build(ctx, height, at, most)
}

// A sequencer whose engine does not return a block says so within three of its own block times, or a second, and not
// before: a minute between blocks is nothing that the layer's clock could tell.
func TestNotReadyWithoutABlock(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	state, err := kv.Open(t.TempDir(), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	engine := &buildsLate{state, nil, make(chan struct{})}
	o := newChain(t, "builds").sequencer(t, d.URL(), 500*time.Millisecond)
	o.Engine = engine
	n := start(t, o)
	s := n.until(t, "without a block", func(s node.Status) bool {
		return !s.Ready && s.Stage == follow.StageProduce && s.Sequencer.Paused == ""
	})
	if !strings.Contains(s.Reason, "one is due each 500ms") && !strings.Contains(s.Reason, "the engine was asked to build") || s.At.Sub(s.Chain.UnsafeAt) < time.Second {
		t.Errorf("got %q after %s", s.Reason, s.At.Sub(s.Chain.UnsafeAt))
	}
	close(engine.held)
	n.until(t, "ready", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height > 2 && len(s.Waiting) == 0 })
	n.stopped(t)
}
