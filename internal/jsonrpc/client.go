package jsonrpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"headrace/internal/httpc"
	"headrace/internal/redact"
)

// ClientOptions are the limits of a Client. The zero value is good.
type ClientOptions struct {
	CallTimeout  time.Duration // how long a call may go without a byte of answers, see clock: 30 s; below zero, only its context counts
	DialTimeout  time.Duration // 10 s
	WriteTimeout time.Duration // of one message: 30 s; a socket that takes no more is dead
	Silence      time.Duration // without a byte from the other end, be it the answer to a ping, a connection is dead: 20 s
	ReadLimit    int64         // bytes of a message: 64 MiB, which a full Celestia block in base64 fits into
	MaxPending   int           // bytes of answers that wait to be decoded; beyond, the socket is not read on: 64 MiB
	MaxQueued    int           // bytes of values that wait in one channel; beyond, the oldest is forgotten: 32 MiB
	HTTPClient   *http.Client  // for POSTs and upgrades: one of its own, which has Access. Its Timeout must be zero: calls have their own
	Access       *httpc.Access // the token of the address: none
	Logger       *slog.Logger  // none

	// Called is told of each request after it, by the goroutine that made it, that of a channel included. It must be
	// quick. Nil: nobody is.
	Called func(method string, took time.Duration, err error)

	// Heard is told of bytes of messages as they come in, by the goroutine that reads them. It must be quick. Nil:
	// nobody is.
	Heard func(n int)
}

func (o ClientOptions) withDefaults() ClientOptions {
	o.CallTimeout = cmp.Or(o.CallTimeout, 30*time.Second)
	o.DialTimeout = cmp.Or(o.DialTimeout, 10*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 30*time.Second)
	o.Silence = cmp.Or(o.Silence, 20*time.Second)
	o.ReadLimit = cmp.Or(o.ReadLimit, 64<<20)
	o.MaxPending = cmp.Or(o.MaxPending, 64<<20)
	o.MaxQueued = cmp.Or(o.MaxQueued, 32<<20)
	if o.Heard == nil {
		o.Heard = func(int) {}
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

func (o *ClientOptions) called(method string, start time.Time, err *error) {
	if o.Called != nil {
		o.Called(method, time.Since(start), *err)
	}
}

var (
	// ErrClosed: the client has been closed.
	ErrClosed = errors.New("client is closed")

	// ErrUnsent: the request has certainly not been sent.
	ErrUnsent = errors.New("request was not sent")

	// ErrChannelClosed: the server has closed the channel, and says not why.
	ErrChannelClosed = errors.New("server closed the channel")

	// ErrSilent: nothing came from the server for too long, or too slowly.
	ErrSilent = errors.New("connection is silent")

	// ErrTooBig: a message is longer than ReadLimit. On a WebSocket that has ended the connection, with all that was
	// under way on it.
	ErrTooBig = errors.New("message is too big")
)

// StatusError is an HTTP status that is no JSON-RPC answer: of a POST or of a refused upgrade.
type StatusError struct {
	Status     int
	Body       string        // its beginning
	RetryAfter time.Duration // if the server said so
}

func (e *StatusError) Error() string {
	if e.Body == "" {
		return fmt.Sprintf("HTTP status %d", e.Status)
	}
	return fmt.Sprintf("HTTP status %d: %s", e.Status, e.Body)
}

// ClientStats counts what a client did.
type ClientStats struct {
	Dials    uint64 // connections made
	Calls    uint64 // requests sent, those that open a channel included
	Received uint64 // bytes of messages
	Dropped  uint64 // values forgotten because their reader was slow
	Strays   uint64 // messages that belong to nothing, or cannot be read
}

// Client calls one server: over one WebSocket, made when it is needed, for ws:// and wss:// addresses; by POSTs for
// http:// and https://. All methods are safe for concurrent use.
type Client struct {
	url     string
	secrets *httpc.Access // what no text may have in it
	ws      bool
	opt     ClientOptions
	http    *http.Client
	big     chan struct{} // one token: who reads a big answer over HTTP

	ids   atomic.Uint64
	stats struct{ dials, calls, received, dropped, strays atomic.Uint64 }

	work    sync.WaitGroup // the goroutines of connections; Close waits for them
	closing chan struct{}  // closed by Close

	mu      sync.Mutex // guards the rest
	conn    *conn
	dialing chan struct{} // not nil while somebody dials; closed afterwards
	dialErr error         // of the last dial, at failed
	failed  time.Time
	closed  bool
}

// NewClient returns a client of the server at an address. It does not touch the network.
func NewClient(address string, opt ClientOptions) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("parse address: it is no URL")
	}
	if opt.Access == nil {
		if opt.Access, err = (httpc.Endpoint{URL: address}).Open(); err != nil {
			return nil, err
		}
	}
	c := &Client{url: address, secrets: opt.Access, opt: opt.withDefaults(), closing: make(chan struct{}), big: make(chan struct{}, 1)}
	switch u.Scheme {
	case "ws", "wss":
		c.ws = true
	case "http", "https":
	default:
		return nil, fmt.Errorf("address %s is none of http, https, ws, wss", redact.Refused(address))
	}
	if u.Host == "" {
		return nil, fmt.Errorf("address %s has no host", redact.Refused(address))
	}
	if c.http = c.opt.HTTPClient; c.http == nil {
		c.http = httpc.New(httpc.Options{Timeout: max(c.opt.CallTimeout, 0), DialTimeout: c.opt.DialTimeout, Parallel: 64, Access: c.opt.Access})
	}
	return c, nil
}

// Stats returns what the client has done so far.
func (c *Client) Stats() ClientStats {
	s := &c.stats
	return ClientStats{s.dials.Load(), s.calls.Load(), s.received.Load(), s.dropped.Load(), s.strays.Load()}
}

// Close ends all calls, subscriptions and connections, and returns when every goroutine of the client has ended.
func (c *Client) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.closing)
	}
	conn := c.conn
	c.mu.Unlock()
	if conn != nil {
		conn.fail(ErrClosed)
	}
	c.work.Wait()
	if c.opt.HTTPClient == nil {
		c.http.CloseIdleConnections()
	}
	return nil
}

// Receiving reports whether a message is just coming in: what is waited for may be in it, or behind it.
func (c *Client) Receiving() bool {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	return conn != nil && conn.alive() && !conn.started.Load().IsZero()
}

// untilClosed returns a context that Close ends too. stop must be called; it ends the goroutine that this takes, and
// waits for it.
func (c *Client) untilClosed(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-c.closing:
			cancel(ErrClosed)
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel(context.Canceled)
		watch.Wait()
	}
}

// Drop ends the present connection, if there is one, as if it had broken: for whoever knows better than the
// connection that it is of no use.
func (c *Client) Drop(reason error) {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn != nil {
		conn.fail(reason)
	}
}

// Call calls a method and, if it succeeds, gives the result to decode, which must not keep it. decode runs in the
// caller's goroutine; nil decodes nothing. Errors: an *Error from the server, a *StatusError, decode's own, or why
// there was no answer. Their texts have nothing in them that is secret in the address, nor a token.
func (c *Client) Call(ctx context.Context, method string, params Raw, decode func(result []byte) error) (err error) {
	defer c.opt.called(method, time.Now(), &err)
	defer func() { err = c.secrets.Error(err) }()
	ctx, clock := httpc.NewClock(ctx, method, c.opt.CallTimeout)
	defer clock.Stop()
	if !c.ws {
		return c.post(ctx, clock, method, params, decode)
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsent, err)
	}
	return conn.call(ctx, clock, method, params, decode)
}

// Subscribe calls a method that opens a channel, and gives each value to handle, in the caller's goroutine, until
// handle returns an error, ctx or the channel ends, or the connection breaks; it returns which of these, never nil.
// Values that arrived before the end are handled first. handle must not keep the value. opened, if not nil, is called
// once the channel is open, before any value.
func (c *Client) Subscribe(ctx context.Context, method string, params Raw, opened func(), handle func(value []byte) error) (err error) {
	defer func() { err = c.secrets.Error(err) }()
	if !c.ws {
		return fmt.Errorf("%w: %w", ErrUnsent, &Error{Code: CodeNoMethod, Message: "channels need a WebSocket"})
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsent, err)
	}
	return conn.subscribe(ctx, method, params, opened, handle)
}

// redialGap keeps many callers from dialling a dead server as fast as it can refuse; they have backoffs of their own.
const redialGap = 50 * time.Millisecond

// connect returns the present connection, or dials. One caller dials, the others wait for it.
func (c *Client) connect(ctx context.Context) (*conn, error) {
	for {
		c.mu.Lock()
		switch {
		case c.closed:
			c.mu.Unlock()
			return nil, ErrClosed
		case c.conn != nil && c.conn.alive():
			conn := c.conn
			c.mu.Unlock()
			return conn, nil
		case c.dialing == nil && time.Since(c.failed) < redialGap:
			err := c.dialErr
			c.mu.Unlock()
			return nil, err
		case c.dialing == nil:
			c.dialing = make(chan struct{})
			c.mu.Unlock()
			return c.dialNow(ctx)
		}
		wait := c.dialing
		c.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (c *Client) dialNow(ctx context.Context) (*conn, error) {
	conn, err := c.dial(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.dialing)
	c.dialing = nil
	if err == nil && c.closed {
		_ = conn.ws.CloseNow()
		return nil, ErrClosed
	}
	if err != nil {
		if ctx.Err() == nil { // else it says nothing about the server
			c.dialErr, c.failed = err, time.Now()
		}
		return nil, err
	}
	c.conn = conn
	c.stats.dials.Add(1)
	c.work.Go(conn.read)
	c.work.Go(conn.write)
	c.work.Go(conn.watch)
	return conn, nil
}
