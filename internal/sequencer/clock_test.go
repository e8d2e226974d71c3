package sequencer_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

const day = 24 * time.Hour

// wrongClock is a machine's clock that is off.
type wrongClock struct{ off atomic.Int64 }

func (c *wrongClock) set(off time.Duration) { c.off.Store(int64(off)) }
func (c *wrongClock) now() time.Time        { return time.Now().Add(time.Duration(c.off.Load())) }

// timesOf returns the time of the head of m, after a check that no block of m is below its parent, or more than a
// minute ahead of the true time now.
func timesOf(t *testing.T, m *syncertest.Machine) (head time.Time) {
	t.Helper()
	last := uint64(0)
	for h := uint64(1); h <= m.Status().Load().Unsafe.Height; h++ {
		rec, err := m.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		at := rec.Block.Header.Header.Time
		if at < last {
			t.Fatalf("block %d has the time %d, its parent %d", h, at, last)
		}
		last = at
	}
	head = time.Unix(0, int64(last))
	if ahead := time.Until(head); ahead > time.Minute {
		t.Errorf("the head is %s ahead of the true time", ahead)
	}
	return head
}

// Whatever the sequencer's clock says, and whenever, blocks are made at their pace, and followers with right clocks
// apply all of them at once. The status says what the clocks say.
func TestWrongClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"a day ahead": day, "a year ahead": 365 * day, "a day behind": -day, "before 1970": -100 * 365 * day} {
		for _, start := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " at the start", false: " in between"}[start], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(30 * 365 * day) // a bubble begins in 2000
					w := syncertest.NewWorld(t, 200*time.Millisecond)
					w.Genesis.StartTime = time.Now()
					seq, full := w.Open(syncertest.NewHome(), nil), w.Open(syncertest.NewHome(), nil)
					sf, ff := w.Follower(seq), w.Follower(full)
					var clock wrongClock
					if start {
						clock.set(off)
					}
					q := newSequencer(w, seq, sf, w.Chain, func(c *sequencer.Config) { c.Wall = clock.now })
					stop := syncertest.Run(t, w.Chain.Run, sf.Run, ff.Run, q.Run)
					time.Sleep(5 * time.Second)
					clock.set(off)
					time.Sleep(10 * time.Second)
					synctest.Wait()
					says := q.Status().Load().Clock
					for _, at := range []time.Time{clock.now(), timesOf(t, seq)} {
						if day := at.UTC().Format("2006-01-02"); !strings.Contains(says, day) && at.Unix() > 0 {
							t.Errorf("the status says %q of the clock, want both clocks, and so %s in it", says, day)
						}
					}
					if says == "" {
						t.Error("the status says nothing of the clock")
					}
					clock.set(0)
					time.Sleep(90 * time.Second) // the head may be as much ahead as the source allows
					synctest.Wait()
					if says := q.Status().Load().Clock; says != "" {
						t.Errorf("the clock is right, and the status says %q", says)
					}
					if late := time.Since(timesOf(t, seq)); late > time.Second {
						t.Errorf("the clock is right, and the head is %s late", late)
					}
					syncertest.Agree(t, 1900, seq, full) // of 2,100 made in 105 s
					stop()
					seq.Close()
					full.Close()
				})
			})
		}
	}
}

// quiet is a DA layer that can be silent.
type quiet struct {
	follow.Source[*syncer.Checked]
	silent atomic.Bool
}

func (s *quiet) Subscribe(ctx context.Context, update func(follow.Update[*syncer.Checked])) error {
	return s.Source.Subscribe(ctx, func(u follow.Update[*syncer.Checked]) {
		if !s.silent.Load() {
			update(u)
		}
	})
}

// While the source is away for an hour blocks go on, in time, even when the clock is wrong meanwhile; so they do after
// a restart a week later, with the times that can be shown.
func TestSourceAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, time.Second)
		home := syncertest.NewHome()
		seq := w.Open(home, nil)
		source := &quiet{Source: seq.DA.Checked(w.Chain.Source(syncertest.HeaderNS, syncertest.DataNS))}
		sf := follow.New(source, seq.DA, follow.Options{})
		var clock wrongClock
		slow := func(c *sequencer.Config) { c.Wall, c.BlockTime, c.MaxPending = clock.now, time.Second, 1<<40 }
		q := newSequencer(w, seq, sf, w.Chain, slow)
		stop := syncertest.Run(t, w.Chain.Run, sf.Run, q.Run)
		time.Sleep(10 * time.Second)
		source.silent.Store(true)
		before := seq.Status().Load().Unsafe.Height
		time.Sleep(time.Hour)
		clock.set(day)
		time.Sleep(time.Minute)
		synctest.Wait()
		if made := seq.Status().Load().Unsafe.Height - before; made < 3600 {
			t.Errorf("%d blocks made in an hour and a minute without the source, want one each second", made)
		}
		if late := time.Since(timesOf(t, seq)).Abs(); late > 2*time.Second {
			t.Errorf("the head is %s from the true time after an hour without the source", late)
		}
		stop()
		seq.Close()
		time.Sleep(7 * day)
		clock.set(0)

		seq = w.Open(home, nil)
		defer seq.Close()
		sf = w.Follower(seq)
		q = newSequencer(w, seq, sf, w.Chain, slow)
		stop = syncertest.Run(t, q.Run)
		head := seq.Status().Load().Unsafe.Height
		time.Sleep(10 * time.Second)
		synctest.Wait()
		made, says := seq.Status().Load().Unsafe.Height-head, q.Status().Load().Clock
		if late := time.Since(timesOf(t, seq)); made < 9 || late < 6*day || !strings.Contains(says, "not believed until the source shows a header") {
			t.Errorf("%d blocks, the head %s late, the status says %q; want ten, a week late until the source is heard, and why", made, late, says)
		}
		defer syncertest.Run(t, w.Chain.Run, sf.Run)()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if late := time.Since(timesOf(t, seq)); late > 2*time.Second || q.Status().Load().Clock != "" {
			t.Errorf("the head is %s late, the status says %q; want the source's headers to show the time", late, q.Status().Load().Clock)
		}
		stop()
	})
}

// An L1 whose blocks are a day ahead makes no blocks of the future; one that makes blocks on demand stops nothing.
func TestClockOfTheL1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock wrongClock
		b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) { c.Wall = clock.now })
		full := b.OpenL1(syncertest.NewHome(), nil)
		stop := syncertest.Run(t, b.follower.Run, b.seq.Run, follow.New[l1.Block](b.chain, full.L1, follow.Options{}).Run)
		time.Sleep(30 * time.Second) // no block of the L1 at all: nobody demands one
		if made := b.machine.Status().Load().Unsafe.Height; made < 90 {
			t.Errorf("%d blocks in 30 s, want one each 300 ms", made)
		}
		defer syncertest.Run(t, b.chain.Run)()
		time.Sleep(5 * time.Second)
		b.chain.IncreaseTime(24 * 3600)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if late := time.Since(timesOf(t, b.machine)); late.Abs() > time.Second || b.seq.Status().Load().Clock != "" {
			t.Errorf("the head is %s late, the status says %q; want the own clock to be believed", late, b.seq.Status().Load().Clock)
		}
		syncertest.Agree(t, 150, b.machine, full)
		stop()
		b.machine.Close()
		full.Close()
	})
}
