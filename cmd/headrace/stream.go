package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"headrace/await"
	"headrace/block"
	"headrace/node"
	"headrace/stream/nats/publish"
	natsserver "headrace/stream/nats/server"
)

// openStream makes what publishes a node's blocks, as the settings say, and the embedded server if there is to be one, which
// is to be run once the node has its home for itself.
func openStream(home string, c *node.StreamConfig, genesis *block.Genesis, log *slog.Logger) (out *publish.Publisher, embedded *natsserver.Embedded, err error) {
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
	if c.Embedded {
		secret := rand.Text()
		embedded = natsserver.NewEmbedded(natsserver.Options{
			Dir: filepath.Join(home, "stream"), Listen: c.Listen, User: c.User, Password: password, Secret: secret, TLS: secure, Logger: log,
		})
		opt.Servers.InProcess, opt.Servers.User, opt.Servers.Password = embedded, natsserver.Publisher, secret
	} else {
		opt.Servers.User, opt.Servers.Password, opt.Servers.TLS = c.User, password, secure
	}
	if out, err = publish.New(opt); err != nil {
		return nil, nil, fmt.Errorf("stream.url: %w", err)
	}
	return out, embedded, nil
}

// besides runs a node, and beside it the embedded server, which ends after it. What ends the server ends the node.
func besides(ctx context.Context, embedded *natsserver.Embedded, run func(context.Context) error) error {
	if embedded == nil {
		return run(ctx)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var server sync.WaitGroup
	var failure error
	server.Go(func() {
		if err := embedded.Run(serving); err != nil {
			failure = fmt.Errorf("stream.embedded: %w", err)
			fail(failure)
		}
	})
	err := run(ctx)
	end()
	server.Wait()
	return errors.Join(err, failure)
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
