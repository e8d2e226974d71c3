package l1_test

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"

	"headrace/exec/engineapi"
	"headrace/exec/kv"
)

// author returns one that builds with a geth.
func (w *world) author() *author {
	w.t.Helper()
	g := w.execution()
	e, err := engineapi.New(engineapi.Options{
		URL: g.Engine(), JWT: g.JWT(), Genesis: g.Genesis(), ChainID: w.genesis.ChainID, InitialHeight: 1, Dir: w.t.TempDir(),
		FeeRecipient: common.Address{0xfe}, BuildTime: 5 * time.Millisecond,
	})
	w.check(err)
	w.t.Cleanup(func() { _ = e.Close() })
	return w.authorOn(&author{engine: e, builder: e})
}

// lightAuthor returns one that builds with the key-value engine.
func (w *world) lightAuthor() *author {
	w.t.Helper()
	e, err := kv.Open("author", kv.Options{FS: vfs.NewMem(), InitialHeight: 1})
	w.check(err)
	w.t.Cleanup(func() { _ = e.Close() })
	return w.authorOn(&author{engine: e, builder: e})
}

func (w *world) authorOn(a *author) *author {
	w.t.Helper()
	a.w, w.seals = w, !a.kv()
	a.roots = [][]byte{nil} // the first block names no state before it
	return a
}
