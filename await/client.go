package await

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/internal/redact"
)

// What the error of a wait at a running node matches (errors.Is) when asking again would not help.
var (
	ErrRefused = errors.New("the node refuses")         // by its own word: what is asked for makes no sense, is not there any more, or is not for us
	ErrOther   = errors.New("is this a headrace node?") // another program answers there, with success
)

// Endpoint is the address of a node, http or https, and the bearer token that goes to its scheme, host and port alone,
// and along no redirect elsewhere. The file of one is read again after a 401.
type Endpoint = httpc.Endpoint

// ClientOptions configure a Client. The zero value works.
type ClientOptions struct {
	Poll       time.Duration // of one request of a wait, so that a connection that has died without a word is replaced; default 30 s
	Quiet      time.Duration // a stream that brings nothing for so long is replaced; default 45 s, three of a node's signs of life
	MaxBackoff time.Duration // between two tries, which begin 50 ms apart; default 2 s
	TLS        *tls.Config   // whose certificates are believed; default: those that the system believes
}

// Client waits at a running node, by its HTTP endpoints, for what the functions of this package wait for in the process.
//
// The node looks, so no value is missed that it has when it is asked, or gets from then on. A node that cannot be
// reached, and whatever else answers in its place with an error, only makes a wait take longer: the context bounds it. A
// wait ends before its time with an error that matches ErrEnded when the node says that it ends, ErrRefused when it
// refuses the request for good, and ErrOther when what answers is no node. All are wrapped in an *Error.
//
// When nobody waits, a Client has no connection. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	name   string        // the address without what is secret in it
	access *httpc.Access // its token, and what no text may have in it
	http   *http.Client
	opt    ClientOptions
	wrong  error // why nothing can be asked; nil: it can

	requests atomic.Uint64

	mu   sync.Mutex // guards the rest
	refs int        // waits, streams and Keeps
}

// Node returns a client of the node at url. It connects when somebody waits.
func Node(url string) *Client {
	c, err := OpenNode(Endpoint{URL: url}, ClientOptions{})
	if err != nil { // what is no address cannot be asked either
		return &Client{wrong: final(err), name: redact.Refused(url), opt: ClientOptions{}.orDefaults()}
	}
	return c
}

func (o ClientOptions) orDefaults() ClientOptions {
	o.Poll = cmp.Or(o.Poll, 30*time.Second)
	o.Quiet = cmp.Or(o.Quiet, 45*time.Second)
	o.MaxBackoff = cmp.Or(o.MaxBackoff, 2*time.Second)
	return o
}

// OpenNode returns a client of the node at an endpoint. It connects when somebody waits, and fails if the address or the
// token cannot be used.
func OpenNode(at Endpoint, opt ClientOptions) (*Client, error) {
	opt = opt.orDefaults()
	u, err := url.Parse(at.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s is not a URL such as http://127.0.0.1:7331", redact.Refused(at.URL))
	}
	access, err := at.Open()
	if err != nil {
		return nil, err
	}
	u.RawQuery, u.Fragment = "", ""
	asks := httpc.New(httpc.Options{Timeout: opt.Poll, Access: access, TLS: opt.TLS})
	return &Client{base: u, name: redact.Address(at.URL), access: access, http: asks, opt: opt}, nil
}

// String is the node's address, without what is secret in it.
func (c *Client) String() string { return c.name }

// Requests counts what the node has been asked.
func (c *Client) Requests() uint64 { return c.requests.Load() }

// Keep keeps connections from one wait to the next, until release is called.
func (c *Client) Keep() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refs++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.refs--; c.refs == 0 && c.http != nil {
			c.http.CloseIdleConnections()
		}
	})
}

// Height waits until the node's head, the safe one unless WithLabel names another, is at h or above. The State has the
// Block at h, unless it is pruned.
func (c *Client) Height(ctx context.Context, h uint64, opts ...Option) (State, error) {
	label := SettingsOf(opts).Label
	return c.wait(ctx, fmt.Sprintf("%s height %d", label, h), url.Values{"height": {number(h)}, "head": {label.String()}}, opts)
}

// Proposal waits until the last canonical proposal is id or a later one.
func (c *Client) Proposal(ctx context.Context, id uint64, opts ...Option) (State, error) {
	return c.wait(ctx, fmt.Sprintf("proposal %d", id), url.Values{"proposal": {number(id)}}, opts)
}

// ProposalAt waits until the proposal of one L1 transaction, or of one L1 block, by hash, is canonical and applied.
func (c *Client) ProposalAt(ctx context.Context, txOrBlock [32]byte, opts ...Option) (State, error) {
	what := fmt.Sprintf("the proposal of L1 transaction or block 0x%x", txOrBlock)
	return c.wait(ctx, what, url.Values{"proposal_at": {Hash(txOrBlock).String()}}, opts)
}

// L1Scanned waits until everything of the source, an L1 or a DA layer, through block n has been applied.
func (c *Client) L1Scanned(ctx context.Context, n uint64, opts ...Option) (State, error) {
	return c.wait(ctx, fmt.Sprintf("source block %d", n), url.Values{"position": {number(n)}}, opts)
}

// Ready waits until the node is ready.
func (c *Client) Ready(ctx context.Context, opts ...Option) (State, error) {
	return c.wait(ctx, "readiness", url.Values{"ready": {"true"}}, opts)
}

// NotReady waits until the node says that it is not ready. A node that does not answer says nothing: see Stopped.
func (c *Client) NotReady(ctx context.Context, opts ...Option) (State, error) {
	return c.wait(ctx, "a node that is not ready", url.Values{"not_ready": {"true"}}, opts)
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// late is how long after its time the node's answer to a wait that timed out may come.
const late = 250 * time.Millisecond

// wait asks, and asks again, until the node says that it is reached, or what comes of it.
func (c *Client) wait(ctx context.Context, what string, query url.Values, opts []Option) (last State, err error) {
	outer := ctx
	ctx, stop := Race(ctx, SettingsOf(opts).Ends)
	defer stop()
	defer c.Keep()()
	var failure error
	pause := c.pause()
	for ctx.Err() == nil {
		patience, began := c.patience(ctx, last.Raw != nil), time.Now()
		s, reached, err := c.ask(ctx, query, patience)
		if s.Raw != nil {
			last = s
		}
		switch {
		case reached:
			return s, nil
		case ctx.Err() != nil: // whatever came of the request
			continue
		case isFinal(err) || errors.Is(err, ErrEnded):
			return last, &Error{What: what, Last: last.text(), Failure: failure, Cause: err}
		case err == nil && time.Since(began) >= patience/2: // else it does not wait as it is asked to
			pause.Reset()
			continue
		case err != nil:
			failure = err
		}
		_ = pause.Sleep(ctx, nil)
	}
	if outer.Err() == nil { // a producer has ended; what it did before counts
		limited, cancel := context.WithTimeout(outer, c.opt.MaxBackoff)
		defer cancel()
		if s, reached, _ := c.ask(limited, query, 0); reached {
			return s, nil
		}
	}
	return last, &Error{What: what, Last: last.text(), Failure: failure, Cause: context.Cause(ctx)}
}

// patience is how long the node may take to answer one request. It leaves the node's last word time to arrive before
// the context ends. If there is little, and nothing is known yet, the node is to say at once what there is.
func (c *Client) patience(ctx context.Context, known bool) time.Duration {
	deadline, ok := ctx.Deadline()
	left := time.Until(deadline)
	switch {
	case !ok || left > c.opt.Poll+late:
		return c.opt.Poll
	case left > 2*late:
		return left - late
	case known:
		return max(left, 0)
	}
	return 0
}

// ask sends one request that waits for so long, and returns what the node says, and whether it is reached.
func (c *Client) ask(ctx context.Context, query url.Values, wait time.Duration) (s State, reached bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait+max(late, c.opt.Poll/8))
	defer cancel()
	query.Set("timeout", wait.String())
	resp, err := c.get(ctx, "/v1/wait", query, "")
	if err != nil {
		return s, false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return s, false, fmt.Errorf("read answer: %w", c.access.Error(err))
	}
	var said struct {
		Result, Error string
	}
	if json.Unmarshal(body, &said) != nil || said.Result == "" {
		return s, false, c.otherwise(resp, body)
	}
	if s, err = readState(body); err != nil {
		return State{}, false, c.otherwise(resp, nil)
	}
	switch said.Result {
	case "reached":
		return s, resp.StatusCode == http.StatusOK, nil
	case "ended":
		return s, false, c.ended(said.Error)
	}
	return s, false, nil
}

// maxAnswer bounds an answer that is read as a whole, in bytes.
const maxAnswer = 16 << 20

// get sends a request, and returns an answer that may be any.
func (c *Client) get(ctx context.Context, path string, query url.Values, lastID string) (*http.Response, error) {
	if c.wrong != nil {
		return nil, c.wrong
	}
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, final(fmt.Errorf("ask node: %w", c.access.Error(err)))
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	c.requests.Add(1)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask node: %w", c.access.Error(err))
	}
	return resp, nil
}

func (c *Client) pause() follow.Backoff {
	return follow.Backoff{Min: min(50*time.Millisecond, c.opt.MaxBackoff), Max: c.opt.MaxBackoff}
}

// finalError is one that asking again will not change.
type finalError struct{ error }

func (f finalError) Unwrap() error { return f.error }

func final(err error) error { return finalError{err} }

func isFinal(err error) bool { return errors.As(err, new(finalError)) }

// strangeError is an answer that may not be the node's.
type strangeError struct{ error }

func (s strangeError) Unwrap() error { return s.error }

// otherwise is why an answer is not what was asked for. It is final if the node itself refuses, as it says why in a form
// of its own, or if success proves that another program is asked. Whatever else it says may come from what stands before
// the node: an ingress says 404 before the node is up, a gateway 429 when it is busy, and 502 when it is not there.
func (c *Client) otherwise(resp *http.Response, body []byte) error {
	var said struct{ Error string }
	if json.Unmarshal(body, &said) == nil && refuses(resp.StatusCode, said.Error) {
		return final(fmt.Errorf("%w: %s", ErrRefused, c.access.Text(said.Error)))
	}
	err := fmt.Errorf("%s answered %s: %w", resp.Request.URL.Host, resp.Status, ErrOther)
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return final(err)
	}
	return strangeError{errors.New(err.Error())}
}

// refuses reports whether an answer with this status is the node's last word, if it says why as a node does. A node that
// is busy (429, 503) will have time.
func refuses(status int, why string) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return why != "" && status >= 400 && status < 500
}

// refused reports whether an error proves that nobody listens at the node's address.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && errors.Is(err, syscall.ECONNREFUSED) // a proxy's own refusal is another's
}
