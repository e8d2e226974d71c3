package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/node"
)

// Faults by their weight. A peer that has come to leaveAt is left, and not let in again for banned: by then whatever was
// wrong with it may be mended. Faults are halved every halfLife. Nothing of it outlives the process.
const (
	forged   = 10 // a block that is not the proposer's
	wrong    = 10 // an answer with a hole, or a forged block, or one that does not come on
	none     = 1  // none: the blocks may be gone since
	leaveAt  = 90
	halfLife = time.Minute
	banned   = 10 * time.Minute
)

// mostBanned bounds those who are kept out: a name costs a stranger nothing. Beyond it the one that would be let in first
// is.
const mostBanned = 256

// scoreEvery is how often the scores of gossipsub are looked at.
const scoreEvery = 5 * time.Second

// peers are the source of the blocks that are missing, and who is asked for them.
type peers struct {
	g *Gossip

	mu      sync.Mutex // guards the rest
	known   map[peer.ID]*known
	banned  map[peer.ID]ban
	dials   map[peer.ID]string // why one of the settings is not there
	head    block.Ref          // the best one of those that are known
	update  func(follow.Update[received])
	answers map[peer.ID]int
	inAll   int
}

// ban keeps a peer out for a while.
type ban struct {
	until time.Time
	cause string
}

// known is a peer that is there.
type known struct {
	head   block.Ref // as it has told
	told   bool      // it has
	heard  bool
	faults float64
	at     time.Time // of faults
	score  float64   // of gossipsub
	cause  string    // of the last fault
	since  time.Time
}

func newPeers(g *Gossip) *peers {
	return &peers{g: g, known: map[peer.ID]*known{}, banned: map[peer.ID]ban{}, dials: map[peer.ID]string{}, answers: map[peer.ID]int{}}
}

// run keeps the peers of the settings there, and asks each that comes for its head.
func (p *peers) run(ctx context.Context) error {
	sub, err := p.g.host.EventBus().Subscribe([]any{new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerConnectednessChanged)})
	if err != nil {
		return fmt.Errorf("watch peers: %w", err)
	}
	defer sub.Close()
	var group sync.WaitGroup
	defer group.Wait()
	gone := map[peer.ID]chan struct{}{}
	for _, info := range p.g.opt.Peers {
		gone[info.ID] = make(chan struct{}, 1)
		group.Go(func() { p.keep(ctx, info, gone[info.ID]) })
	}
	for _, id := range p.g.host.Network().Peers() { // those that were there before
		p.came(id)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-sub.Out():
			switch e := e.(type) {
			case event.EvtPeerIdentificationCompleted:
				p.came(e.Peer)
				if slices.Contains(e.Protocols, protocol.ID(p.g.name("head"))) {
					group.Go(func() { p.listen(ctx, e.Peer) })
				}
			case event.EvtPeerConnectednessChanged:
				if e.Connectedness != network.Connected {
					p.went(e.Peer)
					if c := gone[e.Peer]; c != nil {
						select {
						case c <- struct{}{}:
						default:
						}
					}
				}
			}
		}
	}
}

// keep dials a peer of the settings whenever it is not there. The log says once that it is not, and that it is again.
func (p *peers) keep(ctx context.Context, info peer.AddrInfo, gone <-chan struct{}) {
	backoff := follow.Backoff{Max: 10 * time.Second}
	told := map[bool]bool{} // by whether it is there
	for ctx.Err() == nil {
		err := p.g.host.Connect(network.WithForceDirectDial(ctx, "of the settings"), info)
		cause := ""
		if err != nil {
			cause = strings.Join(strings.Fields(err.Error()), " ") // libp2p's has a line for each address
		}
		p.mu.Lock()
		p.dials[info.ID] = cause
		p.mu.Unlock()
		p.changed()
		switch there := err == nil; {
		case told[there] || ctx.Err() != nil:
		case there:
			p.g.log.Info("peer found", "peer", info.ID)
		default:
			p.g.log.Warn("peer lost", "peer", info.ID, "err", cause)
		}
		told = map[bool]bool{err == nil: true}
		if err != nil {
			_ = backoff.Sleep(ctx, nil)
			continue
		}
		backoff.Reset()
		for p.g.host.Network().Connectedness(info.ID) == network.Connected {
			select {
			case <-gone:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (p *peers) came(id peer.ID) {
	p.mu.Lock()
	if p.known[id] == nil {
		p.known[id] = &known{since: time.Now()}
	}
	p.mu.Unlock()
	p.changed()
}

func (p *peers) went(id peer.ID) {
	p.mu.Lock()
	delete(p.known, id)
	p.settle(block.Ref{}, nil)
	p.mu.Unlock()
	p.changed()
}

// listen hears a peer's heads while it is there.
func (p *peers) listen(ctx context.Context, id peer.ID) {
	backoff := follow.Backoff{Max: 10 * time.Second}
	for p.listens(id, true) {
		err := p.g.hear(ctx, id)
		p.listens(id, false)
		if ctx.Err() != nil {
			return
		}
		p.g.log.Debug("peer's head is not heard", "peer", id, "err", err)
		_ = backoff.Sleep(ctx, nil)
	}
}

// listens notes whether a peer is heard, and reports whether that is new.
func (p *peers) listens(id peer.ID, on bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.known[id]
	if k == nil || k.heard == on {
		return false
	}
	k.heard = on
	return true
}

// announce notes what a peer says its head is, and tells the follower. After a reorg that is a lower one than before. With
// a block a peer says only that there is that block.
func (p *peers) announce(id peer.ID, head block.Ref, item *follow.Item[received]) {
	if head.Height > follow.MaxHeight {
		return
	}
	p.mu.Lock()
	if k := p.known[id]; k != nil && (item == nil || head.Height >= k.head.Height) {
		k.head, k.told = head, true
	}
	p.settle(head, item)
	p.mu.Unlock()
	p.changed()
}

// settle finds the best head, and tells the follower of it if it is another one now, or if it has been said again, and of
// a block that has come. It must be called with mu held.
func (p *peers) settle(said block.Ref, item *follow.Item[received]) {
	was := p.head
	p.head = p.best()
	if item != nil && item.Height > p.head.Height { // whoever has sent it is gone, or not known yet
		p.head = item.Ref()
	}
	if p.update != nil && (item != nil || p.head != was || p.head == said) {
		p.update(follow.Update[received]{Head: p.head, Item: item}) // it does not block
	}
}

// best returns the highest head of the peers that are there; of two branches that are as high that which was best before,
// so that they do not take turns. It must be called with mu held.
func (p *peers) best() (best block.Ref) {
	for _, k := range p.known {
		if k.head.Height > best.Height || k.head.Height == best.Height && k.head == p.head {
			best = k.head
		}
	}
	return best
}

// Subscribe implements follow.Source.
func (p *peers) Subscribe(ctx context.Context, update func(follow.Update[received])) error {
	p.mu.Lock()
	p.update = update
	update(follow.Update[received]{Head: p.head})
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	p.update = nil
	p.mu.Unlock()
	return ctx.Err()
}

var errNobody = errors.New("no peer has it")

// Fetch implements follow.Source. What the node has as safe comes from the node. The rest comes from the peer that has the
// fewest faults, and of these the highest head; the next one is asked where it fails.
func (p *peers) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[received]) error) (err error) {
	give := func(item follow.Item[received]) error {
		err := deliver(item)
		if err == nil {
			from = item.Height + 1
		}
		return err
	}
	for from < to {
		if safe := p.safe(); from <= safe {
			err = p.g.chain.Blocks(await.Safe).Fetch(ctx, from, min(to, safe+1), func(item follow.Item[node.Delivered]) error {
				return give(follow.Item[received]{Height: item.Height, Hash: item.Hash, Parent: item.Parent, Size: 1 << 7})
			})
		} else if err = p.fetchOnce(ctx, from, to, give); errors.Is(err, node.ErrStale) && p.safe() >= from {
			err = nil // it came to be safe while the peer was asked for it
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *peers) safe() uint64 { return p.g.chain.Status().Load().Heads.Safe.Height }

// fetchOnce delivers some blocks, at least one.
func (p *peers) fetchOnce(ctx context.Context, from, to uint64, deliver func(follow.Item[received]) error) error {
	err := fmt.Errorf("%w: %w", follow.ErrNotYet, errNobody)
	for _, id := range p.who(from) {
		some := false
		failure := p.g.ask(ctx, id, from, to, func(item follow.Item[received]) error {
			some = true
			return deliver(item)
		})
		var own *delivered
		switch {
		case errors.As(failure, &own):
			return own.err
		case errors.Is(context.Cause(ctx), follow.ErrStalled): // the next try begins with another one
			p.fault(id, wrong, follow.ErrStalled)
			return follow.ErrStalled
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(failure, errNone):
			p.fault(id, none, failure)
		case isTimeout(failure) && !some: // it has come on, and to nothing
			p.fault(id, wrong, failure)
		case errors.Is(failure, errHole), errors.Is(failure, errLong), blame(failure) == pubsub.ValidationReject:
			p.fault(id, wrong, failure)
		case failure != nil:
			p.g.log.Debug("peer does not give blocks", "peer", id, "from", from, "to", to, "err", failure)
		}
		if some {
			return nil
		}
		if failure != nil {
			err = fmt.Errorf("%w: peer %s: %w", follow.ErrNotYet, id, failure)
		}
	}
	return err
}

func isTimeout(err error) bool {
	var timed interface{ Timeout() bool }
	return errors.As(err, &timed) && timed.Timeout()
}

// who returns who may have the block at height, the best one first.
func (p *peers) who(height uint64) (ids []peer.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for id, k := range p.known {
		if k.head.Height >= height {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b peer.ID) int {
		return cmp.Or(cmp.Compare(p.known[a].fault(now), p.known[b].fault(now)), cmp.Compare(p.known[b].head.Height, p.known[a].head.Height), cmp.Compare(a, b))
	})
	return ids
}

// fault returns the weight of a peer's faults.
func (k *known) fault(now time.Time) float64 {
	return k.faults * math.Exp2(-now.Sub(k.at).Seconds()/halfLife.Seconds())
}

// fault notes a fault of a peer, and leaves it where there are too many.
func (p *peers) fault(id peer.ID, weight float64, cause error) {
	now := time.Now()
	p.mu.Lock()
	k := p.known[id]
	if k == nil {
		p.mu.Unlock()
		return
	}
	k.faults, k.at, k.cause = k.fault(now)+weight, now, cause.Error()
	b, left := p.banned[id]
	leave := k.faults >= leaveAt && !(left && now.Before(b.until)) // what was under way when it was left is none of it
	if leave {
		p.ban(id, ban{now.Add(banned), k.cause})
	}
	p.mu.Unlock()
	p.g.counts.faults.Add(1)
	p.changed()
	if leave {
		p.g.log.Warn("peer is left", "peer", id, "for", banned, "err", cause)
		_ = p.g.host.Network().ClosePeer(id)
		p.g.counts.left.Add(1)
	}
}

// ban keeps a peer out. It must be called with mu held.
func (p *peers) ban(id peer.ID, b ban) {
	p.banned[id] = b
	if len(p.banned) <= mostBanned {
		return
	}
	first := id
	for other, at := range p.banned {
		if at.until.Before(p.banned[first].until) {
			first = other
		}
	}
	delete(p.banned, first)
}

// scoring returns how gossipsub scores: by the faults that are counted here, and by broken promises of its own protocol.
// How many blocks come from whom does not count: a peer to whom nobody sends anything first is none the worse.
func (p *peers) scoring() (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	return &pubsub.PeerScoreParams{
			SkipAtomicValidation: true,
			AppSpecificScore: func(id peer.ID) float64 {
				p.mu.Lock()
				defer p.mu.Unlock()
				if k := p.known[id]; k != nil {
					return -k.fault(time.Now())
				}
				return 0
			},
			AppSpecificWeight: 1, DecayInterval: time.Second, DecayToZero: .01, RetainScore: banned,
			BehaviourPenaltyWeight: -10, BehaviourPenaltyThreshold: 6, BehaviourPenaltyDecay: pubsub.ScoreParameterDecay(10 * time.Minute),
		}, &pubsub.PeerScoreThresholds{
			SkipAtomicValidation: true, GossipThreshold: -leaveAt / 4, PublishThreshold: -leaveAt / 2, GraylistThreshold: -leaveAt,
		}
}

// scored notes the scores of gossipsub.
func (p *peers) scored(scores map[peer.ID]*pubsub.PeerScoreSnapshot) {
	p.mu.Lock()
	for id, s := range scores {
		if k := p.known[id]; k != nil {
			k.score = s.Score
		}
	}
	p.mu.Unlock()
	p.changed()
}

// enter reports whether a peer may have one more answer now. Who has entered leaves.
func (p *peers) enter(id peer.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inAll >= answersInAll || p.answers[id] >= answersEach {
		return false
	}
	p.inAll++
	p.answers[id]++
	return true
}

func (p *peers) leave(id peer.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inAll--
	if p.answers[id]--; p.answers[id] == 0 {
		delete(p.answers, id)
	}
}

// allowed reports whether a peer may be there.
func (p *peers) allowed(id peer.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.banned[id]
	if ok && time.Now().After(b.until) {
		delete(p.banned, id)
		ok = false
	}
	return !ok
}

// gater keeps out who was left.
type gater peers

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gater) InterceptPeerDial(id peer.ID) bool { return (*peers)(g).allowed(id) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gater) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gater) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gater) InterceptSecured(_ network.Direction, id peer.ID, _ network.ConnMultiaddrs) bool {
	return (*peers)(g).allowed(id)
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gater) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
