// Package ethereum follows an inbox contract on an Ethereum L1, and proposes to it.
//
// A Client is a follow.Source of l1.Blocks, by way of one or more endpoints. News comes from newHeads subscriptions
// over WebSocket, or by polling over HTTP while there is none; what one endpoint does not answer, or does not have,
// the next one is asked for. Content is read by block hash, and nothing is taken on trust that decides about content:
// headers are hashed, a block without logs of the inbox is shown to be so by its header's bloom filter or, where that
// cannot decide, by its receipts, checked against the receipts root; transactions are checked against the
// transactions root, and blobs by KZG against their versioned hashes (I7). So every Client gives the same l1.Block
// for the same block hash (I3), and what an endpoint keeps back, garbles or does not have yet is an error that is
// tried again, never "nothing there" and never a void proposal. What is not checked is that the chain of headers is
// the canonical one of the L1: for that the endpoints are trusted, like a wallet trusts its own.
//
// A Proposer makes proposals from one account. Clients and Proposers are safe for concurrent use; no goroutine
// outlives the call that started it, except those of idle connections, which Close ends.
package ethereum

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/watch"
)

// Endpoint is an address, and the bearer token that goes there and nowhere else.
type Endpoint = httpc.Endpoint

// Options of a Client. WS or HTTP is needed, and ChainID and Inbox; the rest may be zero.
type Options struct {
	WS     []Endpoint // endpoints for news with its content, and for everything while no HTTP one works
	HTTP   []Endpoint // endpoints for reading, and for news while no WS one works
	Beacon []Endpoint // beacon APIs, for content in blobs

	ChainID    uint64
	Inbox      l1.Address
	StartBlock uint64 // L1 block of the inbox's deployment, or below: blocks before it are not looked into

	// TrustLogs lets finalized blocks be read from eth_getLogs alone: what it does not return is believed not to be
	// there. For catching up on a big public L1, where the bloom filters are so full that every other block's
	// receipts would have to be read.
	TrustLogs bool

	CallTimeout time.Duration // how long a request may go without a byte of its answer, which must come at 16 KiB/s; default 10 s
	BlockTime   time.Duration // of the L1, as somebody knows it; default: its slot time, of an L1 that is known by its ChainID, else measured. Negative: it has none, blocks come on demand
	Poll        time.Duration // between looks at the head while there is no WebSocket; default 1 s, or half a block time if that is shorter
	Redial      time.Duration // before an attempt to get back from polling to WebSocket, the first time, and between looks at HTTP endpoints that bring no news; default 15 s
	Silence     time.Duration // no news for so long: the socket is probed; default 15 s, or three block times if that is shorter
	Batch       int           // headers in one request at most; default 128. It adapts downwards to what the endpoint bears
	Parallel    int           // blocks with content that are read at the same time in one Fetch; default 8

	Logger   *slog.Logger // default: silent
	Observer follow.Observer
}

func (o Options) withDefaults() Options {
	o.CallTimeout = cmp.Or(o.CallTimeout, 10*time.Second)
	o.BlockTime = cmp.Or(o.BlockTime, slots[o.ChainID])
	o.Poll = cmp.Or(o.Poll, time.Second)
	o.Redial = cmp.Or(o.Redial, 15*time.Second)
	o.Silence = cmp.Or(o.Silence, 15*time.Second)
	o.Batch = cmp.Or(o.Batch, 128)
	o.Parallel = cmp.Or(o.Parallel, 8)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

// maxResponse bounds what one response may be, in bytes (I6).
const maxResponse = 64 << 20

// Client reads one inbox through one or more endpoints of one L1.
type Client struct {
	opt     Options
	inbox   common.Address
	readers []*endpoint               // those of HTTP, then those of WS
	read    *follow.Several[l1.Block] // of readers, in their order
	news    follow.Source[l1.Block]
	beacons []*beacon
	beacon  atomic.Int32 // the one that answered last
	heads   watch.Value[uint64]
	forced  *forcedCache
	inline  inlineCache

	settings atomic.Pointer[l1.Settings] // nil: not asked for yet

	mu    sync.Mutex // guards the rest
	final l1.Ref     // the highest block that was called finalized; zero: none yet
}

// New returns a client. It connects when it is used, so an endpoint that is down is not an error here.
func New(opt Options) (*Client, error) {
	opt = opt.withDefaults()
	switch {
	case len(opt.WS)+len(opt.HTTP) == 0:
		return nil, errors.New("no L1 endpoint: give a WebSocket or an HTTP address")
	case opt.ChainID == 0:
		return nil, errors.New("no L1 chain id")
	case opt.Inbox == l1.Address{}:
		return nil, errors.New("no address of the inbox contract")
	}
	c := &Client{
		opt: opt, inbox: common.Address(opt.Inbox),
		forced: newForcedCache(),
	}
	poll, err1 := c.open(opt.HTTP, "read")
	sockets, err2 := c.open(opt.WS, "news")
	if err := cmp.Or(err1, err2, c.openBeacons()); err != nil {
		return nil, err
	}
	c.read = follow.Best(slices.Concat(poll, sockets)...)
	switch {
	case len(sockets) == 0:
		c.news = follow.Best(poll...)
	case len(poll) == 0:
		c.news = follow.Best(sockets...)
	default:
		c.news = follow.Fallback[l1.Block](follow.Best(sockets...), follow.Best(poll...), follow.FallbackOptions{Retry: opt.Redial, Switched: func(polling bool) {
			opt.Logger.Info("L1 news", "polling", polling)
		}})
	}
	return c, nil
}

// open adds endpoints to the readers, and returns them as sources.
func (c *Client) open(endpoints []Endpoint, role string) (sources []follow.Source[l1.Block], err error) {
	names := httpc.Names(endpoints)
	for i, at := range endpoints {
		access, err := at.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", names[i], err)
		}
		e := newEndpoint(c, at.URL, access, names[i], role)
		c.readers = append(c.readers, e)
		sources = append(sources, e)
	}
	return sources, nil
}

func (c *Client) openBeacons() error {
	names := httpc.Names(c.opt.Beacon)
	for i, at := range c.opt.Beacon {
		access, err := at.Open()
		if err != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
		health := follow.NewHealth(names[i], "beacon", &c.opt.Observer)
		c.beacons = append(c.beacons, &beacon{
			url: at.URL, access: access, health: health, http: newHTTP(&c.opt, access, health), opt: &c.opt,
		})
	}
	return nil
}

// Close closes idle connections. Calls under way fail; a closed Client cannot be used again.
func (c *Client) Close() {
	for _, e := range c.readers {
		e.close()
	}
	for _, b := range c.beacons {
		b.http.CloseIdleConnections()
	}
}

// Endpoints returns the state of each endpoint, in the order of Options: WS, HTTP, Beacon.
func (c *Client) Endpoints() []follow.SourceStatus {
	read, n := c.read.Status(), len(c.opt.HTTP)
	out := slices.Concat(read[n:], read[:n])
	for _, b := range c.beacons {
		out = append(out, b.health.Status())
	}
	return out
}

// Fetch is follow.Source's. The best endpoint is asked; when it fails, the next one goes on where it stopped.
func (c *Client) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[l1.Block]) error) error {
	return c.read.Fetch(ctx, from, to, deliver)
}

// ranked returns the endpoints in the order they are to be asked.
func (c *Client) ranked() (out []*endpoint) {
	for _, i := range c.read.Order() {
		out = append(out, c.readers[i])
	}
	return out
}

// front returns the endpoint to send through: the best that is not behind any other or, if all that answer are, the
// one that is least.
func (c *Client) front(ctx context.Context) (*endpoint, error) {
	var least *endpoint
	var height uint64
	var errs []error
	for _, e := range c.ranked() {
		head, err := e.head(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			errs = append(errs, err)
		case e.behind(head) == 0:
			return e, nil
		case least == nil || head.number() > height:
			least, height = e, head.number()
		}
	}
	if least == nil {
		return nil, &follow.FailedError{Errs: errs}
	}
	return least, nil
}

// ask asks the endpoints one after the other, the best first, until one answers.
func ask[T any](ctx context.Context, c *Client, question func(*endpoint) (T, error)) (answer T, err error) {
	var errs []error
	for _, e := range c.ranked() {
		if answer, err = question(e); err == nil || ctx.Err() != nil {
			return answer, err
		}
		errs = append(errs, err)
	}
	return answer, &follow.FailedError{Errs: errs}
}

// call makes one request to the best endpoint that answers it.
func (c *Client) call(ctx context.Context, result any, method string, args ...any) error {
	_, err := ask(ctx, c, func(e *endpoint) (struct{}, error) { return struct{}{}, e.call(ctx, result, method, args...) })
	return err
}
