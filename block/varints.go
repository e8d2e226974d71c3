package block

import (
	"encoding/binary"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
)

// varints say of the varint that would begin at each byte what it takes to pass it. So a field is passed by two of them,
// its tag and its value or length, in as much time whether these have one byte each or ten.
type varints struct {
	sizes  [known + 1]uint8 // how many bytes it has, up to 72
	values [known + 1]uint8 // its lowest seven bits; and the highest one is set if there are more
	heads  [atOnce]uint8    // how many bytes it has as a tag, with another one behind it that it is passed with
	kinds  [atOnce]uint8    // the type that the last one of these says; and isPair, or isEmpty
	short  bool             // all have two bytes at most
	pairs  bool             // tags of groups are passed with what is behind them
	single int              // in how many windows that is passed over, since there were few
}

// Beside a type.
const (
	isPair  = 1 << 3 // another tag is before it: of one byte, that a group begins with; or a group ends with both
	isEmpty = 1 << 4 // it is the tag of a group with nothing in it, which is passed with it

	beginsEmpty = 6 // both, of the second one of a pair: no type
)

// known is how many bytes are looked at: of who begins in the first atOnce the tag and what follows it has ended before,
// or is too long.
const known = atOnce + 24

// A means is what a tag means, at a level, in a group or in none:
//
//	bits 0-7   which bits of the length that follows it count as that of fields that are in it
//	bit 15     it is for next
//	bit 32     it is the tag of a group
//	bit 40     the last one counts
//	bit 48     it is a transaction
//	bits 52-53 how many more groups are open after it: 1, 0 or -1
//	bits 56-59 what it is, if the last one counts
//	bit 62     it is no metadata and no signer
//	bit 63     it is no content
type means uint64

const (
	closed    = 1 << 8 // beside a tag's value: its group is empty
	meansNext = 1 << 15
	eachMark  = 1<<16 | 1<<8 | 1
	firstMark = 32
	ofWhat    = 56
	isInGroup = 4 // beside the level
)

// forms has what a kind says:
//
//	bits 0-7   which bits of the size of the varint that follows it count: none if there is none
//	bits 8-15  likewise of its value, if that is a length
//	bit 16     the second one of a pair is marked, too: it is the tag of a group
//	bits 18-19 how many more groups are open after that one: 1, 0 or -1
//	bits 24-27 how many bytes it has behind these
var forms = func() (out [2 * isEmpty]uint32) {
	for _, pair := range []int{0, isPair} {
		out[pair|int(protowire.VarintType)] = 0x7f
		out[pair|int(protowire.BytesType)] = 0xff_7f
		out[pair|int(protowire.Fixed32Type)] = 4 << 24
		out[pair|int(protowire.Fixed64Type)] = 8 << 24
	}
	out[isPair|begins] = 1<<16 | 1<<18
	out[isPair|ends] = 1<<16 | 3<<18
	out[isEmpty|begins], out[isPair|beginsEmpty] = 1<<24, 1<<24
	return out
}()

// allMeans has the means of each tag, by its value in varints, by whether it is empty, and then by level.
var allMeans = func() (out [2 * closed * 2 * isInGroup]means) {
	for i := range out {
		tag := i / (2 * isInGroup)
		num := tag >> 3 & 15
		if tag&0x80 != 0 {
			num = len(parts[0])
		}
		out[i] = meansOf(num, protowire.Type(tag&7), i%isInGroup, i&isInGroup != 0) ^ 3<<62
		if tag&closed != 0 && out[i]&meansNext == 0 {
			out[i] = 3 << 62
		}
	}
	return out
}()

func meansOf(num int, typ protowire.Type, level int, inGroup bool) (m means) {
	what := foreign
	if !inGroup && num < len(parts[0]) {
		what = parts[level][num]
	}
	switch typ {
	case protowire.StartGroupType:
		m = 1<<52 | 1<<firstMark
	case protowire.EndGroupType:
		m = 3<<52 | 1<<firstMark
	}
	switch {
	case num == 0, typ > protowire.Fixed32Type, typ == protowire.EndGroupType && !inGroup, what != foreign && typ != what.typ():
		return meansNext
	case what == foreign:
		return m
	case what == contentPart:
		return 0xff | 1<<63
	case what == nestedPart:
		return 0xff | 1<<62
	case what == txPart:
		return 1 << (firstMark + 16)
	}
	return 1<<(firstMark+8) | means(what)<<ofWhat
}

// look finds them, eight at a time. No group is empty where all of them are to be followed.
func (v *varints) look(in *[enough]byte, followed bool) {
	empties, long := uint64(goesOn), uint64(0)
	if followed {
		empties = 0
	}
	size, value := uint64(0), uint64(0) // of the byte behind these eight
	for i := known - 8; i >= 0; i -= 8 {
		w := binary.LittleEndian.Uint64(in[i : i+8])
		goes := w & goesOn
		one := goes<<1 - goes>>7 // all bits of each byte that goes on; then if so many from there on do
		two := one & (one >> 8)
		four := two & (two >> 16)
		all := ^(^uint64(0) >> (bits.LeadingZeros64(goes^goesOn) &^ 7)) // to the eighth

		sizes := eachByte + eachByte>>8&one
		sizes += sizes >> 16 & two
		sizes += sizes >> 32 & four
		sizes += size * eachByte & all
		long |= sizes + eachByte*(0x80-3)

		rest := w &^ goesOn
		more := (rest + sevenBits) >> 8 & goes
		more |= more >> 8 & goes
		more |= more >> 16 & two
		more |= more >> 32 & four
		more |= (value + 0xff) >> 8 * goesOn & all
		values := rest | more
		binary.LittleEndian.PutUint64(v.sizes[i:i+8], sizes)
		binary.LittleEndian.PutUint64(v.values[i:i+8], values)
		if i < atOnce {
			next := binary.LittleEndian.Uint64(in[i+1 : i+9])
			other := w ^ next ^ eachByte*(begins^ends) | (w^eachByte*begins)&(eachByte*0x87) // 0 if it begins, and ends next
			empty := zeroBytes(other) & empties
			binary.LittleEndian.PutUint64(v.heads[i:i+8], sizes)
			binary.LittleEndian.PutUint64(v.kinds[i:i+8], w&(eachByte*7)|empty>>3)
		}
		size, value = min(sizes&0xff, 64), values&0xff // of more than ten no more is said
	}
	v.short = long&goesOn == 0
}

// pair finds tags of one byte that are passed with the one behind them: a group begins with them, or one ends with each of
// the two. So few steps are shorter than two bytes where most are tags. The last byte has none behind it here. It returns
// how many it has found.
func (v *varints) pair(in *[enough]byte) (n int) {
	behind := uint64(0) // the kinds of the bytes behind these eight
	for i := atOnce - 8; i >= 0; i -= 8 {
		w, kind := binary.LittleEndian.Uint64(in[i:i+8]), binary.LittleEndian.Uint64(v.kinds[i:i+8])
		other := kind>>8 | behind<<56
		behind = kind
		number := binary.LittleEndian.Uint64(v.values[i+1 : i+9])
		both := (kind ^ eachByte*ends) | (other ^ eachByte*ends) // 0 if both end groups
		found := (zeroBytes(kind^eachByte*begins) | zeroBytes(both)) &^ w
		found &= number&(eachByte*0x78) + eachByte*0x78 | number // the other one has a number, and a type
		found &^= other & (other << 1) << 5
		found &= goesOn
		n += bits.OnesCount64(found)
		one := found >> 7
		all := one<<8 - one // bits of these bytes
		size := binary.LittleEndian.Uint64(v.sizes[i+1:i+9])&all + one
		head := binary.LittleEndian.Uint64(v.sizes[i : i+8])
		binary.LittleEndian.PutUint64(v.heads[i:i+8], head&^all+size)
		other = other&(eachByte*7) ^ other>>4&eachByte*(begins^beginsEmpty)
		binary.LittleEndian.PutUint64(v.kinds[i:i+8], kind&^all|other&all|one*isPair)
	}
	const last = atOnce - 1
	v.heads[last], v.kinds[last] = v.sizes[last], in[last]&7
	return n
}

const (
	eachByte  = 0x0101_0101_0101_0101
	sevenBits = goesOn - eachByte
	begins    = uint64(protowire.StartGroupType)
	ends      = uint64(protowire.EndGroupType)
)

// zeroBytes returns the highest bit of each byte of x that is 0.
func zeroBytes(x uint64) uint64 { return ^(x&sevenBits + sevenBits | x) & goesOn }

const (
	mostSingle = atOnce / 6  // how many tags of groups there may be in a window before pairs are looked for in the next one
	fewPairs   = atOnce / 16 // how many pairs are worth less than to look for them
)

// fields passes fields of any kind, at whatever level, and groups.
func (p *place) fields(out, b []byte) (o int, err error) {
	p.room()
	if p.window.varints == nil { // most blobs need none
		p.window.varints = new(varints)
	}
	from, in, v := p.at, (*[enough]byte)(b[p.at:]), p.window.varints
	v.look(in, p.depth+atOnce > maxOpen)
	if v.pairs && v.pair(in) < fewPairs {
		v.single = impatient
	}
	data, inner, depth, i, marked := p.data-from, p.inner-from, -p.depth, 0, uint(0)
	for more := true; more; more = depth == 0 && enter(in, len(b)-from, &data, &inner, &i) {
		data, inner, depth, i, marked = p.window.chaseVarints(data, inner, depth, i, marked)
	}
	p.at, p.data, p.inner = from+i, from+data, from+inner
	p.window.longTags = !v.short
	fields, txs, groups := p.window.fields[:marked>>8&0xff], p.window.txs[:marked>>16], p.window.groups[:marked&0xff]
	v.single = max(v.single-1, 0)
	v.pairs = v.single == 0 && len(groups) > mostSingle
	p.window.step(fields)
	p.window.step(txs)
	if o, err = p.take(fields, txs, from, in, out); err != nil {
		return o, err
	}
	return o, p.follow(groups, in, 0)
}

// enter goes on in the field at i if it has fields in it and is long, in no group. It reports whether it has.
func enter(in *[enough]byte, limit int, data, inner, i *int) bool {
	if *i >= atOnce || *i < *inner { // where no field has others in it
		return false
	}
	level := 0
	if *i < *data {
		limit, level = *data, inData
	}
	num, typ, size := protowire.ConsumeTag(in[*i:])
	if size < 0 || typ != protowire.BytesType || int(num) >= len(parts[level]) {
		return false
	}
	length, n := protowire.ConsumeVarint(in[*i+size:])
	start := *i + size + n
	if n < 0 || start > limit || length > uint64(limit-start) {
		return false
	}
	switch parts[level][num] {
	case contentPart:
		*data = start + int(length)
	case nestedPart:
		*inner = start + int(length)
	default:
		return false
	}
	*i = start
	return true
}

// chaseVarints is chaseLevels by the varints, and does not stop at groups. Each eight bits of marked are tags of groups,
// fields of which the last one counts, and transactions.
func (s *window) chaseVarints(data, inner, depth, i int, marked uint) (_, _, _, _ int, _ uint) {
	v := s.varints
	within, left := i-data, i-inner // negative in a content; in metadata or a signer
	for uint(i) < atOnce {
		kind, said, tag := uint(v.kinds[i]), uint(v.values[i]), uint(v.heads[i])
		form := uint(forms[kind%(2*isEmpty)])
		j := i + int(tag)
		size, value := uint(v.sizes[j])&form, uint(v.values[j])
		length := value & (form >> 8)
		passed := int(tag + size + form>>24 + length)
		level := uint(within)>>sign + uint(left)>>sign*inInner + uint(depth)>>sign*isInGroup
		u := allMeans[level+(said|kind&isEmpty*(closed/isEmpty))*(2*isInGroup)]
		f := uint16(i) | uint16(u>>(ofWhat-8)&whatCounts) | uint16(level<<ofLevel)
		s.fields[marked>>8%atOnce], s.txs[marked>>16%atOnce] = f, f
		s.groups[marked%atOnce] = f
		s.groups[(marked+1)%atOnce] = f + 1
		if (tag+0x7f-4)|(size+0x7f-9)|length|uint(u)&meansNext >= 0x80 && v.odd(i, j, size, length|uint(u)&meansNext) {
			break
		}
		behind, out, after := within+passed, left+passed, depth-int(int64(u<<10)>>62)-int(int32(form<<12)>>30)
		if -behind&within|-out&left|-after < 0 { // it begins within, and ends behind; or ends a group that is not open
			break
		}
		marked += uint(u>>firstMark)&eachMark + form>>16&1
		back := int(value & uint(u&0xff)) // to where the fields in it begin
		within = behind&int(int64(u)>>63) - back
		left = out&int(int64(u<<1)>>63) - back
		depth = after
		i += passed - back
	}
	return i - within, i - left, depth, i, marked
}

// odd reports whether a tag has too many bytes, or bits, likewise what follows it, or any of the rest does.
func (v *varints) odd(i, j int, size, rest uint) bool {
	i += int(v.kinds[i] / isPair & 1)
	tag := j - i
	return rest >= 0x80 || tag > 4 && (tag > 10 || v.values[i+4] >= 0x40) || size > 9 && (size > 10 || v.values[j+9] > 1)
}

// step writes down the steps of fields that are no groups, and have no fields in them.
func (s *window) step(fields []uint16) {
	v := s.varints
	for _, f := range fields {
		i := f % atOnce
		j := i + uint16(v.sizes[i])
		before := step(v.sizes[i]) + step(v.sizes[j])
		s.steps[i] = before*(1+ofBefore) + step(v.values[j]&-(v.values[i]>>1&1))
	}
}
