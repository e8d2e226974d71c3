package store

import (
	"encoding/binary"
	"fmt"

	"headrace/block"
)

// The keys. Heights are big-endian, so that keys sort by height.
//
//	m                           meta (JSON): format, identity, first height, start
//	s                           position, proven, envelopes only, span of items
//	c                           unsafe, safe, finalized, roots, oldest
//	x                           inbox
//	b height                    hash of the block, then the block
//	o height                    hash of the block, state root after it, origin
//	h hash                      height of the block
//	p kind height hash          pending half
//	i height                    source item
//	n name                      named value
var (
	metaKey   = []byte("m")
	sourceKey = []byte("s")
	chainKey  = []byte("c")
	inboxKey  = []byte("x")
)

func heightKey(table byte, height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{table}, height)
}

func bodyKey(height uint64) []byte   { return heightKey('b', height) }
func originKey(height uint64) []byte { return heightKey('o', height) }
func itemKey(height uint64) []byte   { return heightKey('i', height) }

func hashKey(h block.Hash) []byte { return append([]byte{'h'}, h[:]...) }

func namedKey(name string) []byte { return append([]byte{'n'}, name...) }

func halfKey(k block.HalfKey) []byte {
	b := binary.BigEndian.AppendUint64([]byte{'p', byte(k.Kind)}, k.Height)
	return append(b, k.Hash[:]...)
}

func parseHalfKey(key []byte) (k block.HalfKey, err error) {
	if len(key) != 2+8+len(k.Hash) {
		return k, fmt.Errorf("pending half's key has %d bytes", len(key))
	}
	k.Kind = block.HalfKind(key[1])
	k.Height = binary.BigEndian.Uint64(key[2:])
	copy(k.Hash[:], key[10:])
	return k, nil
}
