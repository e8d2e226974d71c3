package block

// HalfKind tells a header from data.
type HalfKind uint8

// The two halves of a block. A header counts as another half in each of its two forms: which of them a block takes depends on its parent.
const (
	HeaderHalf      HalfKind = 1 // in an envelope
	DataHalf        HalfKind = 2
	PlainHeaderHalf HalfKind = 3 // in the older form, without an envelope signature
)

// Half is one authenticated half of a block waiting for the other half or for its parent.
type Half struct {
	Kind     HalfKind
	Hash     Hash   // Header.Hash of a header, Data.Hash of data
	Height   uint64 // of the rollup block
	DAHeight uint64 // where it was posted first
	Index    int    // its blob's index there
	Raw      []byte // the SignedHeader's or SignedData's encoding: the blob's bytes, without anything foreign in them
}

// HalfKey identifies a Half.
type HalfKey struct {
	Kind   HalfKind
	Height uint64
	Hash   Hash
}

// Key returns what identifies h.
func (h *Half) Key() HalfKey { return HalfKey{Kind: h.Kind, Height: h.Height, Hash: h.Hash} }
