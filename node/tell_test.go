package node_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/internal/logs/logstest"
	"headrace/node"
)

// journal is a log of lines as slog's handler of texts makes them.
type journal struct{ logstest.Text }

// has counts the lines with a message.
func (j *journal) has(msg string) int { return j.Count("msg=" + msg + " ") }

// The log tells when a node is not ready any more, with the cause, and when it is again, once each however often its
// endpoint is tried meanwhile; and the same of the endpoint.
func TestLogTellsEdges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(journal)
		a := newAilingWith(t, false, slog.New(slog.NewTextHandler(log, nil)))
		defer a.work.Wait()
		defer a.stop()
		well := func(s node.Status) bool { return s.Ready && len(s.Waiting) == 0 && s.Source.Endpoints[0].Healthy }
		a.until(a.full, "well", func(s node.Status) bool { return well(s) && s.Heads.Safe.Height >= 30 })
		for round := 1; round <= 2; round++ {
			a.fulls.with.Store("subscribe", true)
			a.until(a.full, "not ready", func(s node.Status) bool { return !s.Ready && s.Stage == follow.StageSubscribe })
			time.Sleep(5 * time.Minute)
			a.fulls.with.Delete("subscribe")
			a.until(a.full, "ready again", well)
			time.Sleep(time.Minute)
			for msg, want := range map[string]int{"ready": 1, `"not ready"`: round, `"ready again"`: round, `"endpoint lost"`: round, `"endpoint found"`: round} {
				if got := log.has(msg); got != want {
					t.Errorf("round %d: %s is in the log %d times, want %d", round, msg, got, want)
				}
			}
		}
		if !strings.Contains(log.String(), `cause="trouble with subscribe (subscribe at`) || !strings.Contains(log.String(), "remedy=") {
			t.Errorf("want the cause and the remedy in\n%s", log.String())
		}
	})
}

// A node that catches up says how far it is each ten seconds, and then that it is at the head.
func TestLogTellsCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(journal)
		a := newAilingWith(t, false, slog.New(slog.NewTextHandler(log, nil)))
		defer a.work.Wait()
		defer a.stop()
		a.until(a.full, "well", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 30 })
		a.fulls.with.Store("execute hangs", true)
		s := a.until(a.full, "behind", func(s node.Status) bool { return s.Source.CatchUp != nil })
		before := log.has(`"catching up"`)
		time.Sleep(35 * time.Second)
		if got := log.has(`"catching up"`) - before; got != 3 {
			t.Errorf("catching up for 35 s is in the log %d times, want 3", got)
		}
		a.fulls.with.Delete("execute hangs")
		a.until(a.full, "at the head", func(now node.Status) bool { return now.Ready && now.Source.Position.Height > s.Source.Head.Height })
		time.Sleep(time.Minute)
		if got := log.has(`"at the head"`); got != 1 {
			t.Errorf("at the head is in the log %d times, want once", got)
		}
	})
}

// The text of why says the reason, what it means, what to do, and all that waits.
func TestWhy(t *testing.T) {
	now := time.Now()
	s := node.Status{
		At: now, Reason: "nobody there (engine at 5)", Stage: follow.StageEngine, Remedy: follow.StageEngine.Remedy(),
		Waiting: []node.Waiting{{Stage: follow.StageEngine, Height: 5, Cause: "nobody there", Since: now.Add(-3 * time.Second)}},
	}
	want := "not ready: nobody there (engine at 5)\n  engine: " + follow.StageEngine.Means() + "\n  what to do: " + follow.StageEngine.Remedy() + "\nwaits: engine at 5, for 3s: nobody there\n"
	if got := s.Why(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s = (node.Status{Ready: true, ChainID: "demo"}); s.Why() != "ready: safe head 0, demo\n" {
		t.Errorf("got %q", s.Why())
	}
}

// times returns when lines with a message were logged.
func (j *journal) times(t *testing.T, msg string) (out []time.Time) {
	t.Helper()
	for line := range strings.Lines(j.String()) {
		if !strings.Contains(line, "msg="+msg+" ") {
			continue
		}
		stamp, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, at)
	}
	return out
}

// A catch-up is told each ten seconds, however long it lasts.
func TestLogTellsCatchUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(journal)
		a := newAilingWith(t, false, slog.New(slog.NewTextHandler(log, nil)))
		defer a.work.Wait()
		defer a.stop()
		a.fulls.with.Store("execute hangs", true)
		a.until(a.full, "behind", func(s node.Status) bool { return s.Source.CatchUp != nil && s.Source.Lag > 20 })
		before := len(log.times(t, `"catching up"`))
		time.Sleep(10 * time.Minute)
		at := log.times(t, `"catching up"`)
		if n := len(at) - before; n < 59 || n > 61 {
			t.Errorf("got %d lines in ten minutes, want one each ten seconds", n)
		}
		for i := range at[1:] {
			if d := at[i+1].Sub(at[i]); d < 10*time.Second || d > 11*time.Second {
				t.Errorf("got a line %s after the one before, want it after 10 s", d)
			}
		}
	})
}

// A node that was not ready from the start on is ready then, and not again.
func TestLogTellsFirstReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(journal)
		a := newAilingAs(t, false, func(a *ailing, full *node.Options) {
			a.fulls.with.Store("subscribe", true)
			full.Logger = slog.New(slog.NewTextHandler(log, nil))
		})
		defer a.work.Wait()
		defer a.stop()
		time.Sleep(5 * time.Minute)
		a.fulls.with.Delete("subscribe")
		a.until(a.full, "ready", ready)
		time.Sleep(time.Minute)
		for msg, want := range map[string]int{`"not ready"`: 1, "ready": 1, `"ready again"`: 0, `"endpoint lost"`: 1, `"endpoint found"`: 1} {
			if got := log.has(msg); got != want {
				t.Errorf("%s is in the log %d times, want %d:\n%s", msg, got, want, log.String())
			}
		}
	})
}
