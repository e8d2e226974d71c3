package syncer_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/exec"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
)

// The homes in testdata were written by the commit that added them, with "go test ./internal/syncer -run
// TestRecordedHomes -record". They are never written again: they stand for the nodes out there that a later version
// must open. Each has the directories of the store and of the key-value engine, and want.json, which is what that
// commit said of the home when it opened it. The functions record… are the steps that led there; the tests take them
// with the present code too, and expect the same.
var record = flag.Bool("record", false, "write the homes in testdata, instead of opening copies of them")

// held is what a home holds, as a node says that has opened it.
type held struct {
	Unsafe, Safe, Finalized, Position, Proven block.Ref
	Root                                      []byte
	Proposal                                  syncer.Proposal
	Earlier                                   []syncer.Proposal
	Halves                                    []block.HalfKey
	SourceFinalized                           block.Ref
}

func (w homeWorld) holds(m *syncertest.Machine) held {
	w.t.Helper()
	st := m.Status().Load()
	h := held{Unsafe: st.Unsafe, Safe: st.Safe, Finalized: st.Finalized, Position: st.Position, Proven: st.Proven, Root: st.Root, Proposal: st.Proposal, Earlier: st.Earlier}
	halves, err := m.Store.Halves()
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range halves {
		h.Halves = append(h.Halves, halves[i].Key())
	}
	if in := m.Store.State().Inbox; in != nil {
		h.SourceFinalized = in.Finalized
	}
	return h
}

// homeWorld is a rollup that is the same in every run, and the blocks of its chain.
type homeWorld struct {
	*syncertest.World
	t   *testing.T
	seq *syncertest.Machine // has the chain's blocks, all unsafe
}

func newHomeWorld(t *testing.T) homeWorld {
	t.Helper()
	key, err := block.ParsePrivateKey(append([]byte{8, 1, 18, 64}, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))...))
	if err != nil {
		t.Fatal(err)
	}
	w := homeWorld{t: t, World: &syncertest.World{T: t, Key: key, Genesis: &block.Genesis{
		ChainID: "test", StartTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"},
	}}}
	w.seq = w.Open(syncertest.NewHome(), nil)
	t.Cleanup(w.seq.Close)
	produce(t, w.World, w.seq, 7)
	return w
}

func (w homeWorld) block(height uint64) *block.Block {
	w.t.Helper()
	rec, err := w.seq.Block(height)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Block
}

// check fails the test unless m holds want.
func (w homeWorld) check(what string, m *syncertest.Machine, want held) {
	w.t.Helper()
	got, err := json.Marshal(w.holds(m))
	if err != nil {
		w.t.Fatal(err)
	}
	if expected, _ := json.Marshal(want); !bytes.Equal(got, expected) {
		w.t.Errorf("%s: got %s\nwant %s", what, got, expected)
	}
}

// recorded returns copies of the recorded home and of one made now by steps, and what both must hold. With -record it
// writes the home first.
func (w homeWorld) recorded(name string, open func(*syncertest.Home, func(exec.Engine) exec.Engine) *syncertest.Machine, steps func(home *syncertest.Home)) (homes map[string]*syncertest.Home, want held) {
	w.t.Helper()
	kept := filepath.Join("testdata", name)
	if *record {
		if err := os.RemoveAll(kept); err != nil {
			w.t.Fatal(err)
		}
		if err := os.MkdirAll(kept, 0o755); err != nil {
			w.t.Fatal(err)
		}
		home := syncertest.DiskHome(kept)
		steps(home)
		w.compact(home)
		scratch := w.copied(kept)
		m := open(scratch, nil)
		raw, err := json.MarshalIndent(w.holds(m), "", "  ")
		m.Close()
		if err == nil {
			err = os.WriteFile(filepath.Join(kept, "want.json"), append(raw, '\n'), 0o644)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(kept, "want.json"))
	if err == nil {
		err = json.Unmarshal(raw, &want)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	now := syncertest.NewHome()
	steps(now)
	return map[string]*syncertest.Home{"recorded": w.copied(kept), "made now": now}, want
}

// state returns what the home's store says before a node has opened it.
func (w homeWorld) state(home *syncertest.Home) store.State {
	w.t.Helper()
	s, err := store.Open(filepath.Join(home.Dir, "store"), store.Identity{ChainID: "test", Genesis: w.Genesis.Hash(), Source: "da"}, store.Options{FS: home.Store})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	return s.State()
}

// compact opens the home's databases once more, which makes tables of their logs.
func (w homeWorld) compact(home *syncertest.Home) {
	w.t.Helper()
	w.state(home)
	engine, err := kv.Open(filepath.Join(home.Dir, "kv"), kv.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := engine.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w homeWorld) copied(dir string) *syncertest.Home {
	w.t.Helper()
	scratch := w.t.TempDir()
	if err := os.CopyFS(scratch, os.DirFS(dir)); err != nil {
		w.t.Fatal(err)
	}
	return syncertest.DiskHome(scratch)
}

// daItem is a DA height with some halves of blocks: 'h' is the header and 'd' the data of the block at the height
// that follows it.
func (w homeWorld) daItem(height uint64, claims []da.Claim, halves string) follow.Item[da.Block] {
	w.t.Helper()
	b := da.Block{Height: height, Unproven: claims}
	for ; halves != ""; halves = halves[2:] {
		blobs := posted(w.t, w.World, w.seq, height, uint64(halves[1]-'0'), uint64(halves[1]-'0')+1).Data.Blobs
		blob := blobs[0]
		if halves[0] == 'd' {
			blob = blobs[1]
		}
		blob.Index = len(b.Blobs)
		b.Blobs = append(b.Blobs, blob)
	}
	return item(b)
}

// recordDA leaves a home of a DA chain with blocks 1 to 3 safe and 4 unsafe, halves of 4, 5 and 6 that wait, and two
// heights whose content is not shown to be all.
func (w homeWorld) recordDA(home *syncertest.Home) {
	w.t.Helper()
	m := w.Open(home, nil)
	defer m.Close()
	claims := []da.Claim{{Namespace: syncertest.DataNS}}
	w.applyDA(m, w.daItem(1, nil, "h1d1h2d2"), w.daItem(2, nil, "d3h3"), w.daItem(3, nil, "h4d6h5"), w.daItem(4, claims, ""), w.daItem(5, claims, ""))
	produce(w.t, w.World, m, 1)
}

func (w homeWorld) applyDA(m *syncertest.Machine, items ...follow.Item[da.Block]) {
	w.t.Helper()
	if err := m.Apply(w.t.Context(), items...); err != nil {
		w.t.Fatal(err)
	}
}

// A home of a DA chain of before opens: what was not proven is read again, halves that wait meet the others, and an
// unsafe block is promoted.
func TestRecordedHomesDA(t *testing.T) {
	w := newHomeWorld(t)
	homes, want := w.recorded("da", w.Open, w.recordDA)
	if want.Position.Height != 3 || want.Proven != want.Position || want.Safe.Height != 3 || want.Unsafe != w.block(4).Ref() || len(want.Halves) != 3 {
		t.Fatalf("the record says %+v, want 3 DA heights, 4 blocks and 3 halves", want)
	}
	for name, home := range homes {
		if st := w.state(home); st.Position.Height != 5 || st.Proven.Height != 3 {
			t.Fatalf("%s: the position is %d, and %d is proven; want 5 and 3", name, st.Position.Height, st.Proven.Height)
		}
		m := w.Open(home, nil)
		w.check(name, m, want)
		w.applyDA(m, w.daItem(4, nil, "d5"), w.daItem(5, []da.Claim{{Namespace: syncertest.HeaderNS}}, ""), w.daItem(6, nil, "h6d4"), w.daItem(7, nil, "h7d7"))
		st := m.Status().Load()
		if st.Safe != w.block(7).Ref() || st.Unsafe != st.Safe || st.Position.Height != 7 || st.Proven.Height != 4 || st.Counts.Promoted != 1 || st.Counts.Executed != 3 {
			t.Errorf("%s: got %+v, want block 7 safe, at DA height 7, 4 of them proven; one block promoted and three executed", name, st)
		}
		m.Close()
	}
}

// l1Item is an L1 block of one fork with at most one proposal.
func (w homeWorld) l1Item(fork byte, height, id uint64, blocks ...*block.Block) follow.Item[l1.Block] {
	hash := func(h uint64) (x follow.Hash) { x[0], x[1] = byte(h), fork; return x }
	it := follow.Item[l1.Block]{Height: height, Hash: hash(height), Parent: hash(height - 1)}
	it.Data = l1.Block{Number: height, Hash: l1.Hash(it.Hash), Parent: l1.Hash(it.Parent)}
	if id > 0 {
		p := &l1.Proposal{ID: id, Sources: []l1.Source{{}}, Blocks: encode(w.t, w.World, blocks...)}
		if len(blocks) > 0 {
			copy(p.Parent[:], blocks[0].Header.Header.LastHeaderHash)
		}
		it.Data.Messages = []l1.Message{{Tx: l1.Hash{byte(id), fork}, LogIndex: 3, Proposal: p}}
	}
	return it
}

func (w homeWorld) applyL1(m *syncertest.Machine, items ...follow.Item[l1.Block]) {
	w.t.Helper()
	for _, it := range items {
		if err := m.L1.Apply(w.t.Context(), it); err != nil {
			w.t.Fatal(err)
		}
	}
}

// recordL1 leaves a home in the middle of a reorg: of six L1 blocks two are reverted, the third is final, and
// proposal 3 in the fourth is void.
func (w homeWorld) recordL1(home *syncertest.Home) {
	w.t.Helper()
	m, ctx := w.OpenL1(home, nil), w.t.Context()
	defer m.Close()
	final := w.l1Item(1, 3, 2, w.block(2), w.block(3))
	w.applyL1(m, w.l1Item(1, 1, 1, w.block(1)), w.l1Item(1, 2, 0), final)
	if err := m.L1.Finalize(ctx, l1.Ref{Height: 3, Hash: [32]byte(final.Hash)}); err != nil {
		w.t.Fatal(err)
	}
	w.applyL1(m, w.l1Item(1, 4, 3), w.l1Item(1, 5, 4, w.block(4)), w.l1Item(1, 6, 5, w.block(5), w.block(6)))
	for range 2 {
		if err := m.L1.Revert(ctx); err != nil {
			w.t.Fatal(err)
		}
	}
	produce(w.t, w.World, m, 1)
}

// A home of an L1 chain of before, left in the middle of a reorg, opens with all that it knows of the inbox, and the
// reorg goes on.
func TestRecordedHomesL1(t *testing.T) {
	w := newHomeWorld(t)
	homes, want := w.recorded("l1", w.OpenL1, w.recordL1)
	if p := want.Proposal; p.ID != 3 || p.Void == "" || p.Reorgs != 1 || len(want.Earlier) != 1 || want.Earlier[0].ID != 2 || want.SourceFinalized.Height != 3 ||
		want.Position.Height != 4 || want.Safe != w.block(3).Ref() || want.Finalized != want.Safe || want.Unsafe != w.block(4).Ref() {
		t.Fatalf("the record says %+v, want void proposal 3 after proposal 2, one reorg, and L1 block 3 final", want)
	}
	for name, home := range homes {
		m, holds := w.OpenL1(home, nil), want
		if name == "made now" { // an older version dropped the blocks that the reverted proposals had made
			holds.Unsafe, holds.Root = w.block(7).Ref(), w.seq.Status().Load().Root
		}
		w.check(name, m, holds)
		for _, want := range []error{nil, follow.ErrFinalized} {
			if err := m.L1.Revert(t.Context()); !errors.Is(err, want) || m.Status().Load().Position.Height != 3 {
				t.Fatalf("%s: got %v at L1 block %d, want %v at 3", name, err, m.Status().Load().Position.Height, want)
			}
		}
		if p := m.Status().Load().Proposal; p.ID != 2 || p.Reorgs != 2 || p != (syncer.Proposal{ID: 2, L1: p.L1, Tx: block.Hash{2, 1}, L2: want.Safe, Reorgs: 2}) || p.L1.Height != 3 {
			t.Errorf("%s: after a further revert the proposal is %+v, want the second, and two reorgs", name, p)
		}
		next := w.l1Item(2, 4, 3, w.block(4))
		next.Parent = follow.Hash{3, 1}
		w.applyL1(m, next, w.l1Item(2, 5, 4, w.block(5), w.block(6)), w.l1Item(2, 6, 5, w.block(7)))
		st := m.Status().Load()
		if st.Safe != w.block(7).Ref() || st.Unsafe != st.Safe || st.Finalized != want.Finalized || st.Proposal.ID != 5 || st.Proposal.Reorgs != 2 || len(st.Earlier) != 3 {
			t.Errorf("%s: got %+v, want block 7 by proposal 5 after three others", name, st)
		}
		if err := m.L1.Finalize(t.Context(), l1.Ref{Height: 5, Hash: block.Hash{5, 2}}); err != nil || m.Status().Load().Finalized != w.block(6).Ref() {
			t.Errorf("%s: got %v, finalized %v, want block 6", name, err, m.Status().Load().Finalized)
		}
		if err := m.L1.Revert(t.Context()); err != nil || m.Status().Load().Proposal.Reorgs != 3 {
			t.Errorf("%s: got %v and %+v, want it to be the third reorg", name, err, m.Status().Load().Proposal)
		}
		last := w.l1Item(2, 6, 5, w.block(7))
		w.applyL1(m, last)
		st = m.Status().Load()
		m.Close()
		again := w.OpenL1(home, nil)
		if p := again.Status().Load().Proposal; p != st.Proposal || again.Store.State().Inbox.Finalized != (block.Ref{Height: 5, Hash: block.Hash{5, 2}}) {
			t.Errorf("%s: opened again it holds %+v, want %+v", name, p, st.Proposal)
		}
		again.Close()
	}
}
