package derive

import (
	"bytes"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/l1"
)

// Opened is a proposal that has been verified as far as that depends on its content alone. It is immutable.
type Opened struct {
	void   string // why it makes no block, whatever it builds on
	parent l1.Hash
	blocks []opened
	of     int // how many blocks the proposal has
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
	o := &Opened{void: p.Void, parent: p.Parent, of: len(p.Blocks)}
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
func (o *Opened) On(cfg *Config, tip Tip) (blocks []*block.Block, void string) {
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
	have := map[string]int{}
	for _, b := range blocks {
		for _, tx := range b.Data.Txs[min(own, len(b.Data.Txs)):] {
			have[string(tx)]++
		}
	}
	for i := range sources {
		if !sources[i].Forced {
			continue
		}
		for j, tx := range sources[i].Txs {
			if have[string(tx)] == 0 {
				missing = append(missing, MissingTx{Source: i, Index: sources[i].Index, N: j, Tx: tx})
				continue
			}
			have[string(tx)]--
		}
	}
	return missing
}
