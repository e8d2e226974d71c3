package syncer

import (
	"context"
	"fmt"

	"headrace/block"
	"headrace/da"
	"headrace/follow"
	"headrace/internal/derive"
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
	return d.s.apply(ctx, item, func() *derive.Verified { return d.s.verify(item.Data) })
}

// Checked is a DA block with its authentic halves, which are found in it on the way to the sink, or there.
type Checked = follow.Early[da.Block, *derive.Verified]

// checkedSink is the DASink for such blocks.
type checkedSink struct{ *DASink }

func (d checkedSink) Apply(ctx context.Context, item follow.Item[*Checked]) error {
	plain := follow.Item[da.Block]{Height: item.Height, Hash: item.Hash, Parent: item.Parent, Size: item.Size, Data: item.Data.Data}
	return d.s.apply(ctx, plain, item.Data.Result)
}

// DAFollower returns a follower of the DA layer, the chain's canonical source, with the Syncer as its sink. In a catch-up the signatures of the items to
// come are checked on all cores while the one before is applied; what they are found to be does not depend on that (I3).
func (s *Syncer) DAFollower(source follow.Source[da.Block], opt follow.Options) *follow.Follower[*Checked] {
	return follow.New(follow.Ahead(source, s.verify), checkedSink{s.DASink()}, opt)
}

// verify checks the signatures in a block. It works outside of the section: what is stored of the chain is all it takes into account, so that what is
// stale, replayed by a stranger or read again, costs nothing.
func (s *Syncer) verify(b da.Block) *derive.Verified {
	st := s.cfg.Store.State()
	return derive.Verify(&s.cfg.Derive, derive.Known{Height: st.Safe.Height, EnvelopesOnly: st.EnvelopesOnly}, &b)
}

// apply is DASink.Apply; verified gives what is authentic in the item.
func (s *Syncer) apply(ctx context.Context, item follow.Item[da.Block], verified func() *derive.Verified) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admit(item.Height); err != nil {
		return err
	}
	before := s.cfg.Store.State().Safe
	if err := s.applyDA(ctx, item, verified); err != nil {
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

func (s *Syncer) applyDA(ctx context.Context, item follow.Item[da.Block], verified func() *derive.Verified) error {
	if s.deriver == nil {
		if err := s.loadDeriver(); err != nil {
			return err
		}
	}
	res, err := s.deriver.StepVerified(verified())
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
