package derive

import (
	"bytes"
	"fmt"

	"headrace/block"
	"headrace/l1"
)

// Proposal returns the blocks of a proposal of an L1 inbox, built on tip, or why its content makes none: then the proposal is void, on every node
// alike, since the answer depends on the content and on tip alone (I3). Each block must be the proposer's, whole, and continue the one before. What the proposal leaves out of
// the forced items that it takes is not looked at here: see LeftOut.
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
	h, err := block.DecodeSignedHeader(e.Header)
	if err != nil {
		return nil, err
	}
	hd := &h.Header
	b := &block.Block{Header: *h}
	if len(e.Data) == 0 {
		b.Data = block.EmptyData(hd, hashField(tip.DataHash))
	} else {
		signed, err := block.DecodeSignedData(e.Data)
		switch {
		case err != nil:
			return nil, err
		case !bytes.Equal(signed.Signer.Address, cfg.Proposer):
			return nil, fmt.Errorf("its data is not signed by the chain's proposer")
		}
		if err := signed.Verify(); err != nil {
			return nil, err
		}
		b.Data = signed.Data
	}
	m, commitment := &b.Data.Metadata, b.Data.Commitment()
	switch {
	case hd.ChainID != cfg.ChainID:
		return nil, fmt.Errorf("it is of chain %q", hd.ChainID)
	case hd.Height != tip.Height+1:
		return nil, fmt.Errorf("it has height %d, the next is %d", hd.Height, tip.Height+1)
	case !bytes.Equal(hd.LastHeaderHash, hashField(tip.HeaderHash)):
		return nil, fmt.Errorf("it follows %x, the last block is %s", hd.LastHeaderHash, tip.HeaderHash)
	case hd.Time < max(tip.Time, cfg.StartTime):
		return nil, fmt.Errorf("its time goes backwards")
	case !bytes.Equal(hd.DataHash, commitment[:]):
		return nil, fmt.Errorf("its header names other data")
	case m.ChainID != hd.ChainID || m.Height != hd.Height || m.Time != hd.Time || !bytes.Equal(m.LastDataHash, hashField(tip.DataHash)):
		return nil, fmt.Errorf("its data is of another block")
	case !bytes.Equal(hd.ProposerAddress, cfg.Proposer) || !bytes.Equal(h.Signer.Address, cfg.Proposer):
		return nil, fmt.Errorf("it is not signed by the chain's proposer")
	}
	if err := h.Verify(); err != nil {
		return nil, err
	}
	if len(h.EnvelopeSignature) > 0 {
		return b, h.VerifyEnvelope()
	}
	return b, nil
}

// hashField is how a header writes a hash: absent for none.
func hashField(h block.Hash) []byte {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

// Left is a transaction of a forced item that a proposal takes and has in none of its blocks.
type Left struct {
	Source int    // place of the item in the sources
	Index  uint64 // of the item in the queue
	N      int    // place of the transaction in the item
	Tx     []byte
}

// LeftOut returns the transactions of forced sources that are in none of blocks, in order. One that is asked for twice must be there twice. own is how many transactions at the front
// of each block the execution engine adds itself; they do not count.
func LeftOut(blocks []*block.Block, sources []l1.Source, own int) (left []Left) {
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
				left = append(left, Left{Source: i, Index: sources[i].Index, N: j, Tx: tx})
				continue
			}
			have[string(tx)]--
		}
	}
	return left
}
