package block

// HalfKind tells a header from data.
type HalfKind uint8

// The two halves of a block.
const (
	HeaderHalf HalfKind = 1
	DataHalf   HalfKind = 2
)

// Half is one authenticated half of a block, as posted, waiting for the other half or for its parent.
type Half struct {
	Kind     HalfKind
	Hash     Hash   // Header.Hash of a header, Data.Hash of data
	Height   uint64 // of the rollup block
	DAHeight uint64 // where it was posted first
	Index    int    // its blob's index there
	Raw      []byte // the blob's bytes
}

// HalfKey identifies a Half.
type HalfKey struct {
	Kind   HalfKind
	Height uint64
	Hash   Hash
}

// Key returns what identifies h.
func (h *Half) Key() HalfKey { return HalfKey{Kind: h.Kind, Height: h.Height, Hash: h.Hash} }
