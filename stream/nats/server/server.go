// Package server is a NATS server with JetStream in the process, for a stream without a server of its own.
//
// What it acknowledges is on the disk: every write is synced. It listens on no port unless it is told to, and then whoever
// connects needs the password, and may read streams, and write nothing. Open returns when it answers; Close when all of
// it has stopped.
package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"headrace/internal/edge"
)

// Options say how a server runs. Dir is needed.
type Options struct {
	Dir string // of its streams; made if absent

	Listen   string      // host:port; empty: no port is opened
	User     string      // of those who connect there; default "reader"
	Password string      // theirs; needed with Listen
	TLS      *tls.Config // of the port; nil: in the clear

	Secret string // of those who may write; default: a new one, for this process alone

	MaxPayload int32 // bytes of the largest message; default 1 MiB
	NoSync     bool  // acknowledge before a write is synced: for tests and measurements

	Cluster *Cluster     // nil: it is alone
	Logger  *slog.Logger // default: silent
}

// Cluster is how servers find each other.
type Cluster struct {
	Name   string   // of this server
	Listen string   // host:port for the other servers
	Routes []string // host:port of the others
}

// Server is a running server.
type Server struct {
	*natsserver.Server // it is a nats.InProcessConnProvider, whose connections need User and Password
	User, Password     string

	says logger
}

// Publisher is the user who may write.
const Publisher = "publisher"

// Open is Start without an end.
func Open(opt Options) (*Server, error) { return Start(context.Background(), opt) }

// Start starts a server, and returns when it answers: one with much on the disk reads it first. If ctx ends before, Start
// returns its cause at once; what cannot be interrupted then ends by itself, and until it does the directory must not be
// used by another server.
func Start(ctx context.Context, opt Options) (*Server, error) {
	o := &natsserver.Options{
		ServerName: "headrace", JetStream: true, StoreDir: opt.Dir, SyncAlways: !opt.NoSync, DontListen: opt.Listen == "",
		NoSigs: true, NoSystemAccount: opt.Cluster == nil, MaxPayload: cmp.Or(opt.MaxPayload, 1<<20),
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 50,
	}
	if opt.Listen != "" {
		if opt.Password == "" {
			return nil, errors.New("a server that listens needs a password")
		}
		var err error
		if o.Host, o.Port, err = hostPort(opt.Listen); err != nil {
			return nil, err
		}
		o.TLSConfig, o.TLS = opt.TLS, opt.TLS != nil
		l, err := net.Listen("tcp", opt.Listen) // the server would only log it, and not end
		if err != nil {
			return nil, fmt.Errorf("NATS server: %w: choose another address", err)
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	if c := opt.Cluster; c != nil {
		if opt.Listen == "" {
			return nil, errors.New("a server of a cluster has to listen")
		}
		o.ServerName = c.Name
		o.Cluster.Name = "headrace"
		var err error
		if o.Cluster.Host, o.Cluster.Port, err = hostPort(c.Listen); err != nil {
			return nil, err
		}
		for _, r := range c.Routes {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: r})
		}
	}
	s := &Server{User: Publisher, Password: cmp.Or(opt.Secret, rand.Text())}
	in := &logins{publisher: s.Password, password: opt.Password, reader: cmp.Or(opt.User, "reader")}
	o.CustomClientAuthentication = in
	var err error
	if s.Server, err = natsserver.NewServer(o); err != nil {
		return nil, fmt.Errorf("NATS server: %w", err)
	}
	l := &s.says
	l.log = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	s.SetLoggerV2(l, false, false, false)
	started := make(chan struct{})
	go func() {
		s.Server.Start()
		close(started)
	}()
	select {
	case <-started:
	case <-ctx.Done():
		ending.Go(func() { // closed before it has started it would not end
			<-started
			s.Close()
		})
		return nil, context.Cause(ctx)
	}
	const poll = 50 * time.Millisecond // of the other servers' port, which is opened later
	for opt.Cluster != nil && l.fatal.Load() == nil && ctx.Err() == nil && !s.ReadyForConnections(poll) {
	}
	if opt.Password != "" && l.fatal.Load() == nil {
		err = s.admit(in)
	}
	if text := l.fatal.Load(); text != nil {
		err = fmt.Errorf("NATS server: %s; its streams are in %s", *text, opt.Dir)
	} else if err = errors.Join(err, context.Cause(ctx)); err == nil && opt.Cluster == nil && !s.JetStreamEnabled() {
		err = fmt.Errorf("NATS server: streams cannot be kept in %s: see its log", opt.Dir)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// ending are servers that end by themselves.
var ending sync.WaitGroup

// Failed returns why streams are not kept any more, as after a write that failed on a full disk; nil: they are. Only another
// server keeps them again.
func (s *Server) Failed() error {
	if text := s.says.broken.Load(); text != nil {
		return errors.New(*text)
	}
	if !s.JetStreamEnabled() {
		if text := s.says.last.Load(); text != nil {
			return fmt.Errorf("JetStream is off, and the server has said: %s", *text)
		}
		return errors.New("JetStream is off")
	}
	return nil
}

// Close stops the server.
func (s *Server) Close() {
	s.Shutdown()
	s.WaitForShutdown()
}

// logins lets those in who may use the server. It is a natsserver.Authentication.
type logins struct {
	publisher        string // its password
	reader, password string // of those who read
	readers          atomic.Pointer[natsserver.Account]
}

// Check implements natsserver.Authentication.
func (l *logins) Check(c natsserver.ClientAuthentication) bool {
	o := c.GetOpts()
	same := func(password string) bool {
		return subtle.ConstantTimeCompare([]byte(o.Password), []byte(password)) == 1
	}
	switch of := l.readers.Load(); {
	case o.Username == Publisher && same(l.publisher):
		c.RegisterUser(&natsserver.User{Username: Publisher})
	case l.password != "" && of != nil && o.Username == l.reader && same(l.password):
		c.RegisterUser(&natsserver.User{Username: l.reader, Account: of, Permissions: reading()})
	default:
		return false
	}
	return true
}

// admit makes the account of those who read. Nothing that they send, and no answer that they ask for, gets into the
// account that has the streams, but the questions that are exported there.
func (s *Server) admit(in *logins) error {
	readers, err := s.RegisterAccount("readers")
	if err != nil {
		return fmt.Errorf("NATS server: %w", err)
	}
	streams := s.GlobalAccount()
	for _, subject := range questions {
		err = errors.Join(err, streams.AddServiceExportWithResponse(subject, natsserver.Streamed, []*natsserver.Account{readers}), readers.AddServiceImport(streams, subject, subject))
	}
	err = errors.Join(err, streams.AddStreamExport("hr.>", []*natsserver.Account{readers}), readers.AddStreamImport(streams, "hr.>", ""))
	in.readers.Store(readers)
	return err
}

// questions are what readers may ask: for streams and messages, and for consumers, whose names the others have no way to
// ask for: who knows the name of a consumer may read it empty, or delete it.
var questions = []string{
	"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.>",
	"$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.INFO.*.*", "$JS.API.CONSUMER.MSG.NEXT.*.*", "$JS.API.CONSUMER.DELETE.*.*", "$JS.ACK.>", "$JS.FC.>",
}

// reading is what readers may do.
func reading() *natsserver.Permissions {
	return &natsserver.Permissions{
		Publish:   &natsserver.SubjectPermission{Allow: questions},
		Subscribe: &natsserver.SubjectPermission{Allow: []string{"_INBOX.>", "hr.>"}},
	}
}

func hostPort(address string) (string, int, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port: %w", address, err)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return "", 0, fmt.Errorf("%q: the port is not a number up to 65535", address)
	}
	if n == 0 {
		n = natsserver.RANDOM_PORT
	}
	return host, n, nil
}

// logger passes on what the server says. What it says of its own life is of no interest here, but at level debug.
type logger struct {
	log    *slog.Logger
	said   edge.Log
	fatal  atomic.Pointer[string] // what it could not start for
	broken atomic.Pointer[string] // why it takes no messages any more
	last   atomic.Pointer[string] // its last error
}

func (l *logger) say(level slog.Level, format string, v ...any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	text := fmt.Sprintf(format, v...)
	if strings.HasPrefix(text, "Plaintext passwords detected") { // they are in the memory of this process alone
		return
	}
	l.said.Tell(l.log, level, "NATS server", text, "says", text)
}

func (l *logger) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v...) }
func (l *logger) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v...) }
func (l *logger) Debugf(format string, v ...any)  { l.say(slog.LevelDebug, format, v...) }
func (l *logger) Tracef(format string, v ...any)  {}

// Errorf notes after which error the server takes no messages any more: nothing else tells.
func (l *logger) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.last.Store(&text)
	if strings.Contains(format, "critical write error") {
		l.broken.CompareAndSwap(nil, &text)
	}
	l.say(slog.LevelError, format, v...)
}

// Fatalf notes what ends a server of its own, and this one too.
func (l *logger) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.fatal.Store(&text)
	l.say(slog.LevelDebug, format, v...)
}
