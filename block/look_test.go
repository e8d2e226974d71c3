package block

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// wantStep returns what a step is to say of the field at i, by protowire alone: its size, how many bytes are before those
// that its length says, and its class. It is false for what is none, or has a length of more than 127.
func wantStep(in []byte, i int) (size, before int, class step, ok bool) {
	num, typ, tag := protowire.ConsumeTag(in[i:])
	if tag < 0 || typ > protowire.Fixed32Type {
		return 0, 0, 0, false
	}
	if int(num) >= len(parts[0]) {
		num = 0
	}
	class = numbers + step(num)*ofNumber
	switch typ {
	case protowire.VarintType:
		_, n := protowire.ConsumeVarint(in[i+tag:])
		return tag + n, tag + n, class + number, n > 0
	case protowire.BytesType:
		length, n := protowire.ConsumeVarint(in[i+tag:])
		return tag + n + int(length&0x7f), tag + n, class + bytesOf, n > 0 && length < 0x80
	case protowire.Fixed32Type:
		return tag + 4, tag, class + fixed, true
	case protowire.Fixed64Type:
		return tag + 8, tag, class + fixed, true
	case protowire.EndGroupType:
		return tag, tag, groupEnd, true
	}
	if tag == 1 && in[i+1] == in[i]+1 {
		return 2, 0, class + fixed, true
	}
	return tag, tag, class + groupBegin, true
}

// randomFields fills in with fields of which more or less have tags, numbers and lengths that are longer than they have to
// be, or with bytes of a few kinds.
func randomFields(r *rand.Rand, in []byte) {
	long, size, soup, nums := r.IntN(101)*r.IntN(2), 1+r.IntN(11), r.IntN(8) == 0, 1+r.IntN(15)
	varint := func(v uint64) []byte {
		b := protowire.AppendVarint(nil, v)
		for r.IntN(100) < long && len(b) < size {
			b = append(b[:len(b)-1], b[len(b)-1]|0x80, 0)
		}
		return b
	}
	var b []byte
	for len(b) < len(in) {
		if soup {
			b = append(b, []byte{0x80, 0, 0x12, 0x92, 0xff, 0x7f, 1, 0x8a, 0x2b, 0xac}[r.IntN(10)])
			continue
		}
		num := []uint64{1, 2, 3, 4, 5, 15, 16, 1 << 11, 1<<14 - 1, 1 << 25, 1 << 29, 1<<31 - 1, 1 << 31, 1 << 57, 0}[r.IntN(nums)]
		typ := uint64(r.IntN(6 + r.IntN(20)/19*2))
		if b = append(b, varint(num<<3|typ)...); typ == uint64(protowire.VarintType) {
			if b = append(b, varint(r.Uint64()>>(63-r.IntN(nums*4)))...); r.IntN(20) == 0 {
				b[len(b)-1] = byte(r.IntN(4))
			}
		} else if typ == uint64(protowire.BytesType) {
			b = append(b, varint([]uint64{0, 0, 1, 2, 60, 126, 127, 128, 129, 1 << 14}[r.IntN(10)])...)
		}
	}
	copy(in, b)
}

// TestSteps: each step that is known says what protowire does; in the end that of each field is known, unless it has a
// length of more than 127; and none is written again. Where tags may have more than two bytes, that is said.
func TestSteps(t *testing.T) {
	s, in := new(window), new([enough]byte) // of which something is left from one trial to the next
	coded := 0
	for seed := range 4000 {
		r := rand.New(rand.NewPCG(uint64(seed), 13))
		randomFields(r, in[:])
		check := func(when string) {
			for i := range atOnce {
				size, before, class, ok := wantStep(in[:], i)
				e := s.steps[i]
				if s.known(i) && (!ok || int(e&sizes) != size || e.class() != class || class%ofNumber == numbers%ofNumber+bytesOf && int(e/ofBefore&31) != before) {
					t.Fatalf("seed %d, %s: got step %#x at %d of % x, want size %d, %d of them before, class %d: %v", seed, when, e, i, in[i:i+24], size, before, class, ok)
				}
				if in[i] >= 0x80 && in[i+1] >= 0x80 && !s.further {
					t.Fatalf("seed %d, %s: long tags are not said to be there, at %d of % x", seed, when, i, in[i:i+24])
				}
			}
		}
		if s.look(in); s.coded {
			coded++
		}
		check("at first")
		first := s.steps
		for _, i := range r.Perm(atOnce) {
			was := s.known(i)
			if again := s.lookAgain(in, i); again && was {
				t.Fatalf("seed %d: got one that is found again, at %d", seed, i)
			}
			if _, _, _, ok := wantStep(in[:], i); s.known(i) != ok {
				t.Fatalf("seed %d: got known: %v, at %d of % x, want %v", seed, !ok, i, in[i:i+24], ok)
			}
		}
		check("in the end")
		for i, e := range first {
			if e.class() != notShort && e&isForNext == 0 && s.steps[i] != e {
				t.Fatalf("seed %d: got step %#x at %d, where it was %#x", seed, s.steps[i], i, e)
			}
		}
	}
	if coded < 500 || coded > 3500 {
		t.Errorf("got %d windows of 4000 with codes, want some with and some without", coded)
	}
}
