package derive

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"sync"

	"headrace/block"
	"headrace/l1"
	"headrace/l1/compact"
)

// Opened is a proposal that has been verified as far as that depends on its content alone. It is immutable.
type Opened struct {
	void   string // why it makes no block, whatever it builds on
	parent l1.Hash
	blocks []opened
	of     int // how many blocks the proposal has

	compact *compactly // in version 2; the others are not set then
	later   *l1.Later  // what makes it void, unless the chain's proposer has signed it
}

// ErrLater: a proposal is the chain's proposer's, and in a payload version that this release does not know. No verdict
// is possible: nodes of a later release make blocks of it.
var ErrLater = errors.New("payload of a later version")

// compactly is a proposal in version 2. What its blocks are depends on the block that they build on: they are read when
// that is known, once.
type compactly struct {
	payload []byte

	mu     sync.Mutex // guards the rest
	read   bool
	tip    Tip // on which it was read
	blocks []*block.Block
	void   string
}

// opened is one block of a proposal. Data is nil if none was sent.
type opened struct {
	header *block.SignedHeader
	data   *block.DataBlob
	err    error // why it is none; then it is the last
}

// Open verifies what a proposal of an L1 inbox holds: nearly all of the work on it. The result does not depend on what
// came before (I3), so calls may overlap.
func Open(cfg *Config, p *l1.Proposal) *Opened {
	o := &Opened{void: p.Void, parent: p.Parent, of: len(p.Blocks), later: p.Later}
	if p.Compact != nil {
		o.compact = &compactly{payload: p.Compact}
	}
	for i := 0; o.void == "" && i < len(p.Blocks); i++ {
		b := cfg.open(&p.Blocks[i])
		if o.blocks = append(o.blocks, b); b.err != nil {
			break
		}
	}
	return o
}

// open reads one block and checks that it is the proposer's, and whole.
func (cfg *Config) open(e *l1.Encoded) (b opened) {
	if b.header, b.data, b.err = block.ReadSigned(e.Header, e.Data); b.err == nil {
		b.err = cfg.Authority.Whole(b.header, b.data)
	}
	return b
}

// On returns the blocks of the proposal, built on tip, or why its content makes none: then the proposal is void, on
// every node alike, since the answer depends on the content and on tip alone (I3). Each block must be the proposer's,
// whole, and continue the one before. Whether transactions of the forced items that it takes are missing is not looked
// at here: see MissingTxs.
//
// Last gives the block that tip is, which a proposal of version 2 is read with; it is not called for others, and not for
// the first block. What it fails with says nothing about the proposal: On returns it, and may be called again. ErrLater is
// returned likewise.
func (o *Opened) On(cfg *Config, tip Tip, last func() (*block.Block, error)) (blocks []*block.Block, void string, err error) {
	if o.compact != nil && o.void == "" && block.Hash(o.parent) == tip.HeaderHash {
		return o.compact.on(cfg, tip, last)
	}
	if o.later != nil && block.Hash(o.parent) == tip.HeaderHash && cfg.Authority.Later(o.later, tip.Height+1) {
		return nil, "", fmt.Errorf("%w: %d, signed by the chain's proposer; this release reads versions up to %d", ErrLater, o.later.Version, l1.CompactVersion)
	}
	blocks, void = o.on(cfg, tip)
	return blocks, void, nil
}

func (c *compactly) on(cfg *Config, tip Tip, last func() (*block.Block, error)) ([]*block.Block, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read && c.tip == tip {
		return c.blocks, c.void, nil
	}
	parent := compact.Parent{Height: tip.Height}
	if !tip.HeaderHash.IsZero() {
		b, err := last()
		if err != nil {
			return nil, "", err
		}
		parent.Block = b
	}
	c.read, c.tip = true, tip
	c.blocks, c.void = cfg.readCompact(parent, tip, c.payload)
	return c.blocks, c.void, nil
}

// readCompact reads a payload of version 2, and checks what Open and on check of one of version 1. The last header's
// signature is one over all blocks: each header names the one before, and its data.
func (cfg *Config) readCompact(parent compact.Parent, tip Tip, payload []byte) (blocks []*block.Block, void string) {
	blocks, err := compact.Decode(&compact.Chain{ID: cfg.Authority.ChainID(), Seals: cfg.Seals, Proposer: cfg.Authority.ProposerAt(tip.Height + 1)}, parent, payload)
	if err == nil {
		err = cfg.Authority.Header(&blocks[len(blocks)-1].Header)
	}
	if err != nil {
		return nil, err.Error()
	}
	for i, b := range blocks {
		if err := cfg.Follows(tip, b); err != nil {
			return nil, fmt.Sprintf("block %d of %d: %v", i+1, len(blocks), err)
		}
		tip = TipOf(b)
	}
	return blocks, ""
}

// on is On of version 1.
func (o *Opened) on(cfg *Config, tip Tip) (blocks []*block.Block, void string) {
	switch {
	case o.void != "":
		return nil, o.void
	case block.Hash(o.parent) != tip.HeaderHash:
		return nil, fmt.Sprintf("it builds on %x, and the last block is %s", o.parent, tip.HeaderHash)
	case o.of == 0:
		return nil, "it holds no block"
	}
	for i, b := range o.blocks {
		if b.err == nil {
			blocks = append(blocks, join(b.header, b.data, tip.DataHash))
			b.err = cfg.Follows(tip, blocks[i])
		}
		if b.err != nil {
			return nil, fmt.Sprintf("block %d of %d: %v", i+1, o.of, b.err)
		}
		tip = TipOf(blocks[i])
	}
	return blocks, ""
}

// Follows returns why b, which is the proposer's and whole, is not the next block on tip; nil if it is. Time may
// stand still but never goes backwards.
func (cfg *Config) Follows(tip Tip, b *block.Block) error {
	h := &b.Header.Header
	switch {
	case h.Height != tip.Height+1:
		return fmt.Errorf("it has height %d, the next is %d", h.Height, tip.Height+1)
	case !bytes.Equal(h.LastHeaderHash, tip.HeaderHash.Field()):
		return fmt.Errorf("it follows %x, the last block is %s", h.LastHeaderHash, tip.HeaderHash)
	case h.Time < max(tip.Time, cfg.StartTime):
		return errors.New("its time goes backwards")
	case !bytes.Equal(b.Data.Metadata.LastDataHash, tip.DataHash.Field()):
		return errOtherData
	}
	return nil
}

// MissingTx is a transaction that is missing: a proposal takes its forced item, and has it in none of its blocks.
type MissingTx struct {
	Source int    // place of the item in the sources
	Index  uint64 // of the item in the queue
	N      int    // place of the transaction in the item
	Tx     []byte
}

// MissingTxs returns the transactions of forced sources that are in none of blocks, in order. One that is forced twice
// must be there twice. The first own transactions of each block are the execution engine's, and do not count.
func MissingTxs(blocks []*block.Block, sources []l1.Source, own int) (missing []MissingTx) {
	w := Want(sources, own)
	for _, b := range blocks {
		w.Has(b)
	}
	return w.Missing()
}

// Wanted is MissingTxs of blocks that are shown to it one after the other. It keeps none of them.
type Wanted struct {
	sources []l1.Source
	own     int
	have    map[string]int // how often blocks have each transaction that is forced
}

// Want begins to look for the transactions of forced sources.
func Want(sources []l1.Source, own int) *Wanted {
	w := &Wanted{sources, own, map[string]int{}}
	for i := range sources {
		for _, tx := range sources[i].Txs {
			w.have[string(tx)] = 0
		}
	}
	return w
}

// Has shows the next block.
func (w *Wanted) Has(b *block.Block) {
	for _, tx := range b.Data.Txs[min(w.own, len(b.Data.Txs)):] {
		if n, ok := w.have[string(tx)]; ok {
			w.have[string(tx)] = n + 1
		}
	}
}

// Missing returns what no block had so far.
func (w *Wanted) Missing() (missing []MissingTx) {
	left := maps.Clone(w.have) // of what blocks have, for what is forced later
	for i := range w.sources {
		if !w.sources[i].Forced {
			continue
		}
		for j, tx := range w.sources[i].Txs {
			if left[string(tx)] == 0 {
				missing = append(missing, MissingTx{Source: i, Index: w.sources[i].Index, N: j, Tx: tx})
				continue
			}
			left[string(tx)]--
		}
	}
	return missing
}
