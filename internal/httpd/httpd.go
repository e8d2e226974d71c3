// Package httpd serves HTTP to strangers: whatever they send, do not send or do not read costs a bounded part of the
// process, and what is refused is refused before it costs much.
//
// A connection has a time for its headers, a time to be idle, and a lowest rate for each body and each answer, counted
// from what has moved, so that a stream or a long wait lives for as long as its reader reads. There is a limit on
// connections, in all and of one address; beyond it whoever waits longest without a request makes room, and when all
// are busy a share is left that answers probes alone. Bodies and large answers are counted in bytes while they are in
// memory, in a Budget. A page in a browser is answered only if its origin is named, a write beyond the loopback only
// with a token.
//
// HTTP/1.1 is spoken: one connection is one request at a time, which is what the limits count. Paths that are named are
// served over HTTP/2 without TLS too. A connection can have several requests then, of which a reader can leave each
// unread: so these are counted themselves, and each has an end.
package httpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Limits are the bounds of a server. A zero field has its default.
type Limits struct {
	Connections int   // in all: 1280, or what the descriptors of the process allow if that is less
	PerAddress  int   // of one address, an IPv6 one being its /64, that is neither loopback nor in Proxies: 256
	Answers     int64 // bytes of large answers in memory: 16 MiB
	Bodies      int64 // bytes of bodies in memory: 16 MiB
	Streams     int   // requests over HTTP/2, in all: 64
	Probes      int   // connections beyond Connections that Options.Probes are served on: 32

	Header time.Duration // for the whole header, and for a TLS handshake: 10 s
	Idle   time.Duration // between two requests: 1 min
	Stall  time.Duration // in which a part of a body must come, or of an answer be taken: 30 s
	Stream time.Duration // for a request over HTTP/2, from its header to the end of the answer: 1 min
	Rate   int64         // bytes per second below which, after Stall, a body or one write is cut: 16 KiB
}

func (l Limits) withDefaults() Limits {
	l.Connections = cmp.Or(l.Connections, 1280)
	l.PerAddress = cmp.Or(l.PerAddress, 256)
	l.Answers = cmp.Or(l.Answers, 16<<20)
	l.Bodies = cmp.Or(l.Bodies, 16<<20)
	l.Streams = cmp.Or(l.Streams, 64)
	l.Probes = cmp.Or(l.Probes, 32)
	l.Header = cmp.Or(l.Header, 10*time.Second)
	l.Idle = cmp.Or(l.Idle, time.Minute)
	l.Stall = cmp.Or(l.Stall, 30*time.Second)
	l.Stream = cmp.Or(l.Stream, time.Minute)
	l.Rate = cmp.Or(l.Rate, 16<<10)
	return l
}

// maxHeader bounds the header of a request, in bytes; net/http adds 4 KiB.
const maxHeader = 16 << 10

// Options say who is served. The zero value serves every program on every listener, and no page.
type Options struct {
	Limits
	Access
	HTTP2  []string     // paths, with all below those that end in a slash, that are served over HTTP/2 without TLS too
	Probes []string     // paths that are answered when all other connections are taken
	Cert   *Cert        // nil: without TLS
	Logger *slog.Logger // none
}

// Server serves one listener. Make it with New, run it once.
type Server struct {
	opt      Options
	listener *listener
	loopback bool
	answers  *Budget
	bodies   *Budget
	streams  chan struct{} // a slot for each request over HTTP/2
}

// New returns a server of a listener, which is the server's from now on.
func New(l net.Listener, opt Options) *Server {
	opt.Limits = opt.Limits.withDefaults()
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	if len(opt.Probes) == 0 {
		opt.Limits.Probes = 0
	}
	return &Server{
		opt: opt, listener: newListener(l, opt.Limits, opt.Proxies), loopback: Loopback(l.Addr()),
		answers: NewBudget(opt.Answers), bodies: NewBudget(opt.Bodies), streams: make(chan struct{}, opt.Streams),
	}
}

// Answers is what large answers are to be counted in.
func (s *Server) Answers() *Budget { return s.answers }

// Bodies is what bodies are counted in that do not come as the body of a request.
func (s *Server) Bodies() *Budget { return s.bodies }

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close closes a server that is never run.
func (s *Server) Close() error { return s.listener.Close() }

// grace is how long what is under way may take once the server ends.
const grace = 300 * time.Millisecond

// Serve answers requests until ctx ends, whose end it then returns; the contexts of requests end with ctx too.
func (s *Server) Serve(ctx context.Context, h http.Handler) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(len(s.opt.HTTP2) > 0 && s.opt.Cert == nil)
	server := &http.Server{
		HTTP2:   http2Limits(),
		Handler: s.bound(h), Protocols: protocols, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: s.opt.Header, IdleTimeout: s.opt.Idle,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, ours(c))
		},
		ConnState: func(c net.Conn, state http.ConnState) { ours(c).become(state) },
		ErrorLog:  log.New(errorLog{s.opt.Logger}, "", 0),
	}
	var l net.Listener = s.listener
	if s.opt.Cert != nil {
		current := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.opt.Cert.current(s.opt.Logger), nil }
		l = tls.NewListener(l, &tls.Config{GetCertificate: current, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	ending, cancel := context.WithCancel(ctx)
	var closer sync.WaitGroup
	closer.Go(func() {
		<-ending.Done()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if server.Shutdown(limited) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(l)
	cancel()
	closer.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = ctx.Err()
	}
	return err
}

// errorLog is where net/http says what it has no other place for. A panic is a bug of ours and a failing listener the
// operator's matter; the rest is what strangers do wrong.
type errorLog struct{ log *slog.Logger }

func (e errorLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := slog.LevelDebug
	switch {
	case strings.HasPrefix(text, "http: panic"):
		level = slog.LevelError
	case strings.HasPrefix(text, "http: Accept error"):
		level = slog.LevelWarn
	}
	e.log.Log(context.Background(), level, "http server", "err", text)
	return len(line), nil
}

// bound is h behind the limits.
func (s *Server) bound(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, _ := r.Context().Value(connKey{}).(*conn)
		if k != nil && k.probe {
			w.Header().Set("Connection", "close")
			if !s.isProbe(r) {
				w.Header().Set("Retry-After", "1")
				Refuse(w, http.StatusServiceUnavailable, errConnections)
				return
			}
		}
		if code, err := s.opt.Check(r, s.loopback); err != nil {
			if code == http.StatusUnauthorized { // of a page that may ask: it may know why
				s.opt.Share(w, r)
			}
			Refuse(w, code, err)
			return
		}
		if s.opt.Share(w, r) {
			return
		}
		if r.ProtoMajor == 2 {
			end := s.begin(w, r)
			if end == nil {
				return
			}
			defer end()
		}
		if r.Body != nil && r.Body != http.NoBody {
			b := s.newBody(w, r)
			defer b.hold.Give()
			r.Body = b
		}
		h.ServeHTTP(w, r)
	})
}

var errConnections = errors.New("all connections are taken")

func (s *Server) isProbe(r *http.Request) bool {
	for _, path := range s.opt.Probes {
		if r.URL.Path == path && r.Method == http.MethodGet {
			return true
		}
	}
	return false
}

// Refuse answers a request with an error, as JSON.
func Refuse(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, "{\n  \"error\": %q\n}\n", err.Error()) // our own texts, which need no other escapes than Go's
}
