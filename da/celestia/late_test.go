package celestia

import (
	"testing"
	"time"
)

// TestLateness: what waits follows what the endpoint has taken lately, within its bounds, and forgets it.
func TestLateness(t *testing.T) {
	const least, most = 2 * time.Second, 15 * time.Second
	var l lateness
	want := func(what string, d time.Duration) {
		t.Helper()
		if got := l.hold(least, most); got != d {
			t.Errorf("%s: got %s, want %s", what, got, d)
		}
	}
	want("nothing seen", least)
	l.seen(100 * time.Millisecond)
	want("early", least)
	l.seen(4 * time.Second)
	want("late", 6*time.Second)
	l.seen(time.Minute)
	want("too late", most)
	for range 60 {
		l.seen(0)
	}
	want("early again", least)
}

// TestMergerLateness: a height is late by the last of its events, one that had been announced without it too; one that is
// skipped says nothing.
func TestMergerLateness(t *testing.T) {
	start := time.Now()
	m := newMerger(2)
	at := func(i int, height uint64, after time.Duration) (time.Duration, bool) {
		m.add(i, event{height: height}, start.Add(after))
		return m.late()
	}
	if _, ok := at(0, 1, 0); ok {
		t.Error("the first event of a height is not its last")
	}
	if d, ok := at(1, 1, time.Second); !ok || d != time.Second {
		t.Errorf("got %s %t, want a second", d, ok)
	}
	if _, ok := at(1, 1, time.Minute); ok {
		t.Error("a height has been counted again by an event that came twice")
	}
	at(0, 2, 2*time.Second)
	m.overdue(start.Add(3*time.Second), time.Second)
	if d, ok := at(1, 2, 5*time.Second); !ok || d != 3*time.Second {
		t.Errorf("overdue: got %s %t, want three seconds", d, ok)
	}
	at(0, 3, 6*time.Second)
	if _, ok := at(1, 4, 7*time.Second); ok {
		t.Error("a height that never gets its event has been counted")
	}
}
