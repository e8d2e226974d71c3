package httpd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
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
	read   int64 // bytes so far
	known  int64 // bytes that were counted before they came, see Reserve
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
		if n > 0 {
			if full := b.grow(n); full != nil {
				return n, full
			}
		}
		b.hold.Settle()
		return n, err
	}
	return n, b.grow(n)
}

// grow counts n bytes that have been read.
func (b *body) grow(n int) error {
	if n = int(min(int64(n), b.read-b.known)); n <= 0 {
		return nil
	}
	ctx, cancel := within(b.ctx, Patience)
	defer cancel()
	return b.hold.Grow(ctx, int64(n))
}

// Reserve counts the n bytes that the body of a request is going to have, before it is read: for whoever takes the
// memory for it first. It waits for room until ctx ends, and then returns its cause. A body that this package serves
// counts once, where its server counts bodies, until its request ends; another one counts in b, until the hold is given
// back.
func (b *Budget) Reserve(ctx context.Context, r *http.Request, n int64) (*Hold, error) {
	h := b.Hold(r.Context())
	own, ok := r.Body.(*body)
	if ok {
		h = own.hold
	}
	if err := h.Grow(ctx, n); err != nil {
		return nil, err
	}
	if ok {
		own.known = n
	}
	return h, nil
}

// Forget counts the body of a request no more, which is read and kept by nobody, though the request goes on.
func Forget(r *http.Request) {
	if b, ok := r.Body.(*body); ok {
		b.hold.Give()
	}
}

// ReadMessage reads a message of another protocol on a connection of ours, by the same limits as a body: it counts as
// it comes, and cut is called to end its connection when too little comes. The hold is to be given back when the
// message is of no use any more. A nil budget has no limits.
func (b *Budget) ReadMessage(ctx context.Context, r io.Reader, cut func()) ([]byte, *Hold, error) {
	if b == nil {
		msg, err := io.ReadAll(r)
		return msg, nil, err
	}
	limits := Limits{}.withDefaults()
	begun, h := time.Now(), b.Hold(ctx)
	slow := time.AfterFunc(limits.Stall, cut)
	defer slow.Stop()
	var msg []byte
	for {
		msg = slices.Grow(msg, 1) // as io.ReadAll does, but what it grows by is counted
		if err := h.Grow(ctx, int64(cap(msg))-h.size()); err != nil {
			return nil, h, err
		}
		n, err := r.Read(msg[len(msg):min(cap(msg), len(msg)+piece)])
		msg = msg[:len(msg)+n]
		if err == io.EOF {
			h.Settle()
			return msg, h, nil
		}
		if err != nil {
			return nil, h, err
		}
		slow.Reset(time.Until(limits.due(begun, int64(len(msg)))))
	}
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
