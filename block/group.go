package block

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// A group is a field without a length: it has its fields between two tags of the same number, and groups in it. Nothing
// of a block is in one, but whoever posts a blob can put millions of them beside what is. So they are passed as other
// fields are, by a loop that has as many numbers at hand as groups are open.

// maxOpen is how many groups can be open at once: as many as protowire follows.
const maxOpen = protowire.DefaultRecursionLimit + 1

var (
	errGroupEnd = errors.New("a group ends that is not open")
	errGroups   = errors.New("too many groups within each other")
)

// groups are those that a place is in.
type groups struct {
	depth int
	level int      // of what the outermost one is in
	open  []uint32 // from 1 to depth: what groupTag says of each
}

// groupTag returns what packTag says of the tag that a group with this number begins with.
func groupTag(num protowire.Number) uint32 {
	tag := protowire.EncodeTag(num, protowire.StartGroupType)
	return packTag(tag&0x7f | tag&(0x7f<<7)<<1 | tag&(0x7f<<14)<<2 | tag&(0x7f<<21)<<3 | tag&(0x7f<<28)<<4)
}

// packTag returns the 34 bits of a tag of a group in 32, from the eight bytes where it is, of which the highest bits are
// not set: those of the fifth byte are where these were, and two with the type, of which two bits are the same.
func packTag(tag uint64) uint32 {
	return uint32(tag) ^ uint32(tag>>32&15)*0x0020_4081&0x0101_0101<<7 ^ uint32(tag>>36)
}

// room makes room for as many groups as there can begin in atOnce bytes.
func (g *groups) room() {
	size := maxOpen + atOnce + 2
	if g.open == nil {
		size = 3 * atOnce
	}
	if len(g.open) < size && len(g.open) < g.depth+atOnce+2 {
		open := make([]uint32, size)
		copy(open, g.open)
		g.open = open
	}
}

// begin is for a group that begins at a level.
func (g *groups) begin(num protowire.Number, level int) {
	g.room()
	if g.depth == 0 {
		g.level = level
	}
	g.depth++
	g.open[g.depth] = groupTag(num)
}

// nextInGroup reads the field at p of the data blob b, where a group is open.
func (p *place) nextInGroup(b []byte) error {
	limit, level := p.level(b)
	num, typ, n := protowire.ConsumeTag(b[p.at:limit])
	switch {
	case level != p.groups.level:
		return fmt.Errorf("group: %w", io.ErrUnexpectedEOF) // it has not ended where what it is in has
	case p.depth > maxOpen:
		return errGroups
	case n < 0:
		return fmt.Errorf("group: %w", protowire.ParseError(n))
	case typ == protowire.StartGroupType:
		p.begin(num, level)
	case typ != protowire.EndGroupType:
		size := protowire.ConsumeFieldValue(num, typ, b[p.at+n:limit])
		if size < 0 {
			return fmt.Errorf("group: field %d: %w", num, protowire.ParseError(size))
		}
		n += size
	case p.open[p.depth] != groupTag(num):
		return fmt.Errorf("field %d: %w", num, errGroupEnd)
	default:
		p.depth--
	}
	p.at += n
	return nil
}

// ended returns an error if a group is open where the blob has ended.
func (g *groups) ended() error {
	if g.depth > 0 {
		return fmt.Errorf("group: %w", io.ErrUnexpectedEOF)
	}
	return nil
}

const endsGroup = uint32(protowire.StartGroupType ^ protowire.EndGroupType)

// onlyTags passes tags of one byte that groups begin and end with, where a group is open, if there is nothing else next.
func (p *place) onlyTags(b []byte) error {
	limit, level := p.level(b)
	if p.depth == 0 || level != p.groups.level {
		return nil
	}
	p.room()
	in, n := b[p.at:min(limit, p.at+atOnce)], 0
	depth, most, open, wrong := p.depth, 0, p.open, uint32(0)
	for ; n < len(in) && depth > 0; n++ {
		tag := uint32(in[n])
		if (tag+1)&0x86 != uint32(protowire.EndGroupType) || tag < 1<<3 { // of one byte, and one of the two types
			break
		}
		ends := -int(tag >> 2 & 1)
		wrong |= (open[depth] ^ tag ^ endsGroup) & uint32(ends)
		open[depth+1] = tag
		depth += 1 + 2*ends
		most = max(most, depth)
	}
	switch {
	case wrong != 0:
		return errGroupEnd
	case most > maxOpen:
		return errGroups
	}
	p.at, p.depth = p.at+n, depth
	return nil
}
