package syncer_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/l1"
	"headrace/l1/local"
)

// force queues an item of these transactions.
func (w *inboxWorld) force(txs ...string) {
	w.t.Helper()
	var raw [][]byte
	for _, tx := range txs {
		raw = append(raw, []byte(tx))
	}
	if _, err := w.l1.Include(w.t.Context(), local.Tx{From: l1.Address{7}, Force: l1.EncodeTxs(raw)}); err != nil {
		w.t.Fatal(err)
	}
}

// S31: a proposal must hold the transactions of the forced items that it takes.
func TestForcedInclusion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		if _, err := w.l1.Include(t.Context(), local.Tx{From: l1.Address{7}, Force: l1.EncodeTxs([][]byte{[]byte("forced=1"), []byte("forced=2")})}); err != nil {
			t.Fatal(err)
		}
		b := w.branch("a")
		w.propose(1, signTxs(t, w.World, b.parent, []string{"forced=2", "own=1", "forced=2"}))
		if st := w.want(1, 0); st.Proposal.Void == "" {
			t.Fatal("a proposal that leaves a forced transaction out was not void")
		}
		if _, err := w.l1.Include(t.Context(), local.Tx{From: l1.Address{7}, Force: l1.EncodeTxs([][]byte{[]byte("forced=3"), []byte("forced=4")})}); err != nil {
			t.Fatal(err)
		}
		w.propose(1, b.next("forced=3"), b.next("forced=4", "own=1"))
		if st := w.want(2, 2); st.Proposal.Void != "" {
			t.Fatalf("void: %s", st.Proposal.Void)
		}
	})
}

// S31: a forced transaction that could be in no block keeps no proposal from being canonical; one that could be is
// missed all the same, and what was executed before that showed is taken back.
func TestForcedExempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		w.force("no pair", "forced=1", "=no key")
		w.force("forced=2")
		b := w.branch("a")
		w.propose(2, b.next("own=1", "forced=1"), b.next("own=2"))
		st := w.want(1, 0)
		if !strings.Contains(st.Proposal.Void, "transaction 0 of forced item 1") || st.Counts.Exempt != 0 || w.engine.reverted == 0 {
			t.Fatalf("got void %q, %d exempt, %d reverts; want it void for the second item, and its blocks taken back", st.Proposal.Void, st.Counts.Exempt, w.engine.reverted)
		}
		if h, err := w.node.KV.Head(t.Context()); err != nil || h.Height != 0 {
			t.Fatalf("the engine is at %d, %v, after a void proposal", h.Height, err)
		}
		w.force("forced=3", "no pair either", "forced=3")
		again := w.branch("b")
		w.propose(1, again.next("own=1"), again.next("forced=3", "forced=3"))
		if st := w.want(2, 2); st.Proposal.Void != "" || st.Counts.Exempt != 1 {
			t.Fatalf("got void %q, %d exempt; want it canonical, and one exempt", st.Proposal.Void, st.Counts.Exempt)
		}
		if n := taken(t, w, 1, 2, "no pair", "forced=3", "own=1"); n != 1 {
			t.Fatalf("blocks with all that can be asked for take %d items, want 1", n)
		}
		if n := taken(t, w, 1, 2, "no pair", "forced=4"); n != 0 {
			t.Fatalf("blocks without what can be asked for take %d items, want 0", n)
		}
	})
}

// However many proposals an L1 block has, a void one takes back its own blocks and no others.
func TestVoidAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		w.stop()
		b := w.branch("a")
		first, second := b.next(), b.next()
		bad := signTxs(t, w.World, b.parent, []string{"invalid=1"})
		c := w.branch("c")
		c.push(first)
		third := c.next()
		in := w.propose(0, first)
		err := w.l1.Fetch(t.Context(), in.Block.Height, in.Block.Height+1, func(it follow.Item[l1.Block]) error {
			parent := l1.Hash(first.Hash())
			for id, blocks := range [][]*block.Block{2: {second, bad}, 3: {third}} {
				if blocks != nil {
					it.Data.Messages = append(it.Data.Messages, l1.Message{Proposal: &l1.Proposal{ID: uint64(id), Parent: parent, Sources: []l1.Source{{}}, Blocks: encode(t, w.World, blocks...)}})
				}
			}
			return w.node.L1.Apply(t.Context(), it)
		})
		if err != nil {
			t.Fatal(err)
		}
		st := w.node.Status().Load()
		if st.Proposal.ID != 3 || st.Safe != third.Ref() || st.Counts.Void != 1 {
			t.Fatalf("got %+v, safe head %v, want the third proposal and its block", st.Proposal, st.Safe)
		}
		if h, err := w.node.KV.Head(t.Context()); err != nil || h.Hash != third.Hash() {
			t.Fatalf("the engine is at %d, %v, want the third proposal's block", h.Height, err)
		}
	})
}

// taken asks how many items of a queue of this one item the stored blocks take.
func taken(t *testing.T, w *inboxWorld, from, to uint64, txs ...string) int {
	t.Helper()
	var blocks []*block.Block
	for h := from; h <= to; h++ {
		rec, err := w.node.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, rec.Block)
	}
	src := l1.Source{Forced: true}
	for _, tx := range txs {
		src.Txs = append(src.Txs, []byte(tx))
	}
	n, err := w.node.Taken(t.Context(), blocks, []l1.Forced{{Source: src}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The engine may have dropped the state that shows the reason: it goes back to it, is asked, and gets what was above
// again. While it does not answer nothing is void, and the node says why it does not go on.
func TestExemptNeedsState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		ctx := t.Context()
		w.node.L1.Offers.SetGate(ctx, true)
		b := w.branch("a")
		var blocks []*block.Block
		for range 6 {
			blocks = append(blocks, b.next())
			if _, err := w.offer(blocks[len(blocks)-1]); err != nil {
				t.Fatal(err)
			}
		}
		var away atomic.Bool
		away.Store(true)
		w.engine.exempt = func(height uint64, item [][]byte) ([]string, error) {
			if h, err := w.node.KV.Head(ctx); err != nil || height != 2 || len(item) != 2 || string(item[1]) != "forced=1" {
				t.Errorf("asked about %q after block %d (%v)", item, height, err)
			} else if h.Height > 3 {
				return nil, exec.ErrPruned
			}
			if away.Load() {
				return nil, errors.New("no answer")
			}
			return []string{"used up", "used up"}, nil
		}
		// The proposer asks first.
		if n, err := w.node.Taken(ctx, blocks[:2], []l1.Forced{{Source: l1.Source{Forced: true, Txs: [][]byte{[]byte("asked=1"), []byte("forced=1")}}}}); err == nil {
			t.Fatalf("got %d items taken without an answer", n)
		}
		away.Store(false)
		if n, err := w.node.Taken(ctx, blocks[:2], []l1.Forced{{Source: l1.Source{Forced: true, Txs: [][]byte{[]byte("asked=1"), []byte("forced=1")}}}}); n != 1 || err != nil {
			t.Fatalf("got %d items taken, %v, want the one that is exempt", n, err)
		}
		if h, err := w.node.KV.Head(ctx); err != nil || h.Hash != blocks[5].Hash() {
			t.Fatalf("the engine is at %d, %v, want it back at 6", h.Height, err)
		}
		away.Store(true)

		w.force("forced=1", "forced=1")
		w.propose(1, blocks[0], blocks[1])
		time.Sleep(time.Minute)
		synctest.Wait()
		st := w.node.Status().Load()
		if st.Proposal.ID != 0 || st.Counts.Void != 0 || st.Stage.Name != follow.StageEngine || !strings.Contains(st.Stage.Cause, "no answer") {
			t.Fatalf("got %+v, %d void, stage %+v; want it to wait for the engine", st.Proposal, st.Counts.Void, st.Stage)
		}
		away.Store(false)
		time.Sleep(time.Minute)
		st = w.want(1, 2)
		if st.Proposal.Void != "" || st.Counts.Exempt != 2 || st.Unsafe != blocks[5].Ref() || st.Stage != (syncer.Stage{}) {
			t.Fatalf("got %+v, %+v, unsafe %v, stage %+v; want it canonical, and the blocks above still there", st.Proposal, st.Counts, st.Unsafe, st.Stage)
		}
		if h, err := w.node.KV.Head(ctx); err != nil || h.Hash != blocks[5].Hash() {
			t.Fatalf("the engine is at %d, %v, want it back at 6", h.Height, err)
		}
	})
}

// What is given up is made anew: blocks above a height are taken back, and the block that was signed last is not used
// again.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		ctx := t.Context()
		b := w.branch("a")
		w.propose(0, b.next())
		w.want(1, 1)
		produce := func(tx string) *block.Block {
			t.Helper()
			var made *block.Block
			if _, err := w.node.Produce(ctx, func(_ context.Context, p syncer.Parent) (*block.Block, error) {
				made = signTxs(t, w.World, p, []string{tx})
				return made, nil
			}); err != nil {
				t.Fatal(err)
			}
			return made
		}
		second := produce("x=2")
		produce("x=3")
		if err := w.node.DropAbove(ctx, 0, "test"); err != nil || w.node.Status().Load().Unsafe.Height != 3 {
			t.Fatalf("below the safe head: %v, unsafe %d, want nothing done", err, w.node.Status().Load().Unsafe.Height)
		}
		if err := w.node.DropAbove(ctx, 2, "test"); err != nil || w.node.Status().Load().Unsafe != second.Ref() {
			t.Fatalf("%v, unsafe %v, want %v", err, w.node.Status().Load().Unsafe, second.Ref())
		}
		third := produce("y=3")
		if st := w.node.Status().Load(); third == nil || st.Unsafe != third.Ref() || st.Counts.RevertedUnsafe != 1 || st.Counts.Dropped != 1 {
			t.Fatalf("got unsafe %v, %+v, want the new third block", st.Unsafe, st.Counts)
		}
		if _, ok, _ := w.node.KV.Get([]byte("x")); !ok {
			t.Fatal("the second block's effect is gone")
		}
		if v, _, _ := w.node.KV.Get([]byte("x")); string(v) != "2" {
			t.Fatalf("x is %s, want what the second block set", v)
		}
	})
}

// A sequencer whose engine has lost blocks, as a client that was killed, gives it those again before it builds,
// without any news.
func TestProduceAfterLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		build := func(ctx context.Context, p syncer.Parent) (*block.Block, error) {
			if _, err := w.node.KV.Build(ctx, p.Ref.Height+1, 0, 1<<20); err != nil {
				return nil, err
			}
			return signTxs(t, w.World, p, []string{"x=1"}), nil
		}
		for height := uint64(1); height <= 5; height++ {
			if height == 4 {
				if err := w.node.KV.Revert(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
			}
			if ref, err := w.node.Produce(t.Context(), build); err != nil || ref.Height != height {
				t.Fatalf("got block %d, %v, want block %d", ref.Height, err, height)
			}
		}
		if st := w.node.Status().Load(); st.Counts.Replayed != 2 {
			t.Fatalf("got %+v, want the two lost blocks replayed", st.Counts)
		}
	})
}
