package square

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"time"

	"headrace/follow"
)

// Header is the block header that Celestia takes from CometBFT. Its hash commits to all of it, and through DataHash to every share of the block.
type Header struct {
	VersionBlock       uint64
	VersionApp         uint64
	ChainID            string
	Height             uint64
	Time               time.Time // UTC
	LastBlockID        BlockID   // zero in a chain's first block
	LastCommitHash     []byte
	DataHash           []byte // merkle root of the DAH, see DAH.Hash
	ValidatorsHash     []byte
	NextValidatorsHash []byte
	ConsensusHash      []byte
	AppHash            []byte
	LastResultsHash    []byte
	EvidenceHash       []byte
	ProposerAddress    []byte
}

// Head is what is known of the newest block without asking for it.
type Head struct {
	Height uint64
	Hash   follow.Hash
	Time   time.Time
}

// Ref returns the head's height and hash.
func (h Head) Ref() follow.Ref { return follow.Ref{Height: h.Height, Hash: h.Hash} }

// BlockID names a block by its header's hash and by the set of parts it was gossiped in.
type BlockID struct {
	Hash  []byte
	Total uint32 // number of parts
	Parts []byte // root of the parts
}

// Commit is what a block's validators signed.
type Commit struct {
	Height     uint64
	Round      uint32
	BlockID    BlockID
	Signatures []CommitSig
}

// CommitSig is one validator's vote. Flag is 1 for an absent validator, 2 for a vote for the block, 3 for a vote for none.
type CommitSig struct {
	Flag      uint8
	Validator []byte // address
	Timestamp time.Time
	Signature []byte
}

// ValidatorSet is the set of validators of a block, and which one proposed it.
type ValidatorSet struct {
	Validators []Validator
	Proposer   *Validator
}

// Validator is one validator with its Ed25519 key.
type Validator struct {
	Address          []byte
	PubKeyType       string // "tendermint/PubKeyEd25519"
	PubKey           []byte
	VotingPower      int64
	ProposerPriority int64
}

// DAH is the data availability header: the roots of all rows and of all columns of an extended square, 2k each.
type DAH struct {
	RowRoots    [][]byte
	ColumnRoots [][]byte
}

// ExtendedHeader is a header with all that a light client needs beside it, as Celestia's header methods give it.
type ExtendedHeader struct {
	Header       Header
	Commit       Commit
	ValidatorSet ValidatorSet
	DAH          DAH
}

// Hash returns the header's hash as CometBFT defines it: the merkle root of the 14 fields, each protobuf-encoded, zeros omitted.
func (h *Header) Hash() [32]byte {
	var scratch [2]merkleBuf // the 14 leaves fit well; on the stack
	var leaves [14][32]byte
	buf := scratch[0][:0]
	leaf := func(i int) {
		leaves[i] = leafHash(buf)
		buf = scratch[0][:0]
	}
	buf = appendVarintField(buf, 1, h.VersionBlock)
	buf = appendVarintField(buf, 2, h.VersionApp)
	leaf(0)
	buf = appendBytesField(buf, 1, []byte(h.ChainID))
	leaf(1)
	buf = appendVarintField(buf, 1, h.Height)
	leaf(2)
	buf = appendTime(buf, h.Time)
	leaf(3)
	buf = h.LastBlockID.append(buf)
	leaf(4)
	for i, b := range [...][]byte{h.LastCommitHash, h.DataHash, h.ValidatorsHash, h.NextValidatorsHash, h.ConsensusHash, h.AppHash,
		h.LastResultsHash, h.EvidenceHash, h.ProposerAddress} {
		buf = appendBytesField(buf, 1, b)
		leaf(5 + i)
	}
	return merkleRoot(leaves[:])
}

// Parent returns the hash of the block before, zero in a chain's first block.
func (h *Header) Parent() follow.Hash {
	var p follow.Hash
	copy(p[:], h.LastBlockID.Hash)
	return p
}

// Hash returns the root that a header commits to as LastCommitHash in the next block.
func (c *Commit) Hash() [32]byte {
	leaves := make([][32]byte, len(c.Signatures))
	var buf []byte
	for i := range c.Signatures {
		s := &c.Signatures[i]
		buf = appendVarintField(buf[:0], 1, uint64(s.Flag))
		buf = appendBytesField(buf, 2, s.Validator)
		buf = appendTimeField(buf, 3, s.Timestamp)
		buf = appendBytesField(buf, 4, s.Signature)
		leaves[i] = leafHash(buf)
	}
	return merkleRoot(leaves)
}

// SignBytes returns the bytes that the i-th validator signed.
func (c *Commit) SignBytes(chainID string, i int) []byte {
	return SignBytes(chainID, c.Height, c.Round, c.BlockID, c.Signatures[i].Timestamp)
}

// SignBytes returns the bytes that a validator signs to commit to a block: CometBFT's canonical precommit, with its length before it.
func SignBytes(chainID string, height uint64, round uint32, id BlockID, at time.Time) []byte {
	const precommit = 2
	b := appendVarintField(make([]byte, 1, 160), 1, precommit)
	b = appendFixed64Field(b, 2, height)
	b = appendFixed64Field(b, 3, uint64(round))
	b = appendMessageField(b, 4, func(b []byte) []byte { return id.append(b) })
	b = appendTimeField(b, 5, at)
	b = appendBytesField(b, 6, []byte(chainID))
	n := len(b) - 1
	if n < 0x80 {
		b[0] = byte(n)
		return b
	}
	return append(binary.AppendUvarint(make([]byte, 0, n+2), uint64(n)), b[1:]...)
}

// Hash returns the root that a header commits to as ValidatorsHash.
func (s *ValidatorSet) Hash() [32]byte {
	leaves := make([][32]byte, len(s.Validators))
	for i := range s.Validators {
		v := &s.Validators[i]
		b := appendMessageField(nil, 1, func(b []byte) []byte { return appendBytesField(b, 1, v.PubKey) })
		b = appendVarintField(b, 2, uint64(v.VotingPower))
		leaves[i] = leafHash(b)
	}
	return merkleRoot(leaves)
}

// Address returns a validator's address: the first 20 bytes of its key's SHA-256.
func Address(pubKey []byte) []byte {
	sum := sha256.Sum256(pubKey)
	return sum[:20]
}

// Hash returns the data root: the merkle root of the row roots followed by the column roots, which a header commits to as DataHash.
func (d *DAH) Hash() [32]byte {
	leaves := make([][32]byte, 0, len(d.RowRoots)+len(d.ColumnRoots))
	for _, r := range d.RowRoots {
		leaves = append(leaves, leafHash(r))
	}
	for _, r := range d.ColumnRoots {
		leaves = append(leaves, leafHash(r))
	}
	return merkleRoot(leaves)
}

// Width returns k, the side of the square before its extension.
func (d *DAH) Width() int { return len(d.RowRoots) / 2 }

type merkleBuf [192]byte // holds the longest leaf of a header: chain ids have at most 50 bytes

// leafHash and merkleRoot are RFC 6962, as in CometBFT.
func leafHash(b []byte) [32]byte {
	var buf [256]byte
	return sha256.Sum256(append(append(buf[:0], 0), b...))
}

// merkleRoot overwrites leaves.
func merkleRoot(leaves [][32]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	n := splitPoint(len(leaves))
	l, r := merkleRoot(leaves[:n]), merkleRoot(leaves[n:])
	return innerHash(&l, &r)
}

func innerHash(l, r *[32]byte) [32]byte {
	var buf [65]byte
	buf[0] = 1
	copy(buf[1:], l[:])
	copy(buf[33:], r[:])
	return sha256.Sum256(buf[:])
}

// splitPoint returns the largest power of two below n.
func splitPoint(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

// The protobuf encodings below leave out zero values, as proto3 does.

func appendVarintField(b []byte, field byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	return binary.AppendUvarint(append(b, field<<3), v)
}

func appendFixed64Field(b []byte, field byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	return binary.LittleEndian.AppendUint64(append(b, field<<3|1), v)
}

func appendBytesField(b []byte, field byte, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return append(binary.AppendUvarint(append(b, field<<3|2), uint64(len(v))), v...)
}

// appendMessageField writes a message even if it is empty, as CometBFT's non-nullable fields are written.
func appendMessageField(b []byte, field byte, message func([]byte) []byte) []byte {
	var buf [192]byte
	m := message(buf[:0])
	return append(binary.AppendUvarint(append(b, field<<3|2), uint64(len(m))), m...)
}

func appendTime(b []byte, t time.Time) []byte {
	b = appendVarintField(b, 1, uint64(t.Unix()))
	return appendVarintField(b, 2, uint64(t.Nanosecond()))
}

func appendTimeField(b []byte, field byte, t time.Time) []byte {
	return appendMessageField(b, field, func(b []byte) []byte { return appendTime(b, t) })
}

// append writes the block id with its parts, which are always present.
func (id *BlockID) append(b []byte) []byte {
	b = appendBytesField(b, 1, id.Hash)
	return appendMessageField(b, 2, func(b []byte) []byte {
		b = appendVarintField(b, 1, uint64(id.Total))
		return appendBytesField(b, 2, id.Parts)
	})
}

const maxHeight = follow.MaxHeight // CometBFT's heights have 63 bits; see there
