package square

import (
	"bytes"
	"encoding/binary"
)

// Tuples are the pairs of height and data root of consecutive blocks, from height First on, as Celestia's Blobstream
// contract has them: both as 32 bytes. The zero value has none, and begins at height 0.
type Tuples struct {
	First  uint64
	leaves [][32]byte
}

// Add adds the data root of the next height.
func (t *Tuples) Add(dataRoot []byte) {
	var tuple [64]byte
	binary.BigEndian.PutUint64(tuple[24:], t.First+uint64(len(t.leaves)))
	copy(tuple[32:], dataRoot)
	t.leaves = append(t.leaves, leafHash(tuple[:]))
}

// Root returns the root of the merkle tree over all tuples, as RFC 6962 has it.
func (t *Tuples) Root() [32]byte { return merkleRoot(t.leaves) }

// Prove proves the tuple of a height, one of those added.
func (t *Tuples) Prove(height uint64) MerkleProof {
	i := int(height - t.First)
	return MerkleProof{Total: int64(len(t.leaves)), Index: int64(i), LeafHash: bytes.Clone(t.leaves[i][:]), Aunts: aunts(t.leaves, i)}
}
