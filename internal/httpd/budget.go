package httpd

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Budget bounds the bytes that requests hold in memory at the same time. When it is full, those make room whose
// connection has not moved a byte for a while: a reader who does not read keeps nobody else from reading.
type Budget struct {
	limit    int64
	builders chan struct{} // a slot for each answer that is being built
	queue    chan struct{} // and for each that waits to be, and need not be answered

	mu    sync.Mutex // guards the rest
	held  int64
	holds map[*Hold]bool
	freed chan struct{} // closed when bytes have been given back
}

// The times of a budget that is full.
const (
	idleHold = 2 * time.Second // a hold whose connection has moved nothing for so long is cut

	Patience = 3 * time.Second // how long a request waits for room that need not be answered
)

// maxQueue is how many such requests wait at the same time: about as many as can be answered meanwhile. Each takes some
// ten thousand bytes, and whoever does not read can send any number.
const maxQueue = 256

// ErrFull is what there is no room for.
var ErrFull = errors.New("too much is under way here: try again later")

// NewBudget returns a budget of so many bytes.
func NewBudget(limit int64) *Budget {
	return &Budget{limit: limit, builders: make(chan struct{}, 2), queue: make(chan struct{}, maxQueue), holds: map[*Hold]bool{}, freed: make(chan struct{})}
}

// Hold is what one request holds of a budget. A nil *Hold holds nothing, and may be used.
type Hold struct {
	of    *Budget
	conn  *conn     // nil: not served by this package, and never cut
	since time.Time // when it last grew, as bytes and the rest guarded by of.mu
	bytes int64
	waits bool // for us, in the end: if it does not move, that is not its own fault
}

// Hold returns a hold of nothing yet for the request of ctx. It must be given back.
func (b *Budget) Hold(ctx context.Context) *Hold {
	if b == nil {
		return nil
	}
	k, _ := ctx.Value(connKey{}).(*conn)
	return &Hold{of: b, conn: k, since: time.Now()}
}

// Grow counts n bytes more. It waits for room until ctx ends, and then returns its cause. More than the whole budget
// can be held by one that is alone.
func (h *Hold) Grow(ctx context.Context, n int64) error {
	if h == nil {
		return nil
	}
	for {
		freed, stale := h.try(n)
		if freed == nil {
			return nil
		}
		look := time.NewTimer(stale) // of strangers' connections, not of a state of ours
		select {
		case <-freed:
		case <-look.C:
		case <-ctx.Done():
			h.of.mu.Lock()
			h.waits = false
			h.of.mu.Unlock()
			look.Stop()
			return context.Cause(ctx)
		}
		look.Stop()
	}
}

// within returns a context whose end means ErrFull; 0 is as long as ctx.
func within(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	if wait == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, wait, ErrFull)
}

// try counts n bytes more, or returns what to wait for: bytes that are given back, and the time until somebody can be
// cut.
func (h *Hold) try(n int64) (freed chan struct{}, stale time.Duration) {
	b := h.of
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.held+n > b.limit && b.held > h.bytes {
		oldest, idle := b.stalest(h)
		if oldest == nil || idle < idleHold {
			h.waits = true
			return b.freed, max(time.Millisecond, idleHold-idle)
		}
		b.give(oldest) // now: its request ends with its connection
		_ = oldest.conn.Conn.Close()
	}
	h.waits, h.since = false, time.Now() // what it has waited for room was not its own fault
	h.bytes += n
	b.held += n
	b.holds[h] = true
	return nil, 0
}

// Book counts n bytes for what is yet to be made, which Begin says when it is. Until then its connection is not cut.
// It waits for room for as long as ctx.
func (b *Budget) Book(ctx context.Context, n int64) (*Hold, error) {
	h := b.Hold(ctx)
	if err := h.Grow(ctx, n); err != nil {
		return nil, err
	}
	h.Settle()
	return h, nil
}

// Begin notes that what was reserved is made, and is being written from now on.
func (h *Hold) Begin() {
	if h == nil {
		return
	}
	h.of.mu.Lock()
	h.since, h.waits = time.Now(), false
	h.of.mu.Unlock()
}

// Settle notes that what is held is complete: its connection is not cut for moving nothing any more, which is ours to
// do now.
func (h *Hold) Settle() {
	if h == nil {
		return
	}
	h.of.mu.Lock()
	h.waits = true
	h.of.mu.Unlock()
}

// stalest returns the hold whose connection has moved nothing for longest, and for how long.
func (b *Budget) stalest(but *Hold) (oldest *Hold, idle time.Duration) {
	now := time.Now()
	for h := range b.holds {
		if h == but || h.conn == nil || h.waits {
			continue
		}
		if d := min(now.Sub(h.since), now.Sub(h.conn.moved.Load())); oldest == nil || d > idle {
			oldest, idle = h, d
		}
	}
	return oldest, idle
}

// give must be called with mu held.
func (b *Budget) give(h *Hold) {
	if !b.holds[h] {
		return
	}
	delete(b.holds, h)
	b.held -= h.bytes
	h.bytes = 0
	close(b.freed)
	b.freed = make(chan struct{})
}

func (h *Hold) size() int64 {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	return h.bytes
}

// Give gives back all that is held. It may be called again.
func (h *Hold) Give() {
	if h == nil {
		return
	}
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.of.give(h)
}

// Build calls build, which makes an answer in memory, while at most one other is being made, and counts the answer. The
// hold is to be given back when it has been written. There must be room within the time given, or the error is ErrFull,
// as it is when many wait already; with 0 it waits for as long as ctx. A nil budget only builds.
func (b *Budget) Build(ctx context.Context, wait time.Duration, build func() ([]byte, error)) ([]byte, *Hold, error) {
	if b == nil {
		answer, err := build()
		return answer, nil, err
	}
	if wait > 0 {
		select {
		case b.queue <- struct{}{}:
			defer func() { <-b.queue }()
		default:
			return nil, nil, ErrFull
		}
	}
	ctx, cancel := within(ctx, wait)
	defer cancel()
	select {
	case b.builders <- struct{}{}:
		defer func() { <-b.builders }()
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	answer, err := build()
	if err != nil {
		return nil, nil, err
	}
	h := b.Hold(ctx)
	if err := h.Grow(ctx, int64(cap(answer))); err != nil {
		return nil, nil, err
	}
	return answer, h, nil
}
