package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// walk passes fields by a window, in loops one after another:
//
//   - look finds for each byte how long a field would be that began there, by the two bytes or three that say it, or by
//     all of them where they are more: none of these waits for another
//   - chase goes from field to field at one level, which is one load and one addition for each, and writes down where
//     those begin that count, those with fields in them, and tags of groups
//   - what counts is counted, and the groups are followed
//   - the same is done for the fields in others: for all of the window at once, which are one chain for this, with steps
//     from the end of what they are in to the next
//
// So there is little that has to wait for what is before it, and each loop has few enough values for the registers. None
// has a branch that depends on what a field is, as long as it is not long.

// A step is what the first bytes of a field say:
//
//	bits 0-8   its size
//	bits 9-10  what the third byte adds
//	bits 14-15 it is for next, if one is set
//	bits 17-21 how many bytes are before those that its length says
//	bits 25-26 how many groups less are open after it: 1, 0 or -1
//	bits 27-31 its class
type step uint32

const (
	sizes     = 0x1ff
	ofThird   = 1 << 9
	ofThirds  = (thirds - 1) * ofThird
	isForNext = 3 << 14
	isLong    = 1 << 14 // the lower bit of isForNext
	ofBefore  = 1 << 17
	ofGroups  = 1 << 25
	ofClass   = 1 << 27
)

func (e step) class() step { return e / ofClass }

// What the third byte of a field is.
const (
	nothing    = iota
	numberOf   // the number, or its rest, begins there
	sizeOf     // the length begins there
	restOfSize // the length goes on there
	thirds     // how many there are
)

// The classes of the fields with a number: so many for those that have no meaning anywhere, and then for each that has.
const (
	number     = iota // a varint
	bytesOf           // bytes
	fixed             // a number of fixed size, or a group with nothing in it
	groupBegin        // the tag that a group begins with
	ofNumber          // how many there are

	notShort = 0 // the class of what is not passed here
	numbers  = 1 // the first class of a field with a number
	groupEnd = numbers + 5*ofNumber
	between  = groupEnd // and the level: what is between the end of a field with fields of that level, and those in the next
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
		if size == 2 || second >= 0x80 {
			out += numberOf * ofThird
		}
	case protowire.BytesType:
		switch {
		case size == 2:
			return out + 1 + ofBefore + sizeOf*ofThird
		case second >= 0x80:
			return out + 2*(1+ofBefore) + step(second&0x7f) + restOfSize*ofThird
		}
		out += 1 + ofBefore + step(second)
	case protowire.StartGroupType:
		if size == 1 && second == first+1 { // it ends with nothing in it
			out -= (groupBegin-fixed)*ofClass + 3*ofGroups - 1
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
		return of + bytesOf*ofClass
	case protowire.Fixed32Type:
		return of + fixed*ofClass + 4
	case protowire.Fixed64Type:
		return of + fixed*ofClass + 8
	case protowire.StartGroupType:
		return of + groupBegin*ofClass + 3*ofGroups
	}
	return groupEnd*ofClass + 1*ofGroups
}

// A use is what a class of fields is for.
type use struct {
	// bits 8-11 what it is, if the last one counts
	// bits 14-15 it is for next, if one is set
	said step
	adds uint32 // to a tally
}

const whatCounts = 0xf00 // what is written down of a use

// uses has the use of each class, by level, and whether it is in a group.
var uses = func() (out [4][64]use) {
	for level := range out {
		for i := range out[level] {
			out[level][i] = useOf(level, i&31, i&32 != 0)
		}
	}
	return out
}()

func useOf(level, class int, inGroup bool) (u use) {
	forNext := use{said: isForNext}
	switch {
	case class == groupEnd && inGroup:
		return use{adds: isGroupTag}
	case class == between+level && level > 0 && !inGroup:
		return use{adds: isBetween}
	case class == notShort, class >= groupEnd:
		return forNext
	}
	num, what := (class-numbers)/ofNumber, foreign
	if !inGroup {
		what = parts[level][num]
	}
	kind := (class - numbers) % ofNumber
	if kind == groupBegin {
		u.adds = isGroupTag
	}
	switch {
	case what == foreign:
		return u
	case kind >= fixed, (kind == number) != (what.typ() == protowire.VarintType):
		return forNext
	case what == contentPart, what == nestedPart:
		return use{adds: hasFields}
	case what == txPart:
		return use{adds: counts}
	}
	return use{adds: counts, said: step(what) << 8}
}

// A tally is what chase has passed: eight bits each for fields that count, fields with fields in them, and what is
// between; and the rest for tags of groups, of which there can be as many as bytes.
type tally uint64

const (
	counts     = 1
	hasFields  = 1 << 8
	isBetween  = 1 << 16
	isGroupTag = 1 << 24
)

func (t tally) fields() uint { return uint(t & 0xff) }
func (t tally) nests() uint  { return uint(t >> 8 & 0xff) }
func (t tally) between() int { return int(t >> 16 & 0xff) }
func (t tally) groups() uint { return uint(t >> 24) }

// A nest is a field with fields in it: where it is in the window, above its step.
type nest uint64

// span returns where the fields in it begin and end.
func (n nest) span() (start, end uint32) {
	at := uint32(n>>32) % atOnce
	return at + uint32(n)/ofBefore&31, at + uint32(n)&sizes
}

// A window is what is known of the next atOnce bytes.
type window struct {
	steps    [atOnce]step   // for each byte
	fields   [atOnce]uint16 // which count: where each begins, and whatCounts of its use
	groups   [atOnce]uint16 // where their tags are
	nests    [atOnce]nest   // the metadata or signers; and before these are found, all
	contents [atOnce]nest
	codes    [enough]byte
	at, left [atOnce]uint8
	tags     ones // which may be of more than two bytes
	coded    bool // codes are of this window, and what they do not say has not been looked at
	further  bool // there may be tags of more than two bytes
}

// walk passes fields at whatever level, and groups.
func (p *place) walk(out, b []byte) (o int, err error) {
	if p.room(); p.window == nil { // most blobs need none
		p.window = new(window)
	}
	w := walker{place: p, in: (*[enough]byte)(b[p.at:]), out: (*[enough]byte)(out), from: p.at}
	p.window.look(w.in)
	for {
		limit, level := p.level(b)
		if p.depth > 0 && level != p.groups.level {
			return w.o, nil
		}
		if err := w.run(level, limit-w.from); err != nil {
			return w.o, err
		}
		if p.at-w.from >= atOnce || p.at == len(b) || p.depth > 0 || p.at < limit && !p.enter(b) {
			return w.o, nil
		}
	}
}

// A walker is what walk works with.
type walker struct {
	*place
	in, out *[enough]byte
	o, from int // how much is written to out, and where the window begins
}

// run passes fields at a level, up to where what they are in ends in the window, and what is in them. It stops at what
// is for next or enter.
func (w *walker) run(level, limit int) error {
	s, start := w.window, w.at-w.from
	i, t, _ := w.pass(level, start, min(limit, atOnce), w.depth)
	if i > limit {
		return io.ErrUnexpectedEOF
	}
	w.at = w.from + i
	err := w.count(level, t)
	if err != nil {
		return err
	}
	tags := s.groups[:t.groups()]
	if w.depth+atOnce > maxOpen && s.tooDeep(tags, w.in, start, i, w.depth) {
		return errGroups
	}
	if w.depth, err = w.follow(tags, w.in, w.depth); err != nil {
		return err
	}
	if w.depth > 0 {
		w.groups.level = level
	}
	nests := s.nests[:t.nests()]
	if level == inData {
		return w.inside(nests, inData|inInner)
	}
	signers, contents := 0, 0
	for _, n := range nests {
		isSigner := int(step(n).class() / (numbers + signedSigner*ofNumber))
		s.contents[contents%atOnce], nests[signers] = n, n
		signers += isSigner
		contents += 1 - isSigner
	}
	if err := w.inside(nests[:signers], inInner); err != nil {
		return err
	}
	return w.inside(s.contents[:contents], inData)
}

// pass passes fields at a level, from i up to an end, where so many groups are open. It returns where it has stopped,
// what it has passed, and how many groups are open then.
func (w *walker) pass(level, i, end, open int) (int, tally, int) {
	s, t, depth := w.window, tally(0), -int32(open)
	for more := true; more; more = i < end && s.lookAgain(w.in, i) {
		if level < inInner {
			i, t, depth = s.chase(&uses[level], end, i, t, depth)
		} else {
			i, t, depth = s.chaseLeaves(&uses[level&3], end, i, t, depth)
		}
	}
	return i, t, -int(depth)
}

var errBroken = errors.New("a field is not whole, or is of another type")

// inside passes the fields in nests, at their level. These are short: what cannot be passed there is an error.
func (w *walker) inside(nests []nest, level int) error {
	if len(nests) == 0 {
		return nil
	}
	s, gap := w.window, step(between+level)*ofClass
	start, stop := nests[0].span()
	for _, n := range nests[1:] {
		next, end := n.span()
		s.steps[stop%atOnce] = gap + step(next-stop)
		stop = end
	}
	limit := int(stop)
	end := min(limit, atOnce)
	i, t, open := w.pass(level, int(start), end, 0)
	switch {
	case i < end:
		return fmt.Errorf("at %d: %w", w.from+i, errBroken)
	case i > limit, t.between() != len(nests)-1, open > 0 && i == limit:
		return io.ErrUnexpectedEOF // one has passed the end of what it is in
	}
	if err := w.count(level, t); err != nil {
		return err
	}
	after, err := w.follow(s.groups[:t.groups()], w.in, w.depth)
	if err != nil {
		return err
	}
	if level == inData {
		w.data = max(w.data, w.from+limit)
	} else {
		w.inner = max(w.inner, w.from+limit)
	}
	if i < limit { // it goes on behind the window
		w.at, w.depth, w.groups.level = w.from+i, after, level
	}
	return w.inside(s.nests[:t.nests()], level|inInner)
}

// enter begins with the fields of the long one that is next, if there are.
func (p *place) enter(b []byte) bool {
	limit, level := p.level(b)
	if level >= inInner {
		return false
	}
	num, typ, size := protowire.ConsumeTag(b[p.at:limit])
	if size < 0 || typ != protowire.BytesType || int(num) >= len(parts[level]) {
		return false
	}
	what := parts[level][num]
	length, n := protowire.ConsumeVarint(b[p.at+size : limit])
	start := p.at + size + n
	if n < 0 || length > uint64(limit-start) {
		return false
	}
	switch what {
	case contentPart:
		p.data = start + int(length)
	case nestedPart:
		p.inner = start + int(length)
	default:
		return false
	}
	p.at = start
	return true
}

// chase goes through fields at one level, whose uses these are, up to an end, from where it has stopped before. It
// returns where it has stopped, what it has passed, and how many groups are open then, which is negative.
func (s *window) chase(uses *[64]use, end, i int, t tally, depth int32) (int, tally, int32) {
	steps := s.steps[:end]
	_ = uses[0] // it is not nil
	for uint(i) < uint(len(steps)) {
		e := steps[i]
		u := &uses[uint32(e.class())|uint32(depth)>>26&32]
		said := u.said
		if (e|said)&isForNext != 0 {
			break
		}
		s.fields[t%atOnce] = uint16(i) | uint16(said&whatCounts)
		s.groups[t>>24%atOnce] = uint16(i)
		s.nests[t>>8%atOnce] = nest(i)<<32 | nest(e)
		t += tally(u.adds)
		depth += int32(e<<5) >> 30
		i += int(e & sizes)
	}
	return i, t, depth
}

// chaseLeaves is chase where no field has others in it.
func (s *window) chaseLeaves(uses *[64]use, end, i int, t tally, depth int32) (int, tally, int32) {
	steps := s.steps[:end]
	_ = uses[0]
	for uint(i) < uint(len(steps)) {
		e := steps[i]
		u := &uses[uint32(e.class())|uint32(depth)>>26&32]
		said := u.said
		if (e|said)&isForNext != 0 {
			break
		}
		s.fields[t%atOnce] = uint16(i) | uint16(said&whatCounts)
		s.groups[t>>24%atOnce] = uint16(i)
		t += tally(u.adds)
		depth += int32(e<<5) >> 30
		i += int(e & sizes)
	}
	return i, t, depth
}

// count does what is to be done with fields that count, and were passed at a level.
func (w *walker) count(level int, t tally) error {
	fields := w.window.fields[:t.fields()]
	if level != inData {
		return w.note(fields, w.from, w.in)
	}
	w.txs += len(fields)
	w.o = w.window.write(fields, w.in, w.out, w.o)
	return nil
}

// where returns where a field begins, its bytes, and how many these are.
func (s *window) where(f uint16) (i, start, length uint32) {
	i = uint32(f % atOnce)
	e := uint32(s.steps[i])
	before := e / ofBefore & 31
	return i, i + before, e&sizes - before
}

// write writes transactions to out, behind what is there. It returns how much is there then.
func (s *window) write(fields []uint16, in, out *[enough]byte, o int) int {
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

// follow takes tags that groups begin and end with, at these offsets, of one level, where so many groups are open. It
// returns how many are open then. That one ends where none is open the caller has ruled out.
func (p *place) follow(offsets []uint16, in *[enough]byte, depth int) (int, error) {
	open, wrong, long := p.open, uint32(0), p.window.further
	for _, at := range offsets {
		tag := shortTag(in, at%atOnce)
		if long {
			tag = longTag(in, at%atOnce)
		}
		ends := tag >> 2 & 1
		wrong |= (open[depth] ^ tag ^ endsGroup) & -ends
		open[depth+1] = tag
		depth += 1 - 2*int(ends)
	}
	if wrong != 0 {
		return 0, errGroupEnd
	}
	return depth, nil
}

// tooDeep reports whether more groups than maxOpen are open at once, among what was passed from i up to an end: by
// these tags, or by a group with nothing in it, which is passed as one field.
func (s *window) tooDeep(offsets []uint16, in *[enough]byte, i, end, depth int) bool {
	for k := 0; ; k++ {
		to := end
		if k < len(offsets) {
			to = int(offsets[k])
		}
		for ; depth == maxOpen && i < to; i += int(s.steps[i%atOnce] & sizes) {
			if protowire.Type(in[i]&7) == protowire.StartGroupType {
				return true
			}
		}
		if k == len(offsets) {
			return false
		}
		if depth += 1 - 2*int(in[to]>>2&1); depth > maxOpen {
			return true
		}
		i = to + int(s.steps[to%atOnce]&sizes)
	}
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
