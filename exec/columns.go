package exec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// SealCoder is implemented by engines whose first transaction of each block follows for the most part from the block
// before, from the block's time and from its other transactions.
type SealCoder interface {
	// SealCodec returns what writes it shortly; nil if the blocks of this engine have none.
	SealCodec() SealCodec
}

// SealCodecOf returns an engine's codec; nil if it has none.
func SealCodecOf(e Engine) SealCodec {
	if c, ok := e.(SealCoder); ok {
		return c.SealCodec()
	}
	return nil
}

// SealCodec writes an engine's own first transactions in a block shortly, in columns, and reads them. It is a pure
// function of what it is given and of the chain's constants: it makes no call, keeps nothing, and is the same on every
// node and in every release (I3). It may be used from several goroutines. Bytes that it is given may be anybody's: none
// makes it panic, and none makes it take more memory than a few times what it is given.
type SealCodec interface {
	// Columns names the columns, whose number is the same for every block.
	Columns() []string

	// After returns the rule of the next block: parent is the first transaction of the block before, nil if the next
	// block is the chain's first; time is the next block's in nanoseconds, txs are its transactions without the first.
	After(parent []byte, time uint64, txs [][]byte) SealRule

	// Root returns the state root after a block with this first transaction, if that says so; with nil, before the
	// chain's first block.
	Root(first []byte) (root []byte, ok bool)
}

// SealRule writes and reads the first transaction of one block. It is for one goroutine.
type SealRule interface {
	// Shorten appends to the columns what does not follow. False: this transaction cannot be written so, and the columns
	// are as they were.
	Shorten(to *Columns, first []byte) bool

	// Restore takes from the columns what Shorten has appended, and returns the transaction. What it returns of other
	// columns Shorten may write in another way: whoever wants one encoding only has Shorten write it again, and compares.
	Restore(from *Columns) (first []byte, err error)
}

// Columns are queues of bytes, to which a record is written field by field: what is alike stands together, and
// compresses. Of the first read that asks for what is not there Err says why; from then on nothing is read.
type Columns struct {
	Cols [][]byte
	Err  error

	compares bool // what is put is not appended: it has to be what the columns begin with, and is taken from them
	differs  bool
}

// NewColumns returns n empty columns.
func NewColumns(n int) *Columns { return &Columns{Cols: make([][]byte, n)} }

// Len returns how many bytes the columns have.
func (c *Columns) Len() (n int) {
	for _, col := range c.Cols {
		n += len(col)
	}
	return n
}

// Comparing returns columns that keep nothing of what is put to them, and compare it with what c holds: see Same.
func (c *Columns) Comparing() *Columns {
	return &Columns{Cols: append([][]byte(nil), c.Cols...), compares: true}
}

// Same reports whether what was put to c, which Comparing has made, is what has been taken from the other columns since.
func (c *Columns) Same(taken *Columns) bool {
	for i, rest := range c.Cols {
		if len(rest) != len(taken.Cols[i]) {
			return false
		}
	}
	return !c.differs
}

// Put appends bytes to column i.
func (c *Columns) Put(i int, b ...byte) {
	switch {
	case !c.compares:
		c.Cols[i] = append(c.Cols[i], b...)
	case bytes.HasPrefix(c.Cols[i], b):
		c.Cols[i] = c.Cols[i][len(b):]
	default:
		c.differs = true
	}
}

// PutUint appends a number, as a varint.
func (c *Columns) PutUint(i int, v uint64) {
	var b [binary.MaxVarintLen64]byte
	c.Put(i, b[:binary.PutUvarint(b[:], v)]...)
}

// PutBytes appends bytes after their number.
func (c *Columns) PutBytes(i int, b []byte) {
	c.PutUint(i, uint64(len(b)))
	c.Put(i, b...)
}

// ErrColumns is what Columns.Err matches.
var ErrColumns = errors.New("columns do not hold what they have to")

// Fail notes why what was read is no good, unless something was noted before.
func (c *Columns) Fail(format string, args ...any) {
	if c.Err == nil {
		c.Err = fmt.Errorf("%w: %w", ErrColumns, fmt.Errorf(format, args...))
	}
}

// Take takes n bytes from the front of column i. They are the column's own. It returns nil if there are fewer.
func (c *Columns) Take(i int, n uint64) []byte {
	if c.Err == nil && n > uint64(len(c.Cols[i])) {
		c.Fail("column %d ends %d bytes before it has %d", i, n-uint64(len(c.Cols[i])), n)
	}
	if c.Err != nil {
		return nil
	}
	out := c.Cols[i][:n:n]
	c.Cols[i] = c.Cols[i][n:]
	return out
}

// TakeByte takes one byte; 0 if there is none.
func (c *Columns) TakeByte(i int) byte {
	if b := c.Take(i, 1); b != nil {
		return b[0]
	}
	return 0
}

// TakeUint takes a number, which must be in its shortest form.
func (c *Columns) TakeUint(i int) uint64 {
	if c.Err != nil {
		return 0
	}
	v, n := binary.Uvarint(c.Cols[i])
	if n <= 0 || n != max(1, (bits.Len64(v)+6)/7) {
		c.Fail("column %d has no number where one is due", i)
		return 0
	}
	c.Cols[i] = c.Cols[i][n:]
	return v
}

// TakeBytes takes bytes after their number.
func (c *Columns) TakeBytes(i int) []byte { return c.Take(i, c.TakeUint(i)) }
