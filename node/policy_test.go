package node_test

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/follow"
	"headrace/l1"
	locall1 "headrace/l1/local"
	"headrace/node"
)

// A proposal in blobs is full with so many of them as are set, and as one transaction takes: by default as many where
// l1.max_blobs is 0 as where it is not set.
func TestFullOfBlobs(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("01", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	def := node.Default().L1.MaxBlobs
	for _, c := range []struct{ target, most, want uint64 }{
		{0, def, 1}, {1, def, 1}, {3, def, 3}, {9, def, def}, {9, 9, 9}, {3, 2, 2}, {1, 1, 1},
		{0, 0, 1}, {3, 0, 3}, {9, 0, def}, {math.MaxUint64, 0, def},
	} {
		for _, content := range []string{"blobs", "auto"} {
			l := node.Default().L1
			l.KeyFile, l.Content, l.Beacon, l.HTTP = key, content, node.At("http://127.0.0.1:1"), node.At("http://127.0.0.1:1")
			l.TargetBlobs, l.MaxBlobs = c.target, c.most
			full, err := node.FullProposal(l)
			want := int(c.want) * l1.BlobCapacity
			if content == "auto" && c.target <= 1 { // one blob is no reason to wait: it may be call data
				want = int(l.TargetData)
			}
			if err != nil || full != want {
				t.Errorf("%s, %d blobs of %d: got %d bytes (%.1f blobs), %v, want %d", content, c.target, c.most, full, float64(full)/l1.BlobCapacity, err, want)
			}
		}
	}
}

// deafening proposes so many times, and gets no answer after that.
type deafening struct {
	l1.Proposer
	left atomic.Int64
}

func (p *deafening) Propose(ctx context.Context, d l1.Draft) (l1.Inclusion, error) {
	if p.left.Add(-1) < 0 {
		<-ctx.Done()
		return l1.Inclusion{}, l1.ErrUnknownOutcome
	}
	return p.Proposer.Propose(ctx, d)
}

// Blocks that wait to be proposed together are no reason not to be ready, at the sequencer or elsewhere; and what is late
// beyond that is, soon.
func TestLateBeyondThePolicy(t *testing.T) {
	const slot, delay, bound = 12 * time.Second, 10 * time.Minute, 42 * time.Second
	synctest.Test(t, func(t *testing.T) {
		h := &healthy{T: t, rng: rand.New(rand.NewPCG(7, 7)), chain: newChain(t, "late")}
		ctx, cancel := context.WithCancel(t.Context())
		defer h.work.Wait()
		defer cancel()
		h.chain.genesis.DA, h.chain.genesis.DAStartHeight = nil, 0
		h.chain.genesis.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x00000000000000000000000000000000000000aa", StartBlock: 1}
		chain := locall1.New(locall1.Options{Finality: 64})
		run := func(o node.Options) *node.Node {
			o.Config.L1.BlockTime = slot.String()
			n, run, err := node.Unserved(node.OnDisks(o, vfs.NewMem(), vfs.NewMem()))
			if err != nil {
				t.Fatal(err)
			}
			h.work.Go(func() { _ = run(ctx) })
			return n
		}
		const proposals = 5
		p := &deafening{Proposer: chain.Proposer(l1.Address{1})}
		p.left.Store(proposals)
		h.work.Go(func() { mines(ctx, chain, slot, false, 0) })
		sequencer := h.sequencer(6*time.Second, false)
		sequencer.Config.L1.MaxDelay = delay // the full node sees for itself
		n := run(sequencer.OnL1(newL1Near(chain, trouble{}), p))
		f := run(h.full().OnL1(newL1Near(chain, trouble{}), nil))
		s, err := f.Status().Wait(ctx, func(s node.Status) bool { return s.Proposal != nil && s.Proposal.ID == proposals })
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		at := time.Now()
		for name, of := range map[string]struct {
			node  *node.Node
			least time.Duration // until it may say so
			stage []follow.Stage
		}{
			"the sequencer": {n, delay, []follow.Stage{follow.StageSubmit, follow.StagePost}},
			"a full node":   {f, delay, []follow.Stage{follow.StageChain}},
		} {
			h.work.Go(func() {
				if now := of.node.Status().Load(); !now.Ready {
					t.Errorf("%s is not ready after proposal %d: %s", name, proposals, now.Reason)
				}
				s, err := of.node.Status().Wait(ctx, func(s node.Status) bool { return !s.Ready && s.Source.Lag == 0 }) // else an L1 block is coming in
				if ctx.Err() != nil {
					return
				}
				took := time.Since(at)
				known := false
				for _, stage := range of.stage {
					known = known || s.Stage == stage
				}
				if most := 4*delay + bound; err != nil || !known || took < of.least || took > most {
					t.Errorf("%s is not ready after %s, at %s: %s; want from %s to %s, at one of %v (%v)", name, took, s.Stage, s.Reason, of.least, most, of.stage, err)
				}
			})
		}
		time.Sleep(delay - slot - time.Second)
		if due := n.Status().Load().Sequencer.DueAt; !due.After(time.Now()) || due.After(s.Chain.SafeAt.Add(delay+slot)) {
			t.Errorf("at %s the next proposal is due at %s, want soon", time.Now(), due)
		}
		time.Sleep(4*delay + bound)
		for name, n := range map[string]*node.Node{"the sequencer": n, "a full node": f} {
			if n.Status().Load().Ready {
				t.Errorf("%s is ready with a proposal that is %s late", name, 4*delay)
			}
		}
		if s := n.Status().Load(); s.Sequencer.Flight == nil && s.Sequencer.Failure == "" || s.Sequencer.Pending < 100 {
			t.Errorf("got %+v", s.Sequencer)
		}
	})
}
