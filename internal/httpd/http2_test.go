package httpd_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"headrace/internal/httpd"
)

// overHTTP2 returns a client that speaks HTTP/2 alone, on connections of its own.
func (s *server) overHTTP2() *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	c := &http.Client{Transport: &http.Transport{Protocols: &protocols}, Timeout: patience}
	s.t.Cleanup(c.CloseIdleConnections)
	return c
}

// get asks for a path, and leaves the content to be read.
func (s *server) get(c *http.Client, path string) *http.Response {
	s.t.Helper()
	resp, err := c.Get("http://" + s.Addr().String() + path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// HTTP/2 is spoken for the paths that are named, and for no other.
func TestHTTP2Paths(t *testing.T) {
	t.Parallel()
	s := run(t, httpd.Options{HTTP2: []string{"/two/", "/three"}}, nil)
	c := s.overHTTP2()
	for path, want := range map[string]int{"/two/x": 200, "/two/": 200, "/three": 200, "/three/x": 505, "/two": 505, "/": 505, "/xtwo/": 505} {
		if got := s.get(c, path); got.StatusCode != want || got.ProtoMajor != 2 {
			t.Errorf("%s: got %s over %s, want %d", path, got.Status, got.Proto, want)
		}
		if got, text := s.ask("GET", path); got != 200 {
			t.Errorf("%s over HTTP/1.1: got %d %s, want it answered", path, got, text)
		}
	}
	plain := run(t, httpd.Options{}, nil)
	if resp, err := plain.overHTTP2().Get("http://" + plain.Addr().String() + "/two/x"); err == nil {
		t.Errorf("got %s over %s of a server that speaks HTTP/1.1 alone", resp.Status, resp.Proto)
	}
}

// Who may ask is asked of each request, over HTTP/2 too.
func TestHTTP2Access(t *testing.T) {
	t.Parallel()
	s := run(t, httpd.Options{HTTP2: []string{"/"}, Access: httpd.Access{Token: token, Writes: func(r *http.Request) bool { return r.Method == http.MethodPost }}}, nil)
	c := s.overHTTP2()
	for _, test := range []struct {
		method, name, value string
		want                int
	}{
		{"GET", "", "", 200},
		{"GET", "Origin", "https://evil.example", 403},
		{"POST", "", "", 401},
		{"POST", "Authorization", "Bearer " + token, 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+s.Addr().String()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.name != "" {
			req.Header.Set(test.name, test.value)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("%s with %s: got %s, want %d", test.method, test.name, resp.Status, test.want)
		}
	}
}

// Requests over HTTP/2 are counted themselves: a connection can have many.
func TestHTTP2Streams(t *testing.T) {
	t.Parallel()
	leave := make(chan struct{})
	s := run(t, httpd.Options{HTTP2: []string{"/"}, Limits: httpd.Limits{Streams: 3}}, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-leave
		}
	})
	c := s.overHTTP2()
	done := make(chan error, 3)
	for range 3 {
		go func() {
			resp, err := c.Get("http://" + s.Addr().String() + "/wait")
			if err == nil {
				resp.Body.Close()
			}
			done <- err
		}()
	}
	s.busy(3)
	for _, over := range []*http.Client{c, s.overHTTP2()} {
		if got := s.get(over, "/"); got.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("got %s for one too many, want it refused", got.Status)
		}
	}
	if got, text := s.ask("GET", "/"); got != 200 {
		t.Errorf("over HTTP/1.1: got %d %s, want it answered", got, text)
	}
	close(leave)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := s.get(c, "/"); got.StatusCode != 200 {
		t.Errorf("got %s afterwards, want an answer", got.Status)
	}
}

// An answer over HTTP/2 that nobody reads ends, and the connection goes on.
func TestHTTP2Unread(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	s := run(t, httpd.Options{HTTP2: []string{"/"}, Limits: httpd.Limits{Stream: short}}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/large" {
			return
		}
		var err error
		for piece := bytes.Repeat([]byte("x"), 1<<20); err == nil; {
			_, err = w.Write(piece)
		}
		ended <- err
	})
	c := s.overHTTP2()
	if resp, err := c.Get("http://" + s.Addr().String() + "/large"); err == nil { // else it ended before it began
		defer resp.Body.Close()
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the answer is still being written")
	}
	if got := s.get(c, "/"); got.StatusCode != 200 {
		t.Errorf("got %s afterwards, want an answer", got.Status)
	}
}

// A body over HTTP/2 that does not come ends, too.
func TestHTTP2SlowBody(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	s := run(t, httpd.Options{HTTP2: []string{"/"}, Limits: httpd.Limits{Stall: short}}, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	})
	body, end := io.Pipe()
	defer end.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr().String()+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = end.Write([]byte("x")) }()
	if resp, err := s.overHTTP2().Do(req); err == nil {
		resp.Body.Close()
	}
	select {
	case err := <-ended:
		if !errors.Is(err, httpd.ErrSlow) {
			t.Errorf("got %v, want %v", err, httpd.ErrSlow)
		}
	case <-time.After(patience):
		t.Error("the body is still being read")
	}
}

// A connection that has begun to speak HTTP/2 and asks for nothing, or for more than is answered at a time, costs little,
// and makes room for others.
func TestHTTP2Memory(t *testing.T) {
	const connections, each = 400, 64 << 10
	s := run(t, httpd.Options{HTTP2: []string{"/"}, Limits: httpd.Limits{Connections: connections, Streams: 8, Stall: long, Stream: long}}, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	// POST / of localhost, by HTTP/2's table of headers, with a body to come
	const post = "\x00\x00\x0e\x01\x04\x00\x00\x00\x01" + "\x83\x86\x84\x01\x09localhost"
	begin := inUse()
	for range connections {
		c := s.dial()
		c.say("%s%s", preface, post)
		if _, err := io.ReadFull(c.in, make([]byte, 9)); err != nil { // the server's settings
			t.Fatal(err)
		}
	}
	s.busy(8)
	if got := (inUse() - begin) / connections; got > each {
		t.Errorf("got %d bytes for each of %d connections, both ends, want %d at most", got, connections, each)
	} else {
		t.Logf("%d bytes for each connection, both ends", got)
	}
	if got, text := s.ask("GET", "/"); got != 200 {
		t.Errorf("got %d %s, want one of those that wait to make room", got, text)
	}
}

// inUse is what the process holds, in bytes, without garbage.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
