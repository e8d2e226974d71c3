package syncer_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/da"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

// The heights of a block that stays incomplete are read again, each time after twice as many heights: a proposer that
// is slow costs little. A block that was completed makes patience short again.
func TestRereadsGetRarer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		m, seq := w.Open(syncertest.NewHome(), nil), w.Open(syncertest.NewHome(), nil)
		defer m.Close()
		defer seq.Close()
		produce(t, w, seq, 2)
		// reread gives the header of a block, and then nothing, from a height on until that is read again, and returns
		// after how many heights it is.
		reread := func(from, block uint64) uint64 {
			t.Helper()
			for h := from; ; h++ {
				b := da.Block{Height: h}
				if h == from {
					b.Blobs = posted(t, w, seq, h, block, block+1).Data.Blobs[:1]
				}
				if err := m.Apply(t.Context(), item(b)); err != nil {
					t.Fatal(err)
				}
				if m.Last().Height < h {
					return h - from
				}
			}
		}
		if got := []uint64{reread(1, 1), reread(1, 1), reread(1, 1)}; !slices.Equal(got, []uint64{16, 32, 64}) {
			t.Fatalf("read again after %v heights, want 16, 32 and 64", got)
		}
		if err := m.Apply(t.Context(), posted(t, w, seq, 1, 1, 2)); err != nil {
			t.Fatal(err)
		}
		if st := m.Status().Load(); st.Safe.Height != 1 {
			t.Fatalf("the safe head is %d, want 1", st.Safe.Height)
		}
		if got := reread(2, 2); got != 16 {
			t.Fatalf("after a complete block it is read again after %d heights, want 16", got)
		}
	})
}

// forgetful is an engine that keeps the first state and the newest one only.
type forgetful struct{ exec.Engine }

func (f forgetful) Revert(ctx context.Context, height uint64) error {
	if head, err := f.Head(ctx); err != nil || height > 0 && height < head.Height {
		return exec.ErrPruned
	}
	return f.Engine.Revert(ctx, height)
}

// An engine that is ahead of what is stored, and does not keep the states below, goes back to the beginning and is
// given all blocks again.
func TestEngineAheadWithoutStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		m := w.Open(syncertest.NewHome(), nil)
		produce(t, w, m, 3)
		want := m.Status().Load()
		if err := m.Store.Sync(); err != nil {
			t.Fatal(err)
		}
		older := m.Home.Store.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
		produce(t, w, m, 2)
		m.Close()
		m = w.Open(&syncertest.Home{Store: older, Engine: m.Home.Engine}, func(e exec.Engine) exec.Engine { return forgetful{e} })
		defer m.Close()
		if head, err := m.KV.Head(t.Context()); err != nil || head.Height != 5 {
			t.Fatalf("the engine stands at %d, %v; want 5", head.Height, err)
		}
		if err := m.BringUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		head, err := m.KV.Head(t.Context())
		if st := m.Status().Load(); err != nil || head.Height != 3 || head.Hash != want.Unsafe.Hash || string(head.Root) != string(want.Root) || st.Counts.Replayed != 3 {
			t.Fatalf("the engine stands at %+v after %d replayed blocks, %v; want %+v after 3", head, st.Counts.Replayed, err, want.Unsafe)
		}
	})
}

// A proposal whose predecessor was not seen is no proposal to judge: the node waits, and says what to do.
func TestProposalWithoutPredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		synctest.Wait()
		w.stop()
		at := w.propose(0, b.next()).Block.Height
		var read follow.Item[l1.Block]
		if err := w.l1.Fetch(t.Context(), at, at+1, func(item follow.Item[l1.Block]) error { read = item; return nil }); err != nil {
			t.Fatal(err)
		}
		later := read
		later.Data.Messages = slices.Clone(read.Data.Messages)
		p := *read.Data.Messages[0].Proposal
		p.ID = 2
		later.Data.Messages[0].Proposal = &p
		before := w.node.Last()
		err := w.node.L1.Apply(t.Context(), later)
		if err == nil || !strings.Contains(err.Error(), "the one before it, 1, was not seen") || !strings.Contains(err.Error(), "l1.start_block") {
			t.Errorf("proposal 2 without proposal 1: got %v, want an error that says so", err)
		}
		if st := w.node.Status().Load(); w.node.Last() != before || st.Stage != (syncer.Stage{Name: follow.StageDerive, Height: at, Cause: err.Error()}) {
			t.Errorf("stands at %v, stage %+v; want nothing applied, and the cause", w.node.Last(), st.Stage)
		}
		if err := w.node.L1.Apply(t.Context(), read); err != nil {
			t.Fatal(err)
		}
		w.want(1, 1)
	})
}
