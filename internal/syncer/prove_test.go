package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/syncer/syncertest"
)

// liar is a DA endpoint that hides blobs, and claims to be proven about what it tells. It is the source, and the
// prover that finds it out.
type liar struct {
	follow.Source[da.Block]
	mu      sync.Mutex
	hide    func(height uint64, b da.Blob) bool // nil: nothing
	hidden  map[uint64]bool
	proofs  int
	failing bool
}

func (l *liar) set(edit func(*liar)) { l.mu.Lock(); edit(l); l.mu.Unlock() }

// tell returns the item as the liar tells it, with a claim about each namespace.
func (l *liar) tell(it follow.Item[da.Block]) follow.Item[da.Block] {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := da.Block{Height: it.Data.Height, Time: it.Data.Time}
	for _, blob := range it.Data.Blobs {
		if l.hide != nil && l.hide(b.Height, blob) {
			l.hidden[b.Height] = true
			continue
		}
		b.Blobs = append(b.Blobs, blob)
	}
	if len(it.Data.Blobs) > 0 && len(b.Blobs) == 0 {
		b.Unproven = []da.Claim{{Namespace: syncertest.HeaderNS}, {Namespace: syncertest.DataNS}}
	}
	it.Data = b
	return it
}

func (l *liar) Subscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	return l.Source.Subscribe(ctx, func(u follow.Update[da.Block]) {
		if u.Item != nil {
			it := l.tell(*u.Item)
			u.Item = &it
		}
		update(u)
	})
}

func (l *liar) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	return l.Source.Fetch(ctx, from, to, func(it follow.Item[da.Block]) error { return deliver(l.tell(it)) })
}

// Prove finds a hidden height out, and it is hidden no more.
func (l *liar) Prove(_ context.Context, height uint64, _ [32]byte, _ []da.Claim) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proofs++
	if l.failing {
		return errors.New("endpoint is busy")
	}
	if l.hidden[height] {
		delete(l.hidden, height)
		l.hide = nil
		return fmt.Errorf("height %d: %w", height, da.ErrNotProven)
	}
	return nil
}

// liarBench runs a sequencer on an honest source and a full node on a lying one.
func liarBench(t *testing.T) (w *syncertest.World, seq, full *syncertest.Machine, l *liar, post func(n int)) {
	w = syncertest.NewWorld(t, 100*time.Millisecond)
	seq, full = w.Open(syncertest.NewHome(), nil), w.Open(syncertest.NewHome(), nil)
	t.Cleanup(seq.Close)
	t.Cleanup(full.Close)
	l = &liar{Source: w.Chain.Source(syncertest.HeaderNS, syncertest.DataNS), hidden: map[uint64]bool{}}
	f := follow.New(full.DA.Checked(l), full.DA, follow.Options{Stall: 5 * time.Second})
	syncertest.Run(t, w.Chain.Run, f.Run, full.DA.Prover(l, f.Wake))
	next := uint64(1)
	post = func(n int) {
		produce(t, w, seq, n)
		top := seq.Status().Load().Unsafe.Height
		if _, err := w.Chain.Submit(t.Context(), posted(t, w, seq, 1, next, top+1).Data.Blobs); err != nil {
			t.Fatal(err)
		}
		next = top + 1
		time.Sleep(150 * time.Millisecond)
	}
	return w, seq, full, l, post
}

func wantSafe(t *testing.T, full, seq *syncertest.Machine) {
	t.Helper()
	synctest.Wait()
	got, want := full.Status().Load(), seq.Status().Load()
	if got.Safe != want.Unsafe || string(got.Root) != string(want.Root) {
		t.Fatalf("full node is at %v, want %v; status %+v", got.Safe, want.Unsafe, got)
	}
}

// I7: a height told empty that is not: the position runs ahead, the proof fails, the height is read again, and the
// blocks are there.
func TestFalseEmptyIsFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, seq, full, l, post := liarBench(t)
		post(3)
		wantSafe(t, full, seq)
		l.set(func(l *liar) { l.hide, l.failing = func(uint64, da.Blob) bool { return true }, true })
		post(2)
		time.Sleep(time.Second)
		synctest.Wait()
		st := full.Status().Load()
		if st.Position.Height <= st.Proven.Height || st.Proof == "" {
			t.Fatalf("position %d, proven %d, proof %q; want the position ahead of what is proven, and why", st.Position.Height, st.Proven.Height, st.Proof)
		}
		l.set(func(l *liar) { l.failing = false })
		time.Sleep(15 * time.Second)
		wantSafe(t, full, seq)
		if st := full.Status().Load(); st.Position != st.Proven || st.Proof != "" {
			t.Fatalf("position %d, proven %d, proof %q; want both equal and no failure", st.Position.Height, st.Proven.Height, st.Proof)
		}
	})
}

// A restart between a false empty and its proof forgets what was to be shown, and so reads it again.
func TestRestartBeforeTheProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		m := w.Open(syncertest.NewHome(), nil)
		for h := uint64(1); h <= 5; h++ {
			b := da.Block{Height: h}
			if h >= 3 {
				b.Unproven = []da.Claim{{Namespace: syncertest.DataNS}}
			}
			if err := m.Apply(t.Context(), item(b)); err != nil {
				t.Fatal(err)
			}
		}
		if st := m.Status().Load(); st.Position.Height != 5 || st.Proven.Height != 2 {
			t.Fatalf("position %d, proven %d; want 5 and 2", st.Position.Height, st.Proven.Height)
		}
		home := m.Home
		m.Close()
		again := w.Open(home, nil)
		if got := again.DA.Last(); got.Height != 2 {
			t.Fatalf("a restarted node goes on from %d, want 2, the last proven height", got.Height)
		}
		again.Close()
	})
}

// A source that gives a height's headers and holds back its data is read again when the block stays incomplete.
func TestHeldBackHalfIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, seq, full, l, post := liarBench(t)
		post(3)
		wantSafe(t, full, seq)
		l.set(func(l *liar) { l.hide = func(_ uint64, b da.Blob) bool { return b.Namespace == syncertest.DataNS } })
		post(2)
		l.set(func(l *liar) { l.hide = nil })
		post(1)
		synctest.Wait()
		if st := full.Status().Load(); st.Safe.Height != 3 {
			t.Fatalf("safe head is %d, want 3 while the data is held back", st.Safe.Height)
		}
		time.Sleep(5 * time.Second)
		wantSafe(t, full, seq)
	})
}

// I6: heights that wait for their proof are bounded; the node says so and goes on when they are proven.
func TestUnprovenHeightsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		m := w.Open(syncertest.NewHome(), nil)
		var err error
		h := uint64(1)
		for ; err == nil && h < 10000; h++ {
			it := item(da.Block{Height: h, Unproven: []da.Claim{{Namespace: syncertest.DataNS}}})
			it.Hash[2], it.Parent[2] = byte(h>>8), byte((h-1)>>8)
			err = m.Apply(t.Context(), it)
		}
		if err == nil || follow.IsFatal(err) || m.Status().Load().Stage.Name != follow.StageProve {
			t.Fatalf("after %d heights: %v, stage %+v; want a stall that names the proofs", h, err, m.Status().Load().Stage)
		}
		m.Close()
	})
}

// counted is a prover that counts its calls by height, and fails at one.
type counted struct {
	mu      sync.Mutex
	calls   map[uint64]int
	failing uint64
}

func (c *counted) Prove(_ context.Context, height uint64, _ [32]byte, _ []da.Claim) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[height]++
	if height == c.failing {
		return errors.New("endpoint is busy")
	}
	return nil
}

// One failing proof costs no other: those that succeeded above it are kept, and a retry asks for the one that failed.
func TestOneFailingProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const heights, failing = 16, 5
		w := syncertest.NewWorld(t, -1)
		m := w.Open(syncertest.NewHome(), nil)
		defer m.Close()
		claims := []da.Claim{{Namespace: syncertest.DataNS}}
		for h := uint64(1); h <= heights; h++ {
			if err := m.Apply(t.Context(), item(da.Block{Height: h, Unproven: claims})); err != nil {
				t.Fatal(err)
			}
		}
		p := &counted{calls: map[uint64]int{}, failing: failing}
		defer syncertest.Run(t, m.DA.Prover(p, func() { t.Error("the position was set back") }))()
		want := func(proven uint64, failure bool, tries int) {
			t.Helper()
			synctest.Wait()
			if st := m.Status().Load(); st.Proven.Height != proven || (st.Proof != "") != failure {
				t.Errorf("proven %d, proof %q; want %d, and a failure: %v", st.Proven.Height, st.Proof, proven, failure)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			for h := uint64(1); h <= m.Status().Load().Position.Height; h++ {
				if n := p.calls[h]; h == failing && n < tries || h != failing && n != 1 {
					t.Errorf("height %d was asked for %d times", h, n)
				}
			}
		}
		time.Sleep(time.Minute)
		want(failing-1, true, 20)
		if err := m.Apply(t.Context(), item(da.Block{Height: heights + 1, Unproven: claims})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // what comes later is asked for too
		want(failing-1, true, 20)
		p.mu.Lock()
		p.failing = 0
		p.mu.Unlock()
		time.Sleep(10 * time.Second)
		want(heights+1, false, 20)
	})
}

// slow is a prover whose first call lasts until it is released, and all later ones fail.
type slow struct {
	calls   chan []da.Claim
	release chan struct{}
	first   sync.Once
}

func (s *slow) Prove(_ context.Context, _ uint64, _ [32]byte, claims []da.Claim) error {
	err := errors.New("endpoint is busy")
	s.first.Do(func() { <-s.release; err = nil })
	select {
	case s.calls <- claims:
	default:
	}
	return err
}

// A proof that comes after its height was set back shows nothing of what is there since, not even if that is the same
// block: other claims may have been made of it.
func TestProofOfAnEarlierReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		m, seq := w.Open(syncertest.NewHome(), nil), w.Open(syncertest.NewHome(), nil)
		defer m.Close()
		defer seq.Close()
		produce(t, w, seq, 1)
		read := func(height uint64, ns da.Namespace) {
			t.Helper()
			b := da.Block{Height: height, Unproven: []da.Claim{{Namespace: ns}}}
			if height == 1 { // a header whose data does not come
				b.Blobs = posted(t, w, seq, 1, 1, 2).Data.Blobs[:1]
			}
			if err := m.Apply(t.Context(), item(b)); err != nil {
				t.Fatal(err)
			}
		}
		read(1, syncertest.DataNS)
		p := &slow{calls: make(chan []da.Claim, 100), release: make(chan struct{})}
		defer syncertest.Run(t, m.DA.Prover(p, func() {}))()
		synctest.Wait()
		for h := uint64(2); m.Status().Load().Position.Height == h-1; h++ {
			read(h, syncertest.DataNS)
		}
		if at := m.Status().Load().Position.Height; at != 0 {
			t.Fatalf("the position is %d, want it set back to 0", at)
		}
		read(1, syncertest.HeaderNS)
		close(p.release)
		synctest.Wait()
		var asked []da.Namespace
		for range len(p.calls) {
			asked = append(asked, (<-p.calls)[0].Namespace)
		}
		if !slices.Equal(asked, []da.Namespace{syncertest.DataNS, syncertest.HeaderNS}) {
			t.Errorf("asked about %v, want the claims of the first reading, and then those of the second", asked)
		}
		if st := m.Status().Load(); st.Position.Height != 1 || st.Proven.Height != 0 {
			t.Errorf("position %d, proven %d; want 1, and nothing proven", st.Position.Height, st.Proven.Height)
		}
	})
}
