package sequencer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/l1"
)

const (
	queueLimit = 64              // forced items that are looked at, and offered to the engine ahead of their turn
	offerAgain = 5 * time.Second // after which a forced item that still waits is offered again: an engine may have lost it
)

// propose posts what is made and not yet canonical as proposals to the inbox, one at a time.
func (q *Sequencer) propose(ctx context.Context) error {
	if err := q.cfg.CaughtUp(ctx); err != nil {
		return err
	}
	backoff := follow.Backoff{Min: 200 * time.Millisecond, Max: 10 * time.Second}
	forced := forced{q: q, offered: map[uint64]time.Time{}}
	for {
		s, err := q.cfg.Syncer.Status().Wait(ctx, func(s syncer.Status) bool { return s.Unsafe.Height > s.Safe.Height })
		if err != nil {
			return err
		}
		draft, err := q.draft(ctx, s, &forced)
		if err == nil {
			_, err = q.proposeOne(ctx, draft)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			backoff.Reset()
			q.status.Update(func(s Status) Status {
				s.Submitted, s.Failure = max(s.Submitted, draft.last), ""
				return s
			})
			continue
		case errors.Is(err, l1.ErrStale): // what was made on is not the last proposal any more, or not yet known to be
			if err := q.moved(ctx, s); err != nil {
				return err
			}
		case errors.Is(err, l1.ErrForcedDue) && (draft.last < s.Unsafe.Height || s.Unsafe.Height-s.Safe.Height >= q.cfg.MaxPending):
			// Their transactions are in blocks that do not fit, or in none because no more are made. Fewer blocks leave room for others, which hold them.
			keep := s.Safe.Height + (draft.last-s.Safe.Height)/2
			if err := q.cfg.Syncer.GiveUp(ctx, keep, "forced transactions are due that did not fit into a proposal of them"); follow.IsFatal(err) {
				return err
			}
			forced.again(ctx)
			backoff.Reset()
		}
		q.failed(err)
		if err := backoff.Sleep(ctx, nil); err != nil {
			return err
		}
	}
}

// draftOf is a draft and the last block in it.
type draftOf struct {
	l1.Draft
	last uint64
}

// draft makes a proposal of as many unsafe blocks as fit, and of the forced items whose transactions are in them, or could be in no block.
func (q *Sequencer) draft(ctx context.Context, s syncer.Status, forced *forced) (draftOf, error) {
	queue, most, err := forced.look(ctx, s)
	if err != nil {
		return draftOf{}, err
	}
	d := draftOf{Draft: l1.Draft{ID: s.Proposal.ID + 1, Parent: l1.Hash(s.Safe.Hash)}, last: s.Safe.Height}
	var blocks []*block.Block
	for h := s.Safe.Height + 1; h <= s.Unsafe.Height && len(d.Blocks) < l1.MaxBlocks; h++ {
		rec, err := q.cfg.Syncer.Block(h)
		if err != nil {
			return d, err
		}
		e, err := q.encode(rec.Block)
		if err != nil {
			return d, err
		}
		blocks, d.Blocks = append(blocks, rec.Block), append(d.Blocks, e)
	}
	forced.offer(ctx, blocks)
	n := l1.Fit(d.Blocks, q.cfg.Proposer.Limit())
	if n == 0 {
		return d, fmt.Errorf("block %d: %w", d.last+1, l1.ErrTooBig)
	}
	d.Blocks, d.last = d.Blocks[:n], d.last+uint64(n)
	d.Forced, err = q.cfg.Syncer.Taken(ctx, blocks[:n], queue[:min(most, len(queue))])
	return d, err
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

// proposeOne returns once the proposal is included and this node has followed the L1 past it, or it is clear that it will not.
func (q *Sequencer) proposeOne(ctx context.Context, d draftOf) (l1.Inclusion, error) {
	bounded, cancel := context.WithTimeout(ctx, q.cfg.SubmitTimeout)
	defer cancel()
	in, err := q.cfg.Proposer.Propose(bounded, d.Draft)
	if err != nil {
		return in, fmt.Errorf("propose %d, blocks up to %d: %w", d.ID, d.last, err)
	}
	q.cfg.Logger.Debug("proposed", "id", in.ID, "to", d.last, "source", in.Block.Number)
	s, err := q.cfg.Syncer.Status().Wait(bounded, func(s syncer.Status) bool { return s.Position.Height >= in.Block.Number })
	switch {
	case err != nil:
		return in, fmt.Errorf("proposal %d is included in L1 block %d, which has not been followed: %w", d.ID, in.Block.Number, err)
	case s.Proposal.ID == d.ID && s.Proposal.Void != "":
		return in, fmt.Errorf("proposal %d is void: %s", d.ID, s.Proposal.Void)
	}
	return in, nil
}

// moved waits until the node has learned something of the inbox that it did not know in s, for a while.
func (q *Sequencer) moved(ctx context.Context, s syncer.Status) error {
	look, cancel := context.WithTimeout(ctx, q.cfg.SubmitTimeout)
	defer cancel()
	_, _ = q.cfg.Syncer.Status().Wait(look, func(now syncer.Status) bool { return now.Proposal != s.Proposal || now.Position != s.Position })
	return ctx.Err()
}

// forced offers the transactions of the inbox's forced queue to the engine, so that they get into blocks.
type forced struct {
	q       *Sequencer
	most    int                  // items that a proposal may take; 0: not read yet
	offered map[uint64]time.Time // when last, by place in the queue
	queue   []l1.Forced          // as it was last
}

// look reads the queue as it is at the node's position, and how many items of it a proposal may take.
func (f *forced) look(ctx context.Context, s syncer.Status) (queue []l1.Forced, most int, err error) {
	if f.q.cfg.Inbox == nil {
		return nil, 0, nil
	}
	if f.most == 0 {
		settings, err := f.q.cfg.Inbox.Settings(ctx)
		if err != nil {
			return nil, 0, fmt.Errorf("read the inbox's settings: %w", err)
		}
		f.most = settings.ForcedMax
		if need, limit := settings.ForcedMax*l1.MaxForced, f.q.cfg.Proposer.Limit(); need > limit {
			f.q.cfg.Logger.Warn("the inbox's forced items may not fit into a proposal: propose in blobs, or deploy an inbox that takes fewer", "most", f.most, "bytes", need, "limit", limit)
		}
	}
	queue, err = f.q.cfg.Inbox.Queue(ctx, l1.Hash(s.Position.Hash), queueLimit)
	if err != nil {
		return nil, 0, fmt.Errorf("read forced queue: %w", err)
	}
	f.queue = queue
	return queue, f.most, nil
}

// again offers the whole queue again: the blocks that may have held its transactions were given up.
func (f *forced) again(ctx context.Context) {
	clear(f.offered)
	f.offer(ctx, nil)
}

// offer offers what is not in blocks, the unsafe ones, and was not offered lately. An engine's refusal is no failure: what cannot be included needs not be.
func (f *forced) offer(ctx context.Context, blocks []*block.Block) {
	have := map[string]bool{}
	for _, b := range blocks {
		for _, tx := range b.Data.Txs {
			have[string(tx)] = true
		}
	}
	waiting := map[uint64]time.Time{}
	for i := range f.queue {
		src := &f.queue[i].Source
		at, ok := f.offered[src.Index]
		if !ok || time.Since(at) >= offerAgain {
			at = time.Now()
			for n, tx := range src.Txs {
				if have[string(tx)] {
					continue
				}
				if err := f.q.cfg.Builder.SubmitTx(ctx, tx); err != nil {
					f.q.cfg.Logger.Info("forced transaction not taken by the engine", "item", src.Index, "transaction", n, "err", err)
				}
			}
		}
		waiting[src.Index] = at
	}
	f.offered = waiting
	if len(f.queue) > 0 {
		f.q.Notify()
	}
}
