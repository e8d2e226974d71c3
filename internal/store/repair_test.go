package store_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/internal/disk/disktest"
	"headrace/internal/store"
)

// rottenStore returns the disk of a store with blocks, of which one cannot be read any more; and the blocks.
func rottenStore(t *testing.T) (fs vfs.FS, blocks []*block.Block) {
	t.Helper()
	whole := vfs.NewMem()
	s, err := openModel(modelDir, whole)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	parent := block.Ref{Height: modelInitial - 1}
	for i := range 20 {
		salt := make([]byte, 3000)
		for j := range salt {
			salt[j] = byte(rng.Uint32())
		}
		if i == 9 {
			copy(salt, "to be rotten")
		}
		b := successor(parent, string(salt))
		at := block.Ref{Height: modelStart.Height + 1 + uint64(i), Hash: block.Hash{byte(i)}}
		mustCommit(t, s, &store.Batch{Append: []store.Record{{Block: b, Root: []byte{byte(i)}, Origin: store.Origin{Source: at}}}, Position: &at})
		blocks, parent = append(blocks, b), *ref(b)
	}
	mustClose(t, s)
	if s, err = openModel(modelDir, whole); err != nil { // what is in the log goes into a table
		t.Fatal(err)
	}
	mustClose(t, s)
	flipped := 0
	rotten := disktest.Copy(t, whole, modelDir, func(_ string, content []byte) []byte {
		if at := bytes.Index(content, []byte("to be rotten")); at >= 0 {
			content = bytes.Clone(content)
			content[at+500] ^= 1
			flipped++
		}
		return content
	})
	if flipped == 0 {
		t.Fatal("nothing is rotten")
	}
	return rotten, blocks
}

// TestRepairEndsAnywhere: a repair that is killed at any operation on the disk leaves what the next one mends, and
// nothing that a node would take for a new store. When it fails it takes no room.
func TestRepairEndsAnywhere(t *testing.T) {
	rotten, blocks := rottenStore(t)
	repair := func(fs vfs.FS, broken error) (lost []uint64, err error) {
		return store.Repair(modelDir, testID, store.Options{FS: fs, InitialHeight: modelInitial, Start: modelStart}, store.Mender{Fetch: func(l store.Lost) (*block.Block, error) {
			if l.Origin.Source.Height == 0 {
				t.Errorf("block %d: where it was posted is not known", l.Ref.Height)
			}
			return blocks[l.Ref.Height-modelInitial], broken
		}})
	}
	check := func(at int, fs vfs.FS) {
		t.Helper()
		s, err := openModel(modelDir, fs)
		if err != nil {
			t.Fatalf("operation %d: %v", at, err)
		}
		defer mustClose(t, s)
		for i, want := range blocks {
			rec, err := s.Block(modelInitial + uint64(i))
			if err != nil || rec.Block.Hash() != want.Hash() || !bytes.Equal(rec.Root, []byte{byte(i)}) || rec.Origin.Source.Height != modelStart.Height+1+uint64(i) {
				t.Fatalf("operation %d: block %d: got %+v, %v", at, i, rec, err)
			}
		}
		if st := s.State(); st.Unsafe != *ref(blocks[len(blocks)-1]) || st.Position.Height != modelStart.Height+uint64(len(blocks)) {
			t.Fatalf("operation %d: got %+v", at, st)
		}
	}
	interrupted, at := false, 0
	for failed := true; failed; at += disktest.Sparse(9) {
		mem := disktest.Copy(t, rotten, modelDir, nil)
		fs := &disktest.FaultFS{FS: mem, At: at, Lasts: true} // nothing reaches the disk from there on: it is dead
		_, err := repair(fs, nil)
		if failed = fs.Failed(); !failed && err != nil {
			t.Fatal(err)
		}
		s, err := openModel(modelDir, mem)
		switch {
		case err == nil && s.State().Unsafe != *ref(blocks[len(blocks)-1]):
			t.Fatalf("operation %d: the store that is left has %+v", at, s.State().Unsafe)
		case err == nil:
			mustClose(t, s)
		case errors.Is(err, store.ErrCorrupt):
			interrupted = true
		default:
			t.Fatalf("operation %d: %v", at, err)
		}
		if _, err := repair(mem, nil); err != nil {
			t.Fatalf("operation %d: the next repair: %v", at, err)
		}
		check(at, mem)
	}
	if at < 40 && disktest.Sparse(9) == 1 || !interrupted && disktest.Sparse(9) == 1 {
		t.Errorf("killed at %d operations, between the two renames: %v; the test tests nothing", at, interrupted)
	}

	mem := disktest.Copy(t, rotten, modelDir, nil)
	gone := errors.New("the source is away")
	if _, err := repair(mem, gone); !errors.Is(err, gone) {
		t.Fatalf("got %v, want %v", err, gone)
	}
	if names, err := mem.List(mem.PathDir(modelDir)); err != nil || len(names) != 1 {
		t.Errorf("got %q, %v beside the store after a repair that failed, want it alone", names, err)
	}
}
