// Package ethereum follows an inbox contract on an Ethereum L1, and proposes to it.
//
// A Client is a follow.Source of l1.Blocks. News comes from a newHeads subscription over WebSocket, or by polling over HTTP while there is none. Content is
// read by block hash, and nothing is taken on trust that decides about content: headers are hashed, a block without logs of the inbox is shown to be so by its
// header's bloom filter or, where that cannot decide, by its receipts, checked against the receipts root; transactions are checked against the
// transactions root, and blobs by KZG against their versioned hashes (I7). So every Client gives the same l1.Block for the same block hash (I3), and what an
// endpoint keeps back, garbles or does not have yet is an error that is tried again, never "nothing there" and never a void proposal. What is
// not checked is that the chain of headers is the canonical one of the L1: for that the endpoint is trusted, like a wallet trusts it.
//
// A Proposer makes proposals from one account. Clients and Proposers are safe for concurrent use; no goroutine outlives the call that started it, except
// those of idle connections, which Close ends.
package ethereum

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/l1"
)

// Options of a Client. WS or HTTP is needed, and ChainID and Inbox; the rest may be zero.
type Options struct {
	WS     string // endpoint for news, and for everything if there is no HTTP
	HTTP   string // endpoint for reading, and for news while WS does not work
	Beacon string // beacon API, for content in blobs

	ChainID    uint64
	Inbox      l1.Address
	StartBlock uint64 // L1 block of the inbox's deployment, or below: blocks before it are not looked into

	// TrustLogs lets finalized blocks be read from eth_getLogs alone: what it does not return is believed not to be there. For catching up on a big public L1,
	// where the bloom filters are so full that every other block's receipts would have to be read.
	TrustLogs bool

	CallTimeout time.Duration // of one request; default 10 s
	Poll        time.Duration // between looks at the head while there is no WebSocket; default 1 s
	Redial      time.Duration // between attempts to get back from polling to WebSocket; default 15 s
	Silence     time.Duration // no news for so long: the socket is probed; default 15 s
	Batch       int           // headers in one request at most; default 128. It adapts downwards to what the endpoint bears
	Parallel    int           // blocks with content that are read at the same time in one Fetch; default 8

	Logger   *slog.Logger // default: silent
	Observer Observer
}

// Observer's functions, where not nil, are called at the point of truth, from any goroutine. They must be quick.
type Observer struct {
	Call    func(method string, n int, took time.Duration, err error) // an RPC request, of n calls if it was a batch; "beacon" for the beacon API
	Polling func(on bool)                                             // news changed between WebSocket (false) and polling (true)
	Silent  func()                                                    // a WebSocket was given up because it kept news back
}

func (o Options) withDefaults() Options {
	o.CallTimeout = cmp.Or(o.CallTimeout, 10*time.Second)
	o.Poll = cmp.Or(o.Poll, time.Second)
	o.Redial = cmp.Or(o.Redial, 15*time.Second)
	o.Silence = cmp.Or(o.Silence, 15*time.Second)
	o.Batch = cmp.Or(o.Batch, 128)
	o.Parallel = cmp.Or(o.Parallel, 8)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// maxResponse bounds what one response may be, in bytes (I6).
const maxResponse = 64 << 20

// Client reads one inbox through one endpoint.
type Client struct {
	opt    Options
	inbox  common.Address
	http   *http.Client
	batch  adaptive // headers in one request
	logs   adaptive // blocks in one eth_getLogs
	beacon beacon
	forced forcedCache

	mu       sync.Mutex // guards the rest
	bulk     *rpc.Client
	closed   bool
	settings *l1.Settings
}

// New returns a client. It connects when it is used, so an endpoint that is down is not an error here.
func New(opt Options) (*Client, error) {
	opt = opt.withDefaults()
	switch {
	case opt.WS == "" && opt.HTTP == "":
		return nil, errors.New("no L1 endpoint: give a WebSocket or an HTTP address")
	case opt.ChainID == 0:
		return nil, errors.New("no L1 chain id")
	case opt.Inbox == l1.Address{}:
		return nil, errors.New("no address of the inbox contract")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 2 * opt.Parallel
	c := &Client{opt: opt, inbox: common.Address(opt.Inbox), http: &http.Client{Transport: limited{transport, maxResponse}}}
	c.batch = adaptive{n: min(16, opt.Batch), max: opt.Batch}
	c.logs = adaptive{n: 512, max: 8192}
	c.beacon = beacon{url: opt.Beacon, http: c.http, timeout: opt.CallTimeout, observe: opt.Observer.Call}
	return c, nil
}

// Close closes idle connections. Calls under way fail; a closed Client cannot be used again.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.bulk != nil {
		c.bulk.Close()
		c.bulk = nil
	}
	c.http.CloseIdleConnections()
}

// dial connects to one endpoint and checks which chain it serves.
func (c *Client) dial(ctx context.Context, url string) (*rpc.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.CallTimeout)
	defer cancel()
	conn, err := dialRPC(ctx, url, rpc.WithHTTPClient(c.http), rpc.WithWebsocketMessageSizeLimit(maxResponse))
	if err != nil {
		return nil, fmt.Errorf("dial L1: %w", err)
	}
	var id hexutil.Uint64
	if err := conn.CallContext(ctx, &id, "eth_chainId"); err != nil {
		conn.Close()
		return nil, fmt.Errorf("ask L1 for its chain id: %w", err)
	}
	if uint64(id) != c.opt.ChainID {
		conn.Close()
		return nil, fmt.Errorf("L1 endpoint has chain id %d, want %d: %w", uint64(id), c.opt.ChainID, l1.ErrWrongChain)
	}
	return conn, nil
}

// conn returns the connection for reading: HTTP if there is one, else a WebSocket of its own, so that bulk never delays news.
func (c *Client) conn(ctx context.Context) (*rpc.Client, error) {
	c.mu.Lock()
	conn, closed := c.bulk, c.closed
	c.mu.Unlock()
	if closed {
		return nil, errors.New("L1 client is closed")
	}
	if conn != nil {
		return conn, nil
	}
	conn, err := c.dial(ctx, cmp.Or(c.opt.HTTP, c.opt.WS))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bulk != nil || c.closed { // another call was first
		conn.Close()
		return c.bulk, nil
	}
	c.bulk = conn
	return conn, nil
}

// drop forgets a connection for reading that has failed, so that the next call makes a new one and checks the chain id again.
func (c *Client) drop(conn *rpc.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bulk == conn {
		c.bulk = nil
		conn.Close()
	}
}

// call makes one request within the call timeout.
func (c *Client) call(ctx context.Context, result any, method string, args ...any) error {
	return c.request(ctx, method, 1, func(ctx context.Context, conn *rpc.Client) error {
		return conn.CallContext(ctx, result, method, args...)
	})
}

// callBatch makes one request of several calls of one method. Each call's own error is in its element.
func (c *Client) callBatch(ctx context.Context, elems []rpc.BatchElem) error {
	if len(elems) == 1 {
		e := &elems[0]
		e.Error = c.call(ctx, e.Result, e.Method, e.Args...)
		return nil
	}
	return c.request(ctx, elems[0].Method, len(elems), func(ctx context.Context, conn *rpc.Client) error {
		return conn.BatchCallContext(ctx, elems)
	})
}

func (c *Client) request(ctx context.Context, method string, n int, do func(context.Context, *rpc.Client) error) error {
	conn, err := c.conn(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	limited, cancel := context.WithTimeout(ctx, c.opt.CallTimeout)
	defer cancel()
	err = do(limited, conn)
	if c.opt.Observer.Call != nil {
		c.opt.Observer.Call(method, n, time.Since(started), err)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !answered(err) {
		c.drop(conn)
	}
	return fmt.Errorf("%s: %w", method, err)
}

// answered reports whether err is the endpoint's answer, and not the lack of one.
func answered(err error) bool {
	var rpcErr rpc.Error
	var httpErr rpc.HTTPError
	return errors.As(err, &rpcErr) || errors.As(err, &httpErr)
}

// adaptive is how much to ask for at once: it is halved when that was too much, and grows again slowly. Its zero value is of no use.
type adaptive struct {
	mu   sync.Mutex
	n    int
	max  int
	good int // requests in a row that were not too much
}

func (a *adaptive) size() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

func (a *adaptive) worked() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.good++; a.good >= 4 {
		a.n, a.good = min(2*a.n, a.max), 0
	}
}

// tooMuch reports whether a smaller request, than the one of n that failed with err, may do.
func (a *adaptive) tooMuch(n int, err error) bool {
	var httpErr rpc.HTTPError
	switch {
	case n <= 1:
		return false
	case errors.As(err, &httpErr) && (httpErr.StatusCode == http.StatusTooManyRequests || httpErr.StatusCode == http.StatusUnauthorized || httpErr.StatusCode == http.StatusForbidden):
		return false // it does not want less, it wants us to wait or to go
	case !answered(err) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errTooLarge):
		return false // it is not there
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n, a.good = max(1, min(a.n, n/2)), 0
	return true
}
