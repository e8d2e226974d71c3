package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/node"
)

// received is a block that a peer has sent and that was checked; without bytes it is one that the node has as safe.
type received struct {
	from         peer.ID
	header, data []byte // as node.SignedBlock has them, bare
}

var (
	errTooBig   = fmt.Errorf("a block has %d bytes at most", MaxBlock)
	errShape    = errors.New("it is not encoded as blocks are")
	errOtherTxs = errors.New("its transactions are not those that the proposer has signed")
)

// read returns what a peer has sent as an item, if it is a block that would be taken. Its bytes must be the ones that
// every peer makes of this block: who may choose others could have one block forwarded again and again.
func (g *Gossip) read(from peer.ID, raw []byte) (item follow.Item[received], err error) {
	if len(raw) > MaxBlock {
		return item, errTooBig
	}
	header, txs, err := block.SplitBlock(raw)
	if err != nil {
		return item, fmt.Errorf("%w: %w", errShape, err)
	}
	h, err := g.chain.CheckHeader(header)
	if err != nil {
		return item, err
	}
	if sum := block.CommitmentOf(txs); !bytes.Equal(h.Header.DataHash, sum[:]) {
		return item, errOtherTxs
	}
	if !bytes.Equal(h.Encode(), header) {
		return item, errShape
	}
	empty := block.EmptyData(&h.Header, nil)
	content := empty.Encode() // it ends where transactions begin
	item = follow.Item[received]{Height: h.Header.Height, Hash: h.Header.Hash(), Size: len(raw), Data: received{from, header, slices.Concat(content, txs)}}
	copy(item.Parent[:], h.Header.LastHeaderHash)
	return item, nil
}

// blame says what a refusal makes of the peer that sent a block: a fault, or nothing, since a block that is late, or of
// somebody else, may be sent in good faith. Two blocks of one height, both signed, are the proposer's fault.
func blame(err error) pubsub.ValidationResult {
	switch {
	case err == nil:
		return pubsub.ValidationAccept
	case errors.Is(err, node.ErrGate), errors.Is(err, node.ErrStale), errors.Is(err, node.ErrFar), errors.Is(err, node.ErrStranger):
		return pubsub.ValidationIgnore
	case errors.Is(err, errTooBig), errors.Is(err, errShape), errors.Is(err, errOtherTxs), errors.Is(err, node.ErrForged), errors.Is(err, node.ErrGarbled):
		return pubsub.ValidationReject
	}
	return pubsub.ValidationIgnore // the node's own trouble
}

// validate is asked before a message is forwarded. What the node itself sends is its own.
func (g *Gossip) validate(_ context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if from == g.host.ID() {
		return pubsub.ValidationAccept
	}
	item, err := g.read(from, m.GetData())
	result := blame(err)
	if err == nil && !g.tally.add(item.Ref()) {
		result = pubsub.ValidationIgnore
	}
	switch result {
	case pubsub.ValidationAccept:
		g.counts.received.Add(1)
	case pubsub.ValidationReject:
		g.counts.forged.Add(1)
		g.peers.fault(from, forged, err)
	default:
		g.counts.ignored.Add(1)
	}
	m.ValidatorData = item
	return result
}

// receive takes what was forwarded.
func (g *Gossip) receive(ctx context.Context) error {
	for {
		m, err := g.sub.Next(ctx)
		if err != nil {
			return fmt.Errorf("receive from peers: %w", err)
		}
		item, ok := m.ValidatorData.(follow.Item[received])
		if !ok || m.ReceivedFrom == g.host.ID() {
			continue
		}
		if item.Height <= g.sink.Last().Height { // beside the one that is there: the node decides which of the two it is
			_ = g.offer(ctx, &item)
			continue
		}
		g.peers.announce(m.ReceivedFrom, item.Ref(), &item)
	}
}

// offer gives the node a block. It is offered again after an error that may pass: while the gate is closed, or the node has
// trouble of its own.
func (g *Gossip) offer(ctx context.Context, item *follow.Item[received]) error {
	verdict, err := g.chain.TakeSigned(ctx, node.SignedBlock{Header: item.Data.header, Data: item.Data.data, Bare: true})
	switch {
	case err == nil:
		g.counts.taken.Add(1)
	case verdict == node.BlockRefused, verdict == node.BlockForged, errors.Is(err, node.ErrStale):
		g.log.Debug("block of a peer is not taken", "height", item.Height, "hash", item.Hash, "peer", item.Data.from, "err", err)
		err = nil
	}
	return err
}

// sink gives the node what peers have, in order. Its place is its own: the node may be further by its canonical source.
type sink struct {
	g *Gossip

	mu   sync.Mutex // guards the rest
	last block.Ref
	refs []block.Ref // those before last that are known, ascending
}

func newSink(g *Gossip, at block.Ref) *sink { return &sink{g: g, last: at} }

// remembered is how many blocks the sink can go back by.
const remembered = 1 << 12

// Last implements follow.Sink.
func (s *sink) Last() block.Ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// At implements follow.Sink.
func (s *sink) At(height uint64) (block.Ref, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.Height == height {
		return s.last, true
	}
	for i := len(s.refs) - 1; i >= 0; i-- {
		if s.refs[i].Height == height {
			return s.refs[i], true
		}
	}
	return block.Ref{}, false
}

// Apply implements follow.Sink.
func (s *sink) Apply(ctx context.Context, item follow.Item[received]) error {
	if item.Data.header != nil {
		s.g.tally.add(item.Ref()) // the peers have it
		if err := s.g.offer(ctx, &item); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refs) >= remembered {
		s.refs = append(s.refs[:0], s.refs[remembered/2:]...)
	}
	s.refs = append(s.refs, s.last)
	s.last = item.Ref()
	return nil
}

// Revert implements follow.Sink. The node keeps its block: which one stays at a height is not for the peers to say.
func (s *sink) Revert(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pop()
	return nil
}

func (s *sink) pop() {
	if n := len(s.refs); n > 0 {
		s.last, s.refs = s.refs[n-1], s.refs[:n-1]
		return
	}
	s.last = block.Ref{Height: max(s.last.Height, 1) - 1} // whatever is there
}

// back takes the sink back where the node's head has gone back, and drops what the gate lets through no more.
func (s *sink) back(ctx context.Context) error {
	status := s.g.chain.Status()
	was := status.Load().Heads
	for {
		st, changed := status.Get()
		if err := status.Err(); err != nil {
			return err
		}
		now := st.Heads
		if now.Unsafe.Height < was.Unsafe.Height {
			s.mu.Lock()
			for s.last.Height > now.Unsafe.Height {
				s.pop()
			}
			s.mu.Unlock()
			s.g.follow.Load().Wake()
		}
		if now.Safe.Height > was.Safe.Height {
			s.g.tally.forget(now.Safe.Height)
		}
		was = now
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// publish sends each new unsafe block of the node to the peers, unless it came from one.
func (g *Gossip) publish(ctx context.Context) error {
	p := &publisher{g: g, last: g.chain.Status().Load().Heads.Unsafe}
	return follow.New(g.chain.Blocks(await.Unsafe), p, follow.Options{Logger: g.log, Backoff: follow.Backoff{Max: maxBackoff}, Stall: forever}).Run(ctx)
}

// publisher is a sink of the node's own blocks.
type publisher struct {
	g    *Gossip
	mu   sync.Mutex
	last block.Ref
}

// Last implements follow.Sink.
func (p *publisher) Last() block.Ref {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// At implements follow.Sink.
func (p *publisher) At(height uint64) (block.Ref, bool) {
	last := p.Last()
	return last, last.Height == height
}

// Apply implements follow.Sink.
func (p *publisher) Apply(ctx context.Context, item follow.Item[node.Delivered]) error {
	if !item.Data.Safe && p.g.tally.add(item.Ref()) {
		p.g.send(ctx, item.Data.Signed)
	}
	p.set(item.Ref())
	return nil
}

// Revert implements follow.Sink.
func (p *publisher) Revert(context.Context) error {
	p.set(block.Ref{Height: max(p.Last().Height, 1) - 1})
	return nil
}

func (p *publisher) set(r block.Ref) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = r
}

// send publishes a block. One that is too large for a message goes by the canonical source alone.
func (g *Gossip) send(ctx context.Context, b *block.Block) {
	raw, err := encode(b)
	if err == nil {
		err = g.topic.Publish(ctx, raw)
	}
	switch {
	case err == nil:
		g.counts.published.Add(1)
	default:
		g.log.Warn("block is not sent to peers", "height", b.Height(), "hash", b.Hash(), "err", err)
	}
}

// encode returns a block as it is sent: the signed header, and the transactions. What else is in a block's data follows
// from the header and the block before; whoever could choose it could have an honest block refused.
func encode(b *block.Block) ([]byte, error) {
	if len(b.Header.Signature) == 0 {
		return nil, errUnsigned
	}
	raw := block.EncodeBlock(&b.Header, b.Data.EncodeTxs())
	if len(raw) > MaxBlock {
		return nil, errTooBig
	}
	return raw, nil
}

var errUnsigned = errors.New("it is stored without its signature")
