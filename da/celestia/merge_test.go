package celestia

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"headrace/da"
	"headrace/internal/square"
)

// told writes merged heights like "5", or "5!" for one without its blobs.
func told(ms []merged) []string {
	var out []string
	for _, m := range ms {
		if m.complete {
			out = append(out, fmt.Sprint(m.height))
		} else {
			out = append(out, fmt.Sprint(m.height, "!"))
		}
	}
	return out
}

func at(height uint64) event {
	return event{height: height, header: &square.Header{Height: height}}
}

// TestMerger: each step is an event of a namespace at a height, and what it settles.
func TestMerger(t *testing.T) {
	type step struct {
		ns     int
		height uint64
		want   []string
	}
	for name, steps := range map[string][]step{
		"side by side":                {{0, 5, nil}, {1, 5, []string{"5"}}, {1, 6, nil}, {0, 6, []string{"6"}}},
		"one runs ahead":              {{0, 5, nil}, {0, 6, nil}, {0, 7, nil}, {1, 5, []string{"5"}}, {1, 6, []string{"6"}}, {1, 7, []string{"7"}}},
		"one skips a height":          {{0, 5, nil}, {0, 6, nil}, {1, 6, []string{"5!", "6"}}},
		"both skip":                   {{0, 5, nil}, {1, 5, []string{"5"}}, {0, 9, nil}, {1, 9, []string{"9"}}},
		"one begins later":            {{0, 5, nil}, {0, 6, nil}, {1, 7, []string{"5!", "6!"}}, {0, 7, []string{"7"}}},
		"twice":                       {{0, 5, nil}, {0, 5, nil}, {1, 5, []string{"5"}}, {1, 5, nil}, {0, 5, nil}},
		"out of order":                {{0, 6, nil}, {0, 5, nil}, {1, 5, []string{"5!"}}, {1, 6, []string{"6"}}},
		"head goes back":              {{0, 9, nil}, {1, 9, []string{"9"}}, {0, 5, nil}, {0, 6, nil}, {0, 7, nil}, {1, 5, []string{"5!"}}, {1, 7, []string{"7"}}},
		"late by one is no step back": {{0, 9, nil}, {1, 9, []string{"9"}}, {0, 8, nil}, {0, 10, nil}, {0, 9, nil}, {1, 10, []string{"10"}}},
	} {
		m := newMerger(2)
		for i, s := range steps {
			if got := told(m.add(s.ns, at(s.height), time.Time{})); !slices.Equal(got, s.want) {
				t.Errorf("%s: step %d: got %v, want %v", name, i, got, s.want)
			}
		}
		if m.bytes != 0 {
			t.Errorf("%s: %d bytes are left", name, m.bytes)
		}
	}
}

// TestMergerNeverMixes: whatever is left out, repeated or late, a height told as complete has each namespace's blobs of that height (I7), and
// what waits is bounded (I6).
func TestMergerNeverMixes(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := newMerger(3)
		var next [3]uint64
		for range 2000 {
			i := rng.IntN(3)
			h := next[i] + 1
			switch rng.IntN(20) {
			case 0:
				h += uint64(rng.IntN(5))
			case 1:
				h -= min(h-1, uint64(rng.IntN(5)))
			case 2:
				continue
			}
			next[i] = max(h, next[i])
			e := at(h)
			e.blobs = []da.Blob{{Namespace: da.Namespace{28: byte(i)}, Data: fmt.Appendf(nil, "%d/%d", i, h)}}
			for _, got := range m.add(i, e, time.Time{}) {
				if !got.complete {
					continue
				}
				if len(got.blobs) != 3 {
					t.Fatalf("seed %d: height %d has %d blobs", seed, got.height, len(got.blobs))
				}
				for j, b := range got.blobs {
					if want := fmt.Sprintf("%d/%d", j, got.height); string(b.Data) != want {
						t.Fatalf("seed %d: height %d has %s in the place of %s", seed, got.height, b.Data, want)
					}
				}
			}
			if len(m.heights) > mergeHeights {
				t.Fatalf("seed %d: %d heights wait", seed, len(m.heights))
			}
		}
	}
}

// TestMergerBounds: a namespace that never reports does not make the others' blobs pile up.
func TestMergerBounds(t *testing.T) {
	m := newMerger(2)
	n := 0
	for h := uint64(1); h <= 1000; h++ {
		e := at(h)
		e.blobs = []da.Blob{{Data: make([]byte, 1<<20)}}
		n += len(m.add(0, e, time.Time{}))
		if m.bytes > mergeBytes {
			t.Fatalf("%d bytes wait", m.bytes)
		}
	}
	if n+len(m.heights) != 1000 {
		t.Errorf("%d heights told and %d waiting, want 1000", n, len(m.heights))
	}
}

// TestMergerHold: what waits too long is told without its blobs, once, and with them if they come yet.
func TestMergerHold(t *testing.T) {
	m := newMerger(2)
	start := time.Unix(0, 0)
	m.add(0, at(5), start)
	if got := m.overdue(start.Add(time.Second), 2*time.Second); got != nil {
		t.Errorf("after half the time: told %v", told(got))
	}
	if got := told(m.overdue(start.Add(2*time.Second), 2*time.Second)); !slices.Equal(got, []string{"5!"}) {
		t.Errorf("after the time: told %v", got)
	}
	if got := m.overdue(start.Add(3*time.Second), 2*time.Second); got != nil {
		t.Errorf("again: told %v", told(got))
	}
	if got := told(m.add(1, at(5), start)); !slices.Equal(got, []string{"5"}) {
		t.Errorf("when they come: told %v", got)
	}
}

// TestMergerHeaders: two namespaces that report different headers at one height agree on nothing.
func TestMergerHeaders(t *testing.T) {
	m := newMerger(2)
	m.add(0, at(5), time.Time{})
	other := at(5)
	other.header = &square.Header{Height: 5, ChainID: "another"}
	if got := told(m.add(1, other, time.Time{})); !slices.Equal(got, []string{"5!"}) {
		t.Errorf("told %v", got)
	}
	bad := at(6)
	bad.bad = true
	m.add(0, bad, time.Time{})
	if got := told(m.add(1, at(6), time.Time{})); !slices.Equal(got, []string{"6!"}) {
		t.Errorf("with bad blobs: told %v", got)
	}
}
