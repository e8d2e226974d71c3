package syncer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/compact"
	"headrace/l1/local"
)

// compactOn writes blocks in version 2; parent is nil before the first one.
func (w *inboxWorld) compactOn(parent *block.Block, blocks ...*block.Block) []byte {
	w.t.Helper()
	p := compact.Parent{Block: parent, Height: blocks[0].Height() - 1}
	payload, err := compact.Encode(&compact.Chain{ID: w.Genesis.ChainID}, p, blocks)
	if err != nil {
		w.t.Fatal(err)
	}
	return payload
}

// proposeCompact puts a proposal in version 2 into the L1's next block.
func (w *inboxWorld) proposeCompact(parent *block.Block, blocks ...*block.Block) l1.Inclusion {
	w.t.Helper()
	c := local.Call{Payload: w.compactOn(parent, blocks...)}
	if parent != nil {
		c.Parent = l1.Hash(parent.Hash())
	}
	return w.proposeRaw(c)
}

// signatures says of each stored block whether it has one.
func (w *inboxWorld) signatures() (out string) {
	w.t.Helper()
	for h := uint64(1); h <= w.node.Status().Load().Unsafe.Height; h++ {
		rec, err := w.node.Block(h)
		if err != nil {
			w.t.Fatal(err)
		}
		out += map[bool]string{true: "s", false: "-"}[len(rec.Block.Header.Signature) > 0]
	}
	return out
}

// TestCompactProposals: proposals of version 2 make the blocks of their proposer, alone and behind and before some of
// version 1, in one L1 block and several, with blocks that are here and that are not; and blocks keep the signature that
// they had.
func TestCompactProposals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		w.node.L1.Offers.SetGate(t.Context(), true)
		b := w.branch("a")
		var c []*block.Block
		for range 12 {
			c = append(c, b.next())
		}
		w.proposeCompact(nil, c[0], c[1], c[2])
		w.want(1, 3)
		w.propose(0, c[3])
		w.want(2, 4)
		w.proposeCompact(c[3], c[4])
		w.want(3, 5)
		for _, blk := range []*block.Block{c[5], c[6]} { // these are here before
			if _, err := w.offer(blk); err != nil {
				t.Fatal(err)
			}
		}
		w.proposeCompact(c[4], c[5], c[6], c[7], c[8])
		w.want(4, 9)
		if got, want := w.signatures(), "--ssss"+"s-s"; got != want {
			t.Errorf("got signatures %s, want %s", got, want)
		}
		two := []local.Tx{
			{From: w.proposer, Propose: &local.Call{Parent: l1.Hash(c[8].Hash()), Payload: w.compactOn(c[8], c[9])}},
		}
		if _, err := w.l1.Include(t.Context(), two[0]); err != nil {
			t.Fatal(err)
		}
		w.proposeCompact(c[9], c[10], c[11])
		st := w.want(6, 12)
		if st.Counts.Void != 0 || string(st.Root) != string(b.parent.Root) || st.Safe != c[11].Ref() {
			t.Fatalf("got %+v, want block %s with root %x", st, c[11].Hash(), b.parent.Root)
		}
		for i, want := range c {
			rec, err := w.node.Block(uint64(i + 1))
			if err != nil || rec.Block.Hash() != want.Hash() || rec.Block.Data.Hash() != want.Data.Hash() {
				t.Errorf("block %d: got %v (%v), want %s", i+1, rec.Block, err, want.Hash())
			}
		}
	})
}

// TestCompactVoid: in version 2 the last signature is one over all blocks; nothing else makes a proposal of them.
func TestCompactVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		first := b.next()
		w.propose(0, first)
		w.want(1, 1)
		stranger, err := block.GenerateKey(block.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		a, c := b.next(), b.next()
		tip := l1.Hash(first.Hash())
		signed := func(change func(h *block.SignedHeader)) []byte {
			last := *c
			change(&last.Header)
			return w.compactOn(first, a, &last)
		}
		invalid := signTxs(t, w.World, parentOf(t, w, first), []string{"invalid=1"})
		good := w.compactOn(first, a, c)
		for i, row := range []local.Call{
			{Parent: tip, Payload: signed(func(h *block.SignedHeader) { h.Signature = stranger.Sign(h.Header.Encode()) })},
			{Parent: tip, Payload: signed(func(h *block.SignedHeader) { h.Signature = a.Header.Signature })},
			{Parent: tip, Payload: signed(func(h *block.SignedHeader) { h.Signature = h.Signature[:63] })},
			{Parent: l1.Hash{9}, Payload: good},
			{Parent: tip, Payload: good[:len(good)-1]},
			{Parent: tip, Payload: append([]byte{3}, good[1:]...)},
			{Parent: tip, Payload: w.compactOn(a, c)},
			{Parent: tip, Payload: w.compactOn(first, invalid)},
		} {
			w.proposeRaw(row)
			if st := w.want(uint64(i+2), 1); st.Proposal.Void == "" || st.Counts.Void != uint64(i+1) {
				t.Fatalf("row %d: got %+v, want it void with a reason", i, st.Proposal)
			}
		}
		w.proposeRaw(local.Call{Parent: tip, Payload: append(good, 0, 0)}) // what follows a payload is none of it
		if st := w.want(10, 3); st.Proposal.Void != "" {
			t.Fatalf("a good one: %+v", st.Proposal)
		}
	})
}

func parentOf(t *testing.T, w *inboxWorld, b *block.Block) (p syncer.Parent) {
	t.Helper()
	rec, err := w.node.Block(b.Height())
	if err != nil {
		t.Fatal(err)
	}
	p.Ref, p.DataHash, p.Time, p.Root = b.Ref(), b.Data.Hash(), b.Header.Header.Time, rec.Root
	return p
}

// TestCompactReorg: blocks that came without a signature go with the L1 block that had them, and what stands on them;
// those that have one stay as unsafe ones; and who can sign them again keeps them all. Then they come again.
func TestCompactReorg(t *testing.T) {
	for _, signs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newInboxWorld(t, local.Options{})
			if signs {
				w.stop()
				w.node.Close()
				w.Signs = true
				w.open(w.node.Home)
			}
			w.node.L1.Offers.SetGate(t.Context(), true)
			b := w.branch("a")
			var c []*block.Block
			for range 7 {
				c = append(c, b.next())
			}
			at := w.propose(0, c[0]).Block.Height
			w.want(1, 1)
			if _, err := w.offer(c[1]); err != nil { // this one is here with its signature
				t.Fatal(err)
			}
			w.proposeCompact(c[0], c[1], c[2], c[3])
			w.want(2, 4)
			w.proposeCompact(c[3], c[4])
			w.want(3, 5)
			if _, err := w.offer(c[5]); err != nil {
				t.Fatal(err)
			}
			if err := w.l1.Reorg(at, func() { w.l1.Mine(); w.l1.Mine(); w.l1.Mine() }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			st := w.want(1, 1)
			want := uint64(2) // of c[2] nobody could be shown that it is the proposer's
			if signs {
				want = 6
			}
			if st.Unsafe != c[want-1].Ref() {
				t.Errorf("signs %t: got the unsafe head %v, want %v", signs, st.Unsafe, c[want-1].Ref())
			}
			if head, err := w.engine.Head(t.Context()); err != nil || head.Height != want {
				t.Errorf("signs %t: the engine stands at %v (%v), want %d", signs, head.Height, err, want)
			}
			w.proposeCompact(c[0], c[1], c[2], c[3], c[4], c[5])
			w.proposeCompact(c[5], c[6])
			if st := w.want(3, 7); string(st.Root) != string(b.parent.Root) || st.Counts.SignedTwice != 0 {
				t.Errorf("signs %t: got %+v, want the same blocks again", signs, st)
			}
		})
	}
}

// TestCompactSignedTwice: a proposal in version 2 that has others than unsafe blocks is evidence by its last block, with the
// unsafe one at that height. Where there is none, no pair of headers shows it.
func TestCompactSignedTwice(t *testing.T) {
	for name, c := range map[string]struct{ unsafe, proposed, want int }{
		"more unsafe blocks":  {4, 3, 3},
		"as many":             {3, 3, 3},
		"one":                 {3, 1, 1},
		"fewer unsafe blocks": {2, 3, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newInboxWorld(t, local.Options{})
				w.node.L1.Offers.SetGate(t.Context(), true)
				a, b := w.branch("a"), w.branch("b")
				for range c.unsafe {
					if _, err := w.offer(a.next()); err != nil {
						t.Fatal(err)
					}
				}
				var blocks []*block.Block
				for range c.proposed {
					blocks = append(blocks, b.next())
				}
				w.proposeCompact(nil, blocks...)
				st := w.want(1, uint64(c.proposed))
				if st.Safe != blocks[c.proposed-1].Ref() || st.Unsafe != st.Safe || st.Counts.Void != 0 {
					t.Fatalf("got %+v, want the proposal's blocks", st)
				}
				if c.want == 0 {
					if st.Counts.SignedTwice != 0 {
						t.Fatalf("got %+v", st.Twice)
					}
					return
				}
				if st.Counts.SignedTwice != 1 || len(st.Twice) != 1 || st.Twice[0].Height != uint64(c.want) {
					t.Fatalf("got %d pairs, %+v, want one of height %d", st.Counts.SignedTwice, st.Twice, c.want)
				}
				for _, side := range []syncer.SignedHeader{st.Twice[0].Preferred, st.Twice[0].Other} {
					h, err := block.DecodeSignedHeader(side.Header)
					if err != nil || h.Verify() != nil || h.Header.Height != uint64(c.want) || h.Header.Hash() != side.Hash {
						t.Errorf("got %+v, %v, which shows nothing", h, err)
					}
				}
				if st.Twice[0].Preferred.Hash == st.Twice[0].Other.Hash {
					t.Error("got one block twice")
				}
			})
		})
	}
}

// unsigned is an engine that is shown no signature.
type unsigned struct {
	exec.Engine
	shown int
}

func (u *unsigned) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	if h := b.Header; len(h.Signature) > 0 || len(h.EnvelopeSignature) > 0 || len(h.Signer.PubKey) > 0 {
		return nil, errors.New("a block of an L1 is shown with a signature, which another node may not have")
	}
	u.shown++
	return u.Engine.Execute(ctx, b)
}

// TestEnginesSeeNoSignature: on an L1 engines are given the same bytes on every node, whichever version a proposal has.
func TestEnginesSeeNoSignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		w.stop()
		w.node.Close()
		u := &unsigned{}
		w.node = w.OpenL1(syncertest.NewHome(), func(e exec.Engine) exec.Engine { u.Engine = e; return u })
		w.follower = follow.New[l1.Block](w.l1, w.node.L1, follow.Options{Stall: 5 * time.Second})
		w.stop = syncertest.Run(t, w.follower.Run)
		t.Cleanup(w.node.Close)
		t.Cleanup(w.stop)
		w.node.L1.Offers.SetGate(t.Context(), true)
		b := w.branch("a")
		c := []*block.Block{b.next(), b.next(), b.next(), b.next()}
		w.propose(0, c[0])
		w.proposeCompact(c[0], c[1], c[2])
		w.want(2, 3)
		if _, err := w.offer(c[3]); err != nil {
			t.Fatal(err)
		}
		if st := w.node.Status().Load(); st.Unsafe.Height != 4 || u.shown != 4 || strings.Contains(w.signatures(), "-s-") {
			t.Errorf("got unsafe head %d and %d blocks shown, want 4 of each", st.Unsafe.Height, u.shown)
		}
	})
}
