package syncer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/store"
	"headrace/l1"
)

// L1Sink is the Syncer as the sink of an L1's blocks, whose inbox holds the rollup's proposals.
type L1Sink struct{ s *Syncer }

// L1Sink returns the sink for a follower of the L1, the chain's canonical source.
func (s *Syncer) L1Sink() *L1Sink { return &L1Sink{s} }

// inbox is what the store keeps of the inbox beside the blocks, in each commit and with each item, so that a revert finds it.
type inbox struct {
	Proposal  Proposal  `json:"proposal"`
	Finalized block.Ref `json:"finalized"` // L1 block
}

func (s *Syncer) inbox() (in inbox, err error) {
	if aux := s.cfg.Store.State().Aux; len(aux) > 0 {
		if err = json.Unmarshal(aux, &in); err != nil {
			err = fmt.Errorf("read the stored proposal: %w", err)
		}
	}
	return in, err
}

func (in inbox) encode() []byte {
	b, err := json.Marshal(in)
	if err != nil {
		panic(fmt.Sprintf("encode %+v: %v", in, err)) // numbers and hashes only
	}
	return b
}

// Last implements follow.Sink: the position of the last commit (I2).
func (k *L1Sink) Last() follow.Ref { return toFollow(k.s.cfg.Store.State().Position) }

// At implements follow.Sink. L1 blocks that are not final are remembered.
func (k *L1Sink) At(height uint64) (follow.Ref, bool) { return (&DASink{k.s}).At(height) }

// Apply implements follow.Sink: judges the block's proposals, executes and stores what they make, in one commit with the position (I2), and publishes it.
func (k *L1Sink) Apply(ctx context.Context, item follow.Item[l1.Block]) error {
	s := k.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reverting = false
	p, err := s.plan(item)
	if err != nil {
		return err
	}
	for i := range item.Data.Messages {
		m := &item.Data.Messages[i]
		if m.Proposal == nil || m.Proposal.ID <= p.in.Proposal.ID {
			continue
		}
		if err := p.propose(ctx, m); err != nil {
			s.engineKnown = false // it may be half way through a proposal
			return err
		}
	}
	if err := p.commit(); err != nil {
		return err
	}
	s.publish()
	for _, a := range p.done {
		s.cfg.Logger.Info("block", "height", a.Ref.Height, "hash", a.Ref.Hash, "txs", a.Txs, "safe", true, "source", a.Source.Height)
		if s.cfg.Observer.Applied != nil {
			s.cfg.Observer.Applied(a)
		}
	}
	if s.cfg.Observer.Position != nil {
		s.cfg.Observer.Position(toBlock(item.Ref()))
	}
	if len(p.made) > 0 && !s.engineKnown { // it may have been taken back for a proposal, and stand below the unsafe head
		if err := s.reconcile(ctx); err != nil { // the next block that needs it tries again
			s.cfg.Logger.Warn("engine not brought up yet", "err", err)
		}
	}
	if len(p.done) > 0 {
		s.label(ctx)
	}
	if len(s.offers.order) > 0 {
		s.connect(ctx) // what fails is tried again at the next occasion
		s.publish()
	}
	return nil
}

// plan is what one L1 block does to the chain, until its commit.
type plan struct {
	s      *Syncer
	at     block.Ref
	parent block.Hash
	in     inbox
	tip    derive.Tip // the last safe block
	root   []byte     // after it
	unsafe uint64     // the highest block that would be stored after what is planned

	truncate *uint64
	promote  []store.Promotion
	append   []store.Record
	done     []Applied
	made     []Proposal
	voids    uint64
	excused  uint64
}

func (s *Syncer) plan(item follow.Item[l1.Block]) (*plan, error) {
	st := s.cfg.Store.State()
	p := &plan{s: s, at: toBlock(item.Ref()), parent: block.Hash(item.Parent), root: st.SafeRoot, unsafe: st.Unsafe.Height, tip: derive.Tip{Height: st.Safe.Height}}
	var err error
	if p.in, err = s.inbox(); err != nil {
		return nil, err
	}
	if st.Safe.Height >= s.cfg.Genesis.InitialHeight {
		rec, err := s.cfg.Store.Block(st.Safe.Height)
		if err != nil {
			return nil, fmt.Errorf("read block %d: %w", st.Safe.Height, err)
		}
		p.tip = derive.TipOf(rec.Block)
	}
	return p, nil
}

// propose judges one proposal. A void one uses up its id and does nothing else.
func (p *plan) propose(ctx context.Context, m *l1.Message) error {
	prop := m.Proposal
	if prop.ID != p.in.Proposal.ID+1 {
		return p.s.stuck("derive", p.at.Height, fmt.Errorf("proposal %d is in L1 block %d, and the one before it, %d, was not seen: start from an earlier L1 block (l1.start_block of the genesis)", prop.ID, p.at.Height, prop.ID-1))
	}
	blocks, void := derive.Proposal(&p.s.cfg.Derive, p.tip, prop)
	if void == "" {
		var err error
		if void, err = p.adoptAll(ctx, blocks, m); err != nil {
			return err
		}
	}
	if void != "" {
		p.voids++
		p.s.cfg.Logger.Warn("proposal is void", "id", prop.ID, "source", p.at.Height, "reason", void)
	}
	p.in.Proposal = Proposal{
		ID: prop.ID, L1: p.at, Tx: block.Hash(m.Tx), L2: block.Ref{Height: p.tip.Height, Hash: p.tip.HeaderHash}, Void: void, Reorgs: p.in.Proposal.Reorgs,
	}
	p.made = append(p.made, p.in.Proposal)
	return nil
}

// adoptAll adopts a proposal's blocks, all or none: a verdict of the engine on one makes the proposal void, as does a forced transaction left out without excuse.
func (p *plan) adoptAll(ctx context.Context, blocks []*block.Block, m *l1.Message) (void string, err error) {
	before := *p
	void, err = p.tryAll(ctx, blocks, m)
	if void == "" || err != nil {
		return "", err
	}
	if len(p.append) > len(before.append) { // take back what this proposal executed
		if err := p.s.cfg.Engine.Revert(ctx, before.tip.Height); err != nil {
			return "", p.s.stuck("engine", before.tip.Height+1, fmt.Errorf("revert a void proposal: %w", err))
		}
	}
	p.tip, p.root, p.promote, p.append, p.done = before.tip, before.root, before.promote, before.append, before.done
	if len(before.append) == 0 { // unsafe blocks that gave way to it come back, by replay
		p.truncate, p.unsafe = before.truncate, before.unsafe
		p.s.engineKnown = false
	}
	return void, nil
}

func (p *plan) tryAll(ctx context.Context, blocks []*block.Block, m *l1.Message) (void string, err error) {
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
	left := derive.LeftOut(blocks, items, p.s.ownTxs())
	without, err := p.s.unexcused(ctx, p.tip.Height, items, left)
	switch {
	case err != nil:
		return "", err
	case without != nil:
		return fmt.Sprintf("transaction %d of forced item %d is in none of its blocks", without.N, without.Index), nil
	}
	if len(left) > 0 {
		p.s.cfg.Logger.Info("forced transactions are excused", "proposal", m.Proposal.ID, "transactions", len(left))
	}
	p.excused += uint64(len(left))
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
	p.done = append(p.done, Applied{Ref: b.Ref(), Txs: len(b.Data.Txs), Source: p.at, Safe: true, Promoted: promoted})
	return nil
}

// known reports whether b is the stored unsafe block at its height, and with which root: the known-canonical fast path.
func (p *plan) known(b *block.Block) (root []byte, ok bool, err error) {
	if b.Height() > p.unsafe || len(p.append) > 0 {
		return nil, false, nil
	}
	rec, err := p.s.cfg.Store.Block(b.Height())
	if err != nil {
		return nil, false, fmt.Errorf("read block %d: %w", b.Height(), err)
	}
	return rec.Root, rec.Block.Hash() == b.Hash(), nil
}

// execute runs b on the safe tip. Unsafe blocks from its height on give way first.
func (p *plan) execute(ctx context.Context, b *block.Block) ([]byte, error) {
	s := p.s
	if err := s.inTime(b); err != nil {
		return nil, err
	}
	if !bytes.Equal(b.Header.Header.AppHash, p.root) {
		return nil, s.stuck("root", b.Height(), &RootMismatchError{Height: b.Height(), Ours: p.root, BlockSays: b.Header.Header.AppHash, ParentHash: p.tip.HeaderHash})
	}
	if err := s.reconcile(ctx); err != nil {
		return nil, err
	}
	if len(p.append) == 0 && p.unsafe > p.tip.Height {
		height := p.tip.Height
		if err := s.cfg.Engine.Revert(ctx, height); err != nil {
			return nil, s.stuck("engine", b.Height(), fmt.Errorf("revert unsafe blocks above %d: %w", height, err))
		}
		p.truncate, p.unsafe = &height, height
	}
	root, err := s.cfg.Engine.Execute(ctx, b)
	if errors.Is(err, exec.ErrInvalid) { // a verdict is given twice, or it is none
		root, err = s.cfg.Engine.Execute(ctx, b)
	}
	switch {
	case errors.Is(err, exec.ErrInvalid):
		return nil, err
	case err != nil:
		return nil, s.stuck("execute", b.Height(), fmt.Errorf("execute block %d: %w", b.Height(), err))
	}
	return root, nil
}

// commit stores the plan, the position with it.
func (p *plan) commit() error {
	s := p.s
	b := &store.Batch{
		Truncate: p.truncate, Append: p.append, Promote: p.promote, Position: &p.at, Proven: &p.at, Aux: p.in.encode(),
		Item: &store.Item{Ref: p.at, Parent: p.parent, Safe: p.tip.Height, Aux: p.in.encode()},
	}
	if len(p.done) > 0 {
		b.Safe = &p.done[len(p.done)-1].Ref
	}
	before := s.cfg.Store.State().Unsafe.Height
	if err := s.commit(b); err != nil {
		return err
	}
	if p.truncate != nil {
		s.counts.RevertedUnsafe += before - *p.truncate
	}
	s.noteProposals(p.made...)
	s.counts.Executed += uint64(len(p.append))
	s.counts.Promoted += uint64(len(p.promote))
	s.counts.Void += p.voids
	s.counts.Excused += p.excused
	return nil
}

// Revert implements follow.Sink: takes back the last L1 block with the rollup blocks that it made, and the unsafe ones on top of them. What the L1
// has finalized stays (I10).
func (k *L1Sink) Revert(ctx context.Context) error {
	s := k.s
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.cfg.Store.State()
	in, err := s.inbox()
	if err != nil {
		return err
	}
	if st.Position.Height <= max(in.Finalized.Height, s.cfg.Store.Start().Height) {
		return follow.ErrFinalized
	}
	to, before, err := s.itemBefore(st.Position)
	if err != nil {
		return err
	}
	before.Finalized = in.Finalized
	before.Proposal.Reorgs = in.Proposal.Reorgs
	if !s.reverting {
		before.Proposal.Reorgs++
		s.reverting = true
	}
	b := &store.Batch{Position: &to.Ref, Proven: &to.Ref, DropItemsAbove: &to.Ref.Height, Aux: before.encode()}
	if to.Safe != st.Safe.Height {
		safe, err := s.cfg.Store.Ref(to.Safe)
		if err != nil {
			return fmt.Errorf("read block %d: %w", to.Safe, err)
		}
		b.Truncate, b.Safe = &to.Safe, &safe
		s.engineKnown = false
	}
	if err := s.commit(b); err != nil {
		return err
	}
	s.forgetProposals(to.Ref.Height)
	s.publish()
	if err := s.reconcile(ctx); err != nil { // the next block that needs the engine tries again
		s.cfg.Logger.Warn("engine not reverted yet", "err", err)
	}
	s.label(ctx)
	return nil
}

// itemBefore returns the item before the position, and the inbox after it. Before the first item that is where the store began.
func (s *Syncer) itemBefore(position block.Ref) (store.Item, inbox, error) {
	var in inbox
	start := s.cfg.Store.Start()
	if position.Height == start.Height+1 {
		return store.Item{Ref: start, Safe: s.cfg.Genesis.InitialHeight - 1}, in, nil
	}
	item, ok, err := s.cfg.Store.Item(position.Height - 1)
	switch {
	case err != nil:
		return item, in, err
	case !ok:
		return item, in, follow.ErrFinalized // only final ones are forgotten
	}
	if len(item.Aux) > 0 {
		err = json.Unmarshal(item.Aux, &in)
	}
	return item, in, err
}

// keepProposals is how many canonical proposals the status names, for those who wait for one that others have followed already.
const keepProposals = 128

// noteProposals adds to the recent proposals.
func (s *Syncer) noteProposals(made ...Proposal) {
	if len(made) == 0 {
		return
	}
	all := append(slices.Clone(s.recent), made...)
	s.recent = all[max(len(all)-keepProposals, 0):]
}

// forgetProposals drops the recent proposals of L1 blocks above height.
func (s *Syncer) forgetProposals(height uint64) {
	s.recent = slices.DeleteFunc(slices.Clone(s.recent), func(p Proposal) bool { return p.L1.Height > height })
}

// loadProposals reads the recent proposals from the items that are remembered.
func (s *Syncer) loadProposals() error {
	last := Proposal{}
	for h := s.cfg.Store.State().Position.Height; len(s.recent) < keepProposals; h-- {
		item, ok, err := s.cfg.Store.Item(h)
		if err != nil || !ok || len(item.Aux) == 0 {
			break // pruned, or before the first
		}
		var in inbox
		if err := json.Unmarshal(item.Aux, &in); err != nil {
			return fmt.Errorf("read the stored proposals: %w", err)
		}
		if p := in.Proposal; p.ID != 0 && p.ID != last.ID {
			s.recent, last = append(s.recent, p), p
		}
	}
	slices.Reverse(s.recent)
	return nil
}

// Finalize notes that the L1 has finalized a block: rollup blocks made by it and below are final, and its predecessors are forgotten. A block that is
// not ours (another fork, or not reached yet) changes nothing.
func (s *Syncer) Finalize(ctx context.Context, at l1.Ref) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, err := s.inbox()
	if err != nil || at.Number <= in.Finalized.Height {
		return err
	}
	item, ok, err := s.cfg.Store.Item(at.Number)
	if err != nil || !ok || item.Ref.Hash != block.Hash(at.Hash) {
		return err
	}
	in.Finalized = item.Ref
	b := &store.Batch{Aux: in.encode(), DropItemsBelow: &item.Ref.Height}
	if item.Safe > s.cfg.Store.State().Finalized.Height {
		ref, err := s.cfg.Store.Ref(item.Safe)
		if err != nil {
			return fmt.Errorf("read block %d: %w", item.Safe, err)
		}
		b.Finalized = &ref
	}
	if err := s.commit(b); err != nil {
		return err
	}
	s.publish()
	s.label(ctx)
	return nil
}

// label tells an engine that wants to know which blocks are safe and finalized. It is told again at the next change, so a failure is only noted.
func (s *Syncer) label(ctx context.Context) {
	e, ok := s.cfg.Engine.(exec.Labeler)
	if !ok || !s.engineKnown {
		return
	}
	st := s.cfg.Store.State()
	if err := e.Label(ctx, st.Safe, st.Finalized); err != nil {
		s.cfg.Logger.Warn("engine not told of safe and finalized", "err", err)
	}
}

var _ follow.Sink[l1.Block] = (*L1Sink)(nil)
