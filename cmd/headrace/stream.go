package main

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"headrace/await"
	"headrace/block"
	"headrace/node"
	"headrace/stream/nats/publish"
	natsserver "headrace/stream/nats/server"
)

// openStream makes what publishes a node's blocks, as the settings say. The embedded server, if there is to be one, is
// started by start, once the node has its home for itself, and ended by what that returns.
func openStream(home string, c *node.StreamConfig, genesis *block.Genesis, log *slog.Logger) (out *publish.Publisher, start func() (func(), error), err error) {
	log = log.With("module", "stream")
	opt := publish.Options{
		Genesis: genesis, Head: await.Safe, From: c.From, Replicas: int(cmp.Or(c.Replicas, 1)), Logger: log,
		Servers: publish.Servers{URLs: c.URL, Credentials: inHome(home, c.CredentialsFile)},
	}
	if c.Head == await.Finalized.String() {
		opt.Head = await.Finalized
	}
	password, err := streamPassword(home, c)
	if err != nil {
		return nil, nil, err
	}
	secure, err := streamTLS(home, c)
	if err != nil {
		return nil, nil, err
	}
	start = func() (func(), error) { return func() {}, nil }
	if c.Embedded {
		late := &lateServer{opt: natsserver.Options{
			Dir: filepath.Join(home, "stream"), Listen: c.Listen, User: c.User, Password: password, Secret: rand.Text(), TLS: secure, Logger: log,
		}}
		start = late.start
		opt.Servers.InProcess, opt.Servers.User, opt.Servers.Password = late, natsserver.Publisher, late.opt.Secret
	} else {
		opt.Servers.User, opt.Servers.Password, opt.Servers.TLS = c.User, password, secure
	}
	if out, err = publish.New(opt); err != nil {
		return nil, nil, fmt.Errorf("stream.url: %w", err)
	}
	return out, start, nil
}

// lateServer is an embedded server that is started after those who use it were made.
type lateServer struct {
	opt natsserver.Options
	now atomic.Pointer[natsserver.Server]
}

func (l *lateServer) start() (func(), error) {
	s, err := natsserver.Open(l.opt)
	if err != nil {
		return nil, fmt.Errorf("stream.embedded: %w", err)
	}
	if l.opt.Listen != "" {
		l.opt.Logger.Info("stream", "listens", s.Addr())
	}
	l.now.Store(s)
	return s.Close, nil
}

// InProcessConn implements nats.InProcessConnProvider.
func (l *lateServer) InProcessConn() (net.Conn, error) {
	s := l.now.Load()
	if s == nil {
		return nil, errors.New("the embedded server has not been started yet")
	}
	return s.InProcessConn()
}

// inHome is a path of the settings, which is relative to the home; "" stays.
func inHome(home, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(home, path)
}

func streamPassword(home string, c *node.StreamConfig) (string, error) {
	if c.PasswordFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(inHome(home, c.PasswordFile))
	if err != nil {
		return "", fmt.Errorf("stream.password_file: %w", err)
	}
	password := strings.TrimSpace(string(b))
	if password == "" {
		return "", fmt.Errorf("stream.password_file: %s is empty", inHome(home, c.PasswordFile))
	}
	return password, nil
}

// streamTLS returns the TLS of the connection to the server, or of the embedded server's port; nil: nothing is said of it.
func streamTLS(home string, c *node.StreamConfig) (*tls.Config, error) {
	if c.TLSCA == "" && c.TLSCert == "" {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(inHome(home, c.TLSCert), inHome(home, c.TLSKey))
		if err != nil {
			return nil, fmt.Errorf("stream.tls_cert: %w", err)
		}
		out.Certificates = []tls.Certificate{cert}
	}
	if c.TLSCA != "" {
		pem, err := os.ReadFile(inHome(home, c.TLSCA))
		if err != nil {
			return nil, fmt.Errorf("stream.tls_ca: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("stream.tls_ca: the file holds no certificate in PEM")
		}
	}
	return out, nil
}
