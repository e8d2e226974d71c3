package syncer

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/store"
)

// The state root after a block is told twice: by the engine, and by the header of the next block. Below the last block
// the two have been compared. What the store holds after the last block, and before the first, is the engine's word
// alone, and a later engine, or the next header, may show it to be wrong.

// divergedKey names what an engine came to that is not what is stored, until one comes to that again.
const divergedKey = "diverged"

// DivergedError: the engine has another state after a block than the one that executed it first. Nothing is executed on
// it. Headrace goes on when an engine comes to the stored root, or to the one that the next header names if the block is
// the last one.
type DivergedError struct {
	Height       uint64
	Stored, Ours []byte
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("state root mismatch: the engine has state root %s after block %d, and %s is stored: it is another application than before, or another version of it, or has another genesis; run the one that the chain has, or give it an empty data directory",
		shortRoot(e.Ours), e.Height, shortRoot(e.Stored))
}

// diverged is how a DivergedError is stored.
type diverged struct {
	Height uint64 `json:"height"`
	Stored string `json:"stored"`
	Ours   string `json:"ours"`
}

// readDiverged returns what was found before a restart; nil if nothing was.
func readDiverged(s *store.Store) (*DivergedError, error) {
	raw, ok, err := s.Named(divergedKey)
	if err != nil || !ok {
		return nil, err
	}
	var d diverged
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("read what the engine came to: %w", err)
	}
	stored, err1 := hex.DecodeString(d.Stored)
	ours, err2 := hex.DecodeString(d.Ours)
	return &DivergedError{d.Height, stored, ours}, errors.Join(err1, err2)
}

// differs decides about an engine that has another root after a stored block than the store. Of the last block the
// proposer's next header may say that the engine is right: that is stored then. Else it is an error, which a restart
// knows too.
func (s *Syncer) differs(height uint64, stored, ours []byte) error {
	if s.claim != nil && height == s.cfg.Store.State().Unsafe.Height && bytes.Equal(ours, s.claim) {
		if err := s.commit(&store.Batch{Root: ours, Sync: true}); err != nil {
			return err
		}
		s.cfg.Logger.Warn("state root corrected: the next header names the one that the engine has now", "height", height, "was", shortRoot(stored), "is", shortRoot(ours))
		return nil
	}
	e := &DivergedError{height, stored, ours}
	if was := s.diverged; was == nil || was.Height != height || !bytes.Equal(was.Ours, ours) {
		s.cfg.Logger.Error("the engine has another state than the chain", "height", height, "stored", shortRoot(stored), "engine", shortRoot(ours))
		raw, err := json.Marshal(diverged{height, hex.EncodeToString(stored), hex.EncodeToString(ours)})
		if err != nil {
			return err
		}
		if err := s.commit(&store.Batch{Named: map[string][]byte{divergedKey: raw}, Sync: true}); err != nil {
			return err
		}
		s.diverged = e
	}
	return e
}

// agrees notes that the engine has the state that is stored.
func (s *Syncer) agrees() error {
	if s.diverged == nil {
		return nil
	}
	if err := s.commit(&store.Batch{Named: map[string][]byte{divergedKey: nil}}); err != nil {
		return err
	}
	s.cfg.Logger.Info("the engine has the chain's state again", "height", s.cfg.Store.State().Unsafe.Height)
	s.diverged = nil
	return nil
}

// rootBefore returns the state root before the block with header h; root is the one stored after its parent. Before the
// first block it is the engine's own, asked for when ready has brought it there.
func (s *Syncer) rootBefore(ctx context.Context, h *block.Header, root []byte, ready func(context.Context) error) ([]byte, error) {
	st := s.cfg.Store.State()
	switch {
	case h.Height == s.cfg.Genesis.InitialHeight:
		return s.initialRoot(ctx, ready)
	case bytes.Equal(h.AppHash, root) || h.Height != st.Unsafe.Height+1 || !bytes.Equal(root, st.Root):
		return root, nil
	}
	// Perhaps the right engine is behind the home by now: it is compared again, and may be what the header says.
	s.engineKnown, s.claim = false, h.AppHash
	defer func() { s.claim = nil }()
	if err := s.reconcile(ctx); err != nil {
		return nil, err
	}
	return s.cfg.Store.State().Root, nil
}

// initialRoot returns the state root before the first block: the stored one, or the engine's.
func (s *Syncer) initialRoot(ctx context.Context, ready func(context.Context) error) ([]byte, error) {
	if root := s.cfg.Store.State().InitialRoot; root != nil {
		return root, nil
	}
	if err := ready(ctx); err != nil {
		return nil, err
	}
	first := s.cfg.Genesis.InitialHeight
	head, err := s.head(ctx)
	switch {
	case err != nil:
		return nil, s.stuck(follow.StageEngine, first, fmt.Errorf("engine head: %w", err))
	case head.Height >= first:
		s.engineKnown = false
		return nil, s.stuck(follow.StageEngine, first, fmt.Errorf("the engine is at %d, and its state before block %d is asked for", head.Height, first))
	}
	s.initial = head.Root
	return head.Root, nil
}
