package syncer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/edge"
	"headrace/internal/store"
)

// RootMismatchError: a block says that the state before it has another root than the engine gives. Either the engine
// runs another application than the proposer's, or one of the two is wrong; no retry cures it, but neither is
// anything lost.
type RootMismatchError struct {
	Height    uint64
	Ours      []byte // after the block before
	BlockSays []byte
}

func (e *RootMismatchError) Error() string {
	return fmt.Sprintf("state root mismatch: block %d was built on state root %s, this node's engine has %s after block %d: the engine runs another application than the proposer's, or another version of it; run the proposer's engine and start again",
		e.Height, shortRoot(e.BlockSays), shortRoot(e.Ours), e.Height-1)
}

func shortRoot(root []byte) string {
	switch {
	case len(root) == 0:
		return "(empty)"
	case len(root) > 32:
		return fmt.Sprintf("%x… (%d bytes)", root[:32], len(root))
	default:
		return fmt.Sprintf("%x", root)
	}
}

// execute runs blk, after checking what it says of the state before it, whose root is root. ready brings the engine
// to the block before; it is asked again when the engine has lost that. The engine's verdict on blk (exec.ErrInvalid)
// is returned as it is; what to make of it is the caller's. Any other error is in the status.
func (s *Syncer) execute(ctx context.Context, blk *block.Block, root []byte, ready func(context.Context) error) ([]byte, error) {
	h := &blk.Header.Header
	root, err := s.rootBefore(ctx, h, root, ready)
	if err != nil {
		return nil, err
	}
	// Headrace once wrote no root in a chain's first header, whatever its engine's state was: none is taken there.
	if unsaid := h.Height == s.cfg.Genesis.InitialHeight && len(h.AppHash) == 0; !unsaid && !bytes.Equal(h.AppHash, root) {
		return nil, s.stuck(follow.StageRoot, h.Height, &RootMismatchError{Height: h.Height, Ours: root, BlockSays: h.AppHash})
	}
	for lost, invalid := false, false; ; {
		if err := ready(ctx); err != nil {
			return nil, err
		}
		root, err := s.run(ctx, blk)
		switch {
		case err == nil:
			return root, nil
		case errors.Is(err, exec.ErrParent) && !lost: // it lost blocks, or someone else drives it
			lost, s.engineKnown = true, false
		case errors.Is(err, exec.ErrInvalid) && !invalid: // a verdict is given twice, or it is none
			invalid = true
		case errors.Is(err, exec.ErrInvalid):
			return nil, err
		default:
			return nil, s.stuckAt(blk, err)
		}
	}
}

// run, head and revertTo are the engine's methods, with an observer.
func (s *Syncer) run(ctx context.Context, blk *block.Block) ([]byte, error) {
	start := s.Begin(StepExecute, blk.Height())
	root, err := s.cfg.Engine.Execute(ctx, s.shown(blk))
	s.Took(StepExecute, blk.Height(), start, err)
	return root, err
}

// shown is a block as engines are given it. Of an L1's some nodes have the signature and others have not: none is shown.
func (s *Syncer) shown(blk *block.Block) *block.Block {
	if !s.bare {
		return blk
	}
	return &block.Block{Header: block.SignedHeader{Header: blk.Header.Header}, Data: blk.Data}
}

func (s *Syncer) head(ctx context.Context) (exec.Head, error) {
	at := s.cfg.Store.State().Unsafe.Height
	start := s.Begin(StepHead, at)
	head, err := s.cfg.Engine.Head(ctx)
	s.Took(StepHead, at, start, err)
	return head, err
}

func (s *Syncer) revertTo(ctx context.Context, height uint64) error {
	s.reverts++
	start := s.Begin(StepRevert, height)
	err := s.cfg.Engine.Revert(ctx, height)
	s.Took(StepRevert, height, start, err)
	return err
}

func (s *Syncer) stuckAt(blk *block.Block, err error) error {
	return s.stuck(follow.StageExecute, blk.Height(), fmt.Errorf("execute block %d: %w", blk.Height(), err))
}

// executeNext executes blk, the successor of the unsafe head. A verdict is an error like any other. Its time is the
// caller's to check: a sequencer whose clock is behind must not wait for its own blocks.
func (s *Syncer) executeNext(ctx context.Context, blk *block.Block) ([]byte, error) {
	root, err := s.execute(ctx, blk, s.cfg.Store.State().Root, s.reconcile)
	if errors.Is(err, exec.ErrInvalid) {
		err = s.stuckAt(blk, err)
	}
	return root, err
}

// inTime returns an error while blk is too far ahead of the clock, or of the source's newest item if that is later (a
// clock may be wrong): it waits, it is never refused.
func (s *Syncer) inTime(blk *block.Block) error {
	h, now := &blk.Header.Header, time.Now()
	if s.sourceTime.After(now) {
		now = s.sourceTime
	}
	if h.Time > math.MaxInt64 {
		return s.stuck(follow.StageClock, h.Height, fmt.Errorf("block %d is ahead of this machine's clock: its time is %d nanoseconds since 1970, which is later than any clock shows", h.Height, h.Time))
	}
	if ahead := blk.Made().Sub(now); ahead > s.cfg.MaxAhead {
		return s.stuck(follow.StageClock, h.Height, fmt.Errorf("block %d is %s ahead of this machine's clock: waiting; check the clock", h.Height, ahead.Round(time.Second)))
	}
	return nil
}

// heard notes the time of an item of the source. It must be called inside the section.
func (s *Syncer) heard(height uint64, at time.Time) {
	s.rhythm.passed(height, at)
	if at.After(s.sourceTime) {
		s.sourceTime = at
	}
}

// reconcile brings the engine to the store's unsafe head: an engine that is ahead, or on another branch, is reverted
// to the last block they share; one that is behind is given the stored blocks again (I4). It is the start-up, and the
// repair, and costs nothing once they agree.
func (s *Syncer) reconcile(ctx context.Context) error {
	if s.engineKnown {
		return nil
	}
	st := s.cfg.Store.State()
	head, err := s.common(ctx, st.Unsafe.Height)
	var other *DivergedError
	switch {
	case errors.As(err, &other):
		return s.stuck(follow.StageRoot, other.Height, err)
	case err != nil:
		return s.stuck(follow.StageEngine, st.Unsafe.Height, err)
	}
	for h := head.Height + 1; h <= st.Unsafe.Height; h++ {
		s.stage(follow.StageReplay, h, fmt.Sprintf("engine is at %d, replaying stored blocks to %d", h-1, st.Unsafe.Height))
		rec, err := s.cfg.Store.Block(h)
		if err == nil {
			err = s.replay(ctx, &rec)
		}
		if err != nil {
			return s.stuck(follow.StageReplay, h, err)
		}
	}
	if err := s.agrees(); err != nil {
		return err
	}
	s.engineKnown = true
	s.publish()
	return nil
}

// tryReconcile reconciles at once what need not wait for the next block. If that fails the next block that needs the
// engine tries again.
func (s *Syncer) tryReconcile(ctx context.Context, said *edge.Log) {
	if err := s.reconcile(ctx); err != nil {
		said.Warn(s.cfg.Logger, "engine not brought up yet", err)
	}
}

// common reverts the engine until its head is a stored block at or below height, and returns that.
func (s *Syncer) common(ctx context.Context, height uint64) (exec.Head, error) {
	for step := uint64(1); ; step *= 2 {
		head, err := s.head(ctx)
		if err != nil {
			return head, fmt.Errorf("engine head: %w", err)
		}
		ok, err := s.isStored(head, height) // with its root
		if ok || err != nil {
			return head, err
		}
		// Another hash, or ahead: take back what the store does not have, in growing steps.
		target := s.cfg.Genesis.InitialHeight - 1
		if head.Height > height {
			target = height
		} else if head.Height > target+step {
			target = head.Height - step
		}
		s.cfg.Logger.Info("reverting the engine to what is stored", "height", head.Height, "to", target)
		err = s.revertTo(ctx, target)
		if errors.Is(err, exec.ErrPruned) {
			err = s.revertTo(ctx, s.cfg.Genesis.InitialHeight-1)
		}
		if err != nil {
			return head, fmt.Errorf("revert engine to %d: %w", target, err)
		}
		if after, err := s.head(ctx); err != nil || after.Height >= head.Height {
			return head, fmt.Errorf("engine is still at %d after a revert to %d (%w)", after.Height, target, errors.Join(err, errStuckEngine))
		}
	}
}

var errStuckEngine = errors.New("the engine does not revert; give it an empty data directory")

// isStored reports whether head is one of our blocks at or below height. It is an error if its state is another one.
func (s *Syncer) isStored(head exec.Head, height uint64) (bool, error) {
	if head.Height < s.cfg.Genesis.InitialHeight {
		if root := s.cfg.Store.State().InitialRoot; root != nil && !bytes.Equal(root, head.Root) {
			return false, s.differs(head.Height, root, head.Root)
		}
		return true, nil
	}
	if head.Height > height {
		return false, nil
	}
	rec, err := s.cfg.Store.Block(head.Height)
	if err != nil {
		return false, fmt.Errorf("read block %d, the engine's head: %w", head.Height, err)
	}
	if rec.Block.Hash() != head.Hash {
		return false, nil
	}
	if !bytes.Equal(rec.Root, head.Root) {
		if err := s.differs(head.Height, rec.Root, head.Root); err != nil {
			return false, err
		}
	}
	return true, nil
}

// replay gives the engine a block again, and insists on the same result.
func (s *Syncer) replay(ctx context.Context, rec *store.Record) error {
	height := rec.Block.Height()
	root, err := s.run(ctx, rec.Block)
	if err != nil {
		return fmt.Errorf("replay block %d: %w", height, err)
	}
	if !bytes.Equal(root, rec.Root) {
		if err := s.differs(height, rec.Root, root); err != nil {
			return errors.Join(fmt.Errorf("replay block %d: %w", height, err), s.revertTo(ctx, height-1))
		}
	}
	s.counts.Replayed++
	return nil
}

// label informs an engine that wants to know which blocks are safe and finalized. It is informed again at the next
// change, so a failure is only noted.
func (s *Syncer) label(ctx context.Context, said *edge.Log) {
	e, ok := s.cfg.Engine.(exec.Labeler)
	if !ok || !s.engineKnown {
		return
	}
	st := s.cfg.Store.State()
	start := time.Now()
	err := e.Label(ctx, st.Safe, st.Finalized)
	s.Took(StepLabel, st.Safe.Height, start, err)
	if err != nil {
		said.Warn(s.cfg.Logger, "engine not informed of safe and finalized", err)
	}
}
