package syncer

import (
	"bytes"
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"maps"
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
	ErrFar     = errors.New("too far above the safe head: unsafe.max says how far a block may be")
	ErrForged  = errors.New("not a block of this chain's proposer")
	ErrUnfit   = errors.New("the proposer has signed it, but it can be no block here")
	ErrOther   = errors.New("the proposer has signed another block on the same parent, which is preferred: its time is later or, at the same time, its hash is greater")
)

// maxOffered bounds the offered blocks that wait for their parent, in bytes. Beyond it the oldest are forgotten:
// whoever offers may offer again.
const maxOffered = 32 << 20

// maxUnfit bounds the blocks of which it is remembered that they can be none here.
const maxUnfit = 1024

// Offers makes unsafe blocks of those that come beside the canonical source, and holds those that wait for their
// parent, by hash. It is for any sink. All methods are safe for concurrent use.
//
// Of two blocks on one parent, both the proposer's, that with the later time is preferred, then that with the greater
// hash, in whatever order they come: so every node has the same one, and a replay of the other changes nothing.
type Offers struct {
	s    *Syncer
	most uint64 // how far above the safe head a block may be; 0: the gate alone counts

	// The Syncer's mutex guards the rest.
	open     bool // the gate
	byID     map[block.Hash]*offered
	children map[block.Hash][]block.Hash // of what is in byID, by parent
	heights  map[uint64][]block.Hash     // likewise
	order    list.List                   // of block.Hash, oldest first
	placing  int                         // 1 while one of byID is made a block: it waits for its parent no more
	bytes    int
	pruned   uint64              // nothing at or below this height is held
	retry    map[block.Hash]bool // what has failed for a reason that may pass
	unfit    map[block.Hash]error
	unfitAt  []block.Hash // of unfit, oldest first
}

func newOffers(s *Syncer, most uint64) *Offers {
	return &Offers{
		s: s, most: most, byID: map[block.Hash]*offered{}, children: map[block.Hash][]block.Hash{}, heights: map[uint64][]block.Hash{},
		retry: map[block.Hash]bool{}, unfit: map[block.Hash]error{},
	}
}

// offered is a block that waits, in its encoding: a list of its transactions is made when it connects.
type offered struct {
	rank
	height uint64
	hash   block.Hash
	parent block.Hash    // as its header has it
	raw    []byte        // as block.Block.Encode returns it
	bare   bool          // nobody has signed its data: of them the transactions alone count, which the header names
	at     *list.Element // in Offers.order
}

func offer(h *block.SignedHeader, raw []byte) *offered {
	b := &offered{rank: rankOf(h), height: h.Header.Height, hash: h.Header.Hash(), raw: raw}
	copy(b.parent[:], h.Header.LastHeaderHash)
	return b
}

func (b *offered) size() int { return len(b.raw) + 1<<10 }

// rank says which of two blocks is preferred.
type rank struct {
	time uint64
	id   block.Hash
}

func rankOf(h *block.SignedHeader) rank { return rank{h.Header.Time, h.Header.Hash()} }

// compare is above 0 if r is preferred to other.
func (r rank) compare(other rank) int {
	return cmp.Or(cmp.Compare(r.time, other.time), bytes.Compare(r.id[:], other.id[:]))
}

// SetGate opens or closes the section for offered blocks. On an L1 it is open while the source is live and everything
// confirmed so far is present. What waits is connected when it opens.
func (o *Offers) SetGate(ctx context.Context, open bool) {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if o.open == open {
		return
	}
	o.open = open
	if open {
		o.again(ctx)
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

// At returns ErrGate, ErrStale or ErrFar if no block at height would be taken now.
func (o *Offers) At(height uint64) error {
	err := o.Gate()
	if err == nil {
		err = o.within(height)
	}
	return err
}

func (o *Offers) within(height uint64) error {
	safe := o.s.cfg.Store.State().Safe.Height
	switch {
	case height <= safe:
		return ErrStale
	case o.most > 0 && height > safe+o.most:
		return ErrFar
	}
	return nil
}

// Has reports whether this block is part of the chain here.
func (o *Offers) Has(ref block.Ref) bool {
	at, err := o.s.cfg.Store.Ref(ref.Height)
	return err == nil && at == ref
}

// Offer takes a block that came beside the canonical source, as the proposer has signed it, header and data in their
// encodings, in any order: it becomes an unsafe block when its parent is there, at once or later (then buffered is
// true). Data is empty for a block without transactions. ErrGarbled, ErrGate, ErrStale, ErrFar, ErrForged, ErrUnfit
// and ErrOther say why it is refused; another error that it is kept and will be tried again.
//
// Anyone may offer anything. The gate comes first, the signatures next, and a list of transactions is made of what is
// the proposer's alone.
func (o *Offers) Offer(ctx context.Context, header, data []byte) (buffered bool, err error) {
	got, err := o.Take(ctx, header, data, false)
	return got == Waits, err
}

// OfferStored is Offer of a block as a store has it: its data come without a signature of their own, as block.Data is
// encoded. The header, which is signed, and the parent say all of them.
func (o *Offers) OfferStored(ctx context.Context, header, content []byte) (buffered bool, err error) {
	got, err := o.Take(ctx, header, content, true)
	return got == Waits, err
}

// Taken says what became of an offered block that was not refused.
type Taken uint8

// What it may say.
const (
	Refused   Taken = iota // with an error alone
	Connected              // it is an unsafe block now
	Waits                  // for its parent, or, with an error, for that to pass
	Known                  // it was here already
)

// Take is Offer, or, with bare, OfferStored, and says more.
func (o *Offers) Take(ctx context.Context, header, data []byte, bare bool) (got Taken, err error) {
	if err := o.Gate(); err != nil {
		return Refused, err
	}
	var b *offered
	o.s.verify(func() { b, err = o.examine(header, data, bare) })
	if err != nil {
		return Refused, err
	}
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if !o.open {
		return Refused, ErrGate
	}
	if err := o.within(b.height); err != nil {
		return Refused, err
	}
	if err := o.witness(b); err != nil {
		return Refused, err
	}
	if err := o.unfit[b.hash]; err != nil {
		return Refused, err
	}
	if o.Has(block.Ref{Height: b.height, Hash: b.hash}) {
		return Known, nil
	}
	o.add(b)
	err = o.connect(ctx, b.hash)[b.hash]
	switch {
	case o.byID[b.hash] != nil:
		got = Waits
	case err == nil:
		got = Connected
	}
	o.s.publish()
	return got, err
}

// CheckHeader returns the header with this encoding if its block would be taken now, or why not. Data are not looked at,
// and nothing is kept.
func (o *Offers) CheckHeader(header []byte) (h *block.SignedHeader, err error) {
	if err := o.Gate(); err != nil {
		return nil, err
	}
	o.s.verify(func() { h, err = o.header(header) })
	return h, err
}

// header decodes a header, and checks that it is the proposer's, of a height at which a block may be taken.
func (o *Offers) header(header []byte) (*block.SignedHeader, error) {
	h, err := block.DecodeSignedHeader(header)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbled, err)
	}
	if err := o.within(h.Header.Height); err != nil {
		return nil, err
	}
	if err := o.s.cfg.Derive.Authority.Header(h); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForged, err)
	}
	if len(h.EnvelopeSignature) == 0 && o.envelopes() {
		return nil, fmt.Errorf("%w: the signature of its envelope is missing", ErrForged)
	}
	return h, nil
}

// examine returns the block if all of it is the proposer's. What else was in the bytes that it came from is not kept.
func (o *Offers) examine(header, data []byte, bare bool) (*offered, error) {
	h, err := o.header(header)
	if err != nil {
		return nil, err
	}
	read := o.signed
	if bare {
		read = o.named
	}
	d, err := read(h, data)
	if err != nil {
		return nil, err
	}
	var content []byte
	if d != nil {
		content = d.Content()
	}
	b := offer(h, block.EncodeBlock(h, content))
	b.bare = bare
	return b, nil
}

// envelopes reports whether a header needs the envelope around it, as on the DA layer it will: a copy that somebody has
// taken it from would be here in the place of the whole one. An older chain without envelopes shows that it is one by
// its safe blocks.
func (o *Offers) envelopes() bool {
	st := o.s.cfg.Store.State()
	return o.most > 0 && (st.EnvelopesOnly || st.Safe.Hash.IsZero())
}

// signed is for data with a signature.
func (o *Offers) signed(h *block.SignedHeader, data []byte) (d *block.DataBlob, err error) {
	if len(data) > 0 {
		if d, err = block.ReadDataBlob(data); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrGarbled, err)
		}
	}
	if err := o.s.cfg.Derive.Authority.Belongs(h, d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForged, err)
	}
	return d, nil
}

// named is for data without one.
func (o *Offers) named(h *block.SignedHeader, data []byte) (*block.DataBlob, error) {
	return named(o.s.cfg.Derive.Authority, h, data)
}

// named reads data that nobody has signed by themselves, when the header's signature holds, and checks that the header
// names them. Of a block without transactions they are not looked at: they follow from the header and the parent.
func named(a *derive.Authority, h *block.SignedHeader, data []byte) (d *block.DataBlob, err error) {
	if len(data) > 0 && !bytes.Equal(h.Header.DataHash, block.EmptyCommitment[:]) {
		if d, err = block.ReadContent(data); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrGarbled, err)
		}
	}
	if err := a.Names(h, d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForged, err)
	}
	return d, nil
}

func (o *Offers) add(b *offered) {
	if o.byID[b.hash] != nil {
		return
	}
	b.at = o.order.PushBack(b.hash)
	o.byID[b.hash] = b
	o.children[b.parent] = append(o.children[b.parent], b.hash)
	o.heights[b.height] = append(o.heights[b.height], b.hash)
	o.pruned = min(o.pruned, b.height-1)
	o.bytes += b.size()
	for o.bytes > maxOffered && o.order.Len() > 1 {
		o.drop(o.order.Front().Value.(block.Hash))
	}
}

func (o *Offers) drop(hash block.Hash) {
	b := o.byID[hash]
	o.bytes -= b.size()
	o.order.Remove(b.at)
	delete(o.byID, hash)
	delete(o.retry, hash)
	without(o.children, b.parent, hash)
	without(o.heights, b.height, hash)
}

func without[K comparable](m map[K][]block.Hash, key K, hash block.Hash) {
	if m[key] = slices.DeleteFunc(m[key], func(h block.Hash) bool { return h == hash }); len(m[key]) == 0 {
		delete(m, key)
	}
}

// again connects what may be connected now, after the canonical source has moved or the gate was opened. What fails is
// tried again at the next occasion. The caller publishes.
func (o *Offers) again(ctx context.Context) {
	st := o.s.cfg.Store.State()
	for ; o.pruned < st.Safe.Height && len(o.byID) > 0; o.pruned++ {
		for _, hash := range slices.Clone(o.heights[o.pruned+1]) {
			o.drop(hash)
		}
	}
	o.pruned = st.Safe.Height
	if len(o.byID) == 0 {
		return
	}
	seeds := slices.Collect(maps.Keys(o.retry))
	seeds = append(seeds, o.children[st.Safe.Hash]...)
	o.connect(ctx, append(seeds, o.children[st.Unsafe.Hash]...)...)
}

// connect makes unsafe blocks of these offered ones and of those that wait for them, as far as their parents are there:
// the lowest first, and of several on one parent the preferred one. It returns why some have failed: those that can be
// no block are dropped, the others are kept, and none keeps the rest. The caller publishes.
func (o *Offers) connect(ctx context.Context, seeds ...block.Hash) (failed map[block.Hash]error) {
	failed = map[block.Hash]error{}
	queue := o.sorted(seeds)
	for o.open && len(queue) > 0 {
		hash := queue[0]
		queue = queue[1:]
		b := o.byID[hash]
		if b == nil || failed[hash] != nil {
			continue
		}
		parent, err := o.place(b)
		if err == nil && parent != nil {
			o.placing = 1
			err = o.tryExtend(ctx, b, *parent)
			o.placing = 0
		}
		switch {
		case err == nil && parent == nil: // its parent is not there
			continue
		case err == nil, errors.Is(err, ErrUnfit), errors.Is(err, ErrOther), errors.Is(err, ErrStale):
			o.drop(hash)
		default:
			o.retry[hash] = true
		}
		if err == nil {
			queue = o.sorted(append(slices.Clone(o.children[hash]), queue...))
			continue
		}
		failed[hash] = err
		if errors.Is(err, ErrUnfit) {
			o.noteUnfit(hash, err)
		}
		if parent != nil {
			o.s.cfg.Logger.Warn("offered block does not connect", "height", b.height, "hash", hash, "err", err)
			queue = o.sorted(append(slices.Collect(maps.Keys(o.retry)), queue...)) // what it was to replace comes back
		}
	}
	return failed
}

// buffered returns how many blocks wait. A status that has a block as its head does not count it.
func (o *Offers) buffered() int { return len(o.byID) - o.placing }

// sorted returns these offered blocks without repeats, in the order in which they are to be connected.
func (o *Offers) sorted(hashes []block.Hash) []block.Hash {
	out := slices.DeleteFunc(slices.Clone(hashes), func(h block.Hash) bool { return o.byID[h] == nil })
	slices.SortFunc(out, func(x, y block.Hash) int {
		a, b := o.byID[x], o.byID[y]
		return cmp.Or(cmp.Compare(a.height, b.height), b.compare(a.rank))
	})
	return slices.Compact(out)
}

// place returns the stored block that b is to be connected to; nil if that is not there; or why b is not to be.
func (o *Offers) place(b *offered) (*block.Ref, error) {
	st := o.s.cfg.Store.State()
	switch {
	case b.height <= st.Safe.Height:
		return nil, ErrStale
	case b.height > st.Unsafe.Height+1:
		return nil, nil
	}
	parent, err := o.s.cfg.Store.Ref(b.height - 1)
	switch {
	case b.height == o.s.cfg.Genesis.InitialHeight:
		parent = o.s.BeforeFirst()
	case err != nil:
		return nil, nil
	}
	if parent.Hash != b.parent {
		return nil, nil
	}
	if b.height <= st.Unsafe.Height {
		at, err := o.s.cfg.Store.Block(b.height)
		if err != nil {
			return nil, fmt.Errorf("read block %d: %w", b.height, err)
		}
		if b.compare(rankOf(&at.Block.Header)) <= 0 {
			return nil, fmt.Errorf("%w: it is %s", ErrOther, at.Block.Hash())
		}
	}
	return &parent, nil
}

// noteUnfit remembers that a block can be none here: what it says of its parent is in its hash, so that does not change.
func (o *Offers) noteUnfit(hash block.Hash, why error) {
	if o.unfit[hash] != nil {
		return
	}
	if o.unfit[hash], o.unfitAt = why, append(o.unfitAt, hash); len(o.unfitAt) > maxUnfit {
		delete(o.unfit, o.unfitAt[0])
		o.unfitAt = o.unfitAt[1:]
	}
}

func (o *Offers) tryExtend(ctx context.Context, b *offered, parent block.Ref) error {
	blk, err := block.DecodeBlock(b.raw)
	if err != nil {
		return err
	}
	return o.extend(ctx, blk, parent, b.bare)
}

// extend makes b the unsafe head, on parent. Unsafe blocks above parent give way, but not to one that is unfit
// (ErrUnfit) or cannot be executed now.
func (o *Offers) extend(ctx context.Context, b *block.Block, parent block.Ref, bare bool) error {
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
	if bare || len(b.Data.Txs) == 0 { // all but the transactions follows from the header and the parent
		b = bareOf(b, tip)
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

// replace executes b in the place of the unsafe blocks above height. If that fails those are offered again, as many as
// may wait, and connect again in order.
func (o *Offers) replace(ctx context.Context, b *block.Block, height uint64) (root []byte, err error) {
	var replaced []*offered
	size := 0
	for h := height + 1; h <= o.s.cfg.Store.State().Unsafe.Height && size < maxOffered/2; h++ {
		rec, err := o.s.cfg.Store.Block(h)
		if err != nil {
			return nil, fmt.Errorf("read block %d: %w", h, err)
		}
		r := offer(&rec.Block.Header, rec.Block.Encode())
		size += r.size()
		replaced = append(replaced, r)
	}
	if len(replaced) > 0 {
		err = o.s.dropUnsafe(ctx, height, "another branch is preferred")
	}
	if err == nil {
		root, err = o.s.executeNext(ctx, b)
	}
	if err != nil && len(replaced) > 0 {
		for _, r := range replaced {
			o.add(r)
		}
		o.retry[replaced[0].hash] = true
	}
	return root, err
}
