package celestia

import (
	"context"
	"sync"
	"time"
)

// flow bounds the requests in flight, and the answers that wait for delivery.
//
// The window is how many requests may be in flight. It starts low. Each fast answer widens it by one; each answer
// that took several times as long as the fastest one narrows it by one, since the endpoint is busy then and more
// requests would only queue there.
//
// maxBytes bounds the answers that wait for delivery. While they have as many bytes, no request starts. Requests that
// were in flight by then still answer: if their answers would make it more than twice as many, they are dropped (see
// release).
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

// release notes an answer. False: its bytes are too many, and the caller must drop it.
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
