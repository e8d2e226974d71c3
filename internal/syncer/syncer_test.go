package syncer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// The signed block is on disk before it is executed: after a crash in between it is used again, and no second one is
// signed for its height.
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

// sign makes a signed block on p with one transaction, or an empty one.
func sign(t *testing.T, w *syncertest.World, p syncer.Parent, tx string) *block.Block {
	t.Helper()
	if tx == "" {
		return signTxs(t, w, p, nil)
	}
	return signTxs(t, w, p, []string{tx})
}

// signTxs makes a signed block on p.
func signTxs(t *testing.T, w *syncertest.World, p syncer.Parent, txs []string) *block.Block {
	t.Helper()
	h := block.Header{Height: p.Ref.Height + 1, Time: max(p.Time, uint64(w.Genesis.StartTime.UnixNano())) + 1, ChainID: "test", ProposerAddress: w.Genesis.ProposerAddress, AppHash: p.Root}
	d := block.Data{Metadata: block.Metadata{ChainID: "test", Height: h.Height, Time: h.Time}}
	for _, tx := range txs {
		d.Txs = append(d.Txs, []byte(tx))
	}
	if !p.Ref.Hash.IsZero() {
		h.LastHeaderHash, d.Metadata.LastDataHash = p.Ref.Hash[:], p.DataHash[:]
	}
	c := d.Commitment()
	h.DataHash = c[:]
	s, err := block.SignHeader(w.Key, h)
	if err != nil {
		t.Fatal(err)
	}
	return &block.Block{Header: s, Data: d}
}

// produce makes n blocks on m, each with a transaction.
func produce(t *testing.T, w *syncertest.World, m *syncertest.Machine, n int) {
	t.Helper()
	for range n {
		_, err := m.Produce(t.Context(), func(_ context.Context, p syncer.Parent) (*block.Block, error) {
			return sign(t, w, p, fmt.Sprintf("k%d=v%d", p.Ref.Height%3, p.Ref.Height)), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// posted returns m's blocks of [from, to) as one item at a DA height: the headers, then the data.
func posted(t *testing.T, w *syncertest.World, m *syncertest.Machine, at, from, to uint64) follow.Item[da.Block] {
	t.Helper()
	b := da.Block{Height: at}
	var data []da.Blob
	for h := from; h < to; h++ {
		rec, err := m.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		b.Blobs = append(b.Blobs, da.Blob{Namespace: syncertest.HeaderNS, Data: rec.Block.Header.Encode()})
		signed, err := block.SignData(w.Key, rec.Block.Data)
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, da.Blob{Namespace: syncertest.DataNS, Data: signed.Encode()})
	}
	b.Blobs = append(b.Blobs, data...)
	for i := range b.Blobs {
		b.Blobs[i].Index = i
	}
	return item(b)
}

// A crash after any block of an item, and at any point between execution, commit and publication, loses nothing: the
// item is given again, and ends in the same state (I2, I4).
func TestCrashWithinAnItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		seq := w.Open(syncertest.NewHome(), nil)
		produce(t, w, seq, 6)
		items := []follow.Item[da.Block]{posted(t, w, seq, 1, 1, 2), posted(t, w, seq, 2, 2, 7)}
		for _, percent := range []int{0, 50, 100} {
			for crashAt := 1; crashAt <= 12; crashAt++ {
				steps, homes := 0, []*syncertest.Home(nil)
				var m *syncertest.Machine
				snap := func() {
					if steps++; steps == crashAt {
						if percent > 0 { // else all commits since the last sync are lost
							_ = m.Store.Sync()
						}
						if percent == 100 {
							_ = m.KV.Sync()
						}
						cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(crashAt), 1))}
						homes = append(homes, &syncertest.Home{Store: m.Home.Store.(*vfs.MemFS).CrashClone(cfg), Engine: m.Home.Engine.(*vfs.MemFS).CrashClone(cfg)})
					}
				}
				m = w.Open(syncertest.NewHome(), func(e exec.Engine) exec.Engine { return &stepped{e, snap} })
				for _, it := range items {
					if err := m.Apply(t.Context(), it); err != nil {
						t.Fatal(err)
					}
				}
				m.Close()
				if len(homes) != 1 {
					t.Fatalf("%d crashes at step %d, want one", len(homes), crashAt)
				}
				again := w.Open(homes[0], nil)
				for _, it := range items {
					if it.Height != again.DA.Last().Height+1 {
						continue
					}
					if err := again.Apply(t.Context(), it); err != nil {
						t.Fatalf("percent %d, crash at step %d: %v", percent, crashAt, err)
					}
				}
				if got, want := again.Status().Load(), seq.Status().Load(); got.Safe != want.Unsafe || string(got.Root) != string(want.Root) || got.Position.Height != 2 {
					t.Fatalf("percent %d, crash at step %d: stands at %v and DA height %d, want %v and 2", percent, crashAt, got.Safe, got.Position.Height, want.Unsafe)
				}
				again.Close()
			}
		}
		seq.Close()
	})
}

// stepped calls a function before and after each execution: the moments between a commit and the next.
type stepped struct {
	exec.Engine
	step func()
}

func (s *stepped) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	s.step()
	root, err := s.Engine.Execute(ctx, b)
	s.step()
	return root, err
}

// An unsafe block that the DA layer contradicts is taken back with all above it; one that it confirms is promoted and
// not executed again.
func TestUnsafeBranchGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		ours, theirs := w.Open(syncertest.NewHome(), nil), w.Open(syncertest.NewHome(), nil)
		produce(t, w, ours, 2)
		first := posted(t, w, ours, 1, 1, 3)
		if err := theirs.Apply(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		produce(t, w, ours, 3)
		if _, err := theirs.Produce(t.Context(), func(_ context.Context, p syncer.Parent) (*block.Block, error) { return sign(t, w, p, "other=1"), nil }); err != nil {
			t.Fatal(err)
		}
		for _, it := range []follow.Item[da.Block]{first, posted(t, w, theirs, 2, 3, 4)} {
			if err := ours.Apply(t.Context(), it); err != nil {
				t.Fatal(err)
			}
		}
		got, want := ours.Status().Load(), theirs.Status().Load()
		if got.Unsafe != want.Unsafe || got.Safe != want.Unsafe || string(got.Root) != string(want.Root) {
			t.Fatalf("stands at %v (safe %v), want %v", got.Unsafe, got.Safe, want.Unsafe)
		}
		if c := got.Counts; c.Promoted != 2 || c.Executed != 1 || c.RevertedUnsafe != 3 {
			t.Fatalf("got %+v, want 2 promoted, 1 executed, 3 reverted", c)
		}
		if _, ok, _ := ours.KV.Get([]byte("k2")); ok {
			t.Fatal("a reverted block's transaction is still in the state")
		}
		ours.Close()
		theirs.Close()
	})
}

// A block from the future waits for the clock; it is neither refused nor applied early.
func TestBlockAheadOfTheClockWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		full := w.Open(syncertest.NewHome(), nil)
		blk := sign(t, w, syncer.Parent{Time: uint64(time.Now().Add(10 * time.Minute).UnixNano())}, "")
		it := item(da.Block{Height: 1, Blobs: []da.Blob{{Namespace: syncertest.HeaderNS, Data: blk.Header.Encode()}}})
		for range 2 {
			if err := full.Apply(t.Context(), it); err == nil || follow.IsFatal(err) {
				t.Fatalf("got %v, want a wait for the clock", err)
			}
			if st := full.Status().Load(); st.Stage.Name != follow.StageClock || st.Safe.Height != 0 || st.Position.Height != 0 {
				t.Fatalf("got %+v, want nothing applied and the clock named", st)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(7*time.Minute + time.Second)
		if err := full.Apply(t.Context(), it); err != nil {
			t.Fatal(err)
		}
		if st := full.Status().Load(); st.Safe.Height != 1 || st.Stage != (syncer.Stage{}) {
			t.Fatalf("got %+v, want block 1", st)
		}
		full.Close()
	})
}

// A time beyond what any clock shows is ahead of the clock too. A follower whose own clock is behind believes the
// source's.
func TestBlockAheadOfAllClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		apply := func(blockTime uint64, header time.Time) (syncer.Status, error) {
			full := w.Open(syncertest.NewHome(), nil)
			defer full.Close()
			blk := sign(t, w, syncer.Parent{Time: blockTime}, "")
			err := full.Apply(t.Context(), item(da.Block{Height: 1, Time: header, Blobs: []da.Blob{{Namespace: syncertest.HeaderNS, Data: blk.Header.Encode()}}}))
			return full.Status().Load(), err
		}
		for _, at := range []uint64{1<<63 - 2, 1<<63 - 1, 1 << 63, 1<<64 - 2} { // and one more: sign adds it
			if st, err := apply(at, time.Now()); err == nil || st.Stage.Name != follow.StageClock || st.Safe.Height != 0 || !strings.Contains(st.Stage.Cause, "ahead of this machine's clock") {
				t.Errorf("a block of %d: got %v, %+v, want a wait for the clock", at+1, err, st)
			}
		}
		at := time.Now().Add(24 * time.Hour)
		if st, err := apply(uint64(at.UnixNano()), at.Add(-59*time.Second)); err != nil || st.Safe.Height != 1 {
			t.Errorf("a block a day ahead, as the source is: got %v, %+v, want it applied", err, st)
		}
		if _, err := apply(uint64(at.UnixNano()), at.Add(-61*time.Second)); err == nil {
			t.Error("a block a minute ahead of the source: got no error")
		}
	})
}

// away is an engine that does not answer.
type away struct{ exec.Engine }

func (away) Head(context.Context) (exec.Head, error) { return exec.Head{}, errBroken }

// An engine that is away stays in the status while items come that need none.
func TestEngineAwayIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		m := w.Open(syncertest.NewHome(), func(e exec.Engine) exec.Engine { return away{e} })
		defer m.Close()
		if err := m.BringUp(t.Context()); !errors.Is(err, errBroken) {
			t.Fatalf("got %v, want the engine's failure", err)
		}
		if err := m.Apply(t.Context(), item(da.Block{Height: 1})); err != nil {
			t.Fatal(err)
		}
		if st := m.Status().Load(); st.Stage.Name != follow.StageEngine || st.Stage.Cause == "" || st.Position.Height != 1 {
			t.Errorf("got %+v at %d, want the engine named at height 1", st.Stage, st.Position.Height)
		}
	})
}

// What stands is told since its first failure, whatever is tried and however often, and anew once it was over.
func TestStageStandsSinceItsFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		full := w.Open(syncertest.NewHome(), nil)
		defer full.Close()
		first := time.Now()
		blk := sign(t, w, syncer.Parent{Time: uint64(first.Add(2 * time.Minute).UnixNano())}, "")
		it := item(da.Block{Height: 1, Blobs: []da.Blob{{Namespace: syncertest.HeaderNS, Data: blk.Header.Encode()}}})
		for range 5 {
			if err := full.Apply(t.Context(), it); err == nil {
				t.Fatal("a block ahead of the clock was applied")
			}
			if st := full.Status().Load(); !st.StageSince.Equal(first) {
				t.Errorf("it stands since %s, want its first failure, %s", st.StageSince, first)
			}
			time.Sleep(10 * time.Second)
		}
		time.Sleep(2 * time.Minute)
		if err := full.Apply(t.Context(), it); err != nil {
			t.Fatal(err)
		}
		if st := full.Status().Load(); !st.StageSince.IsZero() {
			t.Errorf("nothing stands since %s", st.StageSince)
		}
	})
}

// A node with the key-value engine follows a real Evolve chain up to its first foreign state root, and stops there
// saying so.
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
	cfg.HeaderNamespace, cfg.DataNamespace = header, data
	sink, err := syncer.OpenDA(syncer.Config{Genesis: genesis, Derive: cfg, Store: s, Engine: engine})
	if err != nil {
		t.Fatal(err)
	}
	err = (&syncertest.Machine{DA: sink}).Apply(t.Context(), items...)
	var mismatch *syncer.RootMismatchError
	if !errors.As(err, &mismatch) || mismatch.Height != 9 {
		t.Fatalf("got %v, want a state root mismatch at block 9", err)
	}
	if follow.IsFatal(err) {
		t.Fatalf("%v is fatal; the node must stay up and say what is wrong", err)
	}
	st := sink.Status().Load()
	if st.Safe.Height != 8 || st.Stage.Name != follow.StageRoot || !strings.Contains(st.Stage.Cause, "state root mismatch") {
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
