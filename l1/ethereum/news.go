package ethereum

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/follow"
	"headrace/l1"
	"headrace/watch"
)

// Subscribe is follow.Source's. Updates carry the whole block whenever it can be had: most often the header alone
// shows that there is nothing in it. News comes over the WebSockets or, while none of them works, by polling over
// HTTP. It ends when all that bring news have failed.
func (c *Client) Subscribe(ctx context.Context, update func(follow.Update[l1.Block])) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	for _, e := range c.readers {
		if !e.socket {
			work.Go(func() { e.look(ctx) })
		}
	}
	return c.news.Subscribe(ctx, update)
}

// headFunc takes a head, and how it came; fresh is false if it is the one before again.
type headFunc func(head *header, mode string, fresh bool)

// The ways that heads come.
const (
	bySocket  = "websocket"
	byPolling = "polling"
)

// heads passes heads to news: over a WebSocket from a subscription. Where there is none to be had, they are polled for
// over the same socket, and now and then a subscription is tried again.
func (e *endpoint) heads(ctx context.Context, news headFunc) error {
	if !e.socket {
		return e.poll(ctx, news, nil)
	}
	for pause := e.client.opt.Redial; ; pause = min(2*pause, mostPolling) {
		err := e.listen(ctx, news)
		if !errors.Is(err, errNoNews) {
			return err
		}
		e.client.opt.Logger.Debug("L1 endpoint has no subscriptions: poll over its WebSocket", "endpoint", e.name, "err", err)
		again := time.NewTimer(pause) // a probe of something outside
		err = e.poll(ctx, news, again.C)
		again.Stop()
		if err != nil {
			return err
		}
	}
}

// errNoNews: the endpoint answers, and makes no subscription.
var errNoNews = errors.New("the endpoint has no eth_subscribe")

// mostPolling bounds the time between attempts to subscribe where it was refused.
const mostPolling = 10 * time.Minute

// Subscribe implements follow.Source.
func (e *endpoint) Subscribe(ctx context.Context, update func(follow.Update[l1.Block])) error {
	err := e.heads(ctx, func(head *header, mode string, fresh bool) {
		e.health.Heard(head.number(), mode)
		e.client.heads.Set(head.number())
		u := follow.Update[l1.Block]{Head: head.ref()}
		if fresh {
			item, err := e.announced(ctx, head)
			if err == nil {
				u.Item = &item
			} else {
				e.client.opt.Logger.Debug("L1 head without its content", "height", head.number(), "err", err) // it will be fetched
			}
		}
		if ctx.Err() == nil {
			update(u) // of the same head again: the endpoint lives
		}
	})
	err = e.access.Error(err)
	e.health.Silent(err)
	var known *callError
	if ctx.Err() != nil || errors.As(err, &known) {
		return err
	}
	e.health.Bad(err)
	return fmt.Errorf("%s: %w", e.name, err)
}

// newsSocket is a connection with a newHeads subscription that the endpoint has acknowledged.
type newsSocket struct {
	conn  *link
	sub   *rpc.ClientSubscription
	heads chan *pushed // sent to by conn
}

func (e *endpoint) dialNews(ctx context.Context) (*newsSocket, error) {
	conn, err := e.dial(ctx, func(int) {})
	if err != nil {
		return nil, err
	}
	s := &newsSocket{conn: conn, heads: make(chan *pushed, 16)}
	err = e.timed(ctx, conn, "eth_subscribe", 1, func(ctx context.Context) (err error) {
		s.sub, err = conn.EthSubscribe(ctx, s.heads, "newHeads")
		return err
	})
	if err != nil {
		conn.Close()
		if answeredByRPC(err) {
			err = fmt.Errorf("%w: %w", errNoNews, err)
		}
		return nil, fmt.Errorf("subscribe to L1 heads: %w", err)
	}
	return s, nil
}

// listen subscribes to new heads over a WebSocket and passes them to news, until the connection or ctx ends.
func (e *endpoint) listen(ctx context.Context, news headFunc) error {
	opt := &e.client.opt
	s, err := e.dialNews(ctx)
	if err != nil {
		return err
	}
	var newest watch.Value[*pushed] // set by the reader, which always reads: a slow onlooker never fills the client's queue
	ended := make(chan error, 1)    // sent to once, by the reader
	var reader sync.WaitGroup
	reader.Go(func() { ended <- s.drain(&newest) })
	defer reader.Wait()
	defer s.conn.Close() // ends the reader; unsubscribing would wait for the peer

	// The subscription is acknowledged: a look at the head now leaves no gap (P38).
	head, err := e.headOf(ctx, s)
	if err != nil {
		return err
	}
	if err := e.client.checkInbox(ctx, head); err != nil {
		return err
	}
	news(head, bySocket, true)
	silence := time.NewTimer(e.health.Patience(opt.Silence)) // a watchdog: a socket may be dead, or its subscription, and not say so
	defer silence.Stop()
	var heard *pushed // of the subscription, last
	for {
		var now *header
		latest, changed := newest.Get()
		if latest == heard {
			select {
			case <-changed:
				continue
			case err := <-ended:
				return err
			case <-silence.C:
				if now, err = e.headOf(ctx, s); err != nil {
					return err
				}
				if now.hash != head.hash && newest.Load() == heard {
					return fmt.Errorf("L1 head moved from %d to %d, but the subscription did not announce it", head.number(), now.number())
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		} else {
			heard = latest
			if now, err = e.pushedHeader(ctx, s, latest); err != nil {
				return err
			}
		}
		news(now, bySocket, now.hash != head.hash)
		head = now
		silence.Reset(e.health.Patience(opt.Silence))
	}
}

// drain keeps the newest head until the subscription ends, and returns why it did.
func (s *newsSocket) drain(newest *watch.Value[*pushed]) error {
	for {
		select {
		case h := <-s.heads:
			newest.Set(h)
		case err := <-s.sub.Err():
			if err == nil {
				err = errors.New("closed")
			}
			return fmt.Errorf("L1 subscription ended: %w", err)
		}
	}
}

// pushed is a head that was announced. It is a hint (I8): one that is whole needs no further call, and of another only
// the hash is needed, if it has one.
type pushed struct {
	header *header // nil: something is missing in it
	hash   common.Hash
}

// UnmarshalJSON returns no error: that would end the subscription.
func (p *pushed) UnmarshalJSON(b []byte) error {
	h := new(header)
	if json.Unmarshal(b, h) == nil {
		p.header = h
	}
	var claim struct {
		Hash common.Hash `json:"hash"`
	}
	if json.Unmarshal(b, &claim) == nil {
		p.hash = claim.Hash
	}
	return nil
}

// pushedHeader returns the header of an announced head, and reads it if it was not whole.
func (e *endpoint) pushedHeader(ctx context.Context, s *newsSocket, p *pushed) (*header, error) {
	if p.header != nil {
		return p.header, nil
	}
	if p.hash != (common.Hash{}) {
		h, err := e.ask(ctx, s, "eth_getBlockByHash", p.hash)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err == nil && h != nil && h.hash == p.hash:
			return h, nil
		}
	}
	return e.headOf(ctx, s) // a head that is gone already, or not there yet
}

// ask asks for a header on the connection of the news.
func (e *endpoint) ask(ctx context.Context, s *newsSocket, method string, block any) (h *header, err error) {
	err = e.timed(ctx, s.conn, method, 1, func(ctx context.Context) error { return s.conn.CallContext(ctx, &h, method, block, false) })
	return h, err
}

// headOf asks the socket's own peer for its head.
func (e *endpoint) headOf(ctx context.Context, s *newsSocket) (*header, error) {
	h, err := e.ask(ctx, s, "eth_getBlockByNumber", "latest")
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("ask for the L1 head: %w", err)
	case h == nil:
		return nil, fmt.Errorf("L1 head: %w", l1.ErrNotFound)
	}
	return h, nil
}

// poll looks at the head, every Options.Poll or more often, until an error, ctx's end, or done.
func (e *endpoint) poll(ctx context.Context, news headFunc, done <-chan time.Time) error {
	tick := time.NewTimer(0) // the endpoint has no news to give
	defer tick.Stop()
	var last *header
	for {
		head, err := e.head(ctx)
		if err != nil {
			return err
		}
		if last == nil {
			if err := e.client.checkInbox(ctx, head); err != nil {
				return err
			}
		}
		news(head, byPolling, last == nil || last.hash != head.hash)
		last = head
		tick.Reset(e.pollAgain())
		select {
		case <-tick.C:
		case <-done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look asks now and then for the head of an endpoint that brings no news, so that it is known how it does before it
// is needed.
func (e *endpoint) look(ctx context.Context) {
	tick := time.NewTicker(e.client.opt.Redial) // a probe of something outside
	defer tick.Stop()
	for ctx.Err() == nil {
		if !e.health.Status().Live {
			_, _ = e.head(ctx) // its health knows
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// mostInline bounds how long a head is announced after it was heard of: less than the silence after which a follower
// subscribes anew. What takes longer is fetched, which goes on for as long as it comes in.
const mostInline = 20 * time.Second

// inlineCache is the content of the head that was announced last, since each endpoint announces it.
type inlineCache struct {
	mu   sync.Mutex // held while it is read: whoever announces the same head waits for it
	item follow.Item[l1.Block]
}

// announced reads the block of a head that the endpoint has announced: there, where it is, and from the others only
// if that fails. One that is best for reading may have fallen silent since, which is no reason for news to wait.
func (e *endpoint) announced(ctx context.Context, head *header) (follow.Item[l1.Block], error) {
	c := e.client
	if !c.mayHold(head) {
		return e.item(ctx, head) // which has to ask nobody
	}
	c.inline.mu.Lock()
	defer c.inline.mu.Unlock()
	if c.inline.item.Hash == follow.Hash(head.hash) {
		return c.inline.item, nil
	}
	ctx, cancel := context.WithTimeout(ctx, min(2*c.opt.CallTimeout, mostInline)) // one endpoint may be silent
	defer cancel()
	item, err := e.item(ctx, head)
	if err != nil {
		item, err = ask(ctx, c, func(e *endpoint) (follow.Item[l1.Block], error) { return e.item(ctx, head) })
	}
	if err == nil {
		c.inline.item = item
	}
	return item, err
}
