package doctor

import (
	"context"
	"errors"
	"sync"
	"time"

	"headrace/follow"
)

// header is what the headers of both kinds of sources say.
type header struct {
	height       uint64
	at           time.Time
	hash, parent follow.Hash
}

// endpoint is what the checks of both kinds of endpoints share, and what one of them leaves for the next.
type endpoint struct {
	*doctor
	newest  func(context.Context) (header, error)
	read    func(context.Context, uint64) (header, error)
	listen  func(ctx context.Context, heard func(height uint64)) error
	mode    func() string // how news comes
	head    header        // as it was when the endpoint was found to be there
	oldest  uint64        // that can be read
	block   time.Duration // between two heights: given, or by the times of the headers
	given   time.Duration // as the configuration has it; negative: blocks come on demand
	heard   time.Time     // when news came, by the machine's clock
	arrived uint64        // the height that it was of
}

// linked is how many headers are looked at.
const linked = 8

// checkLinks reads the last headers, and measures how far they are apart.
func (e *endpoint) checkLinks(ctx context.Context) *finding {
	const remedy = "it mixes chains, or is broken: use another endpoint, and one chain's nodes alone behind a load balancer"
	from := max(e.head.height, linked) - linked + 1
	from = max(from, e.oldest, 1)
	var before, first header
	for h := from; h <= e.head.height; h++ {
		got, err := e.read(ctx, h)
		switch {
		case err != nil:
			return fail(remedy, "header %d cannot be read: %v", h, err)
		case got.height != h:
			return fail(remedy, "asked for header %d, it gives %d", h, got.height)
		case h > from && got.parent != before.hash:
			return fail(remedy, "header %d names the parent %s, and header %d is %s", h, got.parent, h-1, before.hash)
		}
		if h == from {
			first = got
		}
		before = got
	}
	if n := e.head.height - from; n > 0 && e.head.height >= from {
		e.block = before.at.Sub(first.at) / time.Duration(n)
	}
	if e.given > 0 {
		e.block = e.given
	}
	return ok("headers %d to %d link, one each %s", from, e.head.height, round(e.block))
}

// patience is how long news may take.
func (e *endpoint) patience() time.Duration { return 2*e.block + time.Second }

// waits is what waiting for news takes beside the answers.
func (e *endpoint) waits() time.Duration { return e.patience() + grace }

// noSocket is what to do about news that comes by polling.
const noSocket = "let WebSockets through (a proxy must pass Upgrade on), or name an address that takes them: news is faster that way"

var errHeard = errors.New("news has come")

// checkNews waits for the news of a height to come.
func (e *endpoint) checkNews(ctx context.Context) *finding {
	if e.given < 0 {
		return ok("blocks come on demand: none is waited for")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	bound := time.AfterFunc(e.opt.Timeout+e.patience(), func() { cancel(context.DeadlineExceeded) }) // of what is outside
	defer bound.Stop()
	var mu sync.Mutex
	var first uint64
	var mode string
	err := e.listen(ctx, func(height uint64) {
		mu.Lock()
		defer mu.Unlock()
		if first == 0 { // the present head; from now on the next one has its time
			first = height
			bound.Reset(e.patience())
			return
		}
		if height > first && e.arrived == 0 {
			e.heard, e.arrived, mode = e.opt.Now(), height, e.mode()
			cancel(errHeard)
		}
	})
	mu.Lock()
	defer mu.Unlock()
	const remedy = "its node stands still, or is cut off from its network, or what stands before it holds answers back: look at the node's own log, or use another endpoint"
	switch {
	case e.arrived == 0 && first == 0:
		return fail(remedy, "it cannot be subscribed to: %v", err)
	case e.arrived == 0:
		return fail(remedy, "no new height within %s, two block times and a second, after height %d", round(e.patience()), first)
	case mode == "polling":
		return warn(noSocket, "news comes by polling alone: it takes no WebSocket")
	}
	return ok("height %d came after %s, over %s", e.arrived, round(time.Since(began)), mode)
}

// The difference of clocks that is pointed out, and from which on blocks are refused.
const (
	oddClock   = 15 * time.Second
	wrongClock = time.Minute
)

// checkClock compares the time of a header that has just come with the machine's clock.
func (e *endpoint) checkClock(ctx context.Context) *finding {
	if e.given < 0 {
		return skip("blocks come on demand: their times say nothing of now")
	}
	h, err := e.read(ctx, e.arrived)
	if err != nil {
		return fail("use another endpoint", "header %d was announced, and cannot be read: %v", e.arrived, err)
	}
	const remedy = "set the machine's clock by NTP (timedatectl set-ntp true), or look at the clocks of the chain's validators"
	age := e.heard.Sub(h.at)
	switch off := max(-age, age-2*e.block); {
	case off >= wrongClock && age < 0:
		return fail(remedy, "the machine's clock is %s behind header %d, which has just come", round(-age), h.height)
	case off >= wrongClock:
		return fail(remedy, "the machine's clock is %s ahead of header %d, which has just come", round(age), h.height)
	case off >= oddClock && age < 0:
		return warn(remedy, "the machine's clock is %s behind header %d, which has just come", round(-age), h.height)
	case off >= oddClock:
		return warn(remedy, "the machine's clock is %s ahead of header %d, which has just come", round(age), h.height)
	}
	return ok("header %d came %s after its time", h.height, round(age))
}

// calls is how often an endpoint is asked to see how long it takes, within half of a check's time.
const calls = 25

// checkLatency measures how long an answer takes.
func (e *endpoint) checkLatency(ctx context.Context) *finding {
	var took []time.Duration
	for end := time.Now().Add(e.opt.Timeout / 2); len(took) < calls && (len(took) == 0 || time.Now().Before(end)); {
		began := time.Now()
		if _, err := e.newest(ctx); err != nil {
			return fail("use another endpoint, or ask this one less: it may limit requests", "call %d of %d in a row fails: %v", len(took)+1, calls, err)
		}
		took = append(took, time.Since(began))
	}
	p50, p99 := percentiles(took)
	if slow := max(500*time.Millisecond, min(e.block/4, 2*time.Second)); p50 > slow {
		return warn("use an endpoint that is nearer or less busy: each block waits for it", "an answer takes %s (p50), %s (p99), of %d", round(p50), round(p99), len(took))
	}
	return ok("an answer takes %s (p50), %s (p99), of %d", round(p50), round(p99), len(took))
}
