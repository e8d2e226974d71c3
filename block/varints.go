package block

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// varints say of the varint that would begin at each byte what it takes to pass it, however it is encoded: found one
// byte at a time, from behind. So a field is passed by two of them, its tag and its value or length, in as much time
// whether these have one byte each or ten.
type varints struct {
	sizes  [known + 1]uint8 // how many bytes it has
	values [known + 1]uint8 // its lowest seven bits; and the highest one is set if there are more
	plain  bool             // all have one byte
}

// known is how many bytes are looked at: of who begins in the first atOnce the tag and what follows it has ended before,
// or is too long.
const known = atOnce + 21

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
	meansNext = 1 << 31
	grouped   = 1 << 8 // beside a tag's value: it is in a group
	ofRow     = 9      // where the level is, beside it
)

// allMeans has the means of each tag, by its value in varints.
var allMeans = func() (out [4 << ofRow]means) {
	for i := range out {
		num, foreigner := i>>3&15, i&0x80 != 0
		if foreigner {
			num = len(parts[0])
		}
		out[i] = meansOf(num, protowire.Type(i&7), i>>ofRow, i&grouped != 0)
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
		m = 0xff
	case protowire.BytesType:
		m = 0xff_ff_ff
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

// allPlain has sizes that are 1.
var allPlain = func() (out [known + 1]uint8) {
	for i := range out {
		out[i] = 1
	}
	return out
}()

// look finds them.
func (v *varints) look(in *[enough]byte) {
	long := uint64(0)
	for i := 0; i+8 <= known; i += 8 {
		long |= binary.LittleEndian.Uint64(in[i : i+8])
	}
	if v.plain = long&goesOn == 0; v.plain {
		v.values = [known + 1]uint8(in[:])
		v.sizes = allPlain
		return
	}
	size, more := 0, uint8(0)
	for i := known - 1; i >= 0; i-- {
		b := in[i]
		goes := int(int8(b)) >> sign // -1 if it goes on
		size = size&goes + 1
		v.sizes[i] = uint8(size)
		v.values[i] = b & (more | 0x7f)
		more = more&uint8(goes) | (b&0x7f + 0x7f)
	}
}

// fields passes fields of any kind, at whatever level, and groups.
func (p *place) fields(out, b []byte) (o int, err error) {
	p.room()
	from, in := p.at, (*[enough]byte)(b[p.at:])
	p.window.varints.look(in)
	data, inner, depth, i, counts := p.data-from, p.inner-from, -p.depth, 0, uint64(0)
	for more := true; more; more = depth == 0 && enter(in, len(b)-from, &data, &inner, &i) {
		data, inner, depth, i, counts = p.window.chaseVarints(data, inner, depth, i, counts)
	}
	p.at, p.data, p.inner = from+i, from+data, from+inner
	fields, txs, groups := p.window.fields[:counts&0xff], p.window.txs[:counts>>8&0xff], p.window.groups[:counts>>16&0xff]
	p.window.longTags = !p.window.varints.plain
	p.window.step(fields)
	p.window.step(txs)
	return p.take(fields, txs, groups, from, in, out)
}

// chaseVarints is chaseAll by the varints. Each eight bits of counts are fields of which the last one counts,
// transactions, and tags of groups.
func (s *window) chaseVarints(data, inner, depth, i int, counts uint64) (_, _, _, _ int, _ uint64) {
	v := &s.varints
	for uint(i) < atOnce {
		j := i + int(v.sizes[i])
		within, left := (i-data)>>sign, (i-inner)>>sign // negative in a content; in metadata or a signer
		level := uint(within)&(inData<<ofRow) | uint(left)&(inInner<<ofRow)
		u := allMeans[uint(v.values[i])|uint(depth)>>(sign-8)&grouped|level]
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
		before := step(v.sizes[i]) + step(v.sizes[j])
		s.steps[i] = before*(1+ofBefore) + step(v.values[j]&-(v.values[i]>>1&1))
	}
}
