package celestia

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestFlow: the window grows while answers are quick, shrinks when they are slow, and never lets more be in flight than its limit.
func TestFlow(t *testing.T) {
	f := newFlow(64, 0)
	for range 200 {
		if err := f.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.release(time.Millisecond, 0)
	}
	if f.window != 64 {
		t.Errorf("after quick answers: window %d, want 64", f.window)
	}
	for range 200 {
		if err := f.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.release(time.Second, 0)
	}
	if f.window != firstWindow {
		t.Errorf("after slow answers: window %d, want %d", f.window, firstWindow)
	}
}

// TestFlowBytes: over the bytes no request starts, and answers that were under way are forgotten, until there is room again (I6).
func TestFlowBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlow(8, 100)
		for range 8 {
			if err := f.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		kept := 0
		for range 8 {
			if f.release(time.Millisecond, 90) {
				kept++
			}
		}
		if kept != 2 {
			t.Errorf("of eight answers of 90 bytes with 100 allowed: kept %d, want 2", kept)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("over the bytes: got %v, want to wait", err)
		}
		go f.delivered(90)
		if err := f.acquire(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
