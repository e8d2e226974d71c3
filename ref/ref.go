// Package ref names blocks, of a rollup and of the layers below it: by hash, or by height and hash. Packages block,
// follow and await have these types under their own names, and package l1 has its own over them, whose text begins
// with 0x.
//
// It promises that a text is always the same for the same hash, and that what was written with or without 0x can be
// read. Everything here is a value.
package ref

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Hash is a 32-byte hash. The zero Hash stands for "none".
type Hash [32]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero hash, which stands for "none".
func (h Hash) IsZero() bool { return h == Hash{} }

// Field returns h as a header or metadata holds it: absent, which is nil, for none.
func (h Hash) Field() []byte {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

// MarshalText writes h as 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits, in lower or upper case, with or without 0x before them. After an error h
// is as it was.
func (h *Hash) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(strings.TrimPrefix(strings.ToLower(string(text)), "0x"))
	if err != nil || len(b) != len(h) {
		return fmt.Errorf("hash %q is not %d hexadecimal digits", text, 2*len(h))
	}
	copy(h[:], b)
	return nil
}

// MaxHeight is the highest height that is taken for one. JSON has it as a number, and above it readers in many languages
// would get another number (RFC 8259, section 6). No chain comes near: what is above is made up.
const MaxHeight = 1<<53 - 1

// Ref names one block, or one item of a source, by height and hash.
type Ref struct {
	Height uint64 `json:"height"`
	Hash   Hash   `json:"hash"`
}
