// Package compact writes several rollup blocks as the payload of one proposal, version 2, and reads them: field by
// field, in columns, without what follows from the block before, from the chain or from the engine's rules, and
// compressed.
//
//	| 2 | length, 4 bytes | packing, 1 byte | size, varint | packed body |      length counts what follows it
//
// Packing says how the body is compressed, size how many bytes it has; what follows the length's bytes is no part of the
// payload, as in version 1. The body is
//
//	| blocks, varint | public key | signature | columns, varint | length of each, varint | column ... |
//
// where key and signature follow their lengths. They are those of the last header, signed as any header is: it names the
// block before by its hash, and so all of them down to the one that the proposal builds on. No other block of a payload
// has a signature. What the columns hold is in columns.go; transactions are in tx.go, and what an engine makes of its own
// first transaction in exec.SealCodec. Whatever does not follow its rule is written out, so any blocks that follow one
// another and are one proposer's can be written; Encode refuses others.
//
// # One encoding
//
// Decode takes only the body that Encode would make of the blocks: it writes each block again, and compares. So a number
// in a longer form, a column with something left, a value that is written and follows all the same, or fields in another
// column make a payload void. What a compressor makes of a body is not fixed, since that changes from release to
// release: two packings of a body are the same proposal, and as the inbox has each proposal by its id, with the hash of
// what was posted, one of them at most is the next. Packed bytes are read strictly, too: one stream, of exactly the size
// it declares, up to the last byte.
//
// # Bounds
//
// The declared size is looked at first, and the body takes no more, and less than 1 MiB beside it while it is unpacked.
// Then what the blocks take is counted before each transaction is made: see MaxMemory. Of a first transaction that an
// engine's codec makes that is counted afterwards: the codec bounds what it makes. All work is linear in the body.
// Everything is a pure function of values: the same on every node and platform (I3), and safe for concurrent use.
package compact

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/exec"
	"headrace/l1"
)

// Version is the first byte of a payload of this package.
const Version = l1.CompactVersion

// Limits of a payload. One that goes beyond is void.
const (
	// MaxSize is the size of a body in bytes.
	MaxSize = 16 << 20
	// MaxMemory is what a body and the blocks in it take in bytes: each transaction counts for its bytes and txCost more,
	// each block for blockCost.
	MaxMemory = 28 << 20

	txCost    = 32
	blockCost = 1 << 10

	head = 5 // bytes: version and length
)

// Chain is what blocks follow from, beside the block before.
type Chain struct {
	ID    string
	Seals exec.SealCodec // of the engine's own first transactions; nil: they are written as any

	// Proposer is the address of who must have signed, which Decode looks at before the blocks are read; nil: anybody.
	Proposer []byte
}

// Parent is the block that the first one of a proposal builds on.
type Parent struct {
	Block  *block.Block // nil before the first block
	Height uint64       // of it; before the first block the genesis' initial height less one
}

// ErrDoesNotFollow: the blocks cannot be written, since they do not follow one another and the parent, or are not all of
// the one who signed the last.
var ErrDoesNotFollow = errors.New("blocks do not follow one another")

// Is reports whether a payload is one of this package's version.
func Is(payload []byte) bool { return len(payload) > 0 && payload[0] == Version }

// Encode writes blocks as a payload, whose last one has a signature. l1.ErrTooBig: no payload may hold so much.
func Encode(c *Chain, on Parent, blocks []*block.Block) ([]byte, error) {
	body, err := encode(c, on, blocks)
	if err != nil {
		return nil, err
	}
	return frame(body)
}

// encode makes the body.
func encode(c *Chain, on Parent, blocks []*block.Block) ([]byte, error) {
	if len(blocks) == 0 || len(blocks) > l1.MaxBlocks {
		return nil, fmt.Errorf("%w: %d blocks, want 1 to %d", l1.ErrTooBig, len(blocks), l1.MaxBlocks)
	}
	last := &blocks[len(blocks)-1].Header
	key, err := block.DecodePublicKey(last.Signer.PubKey)
	if err != nil {
		return nil, fmt.Errorf("%w: signer of block %d: %w", ErrDoesNotFollow, last.Header.Height, err)
	}
	if len(last.Signature) == 0 || !bytes.Equal(last.Signer.Address, key.Address()) || !bytes.Equal(last.Signer.PubKey, key.Encode()) {
		return nil, fmt.Errorf("%w: block %d has no signature, or one of another", ErrDoesNotFollow, last.Header.Height)
	}
	w := newWriter(c, on, key.Address())
	memory := 0
	for i, b := range blocks {
		if memory += Memory(b); memory+w.c.Len() > MaxMemory { // no more is written than a payload may hold
			return nil, fmt.Errorf("%w: %d of %d blocks take %d bytes", l1.ErrTooBig, i+1, len(blocks), memory+w.c.Len())
		}
		if err := w.put(b); err != nil {
			return nil, err
		}
	}
	body := binary.AppendUvarint(nil, uint64(len(blocks)))
	body = appendBytes(body, last.Signer.PubKey)
	body = appendBytes(body, last.Signature)
	body = binary.AppendUvarint(body, uint64(len(w.c.Cols)))
	for _, col := range w.c.Cols {
		body = binary.AppendUvarint(body, uint64(len(col)))
	}
	for _, col := range w.c.Cols {
		body = append(body, col...)
	}
	if len(body) > MaxSize || len(body)+memory > MaxMemory {
		return nil, fmt.Errorf("%w: %d blocks take %d bytes", l1.ErrTooBig, len(blocks), len(body)+memory)
	}
	return body, nil
}

func appendBytes(b, content []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(content))), content...)
}

// Memory returns what a block takes of MaxMemory beside the body.
func Memory(b *block.Block) int { return cost(b.Data.Txs) }

// cost is what a block with these transactions takes of MaxMemory.
func cost(txs [][]byte) int {
	n := blockCost
	for _, tx := range txs {
		n += len(tx) + txCost
	}
	return n
}

// Decode reads a payload whose first block builds on a parent. The last block has its signature, which is not verified:
// whoever does so, and finds it to be the proposer's, has all of them by their hashes. The others have none. Every error
// is an l1.ErrContent: a verdict, the same on every node. The blocks may share memory among themselves.
func Decode(c *Chain, on Parent, payload []byte) ([]*block.Block, error) {
	body, err := unframe(payload)
	var blocks []*block.Block
	if err == nil {
		blocks, err = decode(c, on, body)
	}
	if err != nil && !errors.Is(err, l1.ErrContent) {
		err = fmt.Errorf("%w: %w", l1.ErrContent, err)
	}
	if err != nil {
		return nil, err
	}
	return blocks, nil
}

func decode(c *Chain, on Parent, body []byte) ([]*block.Block, error) {
	b, err := open(body)
	if err != nil {
		return nil, err
	}
	key, err := block.DecodePublicKey(b.PubKey)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the proposer's key: %w", err)
	case !bytes.Equal(key.Encode(), b.PubKey):
		return nil, errors.New("the proposer's key is not in its usual form")
	case len(b.Signature) == 0:
		return nil, errors.New("no signature")
	case c.Proposer != nil && !bytes.Equal(key.Address(), c.Proposer):
		return nil, errors.New("it is not signed by the chain's proposer")
	}
	r := newReader(c, on, key.Address(), b.columns)
	if len(b.columns) != len(r.again.c.Cols) {
		return nil, fmt.Errorf("%d columns, want %d", len(b.columns), len(r.again.c.Cols))
	}
	blocks, memory := make([]*block.Block, 0, b.Blocks), len(body)
	for range b.Blocks {
		next, err := r.take(MaxMemory - memory)
		if err != nil {
			return nil, fmt.Errorf("block %d of %d: %w", len(blocks)+1, b.Blocks, err)
		}
		if memory += Memory(next); memory > MaxMemory {
			return nil, fmt.Errorf("block %d of %d: the blocks so far take more than %d bytes", len(blocks)+1, b.Blocks, MaxMemory)
		}
		blocks = append(blocks, next)
	}
	for i, col := range r.c.Cols {
		if len(col) > 0 {
			return nil, fmt.Errorf("%d bytes are left of column %d", len(col), i)
		}
	}
	last := &blocks[len(blocks)-1].Header
	last.Signature, last.Signer = b.Signature, block.Signer{Address: key.Address(), PubKey: b.PubKey}
	return blocks, nil
}

// opened is a body, taken apart into its columns.
type opened struct {
	Blocks            int
	PubKey, Signature []byte
	columns           [][]byte
}

// maxColumns is more than any chain has.
const maxColumns = 256

func open(body []byte) (o opened, err error) {
	c := &exec.Columns{Cols: [][]byte{body}}
	n := c.TakeUint(0)
	if n == 0 || n > l1.MaxBlocks {
		c.Fail("%d blocks, want 1 to %d", n, l1.MaxBlocks)
	}
	o.Blocks, o.PubKey, o.Signature = int(n), c.TakeBytes(0), c.TakeBytes(0)
	if n = c.TakeUint(0); n > maxColumns {
		c.Fail("%d columns", n)
	}
	if c.Err != nil {
		return o, c.Err
	}
	sizes := make([]uint64, n)
	for i := range sizes {
		sizes[i] = c.TakeUint(0)
	}
	for _, size := range sizes {
		o.columns = append(o.columns, c.Take(0, size))
	}
	if len(c.Cols[0]) > 0 {
		c.Fail("%d bytes follow the columns", len(c.Cols[0]))
	}
	return o, c.Err
}
