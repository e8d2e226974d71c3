package node

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/l1"
	"headrace/watch"
)

// replicaKind is another node of the chain as the source, whatever the chain's canonical source is.
var replicaKind = kind{identity: replicaIdentity, open: openReplica, reader: readReplica}

// IsReplica reports whether the source is another node.
func (c *Config) IsReplica() bool { return len(c.Source.Node) > 0 }

func (o *Options) isReplica() bool { return o.Config.IsReplica() }

// onDA reports whether the source is a DA layer.
func (o *Options) onDA() bool { return o.Genesis.L1 == nil && !o.isReplica() }

// layer is what the chain's canonical source is called.
func (o *Options) layer() string {
	if o.Genesis.L1 != nil {
		return "L1"
	}
	return "DA layer"
}

var errReplicaMakesNone = errors.New("source.node is set, and sequencer.enabled: a replica makes no blocks; leave one of the two out")

// errReplicaPublishesNothing: who publishes says how far on the canonical source he stands, by which publishers agree on
// reorgs, and a replica does not know.
var errReplicaPublishesNothing = errors.New("source.node is set, and stream.url or stream.embedded: only a node that reads the DA layer or the L1 itself publishes a stream; leave one of the two out")

// replicaSource names the source in the identity of a replica's home: any node of the chain is as good as another.
const replicaSource = "node"

func replicaIdentity(opt *Options) (id string, first uint64, err error) {
	return replicaSource, opt.Genesis.InitialHeight, nil
}

// ErrOtherKind is what a refusal matches of a home whose positions are those of another kind of source.
var ErrOtherKind = errors.New("this home is of another kind")

// ofOtherKind says what is wrong if a home is opened that has another kind of source.
func (o *Options) ofOtherKind(err error) error {
	var other *store.OtherSourceError
	if !errors.As(err, &other) {
		return err
	}
	switch replicaSource {
	case other.Has:
		return fmt.Errorf("%w: it is a replica's, whose positions are blocks of the chain, and no heights of the %s: set source.node again, or make a new home with headrace init --genesis (%w)", ErrOtherKind, o.layer(), err)
	case other.Want:
		return fmt.Errorf("%w: its positions are heights of the %s, and those of a replica are blocks of the chain: take source.node out, or make a new home with headrace init --replica (%w)", ErrOtherKind, o.layer(), err)
	}
	return err
}

// mirrors makes clients of the configured nodes. Nothing is dialled yet.
func (o *opened) mirrors() (*mirrors, error) {
	at, err := o.opt.Config.Source.Node.In(o.opt.Home, "source.node")
	if err != nil {
		return nil, err
	}
	all, names := &mirrors{layer: o.opt.layer()}, httpc.Names(at)
	for i := range at {
		access, err := at[i].Open()
		if err != nil {
			return nil, fmt.Errorf("source.node %s: %w", names[i], err)
		}
		m := &mirror{
			url: strings.TrimRight(at[i].URL, "/"), name: names[i], chainID: o.opt.Genesis.ChainID, access: access, all: all,
			client: httpc.New(httpc.Options{Access: access, Parallel: 2}), health: follow.NewHealth(names[i], "node", &o.opt.Observer.Source),
		}
		o.own(closer(m.client.CloseIdleConnections))
		all.each = append(all.each, m)
	}
	return all, nil
}

func openReplica(o *opened, cfg syncer.Config, opt follow.Options) (*upstream, error) {
	nodes, err := o.mirrors()
	if err != nil {
		return nil, err
	}
	sink, err := syncer.OpenReplica(cfg)
	if err != nil {
		return nil, err
	}
	var sources []follow.Source[*syncer.Replicated]
	for _, m := range nodes.each {
		m.check, m.placed = sink.Check, sink.Placed
		if o.opt.Genesis.L1 != nil {
			m.before = sink.Before
		}
		sources = append(sources, m)
	}
	opt.Logger, opt.Stall = of(o.log, "follow").With("source", "node"), o.opt.Bounds.Stall
	best := follow.Best(sources...)
	follower := follow.New[*syncer.Replicated](best, sink, opt)
	o.log.Info("following other nodes", "height", o.store.State().Safe.Height+1, "believed", nodes.believed())
	return &upstream{
		layer: "source node", unit: "safe", syncer: sink.Syncer, offers: sink.Offers, follower: follower, nodes: nodes,
		blockTime: nodes.blockTime, unknown: 12 * time.Second, slots: true,
		beside: []func(context.Context) error{func(ctx context.Context) error { return nodes.followFinality(ctx, follower.State(), sink) }},
		status: func(s *Status, _ *syncer.Status) {
			s.Source.Endpoints, s.Source.Believed = endpoints(best.Status()), nodes.believed()
			s.Source.HeardBy, s.Source.HeardAt = nodes.heard.last()
		},
		fetches: nodes.fetched,
	}, nil
}

// readReplica reads a block from any of the nodes.
func readReplica(o *opened) (posted, error) {
	nodes, err := o.mirrors()
	return func(ctx context.Context, of store.Origin) (found halves, err error) {
		for _, m := range nodes.each {
			p, failure := m.page(ctx, of.Source.Height, of.Source.Height+1)
			err = errors.Join(err, failure)
			for _, b := range p.Blocks {
				found.bare = append(found.bare, SignedBlock{Header: b.Signed.Header, Data: b.Signed.Data, Bare: true})
			}
		}
		if len(found.bare) > 0 {
			err = nil
		}
		return found, err
	}, err
}

// mirrors are the nodes that a replica follows.
type mirrors struct {
	layer string // what the chain's canonical source is called
	each  []*mirror
	news  watch.Value[time.Time] // when one of them has said something of itself
	heard heard
}

// heard is what has been heard of the canonical source, by way of other nodes. Each sign of life of it is told with who
// has heard it there, and when, by that one's clock, and is passed on as it was told. It counts here when it comes
// first: so a sign that goes round among replicas which follow each other counts once at each, and then no more.
type heard struct {
	mu     sync.Mutex // guards the rest
	by     map[string]sign
	latest string // of by
}

// sign is the last sign of life that somebody has heard.
type sign struct {
	at   time.Time // by his clock
	seen time.Time // when it came first, by this one
}

// maxHeard bounds those of whom that is remembered; beyond it the one that was heard of longest ago is forgotten.
const maxHeard = 256

// note notes a sign.
func (h *heard) note(by string, at, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at.IsZero() || !at.After(h.by[by].at) {
		return
	}
	if h.by == nil {
		h.by = map[string]sign{}
	}
	h.by[by] = sign{at, now}
	h.latest = by
	if len(h.by) <= maxHeard {
		return
	}
	oldest := by
	for other, s := range h.by {
		if s.seen.Before(h.by[oldest].seen) {
			oldest = other
		}
	}
	delete(h.by, oldest)
}

// last returns the sign that came last, as it was told.
func (h *heard) last() (by string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latest, h.by[h.latest].at
}

// since returns when that came.
func (h *heard) since() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.by[h.latest].seen
}

// mirror is one of them. Its blocks are looked at before they are passed on, so that one who lies is found out here, and
// another one asked. All methods are safe for concurrent use.
type mirror struct {
	url, name string
	chainID   string
	client    *http.Client
	access    *httpc.Access
	health    *follow.Health
	check     func(header, data []byte) (follow.Item[*syncer.Replicated], error)
	before    func(next *follow.Item[*syncer.Replicated], header, data []byte) (follow.Item[*syncer.Replicated], error) // nil: each block has a signature
	placed    func(at block.Ref, headerAt, dataAt uint64) error
	all       *mirrors

	mu    sync.Mutex // guards the rest
	is    told
	pages uint64
	whole bool // it does not know how to leave transactions out of a page
}

// told is what a node has said of itself.
type told struct {
	at        time.Time // when anything came from it; zero: nothing yet
	ready     bool
	reason    string
	safe      block.Ref
	finalized block.Ref
	heardBy   string // see heard
	heardAt   time.Time
	blockTime time.Duration // of that: 0: not known; onDemand
}

func (m *mirror) told() told {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.is
}

// Health implements follow.Monitored.
func (m *mirror) Health() *follow.Health { return m.health }

// believed says what is taken on the word of these nodes.
func (n *mirrors) believed() string {
	names := make([]string, len(n.each))
	for i, m := range n.each {
		names[i] = m.name
	}
	return fmt.Sprintf("which blocks are safe and final, where they are on the %s, and that it goes on, is what %s says: signatures, links and state roots are verified here", n.layer, strings.Join(names, ", or "))
}

// blockTime returns the canonical source's block time, as the node says that was heard last.
func (n *mirrors) blockTime() time.Duration {
	var last told
	for _, m := range n.each {
		if t := m.told(); t.blockTime != 0 && t.at.After(last.at) {
			last = t
		}
	}
	return last.blockTime
}

// fetched returns how many pages of blocks were asked for.
func (n *mirrors) fetched() (sum uint64) {
	for _, m := range n.each {
		m.mu.Lock()
		sum += m.pages
		m.mu.Unlock()
	}
	return sum
}

// unready says why no node is ready that has said anything within bound; "" if one is, or none has.
func (n *mirrors) unready(now time.Time, bound time.Duration) (cause string, height uint64) {
	for _, m := range n.each {
		t := m.told()
		switch {
		case t.at.IsZero() || now.Sub(t.at) > bound:
		case t.ready:
			return "", 0
		case cause == "":
			cause, height = fmt.Sprintf("%s is not ready: %s", m.name, t.reason), t.safe.Height
		}
	}
	return cause, height
}

// followFinality notes what the nodes call final, which on a DA layer is what is safe.
func (n *mirrors) followFinality(ctx context.Context, state *watch.Value[follow.State], sink *syncer.ReplicaSink) error {
	for {
		_, said := n.news.Get()
		_, got := state.Get()
		for _, m := range n.each {
			if err := sink.Finalize(ctx, m.told().finalized); err != nil {
				return err
			}
		}
		select {
		case <-said:
		case <-got:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := state.Err(); err != nil {
			return err
		}
	}
}

// The bounds of what a node may answer.
const (
	maxStatus = 1 << 20          // bytes of a status
	pageQuiet = 10 * time.Second // without a byte of an answer
	maxReason = 512              // bytes of why it is not ready that are repeated
	maxName   = 64               // bytes of who has heard of the canonical source
)

// Subscribe implements follow.Source: it follows the node's stream of safe blocks and of its status. A head is
// announced when its block has come and is the proposer's, and again with each status, or other sign of life.
func (m *mirror) Subscribe(parent context.Context, update func(follow.Update[*syncer.Replicated])) (err error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	dog := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing came from it for %s", silence)) }) // a watchdog
	defer dog.Stop()
	defer func() {
		if cause := context.Cause(ctx); cause != nil && parent.Err() == nil {
			err = cause
		}
		if err = m.access.Error(err); parent.Err() == nil {
			m.health.Bad(err)
		}
		m.health.Silent(err)
	}()
	resp, err := m.get(ctx, "/v1/events?events=block,status&head=safe&signed=true", "text/event-stream")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	m.health.Good()
	e := events{r: bufio.NewReaderSize(resp.Body, 64<<10), states: true, alive: func(more int) { dog.Reset(silence + time.Duration(more/minRate)*time.Second) }}
	var head, bare block.Ref // bare: of the last block without a signature
	known := false
	for {
		if _, err := e.next(func(block.Ref) error { return nil }); err != nil {
			return err
		}
		switch e.kind {
		case "end":
			return fmt.Errorf("it has ended the stream: %.200q", bytes.TrimSpace(e.data))
		case "block":
			var of mirrored
			if err := json.Unmarshal(e.data, &of); err != nil {
				return fmt.Errorf("an event cannot be read: %w", err)
			}
			if of.unsigned() && m.before != nil { // one that follows shows whose it is: with that it is fetched
				if bare, err = m.bare(&of); err != nil {
					return err
				}
				continue
			}
			item, err := m.item(&of)
			if err != nil {
				return err
			}
			head, known = item.Ref(), true
			m.heard(head)
			if err := m.placed(head, of.HeaderDAHeight, of.DataDAHeight); err != nil {
				return err
			}
			update(follow.Update[*syncer.Replicated]{Head: head, Item: &item})
		case "status":
			t, err := m.read(e.data)
			if err != nil {
				return err
			}
			if t.safe != head && t.safe != bare || !known {
				at, err := m.headAt(ctx, t.safe)
				switch {
				case errors.Is(err, errBareEnd): // one that follows will show whose it is
				case err != nil:
					return err
				default:
					head, known = at, true
				}
			}
			m.tell(t) // of who names what is no block of the chain nothing is believed
			if known {
				m.heard(head)
				update(follow.Update[*syncer.Replicated]{Head: head})
			}
		case "":
			if known {
				m.heard(head)
				update(follow.Update[*syncer.Replicated]{Head: head})
			}
		}
	}
}

// heard notes a sign of life.
func (m *mirror) heard(head block.Ref) {
	m.health.Heard(head.Height, "stream")
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.is.at.IsZero() {
		m.is.at = time.Now()
	}
}

// headAt returns what is at the height of a head of which no block has come: if the proposer has signed none there, the
// node may call it a head, and it is none.
func (m *mirror) headAt(ctx context.Context, head block.Ref) (block.Ref, error) {
	if head.Hash.IsZero() {
		return head, nil
	}
	at := head.Height
	err := m.Fetch(ctx, at, at+1, func(item follow.Item[*syncer.Replicated]) error {
		head = item.Ref() // it may be another one meanwhile
		return nil
	})
	if errors.Is(err, follow.ErrNotYet) && !errors.Is(err, errBareEnd) {
		err = fmt.Errorf("it names block %d as its safe head, and has no such block", at)
	}
	return head, err
}

// said is a status, as far as it is believed.
type said struct {
	ChainID string `json:"chain_id"`
	Ready   bool   `json:"ready"`
	Reason  string `json:"reason"`
	Heads   Heads  `json:"heads"`
	Source  struct {
		BlockTime string    `json:"block_time"`
		HeardBy   string    `json:"heard_by"`
		HeardAt   time.Time `json:"heard_at"`
	} `json:"source"`
}

// read reads a status.
func (m *mirror) read(text []byte) (t told, err error) {
	if len(text) > maxStatus {
		return t, fmt.Errorf("its status has more than %d bytes", maxStatus)
	}
	var s said
	if err := json.Unmarshal(text, &s); err != nil {
		return t, fmt.Errorf("its status cannot be read: %w", err)
	}
	if s.ChainID != m.chainID {
		return t, fmt.Errorf("it is a node of the chain %.64q, and this one of %q", s.ChainID, m.chainID)
	}
	t = told{
		at: time.Now(), ready: s.Ready, reason: m.access.Text(s.Reason[:min(len(s.Reason), maxReason)]), safe: s.Heads.Safe, finalized: s.Heads.Finalized,
	}
	if len(s.Source.HeardBy) <= maxName {
		t.heardBy, t.heardAt = s.Source.HeardBy, s.Source.HeardAt
	}
	switch s.Source.BlockTime {
	case "":
	case "on-demand":
		t.blockTime = onDemand
	default:
		d, err := time.ParseDuration(s.Source.BlockTime)
		if err != nil || d < 0 {
			return t, fmt.Errorf("its status has the block time %.64q, which is no duration", s.Source.BlockTime)
		}
		t.blockTime = min(d, time.Hour)
	}
	return t, nil
}

// tell notes what the node says of itself.
func (m *mirror) tell(t told) {
	m.mu.Lock()
	t.blockTime = cmp.Or(t.blockTime, m.is.blockTime)
	m.is = t
	m.mu.Unlock()
	m.all.heard.note(t.heardBy, t.heardAt, t.at)
	m.all.news.Set(t.at)
}

// bare returns which block one without a signature is, and notes where it is, if it is one that is safe here.
func (m *mirror) bare(of *mirrored) (at block.Ref, err error) {
	h, err := block.DecodeSignedHeader(of.Signed.Header)
	if err != nil {
		return at, fmt.Errorf("it sends a block that is not the chain's: %w: %w", ErrGarbled, err)
	}
	at = block.Ref{Height: h.Header.Height, Hash: h.Header.Hash()}
	return at, m.placed(at, of.HeaderDAHeight, of.DataDAHeight)
}

// errBareEnd: after blocks without a signature of their own there is none that has one, yet.
var errBareEnd = errors.New("it has no block with a signature after them yet")

// Fetch implements follow.Source. Blocks without a signature of their own are delivered when one has come that has one
// and names them, by way of those in between: it may be beyond what was asked for.
func (m *mirror) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[*syncer.Replicated]) error) error {
	var run bareRun
	fail := func(err error) error {
		m.health.Bad(err)
		return err
	}
	for at := from; at < to || len(run.blocks) > 0; {
		end := to
		if len(run.blocks) > 0 {
			end = max(to, at+pageBlocks)
		}
		p, err := m.page(ctx, at, end)
		if err != nil {
			if ctx.Err() == nil {
				m.health.Bad(err)
			}
			return err
		}
		if len(p.Blocks) == 0 {
			m.health.Good()
			if len(run.blocks) > 0 {
				return fmt.Errorf("%w: blocks %d to %d of it have no signature of their own: %w", follow.ErrNotYet, at-uint64(len(run.blocks)), at-1, errBareEnd)
			}
			return follow.ErrNotYet
		}
		for i := range p.Blocks {
			b := &p.Blocks[i]
			if at >= to && len(run.blocks) == 0 {
				break
			}
			if b.unsigned() && m.before != nil {
				if err := run.add(b); err != nil {
					return fail(err)
				}
				at++
				continue
			}
			item, err := m.item(b)
			if err != nil {
				return fail(err)
			}
			if item.Height != at {
				return fail(fmt.Errorf("it has block %d in the place of %d", item.Height, at))
			}
			items, err := run.end(item, m.before)
			if err != nil {
				return fail(err)
			}
			for _, item := range items {
				if item.Height >= to {
					break
				}
				if err := deliver(item); err != nil {
					return err
				}
			}
			at++
		}
		m.health.Good()
	}
	return nil
}

// bareRun is blocks in order that have no signature of their own: nothing of them is believed before one comes that has
// one, and nothing decoded.
type bareRun struct {
	blocks []mirrored
	bytes  int
}

// maxBare bounds a run, in bytes: twice what the blocks of a proposal of version 2 may take (compact.MaxMemory).
const maxBare = 56 << 20

func (r *bareRun) add(b *mirrored) error {
	r.bytes += len(b.Signed.Header) + len(b.Signed.Data) + 1<<10
	if r.bytes > maxBare || len(r.blocks) >= l1.MaxBlocks {
		return fmt.Errorf("it sends more blocks without a signature of their own than a proposal has: %d blocks, %d bytes", len(r.blocks)+1, r.bytes)
	}
	r.blocks = append(r.blocks, *b)
	return nil
}

// end ends the run with the block after it, which has a signature, and returns all of them as items. The run begins anew.
func (r *bareRun) end(last follow.Item[*syncer.Replicated], before func(*follow.Item[*syncer.Replicated], []byte, []byte) (follow.Item[*syncer.Replicated], error)) (items []follow.Item[*syncer.Replicated], err error) {
	n := len(r.blocks)
	items = make([]follow.Item[*syncer.Replicated], n+1)
	items[n] = last
	for i := n - 1; i >= 0; i-- {
		b := &r.blocks[i]
		if items[i], err = before(&items[i+1], b.Signed.Header, b.Signed.Data); err != nil {
			return nil, fmt.Errorf("it sends a block without a signature before block %d that is not the chain's: %w", last.Height, err)
		}
		items[i].Data.HeaderAt, items[i].Data.DataAt = b.HeaderDAHeight, b.DataDAHeight
	}
	*r = bareRun{}
	return items, nil
}

// errUnsigned: on a DA layer each block has a signature.
var errUnsigned = errors.New("it has a block without a signature of its own")

// item returns a block as an item, if it is the proposer's.
func (m *mirror) item(of *mirrored) (item follow.Item[*syncer.Replicated], err error) {
	if of.unsigned() {
		return item, errUnsigned
	}
	if item, err = m.check(of.Signed.Header, of.Signed.Data); err != nil {
		return item, fmt.Errorf("it sends a block that is not the chain's: %w", err)
	}
	item.Data.HeaderAt, item.Data.DataAt = of.HeaderDAHeight, of.DataDAHeight
	return item, nil
}

// page returns blocks of [from, to), the first ones, as they are safe at the node.
func (m *mirror) page(ctx context.Context, from, to uint64) (p mirroredPage, err error) {
	m.mu.Lock()
	m.pages++
	m.mu.Unlock()
	defer func() { err = m.access.Error(err) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dog := time.AfterFunc(pageQuiet, func() { cancel(fmt.Errorf("it has sent nothing for %s", pageQuiet)) }) // a watchdog
	defer dog.Stop()
	start := time.Now()
	defer func() { m.health.Called("/v1/blocks", 1, start, err) }()
	resp, err := m.getPage(ctx, from, to)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return p, err
	}
	defer resp.Body.Close()
	body := httpc.Counted(resp.Body, func(n int) {
		dog.Reset(pageQuiet)
		follow.Received(ctx, n)
	})
	p, err = readPage(body)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return p, err
}

// getPage asks for blocks without their transactions, which what is signed has too; of a node of an earlier release, which
// does not know that, for all.
func (m *mirror) getPage(ctx context.Context, from, to uint64) (*http.Response, error) {
	path := fmt.Sprintf("/v1/blocks?from=%d&to=%d&head=safe&signed=true", from, to)
	m.mu.Lock()
	whole := m.whole
	m.mu.Unlock()
	if whole {
		return m.get(ctx, path, "application/json")
	}
	resp, err := m.get(ctx, path+"&txs=false", "application/json")
	if !errors.Is(err, errBadRequest) {
		return resp, err
	}
	if resp, err = m.get(ctx, path, "application/json"); err == nil {
		m.mu.Lock()
		m.whole = true
		m.mu.Unlock()
	}
	return resp, err
}

// errBadRequest: the node does not understand what it was asked.
var errBadRequest = errors.New("it does not understand the request")

// get asks for something, and refuses what is not of this kind.
func (m *mirror) get(ctx context.Context, path, kind string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", kind)
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, err
	}
	is := strings.HasPrefix(resp.Header.Get("Content-Type"), kind)
	if resp.StatusCode == http.StatusOK && is {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	switch {
	case resp.StatusCode == http.StatusGone:
		return nil, fmt.Errorf("%w at the node: name one in source.node that keeps all blocks, or begin with a copy of another replica's home: it answers %.300q", ErrPruned, text)
	case resp.StatusCode == http.StatusBadRequest:
		return nil, fmt.Errorf("%w: it answers %s: %.300q", errBadRequest, resp.Status, strings.TrimSpace(string(text)))
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %s: %.300q", resp.Status, strings.TrimSpace(string(text)))
	}
	return nil, fmt.Errorf("it answers with %.60q, and not with %s: it is no node of headrace", resp.Header.Get("Content-Type"), kind)
}

// maxGenesis bounds a genesis that is fetched, in bytes.
const maxGenesis = 1 << 20

// GenesisAt returns the genesis that nodes have, and which of them have it. Nothing proves it: who follows the chain by
// it believes them that this is the chain, and its proposer. All that answer must have the same one.
func GenesisAt(ctx context.Context, nodes Addresses) (g *block.Genesis, have []string, err error) {
	names := httpc.Names(nodes)
	for i := range nodes {
		got, failure := genesisOf(ctx, nodes[i])
		switch {
		case failure != nil:
			err = errors.Join(err, fmt.Errorf("%s: %w", names[i], failure))
		case g != nil && g.Hash() != got.Hash():
			return nil, nil, fmt.Errorf("%s has the genesis %s, and %s has %s: they are of different chains", have[0], g.Hash(), names[i], got.Hash())
		default:
			g, have = got, append(have, names[i])
		}
	}
	if g != nil {
		err = nil
	}
	return g, have, err
}

func genesisOf(ctx context.Context, at httpc.Endpoint) (*block.Genesis, error) {
	access, err := at.Open()
	if err != nil {
		return nil, err
	}
	m := &mirror{url: strings.TrimRight(at.URL, "/"), client: httpc.New(httpc.Options{Access: access, Parallel: 1}), access: access}
	defer m.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	resp, err := m.get(ctx, "/v1/genesis", "application/json")
	if err != nil {
		return nil, access.Error(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxGenesis+1))
	switch {
	case err != nil:
		return nil, access.Error(err)
	case len(text) > maxGenesis:
		return nil, fmt.Errorf("its genesis has more than %d bytes", maxGenesis)
	}
	return block.ParseGenesis(text)
}

func (n *Node) getGenesis(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, n.opt.Genesis.Encode())
}
