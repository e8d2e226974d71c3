package celestia

import (
	"context"
	"sync"
	"time"
)

// flow bounds what is in flight. Its window starts low and grows by one with each answer, until answers take several times as long as the
// fastest did: then the other end is busy, and more would only wait there. With a limit in bytes it also bounds the answers that wait for
// delivery: it lets no request start while they are over it, and tells which answers to forget that were under way by then.
type flow struct {
	mu       sync.Mutex
	limit    int // of window
	maxBytes int // 0: none
	window   int
	flying   int
	bytes    int
	fastest  time.Duration
	change   chan struct{} // closed, and made anew, when there may be room
}

const (
	firstWindow = 16
	patience    = 6 // times the fastest answer, plus a little
)

func newFlow(limit, maxBytes int) *flow {
	return &flow{limit: limit, maxBytes: maxBytes, window: min(firstWindow, limit), change: make(chan struct{})}
}

// acquire waits for room for a request.
func (f *flow) acquire(ctx context.Context) error {
	for {
		f.mu.Lock()
		if f.flying < f.window && (f.maxBytes == 0 || f.bytes < f.maxBytes) {
			f.flying++
			f.mu.Unlock()
			return nil
		}
		change := f.change
		f.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// release notes an answer. False: its bytes are too many, and are to be forgotten.
func (f *flow) release(took time.Duration, size int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flying--
	if f.fastest == 0 || took < f.fastest {
		f.fastest = took
	}
	switch slow := took > patience*f.fastest+5*time.Millisecond; {
	case !slow && f.window < f.limit:
		f.window++
	case slow && f.window > firstWindow:
		f.window--
	}
	f.wake()
	if f.maxBytes > 0 && f.bytes > 0 && f.bytes+size > 2*f.maxBytes {
		return false
	}
	f.bytes += size
	return true
}

// delivered gives back the bytes of an answer.
func (f *flow) delivered(size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes -= size
	f.wake()
}

// wake must be called with mu held.
func (f *flow) wake() {
	close(f.change)
	f.change = make(chan struct{})
}
