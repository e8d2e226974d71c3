package syncer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1/local"
)

// beside is a full node of a chain on a DA layer, and a sequencer whose blocks it is offered.
type beside struct {
	*syncertest.World
	t          *testing.T
	full, seq  *syncertest.Machine
	engine     *judge // of the full node
	nextHeight uint64 // of the DA layer
}

func newBeside(t *testing.T) *beside {
	w := &beside{World: syncertest.NewWorld(t, -1), t: t, nextHeight: 1}
	w.full = w.Open(syncertest.NewHome(), func(e exec.Engine) exec.Engine { w.engine = &judge{Engine: e}; return w.engine })
	w.seq = w.Open(syncertest.NewHome(), nil)
	t.Cleanup(func() { w.full.Close(); w.seq.Close() })
	w.full.DA.Offers.SetGate(t.Context(), true)
	return w
}

// block returns a block of the sequencer's.
func (w *beside) block(height uint64) *block.Block {
	w.t.Helper()
	rec, err := w.seq.Block(height)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Block
}

// offer offers a block as it is posted, or, if it is stored, as a node has it.
func (w *beside) offer(b *block.Block, stored bool) (buffered bool, err error) {
	w.t.Helper()
	if stored {
		return w.full.DA.Offers.OfferStored(w.t.Context(), b.Header.Encode(), b.Data.Encode())
	}
	var data []byte
	if d := signedData(w.t, w.World, b); d != nil {
		data = d.Encode()
	}
	return w.full.DA.Offers.Offer(w.t.Context(), b.Header.Encode(), data)
}

// post has the full node read blocks of m from the DA layer's next height.
func (w *beside) post(m *syncertest.Machine, from, to uint64) {
	w.t.Helper()
	if err := w.full.Apply(w.t.Context(), posted(w.t, w.World, m, w.nextHeight, from, to)); err != nil {
		w.t.Fatal(err)
	}
	w.nextHeight++
}

func (w *beside) status() syncer.Status { return w.full.Status().Load() }

// On a DA layer an offered block is taken as long as it is above the safe head and not too far, whether or not anything
// comes from there; what the layer then has is promoted and not executed.
func TestOffersBesideADALayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBeside(t)
		produce(t, w.World, w.seq, 20)
		for i, h := range []uint64{3, 2, 1, 4, 6, 5, 8, 9, 10, 7} {
			b := w.block(h)
			if _, err := w.offer(b, i%2 == 0); err != nil {
				t.Fatalf("block %d: %v", h, err)
			}
		}
		if st := w.status(); st.Unsafe.Height != 10 || st.Safe.Height != 0 || st.Buffered != 0 || !st.Gate || st.Counts.Offered != 10 {
			t.Fatalf("got %+v, want ten unsafe blocks", st)
		}
		executed := w.engine.executed
		w.post(w.seq, 1, 9)
		if st := w.status(); st.Safe.Height != 8 || st.Unsafe.Height != 10 || st.Counts.Promoted != 8 || st.Counts.Executed != 0 || w.engine.executed != executed {
			t.Fatalf("got %+v, want eight blocks promoted and none executed", st)
		}
		if _, err := w.offer(w.block(8), true); !errors.Is(err, syncer.ErrStale) {
			t.Errorf("at the safe head: got %v, want ErrStale", err)
		}
		if buffered, err := w.offer(w.block(10), true); buffered || err != nil {
			t.Errorf("a block that is here: got %v, %v, want neither", buffered, err)
		}
		// One that waits goes on when its parent comes from the DA layer, and what the layer has passed is forgotten.
		for _, h := range []uint64{13, 14, 16} {
			if buffered, err := w.offer(w.block(h), true); !buffered || err != nil {
				t.Fatalf("block %d: got %v, %v, want it to wait", h, buffered, err)
			}
		}
		w.post(w.seq, 9, 13)
		if st := w.status(); st.Safe.Height != 12 || st.Unsafe.Height != 14 || st.Buffered != 1 || st.Counts.Promoted != 10 {
			t.Fatalf("got %+v, want the head at 14, and one block that waits", st)
		}
		w.post(w.seq, 13, 17)
		if st := w.status(); st.Safe.Height != 16 || st.Unsafe.Height != 16 || st.Buffered != 0 {
			t.Fatalf("got %+v, want all safe and none waiting", st)
		}
	})
}

// How far above the safe head a block may be is asked before its signature.
func TestOffersAreNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBeside(t)
		at := func(height uint64) *block.Block {
			return sign(t, w.World, syncer.Parent{Ref: block.Ref{Height: height - 1, Hash: block.Hash{1}}}, "a=1")
		}
		if buffered, err := w.offer(at(syncertest.MaxUnsafe), true); !buffered || err != nil {
			t.Errorf("the highest that may be: got %v, %v, want it to wait", buffered, err)
		}
		far := at(syncertest.MaxUnsafe + 1)
		far.Header.Signature = bytes.Repeat([]byte{1}, 64)
		if _, err := w.offer(far, true); !errors.Is(err, syncer.ErrFar) {
			t.Errorf("one above it: got %v, want ErrFar, before the signature is looked at", err)
		}
		if err := w.full.DA.Offers.At(syncertest.MaxUnsafe + 1); !errors.Is(err, syncer.ErrFar) {
			t.Errorf("got %v of its height, want ErrFar", err)
		}
	})
}

// Of two blocks on one parent that with the later time is preferred, then that with the greater hash, in whatever order
// and however often they come: one revert at most. Both are kept as evidence, once, also over a restart. The canonical
// one wins all the same.
func TestReplaysOfTwoBlocks(t *testing.T) {
	for name, later := range map[string]uint64{"another time": 5, "the same time": 0} {
		for _, firstIsBetter := range []bool{true, false} {
			t.Run(fmt.Sprint(name, firstIsBetter), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newBeside(t)
					produce(t, w.World, w.seq, 2)
					for h := uint64(1); h <= 2; h++ {
						if _, err := w.offer(w.block(h), true); err != nil {
							t.Fatal(err)
						}
					}
					two := w.block(2)
					on := syncer.Parent{Ref: two.Ref(), DataHash: two.Data.Hash(), Time: two.Header.Header.Time, Root: w.seq.Status().Load().Root}
					better, other := sign(t, w.World, on, "a=1"), sign(t, w.World, on, "b=1")
					on.Time += later
					if later > 0 {
						better = sign(t, w.World, on, "a=1")
					} else if x, y := better.Hash(), other.Hash(); bytes.Compare(x[:], y[:]) < 0 {
						better, other = other, better
					}
					pair := []*block.Block{other, better}
					if firstIsBetter {
						pair = []*block.Block{better, other}
					}
					for i := range 2000 {
						if _, err := w.offer(pair[i%2], i%3 == 0); err != nil && (pair[i%2] == better || !errors.Is(err, syncer.ErrOther)) {
							t.Fatalf("replay %d: %v", i, err)
						}
					}
					st := w.status()
					if st.Unsafe != better.Ref() || st.Counts.RevertedUnsafe > 1 || st.Counts.SignedTwice != 1 || st.Buffered != 0 {
						t.Fatalf("got head %v and %+v, %d waiting, want %v and one revert at most", st.Unsafe, st.Counts, st.Buffered, better.Ref())
					}
					check := func(st syncer.Status) {
						t.Helper()
						if len(st.Twice) != 1 || st.Twice[0].Height != 3 || st.Twice[0].Preferred.Hash != better.Hash() || !bytes.Equal(st.Twice[0].Other.Header, other.Header.Encode()) {
							t.Fatalf("got %+v as evidence, want both headers", st.Twice)
						}
					}
					check(st)
					home := w.full.Home
					w.full.Close()
					w.full = w.Open(home, nil)
					w.full.DA.Offers.SetGate(t.Context(), true)
					check(w.status())
					if _, err := w.offer(other, true); !errors.Is(err, syncer.ErrOther) || w.status().Counts.SignedTwice != 0 {
						t.Fatalf("after a restart: got %v and %+v, want ErrOther, and no second alarm", err, w.status().Counts)
					}

					// The DA layer has the other one.
					third := w.Open(syncertest.NewHome(), nil)
					defer third.Close()
					if err := third.Apply(t.Context(), posted(t, w.World, w.seq, 1, 1, 3)); err != nil {
						t.Fatal(err)
					}
					if _, err := third.Produce(t.Context(), func(context.Context, syncer.Parent) (*block.Block, error) { return other, nil }); err != nil {
						t.Fatal(err)
					}
					w.post(third, 1, 4)
					if st := w.status(); st.Safe != other.Ref() || st.Unsafe != other.Ref() {
						t.Fatalf("got head %v, safe %v, want what the DA layer has, %v", st.Unsafe, st.Safe, other.Ref())
					}
				})
			})
		}
	}
}

// A block that the engine finds invalid takes the place of the one that it is preferred to once, and no replay of it
// does so again.
func TestReplaysOfAnInvalidBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBeside(t)
		produce(t, w.World, w.seq, 3)
		for h := uint64(1); h <= 3; h++ {
			if _, err := w.offer(w.block(h), true); err != nil {
				t.Fatal(err)
			}
		}
		one := w.block(1)
		rec, err := w.seq.Block(1)
		if err != nil {
			t.Fatal(err)
		}
		on := syncer.Parent{Ref: one.Ref(), DataHash: one.Data.Hash(), Time: one.Header.Header.Time + 100, Root: rec.Root}
		bad := sign(t, w.World, on, "invalid=1")
		for i := range 1000 {
			if _, err := w.offer(bad, i%2 == 0); !errors.Is(err, syncer.ErrUnfit) {
				t.Fatalf("replay %d: got %v, want ErrUnfit", i, err)
			}
		}
		if st := w.status(); st.Unsafe != w.seq.Status().Load().Unsafe || st.Counts.RevertedUnsafe > 2 || st.Buffered != 0 {
			t.Fatalf("got head %v and %+v, want the head as it was, and one revert, of two blocks", st.Unsafe, st.Counts)
		}
	})
}

// There is evidence for one pair of blocks a height, and for 64 heights: the highest, whatever is replayed.
func TestEvidenceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBeside(t)
		pair := func(h uint64) [2]*block.Block {
			p := syncer.Parent{Ref: block.Ref{Height: h - 1, Hash: block.Hash{1}}}
			return [2]*block.Block{sign(t, w.World, p, "a=1"), sign(t, w.World, p, "b=1")}
		}
		for range 3 {
			for h := uint64(10); h < 110; h++ {
				for _, b := range pair(h) {
					if _, err := w.offer(b, true); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		st := w.status()
		if len(st.Twice) != 64 || st.Twice[0].Height != 46 || st.Twice[63].Height != 109 || st.Counts.SignedTwice != 100 {
			t.Fatalf("got %d pairs, from %d on, %d alarms; want 64, from 46 on, and 100", len(st.Twice), st.Twice[0].Height, st.Counts.SignedTwice)
		}
	})
}

// Must hold: a thousand garbled copies of each of a hundred blocks, before the honest one, displace nothing and take no
// room.
func TestGarbledOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const blocks, copies = 100, 1000
		w := newBeside(t)
		produce(t, w.World, w.seq, blocks)
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 1))
		spoil := func(header, data []byte) ([]byte, []byte) {
			header, data = bytes.Clone(header), bytes.Clone(data)
			spoiled := &header
			if random.IntN(2) == 0 {
				spoiled = &data
			}
			switch i := random.IntN(len(*spoiled)); random.IntN(8) {
			case 0: // a length too long
				*spoiled = (*spoiled)[:i]
			default:
				(*spoiled)[i] ^= 1 << random.IntN(8)
			}
			return header, data
		}
		taken := 0
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for h := uint64(1); h <= blocks; h++ {
			b := w.block(h)
			header, signed, content := b.Header.Encode(), signedData(t, w.World, b).Encode(), b.Data.Encode()
			for i := range copies {
				var err error
				gh, gd := spoil(header, signed)
				if i%2 == 0 {
					_, err = w.full.DA.Offers.Offer(t.Context(), gh, gd)
				} else {
					gh, gd = spoil(header, content)
					_, err = w.full.DA.Offers.OfferStored(t.Context(), gh, gd)
				}
				if err == nil { // another encoding of the same, or a part of the data that follows from the parent anyhow
					if rec, err := w.full.Block(h); err != nil || !bytes.Equal(rec.Block.Encode(), b.Encode()) {
						t.Fatalf("seed %d: a garbled copy %d of block %d was taken as it was: header %x for %x, data %x", seed, i, h, gh, header, gd)
					}
					taken++
					continue
				}
				if errors.Is(err, syncer.ErrUnfit) || follow.IsFatal(err) {
					t.Fatalf("seed %d: a garbled copy of block %d: got %v, want it refused as garbled, forged, stale or far", seed, h, err)
				}
			}
			if st := w.status(); st.Buffered != 0 || st.Unsafe.Height > h {
				t.Fatalf("seed %d: got %+v, want nothing held", seed, st)
			}
			if _, err := w.offer(b, false); err != nil {
				t.Fatalf("seed %d: the honest block %d: %v", seed, h, err)
			}
			if rec, err := w.full.Block(h); err != nil || !bytes.Equal(rec.Block.Encode(), b.Encode()) {
				t.Fatalf("seed %d: block %d is not the honest one: %v", seed, h, err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
			t.Errorf("seed %d: the heap has grown by %d bytes", seed, grown)
		}
		if st := w.status(); st.Counts.SignedTwice != 0 || st.Counts.RevertedUnsafe != 0 || taken > blocks*copies/4 {
			t.Errorf("seed %d: got %+v, and %d copies taken, want no revert, no alarm, and few copies that are the block itself", seed, st.Counts, taken)
		}
	})
}

// I3: the safe chain is the same whether unsafe blocks came before it, others than it has, or none.
func TestSafeChainIsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBeside(t)
		produce(t, w.World, w.seq, 60)
		off, hostile := w.Open(syncertest.NewHome(), nil), w.Open(syncertest.NewHome(), nil)
		defer off.Close()
		defer hostile.Close()
		hostile.DA.Offers.SetGate(t.Context(), true)
		random := rand.New(rand.NewPCG(7, 7))
		for at := uint64(1); at <= 10; at++ {
			from := 6*at - 5
			for h := from; h < from+6; h++ {
				b := w.block(h)
				if _, err := w.offer(b, true); err != nil {
					t.Fatal(err)
				}
				rec, err := hostile.Block(h - 1)
				if err != nil && h > 1 || random.IntN(3) == 0 {
					_, _ = hostile.DA.Offers.OfferStored(t.Context(), b.Header.Encode(), b.Data.Encode())
					continue
				}
				p := syncer.Parent{Time: b.Header.Header.Time + uint64(random.IntN(3)) - 1}
				if h > 1 {
					p = syncer.Parent{Ref: rec.Block.Ref(), DataHash: rec.Block.Data.Hash(), Time: p.Time, Root: rec.Root}
				}
				other := sign(t, w.World, p, fmt.Sprintf("other=%d", random.Int()))
				_, _ = hostile.DA.Offers.OfferStored(t.Context(), other.Header.Encode(), other.Data.Encode())
			}
			it := posted(t, w.World, w.seq, at, from, from+6)
			for _, m := range []*syncertest.Machine{w.full, off, hostile} {
				if err := m.Apply(t.Context(), it); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.seq.Apply(t.Context(), posted(t, w.World, w.seq, 1, 1, 61)); err != nil {
			t.Fatal(err)
		}
		syncertest.Agree(t, 60, w.seq, w.full, off, hostile)
		if c := w.status().Counts; c.Promoted != 60 || c.Executed != 0 {
			t.Errorf("got %+v, want all promoted", c)
		}
		if c := hostile.Status().Load().Counts; c.RevertedUnsafe == 0 || c.SignedTwice == 0 {
			t.Errorf("got %+v of the node that was offered others, want reverts and alarms", c)
		}
	})
}

// Twenty thousand unsafe blocks give way to what the DA layer has, in one go and within memory.
func TestDeepUnsafeRevert(t *testing.T) {
	if testing.Short() {
		t.Skip("twenty thousand blocks")
	}
	synctest.Test(t, func(t *testing.T) {
		const n = syncertest.MaxUnsafe
		w := newBeside(t)
		produce(t, w.World, w.seq, n)
		for h := uint64(1); h <= n; h++ {
			b := w.block(h)
			if _, err := w.full.DA.Offers.OfferStored(t.Context(), b.Header.Encode(), b.Data.Encode()); err != nil {
				t.Fatalf("block %d: %v", h, err)
			}
		}
		if st := w.status(); st.Unsafe.Height != n {
			t.Fatalf("got the head at %d, want %d", st.Unsafe.Height, n)
		}
		third := w.Open(syncertest.NewHome(), nil)
		defer third.Close()
		if _, err := third.Produce(t.Context(), func(_ context.Context, p syncer.Parent) (*block.Block, error) {
			return sign(t, w.World, p, "other=1"), nil
		}); err != nil {
			t.Fatal(err)
		}
		w.post(third, 1, 2)
		got, want := w.status(), third.Status().Load()
		if got.Safe != want.Unsafe || got.Unsafe != want.Unsafe || !bytes.Equal(got.Root, want.Root) || got.Counts.RevertedUnsafe != n {
			t.Fatalf("got %v with root %x and %+v, want %v with %x", got.Unsafe, got.Root, got.Counts, want.Unsafe, want.Root)
		}
	})
}

// Blocks that come in the wrong order cost no more than in the right one: each is looked at when its parent comes.
func TestManyOffersBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3000
		w := newBeside(t)
		produce(t, w.World, w.seq, n)
		for h := uint64(n); h > 0; h-- {
			if buffered, err := w.offer(w.block(h), true); err != nil || buffered != (h > 1) {
				t.Fatalf("block %d: got %v, %v", h, buffered, err)
			}
		}
		if st := w.status(); st.Unsafe.Height != n || st.Buffered != 0 {
			t.Fatalf("got the head at %d, %d waiting, want %d", st.Unsafe.Height, st.Buffered, n)
		}
	})
}

// The sequencer of a chain on an L1 signs a second block by design where it has dropped one for a forced transaction:
// that is no alarm, also of a node that was started again after that was forced. Another second block is.
func TestDroppedForAForcedItem(t *testing.T) {
	for _, restarts := range []int{0, 1, 2} {
		t.Run(fmt.Sprintf("%d restarts", restarts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { droppedForAForcedItem(t, restarts) })
		})
	}
}

func droppedForAForcedItem(t *testing.T, restarts int) {
	w := newInboxWorld(t, local.Options{ForcedDelay: 100})
	first := w.branch("a").next()
	w.propose(0, first)
	w.want(1, 1)
	w.force("earlier=1")
	w.force("forced=1", "forced=2")
	w.force("forced=3")
	synctest.Wait()
	for i := range restarts {
		w.stop()
		w.node.Close()
		w.open(w.node.Home)
		w.force(fmt.Sprintf("later=%d", i))
		synctest.Wait()
	}
	w.node.L1.Offers.SetGate(t.Context(), true)
	a, b := w.branch("a").at(1), w.branch("b").at(1)
	b.parent.Time += 10
	old, oldChild, second, child := a.next(), a.next(), b.next("forced=1"), b.next()
	for _, blk := range []*block.Block{old, oldChild, second, child, old} {
		if _, err := w.offer(blk); err != nil && !errors.Is(err, syncer.ErrOther) {
			t.Fatal(err)
		}
	}
	if st := w.node.Status().Load(); st.Unsafe != child.Ref() || st.Counts.SignedTwice != 0 || len(st.Twice) != 0 {
		t.Fatalf("got head %v, %+v, want %v and no alarm", st.Unsafe, st.Twice, child.Ref())
	}
	c := w.branch("c").at(1)
	c.parent.Time += 20
	third := c.next("bought=1")
	if _, err := w.offer(third); err != nil {
		t.Fatal(err)
	}
	if st := w.node.Status().Load(); st.Unsafe != third.Ref() || st.Counts.SignedTwice != 1 {
		t.Fatalf("got head %v, %+v, want %v and an alarm", st.Unsafe, st.Counts, third.Ref())
	}
}
