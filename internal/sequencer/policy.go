package sequencer

import (
	"context"
	"time"

	"headrace/block"
	"headrace/internal/syncer"
	"headrace/l1"
)

// When blocks are proposed. Each proposal costs the same beside its content, and content is cheaper the more of it there
// is, so blocks wait for others: until they fill a proposal, the oldest has waited for as long as it may, or forced items
// are to be taken. Nothing waits while one proposal is under way; what was made meanwhile is proposed together.

// reason is why blocks are proposed now. "" is none: they wait for more.
type reason string

const (
	noWait     reason = "no block is to wait"
	asked      reason = "an operator wants it"
	lastOnes   reason = "no more blocks are made"
	oldEnough  reason = "the oldest has waited long enough"
	fullOnes   reason = "they fill a proposal"
	forcedOnes reason = "forced items are to be taken"
)

// waiting is what is known of the blocks that wait to be proposed. It is owned by propose.
type waiting struct {
	first block.Ref // the lowest of them
	to    block.Ref // the last one that is counted
	bytes int       // that they take, by estimate
	look  int       // from so many on they are encoded, to know their size

	at        block.Ref // position as of which the forced queue was read
	queue     []l1.Forced
	due, soon int            // items of it that the next proposal must take, and those that one soon must
	search    *syncer.Search // for what is in those
}

// ripen returns when the blocks above the safe head are to be proposed, with what is known then. No reason: there are none
// any more.
func (q *Sequencer) ripen(ctx context.Context) (syncer.Status, reason, error) {
	defer q.proposedBy(time.Time{})
	for {
		_, hand := q.cfg.Hand.Held().Get()
		s, changed := q.cfg.Syncer.Status().Get()
		if err := q.cfg.Syncer.Status().Err(); err != nil {
			return s, "", err
		}
		if s.Diverged || s.Unsafe.Height <= s.Safe.Height {
			return s, "", nil
		}
		why, latest, err := q.ripe(ctx, s)
		if err != nil || why != "" {
			return s, why, err
		}
		q.proposedBy(latest)
		clock := time.NewTimer(time.Until(latest)) // what the policy allows a block to wait is over by the clock alone
		select {
		case <-changed:
		case <-hand:
		case <-clock.C:
		case <-ctx.Done():
		}
		clock.Stop()
		if ctx.Err() != nil {
			return s, "", ctx.Err()
		}
	}
}

// proposedBy publishes until when blocks wait at the latest; the zero time: none does.
func (q *Sequencer) proposedBy(latest time.Time) {
	if !q.status.Load().Due.Equal(latest) {
		q.status.Update(func(s Status) Status { s.Due = latest; return s })
	}
}

// ripe returns why the blocks above the safe head are to be proposed, or when they are at the latest.
func (q *Sequencer) ripe(ctx context.Context, s syncer.Status) (why reason, latest time.Time, err error) {
	held := q.cfg.Hand.Held().Load()
	pending := s.Unsafe.Height - s.Safe.Height
	switch {
	case q.cfg.MaxDelay <= 0:
		return noWait, latest, nil
	case held.Asked > s.Safe.Height:
		return asked, latest, nil
	case !held.Stopped.IsZero():
		return lastOnes, latest, nil
	case pending >= min(max(q.cfg.MaxPending/2, 1), l1.MaxBlocks): // else production would pause before, or no proposal hold them
		return fullOnes, latest, nil
	}
	rec, err := q.cfg.Syncer.Block(s.Safe.Height + 1)
	if err != nil {
		return "", latest, err
	}
	w := &q.waiting
	if first := rec.Block.Ref(); w.first != first {
		w.first, w.to = first, block.Ref{}
	}
	if latest = q.MadeAt(rec.Block.Ref(), rec.Block.Made()).Add(q.cfg.MaxDelay); !time.Now().Before(latest) {
		return oldEnough, latest, nil
	}
	if must, err := q.mustTake(ctx, s); must || err != nil {
		return forcedOnes, latest, err
	}
	filled, err := q.filled(s)
	if filled {
		why = fullOnes
	}
	return why, latest, err
}

// mustTake returns whether a proposal is to take forced items now. Items whose transactions are in the blocks that wait are
// taken before they are due: by as long as the L1 may be silent. Others are taken when they are due. The queue is read
// once for each block of the L1, which also has the builder put its transactions into blocks.
func (q *Sequencer) mustTake(ctx context.Context, s syncer.Status) (bool, error) {
	if q.forced == nil {
		return false, nil
	}
	w := &q.waiting
	if w.at != s.Position {
		queue, err := q.forced.look(ctx, s)
		if err != nil { // the next block of the L1 is another occasion, and a proposal tells of it
			if ctx.Err() == nil {
				q.said.Warn(q.cfg.Logger, "forced queue not read", err)
			}
			return false, ctx.Err()
		}
		now := s.SourceTime
		if now.IsZero() {
			now = time.Now()
		}
		settings := &q.forced.settings
		w.at, w.queue, w.due = s.Position, queue, settings.Due(queue, uint64(now.Unix()))
		w.soon = settings.Due(queue, uint64(now.Add(q.cfg.Patience()).Unix()))
	}
	if w.due > 0 || w.soon == 0 {
		return w.due > 0, nil
	}
	missing, err := w.search.Missing(s.Safe.Height+1, s.Unsafe.Height, w.queue[:w.soon])
	return err == nil && len(missing) == 0, err
}

// perBlock is more than a proposal holds of a block beside its header and its data: signatures, a key, and lengths.
const perBlock = 256

// filled reports whether the blocks above the safe head fill a proposal. They are counted by an estimate, which grows with
// each block, and encoded when that may be enough.
func (q *Sequencer) filled(s syncer.Status) (bool, error) {
	w := &q.waiting
	if w.to.Height > 0 {
		if rec, err := q.cfg.Syncer.Block(w.to.Height); err != nil || rec.Block.Ref() != w.to { // others took their place
			w.to = block.Ref{}
		}
	}
	if w.to.Height == 0 {
		w.to, w.bytes, w.look = s.Safe, 0, q.cfg.Full
	}
	for w.to.Height < s.Unsafe.Height {
		rec, err := q.cfg.Syncer.Block(w.to.Height + 1)
		if err != nil {
			return false, err
		}
		w.to = rec.Block.Ref()
		w.bytes += len(rec.Block.Header.Encode()) + len(rec.Block.Data.Encode()) + perBlock
	}
	if w.bytes < w.look {
		return false, nil
	}
	size, err := q.payloadSize(s)
	if err != nil || size >= q.cfg.Full {
		return err == nil, err
	}
	left := int(int64(q.cfg.Full-size) * int64(w.bytes) / int64(max(size, 1)))
	w.look = w.bytes + max(left, q.cfg.Full/16)
	return false, nil
}

// payloadSize returns the size of a payload of all blocks above the safe head.
func (q *Sequencer) payloadSize(s syncer.Status) (int, error) {
	blocks, err := q.blocks(s.Safe.Height+1, s.Unsafe.Height)
	if err != nil {
		return 0, err
	}
	d := draftOf{Draft: l1.Draft{Parent: l1.Hash(s.Safe.Hash)}, last: s.Safe.Height}
	if err := q.fill(&d, blocks, q.cfg.Full); err != nil {
		return 0, err
	}
	if d.n < len(blocks) { // the next one does not fit
		return max(d.size, q.cfg.Full), nil
	}
	return d.size, nil
}
