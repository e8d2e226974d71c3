// Package gossip spreads a chain's signed blocks from node to node over libp2p, before the canonical source has them.
//
// A block goes to all peers over gossipsub, in one topic of the chain, and what a node has missed it asks one of its peers
// for, by a range of heights. Blocks are taken by the same gate and the same authority as any that come beside the
// canonical source: a peer can withhold blocks and cost time, it cannot change what the chain is. It speaks no other
// protocol of gossip than its own, Evolve's neither.
//
// Nothing is decoded before its size is known, nothing is forwarded before the proposer's signature holds, and a peer that
// sends what is forged is left. There is no discovery and no relay: peers are those of the settings, and who dials.
package gossip

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/sync/errgroup"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/node"
	"headrace/watch"
)

// MaxBlock bounds a block, as block.Block.Encode has it, in bytes: in gossip, in an answer to a request, and there as on a
// DA layer, whose blobs hold less.
const MaxBlock = 8 << 20

// around is what gossipsub's messages have beside a block, in bytes.
const around = 64 << 10

// chain is a node, as gossip uses it. Its methods are safe for concurrent use.
type chain interface {
	CheckHeader(header []byte) (*block.SignedHeader, error)
	TakeSigned(ctx context.Context, b node.SignedBlock) (node.Verdict, error)
	Blocks(head await.Label) follow.Source[node.Delivered]
	Status() *watch.Value[node.Status]
	Refresh()
}

// Options say how to gossip.
type Options struct {
	Genesis block.Hash // the hash of the genesis: only peers of the same chain hear each other

	Key    crypto.PrivKey  // names this host to its peers: its ID follows from it
	Listen []string        // multiaddrs to listen on; none: peers are only dialled
	Peers  []peer.AddrInfo // that are dialled, again whenever they are gone
	Most   int             // peers at a time; default 50. Those of Peers are kept whatever their number

	Host host.Host // in the place of one that is made of Key and Listen. It is not closed

	Logger *slog.Logger // default: silent
}

// Gossip is a host among its peers, and brings a node their blocks: it is a node.BlockSource. Make it with Open, run it
// once, and close it.
type Gossip struct {
	opt   Options
	log   *slog.Logger
	host  host.Host
	chain chain // from Run on
	topic *pubsub.Topic
	sub   *pubsub.Subscription
	tally tally
	peers *peers
	sink  *sink

	counts counts
	follow atomic.Pointer[follow.Follower[received]]

	ctx    context.Context // of Run
	joined chan struct{}   // closed when that has begun
}

// Open makes a host and listens. Nothing is dialled yet.
func Open(opt Options) (*Gossip, error) {
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	opt.Most = cmp.Or(opt.Most, 50)
	g := &Gossip{opt: opt, log: opt.Logger, host: opt.Host, joined: make(chan struct{})}
	g.peers = newPeers(g)
	if g.host == nil {
		if err := g.listen(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// forever is how long no news means nothing: a chain may be idle, and a peer that is gone is noticed by its connection.
const forever = 1 << 62

// stall is how long an answer may come on by less than a few bytes.
const stall = 10 * time.Second

// maxBackoff bounds the pause between tries: so much later than possible a block is there, at the most.
const maxBackoff = time.Second

// listen makes the host. With SO_REUSEPORT, libp2p's habit, two processes at one port would each have some of the peers.
func (g *Gossip) listen() error {
	manager, err := connmgr.NewConnManager(g.opt.Most*3/4, g.opt.Most, connmgr.WithGracePeriod(10*time.Second))
	if err != nil {
		return fmt.Errorf("limit peers to %d: %w", g.opt.Most, err)
	}
	opts := []libp2p.Option{
		libp2p.Identity(g.opt.Key), libp2p.NoListenAddrs, libp2p.UserAgent("headrace"),
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()), libp2p.Transport(libp2pquic.NewTransport), libp2p.Security(noise.ID, noise.New), libp2p.DefaultMuxers,
		libp2p.ConnectionManager(manager), libp2p.ConnectionGater((*gater)(g.peers)),
		libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.DisableIdentifyAddressDiscovery(),
	}
	if g.host, err = libp2p.New(opts...); err != nil {
		return fmt.Errorf("make libp2p host: %w", err)
	}
	for _, text := range g.opt.Listen { // one by one: of several together libp2p leaves out those that fail
		a, err := ma.NewMultiaddr(text)
		if err == nil {
			err = g.host.Network().Listen(a)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("listen for peers at %s: %w", text, err), g.host.Close())
		}
	}
	for _, p := range g.opt.Peers {
		g.host.ConnManager().Protect(p.ID, "of the settings")
	}
	g.log.Info("gossip", "id", g.host.ID(), "addresses", g.Peers().Addresses)
	return nil
}

// name is the part of the chain's protocols and topics that says which chain it is.
func (g *Gossip) name(what string) string {
	return "/headrace/1/" + g.opt.Genesis.String() + "/" + what
}

// join makes the topic. It is there until ctx ends.
func (g *Gossip) join(ctx context.Context) error {
	g.ctx = ctx
	g.host.SetStreamHandler(protocol.ID(g.name("range")), g.serve)
	g.host.SetStreamHandler(protocol.ID(g.name("head")), g.tell)
	ps, err := pubsub.NewGossipSub(ctx, g.host,
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(), pubsub.WithMessageIdFn(messageID),
		pubsub.WithMaxMessageSize(MaxBlock+around), pubsub.WithPeerExchange(false), pubsub.WithLogger(slog.New(quiet{g.log.Handler()})),
		pubsub.WithPeerScore(g.peers.scoring()), pubsub.WithPeerScoreInspect(g.peers.scored, scoreEvery),
		pubsub.WithSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(g.name("blocks"))),
		pubsub.WithValidateThrottle(checks), pubsub.WithValidateQueueSize(checks),
	)
	if err != nil {
		return fmt.Errorf("start gossip: %w", err)
	}
	topic := g.name("blocks")
	if err := ps.RegisterTopicValidator(topic, g.validate, pubsub.WithValidatorConcurrency(checks)); err != nil {
		return fmt.Errorf("start gossip: %w", err)
	}
	if g.topic, err = ps.Join(topic); err != nil {
		return fmt.Errorf("join %s: %w", topic, err)
	}
	if g.sub, err = g.topic.Subscribe(pubsub.WithBufferSize(checks)); err != nil {
		return fmt.Errorf("join %s: %w", topic, err)
	}
	return nil
}

// quiet leaves out what a library tells for its own sake.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }

// checks bounds the messages that are looked at, and those that wait for it, each.
const checks = 16

// messageID is SHA-256 of all that the message holds. With less, a garbled copy would take the honest block's place among
// those that were seen.
func messageID(m *pb.Message) string {
	sum := sha256.Sum256(m.GetData())
	return string(sum[:])
}

// Run implements node.BlockSource.
func (g *Gossip) Run(ctx context.Context, to *node.Node) error { return g.run(ctx, to) }

func (g *Gossip) run(ctx context.Context, to chain) error {
	group, ctx := errgroup.WithContext(ctx)
	g.chain, g.sink = to, newSink(g, to.Status().Load().Heads.Unsafe)
	f := follow.New(g.peers, g.sink, follow.Options{Logger: g.log, Stall: forever, FetchStall: stall, Backoff: follow.Backoff{Max: maxBackoff}})
	g.follow.Store(f)
	if err := g.join(ctx); err != nil {
		return err
	}
	close(g.joined)
	defer g.sub.Cancel()
	group.Go(func() error { return g.peers.run(ctx) })
	group.Go(func() error { return g.receive(ctx) })
	group.Go(func() error { return f.Run(ctx) })
	group.Go(func() error { return g.sink.back(ctx) })
	group.Go(func() error { return g.publish(ctx) })
	return group.Wait()
}

// Close closes the host that Open made.
func (g *Gossip) Close() error {
	if g.opt.Host != nil {
		return nil
	}
	return g.host.Close()
}

// ID returns the host's name among its peers.
func (g *Gossip) ID() peer.ID { return g.host.ID() }

// tally holds which blocks were taken or forwarded, by height: of each height only so many are forwarded, and each once,
// in whatever bytes it comes. It is bounded by what the gate lets through.
type tally struct {
	mu   sync.Mutex
	seen map[uint64][]block.Hash
}

// mostForwarded is how many blocks of a height are forwarded. A second one is evidence against the proposer.
const mostForwarded = 2

// add reports whether a block is new, and may be forwarded.
func (t *tally) add(r block.Ref) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil {
		t.seen = map[uint64][]block.Hash{}
	}
	at := t.seen[r.Height]
	for _, h := range at {
		if h == r.Hash {
			return false
		}
	}
	if len(at) >= mostForwarded {
		return false
	}
	t.seen[r.Height] = append(at, r.Hash)
	return true
}

// forget drops all up to a height: the gate lets none of them through.
func (t *tally) forget(height uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for h := range t.seen {
		if h <= height {
			delete(t.seen, h)
		}
	}
}
