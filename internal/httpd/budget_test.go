package httpd_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/httpd"
)

func build(n int) func() ([]byte, error) {
	return func() ([]byte, error) { return make([]byte, n), nil }
}

// What fits is counted, what does not waits, and has room when something is given back. One alone may hold more than
// all.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, ctx := httpd.NewBudget(100), t.Context()
		_, large, err := b.Build(ctx, time.Second, build(1000))
		if err != nil {
			t.Fatalf("got %v of one that is alone, want room", err)
		}
		if _, _, err := b.Build(ctx, time.Second, build(1)); !errors.Is(err, httpd.ErrFull) {
			t.Errorf("got %v, want ErrFull", err)
		}
		done := make(chan error, 1)
		go func() {
			_, h, err := b.Build(ctx, 0, build(60))
			h.Give()
			h.Give() // is once
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("got %v beside one that holds all, want it to wait", err)
		default:
		}
		large.Give()
		if err := <-done; err != nil {
			t.Errorf("got %v once there is room", err)
		}
		_, h, err := b.Build(ctx, time.Second, build(100))
		if err != nil {
			t.Errorf("got %v of all that there is, want room", err)
		}
		defer h.Give()
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, _, err := b.Build(ended, 0, build(1)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v after the context's end", err)
		}
		if _, _, err := b.Build(ctx, 0, func() ([]byte, error) { return nil, io.EOF }); err != io.EOF {
			t.Errorf("got %v, want what build says", err)
		}
	})
}

// Two answers are built at a time, whatever the budget.
func TestBuilders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, release := httpd.NewBudget(100), make(chan struct{})
		began := make(chan struct{}, 3)
		for range 3 {
			go func() {
				_, h, _ := b.Build(t.Context(), 0, func() ([]byte, error) { began <- struct{}{}; <-release; return nil, nil })
				h.Give()
			}()
		}
		synctest.Wait()
		if len(began) != 2 {
			t.Errorf("got %d answers built at a time, want 2", len(began))
		}
		close(release)
		synctest.Wait()
	})
}

// A client that does not read what it asked for makes room for one that does.
func TestSleepersMakeRoom(t *testing.T) {
	t.Parallel()
	var s *server
	s = run(t, httpd.Options{Limits: httpd.Limits{Answers: 20 << 20}}, func(w http.ResponseWriter, r *http.Request) {
		answer, hold, err := s.Answers().Build(r.Context(), 0, build(8<<20))
		if err != nil {
			return
		}
		defer hold.Give()
		_, _ = w.Write(answer)
	})
	for range 2 {
		s.dial().say(get)
	}
	s.busy(2)
	for range 3 {
		if code, text := s.ask("GET", "/"); code != http.StatusOK || len(text) != 8<<20 {
			t.Errorf("got %d and %d bytes, want the answer", code, len(text))
		}
	}
}

// Bodies count as they come: of many that are never completed only so much is in memory, and one that is completed
// has room once they have stood still for a while.
func TestBodiesInFlight(t *testing.T) {
	t.Parallel()
	s := run(t, httpd.Options{Limits: httpd.Limits{Bodies: 4 << 20}}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			w.WriteHeader(httpd.BodyStatus(err))
			return
		}
		_, _ = w.Write(body)
	})
	for range 4 {
		s.dial().say("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", 1<<20, strings.Repeat("x", 1<<20-1))
	}
	s.busy(4)
	c := s.dial()
	c.say("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", 1<<20, strings.Repeat("y", 1<<20))
	if code, text := c.answer(); code != http.StatusOK || len(text) != 1<<20 {
		t.Errorf("got %d and %d bytes, want the answer", code, len(text))
	}
	c = s.dial()
	c.say("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", 1<<20+1, strings.Repeat("y", 1<<20+1))
	if code, _ := c.answer(); code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d of a body that is too large, want 413", code)
	}
}
