package block

import (
	"encoding/binary"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
)

// look finds the steps. Most are what two bytes say, and what a third one adds. Where a number or length does not end
// there, all bytes of the field are looked at: field by field if they are few, else by codes, which say of each byte
// what a varint that began there would add.
func (s *window) look(in *[enough]byte) {
	var longs, tags ones
	before := byte(0)
	for part := range longs {
		longs[part], tags[part] = longOnes((*[64 + ahead]byte)(in[64*part:]), before)
		before = in[64*part+63]
	}
	s.further = tags.count() > 0 // what longOnes leaves out is in a run of bytes that begins with one of these
	if s.coded = longs.count()+tags.count()/2 >= many; s.coded {
		s.tags = tags
		s.code(in)
		s.lookAtThree(in, &s.codes, &thirdCodes)
		return
	}
	s.lookAtThree(in, in, &thirdBytes)
	for part := range tags {
		tags[part] |= longs[part]
	}
	s.lookAt(in, tags)
}

// longOnes returns which of 64 bytes look as if a field began there with a long number or length, and which as if one
// with a tag of more than two bytes did. A byte behind one that goes on is left out, since a field seldom begins
// there, and lookAgain finds those that do. The byte in front of the first is before.
func longOnes(in *[64 + ahead]byte, before byte) (longs, tags uint64) {
	last := uint64(before)
	for i := range 8 {
		w, second, third := binary.LittleEndian.Uint64(in[8*i:]), binary.LittleEndian.Uint64(in[8*i+1:]), binary.LittleEndian.Uint64(in[8*i+2:])
		first := ^(w<<8 | last) & goesOn
		last = w >> 56
		longs |= (w ^ second) & third & hasVarint(w) & first >> 7 << i
		tags |= w & second & first >> 7 << i
	}
	return longs, tags
}

// many is from how many on it is less to look at all bytes: a long number or length counts as one, a long tag as
// half.
const many = 20

// eightAt returns the eight bytes from i on.
func eightAt(in *[enough]byte, i int) uint64 { return binary.LittleEndian.Uint64(in[i : i+8]) }

// hasVarint returns, in the highest bit of each byte, whether a varint follows it if it is a tag: a number or a
// length.
func hasVarint(w uint64) uint64 { return ^(w | w>>2) << 7 & goesOn }

// ones are some of the first atOnce bytes: bit 8*j+i of word k is for byte 64*k+8*i+j.
type ones [atOnce / 64]uint64

func (o *ones) count() (n int) {
	for _, part := range o {
		n += bits.OnesCount64(part)
	}
	return n
}

// list writes the offsets to at. The list is made before it is used, so that the use of one does not wait for the
// search for the next.
func (o *ones) list(at *[atOnce]uint8) []uint8 {
	n := uint(0)
	for part, rest := range o {
		for ; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros64(rest)
			at[n%atOnce] = uint8(part*64 + i>>3 + i&7<<3)
			n++
		}
	}
	return at[:n]
}

// lookAtThree finds the steps by two bytes, and by what adds has for the third: for the byte itself, or for its code.
func (s *window) lookAtThree(in, third *[enough]byte, adds *[thirds * ofThird]step) {
	all, steps := stepsOf, &s.steps
	_, _, _, _, _ = all[0], steps[0], in[0], third[0], adds[0] // none is nil
	for j := 0; j < atOnce; j += 2 {
		a, b := all[binary.LittleEndian.Uint16(in[j:j+2])], all[binary.LittleEndian.Uint16(in[j+1:j+3])]
		steps[j] = a + adds[a&ofThirds+step(third[j+2])]
		steps[j+1] = b + adds[b&ofThirds+step(third[j+3])]
	}
}

// thirdBytes has what a third byte adds to a step, by what it is. A number or length that goes on there is not known
// by it, and neither is a length whose rest is not 0.
var thirdBytes = func() (out [thirds * ofThird]step) {
	for i := range 256 {
		if i >= 0x80 {
			out[sizeOf*ofThird|i], out[numberOf*ofThird|i] = isForNext, isForNext
		} else {
			out[sizeOf*ofThird|i] = step(i)
		}
		if i > 0 {
			out[restOfSize*ofThird|i] = isForNext
		}
	}
	return out
}()

// A code says of a varint that begins at a byte:
//
//	bit 7    it has more bytes; else bits 0-6 are its value
//	bit 6    of these, three at most are looked at, one is not 0
//	bit 5    its first one is not 0
//	bit 4    it has more than four bytes: bits 0-1 and 6 do not say all
//	bits 0-1 how many it has behind the first one
const (
	codeMore         = 0x80
	codeMoreNotZero  = 0x40
	codeFirstNotZero = 0x20
	codeLong         = 0x10
)

// code finds the codes, eight at a time.
func (s *window) code(in *[enough]byte) {
	for i := 0; i < coded; i += 8 {
		w, second, third, fourth := eightAt(in, i), eightAt(in, i+1), eightAt(in, i+2), eightAt(in, i+3)
		one := w & goesOn      // the bytes that go on
		two := one & second    // those that do with the next one
		three := two & third   // with the next two
		four := three & fourth // with the next three
		first, more := (w&sevenBits+sevenBits)&one, second&(one-one>>7)|third&(two-two>>7)|fourth&(three-three>>7)
		more = (more + sevenBits) & goesOn
		all := one<<1 - one>>7 // bits of each byte that goes on
		code := w&^all | one | more>>1 | first>>2 | four>>3 | (one>>7 + two>>7 + three>>7)
		binary.LittleEndian.PutUint64(s.codes[i:i+8], code)
	}
}

// coded is how many bytes have a code: those of the window, and those that are looked at for the fields that begin
// there.
const coded = atOnce + 8

const sevenBits = 0x7f7f_7f7f_7f7f_7f7f

// uncoded returns those whose code does not say all: tags of more than two bytes, numbers and lengths that are too
// long for a code, and tags of two bytes before a long length of more than 0.
func (s *window) uncoded(in *[enough]byte) ones {
	these := s.tags
	for part := range these {
		these[part] |= uncodedOnes((*[64 + ahead]byte)(in[64*part:]), (*[64 + ahead]byte)(s.codes[64*part:]))
	}
	return these
}

func uncodedOnes(in, codes *[64 + ahead]byte) (these uint64) {
	for i := range 8 {
		w, second, code := binary.LittleEndian.Uint64(in[8*i:]), binary.LittleEndian.Uint64(in[8*i+1:]), binary.LittleEndian.Uint64(codes[8*i+2:])
		isBytes := ^w << 7 & (w << 6) & (^w << 5)
		these |= (w ^ second) & code & hasVarint(w) & (code<<3 | w&(code<<1|code<<2)&isBytes) & goesOn >> 7 << i
	}
	return these
}

// codeAdds returns how many bytes a code says there are behind the first one, as a step.
func codeAdds(code int) step { return step(code&3) * (1 + ofBefore) }

// thirdCodes has what a third byte adds by its code.
var thirdCodes = func() (out [thirds * ofThird]step) {
	out = thirdBytes
	for i := codeMore; i < 256; i++ {
		if i&codeLong != 0 {
			continue
		}
		out[numberOf*ofThird|i] = codeAdds(i)
		if i&(codeFirstNotZero|codeMoreNotZero) == 0 {
			out[restOfSize*ofThird|i], out[sizeOf*ofThird|i] = codeAdds(i), codeAdds(i)
		}
	}
	return out
}()

// nextCodes has what follows a tag adds by its code, but for the value of a length. A tag may add isLong: both
// together are still within isForNext.
var nextCodes = func() (out [thirds * ofThird]step) {
	for i := codeMore; i < 256; i++ {
		out[numberOf*ofThird|i], out[sizeOf*ofThird|i] = isForNext-isLong, isForNext-isLong
		if i&codeLong != 0 {
			continue
		}
		out[numberOf*ofThird|i] = codeAdds(i)
		if i&codeMoreNotZero == 0 {
			out[sizeOf*ofThird|i] = codeAdds(i)
		}
	}
	return out
}()

// A tagCode is what the code of a tag says.
type tagCode struct {
	size uint16 // in bytes
	adds step   // for these; isLong alone if it has more than a code says, and then stepAt finds the step
}

var tagCodes = func() (out [256]tagCode) {
	for i := range out {
		out[i] = tagCode{1, 1 + ofBefore}
		if i >= codeMore {
			out[i] = tagCode{1 + uint16(i&3), 1 + ofBefore + codeAdds(i)}
		}
		if i >= codeMore && i&codeLong != 0 {
			out[i].adds = isLong
		}
	}
	return out
}()

// tagSteps has what a tag says by its first seven bits, and above them a bit that is set if it has others. What
// follows it, wherever that is, is said as of a third byte: nextCodes has what it adds.
var tagSteps = func() (out [256]step) {
	for i := range out {
		num, typ := tagOf(i)
		switch out[i] = stepOfTag(num, typ); {
		case out[i] == notShort:
		case typ == protowire.VarintType:
			out[i] += 1 + numberOf*ofThird
		case typ == protowire.BytesType:
			out[i] += 1 + ofBefore + sizeOf*ofThird
		}
	}
	return out
}()

// tagOf returns the number and type of a tag by its first seven bits, and a number of no field if it has others.
func tagOf(bits int) (num int, typ protowire.Type) {
	if num = bits >> 3 & 15; bits >= 0x80 {
		num = len(parts[0])
	}
	return num, protowire.Type(bits & 7)
}

// tagHasMore has in the highest bit whether a tag of more than one byte has others than its first seven bits, by the
// code of its second byte.
var tagHasMore = func() (out [256]uint8) {
	for i := range out {
		if i > 0 && i < codeMore || i&codeMore != 0 && i&(codeFirstNotZero|codeMoreNotZero) != 0 {
			out[i] = 0x80
		}
	}
	return out
}()

// lookAtCodes is lookAt by the codes, where these say all.
func (s *window) lookAtCodes(in *[enough]byte, these ones) {
	left := uint(0)
	for _, at := range these.list(&s.at) {
		i := uint(at)
		tag := &tagCodes[s.codes[i]]
		a := tagSteps[in[i]&0x7f|tagHasMore[s.codes[i+1]]&in[i]]
		next := i + uint(tag.size&7)
		length := step(in[next]&0x7f) & -(a / (sizeOf * ofThird) & 1)
		e := a + tag.adds + nextCodes[a&ofThirds+step(s.codes[next])] + length
		s.steps[i], s.left[left%atOnce] = e, at
		left += uint((e | e<<1) >> 15 & 1) // of isForNext
	}
	s.lookAtEach(in, s.left[:left])
}

// lookAt finds the steps of these, by all bytes of their tags, numbers and lengths.
func (s *window) lookAt(in *[enough]byte, these ones) {
	s.lookAtEach(in, these.list(&s.at))
}

func (s *window) lookAtEach(in *[enough]byte, these []uint8) {
	for _, at := range these {
		s.steps[at] = stepAt(in, uint(at))
	}
}

// stepAt returns the step of the field at i: notShort if that is no field, or one with a length of more than 127.
func stepAt(in *[enough]byte, i uint) step {
	w := eightAt(in, int(i%512))
	tag, size := varintOf(w)
	a := allSteps[atMost(tag)]
	next := eightAt(in, int((i+size)%512))
	value, more := varintOf(next)
	if tag >= 0x40<<32 || w&goesOn == goesOn || next&goesOn == goesOn {
		return longStepAt(in, i)
	}
	length := step(atMost(value)) & step(a>>40)
	e := step(a) + step(size+more&uint(a>>32))*(1+ofBefore) + length
	return e & step(int32(length-0x80)>>31)
}

// varintOf returns the groups of seven bits of the varint that w begins with, each in a byte, and how many these are.
func varintOf(w uint64) (groups uint64, size uint) {
	ends := ^w & goesOn
	return w & (ends ^ (ends - 1)) &^ goesOn, uint(bits.TrailingZeros64(ends)+1) / 8
}

// atMost returns groups of seven bits as one byte: the first one, and 0x80 more if another is not 0.
func atMost(groups uint64) uint8 { return uint8(groups | (groups>>8+(1<<63-1))>>63<<7) }

// longStepAt is stepAt for tags and numbers of more than eight bytes, and for tags of too many bits.
func longStepAt(in *[enough]byte, i uint) step {
	b := in[i%512:]
	num, typ, size := protowire.ConsumeTag(b)
	if size < 0 {
		return notShort
	}
	e := stepOfTag(int(num), typ) + step(size)*(1+ofBefore)
	if typ != protowire.VarintType && typ != protowire.BytesType {
		return e
	}
	value, more := protowire.ConsumeVarint(b[size:])
	if more < 0 || typ == protowire.BytesType && value >= 0x80 {
		return notShort
	}
	if e += step(more) * (1 + ofBefore); typ == protowire.BytesType {
		e += step(value)
	}
	return e
}

// allSteps has what stepOfTag says by the value of a tag; and above it which bits count of the size of what follows
// it, and of its value, if that is a length.
var allSteps = func() (out [256]uint64) {
	for i := range out {
		num, typ := tagOf(i)
		out[i] = uint64(stepOfTag(num, typ))
		switch typ {
		case protowire.VarintType:
			out[i] |= 0x7f << 32
		case protowire.BytesType:
			out[i] |= 0xff7f << 32
		}
	}
	return out
}()

// lookAgain finds the step at i, if it is not known, and with it once in a window all that codes have left open. It
// reports whether the step was not known, and is now.
func (s *window) lookAgain(in *[enough]byte, i int) bool {
	if s.known(i) {
		return false
	}
	if s.coded {
		s.coded = false
		s.lookAtCodes(in, s.uncoded(in))
	}
	if !s.known(i) {
		s.steps[i] = stepAt(in, uint(i))
	}
	return s.known(i)
}

// known reports whether the step at i has been found.
func (s *window) known(i int) bool {
	e := s.steps[i]
	return e.class() != notShort && e&isForNext == 0
}
