package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"headrace/block"
	"headrace/internal/disk"
	"headrace/internal/disk/disktest"
	"headrace/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, fs vfs.FS) *store.Store {
	t.Helper()
	s, err := openModel("store", fs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// grow appends n blocks, and makes the last one safe and the first one finalized.
func grow(t testing.TB, s *store.Store, n int) []*block.Block {
	t.Helper()
	var blocks []*block.Block
	top := s.State().Unsafe
	b := &store.Batch{}
	for range n {
		blk := successor(top, "grow")
		blocks = append(blocks, blk)
		b.Append = append(b.Append, store.Record{Block: blk, Root: fmt.Appendf(nil, "root %d", blk.Height())})
		top = *ref(blk)
	}
	b.Safe, b.Finalized = &top, ref(blocks[0])
	b.Position = &block.Ref{Height: 10, Hash: block.Hash{10}}
	mustCommit(t, s, b)
	return blocks
}

func TestNewStore(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	before := block.Ref{Height: modelInitial - 1}
	want := store.State{Position: modelStart, Proven: modelStart, Unsafe: before, Safe: before, Finalized: before, Oldest: modelInitial}
	if got := s.State(); !sameState(got, want) {
		t.Errorf("state: got %+v, want %+v", got, want)
	}
	if s.InitialHeight() != modelInitial || s.Start() != modelStart {
		t.Errorf("got first height %d and start %v, want %d and %v", s.InitialHeight(), s.Start(), modelInitial, modelStart)
	}
	if r, err := s.Ref(modelInitial - 1); err != nil || r != before {
		t.Errorf("hash before the first block: got %v, %v", r, err)
	}
	if _, err := s.Ref(modelInitial); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("hash of a block to come: got %v, want not found", err)
	}
}

// TestRefusals commits batches that make no sense. Each must be refused with the reason and its values, and change
// nothing.
func TestRefusals(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	blocks := grow(t, s, 4) // heights 5 to 8; finalized 5, safe 8
	top := *ref(blocks[3])
	stranger := successor(top, "stranger")
	stranger.Header.Header.ChainID = "other-1"
	orphan := successor(block.Ref{Height: 8, Hash: block.Hash{1}}, "orphan")
	rec := func(b *block.Block) []store.Record { return []store.Record{{Block: b}} }
	pos := block.Ref{Height: 11, Hash: block.Hash{11}}
	tests := []struct {
		name string
		b    store.Batch
		says string
	}{
		{"a gap", store.Batch{Append: rec(successor(block.Ref{Height: 9, Hash: block.Hash{9}}, ""))}, "append block 10 on 8"},
		{"a repeat", store.Batch{Append: rec(blocks[3])}, "append block 8 on 8"},
		{"no block", store.Batch{Append: rec(nil)}, "append no block"},
		{"another parent", store.Batch{Append: rec(orphan)}, "with parent 01"},
		{"no parent", store.Batch{Append: rec(successor(block.Ref{Height: 8}, ""))}, "with parent  on"},
		{"another chain", store.Batch{Append: rec(stranger)}, `of chain "other-1" to chain "test-1"`},
		{"the second of two", store.Batch{Append: []store.Record{{Block: successor(top, "")}, {Block: orphan}}}, "append block 9 on 9"},
		{"truncate finalized", store.Batch{Truncate: ptr(uint64(4)), Safe: &block.Ref{Height: 4}}, "below the finalized height 5"},
		{"truncate safe", store.Batch{Truncate: ptr(uint64(6))}, "safe 8, unsafe 6"},
		{"safe that is not there", store.Batch{Safe: &block.Ref{Height: 9}}, "safe is 9, a block that is not there"},
		{"safe with another hash", store.Batch{Safe: &block.Ref{Height: 7, Hash: top.Hash}}, "safe is 7"},
		{"safe below finalized", store.Batch{Safe: &block.Ref{Height: 4}}, "finalized 5, safe 4"},
		{"finalized goes back", store.Batch{Finalized: &block.Ref{Height: 4}}, "goes back from 5 to 4"},
		{"finalized above safe", store.Batch{Safe: ref(blocks[1]), Finalized: ref(blocks[2])}, "finalized 7, safe 6"},
		{"finalized with another hash", store.Batch{Finalized: &block.Ref{Height: 6, Hash: top.Hash}}, "finalized is 6"},
		{"promote what is not there", store.Batch{Promote: []store.Promotion{{Height: 9}}}, "promote block 9"},
		{"promote what was before", store.Batch{Promote: []store.Promotion{{Height: 4}}}, "promote block 4"},
		{"proven ahead", store.Batch{Proven: &pos}, "proven 11, position 10"},
		{"position before the start", store.Batch{Position: &block.Ref{Height: 2}, Proven: &block.Ref{Height: 2}}, "start 3, proven 2"},
		{"position behind proven", store.Batch{Position: &block.Ref{Height: 2}}, "proven 3, position 2"},
		{"an item elsewhere", store.Batch{Position: &pos, Item: &store.Item{Ref: block.Ref{Height: 12}}}, "item 12"},
		{"an item on another parent", store.Batch{Position: &pos, Item: &store.Item{Ref: pos, Parent: block.Hash{4}}}, "item 11 with parent 04"},
		{"an item safer than all", store.Batch{Position: &pos, Item: &store.Item{Ref: pos, Safe: 9}}, "safe height 9 above unsafe height 8"},
		{"a half with a negative index", store.Batch{AddHalves: []block.Half{{Kind: block.DataHalf, Index: -1}}}, "index -1"},
	}
	before := s.State()
	for _, tt := range tests {
		tt.b.Inbox = &store.Inbox{Proposal: store.Proposal{ID: 9}}
		err := s.Commit(&tt.b)
		if !errors.Is(err, store.ErrRefused) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want it refused with %q", tt.name, err, tt.says)
		}
		if got := s.State(); !sameState(got, before) {
			t.Fatalf("%s: the state changed to %+v", tt.name, got)
		}
	}
	if _, err := s.Block(9); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a refused block: got %v, want not found", err)
	}
	mustCommit(t, s, &store.Batch{Append: rec(successor(top, "")), Position: &pos, Item: &store.Item{Ref: pos, Parent: block.Hash{10}, Safe: 9}})
}

func TestReplacedBlocksAreGone(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	blocks := grow(t, s, 4)
	other := successor(*ref(blocks[0]), "other")
	mustCommit(t, s, &store.Batch{Truncate: ptr(uint64(5)), Append: []store.Record{{Block: other, Root: []byte("other root")}}, Safe: ref(other)})
	for _, b := range blocks[1:] {
		if _, err := s.BlockByHash(b.Hash()); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("block %d by its old hash: got %v, want not found", b.Height(), err)
		}
	}
	if st := s.State(); st.Unsafe != *ref(other) || string(st.Root) != "other root" || string(st.SafeRoot) != "other root" {
		t.Errorf("got %+v, want the other block on top", st)
	}
}

func TestPruneKeepsFinalized(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	blocks := grow(t, s, 2500)
	mustCommit(t, s, &store.Batch{Finalized: ref(blocks[2300])})
	if err := s.Prune(1 << 60); err != nil {
		t.Fatal(err)
	}
	if got := s.State().Oldest; got != blocks[2300].Height() {
		t.Errorf("oldest: got %d, want %d", got, blocks[2300].Height())
	}
	for i, b := range blocks {
		_, err := s.Block(b.Height())
		_, herr := s.BlockByHash(b.Hash())
		if pruned := i < 2300; errors.Is(err, store.ErrNotFound) != pruned || errors.Is(herr, store.ErrNotFound) != pruned {
			t.Fatalf("block %d: got %v, %v; pruned: %v", b.Height(), err, herr, pruned)
		}
	}
	if err := s.Commit(&store.Batch{Truncate: ptr(blocks[2299].Height()), Safe: ref(blocks[2299])}); !errors.Is(err, store.ErrRefused) {
		t.Errorf("truncate into pruned blocks: got %v, want it refused", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem)
	_, err := openModel("store", mem)
	wantLine(t, "locked", err, store.ErrLocked, "stop that process")
	mustClose(t, s)
	mustClose(t, s)
	if err := s.Commit(&store.Batch{EnvelopesOnly: true}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit after close: got %v", err)
	}
	if _, err := s.Block(5); !errors.Is(err, store.ErrClosed) {
		t.Errorf("read after close: got %v", err)
	}
	for name, id := range map[string]store.Identity{
		`its chain id is "test-1", not "x"`: {ChainID: "x", Genesis: testID.Genesis, Source: testID.Source},
		"its genesis is 07":                 {ChainID: testID.ChainID, Genesis: block.Hash{8}, Source: testID.Source},
		"its source is":                     {ChainID: testID.ChainID, Genesis: testID.Genesis, Source: "inbox"},
	} {
		_, err := store.Open("store", id, store.Options{FS: mem})
		wantLine(t, name, err, store.ErrOtherChain, name)
	}
	edit(t, mem, "m", []byte(`{"format":99}`))
	_, err = openModel("store", mem)
	wantLine(t, "format", err, store.ErrNewerFormat, "run the version that wrote it")
}

// The inbox is on disk as the versions wrote it that knew it as bytes of the syncer's own, in the state and with each
// item.
func TestInboxOnDisk(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem)
	pos := block.Ref{Height: 4, Hash: block.Hash{4}}
	want := inbox(6)
	mustCommit(t, s, &store.Batch{Position: &pos, Inbox: want, Item: &store.Item{Ref: pos, Parent: block.Hash{3}, Inbox: want}})
	mustClose(t, s)
	hash := func(first string) string { return first + "0600" + strings.Repeat("0", 58) }
	raw := fmt.Sprintf(`{"proposal":{"id":6,"l1":{"height":6,"hash":"%s"},"tx":"%s","l2":{"height":6,"hash":"%s"},"void":"void 6","reorgs":1},"finalized":{"height":6,"hash":"%s"}}`,
		hash("01"), hash("02"), hash("03"), hash("04"))
	item := append(bytes.Clone(pos.Hash[:]), 3) // its hash, its parent, and safe height 0
	item = binary.AppendUvarint(append(item, make([]byte, 32)...), uint64(len(raw))+1)
	for key, want := range map[string]string{"x": raw, "i\x00\x00\x00\x00\x00\x00\x00\x04": string(item) + raw} {
		db, err := disk.Open("store", disk.Options{FS: mem})
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := db.Get([]byte(key)); string(got) != want || err != nil {
			t.Errorf("key %q: got %q, %v, want %q", key, got, err, want)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, mem)
	defer s.Close()
	if it, ok, err := s.Item(4); !reflect.DeepEqual(s.State().Inbox, want) || !ok || err != nil || !reflect.DeepEqual(it.Inbox, want) {
		t.Errorf("got %+v and item %+v, %v; want %+v in both", s.State().Inbox, it, err, want)
	}
}

// edit changes one key of a closed store.
func edit(t *testing.T, fs vfs.FS, key string, value []byte) {
	t.Helper()
	db, err := disk.Open("store", disk.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	err = b.Delete([]byte(key), nil)
	if value != nil {
		err = b.Set([]byte(key), value, nil)
	}
	if err := errors.Join(err, db.Commit(b, true), b.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func wantLine(t *testing.T, name string, err, want error, says string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: got %v, want %v in one line, with %q", name, err, want, says)
	}
}

// TestContradictionsAreCorruption takes parts out of a store, as lost tables would.
func TestContradictionsAreCorruption(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem)
	grow(t, s, 4)
	mustClose(t, s)
	height := func(h byte) string { return "o" + string([]byte{0, 0, 0, 0, 0, 0, 0, h}) }
	for name, edits := range map[string]map[string][]byte{
		"no meta":           {"m": nil},
		"bad meta":          {"m": []byte("{")},
		"bad hash in meta":  {"m": []byte(`{"format":1,"genesis":"00"}`)},
		"no position":       {"s": nil},
		"no heads":          {"c": nil},
		"half a position":   {"s": {1}},
		"too long heads":    {"c": make([]byte, 500)},
		"no oldest block":   {height(5): nil},
		"no highest block":  {height(8): nil},
		"half a mark":       {height(8): {1, 2}},
		"another block's":   {height(8): make([]byte, 200)},
		"half an inbox":     {"x": []byte(`{"proposal":`)},
		"bad inbox":         {"x": []byte(`{"proposal":7}`)},
		"an empty database": {"m": nil, "s": nil},
	} {
		fs := disktest.Copy(t, mem, "store", nil)
		for key, value := range edits {
			edit(t, fs, key, value)
		}
		s, err := openModel("store", fs)
		wantLine(t, name, err, store.ErrCorrupt, "restore a copy")
		if err == nil {
			s.Close()
		}
	}
}

// TestReadsOverlapCommits reads blocks while two branches replace each other: each read gives a block whole, with its
// own root.
func TestReadsOverlapCommits(t *testing.T) {
	s := open(t, vfs.NewMem())
	grow(t, s, 1)
	base := s.State().Unsafe
	var branches [2]store.Record
	for i := range branches {
		b := successor(base, fmt.Sprint("branch", i))
		branches[i] = store.Record{Block: b, Root: []byte(b.Hash().String()), Origin: store.Origin{Proposal: uint64(i)}}
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				r, err := s.Block(6)
				if errors.Is(err, store.ErrClosed) {
					return
				}
				if err == nil && string(r.Root) != r.Block.Hash().String() {
					t.Errorf("got block %s with root %s", r.Block.Hash(), r.Root)
				}
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Error(err)
				}
				r, err = s.BlockByHash(branches[1].Block.Hash())
				if err == nil && r.Block.Hash() != branches[1].Block.Hash() {
					t.Error("got another block than asked for")
				}
				st := s.State()
				if st.Unsafe.Height == 6 && string(st.Root) != st.Unsafe.Hash.String() {
					t.Errorf("got state %v with root %s", st.Unsafe, st.Root)
				}
			}
		})
	}
	for i := range 500 {
		mustCommit(t, s, &store.Batch{Truncate: ptr(uint64(5)), Append: []store.Record{branches[i%2]}})
	}
	mustClose(t, s)
	wg.Wait()
}

// BenchmarkEmptyItem is what an empty height of the source costs: position, proven and the item, one in and one out.
func BenchmarkEmptyItem(b *testing.B) {
	s, err := store.Open(b.TempDir(), testID, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	last := block.Ref{}
	for i := 0; b.Loop(); i++ {
		next := block.Ref{Height: last.Height + 1, Hash: block.Hash{byte(i), byte(i >> 8), byte(i >> 16), 1}}
		batch := store.Batch{Position: &next, Proven: &next, Item: &store.Item{Ref: next, Parent: last.Hash}}
		if next.Height > 64 {
			batch.DropItemsBelow = ptr(next.Height - 64)
		}
		mustCommit(b, s, &batch)
		last = next
	}
}

// BenchmarkBlock is what a block of 10 transactions costs.
func BenchmarkBlock(b *testing.B) {
	s, err := store.Open(b.TempDir(), testID, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	root := make([]byte, 32)
	pos := block.Ref{}
	for b.Loop() {
		b.StopTimer()
		blk := successor(s.State().Unsafe, "salt")
		for i := range 10 {
			blk.Data.Txs = append(blk.Data.Txs, fmt.Appendf(nil, "key%d=value of some length, as it is usual %d", i, blk.Height()))
		}
		r := ref(blk)
		pos.Height++
		b.StartTimer()
		mustCommit(b, s, &store.Batch{Append: []store.Record{{Block: blk, Root: root}}, Safe: r, Finalized: r, Position: &pos, Proven: &pos})
	}
}

// A block is not taken for another one, whatever the tables that point at it say: where they do not belong together
// the files are damaged.
func TestMixedUpBlocks(t *testing.T) {
	mem := vfs.NewMem()
	s := open(t, mem)
	blocks := grow(t, s, 4) // heights 5 to 8
	mustClose(t, s)
	body := func(h byte) string { return "b" + string([]byte{0, 0, 0, 0, 0, 0, 0, h}) }
	db, err := disk.Open("store", disk.Options{FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	seventh, ok, err := db.Get([]byte(body(7)))
	mark, marked, err2 := db.Get([]byte("o" + body(7)[1:]))
	if err := errors.Join(err, err2, db.Close()); err != nil || !ok || !marked {
		t.Fatal(ok, marked, err)
	}
	sixth := blocks[1].Hash()
	hash := string(sixth[:])
	for name, c := range map[string]struct {
		key   string
		value []byte
		want  error
	}{
		"another block's body": {body(6), seventh, store.ErrCorrupt},
		"no body":              {body(6), nil, store.ErrCorrupt},
		"half a body":          {body(6), seventh[:20], store.ErrCorrupt},
		"another height":       {"h" + hash, []byte{0, 0, 0, 0, 0, 0, 0, 7}, store.ErrNotFound},
		"half a height":        {"h" + hash, []byte{7}, store.ErrCorrupt},
	} {
		fs := disktest.Copy(t, mem, "store", nil)
		edit(t, fs, c.key, c.value)
		s := open(t, fs)
		if r, err := s.BlockByHash(blocks[1].Hash()); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, %v, want %v", name, r.Block, err, c.want)
		}
		if r, err := s.Block(6); c.key[0] == 'b' && !errors.Is(err, c.want) || c.key[0] == 'h' && (err != nil || r.Block.Hash() != blocks[1].Hash()) {
			t.Errorf("%s: by height got %v, %v", name, r.Block, err)
		}
		mustClose(t, s)
	}
	edit(t, mem, "o"+body(8)[1:], mark) // block 8 is the highest, and safe
	_, err = openModel("store", mem)
	wantLine(t, "another block's mark", err, store.ErrCorrupt, "restore a copy")
}
