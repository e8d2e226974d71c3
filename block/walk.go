package block

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// walk and levels pass fields by a window, in loops one after another:
//
//   - look finds for each byte how long a field would be that began there, by the two bytes or three that say it, and
//     lookFurther where they are more: none of these waits for another
//   - chase, or chaseLevels, goes from field to field, which is one load and one addition for each, and writes down where
//     those begin that count, and tags of groups
//   - the groups are followed
//   - what counts is counted
//
// So there is little that has to wait for what is before it, and each loop has few enough values for the registers. None
// has a branch that depends on what a field is, as long as it has no number of nine bytes, and is not long.

// A step is what the first bytes of a field say:
//
//	bits 0-7   its size
//	bit 12     it has fields in it in a content
//	bit 13     it has fields in it beside the content
//	bit 14     the third byte is not 0
//	bits 16-20 how many bytes are before those that its length says
//	bits 24-28 its class
//	bits 29-30 how many more groups are open after it: 1, 0 or -1
//	bit 31     bit 14 counts, or the third byte is a length that is yet to be added
type step uint32

const (
	ofBefore = 1 << 16
	ofFields = 1 << 13
	ofThird  = 1 << 14
	ofClass  = 1 << 24
	ofGroups = 1 << 29
	ofLength = 1 << 31
)

func (e step) class() step { return e / ofClass & 31 }

// The classes of the fields with a number: so many for those that have no meaning anywhere, and then for each that has.
const (
	number   = iota // a varint
	bytesOf         // bytes
	padded2         // bytes whose tag has one byte, and the length two, if the second one has no bits
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
	out := stepOfTag(num, typ)
	if out == notShort {
		return notShort
	}
	switch out += step(size) * (1 + ofBefore); typ {
	case protowire.VarintType:
		out++
		if size == 1 && second >= 0x80 {
			out++
		}
	case protowire.BytesType:
		switch {
		case size == 2:
			return out + 1 + ofBefore + ofLength
		case second >= 0x80:
			return out + 2*(1+ofBefore) + step(second&0x7f) + (padded2-bytesOf)*ofClass + ofLength
		}
		out += 1 + ofBefore + step(second)
	case protowire.StartGroupType:
		if size == 1 && second == first+1 { // it ends with nothing in it
			out -= ofGroups - 1
		}
	}
	return out
}

// stepOfTag returns what the tag says of a field: its class, and its size, if that is fixed, without the tag.
func stepOfTag(num int, typ protowire.Type) step {
	if num <= 0 || typ > protowire.Fixed32Type {
		return notShort
	}
	if num >= len(parts[0]) {
		num = 0
	}
	of := step(numbers+num*ofNumber) * ofClass
	switch typ {
	case protowire.VarintType:
		return of + number*ofClass
	case protowire.BytesType:
		for level := range inInner {
			if what := parts[level][num]; what == contentPart || what == nestedPart {
				of |= ofFields >> level
			}
		}
		return of + bytesOf*ofClass
	case protowire.Fixed32Type:
		return of + other*ofClass + 4
	case protowire.Fixed64Type:
		return of + other*ofClass + 8
	case protowire.StartGroupType:
		return of + other*ofClass + ofGroups
	}
	return groupEnd*ofClass + 3*ofGroups
}

// A use is what a class of fields is for:
//
//	bits 8-11  what it is, if the last one counts
//	bit 14     it is for next, if the third byte is not 0
//	bit 15     it is for next
//	bit 29     it is for next, if a group begins or ends
//	bit 32     the last one counts
//	bit 48     it is a transaction
//	bit 61     it has fields in it
//	bit 62     it is metadata or a signer
//	bit 63     it is a content
type use uint64

const (
	isForNext  = 1 << 15
	hasFields  = 1 << 61
	whatCounts = 0xf00 // what is written down of it
	ofLevel    = 14    // where the level is in what is written down of a tag
)

// Those have the use of each class, by level, and whether it is in a group: flatUses for who passes no fields in others,
// and levelUses for who passes no groups.
var flatUses, levelUses = func() (flat, levels [4 << 6]use) {
	for i := range flat {
		u := useOf(i>>6, i&31, i&32 != 0)
		if flat[i] = u; u&hasFields != 0 {
			flat[i] = isForNext
		}
		levels[i] = u | ofGroups
	}
	return flat, levels
}()

func useOf(level, class int, inGroup bool) (u use) {
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
	typ := protowire.BytesType
	switch (class - numbers) % ofNumber {
	case number:
		typ = protowire.VarintType
	case padded2:
		u = ofThird
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
	return u | use(what)<<8 | 1<<32
}

// A window is what is known of the next atOnce bytes.
type window struct {
	steps    [atOnce]step   // for each byte
	fields   [atOnce]uint16 // which count: where each begins, and whatCounts of its use
	txs      [atOnce]uint16 // likewise
	groups   [atOnce]uint16 // where their tags are, and the level above ofLevel, if it may be another
	longTags bool           // of groups
	tired    int            // how many bytes of tags, numbers and lengths further has passed, of fields with more than eight
	varints  *varints
}

// walk passes fields at one level, and groups there.
func (p *place) walk(out, b []byte) (o int, err error) {
	p.room()
	limit, level := p.level(b)
	from, in := p.at, (*[enough]byte)(b[p.at:])
	if !p.look(in) {
		return 0, nil
	}
	i, n, g, depth := 0, uint(0), uint(0), -int32(p.depth)
	for more := true; more; more = p.window.further(in, i) {
		i, n, g, depth = p.window.chase((*[64]use)(flatUses[level&3<<6:]), limit-from, depth, i, n, g)
	}
	p.tire(byWalk)
	p.at += i
	if o, err = p.count(p.window.fields[:n], level, from, in, out); err != nil {
		return o, err
	}
	return o, p.follow(p.window.groups[:g], in, level)
}

// levels passes fields at whatever level.
func (p *place) levels(out, b []byte) (o int, err error) {
	from, in := p.at, (*[enough]byte)(b[p.at:])
	if !p.look(in) {
		return 0, nil
	}
	data, inner, i, counts := p.data-from, p.inner-from, 0, uint64(0)
	for more := true; more; more = p.window.further(in, i) {
		data, inner, i, counts = p.window.chaseLevels(data, inner, i, counts)
	}
	p.tire(byLevels)
	p.at, p.data, p.inner = from+i, from+data, from+inner
	return p.take(p.window.fields[:counts&0xff], p.window.txs[:counts>>16&0xff], from, in, out)
}

// look finds the steps; unless there are so many that are longer that they are better passed in another way.
func (p *place) look(in *[enough]byte) bool {
	p.window.longTags, p.window.tired = false, 0
	if !anyLong(in) {
		p.window.look(in)
	} else {
		var long longs
		if long.find(in) > mostLong {
			return false
		}
		p.window.look(in)
		p.window.lookFurther(in, &long)
	}
	if p.depth+atOnce > maxOpen {
		p.window.lookForGroups(in)
	}
	return true
}

// look finds those that two bytes say, or three.
func (s *window) look(in *[enough]byte) {
	all := stepsOf
	for j := 0; j < atOnce; j += 2 {
		a, b := all[binary.LittleEndian.Uint16(in[j:j+2])], all[binary.LittleEndian.Uint16(in[j+1:j+3])]
		s.steps[j] = a + lengths[in[j+2]]&step(int32(a)>>31)
		s.steps[j+1] = b + lengths[in[j+3]]&step(int32(b)>>31)
	}
}

// lengths has what a third byte adds to a step.
var lengths = func() (out [256]step) {
	for i := range out {
		if out[i] = step(i & 0x7f); i > 0 {
			out[i] |= ofThird
		}
	}
	return out
}()

// A longs has bits for bytes, 64 in each number, of which bit 8*i+j is that of byte 8*j+i: whether it looks as if it were
// the first one of a field with more bytes than look looks at; and likewise, but it is behind a byte that is not the last
// one of a varint.
type longs struct{ found, behind [atOnce / 64]uint64 }

// find finds them. It returns how many of the first kind there are.
func (s *longs) find(in *[enough]byte) (n int) {
	before := uint64(0) // the byte
	for from := range s.found {
		found, behind := uint64(0), uint64(0)
		for i := range 8 {
			w, long := longAt(in, 64*from+8*i)
			after := w<<8 | before
			before = w >> 56
			found |= long &^ after >> 7 << i
			behind |= long & after >> 7 << i
		}
		s.found[from], s.behind[from] = found, behind
		n += bits.OnesCount64(found)
	}
	return n
}

// lookFurther finds those that more bytes say, eight at most: those of tags of three bytes or more, and of numbers and
// lengths that have them with their tags. Behind a byte that is not the last one of a varint there is seldom a field:
// what begins there, after bytes, is left for further.
func (s *window) lookFurther(in *[enough]byte, long *longs) {
	for from := range long.found {
		found, behind := long.found[from], long.behind[from]
		for ; behind != 0; behind &= behind - 1 {
			s.steps[(64*from+byteAt(behind))%atOnce] = notShort
		}
		seen := step(0)
		for ; found != 0; found &= found - 1 {
			j := 64*from + byteAt(found)
			e := longStep(binary.LittleEndian.Uint64(in[j : j+8]))
			s.steps[j%atOnce] = e
			seen |= e
		}
		s.longTags = s.longTags || seen&ofGroups != 0
	}
}

// mostLong is how many fields in a window may be longer than what is short.
const mostLong = 12

// anyLong reports whether there is anything for lookFurther.
func anyLong(in *[enough]byte) bool {
	found := uint64(0)
	for i := 0; i < atOnce; i += 8 {
		_, long := longAt(in, i)
		found |= long
	}
	return found != 0
}

// longAt returns eight bytes, and the highest bit of each that looks as if it were the first one of a field with more
// bytes than look looks at before its end is known: two of these three go on.
func longAt(in *[enough]byte, i int) (w, long uint64) {
	w = binary.LittleEndian.Uint64(in[i : i+8])
	second, third := binary.LittleEndian.Uint64(in[i+1:i+9]), binary.LittleEndian.Uint64(in[i+2:i+10])
	has := ^((w | w>>2) << 7) // a varint follows the tag
	return w, (w&second | (w^second)&third&has) & goesOn
}

// byteAt returns which byte the lowest bit is that lookFurther has found.
func byteAt(found uint64) int {
	at := bits.TrailingZeros64(found)
	return at>>3&7 | at&7<<3
}

// longStep returns the step that eight bytes say, if they do.
func longStep(w uint64) step {
	last := w&goesOn ^ goesOn                // of varints
	stop := last & (last - ((w|w>>2)&1 ^ 1)) // that of the value or length, if the type has one, else of the tag
	said := w &^ goesOn
	tag := said & (last ^ (last - 1))
	length := said & (stop ^ (stop - 1)) >> (bits.TrailingZeros64(last) & 63) >> 1 & -(w >> 1 & 1)
	start := step(bits.TrailingZeros64(stop)>>3 + 1)
	e := longSteps[byte(w&0x7f|-(tag>>8)>>56&0x80)] + start*(1+ofBefore) + step(length)
	if tag>>tagLimit|length>>7 != 0 {
		e = notShort
	}
	if stop == 0 {
		e = notShort
	}
	return e
}

// longSteps has what stepOfTag says by the first byte, and whether there are more bits than it has.
var longSteps = func() (out [256]step) {
	for i := range out {
		num := i >> 3 & 15
		if i >= 0x80 {
			num = len(parts[0])
		}
		out[i] = stepOfTag(num, protowire.Type(i&7))
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

// chase goes through fields at one level, whose uses these are, up to a limit, from where it has stopped before. It
// returns how many bytes it has passed, and how many fields that count, and tags of groups, and how many groups are open
// then, which is negative.
func (s *window) chase(uses *[64]use, limit int, depth int32, i int, n, g uint) (int, uint, uint, int32) {
	for uint(i) < atOnce {
		e := s.steps[i]
		u := uses[uint32(e.class())|uint32(depth)>>26&32]
		next := i + int(e&0xff)
		if (e|isForNext)&step(u) != 0 || next > limit {
			break
		}
		s.fields[n%atOnce] = uint16(i) | uint16(u&whatCounts)
		s.groups[g%atOnce] = uint16(i)
		n += uint(u>>32&1 | u>>48&1)
		g += uint(e / ofGroups & 1)
		depth -= int32(e<<1) >> 30
		i = next
	}
	return i, n, g, depth
}

// chaseLevels is chase at any level. It stops at groups. Of counts, these are fields of which the last one counts; and
// above 16 bits, transactions. It returns where the content ends, too, and the metadata or signer.
func (s *window) chaseLevels(data, inner, i int, counts uint64) (_, _, _ int, _ uint64) {
	for uint(i) < atOnce {
		e := s.steps[i]
		size := int(e & 0xff)
		if uint(data-i-1) < uint(size-1) || uint(inner-i-1) < uint(size-1) { // it begins within, and ends behind
			break
		}
		within, left := (i-data)>>sign, (i-inner)>>sign // negative in a content; in metadata or a signer
		u := levelUses[uint8(e.class())|uint8(within)&(inData<<6)|uint8(left)&(inInner<<6)]
		if (e|isForNext)&step(u) != 0 {
			break
		}
		next := i + size
		f := uint16(i) | uint16(u&whatCounts)
		s.fields[counts%atOnce] = f
		s.txs[counts>>16%atOnce] = f
		counts += uint64(u >> 32)
		data += (next - data) & int(int64(u)>>63)
		inner += (next - inner) & int(int64(u<<1)>>63)
		i += int(e >> (e >> (uint(9+within+4*left) & 31) & 16) & 0xff) // by its size, or to the fields in it
	}
	return data, inner, i, counts
}

// further finds the step at i, if look and lookFurther have not. It reports whether it has.
func (s *window) further(in *[enough]byte, i int) bool {
	if i >= atOnce || s.steps[i].class() != notShort {
		return false
	}
	if e := longStep(binary.LittleEndian.Uint64(in[i : i+8])); e.class() != notShort {
		s.steps[i] = e
		s.longTags = s.longTags || e&ofGroups != 0
		return true
	}
	num, typ, size := protowire.ConsumeTag(in[i:])
	e := stepOfTag(int(num), typ)
	if e == notShort { // or it is no tag, which has no number
		return false
	}
	if typ == protowire.VarintType || typ == protowire.BytesType {
		value, n := protowire.ConsumeVarint(in[i+size:])
		if n < 0 || typ == protowire.BytesType && value >= 0x80 {
			return false
		}
		if size += n; typ == protowire.BytesType {
			e += step(value)
		}
	}
	s.steps[i] = e + step(size)*(1+ofBefore)
	s.tired += size
	s.longTags = s.longTags || e&ofGroups != 0
	return true
}

// count does what is to be done with fields that count, and were passed at a level from an offset on.
func (p *place) count(fields []uint16, level, from int, in *[enough]byte, out []byte) (o int, err error) {
	if level != inData {
		return 0, p.note(fields, from, in)
	}
	p.txs += len(fields)
	return p.window.write(fields, in, (*[enough]byte)(out)), nil
}

// tire has a way passed over if further has found most of what it has passed.
func (p *place) tire(way int) {
	if p.window.tired > atOnce/2 {
		p.patience[way] = impatient
	}
}

// take is count at any level.
func (p *place) take(fields, txs []uint16, from int, in *[enough]byte, out []byte) (o int, err error) {
	if err := p.note(fields, from, in); err != nil {
		return 0, err
	}
	p.txs += len(txs)
	return p.window.write(txs, in, (*[enough]byte)(out)), nil
}

// where returns where a field begins, its bytes, and how many these are.
func (s *window) where(f uint16) (i, start, length uint32) {
	i = uint32(f % atOnce)
	e := uint32(s.steps[i])
	before := e / ofBefore & 31
	return i, i + before, e&0xff - before
}

// write writes transactions to out.
func (s *window) write(fields []uint16, in *[enough]byte, out *[enough]byte) (o int) {
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
func (p *place) note(fields []uint16, from int, in *[enough]byte) error {
	odd := uint64(0)
	for _, f := range fields {
		i, start, length := p.window.where(f)
		what := uint32(f >> 8 & 15)
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
func (p *place) checkTexts(fields []uint16, in *[enough]byte) error {
	n := uint(0)
	for _, f := range fields {
		_, start, length := p.window.where(f)
		fields[n] = f
		odd := notASCIIIn(uint32(f>>8&15), binary.LittleEndian.Uint64(in[start:start+8]), length)
		n += uint((odd | -odd) >> 63)
	}
	for _, f := range fields[:n] {
		if _, start, length := p.window.where(f); !utf8.Valid(in[start : start+length]) {
			return fmt.Errorf("field %d: %w", metadataChainID, errUTF8)
		}
	}
	return nil
}

// follow takes tags that groups begin and end with, at these offsets, of this level or that which is there. That one
// ends where none is open the caller has ruled out. The steps are of no use after it.
func (p *place) follow(offsets []uint16, in *[enough]byte, level int) error {
	if len(offsets) == 0 {
		return nil
	}
	tags := p.window.steps[:len(offsets)]
	if p.window.longTags {
		for i, at := range offsets {
			tags[i] = step(longTag(in, at%atOnce))
		}
	} else {
		for i, at := range offsets {
			tags[i] = step(shortTag(in, at%atOnce))
		}
	}
	depth, most, open, wrong, outer := p.depth, 0, p.open, uint32(0), p.groups.level
	for i := range tags {
		tag := uint32(tags[i])
		at := level | int(offsets[i]>>ofLevel)
		outer ^= (outer ^ at) & ((depth - 1) >> sign) // if none is open
		ends := tag >> 2 & 1
		wrong |= (open[depth]^tag^endsGroup)&-ends | uint32(outer^at)
		open[depth+1] = tag
		depth += 1 - 2*int(ends)
		most = max(most, depth)
	}
	switch {
	case wrong != 0:
		return errGroupEnd
	case most > maxOpen:
		return errGroups
	}
	p.depth, p.groups.level = depth, outer
	return nil
}

// shortTag returns the tag of one byte or two that is at an offset.
func shortTag(in *[enough]byte, at uint16) uint32 {
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

// longTag returns the tag of any size that is at an offset.
func longTag(in *[enough]byte, at uint16) uint32 {
	w := binary.LittleEndian.Uint64(in[int(at) : int(at)+8])
	last := w&goesOn ^ goesOn
	return packTag(w &^ goesOn & (last ^ (last - 1)))
}
