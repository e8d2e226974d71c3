package jsonrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"

	"headrace/internal/httpc"
	"headrace/internal/redact"
)

// post calls a method over HTTP.
func (c *Client) post(ctx context.Context, clock *httpc.Clock, method string, params Raw, decode func([]byte) error) error {
	select {
	case <-c.closing:
		return fmt.Errorf("%w: %w", ErrUnsent, ErrClosed)
	default:
	}
	ctx, stop := c.untilClosed(ctx)
	defer stop()
	id := c.ids.Add(1)
	body := appendRequest(make([]byte, 0, len(params)+len(method)+64), id, method, params)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsent, redact.Error(err))
	}
	req.Header.Set("Content-Type", "application/json")
	c.stats.calls.Add(1)
	var in httpc.Traffic
	clock.Sent(&in)
	resp, err := c.do(req)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(err, ErrUnsent) {
			return context.Cause(ctx)
		}
		return redact.Error(err)
	}
	defer resp.Body.Close()
	msg, done, err := c.readBody(ctx, clock, httpc.Counted(resp.Body, func(n int) { in.Add(n); c.opt.Heard(n) }))
	defer done()
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && resp.StatusCode != http.StatusOK:
		return c.statusError(resp, nil)
	case err != nil:
		return fmt.Errorf("read answer: %w", err)
	}
	c.stats.received.Add(uint64(len(msg)))
	f, err := scanFrame(msg) // the body decides what it is: servers and those between name its type in many ways
	if err != nil || f.result == nil && !isObject(f.err) {
		return c.statusError(resp, msg)
	}
	if got, ok := uintOf(f.id); (!ok || got != id) && f.err == nil {
		c.stats.strays.Add(1)
		return fmt.Errorf("answer has id %.40q, asked with %d", f.id, id)
	}
	return decodeAnswer(f.result, f.err, decode)
}

// do sends a request. ErrUnsent: there was no connection to send it on.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	connected := false // set by the goroutine that calls Do
	trace := httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }}
	resp, err := c.http.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), &trace)))
	if err != nil && !connected {
		return nil, fmt.Errorf("%w: %w", ErrUnsent, err)
	}
	return resp, err
}

// bigAnswer is how far an answer may grow without the token that one call at a time can have: N calls hold N times
// this and one full answer.
const bigAnswer = 4 << 20

// readBody reads an answer. done must be called once it is of no more use.
func (c *Client) readBody(ctx context.Context, clock *httpc.Clock, r io.Reader) (msg []byte, done func(), err error) {
	done = func() {}
	buf := bytes.NewBuffer(make([]byte, 0, 4<<10))
	if _, err := io.Copy(buf, io.LimitReader(r, bigAnswer)); err != nil {
		return nil, done, err
	}
	if buf.Len() < bigAnswer {
		return buf.Bytes(), done, nil
	}
	clock.Hold() // it waits for another answer of ours
	select {
	case c.big <- struct{}{}:
		done = func() { <-c.big }
	case <-ctx.Done():
		return nil, done, context.Cause(ctx)
	}
	clock.Release()
	if _, err := io.Copy(buf, io.LimitReader(r, c.opt.ReadLimit-bigAnswer+1)); err != nil {
		return nil, done, err
	}
	if int64(buf.Len()) > c.opt.ReadLimit {
		return nil, done, fmt.Errorf("%w: more than %d bytes", ErrTooBig, c.opt.ReadLimit)
	}
	return buf.Bytes(), done, nil
}

// isObject reports whether a value is one that an error of JSON-RPC can be.
func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }

// statusError is an HTTP answer that is no JSON-RPC, with this body. Whoever refuses an address may repeat it.
func (c *Client) statusError(resp *http.Response, body []byte) error {
	text := string(body[:min(len(body), 8<<10)]) // more than is kept: no secret must be cut in two
	text = strings.TrimSpace(c.secrets.Text(text))
	return &StatusError{Status: resp.StatusCode, Body: text[:min(len(text), 512)], RetryAfter: httpc.RetryAfter(resp.Header)}
}
