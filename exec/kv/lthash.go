package kv

import (
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/crypto/blake2b"
)

// lanes of 16 bits each: LtHash16 with 1,024 lanes, about 200 bits of strength (Lewi, Kim, Maykov, Weis: "Securing Update Propagation with
// Homomorphic Hashing", 2019, https://eprint.iacr.org/2019/227).
const lanes = 1024

// lthash is the lane-wise sum of a hash of each pair. The order of adding does not matter, and what was added can be taken away, so the state's
// hash follows changes without reading the rest of the state.
type lthash [lanes]uint16

func (s *lthash) add(key string, value []byte) {
	h := expand(key, value)
	for i := range s {
		s[i] += binary.LittleEndian.Uint16(h[2*i:])
	}
}

func (s *lthash) sub(key string, value []byte) {
	h := expand(key, value)
	for i := range s {
		s[i] -= binary.LittleEndian.Uint16(h[2*i:])
	}
}

// expand hashes a pair to as many bytes as the sum has. The length in front keeps ("a", "bc") and ("ab", "c") apart.
func expand(key string, value []byte) (out [2 * lanes]byte) {
	xof, err := blake2b.NewXOF(uint32(len(out)), nil)
	if err != nil {
		panic(err) // only for sizes that are constants here
	}
	xof.Write(binary.AppendUvarint(nil, uint64(len(key)))) // a hash's Write returns no error
	xof.Write([]byte(key))
	xof.Write(value)
	xof.Read(out[:])
	return out
}

// root returns the digest of a state of n pairs: nil for none.
func (s *lthash) root(n uint64) []byte {
	if n == 0 {
		return nil
	}
	sum := sha256.Sum256(s.encode())
	return sum[:]
}

func (s *lthash) encode() []byte {
	b := make([]byte, 0, 2*lanes)
	for _, v := range s {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

func (s *lthash) decode(b []byte) error {
	if len(b) != 2*lanes {
		return errCut
	}
	for i := range s {
		s[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return nil
}
