package kv_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/kv"
)

// What is taken back was accepted once: it waits again before all else, in its order, however full the pool is by
// then; also when all is taken back at once, and by an engine that was opened again.
func TestTakenBackIntoAFullPool(t *testing.T) {
	for name, to := range map[string]uint64{"two blocks": 1, "everything": 0} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			opt := kv.Options{FS: fs, PoolBytes: 4 << 10}
			e := open(t, opt)
			parent := block.Hash{}
			for height := uint64(1); height <= 3; height++ {
				b := &block.Block{}
				b.Header.Header.Height, b.Header.Header.LastHeaderHash = height, parent.Field()
				b.Data.Txs = [][]byte{fmt.Appendf(nil, "first%d=1", height), []byte("skipped"), fmt.Appendf(nil, "second%d=1", height)}
				if _, err := e.Execute(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				parent = b.Hash()
			}
			mustClose(t, e)
			e = open(t, opt)
			defer mustClose(t, e)
			for i := 0; ; i++ {
				if err := e.SubmitTx(t.Context(), fmt.Appendf(nil, "later%d=1", i)); errors.Is(err, exec.ErrFull) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Revert(t.Context(), to); err != nil {
				t.Fatal(err)
			}
			txs, err := e.Build(t.Context(), to+1, 0, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for height := to + 1; height <= 3; height++ {
				want = append(want, fmt.Sprintf("first%d=1", height), fmt.Sprintf("second%d=1", height))
			}
			want = append(want, "later0=1")
			for i, tx := range want {
				if i >= len(txs) || string(txs[i]) != tx {
					t.Fatalf("built %q, want it to begin with %q", txs, want)
				}
			}
		})
	}
}

// A home that is opened anew, without its last blocks, is given them again: what waits of the same bytes as their
// transactions was accepted for itself, and waits on. What a block has that the pool does not know yet is taken out of it.
func TestExecutedAgainBesideItsPool(t *testing.T) {
	disk := vfs.NewCrashableMem()
	e := open(t, kv.Options{FS: disk})
	var blocks []*block.Block
	var parent *block.Block
	for range 3 {
		if err := e.SubmitTx(t.Context(), []byte("a=1")); err != nil {
			t.Fatal(err)
		}
		parent = successor(parent, "a=1")
		execute(t, e, parent)
		blocks = append(blocks, parent)
	}
	for range 2 {
		if err := e.SubmitTx(t.Context(), []byte("a=1")); err != nil {
			t.Fatal(err)
		}
	}
	left := disk.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, e)
	e = open(t, kv.Options{FS: left, Before: e})
	defer mustClose(t, e)
	head, err := e.Head(t.Context())
	if err != nil || head.Height >= 3 {
		t.Fatalf("head %d, %v, want an engine that has lost blocks", head.Height, err)
	}
	for _, b := range blocks[head.Height:] {
		execute(t, e, b)
	}
	for want := 2; want >= 0; want-- {
		txs, err := e.Build(t.Context(), parent.Height()+1, 0, 1<<20)
		if err != nil || len(txs) != want {
			t.Fatalf("after block %d: built %q, %v, want %d transactions", parent.Height(), txs, err, want)
		}
		parent = successor(parent, "a=1")
		execute(t, e, parent)
	}
}
