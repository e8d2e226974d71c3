package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"headrace/block"
	"headrace/da"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1/local"
)

// moody is an engine that finds a block with a transaction "moody=…" invalid when it sees it first, and never again.
type moody struct {
	exec.Engine
	seen map[block.Hash]bool
}

func (m *moody) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	isMoody := len(b.Data.Txs) > 0 && strings.HasPrefix(string(b.Data.Txs[0]), "moody=")
	if isMoody && !m.seen[b.Hash()] {
		m.seen[b.Hash()] = true
		return nil, exec.ErrInvalid
	}
	return m.Engine.Execute(ctx, b)
}

// I3: a verdict that the engine does not repeat is none: the proposal that it was on is canonical, as it is for the
// nodes whose engine never gave it.
func TestVerdictGivenOnceIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		w.engine.Engine = &moody{Engine: w.engine.Engine, seen: map[block.Hash]bool{}}
		b := w.branch("a")
		w.propose(0, b.next(), b.next("moody=1"), b.next())
		if st := w.want(1, 3); st.Proposal.Void != "" || st.Counts.Void != 0 || string(st.Root) != string(b.parent.Root) {
			t.Fatalf("got void %q, %d void, root %x; want it canonical, with root %x", st.Proposal.Void, st.Counts.Void, st.Root, b.parent.Root)
		}
	})
}

// turns is a prover that answers when it is let: each call waits for the channel that was there when it began.
type turns struct {
	mu  sync.Mutex
	let chan struct{}
}

// next makes the calls from now on wait for a new channel, and returns the one of those before.
func (p *turns) next() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.let
	p.let = make(chan struct{})
	return was
}

func (p *turns) Prove(ctx context.Context, _ uint64, _ [32]byte, _ []da.Claim) error {
	p.mu.Lock()
	let := p.let
	p.mu.Unlock()
	select {
	case <-let:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// I7: a proof of heights that were set back while it was made says nothing of what was read there since: those wait
// for their own.
func TestProofOfHeightsSetBackMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		m := w.Open(syncertest.NewHome(), nil)
		t.Cleanup(m.Close)
		prover := &turns{let: make(chan struct{})}
		syncertest.Run(t, m.DA.Prover(prover, func() {}))
		claims := []da.Claim{{Namespace: syncertest.DataNS}}
		apply := func(b da.Block) {
			t.Helper()
			if err := m.Apply(t.Context(), item(b)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		// A header whose data do not come has the heights read again after a while. The proof of height 2 is on its
		// way all that time.
		lone := sign(t, w, syncer.Parent{}, "a=1")
		apply(da.Block{Height: 1, Blobs: []da.Blob{{Namespace: syncertest.HeaderNS, Data: lone.Header.Encode()}}})
		for h := uint64(2); m.Last().Height == h-1; h++ {
			apply(da.Block{Height: h, Unproven: claims})
		}
		if st := m.Status().Load(); st.Position.Height != 0 || st.Proven.Height != 0 {
			t.Fatalf("position %d, proven %d; want both set back to 0", st.Position.Height, st.Proven.Height)
		}
		old := prover.next()
		for h := uint64(1); h <= 3; h++ { // now height 1 is told empty, without a proof
			apply(da.Block{Height: h, Unproven: claims})
		}
		close(old)
		synctest.Wait()
		if st := m.Status().Load(); st.Proven.Height != 0 {
			t.Fatalf("proven up to %d by a proof of what was read before, want 0", st.Proven.Height)
		}
		close(prover.next())
		synctest.Wait()
		if st := m.Status().Load(); st.Proven.Height != 3 || st.Proven != st.Position {
			t.Fatalf("position %d, proven %d; want both 3", st.Position.Height, st.Proven.Height)
		}
	})
}

// otherVersion is an engine that gives block 2 another state root than the one that executed it first.
type otherVersion struct{ exec.Engine }

func (o otherVersion) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	root, err := o.Engine.Execute(ctx, b)
	if b.Height() == 2 && err == nil {
		root = append([]byte("other "), root...)
	}
	return root, err
}

// I4: an engine that starts anew is brought up by replay, and one that comes to another state is not believed,
// however often it is asked.
func TestReplayGivesTheStoredRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		m := w.Open(syncertest.NewHome(), nil)
		produce(t, w, m, 4)
		want, home := m.Status().Load(), m.Home
		m.Close()

		home.Engine = syncertest.NewHome().Engine
		m = w.Open(home, func(e exec.Engine) exec.Engine { return otherVersion{e} })
		t.Cleanup(m.Close)
		for range 2 {
			if err := m.BringUp(t.Context()); err == nil || !strings.Contains(err.Error(), "replay block 2") {
				t.Fatalf("got %v, want an error about block 2", err)
			}
		}
		if st := m.Status().Load(); st.Stage.Name != follow.StageReplay || st.Stage.Height != 2 || st.Unsafe != want.Unsafe {
			t.Fatalf("got head %v and stage %+v, want the head as it was and a stop at the replay of block 2", st.Unsafe, st.Stage)
		}
		m.Close()

		home.Engine = syncertest.NewHome().Engine
		m = w.Open(home, nil)
		t.Cleanup(m.Close)
		if err := m.BringUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h, err := m.KV.Head(t.Context()); err != nil || h.Height != 4 || h.Hash != want.Unsafe.Hash {
			t.Fatalf("the engine is at %v, %v, want %v", h, err, want.Unsafe)
		}
	})
}

// I6: offered blocks that wait for their parent do so within 32 MiB. The oldest go first: the newest connects when
// its parent comes.
func TestOffersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, bound, offers = 1 << 20, 32 << 20, 36
		w := newInboxWorld(t, local.Options{})
		ctx := t.Context()
		w.node.L1.Offers.SetGate(ctx, true)
		parent := w.branch("a")
		first := parent.next()
		for i := range offers {
			on := parent.parent
			on.Time += uint64(i) // of those on one parent the latest is preferred
			b := signTxs(t, w.World, on, []string{fmt.Sprintf("k=%d%s", i, strings.Repeat("x", size))})
			if buffered, err := w.offer(b); !buffered || err != nil {
				t.Fatalf("offer %d: got %v, %v, want it to wait for its parent", i, buffered, err)
			}
		}
		if n := w.node.Status().Load().Buffered; n > bound/size || n < bound/size-2 {
			t.Fatalf("got %d blocks of %d bytes waiting, want as many as there is room for in %d", n, size, bound)
		}
		if _, err := w.offer(first); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		rec, err := w.node.Block(2)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("k=%d", offers-1); !strings.HasPrefix(string(rec.Block.Data.Txs[0]), want+"x") {
			t.Fatalf("got %.6q as head, want the block that was offered last, %s", rec.Block.Data.Txs[0], want)
		}
	})
}

// An offered block shows by itself whether it is the proposer's and whole, and against its parent whether it can be
// one here. One thing is spoiled per row, and the rest signed anew where its proposer could: nothing changes.
func TestSpoiledOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		ctx := t.Context()
		w.node.L1.Offers.SetGate(ctx, true)
		b := w.branch("a")
		w.propose(0, b.next())
		w.want(1, 1)
		stranger, err := block.GenerateKey(block.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		other := make([]byte, 32)
		before := w.node.Status().Load()
		for _, c := range []struct {
			name  string
			want  error
			spoil func(h *block.Header, d *block.Data) *block.PrivateKey // the signer
		}{
			{"chain", syncer.ErrForged, func(h *block.Header, d *block.Data) *block.PrivateKey {
				h.ChainID, d.Metadata.ChainID = "other", "other"
				return w.Key
			}},
			{"proposer", syncer.ErrForged, func(h *block.Header, _ *block.Data) *block.PrivateKey {
				h.ProposerAddress = stranger.Public().Address()
				return stranger
			}},
			{"header names other data", syncer.ErrForged, func(h *block.Header, _ *block.Data) *block.PrivateKey { h.DataHash = other; return w.Key }},
			{"other data", syncer.ErrForged, func(_ *block.Header, d *block.Data) *block.PrivateKey {
				d.Txs = append(d.Txs, []byte("b=2"))
				return w.Key
			}},
			{"data's chain", syncer.ErrForged, func(_ *block.Header, d *block.Data) *block.PrivateKey { d.Metadata.ChainID = "other"; return w.Key }},
			{"data's height", syncer.ErrForged, func(_ *block.Header, d *block.Data) *block.PrivateKey { d.Metadata.Height++; return w.Key }},
			{"data's time", syncer.ErrForged, func(_ *block.Header, d *block.Data) *block.PrivateKey { d.Metadata.Time++; return w.Key }},
			{"state root", syncer.ErrUnfit, func(h *block.Header, _ *block.Data) *block.PrivateKey { h.AppHash = other; return w.Key }},
			{"data's parent", syncer.ErrUnfit, func(_ *block.Header, d *block.Data) *block.PrivateKey { d.Metadata.LastDataHash = other; return w.Key }},
			{"time goes back", syncer.ErrUnfit, func(h *block.Header, d *block.Data) *block.PrivateKey {
				h.Time, d.Metadata.Time = h.Time-2, d.Metadata.Time-2
				return w.Key
			}},
		} {
			good := signTxs(t, w.World, b.parent, []string{"a=1"})
			h, d := good.Header.Header, good.Data
			signed, err := block.SignHeader(c.spoil(&h, &d), h)
			if err != nil {
				t.Fatal(err)
			}
			if buffered, err := w.offer(&block.Block{Header: signed, Data: d}); buffered || !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, %v, want it refused: %v", c.name, buffered, err, c.want)
			}
			if st := w.node.Status().Load(); st.Unsafe != before.Unsafe || string(st.Root) != string(before.Root) || st.Buffered != 0 {
				t.Fatalf("%s: got %+v, want the head as it was", c.name, st)
			}
		}
		good := b.next()
		if buffered, err := w.offer(good); buffered || err != nil {
			t.Fatalf("a good block: got %v, %v, want it connected", buffered, err)
		}
	})
}
