package derive_test

import (
	"bytes"
	"testing"

	"headrace/internal/derive"
)

// FuzzStep posts what the input says: pieces of an honest chain, whole, damaged or in any order, and bytes of any
// kind. Whatever it is, nothing panics, and only the honest chain's blocks come out, in order, from one Deriver as
// from one that is made anew for every item.
//
// Each instruction is a byte: below 0x40, post that blob of the chain; below 0x80, post it with one bit flipped, at
// the place that the next two bytes say; below 0xf0, post the following bytes, as many as the low six bits say; from
// there on, the item is complete.
func FuzzStep(f *testing.F) {
	const n = 6
	c := chain(f, n, 2, 5)
	var honest []blob
	for _, b := range c {
		honest = append(honest, hdr(b.header), hdr(b.plain))
		if b.data != nil {
			honest = append(honest, dat(b.data))
		}
	}
	f.Add([]byte{0, 2, 0xff, 3, 5, 7, 0xff, 8, 10, 0xff, 11, 13, 15})
	f.Add([]byte{15, 13, 11, 0xff, 10, 8, 0xff, 7, 5, 3, 2, 0})
	f.Add([]byte{0x40, 0, 9, 0x42, 1, 0, 0xff, 0x83, 1, 2, 3, 0, 2})
	f.Add(append([]byte{0xbf}, c[0].header...))
	f.Fuzz(func(t *testing.T, program []byte) {
		kept, s := newDeriver(t, config(), derive.State{}), newDisk()
		var posts []blob
		height, derived := uint64(0), 0
		flush := func() {
			height++
			it := item(height, posts...)
			posts = nil
			r := step(t, kept, it)
			s.commit(step(t, newDeriver(t, config(), s.load()), it))
			for _, b := range r.Blocks {
				if want, blk := c[derived], b.Block(); blk.Hash() != want.Hash() || !bytes.Equal(blk.Data.Encode(), want.Data.Encode()) {
					t.Fatalf("got another block %d", derived+1)
				}
				derived++
			}
			if w := kept.Waiting(); len(s.blocks) != derived || w.Headers+w.Data != len(s.halves) || w.Headers+w.Data > len(honest) {
				t.Fatalf("got %d blocks and %d halves stored, %d blocks and %+v in memory", len(s.blocks), len(s.halves), derived, w)
			}
		}
		for len(program) > 0 && height < 64 {
			op := program[0]
			program = program[1:]
			b := honest[int(op&0x3f)%len(honest)]
			switch {
			case op < 0x40:
				posts = append(posts, b)
			case op < 0x80 && len(program) >= 2:
				bit := (int(program[0])<<8 | int(program[1])) % (8 * len(b.data))
				program = program[2:]
				b.data = bytes.Clone(b.data)
				b.data[bit/8] ^= 1 << (bit % 8)
				posts = append(posts, b)
			case op < 0xf0:
				n := min(int(op&0x3f), len(program))
				posts = append(posts, blob{b.ns, program[:n]})
				program = program[n:]
			default:
				flush()
			}
		}
		flush()
	})
}
