package ethereum

import (
	"context"
	"errors"
	"io"
	"net/http"

	"headrace/follow"
	"headrace/internal/httpc"
)

var errTooLarge = errors.New("response is larger than 64 MiB")

// newHTTP returns a client for one endpoint, which has this health; nil: it has none.
func newHTTP(opt *Options, access *httpc.Access, health *follow.Health) *http.Client {
	c := httpc.New(httpc.Options{Timeout: opt.CallTimeout, Parallel: 2 * opt.Parallel, Access: access})
	c.Transport = limited{c.Transport, maxResponse}
	if health != nil {
		c.Transport = resting{c.Transport, health}
	}
	return c
}

// closeIdle is CloseIdleConnections of what wraps a transport.
func closeIdle(next http.RoundTripper) {
	if t, ok := next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// limited bounds the bodies of HTTP responses: an endpoint cannot make us hold more (I6).
type limited struct {
	next  http.RoundTripper
	limit int64
}

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &limitedBody{resp.Body, l.limit, r.Context()}
	return resp, nil
}

// CloseIdleConnections is found by http.Client.
func (l limited) CloseIdleConnections() { closeIdle(l.next) }

type limitedBody struct {
	io.ReadCloser
	left int64
	ctx  context.Context // of the request: what has come is progress of the call, and of the fetch that made it
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left, httpc.Piece)])
	b.left -= int64(n)
	if n > 0 {
		came(b.ctx, n)
	}
	return n, err
}
