package syncer_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/da"
	"headrace/exec"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
)

// The signed block is on disk before it is executed: after a crash in between it is used again, and no second one is signed for its height.
func TestSignedBlockSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		m := w.Open(syncertest.NewHome(), func(e exec.Engine) exec.Engine { return broken{e} })
		signed := 0
		build := func(_ context.Context, p syncer.Parent) (*block.Block, error) {
			signed++
			h := block.Header{Height: p.Ref.Height + 1, Time: p.Time + uint64(signed), ChainID: "test", ProposerAddress: w.Genesis.ProposerAddress, AppHash: p.Root, DataHash: block.EmptyCommitment[:]}
			s, err := block.SignHeader(w.Key, h)
			return &block.Block{Header: s, Data: block.EmptyData(&h, nil)}, err
		}
		if _, err := m.Produce(t.Context(), build); !errors.Is(err, errBroken) {
			t.Fatalf("got %v, want the engine's failure", err)
		}
		m = w.Open(m.Crash(vfs.CrashCloneCfg{UnsyncedDataPercent: 0}), nil)
		ref, err := m.Produce(t.Context(), build)
		if err != nil || ref.Height != 1 || signed != 1 {
			t.Fatalf("got block %v, %v, after %d signatures; want block 1 with one signature", ref, err, signed)
		}
		m.Close()
	})
}

// broken is an engine that executes nothing.
type broken struct{ exec.Engine }

var errBroken = errors.New("broken engine")

func (broken) Execute(context.Context, *block.Block) ([]byte, error) { return nil, errBroken }

// A node with the key-value engine follows a real Evolve chain up to its first foreign state root, and stops there saying so.
func TestForeignStateRoot(t *testing.T) {
	genesis, err := block.LoadGenesis("../../block/testdata/genesis.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open("store", store.Identity{ChainID: genesis.ChainID}, store.Options{FS: vfs.NewMem(), InitialHeight: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	engine, err := kv.Open("kv", kv.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	header, data, items := fixtures(t)
	w := &syncertest.World{T: t, Genesis: genesis}
	cfg := w.Derive()
	cfg.ChainID, cfg.HeaderNamespace, cfg.DataNamespace = genesis.ChainID, header, data
	sync, err := syncer.Open(syncer.Config{Genesis: genesis, Derive: cfg, Store: s, Engine: engine})
	if err != nil {
		t.Fatal(err)
	}
	sink := sync.DASink()
	for _, item := range items {
		if err = sink.Apply(t.Context(), item); err != nil {
			break
		}
	}
	var mismatch *syncer.RootMismatchError
	if !errors.As(err, &mismatch) || mismatch.Height != 9 {
		t.Fatalf("got %v, want a state root mismatch at block 9", err)
	}
	if follow.IsFatal(err) {
		t.Fatalf("%v is fatal; the node must stay up and say what is wrong", err)
	}
	st := sync.Status().Load()
	if st.Safe.Height != 8 || st.Stage.Name != "root" || !strings.Contains(st.Stage.Cause, "state root mismatch") {
		t.Fatalf("safe head %d, stage %+v; want 8 and the mismatch", st.Safe.Height, st.Stage)
	}
}

// fixtures returns a real chain's DA blocks, one per DA height.
func fixtures(t *testing.T) (header, data da.Namespace, items []follow.Item[da.Block]) {
	t.Helper()
	raw, err := os.ReadFile("../../block/testdata/da.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Header  []byte `json:"header_namespace"`
		Data    []byte `json:"data_namespace"`
		Heights []struct {
			Height  uint64   `json:"da_height"`
			Headers [][]byte `json:"header_blobs"`
			Data    [][]byte `json:"data_blobs"`
		} `json:"heights"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	copy(header[:], f.Header)
	copy(data[:], f.Data)
	next := uint64(1)
	for _, h := range f.Heights {
		for ; next < h.Height; next++ {
			items = append(items, item(da.Block{Height: next}))
		}
		b := da.Block{Height: next}
		for _, raw := range h.Headers {
			b.Blobs = append(b.Blobs, da.Blob{Namespace: header, Data: raw, Index: len(b.Blobs)})
		}
		for _, raw := range h.Data {
			b.Blobs = append(b.Blobs, da.Blob{Namespace: data, Data: raw, Index: len(b.Blobs)})
		}
		items = append(items, item(b))
		next++
	}
	return header, data, items
}

func item(b da.Block) follow.Item[da.Block] {
	return follow.Item[da.Block]{Height: b.Height, Hash: follow.Hash{byte(b.Height), 1}, Parent: follow.Hash{byte(b.Height - 1), 1}, Size: b.Size(), Data: b}
}
