package l1_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"headrace/follow"
	"headrace/l1"
	"headrace/node"
)

// versions returns of the proposals that the L1 has, in order, the version of each one's payload; 0 of a void one.
func (w *world) versions() (all []int) {
	w.t.Helper()
	w.check(w.client.Fetch(w.ctx, w.genesis.L1.StartBlock, w.inbox.Chain.Head().Number()+1, func(item follow.Item[l1.Block]) error {
		for _, m := range item.Data.Messages {
			switch {
			case m.Proposal == nil:
			case m.Proposal.Compact != nil:
				all = append(all, 2)
			case m.Proposal.Void == "":
				all = append(all, 1)
			default:
				all = append(all, 0)
			}
		}
		return nil
	}))
	return all
}

// TestAChainGoesOnInVersion2: a sequencer that has proposed in version 1 is started again with l1.payload: 2, and goes on. The nodes that have followed it go on
// too, and one that comes later reads both.
func TestAChainGoesOnInVersion2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t).in(how{blobs: chosenHow(t).blobs}), l1.Settings{}, 3)
	sequencer, full := w.driveWith(w.sequencing(100*time.Millisecond)), w.drive()
	const each = 3
	w.check(w.inbox.WhileMining(w.ctx, 100*time.Millisecond, func(context.Context) error {
		full.until("proposals in version 1", func(s node.Status) bool { return s.Proposal.ID >= each })
		sequencer.stop()
		return nil
	}))
	before := w.versions()
	sequencer.opt.Config.L1.Payload = 2
	sequencer.start()
	w.check(w.inbox.WhileMining(w.ctx, 100*time.Millisecond, func(context.Context) error {
		// One that was sent before the restart may wait in the pool.
		full.until("proposals in version 2", func(s node.Status) bool { return s.Proposal.ID > uint64(len(before)+each) })
		sequencer.stop()
		return nil
	}))
	after := w.versions()
	if !slices.IsSorted(after) || !slices.Equal(after[:len(before)], slices.Repeat([]int{1}, len(before))) || slices.Index(after, 2) < each || len(after)-slices.Index(after, 2) < each {
		t.Fatalf("got proposals in versions %v, of which the first %d were made before the restart", after, len(before))
	}
	late := w.drive()
	head := w.inbox.Chain.Head()
	var at node.Status
	for _, m := range []*member{full, late} {
		s := m.until("the L1's head", func(s node.Status) bool { return s.Source.Position.Height == head.Number() })
		if s.Proposal.ID != uint64(len(after)) || s.Counts.Void != 0 || m == late && (s.Heads.Safe != at.Heads.Safe || s.Counts.Executed != s.Heads.Safe.Height) {
			t.Fatalf("got %+v, %+v, %+v, want all %d proposals, and the same blocks as %+v", s.Proposal, s.Counts, s.Heads, len(after), at.Heads)
		}
		at = s
	}
	for h := uint64(1); h <= at.Heads.Safe.Height; h++ {
		want, err := full.Block(h)
		w.check(err)
		if got, err := late.Block(h); err != nil || got.Hash != want.Hash || got.Txs == nil != (want.Txs == nil) {
			t.Fatalf("block %d: got %+v, %v, want %s", h, got, err, want.Hash)
		}
	}
}
