package derive

import (
	"bytes"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/l1"
)

// Proposal returns the blocks of a proposal of an L1 inbox, built on tip, or why its content makes none: then the
// proposal is void, on every node alike, since the answer depends on the content and on tip alone (I3). Each block
// must be the proposer's, whole, and continue the one before. Whether transactions of the forced items that it takes
// are missing is not looked at here: see MissingTxs.
func Proposal(cfg *Config, tip Tip, p *l1.Proposal) (blocks []*block.Block, void string) {
	if p.Void != "" {
		return nil, p.Void
	}
	if block.Hash(p.Parent) != tip.HeaderHash {
		return nil, fmt.Sprintf("it builds on %x, and the last block is %s", p.Parent, tip.HeaderHash)
	}
	for i := range p.Blocks {
		b, err := sealed(cfg, tip, &p.Blocks[i])
		if err != nil {
			return nil, fmt.Sprintf("block %d of %d: %v", i+1, len(p.Blocks), err)
		}
		blocks = append(blocks, b)
		tip = TipOf(b)
	}
	if len(blocks) == 0 {
		return nil, "it holds no block"
	}
	return blocks, ""
}

// sealed decodes one block and checks all that its content and tip show.
func sealed(cfg *Config, tip Tip, e *l1.Encoded) (*block.Block, error) {
	header, data, err := block.ReadSigned(e.Header, e.Data)
	if err != nil {
		return nil, err
	}
	b, err := cfg.Authority.Block(header, data, tip.DataHash)
	if err != nil {
		return nil, err
	}
	return b, cfg.Follows(tip, b)
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
