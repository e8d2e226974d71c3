package edge_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/edge"
)

// lines logs a failure each interval for a while, and returns the lines, and when each came.
func lines(t *testing.T, interval, long time.Duration, text func(i int) string) (out []string, at []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		log := slog.New(slog.NewTextHandler(&b, nil))
		var l edge.Log
		start := time.Now()
		for i := 0; time.Since(start) < long; i++ {
			l.Warn(log, "waiting", errors.New(text(i)), "height", i)
			if b.Len() > 0 {
				out, at = append(out, b.String()), append(at, time.Since(start))
			}
			b.Reset()
			time.Sleep(interval)
		}
	})
	return out, at
}

// What fails again and again is logged when it begins, and after 1, 10 and 60 minutes, with how often it came.
func TestRepeats(t *testing.T) {
	out, at := lines(t, 1600*time.Millisecond, 59*time.Minute, func(int) string { return "connection refused" })
	if len(at) != 3 || at[0] != 0 || at[1] < time.Minute || at[1] > 62*time.Second || at[2] < 10*time.Minute || at[2] > 602*time.Second {
		t.Fatalf("logged at %v, want at once, after 1 and after 10 minutes", at)
	}
	if strings.Contains(out[0], "times") || !strings.Contains(out[1], "times=39") || !strings.Contains(out[1], "since=2000-01-01T00:00:00Z") || !strings.Contains(out[1], `err="connection refused"`) {
		t.Errorf("got %q, want how often it came and since when", out)
	}
	if _, at := lines(t, 1600*time.Millisecond, 4*time.Hour-time.Minute, func(int) string { return "x" }); len(at) != 6 {
		t.Errorf("logged %v in four hours, want six lines", at)
	}
	if out, _ := lines(t, time.Hour, time.Minute, func(int) string { return "one\ntwo" }); len(out) != 1 || strings.Count(out[0], "\n") != 1 || !strings.Contains(out[0], `"one; two"`) {
		t.Errorf("got %q, want one line", out)
	}
}

// Texts that differ in numbers alone are the same; others are not, each has its own time.
func TestSameTexts(t *testing.T) {
	for name, c := range map[string]struct {
		text func(i int) string
		want int
	}{
		"ports":      {func(i int) string { return fmt.Sprintf("read tcp 127.0.0.1:%d->10.0.0.1:80: reset", 40000+i) }, 1},
		"heights":    {func(i int) string { return fmt.Sprintf("fetch %d: no answer", i) }, 1},
		"hashes":     {func(i int) string { return fmt.Sprintf("block %064x is another", i) }, 1},
		"durations":  {func(i int) string { return fmt.Sprintf("no news for %s", time.Duration(i+1)*time.Millisecond) }, 1},
		"two causes": {func(i int) string { return []string{"refused", "timeout"}[i%2] }, 2},
	} {
		if out, _ := lines(t, time.Second, 50*time.Second, c.text); len(out) != c.want {
			t.Errorf("%s: got %d lines, want %d: %q", name, len(out), c.want, out)
		}
	}
}

// What has not come for a while is new when it comes again, with a count of its own.
func TestOver(t *testing.T) {
	out, _ := lines(t, 11*time.Minute, time.Hour, func(int) string { return "refused" })
	if len(out) != 6 || strings.Contains(strings.Join(out, ""), "times") {
		t.Errorf("got %q, want six lines without a count", out)
	}
}

// Whoever chooses the texts does not choose the memory: of those that are always new the newest are remembered.
func TestBounded(t *testing.T) {
	word := func(i int) string { return strings.Repeat("x", i+1) }
	if out, _ := lines(t, time.Millisecond, time.Second, func(i int) string { return word(i % 32) }); len(out) != 32 {
		t.Errorf("got %d lines for 32 texts in turn, want each once", len(out))
	}
	if out, _ := lines(t, time.Millisecond, time.Second, func(i int) string { return word(i % 33) }); len(out) != 1000 {
		t.Errorf("got %d lines for 33 texts in turn, want none remembered until it comes again", len(out))
	}
}
