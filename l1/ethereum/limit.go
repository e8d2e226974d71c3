package ethereum

import (
	"errors"
	"io"
	"net/http"

	"headrace/internal/httpc"
)

var errTooLarge = errors.New("response is larger than 64 MiB")

// newHTTP returns a client for one endpoint.
func newHTTP(opt *Options) *http.Client {
	c := httpc.New(httpc.Options{Timeout: opt.CallTimeout, Parallel: 2 * opt.Parallel})
	c.Transport = limited{c.Transport, maxResponse}
	return c
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
	resp.Body = &limitedBody{resp.Body, l.limit}
	return resp, nil
}

// CloseIdleConnections is found by http.Client.
func (l limited) CloseIdleConnections() {
	if t, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
