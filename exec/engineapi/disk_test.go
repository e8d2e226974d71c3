package engineapi_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec/engineapi"
	"headrace/internal/disk"
	"headrace/internal/disk/disktest"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Each operation of the index's disk fails in turn, once not done and once done, and from it on all of them: the engine
// says so, does not take the process with it, and executes no block more. Opened anew it stands at a block that it has
// executed, and goes on to the end.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)[:4]
	opt := options(t, gethtest.Open(t, geth.Options{}))
	opt.Dir = "index"
	full := &fs.PathError{Op: "write", Path: "index", Err: syscall.ENOSPC}
	for name, c := range map[string]struct {
		done, lasts bool
		err         error
	}{"once, not done": {}, "once, but done": {done: true}, "disk full": {lasts: true, err: full}} {
		t.Run(name, func(t *testing.T) {
			inUse := 0
			for at := 0; ; {
				mem := vfs.NewCrashableMem()
				broken := &disktest.FaultFS{FS: mem, At: at, Done: c.done, Lasts: c.lasts, Err: c.err}
				switch diskFails(t, opt, broken, blocks) {
				case nowhere:
					if inUse < 6 {
						t.Errorf("only %d operations of an open index were there to fail", inUse)
					}
					return
				case atStart:
					at += 5
				case use:
					at++
					inUse++
				}
				broken.Mend()
				left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(at), 1))})
				for _, fs := range []vfs.FS{left, broken} {
					goesOn(t, opt, fs, blocks)
				}
			}
		})
	}
}

// Where a disk has failed.
const (
	nowhere = iota
	atStart
	use
)

// diskFails uses an engine on a disk that fails at some point, and reports where it did.
func diskFails(t *testing.T, opt engineapi.Options, broken *disktest.FaultFS, blocks []*block.Block) int {
	t.Helper()
	opt.FS = broken
	e, err := engineapi.New(opt)
	if err != nil {
		return atStart
	}
	defer e.Close()
	for _, b := range blocks {
		// Back and forth: what is executed is written later, what is reverted at once.
		if _, err = e.Execute(t.Context(), b); err == nil {
			err = e.Revert(t.Context(), b.Height()-1)
		}
		if err == nil {
			_, err = e.Execute(t.Context(), b)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		return nowhere
	}
	<-e.Failed()
	if !errors.Is(err, disk.ErrFailed) || !errors.Is(e.Err(), disk.ErrFailed) || e.Damage() != nil {
		t.Fatalf("operation %d: got %v, then %v, damage %v, want the disk failed", broken.At, err, e.Err(), e.Damage())
	}
	h, err := e.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if next := h.Height + 1 - initialHeight; next < uint64(len(blocks)) {
		if _, err := e.Execute(t.Context(), blocks[next]); !errors.Is(err, disk.ErrFailed) {
			t.Fatalf("operation %d: got %v for another block, want the disk failed", broken.At, err)
		}
	}
	return use
}

// goesOn opens an engine, and executes what its head says it is without.
func goesOn(t *testing.T, opt engineapi.Options, fs vfs.FS, blocks []*block.Block) {
	t.Helper()
	opt.FS = fs
	e, err := connect(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h, err := e.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done := h.Height + 1 - initialHeight
	if done > 0 && h.Hash != blocks[done-1].Hash() {
		t.Fatalf("head %d %s was never executed", h.Height, h.Hash)
	}
	for _, b := range blocks[done:] {
		execute(t, e, b)
	}
}

// An index of which a record cannot be read does not open, and a check of the whole says the same, now and once it is
// known. With a new index the client's blocks are taken over.
func TestIndexRots(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	n := gethtest.Open(t, geth.Options{})
	opt := options(t, n)
	mem := vfs.NewMem()
	opt.Dir, opt.FS = "index", mem
	e := open(t, opt)
	for _, b := range blocks {
		execute(t, e, b)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := engineapi.CheckIndex(opt.Dir, mem, nil); err != nil { // it brings what is in the log into a table
		t.Fatalf("got %v of a whole index", err)
	}
	flipped, rot := 0, blocks[2].Hash()
	opt.FS = disktest.Copy(t, mem, opt.Dir, func(name string, content []byte) []byte {
		if at := bytes.Index(content, rot[:]); at >= 0 && strings.HasSuffix(name, ".sst") {
			content[at] ^= 1
			flipped++
		}
		return content
	})
	if flipped == 0 {
		t.Fatalf("%s is in no table", rot)
	}
	for range 2 {
		if err := engineapi.CheckIndex(opt.Dir, opt.FS, nil); !errors.Is(err, engineapi.ErrCorrupt) {
			t.Errorf("got %v from a check of a rotten index, want it corrupt", err)
		}
		if _, err := engineapi.New(opt); !errors.Is(err, engineapi.ErrCorrupt) {
			t.Errorf("got %v from a rotten index, want it corrupt", err)
		}
	}
	opt.FS = vfs.NewMem()
	e = open(t, opt)
	for _, b := range blocks {
		execute(t, e, b)
	}
	wantHead(t, e, n, blocks[len(blocks)-1])
}
