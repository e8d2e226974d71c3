package engineapi_test

import (
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec"
)

// TestBuiltSealsAreShort: of blocks that an engine builds everything follows that can, however often they are asked for,
// by another engine, and after blocks were taken back.
func TestBuiltSealsAreShort(t *testing.T) {
	n := gethtest.Open(t, geth.Options{})
	opt := options(t, n)
	e := open(t, opt)
	codec := exec.SealCodecOf(e)
	var parent *block.Block
	var chain []*block.Block
	step := func(what string) {
		t.Helper()
		b := produce(t, e, parent)
		var before []byte
		if parent != nil {
			before = parent.Data.Txs[0]
		}
		w := exec.NewColumns(len(codec.Columns()))
		rule := codec.After(before, b.Header.Header.Time, b.Data.Txs[1:])
		if !rule.Shorten(w, b.Data.Txs[0]) {
			t.Fatalf("%s: block %d is not written shortly", what, b.Height())
		}
		size := 0
		for _, col := range w.Cols {
			size += len(col)
		}
		if most := 2 + 32; parent != nil && size > most { // flags, attempt and the state root
			t.Errorf("%s: the seal of block %d takes %d bytes, want %d at most", what, b.Height(), size, most)
		}
		parent, chain = b, append(chain, b)
	}
	for range 4 {
		step("at first")
	}
	for range 5 { // asked for in vain
		build(t, e, parent)
	}
	step("after some tries")
	parent = chain[2]
	if err := e.Revert(t.Context(), parent.Height()); err != nil {
		t.Fatal(err)
	}
	step("after a revert")
	for range 70 { // more than are tried in reading
		build(t, e, parent)
	}
	parent = produce(t, e, parent)
	step("behind a block of many tries")
	step("and behind that")
}
