package l1

import (
	"crypto/sha256"
	"encoding/binary"
)

// Later is a payload of a version that this release does not know, as far as all versions from 3 on are alike:
//
//	| version | length, 4 bytes | key size, 2 bytes | key | signature size, 2 bytes | signature | content |
//
// Length counts what follows it, and what follows that is no part of the payload, as in versions 1 and 2. The signature
// is the chain's proposer's, over Message. So a node can tell the proposals of a chain that has gone on in a later
// version, which it must not pass over, from what any account that may propose can put there, which makes no block.
type Later struct {
	Version   byte // 3 or more
	PubKey    []byte
	Signature []byte
	Content   []byte // what it says this release does not know
}

// laterMessage begins what is signed: no header and no data that is signed begins so.
const laterMessage = "headrace payload\x00"

// Message returns what the proposer of a chain signs of the payload.
func (l *Later) Message(chainID string) []byte {
	sum := sha256.Sum256(l.Content)
	b := append([]byte(laterMessage), l.Version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(chainID)))
	return append(append(b, chainID...), sum[:]...)
}

// Encode returns the payload.
func (l *Later) Encode() []byte {
	b := append(make([]byte, payloadHead, payloadHead+4+len(l.PubKey)+len(l.Signature)+len(l.Content)), byte(len(l.PubKey)>>8), byte(len(l.PubKey)))
	b = append(b, l.PubKey...)
	b = append(b, byte(len(l.Signature)>>8), byte(len(l.Signature)))
	b = append(append(b, l.Signature...), l.Content...)
	b = seal(b)
	b[0] = l.Version
	return b
}

// DecodeLater reads what all later versions share. It reports whether b is of one: whose it is, is not looked at. The
// result shares b's memory.
func DecodeLater(b []byte) (l Later, ok bool) {
	if len(b) == 0 || b[0] <= CompactVersion {
		return l, false
	}
	b, err := cut(b)
	if err != nil {
		return l, false
	}
	l.Version, b = b[0], b[payloadHead:]
	for _, part := range []*[]byte{&l.PubKey, &l.Signature} {
		if len(b) < 2 {
			return l, false
		}
		n := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; n == 0 || n > len(b) {
			return l, false
		}
		*part, b = b[:n:n], b[n:]
	}
	l.Content = b
	return l, true
}
