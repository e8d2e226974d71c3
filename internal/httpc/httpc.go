// Package httpc makes the HTTP clients by which endpoints are asked: one for each endpoint, whose connections nobody
// else uses.
//
// A connection may be dead without a word: a NAT or a load balancer has forgotten it, and swallows what is sent. So a
// connection that is not in use is closed soon, a call that gets no answer closes all that are not in use, and one of
// HTTP/2, which many calls share, is pinged and dropped when it does not answer, whatever is in flight on it. What is
// asked again after one call's time is asked on a new connection. A redirect is followed without what is secret.
//
// Nothing is asked twice here, but for what was answered by 401, which proves that it was not done, when there is
// another token by then. Clients are safe for concurrent use; CloseIdleConnections ends what is left of one.
package httpc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"headrace/internal/redact"
)

// Options of a client. The zero value works.
type Options struct {
	Timeout     time.Duration // of a call, as its caller bounds it: 10 s. A dead connection of HTTP/2 is found within it
	DialTimeout time.Duration // of a connection: 10 s
	Parallel    int           // calls at a time, for so many connections are kept: 16
	Access      *Access       // of the endpoint: no token
	TLS         *tls.Config   // whose certificates are believed: those that the system believes
}

// The bounds of a client's connections.
const (
	idle      = 30 * time.Second // what lies between two blocks, and less than load balancers wait for
	keepAlive = 15 * time.Second // between TCP's own probes
	mostQuiet = 10 * time.Second // before a connection of HTTP/2 is pinged
	mostLate  = 5 * time.Second  // of the answer
)

// New returns a client for one endpoint.
func New(opt Options) *http.Client {
	timeout := cmp.Or(opt.Timeout, 10*time.Second)
	dialer := &net.Dialer{Timeout: cmp.Or(opt.DialTimeout, 10*time.Second), KeepAlive: keepAlive}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = dialer.DialContext
	t.MaxIdleConnsPerHost = cmp.Or(opt.Parallel, 16)
	t.TLSClientConfig = opt.TLS
	t.MaxIdleConns = 0 // it has one host, and those that it redirects to
	t.IdleConnTimeout = idle
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: min(timeout/2, mostQuiet), PingTimeout: min(timeout/4, mostLate)}
	return &http.Client{Transport: &transport{t, opt.Access}, CheckRedirect: redact.Redirect}
}

// transport is one that takes the lack of an answer as a sign, and knows the endpoint's token.
type transport struct {
	*http.Transport
	access *Access
}

// RoundTrip sends a request, with the token if it is for this address, and again if there is another token by the time
// that one is refused.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	token := t.access.of(req)
	resp, err := t.send(req, token)
	if err != nil || token == "" {
		return resp, err
	}
	if resp.StatusCode != http.StatusUnauthorized {
		t.access.noted(nil)
		return resp, nil
	}
	next, _ := t.access.read(token) // an error is kept: Error tells of it
	again := replayed(req)
	if next == token || again == nil {
		return resp, nil
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 8<<10) // a short one leaves the connection for what comes
	_ = resp.Body.Close()
	if resp, err = t.send(again, next); err == nil {
		resp.Request = req
	}
	return resp, err
}

// send sends a request with a token, if it is not "".
func (t *transport) send(req *http.Request, token string) (*http.Response, error) {
	sent := req
	if token != "" {
		with := *req
		with.Header = req.Header.Clone()
		with.Header.Set("Authorization", "Bearer "+token)
		sent = &with
	}
	resp, err := t.Transport.RoundTrip(sent)
	if err != nil {
		t.unanswered(req.Context())
		return nil, err
	}
	// The answer is given out with the request that has no token.
	resp.Request = req
	if resp.StatusCode != http.StatusSwitchingProtocols { // a WebSocket is the caller's
		resp.Body = &body{resp.Body, t, req.Context()}
	}
	return resp, nil
}

// unanswered closes the connections that are not in use, unless it was the caller who has given up: they may be as dead
// as the one that gave no answer, and each would cost the time of a call.
func (t *transport) unanswered(ctx context.Context) {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return
	}
	t.CloseIdleConnections()
}

// body is an answer's.
type body struct {
	io.ReadCloser
	from *transport
	ctx  context.Context // of the call
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.from.unanswered(b.ctx)
	}
	return n, err
}
