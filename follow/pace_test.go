package follow_test

import (
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
)

// heads is a part of what a source announces: a height after each wait, so many times, each so many above the last.
type heads struct {
	wait  time.Duration
	up    uint64
	times int
}

// The pace is that of the source, whatever its news does: an outage, a burst after it, missed slots and single late
// heights do not count, and another pace is taken after a few heights.
func TestPace(t *testing.T) {
	const slot = 2 * time.Second
	steady := heads{slot, 1, 12}
	for name, c := range map[string]struct {
		news          []heads
		atLeast, most time.Duration
	}{
		"nothing yet":                       {[]heads{{slot, 1, 2}}, 0, 0},
		"after three":                       {[]heads{{slot, 1, 3}}, slot, slot},
		"steady":                            {[]heads{steady}, slot, slot},
		"an outage of the link":             {[]heads{steady, {time.Minute, 30, 1}}, slot, slot},
		"an outage, and then a burst":       {[]heads{steady, {time.Minute, 1, 1}, {time.Millisecond, 1, 29}}, slot - 10*time.Millisecond, slot},
		"a burst that takes its time":       {[]heads{steady, {time.Minute, 1, 1}, {300 * time.Millisecond, 1, 29}}, slot, slot + 300*time.Millisecond},
		"after the burst":                   {[]heads{steady, {time.Minute, 1, 1}, {time.Millisecond, 1, 29}, {slot, 1, 2}}, slot - 10*time.Millisecond, slot},
		"the source stood still":            {[]heads{steady, {time.Hour, 1, 1}, {slot, 1, 1}}, slot, slot},
		"an outage comes first":             {[]heads{{time.Minute, 1, 1}, {slot, 1, 20}}, slot, slot},
		"a burst after an outage is first":  {[]heads{{time.Minute, 1, 1}, {time.Millisecond, 1, 29}, {slot, 1, 2}}, slot - 10*time.Millisecond, slot + 10*time.Millisecond},
		"a missed slot now and then":        {[]heads{{slot, 1, 3}, {2 * slot, 1, 1}, {slot, 1, 3}, {2 * slot, 1, 1}, {slot, 1, 3}}, slot, slot},
		"outages again and again":           {[]heads{{slot, 1, 2}, {time.Minute, 30, 1}, {slot, 1, 1}, {time.Minute, 30, 1}, {slot, 1, 1}}, slot, slot},
		"slower now":                        {[]heads{steady, {20 * slot, 1, 5}}, 20 * slot, 20 * slot},
		"faster now":                        {[]heads{{20 * slot, 1, 12}, {slot, 1, 14}}, slot, 2 * slot},
		"polled more slowly than it is":     {[]heads{{slot, 8, 5}}, slot / 8, slot / 8},
		"goes back, and is where it was":    {[]heads{steady, {slot, 0, 3}, steady}, slot, slot},
		"a hundred at once, without a past": {[]heads{{0, 1, 100}, {slot, 1, 5}}, slot, slot},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, at := follow.NewHealth("", "", nil), uint64(1000)
				h.Heard(at, "")
				for _, part := range c.news {
					for range part.times {
						time.Sleep(part.wait)
						at += part.up
						h.Heard(at, "")
					}
				}
				if got := h.Status().Pace; got < c.atLeast || got > c.most {
					t.Errorf("got a pace of %s, want %s to %s", got, c.atLeast, c.most)
				}
			})
		})
	}
}

// How long silence means nothing follows the pace, within bounds; and what somebody knows is not measured.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 15 * time.Second
		want := func(pace, patience time.Duration, h *follow.Health) {
			t.Helper()
			if got, p := h.Status().Pace, h.Patience(most); got != pace || p != patience {
				t.Errorf("got a pace of %s and a patience of %s, want %s and %s", got, p, pace, patience)
			}
		}
		beat := func(h *follow.Health, each time.Duration) {
			for height := uint64(1); height < 20; height++ {
				h.Heard(height, "")
				time.Sleep(each)
			}
		}
		measured, known, none := follow.NewHealth("", "", nil), follow.NewHealth("", "", nil), follow.NewHealth("", "", nil)
		known.Paced(4 * time.Second)
		none.Paced(-1)
		want(0, most, measured)
		want(4*time.Second, 12*time.Second, known)
		for _, h := range []*follow.Health{measured, known, none} {
			beat(h, 2*time.Second)
		}
		want(2*time.Second, 6*time.Second, measured)
		want(4*time.Second, 12*time.Second, known)
		want(0, most, none)
		for each, patience := range map[time.Duration]time.Duration{time.Millisecond: 500 * time.Millisecond, 40 * time.Second: most} {
			h := follow.NewHealth("", "", nil)
			beat(h, each)
			want(each, patience, h)
		}
	})
}
