package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/internal/disk/disktest"
	"headrace/internal/store"
)

// TestPeek: a store is looked into while it is open, and while it is not, and is as it was afterwards.
func TestPeek(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := openModel(dir, vfs.Default)
	if err != nil {
		t.Fatal(err)
	}
	grow(t, s, 4)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	want := s.State()
	look := func(when string) {
		t.Helper()
		st, start, err := store.Peek(dir, testID, store.Options{})
		if err != nil || st.Position != want.Position || st.Finalized != want.Finalized || st.Unsafe != want.Unsafe || start != modelStart {
			t.Errorf("%s: got %+v, %v, %v, want %+v, %v", when, st, start, err, want, modelStart)
		}
	}
	look("open")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := disktest.Tree(t, dir)
	look("closed")
	other := testID
	other.ChainID = "another"
	if _, _, err := store.Peek(dir, other, store.Options{}); !errors.Is(err, store.ErrOtherChain) {
		t.Errorf("another chain: got %v, want %v", err, store.ErrOtherChain)
	}
	if got := disktest.Tree(t, dir); got != before {
		t.Errorf("got a directory that was changed by looking:\n%s\nwas\n%s", got, before)
	}
	if err := os.WriteFile(filepath.Join(dir, "DAMAGED"), []byte("sst"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Peek(dir, testID, store.Options{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("damage that is noted: got %v, want %v", err, store.ErrCorrupt)
	}
	if _, _, err := store.Peek(filepath.Join(dir, "none"), testID, store.Options{}); err == nil {
		t.Error("no store: got no error")
	}
}
