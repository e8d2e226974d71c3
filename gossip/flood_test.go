package gossip

import (
	"bufio"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"google.golang.org/protobuf/proto"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/node"
)

var (
	floodBlocks = flag.Int("gossip.flood", 5, "blocks before each of which TestFlood sends garbled copies; 100 and -gossip.copies 1000 for what must hold")
	floodCopies = flag.Int("gossip.copies", 100, "garbled copies of each block in TestFlood")
)

// copiesEach is how many copies one hostile peer sends, if it is not left before.
const copiesEach = 50

// TestFlood: garbled copies of each block come to a whole node from hostile peers, over the wire, before the honest one:
// a flipped byte in the header, its signature, that of the envelope, or the data, and a length that is too long. Nothing
// takes the honest block's place, memory stays flat, and the node has it. Who sends such is left after a few, and comes
// again by another name.
func TestFlood(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 4))
	r := newRig(t, time.Hour)
	seq := r.start(t.TempDir(), func(o *node.Options) {
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime, o.Config.Sequencer.MaxPending = r.key, true, 10*time.Millisecond, 10_000
	})
	r.until(seq, "making blocks", func(s node.Status) bool { return s.Heads.Unsafe.Height > 0 })
	for i := range 20 {
		if err := seq.SubmitTx(t.Context(), fmt.Appendf(nil, "key-%d=%0100d", i, i)); err != nil {
			t.Fatal(err)
		}
	}
	last := uint64(*floodBlocks)
	r.until(seq, "all blocks", func(s node.Status) bool { return s.Heads.Unsafe.Height >= last })
	var blocks []*block.Block
	if err := seq.Blocks(await.Unsafe).Fetch(t.Context(), 1, last+1, func(item follow.Item[node.Delivered]) error {
		blocks = append(blocks, item.Data.Signed)
		return nil
	}); err != nil {
		t.Fatal(err)
	}

	full := r.start(t.TempDir(), func(*node.Options) {})
	settings, err := ParsePeers(full.g.Peers().Addresses)
	if err != nil {
		t.Fatal(err)
	}
	honest := newMemory(&proposer{r.key})
	honest.authority = derive.NewAuthority(r.genesis.ChainID, r.genesis.ProposerAddress)
	good, err := Open(Options{Genesis: r.genesis.Hash(), Key: newKey(t), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Peers: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = good.Close() })
	run(t, good, honest)
	r.until(full, "linked", func(s node.Status) bool { return s.Peers != nil && len(s.Peers.Peers) > 0 })

	sent, names := 0, 0
	var before, after runtime.MemStats
	var longest time.Duration
	for i, b := range blocks {
		raw := mustEncode(t, b)
		for todo := *floodCopies; todo > 0; {
			n := flood(t, r.genesis.Hash(), settings[0], min(todo, copiesEach), func() []byte { return spoil(random, raw, b) })
			sent, todo, names = sent+n, todo-copiesEach, names+1
		}
		honest.append(b)
		at := time.Now()
		r.until(full, "at the honest block", func(s node.Status) bool { return s.Heads.Unsafe.Height >= b.Height() })
		longest = max(longest, time.Since(at))
		if i == 0 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	s := full.Status().Load()
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("seed %d: %d garbled copies sent by %d names, of which %d were left; %d were looked at; the honest one was there after %s at most; the heap has grown by %d KiB",
		seed, sent, names, s.Peers.Counts.Left, s.Peers.Counts.Forged+s.Peers.Counts.Ignored, longest, grown>>10)
	if grown > 32<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	for h := uint64(1); h <= last; h++ {
		if got, err := full.Block(h); err != nil || got.Hash != blocks[h-1].Hash().String() {
			t.Fatalf("seed %d: block %d is %s (%v), want %s", seed, h, got.Hash, err, blocks[h-1].Hash())
		}
	}
	if c := s.Counts; c.SignedTwice+c.RevertedUnsafe != 0 || s.Unsafe.Buffered != 0 || s.Heads.Safe.Height != 0 {
		t.Errorf("seed %d: got %+v, %+v, want nothing displaced, and nothing kept", seed, c, s.Unsafe)
	}
	if got := s.Peers.Counts.Left; got > uint64(names) {
		t.Errorf("seed %d: %d peers were left, and there were %d", seed, got, names)
	}
	if s.Peers.Counts.Left == 0 || sent < *floodBlocks**floodCopies/10 {
		t.Errorf("seed %d: got %d copies, and %d peers left: that was no flood", seed, sent, s.Peers.Counts.Left)
	}
	for _, p := range s.Peers.Peers {
		if p.ID == good.ID().String() && (p.Faults > 0 || !p.Connected) {
			t.Errorf("seed %d: got %+v of the honest peer", seed, p)
		}
	}
	if n := len(s.Peers.Peers); n > mostBanned+2 {
		t.Errorf("seed %d: the status has %d peers", seed, n)
	}
}

// run runs a Gossip of any chain until the test ends.
func run(t *testing.T, g *Gossip, c chain) {
	t.Helper()
	(&rig{t: t}).background(func(ctx context.Context) error { return g.run(ctx, c) })
}

// flood sends a node messages in the chain's topic, without any care for whether it wants them, from a peer that is made
// for that, and returns how many have gone out.
func flood(t *testing.T, genesis block.Hash, to peer.AddrInfo, n int, next func() []byte) (sent int) {
	t.Helper()
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New), libp2p.DefaultMuxers, libp2p.DisableRelay(), libp2p.DisableMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Connect(t.Context(), to); err != nil {
		t.Fatalf("a new name is not let in: %v", err)
	}
	s, err := h.NewStream(t.Context(), to.ID, pubsub.GossipSubID_v11)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	topic := "/headrace/1/" + genesis.String() + "/blocks"
	for range n {
		raw, err := proto.Marshal(&pb.RPC{Publish: []*pb.Message{{Data: next(), Topic: &topic}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)); err != nil {
			return sent // it is left
		}
		sent++
	}
	_ = s.CloseWrite()
	left(h, to.ID)
	return sent
}

// left waits until a peer has gone, or has had time enough to read all.
func left(h host.Host, id peer.ID) {
	gone := make(chan struct{})
	end := sync.OnceFunc(func() { close(gone) })
	h.Network().Notify(&network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) { end() }})
	if h.Network().Connectedness(id) != network.Connected {
		return
	}
	select {
	case <-gone:
	case <-time.After(time.Second): // those that are not forged but late, or a stranger's, are no fault
	}
}

// spoil returns a garbled copy of a block.
func spoil(random *rand.Rand, raw []byte, b *block.Block) []byte {
	garbled := slices.Clone(raw)
	header := len(b.Header.Encode())
	flip := func(from, to int) { garbled[from+random.IntN(to-from)] ^= byte(1 + random.IntN(255)) }
	switch random.IntN(5) {
	case 0: // somewhere in the header, or in the signatures behind it
		flip(0, header)
	case 1:
		flip(header-64, header)
	case 2: // its data, if it has some
		flip(min(header+2, len(raw)-1), len(raw))
	case 3:
		garbled = append(garbled, make([]byte, 1+random.IntN(100))...)
	default:
		garbled[1] |= 0x80 // a length that is too long
	}
	return garbled
}

// TestOtherSizeLimit: peers whose limits are others than this node's. One that sends more than a block may have, as a
// message or when it is asked, is told of, and costs neither a gap nor a double: what it has besides is had, of it or of
// others. One that takes less than this node sends is left without, and nobody else.
func TestOtherSizeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		blocks := p.chain(t, block.Ref{}, 20, 2000)
		n := newNet(t, 4, time.Millisecond)
		name := "/headrace/1/" + genesis.String()
		limit := func(h host.Host, most int) *pubsub.Topic {
			ps, err := pubsub.NewGossipSub(t.Context(), h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(), pubsub.WithMessageIdFn(messageID), pubsub.WithMaxMessageSize(most))
			if err != nil {
				t.Fatal(err)
			}
			topic, err := ps.Join(name + "/blocks")
			if err == nil {
				_, err = topic.Subscribe()
			}
			if err != nil {
				t.Fatal(err)
			}
			return topic
		}
		large, _ := limit(n.hosts[1], 64<<20), limit(n.hosts[2], 1<<10)
		n.hosts[1].SetStreamHandler(protocol.ID(name+"/range"), func(s network.Stream) {
			in := bufio.NewReader(s)
			from, _ := binary.ReadUvarint(in)
			to, _ := binary.ReadUvarint(in)
			defer s.Close()
			for h := from; h < min(to, 21); h++ {
				raw := mustEncode(t, blocks[h-1])
				if h == 10 {
					raw = make([]byte, MaxBlock+1)
				}
				if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)); err != nil {
					return
				}
			}
		})
		says(n.hosts[1], blocks[19].Ref())
		m, honest := newMemory(p), newMemory(p, blocks...)
		g := open(t, n.hosts[0], m)
		link(t, n.hosts[0], n.hosts[1])
		link(t, n.hosts[0], n.hosts[2])
		m.reach(t, 9)
		time.Sleep(3 * time.Second)
		if s := g.Peers(); s.Waiting.Height != 10 || !strings.Contains(s.Waiting.Cause, "bytes at most") || s.Counts.Left != 0 {
			t.Errorf("got %+v, want it to wait for block 10, which is too large, and to say so", s)
		}
		for _, size := range []int{MaxBlock + 1, MaxBlock + around + 1} { // the one is looked at, the other not read
			_ = large.Publish(t.Context(), make([]byte, size))
		}
		time.Sleep(time.Second)
		m.append(blocks[9]) // by the canonical source
		m.safe(10)
		m.reach(t, 20)
		if m.offered != 19 {
			t.Errorf("%d blocks were offered, want each once but that which was too large", m.offered)
		}

		open(t, n.hosts[3], honest)
		link(t, n.hosts[0], n.hosts[3])
		time.Sleep(5 * time.Second)
		tip := blocks[19].Ref()
		for range 5 {
			b := p.make(t, tip, 50_000, 0)
			honest.append(b)
			m.reach(t, b.Height())
			tip = b.Ref()
		}
		if m.offered != 24 || m.status.Load().Heads.Unsafe != tip {
			t.Errorf("%d blocks were offered, the head is %v; want 24, and %v", m.offered, m.status.Load().Heads.Unsafe, tip)
		}
	})
}
