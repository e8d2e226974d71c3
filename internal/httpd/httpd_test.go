package httpd_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/internal/httpd"
	"headrace/internal/logs/logstest"
	"headrace/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait: what takes longer on a busy machine hangs.
const patience = 30 * time.Second

// short is a limit that a test waits for; long is one that it must not meet.
const (
	short = 50 * time.Millisecond
	long  = time.Hour
)

// server is one at work, until the test ends.
type server struct {
	*httpd.Server
	t      *testing.T
	active *watch.Value[int] // requests that are being handled
}

// run serves opt with h, or with a handler that answers "ok".
func run(t *testing.T, opt httpd.Options, h http.HandlerFunc) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{httpd.New(l, opt), t, watch.New(0)}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		err := s.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.active.Update(func(n int) int { return n + 1 })
			defer s.active.Update(func(n int) int { return n - 1 })
			if h != nil {
				h(w, r)
				return
			}
			_, _ = io.WriteString(w, "ok")
		}))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v at the end, want the context's", err)
		}
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	return s
}

// busy waits until so many requests are being handled.
func (s *server) busy(n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if got, err := s.active.Wait(ctx, func(got int) bool { return got == n }); err != nil {
		s.t.Fatalf("got %d requests, want %d", got, n)
	}
}

// client is a connection by hand.
type client struct {
	net.Conn
	in *bufio.Reader
	t  *testing.T
}

func (s *server) dial() *client {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{c, bufio.NewReader(c), s.t}
}

func (c *client) say(format string, a ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, a...); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one answer.
func (c *client) answer() (int, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// ask sends a request on a connection of its own, with header lines, and returns the answer.
func (s *server) ask(method, path string, header ...string) (int, string) {
	s.t.Helper()
	c := s.dial()
	defer c.Close()
	lines := strings.Join(append(header, "Connection: close", ""), "\r\n")
	if !strings.Contains(lines, "Host:") {
		lines = "Host: localhost\r\n" + lines
	}
	c.say("%s %s HTTP/1.1\r\n%s\r\n", method, path, lines)
	return c.answer()
}

// ends waits until the other side has closed the connection.
func (c *client) ends() {
	c.t.Helper()
	_, err := io.Copy(io.Discard, c.in)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Error("the connection is still open")
	}
}

const get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// Each phase has its time: a connection that says nothing, half a header, half a body that the handler reads or does
// not read, and one that is idle after an answer, are all ended.
func TestEveryPhaseEnds(t *testing.T) {
	t.Parallel()
	none := func(http.ResponseWriter, *http.Request) {}
	all := func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); !errors.Is(err, httpd.ErrSlow) {
			t.Errorf("got %v of half a body, want ErrSlow", err)
		}
	}
	for name, test := range map[string]struct {
		limits httpd.Limits
		says   string
		h      http.HandlerFunc
	}{
		"nothing":         {httpd.Limits{Header: short, Idle: long, Stall: long}, "", none},
		"half a header":   {httpd.Limits{Header: short, Idle: long, Stall: long}, "GET / HTT", none},
		"idle":            {httpd.Limits{Header: long, Idle: short, Stall: long}, get, none},
		"half a body":     {httpd.Limits{Header: long, Idle: long, Stall: short}, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc", all},
		"an unread body":  {httpd.Limits{Header: long, Idle: long, Stall: short}, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc", none},
		"a body of a GET": {httpd.Limits{Header: long, Idle: long, Stall: short}, "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", none},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := run(t, httpd.Options{Limits: test.limits}, test.h).dial()
			c.say("%s", test.says)
			c.ends()
		})
	}
}

// A body that drips is below the lowest rate, however often a byte comes; one that comes at the rate is read to its
// end, however long it takes.
func TestLowestRate(t *testing.T) {
	t.Parallel()
	read := make(chan error, 2)
	h := func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		read <- err
	}
	drip := func(s *server, bytes, each int) {
		c := s.dial()
		c.say("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", bytes)
		for range bytes / each {
			if _, err := c.Write(make([]byte, each)); err != nil {
				return // it was cut, as it must be
			}
			time.Sleep(short / 5) // the pace of the other side
		}
	}
	drip(run(t, httpd.Options{Limits: httpd.Limits{Stall: 20 * short, Rate: 1 << 20}}, h), 300, 1)
	if err := <-read; !errors.Is(err, httpd.ErrSlow) {
		t.Errorf("got %v of a body that drips, want ErrSlow", err)
	}
	drip(run(t, httpd.Options{Limits: httpd.Limits{Stall: patience, Rate: 1}}, h), 4000, 100)
	if err := <-read; err != nil {
		t.Errorf("got %v of a slow body above the lowest rate, want it read", err)
	}
}

// An answer ends when nothing of it is taken; one that takes longer than the time of a stall in all does not.
func TestReaders(t *testing.T) {
	t.Parallel()
	written := make(chan error, 1)
	h := func(w http.ResponseWriter, r *http.Request) {
		_, err := w.Write(make([]byte, 64<<20))
		written <- err
	}
	s := run(t, httpd.Options{Limits: httpd.Limits{Stall: 20 * short, Rate: 1 << 10}}, h)
	asleep := s.dial()
	asleep.say(get)
	if err := <-written; err == nil {
		t.Error("64 MiB were written to a client that does not read")
	}
	slow := s.dial()
	slow.say("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	begun := time.Now()
	for time.Since(begun) < 40*short { // the pace of the other side
		if _, err := io.CopyN(io.Discard, slow, 256<<10); err != nil {
			t.Fatalf("a client that reads is cut: %v", err)
		}
		time.Sleep(short / 5)
	}
	slow.ends()
	if err := <-written; err != nil {
		t.Errorf("got %v of a client that reads slowly, want all written", err)
	}
}

// A handler may wait for longer than any of the times before it answers, also after it has read a body.
func TestLongWaits(t *testing.T) {
	t.Parallel()
	h := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			t.Error("the request has ended")
		case <-time.After(4 * short): // what the handler waits for
			_, _ = io.WriteString(w, "at last")
		}
	}
	s := run(t, httpd.Options{Limits: httpd.Limits{Header: short, Idle: short, Stall: short}}, h)
	c := s.dial()
	for range 2 {
		c.say("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab")
		if code, text := c.answer(); code != http.StatusOK || text != "at last" {
			t.Errorf("got %d %s, want the answer", code, text)
		}
	}
}

// block is a handler that lasts until its request ends.
func block(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// When all connections are taken, who has waited longest without a request makes room for one that has just come.
func TestIdleMakesRoom(t *testing.T) {
	t.Parallel()
	s := run(t, httpd.Options{Limits: httpd.Limits{Connections: 4, Header: long, Idle: long}}, nil)
	var waiting []*client
	for range 4 {
		c := s.dial()
		c.say("GET / HT")
		waiting = append(waiting, c)
	}
	c := s.dial()
	c.say(get)
	if code, _ := c.answer(); code != http.StatusOK {
		t.Errorf("got %d, want an answer", code)
	}
	waiting[0].ends()
	waiting[3].say("TP/1.1\r\nHost: localhost\r\n\r\n")
	if code, _ := waiting[3].answer(); code != http.StatusOK {
		t.Errorf("got %d of one that came later, want an answer", code)
	}
}

// A connection that has had its answer waits like one that has not asked yet.
func TestAnsweredMakesRoom(t *testing.T) {
	t.Parallel()
	s := run(t, httpd.Options{Limits: httpd.Limits{Connections: 1, Idle: long}}, nil)
	first := s.dial()
	first.say(get)
	first.answer()
	for { // until net/http knows that it has answered
		c := s.dial()
		_, _ = io.WriteString(c, get)
		if _, err := http.ReadResponse(c.in, nil); err == nil {
			break
		}
	}
	first.ends()
}

// When all connections are busy, probes are answered all the same, and nothing else is; and connections beyond those
// that say nothing keep no probe away.
func TestProbesHaveTheirShare(t *testing.T) {
	t.Parallel()
	s := run(t, httpd.Options{Limits: httpd.Limits{Connections: 3, Probes: 2, Header: long}, Probes: []string{"/readyz"}}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			block(w, r)
		}
	})
	for range 3 {
		s.dial().say(get)
	}
	s.busy(3)
	for range 5 {
		s.dial().say("GET / HT")
	}
	if code, _ := s.ask("GET", "/readyz"); code != http.StatusOK {
		t.Errorf("got %d of a probe, want 200", code)
	}
	if code, text := s.ask("GET", "/"); code != http.StatusServiceUnavailable || !strings.Contains(text, "all connections are taken") {
		t.Errorf("got %d %s beyond the limit, want 503", code, text)
	}
	if code, _ := s.ask("POST", "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("got %d of a POST to the probe's path, want 503", code)
	}
}

// Without probes, what is beyond the limit is closed.
func TestBeyondTheLimit(t *testing.T) {
	t.Parallel()
	s := run(t, httpd.Options{Limits: httpd.Limits{Connections: 2}}, block)
	held := []*client{s.dial(), s.dial()}
	for _, c := range held {
		c.say(get)
	}
	s.busy(2)
	beyond := s.dial()
	_, _ = io.WriteString(beyond, get) // it may be closed by now
	beyond.ends()
	_ = held[0].Close() // which gives its place back
	s.busy(1)
	c := s.dial()
	c.say(get)
	s.busy(2)
}

// remote gives connections addresses of other hosts.
type remote struct {
	net.Listener
	next func() string
}

func (r remote) Accept() (net.Conn, error) {
	c, err := r.Listener.Accept()
	if err != nil {
		return nil, err
	}
	a := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(r.next()), 1))
	return remoteConn{c, a}, nil
}

type remoteConn struct {
	net.Conn
	from net.Addr
}

func (c remoteConn) RemoteAddr() net.Addr { return c.from }

// One address, or one /64, has so many connections; the loopback and a named proxy have as many as there are.
func TestPerAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var from atomic.Value // a string, set before a connection is made, and read when it is accepted
	proxies, err := httpd.ParsePrefixes([]string{"10.0.0.0/8", "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{httpd.New(remote{l, func() string { return from.Load().(string) }}, httpd.Options{Limits: httpd.Limits{PerAddress: 2, Header: long}, Access: httpd.Access{Proxies: proxies}}), t, watch.New(0)}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		_ = s.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.active.Update(func(n int) int { return n + 1 })
			defer s.active.Update(func(n int) int { return n - 1 })
			block(w, r)
		}))
	})
	defer work.Wait()
	defer cancel()
	n := 0
	for _, test := range []struct {
		from string
		ok   bool
	}{
		{"192.0.2.1", true}, {"192.0.2.1", true}, {"192.0.2.1", false}, {"::ffff:192.0.2.1", false}, {"192.0.2.2", true},
		{"2001:db8::1", true}, {"2001:db8::2", true}, {"2001:db8::3", false}, {"2001:db8:0:1::1", true},
		{"127.0.0.1", true}, {"127.0.0.1", true}, {"127.0.0.1", true}, {"::1", true}, {"::1", true}, {"::1", true},
		{"10.1.2.3", true}, {"10.1.2.3", true}, {"10.1.2.3", true}, {"192.0.2.7", true}, {"192.0.2.7", true}, {"192.0.2.7", true},
	} {
		from.Store(test.from)
		c := s.dial()
		if !test.ok {
			_, _ = io.WriteString(c, get) // it may be closed by now
			c.ends()
			continue
		}
		c.say(get)
		n++
		s.busy(n)
	}
}

// A header that is longer than any of ours is refused before all of it is in memory.
func TestLongHeader(t *testing.T) {
	t.Parallel()
	c := run(t, httpd.Options{Limits: httpd.Limits{Header: long}}, nil).dial()
	c.say("GET / HTTP/1.1\r\nHost: localhost\r\nX: %s", strings.Repeat("x", 20<<10)) // and no end
	if code, _ := c.answer(); code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d of a header of 20 KiB, want 431", code)
	}
}

// What net/http says goes to the logger: a panic as an error, what strangers do wrong for those who debug.
func TestErrorLog(t *testing.T) {
	t.Parallel()
	out := new(logstest.Text)
	opt := httpd.Options{Logger: slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	s := run(t, opt, func(http.ResponseWriter, *http.Request) { panic("ouch") })
	c := s.dial()
	c.say(get)
	c.ends()
	opt.Cert = newCertFiles(t, certificate(t)).read()
	c = run(t, opt, nil).dial()
	c.say("nonsense that is no handshake\r\n\r\n")
	c.ends()
	for _, want := range []string{`"level":"ERROR","msg":"http server","err":"http: panic serving 127.0.0.1:`, `"level":"DEBUG","msg":"http server","err":"http: TLS handshake error`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s, want %s", out.String(), want)
		}
	}
}

// certificate makes one for 127.0.0.1.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Over TLS the same limits hold, and only HTTP/1.1 is spoken.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert := certificate(t)
	s := run(t, httpd.Options{Cert: newCertFiles(t, cert).read(), Limits: httpd.Limits{Header: short, Idle: short}}, nil)
	s.dial().ends() // no handshake
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("https://" + s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); string(text) != "ok" || err != nil || resp.ProtoMajor != 1 {
		t.Errorf("got %s %v over %s, want ok over HTTP/1.1", text, err, resp.Proto)
	}
}
