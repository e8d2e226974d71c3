package celestia

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// endpoint is one node. News, bulk and submissions have a connection each, made when it is needed; http is for when there can be none.
type endpoint struct {
	client *Client
	name   string // the address without what is secret in it
	news   *jsonrpc.Client
	bulk   *jsonrpc.Client
	post   *jsonrpc.Client
	http   *jsonrpc.Client

	polling atomic.Bool // there is no WebSocket: calls go over HTTP

	mu       sync.Mutex // guards the rest
	st       EndpointStatus
	short    int           // WebSockets in a row that did not last
	tryAfter time.Duration // how long was polled before the last try of a WebSocket
	busy     follow.Backoff
	until    time.Time // the endpoint has asked to be left alone until then
}

// EndpointStatus is what is known of an endpoint.
type EndpointStatus struct {
	Address   string    `json:"address"`
	Healthy   bool      `json:"healthy"`          // the last thing asked of it was answered, or it has not been asked
	Live      bool      `json:"live"`             // subscribed to, and news has come
	Mode      string    `json:"mode,omitempty"`   // how its news comes: "websocket" or "polling"; "" while it does not
	Head      uint64    `json:"head"`             // the highest height it told of
	Lag       uint64    `json:"lag"`              // heights behind the best endpoint
	HeadAt    time.Time `json:"head_at,omitzero"` // when it told
	Errors    uint64    `json:"errors"`
	LastError string    `json:"last_error,omitempty"`
}

func (c *Client) newEndpoint(address string) (*endpoint, error) {
	ws, post, err := addresses(address)
	if err != nil {
		return nil, err
	}
	o := jsonrpc.ClientOptions{Header: header(c.opt.Token), CallTimeout: c.opt.CallTimeout, DialTimeout: c.opt.DialTimeout, Silence: c.opt.Silence, Logger: c.opt.Logger}
	e := &endpoint{client: c, name: redact(address)}
	e.st = EndpointStatus{Address: e.name, Healthy: true}
	submit := o
	submit.CallTimeout = -1 // has a longer one of its own
	for _, k := range []struct {
		to  **jsonrpc.Client
		url string
		opt jsonrpc.ClientOptions
	}{{&e.news, ws, o}, {&e.bulk, ws, o}, {&e.post, ws, submit}, {&e.http, post, o}} {
		if *k.to, err = jsonrpc.NewClient(k.url, k.opt); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// redact takes user, password and token out of an address.
func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

func (e *endpoint) close() {
	for _, c := range []*jsonrpc.Client{e.news, e.bulk, e.post, e.http} {
		_ = c.Close()
	}
}

func (e *endpoint) status() EndpointStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.st
}

// heard notes news of the endpoint's head.
func (e *endpoint) heard(height uint64, mode string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.st.Head, e.st.HeadAt, e.st.Live, e.st.Mode, e.st.Healthy = height, time.Now(), true, mode, true
}

func (e *endpoint) silent() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.st.Live, e.st.Mode = false, ""
}

// note notes how a call went. What tells about a height, and not about the endpoint, is no failure of it.
func (e *endpoint) note(ctx context.Context, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil || errors.Is(err, da.ErrFuture) || errors.Is(err, da.ErrNotFound):
		e.st.Healthy = true
		if err == nil {
			e.busy.Reset()
		}
	case ctx.Err() == nil:
		e.st.Healthy = false
		e.st.Errors++
		e.st.LastError = err.Error()
		if errors.Is(err, da.ErrRateLimited) {
			e.busy.Min, e.busy.Max = 200*time.Millisecond, 2*time.Second
			d := e.busy.Next()
			var status *jsonrpc.StatusError
			if errors.As(err, &status) {
				d = max(d, status.RetryAfter)
			}
			e.until = time.Now().Add(d)
		}
	}
}

// rest waits until the endpoint may be asked again after it has asked to slow down.
func (e *endpoint) rest(ctx context.Context) error {
	e.mu.Lock()
	d := time.Until(e.until)
	e.mu.Unlock()
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d) // a backoff
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errNoSocket: the endpoint answers, but takes no WebSocket.
var errNoSocket = errors.New("endpoint takes no WebSocket")

// ask calls a method over the bulk connection, or over HTTP if there can be none.
func (e *endpoint) ask(ctx context.Context, method string, params jsonrpc.Raw, decode func([]byte) error) error {
	if e.polling.Load() {
		return e.http.Call(ctx, method, params, decode)
	}
	err := e.bulk.Call(ctx, method, params, decode)
	if err = classify(err); errors.Is(err, errNoSocket) {
		return e.http.Call(ctx, method, params, decode)
	}
	return err
}

// call calls a method on the bulk connection, and gives errors their kind.
func (e *endpoint) call(ctx context.Context, method string, params jsonrpc.Raw, decode func([]byte) error) error {
	err := classify(e.ask(ctx, method, params, decode))
	if err != nil {
		err = fmt.Errorf("%s: %s: %w", e.name, method, err)
	}
	e.note(ctx, err)
	return err
}

// head is a header as far as a follower needs it.
type head struct {
	square.Header
	hash [32]byte
	dah  *square.DAH // its roots, if they are of use; not verified
	raw  []byte      // the whole extended header, if asked for
}

// header asks for one header by a method of its own; by nil is the bulk connection.
func (e *endpoint) header(ctx context.Context, by *jsonrpc.Client, method string, params jsonrpc.Raw, raw bool) (head, error) {
	var h head
	e.client.count.headers.Add(1)
	call := e.ask // bulk, or what is in its place
	if by != nil {
		call = by.Call
	}
	err := call(ctx, method, params, func(result []byte) error {
		var err error
		if h, err = decodeHead(result, raw && e.client.opt.Level != da.Trust); err == nil && raw {
			h.raw = append([]byte(nil), result...)
		}
		return err
	})
	if err == nil {
		err = e.client.sameChain(&h.Header)
	}
	if err = classify(err); err != nil {
		err = fmt.Errorf("%s: %s: %w", e.name, method, err)
	}
	e.note(ctx, err)
	return h, err
}

// decodeHead reads an extended header, with its roots if they are asked for and the square is not empty.
func decodeHead(data []byte, roots bool) (head, error) {
	h, dah, err := square.ScanHeader(data, roots)
	if err != nil {
		return head{}, err
	}
	if h.Height == 0 {
		return head{}, errors.New("header without a height")
	}
	out := head{Header: h, hash: h.Hash()}
	if roots && !square.AbsentByHash(h.DataHash) {
		out.dah = &dah
	}
	return out, nil
}

// sameChain checks that a header is of the chain that we follow.
func (c *Client) sameChain(h *square.Header) error {
	id := c.chainID.Load()
	if id == nil {
		own := h.ChainID
		c.chainID.CompareAndSwap(nil, &own)
		id = c.chainID.Load()
	}
	if h.ChainID != *id {
		return fmt.Errorf("%w: its headers are of %q, not of %q", da.ErrWrongChain, h.ChainID, *id)
	}
	return nil
}
