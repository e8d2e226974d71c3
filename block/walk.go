package block

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// walk and levels pass fields that are short: two bytes say what they are and where they end, or three. They do so in
// loops over a window, one after another:
//
//   - look finds for each byte how long a field would be that began there: none of these waits for another
//   - chase goes from field to field, which is one load and one addition for each, and writes down where those begin
//     that count, and tags of groups
//   - the groups are followed
//   - what counts is counted
//
// So there is little that has to wait for what is before it, and each loop has few enough values for the registers. None
// has a branch that depends on what a field is, as long as it is for them.

// A step is what the first two bytes of a field say, and the third one if it is its length:
//
//	bits 0-7   its size
//	bits 8-15  the same beside the content; of a content or a signer it is without the fields in it
//	bits 16-23 the same in a content; of metadata it is without the fields in it
//	bits 24-28 its class
//	bits 29-30 how many more groups are open after it: 1, 0 or -1
//	bit 31     the third byte is its length, which is yet to be added
type step uint32

const (
	sizes    = 0x01_0101 // each of the three
	ofClass  = 1 << 24
	ofGroups = 1 << 29
	ofLength = 1 << 31
)

// The classes of the fields with a number: so many for those that have no meaning anywhere, and then for each that has.
const (
	oneByte  = iota // a number
	twoBytes        // a number; or one of one byte, and the tag has two
	short           // bytes whose tag has one byte, and the length, too
	padded2         // bytes whose tag has one byte, and the length two, of which the second one has no bits
	wide            // bytes whose tag has two bytes, and the length one
	other           // a number of fixed size, a group with nothing in it, or the tag that one begins with
	ofNumber        // how many there are

	notShort = 0 // the class of what is not passed here
	numbers  = 1 // the first class of a field with a number
	groupEnd = numbers + 5*ofNumber
)

// stepsOf has the step for each two bytes.
var stepsOf = func() *[1 << 16]step {
	out := new([1 << 16]step)
	for i := range out {
		out[i] = stepOf(byte(i), byte(i>>8))
	}
	return out
}()

func stepOf(first, second byte) step {
	num, typ, size := int(first>>3), protowire.Type(first&7), 1
	if first >= 0x80 {
		num, size = num&15|int(second)<<4, 2
		if second >= 0x80 {
			num = 0 // it is not all of it
		}
	}
	if num == 0 {
		return notShort
	}
	class, inside, more := step(other), 0, step(0)
	switch typ {
	case protowire.VarintType:
		class = oneByte
		if size++; size == 3 || second >= 0x80 {
			size, class = 3, twoBytes
		}
	case protowire.Fixed32Type:
		size += 4
	case protowire.Fixed64Type:
		size += 8
	case protowire.BytesType:
		inside = int(second & 0x7f)
		switch size++; {
		case size == 3:
			class, more, inside = wide, ofLength, 0
		case second >= 0x80:
			size, class = 3, padded2
		default:
			class = short
		}
	case protowire.StartGroupType:
		if more = ofGroups; size == 1 && second == first+1 { // it ends with nothing in it
			size, more = 2, 0
		}
	case protowire.EndGroupType:
		return step(size)*sizes | groupEnd*ofClass | 3*ofGroups
	default:
		return notShort
	}
	if num >= len(parts[0]) {
		num = 0
	}
	out := step(size+inside)*sizes | (numbers+step(num)*ofNumber+class)*ofClass | more
	for level, shift := range []int{0: 8, inData: 16} {
		if what := parts[level][num]; what == contentPart || what == nestedPart {
			out -= step(inside) << shift
		}
	}
	return out
}

// A use is what a class of fields is for:
//
//	bits 0-7   which bits the third byte must not have
//	bit 8      it is for next
//	bit 9      it has fields in it
//	bits 16-19 what it is, if the last one counts
//	bits 20-23 how many bytes are before those that its length says
//	bit 32     the last one counts
//	bit 48     it is a transaction
//	bit 62     it is metadata or a signer
//	bit 63     it is a content
type use uint64

const (
	isForNext  = 1 << 8
	hasFields  = 1 << 9
	whatCounts = 0xff_0000 // what is written down of it
)

// uses has the use of each class, by level, and whether it is in a group.
var uses = func() (out [4 << 6]use) {
	for i := range out {
		out[i] = useOf(i>>6, i&31, i&32 != 0)
	}
	return out
}()

func useOf(level, class int, inGroup bool) use {
	switch {
	case class == groupEnd && inGroup:
		return 0
	case class == notShort, class >= groupEnd:
		return isForNext
	}
	num, what := (class-numbers)/ofNumber, foreign
	if !inGroup {
		what = parts[level][num]
	}
	typ, u := protowire.BytesType, use(3<<20)
	switch (class - numbers) % ofNumber {
	case oneByte:
		typ = protowire.VarintType
		u = 2 << 20
	case twoBytes:
		typ = protowire.VarintType
		u |= 0x80
	case short:
		u = 2 << 20
	case padded2:
		u |= 0xff
	case wide:
		if u |= 0x80; what == contentPart || what == nestedPart {
			return isForNext
		}
	case other:
		typ = protowire.Fixed32Type
	}
	switch {
	case what == foreign:
		return u
	case typ != what.typ():
		return isForNext
	case what == contentPart:
		return u | hasFields | 1<<63
	case what == nestedPart:
		return u | hasFields | 1<<62
	case what == txPart:
		return u | 1<<48
	}
	return u | use(what)<<16 | 1<<32
}

// A window is what is known of the next atOnce bytes.
type window struct {
	steps  [atOnce]step   // for each byte
	fields [atOnce]uint32 // which count: where each begins, and whatCounts of its use
	tags   [atOnce]uint32 // of groups; or likewise transactions, where fields has what is none
	groups [atOnce]uint8  // where their tags are
}

// walk passes short fields at one level, and groups there.
func (p *place) walk(out, b []byte) (o int, err error) {
	p.room()
	limit, level := p.level(b)
	from, in := p.at, (*[enough]byte)(b[p.at:])
	p.window.look(in)
	if p.depth+atOnce > maxOpen {
		p.window.lookForGroups(in)
	}
	i, n, g := p.window.chase(in, (*[64]use)(uses[level&3<<6:]), limit-from, p.depth)
	p.at += i
	if err := p.followAt(p.window.groups[:g], in, level); err != nil {
		return 0, err
	}
	return p.count(p.window.fields[:n], level, from, in, out)
}

// levels passes short fields at whatever level, in no group.
func (p *place) levels(out, b []byte) (o int, err error) {
	from, in := p.at, (*[enough]byte)(b[p.at:])
	p.window.look(in)
	i, counts, data, inner := p.window.chaseLevels(in, len(b)-from, p.data-from, p.inner-from)
	p.at, p.data, p.inner = from+i, from+data, from+inner
	if err := p.note(p.window.fields[:counts&0xff], from, in); err != nil {
		return 0, err
	}
	txs := p.window.tags[:counts>>16&0xff]
	p.txs += len(txs)
	return p.window.write(txs, in, (*[enough]byte)(out)), nil
}

// look finds the steps.
func (s *window) look(in *[enough]byte) {
	all := stepsOf
	for j := 0; j < atOnce; j += 2 {
		a, b := all[binary.LittleEndian.Uint16(in[j:j+2])], all[binary.LittleEndian.Uint16(in[j+1:j+3])]
		s.steps[j] = a + lengths[in[j+2]]&step(int32(a)>>31)
		s.steps[j+1] = b + lengths[in[j+3]]&step(int32(b)>>31)
	}
}

// lengths has what a length of one byte adds to a step.
var lengths = func() (out [256]step) {
	for i := range out {
		out[i] = step(i&0x7f) * sizes
	}
	return out
}()

// lookForGroups undoes that groups with nothing in them are passed as one field: so all of them are followed, where
// there may be too many within each other.
func (s *window) lookForGroups(in *[enough]byte) {
	for j := range s.steps {
		w := binary.LittleEndian.Uint16(in[j : j+2])
		begins := (w&0x87 ^ uint16(protowire.StartGroupType)) - 1 // negative if a group of one byte does
		s.steps[j] += (stepsOf[w&0xff] - s.steps[j]) & step(int32(int16(begins))>>31)
	}
}

// chase goes through short fields at one level, whose uses these are, up to a limit. It returns how many bytes it has
// passed, and how many fields that count, and tags of groups. It stops at fields with others in them.
func (s *window) chase(in *[enough]byte, uses *[64]use, limit, depth int) (i int, n, g uint) {
	depth = -depth
	for uint(i) < atOnce {
		e := s.steps[i]
		u := uses[uint32(e/ofClass&31)|uint32(uint64(depth)>>58&32)]
		next := i + int(e&0xff)
		if (use(in[i+2])|isForNext|hasFields)&u != 0 || next > limit {
			break
		}
		s.fields[n%atOnce] = uint32(i) | uint32(u&whatCounts)
		s.groups[g%atOnce] = uint8(i)
		n += uint(u>>32&1 | u>>48&1)
		g += uint(e / ofGroups & 1)
		depth -= int(int32(e<<1) >> 30)
		i = next
	}
	return i, n, g
}

// chaseLevels is chase at any level. It stops at groups. It returns how many fields it has passed of which the last one
// counts; and above 16 bits, how many transactions; and where the content ends, and the metadata or signer.
func (s *window) chaseLevels(in *[enough]byte, size, data, inner int) (i int, counts uint64, _, _ int) {
	for uint(i) < atOnce {
		e := s.steps[i]
		within, left := (i-data)>>sign, (i-inner)>>sign // negative in a content; in metadata or a signer
		u := uses[uint32(e/ofClass&31)|uint32(within)&(inData<<6)|uint32(left)&(inInner<<6)]
		next, limit := i+int(e&0xff), size
		if i < data {
			limit = data
		}
		if i < inner {
			limit = inner
		}
		if (use(in[i+2])|isForNext)&u != 0 || e&ofGroups != 0 || next > limit {
			break
		}
		f := uint32(i) | uint32(u&whatCounts)
		s.fields[counts%atOnce] = f
		s.tags[counts>>16%atOnce] = f
		counts += uint64(u >> 32)
		data += (next - data) & int(int64(u)>>63)
		inner += (next - inner) & int(int64(u<<1)>>63)
		i += int(e >> (uint(8+8&within) &^ uint(left) & 31) & 0xff)
	}
	return i, counts, data, inner
}

// count does what is to be done with fields that count, and were passed at a level from an offset on.
func (p *place) count(fields []uint32, level, from int, in *[enough]byte, out []byte) (o int, err error) {
	if level != inData {
		return 0, p.note(fields, from, in)
	}
	p.txs += len(fields)
	return p.window.write(fields, in, (*[enough]byte)(out)), nil
}

// where returns where a field begins, its bytes, and how many these are.
func (s *window) where(f uint32) (i, start, length uint32) {
	before := f >> 20 & 15
	i = f % atOnce
	return i, i + before, uint32(s.steps[i]&0xff) - before
}

// write writes transactions to out.
func (s *window) write(fields []uint32, in *[enough]byte, out *[enough]byte) (o int) {
	for _, f := range fields {
		_, start, length := s.where(f)
		to := uint32(o) % atOnce
		binary.LittleEndian.PutUint16(out[to:], uint16(txTag)|uint16(length)<<8)
		to += 2
		*(*[16]byte)(out[to:]) = *(*[16]byte)(in[start:])
		*(*[16]byte)(out[to+16:]) = *(*[16]byte)(in[start+16:])
		for at := uint32(32); at < length; at += 16 {
			*(*[16]byte)(out[to+at:]) = *(*[16]byte)(in[start+at:])
		}
		o += 2 + int(length)
	}
	return o
}

// note is for fields of which the last one counts.
func (p *place) note(fields []uint32, from int, in *[enough]byte) error {
	odd := uint64(0)
	for _, f := range fields {
		i, start, length := p.window.where(f)
		what := f >> 16 & 15
		p.last[what] = from + int(i) + 1
		odd |= notASCIIIn(what, binary.LittleEndian.Uint64(in[start:start+8]), length)
	}
	if odd != 0 {
		return p.checkTexts(fields, in)
	}
	return nil
}

// notText has the bits that are not set in an ASCII text of so many bytes, for each part that is one; and then the bits
// of a length that is more.
var notText = [16][9]uint64{chainIDPart: {0, 0x80, 0x8080, 0x8080_80, 0x8080_8080, 0x8080_8080_80, 0x8080_8080_8080, 0x8080_8080_8080_80, 0x78}}

// notASCIIIn returns 0 if a field is no text, or ASCII at a glance: what it is, its first bytes, and how many there are.
func notASCIIIn(what uint32, bytes uint64, length uint32) uint64 {
	not := &notText[what]
	return bytes&not[length&7] | uint64(length)&not[8]
}

// checkTexts looks at each chain id that is not ASCII at a glance.
func (p *place) checkTexts(fields []uint32, in *[enough]byte) error {
	n := uint(0)
	for _, f := range fields {
		_, start, length := p.window.where(f)
		fields[n] = f
		odd := notASCIIIn(f>>16&15, binary.LittleEndian.Uint64(in[start:start+8]), length)
		n += uint((odd | -odd) >> 63)
	}
	for _, f := range fields[:n] {
		if _, start, length := p.window.where(f); !utf8.Valid(in[start : start+length]) {
			return fmt.Errorf("field %d: %w", metadataChainID, errUTF8)
		}
	}
	return nil
}

// followAt is follow for tags of one byte or two, which are at these offsets.
func (p *place) followAt(offsets []uint8, in *[enough]byte, level int) error {
	if len(offsets) == 0 {
		return nil
	}
	if p.depth == 0 {
		p.groups.level = level
	}
	depth, most, open, wrong := p.depth, 0, p.open, uint32(0)
	for _, at := range offsets {
		tag := shortTag(in, at)
		ends := -int(tag >> 2 & 1)
		wrong |= (open[depth] ^ tag ^ endsGroup) & uint32(ends)
		open[depth+1] = tag
		depth += 1 + 2*ends
		most = max(most, depth)
	}
	switch {
	case wrong != 0 || p.groups.level != level:
		return errGroupEnd
	case most > maxOpen:
		return errGroups
	}
	p.depth = depth
	return nil
}

// shortTag returns the tag of one byte or two that is at an offset.
func shortTag(in *[enough]byte, at uint8) uint32 {
	w := binary.LittleEndian.Uint16(in[int(at) : int(at)+2])
	return uint32(w) & tagBits[w&0xff]
}

// tagBits has for the first byte of a tag of one byte or two which bits say what it is.
var tagBits = func() (out [256]uint32) {
	for i := range out {
		if out[i] = 0x7f; i >= 0x80 {
			out[i] = 0x7f7f
		}
	}
	return out
}()
