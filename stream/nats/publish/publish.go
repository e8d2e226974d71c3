// Package publish publishes a node's blocks as a stream of NATS JetStream, of which package headrace/stream/nats says what
// is in it.
//
// A publisher has no position of its own, and any number of them may publish one chain at once, without an election: each
// reads the last message of the stream, finds its block in its own store, and goes on behind it. What it sends names the
// last sequence that it expects, so of two who send at once one is refused, and reads again. What a call that failed came
// to is not guessed: the last message is read again. So a stream that was cut back, restored, purged, or deleted and made
// anew is filled again by the same rule. A purged stream keeps its last sequence, so a message also names one before it
// that has to be there still. What is on its way into a stream on several servers while that is purged may stay in it: they
// agree on the place of a message after they have looked at what it names.
//
// A reorg is published only by who has another chain than the stream *and* stands further on the canonical source than the
// stream's last message says its publisher did. Else a publisher waits, so that two nodes on two forks of an L1 do not
// revert each other for ever. A block that was final for who published it and is another one, final, here is no reorg: two
// nodes disagree about what is final. The publisher stops then, for good, and says so; the node goes on.
//
// Memory is bounded, whether or not the server answers: a window of messages, and one block.
package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/internal/edge"
	"headrace/node"
	"headrace/stream/nats"
	"headrace/watch"
)

// chain is a node, as a publisher uses it. Its methods are safe for concurrent use.
type chain interface {
	Blocks(head await.Label) follow.Source[node.Delivered]
	Status() *watch.Value[node.Status]
	Oldest() uint64
	Refresh()
}

// Options say what is published, and where. Genesis and Servers are needed.
type Options struct {
	Genesis  *block.Genesis
	Servers  Servers
	Head     await.Label  // Safe or Finalized: up to which head blocks are published
	From     uint64       // the first block of a stream that is empty; 0: the oldest that the node has
	Replicas int          // of a stream that is made here; default 1
	Logger   *slog.Logger // default: silent

	// Attempt is after how long without an answer a question is asked once more, while the answer still counts; the third one
	// counts as lost after as long. A message counts as lost after twice that, a batch of them after five times: default 2 s.
	// Probe is how often an idle stream is looked at, in case it was changed by others: default 3 s.
	Attempt, Probe time.Duration

	sent   func(m *nats.Message) // called before each message is sent; nil: nothing is
	looked func()                // called after each look at the stream; likewise
	noIDs  bool                  // the server is given nothing to know messages by
}

// Publisher publishes one node's blocks: it is a node.Outlet. Make it with New, run it once.
type Publisher struct {
	opt  Options
	log  *slog.Logger
	said edge.Log
	name string // of the chain, in subjects

	state *watch.Value[node.Stream]

	// Owned by Run:
	reached bool // there was a connection

	mu      sync.Mutex  // guards the rest
	shown   node.Stream // as it was when the node was last asked to show it
	shownAt time.Time
	refresh func()
}

// New returns a publisher. Nothing is dialled yet. The error says what is wrong with the options.
func New(opt Options) (*Publisher, error) {
	if opt.Head != await.Safe && opt.Head != await.Finalized {
		return nil, fmt.Errorf("a stream has blocks up to the safe or the finalized head, not up to the %s one", opt.Head)
	}
	if err := opt.Servers.check(); err != nil {
		return nil, err
	}
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	opt.Attempt = cmp.Or(opt.Attempt, 2*time.Second)
	opt.Probe = cmp.Or(opt.Probe, 3*time.Second)
	opt.Replicas = cmp.Or(opt.Replicas, 1)
	p := &Publisher{opt: opt, log: opt.Logger, name: nats.Chain(opt.Genesis.Hash()), refresh: func() {}}
	p.state = watch.New(node.Stream{
		Name: nats.StreamName(p.name), Server: opt.Servers.String(), Head: opt.Head.String(), State: node.StreamConnecting,
		Cause: "the server has not been reached yet", Since: time.Now(),
	})
	return p, nil
}

// Streaming implements node.Outlet.
func (p *Publisher) Streaming() node.Stream { return p.state.Load() }

// showEvery is how often a status is made only because the stream has got on, in a catch-up.
const showEvery = 500 * time.Millisecond

// note changes where the stream stands, and what is counted.
func (p *Publisher) note(f func(s *node.Stream)) {
	var now node.Stream
	p.state.Update(func(s node.Stream) node.Stream {
		f(&s)
		now = s
		return s
	})
	p.show(func() bool { return now.At != p.shown.At && time.Since(p.shownAt) >= showEvery })
}

// is says what the publisher does, and why it does nothing else. A status that would say otherwise is made anew.
func (p *Publisher) is(state node.StreamState, cause string) {
	var now node.Stream
	p.state.Update(func(s node.Stream) node.Stream {
		if s.State != state {
			s.Since = time.Now()
		}
		s.State, s.Cause = state, cause
		now = s
		return s
	})
	p.show(func() bool { return now.State != p.shown.State || now.Cause != p.shown.Cause || now.At != p.shown.At })
}

// show has the node's status made anew if it is time.
func (p *Publisher) show(due func() bool) {
	p.mu.Lock()
	yes := due()
	if yes {
		p.shown, p.shownAt = p.state.Load(), time.Now()
	}
	refresh := p.refresh
	p.mu.Unlock()
	if yes {
		refresh()
	}
}

// Run implements node.Outlet: it publishes until ctx ends. Nothing else ends it: a server that is away, or a stream that
// may not be written, is said and tried again.
func (p *Publisher) Run(ctx context.Context, n *node.Node) error { return p.run(ctx, n) }

func (p *Publisher) run(ctx context.Context, of chain) error {
	p.mu.Lock()
	p.refresh = of.Refresh
	p.mu.Unlock()
	backoff := follow.Backoff{Max: 2 * time.Second}
	var l *line
	defer func() {
		if l != nil {
			l.conn.Close()
		}
	}()
	for {
		var err error
		if l == nil || l.conn.IsClosed() {
			l, err = p.open(ctx)
		}
		if err != nil {
			l = nil
		} else if err = p.connected(ctx, l); err == nil {
			s := &session{p: p, of: of, line: l, window: 1}
			err = s.run(ctx)
			if s.acked > 0 {
				backoff.Reset()
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errDisagree):
			p.log.Error("publishing has stopped", "err", err)
			p.is(node.StreamStopped, edge.Line(err))
			<-ctx.Done() // somebody has to find out which node is right; a restart looks again
			return ctx.Err()
		case l == nil || l.conn.IsClosed():
			p.unreached(err, 1, true)
		case !l.conn.IsConnected(): // for that it is waited
			continue
		default:
			err = p.opt.Servers.hide(l.explain(err))
			p.said.Warn(p.log, "blocks are not published", err)
			p.note(func(s *node.Stream) { s.Counts.Errors++ })
			p.is(node.StreamFailing, edge.Line(err))
		}
		if err := backoff.Sleep(ctx, nil); err != nil {
			return err
		}
	}
}

// errDisagree: what another node published as final is another block, final, here.
var errDisagree = errors.New("two nodes disagree about a final block")

// encode is the body of a block's message.
func encode(d *node.Delivered) ([]byte, error) { return json.Marshal(d.Served()) }
