package httpd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// body is a request's body that comes at the lowest rate at least, and counts in a budget until the request ends.
type body struct {
	io.ReadCloser
	ctx    context.Context
	deaden func(time.Time) error // sets the deadline of the connection's reads
	limits *Limits
	hold   *Hold
	begun  time.Time
	read   int64
}

func (s *Server) newBody(w http.ResponseWriter, r *http.Request) *body {
	b := &body{
		ReadCloser: r.Body, ctx: r.Context(), deaden: http.NewResponseController(w).SetReadDeadline, limits: &s.opt.Limits,
		hold: s.bodies.Hold(r.Context()), begun: time.Now(),
	}
	_ = b.deaden(b.limits.due(b.begun, 0)) // what the handler does not read, net/http reads after it
	return b
}

// Read reads what fits the budget. ErrFull says that there is no room, ErrSlow that too little comes.
func (b *body) Read(p []byte) (int, error) {
	if err := b.deaden(b.limits.due(b.begun, b.read)); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), piece)])
	b.read += int64(n)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, ErrSlow
	case err != nil:
		_ = b.deaden(time.Time{}) // a connection that is watched for its end while the request is served
		return n, err
	}
	if n == 0 {
		return 0, nil
	}
	ctx, cancel := within(b.ctx, Patience)
	defer cancel()
	return n, b.hold.Grow(ctx, int64(n))
}

// ErrSlow is why a body is read no further.
var ErrSlow = errors.New("the body comes too slowly")

// BodyStatus is the status that goes with an error of reading a body.
func BodyStatus(err error) int {
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrSlow):
		return http.StatusRequestTimeout
	case errors.Is(err, ErrFull):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}
