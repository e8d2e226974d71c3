package celestia

import (
	"testing"

	"headrace/da"
	"headrace/follow"
)

// TestShelf: what is left is given by height, within the bound, and what is of another fork is not.
func TestShelf(t *testing.T) {
	s := shelf{limit: 100}
	left := func(height uint64, fork byte, size int) leftover {
		return leftover{height: height, hash: follow.Hash{byte(height), fork}, size: size}
	}
	s.put([]leftover{left(9, 0, 40), left(5, 0, 40), left(7, 0, 40)})
	got := s.take(6)
	if len(got) != 1 || got[0].height != 7 {
		t.Fatalf("from 6 on: got %+v, want 7 alone: 9 is beyond the bound", got)
	}
	if got := s.take(0); len(got) != 0 {
		t.Fatalf("taken: got %+v again", got)
	}

	f := &fetching{flow: newFlow(8, 100), left: []leftover{left(5, 0, 10), left(6, 1, 20), left(7, 0, 30)}}
	for _, l := range f.left {
		f.flow.hold(l.size)
	}
	at := func(height uint64) *head {
		h := &head{hash: follow.Hash{byte(height), 0}}
		h.Height = height
		return h
	}
	if _, ok := f.take(at(6)); ok {
		t.Error("what was left of another fork was taken")
	}
	if l, ok := f.take(at(7)); !ok || l.size != 30 {
		t.Errorf("got %+v, %t, want what was left", l, ok)
	}
	if f.flow.bytes != 30 || f.flow.early != 0 {
		t.Errorf("%d bytes are held, %d of them early; want those of height 7 alone", f.flow.bytes, f.flow.early)
	}
}

// TestShelfPieces: pieces go to who asks for the very block, and the lowest height's stay.
func TestShelfPieces(t *testing.T) {
	var s shelf
	p := s.takePieces(7, follow.Hash{7})
	p.done[da.Namespace{}] = nil
	s.putPieces(p)
	if got := s.takePieces(7, follow.Hash{8}); len(got.done) != 0 {
		t.Error("pieces of another fork were given")
	}
	s.putPieces(newPieces(9, follow.Hash{9}))
	if got := s.takePieces(7, follow.Hash{7}); got != p {
		t.Error("pieces of a higher height took the place of a lower one's")
	}
	s.putPieces(p)
	s.passed(7)
	if got := s.takePieces(7, follow.Hash{7}); got == p {
		t.Error("pieces of a height that was delivered are still there")
	}
}
