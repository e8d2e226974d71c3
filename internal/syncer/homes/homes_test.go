// Package homes_test opens homes that were written before the state root before the first block was the engine's own,
// on a DA layer and on an L1, with each kind of engine of then, and follows their chains from genesis.
//
// The homes in testdata, and those of the key-value engine in ../testdata, were written by the last version before that,
// with the blocks of their chains and the state roots after them. They are never written again.
// No header of block 1 names a state root there, whatever the engine's genesis state is. The execution clients are new
// ones: theirs were not kept.
package homes_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/core"
	"go.uber.org/goleak"

	"headrace/block"
	"headrace/da"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec"
	"headrace/exec/engineapi"
	execgrpc "headrace/exec/grpc"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorded is a block of a recorded chain.
type recorded struct {
	Header, Data []byte // as they were posted
	Root         []byte // after it
}

// held is what a home said of itself when it was written.
type held struct {
	Unsafe, Safe, Finalized, Position block.Ref
	Root                              []byte
	Proposal                          syncer.Proposal
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// world is the rollup whose homes they are.
func world(t *testing.T) *syncertest.World {
	t.Helper()
	key, err := block.ParsePrivateKey(append([]byte{8, 1, 18, 64}, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))...))
	if err != nil {
		t.Fatal(err)
	}
	return &syncertest.World{T: t, Key: key, Genesis: &block.Genesis{
		ChainID: "test", StartTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"},
	}}
}

// engine returns what stands between a syncer and the key-value engine of its machine, whose files are in dir.
type engine func(t *testing.T, dir string) (wrap func(exec.Engine) exec.Engine, stop func())

func onKV(*testing.T, string) (func(exec.Engine) exec.Engine, func()) { return nil, func() {} }

// born is an engine that is served, and whose state before the first block is not empty.
type born struct{ exec.Engine }

func (b born) Head(ctx context.Context) (exec.Head, error) {
	h, err := b.Engine.Head(ctx)
	if h.Height == 0 {
		h.Root = []byte("genesis")
	}
	return h, err
}

func onGRPC(t *testing.T, _ string) (wrap func(exec.Engine) exec.Engine, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	var e *execgrpc.Engine
	wrap = func(kv exec.Engine) exec.Engine {
		target := "unix:" + filepath.Join(t.TempDir(), "s")
		lis, err := execgrpc.Listen(target)
		if err != nil {
			t.Fatal(err)
		}
		go func() { defer close(ended); _ = execgrpc.Serve(ctx, lis, born{kv}, execgrpc.ServerOptions{}) }()
		if e, err = execgrpc.Dial(target, execgrpc.Options{}); err != nil {
			t.Fatal(err)
		}
		return e
	}
	return wrap, func() { _ = e.Close(); cancel(); <-ended }
}

func onClient(t *testing.T, dir string) (wrap func(exec.Engine) exec.Engine, stop func()) {
	var genesis core.Genesis
	load(t, "client-genesis.json", &genesis)
	n := gethtest.Open(t, geth.Options{Genesis: &genesis})
	e, err := engineapi.New(engineapi.Options{URL: n.Engine(), JWT: n.JWT(), Genesis: &genesis, ChainID: "test", InitialHeight: 1, Dir: filepath.Join(dir, "engine"), FS: vfs.Default})
	if err != nil {
		t.Fatal(err)
	}
	return func(exec.Engine) exec.Engine { return e }, func() { _ = e.Close() }
}

// layer is a canonical source with a recorded chain.
type layer struct {
	open func(*syncertest.World, *syncertest.Home, func(exec.Engine) exec.Engine) *syncertest.Machine
	all  func(*testing.T, *syncertest.Machine, []recorded) // gives a machine the whole chain
	goOn func(*testing.T, *syncertest.Machine, []recorded) // gives the one of the recorded home what it lacks
}

var onDA = layer{
	open: (*syncertest.World).Open,
	all: func(t *testing.T, m *syncertest.Machine, c []recorded) {
		apply(t, m, posted(c, 1, nil, "h1d1h2d2"), posted(c, 2, nil, "d3h3"), posted(c, 3, nil, "h4d6h5"), posted(c, 4, nil, "d5"), posted(c, 5, nil, ""), posted(c, 6, nil, "h6d4"), posted(c, 7, nil, "h7d7"))
	},
	goOn: func(t *testing.T, m *syncertest.Machine, c []recorded) {
		apply(t, m, posted(c, 4, nil, "d5"), posted(c, 5, nil, ""), posted(c, 6, nil, "h6d4"), posted(c, 7, nil, "h7d7"))
	},
}

// posted is a DA height with halves of blocks, such as "h1d1": the header and the data of block 1.
func posted(c []recorded, height uint64, claims []da.Claim, halves string) follow.Item[da.Block] {
	b := da.Block{Height: height, Unproven: claims}
	for ; halves != ""; halves = halves[2:] {
		r := c[halves[1]-'1']
		blob := da.Blob{Namespace: syncertest.HeaderNS, Data: r.Header, Index: len(b.Blobs)}
		if halves[0] == 'd' {
			blob.Namespace, blob.Data = syncertest.DataNS, r.Data
		}
		b.Blobs = append(b.Blobs, blob)
	}
	hash := func(h uint64) follow.Hash { return follow.Hash{byte(h), 1} }
	return follow.Item[da.Block]{Height: height, Hash: hash(height), Parent: hash(height - 1), Size: b.Size(), Data: b}
}

func apply(t *testing.T, m *syncertest.Machine, items ...follow.Item[da.Block]) {
	t.Helper()
	if err := m.Apply(t.Context(), items...); err != nil {
		t.Fatal(err)
	}
}

var onL1 = layer{
	open: (*syncertest.World).OpenL1,
	all: func(t *testing.T, m *syncertest.Machine, c []recorded) {
		propose(t, m, proposal(t, 1, 1, 1, c[:1]), proposal(t, 1, 2, 0, nil), proposal(t, 1, 3, 2, c[1:3]), proposal(t, 1, 4, 3, nil),
			proposal(t, 1, 5, 4, c[3:4]), proposal(t, 1, 6, 5, c[4:6]), proposal(t, 1, 7, 6, c[6:]))
	},
	goOn: func(t *testing.T, m *syncertest.Machine, c []recorded) {
		if err := m.L1.Revert(t.Context()); err != nil { // it was left within a reorg
			t.Fatal(err)
		}
		first := proposal(t, 2, 4, 3, c[3:4])
		first.Parent = follow.Hash{3, 1}
		propose(t, m, first, proposal(t, 2, 5, 4, c[4:6]), proposal(t, 2, 6, 5, c[6:]))
	},
}

// proposal is an L1 block of one fork with a proposal, or with none if id is 0.
func proposal(t *testing.T, fork byte, height, id uint64, blocks []recorded) follow.Item[l1.Block] {
	t.Helper()
	hash := func(h uint64) follow.Hash { return follow.Hash{byte(h), fork} }
	it := follow.Item[l1.Block]{Height: height, Hash: hash(height), Parent: hash(height - 1)}
	it.Data = l1.Block{Number: height, Hash: l1.Hash(it.Hash), Parent: l1.Hash(it.Parent)}
	if id == 0 {
		return it
	}
	p := &l1.Proposal{ID: id, Sources: []l1.Source{{}}}
	for i, r := range blocks {
		header, err := block.DecodeSignedHeader(r.Header)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			copy(p.Parent[:], header.Header.LastHeaderHash)
		}
		p.Blocks = append(p.Blocks, l1.Encoded{Header: r.Header, Data: r.Data})
	}
	it.Data.Messages = []l1.Message{{Tx: l1.Hash{byte(id), fork}, LogIndex: 3, Proposal: p}}
	return it
}

func propose(t *testing.T, m *syncertest.Machine, items ...follow.Item[l1.Block]) {
	t.Helper()
	for _, it := range items {
		if err := m.L1.Apply(t.Context(), it); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHomesOfBefore: each home opens, holds what it held, and goes on, and a new node follows its chain from genesis. Both
// come to the recorded blocks and state roots.
func TestHomesOfBefore(t *testing.T) {
	for _, row := range []struct {
		name        string
		kept, chain string
		layer       layer
		engine      engine
	}{
		{"DA, kv", "../testdata/da", "kv-chain.json", onDA, onKV},
		{"DA, gRPC", "../testdata/da", "kv-chain.json", onDA, onGRPC},
		{"DA, engineapi", "testdata/engineapi-da", "engineapi-chain.json", onDA, onClient},
		{"L1, kv", "../testdata/l1", "kv-chain.json", onL1, onKV},
		{"L1, gRPC", "../testdata/l1", "kv-chain.json", onL1, onGRPC},
		{"L1, engineapi", "testdata/engineapi-l1", "engineapi-chain.json", onL1, onClient},
	} {
		t.Run(row.name, func(t *testing.T) {
			var chain []recorded
			load(t, row.chain, &chain)
			w := world(t)
			first, err := block.DecodeSignedHeader(chain[0].Header)
			if err != nil || len(first.Header.AppHash) != 0 {
				t.Fatalf("got app hash %x, %v in the first header, want none", first.Header.AppHash, err)
			}
			run := func(what string, home *syncertest.Home, wasLeft bool, give func(*testing.T, *syncertest.Machine, []recorded)) {
				wrap, stop := row.engine(t, home.Dir)
				m := row.layer.open(w, home, wrap)
				defer func() { m.Close(); stop() }()
				if wasLeft {
					if err := m.BringUp(t.Context()); err != nil {
						t.Fatal(err)
					}
					var want held
					load(t, filepath.Join("..", row.kept, "want.json"), &want)
					st := m.Status().Load()
					if got := (held{st.Unsafe, st.Safe, st.Finalized, st.Position, st.Root, st.Proposal}); !reflect.DeepEqual(got, want) {
						t.Errorf("%s: got %+v, want %+v", what, got, want)
					}
				}
				give(t, m, chain)
				for i, r := range chain {
					rec, err := m.Block(uint64(i + 1))
					if err != nil || !bytes.Equal(rec.Block.Header.Encode(), r.Header) || !bytes.Equal(rec.Root, r.Root) {
						t.Errorf("%s: block %d: got root %x, %v, want %x", what, i+1, rec.Root, err, r.Root)
					}
				}
				if st := m.Status().Load(); st.Safe.Height != uint64(len(chain)) {
					t.Errorf("%s: got block %d safe, want %d", what, st.Safe.Height, len(chain))
				}
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(row.kept)); err != nil {
				t.Fatal(err)
			}
			run("the home of before", syncertest.DiskHome(dir), true, row.layer.goOn)
			run("a new node", syncertest.DiskHome(t.TempDir()), false, row.layer.all)
		})
	}
}
