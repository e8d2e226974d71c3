package block

import (
	"encoding/binary"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
)

// varints say of the varint that would begin at each byte what it takes to pass it. So a field is passed by two of them,
// its tag and its value or length, in as much time whether these have one byte each or ten.
type varints struct {
	sizes  [known + 1]uint8 // how many bytes it has, up to 72; and empty if it would be the tag of a group with nothing in it
	values [known + 1]uint8 // its lowest seven bits; and the highest one is set if there are more
	plain  bool             // all have one byte
}

// known is how many bytes are looked at: of who begins in the first atOnce the tag and what follows it has ended before,
// or is too long.
const known = atOnce + 24

// A means is what a tag means, at a level, in a group or in none:
//
//	bits 0-7   which bits of the size of the varint that follows it count: none if there is none
//	bits 8-15  likewise of its value, if that is a length
//	bits 16-23 likewise, if no fields are in what is so long
//	bits 24-27 how many bytes its number has, if that is of fixed size
//	bits 28-29 how many more groups are open after it: 1, 0 or -1
//	bit 31     it is for next
//	bit 32     the last one counts
//	bit 40     it is a transaction
//	bit 48     it is the tag of a group
//	bits 56-59 what it is, if the last one counts
//	bit 62     it is metadata or a signer
//	bit 63     it is a content
type means uint64

const (
	empty     = 0x80 // beside the size of a tag: its group has nothing in it, and is passed with it
	meansNext = 1 << 31
	grouped   = 1 << 8  // beside a tag's value: it is in a group
	ofRow     = 9       // where the level is, beside it
	closed    = 1 << 11 // it is empty
)

// allMeans has the means of each tag, by its value in varints.
var allMeans = func() (out [2 * closed]means) {
	for i := range out {
		num, foreigner := i>>3&15, i&0x80 != 0
		if foreigner {
			num = len(parts[0])
		}
		out[i] = meansOf(num, protowire.Type(i&7), i>>ofRow&3, i&grouped != 0)
		if i&closed != 0 && out[i] != meansNext {
			out[i] = 1 << 24
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
	case protowire.VarintType:
		m = 0x7f
	case protowire.BytesType:
		m = 0xff_ff_7f
	case protowire.Fixed32Type:
		m = 4 << 24
	case protowire.Fixed64Type:
		m = 8 << 24
	case protowire.StartGroupType:
		m = 1<<28 | 1<<48
	case protowire.EndGroupType:
		m = 3<<28 | 1<<48
	}
	switch {
	case num == 0, typ > protowire.Fixed32Type, typ == protowire.EndGroupType && !inGroup, what != foreign && typ != what.typ():
		return meansNext
	case what == foreign:
		return m
	case what == contentPart:
		return m&^0xff_00_00 | 1<<63
	case what == nestedPart:
		return m&^0xff_00_00 | 1<<62
	case what == txPart:
		return m | 1<<40
	}
	return m | 1<<32 | means(what)<<56
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
		long |= goes
		one := goes<<1 - goes>>7 // all bits of each byte that goes on; then if so many from there on do
		two := one & (one >> 8)
		four := two & (two >> 16)
		all := ^(^uint64(0) >> (bits.LeadingZeros64(goes^goesOn) &^ 7)) // to the eighth

		sizes := eachByte + eachByte>>8&one
		sizes += sizes >> 16 & two
		sizes += sizes >> 32 & four
		sizes += size * eachByte & all
		size = min(sizes&0xff, 64) // of more than ten no more is said

		rest := w &^ goesOn
		more := (rest + sevenBits) >> 8 & goes
		more |= more >> 8 & goes
		more |= more >> 16 & two
		more |= more >> 32 & four
		more |= (value + 0xff) >> 8 * goesOn & all
		value = (rest | more) & 0xff

		next := binary.LittleEndian.Uint64(in[i+1 : i+9])
		other := w ^ next ^ eachByte*(begins^ends) | (w^eachByte*begins)&(eachByte*0x87) // 0 if it begins, and ends next
		sizes |= ^(other&sevenBits + sevenBits | other) & empties
		binary.LittleEndian.PutUint64(v.sizes[i:i+8], sizes)
		binary.LittleEndian.PutUint64(v.values[i:i+8], rest|more)
	}
	v.plain = long == 0
}

const (
	eachByte  = 0x0101_0101_0101_0101
	sevenBits = goesOn - eachByte
	begins    = uint64(protowire.StartGroupType)
	ends      = uint64(protowire.EndGroupType)
)

// fields passes fields of any kind, at whatever level, and groups.
func (p *place) fields(out, b []byte) (o int, err error) {
	p.room()
	from, in := p.at, (*[enough]byte)(b[p.at:])
	p.window.varints.look(in, p.depth+atOnce > maxOpen)
	data, inner, depth, i, counts := p.data-from, p.inner-from, -p.depth, 0, uint64(0)
	for more := true; more; more = depth == 0 && enter(in, len(b)-from, &data, &inner, &i) {
		data, inner, depth, i, counts = p.window.chaseVarints(data, inner, depth, i, counts)
	}
	p.at, p.data, p.inner = from+i, from+data, from+inner
	fields, txs, groups := p.window.fields[:counts&0xff], p.window.txs[:counts>>8&0xff], p.window.groups[:counts>>16&0xff]
	p.window.longTags = !p.window.varints.plain
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

// chaseVarints is chaseLevels by the varints, and does not stop at groups. Each eight bits of counts are fields of which
// the last one counts, transactions, and tags of groups.
func (s *window) chaseVarints(data, inner, depth, i int, counts uint64) (_, _, _, _ int, _ uint64) {
	v := &s.varints
	for uint(i) < atOnce {
		tag := uint(v.sizes[i])
		j := i + int(tag&^empty)
		within, left := (i-data)>>sign, (i-inner)>>sign // negative in a content; in metadata or a signer
		level := uint(within)&(inData<<ofRow) | uint(left)&(inInner<<ofRow)
		u := allMeans[uint(v.values[i])|tag&empty*(closed/empty)|uint(depth)>>(sign-8)&grouped|level]
		size, value := uint(v.sizes[j])&uint(u), uint(v.values[j])
		length, passed := value&uint(u>>8), value&uint(u>>16)
		start := j + int(u>>24&0xf) + int(size)
		next := start + int(length)
		if (data-next)&within|(inner-next)&left < 0 || length >= 0x80 || u&meansNext != 0 {
			break
		}
		if j > i+4 && (j > i+10 || v.values[i+4] >= 0x40) { // its tag has too many bytes, or bits
			break
		}
		if size > 9 && (size > 10 || v.values[j+9] > 1) { // likewise what follows it
			break
		}
		f := uint16(i) | uint16(u>>48&whatCounts)
		s.fields[counts%atOnce] = f
		s.txs[counts>>8%atOnce] = f
		s.groups[counts>>16%atOnce] = uint16(i) | uint16(level<<(ofLevel-ofRow))
		counts += uint64(u >> 32)
		data += (next - data) & int(int64(u)>>63)
		inner += (next - inner) & int(int64(u<<1)>>63)
		depth -= int(int32(u<<2) >> 30)
		i = start + int(passed)
	}
	return data, inner, depth, i, counts
}

// step writes down the steps of fields that are no groups, and have no fields in them.
func (s *window) step(fields []uint16) {
	v := &s.varints
	for _, f := range fields {
		i := f % atOnce
		j := i + uint16(v.sizes[i])
		before := step(v.sizes[i]) + step(v.sizes[j]&^empty)
		s.steps[i] = before*(1+ofBefore) + step(v.values[j]&-(v.values[i]>>1&1))
	}
}
