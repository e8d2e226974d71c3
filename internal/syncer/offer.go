package syncer

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/exec"
	"headrace/internal/derive"
	"headrace/internal/store"
)

// The reasons why an offered block is not taken.
var (
	ErrGate   = errors.New("unsafe blocks are not taken now: the node does not have all that is canonical yet")
	ErrStale  = errors.New("stale: the canonical chain has a block at this height")
	ErrForged = errors.New("not a block of this chain's proposer")
)

// maxOffered bounds the offered blocks that wait for their parent, in bytes. Beyond it the oldest are forgotten: whoever offers may offer again.
const maxOffered = 32 << 20

// offered holds blocks that wait for their parent, by hash. The Syncer's mutex guards it.
type offered struct {
	open  bool // the gate
	byID  map[block.Hash]*block.Block
	sizes map[block.Hash]int
	order []block.Hash // oldest first
	bytes int
}

// SetGate opens or closes the section for offered blocks. It is opened when the source is live and everything confirmed so far is present, and closed at each
// reconnect. What waits is connected when it opens.
func (s *Syncer) SetGate(ctx context.Context, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offers.open == open {
		return
	}
	s.offers.open = open
	if open {
		s.connect(ctx)
	}
	s.publish()
}

// Offer takes a block that came beside the canonical source, signed by the proposer, in any order: it becomes an unsafe block when its parent is there, at once or
// later (then buffered is true). Of two branches the one whose block connects last is the unsafe head. ErrGate, ErrStale and ErrForged say why it is
// refused; another error that it is kept and will be tried again.
func (s *Syncer) Offer(ctx context.Context, b *block.Block) (buffered bool, err error) {
	if err := s.authentic(b); err != nil {
		return false, fmt.Errorf("%w: %w", ErrForged, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.offers.open:
		return false, ErrGate
	case b.Height() <= s.cfg.Store.State().Safe.Height:
		return false, ErrStale
	}
	hash := b.Hash()
	s.offers.add(hash, b)
	err = s.connect(ctx)
	_, buffered = s.offers.byID[hash]
	s.publish()
	return buffered, err
}

// authentic checks what b shows by itself.
func (s *Syncer) authentic(b *block.Block) error {
	h, m, commitment := &b.Header.Header, &b.Data.Metadata, b.Data.Commitment()
	switch {
	case h.ChainID != s.cfg.Genesis.ChainID || h.Height < s.cfg.Genesis.InitialHeight:
		return errors.New("it is of another chain")
	case !bytes.Equal(h.ProposerAddress, s.cfg.Genesis.ProposerAddress):
		return errors.New("it names another proposer")
	case !bytes.Equal(h.DataHash, commitment[:]) || m.Height != h.Height || m.Time != h.Time || m.ChainID != h.ChainID:
		return errors.New("its header names other data")
	}
	return b.Header.Verify()
}

func (o *offered) add(hash block.Hash, b *block.Block) {
	if o.byID == nil {
		o.byID, o.sizes = map[block.Hash]*block.Block{}, map[block.Hash]int{}
	}
	if _, ok := o.byID[hash]; ok {
		return
	}
	o.byID[hash], o.sizes[hash] = b, len(b.Encode())+256
	o.order = append(o.order, hash)
	o.bytes += o.sizes[hash]
	for o.bytes > maxOffered && len(o.order) > 1 {
		o.drop(o.order[0])
	}
}

func (o *offered) drop(hash block.Hash) {
	if _, ok := o.byID[hash]; !ok {
		return
	}
	o.bytes -= o.sizes[hash]
	delete(o.byID, hash)
	delete(o.sizes, hash)
	for i := range o.order {
		if o.order[i] == hash {
			o.order = append(o.order[:i], o.order[i+1:]...)
			return
		}
	}
}

// connect makes unsafe blocks of the offered ones whose parent is there, the oldest offer first, until none is left that could be.
func (s *Syncer) connect(ctx context.Context) error {
	if !s.offers.open {
		return nil
	}
	for {
		hash, parent := s.connectable()
		if hash.IsZero() {
			return nil
		}
		b := s.offers.byID[hash]
		if err := s.extend(ctx, b, parent); err != nil {
			if errors.Is(err, errBadOffer) {
				s.offers.drop(hash) // it can never be a block here
				continue
			}
			return err
		}
		s.offers.drop(hash)
	}
}

// connectable returns an offered block whose parent is stored, at or above the safe head. Stale ones are dropped on the way.
func (s *Syncer) connectable() (hash block.Hash, parent block.Ref) {
	st := s.cfg.Store.State()
	for _, hash := range append([]block.Hash(nil), s.offers.order...) {
		h := &s.offers.byID[hash].Header.Header
		if h.Height <= st.Safe.Height {
			s.offers.drop(hash)
			continue
		}
		if h.Height > st.Unsafe.Height+1 {
			continue
		}
		ref, err := s.cfg.Store.Ref(h.Height - 1)
		if err != nil || !sameHash(h.LastHeaderHash, ref.Hash) {
			continue
		}
		if at, err := s.cfg.Store.Ref(h.Height); err == nil && at.Hash == hash && h.Height <= st.Unsafe.Height {
			s.offers.drop(hash) // it is here already
			continue
		}
		return hash, ref
	}
	return block.Hash{}, block.Ref{}
}

var errBadOffer = errors.New("offered block does not fit its parent")

// extend makes b the unsafe head, on parent. Unsafe blocks above parent give way.
func (s *Syncer) extend(ctx context.Context, b *block.Block, parent block.Ref) error {
	var tip derive.Tip
	if parent.Height >= s.cfg.Genesis.InitialHeight {
		rec, err := s.cfg.Store.Block(parent.Height)
		if err != nil {
			return fmt.Errorf("read block %d: %w", parent.Height, err)
		}
		if tip = derive.TipOf(rec.Block); !bytes.Equal(b.Header.Header.AppHash, rec.Root) {
			return errBadOffer
		}
	}
	if len(b.Data.Txs) == 0 { // its data is never sent: it follows from the header and the parent
		b = &block.Block{Header: b.Header, Data: block.EmptyData(&b.Header.Header, nil)}
		if !tip.DataHash.IsZero() {
			b.Data.Metadata.LastDataHash = tip.DataHash[:]
		}
	}
	if !sameHash(b.Data.Metadata.LastDataHash, tip.DataHash) || b.Header.Header.Time < tip.Time {
		return errBadOffer
	}
	if s.cfg.Store.State().Unsafe.Height > parent.Height {
		if err := s.dropUnsafe(ctx, parent.Height, "another branch goes on"); err != nil {
			return err
		}
	}
	root, err := s.execute(ctx, b)
	if errors.Is(err, exec.ErrInvalid) {
		return errBadOffer
	}
	if err != nil {
		return err
	}
	if err := s.commit(&store.Batch{Append: []store.Record{{Block: b, Root: root}}}); err != nil {
		return err
	}
	s.counts.Offered++
	s.applied(b, store.Origin{}, false)
	return nil
}
