package syncer

import (
	"context"
	"fmt"

	"headrace/block"
	"headrace/da"
	"headrace/follow"
	"headrace/internal/store"
)

// keepItems is how many DA heights' hashes stay known, to tell an endpoint that is behind from another chain.
const keepItems = 256

// DASink is the Syncer as the sink of a DA layer's blocks.
type DASink struct{ s *Syncer }

// DASink returns the sink for a follower of the DA layer, the chain's canonical source.
func (s *Syncer) DASink() *DASink { return &DASink{s} }

func toFollow(r block.Ref) follow.Ref { return follow.Ref{Height: r.Height, Hash: follow.Hash(r.Hash)} }
func toBlock(r follow.Ref) block.Ref  { return block.Ref{Height: r.Height, Hash: block.Hash(r.Hash)} }

// Last implements follow.Sink: the position of the last commit (I2).
func (d *DASink) Last() follow.Ref { return toFollow(d.s.cfg.Store.State().Position) }

// At implements follow.Sink. The newest 256 heights are remembered.
func (d *DASink) At(height uint64) (follow.Ref, bool) {
	item, ok, err := d.s.cfg.Store.Item(height)
	if err != nil || !ok {
		return follow.Ref{}, false
	}
	return toFollow(item.Ref), true
}

// Revert implements follow.Sink: what a DA layer has finalized never reverts (I10).
func (d *DASink) Revert(context.Context) error { return follow.ErrFinalized }

// Apply implements follow.Sink: derives what the item completes, executes, stores and publishes it. Blocks of one item are committed one by one, the
// position with the last (I2): after a crash half way the item is asked for again, and what it gave already is dropped as stale.
func (d *DASink) Apply(ctx context.Context, item follow.Item[da.Block]) error {
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admit(item.Height); err != nil {
		return err
	}
	before := s.cfg.Store.State().Safe
	if err := s.applyDA(ctx, item); err != nil {
		s.deriver = nil // it may be half way; the stored state is the truth
		return err
	}
	s.noteUnproven(toBlock(item.Ref()), item.Data.Unproven)
	if err := s.missing(item.Height, s.cfg.Store.State().Safe != before); err != nil {
		return err
	}
	s.publish()
	if s.cfg.Observer.Position != nil {
		s.cfg.Observer.Position(toBlock(item.Ref()))
	}
	return nil
}

func (s *Syncer) applyDA(ctx context.Context, item follow.Item[da.Block]) error {
	if s.deriver == nil {
		if err := s.loadDeriver(); err != nil {
			return err
		}
	}
	res, err := s.deriver.Step(&item.Data)
	if err != nil {
		return s.stuck("derive", item.Height, fmt.Errorf("derive: %w", err))
	}
	at := toBlock(item.Ref())
	last := &store.Batch{
		Position: &at, Proven: s.provenWith(at, item.Data.Unproven), Item: &store.Item{Ref: at, Parent: block.Hash(item.Parent)},
		AddHalves: res.Added, RemoveHalves: res.Removed, EnvelopesOnly: res.EnvelopesOnly,
	}
	if at.Height > keepItems {
		below := at.Height - keepItems
		last.DropItemsBelow = &below
	}
	for i, b := range res.Blocks {
		batch := last
		if i < len(res.Blocks)-1 {
			batch = &store.Batch{RemoveHalves: b.Removed, EnvelopesOnly: b.EnvelopesOnly}
		}
		origin := store.Origin{HeaderAt: b.HeaderAt, DataAt: b.DataAt, Source: at}
		if err := s.adopt(ctx, b.Block, origin, batch); err != nil {
			return err
		}
	}
	s.skipped = s.skipped.Plus(res.Skipped)
	if len(res.Blocks) == 0 {
		return s.commit(last)
	}
	return nil
}

var _ follow.Sink[da.Block] = (*DASink)(nil)
