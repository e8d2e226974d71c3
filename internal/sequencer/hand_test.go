package sequencer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/syncer/syncertest"
	"headrace/watch"
)

// handAt is the hand whose stop is noted in a file.
func handAt(t *testing.T, path string) *sequencer.Hand {
	t.Helper()
	h, err := sequencer.OpenHand(path)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A stop ends the making of blocks and nothing else: what was made becomes safe. It goes on after a restart, with its
// time, until a start; and a second one changes nothing.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, time.Second)
		path := filepath.Join(t.TempDir(), "stopped")
		home := syncertest.NewHome()
		stopChain := syncertest.Run(t, w.Chain.Run)
		run := func(work func(m *syncertest.Machine, hand *sequencer.Hand)) {
			hand, m := handAt(t, path), w.Open(home, nil)
			f := w.Follower(m)
			q := newSequencer(w, m, f, w.Chain, func(c *sequencer.Config) { c.Hand = hand })
			stop := syncertest.Run(t, f.Run, q.Run)
			work(m, hand)
			stop()
			m.Close()
		}
		var since time.Time
		var at block.Ref
		run(func(m *syncertest.Machine, hand *sequencer.Hand) {
			time.Sleep(4500 * time.Millisecond)
			if err := hand.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			since, at = hand.Held().Load().Stopped, m.Status().Load().Unsafe
			if at.Height < 10 || !since.Equal(time.Now()) {
				t.Errorf("stopped at block %d, since %s; want some blocks, and now", at.Height, since)
			}
			time.Sleep(time.Minute)
			if err := hand.Stop(t.Context()); err != nil || !hand.Held().Load().Stopped.Equal(since) {
				t.Errorf("a second stop: %v, since %s, want %s", err, hand.Held().Load().Stopped, since)
			}
			if s := m.Status().Load(); s.Unsafe != at || s.Safe != at {
				t.Errorf("got head %v, safe %v, want both at %v", s.Unsafe, s.Safe, at)
			}
		})
		run(func(m *syncertest.Machine, hand *sequencer.Hand) {
			time.Sleep(time.Minute)
			if got := hand.Held().Load().Stopped; !got.Equal(since) || m.Status().Load().Unsafe != at {
				t.Errorf("after a restart it is stopped since %s, at %v; want %s, %v", got, m.Status().Load().Unsafe, since, at)
			}
			if err := hand.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			if got := m.Status().Load().Unsafe.Height; got < at.Height+20 {
				t.Errorf("started: got block %d after ten seconds, want some above %d", got, at.Height)
			}
		})
		run(func(_ *syncertest.Machine, hand *sequencer.Hand) {
			if held := hand.Held().Load(); !held.Stopped.IsZero() {
				t.Errorf("it is stopped again since %s after a restart", held.Stopped)
			}
		})
		stopChain()
	})
}

// A stop waits for the block under way, which is the last one. If that takes longer than the caller has, the stop holds.
func TestStopWaitsForTheBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hand := handAt(t, "")
		begun, held := make(chan struct{}), make(chan struct{})
		blocks := 0
		made := make(chan bool, 2)
		go func() {
			for range 2 {
				ok, err := hand.Make(t.Context(), func() error {
					close(begun)
					<-held
					blocks++
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				made <- ok
			}
		}()
		<-begun
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := hand.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || hand.Held().Load().Stopped.IsZero() {
			t.Errorf("got %v, held %+v; want a stop that waits in vain, and holds", err, hand.Held().Load())
		}
		done := make(chan error, 1)
		go func() { done <- hand.Stop(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("stopped while a block is under way: %v", err)
		default:
		}
		close(held)
		if err := <-done; err != nil || blocks != 1 {
			t.Errorf("got %v with %d blocks made, want the one that was under way", err, blocks)
		}
		if first, second := <-made, <-made; !first || second || blocks != 1 {
			t.Errorf("made %v, then %v, %d blocks; want the first alone", first, second, blocks)
		}
	})
}

// What cannot be noted is no stop, and what cannot be taken back is no start: a restart would undo it. A note that cannot
// be read is a stop.
func TestStopIsNotedFirst(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stopped")
	h := handAt(t, path)
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.Stop(t.Context()); err == nil || !h.Held().Load().Stopped.IsZero() {
		t.Errorf("got %v, held %+v, with a directory in the way; want an error and no stop", err, h.Held().Load())
	}
	if _, err := sequencer.OpenHand(path); err == nil {
		t.Error("it cannot be read whether blocks are to be made, and that is no error")
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := h.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err == nil || h.Held().Load().Stopped.IsZero() {
		t.Errorf("got %v, held %+v; want an error, and the stop to go on", err, h.Held().Load())
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{\"since\":"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := handAt(t, path); again.Held().Load().Stopped.IsZero() {
		t.Error("half a note is no stop")
	}
}

// An operator ends the pause after a failure, also if he has asked while the try that failed was under way; and the same
// words end no second one.
func TestPostEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := watch.New(follow.State{Subscribed: true})
		backoff := follow.Backoff{Min: time.Hour, Max: time.Hour}
		hand := handAt(t, "")
		pause := func() time.Duration {
			start := time.Now()
			if err := sequencer.PauseByHand(t.Context(), source, &backoff, hand); err != nil {
				t.Fatal(err)
			}
			return time.Since(start)
		}
		if d := pause(); d < 30*time.Minute {
			t.Errorf("nobody asks: paused %s, want the whole pause", d)
		}
		go func() { time.Sleep(time.Minute); hand.Post(7) }()
		if d := pause(); d != time.Minute {
			t.Errorf("asked after a minute: paused %s", d)
		}
		if held := hand.Held().Load(); held.Asked != 7 || held.Asks != 1 {
			t.Errorf("got %+v", held)
		}
		hand.Post(3)
		if held := hand.Held().Load(); held.Asked != 7 || held.Asks != 2 {
			t.Errorf("got %+v, want the higher block", held)
		}
	})
}

// gated submits nothing before it is open.
type gated struct {
	da.Submitter
	open chan struct{}
}

func (g gated) Submit(ctx context.Context, blobs []da.Blob) (uint64, error) {
	select {
	case <-g.open:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return g.Submitter.Submit(ctx, blobs)
}

// A stop counts for a sequencer that waits for something else when it comes: when there is room again, no block is made.
func TestStopWhileThereIsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, time.Second)
		m := w.Open(syncertest.NewHome(), nil)
		f := w.Follower(m)
		hand, gate := handAt(t, ""), gated{w.Chain, make(chan struct{})}
		q := newSequencer(w, m, f, gate, func(c *sequencer.Config) { c.Hand, c.MaxPending = hand, 5 })
		stop := syncertest.Run(t, w.Chain.Run, f.Run, q.Run)
		time.Sleep(10 * time.Second)
		if err := hand.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(gate.open)
		time.Sleep(time.Minute)
		if s := m.Status().Load(); s.Unsafe.Height != 5 || s.Safe.Height != 5 || q.Status().Load().Paused != "" {
			t.Errorf("got head %d, safe %d, paused %q; want 5 blocks, which are safe", s.Unsafe.Height, s.Safe.Height, q.Status().Load().Paused)
		}
		stop()
		m.Close()
	})
}

// What the first submission needs is prepared beside the making of blocks, which the status says, and nothing is posted
// before. What cannot be prepared ends the sequencer.
func TestPrepare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, time.Second)
		m := w.Open(syncertest.NewHome(), nil)
		f := w.Follower(m)
		prepared := make(chan error)
		q := newSequencer(w, m, f, w.Chain, func(c *sequencer.Config) {
			c.Prepare, c.Preparing = func() error { return <-prepared }, "the table"
		})
		says := func() string { return q.Status().Load().Preparing }
		if says() != "the table" {
			t.Errorf("before it runs it prepares %q, want the table", says())
		}
		stop := syncertest.Run(t, w.Chain.Run, f.Run, q.Run)
		time.Sleep(10 * time.Second)
		if s := m.Status().Load(); s.Unsafe.Height < 10 || s.Safe.Height > 0 || says() != "the table" {
			t.Errorf("got head %d, safe %d, while %q is prepared; want blocks, none of them posted", s.Unsafe.Height, s.Safe.Height, says())
		}
		prepared <- nil
		time.Sleep(10 * time.Second)
		if s := m.Status().Load(); s.Safe.Height < 10 || says() != "" {
			t.Errorf("got safe %d, and %q is prepared; want blocks posted", s.Safe.Height, says())
		}
		stop()
		m.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, time.Second)
		m := w.Open(syncertest.NewHome(), nil)
		f := w.Follower(m)
		broken := errors.New("no table")
		q := newSequencer(w, m, f, w.Chain, func(c *sequencer.Config) { c.Prepare = func() error { return broken } })
		if err := q.Run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("got %v, want %v", err, broken)
		}
		m.Close()
	})
}
