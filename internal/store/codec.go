package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"

	"headrace/block"
)

// Values are fields in a fixed order: numbers as uvarints, hashes as 32 bytes, byte strings behind their length plus
// one (0 is nil). A later format may add fields at the end only together with a new format number, so leftover bytes
// are damage.

var errShort = errors.New("value is cut short")
var errLong = errors.New("value has bytes left over")

type encoder []byte

func (e *encoder) number(v uint64) { *e = binary.AppendUvarint(*e, v) }

func (e *encoder) hash(h block.Hash) { *e = append(*e, h[:]...) }

func (e *encoder) ref(r block.Ref) {
	e.number(r.Height)
	e.hash(r.Hash)
}

func (e *encoder) bytes(b []byte) {
	if b == nil {
		e.number(0)
		return
	}
	e.number(uint64(len(b)) + 1)
	*e = append(*e, b...)
}

func (e *encoder) bool(b bool) {
	var v uint64
	if b {
		v = 1
	}
	e.number(v)
}

// decoder reads what encoder wrote. After the first error it returns zero values; end tells.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail()
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) hash() (h block.Hash) {
	copy(h[:], d.take(uint64(len(h))))
	return h
}

func (d *decoder) ref() (r block.Ref) {
	r.Height = d.number()
	r.Hash = d.hash()
	return r
}

// bytes returns a part of the value decoded, which is the caller's own copy.
func (d *decoder) bytes() []byte {
	n := d.number()
	if n == 0 {
		return nil
	}
	return d.take(n - 1)
}

func (d *decoder) bool() bool { return d.number() != 0 }

func (d *decoder) fail() {
	d.rest = nil
	d.err = errShort
}

func (d *decoder) end() error {
	if d.err == nil && len(d.rest) > 0 {
		return errLong
	}
	return d.err
}

// mark is what the store keeps beside a block: small, and rewritten when the block is promoted.
type mark struct {
	hash   block.Hash
	root   []byte
	origin Origin
}

func (m *mark) encode() []byte {
	var e encoder
	e.hash(m.hash)
	e.bytes(m.root)
	e.number(m.origin.HeaderAt)
	e.number(m.origin.DataAt)
	e.ref(m.origin.Source)
	e.number(m.origin.Proposal)
	e.hash(m.origin.Tx)
	e.number(uint64(m.origin.LogIndex))
	return e
}

func decodeMark(b []byte) (m mark, err error) {
	d := decoder{rest: b}
	m.hash = d.hash()
	m.root = d.bytes()
	m.origin.HeaderAt = d.number()
	m.origin.DataAt = d.number()
	m.origin.Source = d.ref()
	m.origin.Proposal = d.number()
	m.origin.Tx = d.hash()
	m.origin.LogIndex = uint(d.number())
	return m, d.end()
}

func encodeItem(it *Item) []byte {
	var e encoder
	e.hash(it.Ref.Hash)
	e.hash(it.Parent)
	e.number(it.Safe)
	e.bytes(encodeInbox(it.Inbox))
	return e
}

func decodeItem(height uint64, b []byte) (it Item, err error) {
	d := decoder{rest: b}
	it.Ref = block.Ref{Height: height, Hash: d.hash()}
	it.Parent = d.hash()
	it.Safe = d.number()
	in := d.bytes()
	if err = d.end(); err == nil {
		it.Inbox, err = decodeInbox(in)
	}
	return it, err
}

// encodeInbox returns JSON, as it has always been on disk; nil for nil.
func encodeInbox(in *Inbox) []byte {
	if in == nil {
		return nil
	}
	b, _ := json.Marshal(in) // never fails: numbers, hashes and a text only
	return b
}

func decodeInbox(b []byte) (in *Inbox, err error) {
	if len(b) > 0 {
		err = json.Unmarshal(b, &in)
	}
	return in, err
}

func encodeHalf(h *block.Half) []byte {
	var e encoder
	e.number(h.DAHeight)
	e.number(uint64(h.Index))
	e.bytes(h.Raw)
	return e
}

func decodeHalf(k block.HalfKey, b []byte) (h block.Half, err error) {
	d := decoder{rest: b}
	h = block.Half{Kind: k.Kind, Hash: k.Hash, Height: k.Height}
	h.DAHeight = d.number()
	h.Index = int(d.number())
	h.Raw = d.bytes()
	return h, d.end()
}

func encodeSource(st *State, items span) []byte {
	var e encoder
	e.ref(st.Position)
	e.ref(st.Proven)
	e.bool(st.EnvelopesOnly)
	e.number(items.low)
	e.number(items.high)
	return e
}

func decodeSource(b []byte, st *State, items *span) error {
	d := decoder{rest: b}
	st.Position = d.ref()
	st.Proven = d.ref()
	st.EnvelopesOnly = d.bool()
	items.low = d.number()
	items.high = d.number()
	return d.end()
}

func encodeChain(st *State) []byte {
	var e encoder
	e.ref(st.Unsafe)
	e.ref(st.Safe)
	e.ref(st.Finalized)
	e.bytes(st.Root)
	e.bytes(st.SafeRoot)
	e.number(st.Oldest)
	if len(st.InitialRoot) > 0 { // homes of before have none, and stay as they are
		e.bytes(st.InitialRoot)
	}
	return e
}

func decodeChain(b []byte, st *State) error {
	d := decoder{rest: b}
	st.Unsafe = d.ref()
	st.Safe = d.ref()
	st.Finalized = d.ref()
	st.Root = d.bytes()
	st.SafeRoot = d.bytes()
	st.Oldest = d.number()
	if len(d.rest) > 0 {
		st.InitialRoot = d.bytes()
	}
	return d.end()
}
