package syncer_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

// deep is a node that calls final what is so many blocks below its position; 0: nothing.
type deep struct {
	*syncertest.Machine
	depth  uint64
	follow *follow.Follower[l1.Block]
	stop   func()
}

func (w *inboxWorld) deep(depth uint64, home *syncertest.Home) *deep {
	d := &deep{Machine: w.OpenL1(home, nil), depth: depth}
	d.follow = follow.New[l1.Block](w.l1, d.L1, follow.Options{})
	d.stop = syncertest.Run(w.t, d.follow.Run)
	w.t.Cleanup(d.Close)
	w.t.Cleanup(d.stop)
	return d
}

// settle waits until all stand still, and lets each call final what it does.
func (w *inboxWorld) settle(nodes ...*deep) {
	w.t.Helper()
	synctest.Wait()
	for _, d := range nodes {
		if d.depth == 0 {
			continue
		}
		if err := d.L1.FinalizeBelow(w.t.Context(), d.depth); err != nil {
			w.t.Fatal(err)
		}
	}
}

// How deep an L1 has to bury a block for a node to call it final decides nothing about any block (I3): nodes with
// different depths have the same safe chain through reorgs that none of them calls too deep. One that is too deep for
// one of them is followed by the others; that one keeps what it has, and says what to do. That helps.
func TestDepthIsNoBlocksMatter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		shallow, deeper, never := w.deep(3, syncertest.NewHome()), w.deep(6, syncertest.NewHome()), &deep{Machine: w.node}
		all := []*deep{shallow, deeper, never}
		same := func(nodes ...*deep) {
			t.Helper()
			w.settle(nodes...)
			want := never.Status().Load()
			for _, d := range nodes {
				if st := d.Status().Load(); st.Safe != want.Safe || st.Position != want.Position || st.Position.Hash != block.Hash(w.l1.Head().Hash) {
					t.Fatalf("depth %d stands at %v, L1 block %v; want %v, %v", d.depth, st.Safe, st.Position, want.Safe, want.Position)
				}
			}
		}
		salt := 0
		mine := func(n int, nodes ...*deep) {
			for range n {
				salt++
				w.propose(0, w.branch(fmt.Sprint("salt", salt)).at(never.Status().Load().Safe.Height).next())
				w.settle(nodes...)
			}
		}
		mine(10, all...)
		same(all...)
		rng := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			back := 1 + uint64(rng.IntN(3)) // no deeper than the shallow one's
			head := w.l1.Head().Number
			if err := w.l1.Reorg(head-back, func() { w.l1.Mine() }); err != nil {
				t.Fatal(err)
			}
			w.settle(all...)
			mine(3, all...)
			same(all...)
		}
		for _, d := range all {
			st := d.Status().Load()
			if final := d.Store.State().Inbox.Finalized.Height; d.depth > 0 && final != st.Position.Height-d.depth || d.depth == 0 && final != 0 {
				t.Errorf("depth %d: L1 block %d is final at %d", d.depth, final, st.Position.Height)
			}
			if st.Proposal.Reorgs == 0 {
				t.Errorf("depth %d: no reorg took anything back", d.depth)
			}
		}

		before, head := shallow.Status().Load(), w.l1.Head().Number
		final := shallow.Store.State().Inbox.Finalized
		if err := w.l1.Reorg(head-5, func() { w.l1.Mine() }); err != nil {
			t.Fatal(err)
		}
		w.settle(deeper, never)
		mine(8, deeper, never)
		same(deeper, never)
		st, why := shallow.Status().Load(), shallow.follow.State().Load().Waiting
		if st.Position.Height > before.Position.Height || st.Finalized != before.Finalized || st.Position != final {
			t.Errorf("stands at %+v, want it where it was final, %v", st, final)
		}
		for _, want := range []string{"l1.finality", "move store and kv", "serves another chain", "such as 64"} {
			if !strings.Contains(why.Cause, want) || strings.Contains(why.Cause, "\n") {
				t.Errorf("waits because of %q, want one line with %q", why.Cause, want)
			}
		}
		shallow.stop()
		again := w.deep(6, syncertest.NewHome())
		same(again, deeper, never)
		syncertest.Agree(t, never.Status().Load().Safe.Height, again.Machine, deeper.Machine, never.Machine)
	})
}
