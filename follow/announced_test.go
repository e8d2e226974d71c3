package follow

import (
	"testing"
	"time"
)

// A head that there was never, or is not any more, hides no other one.
func TestAnnouncedInVain(t *testing.T) {
	var a Announced
	now := time.Unix(1_800_000_000, 0)
	a.Note(5, now)
	a.Note(1<<53-1, now) // a lie
	a.Note(6, now.Add(time.Second))
	a.Note(6, now.Add(time.Minute)) // again: the first counts
	if got := a.Applied(5); !got.Equal(now) {
		t.Errorf("5 was announced at %v, want %v", got, now)
	}
	if got := a.Applied(6); !got.Equal(now.Add(time.Second)) {
		t.Errorf("6 was announced at %v, want %v", got, now.Add(time.Second))
	}
}

// What is announced and never applied, as of a node that stands, is kept within a bound: the oldest of it.
func TestAnnouncedIsBounded(t *testing.T) {
	var a Announced
	now := time.Unix(1_800_000_000, 0)
	for i := range uint64(100_000) {
		a.Note(1+i, now.Add(time.Duration(i)*time.Second))
	}
	if len(a.queue) > keepAnnounced {
		t.Errorf("%d announcements are kept, want at most %d", len(a.queue), keepAnnounced)
	}
	if got := a.Waiting(); !got.Equal(now) {
		t.Errorf("it waits since %v, want %v", got, now)
	}
}
