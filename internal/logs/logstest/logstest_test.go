package logstest_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"headrace/internal/logs/logstest"
)

// failing is a test that notes that it fails.
type failing struct {
	testing.TB
	why string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.why = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// What many write at once is all there, each line whole.
func TestText(t *testing.T) {
	var text logstest.Text
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 100 {
				_, _ = io.WriteString(&text, "a line\n")
			}
		})
	}
	for range 1000 {
		if line := text.Next(t, "line"); line != "a line" {
			t.Fatalf("got the line %q", line)
		}
	}
	all.Wait()
	if got := text.String(); got != strings.Repeat("a line\n", 1000) || text.Count("line") != 1000 {
		t.Errorf("got %d lines: %s", text.Count("line"), got)
	}
	text.Reset()
	_, _ = io.WriteString(&text, "another\n")
	if got := text.Next(t, ""); got != "another" || text.String() != "another\n" {
		t.Errorf("got %q of %q after a reset", got, text.String())
	}
}

// Next passes over lines that it is not asked for, returns each one once, waits for the end of one, and fails the test
// where there is none.
func TestNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text logstest.Text
		lines := make(chan string, 10) // by the goroutine, in the order of Next
		var missed failing
		var waiting sync.WaitGroup
		waiting.Go(func() {
			for range 3 {
				lines <- text.Next(t, "b")
			}
			text.Next(&missed, "never")
			t.Error("got a line that was never written")
		})
		_, _ = io.WriteString(&text, "a1\nb1\na2\nb2\nb")
		synctest.Wait()
		if len(lines) != 2 || <-lines != "b1" || <-lines != "b2" {
			t.Error("want the two whole lines with a b")
		}
		_, _ = io.WriteString(&text, "3\n")
		waiting.Wait()
		if got := <-lines; got != "b3" || !strings.Contains(missed.why, `never says "never"`) {
			t.Errorf("got the line %q, and %q of one that is not there", got, missed.why)
		}
	})
}
