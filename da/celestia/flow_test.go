package celestia

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestFlow: the window grows while answers are quick, shrinks when they are slow, and never lets more be in flight
// than its limit.
func TestFlow(t *testing.T) {
	f := newFlow(64, 0)
	for range 200 {
		if _, err := f.acquire(t.Context(), extent{}); err != nil {
			t.Fatal(err)
		}
		f.release(time.Millisecond, extent{}, 0, 0)
	}
	if f.window != 64 {
		t.Errorf("after quick answers: window %d, want 64", f.window)
	}
	for range 200 {
		if _, err := f.acquire(t.Context(), extent{}); err != nil {
			t.Fatal(err)
		}
		f.release(time.Second, extent{}, 0, 0)
	}
	if f.window != firstWindow {
		t.Errorf("after slow answers: window %d, want %d", f.window, firstWindow)
	}
}

// TestFlowBytes: over the bytes no request starts, and answers that were under way are forgotten, until there is room
// again (I6).
func TestFlowBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlow(8, 100)
		for range 8 {
			if _, err := f.acquire(t.Context(), extent{}); err != nil {
				t.Fatal(err)
			}
		}
		kept := 0
		for range 8 {
			if f.release(time.Millisecond, extent{}, 0, 90) {
				kept++
			}
		}
		if kept != 2 {
			t.Errorf("of eight answers of 90 bytes with 100 allowed: kept %d, want 2", kept)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.acquire(ctx, extent{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("over the bytes: got %v, want to wait", err)
		}
		go f.delivered(90)
		if _, err := f.acquire(t.Context(), extent{}); err != nil {
			t.Error(err)
		}
	})
}

// TestFlowInFlight: the bytes that answers in flight are expected to have are bounded, by what the roots tell and by
// what answers had lately. One request is always let through, and an answer beyond all bounds comes alone.
func TestFlowInFlight(t *testing.T) {
	f := newFlow(64, 32<<20)
	start := func(x extent) (expected int, ok bool) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // what has to wait does not
		expected, err := f.acquire(ctx, x)
		return expected, err == nil
	}
	big := extent{3 << 20, 4 << 20}
	expected, ok := start(big)
	if !ok || expected != 4<<20 {
		t.Fatalf("the first: expected %d, started %t; want that it may have all it can", expected, ok)
	}
	if _, ok := start(big); ok {
		t.Error("a second one of 4 MiB started, with 4 MiB in flight")
	}
	f.release(time.Second, big, expected, 3<<20)
	f.delivered(3 << 20)
	var small []int
	for range 40 { // answers had nothing of what they may have: more and more are let through
		x := extent{0, 1 << 20}
		for {
			expected, ok := start(x)
			if !ok {
				break
			}
			small = append(small, expected)
		}
		for _, expected := range small {
			f.release(time.Millisecond, x, expected, 100)
			f.delivered(100)
		}
		if n := len(small); n == 64 {
			break
		}
		small = nil
	}
	if len(small) != 64 {
		t.Errorf("%d small answers are in flight at a time, want 64", len(small))
	}
	if expected, ok = start(extent{}); !ok {
		t.Fatal("nothing is in flight, and nothing may be")
	}
	if _, ok := start(extent{100 << 20, 100 << 20}); ok {
		t.Error("an answer beyond all bounds started beside another one")
	}
	f.release(time.Millisecond, extent{}, expected, 10)
	if _, ok := start(extent{100 << 20, 100 << 20}); ok {
		t.Error("an answer beyond all bounds started while another one waits")
	}
	f.delivered(10)
	if _, ok := start(extent{100 << 20, 100 << 20}); !ok {
		t.Error("an answer beyond all bounds cannot start alone")
	}
}
