package block

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A kind is what the first byte of a field says, at a level:
//
//	bits 0-8    what its length is less than here; 0 if it is for next. With shortKinds: what the second byte is less than
//	bits 16-22  of which bits of its length the bytes belong to it
//	bits 24-27  what it is, if it counts
//	bit 31      it counts: as the last one of its part, or as a transaction
//	bits 32-38  of which bits of its length the bytes are fields, and not passed with it
//	bits 40-42  which end is where its bytes end, if they are fields
//	bits 58-59  how many more groups are open after it: 1, 0 or -1
//	bits 60-63  how many bytes it has beside that. With shortKinds: all but those of its length
type kind uint64

const (
	ofNone = 4 // no end
	ofTx   = kept + 1

	nested = 0x7f << 32
)

// deeper returns how many more groups are open.
func (k kind) deeper() int { return int(int64(k<<4) >> 62) }

// flatKinds has what each first byte says: at each level, in no group and in one, and if what follows it in the tag has
// bits, and if not. shortKinds has it of the fields whose tag and value, or length, have one byte each, but for those
// that have fields in them.
var (
	flatKinds = func() (out [4][2 << 9]kind) {
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
	shortKinds = func() (out [4][2 << 9]kind) {
		for level := range out {
			for i := range out[level] {
				k := flatKinds[level][i]
				switch typ := protowire.Type(i & 7); {
				case k&nested != 0, k == 0:
					continue
				case typ == protowire.VarintType, typ == protowire.BytesType:
					k += 2 << 60
				default:
					k += 1 << 60
					k |= 0x1ff // whatever is next
				}
				out[level][i] = k
			}
		}
		return out
	}()
)

func kindOf(level int, inGroup bool, num int, typ protowire.Type) kind {
	what := foreign
	if !inGroup && num < len(parts[0]) {
		what = parts[level][num]
	}
	k := kind(0x80 | ofNone<<40)
	switch typ {
	case protowire.BytesType:
		k |= 0x7f << 16
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
	case what == contentPart:
		return k&^(ofNone<<40) | nested | inData<<40
	case what == nestedPart:
		return k&^(ofNone<<40) | nested | inInner<<40
	case what == txPart:
		return k&^0x1ff | 7 | 1<<31 | kind(ofTx)<<24
	case what == chainIDPart:
		return k&^0x1ff | 8 | 1<<31 | kind(what)<<24
	}
	return k | 1<<31 | kind(what)<<24
}

// A run is what short, near or flat has passed: so many bytes, fields that count, and tags of groups.
type run struct{ bytes, fields, tags int }

// short, near and flat write down which fields count, and the tags of groups: what is to be done with them is not done
// for the others. They have no branch that depends on what a field is, as long as it is not for others.

// short passes fields at one level, and groups there, whose tag and value, or length, have one byte each.
func (p *place) short(in *[enough + 8]byte, b []byte) run {
	limit, level := p.level(b)
	limit -= p.at
	table, fields, tags := &shortKinds[level&3], &p.fields, &p.tags
	i, n, g, depth := 0, uint(0), uint(0), -p.depth // which is negative
	for uint(i) < atOnce {
		w := uint(binary.LittleEndian.Uint16(in[i : i+2]))
		k := table[w&0x7f|uint(uint64(depth)>>54&0x200)]
		second := kind(w >> 8)
		end := i + int(k>>60) + int(second&(k>>16))
		if second >= k&0x1ff || end > limit || w&0x80 != 0 {
			break
		}
		tags[g%atOnce] = uint32(w & 0xff)
		fields[n%atOnce] = uint32(i)
		n += uint(k) >> 31 & 1
		d := k.deeper()
		g += uint(d & 1)
		depth -= d
		i = end
	}
	p.at += i
	for j, at := range fields[:n] {
		w := uint32(binary.LittleEndian.Uint16(in[at&0xff : at&0xff+2]))
		fields[j] = at + (at+2)<<8 + w>>8<<16 + uint32(table[w&0x7f])&0x0f00_0000
	}
	return run{i, int(n), int(g)}
}

// near is short for tags of two bytes, too.
func (p *place) near(in *[enough + 8]byte, b []byte) run {
	limit, level := p.level(b)
	limit -= p.at
	table, fields, tags := &shortKinds[level&3], &p.fields, &p.tags
	i, n, g, depth := 0, uint(0), uint(0), -p.depth
	for uint(i) < atOnce {
		w := uint(binary.LittleEndian.Uint32(in[i : i+4]))
		two := w >> 7 & 1
		row := w&0xff | uint(uint64(depth)>>54&0x200)
		k := table[row]
		second := w >> ((1 + two) * 8) & 0xff
		start := i + int(k>>60) + int(two)
		end := start + int(kind(second)&(k>>16))
		more := w >> 8 & 0xff & -two // the tag's second byte
		what := table[row|uint((uint64(more)-1)>>55&padded)]
		if kind(second|more&0x80<<2) >= what&0x1ff || end > limit { // too much, if the tag goes on
			break
		}
		tags[g%atOnce] = uint32(w&0x7f | more<<8)
		fields[n%atOnce] = uint32(i) + uint32(start)<<8 + uint32(second)<<16 + uint32(what)&0x0f00_0000
		n += uint(what) >> 31 & 1
		d := k.deeper()
		g += uint(d & 1)
		depth -= d
		i = end
	}
	p.at += i
	return run{i, int(n), int(g)}
}

// flat passes fields at one level, and groups there, whose tag has four bytes at most, and with the value or length eight.
func (p *place) flat(in *[enough + 8]byte, b []byte) run {
	limit, level := p.level(b)
	limit -= p.at
	table, fields, tags := &flatKinds[level&3], &p.fields, &p.tags
	i, n, g, depth := 0, uint(0), uint(0), -p.depth
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
		tags[g%atOnce] = uint32(tag)
		fields[n%atOnce] = uint32(i) + uint32(start)<<8 + uint32(length)<<16 + uint32(what)&0x0f00_0000
		n += uint(what) >> 31 & 1
		d := k.deeper()
		g += uint(d & 1)
		depth -= d
		i = end
	}
	p.at += i
	return run{i, int(n), int(g)}
}

// notText has that for each part that is one.
var notText = [16][8]uint64{chainIDPart: notASCII}

// count does what is to be done with fields that count, and were passed from an offset on. It writes transactions to out.
func (p *place) count(fields []uint32, from int, in *[enough + 8]byte, out []byte) (o int, err error) {
	to, odd, txs := (*[enough]byte)(out), uint64(0), 0
	for _, f := range fields {
		what, start, length := f>>24&15, f>>8&0xff, uint64(f>>16&0xff)
		p.last[what] = from + int(f&0xff) + 1
		payload := binary.LittleEndian.Uint64(in[start : start+8])
		odd |= payload & notText[what][length&7]
		binary.LittleEndian.PutUint64(to[o&(atOnce-1):], uint64(txTag)|length<<8|payload<<16)
		tx := int(what >> 3)
		o += (2 + int(length)) & -tx
		txs += tx
	}
	p.txs += txs
	if odd != 0 {
		err = checkText(fields, in)
	}
	return o, err
}

// checkText looks at each chain id.
func checkText(fields []uint32, in *[enough + 8]byte) error {
	for _, f := range fields {
		if start := f >> 8 & 0xff; part(f>>24) == chainIDPart && !utf8.Valid(in[start:start+f>>16&0x7f]) {
			return fmt.Errorf("field %d: %w", metadataChainID, errUTF8)
		}
	}
	return nil
}
