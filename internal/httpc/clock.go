package httpc

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"headrace/internal/moment"
)

// MinRate is the smallest rate at which answers must come, in bytes a second: what drips more slowly counts as silence.
const MinRate = 16 << 10

// Traffic is what has come in where an answer is waited for: on a WebSocket, whose calls share it, or as the body of one
// answer. Its methods are safe for concurrent use.
type Traffic struct {
	bytes  atomic.Int64
	at     moment.Last // when the last of them came
	latest moment.Last // when the one among the calls answered so far that was sent last had been sent
}

// Add notes bytes that have come in.
func (t *Traffic) Add(n int) {
	t.bytes.Add(int64(n))
	t.at.Now()
}

// Touch has it that what comes in has not stood still until now: it was not read.
func (t *Traffic) Touch() { t.at.Now() }

// Answered notes that a call that was sent at a time has its answer.
func (t *Traffic) Answered(sent time.Time) { t.latest.Raise(sent) }

// Clock bounds how long a call waits. How big an answer is, strangers decide, and how fast it comes, the link: so
// every byte that comes is progress, and the answer as a whole needs to come at MinRate only. Bytes of other answers on
// the same socket count too, since this one may be behind them; but not for ever: once a call is answered that was sent
// later than this one by as long as a call may wait, this one is not behind anything.
type Clock struct {
	method string
	limit  time.Duration
	cancel context.CancelCauseFunc
	ctx    context.Context // of the call
	timer  *time.Timer

	mu    sync.Mutex // guards the rest
	start time.Time  // of the call, later by what it has waited for us
	held  time.Time  // since when it waits for us; zero: it does not
	in    *Traffic   // where its answer comes from, once it has been sent
	base  int64      // bytes that had come in by then
}

// NewClock returns a context that ends with the time of a call of a method, which may go so long without a byte, and the
// clock that ends it. Stop must be called. Without a limit the clock is nil, which stands still.
func NewClock(ctx context.Context, method string, limit time.Duration) (context.Context, *Clock) {
	if limit <= 0 {
		return ctx, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	k := &Clock{method: method, limit: limit, cancel: cancel, ctx: ctx, start: time.Now()}
	k.mu.Lock() // the timer is set before it is looked at
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(k.limit, k.look) // a watchdog of the other end
	return ctx, k
}

// Stop ends the context, too.
func (k *Clock) Stop() {
	if k != nil {
		k.timer.Stop()
		k.cancel(context.Canceled)
	}
}

// Sent notes where the answer comes from.
func (k *Clock) Sent(in *Traffic) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.in, k.base = in, in.bytes.Load()
}

// Hold stops the clock while the call waits for us; Release starts it again.
func (k *Clock) Hold() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = time.Now()
}

// Release starts the clock again.
func (k *Clock) Release() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.start, k.held = k.start.Add(time.Since(k.held)), time.Time{}
	if k.in != nil {
		k.in.Touch()
	}
}

// look ends the call if its time is over, and else sets the timer to when it may be.
func (k *Clock) look() {
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
func (k *Clock) check(now time.Time) (time.Duration, error) {
	if !k.held.IsZero() {
		return k.limit, nil
	}
	moved, bytes := k.start, int64(0)
	if k.in != nil {
		bytes = k.in.bytes.Load() - k.base
		if at := k.in.at.Load(); at.After(moved) {
			moved = at
		}
		if latest := k.in.latest.Load(); latest.After(k.start.Add(k.limit)) {
			return 0, fmt.Errorf("%s: no answer within %s, while calls that were made later have theirs: %w", k.method, now.Sub(k.start).Round(time.Millisecond), context.DeadlineExceeded)
		}
	}
	silent := moved.Add(k.limit).Sub(now)
	slow := k.start.Add(k.limit + time.Duration(bytes)*time.Second/MinRate).Sub(now)
	switch {
	case silent <= 0:
		return 0, fmt.Errorf("%s: no answer, and no byte within %s: %w", k.method, k.limit, context.DeadlineExceeded)
	case slow <= 0:
		return 0, fmt.Errorf("%s: no answer, and only %d bytes within %s: %w", k.method, bytes, now.Sub(k.start).Round(time.Millisecond), context.DeadlineExceeded)
	}
	return min(silent, slow), nil
}

// Piece is how much of an answer is read at once, in bytes: net/http fills what it is given of a chunked body before it
// returns, and what has come meanwhile could not be told from silence.
const Piece = 4 << 10

// Counted returns a reader that tells note of what is read, as it comes.
func Counted(r io.Reader, note func(n int)) io.Reader { return counted{r, note} }

type counted struct {
	io.Reader
	note func(n int)
}

func (r counted) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b[:min(len(b), Piece)])
	if n > 0 {
		r.note(n)
	}
	return n, err
}
