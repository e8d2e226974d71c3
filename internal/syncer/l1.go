package syncer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/edge"
	"headrace/internal/store"
	"headrace/l1"
)

// L1Sink is the sink of an L1's blocks, whose inbox, the chain's canonical source, holds the rollup's proposals; with
// its Syncer.
type L1Sink struct {
	*Syncer
	Offers *Offers // what comes beside the L1

	said edge.Log // what fails again and again

	// The Syncer's mutex guards the rest.
	recent    []Proposal // canonical, oldest first, the last one included; replaced, never changed
	forced    forcedTxs  // of the inbox's forced queue
	reverting bool       // the last thing done to the source's items was a revert: of one reorg only the first counts
}

// OpenL1 returns the sink of a chain whose canonical source is an inbox on an L1. It goes on from where the store
// stands.
func OpenL1(cfg Config) (*L1Sink, error) {
	s, err := open(cfg)
	if err != nil {
		return nil, err
	}
	k := &L1Sink{Syncer: s, Offers: newOffers(s, 0)}
	s.bare = true
	s.byDesign = k.droppedByDesign
	s.tell = func(now Status) Status {
		in := k.inbox()
		now.Proposal, now.Final, now.Earlier = in.Proposal, in.Finalized, k.recent[:max(len(k.recent)-1, 0)]
		now.Gate, now.Buffered = k.Offers.open, k.Offers.buffered()
		return now
	}
	if err := k.loadProposals(); err != nil {
		return nil, err
	}
	if k.forced, err = loadForced(cfg.Store); err != nil {
		return nil, err
	}
	s.publish()
	return k, nil
}

func (k *L1Sink) inbox() store.Inbox { return known(k.cfg.Store.State().Inbox) }

func known(in *store.Inbox) store.Inbox {
	if in == nil {
		return store.Inbox{}
	}
	return *in
}

// Apply implements follow.Sink: judges the block's proposals, executes and stores what they make, in one commit with
// the position (I2), and publishes it.
func (k *L1Sink) Apply(ctx context.Context, item follow.Item[l1.Block]) error {
	opened := k.open(item.Data.Messages) // before the section
	k.foreseeAll(ctx, item.Data.Messages, opened)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reverting = false
	k.heard(item.Height, time.Unix(int64(min(item.Data.Time, math.MaxInt64/1_000_000_000)), 0))
	p, err := k.plan(item)
	if err != nil {
		return err
	}
	for i := range item.Data.Messages {
		m := &item.Data.Messages[i]
		if m.Forced != nil {
			p.forced = k.forced.add(m.Forced.Source.Txs, p.forced)
		}
		if m.Proposal == nil || m.Proposal.ID <= p.in.Proposal.ID {
			continue
		}
		if err := p.propose(ctx, m, opened[i]); err != nil {
			k.engineKnown = false // it may be half way through a proposal
			return err
		}
	}
	if err := p.commit(); err != nil {
		return err
	}
	for i := range p.done {
		k.note(&p.done[i])
	}
	k.publish()
	for _, a := range p.done {
		k.tellBlock(a)
		if k.cfg.Observer.Applied != nil {
			k.cfg.Observer.Applied(a)
		}
	}
	if len(p.made) > 0 && !k.engineKnown { // it may have been taken back for a proposal, and stand below the unsafe head
		k.tryReconcile(ctx, &k.said)
	}
	if len(p.done) > 0 {
		k.label(ctx, &k.said)
	}
	if k.Offers.buffered() > 0 {
		k.Offers.again(ctx)
		k.publish()
	}
	return nil
}

// open verifies the proposals among messages, as far as it can be done outside of the section.
func (k *L1Sink) open(messages []l1.Message) []*derive.Opened {
	out := make([]*derive.Opened, len(messages))
	k.verify(func() {
		for i := range messages {
			if p := messages[i].Proposal; p != nil {
				out[i] = derive.Open(&k.cfg.Derive, p)
			}
		}
	})
	return out
}

// plan is what one L1 block does to the chain, until its commit.
type plan struct {
	k      *L1Sink
	at     block.Ref
	parent block.Hash
	in     store.Inbox
	tip    derive.Tip   // the last safe block
	root   []byte       // after it
	unsafe uint64       // the highest block that would be stored after what is planned
	ends   *block.Block // the last one of the proposal that is being adopted

	truncate *uint64
	promote  []store.Promotion
	append   []store.Record
	done     []Applied
	made     []Proposal
	forced   []byte // the hashes of the forced transactions that the block has queued
	voids    uint64
	exempt   uint64
}

func (k *L1Sink) plan(item follow.Item[l1.Block]) (*plan, error) {
	st := k.cfg.Store.State()
	tip, err := k.tip()
	return &plan{k: k, at: item.Ref(), parent: item.Parent, in: k.inbox(), root: st.SafeRoot, unsafe: st.Unsafe.Height, tip: tip}, err
}

// propose judges one proposal. A void one consumes its id and does nothing else. One in a later version, which only a
// later release can read, is kept for it: to pass it over would be to leave the chain.
func (p *plan) propose(ctx context.Context, m *l1.Message, opened *derive.Opened) error {
	prop := m.Proposal
	if prop.ID != p.in.Proposal.ID+1 {
		return p.k.stuck(follow.StageDerive, p.at.Height, fmt.Errorf("proposal %d is in L1 block %d, and the one before it, %d, was not seen: start from an earlier L1 block (l1.start_block of the genesis)", prop.ID, p.at.Height, prop.ID-1))
	}
	start := time.Now()
	blocks, void, err := opened.On(&p.k.cfg.Derive, p.tip, p.last)
	p.k.Took(StepDerive, p.at.Height, start, err)
	if errors.Is(err, derive.ErrLater) {
		return p.k.stuck(follow.StageApply, p.at.Height, fmt.Errorf("proposal %d has a %w: give this node a later release. It passes nothing over, and goes on from here", prop.ID, err))
	}
	if err != nil {
		return p.k.stuck(follow.StageDerive, p.at.Height, fmt.Errorf("read block %d, which proposal %d builds on: %w", p.tip.Height, prop.ID, err))
	}
	if void == "" {
		if void, err = p.adoptAll(ctx, blocks, m); err != nil {
			return err
		}
	}
	if void != "" {
		p.voids++
		p.k.cfg.Logger.Warn("proposal is void", "id", prop.ID, "source", p.at.Height, "reason", void)
	}
	p.in.Proposal = Proposal{
		ID: prop.ID, L1: p.at, Tx: block.Hash(m.Tx), L2: block.Ref{Height: p.tip.Height, Hash: p.tip.HeaderHash}, Void: void, Reorgs: p.in.Proposal.Reorgs,
	}
	p.made = append(p.made, p.in.Proposal)
	return nil
}

// last returns the block that the planned tip is.
func (p *plan) last() (*block.Block, error) {
	if n := len(p.append); n > 0 {
		return p.append[n-1].Block, nil
	}
	return p.k.stored(p.tip)
}

// stored returns the stored block that a tip is.
func (s *Syncer) stored(tip derive.Tip) (*block.Block, error) {
	rec, err := s.cfg.Store.Block(tip.Height)
	if err == nil && rec.Block.Hash() != tip.HeaderHash {
		err = fmt.Errorf("block %d is %s now, not %s: %w", tip.Height, rec.Block.Hash(), tip.HeaderHash, store.ErrNotFound)
	}
	return rec.Block, err
}

// adoptAll adopts a proposal's blocks, all or none. The proposal is void if the engine finds one of them invalid, or
// if a forced transaction is missing that is not exempt.
func (p *plan) adoptAll(ctx context.Context, blocks []*block.Block, m *l1.Message) (void string, err error) {
	before := *p
	void, err = p.tryAll(ctx, blocks, m)
	if void == "" || err != nil {
		return "", err
	}
	if len(p.append) > len(before.append) { // take back what this proposal executed
		if err := p.k.revertTo(ctx, before.tip.Height); err != nil {
			return "", p.k.stuck(follow.StageEngine, before.tip.Height+1, fmt.Errorf("revert a void proposal: %w", err))
		}
	}
	p.tip, p.root, p.promote, p.append, p.done = before.tip, before.root, before.promote, before.append, before.done
	if len(before.append) == 0 { // unsafe blocks that gave way to it come back, by replay
		p.truncate, p.unsafe = before.truncate, before.unsafe
		p.k.engineKnown = false
	}
	return void, nil
}

func (p *plan) tryAll(ctx context.Context, blocks []*block.Block, m *l1.Message) (void string, err error) {
	p.ends = blocks[len(blocks)-1]
	for _, b := range blocks {
		err := p.adopt(ctx, b, m)
		if errors.Is(err, exec.ErrInvalid) {
			return fmt.Sprintf("block %d: %v", b.Height(), err), nil
		}
		if err != nil {
			return "", err
		}
	}
	items := m.Proposal.Sources
	missing := derive.MissingTxs(blocks, items, p.k.ownTxs())
	must, err := p.k.mustInclude(ctx, block.Ref{Height: p.tip.Height, Hash: p.tip.HeaderHash}, items, missing)
	switch {
	case err != nil:
		return "", err
	case must != nil:
		return fmt.Sprintf("transaction %d of forced item %d is in none of its blocks", must.N, must.Index), nil
	}
	if len(missing) > 0 {
		p.k.cfg.Logger.Info("forced transactions are exempt", "proposal", m.Proposal.ID, "transactions", len(missing))
	}
	p.exempt += uint64(len(missing))
	return "", nil
}

// adopt makes one block the safe tip: the unsafe one at its height if it is the same, else it is executed in its place.
func (p *plan) adopt(ctx context.Context, b *block.Block, m *l1.Message) error {
	origin := store.Origin{HeaderAt: p.at.Height, DataAt: p.at.Height, Source: p.at, Proposal: m.Proposal.ID, Tx: block.Hash(m.Tx), LogIndex: m.LogIndex}
	root, promoted, err := p.known(b)
	switch {
	case err != nil:
		return err
	case promoted:
		p.promote = append(p.promote, store.Promotion{Height: b.Height(), Origin: origin})
	default:
		if root, err = p.execute(ctx, b); err != nil {
			return err
		}
		p.append = append(p.append, store.Record{Block: b, Root: root, Origin: origin})
	}
	p.tip, p.root = derive.TipOf(b), root
	p.done = append(p.done, Applied{Ref: b.Ref(), Txs: len(exec.UserTxs(p.k.cfg.Engine, b.Data.Txs)), Source: p.at, Safe: true, Promoted: promoted, Made: b.Made()})
	return nil
}

// known reports whether b is the stored unsafe block at its height, and with which root: the known-canonical fast path.
func (p *plan) known(b *block.Block) (root []byte, ok bool, err error) {
	if b.Height() > p.unsafe || len(p.append) > 0 {
		return nil, false, nil
	}
	rec, err := p.k.cfg.Store.Block(b.Height())
	return rec.Root, err == nil && rec.Block.Hash() == b.Hash(), err
}

// execute runs b on the planned tip.
func (p *plan) execute(ctx context.Context, b *block.Block) ([]byte, error) {
	if err := p.k.inTime(b); err != nil {
		return nil, err
	}
	return p.k.execute(ctx, b, p.root, func(ctx context.Context) error {
		if err := p.ready(ctx); err != nil || len(p.append) > 0 || p.unsafe <= p.tip.Height {
			return err
		}
		height := p.tip.Height // unsafe blocks above it give way
		if rec, err := p.k.cfg.Store.Block(height + 1); err == nil {
			if err := p.signedTwice(rec.Block, b); err != nil {
				return err
			}
		}
		p.truncate, p.unsafe = &height, height
		return p.revert(ctx, height)
	})
}

// signedTwice is Syncer's, of an unsafe block that gives way to one of a proposal. In version 2 that may have no signature of
// its own: the one of the proposal's last block is for all. It is evidence together with the unsafe block at the height of
// that one, if there is one: what they stand on differs, and so do they. Else there is no pair of headers to show.
func (p *plan) signedTwice(unsafe, b *block.Block) error {
	k := p.k
	if len(b.Header.Signature) > 0 {
		return k.signedTwice(unsafe, b)
	}
	if at := p.ends.Height(); at > p.unsafe || k.byDesign(unsafe, b) {
		return nil
	}
	rec, err := k.cfg.Store.Block(p.ends.Height())
	if err != nil {
		return fmt.Errorf("read block %d: %w", p.ends.Height(), err)
	}
	return k.keepTwice(rec.Block, p.ends)
}

// ready brings an engine that has lost blocks to where the plan has had it: the stored blocks, without those that
// gave way, and those executed on top of them, which no store has yet.
func (p *plan) ready(ctx context.Context) error {
	k := p.k
	if k.engineKnown {
		return nil
	}
	if err := k.reconcile(ctx); err != nil {
		return err
	}
	if p.truncate != nil {
		if err := p.revert(ctx, *p.truncate); err != nil {
			return err
		}
	}
	for i := range p.append {
		if err := k.replay(ctx, &p.append[i]); err != nil {
			return k.stuck(follow.StageReplay, p.append[i].Block.Height(), err)
		}
	}
	return nil
}

func (p *plan) revert(ctx context.Context, height uint64) error {
	if err := p.k.revertTo(ctx, height); err != nil {
		return p.k.stuck(follow.StageEngine, height+1, fmt.Errorf("revert unsafe blocks above %d: %w", height, err))
	}
	return nil
}

// commit stores the plan, the position with it.
func (p *plan) commit() error {
	k := p.k
	page, named := k.forced.next(p.forced)
	b := &store.Batch{
		Truncate: p.truncate, Append: p.append, Promote: p.promote, Position: &p.at, Proven: &p.at, Inbox: &p.in,
		Item:  &store.Item{Ref: p.at, Parent: p.parent, Safe: p.tip.Height, Inbox: &p.in},
		Named: named,
	}
	if len(p.done) > 0 {
		b.Safe = &p.done[len(p.done)-1].Ref
	}
	if err := k.commit(b); err != nil {
		return err
	}
	k.forced.committed(page)
	if len(p.made) > 0 {
		all := slices.Concat(k.recent, p.made)
		k.recent = all[max(len(all)-keepProposals, 0):]
	}
	k.counts.Executed += uint64(len(p.append))
	k.counts.Promoted += uint64(len(p.promote))
	k.counts.Void += p.voids
	k.counts.Exempt += p.exempt
	return nil
}

// Revert implements follow.Sink: takes back the last L1 block. The rollup blocks that were safe by it stay as unsafe
// ones, with those on top of them: the proposer has signed them, and nothing in them depends on the L1. So a sequencer
// proposes them again and signs no others at their heights, and no transaction is lost. They give way to a proposal of
// the new branch that has others, as any unsafe block does. What the L1 has finalized stays (I10). It is one commit,
// and the engine has nothing to do.
//
// Blocks of proposals of version 2 have no signature of their own, but for those that were here before. As unsafe ones
// they could not be shown to be the proposer's: they are dropped, with what is on top of them, and read again, and the
// engine goes back. Who has the proposer's key keeps them: they are signed again when they are proposed again, each with
// the header that it has.
func (k *L1Sink) Revert(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	st, in := k.cfg.Store.State(), k.inbox()
	switch {
	case st.Position.Height <= in.Finalized.Height:
		return RevertsFinal(in.Finalized)
	case st.Position.Height <= k.cfg.Store.Start().Height:
		return follow.ErrFinalized
	}
	to, err := k.itemBefore(st.Position)
	if err != nil {
		return err
	}
	before := store.Inbox{Proposal: known(to.Inbox).Proposal, Finalized: in.Finalized}
	before.Proposal.Reorgs = in.Proposal.Reorgs
	if !k.reverting {
		before.Proposal.Reorgs++
		k.reverting = true
	}
	b := &store.Batch{Position: &to.Ref, Proven: &to.Ref, DropItemsAbove: &to.Ref.Height, Inbox: &before}
	if to.Safe != st.Safe.Height {
		safe, err := k.cfg.Store.Ref(to.Safe)
		if err != nil {
			return fmt.Errorf("read block %d: %w", to.Safe, err)
		}
		b.Safe = &safe
	}
	kept, err := k.signedUpTo(to.Safe, st.Safe.Height)
	if err != nil {
		return err
	}
	if kept < st.Safe.Height {
		b.Truncate = &kept
		k.engineKnown = false // it is taken back before it is needed, or below
	}
	if err := k.commit(b); err != nil {
		return err
	}
	k.counts.Demoted += kept - to.Safe
	k.recent = slices.DeleteFunc(slices.Clone(k.recent), func(p Proposal) bool { return p.L1.Height > to.Ref.Height })
	k.publish()
	if kept < st.Safe.Height {
		k.cfg.Logger.Warn("blocks that came without a signature of their own are dropped with the L1 block that had them", "from", st.Unsafe.Height, "to", kept)
		k.tryReconcile(ctx, &k.said)
	}
	k.label(ctx, &k.said)
	return nil
}

// signedUpTo returns up to which height the stored blocks above one height, and up to another, have a signature each.
// Blocks of a proposal of version 2 have none, but for those that were here before it, and its last one.
func (k *L1Sink) signedUpTo(from, to uint64) (uint64, error) {
	for h := from + 1; h <= to; h++ {
		rec, err := k.cfg.Store.Block(h)
		if err != nil {
			return 0, fmt.Errorf("read block %d: %w", h, err)
		}
		if len(rec.Block.Header.Signature) == 0 && !k.cfg.Signs {
			return h - 1, nil
		}
	}
	return to, nil
}

// itemBefore returns the item before the position. Before the first item that is where the store began.
func (k *L1Sink) itemBefore(position block.Ref) (store.Item, error) {
	start := k.cfg.Store.Start()
	if position.Height == start.Height+1 {
		return store.Item{Ref: start, Safe: k.cfg.Genesis.InitialHeight - 1}, nil
	}
	item, ok, err := k.cfg.Store.Item(position.Height - 1)
	if err == nil && !ok {
		err = follow.ErrFinalized // only final ones are forgotten
	}
	return item, err
}

// keepProposals is how many canonical proposals the status names, for those who wait for one that others have
// followed already.
const keepProposals = 128

// loadProposals reads the recent proposals from the items that are remembered.
func (k *L1Sink) loadProposals() error {
	last := Proposal{}
	for h := k.cfg.Store.State().Position.Height; len(k.recent) < keepProposals; h-- {
		item, ok, err := k.cfg.Store.Item(h)
		if err != nil {
			return fmt.Errorf("read the stored proposals: %w", err)
		}
		p := known(item.Inbox).Proposal
		if !ok || p.ID == 0 {
			break // pruned, or before the first
		}
		if p.ID != last.ID {
			k.recent, last = append(k.recent, p), p
		}
	}
	slices.Reverse(k.recent)
	return nil
}

// Finalize notes that the L1 has finalized a block: rollup blocks made by it and below are final, and its
// predecessors are forgotten. A block that is not ours (another fork, or not reached yet) changes nothing.
func (k *L1Sink) Finalize(ctx context.Context, at l1.Ref) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	in := k.inbox()
	if at.Height <= in.Finalized.Height {
		return nil
	}
	item, ok, err := k.cfg.Store.Item(at.Height)
	if err != nil || !ok || item.Ref != block.Ref(at) {
		return err
	}
	in.Finalized = item.Ref
	b := &store.Batch{Inbox: &in, DropItemsBelow: &item.Ref.Height}
	if item.Safe > k.cfg.Store.State().Finalized.Height {
		ref, err := k.cfg.Store.Ref(item.Safe)
		if err != nil {
			return fmt.Errorf("read block %d: %w", item.Safe, err)
		}
		b.Finalized = &ref
	}
	if err := k.commit(b); err != nil {
		return err
	}
	k.publish()
	k.label(ctx, &k.said)
	return nil
}

// RevertsFinal is what is said of an L1 that takes back a block which it has called final, and what to do about that.
func RevertsFinal(final block.Ref) error {
	return fmt.Errorf("%w: L1 block %d was called that; if the endpoint is right all the same, its L1 reverts what it calls final: stop the node, move store and kv in its home away, set l1.finality to a depth that is not reverted, such as 64, and start it: it reads the L1 anew", follow.ErrFinalized, final.Height)
}

// FinalizeBelow calls final what is so many blocks of the L1, or more, below the position: whatever the L1 says of it.
// It decides what a revert may take back, and nothing about any block (I3).
func (k *L1Sink) FinalizeBelow(ctx context.Context, depth uint64) error {
	at := k.Status().Load().Position.Height
	if at <= depth {
		return nil
	}
	ref, ok := k.At(at - depth)
	if !ok {
		return nil // so far back as nobody asks
	}
	return k.Finalize(ctx, l1.Ref(ref))
}

var _ follow.Sink[l1.Block] = (*L1Sink)(nil)
