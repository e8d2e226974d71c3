package sequencer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/l1"
	"headrace/l1/compact"
)

// propose posts what is made and not yet canonical as proposals to the inbox, one at a time.
func (q *Sequencer) propose(ctx context.Context) error {
	if err := q.prepared(ctx); err != nil {
		return err
	}
	if err := q.cfg.CaughtUp(ctx); err != nil {
		return err
	}
	part := portion{most: q.cfg.Proposer.Limit(), limit: q.cfg.Proposer.Limit()}
	backoff := follow.Backoff{Min: 200 * time.Millisecond, Max: 10 * time.Second}
	var looked block.Ref // up to where the L1 was followed at the last look
	whole := false       // the next draft is as large as it may be, whatever that is worth
	lost := false        // the last try makes one doubt that the L1 has the node's position
	for {
		s, err := q.cfg.Syncer.Status().Wait(ctx, func(s syncer.Status) bool {
			return !s.Diverged && (s.Unsafe.Height > s.Safe.Height || q.cfg.Lazy && s.Position != looked) // see due; and what is forced ends the wait for transactions
		})
		if err != nil {
			return err
		}
		looked = s.Position
		q.asks = q.cfg.Hand.Held().Load().Asks
		if !lost && s.Unsafe.Height > s.Safe.Height {
			var why reason
			if s, why, err = q.ripen(ctx); ctx.Err() != nil {
				return ctx.Err()
			} else if err == nil && why == "" {
				continue
			}
			looked = s.Position
		}
		at := s
		if lost && q.cfg.Inbox != nil {
			at, err = q.from(ctx, s)
		}
		var draft draftOf
		if err == nil {
			draft, err = q.draft(ctx, at, part.limit, whole)
		}
		elsewhere := at.Position != s.Position
		if err == nil && draft.n > 0 {
			if !elsewhere {
				draft.Fuller = q.fuller(draft.last, s, part.limit, whole)
			}
			_, err = q.proposeOne(ctx, draft, s, elsewhere)
		}
		due := errors.Is(err, l1.ErrForcedDue)
		lost = errors.Is(err, l1.ErrNotFound) || errors.Is(err, l1.ErrStale) || errors.Is(err, errStandsBelow) || errors.Is(err, errVanished) ||
			errors.Is(err, follow.ErrFinalized) || due && elsewhere
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			backoff.Reset()
			if draft.n > 0 {
				part.posted(time.Now())
				whole = false
			}
			q.status.Update(func(s Status) Status {
				s.Submitted, s.Failure, s.Stuck = max(s.Submitted, draft.last), "", ""
				return s
			})
			continue
		case errors.Is(err, l1.ErrTooBig) && draft.n == 1:
			err = q.stuck(draft.last, draft.size, err)
		case errors.Is(err, l1.ErrNotProposer), errors.Is(err, l1.ErrFunds):
			err = q.refused(err)
		case errors.Is(err, l1.ErrTooBig) && draft.n > 1:
			part.tooBig(draft.size, time.Now())
		case errors.Is(err, l1.ErrFeeCap): // no size is why
		case errors.Is(err, l1.ErrUnknownOutcome) && draft.n > 0:
			part.unknown(draft.last-uint64(draft.n)+1, draft.last, draft.size, time.Now())
		case due && draft.short && draft.cut && !whole: // nor for proposals that were made smaller for their price
			whole = true
		case due && draft.short && part.whole(time.Now()): // nothing is dropped for proposals that were made smaller on a suspicion
		case due && draft.short && draft.last <= s.Safe.Height && draft.last < s.Unsafe.Height:
			if err := q.nudge(ctx, s); err != nil {
				return err
			}
		case due && draft.short && (draft.last < s.Unsafe.Height || s.Unsafe.Height-s.Safe.Height >= q.cfg.MaxPending):
			// The inbox requires forced items whose transactions are not in the blocks of this draft. Either they are
			// in later blocks, which do not fit into it, or in no block, because as many are pending as may be. So
			// drop the later half of the draft's blocks and all that follow. The next block includes the forced
			// transactions, and the draft has room for it. What the node calls safe stays, of a position that is gone too.
			keep := max(s.Safe.Height, at.Safe.Height+(draft.last-at.Safe.Height)/2)
			if err := q.cfg.Syncer.DropAbove(ctx, keep, "forced transactions are due that did not fit into a proposal of them"); follow.IsFatal(err) {
				return err
			}
			q.forced.again(ctx)
			backoff.Reset()
		case errors.Is(err, l1.ErrStale), due && !draft.short: // the inbox is not, or not yet, what this node knows of it
			if err := q.moved(ctx, s); err != nil {
				return err
			}
		}
		if !errors.Is(err, l1.ErrNotProposer) && !errors.Is(err, l1.ErrFunds) && !errors.Is(err, l1.ErrTooBig) { // what it was is not what it is
			q.status.Update(func(s Status) Status { s.Stuck = ""; return s })
		}
		q.failed(err)
		var included func(syncer.Status) bool
		if draft.n > 0 && (errors.Is(err, l1.ErrUnknownOutcome) || errors.Is(err, context.DeadlineExceeded)) {
			included = func(now syncer.Status) bool { return now.Proposal.ID >= draft.ID && now.Proposal != s.Proposal }
		}
		if err := q.sleepUntil(ctx, &backoff, included); err != nil {
			return err
		}
	}
}

// refused notes that the account may not propose, or cannot pay for it, and returns the error that says so. It is tried
// again, but each try ends alike until somebody acts.
func (q *Sequencer) refused(err error) error {
	todo := "fund it"
	if errors.Is(err, l1.ErrNotProposer) {
		todo = "have the inbox's owner let it (headrace inbox proposer), or set l1.key_file to the key of an account that may"
	}
	err = fmt.Errorf("%w: %s", err, todo)
	q.status.Update(func(s Status) Status { s.Stuck = err.Error(); return s })
	return err
}

// draftOf is a draft, and what is in it.
type draftOf struct {
	l1.Draft
	n     int // blocks
	size  int // of its payload in bytes
	last  uint64
	short bool // it takes fewer forced items than it could
	cut   bool // it has fewer blocks than it could, for its price
}

// draft makes a proposal of as many unsafe blocks as fit into limit bytes, and into what is worth its price unless whole is
// set, but of one at least, and of the forced items whose transactions are in them, or could be in no block.
func (q *Sequencer) draft(ctx context.Context, s syncer.Status, limit int, whole bool) (draftOf, error) {
	d := draftOf{Draft: l1.Draft{ID: s.Proposal.ID + 1, Parent: l1.Hash(s.Safe.Hash)}, last: s.Safe.Height}
	queue, err := q.forced.look(ctx, s)
	if err != nil {
		return d, err
	}
	blocks, err := q.blocks(s.Safe.Height+1, s.Unsafe.Height)
	if err != nil || len(blocks) == 0 {
		return d, err
	}
	if err := q.fill(&d, blocks, limit); err != nil {
		return d, err
	}
	most, worth := d.n, limit
	if d.n == len(blocks) {
		worth = min(d.size, limit)
	}
	if w, ok := q.cfg.Proposer.(l1.Weigher); ok && !whole {
		all := worth
		if worth, err = w.Worth(ctx, all); err != nil {
			return d, err
		}
		if worth < all {
			if err := q.fill(&d, blocks, min(limit, worth)); err != nil {
				return d, err
			}
		}
	}
	d.cut = d.n < most
	if d.n == 0 {
		return d, fmt.Errorf("block %d was made when a proposal could hold more: propose in blobs (l1.blobs) until it is posted: %w", d.last+1, l1.ErrTooBig)
	}
	d.last += uint64(d.n)
	d.Forced, err = q.cfg.Syncer.Taken(ctx, blocks[:d.n], queue)
	d.short = d.Forced < len(queue)
	return d, err
}

// fuller returns what makes a draft of more blocks than those up to last, which was drafted when this was the status, while
// its proposal is under way: with those that were made meanwhile.
func (q *Sequencer) fuller(last uint64, was syncer.Status, limit int, whole bool) func(context.Context) (l1.Draft, bool) {
	return func(ctx context.Context) (l1.Draft, bool) {
		s := q.cfg.Syncer.Status().Load()
		if s.Diverged || s.Safe != was.Safe || s.Proposal != was.Proposal || s.Unsafe.Height <= last {
			return l1.Draft{}, false
		}
		next, err := q.draft(ctx, s, limit, whole)
		if err != nil || next.last <= last {
			return l1.Draft{}, false
		}
		last = next.last
		q.status.Update(func(s Status) Status { s.Flight.To = last; return s })
		return next.Draft, true
	}
}

// fill puts as many of blocks into a draft as fit into limit bytes, but one at least if a proposal holds it.
func (q *Sequencer) fill(d *draftOf, blocks []*block.Block, limit int) error {
	if q.cfg.Payload == l1.CompactVersion {
		parent := compact.Parent{Height: d.last}
		if !d.Parent.IsZero() {
			rec, err := q.cfg.Syncer.Block(d.last)
			if err != nil {
				return err
			}
			parent.Block = rec.Block
		}
		err := q.fillCompact(d, parent, blocks, limit)
		if err == nil {
			return nil
		}
		q.said.Warn(q.cfg.Logger, "blocks are proposed in version 1", err) // it holds any
	}
	var err error
	if d.Blocks, err = q.encodeAll(blocks, max(limit, q.cfg.Proposer.Limit())); err != nil {
		return err
	}
	d.Payload, d.Count = nil, 0
	d.n = max(l1.Fit(d.Blocks, limit), min(l1.Fit(d.Blocks, q.cfg.Proposer.Limit()), 1))
	d.Blocks = d.Blocks[:d.n]
	d.size = l1.PayloadSize(d.Blocks)
	return nil
}

// fillCompact is fill in version 2. What it has written it reads, as every node will, before it is posted.
func (q *Sequencer) fillCompact(d *draftOf, parent compact.Parent, blocks []*block.Block, limit int) error {
	chain := &compact.Chain{ID: q.cfg.Syncer.Authority().ChainID(), Seals: q.cfg.Seals}
	for n := len(blocks); n > 0; {
		signed := slices.Clone(blocks[:n])
		header, err := q.signedHeader(signed[n-1])
		if err != nil {
			return err
		}
		signed[n-1] = &block.Block{Header: header, Data: signed[n-1].Data}
		payload, err := compact.Encode(chain, parent, signed)
		switch {
		case errors.Is(err, l1.ErrTooBig):
			n /= 2
			continue
		case err != nil:
			return err
		case len(payload) > limit && (n > 1 || len(payload) > q.cfg.Proposer.Limit()):
			n = fewer(n, limit, len(payload))
			continue
		}
		read, err := compact.Decode(chain, parent, payload)
		if err != nil {
			return fmt.Errorf("read what was written: %w", err)
		}
		if last := read[n-1]; last.Hash() != signed[n-1].Hash() || last.Header.Verify() != nil {
			return fmt.Errorf("read what was written: got block %s, want %s", last.Hash(), signed[n-1].Hash())
		}
		d.Blocks, d.Payload, d.Count, d.n, d.size = nil, payload, n, n, len(payload)
		return nil
	}
	return l1.ErrTooBig
}

// fewer returns how many of n blocks, which take size bytes, may fit into limit bytes: one at least, and less than n.
func fewer(n, limit, size int) int {
	return min(n-1, max(1, int(int64(n)*int64(limit)/int64(size))))
}

// signedHeader is a block's header with its signatures. One that came from the L1 without them is signed again: nothing
// else is signed than was before.
func (q *Sequencer) signedHeader(b *block.Block) (block.SignedHeader, error) {
	if len(b.Header.Signature) > 0 {
		return b.Header, nil
	}
	return block.SignHeader(q.cfg.Key, b.Header.Header)
}

// blocks returns the stored blocks from one height to another, or as many of them as a proposal could hold, and one more:
// in bytes, too, since any number may wait while the L1 is away (I6).
func (q *Sequencer) blocks(from, to uint64) (blocks []*block.Block, err error) {
	room := compact.MaxMemory // of a payload of version 1, too, which holds less
	for h := from; h <= to && len(blocks) < l1.MaxBlocks && room >= 0; h++ {
		rec, err := q.cfg.Syncer.Block(h)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, rec.Block)
		room -= compact.Memory(rec.Block)
	}
	return blocks, nil
}

// encodeAll writes blocks as a proposal holds them, or as many as fit into limit bytes, and one more.
func (q *Sequencer) encodeAll(blocks []*block.Block, limit int) (encoded []l1.Encoded, err error) {
	size := 0
	for i := 0; i < len(blocks) && size <= limit; i++ {
		e, err := q.encode(blocks[i])
		if err != nil {
			return nil, err
		}
		encoded = append(encoded, e)
		size += len(e.Header) + len(e.Data)
	}
	return encoded, nil
}

// encode writes a block as a proposal holds it.
func (q *Sequencer) encode(b *block.Block) (l1.Encoded, error) {
	blobs, err := q.blobs(b)
	if err != nil {
		return l1.Encoded{}, err
	}
	e := l1.Encoded{Header: blobs[0].Data}
	if len(blobs) > 1 {
		e.Data = blobs[1].Data
	}
	return e, nil
}

// proposeOne returns once the proposal, which was drafted when this was the status, is included and this node has
// followed the L1 past it, or it is clear that it will not. A position beside it, on a branch that the L1 has left, shows
// nothing: from there the same draft would be made and found included again, at once and without end, until the node has
// gone back. Elsewhere means that the draft was not made for the position: then nothing but the proposal itself shows it.
func (q *Sequencer) proposeOne(ctx context.Context, d draftOf, was syncer.Status, elsewhere bool) (l1.Inclusion, error) {
	bounded, cancel := context.WithTimeout(ctx, q.timeout())
	defer cancel()
	start := q.sent(bounded, d.last-uint64(d.n)+1, d.last)
	defer q.landed()
	in, err := q.cfg.Proposer.Propose(bounded, d.Draft)
	q.cfg.Syncer.Took(syncer.StepPost, d.last, start, err)
	if err != nil {
		return in, fmt.Errorf("propose %d, blocks up to %d: %w", d.ID, d.last, err)
	}
	q.cfg.Logger.Debug("proposed", "id", in.ID, "to", d.last, "source", in.Block.Height)
	s, err := q.followed(bounded, in.Block, func(s syncer.Status) bool {
		if elsewhere {
			return s.Proposal.Tx == block.Hash(in.Tx)
		}
		return s.Proposal.ID >= d.ID || s.Position.Height >= in.Block.Height && s.Position != was.Position
	})
	switch {
	case err != nil:
		return in, fmt.Errorf("proposal %d is included in L1 block %d, which has not been followed: %w", d.ID, in.Block.Height, err)
	case s.Proposal.ID == d.ID && s.Proposal.Void != "":
		return in, fmt.Errorf("proposal %d is void: %s", d.ID, s.Proposal.Void)
	}
	return in, nil
}

// moved waits until the node has learned something of the inbox that it did not know in s, for as long as the L1 may be
// silent.
func (q *Sequencer) moved(ctx context.Context, s syncer.Status) error {
	look, cancel := context.WithTimeout(ctx, q.cfg.Patience())
	defer cancel()
	_, _ = q.cfg.Syncer.Status().Wait(look, func(now syncer.Status) bool { return now.Proposal != s.Proposal || now.Position != s.Position })
	return ctx.Err()
}
