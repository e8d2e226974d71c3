package derive_test

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"headrace/block"
	"headrace/internal/derive"
)

// manyTxs is how many empty transactions make a data blob as large as a DA layer takes.
const manyTxs = 3_900_000

// signedMany returns the first block's data, with so many empty transactions, and its header.
func signedMany(t *testing.T, n int) *built {
	t.Helper()
	return build(t, proposer, nil, nil, make([]string, n)...)
}

// foreign adds something to a blob that a decoder passes over.
func foreign(b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(bytes.Clone(b), 99, protowire.BytesType), []byte("x"))
}

// TestForgedDataTakesNoMemory: whoever forges data of the largest size, in whatever encoding, has no memory taken for
// it (I6, I9).
func TestForgedDataTakesNoMemory(t *testing.T) {
	b := signedMany(t, manyTxs)
	s, err := block.DecodeSignedData(b.data)
	if err != nil {
		t.Fatal(err)
	}
	s.Signature[7] ^= 1
	cfg := config()
	derive.Verify(&cfg, derive.Known{}, item(1, hdr(b.header))) // makes the tables
	for name, raw := range map[string][]byte{"canonical": s.Encode(), "something foreign": foreign(s.Encode())} {
		it := item(1, dat(raw))
		var v *derive.Verified
		if got, _, _ := use(func() { v = derive.Verify(&cfg, derive.Known{}, it) }); got > 64<<10 {
			t.Errorf("%s: got %d bytes allocated for a forgery of %d, want at most 64 KiB", name, got, len(raw))
		}
		wantCounts(t, step(t, newDeriver(t, cfg, derive.State{}), v.Block()).Skipped, map[derive.Reason]uint64{derive.Forged: 1})
	}
}

// TestWaitingDataTakesItsBytes: authentic data is never refused for its shape. While it waits it takes the room of its
// bytes, however many transactions are in it; the list of them is made with the block.
func TestWaitingDataTakesItsBytes(t *testing.T) {
	b := signedMany(t, manyTxs)
	cfg := config()
	cfg.MaxPendingBytes = len(b.data) + 4<<10
	derive.Verify(&cfg, derive.Known{}, item(1, hdr(b.header))) // makes the tables
	for name, raw := range map[string][]byte{"canonical": b.data, "something foreign": foreign(b.data)} {
		s := newDisk()
		d := newDeriver(t, cfg, s.load())
		it := item(1, dat(raw))
		got, _, _ := use(func() { s.commit(step(t, d, it)) })
		if int(got) > len(raw)*3/2 {
			t.Errorf("%s: got %d bytes allocated, want at most one and a half times its %d", name, got, len(raw))
		}
		if w := d.Waiting(); w.Data != 1 || w.Bytes > cfg.MaxPendingBytes {
			t.Errorf("%s: got %+v, want one data within the bound", name, w)
		}
		if got, _, _ := use(func() { d = newDeriver(t, cfg, s.load()) }); got > 64<<10 { // from the store
			t.Errorf("%s: got %d bytes allocated to restore it", name, got)
		}
		r := step(t, d, item(2, hdr(b.header)))
		if len(r.Blocks) != 1 || r.Blocks[0].Tip != derive.TipOf(b.Block) {
			t.Fatalf("%s: got %d blocks, want the one", name, len(r.Blocks))
		}
		if blk := r.Blocks[0].Block(); len(blk.Data.Txs) != manyTxs || derive.TipOf(blk) != r.Blocks[0].Tip {
			t.Errorf("%s: got %d transactions, want %d", name, len(blk.Data.Txs), manyTxs)
		}
	}
}
