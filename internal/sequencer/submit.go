package sequencer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/follow"
	"headrace/internal/syncer"
)

// submit posts what is made and not yet on the DA layer, in order, one submission at a time.
func (q *Sequencer) submit(ctx context.Context) error {
	if err := q.cfg.CaughtUp(ctx); err != nil {
		return err
	}
	limit := q.cfg.MaxSubmitBytes
	backoff := follow.Backoff{Min: 200 * time.Millisecond, Max: 10 * time.Second}
	confirmed := q.cfg.Syncer.Status().Load().Safe.Height // seen on the DA layer
	through, at := confirmed, uint64(0)                   // submitted up to through, reported included at DA height at
	for {
		s, err := q.due(ctx, through, at)
		if err != nil {
			return err
		}
		if s.Safe.Height < through && s.Position.Height > at {
			// Nothing is taken on trust: post them again, but not in a rush, whoever says what.
			through = s.Safe.Height
			q.failed(errLost)
			if err := backoff.Sleep(ctx, nil); err != nil {
				return err
			}
			continue
		}
		if s.Safe.Height > confirmed {
			confirmed = s.Safe.Height
			backoff.Reset()
		}
		from := max(through, s.Safe.Height) + 1
		if from > s.Unsafe.Height { // the blocks were replaced meanwhile
			through = s.Safe.Height
			continue
		}
		to, height, err := q.post(ctx, from, s.Unsafe.Height, limit)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			limit = q.cfg.MaxSubmitBytes
			through, at = to, height
			q.status.Update(func(s Status) Status { s.Submitted, s.Failure = max(s.Submitted, to), ""; return s })
			continue
		case errors.Is(err, da.ErrTooBig) && to > from:
			limit /= 2 // split it
		}
		q.failed(err)
		if err := q.afterFailure(ctx, err, s, &backoff); err != nil {
			return err
		}
	}
}

// due waits until there is something to post: a block beyond what was submitted, or the DA layer having passed the
// height where it said that blocks are while they are not.
func (q *Sequencer) due(ctx context.Context, through, at uint64) (syncer.Status, error) {
	return q.cfg.Syncer.Status().Wait(ctx, func(s syncer.Status) bool {
		return s.Unsafe.Height > max(through, s.Safe.Height) || s.Safe.Height < through && s.Position.Height > at
	})
}

// post submits the blocks from..last, or as many of them as fit in limit bytes, and returns the last one it tried and
// the DA height that has them.
func (q *Sequencer) post(ctx context.Context, from, last uint64, limit int) (to, height uint64, err error) {
	var blobs []da.Blob
	size := 0
	for to = from; to <= last; to++ {
		rec, err := q.cfg.Syncer.Block(to)
		if err != nil {
			return to, 0, err
		}
		next, err := q.blobs(rec.Block)
		if err != nil {
			return to, 0, err
		}
		for i := range next {
			size += len(next[i].Data) + 512 // shares are 512 bytes
		}
		if size > limit && to > from {
			break
		}
		blobs = append(blobs, next...)
	}
	to--
	ctx, cancel := context.WithTimeout(ctx, q.timeout())
	defer cancel()
	start := time.Now()
	height, err = q.cfg.Submitter.Submit(ctx, blobs)
	q.cfg.Syncer.Took(syncer.StepPost, to, start, err)
	if err != nil {
		return to, 0, fmt.Errorf("submit blocks %d to %d: %w", from, to, err)
	}
	q.cfg.Logger.Debug("submitted", "from", from, "to", to, "source", height)
	return to, height, nil
}

// blobs encodes a block's halves; an empty block has no data to post.
func (q *Sequencer) blobs(b *block.Block) ([]da.Blob, error) {
	blobs := []da.Blob{{Namespace: q.cfg.HeaderNamespace, Data: b.Header.Encode(), Index: -1}}
	if len(b.Data.Txs) == 0 {
		return blobs, nil
	}
	signed, err := block.SignData(q.cfg.Key, b.Data)
	if err != nil {
		return nil, fmt.Errorf("sign data %d: %w", b.Height(), err)
	}
	return append(blobs, da.Blob{Namespace: q.cfg.DataNamespace, Data: signed.Encode(), Index: -1}), nil
}

func (q *Sequencer) failed(err error) {
	q.said.Warn(q.cfg.Logger, "submission failed", err)
	q.status.Update(func(s Status) Status {
		s.Failure, s.FailedAt, s.Failures = err.Error(), time.Now(), s.Failures+1
		return s
	})
}

// afterFailure backs off. When the blobs may be included all the same it also gives the DA layer two heights, and at
// most lookFor, or some block times if that is longer, to show them.
func (q *Sequencer) afterFailure(ctx context.Context, err error, before syncer.Status, backoff *follow.Backoff) error {
	const lookFor = 15 * time.Second
	if errors.Is(err, da.ErrUnknownOutcome) || errors.Is(err, context.DeadlineExceeded) {
		look, cancel := context.WithTimeout(ctx, max(lookFor, q.cfg.Patience()))
		defer cancel()
		_, _ = q.cfg.Syncer.Status().Wait(look, func(s syncer.Status) bool { return s.Position.Height >= before.Position.Height+2 })
	}
	return backoff.Sleep(ctx, nil)
}
