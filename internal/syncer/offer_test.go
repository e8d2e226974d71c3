package syncer_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/syncer"
	"headrace/l1/local"
)

// S33: a block that the engine finds invalid is no unsafe block, and the offer says why. It takes the place of none, and keeps none back; nor does one that is
// too far ahead of the clock.
func TestUnfitOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		w.propose(0, b.next())
		w.want(1, 1)
		ctx := t.Context()
		w.node.SetGate(ctx, true)
		parent := b.parent
		invalid := signTxs(t, w.World, parent, []string{"invalid=1"})
		early := signTxs(t, w.World, syncer.Parent{Ref: parent.Ref, DataHash: parent.DataHash, Root: parent.Root, Time: uint64(time.Now().Add(time.Hour).UnixNano())}, []string{"early=1"})
		next := b.next()
		refused := func(want syncer.Status) {
			t.Helper()
			if _, err := w.node.Offer(ctx, invalid); !errors.Is(err, syncer.ErrUnfit) || !strings.Contains(err.Error(), "invalid content") {
				t.Fatalf("an invalid block: got %v, want ErrUnfit and why", err)
			}
			if _, err := w.node.Offer(ctx, early); err == nil || errors.Is(err, syncer.ErrUnfit) {
				t.Fatalf("a block ahead of the clock: got %v, want an error that is no verdict", err)
			}
			if st := w.node.Status().Load(); st.Unsafe != want.Unsafe || string(st.Root) != string(want.Root) || st.Buffered != 1 || st.Stage != (syncer.Stage{}) {
				t.Fatalf("got %+v, want the head %v as it was and one block held", st, want.Unsafe)
			}
		}
		refused(w.node.Status().Load())
		if buffered, err := w.node.Offer(ctx, next); buffered || err != nil {
			t.Fatalf("a good block: got %v, %v, want it connected", buffered, err)
		}
		refused(w.want(1, 1))
		if st := w.node.Status().Load(); st.Unsafe != next.Ref() {
			t.Fatalf("got %v, want the good block as head", st.Unsafe)
		}

		// Held until the L1 has its parent: then it goes, and leaves nothing behind.
		parents := b.next()
		held := signTxs(t, w.World, b.parent, []string{"invalid=2"})
		if buffered, err := w.node.Offer(ctx, held); !buffered || err != nil {
			t.Fatalf("a block without parent: got %v, %v, want it held", buffered, err)
		}
		w.propose(0, next, parents)
		if st := w.want(2, 3); st.Unsafe != st.Safe || st.Buffered != 0 || st.Stage != (syncer.Stage{}) {
			t.Fatalf("got %+v, want the safe head as head and nothing held", st)
		}
	})
}
