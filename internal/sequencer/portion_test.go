package sequencer

import (
	"testing"
	"time"
)

// TestPortion: a size that was tried again and fared as badly as before stays away for as long as one that was refused.
func TestPortion(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	p := portion{most: 1000, limit: 1000}
	fail := func() {
		p.unknown(1, 10, 1000, now)
		p.unknown(1, 10, 1000, now)
	}
	fail()
	if p.limit != 500 {
		t.Fatalf("got a limit of %d after an unknown outcome that repeated, want 500", p.limit)
	}
	p.posted(now) // it may have been an outage: the size is tried again
	if p.limit != 1000 {
		t.Fatalf("got a limit of %d after half was posted, want 1000", p.limit)
	}
	fail()
	for range 10 {
		p.posted(now)
	}
	if p.limit != 500 {
		t.Errorf("got a limit of %d, want 500: the larger size has failed twice", p.limit)
	}
	p.posted(now.Add(wall))
	if p.limit != 1000 {
		t.Errorf("got a limit of %d after %s, want 1000", p.limit, wall)
	}
}
