package gossip

import (
	"bufio"
	"encoding/binary"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/logs/logstest"
)

// alone returns a Gossip that has no peers, to ask it what it makes of messages.
func alone(t *testing.T, c chain) *Gossip {
	t.Helper()
	n := newNet(t, 1, time.Millisecond)
	return open(t, n.hosts[0], c)
}

func (g *Gossip) judge(t *testing.T, from peer.ID, raw []byte) pubsub.ValidationResult {
	t.Helper()
	return g.validate(t.Context(), from, &pubsub.Message{Message: &pb.Message{Data: raw}})
}

func mustEncode(t *testing.T, b *block.Block) []byte {
	t.Helper()
	raw, err := encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestGarbledCopies: a thousand copies of each block come before it, each with another byte flipped. None is forwarded,
// none takes the honest block's place, none stays in memory.
func TestGarbledCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		g := alone(t, newMemory(p))
		stranger := peer.ID("stranger")
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for _, b := range p.chain(t, block.Ref{}, 20, 400) {
			raw := mustEncode(t, b)
			for i := range 1000 {
				garbled := slices.Clone(raw)
				garbled[i*len(raw)/1000] ^= byte(1 + i%255)
				if got := g.judge(t, stranger, garbled); got == pubsub.ValidationAccept {
					t.Fatalf("block %d with byte %d of %d flipped is forwarded", b.Height(), i*len(raw)/1000, len(raw))
				}
			}
			for _, longer := range [][]byte{append(slices.Clone(raw), 0), append([]byte{raw[0], raw[1] | 0x80, 0}, raw[2:]...)} {
				if got := g.judge(t, stranger, longer); got != pubsub.ValidationReject {
					t.Errorf("another encoding of block %d: %v, want it rejected", b.Height(), got)
				}
			}
			if got := g.judge(t, stranger, raw); got != pubsub.ValidationAccept {
				t.Fatalf("block %d itself: %v, want it accepted", b.Height(), got)
			}
			if got := g.judge(t, stranger, raw); got != pubsub.ValidationIgnore {
				t.Errorf("block %d once more: %v, want it ignored", b.Height(), got)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
	})
}

// TestUnknownEnvelope: what a header says of itself beside what is signed does not make two messages of one block.
func TestOtherEncoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		g := alone(t, newMemory(p))
		b := p.make(t, block.Ref{}, 10, 0)
		header := append(b.Header.Encode(), 0xf8, 0x07, 1) // field 127, which nobody knows
		raw := append(binary.AppendUvarint(nil, uint64(len(header))), header...)
		txs := b.Data.EncodeTxs()
		raw = append(append(raw, byte(len(txs))), txs...)
		if got := g.judge(t, "stranger", raw); got != pubsub.ValidationReject {
			t.Errorf("a header with a field of somebody else's: %v, want it rejected", got)
		}
	})
}

// TestVerdicts: what is a fault, and what is not.
func TestVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, other := newProposer(t), newProposer(t)
		m := newMemory(p, p.chain(t, block.Ref{}, 3, 10)...)
		m.safe(2)
		m.most = 5
		g := alone(t, m)
		at := func(h uint64) block.Ref { return block.Ref{Height: h} }
		for _, c := range []struct {
			name string
			raw  []byte
			want pubsub.ValidationResult
		}{
			{"a block of the height that is safe", mustEncode(t, p.make(t, at(1), 10, 0)), pubsub.ValidationIgnore},
			{"the highest that is let through", mustEncode(t, p.make(t, at(6), 10, 0)), pubsub.ValidationAccept},
			{"one higher", mustEncode(t, p.make(t, at(7), 10, 0)), pubsub.ValidationIgnore},
			{"another proposer's", mustEncode(t, other.make(t, at(3), 10, 0)), pubsub.ValidationIgnore},
			{"nothing", nil, pubsub.ValidationReject},
			{"more than a block", make([]byte, MaxBlock+1), pubsub.ValidationReject},
			{"a second block of a height", mustEncode(t, p.make(t, at(6), 10, 1)), pubsub.ValidationAccept},
			{"a third one", mustEncode(t, p.make(t, at(6), 10, 2)), pubsub.ValidationIgnore},
		} {
			if got := g.judge(t, "stranger", c.raw); got != c.want {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
		m.shut(true)
		if got := g.judge(t, "stranger", mustEncode(t, p.make(t, at(5), 10, 0))); got != pubsub.ValidationIgnore {
			t.Errorf("a block while the gate is closed: %v, want it ignored", got)
		}
		if f := g.Peers().Counts.Faults; f != 0 {
			t.Errorf("a stranger that is not there has %d faults", f)
		}
	})
}

// TestForgerIsLeft: a peer that goes on sending what is forged is left, and not let in again.
func TestForgerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		n := newNet(t, 3, time.Millisecond)
		m := newMemory(p)
		g := open(t, n.hosts[0], m)
		forger := openForger(t, n.hosts[1])
		honest := newMemory(p)
		open(t, n.hosts[2], honest)
		link(t, n.hosts[0], n.hosts[1])
		link(t, n.hosts[0], n.hosts[2])
		time.Sleep(2 * time.Second)
		blocks := p.chain(t, block.Ref{}, 20, 100)
		for i := range 100 {
			raw := mustEncode(t, blocks[0])
			raw[len(raw)-1-i] ^= 1
			_ = forger.Publish(t.Context(), raw)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		if got := g.Peers().Counts; got.Left != 1 || got.Forged < leaveAt/forged || got.Forged > 20 {
			t.Errorf("left %d peers after %d forged blocks, want one after about %d", got.Left, got.Forged, leaveAt/forged)
		}
		if c := n.hosts[0].Network().Connectedness(n.hosts[1].ID()); c == network.Connected {
			t.Error("the forger is still there")
		}
		for _, b := range blocks {
			honest.append(b)
		}
		m.reach(t, 20)
	})
}

// openForger joins the topic without a validator.
func openForger(t *testing.T, h host.Host) *pubsub.Topic {
	t.Helper()
	ps, err := pubsub.NewGossipSub(t.Context(), h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(), pubsub.WithMessageIdFn(messageID))
	if err != nil {
		t.Fatal(err)
	}
	topic, err := ps.Join("/headrace/1/" + genesis.String() + "/blocks")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topic.Subscribe(); err != nil {
		t.Fatal(err)
	}
	return topic
}

// TestLateJoiner: a node that is far behind has all from its peers, while its canonical source says nothing.
func TestLateJoiner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		n := newNet(t, 3, time.Millisecond)
		blocks := p.chain(t, block.Ref{}, 10_000, 1000)
		open(t, n.hosts[0], newMemory(p, blocks...))
		open(t, n.hosts[1], newMemory(p, blocks[:5000]...))
		late := newMemory(p)
		g := open(t, n.hosts[2], late)
		link(t, n.hosts[2], n.hosts[0])
		link(t, n.hosts[2], n.hosts[1])
		late.reach(t, 10_000)
		if late.offered != 10_000 {
			t.Errorf("%d blocks were offered, want each once", late.offered)
		}
		if c := g.Peers().Counts; c.Published != 0 || c.Asked > 20 {
			t.Errorf("%d blocks of others were published, %d requests made: want none, and one for each 4 MiB", c.Published, c.Asked)
		}
	})
}

// says tells who asks a host that its head is there.
func says(h host.Host, head block.Ref) {
	h.SetStreamHandler(protocol.ID("/headrace/1/"+genesis.String()+"/head"), func(s network.Stream) {
		_, _ = s.Write(append(binary.AppendUvarint(nil, head.Height), head.Hash[:]...))
		_, _ = s.Read(make([]byte, 1))
	})
}

// TestWrongAnswers: each way in which an answer can be wrong costs the peer, and another one is asked.
func TestWrongAnswers(t *testing.T) {
	p := newProposer(t)
	blocks := p.chain(t, block.Ref{}, 30, 100)
	send := func(w *bufio.Writer, raw []byte) {
		_, _ = w.Write(binary.AppendUvarint(nil, uint64(len(raw))))
		_, _ = w.Write(raw)
	}
	for _, c := range []struct {
		name, cause string
		answer      func(w *bufio.Writer, from uint64)
	}{
		{"a hole", "hole", func(w *bufio.Writer, from uint64) {
			send(w, mustEncode(t, blocks[from-1]))
			send(w, mustEncode(t, blocks[from+1]))
		}},
		{"the wrong one", "hole", func(w *bufio.Writer, from uint64) { send(w, mustEncode(t, blocks[0+from])) }},
		{"none", "none", func(*bufio.Writer, uint64) {}},
		{"a forged one", "proposer", func(w *bufio.Writer, from uint64) {
			raw := mustEncode(t, blocks[from-1])
			raw[len(raw)-1] ^= 1
			send(w, raw)
		}},
		{"rubbish", "encoded", func(w *bufio.Writer, from uint64) { send(w, []byte("rubbish")) }},
		{"too large", "at most", func(w *bufio.Writer, from uint64) { _, _ = w.Write(binary.AppendUvarint(nil, MaxBlock+1)) }},
		{"without an end", "beyond", func(w *bufio.Writer, from uint64) {
			for _, b := range blocks[from-1:] {
				send(w, mustEncode(t, b))
			}
			for range 100 {
				send(w, mustEncode(t, blocks[29]))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNet(t, 3, time.Millisecond)
				n.hosts[1].SetStreamHandler(protocol.ID("/headrace/1/"+genesis.String()+"/range"), func(s network.Stream) {
					r := bufio.NewReader(s)
					from, _ := binary.ReadUvarint(r)
					to, _ := binary.ReadUvarint(r)
					w := bufio.NewWriter(s)
					if to > from {
						c.answer(w, from)
					}
					_ = w.Flush()
					_ = s.Close()
				})
				says(n.hosts[1], block.Ref{Height: 24, Hash: blocks[23].Hash()})
				m := newMemory(p)
				g := open(t, n.hosts[0], m)
				link(t, n.hosts[0], n.hosts[1])
				synctest.Wait()
				time.Sleep(time.Second)
				open(t, n.hosts[2], newMemory(p, blocks...))
				link(t, n.hosts[0], n.hosts[2])
				m.reach(t, 30)
				time.Sleep(time.Second)
				cause := ""
				for _, at := range g.Peers().Peers {
					if at.ID == n.hosts[1].ID().String() {
						cause = at.Cause
					}
				}
				if !strings.Contains(cause, c.cause) {
					t.Errorf("the status says %q of the peer, want it to speak of %q", cause, c.cause)
				}
			})
		})
	}
}

// TestOvertaken: what has come to be safe while a peer is asked for it is no trouble, of the peer or of the node.
func TestOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		blocks := p.chain(t, block.Ref{}, 30, 100)
		n := newNet(t, 2, time.Millisecond)
		m := newMemory(p)
		overtake := sync.OnceFunc(func() {
			for _, b := range blocks[:20] {
				m.append(b)
			}
			m.safe(20)
		})
		n.hosts[1].SetStreamHandler(protocol.ID("/headrace/1/"+genesis.String()+"/range"), func(s network.Stream) {
			r := bufio.NewReader(s)
			from, _ := binary.ReadUvarint(r)
			_, _ = binary.ReadUvarint(r)
			overtake()
			for _, b := range blocks[from-1:] {
				raw := mustEncode(t, b)
				_, _ = s.Write(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...))
			}
			_ = s.Close()
		})
		says(n.hosts[1], blocks[29].Ref())
		log := new(logstest.Text)
		g := openWith(t, Options{Host: n.hosts[0], Logger: slog.New(slog.NewTextHandler(log, nil))}, m)
		link(t, n.hosts[0], n.hosts[1])
		m.reach(t, 30)
		if c := g.Peers().Counts; c.Faults != 0 || c.Asked != 2 {
			t.Errorf("the peer has %d faults after %d requests, want none after 2", c.Faults, c.Asked)
		}
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "waiting") {
				t.Errorf("the log says %s", line)
			}
		}
	})
}

// TestSilentPeer: one that does not answer at all is left for another.
func TestSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		blocks := p.chain(t, block.Ref{}, 30, 100)
		n := newNet(t, 3, time.Millisecond)
		n.hosts[1].SetStreamHandler(protocol.ID("/headrace/1/"+genesis.String()+"/range"), func(s network.Stream) {
			r := bufio.NewReader(s)
			_, _ = binary.ReadUvarint(r)
		})
		says(n.hosts[1], block.Ref{Height: 40})
		m := newMemory(p)
		open(t, n.hosts[0], m)
		link(t, n.hosts[0], n.hosts[1])
		time.Sleep(time.Second)
		open(t, n.hosts[2], newMemory(p, blocks...))
		link(t, n.hosts[0], n.hosts[2])
		m.reach(t, 30)
	})
}

// TestSlowPeer: one whose answers come on, and never come to an end, is passed over at the next try.
func TestSlowPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		n := newNet(t, 2, time.Millisecond)
		n.hosts[1].SetStreamHandler(protocol.ID("/headrace/1/"+genesis.String()+"/range"), func(s network.Stream) {
			_, err := s.Write(binary.AppendUvarint(nil, MaxBlock))
			for err == nil {
				select {
				case <-time.After(time.Second):
					_, err = s.Write(make([]byte, 32<<10))
				case <-t.Context().Done():
					return
				}
			}
		})
		says(n.hosts[1], block.Ref{Height: 40})
		g := open(t, n.hosts[0], newMemory(p))
		link(t, n.hosts[0], n.hosts[1])
		time.Sleep(rangeTime + 5*time.Second)
		if all := g.Peers().Peers; len(all) != 1 || all[0].Faults == 0 || !strings.Contains(all[0].Cause, "deadline") {
			t.Errorf("got %+v, want a fault of the one peer", all)
		}
	})
}

// TestManyHeads: a peer that tells of one head after the other has none of them told on faster than a head may be told.
func TestManyHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		n := newNet(t, 2, time.Millisecond)
		n.hosts[1].SetStreamHandler(protocol.ID("/headrace/1/"+genesis.String()+"/head"), func(s network.Stream) {
			hash := block.Hash{1}
			for i := uint64(0); ; i++ {
				if _, err := s.Write(append(binary.AppendUvarint(nil, i%2), hash[:]...)); err != nil {
					return
				}
			}
		})
		m := newMemory(p)
		open(t, n.hosts[0], m)
		link(t, n.hosts[0], n.hosts[1])
		time.Sleep(10 * time.Second)
		if made := m.refreshed.Load(); made < 10 || made > 50 {
			t.Errorf("the status was made anew %d times in 10 s, want about twice a second", made)
		}
	})
}

// TestManyAreLeft: whoever comes again and again with another name takes no more memory, nor more of the status.
func TestManyAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := alone(t, newMemory(newProposer(t)))
		for i := range 2 * mostBanned {
			id := peer.ID(binary.BigEndian.AppendUint64(nil, uint64(i)))
			g.peers.came(id)
			g.peers.fault(id, leaveAt, errShape)
			g.peers.went(id)
			time.Sleep(time.Millisecond)
			if g.peers.allowed(id) {
				t.Fatalf("peer %d is not left", i)
			}
		}
		if all := g.Peers().Peers; len(all) != mostBanned {
			t.Errorf("the status has %d peers, want %d", len(all), mostBanned)
		}
	})
}

// TestPartition: two halves that were apart have the same when they are not any more.
func TestPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		n := newNet(t, 4, 5*time.Millisecond)
		chains := make([]*memory, 4)
		for i := range chains {
			chains[i] = newMemory(p)
			open(t, n.hosts[i], chains[i])
		}
		link(t, n.hosts[0], n.hosts[1])
		link(t, n.hosts[1], n.hosts[2])
		link(t, n.hosts[2], n.hosts[3])
		time.Sleep(2 * time.Second)
		blocks := p.chain(t, block.Ref{}, 60, 100)
		for i, b := range blocks {
			switch i {
			case 20:
				chains[3].reach(t, 20)
				_ = n.hosts[1].Network().ClosePeer(n.hosts[2].ID())
				time.Sleep(time.Second)
			case 40:
				if at := chains[3].status.Load().Heads.Unsafe.Height; at != 20 {
					t.Errorf("the other half is at %d, want 20: the partition is none", at)
				}
				link(t, n.hosts[1], n.hosts[2])
			}
			chains[0].append(b)
			chains[1].reach(t, b.Height())
		}
		for _, c := range chains {
			c.reach(t, 60)
		}
	})
}

// TestHeadGoesBack: after a reorg a peer's head is lower. Nobody is asked for what was above it, which would be nobody's
// fault, and nothing is waited for; the branch that comes in its place is followed. So it is when somebody has gone who
// told of a head that nobody else has.
func TestHeadGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		n := newNet(t, 3, time.Millisecond)
		blocks := p.chain(t, block.Ref{}, 30, 100)
		m, other := newMemory(p), newMemory(p, blocks...)
		g := open(t, n.hosts[0], m)
		open(t, n.hosts[1], other)
		link(t, n.hosts[0], n.hosts[1])
		m.reach(t, 30)
		quiet := func(what string, head block.Ref, faults uint64) {
			t.Helper()
			time.Sleep(10 * time.Second)
			asked := g.Peers().Counts.Asked
			time.Sleep(time.Minute)
			s := g.Peers()
			if s.Head != head || s.Waiting != (follow.Waiting{}) || s.Counts.Faults != faults || s.Counts.Asked != asked {
				t.Errorf("%s: got the head %v, want %v; waiting %+v; %d faults, %d requests in a minute", what, s.Head, head, s.Waiting, s.Counts.Faults, s.Counts.Asked-asked)
			}
		}
		other.shut(true) // it would take back from here what it has dropped
		other.cut(25)
		time.Sleep(5 * time.Second) // it has been told
		m.cut(25)
		quiet("after a reorg", blocks[24].Ref(), 0)
		other.shut(false)

		branch := blocks[24].Ref()
		for range 8 {
			b := p.make(t, branch, 100, 7)
			other.append(b)
			m.reach(t, b.Height())
			branch = b.Ref()
		}
		if at := m.status.Load().Heads.Unsafe; at != branch {
			t.Errorf("got the head %v, want that of the other branch, %v", at, branch)
		}

		says(n.hosts[2], block.Ref{Height: 1000, Hash: block.Hash{1}})
		link(t, n.hosts[0], n.hosts[2])
		time.Sleep(10 * time.Second)
		if at := g.Peers().Head.Height; at != 1000 {
			t.Errorf("got the head %d of who is there, want 1000", at)
		}
		faults := g.Peers().Counts.Faults
		_ = n.hosts[0].Network().ClosePeer(n.hosts[2].ID())
		quiet("when he has gone", branch, faults)
	})
}

// TestGateOpens: what the gate has held back is taken when it opens, and a head that went back is followed from there.
func TestGateOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		n := newNet(t, 2, time.Millisecond)
		blocks := p.chain(t, block.Ref{}, 30, 100)
		m := newMemory(p)
		m.most = 10
		open(t, n.hosts[0], m)
		open(t, n.hosts[1], newMemory(p, blocks...))
		link(t, n.hosts[0], n.hosts[1])
		m.reach(t, 10)
		time.Sleep(10 * time.Second)
		if at := m.status.Load().Heads.Unsafe.Height; at != 10 {
			t.Fatalf("at %d, beyond the gate", at)
		}
		m.safe(10)
		m.reach(t, 20)
		m.safe(20)
		m.reach(t, 30)
		m.cut(25)
		m.reach(t, 30)
	})
}

// TestBounds: a peer has two answers at a time, all have eight, and a request that does not come is not waited for.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		n := newNet(t, 2, time.Millisecond)
		open(t, n.hosts[0], newMemory(p, p.chain(t, block.Ref{}, 3, 10)...))
		link(t, n.hosts[1], n.hosts[0])
		ask := func(request ...byte) network.Stream {
			s, err := n.hosts[1].NewStream(t.Context(), n.hosts[0].ID(), protocol.ID("/headrace/1/"+genesis.String()+"/range"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = s.Write(request)
			return s
		}
		const half = 0x80 // a varint that goes on
		first, second := ask(half), ask(half)
		time.Sleep(time.Second)
		third := ask(half)
		if _, err := third.Read(make([]byte, 1)); err == nil || !errors.As(err, new(*network.StreamError)) {
			t.Errorf("a third answer at a time: %v, want it refused", err)
		}
		began := time.Now()
		for _, s := range []network.Stream{first, second} {
			if _, err := s.Read(make([]byte, 1)); err == nil {
				t.Error("half a request is answered")
			}
		}
		if took := time.Since(began); took > askTime {
			t.Errorf("half a request was waited for for %s", took)
		}
		if _, err := ask(1, 4).Read(make([]byte, 1)); err != nil {
			t.Errorf("a request after those: %v", err)
		}
	})
}
