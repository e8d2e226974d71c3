package celestia

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// endpoint is one node. News, bulk and submissions have a connection each, made when it is needed; http is for when
// there can be none. It is a follow.Source whose news comes by a WebSocket or, while there is none, by polling.
type endpoint struct {
	*follow.Either[da.Block]

	client *Client
	name   string // the address without what is secret in it, and a number if another has the same
	news   *jsonrpc.Client
	bulk   *jsonrpc.Client
	post   *jsonrpc.Client
	http   *jsonrpc.Client
	asker  *http.Client // of all four
	health *follow.Health
	late   lateness

	polling atomic.Bool // there is no WebSocket: calls go over HTTP

	mu      sync.Mutex // guards the rest
	fetches map[*fetching]context.Context
}

// heard notes that bytes came in on a connection that is not for news: progress of each fetch, since one call's
// answer may be behind another's.
func (e *endpoint) heard(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ctx := range e.fetches {
		follow.Received(ctx, n)
	}
}

// begun notes a fetch, until ended is called.
func (e *endpoint) begun(ctx context.Context, f *fetching) (ended func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fetches[f] = ctx
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.fetches, f)
	}
}

// Health implements follow.Monitored.
func (e *endpoint) Health() *follow.Health { return e.health }

// Fetch implements follow.Source: by the same calls, however news comes.
func (e *endpoint) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	fetch := e.fetch
	if e.client.opt.LocalDA {
		fetch = e.localFetch
	}
	err := fetch(ctx, from, to, deliver)
	if errors.Is(err, da.ErrFuture) {
		return fmt.Errorf("%w: %w", follow.ErrNotYet, err)
	}
	return err
}

// way is one way to an endpoint's news.
type way struct {
	*endpoint
	subscribe func(context.Context, func(follow.Update[da.Block])) error
}

// Subscribe implements follow.Source.
func (w way) Subscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	return w.subscribe(ctx, update)
}

func (c *Client) newEndpoint(at Endpoint, name string) (*endpoint, error) {
	ws, post, err := addresses(at.URL)
	if err != nil {
		return nil, err
	}
	if at.Token == "" && at.TokenFile == "" {
		at.Token = c.opt.Token
	}
	access, err := at.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	o := jsonrpc.ClientOptions{Access: access, CallTimeout: c.opt.CallTimeout, DialTimeout: c.opt.DialTimeout, Silence: c.opt.Silence, ReadLimit: int64(c.opt.MaxMessage), Logger: c.opt.Logger}
	asker := httpc.New(httpc.Options{Timeout: c.opt.CallTimeout, DialTimeout: c.opt.DialTimeout, Parallel: 64, Access: access})
	e := &endpoint{client: c, name: name, asker: asker, fetches: map[*fetching]context.Context{}}
	o.HTTPClient = asker
	e.health = follow.NewHealth(e.name, "da", &c.opt.Observer)
	e.health.Paced(c.opt.BlockTime)
	if called := c.opt.Observer.Called; called != nil {
		o.Called = func(method string, took time.Duration, err error) { called(method, 1, took, classify(err)) }
	}
	first, second := way{e, e.subscribe}, way{e, e.poll}
	if c.opt.LocalDA {
		first, second = way{e, e.localSubscribe}, way{e, e.localPoll}
	}
	e.Either = follow.Fallback[da.Block](first, second, follow.FallbackOptions{Retry: c.opt.Polling, Switched: e.polling.Store})
	submit := o
	submit.CallTimeout = -1 // has a longer one of its own
	news := o
	news.ReadLimit /= 2 // a longer event is not worth its time: the head is announced anew, and the height is fetched
	content := o
	content.Heard = e.heard
	for _, k := range []struct {
		to  **jsonrpc.Client
		url string
		opt jsonrpc.ClientOptions
	}{{&e.news, ws, news}, {&e.bulk, ws, content}, {&e.post, ws, submit}, {&e.http, post, content}} {
		if *k.to, err = jsonrpc.NewClient(k.url, k.opt); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (e *endpoint) close() {
	for _, c := range []*jsonrpc.Client{e.news, e.bulk, e.post, e.http} {
		_ = c.Close()
	}
	e.asker.CloseIdleConnections()
}

// note notes how a call went. What tells about a height, and not about the endpoint, is no failure of it.
func (e *endpoint) note(ctx context.Context, err error) {
	switch {
	case err == nil, errors.Is(err, da.ErrFuture), errors.Is(err, da.ErrNotFound), errors.Is(err, jsonrpc.ErrTooBig):
		e.health.Good()
	case ctx.Err() == nil:
		e.health.Bad(err)
		if errors.Is(err, da.ErrRateLimited) {
			var least time.Duration
			if status, ok := errors.AsType[*jsonrpc.StatusError](err); ok {
				least = status.RetryAfter
			}
			e.health.Rest(least)
		}
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
	return e.answered(ctx, method, e.ask(ctx, method, params, decode))
}

// answered gives an error of a call its kind, and notes how the call went.
func (e *endpoint) answered(ctx context.Context, method string, err error) error {
	if err = classify(err); err != nil {
		err = fmt.Errorf("%s: %s: %w", e.name, method, err)
	}
	e.note(ctx, err)
	return err
}

// data calls a method about the data of a height. An endpoint that has lost it may look for it for minutes (frames 103 to
// 106), so no answer in time is looked into: one that knows the height's header meanwhile lives, and lacks the data.
func (e *endpoint) data(ctx context.Context, height uint64, method string, params jsonrpc.Raw, decode func([]byte) error) error {
	err := e.call(ctx, method, params, decode)
	if err != nil {
		err = fmt.Errorf("height %d: %w", height, err)
	}
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return err
	}
	if _, dead := e.header(ctx, nil, "header.GetByHeight", jsonrpc.Array(height), false); dead != nil {
		return err
	}
	err = fmt.Errorf("%w: it answers for the header, and not for the data: %w", errUnavailable, err)
	e.note(ctx, err)
	return err
}

// head is a header as far as a follower needs it.
type head struct {
	square.Header
	hash [32]byte
	dah  *square.DAH // its roots, if they are of use; not verified
	raw  []byte      // the whole extended header, if asked for
	size int         // of that
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
			h.raw, h.size = append([]byte(nil), result...), len(result)
		}
		return err
	})
	if err == nil {
		err = e.client.sameChain(&h.Header)
	}
	return h, e.answered(ctx, method, err)
}

// decodeHead reads an extended header, with its roots if they are asked for and the square is not empty.
func decodeHead(data []byte, roots bool) (head, error) {
	h, dah, err := square.ScanHeader(data, roots)
	if err != nil {
		return head{}, err
	}
	if h.Height == 0 {
		return head{}, errors.New("header without a height, as from a local-da, ev-node's DA layer (" + Unverified + "): set da.kind to local-da and da.level to trust to use it, or run headrace da in its place")
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
