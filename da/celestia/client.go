package celestia

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/edge"
	"headrace/internal/httpc"
	"headrace/internal/jsonrpc"
	"headrace/internal/redact"
)

// Options are the properties of a Client. The zero value follows nothing and can submit.
type Options struct {
	Token         string         // Bearer token of the endpoints without one of their own: "read" to follow, "write" to submit; "" for none
	Namespaces    []da.Namespace // to follow; a namespace given twice counts once
	Level         da.Level       // how much is verified: ProveEmpty
	LocalDA       bool           // the endpoints are of ev-node's local-da, whose answers nothing proves: with the level Trust alone
	ChainID       string         // that every header must have; "": that of the first header seen
	CallTimeout   time.Duration  // how long a call but a submission may go without a byte of answers: 30 s
	SubmitTimeout time.Duration  // of a submission, which waits for its block: twelve times what lies between two, but 30 s at least
	GasPrice      float64        // in utia per unit of gas: the node's estimate
	MaxGasPrice   float64        // it is not raised beyond: the node's own limit
	Priority      int            // of the estimate, 1 to 3: the node's default
	Keys          []string       // names of the accounts that pay, in turn: the node's default
	DialTimeout   time.Duration  // 10 s
	Silence       time.Duration  // a connection without a byte for so long is dead: 20 s
	Hold          time.Duration  // how long a height waits at least for the other namespaces' events, while nothing comes in: 2 s. It waits longer, up to Probe, at an endpoint whose events have come later. Then it is announced without blobs
	BlockTime     time.Duration  // between two heights, as somebody knows it: it is measured. Negative: they have no rhythm
	Probe         time.Duration  // after so long without an event the head is asked for: 15 s, or the time of three blocks if that is shorter
	Polling       time.Duration  // how long to poll over HTTP before a WebSocket is tried again, the first time: 10 s
	Window        int            // the most requests in flight in a fetch: 512. It starts low and finds what the endpoint bears
	FetchBytes    int            // of blocks fetched ahead of their delivery, and of those kept when a fetch ends: 32 MiB
	MaxMessage    int            // bytes of one answer: 64 MiB. What does not fit is asked for in pieces. An event has half of that at most
	Logger        *slog.Logger   // none
	Observer      follow.Observer
}

func (o Options) withDefaults() Options {
	o.CallTimeout = cmp.Or(o.CallTimeout, 30*time.Second)
	o.DialTimeout = cmp.Or(o.DialTimeout, 10*time.Second)
	o.Silence = cmp.Or(o.Silence, 20*time.Second)
	o.Hold = cmp.Or(o.Hold, 2*time.Second)
	o.Probe = cmp.Or(o.Probe, 15*time.Second)
	o.Polling = cmp.Or(o.Polling, 10*time.Second)
	o.Window = cmp.Or(o.Window, 512)
	o.FetchBytes = cmp.Or(o.FetchBytes, 32<<20)
	o.MaxMessage = cmp.Or(o.MaxMessage, 64<<20)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	namespaces := o.Namespaces
	o.Namespaces = nil
	for _, ns := range namespaces {
		if !slices.Contains(o.Namespaces, ns) {
			o.Namespaces = append(o.Namespaces, ns)
		}
	}
	return o
}

// Stats counts what a Client has asked for.
type Stats struct {
	ContentFetches uint64 `json:"content_fetches"` // blob.GetAll: content that was not pushed
	HeaderCalls    uint64 `json:"header_calls"`    // of any header method
	ProofCalls     uint64 `json:"proof_calls"`     // share.GetNamespaceData, share.GetRange, share.GetShare, and headers for proofs
	Submissions    uint64 `json:"submissions"`     // blob.Submit
	Subscriptions  uint64 `json:"subscriptions"`   // channels opened
	Connections    uint64 `json:"connections"`     // WebSockets made
	Reconnects     uint64 `json:"reconnects"`      // of them, how many to replace one
	Events         uint64 `json:"events"`          // pushed, one per namespace and height
	Inline         uint64 `json:"inline"`          // heights announced with their complete block
	Incomplete     uint64 `json:"incomplete"`      // heights announced without, because a namespace's event was missing
	Dropped        uint64 `json:"dropped"`         // events forgotten because we were slow
	FibrePointers  uint64 `json:"fibre_pointers"`  // blobs of share version 2, each time that one was passed over
	Bytes          uint64 `json:"bytes"`           // of messages received
}

type counters struct {
	contents, headers, proofs, submissions, subscriptions, events, inline, incomplete, fibre atomic.Uint64
}

// Client is a source of the blobs in some namespaces, and posts blobs, by way of one or more endpoints of one chain.
// All methods are safe for concurrent use.
type Client struct {
	opt       Options
	endpoints []*endpoint
	best      *follow.Several[da.Block] // of them, in their order
	shelf     shelf
	count     counters
	chainID   atomic.Pointer[string]
	said      edge.Log      // what fails again and again
	turn      atomic.Uint64 // submissions so far: whose account is next

	mu       sync.Mutex
	gasPrice float64 // of the next submission; grows when it turns out too low
}

var (
	_ follow.Source[da.Block] = (*Client)(nil)
	_ da.Submitter            = (*Client)(nil)
	_ da.Prover               = (*Client)(nil)
)

// Endpoint is the address of a celestia-node, http://, https://, ws:// or wss://, as a rule with the path "/", and the
// token that goes there and nowhere else.
type Endpoint = httpc.Endpoint

// New returns a client of these endpoints. It makes no request, so an endpoint that is down is found out by the first
// call that needs it. Close must be called.
func New(endpoints []Endpoint, opt Options) (*Client, error) {
	if len(endpoints) == 0 {
		return nil, errors.New("no address of a DA endpoint")
	}
	if opt.GasPrice < 0 || opt.MaxGasPrice < 0 || math.IsNaN(opt.GasPrice+opt.MaxGasPrice) || math.IsInf(opt.GasPrice+opt.MaxGasPrice, 0) {
		return nil, fmt.Errorf("gas price %g, at most %g, is none", opt.GasPrice, opt.MaxGasPrice)
	}
	if opt.Priority < 0 || opt.Priority > 3 {
		return nil, fmt.Errorf("priority %d is none of 1, 2, 3", opt.Priority)
	}
	if opt.LocalDA && opt.Level != da.Trust {
		return nil, fmt.Errorf("a local-da proves nothing of what it tells (%s): it is for level %s alone", Unverified, da.Trust)
	}
	c := &Client{opt: opt.withDefaults(), gasPrice: opt.GasPrice}
	c.shelf.limit = c.opt.FetchBytes
	if c.opt.ChainID != "" {
		c.chainID.Store(&c.opt.ChainID)
	}
	var sources []follow.Source[da.Block]
	names := httpc.Names(endpoints)
	for i, at := range endpoints {
		e, err := c.newEndpoint(at, names[i])
		if err != nil {
			_ = c.Close()
			return nil, err
		}
		c.endpoints = append(c.endpoints, e)
		sources = append(sources, e)
	}
	c.best = follow.Best(sources...)
	return c, nil
}

// Subscribe announces the present head first and then every height that an endpoint reports, with its complete block
// if each followed namespace has reported it; see follow.Source and follow.Best.
func (c *Client) Subscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	return c.best.Subscribe(ctx, update)
}

// Fetch delivers the items of [from, to) in order, many requests in flight; see follow.Source. The best endpoint is
// asked; when it fails, the next one goes on where it stopped.
func (c *Client) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	err := c.best.Fetch(ctx, from, to, deliver)
	if failed, ok := errors.AsType[*follow.FailedError](err); ok && !slices.ContainsFunc(failed.Errs, func(err error) bool { return !errors.Is(err, da.ErrPruned) }) {
		return fmt.Errorf("no endpoint keeps height %d any more: add an archival one, or start from a later height: %w", failed.Height, err)
	}
	return err
}

// ranked returns the endpoints in the order they are to be asked.
func (c *Client) ranked() []*endpoint {
	var out []*endpoint
	for _, i := range c.best.Order() {
		out = append(out, c.endpoints[i])
	}
	return out
}

// Head asks for the newest height, the endpoints one after the other until one answers. News may be older: heights are
// announced in turn.
func (c *Client) Head(ctx context.Context) (uint64, error) {
	var errs []error
	for _, e := range c.ranked() {
		height, err := e.networkHead(ctx)
		if err == nil {
			return height, nil
		}
		errs = append(errs, err)
	}
	return 0, &follow.FailedError{Errs: errs}
}

func (e *endpoint) networkHead(ctx context.Context) (height uint64, err error) {
	if e.client.opt.LocalDA {
		return e.localHead(ctx)
	}
	err = e.call(ctx, "header.NetworkHead", noParams, func(result []byte) error {
		h, err := decodeHead(result, false)
		if err == nil {
			err = e.client.sameChain(&h.Header)
		}
		height = h.Height
		return err
	})
	return height, err
}

// BlockTime returns the time between two heights, given or measured; 0: not known yet.
func (c *Client) BlockTime() time.Duration { return c.best.Pace() }

// How long a submission goes without its block: the life of a transaction in Celestia's mempools is a dozen blocks. Its
// way there takes time too, whatever the blocks take.
const (
	submitBlocks = 12
	submitLeast  = 30 * time.Second
	slowestBlock = 6 * time.Second // Celestia's, at the most, while it is not known
)

// SubmitTimeout returns how long a submission may take: what was given, or some blocks as they come now.
func (c *Client) SubmitTimeout() time.Duration {
	each := cmp.Or(c.BlockTime(), slowestBlock)
	return cmp.Or(c.opt.SubmitTimeout, max(submitBlocks*each, submitLeast))
}

// Dial is New with one address.
func Dial(address string, opt Options) (*Client, error) { return New(httpc.At(address), opt) }

// Close ends everything that is under way and waits for the client's goroutines.
func (c *Client) Close() error {
	for _, e := range c.endpoints {
		e.close()
	}
	return nil
}

// Stats returns what the client has asked for so far.
func (c *Client) Stats() Stats {
	n := &c.count
	s := Stats{
		ContentFetches: n.contents.Load(), HeaderCalls: n.headers.Load(), ProofCalls: n.proofs.Load(), Submissions: n.submissions.Load(),
		Subscriptions: n.subscriptions.Load(), Events: n.events.Load(), Inline: n.inline.Load(), Incomplete: n.incomplete.Load(), FibrePointers: n.fibre.Load(),
	}
	for _, e := range c.endpoints {
		for _, ws := range []*jsonrpc.Client{e.news, e.bulk, e.post} {
			w := ws.Stats()
			s.Connections += w.Dials
			s.Reconnects += max(w.Dials, 1) - 1
			s.Dropped += w.Dropped
			s.Bytes += w.Received
		}
		s.Bytes += e.http.Stats().Received
	}
	return s
}

// Endpoints returns the state of each endpoint, in the order of their addresses.
func (c *Client) Endpoints() []follow.SourceStatus { return c.best.Status() }

// addresses returns an endpoint's address for WebSockets and for POSTs.
func addresses(address string) (ws, post string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", "", fmt.Errorf("address %s of the DA endpoint is no URL like http://host:26658", redact.Refused(address))
	}
	secure := false
	switch u.Scheme {
	case "http", "ws":
	case "https", "wss":
		secure = true
	default:
		return "", "", fmt.Errorf("address %s of the DA endpoint begins with none of http, https, ws, wss", redact.Refused(address))
	}
	w, p := *u, *u
	w.Scheme, p.Scheme = "ws", "http"
	if secure {
		w.Scheme, p.Scheme = "wss", "https"
	}
	return w.String(), p.String(), nil
}
