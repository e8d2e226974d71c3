package store

import (
	"encoding/binary"
	"encoding/json"

	"headrace/block"
	"headrace/internal/disk"
)

// Values are fields in a fixed order: numbers as uvarints, hashes as 32 bytes, byte strings behind their length plus
// one (0 is nil). A later format may add fields at the end only together with a new format number, so leftover bytes
// are damage.

type encoder []byte

func (e *encoder) number(v uint64) { *e = binary.AppendUvarint(*e, v) }

func (e *encoder) hash(h block.Hash) { *e = append(*e, h[:]...) }

func (e *encoder) ref(r block.Ref) {
	e.number(r.Height)
	e.hash(r.Hash)
}

func (e *encoder) bytes(b []byte) { *e = disk.AppendBytes(*e, b, b != nil) }

func (e *encoder) bool(b bool) {
	var v uint64
	if b {
		v = 1
	}
	e.number(v)
}

// decoder reads what encoder wrote. After the first error it returns zero values; End tells.
type decoder struct{ disk.Decoder }

func decode(b []byte) decoder { return decoder{disk.Decoder{Rest: b}} }

func (d *decoder) hash() (h block.Hash) {
	copy(h[:], d.Take(uint64(len(h))))
	return h
}

func (d *decoder) ref() (r block.Ref) {
	r.Height = d.Number()
	r.Hash = d.hash()
	return r
}

// bytes returns a part of the value decoded, which is the caller's own copy.
func (d *decoder) bytes() []byte {
	v, present := d.Bytes()
	if present && v == nil {
		v = []byte{}
	}
	return v
}

func (d *decoder) bool() bool { return d.Number() != 0 }

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
	d := decode(b)
	m.hash = d.hash()
	m.root = d.bytes()
	m.origin.HeaderAt = d.Number()
	m.origin.DataAt = d.Number()
	m.origin.Source = d.ref()
	m.origin.Proposal = d.Number()
	m.origin.Tx = d.hash()
	m.origin.LogIndex = uint(d.Number())
	return m, d.End()
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
	d := decode(b)
	it.Ref = block.Ref{Height: height, Hash: d.hash()}
	it.Parent = d.hash()
	it.Safe = d.Number()
	in := d.bytes()
	if err = d.End(); err == nil {
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
	d := decode(b)
	h = block.Half{Kind: k.Kind, Hash: k.Hash, Height: k.Height}
	h.DAHeight = d.Number()
	h.Index = int(d.Number())
	h.Raw = d.bytes()
	return h, d.End()
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
	d := decode(b)
	st.Position = d.ref()
	st.Proven = d.ref()
	st.EnvelopesOnly = d.bool()
	items.low = d.Number()
	items.high = d.Number()
	return d.End()
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
	d := decode(b)
	st.Unsafe = d.ref()
	st.Safe = d.ref()
	st.Finalized = d.ref()
	st.Root = d.bytes()
	st.SafeRoot = d.bytes()
	st.Oldest = d.Number()
	if len(d.Rest) > 0 {
		st.InitialRoot = d.bytes()
	}
	return d.End()
}
