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
	ErrGarbled = errors.New("not a signed header and signed data")
	ErrGate    = errors.New("unsafe blocks are not taken now: the node does not have all that is canonical yet")
	ErrStale   = errors.New("stale: the canonical chain has a block at this height")
	ErrForged  = errors.New("not a block of this chain's proposer")
	ErrUnfit   = errors.New("the proposer has signed it, but it can be no block here")
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

// offered is a block that waits, in its encoding: a list of its transactions is made when it connects.
type offered struct {
	height uint64
	hash   block.Hash
	parent []byte // its header's LastHeaderHash
	raw    []byte // as block.Block.Encode returns it
}

func offer(h *block.SignedHeader, raw []byte) offered {
	return offered{h.Header.Height, h.Header.Hash(), bytes.Clone(h.Header.LastHeaderHash), raw}
}

func (b *offered) size() int { return len(b.raw) + len(b.parent) + 1<<10 }

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

// Gate returns ErrGate if no offer would be taken now. It does not wait for the section: ask before there is any work.
func (o *Offers) Gate() error {
	if !o.s.status.Load().Gate {
		return ErrGate
	}
	return nil
}

// Offer takes a block that came beside the canonical source, as the proposer has signed it, header and data in their
// encodings, in any order: it becomes an unsafe block when its parent is there, at once or later (then buffered is
// true). Data is empty for a block without transactions. Of two branches the one whose block connects last is the
// unsafe head. ErrGarbled, ErrGate, ErrStale, ErrForged and ErrUnfit say why it is refused; another error that it is
// kept and will be tried again.
//
// Anyone may offer anything. The gate comes first, the signatures next, and a list of transactions is made of what is
// the proposer's alone.
func (o *Offers) Offer(ctx context.Context, header, data []byte) (buffered bool, err error) {
	if err := o.Gate(); err != nil {
		return false, err
	}
	var b offered
	o.s.verify(func() { b, err = o.examine(header, data) })
	if err != nil {
		return false, err
	}
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	switch {
	case !o.open:
		return false, ErrGate
	case b.height <= o.s.cfg.Store.State().Safe.Height:
		return false, ErrStale
	}
	o.add(b)
	err = o.connect(ctx)[b.hash]
	_, buffered = o.byID[b.hash]
	o.s.publish()
	return buffered, err
}

// examine returns the block if all of it is the proposer's. What else was in the bytes that it came from is not kept.
func (o *Offers) examine(header, data []byte) (offered, error) {
	h, err := block.DecodeSignedHeader(header)
	if err != nil {
		return offered{}, fmt.Errorf("%w: %w", ErrGarbled, err)
	}
	if h.Header.Height <= o.s.cfg.Store.State().Safe.Height {
		return offered{}, ErrStale
	}
	authority := o.s.cfg.Derive.Authority
	if err := authority.Header(h); err != nil {
		return offered{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	var d *block.DataBlob
	if len(data) > 0 {
		if d, err = block.ReadDataBlob(data); err != nil {
			return offered{}, fmt.Errorf("%w: %w", ErrGarbled, err)
		}
	}
	if err := authority.Belongs(h, d); err != nil {
		return offered{}, fmt.Errorf("%w: %w", ErrForged, err)
	}
	var content []byte
	if d != nil {
		content = d.Content()
	}
	return offer(h, block.EncodeBlock(h, content)), nil
}

func (o *Offers) add(b offered) {
	if _, ok := o.byID[b.hash]; ok {
		return
	}
	o.byID[b.hash] = b
	o.order = append(o.order, b.hash)
	o.bytes += b.size()
	for o.bytes > maxOffered && len(o.order) > 1 {
		o.drop(o.order[0])
	}
}

func (o *Offers) drop(hash block.Hash) {
	b := o.byID[hash]
	o.bytes -= b.size()
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
		b, err := block.DecodeBlock(o.byID[hash].raw)
		if err == nil {
			err = o.extend(ctx, b, parent)
		}
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
		h := o.byID[hash]
		if h.height <= st.Safe.Height {
			o.drop(hash)
			continue
		}
		if h.height > st.Unsafe.Height+1 || failed[hash] != nil {
			continue
		}
		ref, err := o.s.cfg.Store.Ref(h.height - 1)
		if err != nil || !bytes.Equal(h.parent, ref.Hash.Field()) {
			continue
		}
		if at, err := o.s.cfg.Store.Ref(h.height); err == nil && at.Hash == hash && h.height <= st.Unsafe.Height {
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
			o.add(offer(&r.Header, r.Encode()))
		}
	}
	return root, err
}
