package syncer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/follow"
	"headrace/internal/store"
)

// maxUnproven is how far the position may run ahead of what is proven, in DA heights (I6). Beyond it items wait.
const maxUnproven = 4096

// unproven is one applied height whose content, or that of a height below, is not shown complete yet. When the
// position is set back it is forgotten: what is read again gets an unproven of its own, which a proof of the first
// reading does not touch.
type unproven struct {
	ref    block.Ref
	claims []da.Claim
	proven bool // there are no claims, or they are shown
}

// admit returns an error when no further item may be applied before something is proven.
func (d *DASink) admit(height uint64) error {
	if len(d.unproven) >= maxUnproven {
		return d.stuck(follow.StageProve, height, fmt.Errorf("too many heights wait for their proof: %d of them, from height %d on", len(d.unproven), d.unproven[0].ref.Height))
	}
	return nil
}

// provenWith returns the proven height that belongs in the commit of an item: its own when there is nothing to show,
// at it or below it (I7).
func (d *DASink) provenWith(at block.Ref, claims []da.Claim) *block.Ref {
	if len(claims) == 0 && len(d.unproven) == 0 {
		return &at
	}
	return nil
}

// noteUnproven notes what the item at a height leaves to be shown. Call it after the item's commit.
func (d *DASink) noteUnproven(at block.Ref, claims []da.Claim) {
	if len(claims) == 0 && len(d.unproven) == 0 {
		d.proof = ""
		return
	}
	d.unproven = append(d.unproven, &unproven{ref: at, claims: claims, proven: len(claims) == 0})
}

// Prover proves, in the background, that what was applied is complete. It asks prove for each height that is not
// proven yet, several at a time and in any order, and moves the proven height on in order. A height that is not what
// was announced sets the position back to the proven height, where the follower reads again; what was applied already
// is repeated harmlessly. Run it beside the follower; wake is called when the position has been set back.
func (d *DASink) Prover(prove da.Prover, wake func()) func(context.Context) error {
	return func(ctx context.Context) error {
		backoff := follow.Backoff{Min: 200 * time.Millisecond, Max: 2 * time.Second}
		for {
			work, err := d.nextUnproven(ctx)
			if err != nil {
				return err
			}
			err = d.proveAll(ctx, prove, work)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err == nil:
				backoff.Reset()
				continue
			case follow.IsFatal(err):
				return err
			case errors.Is(err, da.ErrNotProven):
				d.cfg.Logger.Warn("position set back: a height is not what the endpoint announced", "err", err)
				if err := d.setBack(); err != nil {
					return err
				}
				wake()
			}
			d.proofFailed(err)
			if err := backoff.Sleep(ctx, nil); err != nil {
				return err
			}
		}
	}
}

func (d *DASink) proofFailed(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.proof = err.Error()
	d.publish()
}

// nextUnproven waits for heights to prove and returns the lowest of them.
func (d *DASink) nextUnproven(ctx context.Context) (work []*unproven, err error) {
	const batch = 16 // in flight at a time
	for {
		_, changed := d.status.Get()
		d.mu.Lock()
		for _, u := range d.unproven {
			if !u.proven && len(work) < batch {
				work = append(work, u)
			}
		}
		d.mu.Unlock()
		if len(work) > 0 {
			return work, nil
		}
		select {
		case <-changed:
			if err := d.status.Err(); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// proveAll proves a batch and records what of it is proven. It returns the first failure.
func (d *DASink) proveAll(ctx context.Context, prove da.Prover, work []*unproven) error {
	errs := make([]error, len(work))
	var wg sync.WaitGroup
	for i, u := range work {
		wg.Go(func() {
			start := time.Now()
			errs[i] = prove.Prove(ctx, u.ref.Height, u.ref.Hash, u.claims)
			d.Took(StepProve, u.ref.Height, start, errs[i])
		})
	}
	wg.Wait()
	if err := d.proved(work, errs); err != nil {
		return err
	}
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("prove DA height %d: %w", work[i].ref.Height, err)
		}
	}
	return nil
}

// proved notes which of work is proven, so that it is not asked for again, and moves the proven height on to below
// the first that is not.
func (d *DASink) proved(work []*unproven, errs []error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, u := range work {
		u.proven = errs[i] == nil
	}
	n := 0
	for n < len(d.unproven) && d.unproven[n].proven {
		n++
	}
	if n == 0 {
		return nil
	}
	if err := d.commit(&store.Batch{Proven: &d.unproven[n-1].ref}); err != nil {
		return err
	}
	d.unproven, d.proof = d.unproven[n:], ""
	d.publish()
	return nil
}

// setBack makes the proven height the position: the follower reads on from there.
func (d *DASink) setBack() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.setBackTo(d.cfg.Store.State().Proven)
}

// setBackTo makes ref, at or below the position, the position. The blocks derived above it stay, and so do the halves
// that wait; what is read again is found stale or known.
func (d *DASink) setBackTo(ref block.Ref) error {
	d.unproven = nil
	b := &store.Batch{Position: &ref, DropItemsAbove: &ref.Height}
	if d.cfg.Store.State().Proven.Height > ref.Height {
		b.Proven = &ref
	}
	if err := d.commit(b); err != nil {
		return err
	}
	d.deriver = nil
	d.publish()
	return nil
}

// reread is patience with halves that do not come. Proofs cover what an endpoint says of a whole namespace; one that
// gives some of a height's blobs and holds back others is found out by the block that stays incomplete.
type reread struct {
	since uint64 // DA height since which the next block has been incomplete; 0: it is not
	after uint64 // how many DA heights that may last; doubled by each reread, so that a proposer that is slow costs little
}

const (
	rereadMin = 16
	rereadMax = 4096
)

// missing is called with each applied item: when the next block has been incomplete for too long, the position goes
// back to where the last block was complete.
func (d *DASink) missing(at uint64, derived bool) error {
	w := d.deriver.Waiting()
	switch r := &d.reread; {
	case w.Headers+w.Data == 0:
		*r = reread{}
	case derived || r.since == 0 || r.since > at:
		r.since, r.after = at, max(r.after, rereadMin)
		if derived {
			r.after = rereadMin
		}
	case at-r.since >= r.after:
		r.since, r.after = 0, min(2*r.after, rereadMax)
		from := d.lastComplete()
		d.cfg.Logger.Warn("reading again: a half of the next block has not come", "height", w.Height, "missing", w.Missing, "from", from.Height, "to", at)
		return d.setBackTo(from)
	}
	return nil
}

// lastComplete returns the DA height before the one that completed the last safe block, if it is remembered, else
// where the store began.
func (d *DASink) lastComplete() block.Ref {
	rec, err := d.cfg.Store.Block(d.cfg.Store.State().Safe.Height)
	if err != nil || rec.Origin.Source.Height == 0 {
		return d.cfg.Store.Start()
	}
	item, ok, err := d.cfg.Store.Item(rec.Origin.Source.Height)
	if err != nil || !ok {
		return block.Ref{Height: rec.Origin.Source.Height - 1} // any parent will do: it is far below
	}
	return block.Ref{Height: item.Ref.Height - 1, Hash: item.Parent}
}
