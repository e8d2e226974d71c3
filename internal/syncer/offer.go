package syncer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

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
	ErrUnfit  = errors.New("the proposer has signed it, but it can be no block here")
)

// maxOffered bounds the offered blocks that wait for their parent, in bytes. Beyond it the oldest are forgotten:
// whoever offers may offer again.
const maxOffered = 32 << 20

// Offers makes unsafe blocks of those that come beside the canonical source, and holds those that wait for their
// parent, by hash. It is for any sink. All methods are safe for concurrent use.
type Offers struct {
	s *Syncer

	// The Syncer's mutex guards the rest.
	open  bool // the gate
	byID  map[block.Hash]offered
	order []block.Hash // oldest first
	bytes int
}

type offered struct {
	*block.Block
	size int // bytes of memory
}

// SetGate opens or closes the section for offered blocks. It is opened when the source is live and everything
// confirmed so far is present, and closed at each reconnect. What waits is connected when it opens.
func (o *Offers) SetGate(ctx context.Context, open bool) {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if o.open == open {
		return
	}
	o.open = open
	if open {
		o.connect(ctx) // what fails is tried again at the next occasion
	}
	o.s.publish()
}

// Offer takes a block that came beside the canonical source, as the proposer has signed it, in any order: it becomes
// an unsafe block when its parent is there, at once or later (then buffered is true). Data is nil for a block without
// transactions. Of two branches the one whose block connects last is the unsafe head. ErrGate, ErrStale, ErrForged
// and ErrUnfit say why it is refused; another error that it is kept and will be tried again.
func (o *Offers) Offer(ctx context.Context, header *block.SignedHeader, data *block.SignedData) (buffered bool, err error) {
	b, err := o.s.cfg.Derive.Authority.Block(header, data, block.Hash{}) // which parent it has shows when it connects
	if err == nil {
		b, err = block.DecodeBlock(b.Encode()) // what else was in the bytes that it came from is not kept
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrForged, err)
	}
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	switch {
	case !o.open:
		return false, ErrGate
	case b.Height() <= o.s.cfg.Store.State().Safe.Height:
		return false, ErrStale
	}
	hash := b.Hash()
	o.add(hash, b)
	err = o.connect(ctx)[hash]
	_, buffered = o.byID[hash]
	o.s.publish()
	return buffered, err
}

func (o *Offers) add(hash block.Hash, b *block.Block) {
	if _, ok := o.byID[hash]; ok {
		return
	}
	o.byID[hash] = offered{b, len(b.Encode()) + 256}
	o.order = append(o.order, hash)
	o.bytes += o.byID[hash].size
	for o.bytes > maxOffered && len(o.order) > 1 {
		o.drop(o.order[0])
	}
}

func (o *Offers) drop(hash block.Hash) {
	o.bytes -= o.byID[hash].size
	delete(o.byID, hash)
	o.order = slices.DeleteFunc(o.order, func(h block.Hash) bool { return h == hash })
}

// connect makes unsafe blocks of the offered ones whose parent is there, the oldest offer first, until none is left
// that could be. It returns why some have failed: those that are unfit are dropped, the others are kept, and none
// keeps the rest. The caller publishes.
func (o *Offers) connect(ctx context.Context) (failed map[block.Hash]error) {
	failed = map[block.Hash]error{}
	for o.open {
		hash, parent := o.connectable(failed)
		if hash.IsZero() {
			break
		}
		err := o.extend(ctx, o.byID[hash].Block, parent)
		if err != nil {
			failed[hash] = err
			o.s.cfg.Logger.Warn("offered block does not connect", "height", parent.Height+1, "hash", hash, "err", err)
		}
		if err == nil || errors.Is(err, ErrUnfit) {
			o.drop(hash)
		}
	}
	return failed
}

// connectable returns an offered block that has not failed and whose parent is stored, at or above the safe head.
// Stale ones are dropped on the way.
func (o *Offers) connectable(failed map[block.Hash]error) (hash block.Hash, parent block.Ref) {
	st := o.s.cfg.Store.State()
	for _, hash := range slices.Clone(o.order) {
		h := &o.byID[hash].Header.Header
		if h.Height <= st.Safe.Height {
			o.drop(hash)
			continue
		}
		if h.Height > st.Unsafe.Height+1 || failed[hash] != nil {
			continue
		}
		ref, err := o.s.cfg.Store.Ref(h.Height - 1)
		if err != nil || !bytes.Equal(h.LastHeaderHash, ref.Hash.Field()) {
			continue
		}
		if at, err := o.s.cfg.Store.Ref(h.Height); err == nil && at.Hash == hash && h.Height <= st.Unsafe.Height {
			o.drop(hash) // it is here already
			continue
		}
		return hash, ref
	}
	return block.Hash{}, block.Ref{}
}

// extend makes b the unsafe head, on parent. Unsafe blocks above parent give way, but not to one that is unfit
// (ErrUnfit) or cannot be executed now.
func (o *Offers) extend(ctx context.Context, b *block.Block, parent block.Ref) error {
	tip := derive.Tip{Height: parent.Height}
	if parent.Height >= o.s.cfg.Genesis.InitialHeight {
		rec, err := o.s.cfg.Store.Block(parent.Height)
		if err != nil {
			return fmt.Errorf("read block %d: %w", parent.Height, err)
		}
		if tip = derive.TipOf(rec.Block); !bytes.Equal(b.Header.Header.AppHash, rec.Root) {
			return fmt.Errorf("%w: it was built on state root %s, block %d has %s", ErrUnfit, shortRoot(b.Header.Header.AppHash), parent.Height, shortRoot(rec.Root))
		}
	}
	if len(b.Data.Txs) == 0 { // its data is never sent: it follows from the header and the parent
		b = &block.Block{Header: b.Header, Data: block.EmptyData(&b.Header.Header, tip.DataHash.Field())}
	}
	if err := o.s.cfg.Derive.Follows(tip, b); err != nil {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	if err := o.s.inTime(b); err != nil {
		return err
	}
	root, err := o.replace(ctx, b, parent.Height)
	if errors.Is(err, exec.ErrInvalid) {
		return fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	if err != nil {
		return err
	}
	if err := o.s.commit(&store.Batch{Append: []store.Record{{Block: b, Root: root}}}); err != nil {
		return err
	}
	o.s.counts.Offered++
	o.s.applied(b, store.Origin{}, false)
	return nil
}

// replace executes b in the place of the unsafe blocks above height. If that fails those are offered again, and
// connect again in order.
func (o *Offers) replace(ctx context.Context, b *block.Block, height uint64) (root []byte, err error) {
	var replaced []*block.Block
	for h := height + 1; h <= o.s.cfg.Store.State().Unsafe.Height; h++ {
		rec, err := o.s.cfg.Store.Block(h)
		if err != nil {
			return nil, fmt.Errorf("read block %d: %w", h, err)
		}
		replaced = append(replaced, rec.Block)
	}
	if len(replaced) > 0 {
		err = o.s.dropUnsafe(ctx, height, "another branch goes on")
	}
	if err == nil {
		root, err = o.s.executeNext(ctx, b)
	}
	if err != nil {
		for _, r := range replaced {
			o.add(r.Hash(), r)
		}
	}
	return root, err
}
