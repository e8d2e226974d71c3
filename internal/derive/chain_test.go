package derive_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"headrace/block"
	"headrace/da"
	"headrace/internal/derive"
)

const chainID, startTime = "chain", 1000

var (
	headerNS, dataNS = da.NamespaceFromName("hdr"), da.NamespaceFromName("dat")
	proposer         = keyOf(1)
	stranger         = keyOf(2)
)

// keyOf returns a key that is the same in every run.
func keyOf(n byte) *block.PrivateKey {
	seed := bytes.Repeat([]byte{n}, ed25519.SeedSize)
	k, err := block.ParsePrivateKey(append([]byte{8, 1, 0x12, 64}, ed25519.NewKeyFromSeed(seed)...))
	if err != nil {
		panic(err)
	}
	return k
}

func config() derive.Config {
	return derive.Config{
		Authority: derive.NewAuthority(chainID, proposer.Public().Address()), InitialHeight: 1, StartTime: startTime,
		HeaderNamespace: headerNS, DataNamespace: dataNS,
	}
}

func genesisTip() derive.Tip { return derive.Tip{Height: 0} }

// built is a block as its proposer makes it, and its blobs.
type built struct {
	*block.Block
	header, plain []byte // the header's two forms
	data          []byte // nil for an empty block
}

type fataler interface{ Fatal(args ...any) }

// build makes the block after parent (nil for the first), signed by k; change, if not nil, is applied before signing.
func build(t fataler, k *block.PrivateKey, parent *built, change func(h *block.Header, m *block.Metadata), txs ...string) *built {
	h := block.Header{Height: 1, Time: startTime, ChainID: chainID, ProposerAddress: k.Public().Address()}
	d := block.Data{}
	for _, tx := range txs {
		d.Txs = append(d.Txs, []byte(tx))
	}
	m := &d.Metadata
	if parent != nil {
		header, data := parent.Hash(), parent.Data.Hash()
		h.Height, h.Time = parent.Height()+1, parent.Header.Header.Time+1
		h.LastHeaderHash, m.LastDataHash = header[:], data[:]
	}
	commitment := d.Commitment()
	h.DataHash = commitment[:]
	m.ChainID, m.Height, m.Time = chainID, h.Height, h.Time
	if change != nil {
		change(&h, m)
	}
	signed, err := block.SignHeader(k, h)
	if err != nil {
		t.Fatal(err)
	}
	b := &built{Block: &block.Block{Header: signed, Data: d}}
	b.header = signed.Encode()
	signed.EnvelopeSignature = nil
	b.plain = signed.Encode()
	if len(txs) > 0 {
		s, err := block.SignData(k, d)
		if err != nil {
			t.Fatal(err)
		}
		b.data = s.Encode()
	}
	return b
}

// chain makes n blocks; those at heights in empty have no transactions.
func chain(t fataler, n int, empty ...int) []*built {
	var out []*built
	var parent *built
	for i := 1; i <= n; i++ {
		var txs []string
		if !slices.Contains(empty, i) {
			txs = []string{fmt.Sprint("tx ", i), fmt.Sprint("ty ", i)}
		}
		parent = build(t, proposer, parent, nil, txs...)
		out = append(out, parent)
	}
	return out
}

// blob is a blob's namespace and bytes, before it has a place.
type blob struct {
	ns   da.Namespace
	data []byte
}

func hdr(b []byte) blob { return blob{headerNS, b} }
func dat(b []byte) blob { return blob{dataNS, b} }

// item makes the item of one DA height from blobs in square order, listed as a source does: one namespace after the
// other.
func item(height uint64, blobs ...blob) *da.Block {
	out := &da.Block{Height: height}
	for _, ns := range []da.Namespace{headerNS, dataNS} {
		for i, b := range blobs {
			if b.ns == ns || ns == dataNS && b.ns != headerNS {
				out.Blobs = append(out.Blobs, da.Blob{Namespace: b.ns, Data: b.data, Index: 10*i + 1})
			}
		}
	}
	return out
}

func newDeriver(t fataler, cfg derive.Config, s derive.State) *derive.Deriver {
	d, err := derive.New(cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func step(t fataler, d *derive.Deriver, it *da.Block) derive.Result {
	r, err := d.Step(it)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// disk keeps a derive.State as a store does: by the deltas of each commit.
type disk struct {
	state  derive.State
	halves map[block.HalfKey]block.Half
	blocks []*block.Block
}

func newDisk() *disk {
	return &disk{state: derive.State{Tip: genesisTip()}, halves: map[block.HalfKey]block.Half{}}
}

// load returns the stored state; the halves come in no special order, as from a map.
func (s *disk) load() derive.State {
	out := s.state
	for _, h := range s.halves {
		out.Pending = append(out.Pending, h)
	}
	return out
}

func (s *disk) commitBlock(b derive.Derived) {
	blk := b.Block()
	s.blocks = append(s.blocks, blk)
	s.state.Tip = derive.TipOf(blk)
	s.state.EnvelopesOnly = s.state.EnvelopesOnly || b.EnvelopesOnly
	for _, k := range b.Removed {
		delete(s.halves, k)
	}
}

// commit stores a whole result: each block, and the rest with the last.
func (s *disk) commit(r derive.Result) {
	for _, b := range r.Blocks {
		s.commitBlock(b)
	}
	for _, k := range r.Removed {
		delete(s.halves, k)
	}
	for _, h := range r.Added {
		s.halves[h.Key()] = h
	}
	s.state.EnvelopesOnly = r.EnvelopesOnly
}

func encodings[B interface{ Encode() []byte }](blocks []B) (out []string) {
	for _, b := range blocks {
		out = append(out, string(b.Encode()))
	}
	return out
}

// wantBlocks fails unless the derived blocks are exactly want.
func wantBlocks(t testing.TB, got []derive.Derived, want ...*built) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d blocks, want %d", len(got), len(want))
	}
	for i, b := range got {
		if !bytes.Equal(b.Block().Encode(), want[i].Encode()) {
			t.Fatalf("got block %d (%v), want %d (%v)", b.Block().Height(), b.Block().Hash(), want[i].Height(), want[i].Hash())
		}
	}
}

func wantCounts(t testing.TB, got derive.Counts, want map[derive.Reason]uint64) {
	t.Helper()
	var c derive.Counts
	for r, n := range want {
		c[r] = n
	}
	if got != c {
		t.Fatalf("got counts %v, want %v", got.Map(), c.Map())
	}
}
