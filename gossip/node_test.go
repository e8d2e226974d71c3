package gossip

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"headrace/block"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/node"
)

// rig is whole nodes with hosts on the loopback.
type rig struct {
	t       *testing.T
	da      *devnet.DA
	stopDA  func()
	genesis *block.Genesis
	key     *block.PrivateKey
}

func newRig(t *testing.T, layer time.Duration) *rig {
	t.Helper()
	d, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: layer}})
	if err != nil {
		t.Fatal(err)
	}
	return newRigOn(t, d)
}

func newRigOn(t *testing.T, d *devnet.DA) *rig {
	t.Helper()
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, da: d, key: key, genesis: &block.Genesis{
		ChainID: "gossip", StartTime: time.Now().UTC(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"},
	}}
	r.stopDA = r.background(d.Run)
	return r
}

// background runs f until the test ends, or what it returns is called.
func (r *rig) background(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			r.t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	r.t.Cleanup(stop)
	return stop
}

type member struct {
	*node.Node
	g    *Gossip
	stop func()
}

// start runs a node that gossips with these.
func (r *rig) start(home string, tune func(*node.Options), with ...*member) *member {
	r.t.Helper()
	return r.startOn(nil, home, tune, with...)
}

// startOn is start with a host that is there.
func (r *rig) startOn(h host.Host, home string, tune func(*node.Options), with ...*member) *member {
	r.t.Helper()
	var addresses []string
	for _, m := range with {
		addresses = append(addresses, m.g.Peers().Addresses[0])
	}
	peers, err := ParsePeers(addresses)
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := LoadKey(home + "/gossip.key")
	if err != nil {
		r.t.Fatal(err)
	}
	g, err := Open(Options{Genesis: r.genesis.Hash(), Host: h, Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Peers: peers})
	if err != nil {
		r.t.Fatal(err)
	}
	o := node.Options{Home: home, Genesis: r.genesis, Config: node.Default(), Blocks: []node.BlockSource{g}}
	o.Config.DA.Address, o.Config.HTTP.Address = node.At(r.da.URL()), "127.0.0.1:0"
	tune(&o)
	n, err := node.New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	m := &member{Node: n, g: g}
	run := r.background(n.Run)
	m.stop = sync.OnceFunc(func() { run(); _ = g.Close() })
	r.t.Cleanup(m.stop)
	return m
}

func (r *rig) until(m *member, what string, is func(node.Status) bool) node.Status {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	s, err := m.Status().Wait(ctx, is)
	if err != nil {
		r.t.Fatalf("%s: %v; heads %+v peers %+v", what, err, s.Heads, s.Peers)
	}
	return s
}

func (r *rig) same(height uint64, members ...*member) {
	r.t.Helper()
	want, err := members[0].Block(height)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range members[1:] {
		if got, err := m.Block(height); err != nil || got.Hash != want.Hash || fmt.Sprint(got.StateRoot) != fmt.Sprint(want.StateRoot) {
			r.t.Errorf("block %d is %s with state root %x, want %s with %x (%v)", height, got.Hash, got.StateRoot, want.Hash, want.StateRoot, err)
		}
	}
}

// TestWholeNodes: two full nodes, of which the second knows the first alone, have the sequencer's blocks before the DA
// layer has them; with the layer down they go on; and a node that comes then has all of them from its peers.
func TestWholeNodes(t *testing.T) {
	r := newRig(t, time.Second)
	full := func(*node.Options) {}
	s := r.start(t.TempDir(), func(o *node.Options) {
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime, o.Config.Sequencer.MaxPending = r.key, true, 50*time.Millisecond, 10_000
	})
	a := r.start(t.TempDir(), full, s)
	b := r.start(t.TempDir(), full, a)
	for i := range 20 {
		if err := s.SubmitTx(t.Context(), fmt.Appendf(nil, "k%d=v", i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []*member{a, b} {
		st := r.until(m, "safe blocks", func(s node.Status) bool { return s.Heads.Safe.Height >= 60 })
		if c := st.Counts; c.Promoted < 50 {
			t.Errorf("%d of %d safe blocks were there before the layer had them: %+v", c.Promoted, st.Heads.Safe.Height, c)
		}
	}
	r.same(60, s, a, b)

	r.stopDA()
	at := s.Status().Load().Heads.Unsafe.Height + 50
	for _, m := range []*member{a, b} {
		st := r.until(m, "unsafe blocks while the layer is down", func(s node.Status) bool { return s.Heads.Unsafe.Height >= at })
		if st.Peers == nil || len(st.Peers.Peers) == 0 || !st.Peers.Peers[0].Connected {
			t.Errorf("the status says of the peers: %+v", st.Peers)
		}
	}
	late := r.start(t.TempDir(), full, b)
	st := r.until(late, "a late joiner", func(s node.Status) bool { return s.Heads.Unsafe.Height >= at })
	if st.Ready || st.Heads.Safe.Height != 0 {
		t.Errorf("it is ready (%v), its safe head is %d, and there is no DA layer", st.Ready, st.Heads.Safe.Height)
	}
	r.until(late, "a reason", func(s node.Status) bool {
		return slices.ContainsFunc(s.Waiting, func(w node.Waiting) bool { return w.Stage == follow.StageUnsafe })
	})
	r.same(at, s, a, b, late)
}

// TestFiftyWithWholeNodes is TestFifty on the machine's clock, with a sequencer and two full nodes among the 50: all have
// the same blocks, and none of the whole ones has them from the DA layer, which makes none.
func TestFiftyWithWholeNodes(t *testing.T) {
	const peers, links, delay, height = 50, 8, 20 * time.Millisecond, 30
	r := newRig(t, time.Hour)
	n := newNet(t, peers, delay)
	var mu sync.Mutex
	made, took := map[uint64]time.Time{}, []time.Duration{}
	chains := make([]*memory, 0, peers)
	for _, h := range n.hosts[3:] {
		c := newMemory(&proposer{r.key})
		c.authority = derive.NewAuthority(r.genesis.ChainID, r.genesis.ProposerAddress)
		c.applied = func(b *block.Block) {
			mu.Lock()
			defer mu.Unlock()
			if at := made[b.Height()]; !at.IsZero() {
				took = append(took, time.Since(at))
			}
		}
		join(t, Options{Host: h, Genesis: r.genesis.Hash()}, c)
		chains = append(chains, c)
	}
	full := func(*node.Options) {}
	seq := r.startOn(n.hosts[0], t.TempDir(), func(o *node.Options) {
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime = r.key, true, 300*time.Millisecond
		o.Observer.Applied = func(a node.Applied) {
			mu.Lock()
			defer mu.Unlock()
			made[a.Ref.Height] = time.Now()
		}
	})
	one, two := r.startOn(n.hosts[1], t.TempDir(), full), r.startOn(n.hosts[2], t.TempDir(), full)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i, h := range n.hosts {
		for _, j := range rnd.Perm(peers)[:links/2] {
			if to := n.hosts[j]; i != j {
				if err := h.Connect(t.Context(), peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	met := seq.Status().Load().Heads.Unsafe.Height + 5 // from this block on the mesh is made
	for _, c := range chains {
		c.reach(t, met)
	}
	mu.Lock()
	took = nil
	mu.Unlock()
	at := seq.Status().Load().Heads.Unsafe.Height + height
	for _, m := range []*member{seq, one, two} {
		r.until(m, "unsafe blocks", func(s node.Status) bool { return s.Heads.Unsafe.Height >= at })
	}
	for _, c := range chains {
		c.reach(t, at)
	}
	r.same(at, seq, one, two)
	for h := uint64(1); h <= at; h++ {
		want, err := seq.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range chains {
			c.mu.Lock()
			if got := c.blocks[h-1].Hash().String(); got != want.Hash {
				t.Errorf("peer %d has another block %d", i+3, h)
			}
			c.mu.Unlock()
		}
	}
	for _, m := range []*member{one, two} {
		if s := m.Status().Load(); s.Heads.Safe.Height != 0 || s.Counts.Offered < height {
			t.Errorf("got %+v and %+v, want all blocks from peers", s.Heads, s.Counts)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(took)
	t.Logf("on this machine: p50 %s, p99 %s", took[len(took)/2], took[len(took)*99/100])
}
