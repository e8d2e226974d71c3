package block

import (
	"encoding/binary"
	"fmt"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Whoever posts a blob chooses how it is encoded, and can make millions of fields of it that have some bytes each.
// compact goes through them, some at a time, and with as few branches that depend on what a field is as can be: whoever
// mixes fields at random makes the processor guess each second one wrong, which costs more than the rest.

// A place is where in a data blob a reader is, and what it has passed.
type place struct {
	at    int     // the offset of the next field
	data  int     // the end of the content that at is in; at or less if it is in none
	inner int     // likewise of the metadata or the signer
	last  [16]int // one more than where the field begins that counts of each part up to kept; 0 if there is none. The rest is of no use
	txs   int
	groups

	patience patience
	window   *window // nil before walk has needed one
}

// A part is what a field is.
type part uint8

// Of those up to kept the last one counts.
const (
	foreign part = iota
	chainIDPart
	heightPart
	timePart
	lastDataHashPart
	signaturePart
	addressPart
	pubKeyPart
	contentPart
	nestedPart // metadata or a signer
	txPart

	kept = pubKeyPart
)

// The level of a field says what it is in: a content, and metadata or a signer.
const (
	inData  = 1
	inInner = 2
)

// parts has the fields of each level, by number.
var parts = [4][5]part{
	0:                {signedContent: contentPart, signedSignature: signaturePart, signedSigner: nestedPart},
	inData:           {dataMetadata: nestedPart, dataTxs: txPart},
	inInner:          {signerAddress: addressPart, signerPubKey: pubKeyPart},
	inData | inInner: {metadataChainID: chainIDPart, metadataHeight: heightPart, metadataTime: timePart, metadataLastDataHash: lastDataHashPart},
}

// typ returns the only type that fields of a part have, if it is not foreign.
func (p part) typ() protowire.Type {
	if p == heightPart || p == timePart {
		return protowire.VarintType
	}
	return protowire.BytesType
}

// level returns the end of what p is in, if that is no group, and its level.
func (p *place) level(b []byte) (limit, level int) {
	limit = len(b)
	if p.at < p.data {
		limit, level = p.data, inData
	}
	if p.at < p.inner {
		limit, level = p.inner, level|inInner
	}
	return limit, level
}

// next reads the field at p of the data blob b into f, however it is encoded, and returns what it is. The next one is
// what follows it, or is in it.
func (p *place) next(f *field, b []byte) (part, error) {
	if p.depth > 0 {
		return foreign, p.nextInGroup(b)
	}
	limit, level := p.level(b)
	from, msg := p.at, b[p.at:limit]
	if protowire.Type(msg[0]&7) == protowire.StartGroupType {
		var n int
		if f.num, f.typ, n = protowire.ConsumeTag(msg); n < 0 {
			return 0, protowire.ParseError(n)
		}
		p.at += n
		p.begin(f.num, level)
	} else {
		rest, err := f.next(msg)
		if err != nil {
			return 0, err
		}
		p.at = limit - len(rest)
	}
	what := foreign
	if int(f.num) < len(parts[level]) {
		what = parts[level][f.num]
	}
	var err error
	switch {
	case what == foreign:
	case f.typ != what.typ():
		err = errWireType
	case what == chainIDPart && !utf8.Valid(f.bytes):
		err = errUTF8
	case what <= kept:
		p.last[what] = from + 1
	case what == txPart:
		p.txs++
	case what == nestedPart:
		p.inner, p.at = p.at, p.at-len(f.bytes)
	case what == contentPart:
		p.data, p.at = p.at, p.at-len(f.bytes)
	}
	if err != nil {
		return 0, fmt.Errorf("field %d: %w", f.num, err)
	}
	return what, nil
}

// compact passes fields of the data blob b to its end, and writes the canonical encoding of the transactions among them
// to out, as long as there is enough of it. It returns how much it has written, and whether it has stopped at f, a
// transaction that does not fit.
func (p *place) compact(f *field, out, b []byte) (o int, long bool, err error) {
	for usual := true; p.at < len(b) && len(out)-o >= enough; {
		from := p.at
		if usual && p.depth == 1 && protowire.Type(b[from]&7) == protowire.EndGroupType { // so that lanes can be tried
			if err := p.nextInGroup(b); err != nil {
				return o, false, err
			}
			continue
		}
		if usual && p.inner <= p.at && p.depth == 0 {
			for p.at+8 <= p.data && len(out)-o >= enough {
				n, ok := fourShort(binary.LittleEndian.Uint64(b[p.at:]))
				if !ok {
					break
				}
				binary.LittleEndian.PutUint64(out[o:], fourEmpty)
				p.at, o, p.txs = p.at+8, o+2*n, p.txs+n
			}
		}
		if p.at-from >= atOnce/4 || len(out)-o < enough {
			continue
		}
		var n int
		n, usual, err = p.some(out[o:], b)
		if o += n; err != nil {
			return o, false, err
		}
		if usual || p.at == len(b) {
			continue
		}
		what, err := p.next(f, b)
		switch {
		case err != nil:
			return o, false, err
		case what != txPart:
		case len(f.bytes) > len(out)-o-enough/2:
			return o, true, nil
		default:
			o = len(append(appendPrefix(out[:o], dataTxs, len(f.bytes)), f.bytes...))
		}
	}
	return o, false, nil
}

const (
	atOnce = 256              // how many bytes are read before the next four fields are tried as lanes again
	enough = 2*atOnce + ahead // how many there have to be, to read them, and to write to meanwhile
	ahead  = 32               // how many of a transaction are copied at once, and so may be too many
)

// usual is compact for some fields of data whose tag and value, or length, have one byte each, and that have eight at
// most. That a field is a transaction, and where the next one begins, are computed without a branch. At the end it
// begins the next content, if that is short.
func (p *place) usual(out, b []byte) (o int) {
	b, out = b[p.at:len(b):len(b)], out[:len(out):len(out)]
	i, end, txs := 0, max(p.data-p.at, 0), 0
	for i < atOnce {
		w := binary.LittleEndian.Uint64(b[i:])
		if i == end {
			next := i + 2 + int(w>>8&0x7f)
			if w&0x80ff != uint64(contentTag) {
				break
			}
			i, end = i+2, next
			p.data = p.at + end
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
	p.at, p.txs = p.at+i, p.txs+txs
	return o
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

const goesOn = 0x8080_8080_8080_8080 // the bits of bytes that are not the last ones of their varint

// The ways to pass fields that are not long, in the order in which they are tried.
const (
	byTags  = iota // of groups
	byUsual        // fields of data
	byWalk         // whatever it is
	ways
)

// patience is how often each way is passed over, since it did little.
type patience [ways]int

const impatient = 16

// some is compact for some fields of any kind that are not long. It reports whether the one that it stops at need not be
// for next.
func (p *place) some(out, b []byte) (o int, more bool, err error) {
	for way := range ways {
		from := p.at
		if len(b)-from < enough {
			return o, false, nil
		}
		if len(out)-o < enough {
			return o, true, nil
		}
		if p.patience[way] > 0 {
			p.patience[way]--
			continue
		}
		if way == byUsual && (p.depth > 0 || p.inner > from) {
			continue // it is of no use
		}
		n, err := p.pass(way, out[o:], b)
		if o += n; err != nil || p.at-from >= atOnce {
			return o, true, err
		}
		if p.at-from < atOnce/2 && way != byWalk {
			p.patience[way] = impatient
		}
	}
	return o, false, nil
}

// pass passes fields in one way.
func (p *place) pass(way int, out, b []byte) (o int, err error) {
	switch way {
	case byTags:
		return 0, p.onlyTags(b)
	case byUsual:
		return p.usual(out, b), nil
	}
	return p.walk(out, b)
}

// A lane is 16 bits, and four of them are four fields of two bytes: the tag, and above it the value or length.
const (
	txTag      = dataTxs<<3 | byte(protowire.BytesType)
	metaTag    = dataMetadata<<3 | byte(protowire.BytesType)
	contentTag = signedContent<<3 | byte(protowire.BytesType)
	lanes      = 0x0001_0001_0001_0001
	fourEmpty  = uint64(txTag) * lanes // transactions without content, of which there can be the most
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
		low       = 0xff * lanes
		unknown   = (0x8000 - 3<<3) * lanes // added to a tag, sets the highest bit if Data has no such field
		emptyMeta = uint64(metaTag) * lanes
	)
	length := w >> 1 & lanes * 0xff00 // the second byte, where it is one
	empty := zeroLanes(w ^ fourEmpty)
	number := zeroLanes(w&(0x8085*lanes) | w&length)                    // or bytes
	group := zeroLanes((w>>8^(w+lanes))&low | (w^3*lanes)&(0x87*lanes)) // with nothing in it
	fine := empty | zeroLanes(w^emptyMeta) | (number|group)&(w&low+unknown)
	return int((empty >> 15) * lanes >> 48), fine&(0x8000*lanes) == 0x8000*lanes
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
	place
	pieceEnd int    // where the last of the pieces ends
	strange  int    // how many fields that are no transactions next has read
	gathers  bool   // gathered is locked, and has had all transactions so far
	out      []byte // where compact writes to: what is left of gathered, or nothing that is needed
	scratch  [enough]byte
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
	case len(p) > len(r.out)-enough:
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
