package gossip

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/node"
	"headrace/watch"
)

var (
	manyBlocks = flag.Int("gossip.blocks", 30, "blocks that go to all peers in TestFifty")
	genesis    = block.Hash(sha256.Sum256([]byte("a genesis")))
)

const chainID = "gossip-test"

// proposer signs blocks.
type proposer struct {
	key *block.PrivateKey
}

func newProposer(t *testing.T) *proposer {
	t.Helper()
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return &proposer{key}
}

// make returns a block on parent with one transaction of this size.
func (p *proposer) make(t *testing.T, parent block.Ref, size int, salt byte) *block.Block {
	t.Helper()
	tx := make([]byte, size)
	if size > 0 {
		tx[0] = salt
	}
	d := block.Data{Metadata: block.Metadata{ChainID: chainID, Height: parent.Height + 1, Time: parent.Height + 1}, Txs: [][]byte{tx}}
	commitment := d.Commitment()
	pub := p.key.Public()
	h, err := block.SignHeader(p.key, block.Header{
		ChainID: chainID, Height: parent.Height + 1, Time: parent.Height + 1, LastHeaderHash: parent.Hash.Field(), DataHash: commitment[:], ProposerAddress: pub.Address(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return &block.Block{Header: h, Data: d}
}

// chain returns n blocks from parent on.
func (p *proposer) chain(t *testing.T, parent block.Ref, n, size int) (blocks []*block.Block) {
	t.Helper()
	for range n {
		b := p.make(t, parent, size, 0)
		blocks, parent = append(blocks, b), b.Ref()
	}
	return blocks
}

// memory is a chain in memory, with the authority of a node, and a gate like one.
type memory struct {
	authority *derive.Authority
	most      uint64 // how far above the safe head a block may be
	applied   func(b *block.Block)
	refreshed atomic.Int64

	mu      sync.Mutex // guards the rest
	blocks  []*block.Block
	wait    map[block.Hash]*block.Block // by parent
	closed  bool
	offered int
	status  *watch.Value[node.Status]
}

func newMemory(p *proposer, blocks ...*block.Block) *memory {
	m := &memory{authority: authorityOf(p), most: 20_000, wait: map[block.Hash]*block.Block{}, status: watch.New(node.Status{})}
	for _, b := range blocks {
		m.append(b)
	}
	return m
}

func authorityOf(p *proposer) *derive.Authority {
	pub := p.key.Public()
	return derive.NewAuthority(chainID, pub.Address())
}

func (m *memory) append(b *block.Block) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(b)
}

func (m *memory) add(b *block.Block) {
	m.blocks = append(m.blocks, b)
	m.status.Update(func(s node.Status) node.Status { s.Heads.Unsafe = b.Ref(); return s })
	if m.applied != nil {
		m.applied(b)
	}
	if next := m.wait[b.Hash()]; next != nil {
		delete(m.wait, b.Hash())
		m.add(next)
	}
}

// cut drops all blocks above height.
func (m *memory) cut(height uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocks = m.blocks[:height]
	m.status.Update(func(s node.Status) node.Status { s.Heads.Unsafe = m.ref(height); return s })
}

func (m *memory) ref(height uint64) block.Ref {
	if height == 0 {
		return block.Ref{}
	}
	return m.blocks[height-1].Ref()
}

func (m *memory) safe(height uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Update(func(s node.Status) node.Status { s.Heads.Safe = m.ref(height); return s })
}

// shut closes or opens the gate.
func (m *memory) shut(closed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = closed
}

// Status implements chain.
func (m *memory) Status() *watch.Value[node.Status] { return m.status }

func (m *memory) gate(height uint64) error {
	safe := m.status.Load().Heads.Safe.Height
	switch {
	case m.closed, height > safe+m.most:
		return node.ErrGate
	case height <= safe:
		return node.ErrStale
	}
	return nil
}

// Refresh implements chain.
func (m *memory) Refresh() { m.refreshed.Add(1) }

// CheckHeader implements chain.
func (m *memory) CheckHeader(header []byte) (*block.SignedHeader, error) {
	h, err := block.DecodeSignedHeader(header)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", node.ErrGarbled, err)
	}
	if err := m.authority.Header(h); err != nil {
		return nil, fmt.Errorf("%w: %w", node.ErrForged, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return h, m.gate(h.Header.Height)
}

// TakeSigned implements chain.
func (m *memory) TakeSigned(_ context.Context, s node.SignedBlock) (node.Verdict, error) {
	h, err := m.CheckHeader(s.Header)
	if err != nil {
		return node.BlockIgnored, err
	}
	data, err := block.DecodeData(s.Data)
	if err != nil {
		return node.BlockForged, err
	}
	data.Metadata = block.Metadata{ChainID: chainID, Height: h.Header.Height, Time: h.Header.Time}
	b := &block.Block{Header: *h, Data: *data}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offered++
	head := m.ref(uint64(len(m.blocks)))
	switch {
	case b.Height() <= head.Height: // the one that is there stays
		return node.BlockKnown, nil
	case string(h.Header.LastHeaderHash) != string(head.Hash.Field()):
		m.wait[block.Hash(h.Header.LastHeaderHash)] = b
		return node.BlockWaits, nil
	}
	m.add(b)
	return node.BlockApplied, nil
}

// Blocks implements chain.
func (m *memory) Blocks(label await.Label) follow.Source[node.Delivered] { return &source{m, label} }

type source struct {
	m     *memory
	label await.Label
}

func (s *source) Subscribe(ctx context.Context, update func(follow.Update[node.Delivered])) error {
	for {
		st, changed := s.m.status.Get()
		head := st.Heads.Unsafe
		if s.label == await.Safe {
			head = st.Heads.Safe
		}
		update(follow.Update[node.Delivered]{Head: head})
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *source) Fetch(_ context.Context, from, to uint64, deliver func(follow.Item[node.Delivered]) error) error {
	for ; from < to; from++ {
		s.m.mu.Lock()
		if from > uint64(len(s.m.blocks)) || from == 0 {
			s.m.mu.Unlock()
			return follow.ErrNotYet
		}
		b, safe := s.m.blocks[from-1], s.m.status.Load().Heads.Safe.Height
		s.m.mu.Unlock()
		item := follow.Item[node.Delivered]{Height: from, Hash: b.Hash(), Data: node.Delivered{Block: node.Block{Height: from, Safe: from <= safe}, Signed: b}}
		copy(item.Parent[:], b.Header.Header.LastHeaderHash)
		if err := deliver(item); err != nil {
			return err
		}
	}
	return nil
}

// net is hosts on a network in the process, each packet delay after it was sent.
type net struct {
	hosts []host.Host
	sim   *simnet.Simnet
}

func newNet(t *testing.T, n int, delay time.Duration) *net {
	t.Helper()
	link := simnet.LinkSettings{BitsPerSecond: 100 * simlibp2p.OneMbps}
	sim, meta, err := simlibp2p.SimpleLibp2pNetwork([]simlibp2p.NodeLinkSettingsAndCount{
		{LinkSettings: simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}, Count: n},
	}, simnet.StaticLatency(delay), simlibp2p.NetworkSettings{})
	if err != nil {
		t.Fatal(err)
	}
	sim.Start()
	t.Cleanup(func() {
		for _, h := range meta.Nodes {
			_ = h.Close()
		}
		sim.Close()
	})
	return &net{meta.Nodes, sim}
}

// open runs a Gossip on a host until the test ends.
func open(t *testing.T, h host.Host, c chain, peers ...peer.AddrInfo) *Gossip {
	t.Helper()
	return openWith(t, Options{Host: h, Peers: peers}, c)
}

func openWith(t *testing.T, opt Options, c chain) *Gossip {
	t.Helper()
	opt.Genesis = genesis
	g := join(t, opt, c)
	synctest.Wait() // it has joined
	return g
}

// join is openWith of any chain, outside a bubble too.
func join(t *testing.T, opt Options, c chain) *Gossip {
	t.Helper()
	g, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() {
		if err := g.run(ctx, c); !errors.Is(err, context.Canceled) {
			t.Errorf("gossip ended: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		run.Wait()
	})
	return g
}

// link connects two hosts.
func link(t *testing.T, a, b host.Host) {
	t.Helper()
	synctest.Wait() // identify has noted the protocols
	if err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
		t.Fatal(err)
	}
}

// reach waits until a chain's unsafe head is there.
func (m *memory) reach(t *testing.T, height uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := m.status.Wait(ctx, func(s node.Status) bool { return s.Heads.Unsafe.Height >= height }); err != nil {
		t.Fatalf("at %d, want %d: %v", m.status.Load().Heads.Unsafe.Height, height, err)
	}
}
