package jsonrpc

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"headrace/internal/httpd"
)

// socket is one WebSocket of a server. One goroutine reads, one pings, one runs each call, two each stream; serve
// waits for all of them.
type socket struct {
	server *Server
	ws     *websocket.Conn
	level  Level
	wire   Wire
	ctx    context.Context // of the connection, ends with it
	cancel context.CancelCauseFunc
	work   sync.WaitGroup
	slots  chan struct{} // one per call at work
	nextID atomic.Uint64 // of channels

	writing sync.Mutex // held while a message is written

	mu      sync.Mutex // guards running
	running map[any]context.CancelFunc
}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request, level Level) {
	base := context.WithoutCancel(r.Context())
	var wire Wire
	alive := func(context.Context, []byte) bool { return true }
	if s.opt.Wire != nil {
		wire = s.opt.Wire(r)
		base = context.WithValue(base, wireKey{}, wire)
		alive = func(context.Context, []byte) bool { return wire.Alive() }
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled, OnPingReceived: alive})
	if err != nil {
		s.opt.Logger.Warn("upgrade refused", "from", r.RemoteAddr, "err", err)
		return
	}
	ws.SetReadLimit(s.opt.ReadLimit)
	k := &socket{server: s, ws: ws, level: level, slots: make(chan struct{}, s.opt.MaxCalls), running: map[any]context.CancelFunc{}, wire: wire}
	k.ctx, k.cancel = context.WithCancelCause(base)
	defer context.AfterFunc(s.ctx, func() { k.fail(ErrServerClosed) })()
	defer context.AfterFunc(r.Context(), func() { k.fail(context.Cause(r.Context())) })()
	k.serve()
}

func (k *socket) fail(err error) {
	k.cancel(err)
	_ = k.ws.CloseNow()
}

func (k *socket) serve() {
	defer k.work.Wait()
	k.work.Go(k.ping)
	k.work.Go(k.drain)
	for {
		msg, hold, err := k.read()
		if err != nil {
			hold.Give()
			k.fail(err)
			return
		}
		k.handle(msg, hold)
	}
}

// read waits for a message for as long as the other side is silent, and then takes it at the lowest rate at least.
func (k *socket) read() ([]byte, *httpd.Hold, error) {
	_, r, err := k.ws.Reader(context.Background())
	if err != nil {
		return nil, nil, err
	}
	return k.server.bodies.ReadMessage(k.ctx, r, func() { k.fail(httpd.ErrSlow) })
}

// drain ends the connection, once its server closes, when all that was under way has been written.
func (k *socket) drain() {
	select {
	case <-k.ctx.Done():
		return
	case <-k.server.end.Done():
	}
	for range cap(k.slots) { // each call and each stream gives its slot back at its end
		select {
		case k.slots <- struct{}{}:
		case <-k.ctx.Done():
			return
		}
	}
	k.fail(ErrServerClosed)
}

// ping keeps clients sure that we live. It does not end those that do not answer: celestia-node's doesn't.
func (k *socket) ping() {
	tick := time.NewTicker(k.server.opt.PingInterval) // a probe
	defer tick.Stop()
	cancel := func() {}
	for {
		select {
		case <-tick.C:
			cancel() // the ping before, if its pong has not come
		case <-k.ctx.Done():
			cancel()
			return
		}
		if !k.writing.TryLock() {
			continue // a message is under way: that is sign enough, and a ping behind a sleeping reader would end the connection
		}
		k.writing.Unlock()
		if k.wire != nil {
			if err := k.wire.Write(k.ctx, 0); err != nil {
				k.fail(err)
				continue
			}
		}
		var ctx context.Context
		ctx, cancel = context.WithCancel(k.ctx)
		k.work.Go(func() { _ = k.ws.Ping(ctx) })
	}
}

// write writes a message. It waits for as long as the reader sleeps.
func (k *socket) write(msg []byte) error { return k.send(reply{bytes: msg}) }

// send writes a reply as one message. What it holds is given back.
func (k *socket) send(r reply) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	return k.sendLocked(r)
}

func (k *socket) sendLocked(r reply) error {
	defer r.hold.Give()
	if k.wire != nil {
		if err := k.wire.Write(k.ctx, r.size()); err != nil {
			k.fail(err)
			return err
		}
	}
	ctx := context.Background()
	if d := k.server.opt.WriteTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	if err := k.sendTo(ctx, r); err != nil {
		k.fail(err)
		return err
	}
	return nil
}

func (k *socket) sendTo(ctx context.Context, r reply) error {
	if r.rest == nil {
		return k.ws.Write(ctx, websocket.MessageText, r.bytes)
	}
	w, err := k.ws.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	if err := k.server.write(k.ctx, w, r); err != nil {
		return err
	}
	return w.Close()
}

// handle starts what a message asks for, and gives what holds it back at its end. What cannot be read is not answered.
func (k *socket) handle(msg []byte, hold *httpd.Hold) {
	done := k.server.turn(k.ctx, len(msg))
	req, err := parseRequest(msg)
	if err != nil || checkID(req.ID) != nil {
		done()
		hold.Give()
		return
	}
	req.read = done
	switch req.Method {
	case methodCancel:
		k.cancelCall(req.Params)
		done()
		hold.Give()
		return
	case "", methodValue, methodClose: // for clients
		done()
		hold.Give()
		return
	}
	ctx, cancel := context.WithCancel(k.ctx)
	if req.ID != nil {
		k.mu.Lock()
		k.running[req.ID] = cancel
		k.mu.Unlock()
	}
	select {
	case k.slots <- struct{}{}:
	case <-k.ctx.Done():
		cancel()
		done()
		hold.Give()
		return
	}
	k.work.Go(func() {
		defer func() { <-k.slots }()
		defer hold.Give()
		defer done()
		k.serveCall(ctx, req)
		cancel()
		if req.ID != nil {
			k.mu.Lock()
			delete(k.running, req.ID)
			k.mu.Unlock()
		}
	})
}

// cancelCall ends the call or the channel of a request. An id that is not known is no error.
func (k *socket) cancelCall(params []byte) {
	first, n, err := splitParams(params, 1)
	if err != nil || n == 0 {
		return
	}
	var id any
	if first[0].data[0] == '[' || first[0].data[0] == '{' || json.Unmarshal(first[0].data, &id) != nil || checkID(id) != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if cancel := k.running[id]; cancel != nil {
		cancel()
	}
}

func (k *socket) serveCall(ctx context.Context, req *request) {
	result, e := k.server.call(ctx, req, k.level, true)
	if req.ID == nil {
		return
	}
	if e != nil {
		_ = k.write(appendError(nil, req.ID, e))
		return
	}
	if stream, ok := result.(*Stream); ok {
		k.serveStream(ctx, req, stream)
		return
	}
	if _, ok := result.(*Pieces); ok { // the first is made when it can be written: it would hold what those of the answer before it need
		k.writing.Lock()
		defer k.writing.Unlock()
		_ = k.sendLocked(k.server.encodeAnswer(ctx, 0, req, result))
		return
	}
	_ = k.send(k.server.encodeAnswer(ctx, 0, req, result))
}

// serveStream writes the answer that opens a channel, its values, and its end, all from one goroutine and so in order.
func (k *socket) serveStream(ctx context.Context, req *request, stream *Stream) {
	id := k.nextID.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.server.end, cancel)()
	size := stream.Queue
	size = cmp.Or(size, 16)
	values := make(chan any, size) // sent to, and closed, by the goroutine that runs the stream
	k.work.Go(func() {
		defer close(values)
		stream.Run(ctx, func(v any) bool {
			select {
			case values <- v:
				return true
			default:
				return false
			}
		})
	})
	err := k.write(appendResult(nil, req.ID, id))
	ended := false
	for v := range values {
		if ended = ended || err != nil; !ended {
			ended, err = k.writeValue(ctx, id, v)
		}
		if ended {
			cancel() // and read on, until the stream has seen it
		}
	}
	if err == nil {
		_ = k.write(appendNotification(nil, methodClose, id))
	}
}

// writeValue writes one value of a channel when there is room for it. It reports whether the channel is to end: there
// is no more to be had.
func (k *socket) writeValue(ctx context.Context, id uint64, v any) (ended bool, err error) {
	if d, ok := v.(Delayed); ok {
		late := time.NewTimer(time.Until(d.Until)) // the delay that is asked for
		defer late.Stop()
		select {
		case <-late.C:
		case <-k.ctx.Done():
			return true, nil
		}
		v = d.Value
	}
	msg, hold, err := k.server.answers.Build(k.ctx, 0, func() ([]byte, error) {
		if f, ok := v.(func() (Raw, error)); ok {
			raw, err := f()
			if err != nil {
				return nil, err
			}
			v = raw
		}
		return appendNotification(nil, methodValue, id, v), nil
	})
	defer hold.Give()
	if err != nil {
		return true, nil
	}
	return false, k.write(msg)
}
