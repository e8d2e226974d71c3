package syncer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/store"
)

// keepItems is how many DA heights' hashes stay known, to tell an endpoint that is behind from another chain.
const keepItems = 256

// DASink is the sink of a DA layer's blocks, the chain's canonical source, with its Syncer. It takes them from Checked.
type DASink struct {
	*Syncer
	Offers *Offers // what comes beside the DA layer; nil: nothing is taken

	// The Syncer's mutex guards the rest.
	deriver  *derive.Deriver // nil: something went wrong half way through an item, the stored state is the truth
	skipped  derive.Counts
	unproven []*unproven // the heights of (proven, position], in order
	proof    string      // why the last proof failed; empty when it did not
	reread   reread
}

// OpenDA returns the sink of a chain whose canonical source is a DA layer. It goes on from where the store stands.
func OpenDA(cfg Config) (*DASink, error) {
	s, err := open(cfg)
	if err != nil {
		return nil, err
	}
	d := &DASink{Syncer: s}
	if cfg.MaxUnsafe > 0 {
		d.Offers = newOffers(s, cfg.MaxUnsafe)
	}
	d.tell = d.add
	if st := cfg.Store.State(); st.Proven != st.Position {
		if err := d.setBack(); err != nil { // what was left to be shown is not known any more: read it again
			return nil, err
		}
	}
	if err := d.loadDeriver(); err != nil {
		return nil, err
	}
	d.publish()
	return d, nil
}

// add adds to the status.
func (d *DASink) add(now Status) Status {
	if d.deriver != nil {
		now.Missing = d.deriver.Waiting()
	}
	now.Skipped, now.Proof = d.skipped, d.proof
	if d.Offers != nil {
		now.Gate, now.Buffered = d.Offers.open, d.Offers.buffered()
	}
	return now
}

// loadDeriver makes a deriver from what is stored: at start, and after anything went wrong half way through an item.
func (d *DASink) loadDeriver() error {
	tip, err := d.tip()
	if err != nil {
		return err
	}
	halves, err := d.cfg.Store.Halves()
	if err != nil {
		return err
	}
	d.deriver, err = derive.New(d.cfg.Derive, derive.State{Tip: tip, EnvelopesOnly: d.cfg.Store.State().EnvelopesOnly, Pending: halves})
	if err != nil {
		return fmt.Errorf("load derivation: %w", err)
	}
	return nil
}

// Revert implements follow.Sink: what a DA layer has finalized never reverts (I10).
func (d *DASink) Revert(context.Context) error { return follow.ErrFinalized }

// Checked is a DA block with its authentic halves, which are found in it on the way to the sink, or there.
type Checked = follow.Early[da.Block, *derive.Verified]

// Checked returns a source of the sink's items from one of DA blocks. In a catch-up the signatures of the items to
// come are checked while the one before is applied; what they are found to be does not depend on that (I3).
func (d *DASink) Checked(source follow.Source[da.Block]) follow.Source[*Checked] {
	return follow.Ahead(source, func(b da.Block) *derive.Verified { return d.check(&b) })
}

// check checks the signatures in a block, outside of the section: what is stored of the chain is all it takes into
// account, so that what is stale, replayed by a stranger or read again, costs nothing.
func (d *DASink) check(b *da.Block) (v *derive.Verified) {
	d.verify(func() {
		st := d.cfg.Store.State()
		v = derive.Verify(&d.cfg.Derive, derive.Known{Height: st.Safe.Height, EnvelopesOnly: st.EnvelopesOnly}, b)
	})
	return v
}

// Apply implements follow.Sink: derives what the item completes, executes, stores and publishes it. Blocks of one
// item are committed one by one, the position with the last (I2): after a crash half way the item is asked for again,
// and what it gave already is dropped as stale.
func (d *DASink) Apply(ctx context.Context, item follow.Item[*Checked]) error {
	verified := item.Data.Result() // before the section: it may have to be done now
	err := d.apply(ctx, &item, verified)
	for errors.Is(err, derive.ErrAhead) { // the chain was reverted meanwhile: again, and not in the section either
		err = d.apply(ctx, &item, d.check(verified.Block()))
	}
	return err
}

func (d *DASink) apply(ctx context.Context, item *follow.Item[*Checked], verified *derive.Verified) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.admit(item.Height); err != nil {
		return err
	}
	d.heard(item.Height, item.Data.Data.Time)
	before := d.cfg.Store.State().Safe
	if err := d.derive(ctx, item, verified); err != nil {
		if !errors.Is(err, derive.ErrAhead) {
			d.deriver = nil
		}
		return err
	}
	d.noteUnproven(item.Ref(), item.Data.Data.Unproven)
	if err := d.missing(item.Height, d.cfg.Store.State().Safe != before); err != nil {
		return err
	}
	if d.Offers != nil {
		d.Offers.again(ctx)
	}
	d.publish()
	return nil
}

// derive derives, executes and stores.
func (d *DASink) derive(ctx context.Context, item *follow.Item[*Checked], verified *derive.Verified) error {
	if d.deriver == nil {
		if err := d.loadDeriver(); err != nil {
			return err
		}
	}
	start := time.Now()
	res, err := d.deriver.StepVerified(verified)
	d.Took(StepDerive, item.Height, start, err)
	switch {
	case errors.Is(err, derive.ErrAhead):
		return err
	case err != nil:
		return d.stuck(follow.StageDerive, item.Height, fmt.Errorf("derive: %w", err))
	}
	at := item.Ref()
	last := &store.Batch{
		Position: &at, Proven: d.provenWith(at, item.Data.Data.Unproven), Item: &store.Item{Ref: at, Parent: item.Parent},
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
		blk := b.Block()
		ref := blk.Ref()
		batch.Safe, batch.Finalized = &ref, &ref
		if err := d.adopt(ctx, blk, origin, batch); err != nil {
			return err
		}
	}
	d.skipped = d.skipped.Plus(res.Skipped)
	if len(res.Blocks) == 0 {
		return d.commit(last)
	}
	return nil
}

var _ follow.Sink[*Checked] = (*DASink)(nil)
