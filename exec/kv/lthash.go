package kv

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
)

// lanes of 16 bits each: LtHash16 with 1,024 lanes, about 200 bits of strength (Lewi, Kim, Maykov, Weis: "Securing Update Propagation with
// Homomorphic Hashing", 2019, https://eprint.iacr.org/2019/227).
const lanes = 1024

// lthash is the lane-wise sum of a hash of each pair. The order of adding does not matter, and what was added can be taken away, so the state's
// hash follows changes without reading the rest of the state.
type lthash [lanes]uint16

func (s *lthash) add(h *expanded) {
	for i := range s {
		s[i] += binary.LittleEndian.Uint16(h[2*i:])
	}
}

func (s *lthash) sub(h *expanded) {
	for i := range s {
		s[i] -= binary.LittleEndian.Uint16(h[2*i:])
	}
}

// expanded is the hash of one pair, of as many bytes as the sum has.
type expanded [2 * lanes]byte

// of hashes a pair: the key stream of AES-256 in counter mode under the pair's SHA-256, which a CPU makes several times faster than an
// extendable hash. The length in front keeps ("a", "bc") and ("ab", "c") apart. It returns h.
func (h *expanded) of(key string, value []byte) *expanded {
	pair := binary.AppendUvarint(make([]byte, 0, 10+len(key)+len(value)), uint64(len(key)))
	pair = append(append(pair, key...), value...)
	seed := sha256.Sum256(pair)
	c, err := aes.NewCipher(seed[:])
	if err != nil {
		panic(err) // only for key sizes that are not AES's
	}
	var iv [aes.BlockSize]byte
	clear(h[:])
	cipher.NewCTR(c, iv[:]).XORKeyStream(h[:], h[:])
	return h
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
