package jsonrpc

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// minRate is the smallest rate at which answers must come, in bytes a second: what drips more slowly counts as silence.
const minRate = 16 << 10

// traffic is what has come in: bytes of messages, those of pings and pongs not counted.
type traffic struct {
	bytes  atomic.Int64
	at     atomic.Int64 // when the last of them came
	latest atomic.Int64 // when the one among the calls answered so far that was sent last had been sent
}

func (t *traffic) add(n int) {
	t.bytes.Add(int64(n))
	t.at.Store(time.Now().UnixNano())
}

// answered notes that a call sent at a time has its answer.
func (t *traffic) answered(sent int64) {
	for was := t.latest.Load(); was < sent && !t.latest.CompareAndSwap(was, sent); was = t.latest.Load() {
	}
}

// clock bounds how long a call waits. How big an answer is, strangers decide, and how fast it comes, the link: so
// every byte that comes is progress, and the answer as a whole needs to come at minRate only. Bytes of other answers on
// the same socket count too, since this one may be behind them; but not for ever: once a call is answered that was sent
// later than this one by as long as a call may wait, this one is not behind anything.
type clock struct {
	method string
	limit  time.Duration
	cancel context.CancelCauseFunc
	ctx    context.Context // of the call
	timer  *time.Timer

	mu    sync.Mutex // guards the rest
	start time.Time  // of the call, later by what it has waited for us
	held  time.Time  // since when it waits for us; zero: it does not
	in    *traffic   // where its answer comes from, once it has been sent
	base  int64      // bytes that had come in by then
}

// clock returns a context that ends with the call's time, and the clock that ends it. stop must be called. Without a
// limit the clock is nil, which stands still.
func (c *Client) clock(ctx context.Context, method string) (context.Context, *clock) {
	if c.opt.CallTimeout <= 0 {
		return ctx, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	k := &clock{method: method, limit: c.opt.CallTimeout, cancel: cancel, ctx: ctx, start: time.Now()}
	k.mu.Lock() // the timer is set before it is looked at
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(k.limit, k.look) // a watchdog of the other end
	return ctx, k
}

func (k *clock) stop() {
	if k != nil {
		k.timer.Stop()
		k.cancel(context.Canceled)
	}
}

// sent notes where the answer comes from.
func (k *clock) sent(in *traffic) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.in, k.base = in, in.bytes.Load()
}

// hold stops the clock while the call waits for us; release starts it again.
func (k *clock) hold() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = time.Now()
}

func (k *clock) release() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.start, k.held = k.start.Add(time.Since(k.held)), time.Time{}
	if k.in != nil {
		k.in.at.Store(time.Now().UnixNano())
	}
}

// look ends the call if its time is over, and else sets the timer to when it may be.
func (k *clock) look() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx.Err() != nil {
		return
	}
	next, err := k.check(time.Now())
	if err != nil {
		k.cancel(err)
		return
	}
	k.timer.Reset(next)
}

// check returns for how long the call may go on before the next look, or why it may not. The caller holds k.mu.
func (k *clock) check(now time.Time) (time.Duration, error) {
	if !k.held.IsZero() {
		return k.limit, nil
	}
	moved, bytes := k.start, int64(0)
	if k.in != nil {
		bytes = k.in.bytes.Load() - k.base
		if at := time.Unix(0, k.in.at.Load()); at.After(moved) {
			moved = at
		}
		if latest := time.Unix(0, k.in.latest.Load()); latest.After(k.start.Add(k.limit)) {
			return 0, fmt.Errorf("%s: no answer within %s, while calls that were made later have theirs: %w", k.method, now.Sub(k.start).Round(time.Millisecond), context.DeadlineExceeded)
		}
	}
	silent := moved.Add(k.limit).Sub(now)
	slow := k.start.Add(k.limit + time.Duration(bytes)*time.Second/minRate).Sub(now)
	switch {
	case silent <= 0:
		return 0, fmt.Errorf("%s: no answer, and no byte within %s: %w", k.method, k.limit, context.DeadlineExceeded)
	case slow <= 0:
		return 0, fmt.Errorf("%s: no answer, and only %d bytes within %s: %w", k.method, bytes, now.Sub(k.start).Round(time.Millisecond), context.DeadlineExceeded)
	}
	return min(silent, slow), nil
}

// counted is a reader whose bytes are counted.
type counted struct {
	io.Reader
	in    *traffic
	heard func(n int)
}

func (r counted) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if n > 0 {
		r.in.add(n)
		r.heard(n)
	}
	return n, err
}
