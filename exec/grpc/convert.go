package execgrpc

import (
	"fmt"

	"headrace/block"
	"headrace/exec/grpc/execv1"
)

func encodeBlock(b *block.Block) *execv1.Block {
	h, hash := &b.Header.Header, b.Hash()
	return &execv1.Block{
		Height: h.Height, Hash: hash[:], ParentHash: h.LastHeaderHash, Time: h.Time, ChainId: h.ChainID, Txs: b.Data.Txs,
		SignedHeader: b.Header.Encode(), LastDataHash: b.Data.Metadata.LastDataHash,
	}
}

// decodeBlock puts a block together again. Its hash must be the one that the message names: a block that lost
// something on the way would be another block.
func decodeBlock(m *execv1.Block) (*block.Block, error) {
	header, err := block.DecodeSignedHeader(m.GetSignedHeader())
	if err != nil {
		return nil, err
	}
	h := &header.Header
	b := &block.Block{Header: *header, Data: block.Data{
		Metadata: block.Metadata{ChainID: h.ChainID, Height: h.Height, Time: h.Time, LastDataHash: none(m.LastDataHash)},
		Txs:      m.Txs,
	}}
	if hash := b.Hash(); string(hash[:]) != string(m.Hash) || h.Height != m.Height || h.Time != m.Time || h.ChainID != m.ChainId || string(h.LastHeaderHash) != string(m.ParentHash) {
		return nil, fmt.Errorf("the fields of block %d %x are not those of its signed header, block %d %s", m.Height, m.Hash, h.Height, hash)
	}
	return b, nil
}

func encodeRef(r block.Ref) *execv1.Ref { return &execv1.Ref{Height: r.Height, Hash: r.Hash[:]} }

func decodeRef(m *execv1.Ref) (block.Ref, error) {
	h, err := decodeHash(m.GetHash())
	return block.Ref{Height: m.GetHeight(), Hash: h}, err
}

// decodeHash reads a hash; an empty one is the zero hash.
func decodeHash(b []byte) (h block.Hash, err error) {
	if !block.IsField(b) {
		return h, fmt.Errorf("hash of %d bytes: %w", len(b), errProtocol)
	}
	copy(h[:], b)
	return h, nil
}

// none makes an empty value nil: the wire does not tell them apart.
func none(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
