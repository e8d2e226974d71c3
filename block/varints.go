package block

import (
	"encoding/binary"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
)

// varints say of the varint that would begin at each byte how many bytes it has, up to 72, and its lowest seven bits; and
// the highest one is set if there are more.
type varints struct {
	sizes, values [256]uint8
}

// known is how many bytes are looked at: of who begins in the first atOnce the tag and what follows it has ended before,
// or is too long.
const known = atOnce + 24

// look finds them, eight at a time.
func (v *varints) look(in *[enough]byte) {
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

		rest := w &^ goesOn
		more := (rest + sevenBits) >> 8 & goes
		more |= more >> 8 & goes
		more |= more >> 16 & two
		more |= more >> 32 & four
		more |= (value + 0xff) >> 8 * goesOn & all
		values := rest | more
		binary.LittleEndian.PutUint64(v.sizes[i:i+8], sizes)
		binary.LittleEndian.PutUint64(v.values[i:i+8], values)
		size, value = min(sizes&0xff, 64), values&0xff // of more than ten no more is said
	}
}

const (
	eachByte  = 0x0101_0101_0101_0101
	sevenBits = goesOn - eachByte
)

// allSteps has what stepOfTag says by the value of a tag; and above it which bits count of the size of what follows it,
// and of its value, if that is a length.
var allSteps = func() (out [256]uint64) {
	for i := range out {
		num := i >> 3 & 15
		if i >= 0x80 {
			num = len(parts[0])
		}
		out[i] = uint64(stepOfTag(num, protowire.Type(i&7)))
		switch protowire.Type(i & 7) {
		case protowire.VarintType:
			out[i] |= 0x7f << 32
		case protowire.BytesType:
			out[i] |= 0xff7f << 32
		}
	}
	return out
}()

// odd reports whether the tag at i, of this size, has too many bytes, or bits, or what follows it at j has.
func (v *varints) odd(i uint, j, tag, size uint32) bool {
	return tag > 4 && (tag > 10 || v.values[i+4] >= 0x40) || size > 9 && (size > 10 || v.values[j+9] > 1)
}
