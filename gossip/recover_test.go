package gossip

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"headrace/block"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/node"
)

// A sequencer whose home is empty takes back from its peers alone what its key has signed and nobody has posted, before
// it signs: they see no second block at any height.
func TestTakesBackByGossip(t *testing.T) {
	faults := new(fault.Set)
	d, err := devnet.NewDA(devnet.DAOptions{
		Listen: "127.0.0.1:0", Chain: local.Options{Interval: 50 * time.Millisecond}, Handler: celestia.HandlerOptions{Faults: faults},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newRigOn(t, d)
	sequencer := func(o *node.Options) {
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime, o.Config.Sequencer.MaxPending = r.key, true, 20*time.Millisecond, 100_000
		o.Config.Sequencer.Recover = time.Hour // it is not the time that ends it
		o.Bounds.Flight = 100 * time.Millisecond
	}
	first := r.start(t.TempDir(), func(o *node.Options) { sequencer(o); o.Config.Sequencer.Recover = time.Second })
	full := r.start(t.TempDir(), func(*node.Options) {}, first)
	r.until(full, "safe blocks", func(s node.Status) bool { return s.Heads.Safe.Height >= 5 })
	if _, err := faults.Add(fault.Fault{Kind: fault.SubmitReject}); err != nil { // what is signed from now on is posted nowhere
		t.Fatal(err)
	}
	r.until(full, "forty blocks ahead", func(s node.Status) bool { return s.Heads.Unsafe.Height >= s.Heads.Safe.Height+40 })
	first.stop()
	top := first.Status().Load().Heads.Unsafe.Height
	had := full.Status().Load().Heads.Unsafe.Height
	if had > top { // on a busy machine what was signed last may have come to nobody
		t.Errorf("the full node is at block %d, the sequencer ended at %d", had, top)
	}

	again := r.start(t.TempDir(), sequencer, full)
	s := r.until(again, "making blocks", func(s node.Status) bool { return s.Counts.Produced >= 5 })
	if at := s.Heads.Unsafe.Height - s.Counts.Produced; at < had {
		t.Errorf("block %d was signed anew, the full node had those up to %d", at+1, had)
	}
	s = r.until(full, "following", func(s node.Status) bool { return s.Heads.Unsafe.Height >= had+10 })
	if s.Counts.SignedTwice != 0 || s.Counts.RevertedUnsafe != 0 {
		t.Errorf("got %+v of who has followed all the time, want no second block", s.Counts)
	}
}

// TestRecover: who asks what there is knows it when all peers of the settings have said so, and not before; a stranger who
// says nothing, or tells a head of which he has no block, keeps nobody.
func TestRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		blocks := p.chain(t, block.Ref{}, 30, 100)
		n := newNet(t, 4, time.Millisecond)
		m := newMemory(p, blocks[:10]...)
		m.safe(10)
		settings := []peer.AddrInfo{{ID: n.hosts[1].ID(), Addrs: n.hosts[1].Addrs()}, {ID: n.hosts[2].ID(), Addrs: n.hosts[2].Addrs()}}
		g := open(t, n.hosts[0], m, settings...)
		var got []uint64
		ask := func() error {
			got = nil
			return g.Recover(t.Context(), 11, func(b node.SignedBlock) error {
				h, err := block.DecodeSignedHeader(b.Header)
				if err == nil {
					got = append(got, h.Header.Height)
				}
				return err
			})
		}
		if err := ask(); !errors.Is(err, errUntold) {
			t.Errorf("got %v with no peer there, want that it is not known", err)
		}
		n.hosts[3].SetStreamHandler(protocol.ID("/headrace/1/"+genesis.String()+"/range"), func(s network.Stream) { _ = s.Close() })
		says(n.hosts[3], block.Ref{Height: 40})
		link(t, n.hosts[0], n.hosts[3])
		short := newMemory(p, blocks[:10]...)
		short.safe(10)
		open(t, n.hosts[1], short)
		time.Sleep(time.Minute)
		if err := ask(); !errors.Is(err, errUntold) {
			t.Errorf("got %v with one of two peers there, want that it is not known", err)
		}
		m.cut(10)
		m.shut(true) // what is found is for who asks: nothing comes by the way
		full := newMemory(p, blocks...)
		full.safe(10)
		open(t, n.hosts[2], full)
		time.Sleep(time.Minute)
		m.shut(false)
		if err := ask(); err != nil || len(got) != 20 || got[0] != 11 || got[19] != 30 {
			t.Errorf("got the blocks %v, %v; want 11 to 30", got, err)
		}
		stop := errors.New("stop")
		if err := g.Recover(t.Context(), 11, func(node.SignedBlock) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("got %v, want the error of who takes", err)
		}
	})
}

// A node without peers in its settings knows what there is when one that has come has said so.
func TestRecoverFromWhoComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		n := newNet(t, 2, time.Millisecond)
		g := open(t, n.hosts[0], newMemory(p))
		blocks := 0
		ask := func() error {
			blocks = 0
			return g.Recover(t.Context(), 1, func(node.SignedBlock) error { blocks++; return nil })
		}
		if err := ask(); !errors.Is(err, errNobody) {
			t.Errorf("got %v with nobody there", err)
		}
		open(t, n.hosts[1], newMemory(p, p.chain(t, block.Ref{}, 5, 100)...))
		link(t, n.hosts[1], n.hosts[0])
		time.Sleep(time.Minute)
		if err := ask(); err != nil || blocks != 5 {
			t.Errorf("got %d blocks, %v; want 5", blocks, err)
		}
	})
}
