package evgrpc

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"connectrpc.com/connect"
)

// way is how an executor is spoken to.
type way struct {
	name  string
	http1 bool // over HTTP/1.1, and not HTTP/2 without TLS
	grpc  bool // the protocol: gRPC, and not Connect
}

// ways are tried in this order. Most who serve Connect serve all of them on one port.
var ways = []way{{name: "gRPC", grpc: true}, {name: "Connect over HTTP/2"}, {name: "Connect over HTTP/1.1", http1: true}}

// link is one connection to an executor, of each kind of HTTP. It is a connect.HTTPClient once its way is known.
type link struct {
	host         string
	http2, http1 *transport

	mu  sync.Mutex // guards way
	way *way       // nil: not known yet
}

// transport is one connection by one kind of HTTP. The first request makes it, and none makes another one when it has
// ended.
type transport struct {
	http http.Transport

	mu     sync.Mutex       // guards the rest
	conn   *http.ClientConn // nil: none has been made
	closed bool
}

func newLink(network, address string) *link {
	l := &link{host: address, http2: newTransport(network, address), http1: newTransport(network, address)}
	if network == "unix" {
		l.host = "localhost"
	}
	l.http2.http.Protocols.SetUnencryptedHTTP2(true)
	l.http1.http.Protocols.SetHTTP1(true)
	return l
}

func newTransport(network, address string) *transport {
	t := &transport{}
	t.http.Protocols = new(http.Protocols)
	t.http.DisableCompression = true // the protocols have their own
	t.http.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return t
}

var errEnded = errors.New("the connection has ended")

// connection returns the one there is, or makes it, which only find asks for, and one at a time.
func (t *transport) connection(ctx context.Context) (*http.ClientConn, error) {
	t.mu.Lock()
	conn := t.conn
	t.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	conn, err := t.http.NewClientConn(ctx, "http", "executor:80") // which DialContext knows better
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = conn.Close() // nothing was sent on it
		return nil, errEnded
	}
	t.conn = conn
	return conn, nil
}

// RoundTrip implements http.RoundTripper. Where the connection takes no more requests it waits for the others' answers.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	conn, err := t.connection(r.Context())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper does
		}
		return nil, err
	}
	return conn.RoundTrip(r)
}

func (t *transport) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.conn != nil {
		_ = t.conn.Close() // whoever waits for an answer on it has the error
	}
}

// Close ends the connection and the calls under way.
func (l *link) Close() error {
	l.http2.close()
	l.http1.close()
	return nil
}

func (l *link) over(w *way) *transport {
	if w.http1 {
		return l.http1
	}
	return l.http2
}

// client is how a link is used in one way: a connect.HTTPClient.
type client struct {
	*link
	way *way
}

// Do implements connect.HTTPClient. It follows no redirect, and returns no answer that is not in the protocol's form:
// what stands before an executor may answer in its place.
func (c client) Do(r *http.Request) (*http.Response, error) {
	resp, err := c.over(c.way).RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch {
	case !c.way.isAnswer(resp):
		err = foreignError{resp.Status, resp.Header.Get("Content-Type")}
	case resp.Close && resp.ProtoMajor == 1:
		err = errCloses
	default:
		return resp, nil
	}
	_ = resp.Body.Close()
	return nil, err
}

// errCloses: between two connections an executor can be restarted without a sign of it.
var errCloses = errors.New("the executor ends its connection after an answer, so nobody would see that it was restarted: have it keep connections open (HTTP keep-alive)")

// foreignError is of an answer that is not in the form of an executor's.
type foreignError struct{ status, contentType string }

func (e foreignError) Error() string {
	return fmt.Sprintf("no executor answers: HTTP status %s, with content %.40q", e.status, e.contentType)
}

// isAnswer reports whether an answer has the form of the protocol. That of an error of Connect is a JSON object with a
// code, which is read here and put back.
func (w *way) isAnswer(resp *http.Response) bool {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	ok := resp.StatusCode == http.StatusOK
	switch {
	case w.grpc:
		return ok && (kind == "application/grpc" || kind == "application/grpc+proto")
	case ok:
		return kind == "application/proto"
	case kind != "application/json":
		return false
	}
	raw, err := text(resp)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	resp.Header.Del("Content-Encoding")
	var said struct{ Code string }
	var code connect.Code
	return json.Unmarshal(raw, &said) == nil && code.UnmarshalText([]byte(said.Code)) == nil
}

// maxErrorBytes bounds the text of an error.
const maxErrorBytes = 64 << 10

// text reads the content of an answer, up to a bound.
func text(resp *http.Response) ([]byte, error) {
	from := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		plain, err := gzip.NewReader(from)
		if err != nil {
			return nil, err
		}
		from = plain
	}
	return io.ReadAll(io.LimitReader(from, maxErrorBytes))
}
