// Package syncer turns items of the canonical source, and blocks made by this node, into executed, stored and published blocks.
//
// Everything happens in one serialised section under one mutex, in one order: derive (pure), execute, one atomic store commit, publish.
// A crash between any two of these repeats work harmlessly: the engine is idempotent by (height, hash), and the position is in the
// commit of its effect (I2, I4). There is no goroutine here: the follower, the sequencer and whoever offers blocks bring their own.
//
// Heads: unsafe (made here or offered), safe (derived from the canonical source), finalized (with a DA layer the same as safe). A derived block that equals the
// unsafe one at its height is promoted without execution; a different one reverts the unsafe branch. Status is published inside the section, after
// the commit, so it never runs ahead of what is stored.
package syncer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/store"
	"headrace/watch"
)

// Config is what a Syncer works with. Store and Engine stay the caller's, who closes them after the last call.
type Config struct {
	Genesis  *block.Genesis
	Derive   derive.Config
	Store    *store.Store
	Engine   exec.Engine
	Logger   *slog.Logger  // default: silent
	MaxAhead time.Duration // how far a block's time may be ahead of the clock before it must wait; default 1 minute, as in Evolve
	Observer Observer
}

// Observer's functions, where not nil, are called at the point of truth, inside the serialised section: they must be quick and must not call the Syncer.
type Observer struct {
	Applied  func(a Applied)     // a block has become part of the chain, or safe, and is stored
	Position func(ref block.Ref) // an item of the source has been applied completely
}

// Applied describes one change of a head.
type Applied struct {
	Ref      block.Ref
	Txs      int
	Source   block.Ref // the source's item that made it safe; zero for an unsafe block
	Safe     bool
	Promoted bool // it was there as an unsafe block and was not executed again
}

// Status is what the node has done so far. Refs of height InitialHeight-1 with a zero hash mean "none yet".
type Status struct {
	Unsafe    block.Ref
	Safe      block.Ref
	Finalized block.Ref
	Root      []byte // state root after Unsafe
	Position  block.Ref
	Proven    block.Ref
	Proposal  Proposal       // of a chain whose canonical source is an L1 inbox
	Earlier   []Proposal     // canonical ones before it, oldest first; the newest keepProposals. Shared: read it only
	Missing   derive.Waiting // what the next block waits for
	Counts    Counts
	Skipped   derive.Counts // blobs that were not ours, by reason, since the start
	Proof     string        // why the last proof failed; empty when it did not
	Gate      bool          // offered blocks are taken
	Buffered  int           // offered blocks that wait for their parent
	Stage     Stage         // what the section is busy with, if it takes long, or stuck at
}

// Proposal is the last canonical proposal of the inbox. Its id can go down: a reorg of the L1 takes proposals back, and Reorgs counts those. It is published after the
// commit that holds it, so a late subscriber, and one after a restart, finds it.
type Proposal struct {
	ID     uint64     `json:"id"`   // 0: none yet
	L1     block.Ref  `json:"l1"`   // the L1 block that holds it
	Tx     block.Hash `json:"tx"`   // its transaction there
	L2     block.Ref  `json:"l2"`   // the safe head after it: of a void one, the block that it left in place
	Void   string     `json:"void"` // why it made no block; empty if it did
	Reorgs uint64     `json:"reorgs"`
}

// Counts count since the Syncer was opened.
type Counts struct {
	Executed, Promoted, Replayed, Produced, RevertedUnsafe uint64
	Void, Offered                                          uint64 // void proposals; unsafe blocks taken from offers
	Excused                                                uint64 // forced transactions that canonical proposals left out because they could not be included
}

// Stage says what keeps the section from going on. The zero Stage: nothing does.
type Stage struct {
	Name   string `json:"stage"` // "engine", "replay", "derive", "clock", "root", "execute"
	Height uint64 `json:"height"`
	Cause  string `json:"cause"`
}

// Syncer is the serialised section. All methods are safe for concurrent use.
type Syncer struct {
	cfg    Config
	status *watch.Value[Status]

	mu          sync.Mutex // the serialised section; guards the rest
	deriver     *derive.Deriver
	engineKnown bool // the engine has been compared with the store and found equal
	counts      Counts
	skipped     derive.Counts
	unproven    []unproven // the heights of (proven, position], in order
	proof       string     // why the last proof failed; empty when it did not
	reread      reread
	offers      offered
	recent      []Proposal // canonical, oldest first, the last one included; replaced, never changed
	reverting   bool       // the last thing done to the source's items was a revert: of one reorg only the first counts
}

// Open returns a Syncer that goes on from where the store stands. It does not touch the engine: that is compared with the store by the first
// call that needs it, and brought up by replay.
func Open(cfg Config) (*Syncer, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxAhead <= 0 {
		cfg.MaxAhead = time.Minute
	}
	s := &Syncer{cfg: cfg, status: new(watch.Value[Status])}
	if st := cfg.Store.State(); st.Proven != st.Position {
		if err := s.setBack(); err != nil { // what was left to be shown is not known any more: read it again
			return nil, err
		}
	}
	if err := s.loadDeriver(); err != nil {
		return nil, err
	}
	if err := s.loadProposals(); err != nil {
		return nil, err
	}
	s.publish()
	return s, nil
}

// Status returns the latest status, for every onlooker.
func (s *Syncer) Status() *watch.Value[Status] { return s.status }

// Authority returns what says whose a block is; it may be used outside of the section.
func (s *Syncer) Authority() *derive.Authority { return s.cfg.Derive.Authority }

// Close ends the status with err. Call it after the last Apply and Produce.
func (s *Syncer) Close(err error) { s.status.Close(err) }

// publish must be called inside the section, after a commit.
func (s *Syncer) publish() {
	st := s.cfg.Store.State()
	in, err := s.inbox()
	if err != nil {
		s.cfg.Logger.Error("status without the last proposal", "err", err)
	}
	var missing derive.Waiting
	if s.deriver != nil {
		missing = s.deriver.Waiting()
	}
	s.status.Update(func(old Status) Status {
		if s.deriver == nil {
			missing = old.Missing
		}
		var stage Stage // what is published is done, but for the engine: an item without blocks does not need it
		if !s.engineKnown && (old.Stage.Name == "engine" || old.Stage.Name == "replay") {
			stage = old.Stage
		}
		return Status{
			Unsafe: st.Unsafe, Safe: st.Safe, Finalized: st.Finalized, Root: st.Root,
			Position: st.Position, Proven: st.Proven,
			Proposal: in.Proposal, Earlier: s.recent[:max(len(s.recent)-1, 0)], Gate: s.offers.open, Buffered: len(s.offers.order),
			Missing: missing, Proof: s.proof, Counts: s.counts, Skipped: s.skipped, Stage: stage,
		}
	})
}

// stuck publishes what the section could not do, and returns err for the caller to retry.
func (s *Syncer) stuck(name string, height uint64, err error) error {
	s.stage(name, height, err.Error())
	return err
}

func (s *Syncer) stage(name string, height uint64, cause string) {
	s.status.Update(func(st Status) Status {
		st.Stage = Stage{Name: name, Height: height, Cause: cause}
		return st
	})
}

// loadDeriver makes a deriver from what is stored: at start, and after anything went wrong half way through an item.
func (s *Syncer) loadDeriver() error {
	st := s.cfg.Store.State()
	halves, err := s.cfg.Store.Halves()
	if err != nil {
		return fmt.Errorf("read pending halves: %w", err)
	}
	tip := derive.Tip{Height: st.Safe.Height}
	if st.Safe.Height >= s.cfg.Genesis.InitialHeight {
		rec, err := s.cfg.Store.Block(st.Safe.Height)
		if err != nil {
			return fmt.Errorf("read block %d: %w", st.Safe.Height, err)
		}
		tip = derive.TipOf(rec.Block)
	}
	s.deriver, err = derive.New(s.cfg.Derive, derive.State{Tip: tip, EnvelopesOnly: st.EnvelopesOnly, Pending: halves})
	if err != nil {
		return fmt.Errorf("load derivation: %w", err)
	}
	return nil
}

// commit writes b. When the outcome of a commit is unknown only a restart can tell, so that ends the follower.
func (s *Syncer) commit(b *store.Batch) error {
	if err := s.cfg.Store.Commit(b); err != nil {
		return follow.Fatal(fmt.Errorf("store commit: %w", err))
	}
	return nil
}

// adopt makes blk, derived from the canonical source, the safe head. more is added to the same commit.
func (s *Syncer) adopt(ctx context.Context, blk *block.Block, origin store.Origin, more *store.Batch) error {
	st := s.cfg.Store.State()
	ref := blk.Ref()
	more.Safe, more.Finalized = &ref, &ref
	if ref.Height <= st.Unsafe.Height {
		rec, err := s.cfg.Store.Block(ref.Height)
		if err != nil {
			return fmt.Errorf("read block %d: %w", ref.Height, err)
		}
		if rec.Block.Hash() == ref.Hash { // the known-canonical fast path
			more.Promote = append(more.Promote, store.Promotion{Height: ref.Height, Origin: origin})
			if err := s.commit(more); err != nil {
				return err
			}
			s.counts.Promoted++
			s.applied(blk, origin, true)
			return nil
		}
		if err := s.dropUnsafe(ctx, ref.Height-1, "the canonical source has others"); err != nil {
			return err
		}
	}
	root, err := s.execute(ctx, blk)
	if err != nil {
		return err
	}
	more.Append = append(more.Append, store.Record{Block: blk, Root: root, Origin: origin})
	if err := s.commit(more); err != nil {
		return err
	}
	s.counts.Executed++
	s.applied(blk, origin, false)
	return nil
}

func (s *Syncer) applied(blk *block.Block, origin store.Origin, promoted bool) {
	s.publish()
	a := Applied{Ref: blk.Ref(), Txs: len(blk.Data.Txs), Source: origin.Source, Safe: origin.Source != (block.Ref{}), Promoted: promoted}
	if !promoted {
		s.cfg.Logger.Info("block", "height", a.Ref.Height, "hash", a.Ref.Hash, "txs", a.Txs, "safe", a.Safe, "source", a.Source.Height)
	}
	if s.cfg.Observer.Applied != nil {
		s.cfg.Observer.Applied(a)
	}
}

// dropUnsafe takes back the blocks above height: first in the store, so that a crash leaves the engine ahead, which the next start repairs.
func (s *Syncer) dropUnsafe(ctx context.Context, height uint64, why string) error {
	st := s.cfg.Store.State()
	s.cfg.Logger.Warn("reverting unsafe blocks: "+why, "from", st.Unsafe.Height, "to", height)
	if err := s.commit(&store.Batch{Truncate: &height}); err != nil {
		return err
	}
	s.counts.RevertedUnsafe += st.Unsafe.Height - height
	s.engineKnown = false
	s.publish()
	return s.reconcile(ctx)
}

// Block returns the stored block at height, safe or not; store.ErrNotFound if there is none.
func (s *Syncer) Block(height uint64) (store.Record, error) { return s.cfg.Store.Block(height) }
