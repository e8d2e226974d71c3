package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/internal/disk/disktest"
	"headrace/internal/store"
)

// model is a store as one would write it without a disk.
type model struct {
	state  store.State
	blocks []store.Record // from Oldest to Unsafe
	items  map[uint64]store.Item
	halves map[block.HalfKey]block.Half
	named  map[string][]byte
}

func newModel(initial uint64, start block.Ref) *model {
	before := block.Ref{Height: initial - 1}
	return &model{
		state: store.State{Position: start, Proven: start, Unsafe: before, Safe: before, Finalized: before, Oldest: initial},
		items: map[uint64]store.Item{}, halves: map[block.HalfKey]block.Half{}, named: map[string][]byte{},
	}
}

func (m *model) clone() *model {
	return &model{m.state, slices.Clone(m.blocks), maps.Clone(m.items), maps.Clone(m.halves), maps.Clone(m.named)}
}

func (m *model) at(height uint64) *store.Record { return &m.blocks[height-m.state.Oldest] }

// commit does what Store.Commit does to a good batch.
func (m *model) commit(b *store.Batch) {
	st := &m.state
	kept := st.Unsafe.Height
	if b.Truncate != nil && *b.Truncate < kept {
		kept = *b.Truncate
		m.blocks = slices.Clone(m.blocks[:kept+1-st.Oldest])
	}
	m.blocks = append(m.blocks, b.Append...)
	if n := len(m.blocks); n > 0 {
		st.Unsafe, st.Root = *ref(m.blocks[n-1].Block), m.blocks[n-1].Root
	} else {
		st.Unsafe, st.Root = block.Ref{Height: st.Oldest - 1}, nil
	}
	for _, p := range b.Promote {
		m.at(p.Height).Origin = p.Origin
	}
	if b.Safe != nil {
		for h := b.Safe.Height + 1; h <= min(st.Safe.Height, kept); h++ {
			m.at(h).Origin = store.Origin{}
		}
	}
	set(&st.Safe, b.Safe)
	set(&st.Finalized, b.Finalized)
	st.SafeRoot = nil
	if st.Safe.Height >= st.Oldest {
		st.SafeRoot = m.at(st.Safe.Height).Root
	}
	set(&st.Position, b.Position)
	set(&st.Proven, b.Proven)
	maps.DeleteFunc(m.items, func(h uint64, _ store.Item) bool {
		return b.DropItemsAbove != nil && h > *b.DropItemsAbove || b.DropItemsBelow != nil && h < *b.DropItemsBelow
	})
	if b.Item != nil {
		m.items[b.Item.Ref.Height] = *b.Item
	}
	for _, k := range b.RemoveHalves {
		delete(m.halves, k)
	}
	for _, h := range b.AddHalves {
		m.halves[h.Key()] = h
	}
	st.EnvelopesOnly = st.EnvelopesOnly || b.EnvelopesOnly
	if b.Inbox != nil {
		st.Inbox = b.Inbox
	}
	for name, v := range b.Named {
		m.named[name] = v
		if v == nil {
			delete(m.named, name)
		}
	}
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// prune does what Store.Prune does.
func (m *model) prune(below uint64) {
	if to := min(below, m.state.Finalized.Height); to > m.state.Oldest {
		m.blocks = slices.Clone(m.blocks[to-m.state.Oldest:])
		m.state.Oldest = to
	}
}

// diff says where s differs from m; nil if nowhere.
func (m *model) diff(s *store.Store) error {
	if got := s.State(); !sameState(got, m.state) {
		return fmt.Errorf("state: got %+v, want %+v", got, m.state)
	}
	for i := range m.blocks {
		if err := m.diffBlock(s, &m.blocks[i]); err != nil {
			return err
		}
	}
	for _, h := range []uint64{m.state.Oldest - 1, m.state.Unsafe.Height + 1, m.state.Unsafe.Height + 2} {
		if r, err := s.Block(h); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("block %d: got %v, %v, want not found", h, r, err)
		}
	}
	for h := range m.state.Position.Height + 2 {
		got, ok, err := s.Item(h)
		if want, there := m.items[h]; err != nil || ok != there || !reflect.DeepEqual(got, want) {
			return fmt.Errorf("item %d: got %+v, %v, %v, want %+v, %v", h, got, ok, err, want, there)
		}
	}
	halves, err := s.Halves()
	want := slices.SortedFunc(maps.Values(m.halves), func(a, b block.Half) int {
		return cmp.Or(cmp.Compare(a.DAHeight, b.DAHeight), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Index, b.Index))
	})
	if err != nil || len(halves)+len(want) > 0 && !reflect.DeepEqual(halves, want) {
		return fmt.Errorf("halves: got %v, %v, want %v", halves, err, want)
	}
	for _, name := range []string{"a", "b"} {
		v, ok, err := s.Named(name)
		if want, there := m.named[name]; err != nil || ok != there || string(v) != string(want) {
			return fmt.Errorf("named %s: got %q, %v, %v, want %q, %v", name, v, ok, err, want, there)
		}
	}
	return nil
}

func (m *model) diffBlock(s *store.Store, want *store.Record) error {
	h := want.Block.Height()
	got, err := s.Block(h)
	if err != nil {
		return err
	}
	if got.Block.Hash() != want.Block.Hash() || string(got.Block.Encode()) != string(want.Block.Encode()) ||
		string(got.Root) != string(want.Root) || got.Origin != want.Origin {
		return fmt.Errorf("block %d: got %+v, want %+v", h, got, *want)
	}
	if r, err := s.BlockByHash(want.Block.Hash()); err != nil || r.Block.Height() != h {
		return fmt.Errorf("block %d by hash: %v", h, err)
	}
	if r, err := s.Ref(h); err != nil || r != *ref(want.Block) {
		return fmt.Errorf("hash of block %d: got %v, %v", h, r, err)
	}
	return nil
}

func sameState(a, b store.State) bool {
	if string(a.Root) != string(b.Root) || string(a.SafeRoot) != string(b.SafeRoot) {
		return false
	}
	a.Root, a.SafeRoot, b.Root, b.SafeRoot = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

// randomBatch returns a batch that m's store must take.
func (m *model) randomBatch(rng *rand.Rand, n int) *store.Batch {
	st, b := m.state, &store.Batch{}
	chance := func(percent int) bool { return rng.IntN(100) < percent }
	top := st.Unsafe
	refs := map[uint64]block.Ref{st.Oldest - 1: {Height: st.Oldest - 1}}
	for _, r := range m.blocks {
		refs[r.Block.Height()] = *ref(r.Block)
	}
	if span := st.Unsafe.Height - st.Finalized.Height; span > 0 && chance(15) {
		to := st.Finalized.Height + rng.Uint64N(span)
		b.Truncate, top = &to, refs[to]
	}
	for range rng.IntN(3) {
		blk := successor(top, fmt.Sprint("salt", n))
		root := fmt.Appendf(nil, "root %d", rng.Int())
		b.Append = append(b.Append, store.Record{Block: blk, Root: root, Origin: store.Origin{HeaderAt: rng.Uint64N(9), Source: st.Position}})
		top = *ref(blk)
		refs[top.Height] = top
	}
	if chance(30) && top.Height > st.Finalized.Height {
		h := st.Finalized.Height + 1 + rng.Uint64N(top.Height-st.Finalized.Height)
		b.Promote = []store.Promotion{{Height: h, Origin: store.Origin{HeaderAt: 1, DataAt: 2, Proposal: 3, Tx: block.Hash{4}, LogIndex: 5, Source: block.Ref{Height: 6, Hash: block.Hash{7}}}}}
	}
	safe := st.Safe.Height
	if safe > top.Height || chance(40) {
		safe = st.Finalized.Height + rng.Uint64N(top.Height-st.Finalized.Height+1)
		b.Safe = ptr(refs[safe])
	} else if b.Truncate != nil {
		b.Safe = ptr(refs[safe]) // its block may be another one now
	}
	if chance(20) {
		b.Finalized = ptr(refs[st.Finalized.Height+rng.Uint64N(safe-st.Finalized.Height+1)])
	}
	m.randomSource(rng, b, n)
	b.Sync = chance(10)
	return b
}

func (m *model) randomSource(rng *rand.Rand, b *store.Batch, n int) {
	st := m.state
	chance := func(percent int) bool { return rng.IntN(100) < percent }
	switch {
	case chance(70) && st.Position.Height < 90:
		b.Position = &block.Ref{Height: st.Position.Height + 1, Hash: block.Hash{byte(n), byte(n >> 8)}}
		b.Item = &store.Item{Ref: *b.Position, Parent: st.Position.Hash, Safe: 0, Inbox: inbox(n)}
	case chance(20):
		b.Position, b.DropItemsAbove = ptr(st.Proven), ptr(st.Proven.Height)
	}
	if chance(30) {
		b.Proven = ptr(st.Position)
		if b.Position != nil {
			b.Proven = b.Position
		}
	}
	if chance(20) {
		b.DropItemsBelow = ptr(rng.Uint64N(st.Position.Height + 1))
	}
	for k := range m.halves {
		if chance(30) {
			b.RemoveHalves = append(b.RemoveHalves, k)
		}
	}
	for i := range rng.IntN(3) {
		b.AddHalves = append(b.AddHalves, block.Half{Kind: block.HalfKind(1 + rng.IntN(2)), Hash: block.Hash{byte(n), byte(n >> 8), byte(i)}, Height: rng.Uint64N(50),
			DAHeight: st.Position.Height, Index: n*10 + i, Raw: fmt.Appendf(nil, "half %d %d", n, i)})
	}
	if chance(10) {
		b.EnvelopesOnly = true
	}
	if chance(20) {
		b.Inbox = inbox(n)
	}
	if chance(20) {
		b.Named = map[string][]byte{"a": fmt.Appendf(nil, "a %d", n), "b": nil}
		if chance(50) {
			b.Named = map[string][]byte{"a": nil, "b": {}}
		}
	}
}

// inbox returns an inbox that differs from that of any other number; of every seventh nothing is known.
func inbox(n int) *store.Inbox {
	if n%7 == 0 {
		return nil
	}
	x := uint64(n)
	ref := func(kind byte) block.Ref { return block.Ref{Height: x, Hash: block.Hash{kind, byte(n), byte(n >> 8)}} }
	in := &store.Inbox{Proposal: store.Proposal{ID: x, L1: ref(1), Tx: ref(2).Hash, L2: ref(3), Reorgs: x % 5}, Finalized: ref(4)}
	if n%3 == 0 {
		in.Proposal.Void = fmt.Sprint("void ", n)
	}
	return in
}

var modelStart = block.Ref{Height: 3, Hash: block.Hash{3}}

const modelInitial = 5

const modelDir = "home/data/store" // whose parents must survive a crash too

func openModel(dir string, fs vfs.FS) (*store.Store, error) {
	return store.Open(dir, testID, store.Options{FS: fs, InitialHeight: modelInitial, Start: modelStart})
}

func TestStoreIsLikeTheModel(t *testing.T) {
	for seed := range uint64(8 / disktest.Sparse(8)) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fs := vfs.NewMem()
		s, err := openModel(modelDir, fs)
		if err != nil {
			t.Fatal(err)
		}
		m := newModel(modelInitial, modelStart)
		for n := range 150 {
			b := m.randomBatch(rng, n)
			if err := s.Commit(b); err != nil {
				t.Fatalf("seed %d, commit %d: %v: %+v", seed, n, err, b)
			}
			m.commit(b)
			if rng.IntN(20) == 0 {
				below := m.state.Oldest + rng.Uint64N(8)
				m.prune(below)
				if err := s.Prune(below); err != nil {
					t.Fatalf("seed %d, commit %d: %v", seed, n, err)
				}
			}
			if rng.IntN(20) == 0 {
				mustClose(t, s)
				if s, err = openModel(modelDir, fs); err != nil {
					t.Fatalf("seed %d, commit %d: %v", seed, n, err)
				}
			}
			if err := m.diff(s); err != nil {
				t.Fatalf("seed %d, commit %d: %v", seed, n, err)
			}
		}
		mustClose(t, s)
	}
}
