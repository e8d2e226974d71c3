// Package syncer turns items of the canonical source, and blocks made by this node, into executed, stored and
// published blocks.
//
// Everything happens in one serialised section under one mutex, in one order: derive (pure), execute, one atomic
// store commit, publish. A crash between any two of these repeats work harmlessly: the engine is idempotent by
// (height, hash), and the position is in the commit of its effect (I2, I4). There is no goroutine here: the follower,
// the sequencer and whoever offers blocks bring their own.
//
// What anyone may send is verified before that section, where nobody waits for it, and leaves a core to those who make
// blocks: strangers choose how much of it there is (I9).
//
// Heads: unsafe (made here or offered), safe (derived from the canonical source), finalized (with a DA layer the same
// as safe). A derived block that equals the unsafe one at its height is promoted without execution; a different one
// reverts the unsafe branch. Status is published inside the section, after the commit, so it never runs ahead of what
// is stored.
package syncer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/edge"
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
	Told     func(Applied) // what a line about a block is made of, in the place of that line; default: each is logged
	MaxAhead time.Duration // how far a block's time may be ahead of the clock, and of the source's, before it must wait; default 1 minute, as in Evolve
	Observer Observer

	// MaxUnsafe is how far above the safe head offered blocks may be on a chain whose canonical source is a DA layer,
	// where safe blocks never revert; 0: none are taken there. On an L1 the gate alone counts.
	MaxUnsafe uint64

	// Signs says that this node has the proposer's key: it can sign again what was signed before.
	Signs bool
}

// Observer's functions, where not nil, are called where things happen, inside the serialised section but for the
// steps that say otherwise. They must be quick, must not block and must not call back.
type Observer struct {
	Applied  func(a Applied)       // a block has become part of the chain, or safe; it is stored and published
	Reverted func(from, to uint64) // the blocks of these heights, from the highest down to to, are not part of the chain any more; it is stored, and published next
	Done     func(step Step, height uint64, took time.Duration, err error)
}

// Step is work whose end Observer.Done tells of.
type Step string

// The steps, and what their height is.
const (
	StepDerive  Step = "derive"  // blocks from an item of the source: the item's
	StepExecute Step = "execute" // by the engine, in a replay too: the block's
	StepHead    Step = "head"    // the engine is asked where it stands: where the store does
	StepRevert  Step = "revert"  // the engine goes back: to where
	StepLabel   Step = "label"   // the engine is told of safe and finalized blocks: the safe one's
	StepExempt  Step = "exempt"  // the engine is asked about forced transactions: the last block's before them
	StepCommit  Step = "commit"  // to the store: the position's after it
	StepProve   Step = "prove"   // of a height of the DA layer: that one. Outside of the section, several at a time
	StepBuild   Step = "build"   // of a block, by the sequencer's engine: the block's
	StepPost    Step = "post"    // of blocks, by the sequencer, until they are included: the last one's. Outside of the section
)

// Applied describes one change of a head.
type Applied struct {
	Ref      block.Ref
	Txs      int       // without the engine's own
	Source   block.Ref // the source's item that made it safe; zero for an unsafe block
	Safe     bool
	Promoted bool      // it was there as an unsafe block and was not executed again
	Made     time.Time // by its header
}

// Status is what the node has done so far. Refs of height InitialHeight-1 with a zero hash mean "none yet".
type Status struct {
	Unsafe     block.Ref
	Safe       block.Ref
	Finalized  block.Ref
	Root       []byte // state root after Unsafe
	Position   block.Ref
	SourceTime time.Time // the latest that an item of the source had, or a replica's safe block, since the start; zero before the first
	Proven     block.Ref
	Proposal   Proposal       // of a chain whose canonical source is an L1 inbox
	Final      block.Ref      // of such a chain: the highest L1 block that is known to be final; zero: none
	Earlier    []Proposal     // canonical ones before it, oldest first; the newest keepProposals. Shared: read it only
	Missing    derive.Waiting // what the next block waits for
	Counts     Counts
	Skipped    derive.Counts  // blobs that were not ours, by reason, since the start
	Proof      string         // why the last proof failed; empty when it did not
	Gate       bool           // offered blocks are taken
	Twice      []Equivocation // heights at which the proposer has signed two blocks, the lowest first. Shared: read it only
	Buffered   int            // offered blocks that wait for their parent
	Stage      Stage          // what the section is busy with, if it takes long, or stuck at
	StageSince time.Time      // since when there is one: what it is may change meanwhile
	UnsafeAt   Moment
	SafeAt     Moment
	Rhythm     Rhythm
	Diverged   bool // the engine was found to have another state than is stored, and has not come to that again
}

// Proposal is the last canonical proposal of the inbox. It is published after the commit that holds it, so a late
// subscriber, and one after a restart, finds it.
type Proposal = store.Proposal

// Counts count since the Syncer was opened.
type Counts struct {
	Executed       uint64 `json:"executed"`
	Promoted       uint64 `json:"promoted"` // derived blocks that were there as unsafe ones
	Replayed       uint64 `json:"replayed"` // stored blocks given again to an engine that had lost them
	Produced       uint64 `json:"produced"`
	RevertedUnsafe uint64 `json:"reverted_unsafe"`
	Demoted        uint64 `json:"demoted"`      // safe blocks that an L1 reorg has made unsafe ones again
	Dropped        uint64 `json:"dropped"`      // signed blocks that the sequencer dropped for forced transactions, to sign others at their heights
	Void           uint64 `json:"void"`         // proposals that made no block
	Exempt         uint64 `json:"exempt"`       // forced transactions missing in proposals because no block could include them
	Offered        uint64 `json:"offered"`      // unsafe blocks taken beside the canonical source
	SignedTwice    uint64 `json:"signed_twice"` // heights at which the proposer was found to have signed two blocks
}

// Stage says what keeps the section from going on. The zero Stage: nothing does.
type Stage struct {
	Name   follow.Stage `json:"stage"`
	Height uint64       `json:"height"`
	Cause  string       `json:"cause"`
}

// Syncer is the serialised section, whatever the chain's canonical source is: the sink of that, which OpenDA and
// OpenL1 return, has the rest. All methods are safe for concurrent use.
type Syncer struct {
	cfg       Config
	status    *watch.Value[Status]
	verifying chan struct{} // holds one for each signature check under way, or the like; see verify
	judged    judged
	busy      busy

	mu          sync.Mutex     // the serialised section; guards the rest, and what the sink and the Offers hold
	engineKnown bool           // the engine has been compared with the store and found equal
	bare        bool           // engines are shown no signature; set before anything is executed
	diverged    *DivergedError // the engine's state was found to be another one; nil: it was not
	claim       []byte         // root after the last block by the next header, while that is about to be executed
	initial     []byte         // root before the first block, if the engine was asked
	reverts     uint64         // how often the engine was taken back
	counts      Counts
	onSigned    func(block.Ref)     // see OnSigned; nil: nobody is told
	sourceTime  time.Time           // see Status
	tell        func(Status) Status // what the sink, and its Offers, add to the status
	rhythm      rhythm
	twice       []Equivocation               // the lowest first; replaced, never changed
	byDesign    func(a, b *block.Block) bool // two blocks at one height are no equivocation; nil: they always are
	saidTwice   edge.Log
	noted       headAt // the last block that note was told of
	unsafe      headAt
	safe        headAt
}

// NotCompared is the cause of the stage that a Syncer begins with.
const NotCompared = "the engine has not been compared with what is stored yet"

// open returns a Syncer that goes on from where the store stands, for a sink that publishes when it has read what it
// needs. It does not touch the engine: that is compared with the store by the first call that needs it, and brought
// up by replay.
func open(cfg Config) (*Syncer, error) {
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if cfg.MaxAhead <= 0 {
		cfg.MaxAhead = time.Minute
	}
	s := &Syncer{cfg: cfg, status: new(watch.Value[Status]), verifying: make(chan struct{}, max(runtime.GOMAXPROCS(0)-1, 1))}
	s.loadRhythm()
	var err error
	if s.diverged, err = readDiverged(cfg.Store); err != nil {
		return nil, err
	}
	if s.twice, err = loadTwice(cfg.Store); err != nil {
		return nil, err
	}
	if s.diverged == nil { // that is known, and says more
		s.stage(follow.StageEngine, cfg.Store.State().Unsafe.Height, NotCompared)
	}
	return s, nil
}

// verify does work that strangers choose the amount of, which nobody in the section may wait for: on all cores but
// one.
func (s *Syncer) verify(work func()) {
	s.verifying <- struct{}{}
	defer func() { <-s.verifying }()
	work()
}

// Status returns the latest status, for every onlooker.
func (s *Syncer) Status() *watch.Value[Status] { return s.status }

// Authority returns what says whose a block is; it may be used outside of the section.
func (s *Syncer) Authority() *derive.Authority { return s.cfg.Derive.Authority }

// Close ends the status with err. Call it after the last Apply and Produce.
func (s *Syncer) Close(err error) { s.status.Close(err) }

// Last implements follow.Sink for both sinks: the position of the last commit (I2).
func (s *Syncer) Last() follow.Ref { return s.cfg.Store.State().Position }

// At implements follow.Sink for both: of a DA layer the newest 256 heights are remembered, of an L1 those that are
// not final.
func (s *Syncer) At(height uint64) (follow.Ref, bool) {
	item, ok, err := s.cfg.Store.Item(height)
	return item.Ref, ok && err == nil
}

// BeforeFirst names what the first block builds on.
func (s *Syncer) BeforeFirst() block.Ref { return block.Ref{Height: s.cfg.Genesis.InitialHeight - 1} }

// publish must be called inside the section, after a commit.
func (s *Syncer) publish() {
	st := s.cfg.Store.State()
	unsafe, safe := s.moves(&s.unsafe, st.Unsafe), s.moves(&s.safe, st.Safe)
	s.status.Update(func(now Status) Status {
		now.UnsafeAt, now.SafeAt, now.Rhythm = unsafe, safe, s.rhythm.is
		now.Unsafe, now.Safe, now.Finalized, now.Root = st.Unsafe, st.Safe, st.Finalized, st.Root
		now.Position, now.Proven, now.Counts, now.SourceTime = st.Position, st.Proven, s.counts, s.sourceTime
		now.Diverged, now.Twice = s.diverged != nil, s.twice
		if s.engineKnown || now.Stage.Name != follow.StageEngine && now.Stage.Name != follow.StageReplay {
			now.Stage = Stage{} // what is published is done, but for the engine: an item without blocks does not need it
		}
		if s.diverged != nil && now.Stage == (Stage{}) {
			now.Stage = Stage{Name: follow.StageRoot, Height: s.diverged.Height, Cause: s.diverged.Error()}
		}
		now.sinceStage()
		return s.tell(now)
	})
}

// stuck publishes what the section could not do, and returns err for the caller to retry.
func (s *Syncer) stuck(name follow.Stage, height uint64, err error) error {
	s.stage(name, height, err.Error())
	return err
}

// stage must be called inside the section.
func (s *Syncer) stage(name follow.Stage, height uint64, cause string) {
	s.status.Update(func(st Status) Status {
		st.Stage, st.Diverged = Stage{Name: name, Height: height, Cause: cause}, s.diverged != nil
		st.sinceStage()
		return st
	})
}

// sinceStage keeps StageSince: the first failure counts, not the last try.
func (st *Status) sinceStage() {
	switch {
	case st.Stage == Stage{}:
		st.StageSince = time.Time{}
	case st.StageSince.IsZero():
		st.StageSince = time.Now()
	}
}

// tip returns what the next block is derived on: the last safe one.
func (s *Syncer) tip() (derive.Tip, error) {
	safe := s.cfg.Store.State().Safe.Height
	if safe < s.cfg.Genesis.InitialHeight {
		return derive.Tip{Height: safe}, nil
	}
	rec, err := s.cfg.Store.Block(safe)
	if err != nil {
		return derive.Tip{}, err
	}
	return derive.TipOf(rec.Block), nil
}

// commit writes b. When the outcome of a commit is unknown only a restart can tell, so that ends the follower.
func (s *Syncer) commit(b *store.Batch) error {
	start, before := time.Now(), s.cfg.Store.State()
	if len(b.Append) > 0 && b.Append[0].Block.Height() == s.cfg.Genesis.InitialHeight {
		b.InitialRoot = s.initial
	}
	if text := s.rhythm.toStore(); text != nil {
		if b.Named == nil {
			b.Named = map[string][]byte{}
		}
		b.Named[rhythmKey] = text
	}
	err := s.cfg.Store.Commit(b)
	s.Took(StepCommit, s.cfg.Store.State().Position.Height, start, err)
	if err != nil {
		return follow.Fatal(fmt.Errorf("store commit: %w", err))
	}
	if b.Truncate == nil || *b.Truncate >= before.Unsafe.Height {
		return nil
	}
	if *b.Truncate >= before.Safe.Height {
		s.counts.RevertedUnsafe += before.Unsafe.Height - *b.Truncate
	}
	if s.cfg.Observer.Reverted != nil {
		s.cfg.Observer.Reverted(before.Unsafe.Height, *b.Truncate+1)
	}
	return nil
}

// Took tells the observer of a step that began at start and has ended.
func (s *Syncer) Took(step Step, height uint64, start time.Time, err error) {
	s.ended(step, height)
	if s.cfg.Observer.Done != nil {
		s.cfg.Observer.Done(step, height, time.Since(start), err)
	}
}

func (s *Syncer) applied(blk *block.Block, origin store.Origin, promoted bool) {
	a := Applied{Ref: blk.Ref(), Txs: len(exec.UserTxs(s.cfg.Engine, blk.Data.Txs)), Source: origin.Source, Safe: origin.Source != (block.Ref{}), Promoted: promoted, Made: blk.Made()}
	s.note(&a)
	s.publish()
	if !promoted {
		s.tellBlock(a)
	}
	if s.cfg.Observer.Applied != nil {
		s.cfg.Observer.Applied(a)
	}
}

// tellBlock logs a block, or leaves that to whoever logs several at once.
func (s *Syncer) tellBlock(a Applied) {
	if s.cfg.Told != nil {
		s.cfg.Told(a)
		return
	}
	s.cfg.Logger.Info("block", "height", a.Ref.Height, "hash", a.Ref.Hash, "txs", a.Txs, "safe", a.Safe, "source", a.Source.Height)
}

// dropUnsafe takes back the blocks above height: first in the store, so that a crash leaves the engine ahead, which
// the next start repairs.
func (s *Syncer) dropUnsafe(ctx context.Context, height uint64, why string) error {
	st := s.cfg.Store.State()
	s.cfg.Logger.Warn("reverting unsafe blocks: "+why, "from", st.Unsafe.Height, "to", height)
	if err := s.commit(&store.Batch{Truncate: &height}); err != nil {
		return err
	}
	s.engineKnown = false
	s.publish()
	return s.reconcile(ctx)
}

// Block returns the stored block at height, safe or not; store.ErrNotFound if there is none.
func (s *Syncer) Block(height uint64) (store.Record, error) { return s.cfg.Store.Block(height) }
