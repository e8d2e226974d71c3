package block

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Hash returns the block's hash, which is its header's.
func (b *Block) Hash() Hash { return b.Header.Header.Hash() }

// Ref returns the block's height and hash.
func (b *Block) Ref() Ref { return Ref{Height: b.Height(), Hash: b.Hash()} }

// Encode returns the whole block for keeping: the encodings of the signed header and of the data, each after its
// length as a varint.
//
//	+--------+---------------+--------+------+
//	| length | signed header | length | data |
//	+--------+---------------+--------+------+
func (b *Block) Encode() []byte {
	header, size := b.Header.Encode(), b.Data.size()
	out := make([]byte, 0, protowire.SizeBytes(len(header))+protowire.SizeBytes(size))
	out = protowire.AppendBytes(out, header)
	return b.Data.append(protowire.AppendVarint(out, uint64(size)))
}

// EncodeBlock returns what Encode would of the block that h and the Data with the encoding content make.
func EncodeBlock(h *SignedHeader, content []byte) []byte {
	header := h.Encode()
	out := make([]byte, 0, protowire.SizeBytes(len(header))+protowire.SizeBytes(len(content)))
	return protowire.AppendBytes(protowire.AppendBytes(out, header), content)
}

var (
	errTrailing = errors.New("something follows the block")
	errLength   = errors.New("a length is not in its shortest form")
)

// SplitBlock returns the two encodings in what Encode returned. Nothing is decoded. Lengths in another than the shortest
// form are an error: no two encodings are split into the same parts.
func SplitBlock(b []byte) (header, data []byte, err error) {
	header, n := protowire.ConsumeBytes(b)
	if n < 0 {
		return nil, nil, fmt.Errorf("decode block: header: %w", protowire.ParseError(n))
	}
	data, m := protowire.ConsumeBytes(b[n:])
	if m < 0 {
		return nil, nil, fmt.Errorf("decode block: data: %w", protowire.ParseError(m))
	}
	switch {
	case n+m != len(b):
		return nil, nil, fmt.Errorf("decode block: %w", errTrailing)
	case n+m != protowire.SizeBytes(len(header))+protowire.SizeBytes(len(data)):
		return nil, nil, fmt.Errorf("decode block: %w", errLength)
	}
	return header, data, nil
}

// DecodeBlock decodes what Encode returned. The result keeps parts of b, which must not be written to afterwards.
func DecodeBlock(b []byte) (*Block, error) {
	header, data, err := SplitBlock(b)
	if err != nil {
		return nil, err
	}
	h, err := DecodeSignedHeader(header)
	if err != nil {
		return nil, fmt.Errorf("decode block: %w", err)
	}
	d, err := DecodeData(data)
	if err != nil {
		return nil, fmt.Errorf("decode block: %w", err)
	}
	return &Block{Header: *h, Data: *d}, nil
}
