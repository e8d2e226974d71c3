package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/follow"
	"headrace/internal/store"
)

// maxUnproven is how far the position may run ahead of what is proven, in DA heights (I6). Beyond it items wait.
const maxUnproven = 4096

// errUnproven: the sink takes no further item until more is proven.
var errUnproven = errors.New("too many heights wait for their proof")

// unproven is one applied height whose content is not shown complete yet.
type unproven struct {
	ref    block.Ref
	claims []da.Claim // none: nothing to show, but a height below has
	proven bool
}

// admit returns an error when no further item may be applied before something is proven.
func (s *Syncer) admit(height uint64) error {
	if len(s.unproven) >= maxUnproven {
		return s.stuck("prove", height, fmt.Errorf("%w: %d of them, from height %d on", errUnproven, len(s.unproven), s.unproven[0].ref.Height))
	}
	return nil
}

// provenWith returns the proven height that belongs in the commit of an item: its own when there is nothing to show, at it or below it (I7).
func (s *Syncer) provenWith(at block.Ref, claims []da.Claim) *block.Ref {
	if len(claims) == 0 && len(s.unproven) == 0 {
		return &at
	}
	return nil
}

// noteUnproven notes what the item at a height leaves to be shown. Call it after the item's commit.
func (s *Syncer) noteUnproven(at block.Ref, claims []da.Claim) {
	if len(claims) == 0 && len(s.unproven) == 0 {
		s.proof = ""
		return
	}
	s.unproven = append(s.unproven, unproven{ref: at, claims: claims, proven: len(claims) == 0})
}

// Prover shows, in the background, that what was applied is complete: it asks prove for each height whose content is not, several at a time, and moves the
// proven height on in order. A height that is not what was told sets the position back to the proven height, where the follower reads again;
// what was applied already is repeated harmlessly. Run it beside the follower; wake is called when the position has been set back.
func (s *Syncer) Prover(prove da.Prover, wake func()) func(context.Context) error {
	return func(ctx context.Context) error {
		backoff := follow.Backoff{Min: 200 * time.Millisecond, Max: 2 * time.Second}
		for {
			work, err := s.nextUnproven(ctx)
			if err != nil {
				return err
			}
			err = s.proveAll(ctx, prove, work)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err == nil:
				backoff.Reset()
				continue
			case follow.IsFatal(err):
				return err
			case errors.Is(err, da.ErrNotProven):
				s.cfg.Logger.Warn("position set back: a height is not what the endpoint told", "err", err)
				if err := s.setBack(); err != nil {
					return err
				}
				wake()
			}
			s.proofFailed(err)
			if err := backoff.Sleep(ctx, nil); err != nil {
				return err
			}
		}
	}
}

func (s *Syncer) proofFailed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proof = err.Error()
	s.publish()
}

// nextUnproven waits for heights to prove and returns a batch of them.
func (s *Syncer) nextUnproven(ctx context.Context) ([]unproven, error) {
	const batch = 16 // in flight at a time
	for {
		_, changed := s.status.Get()
		s.mu.Lock()
		work := slices.Clone(s.unproven[:min(batch, len(s.unproven))])
		s.mu.Unlock()
		if len(work) > 0 {
			return work, nil
		}
		select {
		case <-changed:
			if err := s.status.Err(); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// proveAll proves a batch and records the part of it, from the front, that is proven. It returns the first failure.
func (s *Syncer) proveAll(ctx context.Context, prove da.Prover, work []unproven) error {
	errs := make([]error, len(work))
	var wg sync.WaitGroup
	for i, u := range work {
		if !u.proven {
			wg.Go(func() { errs[i] = prove.Prove(ctx, u.ref.Height, u.ref.Hash, u.claims) })
		}
	}
	wg.Wait()
	done := 0
	for done < len(work) && errs[done] == nil {
		done++
	}
	if err := s.proved(work[:done]); err != nil {
		return err
	}
	if done < len(work) {
		return fmt.Errorf("prove DA height %d: %w", work[done].ref.Height, errs[done])
	}
	return nil
}

// proved moves the proven height on, unless the position has been set back meanwhile.
func (s *Syncer) proved(work []unproven) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(work) == 0 || len(s.unproven) == 0 || s.unproven[0].ref != work[0].ref {
		return nil
	}
	n := len(work)
	for n < len(s.unproven) && s.unproven[n].proven {
		n++
	}
	ref := s.unproven[n-1].ref
	if err := s.commit(&store.Batch{Proven: &ref}); err != nil {
		return err
	}
	s.unproven, s.proof = s.unproven[n:], ""
	s.publish()
	return nil
}

// setBack makes the proven height the position: the follower reads on from there.
func (s *Syncer) setBack() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setBackTo(s.cfg.Store.State().Proven)
}

// setBackTo makes ref, at or below the position, the position. The blocks derived above it stay, and so do the halves that wait; what is read again is
// found stale or known.
func (s *Syncer) setBackTo(ref block.Ref) error {
	s.unproven = nil
	b := &store.Batch{Position: &ref, DropItemsAbove: &ref.Height}
	if s.cfg.Store.State().Proven.Height > ref.Height {
		b.Proven = &ref
	}
	if err := s.commit(b); err != nil {
		return err
	}
	s.deriver = nil
	s.publish()
	return nil
}

// reread is patience with halves that do not come. Proofs cover what an endpoint says of a whole namespace; one that gives some of a height's
// blobs and holds back others is found out by the block that stays incomplete.
type reread struct {
	since uint64 // DA height since which the next block has been incomplete; 0: it is not
	after uint64 // how many DA heights that may last; doubled by each reread, so that a proposer that is slow costs little
}

const (
	rereadMin = 16
	rereadMax = 4096
)

// missing is called with each applied item: when the next block has been incomplete for too long, the position goes back to where the last block was complete.
func (s *Syncer) missing(at uint64, derived bool) error {
	w := s.deriver.Waiting()
	switch r := &s.reread; {
	case w.Headers+w.Data == 0:
		*r = reread{}
	case derived || r.since == 0 || r.since > at:
		r.since, r.after = at, max(r.after, rereadMin)
		if derived {
			r.after = rereadMin
		}
	case at-r.since >= r.after:
		r.since, r.after = 0, min(2*r.after, rereadMax)
		from := s.lastComplete()
		s.cfg.Logger.Warn("reading again: a half of the next block has not come", "height", w.Height, "missing", w.Missing, "from", from.Height, "to", at)
		return s.setBackTo(from)
	}
	return nil
}

// lastComplete returns the DA height before the one that completed the last safe block, if it is remembered, else where the store began.
func (s *Syncer) lastComplete() block.Ref {
	rec, err := s.cfg.Store.Block(s.cfg.Store.State().Safe.Height)
	if err != nil || rec.Origin.Source.Height == 0 {
		return s.cfg.Store.Start()
	}
	item, ok, err := s.cfg.Store.Item(rec.Origin.Source.Height)
	if err != nil || !ok {
		return block.Ref{Height: rec.Origin.Source.Height - 1} // any parent will do: it is far below
	}
	return block.Ref{Height: item.Ref.Height - 1, Hash: item.Parent}
}
