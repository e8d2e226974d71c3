package sequencer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/da"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/syncer/syncertest"
	"headrace/watch"
)

// The pause between two tries of a submission ends at once when the follower sees the source come back, and no sooner: that
// the source is there all the time ends nothing.
func TestPauseEndsWhenTheSourceIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := watch.New(follow.State{Subscribed: true})
		backoff := follow.Backoff{Min: time.Hour, Max: time.Hour}
		paused := func() time.Duration {
			start := time.Now()
			if err := sequencer.Pause(t.Context(), source, &backoff); err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		if d := paused(); d < 30*time.Minute {
			t.Errorf("a source that is there: paused %s, want the whole pause", d)
		}
		go func() {
			time.Sleep(time.Second)
			source.Set(follow.State{})
			time.Sleep(time.Minute)
			source.Set(follow.State{Subscribed: true})
		}()
		if d := paused(); d != 61*time.Second {
			t.Errorf("a source that comes back after 61 s: paused %s", d)
		}
	})
}

// A lazy sequencer of a new chain has nothing to say against itself while it waits for the first transaction: it is at
// the head, and would take one.
func TestLazyIsNotPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, time.Second)
		m := w.Open(syncertest.NewHome(), nil)
		f := w.Follower(m)
		q := newSequencer(w, m, f, w.Chain, func(c *sequencer.Config) { c.Lazy, c.LazyInterval = true, time.Hour })
		stop := syncertest.Run(t, w.Chain.Run, f.Run, q.Run)
		time.Sleep(3 * time.Second)
		if s := q.Status().Load(); s.Paused != "" || m.Status().Load().Unsafe.Height != 0 {
			t.Errorf("got paused %q at block %d, want neither", s.Paused, m.Status().Load().Unsafe.Height)
		}
		stop()
		m.Close()
	})
}

// mute takes submissions and answers none.
type mute struct{}

func (mute) Submit(ctx context.Context, _ []da.Blob) (uint64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// A submission that is under way is told of, with when it was sent and when it is given up; and not any more after that.
func TestFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, time.Second)
		m := w.Open(syncertest.NewHome(), nil)
		f := w.Follower(m)
		q := newSequencer(w, m, f, mute{}, func(c *sequencer.Config) { c.SubmitTimeout = func() time.Duration { return 40 * time.Second } })
		stop := syncertest.Run(t, w.Chain.Run, f.Run, q.Run)
		flies := func(s sequencer.Status) bool { return s.Flight != sequencer.Flight{} }
		s, err := q.Status().Wait(t.Context(), flies)
		if want := (sequencer.Flight{From: 1, To: s.Flight.To, Since: time.Now(), Deadline: time.Now().Add(40 * time.Second)}); err != nil || s.Flight != want || s.Flight.To < 1 {
			t.Errorf("got %+v, %v, want %+v", s.Flight, err, want)
		}
		start := time.Now()
		if s, err = q.Status().Wait(t.Context(), func(s sequencer.Status) bool { return !flies(s) }); err != nil || time.Since(start) != 40*time.Second {
			t.Errorf("it ended after %s (%v), want 40 s", time.Since(start), err)
		}
		stop()
		m.Close()
	})
}

// asked is a builder that tells a test when it is asked for a block, and fails as that says.
type asked struct {
	exec.Builder
	says func() error
}

func (b *asked) Build(ctx context.Context, height, at uint64, most int) ([][]byte, error) {
	if err := b.says(); err != nil {
		return nil, err
	}
	return b.Builder.Build(ctx, height, at, most)
}

// What the sequencer waited for before its first block is over when that is begun, however long it takes; and a failure is
// over with the next block.
func TestPauseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, time.Second)
		m := w.Open(syncertest.NewHome(), nil)
		f := w.Follower(m)
		var q *sequencer.Sequencer
		var while []string // for what it was paused, at each block
		says := func() error {
			if while = append(while, q.Status().Load().Paused); len(while) == 2 {
				return errors.New("no pen")
			}
			return nil
		}
		q = newSequencer(w, m, f, w.Chain, func(c *sequencer.Config) { c.Builder = &asked{c.Builder, says} })
		stop := syncertest.Run(t, w.Chain.Run, f.Run, q.Run)
		time.Sleep(time.Minute)
		stop()
		if len(while) < 5 || while[0] != "" || !strings.Contains(while[2], "no pen") || while[3] != "" || q.Status().Load().Paused != "" {
			t.Errorf("paused at each block for %q", while[:min(len(while), 5)])
		}
		m.Close()
	})
}
