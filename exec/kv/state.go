package kv

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"headrace/block"
	"headrace/internal/disk"
)

// The keys.
//
//	m           meta (JSON): format, first height
//	h           head
//	s           sum: the LtHash of all pairs
//	k key       value
//	r height    record of an executed block
//	t height    its transactions, for the pool if it is taken back; nothing in homes of older versions
const (
	pairTable   = 'k'
	recordTable = 'r'
	txTable     = 't'
)

var (
	metaKey = []byte("m")
	headKey = []byte("h")
	sumKey  = []byte("s")
)

func pairKey(key string) []byte { return append([]byte{pairTable}, key...) }

func recordKey(height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{recordTable}, height)
}

func txsKey(height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{txTable}, height)
}

// format is the version of what is kept on disk. A higher one is refused.
const format = 1

type meta struct {
	Format        uint64 `json:"format"`
	InitialHeight uint64 `json:"initial_height"`
}

func (e *Engine) corrupt(cause error) error { return e.db.Corrupt(cause) }

// empty is the head of an empty state.
func (e *Engine) empty() *head { return &head{height: e.initial - 1, oldest: e.initial} }

// load reads head and sum, or makes a new engine.
func (e *Engine) load() error {
	raw, ok, err := e.db.Get(metaKey)
	if err != nil {
		return err
	}
	if !ok {
		return e.create()
	}
	var m meta
	if err := json.Unmarshal(raw, &m); err != nil {
		return e.corrupt(fmt.Errorf("meta: %w", err))
	}
	if m.Format > format {
		return disk.NewerFormat(e.db.Dir(), m.Format, format)
	}
	if m.InitialHeight != e.initial {
		return fmt.Errorf("open %s: the engine was made for a chain from height %d, not %d: use another directory", e.db.Dir(), m.InitialHeight, e.initial)
	}
	rawHead, _, err := e.db.Get(headKey)
	if err != nil {
		return err
	}
	rawSum, _, err := e.db.Get(sumKey)
	if err != nil {
		return err
	}
	at, err := decodeHead(rawHead)
	if err == nil {
		err = e.sum.decode(rawSum)
	}
	if err != nil {
		return e.corrupt(err)
	}
	e.at.Store(&at)
	return nil
}

func (e *Engine) create() error {
	raw, err := json.Marshal(meta{Format: format, InitialHeight: e.initial})
	if err != nil {
		return err
	}
	batch := e.db.NewBatch()
	defer batch.Close()
	if err := batch.Set(metaKey, raw, nil); err != nil {
		return err
	}
	return e.commit(batch, e.empty(), &changes{touched: true})
}

// changes gathers what one block does to the state: the keys it touches, in the order of the first touch, with values
// before and after.
type changes struct {
	db      *disk.DB
	sum     lthash
	keys    uint64
	touched bool // sum has changed
	order   []string
	pairs   map[string]*pair
}

type pair struct {
	old, new pairValue
}

type pairValue struct {
	value   []byte
	present bool
}

// undone is a key and what it held before a block.
type undone struct {
	key     string
	value   []byte
	present bool
}

func (e *Engine) changes(at *head) *changes {
	return &changes{db: e.db, sum: e.sum, keys: at.keys, pairs: map[string]*pair{}}
}

func (c *changes) set(key string, value []byte) error { return c.put(key, value, true) }

func (c *changes) put(key string, value []byte, present bool) error {
	p := c.pairs[key]
	if p == nil {
		old, ok, err := c.db.Get(pairKey(key))
		if err != nil {
			return err
		}
		p = &pair{old: pairValue{old, ok}}
		c.pairs[key] = p
		c.order = append(c.order, key)
	}
	p.new = pairValue{value, present}
	return nil
}

// write adds the changes to the batch and to the sum, and returns what undoes them.
func (c *changes) write(batch *pebble.Batch) ([]undone, error) {
	var undo []undone
	var h expanded
	for _, key := range c.order {
		p := c.pairs[key]
		if p.old.present == p.new.present && string(p.old.value) == string(p.new.value) {
			continue
		}
		c.touched = true
		if p.old.present {
			c.sum.sub(h.of(key, p.old.value))
			c.keys--
		}
		err := batch.Delete(pairKey(key), nil)
		if p.new.present {
			c.sum.add(h.of(key, p.new.value))
			c.keys++
			err = batch.Set(pairKey(key), p.new.value, nil)
		}
		if err != nil {
			return nil, err
		}
		undo = append(undo, undone{key, p.old.value, p.old.present})
	}
	return undo, nil
}

// record is what is kept of an executed block: to answer a repeat, and to take it back.
type record struct {
	hash    block.Hash
	root    []byte
	skipped uint64
	undo    []undone
}

func (e *Engine) record(height uint64) (record, bool, error) {
	raw, ok, err := e.db.Get(recordKey(height))
	if err != nil || !ok {
		return record{}, false, err
	}
	r, err := decodeRecord(raw)
	if err != nil {
		return record{}, false, e.corrupt(fmt.Errorf("record of block %d: %w", height, err))
	}
	return r, true, nil
}

func (r *record) encode() []byte {
	b := append([]byte{}, r.hash[:]...)
	b = disk.AppendBytes(b, r.root, true)
	b = binary.AppendUvarint(b, r.skipped)
	for _, u := range r.undo {
		b = disk.AppendBytes(b, []byte(u.key), true)
		b = disk.AppendBytes(b, u.value, u.present)
	}
	return b
}

func decodeRecord(b []byte) (r record, err error) {
	d := disk.Decoder{Rest: b}
	copy(r.hash[:], d.Take(uint64(len(r.hash))))
	r.root, _ = d.Bytes()
	r.skipped = d.Number()
	for len(d.Rest) > 0 {
		var u undone
		key, _ := d.Bytes()
		u.key = string(key)
		u.value, u.present = d.Bytes()
		r.undo = append(r.undo, u)
	}
	return r, d.Err
}

// pooled returns those transactions of an executed block that the pool would take.
func (e *Engine) pooled(height uint64) (txs [][]byte, err error) {
	raw, _, err := e.db.Get(txsKey(height))
	if err != nil {
		return nil, err
	}
	d := disk.Decoder{Rest: raw}
	for len(d.Rest) > 0 {
		tx, _ := d.Bytes()
		txs = append(txs, tx)
	}
	if d.Err != nil {
		return nil, e.corrupt(fmt.Errorf("transactions of block %d: %w", height, d.Err))
	}
	return txs, nil
}

func encodeTxs(txs [][]byte) (b []byte) {
	for _, tx := range txs {
		b = disk.AppendBytes(b, tx, true)
	}
	return b
}

func (h *head) encode() []byte {
	b := append([]byte{}, h.hash[:]...)
	b = disk.AppendBytes(b, h.root, true)
	for _, n := range []uint64{h.height, h.keys, h.skipped, h.oldest} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func decodeHead(b []byte) (h head, err error) {
	d := disk.Decoder{Rest: b}
	copy(h.hash[:], d.Take(uint64(len(h.hash))))
	h.root, _ = d.Bytes()
	for _, n := range []*uint64{&h.height, &h.keys, &h.skipped, &h.oldest} {
		*n = d.Number()
	}
	return h, d.End()
}

var errCut = errors.New("value is cut short or has bytes left over")
