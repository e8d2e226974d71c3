package jsonrpc

import (
	"context"
	"sync"
	"time"

	"headrace/internal/httpc"
)

// channel is the queue between the reader, which pushes, and the goroutine in subscribe, which pops.
type channel struct {
	id   uint64        // set before it is registered
	news chan struct{} // buffered: one signal that there is something to look at

	mu     sync.Mutex // guards the rest
	values [][]byte
	bytes  int
	err    error // why it ended
}

func newChannel() *channel { return &channel{news: make(chan struct{}, 1)} }

// push adds a value, and forgets the oldest ones while there are more than limit bytes, but never the newest. It
// returns how many.
func (c *channel) push(value []byte, limit int) (dropped uint64) {
	c.mu.Lock()
	c.values = append(c.values, value)
	c.bytes += len(value)
	for c.bytes > limit && len(c.values) > 1 {
		c.bytes -= len(c.values[0])
		c.values[0] = nil
		c.values = c.values[1:]
		dropped++
	}
	c.mu.Unlock()
	c.signal()
	return dropped
}

func (c *channel) end(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	c.signal()
}

func (c *channel) signal() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// pop returns the oldest value; without one, why the channel has ended, or nil if it has not.
func (c *channel) pop() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.values) == 0 {
		return nil, c.err
	}
	v := c.values[0]
	c.values[0] = nil
	c.values = c.values[1:]
	c.bytes -= len(v)
	return v, nil
}

func (k *conn) unregister(ch *channel) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.channels[ch.id] == ch {
		delete(k.channels, ch.id)
	}
}

func (k *conn) subscribe(ctx context.Context, method string, params Raw, opened func(), handle func([]byte) error) error {
	c := &call{ready: make(chan answer, 1), channel: newChannel()}
	id, err := k.open(ctx, method, params, c)
	if err != nil {
		return err
	}
	defer k.unregister(c.channel)
	if opened != nil {
		opened()
	}
	for {
		if ctx.Err() != nil {
			k.cancel(id)
			return context.Cause(ctx)
		}
		value, err := c.channel.pop()
		if err != nil {
			return err
		}
		if value != nil {
			if err := handle(value); err != nil {
				k.cancel(id)
				return err
			}
			continue
		}
		select {
		case <-c.channel.news:
		case <-ctx.Done():
		}
	}
}

// open sends the request of a channel and waits for its answer, at most as long as for that of a call.
func (k *conn) open(ctx context.Context, method string, params Raw, c *call) (id uint64, err error) {
	defer k.opt.called(method, time.Now(), &err)
	ctx, clock := httpc.NewClock(ctx, method, k.opt.CallTimeout)
	defer clock.Stop()
	clock.Sent(&k.in)
	id, err = k.send(ctx, method, params, c)
	if err != nil {
		return 0, err
	}
	select {
	case a := <-c.ready:
		return id, k.use(a, nil)
	case <-k.done:
		k.forget(id, c)
		return 0, k.reason()
	case <-ctx.Done():
		if k.forget(id, c) {
			k.cancel(id)
		}
		return 0, context.Cause(ctx)
	}
}
