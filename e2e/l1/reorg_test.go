package l1_test

import (
	"context"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"headrace/await"
	"headrace/block"
	"headrace/l1"
	"headrace/node"
)

// TestReorgs are S24, S27 to S30 and P4, one after the other on one chain of real geths: to a higher fork, to a
// lower, to one as high, and to one without any proposal; and on from there. The same while the node is down.
func TestReorgs(t *testing.T) { t.Parallel(); reorgs(t, chosen(t)) }

func reorgs(t testing.TB, mode waits) *world {
	w, a, m := setup(t, mode)
	empty := w.mine()
	base := a.next(a.tx())
	root := w.propose(base)
	m.canonical(1, base)

	fork := func(id uint64, n int) { // n proposals instead of those above the first
		t.Helper()
		tip := a.tip()
		before := *m.canonical(id, tip).Proposal
		a.back(1)
		w.reorg(root, 1)
		if s := m.canonical(1, base); s.Proposal.Reorgs != before.Reorgs+1 || s.Heads.Unsafe != tip.Ref() || m.latest() != execution(t, tip) {
			t.Fatalf("got %+v, %+v, execution head %s; want one reorg more than %d, block 1 as safe head, and the others kept", s.Proposal, s.Heads, m.latest(), before.Reorgs)
		}
		for range n {
			w.propose(a.many(1)...)
		}
		s := m.canonical(uint64(n)+1, a.tip())
		m.executed(a.tip())
		m.chain(a.blocks)
		if s.Proposal.L2 == before.L2 {
			t.Fatalf("got the block %v that was there before", s.Proposal.L2)
		}
	}
	w.propose(a.many(1)...)
	w.propose(a.many(1)...)
	fork(3, 6) // higher
	fork(7, 1) // lower
	w.propose(a.many(1)...)
	fork(3, 2) // as high

	tip := a.tip()
	a.back(0)
	w.reorg(empty, 1)
	if s := m.canonical(0, nil); s.Heads.Unsafe != tip.Ref() || m.latest() != execution(t, tip) {
		t.Fatalf("got %+v, execution head %s; want no block safe, and all kept", s.Heads, m.latest())
	}
	w.propose(a.many(1)...)
	w.propose(a.many(2)...)
	m.canonical(2, a.tip())

	m.stop()
	a.back(1)
	w.reorg(empty, 1)
	w.propose(a.blocks[0])
	w.propose(a.many(1)...)
	w.mine()
	m.start()
	m.canonical(2, a.tip())
	m.executed(a.tip())
	m.chain(a.blocks)
	return w
}

// TestReplacedInOneStep is E4 and P5: the L1 goes to another branch at once, with no empty one in between that would
// give the node time.
func TestReplacedInOneStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a, m := w.lightAuthor(), w.light(nil)
	root := w.mine()
	for range 5 {
		w.propose(a.many(1)...)
	}
	old := w.inbox.Chain.Head()
	m.canonical(5, a.tip())

	// A wait for proposal 5 by its L1 transaction is not satisfied by the other proposal 5, and is by its own when it
	// is back (E4).
	w.reorg(root, 1)
	m.canonical(0, nil)
	mark, blocks := common.Hash(old.Txs[0].Hash()), a.blocks
	a.back(0)
	waiting := make(chan error, 1) // the wait's result
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	go func() {
		s, err := await.ProposalAt(ctx, m.Status(), mark)
		if err == nil && s.Proposal.Tx != block.Hash(mark) {
			t.Errorf("the wait ended with %+v, want transaction %s", s.Proposal, mark)
		}
		waiting <- err
	}()
	for range 5 {
		w.propose(a.many(1)...)
	}
	s := m.canonical(5, a.tip())
	if s.Proposal.Reorgs != 1 || s.Proposal.Tx == block.Hash(mark) {
		t.Fatalf("got %+v, want one reorg and another transaction", s.Proposal)
	}
	select {
	case err := <-waiting:
		t.Fatalf("the wait for %s has ended with %v at another proposal 5", mark, err)
	default:
	}
	w.check(w.inbox.Chain.SetHead(w.ctx, old.Hash()))
	a.blocks = blocks
	s = m.canonical(5, a.tip())
	if s.Proposal.Reorgs != 2 {
		t.Fatalf("got %d reorgs, want 2", s.Proposal.Reorgs)
	}
	w.check(<-waiting)
	m.chain(blocks)
}

// TestFinalizedStays: what the L1 has finalized is final here (I10), survives a restart, and is what the execution
// client holds to be final.
func TestFinalizedStays(t *testing.T) {
	t.Parallel()
	w, a, m := setup(t, chosen(t))
	w.propose(a.many(2)...)
	at := w.propose(a.many(1)...)
	m.canonical(2, a.tip())
	w.check(w.inbox.Chain.Tag(w.ctx, at.Hash(), at.Hash()))
	final := a.tip().Ref()
	w.mine()
	m.until("a finalized block 3", func(s node.Status) bool { return s.Heads.Finalized == final })
	above := w.propose(a.many(1)...)
	m.canonical(3, a.tip())
	a.back(3)
	w.reorg(at, 2)
	m.canonical(2, a.tip())
	if _, ok := w.inbox.Chain.Block(above.Hash()); !ok {
		t.Fatal("the block that gave way is unknown")
	}
	m.restart()
	w.propose(a.many(1)...)
	if s := m.canonical(3, a.tip()); s.Heads.Finalized != final {
		t.Fatalf("got %v as finalized after a restart, want %v", s.Heads.Finalized, final)
	}
}
