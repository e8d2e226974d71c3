package syncer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
)

// gaps is a number of blocks, each so long after the one before.
type gaps struct {
	n    int
	each time.Duration
	txs  int
}

// A chain's pace is how long it goes without a block when all is well: what comes before its blocks without
// transactions, or, while it has none, what hardly ever comes before the others. One outage changes nothing.
func TestRhythm(t *testing.T) {
	const minute = time.Minute
	for name, c := range map[string]struct {
		blocks []gaps
		want   time.Duration
		busy   bool
	}{
		"nothing known":                        {nil, 0, false},
		"one block":                            {[]gaps{{1, 0, 0}}, 0, false},
		"empty blocks":                         {[]gaps{{10, time.Second, 0}}, time.Second, false},
		"an outage":                            {[]gaps{{10, time.Second, 0}, {1, time.Hour, 0}, {3, time.Second, 0}}, time.Second, false},
		"the first thing seen is an outage":    {[]gaps{{1, 0, 0}, {1, time.Hour, 0}, {4, time.Second, 0}}, time.Second, false},
		"lazy, idle":                           {[]gaps{{10, minute, 0}}, minute, false},
		"lazy, and then busy for long":         {[]gaps{{4, minute, 0}, {2000, time.Second, 1}}, minute, false},
		"lazy, busy first, and one empty":      {[]gaps{{50, time.Second, 1}, {1, minute, 0}}, minute, false},
		"never idle":                           {[]gaps{{100, time.Second, 3}}, time.Second, true},
		"never idle, with two outages":         {[]gaps{{70, time.Second, 3}, {1, time.Hour, 1}, {20, time.Second, 3}, {1, time.Hour, 1}, {30, time.Second, 2}}, time.Second, true},
		"never idle, and not looked at enough": {[]gaps{{60, time.Second, 3}}, 0, false},
		"lazy became eager":                    {[]gaps{{20, minute, 0}, {5, time.Second, 0}}, time.Second, false},
		"a clock that went back":               {[]gaps{{10, time.Second, 0}, {1, -time.Hour, 0}, {10, time.Second, 0}}, time.Second, false},
		"busy for long, and then one empty":    {[]gaps{{200, time.Second, 1}, {1, minute, 0}}, minute, false},
		"busy for long, and idle for long":     {[]gaps{{200, time.Second, 1}, {5, minute, 0}, {200, time.Second, 1}}, minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			var r syncer.TestedRhythm
			at := time.Unix(1_700_000_000, 0)
			for _, g := range c.blocks {
				for range g.n {
					at = at.Add(g.each)
					r.Block(at, g.txs)
				}
			}
			if got := r.Is(); got.Quiet != c.want || got.Busy != c.busy {
				t.Errorf("got %s, busy %t, want %s, %t", got.Quiet, got.Busy, c.want, c.busy)
			}
		})
	}
}

// Heights that bring blocks are as far apart as they are as a rule.
func TestRhythmOfHeights(t *testing.T) {
	for name, c := range map[string]struct {
		brought []uint64
		want    uint64
	}{
		"not known":          {[]uint64{5, 6, 7}, 0},
		"each":               {[]uint64{5, 6, 7, 8}, 1},
		"one outage":         {[]uint64{5, 6, 7, 100, 101}, 1},
		"each tenth":         {[]uint64{5, 15, 25, 35, 46}, 10},
		"the same again":     {[]uint64{5, 5, 5, 6, 6, 7, 8}, 1},
		"taken back between": {[]uint64{5, 6, 7, 8, 6, 7, 8, 9}, 1},
	} {
		var r syncer.TestedRhythm
		for _, h := range c.brought {
			r.Brought(h)
		}
		if got := r.Is().Heights; got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

// How long blocks wait to be posted together is what they hardly ever wait longer than, in a day or two: a chain that is
// busy by day and waits by night is not thought to have stopped in the evening.
func TestRhythmOfWaits(t *testing.T) {
	const minute, hour = time.Minute, time.Hour
	type wait struct {
		n    int
		each time.Duration
	}
	for name, c := range map[string]struct {
		waits []wait
		want  time.Duration
	}{
		"nothing known":          {nil, 0},
		"one":                    {[]wait{{1, 10 * minute}}, 10 * minute},
		"always the same":        {[]wait{{50, 10 * minute}}, 10 * minute},
		"the first is an outage": {[]wait{{1, 5 * hour}, {2, minute}}, minute},
		"two outages":            {[]wait{{20, minute}, {1, hour}, {20, minute}, {1, 2 * hour}, {20, minute}}, minute},
		"a night and a day":      {[]wait{{48, 10 * minute}, {960, minute}}, 10 * minute},
		"the day after a night":  {[]wait{{48, 10 * minute}, {1560, minute}}, 10 * minute},
		"three days of nights":   {[]wait{{48, 10 * minute}, {960, minute}, {48, 10 * minute}, {960, minute}, {48, 10 * minute}, {960, minute}}, 10 * minute},
		"busy at last":           {[]wait{{48, 10 * minute}, {3 * 1440, minute}}, minute},
		"it waits longer now":    {[]wait{{100, minute}, {3, hour}}, hour},
	} {
		var r syncer.TestedRhythm
		at := time.Unix(1_700_000_000, 0)
		for _, w := range c.waits {
			for range w.n {
				at = at.Add(w.each)
				r.Waited(w.each, at)
			}
		}
		if got := r.Is().Waited; got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// A node that is started again knows its chain's pace at once, and since when its heads stand.
func TestRhythmIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, time.Second)
		home := syncertest.NewHome()
		m := w.Open(home, nil)
		f := w.Follower(m)
		stop := syncertest.Run(t, w.Chain.Run, f.Run)
		empty := func(_ context.Context, p syncer.Parent) (*block.Block, error) {
			h := block.Header{
				Height: p.Ref.Height + 1, Time: uint64(time.Now().UnixNano()), ChainID: "test", ProposerAddress: w.Genesis.ProposerAddress,
				LastHeaderHash: p.Ref.Hash.Field(), AppHash: p.Root, DataHash: block.EmptyCommitment[:],
			}
			signed, err := block.SignHeader(w.Key, h)
			return &block.Block{Header: signed, Data: block.EmptyData(&h, nil)}, err
		}
		for range 20 {
			time.Sleep(7 * time.Second)
			if _, err := m.Produce(t.Context(), empty); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		s := m.Status().Load()
		if s.Rhythm.Quiet != 7*time.Second || time.Since(s.UnsafeAt.At) != 3*time.Second || time.Since(s.UnsafeAt.Made) != 3*time.Second {
			t.Errorf("got %+v, made %s and there since %s, at %s", s.Rhythm, s.UnsafeAt.Made, s.UnsafeAt.At, time.Now())
		}
		stop()
		m.Close()
		time.Sleep(time.Hour)
		m = w.Open(home, nil)
		defer m.Close()
		if got := m.Status().Load(); got.Rhythm != s.Rhythm || got.Rhythm.Source != time.Second || !got.UnsafeAt.Made.Equal(s.UnsafeAt.Made) || time.Since(got.UnsafeAt.At) != 0 {
			t.Errorf("after a restart: got %+v, %+v, want %+v, %+v from now on", got.Rhythm, got.UnsafeAt, s.Rhythm, s.UnsafeAt.Made)
		}
	})
}
