package ethereum

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"headrace/follow"
	"headrace/l1"
)

// Subscribe is follow.Source's. Updates carry the whole block whenever it can be had: most often the header alone shows that there is nothing in it.
//
// Over WebSocket it ends when the socket does. When there is no WebSocket, it polls over HTTP, and goes over to the WebSocket once that can be had.
func (c *Client) Subscribe(ctx context.Context, update func(follow.Update[l1.Block])) error {
	return c.heads(ctx, func(head *header, fresh bool) {
		if fresh {
			c.announce(ctx, head, update)
		} else if ctx.Err() == nil {
			update(follow.Update[l1.Block]{Head: head.ref()}) // the endpoint lives
		}
	})
}

// headFunc takes a head; fresh is false if it is the one before again.
type headFunc func(head *header, fresh bool)

// heads calls news with the present head and then with each new one, until the source of news or ctx ends.
func (c *Client) heads(ctx context.Context, news headFunc) error {
	if c.opt.WS == "" {
		return c.poll(ctx, news)
	}
	s, err := c.dialNews(ctx)
	if err == nil {
		return c.listen(ctx, s, news)
	}
	if c.opt.HTTP == "" || ctx.Err() != nil || errors.Is(err, l1.ErrWrongChain) {
		return err
	}
	c.opt.Logger.Info("no L1 WebSocket: polling", "err", err)
	c.polling(true)
	s, err = c.pollUntilSocket(ctx, news)
	if err != nil {
		return err
	}
	c.opt.Logger.Info("L1 WebSocket is back")
	c.polling(false)
	return c.listen(ctx, s, news)
}

func (c *Client) polling(on bool) {
	if c.opt.Observer.Polling != nil {
		c.opt.Observer.Polling(on)
	}
}

// newsSocket is a connection with a newHeads subscription that the endpoint has acknowledged.
type newsSocket struct {
	conn  *rpc.Client
	sub   *rpc.ClientSubscription
	heads chan *header // sent to by conn
}

func (c *Client) dialNews(ctx context.Context) (*newsSocket, error) {
	conn, err := c.dial(ctx, c.opt.WS)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opt.CallTimeout)
	defer cancel()
	s := &newsSocket{conn: conn, heads: make(chan *header, 16)}
	if s.sub, err = conn.EthSubscribe(ctx, s.heads, "newHeads"); err != nil {
		conn.Close()
		return nil, fmt.Errorf("subscribe to L1 heads: %w", err)
	}
	return s, nil
}

// latest is the newest head that a socket brought. The reader goroutine always drains into it, so a slow onlooker never fills the client's queue.
type latest struct {
	mu   sync.Mutex
	head *header
	some chan struct{} // holds one token while head is news
}

func (l *latest) set(h *header) {
	l.mu.Lock()
	l.head = h
	l.mu.Unlock()
	select {
	case l.some <- struct{}{}:
	default:
	}
}

func (l *latest) get() *header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// listen passes on a socket's heads until the socket or ctx ends. It closes the socket.
func (c *Client) listen(ctx context.Context, s *newsSocket, news headFunc) error {
	newest := latest{some: make(chan struct{}, 1)}
	ended := make(chan error, 1) // sent to once, by the reader below
	var reader sync.WaitGroup
	reader.Go(func() { ended <- s.drain(&newest) })
	defer reader.Wait()
	defer s.conn.Close() // ends the reader; unsubscribing would wait for the peer

	// The subscription is acknowledged: a look at the head now leaves no gap (P38).
	head, err := s.head(ctx, c.opt.CallTimeout)
	if err != nil {
		return err
	}
	if err := c.checkInbox(ctx, head); err != nil {
		return err
	}
	news(head, true)
	silence := time.NewTimer(c.opt.Silence) // a watchdog: a socket may be dead, or its subscription, and not say so
	defer silence.Stop()
	for {
		select {
		case <-newest.some:
			before := head.hash
			head = newest.get()
			news(head, head.hash != before)
		case err := <-ended:
			return err
		case <-silence.C:
			now, err := s.head(ctx, c.opt.CallTimeout)
			if err != nil {
				return err
			}
			if now.hash != head.hash && len(newest.some) == 0 {
				if c.opt.Observer.Silent != nil {
					c.opt.Observer.Silent()
				}
				return fmt.Errorf("L1 head moved from %d to %d, but the subscription did not tell", head.number(), now.number())
			}
			news(now, now.hash != head.hash)
			head = now
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		silence.Reset(c.opt.Silence)
	}
}

// drain keeps the newest head until the subscription ends, and returns why it did.
func (s *newsSocket) drain(newest *latest) error {
	for {
		select {
		case h := <-s.heads:
			newest.set(h)
		case err := <-s.sub.Err():
			if err == nil {
				err = errors.New("closed")
			}
			return fmt.Errorf("L1 subscription ended: %w", err)
		}
	}
}

// head asks the socket's own peer for its head.
func (s *newsSocket) head(ctx context.Context, timeout time.Duration) (*header, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var h *header
	err := s.conn.CallContext(limited, &h, "eth_getBlockByNumber", "latest", false)
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

// announce passes on a head, with its block if that can be had in time.
func (c *Client) announce(ctx context.Context, head *header, update func(follow.Update[l1.Block])) {
	u := follow.Update[l1.Block]{Head: head.ref()}
	limited, cancel := context.WithTimeout(ctx, c.opt.CallTimeout)
	defer cancel()
	item, err := c.item(limited, head)
	if err == nil {
		u.Item = &item
	} else {
		c.opt.Logger.Debug("L1 head without its content", "height", head.number(), "err", err) // it will be fetched
	}
	if ctx.Err() == nil {
		update(u)
	}
}

// poll looks at the head every Options.Poll until an error or ctx's end.
func (c *Client) poll(ctx context.Context, news headFunc) error {
	tick := time.NewTicker(c.opt.Poll) // the endpoint has no news to give
	defer tick.Stop()
	var last *header
	for {
		head, err := c.header(ctx, "latest")
		if err != nil {
			return err
		}
		if head == nil {
			return fmt.Errorf("L1 head: %w", l1.ErrNotFound)
		}
		if last == nil {
			if err := c.checkInbox(ctx, head); err != nil {
				return err
			}
		}
		news(head, last == nil || last.hash != head.hash)
		last = head
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pollUntilSocket polls until the WebSocket can be had again, and returns that, or why polling ended.
func (c *Client) pollUntilSocket(ctx context.Context, news headFunc) (*newsSocket, error) {
	pollCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var got *newsSocket // by the goroutine below, read after it has ended
	var redial sync.WaitGroup
	redial.Go(func() {
		retry := time.NewTicker(c.opt.Redial) // a probe of something outside
		defer retry.Stop()
		for {
			select {
			case <-retry.C:
			case <-pollCtx.Done():
				return
			}
			if s, err := c.dialNews(pollCtx); err == nil {
				got = s
				cancel()
				return
			}
		}
	})
	err := c.poll(pollCtx, news)
	cancel()
	redial.Wait()
	switch {
	case got == nil:
		return nil, err
	case ctx.Err() != nil:
		got.conn.Close()
		return nil, context.Cause(ctx)
	}
	return got, nil
}
