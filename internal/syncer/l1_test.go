package syncer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

// inboxWorld is an L1 in memory and a node that follows its inbox.
type inboxWorld struct {
	*syncertest.World
	t        *testing.T
	l1       *local.Chain
	proposer l1.Address
	node     *syncertest.Machine
	engine   *judge
	follower *follow.Follower[l1.Block]
	stop     func()
}

// judge is an engine that gives a verdict on blocks with a transaction "invalid=…", and counts its calls.
type judge struct {
	exec.Engine
	executed, reverted int
	before             func()                                               // called before each block is executed, if it is set
	exempt             func(height uint64, item [][]byte) ([]string, error) // nil: as Engine says
}

func (j *judge) Exempt(ctx context.Context, height uint64, item [][]byte) ([]string, error) {
	if j.exempt != nil {
		return j.exempt(height, item)
	}
	return j.Engine.(exec.Exempter).Exempt(ctx, height, item)
}

func (j *judge) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	if j.before != nil {
		j.before()
	}
	j.executed++
	for _, tx := range b.Data.Txs {
		if strings.HasPrefix(string(tx), "invalid=") {
			return nil, exec.ErrInvalid
		}
	}
	return j.Engine.Execute(ctx, b)
}

func (j *judge) Revert(ctx context.Context, height uint64) error {
	j.reverted++
	return j.Engine.Revert(ctx, height)
}

func newInboxWorld(t *testing.T, opt local.Options) *inboxWorld {
	w := &inboxWorld{World: syncertest.NewWorld(t, -1), t: t, proposer: l1.Address{1}}
	opt.Instant = true
	w.l1 = local.New(opt)
	w.open(syncertest.NewHome())
	return w
}

// open starts the node, which goes on from what home holds.
func (w *inboxWorld) open(home *syncertest.Home) {
	w.node = w.OpenL1(home, func(e exec.Engine) exec.Engine { w.engine = &judge{Engine: e}; return w.engine })
	w.follower = follow.New[l1.Block](w.l1, w.node.L1, follow.Options{Stall: 5 * time.Second})
	w.stop = syncertest.Run(w.t, w.follower.Run)
	w.t.Cleanup(w.node.Close)
	w.t.Cleanup(w.stop)
}

// branch builds blocks on a parent, on an engine of its own, without showing them to anyone.
type branch struct {
	w      *inboxWorld
	engine *kv.Engine
	parent syncer.Parent
	salt   string
	n      int
}

func (w *inboxWorld) branch(salt string) *branch {
	w.t.Helper()
	engine, err := kv.Open("branch", kv.Options{FS: vfs.NewMem()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = engine.Close() })
	return &branch{w: w, engine: engine, salt: salt}
}

// at puts the branch on the node's block at height.
func (b *branch) at(height uint64) *branch {
	b.w.t.Helper()
	b.parent = syncer.Parent{}
	for h := uint64(1); h <= height; h++ {
		rec, err := b.w.node.Block(h)
		if err != nil {
			b.w.t.Fatal(err)
		}
		b.push(rec.Block)
	}
	return b
}

func (b *branch) push(blk *block.Block) {
	root, err := b.engine.Execute(b.w.t.Context(), blk)
	if err != nil {
		b.w.t.Fatal(err)
	}
	b.parent = syncer.Parent{Ref: blk.Ref(), DataHash: blk.Data.Hash(), Time: blk.Header.Header.Time, Root: root}
}

// next returns the next block with these transactions.
func (b *branch) next(txs ...string) *block.Block {
	b.n++
	if len(txs) == 0 {
		txs = []string{fmt.Sprintf("%s%d=%d", b.salt, b.n, b.n)}
	}
	blk := signTxs(b.w.t, b.w.World, b.parent, txs)
	b.push(blk)
	return blk
}

func encode(t *testing.T, w *syncertest.World, blocks ...*block.Block) (out []l1.Encoded) {
	t.Helper()
	for _, b := range blocks {
		e := l1.Encoded{Header: b.Header.Encode()}
		if signed := signedData(t, w, b); signed != nil {
			e.Data = signed.Encode()
		}
		out = append(out, e)
	}
	return out
}

// signedData is b's data as its proposer sends it: nil for a block without transactions.
func signedData(t *testing.T, w *syncertest.World, b *block.Block) *block.SignedData {
	t.Helper()
	if len(b.Data.Txs) == 0 {
		return nil
	}
	signed, err := block.SignData(w.Key, b.Data)
	if err != nil {
		t.Fatal(err)
	}
	return &signed
}

// offerSigned offers a header and data, nil for none, to the node.
func (w *inboxWorld) offerSigned(header *block.SignedHeader, data *block.SignedData) (buffered bool, err error) {
	var raw []byte
	if data != nil {
		raw = data.Encode()
	}
	return w.node.L1.Offers.Offer(w.t.Context(), header.Encode(), raw)
}

// offer offers b to the node.
func (w *inboxWorld) offer(b *block.Block) (buffered bool, err error) {
	w.t.Helper()
	return w.offerSigned(&b.Header, signedData(w.t, w.World, b))
}

// propose puts a proposal of blocks into the L1's next block.
func (w *inboxWorld) propose(forced int, blocks ...*block.Block) l1.Inclusion {
	w.t.Helper()
	parent := l1.Hash{}
	copy(parent[:], blocks[0].Header.Header.LastHeaderHash)
	return w.proposeRaw(local.Call{Parent: parent, Forced: forced, Payload: l1.EncodeBlocks(encode(w.t, w.World, blocks...))})
}

func (w *inboxWorld) proposeRaw(c local.Call) l1.Inclusion {
	w.t.Helper()
	in, err := w.l1.Include(w.t.Context(), local.Tx{From: w.proposer, Propose: &c})
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

func (w *inboxWorld) want(id, safe uint64) syncer.Status {
	w.t.Helper()
	synctest.Wait()
	st := w.node.Status().Load()
	if st.Proposal.ID != id || st.Safe.Height != safe || st.Position.Hash != block.Hash(w.l1.Head().Hash) {
		w.t.Fatalf("stands at proposal %d, safe head %d, L1 block %d; want %d, %d, and the L1's head %d; status %+v", st.Proposal.ID, st.Safe.Height, st.Position.Height, id, safe, w.l1.Head().Number, st)
	}
	if st.Proposal.L2 != st.Safe {
		w.t.Fatalf("the proposal's L2 block is %v, the safe head %v", st.Proposal.L2, st.Safe)
	}
	return st
}

// S2: proposals of one and several blocks, several before the first wait.
func TestProposalsMakeBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		w.propose(0, b.next())
		w.want(1, 1)
		w.propose(0, b.next(), b.next(), b.next())
		in := w.propose(0, b.next())
		st := w.want(3, 5)
		if st.Proposal.Tx != block.Hash(in.Tx) || st.Proposal.L1.Height != in.Block.Height || st.Proposal.Void != "" || st.Proposal.Reorgs != 0 {
			t.Fatalf("got %+v, want the transaction and L1 block of %+v", st.Proposal, in)
		}
		if string(st.Root) != string(b.parent.Root) {
			t.Fatalf("root %x, want %x", st.Root, b.parent.Root)
		}
	})
}

// S38: what does not decode, link, or execute is void on every node: its id is used up, nothing else happens, and the
// chain goes on.
func TestVoidProposals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		w.propose(0, b.next())
		w.want(1, 1)
		stranger, err := block.GenerateKey(block.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		good := signTxs(t, w.World, b.parent, []string{"x=1"})
		forged := *good
		forged.Header.Signature = stranger.Sign(forged.Header.Header.Encode())
		gap := signTxs(t, w.World, syncer.Parent{Ref: block.Ref{Height: 7, Hash: b.parent.Ref.Hash}, DataHash: b.parent.DataHash, Root: b.parent.Root}, []string{"x=1"})
		invalid := signTxs(t, w.World, b.parent, []string{"y=1", "invalid=1"})
		first := signTxs(t, w.World, b.parent, []string{"x=1"})
		second := signTxs(t, w.World, syncer.Parent{Ref: first.Ref(), DataHash: first.Data.Hash(), Time: first.Header.Header.Time, Root: rootAfter(t, b, first)}, []string{"invalid=2"})
		tip := l1.Hash(b.parent.Ref.Hash)
		for i, c := range []local.Call{
			{Parent: tip, Payload: []byte("garbage")},
			{Parent: tip, Payload: l1.EncodeBlocks(nil)},
			{Parent: l1.Hash{9}, Payload: l1.EncodeBlocks(encode(t, w.World, good))},
			{Parent: tip, Payload: l1.EncodeBlocks(encode(t, w.World, &forged))},
			{Parent: tip, Payload: l1.EncodeBlocks(encode(t, w.World, gap))},
			{Parent: tip, Payload: l1.EncodeBlocks(encode(t, w.World, invalid))},
			{Parent: tip, Payload: l1.EncodeBlocks(encode(t, w.World, first, second))}, // all or none
		} {
			w.proposeRaw(c)
			st := w.want(uint64(i+2), 1)
			if st.Proposal.Void == "" || st.Counts.Void != uint64(i+1) {
				t.Fatalf("proposal %d: got %+v, %d void; want it void with a reason", i+2, st.Proposal, st.Counts.Void)
			}
		}
		w.propose(0, b.next())
		if st := w.want(9, 2); st.Proposal.Void != "" || string(st.Root) != string(b.parent.Root) {
			t.Fatalf("after the void ones: %+v", st)
		}
		if head, _ := w.node.KV.Head(t.Context()); head.Hash != b.parent.Ref.Hash {
			t.Fatalf("the engine stands at %v, want the safe head", head)
		}
	})
}

func rootAfter(t *testing.T, b *branch, blk *block.Block) []byte {
	t.Helper()
	root, err := b.engine.Execute(t.Context(), blk)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.engine.Revert(t.Context(), blk.Height()-1); err != nil {
		t.Fatal(err)
	}
	return root
}

// S27 to S30, E4: reorgs of the L1 to a higher, an equal and a lower fork, and below everything, live and while the
// node was down.
func TestL1Reorgs(t *testing.T) {
	for _, down := range []bool{false, true} {
		for _, c := range []struct {
			name      string
			keep, new int // proposals kept of three, and made on the new fork
		}{{"higher", 1, 6}, {"equal", 1, 2}, {"lower", 2, 0}, {"lower with one", 1, 1}, {"to genesis", 0, 2}, {"to nothing", 0, 0}} {
			t.Run(fmt.Sprintf("%s, down %v", c.name, down), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newInboxWorld(t, local.Options{})
					b := w.branch("a")
					at := []uint64{0}
					for range 3 {
						at = append(at, w.propose(0, b.next(), b.next()).Block.Height)
					}
					w.want(3, 6)
					home := w.node.Home
					if down {
						w.stop()
						w.node.Close()
						again := w.OpenL1(home, nil)
						w.node = again
						t.Cleanup(again.Close)
					}
					fork := w.branch("b").at(uint64(2 * c.keep))
					if down {
						w.node.Close()
					}
					if err := w.l1.Reorg(at[c.keep], func() {
						for range c.new {
							w.propose(0, fork.next())
						}
						if c.new == 0 {
							w.l1.Mine() // a head that only goes back would be an endpoint behind (I10)
						}
					}); err != nil {
						t.Fatal(err)
					}
					if down {
						w.open(home)
					}
					time.Sleep(time.Minute)
					st := w.want(uint64(c.keep+c.new), uint64(2*c.keep+c.new))
					if st.Proposal.Reorgs != 1 || st.Counts.Demoted != uint64(6-2*c.keep) {
						t.Fatalf("got %+v, want one reorg, and the safe blocks above %d made unsafe ones", st, 2*c.keep)
					}
					unsafe := fork.parent
					if c.new == 0 { // nothing takes the place of the blocks, which stay as unsafe ones
						unsafe = b.parent
					}
					if st.Unsafe != unsafe.Ref || string(st.Root) != string(unsafe.Root) {
						t.Fatalf("unsafe head %v with root %x, want %v with %x", st.Unsafe, st.Root, unsafe.Ref, unsafe.Root)
					}
					more := fork.next()
					w.propose(0, more)
					st = w.want(uint64(c.keep+c.new+1), uint64(2*c.keep+c.new+1))
					if st.Unsafe != st.Safe || st.Safe != more.Ref() || string(st.Root) != string(fork.parent.Root) {
						t.Fatalf("got %+v, want the blocks of the old fork replaced by the proposed one", st)
					}
					if _, ok, _ := w.node.KV.Get([]byte("a6")); ok {
						t.Fatal("a replaced block's effect is still there")
					}
				})
			})
		}
	}
}

// I10: what the L1 has finalized is not reverted, whoever says so; and finality is published.
func TestFinalizedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		first := w.propose(0, b.next())
		w.propose(0, b.next())
		w.want(2, 2)
		if err := w.l1.Finalize(first.Block.Height); err != nil {
			t.Fatal(err)
		}
		ref, err := w.l1.Finalized(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.node.L1.Finalize(t.Context(), l1.Ref{Height: ref.Height, Hash: block.Hash{1}}); err != nil {
			t.Fatal(err)
		}
		if st := w.node.Status().Load(); st.Finalized.Height != 0 {
			t.Fatalf("a block of another fork finalized %d", st.Finalized.Height)
		}
		if err := w.node.L1.Finalize(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if st := w.node.Status().Load(); st.Finalized.Height != 1 {
			t.Fatalf("finalized %d, want 1", st.Finalized.Height)
		}
		w.stop()
		sink := w.node.L1
		if err := sink.Revert(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := sink.Revert(t.Context()); !errors.Is(err, follow.ErrFinalized) {
			t.Fatalf("revert of a finalized block: %v", err)
		}
	})
}

// S1, S22, S32 to S36: unsafe blocks in any order are connected when their parent is there, stale and forged ones are
// refused, the canonical source promotes or reverts them, and a promoted block costs no execution.
func TestOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		w.propose(0, b.next())
		w.want(1, 1)
		ctx := t.Context()
		blocks := []*block.Block{b.next(), b.next(), b.next()}
		if _, err := w.offer(blocks[0]); !errors.Is(err, syncer.ErrGate) {
			t.Fatalf("before the gate opens: %v", err)
		}
		w.node.L1.Offers.SetGate(ctx, true)
		executed := w.engine.executed
		for _, i := range []int{2, 1} {
			if buffered, err := w.offer(blocks[i]); !buffered || err != nil {
				t.Fatalf("block without parent: %v, %v; want it buffered", buffered, err)
			}
		}
		if st := w.node.Status().Load(); st.Unsafe.Height != 1 || st.Buffered != 2 || w.engine.executed != executed {
			t.Fatalf("head %d, %d buffered, %d executed; want the head unmoved and the engine untouched", st.Unsafe.Height, st.Buffered, w.engine.executed-executed)
		}
		var held []int // as the status has it each time that there is another head
		w.engine.before = func() { held = append(held, w.node.Status().Load().Buffered) }
		if buffered, err := w.offer(blocks[0]); buffered || err != nil {
			t.Fatalf("got %v, %v; want it connected", buffered, err)
		}
		if w.engine.before = nil; !slices.Equal(held, []int{2, 2, 1}) {
			t.Fatalf("with heads 1, 2 and 3 %v were held, want 2, 2 and 1: a head is not held", held)
		}
		st := w.node.Status().Load()
		if st.Unsafe.Hash != blocks[2].Hash() || st.Safe.Height != 1 || st.Buffered != 0 {
			t.Fatalf("unsafe %v, safe %d, buffered %d; want the last block on top", st.Unsafe, st.Safe.Height, st.Buffered)
		}
		executed = w.engine.executed
		w.propose(0, blocks[0], blocks[1])
		st = w.want(2, 3)
		if w.engine.executed != executed || st.Counts.Promoted != 2 || st.Unsafe.Height != 4 {
			t.Fatalf("%d executed, %+v, unsafe %d; want both promoted and the third still unsafe", w.engine.executed-executed, st.Counts, st.Unsafe.Height)
		}
		if _, err := w.offer(blocks[1]); !errors.Is(err, syncer.ErrStale) {
			t.Fatalf("an offer at the safe head: %v, want stale", err)
		}
		// The canonical source has another block at height 4, and then the fork connects.
		other := w.branch("o").at(3)
		w.propose(0, other.next())
		st = w.want(3, 4)
		if st.Unsafe != st.Safe {
			t.Fatalf("unsafe %v beside safe %v, want the unsafe block reverted", st.Unsafe, st.Safe)
		}
		if _, ok, _ := w.node.KV.Get([]byte("a4")); ok {
			t.Fatal("the reverted block's effect is still there")
		}
		forged := *other.next()
		forged.Header.Signature = append([]byte{forged.Header.Signature[0] ^ 1}, forged.Header.Signature[1:]...)
		if _, err := w.offer(&forged); !errors.Is(err, syncer.ErrForged) {
			t.Fatalf("a forged offer: %v", err)
		}
	})
}

// S35: of two unsafe forks the one that is preferred is the head, in whatever order their blocks come; the safe head
// does not move.
func TestOfferedForks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		w.node.L1.Offers.SetGate(t.Context(), true)
		w.propose(0, w.branch("a").next())
		w.want(1, 1)
		x, y := w.branch("x").at(1), w.branch("y").at(1)
		var xs, ys []*block.Block
		for range 3 {
			xs, ys = append(xs, x.next()), append(ys, y.next())
		}
		for _, b := range []*block.Block{xs[0], ys[0], xs[1], ys[1], ys[2], xs[2]} {
			if _, err := w.offer(b); err != nil && !errors.Is(err, syncer.ErrOther) {
				t.Fatal(err)
			}
		}
		st, want := w.want(1, 1), xs[2].Hash()
		if x, y := xs[0].Hash(), ys[0].Hash(); bytes.Compare(y[:], x[:]) > 0 { // at the same time
			want = ys[2].Hash()
		}
		if st.Unsafe.Hash != want {
			t.Fatalf("unsafe head %v, want %s, the tip of the fork whose first block is preferred", st.Unsafe, want)
		}
	})
}

// E5: a crash at any step of a proposal: the same chain after the restart, no proposal lost or doubled.
func TestCrashWithinAProposal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for crashAt := 1; crashAt <= 6; crashAt++ {
			for percent := 0; percent <= 100; percent += 50 {
				w := newInboxWorld(t, local.Options{})
				b := w.branch("a")
				w.propose(0, b.next())
				w.want(1, 1)
				w.stop()
				steps, home := 0, (*syncertest.Home)(nil)
				step := func() {
					if steps++; steps == crashAt {
						if percent > 0 {
							_ = w.node.Store.Sync()
						}
						if percent == 100 {
							_ = w.node.KV.Sync()
						}
						home = &syncertest.Home{Store: w.node.Home.Store.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}), Engine: w.node.Home.Engine.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})}
					}
				}
				w.engine.Engine = &stepped{w.engine.Engine, step}
				in := w.propose(0, b.next(), b.next(), b.next())
				err := w.l1.Fetch(t.Context(), in.Block.Height, in.Block.Height+1, func(it follow.Item[l1.Block]) error { return w.node.L1.Apply(t.Context(), it) })
				if err != nil || home == nil {
					t.Fatalf("crash at %d of %d steps: %v", crashAt, steps, err)
				}
				w.node.Close()
				w.open(home)
				if st := w.want(2, 4); string(st.Root) != string(b.parent.Root) {
					t.Fatalf("root %x, want %x", st.Root, b.parent.Root)
				}
				w.stop()
				w.node.Close()
			}
		}
	})
}

// E1: a status looked at late, and after a restart, has the last proposal.
func TestProposalSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		w.propose(0, b.next())
		w.propose(0, b.next())
		st := w.want(2, 2)
		if len(st.Earlier) != 1 || st.Earlier[0].ID != 1 {
			t.Fatalf("earlier proposals are %+v, want the first", st.Earlier)
		}
		want := st.Proposal
		home := w.node.Home
		w.stop()
		w.node.Close()
		again := w.OpenL1(home, nil)
		if got := again.Status().Load(); got.Proposal != want || len(got.Earlier) != 1 || got.Earlier[0] != st.Earlier[0] {
			t.Fatalf("after a restart the proposal is %+v after %+v, want %+v after %+v", got.Proposal, got.Earlier, want, st.Earlier)
		}
		again.Close()
		if _, err := store.Open("store", store.Identity{ChainID: "other"}, store.Options{FS: home.Store}); !errors.Is(err, store.ErrOtherChain) {
			t.Fatalf("got %v", err)
		}
	})
}

// meddled is an engine with something done, and perhaps an error instead of an answer, before each execution.
type meddled struct {
	*kv.Engine
	before func(b *block.Block) error
}

func (m *meddled) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	if err := m.before(b); err != nil {
		return nil, err
	}
	return m.Engine.Execute(ctx, b)
}

// An engine that loses its blocks, or gives a verdict once only, in the middle of a proposal, wherever that is: the
// proposal is executed all the same, after what the engine has lost, with the blocks of the proposal that no store
// has yet.
func TestEngineFailsWithinAProposal(t *testing.T) {
	for name, fail := range map[string]func(*kv.Engine) error{
		"loses its blocks": func(e *kv.Engine) error { return e.Revert(context.Background(), 0) },
		"one verdict":      func(*kv.Engine) error { return exec.ErrInvalid },
	} {
		for height := uint64(2); height <= 4; height++ {
			t.Run(fmt.Sprintf("%s at %d", name, height), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newInboxWorld(t, local.Options{})
					w.node.L1.Offers.SetGate(t.Context(), true)
					ours := w.branch("a")
					w.propose(0, ours.next())
					w.want(1, 1)
					for range 2 { // unsafe blocks, which the proposal replaces
						if _, err := w.offer(ours.next()); err != nil {
							t.Fatal(err)
						}
					}
					theirs := w.branch("b").at(1)
					failed := 0
					w.engine.Engine = &meddled{w.node.KV, func(b *block.Block) error {
						if b.Height() != height || failed > 0 {
							return nil
						}
						failed++
						return fail(w.node.KV)
					}}
					w.propose(0, theirs.next(), theirs.next(), theirs.next())
					st := w.want(2, 4)
					if st.Proposal.Void != "" || st.Safe != theirs.parent.Ref || string(st.Root) != string(theirs.parent.Root) || failed != 1 || st.Stage != (syncer.Stage{}) {
						t.Errorf("got %+v, safe %v after %d failures; want the proposal's last block, %v", st.Proposal, st.Safe, failed, theirs.parent.Ref)
					}
					if h, err := w.node.KV.Head(t.Context()); err != nil || h.Hash != st.Safe.Hash {
						t.Errorf("the engine is at %d, %v, want the safe head", h.Height, err)
					}
				})
			})
		}
	}
}

// An engine that goes back to a state to be asked about it, between two proposals of one L1 block, gets the blocks of
// the first again.
func TestExemptBetweenProposals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		w.stop()
		asked := 0
		w.engine.exempt = func(uint64, [][]byte) ([]string, error) {
			if asked++; asked == 1 {
				return nil, exec.ErrPruned
			}
			return []string{"used up"}, nil
		}
		b := w.branch("a")
		first, second, third := b.next(), b.next(), b.next()
		in := w.propose(0, first)
		err := w.l1.Fetch(t.Context(), in.Block.Height, in.Block.Height+1, func(it follow.Item[l1.Block]) error {
			for i, blk := range []*block.Block{second, third} {
				p := &l1.Proposal{ID: uint64(i + 2), Sources: []l1.Source{{Forced: true, Txs: [][]byte{[]byte("forced=1")}}, {}}, Blocks: encode(t, w.World, blk)}
				copy(p.Parent[:], blk.Header.Header.LastHeaderHash)
				it.Data.Messages = append(it.Data.Messages, l1.Message{Proposal: p})
			}
			return w.node.L1.Apply(t.Context(), it)
		})
		if err != nil {
			t.Fatal(err)
		}
		if st := w.node.Status().Load(); st.Safe != third.Ref() || st.Counts.Void != 0 || st.Counts.Exempt != 2 || asked != 3 {
			t.Errorf("got %v, %+v after %d questions; want the third block", st.Safe, st.Counts, asked)
		}
		if h, err := w.node.KV.Head(t.Context()); err != nil || h.Hash != third.Hash() {
			t.Errorf("the engine is at %d, %v, want the third block", h.Height, err)
		}
	})
}

// What the L1 takes back it takes back from the safe head alone. The blocks stay, without their origin, for a sequencer
// to propose again and for a full node that has them by a proposal alone, across a restart; offers of them and of their
// children are taken as of any unsafe block; and when they are proposed again they are not executed.
func TestReorgKeepsSignedBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		blocks := []*block.Block{b.next(), b.next(), b.next(), b.next()}
		first := w.propose(0, blocks[0])
		w.propose(0, blocks[1], blocks[2])
		w.want(2, 3)
		w.node.L1.Offers.SetGate(t.Context(), true)
		if _, err := w.offer(blocks[1]); !errors.Is(err, syncer.ErrStale) {
			t.Fatalf("an offer of a safe block: got %v, want ErrStale", err)
		}
		if err := w.l1.Reorg(first.Block.Height, func() { w.l1.Mine(); w.l1.Mine() }); err != nil {
			t.Fatal(err)
		}
		kept := func() {
			t.Helper()
			st := w.want(1, 1)
			if st.Unsafe != blocks[2].Ref() || st.Counts.RevertedUnsafe != 0 || w.engine.reverted != 0 {
				t.Fatalf("got unsafe head %v, %+v, %d reverts; want block 3 as it was, and the engine left alone", st.Unsafe, st.Counts, w.engine.reverted)
			}
			for h := uint64(2); h <= 3; h++ {
				if rec, err := w.node.Block(h); err != nil || rec.Origin != (store.Origin{}) {
					t.Fatalf("block %d: got origin %+v, %v; want none", h, rec.Origin, err)
				}
			}
			if rec, err := w.node.Block(1); err != nil || rec.Origin.Proposal != 1 {
				t.Fatalf("block 1: got origin %+v, %v; want its proposal's", rec.Origin, err)
			}
		}
		kept()
		w.stop()
		w.node.Close()
		w.open(w.node.Home)
		kept()

		w.node.L1.Offers.SetGate(t.Context(), true)
		if buffered, err := w.offer(blocks[1]); buffered || err != nil {
			t.Fatalf("an offer of what is there: got %v, %v", buffered, err)
		}
		if buffered, err := w.offer(blocks[3]); buffered || err != nil || w.node.Status().Load().Unsafe != blocks[3].Ref() {
			t.Fatalf("an offer of the next one: got %v, %v, head %v; want it on top", buffered, err, w.node.Status().Load().Unsafe)
		}
		executed := w.engine.executed
		in := w.propose(0, blocks[1], blocks[2], blocks[3])
		if st := w.want(2, 4); w.engine.executed != executed || st.Counts.Promoted != 3 {
			t.Fatalf("%d executed, %+v; want the three blocks promoted", w.engine.executed-executed, st.Counts)
		}
		if rec, err := w.node.Block(3); err != nil || rec.Origin.Source.Hash != block.Hash(in.Block.Hash) {
			t.Fatalf("block 3: got origin %+v, %v; want the new one", rec.Origin, err)
		}
	})
}
