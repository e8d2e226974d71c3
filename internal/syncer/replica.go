package syncer

import (
	"context"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/edge"
	"headrace/internal/store"
)

// ReplicaSink is the sink of another node's safe blocks, with its Syncer. Its positions are the blocks themselves.
//
// That a block is safe, and final, it believes of that node. That it is the proposer's, continues the chain, and leads
// to the state that the next one names, it sees for itself: who signs no blocks can add none.
type ReplicaSink struct {
	*Syncer
	Offers *Offers // what comes beside that node; nil: nothing is taken

	reverts bool     // what is safe may be taken back: it is on an L1
	said    edge.Log // what fails again and again

	last derive.Tip // the block applied last; the Syncer's mutex guards it
}

// OpenReplica returns the sink of a chain whose safe blocks come from another node. It goes on from where the store
// stands.
func OpenReplica(cfg Config) (*ReplicaSink, error) {
	s, err := open(cfg)
	if err != nil {
		return nil, err
	}
	r := &ReplicaSink{Syncer: s, reverts: cfg.Genesis.L1 != nil}
	if s.bare = r.reverts; r.reverts {
		r.Offers = newOffers(s, 0)
		s.byDesign = func(_, _ *block.Block) bool { return true } // which of them are, a node knows that reads the inbox
	} else if cfg.MaxUnsafe > 0 {
		r.Offers = newOffers(s, cfg.MaxUnsafe)
	}
	s.tell = func(now Status) Status {
		if r.Offers != nil {
			now.Gate, now.Buffered = r.Offers.open, r.Offers.buffered()
		}
		return now
	}
	s.publish()
	return r, nil
}

// Replicated is a block as another node has it, of which Check has said that it is the proposer's.
type Replicated struct {
	raw      []byte // as block.Block.Encode returns it
	envelope bool

	// HeaderAt and DataAt are where it was posted, as that node says.
	HeaderAt, DataAt uint64
}

// errPlain: the chain has envelopes around its headers, and a copy without one is not what was posted.
var errPlain = errors.New("the signature of its envelope is missing")

// Check is CheckReplicated on all cores but one. It also refuses, with ErrForged, a copy that somebody has taken the
// envelope from. It is for outside of the section.
func (r *ReplicaSink) Check(header, data []byte) (item follow.Item[*Replicated], err error) {
	r.verify(func() { item, err = CheckReplicated(r.Authority(), header, data) })
	if err == nil && !r.reverts && !item.Data.envelope && r.cfg.Store.State().EnvelopesOnly {
		err = fmt.Errorf("%w: %w", ErrForged, errPlain)
	}
	return item, err
}

// Before is CheckBefore on all cores but one, outside of the section.
func (r *ReplicaSink) Before(next *follow.Item[*Replicated], header, data []byte) (item follow.Item[*Replicated], err error) {
	r.verify(func() { item, err = CheckBefore(r.Authority(), next, header, data) })
	return item, err
}

// CheckBefore returns the item of the block before next, of which CheckReplicated or CheckBefore has said that it is the
// proposer's, with this header and these data, in their encodings: next names it by its hash, so it needs no signature of
// its own, and none is kept. The error is ErrGarbled or ErrForged. Nothing is decoded of the data before the hash holds.
func CheckBefore(a *derive.Authority, next *follow.Item[*Replicated], header, data []byte) (item follow.Item[*Replicated], err error) {
	h, err := block.DecodeSignedHeader(header)
	if err != nil {
		return item, fmt.Errorf("%w: %w", ErrGarbled, err)
	}
	if got := h.Header.Hash(); got != next.Parent || h.Header.Height+1 != next.Height {
		return item, fmt.Errorf("%w: it is block %d, %s, and block %d follows %s", ErrForged, h.Header.Height, got, next.Height, next.Parent)
	}
	return replicated(a, &block.SignedHeader{Header: h.Header}, data)
}

// CheckReplicated returns the item of a block with this header, block.SignedHeader, and these data, block.Data, in their
// encodings, if the chain's proposer has signed it; else ErrGarbled or ErrForged. Nothing is decoded of the data before
// the header's signature holds, and no list is made of them.
func CheckReplicated(a *derive.Authority, header, data []byte) (item follow.Item[*Replicated], err error) {
	h, err := block.DecodeSignedHeader(header)
	if err != nil {
		return item, fmt.Errorf("%w: %w", ErrGarbled, err)
	}
	if err := a.Header(h); err != nil {
		return item, fmt.Errorf("%w: %w", ErrForged, err)
	}
	return replicated(a, h, data)
}

// replicated is the item of a block whose header is the proposer's.
func replicated(a *derive.Authority, h *block.SignedHeader, data []byte) (item follow.Item[*Replicated], err error) {
	d, err := named(a, h, data)
	if err != nil {
		return item, err
	}
	var content []byte
	if d != nil {
		content = d.Content()
	}
	item = follow.Item[*Replicated]{Height: h.Header.Height, Hash: h.Header.Hash(), Data: &Replicated{raw: block.EncodeBlock(h, content), envelope: len(h.EnvelopeSignature) > 0}}
	copy(item.Parent[:], h.Header.LastHeaderHash)
	item.Size = len(item.Data.raw) + 1<<10
	return item, nil
}

// At implements follow.Sink: all safe blocks are remembered.
func (r *ReplicaSink) At(height uint64) (follow.Ref, bool) {
	if height > r.cfg.Store.State().Safe.Height {
		return follow.Ref{}, false
	}
	ref, err := r.cfg.Store.Ref(height)
	return ref, err == nil
}

// Apply implements follow.Sink: executes and stores a block, and publishes it as safe, in one commit with the position
// (I2).
func (r *ReplicaSink) Apply(ctx context.Context, item follow.Item[*Replicated]) error {
	blk, err := block.DecodeBlock(item.Data.raw)
	if err != nil {
		return fmt.Errorf("read block %d: %w", item.Height, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	tip := r.last
	if st := r.cfg.Store.State(); tip.HeaderHash != st.Safe.Hash || tip.Height != st.Safe.Height {
		if tip, err = r.tip(); err != nil {
			return err
		}
	}
	blk = bareOf(blk, tip)
	if err := r.cfg.Derive.Follows(tip, blk); err != nil {
		return r.stuck(follow.StageDerive, item.Height, fmt.Errorf("block %d of another node: %w", item.Height, err))
	}
	if at := blk.Made(); at.After(r.sourceTime) { // as safe it was in time by the source's headers, which are not seen here
		r.sourceTime = at
	}
	ref := blk.Ref()
	more := &store.Batch{Position: &ref, Proven: &ref, Safe: &ref, EnvelopesOnly: !r.reverts && item.Data.envelope}
	if !r.reverts {
		more.Finalized = &ref
	}
	origin := store.Origin{HeaderAt: item.Data.HeaderAt, DataAt: item.Data.DataAt, Source: ref}
	if err := r.adopt(ctx, blk, origin, more); err != nil {
		return err
	}
	r.last = derive.TipOf(blk)
	r.label(ctx)
	if r.Offers != nil {
		r.Offers.again(ctx)
		r.publish()
	}
	return nil
}

// label informs the engine, if what is safe may be taken back.
func (r *ReplicaSink) label(ctx context.Context) {
	if r.reverts {
		r.Syncer.label(ctx, &r.said)
	}
}

// Revert implements follow.Sink: the last block is not safe any more. It stays as an unsafe one, and gives way to what
// comes in its place. What is final stays (I10). One without a signature of its own could not be shown to be the proposer's
// then: it is dropped, with what is on top of it, and the engine goes back.
func (r *ReplicaSink) Revert(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.cfg.Store.State()
	if !r.reverts || st.Safe.Height <= st.Finalized.Height {
		return follow.ErrFinalized
	}
	to := r.BeforeFirst()
	if st.Safe.Height > r.cfg.Genesis.InitialHeight {
		var err error
		if to, err = r.cfg.Store.Ref(st.Safe.Height - 1); err != nil {
			return fmt.Errorf("read block %d: %w", st.Safe.Height-1, err)
		}
	}
	last, err := r.cfg.Store.Block(st.Safe.Height)
	if err != nil {
		return fmt.Errorf("read block %d: %w", st.Safe.Height, err)
	}
	b := &store.Batch{Position: &to, Proven: &to, Safe: &to}
	bare := len(last.Block.Header.Signature) == 0
	if bare {
		b.Truncate = &to.Height
		r.engineKnown = false // it is taken back before it is needed, or below
	}
	if err := r.commit(b); err != nil {
		return err
	}
	if !bare {
		r.counts.Demoted++
	}
	r.publish()
	if bare {
		r.cfg.Logger.Warn("a block that came without a signature of its own is dropped, with those on top of it, as it is not safe any more", "from", st.Unsafe.Height, "to", to.Height)
		r.tryReconcile(ctx, &r.said)
	}
	r.label(ctx)
	return nil
}

// Finalize notes that another node has finalized a block. One that is not safe here changes nothing.
func (r *ReplicaSink) Finalize(ctx context.Context, at block.Ref) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.Height <= r.cfg.Store.State().Finalized.Height {
		return nil
	}
	if here, ok := r.At(at.Height); !ok || here != at {
		return nil
	}
	if err := r.commit(&store.Batch{Finalized: &at}); err != nil {
		return err
	}
	r.publish()
	r.label(ctx)
	return nil
}

// Placed notes where a safe block is on the canonical source now, as another node says: a reorg of an L1 may have had it
// proposed again. A block that is not safe here changes nothing.
func (r *ReplicaSink) Placed(at block.Ref, headerAt, dataAt uint64) error {
	if !r.reverts {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if here, ok := r.At(at.Height); !ok || here != at {
		return nil
	}
	rec, err := r.cfg.Store.Block(at.Height)
	if err != nil || rec.Origin.HeaderAt == headerAt && rec.Origin.DataAt == dataAt {
		return err
	}
	return r.commit(&store.Batch{Promote: []store.Promotion{{Height: at.Height, Origin: store.Origin{HeaderAt: headerAt, DataAt: dataAt, Source: at}}}})
}

// on returns the block, on data with the hash before.
func (r *Replicated) on(before block.Hash) (*block.Block, error) {
	blk, err := block.DecodeBlock(r.raw)
	if err != nil {
		return nil, err
	}
	return bareOf(blk, derive.Tip{DataHash: before}), nil
}

// ReadNamed returns the block with this hash, on data with the hash before, whose header and data these are, in their
// encodings: who knows the hash needs no signature.
func ReadNamed(a *derive.Authority, at block.Ref, header, data []byte, before block.Hash) (*block.Block, error) {
	item, err := CheckBefore(a, &follow.Item[*Replicated]{Height: at.Height + 1, Parent: at.Hash}, header, data)
	if err != nil {
		return nil, err
	}
	return item.Data.on(before)
}

// ReadReplicated returns the block that CheckReplicated finds, on data with the hash before.
func ReadReplicated(a *derive.Authority, header, data []byte, before block.Hash) (*block.Block, error) {
	item, err := CheckReplicated(a, header, data)
	if err != nil {
		return nil, err
	}
	return item.Data.on(before)
}

var _ follow.Sink[*Replicated] = (*ReplicaSink)(nil)
