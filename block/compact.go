package block

import (
	"encoding/binary"
	"math/bits"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// Whoever posts a blob chooses how its transactions are encoded, and can make millions of fields of it that have some
// bytes each. compact goes through them, some at a time, and with as few branches that depend on what a field is as can
// be: whoever mixes fields at random makes the processor guess each second one wrong, which costs more than the rest.

const (
	txTag      = dataTxs<<3 | byte(protowire.BytesType)
	metaTag    = dataMetadata<<3 | byte(protowire.BytesType)
	contentTag = signedContent<<3 | byte(protowire.BytesType)
)

// compact reads fields of Data from b[i:end], and writes the canonical encoding of the transactions among them to out:
// as long as there are 16 bytes of both, and it knows the fields. It knows none that are long, and no metadata that
// says something: those are for field.next. At the end it goes on in the next content, if that follows and is short.
// It returns how much it has written, where it stopped, where the content ends that it was in, and how many
// transactions it passed.
func compact(out, b []byte, i, end int) (o, at, stop, txs int) {
	for {
		from := i
		for i+8 <= end && o+8 <= len(out) {
			n, ok := fourShort(binary.LittleEndian.Uint64(b[i:]))
			if !ok {
				break
			}
			binary.LittleEndian.PutUint64(out[o:], fourEmpty)
			i, o, txs = i+8, o+2*n, txs+n
		}
		wrote, read, left, n := usual(out[o:], b[i:], end-i)
		o, i, end, txs = o+wrote, i+read, i+left, txs+n
		if i-from < 2*atOnce { // something else is next
			wrote, read, n = unusual(out[o:], b[i:], end-i)
			o, i, txs = o+wrote, i+read, txs+n
			i += rare(b[i:end]) // near the end, too
		}
		if i == from {
			return o, i, end, txs
		}
	}
}

// A lane is 16 bits, and four of them are four fields of two bytes: the tag, and above it the value or length.
const (
	lanes     = 0x0001_0001_0001_0001
	fourEmpty = uint64(txTag) * lanes // transactions without content, of which there can be the most
)

// zeroLanes returns the highest bit of each lane of x that is 0.
func zeroLanes(x uint64) uint64 {
	const rest = 0x7fff * lanes
	return ^((x&rest + rest) | x | rest)
}

// fourShort reports whether w is four fields of two bytes each, of which each is a transaction without content or says
// nothing; and how many are transactions.
func fourShort(w uint64) (txs int, ok bool) {
	const (
		other     = 0x8085 * lanes          // set in what is continued, and in other types than a varint and bytes
		unknown   = (0x8000 - 3<<3) * lanes // added to a tag, sets the highest bit if Data has no such field
		emptyMeta = uint64(metaTag) * lanes
	)
	length := w >> 1 & lanes * 0xff00 // the second byte, where it is one
	empty := zeroLanes(w ^ fourEmpty)
	fine := empty | zeroLanes(w^emptyMeta) | (w&(0xff*lanes)+unknown)&(0x8000*lanes)
	return int((empty >> 15) * lanes >> 48), w&(other|length) == 0 && fine == 0x8000*lanes
}

// atOnce is how many fields are read before the next four are tried as lanes again.
const atOnce = 16

// usual is compact for some fields whose tag and value, or length, have one byte each, and that have eight at most.
// That a field is a transaction, and where the next one begins, are computed without a branch. At the end it begins the
// next content, if that is short.
func usual(out, b []byte, end int) (o, i, stop, txs int) {
	b, out = b[:len(b):len(b)], out[:len(out):len(out)]
	for range atOnce {
		if len(b)-i < 8 || len(out)-o < 8 {
			break
		}
		w := binary.LittleEndian.Uint64(b[i:])
		if i == end {
			next := i + 2 + int(w>>8&0x7f)
			if w&0x80ff != uint64(contentTag) || next > len(b) {
				break
			}
			i, end = i+2, next
			continue
		}
		size := 2 + int(w>>8&0x7f&-(w>>1&1))
		keep := int(usualTags[byte(w)])
		if keep < 0 || w&0x8000 != 0 || size > 8 || size > end-i {
			break
		}
		i += size
		binary.LittleEndian.PutUint64(out[o:], w)
		o += size & keep
		txs += keep & 1
	}
	return o, i, end, txs
}

// usualTags has for a tag of one byte what masks the size of its field, so that what is kept of it remains: that of a
// transaction, and nothing of what Data does not have. It is negative if the field is not a usual one.
var usualTags = func() (out [256]int8) {
	for tag := range out {
		num, typ := tag>>3, protowire.Type(tag&7)
		if tag >= 0x80 || num <= dataTxs || typ != protowire.VarintType && typ != protowire.BytesType {
			out[tag] = -1
		}
	}
	out[txTag] = 0x7f
	return out
}()

// unusual is compact for some fields with a tag of up to two bytes, and a value or length of up to four: such as they
// are if somebody does not write them as shortly as he could.
func unusual(out, b []byte, end int) (o, i, txs int) {
	b, out = b[:len(b):len(b)], out[:len(out):len(out)]
	for range atOnce {
		if len(b)-i < 16 || len(out)-o < 16 {
			break
		}
		w := binary.LittleEndian.Uint64(b[i:])
		tag, size := w&0x7f, 2
		if w&0x80 != 0 {
			tag, size = tag|w>>1&(0x7f<<7), 3
			if w&0x8000 != 0 {
				break
			}
			w >>= 8
		}
		w >>= 8
		value := w & 0x7f
		if w&0x80 != 0 {
			n := bits.TrailingZeros32(^uint32(w)&0x80808080)/8 + 1
			if n > 4 {
				break
			}
			w &= 1<<(8*n) - 1
			value |= w>>1&(0x7f<<7) | w>>2&(0x7f<<14) | w>>3&(0x7f<<21)
			size += n - 1
		}
		n := int(value & -(tag >> 1 & 1))
		isTx := (tag ^ uint64(txTag) - 1) >> 63 // 1 or 0, as the others are
		isEmptyMeta := (tag ^ uint64(metaTag) | uint64(n) - 1) >> 63
		isOfData := (tag - 3<<3) >> 63
		if isOfData&^(isTx|isEmptyMeta)|tag&5 != 0 || n > end-i-size {
			if n = rare(b[i:end]); n == 0 {
				break
			}
			i += n
			continue
		}
		if n > 6 && isTx == 1 {
			if n >= 0x80 || n > len(out)-o-16 {
				break
			}
			copy(out[o+2:], b[i+size:i+size+n])
			out[o], out[o+1] = txTag, byte(n)
			i, o, txs = i+size+n, o+2+n, txs+1
			continue
		}
		payload := binary.LittleEndian.Uint64(b[i+size:])
		out[o], out[o+1] = txTag, byte(n)
		binary.LittleEndian.PutUint64(out[o+2:], payload)
		i += size + n
		o += (2 + n) & -int(isTx)
		txs += int(isTx)
	}
	return o, i, txs
}

// rare returns the size of the field that b begins with, if Data has none of its number, its tag has one byte or two,
// and it is a group or a number of fixed size; else 0.
func rare(b []byte) int {
	if len(b) < 3 {
		return 0
	}
	tag, n := uint64(b[0]), 1
	if tag >= 0x80 {
		tag, n = tag&0x7f|uint64(b[1])<<7, 2
		if b[1] >= 0x80 {
			return 0
		}
	}
	num, typ := protowire.Number(tag>>3), protowire.Type(tag&7)
	if num <= dataTxs || typ == protowire.VarintType || typ == protowire.BytesType {
		return 0
	}
	if typ == protowire.StartGroupType && n == 1 && b[1] == b[0]+1 { // there is nothing in it
		return 2
	}
	if m := protowire.ConsumeFieldValue(num, typ, b[n:]); m >= 0 {
		return n + m
	}
	return 0
}

// gathered has the transactions, in the canonical encoding, of the scattered blob that was read last, if they fit. So
// in most cases such a blob is gone through once: when it is read. There is one for the process, and it is no part of
// the heap: however many blobs strangers post, this is all the memory that scattered ones take. Who finds it taken, by
// a blob that is read meanwhile or has been read since, goes through its own blob again.
var gathered struct {
	sync.Mutex
	of  uint64 // which blob's; 0: nobody's
	ids uint64
	n   int
	buf [8 << 20]byte
}

// reader reads a data blob.
type reader struct {
	*DataBlob
	gathers bool   // gathered is locked, and has had all transactions so far
	out     []byte // where compact writes to: what is left of gathered, or nothing that is needed
	scratch [256]byte
}

// scatter begins with what has to be done if the transactions are not in a few pieces of raw.
func (r *reader) scatter() {
	if r.scattered {
		return
	}
	r.scattered, r.out = true, r.scratch[:]
	if !gathered.TryLock() {
		return
	}
	gathered.of, r.gathers, r.out = 0, true, gathered.buf[:]
	for _, p := range r.pieces[:r.n] {
		r.gather(p)
	}
}

// gather adds p to what is gathered.
func (r *reader) gather(p []byte) {
	switch {
	case !r.gathers:
	case len(p) > len(r.out)-32:
		r.end(false)
	default:
		r.out = r.out[copy(r.out, p):]
	}
}

// end ends the gathering, whose result is of use if the blob has been read to its end.
func (r *reader) end(whole bool) {
	if !r.gathers {
		return
	}
	if whole {
		gathered.ids++
		gathered.of, gathered.n = gathered.ids, len(gathered.buf)-len(r.out)
		r.gathered = gathered.of
	}
	r.gathers, r.out = false, r.scratch[:]
	gathered.Unlock()
}
