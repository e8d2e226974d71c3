package l1_test

import (
	"net/http"
	"testing"

	"headrace/devnet/beacon"
	"headrace/l1"
	"headrace/node"
)

// TestOrphaned is S20, S21 and S22: a proposal whose content cannot be had is waited for, and the gate for unsafe blocks is closed meanwhile, however
// long the L1 has been followed (P36, P39). Only when the L1 itself says that the proposal's block is none of its own is it given up; then the rest goes on,
// and what is held for a height that the canonical chain passes is dropped.
func TestOrphaned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t).in(how{version2: chosenHow(t).version2}), l1.Settings{}, 0) // of two proposals the second alone is in blobs
	a, api := w.lightAuthor(), w.inbox.Chain.API()
	first := a.next(a.tx())
	root := w.propose(first)
	w.proposeBlobs(2, a.many(1)...)
	old := w.inbox.Chain.Head()
	api.SetFaults(beacon.Faults{Status: http.StatusNotFound})

	// Announced, followed up to the proposal, not there yet; and the same while other L1 blocks come.
	m := w.light(nil)
	stuck := func(head *beacon.Block) {
		t.Helper()
		s := m.until("waiting for the content", func(s node.Status) bool {
			return s.Source.Head.Height >= head.Number() && s.Heads.Safe == first.Ref() && len(s.Waiting) > 0
		})
		if s.Source.Live || s.Unsafe.Open || s.Source.Lag == 0 || s.Proposal.ID != 1 || s.Counts.Void != 0 {
			t.Fatalf("got %+v, %+v, %+v; want it behind, with a closed gate and no void proposal", s.Source, s.Unsafe, s.Proposal)
		}
	}
	stuck(old)
	m.offer(http.StatusConflict, a.blocks[1])
	stuck(w.mine())

	// The L1 has another branch now. The first one's proposal counts as little as if it had never been.
	a.back(1)
	w.reorg(root, 3)
	if s := m.canonical(1, first); s.Counts.Void != 0 || len(s.Waiting) != 0 {
		t.Fatalf("got %+v, %+v, want nothing waited for", s.Counts, s.Waiting)
	}
	m.open()
	b := a.many(3)
	m.offer(http.StatusAccepted, b[2])
	a.back(1)
	other := a.many(4)
	w.propose(other...)
	m.canonical(2, other[3])
	m.until("none held for a height that the canonical chain has passed", func(s node.Status) bool { return s.Unsafe.Buffered == 0 })

	// And back again, with the content there.
	api.SetFaults(beacon.Faults{})
	w.check(w.inbox.Chain.SetHead(w.ctx, old.Hash()))
	a.back(1)
	s := m.until("the first branch", func(s node.Status) bool {
		return s.Source.Position.Height == old.Number() && s.Proposal.ID == 2 && s.Heads.Safe.Height == 2
	})
	if s.Counts.Void != 0 || s.Proposal.L2.Height != 2 || s.Heads.Safe == other[0].Ref() {
		t.Fatalf("got %+v, %+v, want the first branch's block", s.Proposal, s.Counts)
	}
}
