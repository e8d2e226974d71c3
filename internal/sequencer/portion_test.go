package sequencer

import (
	"testing"
	"time"
)

// A portion that unknown outcomes alone have made smaller is whole again when blocks would be dropped for it; one whose
// size was refused is not.
func TestPortionIsWholeAgain(t *testing.T) {
	now := time.Now()
	p := portion{most: 1000, limit: 1000}
	if p.whole(now) {
		t.Error("nothing had made it smaller")
	}
	for range 2 {
		p.unknown(1, 9, 900, now)
	}
	if p.limit != 450 {
		t.Fatalf("after unknown outcomes: limit %d, want half of what was posted", p.limit)
	}
	if !p.whole(now) || p.limit != 1000 {
		t.Errorf("limit %d, want all", p.limit)
	}
	p.tooBig(900, now)
	if p.whole(now.Add(time.Minute)) || p.limit != 450 {
		t.Errorf("limit %d, want what was learned from a refusal", p.limit)
	}
}
