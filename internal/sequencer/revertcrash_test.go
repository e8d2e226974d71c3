package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/disk/disktest"
	"headrace/internal/sequencer"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

// dyingHome is a home whose disks die together: from an operation of the store's on, nothing reaches either.
type dyingHome struct {
	*syncertest.Home
	store, engine *vfs.MemFS
	faulty, other *disktest.FaultFS // the store's, and the engine's
}

func newDyingHome() *dyingHome {
	h := &dyingHome{store: vfs.NewCrashableMem(), engine: vfs.NewCrashableMem()}
	h.other = &disktest.FaultFS{FS: h.engine, At: -1, Lasts: true}
	h.faulty = &disktest.FaultFS{FS: h.store, At: -1, Lasts: true}
	h.faulty.Before = func(int) {
		if h.faulty.Failed() {
			h.other.FailNext()
		}
	}
	h.Home = &syncertest.Home{Store: h.faulty, Engine: h.other}
	return h
}

// left is what a crash leaves: all that was written if the process alone died, which is for kept < 0; else what was
// synced, and that share of the rest.
func (h *dyingHome) left(kept int) *syncertest.Home {
	if kept < 0 {
		return &syncertest.Home{Store: h.store, Engine: h.engine}
	}
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rand.New(rand.NewPCG(uint64(kept), 3))}
	return &syncertest.Home{Store: h.store.CrashClone(cfg), Engine: h.engine.CrashClone(cfg)}
}

// dyingSink is a sink whose node dies before a step: an item that is applied, or reverted.
type dyingSink struct {
	follow.Sink[l1.Block]
	left atomic.Int64 // steps; below zero: it lives
	die  func()
}

func (s *dyingSink) step() error {
	if s.left.Add(-1) != 0 {
		return nil
	}
	s.die()
	return follow.Fatal(errors.New("dead"))
}

func (s *dyingSink) Apply(ctx context.Context, item follow.Item[l1.Block]) error {
	if err := s.step(); err != nil {
		return err
	}
	return s.Sink.Apply(ctx, item)
}

func (s *dyingSink) Revert(ctx context.Context) error {
	if err := s.step(); err != nil {
		return err
	}
	return s.Sink.Revert(ctx)
}

// background runs parts until stop, whatever they return.
func background(t *testing.T, parts ...func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(func() { _ = part(ctx) })
	}
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

// A node dies at each step of a reorg of its L1: before each revert, before each block of the new branch, and at each
// operation of its store's disk from the moment at which the L1 is on another branch. When it is back, every block that
// anybody has seen is in the chain, no height has been signed twice, no proposal is void, and both nodes agree. So it is
// when the power fails, and what was not synced is lost.
func TestCrashWithinAReorg(t *testing.T) {
	for _, victim := range []string{"sequencer", "full node"} {
		for name, kept := range map[string]int{"killed": -1, "power lost": 0, "half of it lost": 50} {
			t.Run(victim+" "+name, func(t *testing.T) {
				t.Parallel()
				half := 0
				try := func(at crashPoint) (died bool) {
					synctest.Test(t, func(t *testing.T) {
						var within bool
						if died, within = crashInReorg(t, victim, kept, at); within {
							half++
						}
						if t.Failed() {
							t.Fatalf("died at %+v", at)
						}
					})
					return died && !t.Failed()
				}
				step, op := 1, 0
				for try(crashPoint{step: step}) && step < 14 {
					step++
				}
				for try(crashPoint{op: op}) && op < 40 {
					op += disktest.Sparse(5)
				}
				if !t.Failed() && (step < 8 || op < 2 || kept < 0 && half < 3) {
					t.Errorf("%d steps, %d operations, %d times half of the branch was reverted: the test tests nothing", step, op, half)
				}
			})
		}
	}
}

// crashPoint is where a node dies: before a step of its sink, the first being 1, or at an operation on its store.
type crashPoint struct{ step, op int }

// crashInReorg lets the victim die after a reorg. It reports whether it did, and whether some of the old branch was
// reverted then, and some not.
func crashInReorg(t *testing.T, victim string, kept int, at crashPoint) (died, half bool) {
	w := syncertest.NewWorld(t, -1)
	chain := local.New(local.Options{BlockTime: time.Second, ForcedDelay: 3600})
	shown := &signatures{seen: map[uint64]block.Hash{}}
	looker := func(m *syncertest.Machine) func(context.Context) error {
		return func(ctx context.Context) error {
			for last := (block.Ref{}); ; {
				s, err := m.Status().Wait(ctx, func(s syncer.Status) bool { return s.Unsafe != last })
				if err != nil {
					return err
				}
				last = s.Unsafe
				shown.see(t, last)
			}
		}
	}
	run := func(m *syncertest.Machine, sink follow.Sink[l1.Block], isSequencer bool) (stop func()) {
		f := follow.New(chain, sink, follow.Options{})
		parts := []func(context.Context) error{f.Run, looker(m)}
		if isSequencer {
			q, err := sequencer.New(sequencer.Config{
				Syncer: m.Syncer, Builder: m.KV, Key: w.Key, BlockTime: 300 * time.Millisecond, SubmitTimeout: func() time.Duration { return 10 * time.Second },
				Proposer: chain.Proposer(l1.Address{1}), Inbox: chain,
				CaughtUp: func(ctx context.Context) error {
					_, err := f.State().Wait(ctx, func(s follow.State) bool { return s.Live })
					return err
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, q.Run)
		}
		return background(t, parts...)
	}
	homes := map[string]*dyingHome{"sequencer": newDyingHome(), "full node": newDyingHome()}
	machines, stops := map[string]*syncertest.Machine{}, map[string]func(){}
	stopChain := background(t, chain.Run)
	sinks := map[string]*dyingSink{}
	for name, h := range homes {
		m := w.OpenL1(h.Home, nil)
		sinks[name] = &dyingSink{Sink: m.L1, die: func() {
			if kept < 0 { // what was written has reached the system
				if err := errors.Join(m.Store.Sync(), m.KV.Sync()); err != nil {
					t.Error(err)
				}
			}
			h.faulty.FailNext()
			h.other.FailNext()
		}}
		machines[name], stops[name] = m, run(m, sinks[name], name == "sequencer")
	}
	for i := range 6 {
		if err := machines["sequencer"].KV.SubmitTx(t.Context(), fmt.Appendf(nil, "before-%d=%d", i, i)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	synctest.Wait()

	h := homes[victim]
	before := chain.Head()
	if at.step > 0 {
		sinks[victim].left.Store(int64(at.step))
	} else {
		h.faulty.FailIn(at.op)
	}
	if err := chain.Reorg(before.Number-4, func() {
		for range 5 {
			chain.Mine()
		}
	}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond)
	synctest.Wait()
	if died = h.faulty.Failed() || at.step > 0 && sinks[victim].left.Load() <= 0; died {
		stops[victim]()
		machines[victim].Close()
		m := w.OpenL1(h.left(kept), nil)
		position := m.Status().Load().Position
		half = position.Height > before.Number-4 && position.Height < before.Number
		machines[victim], stops[victim] = m, run(m, m.L1, victim == "sequencer")
	} else { // there were not so many steps
		sinks[victim].left.Store(-1)
		h.faulty.Mend()
	}
	time.Sleep(12 * time.Second)
	synctest.Wait()
	for _, stop := range stops {
		stop()
	}
	stopChain()
	seq, full := machines["sequencer"], machines["full node"]
	syncertest.Agree(t, 40, seq, full)
	safe := full.Status().Load().Safe.Height
	for height, hash := range shown.seen {
		if height > safe {
			continue
		}
		if rec, err := full.Block(height); err != nil || rec.Block.Hash() != hash {
			t.Errorf("block %d: %s was shown, and the chain has another: %v", height, hash, err)
		}
	}
	for name, m := range machines {
		if c := m.Status().Load().Counts; c.Void != 0 || c.Dropped != 0 {
			t.Errorf("%s: got %+v, want no void proposal, and no block dropped", name, c)
		}
		m.Close()
	}
	return died, half
}
