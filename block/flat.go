package block

import (
	"encoding/binary"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
)

// A kind is what the first byte of a field says, at a level:
//
//	bits 0-8    what its length is less than here; 0 if it is for next
//	bits 24-27  what it is, if it counts
//	bit 31      it counts: as the last one of its part, or as a transaction
//	bit 32      it has fields in it
//	bits 58-59  how many more groups are open after it: 1, 0 or -1
//	bits 60-63  how many bytes it has, if it is a number of fixed size
type kind uint64

const nested = 1 << 32

// deeper returns how many more groups are open.
func (k kind) deeper() int { return int(int64(k<<4) >> 62) }

// flatKinds has what each first byte says: at each level, in no group and in one, and if what follows it in the tag has
// bits, and if not.
var flatKinds = func() (out [4][2 << 9]kind) {
	for level := range out {
		for i := range out[level] {
			num := i >> 3 & 15
			if i&(padded|0x80) == 0x80 {
				num = 15 // it is more, which is as foreign
			}
			out[level][i] = kindOf(level, i>>9 != 0, num, protowire.Type(i&7))
			if i&0x80 != 0 && out[level][i]&nested != 0 {
				out[level][i] = 0
			}
		}
	}
	return out
}()

func kindOf(level int, inGroup bool, num int, typ protowire.Type) kind {
	what := foreign
	if !inGroup && num < len(parts[0]) {
		what = parts[level][num]
	}
	k := kind(0x80)
	switch typ {
	case protowire.Fixed32Type:
		k |= 4 << 60
	case protowire.Fixed64Type:
		k |= 8 << 60
	case protowire.StartGroupType:
		k |= 1 << 58
	case protowire.EndGroupType:
		k |= 3 << 58
	}
	switch {
	case num == 0, typ > protowire.Fixed32Type, typ == protowire.EndGroupType && !inGroup, what != foreign && typ != what.typ():
		return 0
	case what == foreign:
		return k
	case what == contentPart, what == nestedPart:
		return k | nested
	case what == txPart:
		return k | 1<<31
	}
	return k | 1<<31 | kind(what)<<24
}

// flat passes fields at one level, and groups there, whose tag has four bytes at most, and with the value or length eight.
func (p *place) flat(out, b []byte) (o int, err error) {
	p.room()
	limit, level := p.level(b)
	from, in := p.at, (*[enough]byte)(b[p.at:])
	i, n, g, third := p.window.chaseLong(in, &flatKinds[level&3], limit-from, p.depth)
	p.at += i
	if o, err = p.count(p.window.fields[:n], level, from, in, out); err != nil {
		return o, err
	}
	p.window.longTags = third != 0
	return o, p.follow(p.window.groups[:g], in, level)
}

// chaseLong is chase for flat. Here each field waits for what the one before says. It returns, too, which bits of tags
// there may be behind two bytes.
func (s *window) chaseLong(in *[enough]byte, table *[2 << 9]kind, limit, depth int) (i int, n, g uint, third uint64) {
	depth = -depth
	for uint(i) < atOnce {
		w := binary.LittleEndian.Uint64(in[i : i+8])
		row := uint(w&0xff) | uint(uint64(depth)>>54&0x200)
		k := table[row]
		last := w&goesOn ^ goesOn                // of varints
		stop := last & (last - ((w|w>>2)&1 ^ 1)) // that of the value or length, if the type has one, else of the tag
		if stop == 0 || uint32(last) == 0 {      // the number could be none
			break
		}
		start := i + bits.TrailingZeros64(stop)>>3 + 1
		said := w &^ goesOn
		tag := said & (last ^ (last - 1))
		value := said & (stop ^ (stop - 1)) >> ((bits.TrailingZeros32(uint32(last)) + 1) & 63)
		length := value & -(w >> 1 & 1)
		what := table[row|uint((uint64(tag&^0xff)-1)>>55&padded)]
		end := start + int(length) + int(k>>60)
		if length >= uint64(what&0x1ff) || what&nested != 0 || end > limit {
			break
		}
		third |= (last ^ (last - 1)) >> 16
		s.groups[g%atOnce] = uint16(i)
		s.steps[i] = step(end-i) | step(start-i)*ofBefore
		s.fields[n%atOnce] = uint16(i) | uint16(what>>16&whatCounts)
		n += uint(what) >> 31 & 1
		d := k.deeper()
		g += uint(d & 1)
		depth -= d
		i = end
	}
	return i, n, g, third
}
