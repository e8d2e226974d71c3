package jsonrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"headrace/internal/httpc"
	"headrace/internal/moment"
	"headrace/internal/redact"
)

// conn is one WebSocket of a client. Three goroutines, all the client's: read, write, and watch, which ends a
// connection gone silent.
type conn struct {
	client *Client
	opt    *ClientOptions
	ws     *websocket.Conn
	out    chan []byte // requests for write; senders are callers
	done   chan struct{}

	heard   moment.Last  // when the last bytes came
	started moment.Last  // when the message now being read began to come; never, between messages
	size    atomic.Int64 // bytes of it so far
	paused  atomic.Bool  // read waits for decoders
	in      httpc.Traffic

	mu       sync.Mutex // guards the rest
	err      error      // why it ended; set before done is closed
	pending  map[uint64]*call
	channels map[uint64]*channel
	held     int           // bytes of answers given to callers and not yet decoded
	room     chan struct{} // closed, and made anew, when held shrinks while read waits
}

// call is a request without an answer.
type call struct {
	sent    time.Time   // when
	ready   chan answer // buffered: one answer
	channel *channel    // what the answer opens, or nil
}

type answer struct {
	result []byte
	err    []byte
	size   int // of the whole message, held until the caller is done with it
}

// dial makes a connection, whose goroutines the caller starts.
func (c *Client) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.opt.DialTimeout, fmt.Errorf("no connection within %s: %w", c.opt.DialTimeout, context.DeadlineExceeded))
	defer cancel()
	ctx, stop := c.untilClosed(ctx)
	defer stop()
	k := &conn{client: c, opt: &c.opt, out: make(chan []byte), done: make(chan struct{}), pending: map[uint64]*call{}, channels: map[uint64]*channel{}}
	k.heard.Now()
	heard := func(context.Context, []byte) { k.heard.Now() }
	ws, resp, err := websocket.Dial(ctx, c.url, &websocket.DialOptions{
		HTTPClient:     c.http,
		OnPingReceived: func(ctx context.Context, p []byte) bool { heard(ctx, p); return true },
		OnPongReceived: heard,
	})
	if err != nil {
		switch {
		case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<10)) // what the WebSocket's dialer has kept of it
			return nil, fmt.Errorf("dial: %w", c.statusError(resp, body))
		case ctx.Err() != nil:
			return nil, fmt.Errorf("dial: %w", context.Cause(ctx))
		}
		return nil, fmt.Errorf("dial: %w", redact.Error(err))
	}
	ws.SetReadLimit(c.opt.ReadLimit)
	k.ws = ws
	return k, nil
}

func (k *conn) alive() bool {
	select {
	case <-k.done:
		return false
	default:
		return true
	}
}

// fail ends the connection, for the first reason given.
func (k *conn) fail(err error) {
	k.mu.Lock()
	if k.err == nil {
		k.err = err
		close(k.done)
	}
	k.mu.Unlock()
	_ = k.ws.CloseNow()
}

// reason returns why the connection has ended.
func (k *conn) reason() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// write sends requests, one after the other.
func (k *conn) write() {
	for {
		select {
		case msg := <-k.out:
			ctx, cancel := context.WithTimeout(context.Background(), k.opt.WriteTimeout)
			err := k.ws.Write(ctx, websocket.MessageText, msg)
			cancel()
			if err != nil {
				k.fail(fmt.Errorf("connection lost: write: %w", err))
				return
			}
		case <-k.done:
			return
		}
	}
}

// watch is the watchdog of the connection: it pings one that is silent, and ends one that stays so.
func (k *conn) watch() {
	half := k.opt.Silence / 2
	timer := time.NewTimer(half)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-k.done:
			return
		}
		now := time.Now()
		if start := k.started.Load(); !start.IsZero() && !k.paused.Load() {
			if allowed := k.opt.Silence + time.Duration(k.size.Load())*time.Second/httpc.MinRate; now.Sub(start) > allowed {
				k.fail(fmt.Errorf("%w: %d bytes of a message in %s", ErrSilent, k.size.Load(), now.Sub(start).Round(time.Second)))
				return
			}
		}
		quiet := now.Sub(k.heard.Load())
		if quiet < half || k.paused.Load() {
			timer.Reset(max(half-quiet, half/4))
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), half)
		err := k.ws.Ping(ctx)
		cancel()
		quiet = time.Since(k.heard.Load())
		if err != nil && quiet >= half && !k.paused.Load() {
			k.fail(fmt.Errorf("%w: nothing heard for %s", ErrSilent, quiet.Round(time.Millisecond)))
			return
		}
		timer.Reset(half)
	}
}

// small is the size up to which a message is copied out of the buffer that the reader keeps: a copy costs less than a
// buffer that grows with a message until it holds it. Celestia's headers, 64 at a time, take some 200 KiB.
const small = 512 << 10

// read takes messages off the socket until it ends. It runs no code of any caller.
func (k *conn) read() {
	defer k.ended()
	var buf []byte
	for {
		_, r, err := k.ws.Reader(context.Background())
		if err != nil {
			k.lost(err)
			return
		}
		begun := time.Now()
		k.size.Store(0)
		k.started.Set(begun)
		if buf, err = k.message(r, buf[:0]); err != nil {
			k.lost(err)
			return
		}
		k.started.Set(time.Time{})
		k.client.stats.received.Add(uint64(len(buf)))
		msg := buf
		if len(buf) <= small {
			msg = append(make([]byte, 0, len(buf)), buf...)
		} else {
			buf = nil
		}
		k.dispatch(msg, begun)
		if !k.waitRoom() {
			return
		}
	}
}

// lost ends the connection with an error of reading.
func (k *conn) lost(err error) {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		err = fmt.Errorf("%w: %w", ErrTooBig, err)
	}
	k.fail(fmt.Errorf("connection lost: %w", err))
}

// message reads one message. What it holds grows with what has come, not with what was announced.
func (k *conn) message(r io.Reader, buf []byte) ([]byte, error) {
	if cap(buf) == 0 {
		buf = make([]byte, 0, 16<<10)
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if n > 0 {
			k.heard.Now()
			k.size.Add(int64(n))
			k.in.Add(n)
			k.opt.Heard(n)
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// dispatch hands a message, which began to come in at a time, to whom it belongs to. It never blocks.
func (k *conn) dispatch(msg []byte, begun time.Time) {
	f, err := scanFrame(msg)
	if err != nil {
		k.client.stats.strays.Add(1)
		return
	}
	switch string(f.method) {
	case "":
		k.answered(&f, len(msg))
	case methodValue:
		k.in.Answered(begun) // nobody has asked for it: it was sent then at the latest
		if _, ch, value := k.channelOf(f.params); ch != nil && value != nil {
			k.client.stats.dropped.Add(ch.push(value, k.opt.MaxQueued))
			return
		}
		k.client.stats.strays.Add(1)
	case methodClose:
		id, ch, _ := k.channelOf(f.params)
		if ch == nil {
			k.client.stats.strays.Add(1)
			return
		}
		k.mu.Lock()
		delete(k.channels, id)
		k.mu.Unlock()
		ch.end(ErrChannelClosed)
	default: // we serve nothing
		k.client.stats.strays.Add(1)
	}
}

func (k *conn) channelOf(params []byte) (uint64, *channel, []byte) {
	first, value, ok := scanPair(params)
	if !ok {
		return 0, nil, nil
	}
	id, ok := uintOf(first)
	if !ok {
		return 0, nil, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return id, k.channels[id], value
}

// answered gives an answer to its caller. A channel is registered here, so that its first value finds it.
func (k *conn) answered(f *frame, size int) {
	id, ok := uintOf(f.id)
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.pending[id]
	if !ok || c == nil {
		k.client.stats.strays.Add(1)
		return
	}
	delete(k.pending, id)
	k.in.Answered(c.sent)
	a := answer{result: f.result, err: f.err, size: size}
	if c.channel != nil && f.err == nil {
		if ch, ok := uintOf(f.result); ok && k.channels[ch] == nil {
			c.channel.id = ch
			k.channels[ch] = c.channel
		} else {
			a.err = []byte(`{"code":-32700,"message":"answer names no new channel"}`)
		}
	}
	k.held += size
	c.ready <- a
}

// release gives back the bytes of an answer.
func (k *conn) release(size int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held -= size
	if k.room != nil && k.held <= k.opt.MaxPending {
		close(k.room)
		k.room = nil
	}
}

// waitRoom waits until decoders have caught up (I6). They do not wait for this connection, so it does not last.
// False: the connection has ended.
func (k *conn) waitRoom() bool {
	k.mu.Lock()
	if k.held <= k.opt.MaxPending {
		k.mu.Unlock()
		return true
	}
	k.room = make(chan struct{})
	room := k.room
	k.mu.Unlock()
	k.paused.Store(true)
	defer k.paused.Store(false)
	defer func() {
		k.heard.Now()
		k.in.Touch()
	}()
	select {
	case <-room:
		return true
	case <-k.done:
		return false
	}
}

// ended tells all channels that the connection has ended; callers see it by themselves.
func (k *conn) ended() {
	k.mu.Lock()
	channels, err := k.channels, k.err
	k.channels = map[uint64]*channel{}
	k.mu.Unlock()
	for _, ch := range channels {
		ch.end(err)
	}
}

// send registers a request and gives it to write. On error the request is not registered, and ErrUnsent says that it
// never will be sent.
func (k *conn) send(ctx context.Context, method string, params Raw, c *call) (uint64, error) {
	id := k.client.ids.Add(1)
	c.sent = time.Now()
	k.mu.Lock()
	k.pending[id] = c
	k.mu.Unlock()
	var err error
	select {
	case k.out <- appendRequest(make([]byte, 0, len(params)+len(method)+64), id, method, params):
		k.client.stats.calls.Add(1)
		return id, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-k.done:
		err = k.reason()
	}
	k.forget(id, c)
	return 0, fmt.Errorf("%w: %w", ErrUnsent, err)
}

// forget takes back a request that nobody waits for any more, and reports whether it had no answer yet.
func (k *conn) forget(id uint64, c *call) bool {
	k.mu.Lock()
	if k.pending[id] == c {
		delete(k.pending, id)
		k.mu.Unlock()
		return true
	}
	k.mu.Unlock()
	select {
	case a := <-c.ready: // it came just now
		k.release(a.size)
		if c.channel != nil {
			k.unregister(c.channel)
		}
	default:
	}
	return false
}

// cancel asks the server to end a request. It is a courtesy: it is not waited for longer than the writer takes.
func (k *conn) cancel(id uint64) {
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	select {
	case k.out <- appendNotification(nil, methodCancel, id):
	case <-k.done:
	case <-ctx.Done():
	}
}

func (k *conn) call(ctx context.Context, clock *httpc.Clock, method string, params Raw, decode func([]byte) error) error {
	c := &call{ready: make(chan answer, 1)}
	clock.Sent(&k.in)
	id, err := k.send(ctx, method, params, c)
	if err != nil {
		return err
	}
	select {
	case a := <-c.ready:
		return k.use(a, decode)
	case <-k.done:
		select {
		case a := <-c.ready: // it came before the end
			return k.use(a, decode)
		default:
			k.forget(id, c)
			return k.reason()
		}
	case <-ctx.Done():
		if k.forget(id, c) {
			k.cancel(id)
		}
		return context.Cause(ctx)
	}
}

func (k *conn) use(a answer, decode func([]byte) error) error {
	defer k.release(a.size)
	return decodeAnswer(a.result, a.err, decode)
}

func decodeAnswer(result, err []byte, decode func([]byte) error) error {
	switch {
	case err != nil && string(err) != "null":
		return errorOf(err)
	case result == nil:
		return &Error{Code: CodeParse, Message: "answer without a result"}
	case decode == nil:
		return nil
	}
	return decode(result)
}
