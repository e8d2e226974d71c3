package compact

import (
	"bytes"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/exec"
)

// The columns of a body, in their order. Those of the engine's codec follow.
const (
	blockFlags = iota // one byte for each block: see below
	blockTime         // the time since the block before in nanoseconds: the lowest three bytes
	blockLong         // and the rest of it, a varint
	blockRare         // versions, two varints, and hashes after their lengths
	blockTxs          // the number of transactions, a varint; without the first if the engine's codec has written that

	txKind // one byte for each transaction: see tx.go
	txRaw  // transactions that are not split, after their lengths
	txNumbers
	txNonce
	txPrice
	txGas
	txTo
	txValue
	txSize // of the input, a varint
	txInput
	txListSize
	txList
	txR
	txS

	ownColumns
)

var ownNames = [ownColumns]string{
	"block flags", "block time", "block time, high", "block rare", "transactions",
	"tx kind", "tx whole", "tx numbers", "tx nonce", "tx price", "tx gas", "tx to", "tx value", "tx input size", "tx input", "tx list size", "tx list", "tx r", "tx s",
}

// Bits of a block's flags.
const (
	otherVersion   = 1 << iota // than the block before
	otherValidator             // hash, than the block before
	otherRoot                  // the app hash is not the root of the block before, as far as that is known from the content
	sealed                     // the engine's codec has written the first transaction
)

// timeLow are the bytes of a time that are written apart: in what remains, ticks of a second look alike.
const timeLow = 3

// rule is what the next block follows from.
type rule struct {
	chain    *Chain
	proposer []byte

	height, time         uint64
	version              block.Version
	lastHeader, lastData []byte
	root                 []byte // the app hash that the next block has by the rule
	validator            []byte
	first                []byte // the first transaction of the block before; nil before the chain's first block, and if it has none
	begun                bool   // there is a block before
}

func newRule(c *Chain, on Parent, proposer []byte) rule {
	r := rule{chain: c, proposer: proposer, height: on.Height}
	if on.Block != nil {
		r.after(on.Block, on.Block.Data.Hash())
	} else if c.Seals != nil {
		r.root, _ = c.Seals.Root(nil)
	}
	return r
}

// after moves on to b.
func (r *rule) after(b *block.Block, data block.Hash) {
	h := &b.Header.Header
	header := h.Hash()
	r.begun, r.height, r.time, r.version, r.validator = true, h.Height, h.Time, h.Version, h.ValidatorHash
	r.lastHeader, r.lastData = header[:], data[:]
	r.root, r.first = h.AppHash, nil
	if len(b.Data.Txs) > 0 {
		if r.first = b.Data.Txs[0]; r.first == nil {
			r.first = []byte{} // it has one
		}
		if r.chain.Seals != nil {
			if root, ok := r.chain.Seals.Root(r.first); ok {
				r.root = root
			}
		}
	}
}

// seal returns the codec's rule for the next block's first transaction; nil if there is none.
func (r *rule) seal(time uint64, txs [][]byte) exec.SealRule {
	if r.chain.Seals == nil || r.begun && r.first == nil {
		return nil
	}
	return r.chain.Seals.After(r.first, time, txs)
}

// complete fills in what follows of a block.
func (r *rule) complete(b *block.Block) (data block.Hash) {
	h, m := &b.Header.Header, &b.Data.Metadata
	h.Height, h.LastHeaderHash, h.ProposerAddress, h.ChainID = r.height+1, r.lastHeader, r.proposer, r.chain.ID
	m.ChainID, m.Height, m.Time, m.LastDataHash = r.chain.ID, h.Height, h.Time, r.lastData
	sum := b.Data.Commitment()
	h.DataHash = sum[:]
	return b.Data.Hash()
}

// writer writes blocks to columns.
type writer struct {
	rule
	c   *exec.Columns
	txs txWriter
}

func newWriter(c *Chain, on Parent, proposer []byte) *writer {
	n := int(ownColumns)
	if c.Seals != nil {
		n += len(c.Seals.Columns())
	}
	w := &writer{rule: newRule(c, on, proposer), c: exec.NewColumns(n)}
	w.txs.c = w.c
	return w
}

// put writes the next block, which is refused if it would not come back as it is.
func (w *writer) put(b *block.Block) error {
	same := block.Block{Header: block.SignedHeader{Header: b.Header.Header}, Data: block.Data{Txs: b.Data.Txs}}
	data := w.complete(&same)
	if same.Hash() != b.Hash() || data != b.Data.Hash() {
		return fmt.Errorf("%w: block %d is not the next one after %d, or not of chain %s and its proposer, or its header names other data", ErrDoesNotFollow, b.Height(), w.height, w.chain.ID)
	}
	var seal exec.SealRule
	if len(b.Data.Txs) > 0 {
		seal = w.seal(b.Header.Header.Time, b.Data.Txs[1:])
	}
	w.write(b, seal)
	w.after(b, data)
	return nil
}

// write writes what does not follow of b.
func (w *writer) write(b *block.Block, seal exec.SealRule) {
	h, flags := &b.Header.Header, byte(0)
	if h.Version != w.version {
		flags |= otherVersion
		w.c.PutUint(blockRare, h.Version.Block)
		w.c.PutUint(blockRare, h.Version.App)
	}
	if !bytes.Equal(h.ValidatorHash, w.validator) {
		flags |= otherValidator
		w.c.PutBytes(blockRare, h.ValidatorHash)
	}
	if !bytes.Equal(h.AppHash, w.root) {
		flags |= otherRoot
		w.c.PutBytes(blockRare, h.AppHash)
	}
	d := h.Time - w.time
	w.c.Put(blockTime, byte(d), byte(d>>8), byte(d>>16))
	w.c.PutUint(blockLong, d>>(8*timeLow))
	txs := b.Data.Txs
	if seal != nil && seal.Shorten(w.c, txs[0]) {
		flags |= sealed
		txs = txs[1:]
	}
	w.c.PutUint(blockTxs, uint64(len(txs)))
	for _, tx := range txs {
		w.txs.put(tx)
	}
	w.c.Put(blockFlags, flags)
}

// reader reads blocks from columns.
type reader struct {
	rule
	c     *exec.Columns
	txs   txReader
	again *writer // writes what was read, for comparison
}

func newReader(c *Chain, on Parent, proposer []byte, columns [][]byte) *reader {
	r := &reader{rule: newRule(c, on, proposer), c: &exec.Columns{Cols: columns}, again: newWriter(c, on, proposer)}
	r.txs.c = r.c
	return r
}

var errForm = errors.New("it is not in the one form that a block is written in")

// take reads the next block, whose transactions may take so many bytes.
func (r *reader) take(room int) (*block.Block, error) {
	before := r.c.Comparing()
	b, seal, err := r.read(room)
	if err != nil {
		return nil, err
	}
	data := r.complete(b)
	r.again.c, r.again.txs.c, r.again.rule = before, before, r.rule
	r.again.write(b, seal)
	if !before.Same(r.c) {
		return nil, errForm
	}
	r.after(b, data)
	return b, nil
}

// read reads what is written of a block.
func (r *reader) read(room int) (*block.Block, exec.SealRule, error) {
	w, err := readWritten(r.c, &r.txs, room)
	if err != nil {
		return nil, nil, err
	}
	b := new(block.Block)
	h := &b.Header.Header
	h.Version, h.ValidatorHash, h.AppHash, h.Time = r.version, r.validator, r.root, r.time+w.after
	if w.flags&otherVersion != 0 {
		h.Version = w.version
	}
	if w.flags&otherValidator != 0 {
		h.ValidatorHash = w.validator
	}
	if w.flags&otherRoot != 0 {
		h.AppHash = w.appHash
	}
	if w.flags&sealed == 0 {
		if len(w.txs) == 1 {
			return b, nil, nil
		}
		b.Data.Txs = w.txs[1:]
		return b, r.seal(h.Time, b.Data.Txs[1:]), nil
	}
	seal := r.seal(h.Time, w.txs[1:])
	if seal == nil {
		return nil, nil, errors.New("nothing says what its first transaction follows from")
	}
	if w.txs[0], err = seal.Restore(r.c); err != nil {
		return nil, nil, err
	}
	b.Data.Txs = w.txs
	return b, seal, nil
}

// written is what is written of a block, as it is.
type written struct {
	flags              byte
	version            block.Version
	validator, appHash []byte
	after              uint64   // nanoseconds since the block before
	txs                [][]byte // from the second place on: the first is the engine's, nil so far
}

// readWritten reads the next block, whose transactions may take so many bytes.
func readWritten(c *exec.Columns, txs *txReader, room int) (w written, err error) {
	w.flags = c.TakeByte(blockFlags)
	if w.flags&otherVersion != 0 {
		w.version = block.Version{Block: c.TakeUint(blockRare), App: c.TakeUint(blockRare)}
	}
	if w.flags&otherValidator != 0 {
		w.validator = field(c.TakeBytes(blockRare))
	}
	if w.flags&otherRoot != 0 {
		w.appHash = field(c.TakeBytes(blockRare))
	}
	for i, x := range c.Take(blockTime, timeLow) {
		w.after |= uint64(x) << (8 * i)
	}
	w.after |= c.TakeUint(blockLong) << (8 * timeLow)
	n := c.TakeUint(blockTxs)
	if room -= blockCost; n > uint64(max(room, 0)/txCost) {
		c.Fail("%d transactions are too many", n)
	}
	if c.Err != nil {
		return w, c.Err
	}
	w.txs = make([][]byte, 1, n+1)
	for ; n > 0 && c.Err == nil; n-- {
		tx := txs.take(room - txCost)
		room -= len(tx) + txCost
		w.txs = append(w.txs, tx)
	}
	return w, c.Err
}

// field is bytes of a header, where none are nil.
func field(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
