package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/syncer/syncertest"
)

// liar is a DA endpoint that hides blobs, and claims to be proven about what it tells. It is the source, and the prover that finds it out.
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
	f := full.DAFollower(l, follow.Options{Stall: 5 * time.Second})
	syncertest.Run(t, w.Chain.Run, f.Run, full.Prover(l, f.Wake))
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

// I7: a height told empty that is not: the position runs ahead, the proof fails, the height is read again, and the blocks are there.
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
		sink := m.DASink()
		for h := uint64(1); h <= 5; h++ {
			b := da.Block{Height: h}
			if h >= 3 {
				b.Unproven = []da.Claim{{Namespace: syncertest.DataNS}}
			}
			if err := sink.Apply(t.Context(), item(b)); err != nil {
				t.Fatal(err)
			}
		}
		if st := m.Status().Load(); st.Position.Height != 5 || st.Proven.Height != 2 {
			t.Fatalf("position %d, proven %d; want 5 and 2", st.Position.Height, st.Proven.Height)
		}
		home := m.Home
		m.Close()
		again := w.Open(home, nil)
		if got := again.DASink().Last(); got.Height != 2 {
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
		sink := m.DASink()
		var err error
		h := uint64(1)
		for ; err == nil && h < 10000; h++ {
			it := item(da.Block{Height: h, Unproven: []da.Claim{{Namespace: syncertest.DataNS}}})
			it.Hash[2], it.Parent[2] = byte(h>>8), byte((h-1)>>8)
			err = sink.Apply(t.Context(), it)
		}
		if err == nil || follow.IsFatal(err) || m.Status().Load().Stage.Name != "prove" {
			t.Fatalf("after %d heights: %v, stage %+v; want a stall that names the proofs", h, err, m.Status().Load().Stage)
		}
		m.Close()
	})
}
