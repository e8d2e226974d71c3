package l1_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"headrace/await"
	"headrace/block"
	"headrace/devnet/beacon"
	"headrace/l1"
	"headrace/node"
)

// TestResume is S18, S19 and S24: after a stop the node goes on from its last L1 block, known by its hash, and reads no other twice; from where the two
// branches meet if the L1 has another one now; from the store alone, if the engine has less; from the start, if there is no store. An L1 that is merely behind
// takes nothing back, and one without a block that is final here is another chain: then the node stays where it is, and says so (I10).
func TestResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a, m := w.lightAuthor(), w.light(nil)
	chain := w.inbox.Chain
	empty := w.mine()
	w.propose(a.many(2)...)
	root := w.propose(a.many(1)...)
	w.propose(a.many(1)...)
	m.canonical(3, a.tip())

	// P2, S26: what was reached is there for everybody before anything runs, and without an L1.
	m.stop()
	link := newLink(t, w)
	link.cut(true)
	link.through(&m.opt)
	m.start()
	if s := m.first; s.Proposal.ID != 3 || s.Heads.Safe != a.tip().Ref() || s.Source.Position.Hash != block.Hash(chain.Head().Hash()) {
		t.Fatalf("got %+v, %+v before the first step, want what was stored", s.Proposal, s.Heads)
	}
	if _, err := await.Proposal(w.ctx, m.Status(), 3); err != nil {
		t.Fatal(err)
	}
	w.mine()
	w.propose(a.many(1)...)
	link.cut(false)
	if s := m.canonical(4, a.tip()); s.Counts.Executed != 1 || s.Counts.FetchedItems+s.Counts.InlineItems != 2 || s.Proposal.Reorgs != 0 {
		t.Fatalf("got %+v after a stop, want two L1 blocks read and one block executed", s.Counts)
	}

	// The L1 goes back, on the same branch, while the node is away: it only waits. Then it has another branch.
	m.stop()
	tip := chain.Head()
	w.check(chain.SetHead(w.ctx, root.Hash()))
	m.start()
	if s := m.until("news of an L1 that is behind", func(s node.Status) bool { return s.Source.Head.Height == root.Number() }); s.Proposal.ID != 4 || s.Proposal.Reorgs != 0 {
		t.Fatalf("got %+v, want all as it was", s.Proposal)
	}
	m.stop()
	w.check(chain.SetHead(w.ctx, tip.Hash()))
	a.back(3)
	w.reorg(root, 1)
	w.propose(a.many(1)...)
	m.start()
	if s := m.canonical(3, a.tip()); s.Proposal.Reorgs != 1 || s.Counts.Executed != 1 {
		t.Fatalf("got %+v, %+v, want one reorg, and the new block executed alone", s.Proposal, s.Counts)
	}

	// The engine has nothing, and the node replays it from the store. A node that has nothing reads all.
	m.stop()
	w.check(os.RemoveAll(filepath.Join(m.opt.Home, "kv")))
	m.start()
	m.until("a replay", func(s node.Status) bool { return s.Counts.Replayed == uint64(len(a.blocks)) && s.Counts.Executed == 0 })
	w.light(nil).canonical(3, a.tip())

	// Below what is final here there is nothing to go back to.
	final := chain.Head()
	w.check(chain.Tag(w.ctx, final.Hash(), final.Hash()))
	w.mine()
	m.until("finality", func(s node.Status) bool { return s.Heads.Finalized == a.tip().Ref() })
	m.stop()
	w.check(chain.Tag(w.ctx, common.Hash{}, common.Hash{}))
	ours := chain.Head()
	if _, err := chain.Reorg(w.ctx, ours.Number()-empty.Number(), beacon.EmptyN(9)...); err != nil {
		t.Fatal(err)
	}
	m.start()
	s := m.until("on another chain", func(s node.Status) bool { return strings.Contains(s.Reason, "another chain") && !s.Ready })
	if s.Heads.Safe != a.tip().Ref() || s.Proposal.ID != 3 || s.Unsafe.Open {
		t.Fatalf("got %+v, %+v, want all as it was", s.Heads, s.Proposal)
	}
	w.check(chain.SetHead(w.ctx, ours.Hash()))
	w.propose(a.many(1)...)
	m.canonical(4, a.tip())
	m.chain(a.blocks)
}

// TestReplays is S23 and S24: a proposal that is applied is not applied again, whatever brings it up again; one with the same id on another branch
// is another one; those above the point where the branches meet are forgotten; and of the canonical ones the node knows the newest only.
func TestReplays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a := w.lightAuthor()
	var mu sync.Mutex
	applied := map[block.Hash]int{}
	m := w.light(func(o *node.Options) {
		o.Observer.Applied = func(a node.Applied) {
			mu.Lock()
			defer mu.Unlock()
			applied[a.Ref.Hash]++
		}
	})
	once := func() {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		for _, b := range a.blocks {
			if n := applied[b.Hash()]; n != 1 {
				t.Fatalf("block %d was applied %d times, want once", b.Height(), n)
			}
		}
	}
	propose := func(n int) (out []*beacon.Block) {
		for range n {
			out = append(out, w.propose(a.many(1)...))
		}
		return out
	}
	knows := func(b *beacon.Block, id uint64) {
		t.Helper()
		for _, hash := range []common.Hash{b.Hash(), b.Txs[0].Hash()} {
			p, ok := m.Status().Load().Progress().ProposalAt(hash)
			if ok != (id > 0) || p.ID != id {
				t.Fatalf("got proposal %d of L1 block %d, want %d", p.ID, b.Number(), id)
			}
		}
	}
	both, left := propose(2), propose(2)
	m.canonical(4, a.tip())
	for i, b := range append(both, left...) {
		knows(b, uint64(i)+1)
	}
	once()
	m.restart()
	w.mine()
	if s := m.canonical(4, a.tip()); s.Counts.Executed+s.Counts.Promoted+s.Counts.Replayed != 0 {
		t.Fatalf("got %+v after a restart, want nothing done again", s.Counts)
	}
	once()
	knows(left[0], 3)

	// The L1 changes to another branch, in one step. The proposals 3 and 4 are others now.
	old := w.inbox.Chain.Head()
	a.back(2)
	m.stop()
	w.reorg(both[1], 1)
	right := propose(2)
	m.start()
	m.canonical(4, a.tip())
	once()
	for _, b := range left {
		knows(b, 0)
	}
	knows(both[1], 2)
	knows(right[0], 3)
	knows(right[1], 4)
	w.check(w.inbox.Chain.SetHead(w.ctx, old.Hash()))
	m.until("the first branch", func(s node.Status) bool { return s.Source.Position.Hash == block.Hash(old.Hash()) })
	knows(left[1], 4)
	knows(right[0], 0)

	// 128 are known, the last included. A wait for one that is forgotten ends with its context, not with another proposal of that kind.
	var many []*beacon.Block
	for range 128 {
		many = append(many, w.mine(w.proposal(0, a.blocks[0], []byte("garbage"))))
	}
	m.until("void proposals", func(s node.Status) bool { return s.Proposal.ID == 4+128 })
	knows(many[0], 5)
	knows(many[127], 4+128)
	knows(left[1], 0)
	ended, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, err := await.ProposalAt(ended, m.Status(), common.Hash(left[1].Txs[0].Hash())); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v for a proposal that is forgotten, want the context's end", err)
	}
}
