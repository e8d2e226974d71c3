package celestia

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"headrace/da"
	"headrace/da/fault"
	"headrace/internal/httpd"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
	"headrace/watch"
)

// Chain is what a Handler serves; da/local has one. Its methods may be called at any time from any goroutine. Its
// errors match those of package da: ErrFuture, ErrPruned, ErrSyncing, ErrTooBig and so on.
type Chain interface {
	ChainID() string
	Interval() time.Duration
	Head() *watch.Value[square.Head] // the newest block; every height up to it can be read
	Tail() uint64                    // the lowest height there is
	Header(height uint64) (*square.ExtendedHeader, error)
	HeightOf(hash [32]byte) (uint64, error) // da.ErrNotFound if there is none
	Blobs(height uint64, ns da.Namespace) ([]da.Blob, error)
	Square(height uint64) (*square.Square, error)
	Submit(ctx context.Context, blobs []da.Blob) (uint64, error)
	WaitHeight(ctx context.Context, height uint64) error
}

// HandlerOptions are the limits and properties of a Handler. The zero value is an open one with celestia-node's limits.
type HandlerOptions struct {
	Secret       []byte        // that tokens are signed with; nil: open, every program may do everything
	Access       httpd.Access  // which hosts and web pages are answered: no page
	Limits       httpd.Limits  // of connections and memory; bodies and answers have 64 MiB each if it does not say
	Cert         *httpd.Cert   // that Serve has TLS with: none
	MaxBody      int64         // bytes of a POST: 16 MiB
	MaxRequests  int           // at a time, a WebSocket counts for life: 500; more are answered with 503
	RatePerIP    float64       // requests per second from one address, bursts of twice as many: no limit; more are answered with 429
	MinGasPrice  float64       // in utia per gas: 0.004
	OldAPI       bool          // answers as celestia-node 0.26 to 0.28 did: content type text/plain, events without a header, node.Info with a number as type, no batches
	Keys         []string      // names of the keys there are, beside the default one
	Poor         bool          // the account has nothing to pay with
	Queue        int           // events that a subscriber may leave unread: 16
	PingInterval time.Duration // 5 s
	Faults       *fault.Set    // in force on the wire, and told and changed at /faults; none. Those of the chain are the chain's to apply
	Page         http.Handler  // what a browser gets at / and below /page/; none
	Metrics      http.Handler  // what GET /metrics answers, to whoever may read; none
	Observer     HandlerObserver
	Logger       *slog.Logger // none
}

// HandlerObserver is told of what a Handler does. A field may be nil. Its functions may be called at any time from any
// goroutine, and must not block.
type HandlerObserver struct {
	Called  func(method string, took time.Duration, err error) // a call has its result, or a subscription its channel
	Refused func(Refusal)                                      // a request was refused before it was read
}

// Refusal is why a request was refused.
type Refusal string

const (
	RefusedByFault Refusal = "fault"
	RefusedByRate  Refusal = "rate" // more than RatePerIP
	RefusedAsBusy  Refusal = "busy" // more than MaxRequests at a time
)

// Refusals returns all there are.
func Refusals() []Refusal { return []Refusal{RefusedByFault, RefusedByRate, RefusedAsBusy} }

// Handler serves a chain as celestia-node does. It is an http.Handler.
type Handler struct {
	chain   Chain
	opt     HandlerOptions
	beyond  atomic.Bool // it is served to other hosts
	rpc     *jsonrpc.Server
	slots   chan struct{}
	clients clients
	conns   atomic.Int64 // WebSockets so far
	sockets atomic.Int64 // that are open
	streams atomic.Int64 // channels that are open
	methods map[string]jsonrpc.Method
	tokens  []byte // the secret of those that node.AuthNew makes: of an open handler one that nobody asks for

	reading   chan struct{} // a slot for each large message that is being read
	extending sync.Mutex    // held while rows of a whole extended square are made
}

// NewHandler returns a handler that serves a chain until it is closed.
func NewHandler(chain Chain, opt HandlerOptions) *Handler {
	opt.MaxRequests = cmp.Or(opt.MaxRequests, 500)
	opt.MinGasPrice = cmp.Or(opt.MinGasPrice, 0.004)
	opt.Queue = cmp.Or(opt.Queue, 16)
	opt.Limits.Answers = cmp.Or(opt.Limits.Answers, 64<<20)
	opt.Limits.Bodies = cmp.Or(opt.Limits.Bodies, 64<<20)
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	h := &Handler{chain: chain, opt: opt, slots: make(chan struct{}, opt.MaxRequests), tokens: opt.Secret}
	if h.tokens == nil {
		h.tokens = make([]byte, 32)
		_, _ = rand.Read(h.tokens) // never fails
	}
	h.reading = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))
	h.methods = h.allMethods()
	so := jsonrpc.ServerOptions{MaxBody: opt.MaxBody, PingInterval: opt.PingInterval, Turn: h.turn, Logger: opt.Logger}
	if opt.OldAPI {
		so.ContentType, so.NoBatches = "text/plain; charset=utf-8", true
	}
	if opt.Secret != nil {
		so.Authorize = func(r *http.Request) (Level, error) { return authorize(opt.Secret, r) }
	}
	if opt.Faults != nil {
		so.Wire = h.newWire
	}
	h.rpc = jsonrpc.NewServer(h.methods, so)
	return h
}

// turn waits until a large message may be read: on one core less than there are, and not while a block is being made,
// which comes first.
func (h *Handler) turn(ctx context.Context) (done func()) {
	h.yield(ctx)
	select {
	case h.reading <- struct{}{}:
		return func() { <-h.reading }
	case <-ctx.Done():
		return func() {}
	}
}

// yield waits while the chain makes a block, if it says so.
func (h *Handler) yield(ctx context.Context) {
	if c, ok := h.chain.(interface{ Making() *watch.Value[bool] }); ok {
		_, _ = c.Making().Wait(ctx, func(making bool) bool { return !making })
	}
}

// Close closes every subscription and connection as a node that stops does, and waits for them. It does not close the
// chain.
func (h *Handler) Close() error { return h.rpc.Close() }

// exposed reports whether other hosts can reach what a request came to.
func (h *Handler) exposed(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return h.beyond.Load() || !ok || !httpd.Loopback(local)
}

// ServeHTTP serves a POST, or a WebSocket until it ends.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if code, err := h.opt.Access.Check(r, !h.exposed(r)); err != nil {
		httpd.Refuse(w, code, err)
		return
	}
	if h.opt.Access.Share(w, r) {
		return
	}
	if h.opt.Page != nil && r.Method == http.MethodGet && (r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/page/")) && r.Header.Get("Upgrade") == "" {
		h.opt.Page.ServeHTTP(w, r) // no fault keeps it away, as it is to show them
		return
	}
	if h.opt.Metrics != nil && r.URL.Path == "/metrics" {
		h.serveMetrics(w, r) // nor this
		return
	}
	if h.opt.Faults != nil && (h.serveFaults(w, r) || h.refuse(w, r)) {
		return
	}
	if h.opt.RatePerIP > 0 && !h.clients.allow(r, h.opt.RatePerIP) {
		h.refused(RefusedByRate)
		http.Error(w, "rate limit exceeded", http.StatusTooManyRequests)
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		h.refused(RefusedAsBusy)
		http.Error(w, "server busy, try again later", http.StatusServiceUnavailable)
		return
	}
	if upgrades(r) {
		h.sockets.Add(1)
		defer h.sockets.Add(-1)
	}
	h.rpc.ServeHTTP(w, r)
}

// upgrades reports whether a request asks for a WebSocket.
func upgrades(r *http.Request) bool {
	return strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade")
}

// serveMetrics answers with figures, for a token that may read if the handler wants tokens.
func (h *Handler) serveMetrics(w http.ResponseWriter, r *http.Request) {
	if h.opt.Secret != nil {
		if level, err := authorize(h.opt.Secret, r); err != nil || level < Read {
			httpd.Refuse(w, http.StatusUnauthorized, errors.New("metrics need a token to read"))
			return
		}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		httpd.Refuse(w, http.StatusMethodNotAllowed, errors.New("metrics take GET alone"))
		return
	}
	h.opt.Metrics.ServeHTTP(w, r)
}

func (h *Handler) refused(why Refusal) {
	if h.opt.Observer.Refused != nil {
		h.opt.Observer.Refused(why)
	}
}

// Serving returns how many WebSockets are open, and how many channels of subscriptions.
func (h *Handler) Serving() (sockets, streams int) {
	return int(h.sockets.Load()), int(h.streams.Load())
}

// Methods returns the names of all methods that it serves.
func (h *Handler) Methods() []string { return slices.Sorted(maps.Keys(h.methods)) }

// observed counts the open channels of a method, and tells of its calls.
func (h *Handler) observed(name string, m jsonrpc.Method) jsonrpc.Method {
	bind := m.Bind
	called := func(began time.Time, err error) {
		if h.opt.Observer.Called != nil {
			h.opt.Observer.Called(name, time.Since(began), err)
		}
	}
	m.Bind = func(a *jsonrpc.Args) jsonrpc.Run {
		run := bind(a)
		return func(ctx context.Context) (any, error) {
			began := time.Now()
			result, err := run(ctx)
			switch v := result.(type) {
			case func() (any, error): // it is made when there is room for it
				if err == nil {
					return func() (any, error) {
						result, err := v()
						called(began, err)
						return result, err
					}, nil
				}
			case *jsonrpc.Stream:
				result = h.counted(v)
			}
			called(began, err)
			return result, err
		}
	}
	return m
}

// counted counts a channel while it is open.
func (h *Handler) counted(s *jsonrpc.Stream) *jsonrpc.Stream {
	return &jsonrpc.Stream{Queue: s.Queue, Run: func(ctx context.Context, send func(any) bool) {
		h.streams.Add(1)
		defer h.streams.Add(-1)
		s.Run(ctx, send)
	}}
}

// Serve serves connections of a listener, within Limits, until ctx ends; then it closes the handler and the listener,
// and returns nil once all is closed. Whoever does not read is cut, which celestia-node does for a POST alone.
func (h *Handler) Serve(ctx context.Context, l net.Listener) error {
	h.beyond.Store(!httpd.Loopback(l.Addr()))
	server := httpd.New(l, httpd.Options{Limits: h.opt.Limits, Access: h.opt.Access, Cert: h.opt.Cert, Logger: h.opt.Logger})
	h.rpc.Bound(server.Answers(), server.Bodies())
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	var closing sync.WaitGroup
	closing.Go(func() {
		select {
		case <-ctx.Done():
		case <-serving.Done():
		}
		_ = h.Close() // first: channels are closed before their connections
		end()
	})
	err := server.Serve(serving, h)
	end()
	closing.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// clients limits the rate of requests by address. Addresses that have been quiet long enough to have their whole
// burst back are forgotten.
type clients struct {
	mu sync.Mutex
	by map[string]*rate.Limiter
}

func (c *clients) allow(r *http.Request, perSecond float64) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	burst := max(1, int(2*perSecond))
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.by[host]
	if l == nil {
		if len(c.by) >= 4096 {
			for k, v := range c.by {
				if v.Tokens() >= float64(burst) {
					delete(c.by, k)
				}
			}
		}
		if c.by == nil {
			c.by = map[string]*rate.Limiter{}
		}
		l = rate.NewLimiter(rate.Limit(perSecond), burst)
		c.by[host] = l
	}
	return l.Allow()
}
