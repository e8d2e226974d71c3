package syncer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1/local"
)

// applied gives m an item whose signatures work checks.
func applied(t *testing.T, m *syncertest.Machine, it follow.Item[da.Block], work func(da.Block) *derive.Verified) error {
	t.Helper()
	source := follow.Ahead(syncertest.Items{it}, work)
	return source.Fetch(t.Context(), it.Height, it.Height+1, func(it follow.Item[*syncer.Checked]) error { return m.DA.Apply(t.Context(), it) })
}

// TestVerifiedOutsideOfTheSection: who makes blocks does not wait for signatures that somebody has posted, neither when
// they are checked late nor when they are checked once more, because the chain was reverted meanwhile.
func TestVerifiedOutsideOfTheSection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		seq := w.Open(syncertest.NewHome(), nil)
		defer seq.Close()
		produce(t, w, seq, 1)
		it := posted(t, w, seq, 1, 1, 2)
		cfg := w.Derive()
		for name, known := range map[string]derive.Known{"late": {}, "for a chain that is further": {Height: 7, EnvelopesOnly: true}} {
			m := w.Open(syncertest.NewHome(), nil)
			defer m.Close()
			begun, let := make(chan bool, 1), make(chan struct{})
			for range max(runtime.GOMAXPROCS(0)-1, 1) { // nothing is verified until it is let go
				go m.Verify(func() { <-let })
			}
			synctest.Wait()
			done := make(chan error, 1)
			go func() {
				done <- applied(t, m, it, func(b da.Block) *derive.Verified {
					begun <- m.Free()
					if known.Height == 0 {
						<-let
					}
					return derive.Verify(&cfg, known, &b)
				})
			}()
			synctest.Wait()
			if !<-begun || !m.Free() || len(done) > 0 {
				t.Fatalf("%s: signatures are checked in the section, or not at all: %d", name, len(done))
			}
			close(let)
			if err := <-done; err != nil || m.Status().Load().Safe.Height != 1 {
				t.Errorf("%s: got safe head %v, %v, want block 1", name, m.Status().Load().Safe, err)
			}
		}
	})
}

// TestProposalsAreVerifiedOutsideOfTheSection is the same for a proposal on an L1.
func TestProposalsAreVerifiedOutsideOfTheSection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		let := make(chan struct{})
		for range max(runtime.GOMAXPROCS(0)-1, 1) {
			go w.node.Verify(func() { <-let })
		}
		synctest.Wait()
		w.propose(0, w.branch("a").next())
		synctest.Wait()
		if st := w.node.Status().Load(); st.Safe.Height != 0 || !w.node.Free() {
			t.Fatalf("got safe head %v: the proposal is verified in the section, or not at all", st.Safe)
		}
		close(let)
		w.want(1, 1)
	})
}

// TestACoreIsLeft: however much is posted or offered at a time, one core is left to who makes blocks.
func TestACoreIsLeft(t *testing.T) {
	for _, cores := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(cores), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			synctest.Test(t, func(t *testing.T) {
				w := newInboxWorld(t, local.Options{})
				w.node.L1.Offers.SetGate(t.Context(), true)
				m := w.Open(syncertest.NewHome(), nil)
				defer m.Close()
				let, all := make(chan struct{}), make(chan int, 100)
				for range 50 {
					for _, s := range []*syncer.Syncer{w.node.Syncer, m.Syncer} {
						go s.Verify(func() { all <- 1; <-let })
					}
				}
				synctest.Wait()
				if got := len(all); got != 2*max(cores-1, 1) {
					t.Errorf("got %d at a time, want %d on each of two nodes", got, max(cores-1, 1))
				}
				offered, posted := make(chan error, 1), make(chan error, 1)
				go func() { _, err := w.node.L1.Offers.Offer(t.Context(), []byte{1}, nil); offered <- err }()
				go func() { posted <- m.Apply(t.Context(), item(da.Block{Height: 1})) }()
				synctest.Wait()
				if len(offered)+len(posted) > 0 {
					t.Errorf("got %d offers and %d items verified beside as many as there may be", len(offered), len(posted))
				}
				close(let)
				if err := <-offered; !errors.Is(err, syncer.ErrGarbled) {
					t.Errorf("offer: got %v, want ErrGarbled", err)
				}
				if err := <-posted; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestGateComesFirst: what is offered when none is taken, or that the canonical chain is past, costs no signature.
func TestGateComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		first, second := b.next(), b.next()
		w.propose(0, first)
		w.want(1, 1)
		forged := func(b *block.Block) error {
			h := b.Header
			h.Signature = bytes.Repeat([]byte{1}, 64)
			_, err := w.offerSigned(&h, nil)
			return err
		}
		w.node.L1.Offers.SetGate(t.Context(), false)
		if _, err := w.node.L1.Offers.Offer(t.Context(), []byte{1}, nil); !errors.Is(err, syncer.ErrGate) {
			t.Errorf("garbage at the closed gate: got %v, want ErrGate", err)
		}
		w.node.L1.Offers.SetGate(t.Context(), true)
		if err := forged(first); !errors.Is(err, syncer.ErrStale) {
			t.Errorf("below the safe head: got %v, want ErrStale", err)
		}
		if err := forged(second); !errors.Is(err, syncer.ErrForged) {
			t.Errorf("above the safe head: got %v, want ErrForged", err)
		}
	})
}

// forgeries is a DA height with n headers that say they are the proposer's, one share each, and no two alike.
func forgeries(t testing.TB, w *syncertest.World, n int) follow.Item[da.Block] {
	t.Helper()
	commitment := block.EmptyCommitment
	h, err := block.SignHeader(w.Key, block.Header{ChainID: w.Genesis.ChainID, Height: 1 << 40, DataHash: commitment[:], LastHeaderHash: make([]byte, 32), AppHash: make([]byte, 32), ProposerAddress: w.Genesis.ProposerAddress})
	if err != nil {
		t.Fatal(err)
	}
	blobs := make([]da.Blob, n)
	for i := range blobs {
		h.Header.Time = uint64(1 + i)
		blobs[i] = da.Blob{Namespace: syncertest.HeaderNS, Data: h.Encode(), Index: i}
	}
	return item(da.Block{Height: 1, Blobs: blobs})
}

// BenchmarkForgeries applies a DA height of 65,000 forged headers, and measures how long, meanwhile, whoever wants to
// make a block has to wait for the section, at a block time of 50 ms.
func BenchmarkForgeries(b *testing.B) {
	w := syncertest.NewWorld(b, -1)
	it := forgeries(b, w, 65_000)
	for b.Loop() {
		m := w.Open(syncertest.NewHome(), nil)
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- m.Apply(context.Background(), it) }()
		clock := time.NewTicker(50 * time.Millisecond)
		var longest time.Duration
		blocks := 0
		for last, busy := time.Now(), true; busy; {
			select {
			case err := <-done:
				if busy = false; err != nil {
					b.Fatal(err)
				}
			case <-clock.C:
				if _, err := m.Produce(context.Background(), func(context.Context, syncer.Parent) (*block.Block, error) { return nil, nil }); err != nil {
					b.Fatal(err)
				}
				longest, last, blocks = max(longest, time.Since(last)), time.Now(), blocks+1
			}
		}
		clock.Stop()
		b.ReportMetric(float64(longest.Milliseconds()), "ms-longest-gap")
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-in-all")
		b.ReportMetric(float64(blocks), "blocks")
		if got := m.Status().Load().Skipped[derive.Forged]; got != 65_000 {
			b.Fatalf("got %d forged, want 65,000", got)
		}
		m.Close()
	}
}
