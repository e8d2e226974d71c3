package sequencer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/l1"
)

// queueLimit is how many forced items are looked at: more than a proposal may take.
const queueLimit = 64

// propose posts what is made and not yet canonical as proposals to the inbox, one at a time.
func (q *Sequencer) propose(ctx context.Context) error {
	if err := q.cfg.CaughtUp(ctx); err != nil {
		return err
	}
	backoff := follow.Backoff{Min: 200 * time.Millisecond, Max: 10 * time.Second}
	forced := forced{q: q, offered: map[uint64]bool{}}
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

// draft makes a proposal of as many unsafe blocks as fit, and of the forced items whose transactions are in them.
func (q *Sequencer) draft(ctx context.Context, s syncer.Status, forced *forced) (draftOf, error) {
	queue, err := forced.look(ctx, s)
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
	n := l1.Fit(d.Blocks, q.cfg.Proposer.Limit())
	if n == 0 {
		return d, fmt.Errorf("block %d: %w", d.last+1, l1.ErrTooBig)
	}
	d.Blocks, d.last = d.Blocks[:n], d.last+uint64(n)
	d.Forced = taken(queue, blocks[:n])
	return d, nil
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

// forced offers the transactions of the inbox's forced queue to the engine, once each, so that they get into blocks.
type forced struct {
	q       *Sequencer
	offered map[uint64]bool // by place in the queue
}

// look reads the queue as it is at the node's position.
func (f *forced) look(ctx context.Context, s syncer.Status) ([]l1.Forced, error) {
	if f.q.cfg.Inbox == nil {
		return nil, nil
	}
	queue, err := f.q.cfg.Inbox.Queue(ctx, l1.Hash(s.Position.Hash), queueLimit)
	if err != nil {
		return nil, fmt.Errorf("read forced queue: %w", err)
	}
	for i := range queue {
		src := &queue[i].Source
		if f.offered[src.Index] {
			continue
		}
		for _, tx := range src.Txs {
			if err := f.q.cfg.Builder.SubmitTx(ctx, tx); err != nil && !errors.Is(err, exec.ErrInvalid) {
				return nil, fmt.Errorf("offer forced item %d: %w", src.Index, err)
			}
		}
		f.offered[src.Index] = true
	}
	if len(queue) > 0 {
		f.q.Notify()
	}
	return queue, nil
}

// taken returns how many items from the queue's head have all their transactions in blocks.
func taken(queue []l1.Forced, blocks []*block.Block) (n int) {
	have := map[string]int{}
	for _, b := range blocks {
		for _, tx := range b.Data.Txs {
			have[string(tx)]++
		}
	}
	for i := range queue {
		for _, tx := range queue[i].Source.Txs {
			if have[string(tx)]--; have[string(tx)] < 0 {
				return n
			}
		}
		n++
	}
	return n
}
