package syncer_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/da"
	"headrace/follow"
	"headrace/internal/syncer/syncertest"
)

// listed is a source of a list of items from height 1 on, whose news is the head alone.
type listed []follow.Item[da.Block]

func (l listed) Subscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	update(follow.Update[da.Block]{Head: l[len(l)-1].Ref()})
	<-ctx.Done()
	return ctx.Err()
}

func (l listed) Fetch(_ context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	for h := from; h < to; h++ {
		if err := deliver(l[h-1]); err != nil {
			return err
		}
	}
	return nil
}

// littered returns DA heights that hold m's blocks: the halves of each somewhere near each other, many of them twice,
// among forgeries and garbage.
func littered(t *testing.T, w *syncertest.World, m *syncertest.Machine, blocks, heights uint64) listed {
	t.Helper()
	r := rand.New(rand.NewPCG(blocks, heights))
	at := make([][]da.Blob, heights)
	put := func(h uint64, b da.Blob) { at[min(h, heights-1)] = append(at[min(h, heights-1)], b) }
	for n := uint64(1); n <= blocks; n++ {
		near := (n - 1) * heights / blocks
		for _, b := range posted(t, w, m, 1, n, n+1).Data.Blobs {
			for range 1 + r.IntN(2) {
				put(near+r.Uint64N(20), b)
			}
			if r.IntN(4) == 0 {
				put(r.Uint64N(heights), b) // a replay, or far too early
			}
			forged := bytes.Clone(b.Data)
			forged[len(forged)-1-r.IntN(len(forged)/2)] ^= 1
			put(near, da.Blob{Namespace: b.Namespace, Data: forged})
			put(near, da.Blob{Namespace: b.Namespace, Data: []byte("garbage")})
		}
	}
	var out listed
	for h, blobs := range at {
		for i := range blobs {
			blobs[i].Index = i
		}
		out = append(out, item(da.Block{Height: uint64(h + 1), Blobs: blobs}))
	}
	return out
}

// I3: the same blocks from the same places, and the same halves waiting, whether signatures are checked in the
// section or ahead, and with crashes in between.
func TestCheckedAheadIsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const blocks = 60
		w := syncertest.NewWorld(t, -1)
		seq := w.Open(syncertest.NewHome(), nil)
		defer seq.Close()
		produce(t, w, seq, blocks)
		items := littered(t, w, seq, blocks, 200)
		inline := w.Open(syncertest.NewHome(), nil)
		defer inline.Close()
		for _, it := range items {
			if err := inline.Apply(t.Context(), it); err != nil {
				t.Fatal(err)
			}
		}
		if got := inline.Status().Load().Safe.Height; got < blocks/2 {
			t.Fatalf("got %d blocks of %d derived, want most: there is too little to compare", got, blocks)
		}

		home := syncertest.NewHome()
		for stop := uint64(20); ; stop += 20 {
			m := w.Open(home, nil)
			f := follow.New(m.DA.Checked(items[:min(stop, 200)]), m.DA, follow.Options{Stall: 5 * time.Second})
			end := syncertest.Run(t, f.Run)
			if _, err := f.State().Wait(t.Context(), func(s follow.State) bool { return s.Last.Height == min(stop, 200) }); err != nil {
				t.Fatal(err)
			}
			end()
			if stop < 200 {
				home = m.Crash(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(stop, 1))})
				continue
			}
			defer m.Close()
			compare(t, m, inline)
			return
		}
	})
}

func compare(t *testing.T, got, want *syncertest.Machine) {
	t.Helper()
	g, w := got.Store.State(), want.Store.State()
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got state %+v, want %+v", g, w)
	}
	for h := uint64(1); h <= w.Safe.Height; h++ {
		g, err := got.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		w, err := want.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("block %d: got %+v, want %+v", h, g, w)
		}
	}
	halves := func(m *syncertest.Machine) []block.Half {
		h, err := m.Store.Halves()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if g, w := halves(got), halves(want); !slices.EqualFunc(g, w, func(a, b block.Half) bool { return reflect.DeepEqual(a, b) }) {
		t.Errorf("got %d halves waiting, want %d, or others", len(g), len(w))
	}
}
