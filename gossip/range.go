package gossip

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/node"
)

// A peer is asked for the blocks of [from, to) on a stream of its own: two varints. It answers with blocks in order from the
// first one on, each after its length as a varint: as many as it has and as fit into rangeBytes, or one.
const (
	rangeBytes = 4 << 20
	rangeTime  = 30 * time.Second // for one answer
	askTime    = 5 * time.Second  // for the request to come
)

// heads is how often a peer is told of the head at the most. Gossip is faster: this is for what gossip has lost, and for who
// has just come.
const heads = time.Second

// told is a head as a peer tells it, without an end on a stream of its own: a varint and a hash, whenever it has changed.
const toldBytes = binary.MaxVarintLen64 + len(block.Hash{})

// tell tells a peer of the head until it goes.
func (g *Gossip) tell(s network.Stream) {
	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	go func() { // a peer says nothing here: this ends when it goes
		defer cancel()
		_, _ = s.Read(make([]byte, 1))
	}()
	defer s.Reset()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var was block.Ref
	for first := true; ; first = false {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		st, err := g.chain.Status().Wait(ctx, func(st node.Status) bool { return first || st.Heads.Unsafe != was })
		if err != nil {
			return
		}
		was = st.Heads.Unsafe
		_ = s.SetWriteDeadline(time.Now().Add(askTime))
		if _, err := s.Write(append(binary.AppendUvarint(nil, was.Height), was.Hash[:]...)); err != nil {
			return
		}
		timer.Reset(heads)
	}
}

// hear listens to what a peer says its head is, until it goes.
func (g *Gossip) hear(ctx context.Context, p peer.ID) error {
	s, err := g.host.NewStream(network.WithNoDial(ctx, "it is asked while it is there"), p, protocol.ID(g.name("head")))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	defer s.Reset()
	_ = s.SetWriteDeadline(time.Now().Add(askTime))
	if _, err := s.Write(nil); err != nil { // the protocol is agreed on with the first write
		return err
	}
	r := bufio.NewReaderSize(s, toldBytes)
	for {
		var head block.Ref
		if head.Height, err = binary.ReadUvarint(r); err == nil {
			_, err = io.ReadFull(r, head.Hash[:])
		}
		if err != nil {
			return err
		}
		g.peers.announce(p, head, nil)
		select { // who tells more often is not heard more often
		case <-time.After(heads / 2):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Bounds on the answers that are made at a time.
const (
	answersInAll = 8
	answersEach  = 2 // of one peer
)

// serve answers a peer.
func (g *Gossip) serve(s network.Stream) {
	from := s.Conn().RemotePeer()
	if !g.peers.enter(from) {
		_ = s.ResetWithError(network.StreamRateLimited)
		return
	}
	defer g.peers.leave(from)
	if err := g.answer(s); err != nil {
		_ = s.Reset()
		g.log.Debug("request of a peer is not answered", "peer", from, "err", err)
		return
	}
	_ = s.Close()
	g.counts.answered.Add(1)
}

func (g *Gossip) answer(s network.Stream) error {
	_ = s.SetReadDeadline(time.Now().Add(askTime))
	_ = s.SetWriteDeadline(time.Now().Add(rangeTime))
	r := bufio.NewReaderSize(s, 64)
	from, err1 := binary.ReadUvarint(r)
	to, err2 := binary.ReadUvarint(r)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	w := bufio.NewWriter(s)
	if err := g.writeBlocks(w, from, to); err != nil {
		return err
	}
	return w.Flush()
}

var errFull = errors.New("the answer is full")

// writeBlocks writes those of [from, to) that are there: who asks goes on from the first that is missing.
func (g *Gossip) writeBlocks(w *bufio.Writer, from, to uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), rangeTime)
	defer cancel()
	size := 0
	err := g.chain.Blocks(await.Unsafe).Fetch(ctx, from, to, func(item follow.Item[node.Delivered]) error {
		raw, err := encode(item.Data.Signed)
		if err != nil {
			return err
		}
		if size += len(raw); size > rangeBytes && size > len(raw) {
			return errFull
		}
		_, _ = w.Write(binary.AppendUvarint(nil, uint64(len(raw))))
		_, err = w.Write(raw)
		return err
	})
	if errors.Is(err, errFull) || errors.Is(err, follow.ErrNotYet) || errors.Is(err, node.ErrPruned) || errors.Is(err, errUnsigned) || errors.Is(err, errTooBig) {
		return nil
	}
	return err
}

// The ways in which an answer is wrong.
var (
	errHole = errors.New("it has a hole")
	errNone = errors.New("it has none of the blocks below the head that the peer named")
	errLong = errors.New("it goes on beyond what was asked for")
)

// ask asks a peer for [from, to), and calls deliver with each block. With deliver's own error it returns that.
func (g *Gossip) ask(ctx context.Context, p peer.ID, from, to uint64, deliver func(follow.Item[received]) error) error {
	g.counts.asked.Add(1)
	s, err := g.host.NewStream(network.WithNoDial(ctx, "it is asked while it is there"), p, protocol.ID(g.name("range")))
	if err != nil {
		return fmt.Errorf("ask peer: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(rangeTime))
	if _, err := s.Write(binary.AppendUvarint(binary.AppendUvarint(nil, from), to)); err != nil {
		return fmt.Errorf("ask peer: %w", err)
	}
	_ = s.CloseWrite()
	r := bufio.NewReader(&progress{s, ctx})
	for at := from; ; at++ {
		size, err := binary.ReadUvarint(r)
		switch {
		case errors.Is(err, io.EOF) && at == from:
			return errNone
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read peer's blocks: %w", cmp.Or(context.Cause(ctx), err))
		case at >= to:
			return errLong
		case size > MaxBlock:
			return errTooBig
		}
		raw := make([]byte, size)
		if _, err := io.ReadFull(r, raw); err != nil {
			return fmt.Errorf("read peer's blocks: %w", cmp.Or(context.Cause(ctx), err))
		}
		item, err := g.read(p, raw)
		switch {
		case err != nil:
			return err
		case item.Height != at:
			return errHole
		}
		if err := deliver(item); err != nil {
			return &delivered{err}
		}
	}
}

// delivered is an error of who was given a block.
type delivered struct{ err error }

func (d *delivered) Error() string { return d.err.Error() }
func (d *delivered) Unwrap() error { return d.err }

// progress tells a follower of the bytes that come.
type progress struct {
	io.Reader
	ctx context.Context
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	follow.Received(p.ctx, n)
	return n, err
}
