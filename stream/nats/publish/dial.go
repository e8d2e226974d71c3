package publish

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
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

	wait time.Duration // for an answer of one server; 0: 2 s
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

// dial returns a connection that goes on trying, also at first, until ctx ends. back is called whenever it has come (back) to
// a server.
func (s *Servers) dial(ctx context.Context, back func(), more ...natsgo.Option) (*natsgo.Conn, error) {
	d := &dialer{wait: cmp.Or(s.wait, 2*time.Second), head: 200 * time.Millisecond, all: s.hosts(), connect: new(net.Dialer).DialContext, cut: map[string]bool{}}
	opts := append([]natsgo.Option{
		natsgo.Name("headrace"), natsgo.RetryOnFailedConnect(true), natsgo.MaxReconnects(-1), natsgo.IgnoreAuthErrorAbort(),
		natsgo.ReconnectWait(200 * time.Millisecond), natsgo.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		natsgo.ReconnectBufSize(-1), // what is sent while there is no server is lost at once: the stream is read again then
		natsgo.Timeout(d.wait), natsgo.SetCustomDialer(d.within(ctx)), natsgo.PingInterval(5 * time.Second), natsgo.MaxPingsOutstanding(2),
		natsgo.ConnectHandler(func(*natsgo.Conn) { d.came(); back() }), natsgo.ReconnectHandler(func(*natsgo.Conn) { d.came(); back() }),
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

// hosts are the servers' addresses, as they are dialled.
func (s *Servers) hosts() (all []string) {
	for _, a := range s.URLs {
		if u, err := url.Parse(a); err == nil {
			port := map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
			all = append(all, net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port, "4222")))
		}
	}
	return all
}

// dialer dials a server among several, which the client library does one after the other. One that does not answer at all does
// not keep it from those that do: as soon as another one has answered it counts as away. It may be slow only, and the others
// refuse: the next time it has all its time, unless there has been a connection since.
type dialer struct {
	wait    time.Duration // for an answer
	head    time.Duration // before others are asked
	all     []string      // host:port
	connect func(ctx context.Context, network, address string) (net.Conn, error)

	mu  sync.Mutex      // guards cut
	cut map[string]bool // those that have not had all their time
}

// dialFunc is a natsgo.CustomDialer.
type dialFunc func(network, address string) (net.Conn, error)

// Dial implements natsgo.CustomDialer.
func (f dialFunc) Dial(network, address string) (net.Conn, error) { return f(network, address) }

// within is what dials until ctx ends.
func (d *dialer) within(ctx context.Context) dialFunc {
	return func(network, address string) (net.Conn, error) { return d.dial(ctx, network, address) }
}

// errOvertaken: another server was there first.
var errOvertaken = errors.New("no answer, where another server gave one")

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var others sync.WaitGroup
	defer others.Wait()
	ctx, done := context.WithTimeout(ctx, d.wait)
	defer done()
	direct, overtake := context.WithCancelCause(ctx)
	defer overtake(nil)
	if !d.spared(address) {
		others.Go(func() {
			late := time.NewTimer(d.head) // a watchdog of the server that is dialled
			defer late.Stop()
			select {
			case <-late.C:
			case <-direct.Done():
				return
			}
			for _, other := range d.all {
				if other == address {
					continue
				}
				others.Go(func() {
					if conn, err := d.connect(direct, network, other); err == nil {
						overtake(errOvertaken)
						_ = conn.Close() // it is dialled again when it is its turn
					}
				})
			}
		})
	}
	conn, err := d.connect(direct, network, address)
	if err != nil && errors.Is(context.Cause(direct), errOvertaken) {
		d.mu.Lock()
		d.cut[address] = true
		d.mu.Unlock()
		err = fmt.Errorf("dial %s: %w", address, errOvertaken)
	}
	overtake(nil)
	return conn, err
}

// spared reports whether a server is to have all its time now.
func (d *dialer) spared(address string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.cut[address]
	delete(d.cut, address)
	return was
}

// came notes that there is a connection.
func (d *dialer) came() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.cut)
}
