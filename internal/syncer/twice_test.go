package syncer

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"headrace/block"
)

// values are a store's, by name.
type values map[string][]byte

func (n values) Named(name string) ([]byte, bool, error) { v, ok := n[name]; return v, ok, nil }

// TestForcedTxsAreBounded: whatever is forced on an L1, what is stored of it and read at the start has a bound, and the
// newest is found again.
func TestForcedTxsAreBounded(t *testing.T) {
	var f forcedTxs
	stored, made := values{}, uint32(0)
	hashOf := func(i uint32) (h block.Hash) { binary.BigEndian.PutUint32(h[:], i); return h }
	put := func(hashes []byte) {
		t.Helper()
		for h := range hashes {
			if h%len(block.Hash{}) == 0 { // the first byte of one
				f.remember(block.Hash(hashes[h:]))
			}
		}
		page, commit := f.next(hashes)
		f.next(hashes) // a commit that fails, and is tried again
		for name, v := range commit {
			if stored[name] = v; v == nil {
				delete(stored, name)
			}
		}
		f.committed(page)
		bytes, pages := 0, 0
		for name, v := range stored {
			if strings.HasPrefix(name, forcedKey+"/") {
				bytes, pages = bytes+len(v), pages+1
			}
		}
		if bytes >= 2*maxForced*len(block.Hash{}) || pages > maxForcedPages {
			t.Fatalf("%d bytes are stored in %d pages", bytes, pages)
		}
	}
	reload := func(newest int) {
		t.Helper()
		again, err := loadForced(stored)
		if err != nil {
			t.Fatal(err)
		}
		if len(again.known) > maxForced || again.pages != f.pages || len(again.sizes) != len(f.sizes) {
			t.Fatalf("got %d transactions of %d pages, %d kept; want %d pages, %d kept", len(again.known), again.pages, len(again.sizes), f.pages, len(f.sizes))
		}
		for i := made - uint32(newest); i < made; i++ {
			if !again.known[hashOf(i)] {
				t.Fatalf("transaction %d of %d is not known", i, made)
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		var hashes []byte
		one := hashOf(made)
		for range 1 + rng.IntN(maxForced/4) {
			h := hashOf(made)
			made++
			hashes = append(append(hashes, h[:]...), one[:]...) // the same again and again
		}
		put(hashes)
	}
	reload(maxForced)
	for range maxForcedPages + 100 {
		h := hashOf(made)
		made++
		put(h[:])
	}
	reload(maxForcedPages)
	stored[forcedPage(f.pages)] = []byte("no hash")
	if _, err := loadForced(stored); err == nil {
		t.Error("a page of seven bytes was read")
	}
}
