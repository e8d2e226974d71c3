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
//	t hash height index         nothing: a transaction's place
//	k height                    hash of the block, then those of its transactions, whose places t has
//	w                           height from which on t is whole
var (
	metaKey   = []byte("m")
	sourceKey = []byte("s")
	chainKey  = []byte("c")
	inboxKey  = []byte("x")
	wholeKey  = []byte("w")
)

func heightKey(table byte, height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{table}, height)
}

func bodyKey(height uint64) []byte   { return heightKey('b', height) }
func originKey(height uint64) []byte { return heightKey('o', height) }
func itemKey(height uint64) []byte   { return heightKey('i', height) }

func listKey(height uint64) []byte { return heightKey('k', height) }

func hashKey(h block.Hash) []byte { return append([]byte{'h'}, h[:]...) }

func namedKey(name string) []byte { return append([]byte{'n'}, name...) }

const txKeyLen = 1 + 32 + 8 + 4

func txKey(tx block.Hash, at Place) []byte {
	key := make([]byte, txKeyLen)
	putTxKey(key, tx, at)
	return key
}

func putTxKey(key []byte, tx block.Hash, at Place) {
	key[0] = 't'
	copy(key[1:], tx[:])
	binary.BigEndian.PutUint64(key[1+len(tx):], at.Height)
	binary.BigEndian.PutUint32(key[1+len(tx)+8:], at.Index)
}

func parseTxKey(key []byte) (at Place, err error) {
	if len(key) != txKeyLen {
		return at, fmt.Errorf("key of a transaction's place has %d bytes", len(key))
	}
	at.Height, at.Index = binary.BigEndian.Uint64(key[txKeyLen-12:]), binary.BigEndian.Uint32(key[txKeyLen-4:])
	return at, nil
}

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
