package celestia

import (
	"context"
	"sync"
	"time"
)

// flow bounds the requests in flight, and the answers that wait for delivery.
//
// The window is how many requests may be in flight. It starts low. Each fast answer widens it by one; each answer that
// took several times as long as the fastest one narrows it by one, since the endpoint is busy then and more requests
// would only queue there.
//
// maxFlight bounds the bytes that the answers in flight are expected to have: on a slow link more would only come
// later, the first one too. So large answers come a few at a time, down to one.
//
// maxBytes bounds the answers that wait for delivery. While they have as many bytes, no request starts. Requests that
// were in flight by then still answer: if their answers would make it more than twice as many, they are dropped (see
// release). An answer that is expected to have more than maxBytes comes alone.
type flow struct {
	mu       sync.Mutex
	limit    int // of window
	maxBytes int // 0: none
	window   int
	flying   int // requests
	expected int // bytes of their answers
	bytes    int // that wait for delivery
	early    int // of them, those of heights that no request has come to yet
	fastest  time.Duration
	usual    int           // bytes of an answer of which nothing is known
	fill     float64       // of what an answer may have beyond what it has at least: the part it had lately
	change   chan struct{} // closed, and made anew, when there may be room
}

const (
	firstWindow = 16
	patience    = 6 // times the fastest answer, plus a little
	maxFlight   = 4 << 20
)

func newFlow(limit, maxBytes int) *flow {
	return &flow{limit: limit, maxBytes: maxBytes, window: min(firstWindow, limit), fill: 1, change: make(chan struct{})}
}

// extent is how many bytes an answer has at least and at most. The zero extent: nothing is known.
type extent struct{ least, most int }

// expect returns how many bytes an answer will have, about. The caller holds f.mu.
func (f *flow) expect(x extent) int {
	if x.most == 0 {
		return f.usual
	}
	return x.least + int(f.fill*float64(x.most-x.least))
}

// learn takes note of how many bytes an answer had. What was large lately counts for a while. The caller holds f.mu.
func (f *flow) learn(x extent, size int) {
	f.usual = max(size, f.usual-f.usual/8)
	if x.most > x.least {
		f.fill = min(max(float64(size-x.least)/float64(x.most-x.least), f.fill*7/8), 1)
	}
}

// room reports whether a request may start. The caller holds f.mu.
func (f *flow) room(expected int) bool {
	switch {
	case f.flying == 0 && f.bytes <= f.early: // nothing is under way but what waits for this one
		return true
	case f.flying >= f.window, f.flying > 0 && f.expected+expected > maxFlight:
		return false
	}
	return f.maxBytes == 0 || expected <= f.maxBytes && f.bytes+f.expected < f.maxBytes
}

// acquire waits for room for a request, and returns what its answer counts for until release.
func (f *flow) acquire(ctx context.Context, x extent) (expected int, err error) {
	for {
		f.mu.Lock()
		if expected := f.expect(x); f.room(expected) {
			f.flying++
			f.expected += expected
			f.mu.Unlock()
			return expected, nil
		}
		change := f.change
		f.mu.Unlock()
		if err := wait(ctx, change); err != nil {
			return 0, err
		}
	}
}

// release notes an answer. False: its bytes are too many, and the caller must drop it.
func (f *flow) release(took time.Duration, x extent, expected, size int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flying--
	f.expected -= expected
	f.learn(x, size)
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

// hold takes the bytes of an answer that an earlier try has left, of a height that no request has come to yet.
func (f *flow) hold(size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes += size
	f.early += size
}

// reached notes that requests have come to the height of an answer that was held.
func (f *flow) reached(size int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.early -= size
	f.wake()
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
