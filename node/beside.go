package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"headrace/block"
	"headrace/internal/httpc"
	"headrace/internal/syncer"
)

// maxUnsafeBlocks is how far above the safe head an unsafe block may be, on a DA layer, unless Config.Unsafe.Max says
// otherwise.
const maxUnsafeBlocks = 20_000

func (o *Options) maxUnsafe() uint64 { return cmp.Or(o.Config.Unsafe.Max, maxUnsafeBlocks) }

// kvHistory is how many blocks the key-value engine can take back: all that may be unsafe, and some more.
func (o *Options) kvHistory() uint64 {
	if o.Genesis.L1 != nil {
		return 0 // the engine's own
	}
	return max(o.maxUnsafe(), 9_000) + 1_000
}

// BlockSource brings signed blocks beside the canonical source: another node's stream, or gossip. What it brings is
// worth no more than what anybody offers.
type BlockSource interface {
	// Run offers blocks to a node until ctx ends. An error ends the node.
	Run(ctx context.Context, to *Node) error
	// Endpoints says what its endpoints, or peers, are like, for the status. It is called whenever that is made: when
	// the chain goes on, and after Node.Refresh.
	Endpoints() []Endpoint
}

// SignedBlock is a block as its proposer has signed it, in encodings.
type SignedBlock struct {
	Header []byte // block.SignedHeader
	// Data is a block.SignedData, or, with Bare, a block.Data, which nobody has signed by itself: of such data the
	// transactions alone count, which the header names. Empty for a block without transactions.
	Data []byte
	Bare bool
}

// Verdict says what became of a block that was offered to TakeSigned.
type Verdict string

// The verdicts. All but the last two say that the proposer has signed the block. One that differs from another in its
// encoding alone is the same block: whoever passes blocks on should ask for one encoding, Header and Data as Encode
// writes them.
const (
	BlockApplied Verdict = "applied" // it is an unsafe block now
	BlockWaits   Verdict = "waits"   // it is kept until its parent is there, or, with an error, until that has passed
	BlockKnown   Verdict = "known"   // it was here already
	BlockRefused Verdict = "refused" // ErrUnfit or ErrOther: it can be no block here
	BlockIgnored Verdict = "ignored" // ErrGate, ErrStale or ErrFar: it was not looked at
	BlockForged  Verdict = "forged"  // ErrGarbled or ErrForged: who sent it has not checked it
)

// TakeSigned is Offer of a block that was not decoded: nothing is, before the gate and the proposer's signature. The
// error says why it is not applied. Another error than those that Verdict names says that this node cannot take it now.
func (n *Node) TakeSigned(ctx context.Context, b SignedBlock) (Verdict, error) {
	offers := n.at.Load().up.offers
	if offers == nil {
		return BlockIgnored, errNoOffers
	}
	got, err := offers.Take(ctx, b.Header, b.Data, b.Bare)
	switch {
	case errors.Is(err, ErrForged), errors.Is(err, ErrGarbled):
		return BlockForged, err
	case errors.Is(err, ErrUnfit), errors.Is(err, ErrOther):
		return BlockRefused, err
	case got == syncer.Refused:
		return BlockIgnored, err
	case got == syncer.Connected:
		return BlockApplied, err
	case got == syncer.Known:
		return BlockKnown, err
	}
	return BlockWaits, err
}

// Takes says why no unsafe block at height would be taken now: ErrGate, ErrStale or ErrFar; nil if one may be. It costs
// next to nothing: ask before anything is decoded.
func (n *Node) Takes(height uint64) error {
	offers := n.at.Load().up.offers
	if offers == nil {
		return errNoOffers
	}
	return offers.At(height)
}

// Has reports whether this block is part of the node's chain, safe or not.
func (n *Node) Has(ref block.Ref) bool {
	at, err := n.at.Load().store.Ref(ref.Height)
	return err == nil && at == ref
}

// Signed returns the node's blocks from a height on, in order, each the child of the one before, up to a height or as
// many as fit into so many bytes, but one at least if there is one. The data are bare. The error matches ErrPruned if
// the first is not kept any more.
func (n *Node) Signed(from, to uint64, most int) (out []SignedBlock, err error) {
	var last block.Hash
	for size := 0; from <= to && size < most; from++ {
		rec, err := n.at.Load().store.Block(from)
		switch {
		case errors.Is(err, ErrNoBlock) && len(out) == 0 && from < n.at.Load().store.State().Oldest:
			return nil, fmt.Errorf("block %d is %w", from, ErrPruned)
		case errors.Is(err, ErrNoBlock):
			return out, nil
		case err != nil:
			return nil, err
		}
		h := &rec.Block.Header.Header
		if len(out) > 0 && string(h.LastHeaderHash) != string(last[:]) { // a reorg, meanwhile
			return out, nil
		}
		b := SignedBlock{Header: rec.Block.Header.Encode(), Data: rec.Block.Data.Encode(), Bare: true}
		if size += len(b.Header) + len(b.Data); size > most && len(out) > 0 {
			return out, nil
		}
		out, last = append(out, b), rec.Block.Hash()
	}
	return out, nil
}

// openSources makes the sources of unsafe blocks that are configured. Nothing is dialled yet.
func openSources(opt *Options) (sources []BlockSource, err error) {
	from, err := opt.Config.Unsafe.From.In(opt.Home, "unsafe.from")
	if err != nil {
		return nil, err
	}
	names := httpc.Names(from)
	for i, at := range from {
		s, err := newStreamed(at, names[i], of(opt.Logger, "follow").With("source", names[i]))
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	return append(sources, opt.Blocks...), nil
}

// runSources are what runs for the sources of unsafe blocks.
func (n *Node) runSources() (parts []func(context.Context) error) {
	for _, s := range n.sources {
		parts = append(parts, func(ctx context.Context) error { return s.Run(ctx, n) })
	}
	return parts
}

// Refresh has the status made anew: something that a BlockSource says has changed. It does not wait.
func (n *Node) Refresh() {
	select {
	case n.poked <- struct{}{}:
	default:
	}
}

// unsafe is what the status says of unsafe blocks.
func (n *Node) unsafe(sync *syncer.Status) *Unsafe {
	u := &Unsafe{Open: sync.Gate, Buffered: sync.Buffered, From: []Endpoint{}}
	if n.opt.Genesis.L1 == nil {
		u.Max = n.opt.maxUnsafe()
	}
	for _, s := range n.sources {
		u.From = append(u.From, s.Endpoints()...)
	}
	if k := len(sync.Twice); k > 0 {
		e := &sync.Twice[k-1]
		u.Twice = &Twice{Height: e.Height, SeenAt: e.SeenAt, Preferred: e.Preferred.Hash, Other: e.Other.Hash}
	}
	return u
}

// Twice names two blocks that the proposer has signed at one height.
type Twice struct {
	Height    uint64     `json:"height"`
	SeenAt    time.Time  `json:"seen_at"`
	Preferred block.Hash `json:"preferred"` // before the canonical source has one: its time is later or, at the same time, its hash is greater
	Other     block.Hash `json:"other"`
}

// Equivocation is evidence of a Twice: both headers, with their signatures.
type Equivocation = syncer.Equivocation

// Equivocations returns what is known of two blocks at one height, the lowest first: of the highest 64 heights.
func (n *Node) Equivocations() []Equivocation {
	return n.at.Load().up.syncer.Status().Load().Twice
}

func (n *Node) getTwice(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string][]Equivocation{"equivocations": append([]Equivocation{}, n.Equivocations()...)})
}

func (n *Node) offering() http.Handler {
	o := &offering{offers: func() *syncer.Offers { return n.at.Load().up.offers }, bodies: n.bodies()}
	if n.public {
		o.closed = errOpenOffers
	}
	return o
}
