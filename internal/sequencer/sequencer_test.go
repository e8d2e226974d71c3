package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/da"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
)

// newSequencer returns a sequencer for m, posting through submitter.
func newSequencer(w *syncertest.World, m *syncertest.Machine, f *follow.Follower[*syncer.Checked], submitter da.Submitter, edit func(*sequencer.Config)) *sequencer.Sequencer {
	w.T.Helper()
	cfg := sequencer.Config{
		Syncer: m.Syncer, Builder: m.KV, Key: w.Key, Submitter: submitter,
		HeaderNamespace: syncertest.HeaderNS, DataNamespace: syncertest.DataNS, BlockTime: 50 * time.Millisecond, Source: f.State(),
		CaughtUp: func(ctx context.Context) error {
			_, err := f.State().Wait(ctx, func(s follow.State) bool { return s.Live })
			return err
		},
	}
	if edit != nil {
		edit(&cfg)
	}
	q, err := sequencer.New(cfg)
	if err != nil {
		w.T.Fatal(err)
	}
	return q
}

// A sequencer and two full nodes, one of them late, end with the same blocks; the sequencer promotes its own without
// executing them again; nothing is fetched at the head.
func TestSequencerAndFullNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, 200*time.Millisecond)
		seq, full, late := w.Open(syncertest.NewHome(), nil), w.Open(syncertest.NewHome(), nil), w.Open(syncertest.NewHome(), nil)
		sf, ff, lf := w.Follower(seq), w.Follower(full), w.Follower(late)
		q := newSequencer(w, seq, sf, w.Chain, nil)
		stop := syncertest.Run(t, w.Chain.Run, sf.Run, ff.Run, q.Run)
		for round := range 20 {
			seq.Load(t, round, 10)
			time.Sleep(300 * time.Millisecond)
		}
		stopLate := syncertest.Run(t, lf.Run)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		syncertest.Agree(t, 100, seq, full, late)
		if c := seq.Status().Load().Counts; c.Executed != 0 || c.Promoted == 0 || c.Produced < c.Promoted {
			t.Errorf("sequencer: got %+v, want its own blocks promoted and none executed again", c)
		}
		if s := ff.State().Load(); s.Counts.Fetched > 1 {
			t.Errorf("%d items fetched at the head, want at most the first", s.Counts.Fetched)
		}
		if v, ok, err := late.KV.Get([]byte("key-3")); err != nil || !ok || string(v) != "19/3" {
			t.Errorf("late node has key-3 = %q, %v, %v; want 19/3", v, ok, err)
		}
		stopLate()
		stop()
		for _, m := range []*syncertest.Machine{seq, full, late} {
			m.Close()
		}
	})
}

// TestCrashes kills the disks of a sequencer and of a full node at random moments, losing a random part of what was
// not synced, engine and store each for itself. At the end all agree: nothing is applied twice, missed, or signed
// twice (I2, I4).
func TestCrashes(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { crashes(t, rand.New(rand.NewPCG(uint64(seed), 2))) })
		})
	}
}

func crashes(t *testing.T, r *rand.Rand) {
	w := syncertest.NewWorld(t, 100*time.Millisecond)
	witness := &signatures{seen: map[uint64]block.Hash{}}
	stopChain := syncertest.Run(t, w.Chain.Run)
	homes := []*syncertest.Home{syncertest.NewHome(), syncertest.NewHome()}
	for round := range 15 {
		machines := make([]*syncertest.Machine, 2)
		var stops []func()
		for i := range machines {
			machines[i] = w.Open(homes[i], nil)
			f := w.Follower(machines[i])
			parts := []func(context.Context) error{f.Run}
			if i == 0 {
				parts = append(parts, newSequencer(w, machines[0], f, &witnessed{w.Chain, witness}, nil).Run)
				machines[0].Load(t, round, 5)
			}
			stops = append(stops, syncertest.Run(t, parts...))
		}
		time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
		for i, m := range machines {
			witness.note(t, m)
			stops[i]()
			homes[i] = m.Crash(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: r})
		}
	}
	seq, full, fresh := w.Open(homes[0], nil), w.Open(homes[1], nil), w.Open(syncertest.NewHome(), nil)
	sf, ff, nf := w.Follower(seq), w.Follower(full), w.Follower(fresh)
	stop := syncertest.Run(t, sf.Run, ff.Run, nf.Run, newSequencer(w, seq, sf, w.Chain, nil).Run)
	time.Sleep(5 * time.Second)
	synctest.Wait()
	syncertest.Agree(t, 50, seq, full, fresh)
	witness.note(t, seq)
	stop()
	stopChain()
	for _, m := range []*syncertest.Machine{seq, full, fresh} {
		m.Close()
	}
}

// signatures remembers which block was seen at each height, by anyone, ever.
type signatures struct {
	mu   sync.Mutex
	seen map[uint64]block.Hash
}

func (s *signatures) see(t *testing.T, ref block.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.seen[ref.Height]; ok && old != ref.Hash {
		t.Errorf("two blocks were signed and shown for height %d: %s and %s", ref.Height, old, ref.Hash)
	}
	s.seen[ref.Height] = ref.Hash
}

// note looks at all that a machine shows now.
func (s *signatures) note(t *testing.T, m *syncertest.Machine) {
	t.Helper()
	st := m.Status().Load()
	for h := uint64(1); h <= st.Unsafe.Height; h++ {
		rec, err := m.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		s.see(t, rec.Block.Ref())
	}
}

// witnessed shows each submission to a witness.
type witnessed struct {
	da.Submitter
	w *signatures
}

func (s *witnessed) Submit(ctx context.Context, blobs []da.Blob) (uint64, error) {
	for _, b := range blobs {
		if h, err := block.DecodeSignedHeader(b.Data); err == nil && b.Namespace == syncertest.HeaderNS {
			s.w.mu.Lock()
			if old, ok := s.w.seen[h.Header.Height]; ok && old != h.Header.Hash() {
				s.w.mu.Unlock()
				return 0, fmt.Errorf("second block posted for height %d", h.Header.Height)
			}
			s.w.seen[h.Header.Height] = h.Header.Hash()
			s.w.mu.Unlock()
		}
	}
	return s.Submitter.Submit(ctx, blobs)
}

// An engine that lost everything, or that is ahead of the store, or on another branch, is brought to where the store
// is.
func TestEngineIsBroughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, 100*time.Millisecond)
		seq := w.Open(syncertest.NewHome(), nil)
		sf := w.Follower(seq)
		stop := syncertest.Run(t, w.Chain.Run, sf.Run, newSequencer(w, seq, sf, w.Chain, nil).Run)
		seq.Load(t, 1, 20)
		time.Sleep(2*time.Second + 13*time.Millisecond) // between two blocks: what is signed and not executed would be a block more
		synctest.Wait()
		stop()
		h := seq.Home
		top := seq.Status().Load().Unsafe
		seq.Close()

		lost := w.Open(&syncertest.Home{Store: h.Store, Engine: vfs.NewCrashableMem()}, nil)
		if _, err := lost.Produce(t.Context(), nothing); err != nil {
			t.Fatal(err)
		}
		if head, _ := lost.KV.Head(t.Context()); head.Height != top.Height || head.Hash != top.Hash {
			t.Fatalf("engine stands at %v, want %v", head, top)
		}
		if c := lost.Status().Load().Counts; c.Replayed != top.Height {
			t.Fatalf("%d blocks replayed, want %d", c.Replayed, top.Height)
		}
		lost.Close()

		ahead := w.Open(h, nil)
		sign := func(parent exec.Head, tx string) *block.Block {
			hd := block.Header{Height: parent.Height + 1, ChainID: "test", ProposerAddress: w.Genesis.ProposerAddress, LastHeaderHash: parent.Hash[:], AppHash: parent.Root}
			d := block.Data{Metadata: block.Metadata{ChainID: "test", Height: hd.Height}, Txs: [][]byte{[]byte(tx)}}
			c := d.Commitment()
			hd.DataHash = c[:]
			s, err := block.SignHeader(w.Key, hd)
			if err != nil {
				t.Fatal(err)
			}
			return &block.Block{Header: s, Data: d}
		}
		// Two blocks ahead, then another branch below: what a crash between execution and commit, and a restored
		// backup, leave behind.
		for _, back := range []uint64{0, 3} {
			if err := ahead.KV.Revert(t.Context(), top.Height-back); err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				head, err := ahead.KV.Head(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := ahead.KV.Execute(t.Context(), sign(head, fmt.Sprintf("stray=%d", i))); err != nil {
					t.Fatal(err)
				}
			}
			again, err := syncer.OpenDA(syncer.Config{Genesis: w.Genesis, Derive: w.Derive(), Store: ahead.Store, Engine: ahead.KV})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := again.Produce(t.Context(), nothing); err != nil {
				t.Fatal(err)
			}
			if head, _ := ahead.KV.Head(t.Context()); head.Hash != top.Hash {
				t.Fatalf("back %d: engine stands at %v, want %v", back, head, top)
			}
			if _, ok, _ := ahead.KV.Get([]byte("stray")); ok {
				t.Fatalf("back %d: the stray blocks' effect is still there", back)
			}
		}
		ahead.Close()
	})
}

func nothing(context.Context, syncer.Parent) (*block.Block, error) { return nil, nil }

// An engine that fails, once or for a while, stalls the chain with the cause and loses nothing; failing after it has
// executed is no different (I4).
func TestEngineFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, 100*time.Millisecond)
		flaky := &flaky{}
		seq, full := w.Open(syncertest.NewHome(), nil), w.Open(syncertest.NewHome(), flaky.wrap)
		sf, ff := w.Follower(seq), w.Follower(full)
		stop := syncertest.Run(t, w.Chain.Run, sf.Run, ff.Run, newSequencer(w, seq, sf, w.Chain, nil).Run)
		for round := range 10 {
			flaky.set(round%2 == 0, round%3 == 0)
			seq.Load(t, round, 3)
			time.Sleep(700 * time.Millisecond)
			if round == 4 {
				synctest.Wait()
				if s := full.Status().Load(); s.Stage.Name != follow.StageExecute || !strings.Contains(s.Stage.Cause, "flaky") {
					t.Errorf("stage is %+v, want the engine's failure", s.Stage)
				}
			}
		}
		flaky.set(false, false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		syncertest.Agree(t, 50, seq, full)
		if s := full.Status().Load(); s.Stage != (syncer.Stage{}) {
			t.Errorf("stage is still %+v", s.Stage)
		}
		stop()
		seq.Close()
		full.Close()
	})
}

// flaky is an engine that fails before it executes, or after.
type flaky struct {
	exec.Engine
	mu            sync.Mutex
	before, after bool
}

var errFlaky = errors.New("flaky engine")

func (f *flaky) wrap(e exec.Engine) exec.Engine { f.Engine = e; return f }
func (f *flaky) set(before, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}
func (f *flaky) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	f.mu.Lock()
	before, after := f.before, f.after
	f.mu.Unlock()
	if before {
		return nil, errFlaky
	}
	root, err := f.Engine.Execute(ctx, b)
	if after {
		return nil, errFlaky
	}
	return root, err
}
