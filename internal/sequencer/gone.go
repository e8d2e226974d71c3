package sequencer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"headrace/block"
	"headrace/internal/syncer"
	"headrace/l1"
)

// gone is the node's position that is not there any more at the endpoint that proposals go through. Blocks of an L1 can
// vanish without others in their place, as those of a dev chain that is put back to a snapshot do. Nothing competes with
// the position then, so the node keeps it (I10); and if the sequencer waited for it, nothing ever would compete.
type gone struct {
	at    block.Ref // the position
	since time.Time // when the endpoint was found to stand below it
}

var (
	errStandsBelow = errors.New("the L1 endpoint that proposals go through stands below")
	errVanished    = errors.New("the L1 block has vanished")
)

// from returns where a draft is to go: what the node knows, as a rule, or, when its position is gone, what it knew as of
// the head of the endpoint that proposals go through. It is gone if that endpoint has another block there or, since it
// may only be late, has stood below for as long as an L1 may be silent. The L1 decides what becomes of the draft; the
// node goes back when it sees the block with it, and not before.
func (q *Sequencer) from(ctx context.Context, s syncer.Status) (syncer.Status, error) {
	head, lost, err := q.cfg.Inbox.Gone(ctx, l1.Ref(s.Position))
	if err != nil || !lost {
		q.gone = gone{}
		return s, err
	}
	if q.gone.at != s.Position {
		q.gone = gone{s.Position, time.Now()}
	}
	if head.Height < s.Position.Height {
		if patience := q.cfg.Patience(); time.Since(q.gone.since) < patience {
			return s, fmt.Errorf("%w block %d, up to which this node has followed the L1: if it still does after %s, the next proposal goes there", errStandsBelow, s.Position.Height, patience.Round(time.Millisecond))
		}
	}
	if head.Height < s.Final.Height { // the node will not go back so far: what is proposed there is paid for in vain
		return s, fmt.Errorf("the L1 endpoint that proposals go through stands at block %d: %w", head.Height, syncer.RevertsFinal(s.Final))
	}
	return q.asOf(ctx, s, head)
}

// asOf returns what the node knew when the last proposal on the chain up to head was the last.
func (q *Sequencer) asOf(ctx context.Context, s syncer.Status, head l1.Ref) (syncer.Status, error) {
	state, err := q.cfg.Inbox.State(ctx, l1.Hash(head.Hash))
	if err != nil {
		return s, fmt.Errorf("read the inbox's state in L1 block %d: %w", head.Height, err)
	}
	s.Position = block.Ref(head)
	if state.NextID == 1 {
		s.Proposal, s.Safe = syncer.Proposal{}, q.cfg.Syncer.BeforeFirst()
		return s, nil
	}
	known := append(slices.Clone(s.Earlier), s.Proposal)
	i := slices.IndexFunc(known, func(p syncer.Proposal) bool { return p.ID == state.NextID-1 && p.L1.Height == state.LastBlock })
	if i < 0 {
		return s, fmt.Errorf("L1 block %d follows proposal %d, which this node has not followed", head.Height, state.NextID-1)
	}
	if _, lost, err := q.cfg.Inbox.Gone(ctx, l1.Ref(known[i].L1)); err != nil {
		return s, err
	} else if lost {
		return s, fmt.Errorf("L1 block %d, with proposal %d, is gone too", known[i].L1.Height, known[i].ID)
	}
	s.Proposal, s.Safe = known[i], known[i].L2
	return s, nil
}

// followed waits until the node has followed the L1 past a block with a proposal. Between its inclusion and that the
// block may vanish. Then nobody ever sees it, and nothing tells of that: so the endpoint is asked, each time that the L1
// has been silent for long. errVanished: it is gone.
func (q *Sequencer) followed(ctx context.Context, at l1.Ref, there func(syncer.Status) bool) (syncer.Status, error) {
	for {
		look, cancel := context.WithTimeout(ctx, q.cfg.Patience())
		s, err := q.cfg.Syncer.Status().Wait(look, there)
		silent := look.Err() != nil
		cancel()
		if err == nil || !silent || ctx.Err() != nil || q.cfg.Inbox == nil {
			return s, err
		}
		if _, gone, err := q.cfg.Inbox.Gone(ctx, at); err == nil && gone {
			return s, errVanished
		}
	}
}

// nudge has the L1 make a block where the node's position is gone and nothing can be proposed: forced items are due that
// are in none of the blocks of a draft, and those are safe blocks to this node, which cannot be replaced. Any block
// competes with the position, so the node goes back, and replaces them.
func (q *Sequencer) nudge(ctx context.Context, s syncer.Status) error {
	if n, ok := q.cfg.Proposer.(l1.Nudger); ok {
		bounded, cancel := context.WithTimeout(ctx, q.timeout())
		defer cancel()
		if err := n.Nudge(bounded); err != nil {
			q.said.Warn(q.cfg.Logger, "no empty transaction sent to an L1 that has lost blocks", err)
			return ctx.Err()
		}
	}
	return q.moved(ctx, s)
}
