package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/internal/edge"
	"headrace/node"
)

// line is a publisher's connection, which comes back by itself, and what is known of it.
type line struct {
	conn *natsgo.Conn
	js   jetstream.JetStream // one for the connection, which keeps what it has begun
	news chan struct{}       // holds one token after the connection came, went, or was tried in vain

	mu      sync.Mutex // guards the rest
	down    error      // why there was none at the last try
	tries   uint64     // in vain
	refused error      // what the server has said last that this user may not do
}

// open returns a connection that may be there or may come, until ctx ends.
func (p *Publisher) open(ctx context.Context) (*line, error) {
	l := &line{news: make(chan struct{}, 1), down: errors.New("no server has answered yet")}
	note := func(f func()) {
		l.mu.Lock()
		f()
		l.mu.Unlock()
		select { // with one token there is news already
		case l.news <- struct{}{}:
		default:
		}
	}
	vain := func(err error) { note(func() { l.down, l.tries = err, l.tries+1 }) }
	conn, err := p.opt.Servers.dial(ctx, func() { note(func() { l.down, l.refused = nil, nil }) },
		natsgo.DisconnectErrHandler(func(_ *natsgo.Conn, err error) {
			if err != nil { // nil: it was closed here
				note(func() { l.down = fmt.Errorf("the connection was lost: %w", err) })
			}
		}),
		natsgo.ReconnectErrHandler(func(_ *natsgo.Conn, err error) { vain(err) }),
		natsgo.ErrorHandler(func(c *natsgo.Conn, _ *natsgo.Subscription, err error) {
			switch {
			case errors.Is(err, natsgo.ErrSlowConsumer): // what is lost is asked for again
			case c.IsConnected():
				l.mu.Lock()
				defer l.mu.Unlock()
				l.refused = err
			default: // the server does not let this user in
				vain(err)
			}
		}))
	if err != nil {
		return nil, err
	}
	l.conn = conn
	if l.js, err = jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(2*maxWindow), jetstream.WithPublishAsyncTimeout(2*p.opt.Attempt)); err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

// why is why there is no connection, after so many tries.
func (l *line) why() (tries uint64, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	why = l.down
	if err := l.conn.LastError(); err != nil && !l.conn.IsConnected() { // of some failures nobody is told
		why = err
	}
	if why == nil {
		why = errDown
	}
	return l.tries, why
}

// explain adds to an error what the server has refused meanwhile: it says so apart from the question, which it does not
// answer then.
func (l *line) explain(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused != nil {
		err = fmt.Errorf("%w: %w", l.refused, err)
	}
	l.refused = nil
	return err
}

// errDown: there is no connection.
var errDown = errors.New("the connection was lost")

// sayEvery is how often the cause of an outage is looked at: where there are several servers it may be another one at each
// try. What lasts less is not logged.
const sayEvery = time.Second

// connected waits for a connection, and says meanwhile why there is none. An error other than that of ctx: it is closed for
// good.
func (p *Publisher) connected(ctx context.Context, l *line) error {
	again := time.NewTicker(sayEvery) // a probe of the client library
	defer again.Stop()
	lasts := false
	seen, _ := l.why()
	for due := 2; !l.conn.IsConnected(); { // at once, after the first news, and then now and then
		tries, why := l.why()
		if l.conn.IsClosed() {
			return why
		}
		if due > 0 {
			due--
			p.unreached(why, tries-seen, lasts)
			seen = tries
		}
		select {
		case <-l.news:
		case <-again.C:
			due, lasts = 1, true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.reached = true
	return ctx.Err()
}

// unreached says why there is no connection, after so many failures.
func (p *Publisher) unreached(err error, failures uint64, log bool) {
	err = p.opt.Servers.hide(err)
	if log {
		p.said.Warn(p.log, "the stream's server is not reached", err)
	}
	state := node.StreamConnecting
	if p.reached {
		state = node.StreamFailing
	}
	p.note(func(s *node.Stream) { s.Counts.Errors += failures })
	p.is(state, edge.Line(err))
}
