package moment_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"headrace/internal/moment"
)

// at returns t as a clock would have it that is off by some days. Its reading of the monotonic clock is that of t.
// It goes by what package time has written of the first word of a Time: below a bit that says that there is such a
// reading, 33 bits of it are the seconds of the wall clock.
func at(t *testing.T, of time.Time, days int) time.Time {
	t.Helper()
	off := of
	*(*uint64)(unsafe.Pointer(&off)) += uint64(days*86400) << 30
	if by := off.Sub(of); by != 0 {
		t.Fatalf("package time has other times by now: the monotonic clock is off by %s", by)
	}
	if by, want := off.Round(0).Sub(of.Round(0)), time.Duration(days)*24*time.Hour; by != want {
		t.Fatalf("package time has other times by now: the clock is off by %s, want %s", by, want)
	}
	return off
}

// However a machine's clock is put, what has passed since is what has passed.
func TestClockThatIsPut(t *testing.T) {
	now := time.Now()
	for _, days := range []int{-365, -1, 0, 1, 365} {
		var l moment.Last
		l.Set(at(t, now, days))
		if by := now.Sub(l.Load()); by != 0 {
			t.Errorf("with a clock that was off by %d days it was %s ago, want 0", days, by)
		}
		if by := at(t, now, -days).Add(time.Minute).Sub(l.Load()); by != time.Minute {
			t.Errorf("with a clock that was off by %d days, and is by %d, it was %s ago a minute later", days, -days, by)
		}
		l.Raise(at(t, now.Add(time.Second), -days))
		l.Raise(at(t, now.Add(-time.Second), days))
		if by := l.Load().Sub(now); by != time.Second {
			t.Errorf("raised by clocks that are off by %d days it is %s later, want a second", days, by)
		}
	}
}

// What is kept is what was given, in a bubble of package synctest, too, which has a time of its own.
func TestLast(t *testing.T) {
	for name, run := range map[string]func(*testing.T, func(*testing.T)){
		"real": func(t *testing.T, f func(*testing.T)) { f(t) }, "in a bubble": synctest.Test,
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T) {
				var l moment.Last
				if at := l.Load(); !at.IsZero() {
					t.Errorf("never was at %s", at)
				}
				now := time.Now()
				l.Raise(now.Add(-time.Hour))
				if at := l.Load(); !at.Equal(now.Add(-time.Hour)) {
					t.Errorf("raised from never it is at %s, want an hour before %s", at, now)
				}
				for _, at := range []time.Time{now, now.Add(time.Hour), now.Add(-time.Hour), now.Round(0)} {
					if l.Set(at); !l.Load().Equal(at) {
						t.Errorf("got %s, want %s", l.Load(), at)
					}
				}
				l.Set(time.Time{})
				if at := l.Load(); !at.IsZero() {
					t.Errorf("never was at %s", at)
				}
				if l.Now(); l.Load().Before(now) {
					t.Errorf("it was at %s, want not before %s", l.Load(), now)
				}
			})
		})
	}
}

// Of many who raise it, the latest wins.
func TestRaise(t *testing.T) {
	var l moment.Last
	now := time.Now()
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for j := range 1000 {
				l.Raise(now.Add(time.Duration(j*8+i) * time.Second))
			}
		})
	}
	work.Wait()
	if by := l.Load().Sub(now); by != 7999*time.Second {
		t.Errorf("raised to %s, want %s", by, 7999*time.Second)
	}
}
