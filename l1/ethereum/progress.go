package ethereum

import (
	"context"
	"net"
	"sync"

	"github.com/ethereum/go-ethereum/rpc"

	"headrace/follow"
	"headrace/internal/httpc"
)

// How big a block is, strangers decide, and how fast it comes, the link. So what bounds a call is how long it may go
// without a byte, and the same holds for a fetch: what has come in is progress of both. Over HTTP each answer is one
// call's. A WebSocket's answers come one after the other, and any may be behind another one: what comes there is
// progress of each call, and each fetch, that uses it.

type cameKey struct{}

// counting returns a context whose requests over HTTP count in in what comes in.
func counting(ctx context.Context, in *httpc.Traffic) context.Context {
	return context.WithValue(ctx, cameKey{}, in)
}

// came notes bytes of the answer to a request with this context.
func came(ctx context.Context, n int) {
	if in, ok := ctx.Value(cameKey{}).(*httpc.Traffic); ok {
		in.Add(n)
	}
	follow.Received(ctx, n)
}

// link is a connection to an endpoint.
type link struct {
	*rpc.Client
	in *httpc.Traffic // what has come in on it; nil over HTTP, where each answer has its own
}

// heard is a connection that tells of what is read from it.
type heard struct {
	net.Conn
	note func(n int)
}

func (h heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	if n > 0 {
		h.note(n)
	}
	return n, err
}

// within makes a call with a clock of its own, which ends it when no byte has come for too long, or too few have. in is
// where the answer comes from; nil: over HTTP.
func (o *Options) within(ctx context.Context, method string, in *httpc.Traffic, call func(context.Context) error) error {
	timed, clock := httpc.NewClock(ctx, method, o.CallTimeout)
	defer clock.Stop()
	if in == nil {
		in = new(httpc.Traffic)
		timed = counting(timed, in)
	}
	clock.Sent(in)
	err := call(timed)
	if err != nil && timed.Err() != nil {
		err = context.Cause(timed)
	}
	return err
}

// fetches are those that are under way at an endpoint: what comes in over its WebSocket is progress of each. The zero
// value is ready to use.
type fetches struct {
	mu   sync.Mutex
	last int
	of   map[int]context.Context
}

// begun notes a fetch, until ended is called.
func (f *fetches) begun(ctx context.Context) (ended func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[int]context.Context{}
	}
	f.last++
	id := f.last
	f.of[id] = ctx
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.of, id)
	}
}

// heard notes bytes that have come in.
func (f *fetches) heard(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ctx := range f.of {
		follow.Received(ctx, n)
	}
}
