package sequencer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/follow"
	"headrace/internal/syncer"
)

// submit posts what is made and not yet on the DA layer, in order, one submission at a time.
func (q *Sequencer) submit(ctx context.Context) error {
	if err := q.prepared(ctx); err != nil {
		return err
	}
	if err := q.cfg.CaughtUp(ctx); err != nil {
		return err
	}
	part := portion{most: q.cfg.MaxSubmitBytes, limit: q.cfg.MaxSubmitBytes}
	backoff := follow.Backoff{Min: 200 * time.Millisecond, Max: 10 * time.Second}
	confirmed := q.cfg.Syncer.Status().Load().Safe.Height // seen on the DA layer
	through, at := confirmed, uint64(0)                   // submitted up to through, reported included at DA height at
	for {
		s, err := q.due(ctx, through, at)
		if err != nil {
			return err
		}
		q.asks = q.cfg.Hand.Held().Load().Asks
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
		to, size, height, err := q.post(ctx, from, s.Unsafe.Height, part.limit)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			part.posted(time.Now())
			through, at = to, height
			q.status.Update(func(s Status) Status {
				s.Submitted, s.Failure, s.Stuck = max(s.Submitted, to), "", ""
				return s
			})
			continue
		case errors.Is(err, da.ErrTooBig) && to == from:
			err = q.stuck(from, size, err)
		case errors.Is(err, da.ErrTooBig):
			part.tooBig(size, time.Now())
		case unknown(err):
			part.unknown(from, to, size, time.Now())
		}
		if err := q.afterFailure(ctx, err, to, part.times, &backoff); err != nil {
			return err
		}
	}
}

// stuck notes that a block is refused as too big even alone, which no retry cures, and returns the error that says so.
func (q *Sequencer) stuck(height uint64, size int, err error) error {
	endpoint, setting := "DA endpoint", "da.address"
	if q.cfg.Proposer != nil {
		endpoint, setting = "L1 endpoint", "l1.http"
	}
	err = fmt.Errorf("block %d, of %d bytes, is too big for the %s even alone, and no later block becomes safe before it: let the %s, and every proxy before it, take larger requests (nginx: client_max_body_size), or add an endpoint that does (%s): %w", height, size, q.layer(), endpoint, setting, err)
	q.status.Update(func(s Status) Status { s.Stuck = err.Error(); return s })
	return err
}

// due waits until there is something to post: a block beyond what was submitted, or the DA layer having passed the
// height where it said that blocks are while they are not. While the engine has another state than the blocks are built
// on, nobody knows which of the two is the chain's: nothing is.
func (q *Sequencer) due(ctx context.Context, through, at uint64) (syncer.Status, error) {
	return q.cfg.Syncer.Status().Wait(ctx, func(s syncer.Status) bool {
		return !s.Diverged && (s.Unsafe.Height > max(through, s.Safe.Height) || s.Safe.Height < through && s.Position.Height > at)
	})
}

// post submits the blocks from..last, or as many of them as fit in limit bytes, and returns the last one it tried, the
// size of them, and the DA height that has them.
func (q *Sequencer) post(ctx context.Context, from, last uint64, limit int) (to uint64, size int, height uint64, err error) {
	var blobs []da.Blob
	for to = from; to <= last; to++ {
		rec, err := q.cfg.Syncer.Block(to)
		if err != nil {
			return to, size, 0, err
		}
		next, err := q.blobs(rec.Block)
		if err != nil {
			return to, size, 0, err
		}
		more := 0
		for i := range next {
			more += len(next[i].Data) + 512 // shares are 512 bytes
		}
		if size+more > limit && to > from {
			break
		}
		size += more
		blobs = append(blobs, next...)
	}
	to--
	most := q.timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("not included within %s: %w", most, context.DeadlineExceeded))
	defer cancel()
	start := q.sent(ctx, from, to)
	defer q.landed()
	height, err = q.cfg.Submitter.Submit(ctx, blobs)
	q.cfg.Syncer.Took(syncer.StepPost, to, start, err)
	if err != nil {
		return to, size, 0, fmt.Errorf("submit blocks %d to %d: %w", from, to, err)
	}
	q.cfg.Logger.Debug("submitted", "from", from, "to", to, "source", height)
	return to, size, height, nil
}

// sent publishes that the blocks from..to are on their way, and how long that may take.
func (q *Sequencer) sent(ctx context.Context, from, to uint64) time.Time {
	now := time.Now()
	deadline, _ := ctx.Deadline()
	q.status.Update(func(s Status) Status { s.Flight = Flight{from, to, now, deadline}; return s })
	return now
}

// landed publishes that they are not any more, whatever became of them.
func (q *Sequencer) landed() {
	q.status.Update(func(s Status) Status { s.Flight = Flight{}; return s })
}

// blobs encodes a block's halves; an empty block has no data to post.
func (q *Sequencer) blobs(b *block.Block) ([]da.Blob, error) {
	header, err := q.signedHeader(b)
	if err != nil {
		return nil, err
	}
	blobs := []da.Blob{{Namespace: q.cfg.HeaderNamespace, Data: header.Encode(), Index: -1}}
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

// lookFor is how many heights of the DA layer may still bring what was submitted. Each failure in a row doubles it, up to
// the life of a transaction in Celestia's mempools. They are counted from Config.Arrival after the failure on: until then
// what was sent may be on its way to the DA layer, which matters if that is a fast one.
const (
	lookFor     = 3
	lookForMost = 12
)

// afterFailure backs off, though not longer than until the DA layer is back. When the blobs of the blocks up to to may be
// included all the same, the heights that can show them are followed first, however long those take: nothing is posted on
// a guess. times is how often that has been so in a row.
func (q *Sequencer) afterFailure(ctx context.Context, err error, to uint64, times int, backoff *follow.Backoff) error {
	if !unknown(err) {
		q.failed(err)
		return q.sleep(ctx, backoff)
	}
	heights := uint64(min(lookFor<<min(max(times-1, 0), 4), lookForMost))
	q.failed(fmt.Errorf("%w (the DA layer is looked through for %d heights before the blocks are posted again)", err, heights))
	return q.look(ctx, to, heights)
}

// look returns when the blocks up to to are on the DA layer, or so many heights of it have not shown them.
func (q *Sequencer) look(ctx context.Context, to, heights uint64) error {
	there := func(s syncer.Status) bool { return s.Safe.Height >= to }
	arrival, cancel := context.WithTimeout(ctx, q.cfg.Arrival) // at what is outside
	defer cancel()
	if _, err := q.cfg.Syncer.Status().Wait(arrival, there); err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	head, err := q.newest(ctx)
	if err != nil {
		return err
	}
	last := head + heights
	_, err = q.cfg.Syncer.Status().Wait(ctx, func(s syncer.Status) bool { return there(s) || s.Position.Height >= last })
	return err
}

// newest asks the DA layer for its head, until that is answered.
func (q *Sequencer) newest(ctx context.Context) (uint64, error) {
	backoff := follow.Backoff{Min: 200 * time.Millisecond, Max: 10 * time.Second}
	for q.cfg.Head != nil {
		height, err := q.cfg.Head(ctx)
		if err == nil {
			return max(height, q.head()), nil
		}
		if err := q.sleep(ctx, &backoff); err != nil {
			return 0, err
		}
	}
	return q.head(), nil
}

// unknown reports whether what was submitted may be included in spite of the error.
func unknown(err error) bool {
	return errors.Is(err, da.ErrUnknownOutcome) || errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, da.ErrNotPosted)
}

// head returns the newest height of the source that is known of.
func (q *Sequencer) head() uint64 {
	at := q.cfg.Syncer.Status().Load().Position.Height
	if q.cfg.Source != nil {
		at = max(at, q.cfg.Source.Load().Head.Height)
	}
	return at
}

// sleep backs off. If the source is away meanwhile, the wait ends when it is back; and it ends when an operator has asked for
// what is pending to be posted, since the last try began.
func (q *Sequencer) sleep(ctx context.Context, backoff *follow.Backoff) error {
	return q.sleepUntil(ctx, backoff, nil)
}

// sleepUntil is sleep that ends when the node's status shows that the last try was none in vain; there may be nil.
func (q *Sequencer) sleepUntil(ctx context.Context, backoff *follow.Backoff, there func(syncer.Status) bool) error {
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	wake := make(chan struct{}, 3) // each of the goroutines below sends once at most
	var over atomic.Bool           // before its time
	end := func() { over.Store(true); wake <- struct{}{} }
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		if _, err := q.cfg.Hand.Held().Wait(bounded, func(h Held) bool { return h.Asks != q.asks }); err == nil {
			end()
		}
	})
	if there != nil {
		watch.Go(func() {
			if _, err := q.cfg.Syncer.Status().Wait(bounded, there); err == nil {
				end()
			}
		})
	}
	if q.cfg.Source != nil {
		watch.Go(func() {
			_, err := q.cfg.Source.Wait(bounded, func(s follow.State) bool { return !s.Subscribed })
			if err == nil {
				_, err = q.cfg.Source.Wait(bounded, func(s follow.State) bool { return s.Subscribed })
			}
			if err == nil {
				end()
			}
		})
	}
	err := backoff.Sleep(ctx, wake)
	if over.Load() {
		backoff.Reset()
	}
	return err
}
