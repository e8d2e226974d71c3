// Package block holds a rollup's blocks as Evolve (ev-node v1) writes them: header, data, signatures, hashes, keys
// and the chain's genesis.
//
// Encoding is deterministic protobuf, so a decoded value encodes to the bytes it came from, and every hash and
// signature is taken over that encoding. Decoders never panic and never allocate more than their input justifies.
// Everything here is a value or a pure function of values: safe to use from many goroutines as long as nobody writes
// to a shared value.
package block

import (
	"time"

	"headrace/ref"
)

// Hash is a SHA-256 digest. The zero Hash stands for "none".
type Hash = ref.Hash

// Ref names one block, of a rollup or of the layer it is read from, by height and hash.
type Ref = ref.Ref

// MaxHeight is the highest height that is taken for one.
const MaxHeight = ref.MaxHeight

// IsField reports whether b can be a hash in a header or metadata, where it may be absent.
func IsField(b []byte) bool { return len(b) == 0 || len(b) == len(Hash{}) }

// Version is the version field of a header: of the block format and of the application.
type Version struct{ Block, App uint64 }

// Header is a block's header. Byte fields are nil when absent on the wire.
type Header struct {
	Version         Version
	Height          uint64
	Time            uint64 // nanoseconds since the Unix epoch
	LastHeaderHash  []byte // hash of the header before; nil at the first height
	DataHash        []byte // see Data.Commitment
	AppHash         []byte // state root before this block is executed; nil while the state is empty
	ProposerAddress []byte // SHA-256 of the proposer's raw public key
	ValidatorHash   []byte
	ChainID         string
}

// Signer names who signed: the address, and the public key as a libp2p public-key protobuf.
type Signer struct{ Address, PubKey []byte }

// SignedHeader is a header with its signature over the header's encoding. With an EnvelopeSignature (over the
// encoding of the other three fields) it is what Evolve calls a DAHeaderEnvelope; without one, the older plain form.
type SignedHeader struct {
	Header            Header
	Signature         []byte
	Signer            Signer
	EnvelopeSignature []byte // nil in the plain form
}

// Metadata ties a block's data to its place in the chain.
type Metadata struct {
	ChainID      string
	Height       uint64
	Time         uint64 // nanoseconds since the Unix epoch
	LastDataHash []byte // Data.Hash of the block before; nil at the first height
}

// Data is a block's content.
type Data struct {
	Metadata Metadata
	Txs      [][]byte
}

// SignedData is a block's data with its signature over the data's encoding.
type SignedData struct {
	Data      Data
	Signature []byte
	Signer    Signer
}

// Block is one whole block: a signed header and the data that its DataHash names.
type Block struct {
	Header SignedHeader
	Data   Data
}

// Height returns the block's height.
func (b *Block) Height() uint64 { return b.Header.Header.Height }

// Made returns when the block was made, by its header. A time of 2^63 nanoseconds or more, which no clock shows, comes
// out before 1970.
func (b *Block) Made() time.Time { return time.Unix(0, int64(b.Header.Header.Time)) }
