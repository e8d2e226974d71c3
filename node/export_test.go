package node

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/httpc"
	"headrace/internal/httpd"
	"headrace/internal/sequencer"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/watch"
)

// Events serves the events of a chain that a test makes.
func Events(status *watch.Value[Status], oldest func() uint64, ref func(uint64) (block.Ref, error), at func(uint64) (Block, error)) http.Handler {
	return BlocksOf(status, oldest, ref, at).(http.Handler)
}

// EventsWithin is Events whose answers count in a budget.
func EventsWithin(answers *httpd.Budget, status *watch.Value[Status], oldest func() uint64, ref func(uint64) (block.Ref, error), at func(uint64) (Block, error)) http.Handler {
	b := BlocksOf(status, oldest, ref, at).(*blocks)
	b.answers = answers
	return b
}

// Shared reports whether the event of a block without its transactions is in memory.
func Shared(events http.Handler, heads Heads, height uint64) bool {
	return events.(*blocks).shared.of(heads, height, shape{}) != nil
}

// BlocksOf returns them as a source.
func BlocksOf(status *watch.Value[Status], oldest func() uint64, ref func(uint64) (block.Ref, error), at func(uint64) (Block, error)) follow.Source[Delivered] {
	return &blocks{head: await.Safe, status: newStatuses(status), oldest: oldest, ref: ref, text: new(statusText), shared: new(sharedEvents), read: func(height uint64) (item follow.Item[Delivered], err error) {
		item.Data.Block, err = at(height)
		if err != nil {
			return item, err
		}
		var hash block.Hash
		err = hash.UnmarshalText([]byte(item.Data.Hash))
		item.Height, item.Hash = height, hash
		copy(item.Parent[:], item.Data.ParentHash)
		return item, err
	}}
}

// Waits serves /v1/wait of a chain on an L1 that has this status.
func Waits(status *watch.Value[Status]) http.Handler {
	n := &Node{status: newStatuses(status), opt: Options{Genesis: &block.Genesis{L1: new(block.GenesisL1)}}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.getWait(w, r, func() {}) })
}

// WithEarlier returns a status with proposals that others have followed.
func WithEarlier(s Status, earlier ...Proposal) Status { s.earlier = earlier; return s }

// PageOf is a page of a chain that a test makes, from a height on.
func PageOf(status *watch.Value[Status], oldest func() uint64, ref func(uint64) (block.Ref, error), at func(uint64) (Block, error), from uint64) ([]byte, error) {
	p, err := parsePage(url.Values{"from": {strconv.FormatUint(from, 10)}})
	if err != nil {
		return nil, err
	}
	return BlocksOf(status, oldest, ref, at).(*blocks).page(func() error { return nil }, p)
}

// Patterns are what a node serves, as it was given to its mux.
func (n *Node) Patterns() []string { return n.routes().patterns }

// FetchStall is how long a fetch may go without progress.
func FetchStall(stall, call time.Duration) time.Duration { return fetchStall(stall, call) }

// Offering is POST /v1/unsafe with these offers, and a budget of bodies of its own.
func Offering(offers *syncer.Offers) http.Handler {
	return &offering{offers: func() *syncer.Offers { return offers }, bodies: httpd.NewBudget(MaxOffering)}
}

// MaxOffering bounds the bodies that are there at a time.
const MaxOffering = 32 << 20

// Stored is a node with these parts alone.
func Stored(status *watch.Value[Status], s *store.Store) *Node {
	n := newNode(Options{})
	n.status = newStatuses(status)
	n.at.Store(&opened{store: s, opt: &n.opt})
	return n
}

// OnDA returns o with a source in the process in the place of its endpoints. Such a node needs no sockets.
func (o Options) OnDA(source daSource) Options { o.daSource = source; return o }

// OnL1 is OnDA for a chain with an inbox.
func (o Options) OnL1(source l1Source, proposer l1.Proposer) Options {
	o.l1Source, o.l1Proposer = source, proposer
	return o
}

// Unserved returns a node that serves nothing over HTTP, and what runs it and closes it: for tests on a false clock.
func Unserved(opt Options) (*Node, func(context.Context) error, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	n := newNode(opt)
	o, err := open(&n.opt, nil)
	if err != nil {
		return nil, nil, err
	}
	n.at.Store(o)
	n.publish(o)
	return n, func(ctx context.Context) error {
		err := n.work(ctx)
		n.at.Load().up.syncer.Close(err)
		return errors.Join(err, n.at.Load().close())
	}, nil
}

// OnDisks returns o with these file systems under the store and the key-value engine.
func OnDisks(o Options, store, engine store.FS) Options {
	o.storeFS, o.engineFS = store, engine
	return o
}

// MirroredBlocks returns how many blocks a page of another node has.
func MirroredBlocks(text string) (int, error) {
	var p mirroredPage
	err := json.Unmarshal([]byte(text), &p)
	return len(p.Blocks), err
}

// InPlace decodes a string of JSON as a body of POST /v1/unsafe is.
func InPlace(text []byte) ([]byte, error) {
	var p inPlace
	err := json.Unmarshal(text, &p)
	return p, err
}

// Refetch reads a lost block from a source that has these halves where it was posted.
func Refetch(ctx context.Context, o Options, headers []*block.SignedHeader, data []*block.DataBlob, l store.Lost) (*block.Block, error) {
	return (&opened{opt: &o}).refetch(ctx, func(context.Context, store.Origin) (halves, error) {
		return halves{headers: headers, data: data}, nil
	}, l)
}

// Readiness is that of a node which follows a source with these blocks and has nothing else to say.
func Readiness(l1 bool, blockTime time.Duration, src follow.State, position uint64) (ready bool, reason string, next time.Duration) {
	up := &upstream{layer: "DA layer", unit: "DA", unknown: 6 * time.Second}
	if l1 {
		up = &upstream{layer: "L1", unit: "L1", unknown: 12 * time.Second, slots: true}
	}
	s := Status{Source: Source{Head: src.Head, Endpoints: []Endpoint{{Address: "ws://here"}}}}
	if src.Head.Height > position {
		s.Source.Lag = src.Head.Height - position
	}
	v := view{Status: &s, sync: new(syncer.Status), src: src, up: up, blockTime: blockTime, seen: new(seen), now: time.Now()}
	got := judge(v.rows(), nil, v.now)
	return got.ready, got.reason, got.next
}

// ReadyBelow returns why a node is not ready whose source has ended below what was read of it for so long, with a block of
// the source each second, while the follower waits for that.
func ReadyBelow(ago time.Duration, w follow.Waiting) (reason string) {
	now := time.Now()
	at := block.Ref{Height: 10}
	s := Status{Source: Source{Position: at, Proven: at}}
	src := follow.State{Head: block.Ref{Height: 2}, Highest: 2, NewsAt: now, AdvancedAt: now, Waiting: w}
	v := view{Status: &s, sync: new(syncer.Status), src: src, up: &upstream{layer: "DA layer", unit: "DA"}, blockTime: time.Second, seen: &seen{below: mark{at.Height, now.Add(-ago)}}, now: now}
	return judge(v.rows(), nil, now).reason
}

// ReadyBehind reports whether a node is ready that is so far behind since then, with a block of the source each second.
func ReadyBehind(wasReady bool, lag uint64, since time.Time) bool {
	now := time.Now()
	s := Status{Source: Source{Position: block.Ref{Height: 10}, Proven: block.Ref{Height: 10}, Lag: lag, CatchUp: &CatchUp{Since: since}}}
	src := follow.State{Head: block.Ref{Height: 10 + lag}, NewsAt: now, AdvancedAt: now}
	v := view{Status: &s, sync: new(syncer.Status), src: src, up: &upstream{unit: "DA"}, blockTime: time.Second, seen: new(seen), wasReady: wasReady, now: now}
	return judge(v.rows(), nil, now).ready
}

// ReadyStanding reports whether a node is ready, and why not, whose chain has had no block for so long, though its source
// has one each second, of which so many are not applied.
func ReadyStanding(r syncer.Rhythm, lazyInterval, ago time.Duration, lag uint64) (ready bool, reason string) {
	now := time.Now()
	opt := Options{}
	opt.Config.Sequencer.LazyInterval = lazyInterval
	s := Status{Source: Source{Position: block.Ref{Height: 10}, Proven: block.Ref{Height: 10}, Lag: lag}, Heads: Heads{Safe: block.Ref{Height: 5, Hash: block.Hash{1}}}}
	sync := &syncer.Status{Rhythm: r, SafeAt: syncer.Moment{At: now.Add(-ago)}}
	src := follow.State{Head: block.Ref{Height: 10 + lag}, NewsAt: now, AdvancedAt: now}
	v := view{Status: &s, sync: sync, src: src, up: &upstream{layer: "DA layer", unit: "DA"}, blockTime: time.Second, quiet: opt.quiet(r), seen: new(seen), now: now}
	got := judge(v.rows(), nil, now)
	return got.ready, got.reason
}

// ReadyBy reports whether a node is ready that has these endpoints, with a block of the source each second, and what waits.
func ReadyBy(endpoints []Endpoint, now time.Time) (bool, []Waiting) {
	s := Status{Source: Source{Position: block.Ref{Height: 10}, Proven: block.Ref{Height: 10}, Endpoints: endpoints}}
	src := follow.State{Head: block.Ref{Height: 10}, NewsAt: now, AdvancedAt: now}
	v := view{Status: &s, sync: new(syncer.Status), src: src, up: &upstream{unit: "L1"}, blockTime: time.Second, seen: new(seen), now: now}
	got := judge(v.rows(), nil, now)
	return got.ready, got.waiting
}

// BehindFor returns why a node is not ready that is so far behind, and has not moved for so long.
func BehindFor(lag uint64, ago time.Duration) string {
	now := time.Now()
	s := Status{Source: Source{Position: block.Ref{Height: 10}, Proven: block.Ref{Height: 10}, Lag: lag, CatchUp: &CatchUp{Since: now.Add(-ago)}}}
	src := follow.State{Head: block.Ref{Height: 10 + lag}, NewsAt: now, AdvancedAt: now}
	v := view{Status: &s, sync: new(syncer.Status), src: src, up: &upstream{unit: "DA"}, blockTime: time.Second, seen: &seen{position: mark{10, now.Add(-ago)}}, now: now}
	return judge(v.rows(), nil, now).reason
}

// ReadyPosting reports whether a sequencer is ready that stands so, whose submissions have failed for so long, and
// whose safe head moved last so long ago.
func ReadyPosting(q Sequence, failing, safe time.Duration) (ready bool, since time.Time) {
	now := time.Now()
	s := Status{
		Source: Source{Position: block.Ref{Height: 10}, Proven: block.Ref{Height: 10}}, Heads: Heads{Unsafe: block.Ref{Height: 5 + q.Pending}, Safe: block.Ref{Height: 5}},
		Sequencer: &q,
	}
	sync := &syncer.Status{SafeAt: syncer.Moment{At: now.Add(-safe)}}
	src := follow.State{Head: block.Ref{Height: 10}, NewsAt: now, AdvancedAt: now}
	v := view{Status: &s, sync: sync, src: src, up: &upstream{unit: "DA"}, blockTime: time.Second, seen: new(seen), now: now}
	got := judge(v.rows(), []Waiting{{Stage: follow.StageSubmit, Since: now.Add(-failing)}}, now)
	for _, w := range got.waiting {
		since = w.Since
	}
	return got.ready, since
}

// MissingSince returns since when the next block lacks a part, of a node that was looked at each second: with so many
// headers each time that wait, and this safe head. Zero: it lacks none.
func MissingSince(start time.Time, headers []int, safe []uint64) (since []time.Time) {
	seen := new(seen)
	for i := range headers {
		s := Status{Heads: Heads{Safe: block.Ref{Height: safe[i]}}}
		sync := &syncer.Status{Missing: derive.Waiting{Height: safe[i] + 1, Headers: headers[i]}}
		v := view{Status: &s, sync: sync, seen: seen, now: start.Add(time.Duration(i) * time.Second)}
		var at time.Time
		for _, r := range v.missing(time.Minute) {
			at = r.Since
		}
		since = append(since, at)
	}
	return since
}

// LoopSince returns since when the loop does not get on, of which the section and the follower have these first failures.
func LoopSince(section, follower, now time.Time) time.Time {
	sync := &syncer.Status{Stage: syncer.Stage{Name: follow.StageExecute, Cause: "no"}, StageSince: section}
	v := view{Status: &Status{}, sync: sync, seen: new(seen), src: follow.State{Waiting: follow.Waiting{Stage: follow.StageApply, Since: follower}}, now: now}
	return v.loop(time.Second)[0].Since
}

// OnDemand is the block time of an L1 whose blocks have no rhythm.
const OnDemand = time.Duration(onDemand)

// Since says of what waits since when it does, given what waited before.
func Since(now, before []Waiting, at time.Time) {
	rows := make([]row, len(now))
	for i := range now {
		rows[i].Waiting = now[i]
	}
	since(rows, before, at)
	for i := range rows {
		now[i] = rows[i].Waiting
	}
}

// FlightTime is how long what was submitted may still be included.
func FlightTime(given, blockTime time.Duration) time.Duration { return flightTime(given, blockTime) }

// AfterFlight waits for so long, and then for the source's head.
func AfterFlight[T any](ctx context.Context, source *follow.Follower[T], flight func() time.Duration) (uint64, error) {
	return afterFlight(ctx, source, flight)
}

// ServeOffers serves the endpoints of a node that has these offers alone, with room for so many bytes of bodies, until
// ctx ends.
func ServeOffers(ctx context.Context, l net.Listener, offers *syncer.Offers, bodies int64) error {
	n := newNode(Options{})
	n.http = httpd.New(l, httpd.Options{Limits: httpd.Limits{Bodies: bodies}})
	n.at.Store(&opened{up: &upstream{offers: offers}})
	return n.serve(ctx)
}

// Offered returns o with a function that is called between a transaction's acceptance and the wait for it.
func (o Options) Offered(f func()) Options { o.offered = f; return o }

// HoldTx returns o with how long a transaction is held before the sequencer has begun.
func (o Options) HoldTx(most time.Duration) Options { o.holdTx = most; return o }

// Sending is one transaction on its way to an engine, of a test that makes the chain itself.
type Sending struct {
	n *Node
	o *opened
	s *submission
	w *waiter
}

// Begin notes that a transaction is about to be offered.
func (n *Node) Begin(hash block.Hash, waits bool) (*Sending, error) {
	o := n.at.Load()
	s, err := n.sent.begin(o, hash, waits)
	return &Sending{n: n, o: o, s: s}, err
}

// Refused notes that the engine has not taken it.
func (s *Sending) Refused() { s.n.sent.refused(s.s) }

// Accepted notes that it has, and that somebody waits for that head; nil: nobody does.
func (s *Sending) Accepted(head *await.Label) {
	if head != nil {
		s.w = &waiter{head: *head, done: make(chan Tx, 1), failed: make(chan error, 1)}
	}
	s.n.sent.accepted(s.o, s.s, s.w)
}

// Told returns where the transaction is, if whoever waits was told.
func (s *Sending) Told() (tx Tx, ok bool) {
	select {
	case tx = <-s.w.done:
		return tx, true
	default:
		return tx, false
	}
}

// Leave ends the wait, and returns where the transaction is so far.
func (s *Sending) Leave() *Tx { at, _ := s.n.sent.leave(s.o, s.s); return at }

// Skipped ends the wait, and returns the last block in which the engine has skipped the transaction.
func (s *Sending) Skipped() block.Ref { _, at := s.n.sent.leave(s.o, s.s); return at }

// Look looks at the blocks up to the unsafe head, as a node does when there is news.
func (n *Node) Look() error {
	n.sent.mu.Lock()
	defer n.sent.mu.Unlock()
	if n.sent.all.Len() == 0 {
		return nil
	}
	return n.sent.catchUp(n.at.Load())
}

// Remembered returns how many submissions and places are remembered, and how many wait.
func (n *Node) Remembered() (submissions, places, waits int) {
	n.sent.mu.Lock()
	defer n.sent.mu.Unlock()
	for _, q := range n.sent.of {
		places += len(q.places)
	}
	return n.sent.all.Len(), places, len(n.sent.waits)
}

// MaxSent bounds the submissions that are remembered.
const MaxSent = maxSent

// With gives a node of Stored an engine.
func (n *Node) With(e exec.Engine) {
	o := n.at.Load()
	o.engine = e
	_ = o.openIndex()
}

// Mirror is the node at url as a replica of a chain with this proposer has it as its source.
func Mirror(url, chainID string, proposer []byte) follow.Source[*syncer.Replicated] {
	authority := derive.NewAuthority(chainID, proposer)
	access, err := (Address{URL: url}).Open()
	if err != nil {
		panic(err)
	}
	return &mirror{
		url: url, name: url, chainID: chainID, access: access, client: httpc.New(httpc.Options{Access: access}), health: follow.NewHealth(url, "node", nil),
		check: func(header, data []byte) (follow.Item[*syncer.Replicated], error) {
			return syncer.CheckReplicated(authority, header, data)
		},
		before: func(next *follow.Item[*syncer.Replicated], header, data []byte) (follow.Item[*syncer.Replicated], error) {
			return syncer.CheckBefore(authority, next, header, data)
		},
		placed: func(block.Ref, uint64, uint64) error { return nil }, all: new(mirrors),
	}
}

// CloseIdle closes the idle connections of a Mirror.
func CloseIdle(s follow.Source[*syncer.Replicated]) { s.(*mirror).client.CloseIdleConnections() }

// FullProposal returns the bytes of a proposal that waits for no more blocks, by these settings.
func FullProposal(c L1Config) (int, error) {
	client, err := ethereum.New(ethereum.Options{HTTP: c.HTTP, Beacon: c.Beacon, ChainID: 1, Inbox: l1.Address{1}})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	var cfg sequencer.Config
	if _, err := postToL1(&cfg, &c, client); err != nil {
		return 0, err
	}
	return min(cfg.Full, cfg.Proposer.Limit()), nil
}
