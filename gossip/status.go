package gossip

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"headrace/node"
)

// counts are node.PeerCounts.
type counts struct {
	received, ignored, forged, taken, published, asked, answered, faults, left atomic.Uint64
}

func (c *counts) load() node.PeerCounts {
	return node.PeerCounts{
		Received: c.received.Load(), Ignored: c.ignored.Load(), Forged: c.forged.Load(), Taken: c.taken.Load(), Published: c.published.Load(),
		Asked: c.asked.Load(), Answered: c.answered.Load(), Faults: c.faults.Load(), Left: c.left.Load(),
	}
}

// Endpoints implements node.BlockSource: peers are no endpoints.
func (g *Gossip) Endpoints() []node.Endpoint { return nil }

// Peers says what is known of the peers, for the node's status.
func (g *Gossip) Peers() node.Peers {
	s := node.Peers{ID: g.host.ID().String(), Addresses: []string{}, Peers: g.peers.list(), Counts: g.counts.load()}
	for _, a := range g.host.Addrs() {
		s.Addresses = append(s.Addresses, a.String()+"/p2p/"+s.ID)
	}
	g.peers.mu.Lock()
	s.Head = g.peers.head
	g.peers.mu.Unlock()
	if f := g.follow.Load(); f != nil {
		s.Waiting = f.State().Load().Waiting
	}
	return s
}

// list returns the peers that are there, those of the settings, and those that were left.
func (p *peers) list() []node.Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, g := time.Now(), p.g
	list := make([]node.Peer, 0, len(p.known))
	for id, k := range p.known {
		at := node.Peer{ID: id.String(), Connected: true, Since: k.since, Head: k.head, Score: k.score, Faults: k.fault(now), Cause: k.cause}
		if c := g.host.Network().ConnsToPeer(id); len(c) > 0 {
			at.Address = c[0].RemoteMultiaddr().String()
		}
		list = append(list, at)
	}
	for _, info := range g.opt.Peers {
		if _, left := p.banned[info.ID]; left || p.known[info.ID] != nil {
			continue
		}
		at := node.Peer{ID: info.ID.String(), Cause: p.dials[info.ID], Connected: g.host.Network().Connectedness(info.ID) == network.Connected}
		if len(info.Addrs) > 0 {
			at.Address = info.Addrs[0].String()
		}
		list = append(list, at)
	}
	for id, b := range p.banned {
		if now.After(b.until) {
			delete(p.banned, id)
			continue
		}
		list = append(list, node.Peer{ID: id.String(), Left: b.until, Cause: b.cause})
	}
	slices.SortFunc(list, func(a, b node.Peer) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// changed has the node's status made anew.
func (p *peers) changed() {
	if c := p.g.chain; c != nil {
		c.Refresh()
	}
}
