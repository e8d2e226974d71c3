package l1

import (
	"encoding/binary"
	"fmt"
)

// A payload, in call data or in blobs, is
//
//	| 1 version | length, 4 bytes | record ... |          length counts the records' bytes
//
// and a record is
//
//	| kind, 1 byte | length, 4 bytes | content |
//
// Integers are big-endian. A proposal's payload has records of kind header, each followed by one of kind data if the block has transactions;
// a forced item's payload has records of kind transaction. What follows the records is ignored: a blob's padding, or another payload.
//
// A payload of version 2 begins alike. What follows its length is read where the block is known that it builds on: see
// l1/compact. What all versions after it have in common is Later.
const (
	payloadVersion = 1

	// CompactVersion is the first byte of such a payload.
	CompactVersion = 2

	kindHeader = 1
	kindData   = 2
	kindTx     = 3

	payloadHead = 5
	recordHead  = 5
)

// Limits of a payload. One that goes beyond is void.
const (
	MaxPayload = 4 << 20 // bytes
	MaxBlocks  = 4096    // in a proposal
	MaxTxs     = 4096    // in a forced item

	// MaxForced is the bytes of a forced item's payload, the contract's FORCED_DATA_MAX. A proposal must have room for all the items that it may have to take.
	MaxForced = 32 << 10

	// ForcedItemBytes is what an item takes of a proposal's room beside its bytes, the contract's FORCED_ITEM_BYTES: more
	// than a block takes of a payload beside its transactions, since an item may need a block of its own.
	ForcedItemBytes = 1536

	maxItemRoom = MaxForced + ForcedItemBytes

	// MinRoom and MaxRoom bound Settings.ForcedRoom, as the contract's FORCED_ROOM_MIN and FORCED_ROOM_MAX do.
	MinRoom, MaxRoom = 2 * maxItemRoom, 8 * maxItemRoom

	// DefaultRoom holds three items of the largest size, which fit into a proposal in call data.
	DefaultRoom = 3 * maxItemRoom
)

// EncodeBlocks returns the payload of a proposal of blocks.
func EncodeBlocks(blocks []Encoded) []byte {
	b := make([]byte, payloadHead, PayloadSize(blocks))
	for _, e := range blocks {
		b = appendRecord(b, kindHeader, e.Header)
		if len(e.Data) > 0 {
			b = appendRecord(b, kindData, e.Data)
		}
	}
	return seal(b)
}

// EncodeTxs returns the payload of a forced item.
func EncodeTxs(txs [][]byte) []byte {
	b := make([]byte, payloadHead)
	for _, tx := range txs {
		b = appendRecord(b, kindTx, tx)
	}
	return seal(b)
}

func appendRecord(b []byte, kind byte, content []byte) []byte {
	b = binary.BigEndian.AppendUint32(append(b, kind), uint32(len(content)))
	return append(b, content...)
}

func seal(b []byte) []byte {
	b[0] = payloadVersion
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-payloadHead))
	return b
}

// PayloadSize returns the length of the payload that EncodeBlocks makes.
func PayloadSize(blocks []Encoded) int {
	n := payloadHead
	for i := range blocks {
		n += blocks[i].size()
	}
	return n
}

func (e *Encoded) size() int {
	n := recordHead + len(e.Header)
	if len(e.Data) > 0 {
		n += recordHead + len(e.Data)
	}
	return n
}

// Fit returns how many of blocks, from the first on, make a payload of at most limit bytes that readers accept. 0: not even the first one does.
func Fit(blocks []Encoded, limit int) int {
	limit = min(limit, MaxPayload)
	size := payloadHead
	for i := range blocks {
		size += blocks[i].size()
		if size > limit || i == MaxBlocks {
			return i
		}
	}
	return len(blocks)
}

// DecodeBlocks reads a proposal's payload. The blocks share b's memory. Every error is an ErrContent.
func DecodeBlocks(b []byte) ([]Encoded, error) {
	var blocks []Encoded
	err := records(b, MaxPayload, func(kind byte, content []byte) error {
		switch {
		case len(content) == 0:
			return fmt.Errorf("%w: empty record", ErrContent)
		case kind == kindHeader && len(blocks) == MaxBlocks:
			return fmt.Errorf("%w: more than %d blocks", ErrContent, MaxBlocks)
		case kind == kindHeader:
			blocks = append(blocks, Encoded{Header: content})
		case kind == kindData && len(blocks) > 0 && blocks[len(blocks)-1].Data == nil:
			blocks[len(blocks)-1].Data = content
		default:
			return fmt.Errorf("%w: record of kind %d out of place", ErrContent, kind)
		}
		return nil
	})
	if err == nil && len(blocks) == 0 {
		err = fmt.Errorf("%w: no blocks", ErrContent)
	}
	if err != nil {
		return nil, err
	}
	return blocks, nil
}

// cut returns a payload of version 2, or a later one, without what follows it.
func cut(b []byte) ([]byte, error) {
	if len(b) < payloadHead {
		return nil, fmt.Errorf("%w: payload of %d bytes", ErrContent, len(b))
	}
	length, rest := binary.BigEndian.Uint32(b[1:]), len(b)-payloadHead
	if length > MaxPayload-payloadHead || uint64(length) > uint64(rest) {
		return nil, fmt.Errorf("%w: payload claims %d bytes, has %d, limit %d", ErrContent, length, rest, MaxPayload-payloadHead)
	}
	end := payloadHead + int(length)
	return b[:end:end], nil
}

// DecodeTxs reads a forced item's payload. The transactions share b's memory. Every error is an ErrContent.
func DecodeTxs(b []byte) ([][]byte, error) {
	var txs [][]byte
	err := records(b, MaxForced, func(kind byte, content []byte) error {
		switch {
		case kind != kindTx || len(content) == 0:
			return fmt.Errorf("%w: record of kind %d and %d bytes out of place", ErrContent, kind, len(content))
		case len(txs) == MaxTxs:
			return fmt.Errorf("%w: more than %d transactions", ErrContent, MaxTxs)
		}
		txs = append(txs, content)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return txs, nil
}

// records calls f with each record of a payload, which may have so many bytes.
func records(b []byte, limit uint32, f func(kind byte, content []byte) error) error {
	if len(b) < payloadHead {
		return fmt.Errorf("%w: payload of %d bytes", ErrContent, len(b))
	}
	if b[0] != payloadVersion {
		return fmt.Errorf("%w: payload version %d", ErrContent, b[0])
	}
	length := binary.BigEndian.Uint32(b[1:])
	rest := b[payloadHead:]
	if length > limit-payloadHead || uint64(length) > uint64(len(rest)) {
		return fmt.Errorf("%w: payload claims %d bytes, has %d, limit %d", ErrContent, length, len(rest), limit-payloadHead)
	}
	rest = rest[:length]
	for len(rest) > 0 {
		if len(rest) < recordHead {
			return fmt.Errorf("%w: %d stray bytes", ErrContent, len(rest))
		}
		n := binary.BigEndian.Uint32(rest[1:])
		if uint64(n) > uint64(len(rest)-recordHead) {
			return fmt.Errorf("%w: record claims %d bytes of %d", ErrContent, n, len(rest)-recordHead)
		}
		end := recordHead + int(n)
		if err := f(rest[0], rest[recordHead:end:end]); err != nil {
			return err
		}
		rest = rest[end:]
	}
	return nil
}
