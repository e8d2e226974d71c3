package syncer_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
)

// born is an engine whose genesis state is not empty.
type born struct {
	exec.Engine
	root string
}

func (b born) Head(ctx context.Context) (exec.Head, error) {
	h, err := b.Engine.Head(ctx)
	if err == nil && h.Height == 0 {
		h.Root = []byte(b.root)
	}
	return h, err
}

func bornWith(root string) func(exec.Engine) exec.Engine {
	return func(e exec.Engine) exec.Engine { return born{e, root} }
}

// The state root before the first block is the engine's own: a sequencer writes it, a follower compares it, and it comes
// back when the first block is taken back.
func TestInitialRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		seq := w.Open(syncertest.NewHome(), bornWith("genesis"))
		t.Cleanup(seq.Close)
		produce(t, w, seq, 3)
		first, err := seq.Block(1)
		if err != nil || string(first.Block.Header.Header.AppHash) != "genesis" {
			t.Fatalf("got app hash %q, %v, want the engine's root", first.Block.Header.Header.AppHash, err)
		}
		item := posted(t, w, seq, 1, 1, 4)

		home := syncertest.NewHome()
		same := w.Open(home, bornWith("genesis"))
		if err := same.Apply(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		if got := same.Store.State(); got.Safe.Height != 3 || string(got.InitialRoot) != "genesis" {
			t.Fatalf("got safe head %d and initial root %q, want 3 and the engine's", got.Safe.Height, got.InitialRoot)
		}
		same.Close()

		// Behind the same home an engine of another genesis is not believed, though it has executed nothing.
		home.Engine = syncertest.NewHome().Engine
		other := w.Open(home, bornWith("another"))
		var diverged *syncer.DivergedError
		if err := other.BringUp(t.Context()); !errors.As(err, &diverged) || diverged.Height != 0 || string(diverged.Stored) != "genesis" || string(diverged.Ours) != "another" {
			t.Errorf("got %v, want both initial roots", err)
		}
		other.Close()

		fresh := w.Open(syncertest.NewHome(), bornWith("another"))
		t.Cleanup(fresh.Close)
		var mismatch *syncer.RootMismatchError
		if err := fresh.Apply(t.Context(), item); !errors.As(err, &mismatch) || mismatch.Height != 1 || string(mismatch.Ours) != "another" || string(mismatch.BlockSays) != "genesis" {
			t.Errorf("got %v, want both initial roots", err)
		}
		if got := fresh.Status().Load(); got.Safe.Height != 0 || got.Stage.Name != follow.StageRoot {
			t.Errorf("got safe head %d and stage %+v, want nothing executed, and the cause", got.Safe.Height, got.Stage)
		}
	})
}

// A chain that was made before names no root in its first header, whatever its engine: it is followed from its genesis.
func TestInitialRootUnsaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		seq := w.Open(syncertest.NewHome(), bornWith("genesis"))
		t.Cleanup(seq.Close)
		_, err := seq.Produce(t.Context(), func(_ context.Context, p syncer.Parent) (*block.Block, error) {
			p.Root = nil // as it was
			return sign(t, w, p, "a=1"), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		produce(t, w, seq, 2)
		full := w.Open(syncertest.NewHome(), bornWith("genesis"))
		t.Cleanup(full.Close)
		if err := full.Apply(t.Context(), posted(t, w, seq, 1, 1, 4)); err != nil {
			t.Fatal(err)
		}
		syncertest.Agree(t, 3, full)
		if got := full.Status().Load().Safe.Height; got != 3 {
			t.Errorf("got safe head %d, want 3", got)
		}
	})
}

// lastIsOther is an engine that gives one block another root than the chain has, and says so in its head.
type lastIsOther struct {
	exec.Engine
	height uint64
}

func (o lastIsOther) spoil(height uint64, root []byte) []byte {
	if height >= o.height {
		return append([]byte("other "), root...)
	}
	return root
}

func (o lastIsOther) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	root, err := o.Engine.Execute(ctx, b)
	return o.spoil(b.Height(), root), err
}

func (o lastIsOther) Head(ctx context.Context) (exec.Head, error) {
	h, err := o.Engine.Head(ctx)
	h.Root = o.spoil(h.Height, h.Root)
	return h, err
}

// A node whose engine was not the chain's stops at the first header that says so. When the right engine is put behind its
// home, an empty one or one that has the blocks, the next header shows it to be right: what is stored is corrected, and the
// node goes on (the advice of the error works).
func TestRightEngineBehindTheHome(t *testing.T) {
	for _, empty := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := syncertest.NewWorld(t, -1)
			seq := w.Open(syncertest.NewHome(), nil)
			t.Cleanup(seq.Close)
			produce(t, w, seq, 6)
			home := syncertest.NewHome()
			wrong := w.Open(home, func(e exec.Engine) exec.Engine { return lastIsOther{e, 3} })
			items := posted(t, w, seq, 1, 1, 7)
			var mismatch *syncer.RootMismatchError
			for range 2 {
				if err := wrong.Apply(t.Context(), items); !errors.As(err, &mismatch) || mismatch.Height != 4 {
					t.Fatalf("got %v, want a mismatch at block 4", err)
				}
			}
			if got := wrong.Status().Load(); got.Safe.Height != 3 || got.Stage.Name != follow.StageRoot {
				t.Fatalf("got safe head %d and stage %+v, want 3 and the cause", got.Safe.Height, got.Stage)
			}
			wrong.Close()
			if empty {
				home.Engine = syncertest.NewHome().Engine
			}
			right := w.Open(home, nil)
			t.Cleanup(right.Close)
			if err := right.Apply(t.Context(), items); err != nil {
				t.Fatal(err)
			}
			syncertest.Agree(t, 6, right)
			for h := uint64(1); h <= 6; h++ {
				ours, err := right.Block(h)
				if err != nil {
					t.Fatal(err)
				}
				theirs, err := seq.Block(h)
				if err != nil || !bytes.Equal(ours.Root, theirs.Root) {
					t.Errorf("block %d: got root %x, want %x (%v)", h, ours.Root, theirs.Root, err)
				}
			}
		})
	}
}

// The wrong engine behind a home that was right is named with both roots, however often it is asked, after a restart too,
// while it has the same blocks and while it has none. Nothing is executed or made on it, and nothing is corrected. The right
// one goes on.
func TestWrongEngineBehindTheHome(t *testing.T) {
	for _, empty := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := syncertest.NewWorld(t, -1)
			seq := w.Open(syncertest.NewHome(), nil)
			t.Cleanup(seq.Close)
			produce(t, w, seq, 4)
			home := syncertest.NewHome()
			m := w.Open(home, nil)
			if err := m.Apply(t.Context(), posted(t, w, seq, 1, 1, 4)); err != nil {
				t.Fatal(err)
			}
			m.Close()
			engine := home.Engine
			if empty {
				home.Engine = syncertest.NewHome().Engine
			}
			for restart := range 2 {
				m = w.Open(home, func(e exec.Engine) exec.Engine { return lastIsOther{e, 3} })
				if got := m.Status().Load().Stage; (got.Name == follow.StageRoot && strings.Contains(got.Cause, "state root")) != (restart > 0) {
					t.Errorf("start %d: got stage %+v before the engine is asked", restart, got)
				}
				var diverged *syncer.DivergedError
				for range 2 {
					if err := m.BringUp(t.Context()); !errors.As(err, &diverged) || diverged.Height != 3 || bytes.Equal(diverged.Stored, diverged.Ours) {
						t.Fatalf("got %v, want both roots after block 3", err)
					}
				}
				if err := m.Apply(t.Context(), posted(t, w, seq, 2, 4, 5)); err == nil {
					t.Fatal("a block was executed on the wrong state")
				}
				_, err := m.Produce(t.Context(), func(context.Context, syncer.Parent) (*block.Block, error) {
					t.Error("a block is made on the wrong state")
					return nil, errors.New("none")
				})
				if err == nil {
					t.Fatal("a block was made on the wrong state")
				}
				if got := m.Store.State(); got.Unsafe.Height != 3 || bytes.HasPrefix(got.Root, []byte("other")) {
					t.Fatalf("the store stands at %d with root %q", got.Unsafe.Height, got.Root)
				}
				m.Close()
			}
			home.Engine = engine
			m = w.Open(home, nil)
			t.Cleanup(m.Close)
			if err := m.Apply(t.Context(), posted(t, w, seq, 2, 4, 5)); err != nil {
				t.Fatal(err)
			}
			if got := m.Status().Load(); got.Safe.Height != 4 || got.Stage.Cause != "" {
				t.Errorf("got safe head %d and stage %+v, want 4 and nothing", got.Safe.Height, got.Stage)
			}
			if _, found, err := m.Store.Named("diverged"); found || err != nil {
				t.Errorf("what was found is still stored (%v)", err)
			}
		})
	}
}

// An engine that is exchanged while the node runs, for one at the same block with another state, is found out by the next
// look at it.
func TestEngineExchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		wrong := &lastIsOther{height: 100}
		m := w.Open(syncertest.NewHome(), func(e exec.Engine) exec.Engine { wrong.Engine = e; return wrong })
		t.Cleanup(m.Close)
		produce(t, w, m, 3)
		if err := m.BringUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		wrong.height = 2
		var diverged *syncer.DivergedError
		if err := m.BringUp(t.Context()); !errors.As(err, &diverged) || diverged.Height != 3 {
			t.Errorf("got %v, want both roots after block 3", err)
		}
	})
}
