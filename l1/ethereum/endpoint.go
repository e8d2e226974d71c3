package ethereum

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/follow"
	"headrace/internal/batch"
	"headrace/internal/httpc"
	"headrace/l1"
)

// endpoint is one address of an Ethereum node. It is a follow.Source whose news comes by a WebSocket or by polling,
// as its address says.
type endpoint struct {
	client *Client
	url    string
	access *httpc.Access // its token, and what no text may have in it
	socket bool
	name   string // the address without what is secret in it, and a number if another has the same
	health *follow.Health
	http   *http.Client
	batch  *batch.Size // calls in one request
	logs   *batch.Size // blocks in one eth_getLogs
	blocks *batch.Size // that are read at the same time

	// What it lacks, as far as is known: forgotten with the connection.
	receiptWay atomic.Int32 // the first of receiptWays that it may have
	byNumber   atomic.Bool  // it does not know EIP-1898's objects, which name a block by its hash

	fetches fetches

	mu     sync.Mutex // guards the rest. Held while a connection is closed, which waits for its reader
	bulk   *link
	closed bool
}

func newEndpoint(c *Client, url string, access *httpc.Access, name, role string) *endpoint {
	e := &endpoint{client: c, url: url, access: access, socket: role == "news", name: name, health: follow.NewHealth(name, role, &c.opt.Observer)}
	e.health.Paced(c.opt.BlockTime)
	e.http = newHTTP(&c.opt, access, e.health)
	e.batch, e.logs, e.blocks = batch.New(16, c.opt.Batch), batch.New(512, 8192), batch.New(c.opt.Parallel, c.opt.Parallel)
	return e
}

// Health implements follow.Monitored.
func (e *endpoint) Health() *follow.Health { return e.health }

func (e *endpoint) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.bulk != nil {
		e.bulk.Close()
		e.bulk = nil
	}
	e.http.CloseIdleConnections()
}

// dial connects and checks which chain the endpoint serves. What comes in over a WebSocket is told to note, too.
func (e *endpoint) dial(ctx context.Context, note func(n int)) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, e.client.opt.CallTimeout)
	defer cancel()
	conn := new(link)
	if e.socket {
		conn.in = new(httpc.Traffic)
	}
	var err error
	conn.Client, err = dialRPC(ctx, e.url, e.access, func(n int) { conn.in.Add(n); note(n) }, rpc.WithHTTPClient(e.http), rpc.WithWebsocketMessageSizeLimit(maxResponse))
	if err != nil {
		return nil, fmt.Errorf("dial L1: %w", e.access.Error(err))
	}
	var id hexutil.Uint64
	err = e.timed(ctx, conn, "eth_chainId", 1, func(ctx context.Context) error { return conn.CallContext(ctx, &id, "eth_chainId") })
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("ask L1 for its chain id: %w", err)
	}
	if want := e.client.opt.ChainID; uint64(id) != want {
		conn.Close()
		return nil, fmt.Errorf("L1 endpoint has chain id %d, want %d: %w", uint64(id), want, l1.ErrWrongChain)
	}
	return conn, nil
}

// conn returns the connection for reading, which a WebSocket has beside the one for news, so that bulk never delays
// news.
func (e *endpoint) conn(ctx context.Context) (*link, error) {
	e.mu.Lock()
	conn, closed := e.bulk, e.closed
	e.mu.Unlock()
	if closed {
		return nil, errors.New("L1 client is closed")
	}
	if conn != nil {
		return conn, nil
	}
	conn, err := e.dial(ctx, e.fetches.heard)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		conn.Close()
		return nil, errors.New("L1 client is closed")
	}
	if e.bulk != nil { // another call was first
		conn.Close()
		return e.bulk, nil
	}
	e.bulk = conn
	return conn, nil
}

// drop forgets a connection for reading that has failed, so that the next call makes a new one and checks the chain
// id again.
func (e *endpoint) drop(conn *link) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.bulk == conn {
		e.bulk = nil
		conn.Close()
		e.receiptWay.Store(0)
		e.byNumber.Store(false)
	}
}

// call makes one request.
func (e *endpoint) call(ctx context.Context, result any, method string, args ...any) error {
	return e.request(ctx, method, 1, func(ctx context.Context, conn *rpc.Client) error {
		return conn.CallContext(ctx, result, method, args...)
	})
}

// callBatch makes several calls of one method, as many in one request as the endpoint bears. Each call's own error is
// in its element.
func (e *endpoint) callBatch(ctx context.Context, elems []rpc.BatchElem) error {
	for len(elems) > 0 {
		n := min(len(elems), e.batch.Get())
		err := e.callOnce(ctx, elems[:n])
		switch {
		case err == nil:
			e.batch.Worked(n)
			elems = elems[n:]
		case ctx.Err() != nil, errors.Is(err, follow.ErrResting), !e.batch.Failed(n): // at rest, it has not said what it bears
			return err
		}
	}
	return nil
}

// callOnce makes one request of several calls of one method.
func (e *endpoint) callOnce(ctx context.Context, elems []rpc.BatchElem) error {
	if len(elems) == 1 {
		one := &elems[0]
		err := e.call(ctx, one.Result, one.Method, one.Args...)
		if answeredByRPC(err) {
			one.Error, err = err, nil
		}
		return err
	}
	return e.request(ctx, elems[0].Method, len(elems), func(ctx context.Context, conn *rpc.Client) error {
		err := conn.BatchCallContext(ctx, elems)
		for i := range elems {
			elems[i].Error = e.access.Error(elems[i].Error)
		}
		return err
	})
}

// request makes a request, and notes how the endpoint did.
func (e *endpoint) request(ctx context.Context, method string, n int, do func(context.Context, *rpc.Client) error) error {
	conn, err := e.conn(ctx)
	unsent := err != nil
	if err == nil {
		err = e.timed(ctx, conn, method, n, func(ctx context.Context) error { return do(ctx, conn.Client) })
		if err != nil && ctx.Err() == nil && !answered(err) && !errors.Is(err, follow.ErrResting) {
			e.drop(conn)
		}
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch {
	case err == nil, answeredByRPC(err): // what it says of a block or a transaction does not speak against it
		e.health.Good()
	case !errors.Is(err, follow.ErrResting):
		e.health.Bad(err)
	}
	if err != nil {
		err = &callError{e.name, method, unsent, err}
	}
	return err
}

// timed makes a request that may go without a byte for the call timeout, and tells the observer of it.
func (e *endpoint) timed(ctx context.Context, on *link, method string, n int, do func(context.Context) error) error {
	started := time.Now()
	err := e.access.Error(e.client.opt.within(ctx, method, on.in, do))
	if err == nil && on.in != nil {
		on.in.Answered(started)
	}
	e.health.Called(method, n, started, err)
	return err
}

// callError is a request that failed. The endpoint's health knows of it.
type callError struct {
	endpoint, method string
	unsent           bool // certainly
	err              error
}

func (e *callError) Error() string { return e.endpoint + ": " + e.method + ": " + e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

var errLie = errors.New("cannot be true")

// lies notes an answer that cannot be true, which is more than the lack of one, and returns what is wrong with it.
func (e *endpoint) lies(format string, args ...any) error {
	err := fmt.Errorf("%s: "+format+": that %w", append(append([]any{e.name}, args...), errLie)...)
	e.health.Bad(err)
	return err
}

// answered reports whether err is the endpoint's answer, and not the lack of one.
func answered(err error) bool {
	var httpErr rpc.HTTPError
	return answeredByRPC(err) || errors.As(err, &httpErr)
}
