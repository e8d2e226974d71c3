package follow

import (
	"context"
	"sync"
	"time"
)

// How big an item is, strangers decide, and how fast it comes, the link. So what a fetch waits for is measured in
// bytes: a fetch goes on while they come at lowestRate, and a source is left for another one that could serve when
// they come more slowly than fairRate, both in bytes a second. What fairRate is measured over is slowAfter: time that
// a fetch has waited for its source, that of the sink not counted.
const (
	lowestRate = 16 << 10
	fairRate   = 64 << 10
	slowAfter  = 20 * time.Second
	slowFor    = 5 * time.Minute // how long a source that was left is not gone back to without need
)

type receivedKey struct{}

// Received says that n bytes of what a fetch asks for have come in. A source whose items can be large calls it with
// the context of its Fetch, from any goroutine: they are progress, though nothing is delivered yet.
func Received(ctx context.Context, n int) {
	if note, ok := ctx.Value(receivedKey{}).(func(int)); ok {
		note(n)
	}
}

// onReceived returns a context in which note is told of bytes too.
func onReceived(ctx context.Context, note func(int)) context.Context {
	outer := ctx
	return context.WithValue(ctx, receivedKey{}, func(n int) {
		note(n)
		Received(outer, n)
	})
}

// meter counts the bytes that come while a fetch waits for its source, in windows of time. At the end of each it asks
// enough about them, and calls stop at the first that were not.
type meter struct {
	window time.Duration
	enough func(bytes int) bool
	stop   func()

	mu    sync.Mutex // guards the rest
	bytes int        // in this window
	left  time.Duration
	since time.Time // when it began to run; zero: it does not
	timer *time.Timer
}

// newMeter returns a meter that runs. It must be paused at the end.
func newMeter(window time.Duration, enough func(bytes int) bool, stop func()) *meter {
	m := &meter{window: window, enough: enough, stop: stop, left: window, since: time.Now()}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timer = time.AfterFunc(window, m.ended) // a watchdog of the source
	return m
}

func (m *meter) received(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += n
}

func (m *meter) ended() {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.since.IsZero() || time.Since(m.since) < m.left: // paused meanwhile, or begun anew
	case m.enough(m.bytes):
		m.restart(m.window)
	default:
		m.since = time.Time{}
		m.stop()
	}
}

// restart begins to run for the rest of a window, or for a new one. The caller holds m.mu.
func (m *meter) restart(left time.Duration) {
	if m.left = left; left == m.window {
		m.bytes = 0
	}
	m.since = time.Now()
	m.timer.Reset(left)
}

// pause stops the meter.
func (m *meter) pause() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timer.Stop()
	if !m.since.IsZero() {
		m.left = max(m.left-time.Since(m.since), 0)
	}
	m.since = time.Time{}
}

// resume goes on where pause stopped; anew begins another window.
func (m *meter) resume(anew bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if anew {
		m.left = m.window
	}
	m.restart(m.left)
}
