package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/internal/disk"
	"headrace/internal/disk/disktest"
	"headrace/internal/store"
)

func hashTxs(txs [][]byte) (hashes []block.Hash) {
	for _, tx := range txs {
		hashes = append(hashes, sha256.Sum256(tx))
	}
	return hashes
}

// hashBlock is what a store indexes of a block: a transaction "skipped" is in no place.
func hashBlock(b *block.Block) ([]block.Hash, error) {
	hashes := hashTxs(b.Data.Txs)
	for i, tx := range b.Data.Txs {
		if string(tx) == "skipped" {
			hashes[i] = block.Hash{}
		}
	}
	return hashes, nil
}

// indexed is what the index of transactions must be: the places in the blocks that were appended with one.
type indexed struct {
	on     bool
	blocks map[block.Hash]bool // by whether each was
	ever   map[block.Hash]bool // transactions
}

func (x *indexed) append(b *store.Batch) {
	for _, r := range b.Append {
		x.blocks[r.Block.Hash()] = x.on
		for _, tx := range hashTxs(r.Block.Data.Txs) {
			x.ever[tx] = true
		}
	}
}

// diff says where the index differs from the blocks that the store has.
func (x *indexed) diff(s *store.Store) error {
	want := map[block.Hash][]store.Place{}
	st := s.State()
	whole := st.Unsafe.Height + 1 // from where on all are
	for h := st.Oldest; h <= st.Unsafe.Height; h++ {
		rec, err := s.Block(h)
		if err != nil {
			return err
		}
		if !x.blocks[rec.Block.Hash()] {
			if _, ok, err := s.HashesAt(rec.Block.Ref()); ok || err != nil {
				return fmt.Errorf("block %d, which is not indexed: got hashes, %v", h, err)
			}
			whole = st.Unsafe.Height + 1
			continue
		}
		whole = min(whole, h)
		hashes, _ := hashBlock(rec.Block)
		if got, ok, err := s.HashesAt(rec.Block.Ref()); err != nil || !ok || !slices.Equal(got, hashes) {
			return fmt.Errorf("block %d: got hashes %v, %v, %v, want %v", h, got, ok, err, hashes)
		}
		for i, tx := range hashes {
			if tx != (block.Hash{}) {
				want[tx] = append(want[tx], store.Place{Height: h, Index: uint32(i)})
			}
		}
	}
	if got := max(s.TxsFrom(), st.Oldest); got < whole || got > st.Unsafe.Height+1 {
		return fmt.Errorf("the index is said to be whole from %d on: it is from %d, and the head is %d", got, whole, st.Unsafe.Height)
	}
	if _, _, err := s.HashesAt(block.Ref{Height: st.Unsafe.Height, Hash: block.Hash{9}}); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("hashes of a block that is not there: got %v", err)
	}
	for tx := range x.ever {
		got, err := s.Places(tx, 1000)
		if err != nil || !slices.Equal(got, want[tx]) {
			return fmt.Errorf("transaction %s: got %v, %v, want %v", tx, got, err, want[tx])
		}
	}
	return nil
}

// I2: the index is in the commits of its blocks: appended, dropped and pruned with them, whether a process has indexed
// the ones before or not.
func TestIndexIsThatOfTheBlocks(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 5))
		fs := vfs.NewMem()
		m, x := newModel(modelInitial, modelStart), &indexed{blocks: map[block.Hash]bool{}, ever: map[block.Hash]bool{}}
		var s *store.Store
		reopen := func() {
			if s != nil {
				mustClose(t, s)
			}
			s = open(t, fs)
			if x.on = seed < 2 || rng.IntN(3) > 0; x.on { // the first two have always had one
				s.IndexTxs(hashBlock)
			}
		}
		reopen()
		for n := range 200 {
			b := m.randomBatch(rng, n)
			for i := range b.Append { // a transaction in every block, and in some twice
				blk := b.Append[i].Block
				blk.Data.Txs = append(blk.Data.Txs, []byte("skipped"), []byte("again"), fmt.Appendf(nil, "sometimes %d", n%4))
				if n%3 == 0 {
					blk.Data.Txs = append(blk.Data.Txs, []byte("again"))
				}
			}
			x.append(b)
			mustCommit(t, s, b)
			m.commit(b)
			if rng.IntN(15) == 0 {
				below := m.state.Oldest + rng.Uint64N(8)
				m.prune(below)
				if err := s.Prune(below); err != nil {
					t.Fatal(err)
				}
			}
			if rng.IntN(10) == 0 {
				reopen()
			}
			if err := errors.Join(x.diff(s), m.diff(s)); err != nil {
				t.Fatalf("seed %d, commit %d: %v", seed, n, err)
			}
			if from := s.TxsFrom(); seed < 2 && from != modelInitial {
				t.Fatalf("seed %d, commit %d: the index is whole from %d on, want %d", seed, n, from, modelInitial)
			}
		}
		places, lists := 0, 0
		for _, rec := range m.blocks {
			if x.blocks[rec.Block.Hash()] {
				lists++
				for _, tx := range rec.Block.Data.Txs {
					if string(tx) != "skipped" {
						places++
					}
				}
			}
		}
		mustClose(t, s)
		if gotPlaces, gotLists := keysOf(t, fs, 't'), keysOf(t, fs, 'k'); gotPlaces != places || gotLists != lists {
			t.Errorf("seed %d: %d places and %d lists are on disk, want %d and %d", seed, gotPlaces, gotLists, places, lists)
		}
	}
}

// keysOf counts the keys of a table in a store that is closed.
func keysOf(t *testing.T, fs vfs.FS, table byte) (n int) {
	t.Helper()
	db, err := disk.Open("store", disk.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Each([]byte{table}, []byte{table + 1}, func(_, _ []byte) error { n++; return nil })
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return n
}

// A home of before, and one whose index was off for a while, open as they were, and know from where on the index is
// whole.
func TestIndexThatBeganLater(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	grow(t, s, 5)
	first := s.State().Unsafe.Height + 1
	if got := s.TxsFrom(); got != first {
		t.Errorf("without an index it is whole from %d on, want %d", got, first)
	}
	mustClose(t, s)

	add := func(on bool, n int) {
		s = open(t, fs)
		if on {
			s.IndexTxs(hashBlock)
		}
		for range n {
			mustCommit(t, s, &store.Batch{Append: []store.Record{{Block: successor(s.State().Unsafe, "same")}}})
		}
		mustClose(t, s)
	}
	from := func() (from uint64, places []store.Place) {
		t.Helper()
		s = open(t, fs)
		defer mustClose(t, s)
		places, err := s.Places(hashTxs([][]byte{[]byte("same")})[0], 100)
		if err != nil {
			t.Fatal(err)
		}
		return s.TxsFrom(), places
	}
	add(true, 3)
	if got, places := from(); got != first || len(places) != 3 || places[0] != (store.Place{Height: first}) {
		t.Errorf("got an index from %d on with %v, want from %d with 3 places", got, places, first)
	}
	add(false, 2)
	if got, places := from(); got != first+5 || len(places) != 3 {
		t.Errorf("after blocks without an index: got %d, %v, want %d and 3 places", got, places, first+5)
	}
	add(true, 1)
	if got, places := from(); got != first+5 || len(places) != 4 {
		t.Errorf("got %d, %v, want %d and 4 places", got, places, first+5)
	}

	// What such blocks are replaced by is indexed again.
	s = open(t, fs)
	s.IndexTxs(hashBlock)
	top, err := s.Ref(first + 3)
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, &store.Batch{Truncate: &top.Height, Safe: ptr(s.State().Safe), Append: []store.Record{{Block: successor(top, "other")}}})
	mustClose(t, s)
	if got, places := from(); got != first+4 || len(places) != 3 {
		t.Errorf("after a reorg: got %d, %v, want %d and 3 places", got, places, first+4)
	}
}

// Whatever a crash leaves of the last commits, the index is that of the blocks that are left (I2).
func TestIndexAfterACrash(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 6))
		fs := vfs.NewCrashableMem()
		m, x := newModel(modelInitial, modelStart), &indexed{on: true, blocks: map[block.Hash]bool{}, ever: map[block.Hash]bool{}}
		s := open(t, fs)
		s.IndexTxs(hashBlock)
		for n := range 40 {
			b := m.randomBatch(rng, n)
			x.append(b)
			mustCommit(t, s, b)
			m.commit(b)
		}
		left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
		mustClose(t, s)
		s = open(t, left)
		if err := x.diff(s); err != nil || s.TxsFrom() != modelInitial {
			t.Errorf("seed %d: whole from %d on, want %d: %v", seed, s.TxsFrom(), modelInitial, err)
		}
		mustClose(t, s)
	}
}

// Who asks for the places of a transaction says how many at most: a stranger can have made any number.
func TestPlacesAreBounded(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer mustClose(t, s)
	s.IndexTxs(hashBlock)
	for range 5 {
		mustCommit(t, s, &store.Batch{Append: []store.Record{{Block: successor(s.State().Unsafe, "same")}}})
	}
	got, err := s.Places(hashTxs([][]byte{[]byte("same")})[0], 3)
	if err != nil || len(got) != 3 || got[0].Height != modelInitial || got[2].Height != modelInitial+2 {
		t.Errorf("got %v, %v, want the first three places", got, err)
	}
}

// A repair keeps the index; one that is damaged itself is left out, and keeps no block from being repaired.
func TestRepairOfAnIndexedStore(t *testing.T) {
	whole := vfs.NewMem()
	s, err := openModel(modelDir, whole)
	if err != nil {
		t.Fatal(err)
	}
	s.IndexTxs(hashBlock)
	x := &indexed{on: true, blocks: map[block.Hash]bool{}, ever: map[block.Hash]bool{}}
	rng := rand.New(rand.NewPCG(8, 8))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	blocks := map[uint64]*block.Block{}
	for i := range 20 {
		blk := successor(s.State().Unsafe, string(random(3000)))
		for range 200 {
			blk.Data.Txs = append(blk.Data.Txs, random(8))
		}
		if i == 9 {
			blk.Data.Txs[0] = append([]byte("to be rotten"), blk.Data.Txs[0]...)
		}
		blocks[blk.Height()] = blk
		b := &store.Batch{Append: []store.Record{{Block: blk}}}
		x.append(b)
		mustCommit(t, s, b)
	}
	mustClose(t, s)
	if s, err = openModel(modelDir, whole); err != nil { // what is in the log goes into a table
		t.Fatal(err)
	}
	mustClose(t, s)
	middle := slices.SortedFunc(maps.Keys(x.ever), func(a, b block.Hash) int { return bytes.Compare(a[:], b[:]) })[len(x.ever)/2]
	for what, pattern := range map[string][]byte{"a block": []byte("to be rotten"), "the index": append([]byte("t"), middle[:]...)} {
		flipped := 0
		rotten := disktest.Copy(t, whole, modelDir, func(_ string, content []byte) []byte {
			// A key of a table shares what begins like the key before it with that: the hash's end is there for certain.
			if at := bytes.Index(content, pattern[len(pattern)-8:]); at >= 0 {
				content = bytes.Clone(content)
				content[at+1] ^= 1
				flipped++
			}
			return content
		})
		if flipped == 0 {
			t.Fatalf("nothing of %s is rotten", what)
		}
		lost, err := store.Repair(modelDir, testID, store.Options{FS: rotten, InitialHeight: modelInitial, Start: modelStart},
			store.Mender{Fetch: func(l store.Lost) (*block.Block, error) { return blocks[l.Ref.Height], nil }})
		if err != nil || (len(lost) > 0) != (what == "a block") {
			t.Errorf("%s: repaired %v, %v", what, lost, err)
			continue
		}
		if s, err = openModel(modelDir, rotten); err != nil {
			t.Fatal(err)
		}
		from := s.TxsFrom()
		switch {
		case what == "a block":
			if err := x.diff(s); err != nil || from != modelInitial {
				t.Errorf("%s: the index is whole from %d on, want %d: %v", what, from, modelInitial, err)
			}
		case from != s.State().Unsafe.Height+1:
			t.Errorf("%s: it is said to be whole from %d on", what, from)
		}
		mustClose(t, s)
	}
}

// Versions that know no index drop blocks and leave their places: nobody is told of those.
func TestPlacesThatWereLeft(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	s.IndexTxs(hashBlock)
	for range 3 {
		mustCommit(t, s, &store.Batch{Append: []store.Record{{Block: successor(s.State().Unsafe, "same")}}})
	}
	mustClose(t, s)
	same := hashTxs([][]byte{[]byte("same")})[0]
	db, err := disk.Open("store", disk.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []store.Place{{Height: modelInitial, Index: 1}, {Height: modelInitial, Index: 7}, {Height: modelInitial + 3}, {Height: 1}} {
		key := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(append([]byte("t"), same[:]...), at.Height), at.Index)
		if err := db.Write(true, func(b *pebble.Batch) error { return b.Set(key, nil, nil) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs)
	defer mustClose(t, s)
	got, err := s.Places(same, 100)
	if want := []store.Place{{Height: modelInitial}, {Height: modelInitial + 1}, {Height: modelInitial + 2}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
