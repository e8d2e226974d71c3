package publish

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"headrace/internal/redact"
)

// Servers say where the stream's servers are, and by which right they are used.
type Servers struct {
	URLs        []string // nats://host:port or tls://host:port, of servers of one cluster
	Credentials string   // a file with a user's JWT and seed, as nsc writes it; read at each connection
	User        string   // with Password, where there are no Credentials
	Password    string
	TLS         *tls.Config // nil: as the URLs say, with the system's roots

	// InProcess is a server in this process, in the place of URLs.
	InProcess natsgo.InProcessConnProvider
}

// String names the servers, without what is secret.
func (s *Servers) String() string {
	if s.InProcess != nil {
		return "embedded"
	}
	return strings.Join(redact.Addresses(s.URLs), ", ")
}

func (s *Servers) check() error {
	if len(s.URLs) == 0 && s.InProcess == nil {
		return errors.New("no server is named")
	}
	for _, a := range s.URLs {
		u, err := url.Parse(a)
		if err != nil || u.Host == "" || !strings.Contains(" nats tls ws wss ", " "+u.Scheme+" ") {
			return fmt.Errorf("%s is not a nats, tls, ws or wss URL such as nats://127.0.0.1:4222", redact.Refused(a))
		}
	}
	return nil
}

// hide takes out of an error what is secret in the addresses and beside them.
func (s *Servers) hide(err error) error {
	for _, a := range append([]string{""}, s.URLs...) {
		if err != nil {
			secrets := redact.Of(a, s.Password)
			err = secrets.Error(err)
		}
	}
	return err
}

// dial returns a connection that goes on trying, also at first. back is called whenever it has come (back) to a server.
func (s *Servers) dial(back func(), more ...natsgo.Option) (*natsgo.Conn, error) {
	opts := append([]natsgo.Option{
		natsgo.Name("headrace"), natsgo.RetryOnFailedConnect(true), natsgo.MaxReconnects(-1), natsgo.IgnoreAuthErrorAbort(),
		natsgo.ReconnectWait(200 * time.Millisecond), natsgo.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		natsgo.ReconnectBufSize(-1), // what is sent while there is no server is lost at once: the stream is read again then
		natsgo.Timeout(2 * time.Second), natsgo.PingInterval(5 * time.Second), natsgo.MaxPingsOutstanding(2),
		natsgo.ConnectHandler(func(*natsgo.Conn) { back() }), natsgo.ReconnectHandler(func(*natsgo.Conn) { back() }),
		natsgo.ErrorHandler(func(*natsgo.Conn, *natsgo.Subscription, error) {}), // the default prints
	}, more...)
	if s.InProcess != nil {
		opts = append(opts, natsgo.InProcessServer(s.InProcess), natsgo.CustomInboxPrefix("_HR")) // answers that readers do not see
	}
	if s.Credentials != "" {
		if _, err := os.Stat(s.Credentials); err != nil {
			return nil, fmt.Errorf("credentials of the stream: %w", err)
		}
		opts = append(opts, natsgo.UserCredentials(s.Credentials))
	}
	if s.User != "" {
		opts = append(opts, natsgo.UserInfo(s.User, s.Password))
	}
	if s.TLS != nil {
		opts = append(opts, natsgo.Secure(s.TLS))
	}
	conn, err := natsgo.Connect(strings.Join(s.URLs, ","), opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", s, s.hide(err))
	}
	return conn, nil
}
