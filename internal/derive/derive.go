// Package derive turns what was posted to a DA layer into a rollup's verified blocks, in order. It is pure: no I/O,
// no clock, no goroutine.
//
// The blocks are a function of the posted blobs, their order by (DA height, index), and nothing else (I3): not of how
// the items were batched in time, where the process was restarted, or how far ahead signatures were checked. These
// rules make it so:
//
//   - Whether a half of a block (a header, or data) is authentic depends on its bytes alone: the chain id, the proposer and the
//     signatures. The Authority says so, before it is stored or paired (I9).
//   - A half's place is the first (DA height, index) where it was posted. A candidate for the next height is a header that continues the
//     chain, with the data whose transactions it names, whose metadata is the header's, and which links to the parent's data; an empty
//     block needs no data. The place of a candidate is where it became complete: the later of its two halves' places.
//   - Of several candidates the one with the first place wins. One that is complete comes before all that are not yet, so deciding early or
//     late makes no difference.
//   - Once a block was derived from a header in an envelope, the blocks above it need envelopes. That is a property of the block
//     below, not of the moment when an envelope was seen.
//
// Memory is bounded (I6): only the proposer can make halves that wait, strangers' blobs are counted and dropped, and
// what waits is bounded in bytes: beyond the bound Step fails with ErrFull, and nothing is ever evicted.
//
// A Deriver is not safe for concurrent use. Verify and an Authority are, and Verify may run ahead on other cores.
package derive

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"headrace/block"
	"headrace/da"
	"headrace/exec"
)

// DefaultMaxPendingBytes bounds the pending halves unless Config says otherwise.
const DefaultMaxPendingBytes = 64 << 20

// Config is what is fixed about a chain, and the one bound.
type Config struct {
	Authority       *Authority // whose blocks are the chain's
	InitialHeight   uint64     // of the first block, at least 1
	StartTime       uint64     // nanoseconds since the Unix epoch; the first block is not earlier
	HeaderNamespace da.Namespace
	DataNamespace   da.Namespace // may be the same as HeaderNamespace
	MaxPendingBytes int          // of halves that wait; default 64 MiB

	// Seals is the engine's codec, for proposals of version 2; nil if it has none. It is the same on every node of a chain.
	Seals exec.SealCodec
}

// Tip is the last derived block. Before the first it has height InitialHeight-1 and zero hashes.
type Tip struct {
	Height     uint64
	HeaderHash block.Hash // the block's hash
	DataHash   block.Hash // of its data, metadata included
	Time       uint64     // nanoseconds since the Unix epoch
}

// TipOf returns the tip that b is.
func TipOf(b *block.Block) Tip {
	return Tip{Height: b.Height(), HeaderHash: b.Hash(), DataHash: b.Data.Hash(), Time: b.Header.Header.Time}
}

// State is all that a Deriver remembers, and all that must be stored.
type State struct {
	Tip           Tip
	EnvelopesOnly bool // a block up to the tip was derived from an envelope
	Pending       []block.Half
}

// Derived is one derived block.
type Derived struct {
	Tip              Tip    // that the block is
	HeaderAt, DataAt uint64 // DA heights; equal for empty blocks
	// Removed are the halves, of those that were pending before this Step, which this block consumes or makes stale.
	Removed []block.HalfKey
	// EnvelopesOnly is State.EnvelopesOnly with this block as the tip; it belongs in the block's commit.
	EnvelopesOnly bool

	header *block.SignedHeader
	data   *block.DataBlob // nil of an empty block
	parent block.Hash      // of the data before
}

// Block builds the block. It is as large as its proposer made it, and an item can hold several: build one at a time.
func (b *Derived) Block() *block.Block { return join(b.header, b.data, b.parent) }

// Result is what one item gives. To store it: each block with its Removed and EnvelopesOnly, in order, and with or
// after the last one everything else. After a crash between two blocks the same item is stepped again, from what was
// stored, and gives the rest.
type Result struct {
	Blocks        []Derived
	Added         []block.Half    // that wait now; one with the key of a pending one replaces it
	Removed       []block.HalfKey // that waited before this Step and no longer do, those in Blocks among them
	EnvelopesOnly bool            // State.EnvelopesOnly from now on
	Skipped       Counts          // blobs and halves that came to nothing, by reason
}

// ErrFull is wrapped by Step's error when more halves would wait than Config.MaxPendingBytes allows.
var ErrFull = errors.New("too much is waiting")

// ErrAhead is StepVerified's error when the item was verified for a chain that is further than the Deriver. Nothing has
// happened: Verify the item again, with Known.
var ErrAhead = errors.New("the item was verified for a chain that is further")

// Deriver derives one chain. Make it with New.
type Deriver struct {
	cfg           Config
	tip           Tip
	envelopesOnly bool
	pool          pool
	stale         []block.HalfKey // of State.Pending, to be removed by the next Step
	failed        error           // of a Step: the Deriver is half way through an item
}

// New returns a Deriver that goes on from s. It refuses a state that does not belong to cfg, or whose halves do not
// decode.
func New(cfg Config, s State) (*Deriver, error) {
	switch {
	case cfg.Authority.chainID == "":
		return nil, errors.New("derive: no chain id")
	case len(cfg.Authority.proposer) != sha256.Size:
		return nil, fmt.Errorf("derive: the proposer's address has %d bytes, not %d", len(cfg.Authority.proposer), sha256.Size)
	case cfg.InitialHeight == 0:
		return nil, errors.New("derive: the initial height is 0")
	case s.Tip.Height < cfg.InitialHeight-1:
		return nil, fmt.Errorf("derive: the tip %d is below the initial height %d", s.Tip.Height, cfg.InitialHeight)
	}
	if cfg.MaxPendingBytes <= 0 {
		cfg.MaxPendingBytes = DefaultMaxPendingBytes
	}
	d := &Deriver{cfg: cfg, tip: s.Tip, envelopesOnly: s.EnvelopesOnly, pool: newPool()}
	if s.Tip.Height < cfg.InitialHeight { // the next block is the first: it has no parent to link to
		d.tip = Tip{Height: s.Tip.Height, Time: cfg.StartTime}
	}
	for i := range s.Pending {
		if err := d.restore(s.Pending[i]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// restore takes a half out of the store into the pool. It was authenticated before it was stored.
func (d *Deriver) restore(stored block.Half) error {
	h, err := decodeHalf(stored)
	if err != nil {
		return fmt.Errorf("derive: pending half of block %d: %w", stored.Height, err)
	}
	if d.isStale(h) || d.isPlain(h) {
		d.stale = append(d.stale, h.Key())
		return nil
	}
	h.stored = true
	d.pool.add(h)
	return nil
}

func (d *Deriver) isStale(h *half) bool { return h.Height <= d.tip.Height }

func (d *Deriver) isPlain(h *half) bool { return d.envelopesOnly && h.Kind == block.PlainHeaderHalf }

// Tip returns the last derived block.
func (d *Deriver) Tip() Tip { return d.tip }

// Step takes one item and returns what it gives: Verify and StepVerified in one.
func (d *Deriver) Step(b *da.Block) (Result, error) {
	return d.StepVerified(Verify(&d.cfg, d.Known(), b))
}

// StepVerified takes one item whose signatures have been checked. After an error other than ErrAhead the Deriver is
// of no more use: make a new one from what is stored. Items may repeat, from any height on: what is at or below the
// tip is dropped as stale.
func (d *Deriver) StepVerified(v *Verified) (Result, error) {
	if d.failed != nil {
		return Result{}, d.failed
	}
	if v.known.exceeds(d.Known()) {
		return Result{}, ErrAhead // it left out what this Deriver, reverted meanwhile, needs
	}
	r := Result{Skipped: v.skipped, Removed: d.stale}
	d.stale = nil
	before := d.pool.bytes
	var fresh []*half
	for _, h := range v.halves {
		h, reason := d.take(h)
		if reason != none {
			r.Skipped[reason]++
		}
		if h != nil {
			fresh = append(fresh, h)
		}
	}
	for d.extend(&r) {
	}
	if d.pool.bytes > d.cfg.MaxPendingBytes && d.pool.bytes > before {
		w := d.Waiting()
		d.failed = fmt.Errorf("%w: %d headers and %d data take %d bytes, the bound is %d; block %d waits for its %s",
			ErrFull, w.Headers, w.Data, w.Bytes, d.cfg.MaxPendingBytes, w.Height, w.Missing)
		return Result{}, d.failed
	}
	for _, h := range fresh {
		if d.pool.has(h) {
			r.Added = append(r.Added, h.Half)
			h.stored = true
		}
	}
	r.EnvelopesOnly = d.envelopesOnly
	return r, nil
}

// take puts a copy of a half into the pool and returns it, or says why not. Of one that waits already only the first
// place counts: it is replaced only when a source is read again from further back.
func (d *Deriver) take(h *half) (*half, Reason) {
	switch {
	case d.isStale(h):
		return nil, Stale
	case d.isPlain(h):
		return nil, Plain
	}
	fresh, reason := new(half), none
	*fresh = *h
	if old := d.pool.get(h.Key()); old != nil {
		if !h.before(old) {
			return nil, Duplicate
		}
		fresh.stored, reason = old.stored, Duplicate
		d.pool.remove(old)
	}
	d.pool.add(fresh)
	return fresh, reason
}

// extend derives the next block if a candidate for it is complete.
func (d *Deriver) extend(r *Result) bool {
	header, data := d.next()
	if header == nil {
		return false
	}
	out := Derived{HeaderAt: header.DAHeight, DataAt: header.DAHeight}
	h := &header.header.Header
	out.header, out.parent = header.header, d.tip.DataHash
	d.tip = Tip{Height: h.Height, HeaderHash: header.Hash, Time: h.Time}
	if data != nil {
		out.data, out.DataAt, d.tip.DataHash = data.data, data.DAHeight, data.Hash
	} else {
		empty := block.EmptyData(h, out.parent.Field())
		d.tip.DataHash = empty.Hash()
	}
	out.Tip = d.tip
	d.envelopesOnly = d.envelopesOnly || header.Kind == block.HeaderHalf
	out.EnvelopesOnly = d.envelopesOnly
	for _, gone := range d.leaveBehind() {
		if gone != header && gone != data {
			r.Skipped[Superseded]++
		}
		if gone.stored {
			out.Removed = append(out.Removed, gone.Key())
		}
	}
	r.Removed = append(r.Removed, out.Removed...)
	r.Blocks = append(r.Blocks, out)
	return true
}

// leaveBehind removes from the pool what the new tip has consumed or made useless, and returns it in a fixed order.
func (d *Deriver) leaveBehind() []*half {
	gone := d.pool.removeLevel(d.tip.Height)
	if d.envelopesOnly {
		gone = append(gone, d.pool.removePlain()...)
	}
	slices.SortFunc(gone, func(a, b *half) int { return compareKeys(a.Key(), b.Key()) })
	return gone
}

// next returns the halves of the candidate for the next height whose place is the first, data nil for an empty block;
// or nil while none is complete.
func (d *Deriver) next() (header, data *half) {
	at := d.pool.at(d.tip.Height + 1)
	content := d.linkedData(at)
	var place position
	for _, h := range at.headers {
		if !d.continues(&h.header.Header) {
			continue
		}
		c, complete := content[contentOf(&h.header.Header)], h.place()
		if !isEmpty(&h.header.Header) {
			if c == nil {
				continue
			}
			complete = later(complete, c.place())
		}
		if header == nil || complete.before(place) || complete == place && h.before(header) {
			header, data, place = h, c, complete
		}
	}
	return header, data
}

// continues reports whether h links to the tip. Time may stand still but never goes backwards.
func (d *Deriver) continues(h *block.Header) bool {
	return h.Time >= d.tip.Time && bytes.Equal(h.LastHeaderHash, d.tip.HeaderHash.Field())
}

// content is how a header names its data: the transactions by their commitment, and the metadata that header and data
// share.
type content struct {
	commitment block.Hash
	time       uint64
}

// contentOf relies on Verify, which lets no header pass whose DataHash is not a hash.
func contentOf(h *block.Header) content { return content{block.Hash(h.DataHash), h.Time} }

func isEmpty(h *block.Header) bool { return block.Hash(h.DataHash) == block.EmptyCommitment }

// linkedData returns the data at one height that links to the tip's data. Given its content, such data is all
// determined: there is at most one.
func (d *Deriver) linkedData(at *level) map[content]*half {
	last := d.tip.DataHash.Field()
	m := make(map[content]*half, len(at.data))
	for _, h := range at.data {
		if bytes.Equal(h.data.LastDataHash(), last) {
			m[content{h.commitment, h.data.Time()}] = h
		}
	}
	return m
}
