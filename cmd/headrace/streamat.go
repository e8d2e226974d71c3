package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"headrace/node"
	"headrace/stream/nats"
	"headrace/stream/nats/publish"
)

// streamAt is a stream that a command reads, by flags that are named as the settings of who publishes it.
type streamAt struct {
	url, chain string
	config     node.StreamConfig
	servers    publish.Servers
	failure    atomic.Pointer[error] // of the last try to connect
}

// flags adds all but the address.
func (s *streamAt) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.chain, "chain", "", "which chain's stream: its name there, hr-CHAIN, or the hash of the genesis; without it there must be one only")
	flags.StringVar(&s.config.CredentialsFile, "stream.credentials_file", "", "a file with the credentials of a NATS user, as nsc writes it")
	flags.StringVar(&s.config.User, "stream.user", "", "name of a NATS user, with stream.password_file; empty: reader, as an embedded server has it")
	flags.StringVar(&s.config.PasswordFile, "stream.password_file", "", "a file that holds the user's password")
	flags.StringVar(&s.config.TLSCA, "stream.tls_ca", "", "a file with the certificates, in PEM, that the server's is signed by; empty: those of the system")
	flags.StringVar(&s.config.TLSCert, "stream.tls_cert", "", "a file with a certificate chain in PEM, for a server that asks for one")
	flags.StringVar(&s.config.TLSKey, "stream.tls_key", "", "a file with the certificate's private key in PEM")
}

// given returns the name of a flag of flags that was given; "" if none was.
func (s *streamAt) given(cmd *cobra.Command) (name string) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "chain" || strings.HasPrefix(f.Name, "stream.") {
			name = f.Name
		}
	})
	return name
}

// open returns a connection, and what ends it. It comes back by itself, also at first.
func (s *streamAt) open(ctx context.Context) (js nats.JetStream, close func(), err error) {
	if strings.TrimSpace(s.url) == "" {
		return nil, nil, usagef("the address of the NATS server is empty: nats://127.0.0.1:4222 is one")
	}
	s.config.URL = strings.Split(s.url, ",")
	if s.config.PasswordFile != "" && s.config.User == "" {
		s.config.User = "reader" // as an embedded server has it
	}
	if err := s.config.Fits(); err != nil {
		return nil, nil, usageError{err}
	}
	if s.chain, err = chainOf(s.chain); err != nil {
		return nil, nil, err
	}
	dir, err := os.Getwd() // to which paths are relative
	if err != nil {
		return nil, nil, err
	}
	password, err := streamPassword(dir, &s.config)
	if err != nil {
		return nil, nil, err
	}
	secure, err := streamTLS(dir, &s.config)
	if err != nil {
		return nil, nil, err
	}
	s.servers = publish.Servers{URLs: s.config.URL, Credentials: inHome(dir, s.config.CredentialsFile), User: s.config.User, Password: password, TLS: secure}
	js, err = s.servers.Dial(ctx, func(err error) { s.failure.Store(&err) })
	if err != nil {
		return nil, nil, usageError{s.servers.Hide(err)}
	}
	return js, js.Conn().Close, nil
}

// clean is an error without what is secret, and with why there is no connection, if there is none.
func (s *streamAt) clean(js nats.JetStream, err error) error {
	if usage := (usageError{}); errors.As(err, &usage) {
		return err // it is of what was given
	}
	switch why := s.failure.Load(); {
	case errors.Is(err, nats.ErrDenied):
		err = fmt.Errorf("%s: %w: docs/STREAM.md has what a reader must be permitted", &s.servers, err)
	case errors.Is(err, nats.ErrRefused):
		err = fmt.Errorf("%s: %w: see --stream.user, --stream.password_file and --stream.credentials_file", &s.servers, err)
	case why != nil && !js.Conn().IsConnected() && !strings.Contains(err.Error(), (*why).Error()): // else it says so
		err = fmt.Errorf("%s: %w: %w", &s.servers, err, *why)
	}
	return s.servers.Hide(err)
}

// chainOf reads the name of a chain in any of its forms.
func chainOf(name string) (string, error) {
	chain := strings.TrimPrefix(name, nats.StreamName(""))
	if genesis, err := hex.DecodeString(strings.TrimPrefix(chain, "0x")); err == nil && len(genesis) == 32 {
		chain = hex.EncodeToString(genesis)[:16]
	}
	if name != "" && !nats.IsChain(chain) {
		return "", usagef("--chain %.100q is neither a stream's name, such as hr-0123456789abcdef, nor the hash of a genesis", name)
	}
	return chain, nil
}

// find sets the chain if no flag has named it. A server, or a stream, that is not there yet is waited for, as opt says.
func (s *streamAt) find(ctx context.Context, js nats.JetStream, opt nats.ReadOptions) (err error) {
	if s.chain != "" {
		return nil
	}
	s.chain, err = nats.OnlyChain(ctx, js, opt)
	return s.several(err)
}

// several is an error that says what to do where there are several chains.
func (s *streamAt) several(err error) error {
	if several := (*nats.SeveralError)(nil); errors.As(err, &several) {
		return usagef("there are several streams at %s: name one of %s with --chain", &s.servers, strings.Join(several.Chains, ", "))
	}
	return err
}
