package gossip

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"headrace/block"
	"headrace/follow"
	"headrace/node"
)

// Recover implements node.Recoverer: it asks the peers for the blocks that they have from a height on, each up to the
// head that it tells. What is not known while one of the settings has not answered is an error; without any there, one
// peer at least has to.
func (g *Gossip) Recover(ctx context.Context, from uint64, take func(node.SignedBlock) error) error {
	select {
	case <-g.joined:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var failed []error
	answered := 0
	for _, id := range g.peers.all() {
		err := g.recoverFrom(ctx, id, from, take)
		var own *delivered
		switch {
		case errors.As(err, &own):
			return own.err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			answered++
		case g.isOfSettings(id):
			failed = append(failed, fmt.Errorf("peer %s: %w", id, err))
		}
	}
	if answered == 0 && len(failed) == 0 {
		return errNobody
	}
	return errors.Join(failed...)
}

func (g *Gossip) isOfSettings(id peer.ID) bool {
	return slices.ContainsFunc(g.opt.Peers, func(p peer.AddrInfo) bool { return p.ID == id })
}

// errUntold: a peer has not told its head, so what it has is not known.
var errUntold = errors.New("it is not there, or has not told its head")

// recoverFrom asks one peer.
func (g *Gossip) recoverFrom(ctx context.Context, id peer.ID, from uint64, take func(node.SignedBlock) error) error {
	head, told := g.peers.told(id)
	if !told {
		return errUntold
	}
	for from <= head.Height {
		some := false
		err := g.ask(ctx, id, from, head.Height+1, func(item follow.Item[received]) error {
			some, from = true, item.Height+1
			return take(node.SignedBlock{Header: item.Data.header, Data: item.Data.data, Bare: true})
		})
		if err != nil {
			return err
		}
		if !some {
			return errNone
		}
	}
	return nil
}

// all returns the peers of the settings, and the others that are there.
func (p *peers) all() (ids []peer.ID) {
	for _, info := range p.g.opt.Peers {
		ids = append(ids, info.ID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.known {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// told returns the head that a peer has told, if it is there.
func (p *peers) told(id peer.ID) (head block.Ref, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.known[id]
	if k == nil || !k.told {
		return head, false
	}
	return k.head, true
}

var _ node.Recoverer = (*Gossip)(nil)
