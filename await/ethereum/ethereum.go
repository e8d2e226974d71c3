// Package ethereum waits for events of any Ethereum node: a block, its place in the canonical chain, a receipt, or
// the answer to any question.
//
// The waits keep the rules of package await, and end with its *Error. An announcement is a reason to look, no more.
// Nothing outlives the call that started it, but the connection of a Node that is kept. Everything is safe for
// concurrent use.
package ethereum

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"headrace/await"
	"headrace/internal/batch"
	"headrace/internal/httpc"
	"headrace/internal/redact"
	"headrace/watch"
)

// Options configure a Node. The zero value works.
type Options struct {
	CallTimeout time.Duration // of one request, connecting or subscribing; default 2 s. A socket that gives no sign of life for that long is replaced
	Probe       time.Duration // no news for so long: look without any; default 1 s. Some changes are not announced, a node's own rewinding among them
	MaxBackoff  time.Duration // between attempts to connect, which begin 10 ms apart; default 1 s

	// Dial connects. Default: to the address.
	Dial func(ctx context.Context) (*rpc.Client, error)
}

// Node is any Ethereum node. All waits share one connection with one subscription to new heads, which is there as long
// as somebody waits or Keep is in force, and is made anew whenever it breaks. A node that is down, or not yet up, only
// makes the waits take longer. Where there are no subscriptions, as over HTTP, each wait looks every Options.Probe.
type Node struct {
	name   string        // the address without what is secret in it
	access *httpc.Access // its token, and what no text may have in it
	opt    Options
	news   watch.Value[news]
	batch  *batch.Size // headers in one request

	stats struct{ sessions, heads, checks, probes, hits atomic.Uint64 }

	mu   sync.Mutex // guards the rest
	refs int        // waits and Keeps
	stop func()     // ends the watcher and waits for it; nil if there is none
}

// Endpoint is the address of a node, and the bearer token that goes to its scheme, host and port alone, and along no
// redirect elsewhere. The file of one is read again after a 401, and for each WebSocket.
type Endpoint = httpc.Endpoint

// New returns the node at url (ws, wss, http or https). It connects when somebody waits.
func New(url string, opt Options) *Node {
	n, err := Open(Endpoint{URL: url}, opt)
	if err != nil { // what is no URL cannot be connected to either
		opt.Dial = func(context.Context) (*rpc.Client, error) { return nil, err }
		n, _ = Open(Endpoint{}, opt)
		n.name = redact.Refused(url)
	}
	return n
}

// Open returns the node at an endpoint. It connects when somebody waits, and fails if the token cannot be used.
func Open(at Endpoint, opt Options) (*Node, error) {
	opt.CallTimeout = cmp.Or(opt.CallTimeout, 2*time.Second)
	opt.Probe = cmp.Or(opt.Probe, time.Second)
	opt.MaxBackoff = cmp.Or(opt.MaxBackoff, time.Second)
	access, err := at.Open()
	if err != nil {
		return nil, err
	}
	if opt.Dial == nil {
		options := []rpc.ClientOption{rpc.WithHTTPClient(httpc.New(httpc.Options{Timeout: opt.CallTimeout, Access: access}))}
		if strings.HasPrefix(at.URL, "ws") { // over HTTP the client sees to it
			options = append(options, rpc.WithHTTPAuth(access.Authorize))
		}
		opt.Dial = func(ctx context.Context) (*rpc.Client, error) { return rpc.DialOptions(ctx, at.URL, options...) }
	}
	return &Node{name: strings.Trim(redact.Refused(at.URL), `"`), access: access, opt: opt, batch: batch.New(step, step)}, nil
}

// Stats count since New.
type Stats struct {
	Sessions  uint64 // connections with an acknowledged subscription
	Heads     uint64 // announced
	Checks    uint64 // looks at the node
	Probes    uint64 // of these, without an announcement
	ProbeHits uint64 // of these, such as found what was waited for: announcements were missing
}

// Stats returns the counts so far.
func (e *Node) Stats() Stats {
	s := &e.stats
	return Stats{Sessions: s.sessions.Load(), Heads: s.heads.Load(), Checks: s.checks.Load(), Probes: s.probes.Load(), ProbeHits: s.hits.Load()}
}

// Keep keeps the connection from one wait to the next, until release is called. Without it, it is closed when nobody
// waits.
func (e *Node) Keep() (release func()) {
	e.acquire()
	return sync.OnceFunc(e.release)
}

func (e *Node) acquire() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refs++
	if e.refs > 1 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) // the watcher's life is that of its users
	var watcher sync.WaitGroup
	watcher.Go(func() { e.watch(ctx) })
	e.stop = func() { cancel(); watcher.Wait() }
}

func (e *Node) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refs--; e.refs == 0 {
		e.stop()
		e.stop = nil
	}
}

// Ask asks the node something, and again at each new head, until the answer is yes: any condition on the state of a
// chain, such as a balance or a contract's value. ask returns the answer, whether it is the one waited for, and an error
// if there was none; it must keep to its context. An error is no reason to give up, unless it proves that another
// program is asked (ErrOther). The last error is part of the *await.Error, with what: what was waited for.
func Ask[T any](ctx context.Context, node *Node, what string, ask func(context.Context, *rpc.Client) (T, bool, error), opts ...await.Option) (T, error) {
	outer := ctx
	ctx, stop := await.Race(ctx, await.SettingsOf(opts).Ends)
	defer stop()
	node.acquire()
	defer node.release()
	var failure error
	probe := time.NewTimer(node.opt.Probe) // looks at something outside, in case that an announcement is missing
	defer probe.Stop()
	for probed := false; ; {
		n, changed := node.news.Get() // before the look: what changes after it wakes us
		if v, ok := look(ctx, node, n, ask, &failure); ok {
			if probed {
				node.stats.hits.Add(1)
			}
			return v, nil
		}
		if errors.Is(failure, ErrOther) {
			var none T
			return none, &await.Error{What: what, Last: n.String(), Cause: failure}
		}
		probed = false
		probe.Reset(node.opt.Probe)
		select {
		case <-changed:
		case <-probe.C:
			select {
			case <-changed:
			default:
				probed = true
				node.stats.probes.Add(1)
			}
		case <-ctx.Done():
			n, _ = node.news.Get()
			if outer.Err() == nil { // a producer has ended; what it did before counts
				if v, ok := look(outer, node, n, ask, &failure); ok {
					return v, nil
				}
			}
			var none T
			return none, &await.Error{What: what, Last: n.String(), Failure: failure, Cause: context.Cause(ctx)}
		}
	}
}

// look asks once, if there is a connection. It keeps in failure what went wrong last.
func look[T any](ctx context.Context, node *Node, n news, ask func(context.Context, *rpc.Client) (T, bool, error), failure *error) (v T, ok bool) {
	if n.session == nil {
		if n.err != nil {
			*failure = n.err
		}
		return v, false
	}
	node.stats.checks.Add(1)
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, node.opt.CallTimeout)
	defer cancel()
	v, ok, err := ask(limited, n.session.conn)
	switch {
	case err == nil:
		n.session.hear()
		return v, ok
	case ctx.Err() != nil: // we gave up, nothing failed
		return v, false
	}
	*failure = node.lacking(limited, n.session.conn, err)
	if limited.Err() != nil && n.session.silentSince(began) {
		n.session.end() // a dead socket that does not say so; the watcher makes another
	}
	return v, false
}

// news is what the watcher knows. The waiters look whenever it changes.
type news struct {
	session *session // nil while there is no connection
	head    *Header  // announced last; nil before
	headAt  time.Time
	err     error // why there is no connection
}

func (n news) String() string {
	if n.head == nil {
		return "no head"
	}
	return fmt.Sprintf("head %d %s, announced %s ago", n.head.Number, n.head.Hash, time.Since(n.headAt).Round(time.Millisecond))
}

// session is a connection whose subscription has been acknowledged, or that has none to be had.
type session struct {
	conn  *rpc.Client
	ended chan struct{} // closed by end
	once  sync.Once
	heard atomic.Pointer[time.Time] // the last sign of life
}

// end closes the connection, so that the watcher makes another.
func (s *session) end() { s.once.Do(func() { close(s.ended); s.conn.Close() }) }

func (s *session) hear() { now := time.Now(); s.heard.Store(&now) }

func (s *session) silentSince(t time.Time) bool { return !s.heard.Load().After(t) }

// watch keeps a subscription until ctx ends.
func (e *Node) watch(ctx context.Context) {
	const first = 10 * time.Millisecond
	for delay := first; ; {
		sessions, began := e.stats.sessions.Load(), time.Now()
		err := e.subscribe(ctx)
		if ctx.Err() != nil {
			err = nil // nobody waits any more
		}
		e.news.Update(func(n news) news { n.session, n.err = nil, err; return n })
		if e.stats.sessions.Load() > sessions && time.Since(began) > e.opt.MaxBackoff { // it has worked, not only for a moment
			delay = first
		}
		again := time.NewTimer(delay) // backoff
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
		delay = min(2*delay, e.opt.MaxBackoff)
	}
}

// subscribe connects and passes on heads until the connection or ctx ends, and returns why.
func (e *Node) subscribe(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, e.opt.CallTimeout)
	defer cancel()
	conn, err := e.opt.Dial(limited)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", e.name, e.connecting(err))
	}
	defer conn.Close() // unsubscribing would wait for the peer
	heads := make(chan hint)
	sub, err := conn.EthSubscribe(limited, heads, "newHeads")
	var failed <-chan error // never, without a subscription
	var rpcErr rpc.Error
	switch {
	case err == nil:
		failed = sub.Err()
	case !errors.Is(err, rpc.ErrNotificationsUnsupported) && !errors.As(err, &rpcErr):
		return fmt.Errorf("subscribe to heads of %s: %w", e.name, e.lacking(limited, conn, err))
	} // else it can be asked all the same, and the waits do so now and then
	s := &session{conn: conn, ended: make(chan struct{})}
	s.hear()
	e.stats.sessions.Add(1)
	e.news.Update(func(n news) news { n.session, n.err = s, nil; return n }) // acknowledged: from here on a look misses nothing
	for {                                                                    // always reads: the client would drop a subscription that is not
		select {
		case h := <-heads:
			s.hear()
			e.stats.heads.Add(1)
			e.news.Update(func(n news) news {
				if h.header != nil {
					n.head, n.headAt = h.header, time.Now()
				}
				return n
			})
		case <-s.ended:
			return fmt.Errorf("connection to %s ended: no answer in time", e.name)
		case err := <-failed:
			if err == nil {
				err = errors.New("no answer in time")
			}
			return fmt.Errorf("connection to %s ended: %w", e.name, e.access.Error(err))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
