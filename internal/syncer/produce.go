package syncer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/exec"
	"headrace/internal/derive"
	"headrace/internal/store"
)

// Parent is what a new block is built on.
type Parent struct {
	Ref      block.Ref  // height InitialHeight-1 and no hash for the first block
	DataHash block.Hash // of the parent's data; zero for the first block
	Time     uint64     // nanoseconds since the Unix epoch; the genesis' start time for the first block
	Root     []byte     // state root after the parent
}

// proposedKey names the block that was signed last, before anything else is done with it; signedKey what it is, also
// when it was dropped.
const (
	proposedKey = "proposed"
	signedKey   = "signed"
)

// Signed names the block that was signed last.
type Signed struct {
	Ref    block.Ref
	Parent block.Hash
}

// LastSigned returns the block that was signed last here; ok is false if none was.
func (s *Syncer) LastSigned() (Signed, bool, error) { return LastSigned(s.cfg.Store) }

// LastSigned returns the block that a store names so; ok is false if none was.
func LastSigned(in *store.Store) (last Signed, ok bool, err error) {
	raw, ok, err := in.Named(signedKey)
	if err != nil || !ok {
		return last, false, err
	}
	if err := json.Unmarshal(raw, &last); err != nil {
		return last, false, fmt.Errorf("read what was signed last: %w", err)
	}
	return last, true, nil
}

// OnSigned has f called with each block that is signed, when it is synced to disk and before anything else is done
// with it. It is called inside the section. Call it before the first Produce.
func (s *Syncer) OnSigned(f func(block.Ref)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onSigned = f
}

// Produce makes the next block: build gets the unsafe head and returns a signed block on top of it, or nil for none
// this time. The signed block is synced to disk before it is executed, stored as unsafe and published, so that a
// crash at any moment leaves either no signature or this one: at the next call it is used again, and build is not
// asked (the sequencer signs no second block for a parent unless it has dropped the first, see DropAbove). It returns
// the new head.
func (s *Syncer) Produce(ctx context.Context, build func(context.Context, Parent) (*block.Block, error)) (block.Ref, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.reconcile(ctx); err != nil {
		return block.Ref{}, err
	}
	parent, err := s.parent(ctx)
	if err != nil {
		return block.Ref{}, err
	}
	blk, err := s.proposed(parent)
	if err != nil {
		return block.Ref{}, err
	}
	if blk == nil {
		if err := s.mayBegin(parent); err != nil {
			return block.Ref{}, err
		}
		blk, err = build(ctx, parent)
		if errors.Is(err, exec.ErrParent) { // the engine lost blocks, or someone else drives it
			s.engineKnown = false
			if err := s.reconcile(ctx); err != nil {
				return block.Ref{}, err
			}
			blk, err = build(ctx, parent)
		}
		if err != nil || blk == nil {
			return parent.Ref, err
		}
		signed, err := json.Marshal(Signed{Ref: blk.Ref(), Parent: parent.Ref.Hash})
		if err != nil {
			return block.Ref{}, fmt.Errorf("write what was signed last: %w", err)
		}
		if err := s.commit(&store.Batch{Named: map[string][]byte{proposedKey: blk.Encode(), signedKey: signed}, Sync: true}); err != nil {
			return block.Ref{}, err
		}
		if s.onSigned != nil {
			s.onSigned(blk.Ref())
		}
	}
	root, err := s.executeNext(ctx, blk)
	if err != nil {
		return block.Ref{}, err
	}
	if err := s.commit(&store.Batch{Append: []store.Record{{Block: blk, Root: root}}}); err != nil {
		return block.Ref{}, err
	}
	s.counts.Produced++
	s.applied(blk, store.Origin{}, false)
	return blk.Ref(), nil
}

// mayBegin refuses a first block for a chain that has others: theirs is below what has been read.
func (s *Syncer) mayBegin(parent Parent) error {
	if m := s.status.Load().Missing; parent.Ref.Hash.IsZero() && m.Headers > 0 && m.Missing == derive.MissingHeader {
		return fmt.Errorf("this chain has blocks already: %d headers of later ones than block %d were posted, and that one is not among what has been read", m.Headers, m.Height)
	}
	return nil
}

// parent describes the unsafe head, where the engine stands.
func (s *Syncer) parent(ctx context.Context) (p Parent, err error) {
	st := s.cfg.Store.State()
	p = Parent{Ref: st.Unsafe, Root: st.Root, Time: uint64(s.cfg.Genesis.StartTime.UnixNano())}
	if st.Unsafe.Height < s.cfg.Genesis.InitialHeight {
		p.Root, err = s.initialRoot(ctx, s.reconcile)
		return p, err
	}
	rec, err := s.cfg.Store.Block(st.Unsafe.Height)
	if err != nil {
		return p, fmt.Errorf("read block %d: %w", st.Unsafe.Height, err)
	}
	p.DataHash, p.Time = rec.Block.Data.Hash(), rec.Block.Header.Header.Time
	return p, nil
}

// proposed returns the block that was signed on top of parent before a crash, or nil.
func (s *Syncer) proposed(parent Parent) (*block.Block, error) {
	raw, ok, err := s.cfg.Store.Named(proposedKey)
	if err != nil || !ok {
		return nil, err
	}
	blk, err := block.DecodeBlock(raw)
	if err != nil {
		return nil, fmt.Errorf("read the block signed last: %w", err)
	}
	h := &blk.Header.Header
	if h.Height != parent.Ref.Height+1 || !bytes.Equal(h.LastHeaderHash, parent.Ref.Hash.Field()) {
		return nil, nil
	}
	return blk, nil
}
