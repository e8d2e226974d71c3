package store_test

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/internal/store"
)

// TestInitialRoot: the root before the first block outlives a restart, and is the chain's again when all blocks are taken
// back.
func TestInitialRoot(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	first := successor(s.State().Unsafe, "first")
	mustCommit(t, s, &store.Batch{InitialRoot: []byte("genesis"), Append: []store.Record{{Block: first, Root: []byte("one")}}})
	mustCommit(t, s, &store.Batch{Append: []store.Record{{Block: successor(*ref(first), "second"), Root: []byte("two")}}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs)
	defer s.Close()
	if got := s.State(); string(got.InitialRoot) != "genesis" || string(got.Root) != "two" {
		t.Fatalf("after a restart: initial root %q, root %q", got.InitialRoot, got.Root)
	}
	before := s.InitialHeight() - 1
	mustCommit(t, s, &store.Batch{Truncate: &before})
	if got := s.State(); string(got.Root) != "genesis" || got.Unsafe != (block.Ref{Height: before}) {
		t.Errorf("all taken back: got root %q after %v, want the initial one", got.Root, got.Unsafe)
	}
}

// TestCorrectedRoot: the root after the last block can be put right, in the block's record too; that of no other one can.
func TestCorrectedRoot(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	blocks := grow(t, s, 3)
	for _, b := range []*store.Batch{
		{Root: []byte("right"), Append: []store.Record{{Block: successor(*ref(blocks[2]), "more"), Root: []byte("x")}}},
		{Root: []byte("right"), Truncate: &blocks[0].Header.Header.Height},
	} {
		if err := s.Commit(b); !errors.Is(err, store.ErrRefused) {
			t.Errorf("got %v, want it refused", err)
		}
	}
	mustCommit(t, s, &store.Batch{Root: []byte("right")})
	for range 2 {
		top := s.State().Unsafe.Height
		if got := s.State(); string(got.Root) != "right" || string(got.SafeRoot) != "right" {
			t.Errorf("got root %q, safe %q", got.Root, got.SafeRoot)
		}
		if rec, err := s.Block(top); err != nil || string(rec.Root) != "right" || rec.Block.Hash() != blocks[2].Hash() {
			t.Errorf("record: got root %q, %v", rec.Root, err)
		}
		if rec, err := s.Block(top - 1); err != nil || string(rec.Root) == "right" {
			t.Errorf("the block before: got root %q, %v", rec.Root, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, fs)
	}
	defer s.Close()
	empty := open(t, vfs.NewMem())
	defer empty.Close()
	if err := empty.Commit(&store.Batch{Root: []byte("right")}); !errors.Is(err, store.ErrRefused) {
		t.Errorf("without a block: got %v, want it refused", err)
	}
}
