package httpd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
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

// TestReserve: a body that is reserved counts once: two that fill the room are read at the same time, and a third one has
// to wait for them.
func TestReserve(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	var s *server
	var both sync.WaitGroup // until they have their room, before anything is read
	both.Add(2)
	s = run(t, httpd.Options{Limits: httpd.Limits{Bodies: 2 * size}}, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeoutCause(r.Context(), patience, errors.New("no room"))
		defer cancel()
		hold, err := s.Bodies().Reserve(ctx, r, size)
		if err != nil {
			w.WriteHeader(http.StatusConflict)
			return
		}
		defer hold.Give()
		if r.URL.Path == "/both" {
			both.Done()
			both.Wait()
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(httpd.BodyStatus(err))
			return
		}
		_, _ = fmt.Fprint(w, len(body))
	})
	post := func(path string) *client {
		c := s.dial()
		c.say("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", path, size, strings.Repeat("x", size/2))
		return c
	}
	rest := strings.Repeat("x", size/2)
	one, two := post("/both"), post("/both")
	both.Wait()
	three := post("/third") // has to wait
	s.busy(3)
	one.say("%s", rest)
	if code, text := one.answer(); code != http.StatusOK || text != fmt.Sprint(size) {
		t.Errorf("one of two that fit: got %d %s", code, text)
	}
	two.say("%s", rest)
	if code, text := two.answer(); code != http.StatusOK || text != fmt.Sprint(size) {
		t.Errorf("the other one: got %d %s", code, text)
	}
	three.say("%s", rest)
	if code, text := three.answer(); code != http.StatusOK || text != fmt.Sprint(size) {
		t.Errorf("one that has waited: got %d %s", code, text)
	}
}

// TestWhoHasWaitedIsNotCut: one who has waited for room longer than one may stand still is not cut for that as soon as
// he has room, for the next one who waits.
func TestWhoHasWaitedIsNotCut(t *testing.T) {
	t.Parallel()
	const size = 64 << 10
	var s *server
	s = run(t, httpd.Options{Limits: httpd.Limits{Bodies: size}}, func(w http.ResponseWriter, r *http.Request) {
		hold, err := s.Bodies().Reserve(r.Context(), r, size)
		if err != nil {
			return
		}
		defer hold.Give()
		work := 100 * time.Millisecond // in which the next one looks
		if r.URL.Path == "/first" {
			_, _ = io.Copy(io.Discard, r.Body) // it has come: it is not cut
			work = 5 * time.Second / 2
		}
		<-time.After(work) // ours, and not the client's
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n)
	})
	var clients []*client
	for i, path := range []string{"/first", "/second", "/third"} {
		c := s.dial()
		c.say("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", path, size, strings.Repeat("x", size))
		s.busy(i + 1)
		clients = append(clients, c)
	}
	for i, want := range []string{"0", fmt.Sprint(size), fmt.Sprint(size)} {
		if code, text := clients[i].answer(); code != http.StatusOK || text != want {
			t.Errorf("request %d: got %d %s, want 200 %s", i, code, text, want)
		}
	}
}

// What is reserved for an answer counts before it is made, and who makes it is not cut for moving nothing; nor for as long
// as it takes after that.
func TestBook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := httpd.NewBudget(100)
		first, err := b.Book(t.Context(), 60)
		if err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := b.Book(ended, 60); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v where there is no room, want an end with the context alone", err)
		}
		second, err := b.Book(t.Context(), 40)
		if err != nil {
			t.Errorf("got %v where there is room", err)
		}
		second.Give()
		first.Begin()
		first.Give()
		if _, err := b.Book(t.Context(), 1000); err != nil {
			t.Errorf("got %v of one that is alone", err)
		}
	})
}

// Who has reserved room is not cut by others that want it while the answer is being made, however long that takes; only
// when it is made, and not read.
func TestBookedIsNotCut(t *testing.T) {
	began, finish, cut := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var s *server
	s = run(t, httpd.Options{Limits: httpd.Limits{Answers: 1 << 20}}, func(w http.ResponseWriter, r *http.Request) {
		h, err := s.Answers().Book(r.Context(), 1<<20)
		if err != nil {
			return
		}
		defer h.Give()
		if r.URL.Path != "/slow" {
			return
		}
		close(began)
		<-finish
		_, err = w.Write([]byte("made"))
		cut <- errors.Join(err, http.NewResponseController(w).Flush())
	})
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		if resp, err := http.Get("http://" + s.Addr().String() + "/slow"); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // longer than it takes to cut who does not move
	defer cancel()
	if _, err := s.Answers().Book(ctx, 1<<20); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want no room beside an answer that is being made", err)
	}
	close(finish)
	if err := <-cut; err != nil {
		t.Errorf("the answer could not be written: %v", err)
	}
}

// As many requests wait to be answered as can be meanwhile; the next is refused at once, and what must be answered waits
// all the same.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := httpd.NewBudget(100)
		_, all, err := b.Build(t.Context(), 0, build(100))
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 300)
		ask := func(wait time.Duration) {
			_, h, err := b.Build(t.Context(), wait, build(1))
			h.Give()
			ended <- err
		}
		for range 257 {
			go ask(time.Second)
		}
		synctest.Wait()
		if len(ended) != 1 {
			t.Fatalf("%d of 257 have ended, want one that is refused, and 256 that wait", len(ended))
		}
		if err := <-ended; !errors.Is(err, httpd.ErrFull) {
			t.Errorf("got %v, want ErrFull", err)
		}
		go ask(0)
		synctest.Wait()
		if len(ended) > 0 {
			t.Errorf("got %v of one that waits for as long as it lives", <-ended)
		}
		all.Give()
		synctest.Wait()
		for len(ended) > 0 {
			if err := <-ended; err != nil {
				t.Errorf("once there is room: got %v", err)
			}
		}
		go ask(time.Second)
		if err := <-ended; err != nil {
			t.Errorf("after that: got %v", err)
		}
	})
}
