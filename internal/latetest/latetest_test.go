package latetest

import (
	"testing"
	"time"
)

// A process that stood still was late by as much, once; and what was before a time does not count after it.
func TestMeter(t *testing.T) {
	m := New(t)
	m.Stop()
	m.wakes = nil
	began := time.Now()
	for i, by := range []time.Duration{3, 1, 2} {
		m.wakes = append(m.wakes, wake{began.Add(time.Duration(i) * time.Minute), by * time.Second})
	}
	for _, c := range []struct {
		since        time.Time
		worst, total time.Duration
	}{
		{began.Add(-time.Second), 3 * time.Second, 6 * time.Second},
		{began, 2 * time.Second, 3 * time.Second},
		{began.Add(90 * time.Second), 2 * time.Second, 2 * time.Second},
		{began.Add(time.Hour / 2), 0, 0},
	} {
		if worst, total := m.Worst(c.since), m.Total(c.since); worst != c.worst || total != c.total {
			t.Errorf("since %s: got %s and %s in all, want %s and %s", c.since.Sub(began), worst, total, c.worst, c.total)
		}
	}
	m.Stop() // again
}

// It looks until it is stopped, each step.
func TestMeterLooks(t *testing.T) {
	m, began := New(t), time.Now()
	for m.Total(began) == 0 { // a timer is never early, and most often a little late
		time.Sleep(step) // what is measured
	}
	m.Stop()
	if worst, took := m.Worst(began), time.Since(began); worst <= 0 || worst > took {
		t.Errorf("got %s late within %s", worst, took)
	}
}
