package syncer_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
)

// mirrorOf is the sink of a replica, and what it stands on.
func mirrorOf(t *testing.T, w *syncertest.World, l1 bool) (*syncer.ReplicaSink, *store.Store) {
	t.Helper()
	g := *w.Genesis
	if l1 {
		g.DA, g.L1 = nil, &block.GenesisL1{ChainID: 1, Inbox: "0x00000000000000000000000000000000000000aa"}
	}
	dir := t.TempDir()
	s, err := store.Open(filepath.Join(dir, "store"), store.Identity{ChainID: g.ChainID}, store.Options{InitialHeight: g.InitialHeight, Start: block.Ref{Height: g.InitialHeight - 1}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Open(filepath.Join(dir, "kv"), kv.Options{InitialHeight: g.InitialHeight})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = e.Close(), s.Close() })
	r, err := syncer.OpenReplica(syncer.Config{
		Genesis: &g, Store: s, Engine: e, MaxUnsafe: 100,
		Derive: derive.Config{Authority: derive.NewAuthority(g.ChainID, g.ProposerAddress), InitialHeight: g.InitialHeight, StartTime: uint64(g.StartTime.UnixNano())},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

// childOf makes the block after b; the first one for nil.
func childOf(t *testing.T, w *syncertest.World, s *store.Store, b *block.Block, tx string) *block.Block {
	t.Helper()
	p := syncer.Parent{Root: s.State().InitialRoot}
	if b != nil {
		rec, err := s.Block(b.Height())
		if err != nil {
			t.Fatal(err)
		}
		p = syncer.Parent{Ref: b.Ref(), DataHash: b.Data.Hash(), Time: b.Header.Header.Time, Root: rec.Root}
	}
	return sign(t, w, p, tx)
}

// apply gives a replica a block as another node has it.
func apply(t *testing.T, r *syncer.ReplicaSink, b *block.Block) {
	t.Helper()
	item, err := r.Check(b.Header.Encode(), b.Data.Encode())
	if err == nil && (item.Ref() != b.Ref() || !bytes.Equal(item.Parent.Field(), b.Header.Header.LastHeaderHash)) {
		t.Fatalf("got the item %v after %s, want %v", item.Ref(), item.Parent, b.Ref())
	}
	if err == nil {
		err = r.Apply(t.Context(), item)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A replica takes what the proposer has signed and nothing else, whole: no copy that its envelope was taken from.
func TestReplicaChecks(t *testing.T) {
	w := syncertest.NewWorld(t, -1)
	r, s := mirrorOf(t, w, false)
	first := childOf(t, w, s, nil, "a=1")
	apply(t, r, first)
	if st := s.State(); st.Safe != first.Ref() || st.Finalized != st.Safe || st.Position != st.Safe {
		t.Errorf("got %+v, want block 1 safe and final", st)
	}
	b := childOf(t, w, s, first, "a=2")
	header, data := b.Header.Encode(), b.Data.Encode()
	bare := b.Header
	bare.EnvelopeSignature = nil
	spoiled := bytes.Clone(header)
	spoiled[len(spoiled)-1] ^= 1
	for name, q := range map[string]struct {
		header, data []byte
		want         error
	}{
		"no header":         {[]byte{0xff}, data, syncer.ErrGarbled},
		"another signature": {spoiled, data, syncer.ErrForged},
		"without envelope":  {bare.Encode(), data, syncer.ErrForged},
		"other data":        {header, first.Data.Encode(), syncer.ErrForged},
		"no data":           {header, nil, syncer.ErrForged},
		"garbled data":      {header, []byte{0xff}, syncer.ErrGarbled},
	} {
		if _, err := r.Check(q.header, q.data); !errors.Is(err, q.want) {
			t.Errorf("%s: got %v, want %v", name, err, q.want)
		}
	}
	apply(t, r, b)
	if err := r.Revert(t.Context()); !errors.Is(err, follow.ErrFinalized) {
		t.Errorf("got %v of a revert on a DA layer, want that it is final", err)
	}
}

// A replica whose clock is behind believes the nodes which call a block safe that its time has come: it takes that block,
// and then unsafe ones of that time. A time that no clock shows it waits for.
func TestReplicaWithAClockBehind(t *testing.T) {
	w := syncertest.NewWorld(t, -1)
	r, s := mirrorOf(t, w, false)
	r.Offers.SetGate(t.Context(), true)
	tomorrow := func(p syncer.Parent, more time.Duration) *block.Block {
		p.Time = uint64(time.Now().Add(24*time.Hour + more).UnixNano())
		return sign(t, w, p, "a=1")
	}
	first := tomorrow(syncer.Parent{Root: s.State().InitialRoot}, 0)
	if _, err := r.Offers.OfferStored(t.Context(), first.Header.Encode(), first.Data.Encode()); err == nil || !strings.Contains(err.Error(), "ahead of this machine's clock") {
		t.Fatalf("got %v of an unsafe block of tomorrow, want that it waits for the clock", err)
	}
	apply(t, r, first)
	if st := r.Status().Load(); st.Safe != first.Ref() || st.Stage.Name == follow.StageClock {
		t.Fatalf("got %+v, want block 1 safe", st)
	}
	rec, err := s.Block(1)
	if err != nil {
		t.Fatal(err)
	}
	second := tomorrow(syncer.Parent{Ref: first.Ref(), DataHash: first.Data.Hash(), Root: rec.Root}, time.Second)
	if _, err := r.Offers.OfferStored(t.Context(), second.Header.Encode(), second.Data.Encode()); err != nil || r.Status().Load().Unsafe != second.Ref() {
		t.Errorf("got %v and %+v of an unsafe block a second later, want that it is taken", err, r.Status().Load().Unsafe)
	}
	if rec, err = s.Block(2); err != nil {
		t.Fatal(err)
	}
	never := sign(t, w, syncer.Parent{Ref: second.Ref(), DataHash: second.Data.Hash(), Root: rec.Root, Time: 1 << 63}, "a=2")
	item, err := r.Check(second.Header.Encode(), second.Data.Encode())
	if err == nil {
		err = r.Apply(t.Context(), item)
	}
	if err != nil {
		t.Fatal(err)
	}
	if item, err = r.Check(never.Header.Encode(), never.Data.Encode()); err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(t.Context(), item); err == nil || r.Status().Load().Stage.Name != follow.StageClock || r.Status().Load().Safe != second.Ref() {
		t.Errorf("got %v and %+v of a time that no clock shows, want a wait for the clock", err, r.Status().Load())
	}
}

// On an L1 a safe block that is taken back stays as an unsafe one, gives way to another, and is promoted where it comes
// again; what is final stays, and is only what is here.
func TestReplicaReverts(t *testing.T) {
	w := syncertest.NewWorld(t, -1)
	r, s := mirrorOf(t, w, true)
	var last *block.Block
	var blocks []*block.Block
	for _, tx := range []string{"a=1", "a=2", "a=3"} {
		last = childOf(t, w, s, last, tx)
		apply(t, r, last)
		blocks = append(blocks, last)
	}
	for _, at := range []block.Ref{{Height: 2, Hash: block.Hash{9}}, {Height: 9, Hash: block.Hash{9}}, blocks[0].Ref()} {
		if err := r.Finalize(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.State().Finalized; got != blocks[0].Ref() {
		t.Errorf("got the finalized block %v, want block 1", got)
	}
	for range 2 {
		if err := r.Revert(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Revert(t.Context()); !errors.Is(err, follow.ErrFinalized) {
		t.Errorf("got %v of a revert of the final block", err)
	}
	if st := s.State(); st.Safe != blocks[0].Ref() || st.Position != st.Safe || st.Unsafe != blocks[2].Ref() {
		t.Errorf("got %+v, want block 1 safe, and 3 unsafe", st)
	}
	if _, ok := r.At(2); ok {
		t.Error("a block that is not safe any more is remembered as one that is")
	}
	apply(t, r, blocks[1])
	other := childOf(t, w, s, blocks[1], "b=3")
	apply(t, r, other)
	c := r.Status().Load().Counts
	if st := s.State(); st.Safe != other.Ref() || st.Unsafe != other.Ref() || c.Promoted != 1 || c.Demoted != 2 || c.SignedTwice != 0 {
		t.Errorf("got %+v, %+v; want the other block in the place of block 3", st, c)
	}
	if err := errors.Join(r.Placed(other.Ref(), 7, 8), r.Placed(blocks[2].Ref(), 9, 9)); err != nil {
		t.Fatal(err)
	}
	if rec, err := s.Block(3); err != nil || rec.Origin.HeaderAt != 7 || rec.Origin.DataAt != 8 {
		t.Errorf("got the origin %+v, %v; want where it is now", rec.Origin, err)
	}
}

// A block without a signature of its own is taken by the word of the one after it, whose header names it, and by nothing
// else. When it is not safe any more it is dropped, with those on top of it; they are taken again when they come again.
func TestReplicaOfBareBlocks(t *testing.T) {
	w := syncertest.NewWorld(t, -1)
	one, made := mirrorOf(t, w, true)
	r, s := mirrorOf(t, w, true)
	var last *block.Block
	var blocks []*block.Block
	for _, tx := range []string{"a=1", "a=2", "a=3"} {
		last = childOf(t, w, made, last, tx)
		apply(t, one, last)
		blocks = append(blocks, last)
	}
	bare := func(i int) []byte { return (&block.SignedHeader{Header: blocks[i].Header.Header}).Encode() }
	data := func(i int) []byte { return blocks[i].Data.Encode() }
	if _, err := r.Check(bare(2), data(2)); !errors.Is(err, syncer.ErrForged) {
		t.Errorf("got %v of a block without a signature, alone, want that it is forged", err)
	}
	third, err := r.Check(blocks[2].Header.Encode(), data(2))
	if err != nil {
		t.Fatal(err)
	}
	other := blocks[1].Header.Header
	other.AppHash = bytes.Repeat([]byte{9}, 32) // which no data name
	for name, q := range map[string]struct {
		header, data []byte
		want         error
	}{
		"no header":           {[]byte{0xff}, data(1), syncer.ErrGarbled},
		"the one before that": {bare(0), data(0), syncer.ErrForged},
		"another one":         {(&block.SignedHeader{Header: other}).Encode(), data(1), syncer.ErrForged},
		"itself":              {bare(2), data(2), syncer.ErrForged},
		"other data":          {bare(1), data(0), syncer.ErrForged},
		"garbled data":        {bare(1), []byte{0xff}, syncer.ErrGarbled},
	} {
		if _, err := r.Before(&third, q.header, q.data); !errors.Is(err, q.want) {
			t.Errorf("%s: got %v, want %v", name, err, q.want)
		}
	}
	spoiled := blocks[1].Header // what else it says is none of it
	spoiled.Signature = []byte("whatever")
	second, err := r.Before(&third, spoiled.Encode(), data(1))
	if err != nil {
		t.Fatal(err)
	}
	first, err := r.Before(&second, bare(0), data(0))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for i, item := range []follow.Item[*syncer.Replicated]{first, second, third} {
			if err := r.Apply(t.Context(), item); err != nil {
				t.Fatal(err)
			}
			if rec, err := s.Block(item.Height); err != nil || rec.Block.Hash() != blocks[i].Hash() || (len(rec.Block.Header.Signature) > 0) != (i == 2) {
				t.Errorf("got %+v, %v; want block %d, with a signature if it came with one", rec.Block, err, i+1)
			}
		}
		if st, want := s.State(), made.State(); st.Safe != want.Safe || !bytes.Equal(st.SafeRoot, want.SafeRoot) {
			t.Errorf("got %+v, want what has come with signatures, %+v", st, want)
		}
		for _, want := range []block.Ref{blocks[2].Ref(), blocks[0].Ref()} {
			if err := r.Revert(t.Context()); err != nil {
				t.Fatal(err)
			}
			if st := s.State(); st.Unsafe != want {
				t.Errorf("got %+v, want the unsafe head %v", st, want)
			}
		}
		if err := r.Revert(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := s.State(); st.Unsafe.Height != 0 || st.Safe.Height != 0 {
			t.Errorf("got %+v, want no block", st)
		}
	}
}
