package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/watch"
)

// Progress makes a Status good for the waits of package await.
func (s Status) Progress() await.Progress {
	p := await.Progress{Unsafe: s.Heads.Unsafe, Safe: s.Heads.Safe, Finalized: s.Heads.Finalized, Scanned: s.Source.Position}
	proposed := func(c *Proposal) await.Proposed {
		return await.Proposed{ID: c.ID, L1: c.L1, Tx: c.Tx, L2: c.L2, Void: c.Void}
	}
	if s.Proposal != nil {
		p.Proposal = proposed(s.Proposal)
	}
	for i := range s.earlier {
		p.Earlier = append(p.Earlier, proposed(&s.earlier[i]))
	}
	return p
}

// Waited is the answer of /v1/wait.
type Waited struct {
	Result   string     `json:"result"`          // "reached", "timeout" or "ended"
	For      string     `json:"for"`             // what was waited for
	Error    string     `json:"error,omitempty"` // why it was not reached
	Block    *block.Ref `json:"block,omitempty"` // of a height that was reached, unless the block is pruned
	Tx       *Tx        `json:"tx,omitempty"`    // that was waited for
	Heads    Heads      `json:"heads"`           // these and the rest: as of that moment
	Position block.Ref  `json:"position"`
	Proposal *Proposal  `json:"proposal,omitempty"`
	Ready    bool       `json:"ready"`
	Reason   string     `json:"reason,omitempty"`
}

// The longest wait of one request, and what it is when the request does not say.
const (
	maxWait     = 10 * time.Minute
	defaultWait = 30 * time.Second
)

// maxWaiting is the default of Config.HTTP.MaxWaiting, which bounds the requests that wait or stream at the same time:
// each costs a goroutine and a socket (I6).
const maxWaiting = 1024

// long bounds the requests that last.
type long struct{ slots chan struct{} }

func newLong(most uint64) long { return long{make(chan struct{}, cmp.Or(most, maxWaiting))} }

// begin counts one more, in now too, until the function that it returns is called. It returns nil if there are too many.
func (l *long) begin(now *atomic.Int64) (done func()) {
	select {
	case l.slots <- struct{}{}:
		now.Add(1)
		return func() { now.Add(-1); <-l.slots }
	default:
		return nil
	}
}

func (l *long) full() error { return fmt.Errorf("%d requests wait already", cap(l.slots)) }

// handleLong adds the endpoints whose requests last. Those of POST /v1/txs that wait count as they do.
func (n *Node) handleLong(mux *routes) {
	limited := func(now *atomic.Int64, serve func(w http.ResponseWriter, r *http.Request, done func())) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			done := n.long.begin(now)
			if done == nil {
				w.Header().Set("Retry-After", "1")
				fail(w, http.StatusServiceUnavailable, n.long.full())
				return
			}
			serve(w, r, done)
		}
	}
	mux.HandleFunc("GET /v1/wait", limited(&n.waiters, n.getWait))
	mux.HandleFunc("GET /v1/events", limited(&n.streams, func(w http.ResponseWriter, r *http.Request, done func()) {
		defer done()
		n.blocks(await.Safe).ServeHTTP(w, r)
	}))
}

// Serving is how many requests that last are under way.
type Serving struct {
	Waiters int // of /v1/wait, and of /v1/txs with wait
	Streams int // of /v1/events
}

// Serving returns how many requests that last the node serves now.
func (n *Node) Serving() Serving {
	return Serving{Waiters: int(n.waiters.Load()), Streams: int(n.streams.Load())}
}

// getWait answers when something is reached (200), when the time is up (504), or when the node ends (410). What is
// there already is answered at once. It calls done when the request has been answered.
func (n *Node) getWait(w http.ResponseWriter, r *http.Request, done func()) {
	q, err := queryOf(r)
	var g *goal
	if err == nil {
		g, err = n.parseWait(q)
	}
	if err != nil {
		done()
		fail(w, http.StatusBadRequest, err)
		return
	}
	if !g.reached(n.status.Load()) && n.park(w, r, g, done) {
		return
	}
	defer done()
	ctx, cancel := context.WithTimeout(r.Context(), g.timeout)
	defer cancel()
	code, a := n.waited(ctx, r.Context(), g)
	setWaited(w.Header())
	reply(w, code, a)
}

// setWaited sets what is said of the answer.
func setWaited(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
}

// waited waits, and returns the answer with its code. When ctx ends and the request's context does not, the time is up.
func (n *Node) waited(ctx, request context.Context, g *goal) (code int, a Waited) {
	if g.level != nil {
		g.level.Wait(ctx, g.number) // what comes before that wakes nobody
	}
	s, err := await.Value(ctx, n.status.Value, g.what, g.reached)
	if err == nil && g.tx != nil {
		n.addReceipt(ctx, g.tx)
	}
	a = Waited{
		Result: resultReached, For: g.what, Heads: s.Heads, Position: s.Source.Position, Proposal: s.Proposal, Ready: s.Ready, Reason: s.Reason,
	}
	code = http.StatusOK
	switch {
	case err == nil:
		a.Block, a.Tx = g.block, g.tx
	case request.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		a.Result, a.Error, code = resultTimeout, err.Error(), http.StatusGatewayTimeout
	default: // the request's context is the node's; if it is the client that has gone, nobody reads this
		a.Result, a.Error, code = resultEnded, err.Error(), http.StatusGone
	}
	return code, a
}

// goal is what one request waits for.
type goal struct {
	what    string
	timeout time.Duration
	reached func(Status) bool
	level   *watch.Level[Status] // not before this is at number can it be reached; nil: it can at any time
	number  uint64
	block   *block.Ref // at the height waited for; set by reached
	tx      *Tx        // that is waited for, where it is; likewise
}

// parseWait reads the parameters of /v1/wait.
func (n *Node) parseWait(q url.Values) (*goal, error) {
	g := &goal{timeout: defaultWait}
	label := await.Safe
	wanted := ""
	for name := range q {
		var err error
		value := q.Get(name)
		switch name {
		case "height", "tx", "proposal", "proposal_at", "position", "ready", "not_ready":
			if wanted != "" {
				return nil, fmt.Errorf("%s and %s: wait for one thing at a time", wanted, name)
			}
			wanted = name
		case "timeout":
			g.timeout, err = parseTimeout(value)
		case "head":
			label, err = parseLabel(value)
		default:
			err = fmt.Errorf("there is no parameter %s: use height, tx, proposal, proposal_at, position, ready or not_ready, and head and timeout", name)
		}
		if err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(wanted, "proposal") && n.opt.Genesis.L1 == nil {
		return nil, errors.New("this chain's canonical source is a DA layer, which has no proposals: wait for a height or a position")
	}
	if n.opt.isReplica() && (wanted == "position" || strings.HasPrefix(wanted, "proposal")) {
		return nil, fmt.Errorf("this node is a replica, which knows the chain's blocks and not the %s's: wait for a height, or ask the node that it follows", n.opt.layer())
	}
	if wanted == "" {
		return nil, errors.New("say what to wait for: height, tx, proposal, proposal_at, position, ready or not_ready")
	}
	if q.Has("head") && wanted != "height" && wanted != "tx" {
		return nil, errors.New("head goes with height and tx")
	}
	if wanted == "tx" {
		return g, n.setTxGoal(g, q.Get(wanted), label)
	}
	return g, n.setGoal(g, wanted, q.Get(wanted), label)
}

func (n *Node) setGoal(g *goal, wanted, value string, label await.Label) error {
	switch wanted {
	case "ready", "not_ready":
		if value != "" && value != "true" {
			return fmt.Errorf("%s %q is not true", wanted, value)
		}
		g.what, g.reached = "readiness", func(s Status) bool { return s.Ready }
		g.level, g.number = n.status.ready, 1
		if wanted == "not_ready" {
			g.what, g.level, g.reached = "a node that is not ready", nil, func(s Status) bool { return !s.Ready }
		}
		return nil
	case "proposal_at":
		var hash block.Hash
		if err := hash.UnmarshalText([]byte(value)); err != nil {
			return fmt.Errorf("proposal_at: %w", err)
		}
		g.what = "the proposal of L1 transaction or block 0x" + hash.String()
		g.reached = func(s Status) bool { _, ok := s.Progress().ProposalAt(hash); return ok }
		return nil
	}
	number, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return fmt.Errorf("%s %q is not a number", wanted, value)
	}
	g.what, g.number = wanted+" "+value, number
	switch wanted {
	case "height":
		g.what, g.level = fmt.Sprintf("%s height %d", label, number), n.status.heads[label]
		g.reached = func(s Status) bool { return s.Heads.of(label).Height >= number && n.refer(g, number) }
	case "proposal":
		g.level, g.reached = n.status.proposal, func(s Status) bool { return s.Progress().Proposal.ID >= number }
	case "position":
		g.level, g.reached = n.status.position, func(s Status) bool { return s.Source.Position.Height >= number }
	}
	return nil
}

// setTxGoal is setGoal for a transaction.
func (n *Node) setTxGoal(g *goal, value string, head await.Label) error {
	hash, err := parseTxHash(value)
	if err != nil {
		return err
	}
	o := n.at.Load()
	if !o.opt.Config.Index.indexesTxs() {
		return ErrNoTxs
	}
	g.what = fmt.Sprintf("transaction 0x%s in a block up to the %s head", hash, head)
	if _, from, _ := o.unknownTx(hash); from > 0 {
		g.what += fmt.Sprintf(" (blocks before height %d were stored without an index)", from)
	}
	g.reached = func(Status) bool {
		tx, ok, _ := n.FindTx(hash, head) // what cannot be read is looked for again
		if ok {
			g.tx = &tx
		}
		return ok
	}
	return nil
}

// refer sets the block that the answer names. It reports false if the block has been reverted since the status was
// published: then news is on the way.
func (n *Node) refer(g *goal, height uint64) bool {
	s := n.at.Load().store
	ref, err := s.Ref(height)
	if err == nil {
		g.block = &ref
	}
	return err == nil || height < s.State().Oldest
}

func (h Heads) of(label await.Label) block.Ref {
	switch label {
	case await.Unsafe:
		return h.Unsafe
	case await.Finalized:
		return h.Finalized
	}
	return h.Safe
}

func parseLabel(s string) (await.Label, error) {
	for _, l := range []await.Label{await.Safe, await.Unsafe, await.Finalized} {
		if s == l.String() {
			return l, nil
		}
	}
	return 0, fmt.Errorf("head %q is not safe, unsafe or finalized", s)
}

// parseTimeout reads a duration such as 1m30s, or a number of seconds.
func parseTimeout(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		d, err = time.ParseDuration(s + "s")
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("timeout %q is neither a duration such as 30s nor a number of seconds", s)
	}
	if d > maxWait {
		return 0, fmt.Errorf("timeout %s is more than the %s that one request may wait: ask again when it is up", d, maxWait)
	}
	return d, nil
}
