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
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
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
}

// Publisher is the user who may write.
const Publisher = "publisher"

// startup bounds how long a server takes until it answers: one with much on the disk reads it first.
const startup = time.Minute

// Open starts a server.
func Open(opt Options) (*Server, error) {
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
	o.Users = []*natsserver.User{{Username: s.User, Password: s.Password}}
	if opt.Password != "" {
		o.Users = append(o.Users, &natsserver.User{Username: cmp.Or(opt.User, "reader"), Password: opt.Password, Permissions: reading()})
	}
	var err error
	if s.Server, err = natsserver.NewServer(o); err != nil {
		return nil, fmt.Errorf("NATS server: %w", err)
	}
	s.SetLoggerV2(&logger{log: cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(startup) {
		s.Close()
		return nil, fmt.Errorf("NATS server: it does not answer within %s: see its log", startup)
	}
	if opt.Cluster == nil && !s.JetStreamEnabled() {
		s.Close()
		return nil, fmt.Errorf("NATS server: streams cannot be kept in %s: see its log", opt.Dir)
	}
	return s, nil
}

// Close stops the server.
func (s *Server) Close() {
	s.Shutdown()
	s.WaitForShutdown()
}

// reading is what readers may do: ask for streams and messages, make consumers of their own, and acknowledge.
func reading() *natsserver.Permissions {
	return &natsserver.Permissions{
		Publish: &natsserver.SubjectPermission{Allow: []string{
			"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.>",
			"$JS.API.CONSUMER.>", "$JS.ACK.>", "$JS.FC.>",
		}},
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
	log  *slog.Logger
	said edge.Log
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
func (l *logger) Fatalf(format string, v ...any)  { l.say(slog.LevelError, format, v...) }
func (l *logger) Errorf(format string, v ...any)  { l.say(slog.LevelError, format, v...) }
func (l *logger) Debugf(format string, v ...any)  { l.say(slog.LevelDebug, format, v...) }
func (l *logger) Tracef(format string, v ...any)  {}
