// Package logstest has what is logged in a test. A Text is written by whoever logs, and read meanwhile by the test, which
// waits for a line by the writing of it and not by a clock.
package logstest

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long Next waits for a line: where there is none for so long on a busy machine there will be none.
const patience = 2 * time.Minute

// Text is a log that may be read while it is written, an io.Writer. The zero value is an empty one. Its methods may be
// called from any goroutine.
type Text struct {
	mu    sync.Mutex // guards the rest
	text  []byte
	read  int           // up to there Next has read
	grown chan struct{} // closed with the next write; nil: nobody waits
}

// Write implements io.Writer. It never fails.
func (t *Text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if t.grown != nil {
		close(t.grown)
		t.grown = nil
	}
	return len(p), nil
}

// String returns all that was written since the beginning or the last Reset.
func (t *Text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// Count returns how often something is in it.
func (t *Text) Count(what string) int { return strings.Count(t.String(), what) }

// Reset forgets all that was written.
func (t *Text) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text, t.read = nil, 0
}

// Next returns the next line with want in it, without its end, of those behind the line that it has returned before. It
// waits for it, and fails the test where there is none.
func (t *Text) Next(tb testing.TB, want string) string {
	tb.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		line, ok, grown := t.next(want)
		if ok {
			return line
		}
		select {
		case <-grown:
		case <-limit.C:
			tb.Fatalf("the log never says %q:\n%s", want, t.String())
		}
	}
}

// next reads lines up to one with want in it. Without such a line it returns what is closed when there is more to read.
func (t *Text) next(want string) (line string, ok bool, grown <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		line, _, whole := strings.Cut(string(t.text[t.read:]), "\n")
		if !whole {
			break
		}
		t.read += len(line) + 1
		if strings.Contains(line, want) {
			return line, true, nil
		}
	}
	if t.grown == nil {
		t.grown = make(chan struct{})
	}
	return "", false, t.grown
}
