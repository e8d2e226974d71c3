//go:build unix

package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"headrace/stream/nats/server"
)

// brokenEnv has a process of this test be an embedded server that may write no more into a file than mostWritten, with its
// streams in that directory.
const brokenEnv = "HEADRACE_TEST_BROKEN_DISK"

const mostWritten = 1 << 20

// A server that cannot write any more says so in words of its own alone. It is found out, and started anew: also by another
// version of the server, whose words may be others.
func TestWriteFails(t *testing.T) {
	if dir := os.Getenv(brokenEnv); dir != "" {
		writeUntilItFails(t, dir)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // for one that hangs
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestWriteFails$", "-test.v")
	c.Env = append(os.Environ(), brokenEnv+"="+t.TempDir())
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "started anew: ") {
		t.Errorf("got %v:\n%s", err, out)
	}
}

func writeUntilItFails(t *testing.T, dir string) {
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: mostWritten, Max: mostWritten}); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1) // by the server
	e, stop := running(server.Options{Dir: dir, Logger: slog.New(listener{slog.DiscardHandler, said})})
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	js := reaches(t, e)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}, Storage: jetstream.FileStorage}); err != nil {
		t.Fatal(err)
	}
	for range 2 * mostWritten >> 16 {
		_, _ = js.PublishAsync("s", make([]byte, 1<<16))
	}
	select {
	case text := <-said:
		if !strings.Contains(text, syscall.EFBIG.Error()) {
			t.Errorf("got %q, want the cause %q", text, syscall.EFBIG)
		}
		fmt.Println("started anew:", text)
	case <-time.After(2 * time.Minute):
		t.Error("nobody has found out that the server cannot write")
	}
}

// listener is a slog.Handler that passes on why a server is started anew.
type listener struct {
	slog.Handler
	said chan<- string
}

func (l listener) Enabled(context.Context, slog.Level) bool { return true }

func (l listener) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l listener) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if strings.Contains(a.Value.String(), "started anew") {
			select {
			case l.said <- a.Value.String():
			default: // it was said before
			}
		}
		return true
	})
	return nil
}
