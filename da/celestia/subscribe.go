package celestia

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/jsonrpc"
)

// feed is one subscription to one endpoint: a channel for each namespace, merged.
type feed struct {
	e      *endpoint
	news   *follow.Listening
	update func(follow.Update[da.Block])
	poke   chan struct{} // buffered: there is something for the watchdog to look at
	queued chan struct{} // buffered: there is something to announce that takes a call

	decoding atomic.Int64 // events being decoded

	mu      sync.Mutex // guards the rest, and is held during update: one at a time. No call is made under it
	merger  *merger
	started bool
	before  []follow.Update[da.Block] // came before the present head was known
	early   int                       // bytes of them
	heard   time.Time                 // when the last event came
	behind  []time.Time               // per channel, since when it has lacked what another one has reported; zero: it does not
	waiting []merged                  // settled, and not announced: the first lacks its header, or one before it does
	asking  bool                      // for the header of one that is not among them any more
}

// subscribe runs one subscription over WebSocket until it ends.
func (e *endpoint) subscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	ctx, cancel := context.WithCancelCause(ctx)
	namespaces := e.client.opt.Namespaces
	channels := max(1, len(namespaces)) // without namespaces nothing but the head is of interest
	f := &feed{e: e, news: e.health.Listen(), update: update, poke: make(chan struct{}, 1), queued: make(chan struct{}, 1), merger: newMerger(channels), behind: make([]time.Time, channels)}
	var work sync.WaitGroup
	defer func() { f.news.Silent(context.Cause(ctx)) }()
	defer work.Wait()
	defer cancel(nil)

	opened := make(chan struct{}, channels)
	listen := func(method string, params jsonrpc.Raw, event func(value []byte) error) {
		err := e.news.Subscribe(ctx, method, params, func() { opened <- struct{}{} }, event)
		cancel(fmt.Errorf("%s: %s: %w", e.name, method, classify(err)))
	}
	for i, ns := range namespaces {
		work.Go(func() {
			listen("blob.Subscribe", jsonrpc.Array(appendNamespace(ns)), func(value []byte) error { return f.event(ctx, i, value) })
		})
	}
	if len(namespaces) == 0 {
		work.Go(func() { listen("header.Subscribe", noParams, f.headEvent) })
	}
	work.Go(func() { f.announceWaiting(ctx) })
	work.Go(func() {
		err := f.watch(ctx)
		if errors.Is(err, errStuck) { // no call has failed: nobody else notes it
			e.health.Bad(err)
		}
		cancel(err)
	})
	for range channels {
		select {
		case <-opened:
			if len(namespaces) > 0 {
				e.client.count.subscriptions.Add(1)
			}
		case <-ctx.Done():
			return e.ended(ctx)
		}
	}
	// The head is asked for when all channels are open: nothing falls between.
	h, err := e.header(ctx, e.news, "header.NetworkHead", noParams, false)
	if err != nil {
		cancel(err)
		return e.ended(ctx)
	}
	f.start(follow.Update[da.Block]{Head: follow.Ref{Height: h.Height, Hash: h.hash}})
	<-ctx.Done()
	return e.ended(ctx)
}

func (e *endpoint) ended(ctx context.Context) error {
	err := context.Cause(ctx)
	e.note(ctx, err)
	return err
}

// appendNamespace returns a namespace as a parameter.
func appendNamespace(ns da.Namespace) jsonrpc.Raw { return appendBase64(nil, ns[:]) }

// start announces the present head, and then what has come since the channels opened.
func (f *feed) start(u follow.Update[da.Block]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started = true
	f.heard = time.Now()
	for _, u := range append([]follow.Update[da.Block]{u}, f.before...) {
		f.announceLocked(u)
	}
	f.before = nil
}

// announceLocked announces an update, or keeps it until the present head has been announced.
func (f *feed) announceLocked(u follow.Update[da.Block]) {
	if !f.started {
		if u.Item != nil {
			if f.early += u.Item.Size; f.early > mergeBytes { // it will be fetched (I6)
				u.Item = nil
			}
		}
		f.before = append(f.before, u)
		return
	}
	f.news.Heard(u.Head.Height, "websocket")
	f.update(u)
}

// event takes an event of the i-th namespace's channel, in that channel's goroutine.
func (f *feed) event(ctx context.Context, i int, value []byte) error {
	f.decoding.Add(1)
	defer f.decoding.Add(-1)
	e, err := decodeEvent(value)
	if err != nil {
		return err
	}
	f.e.client.count.events.Add(1)
	f.e.client.count.fibre.Add(uint64(e.passed))
	for j := range e.blobs {
		if e.blobs[j].Namespace != f.e.client.opt.Namespaces[i] {
			return fmt.Errorf("event of height %d has a blob of another namespace", e.height)
		}
	}
	if e.header != nil {
		if err := f.e.client.sameChain(e.header); err != nil {
			return err
		}
	}
	if err := f.e.client.check(&e); err != nil {
		f.e.note(ctx, fmt.Errorf("%s: blob.Subscribe: height %d: %w", f.e.name, e.height, err))
		e.blobs, e.bad = nil, true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = time.Now()
	f.settledLocked(ctx, f.merger.add(i, e, f.heard))
	if d, whole := f.merger.late(); whole {
		f.e.late.seen(d)
	}
	for j, last := range f.merger.last {
		switch {
		case last == f.merger.top():
			f.behind[j] = time.Time{}
		case j == i || f.behind[j].IsZero():
			f.behind[j] = f.heard
		}
	}
	if _, waiting := f.merger.waiting(); waiting {
		put(f.poke)
	}
	return nil
}

// put puts a token into c unless there is one.
func put(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// settledLocked announces heights, in order. One without its header, from a node that does not send headers, waits
// for announceWaiting to ask for it, and so do those behind it.
func (f *feed) settledLocked(ctx context.Context, settled []merged) {
	for i := range settled {
		m := &settled[i]
		if m.event.header != nil && len(f.waiting) == 0 && !f.asking {
			f.announceLocked(f.updateOf(ctx, m))
			continue
		}
		held := size(m.blobs)
		for j := range f.waiting {
			held += size(f.waiting[j].blobs)
		}
		if held > mergeBytes { // it will be fetched (I6)
			m.complete, m.blobs = false, nil
		}
		f.waiting = append(f.waiting, *m)
		put(f.queued)
	}
}

// announceWaiting announces what waits, and asks for the headers that are missing, until ctx ends.
func (f *feed) announceWaiting(ctx context.Context) {
	for wait(ctx, f.queued) == nil {
		f.mu.Lock()
		for len(f.waiting) > 0 {
			m := f.waiting[0]
			f.waiting = f.waiting[1:]
			if m.event.header == nil {
				f.asking = true
				f.mu.Unlock()
				h, err := f.e.header(ctx, nil, "header.GetByHeight", jsonrpc.Array(m.height), false)
				f.mu.Lock()
				f.asking = false
				if err != nil || h.Height != m.height {
					continue // the next height tells of this one too
				}
				m.event.header = &h.Header
			}
			f.announceLocked(f.updateOf(ctx, &m))
		}
		f.mu.Unlock()
	}
}

// updateOf makes an update of a height, with its block if that is complete.
func (f *feed) updateOf(ctx context.Context, m *merged) follow.Update[da.Block] {
	c := f.e.client
	u := follow.Update[da.Block]{Head: follow.Ref{Height: m.height, Hash: m.event.header.Hash()}}
	claims, err := c.claims(m.event.header, m.blobs)
	if err != nil {
		f.e.note(ctx, fmt.Errorf("%s: blob.Subscribe: height %d: %w", f.e.name, m.height, err))
	}
	if m.complete && err == nil {
		u.Item = m.item()
		u.Item.Data.Unproven = claims
		c.count.inline.Add(1)
	} else {
		c.count.incomplete.Add(1)
	}
	return u
}

// headEvent takes an event of header.Subscribe.
func (f *feed) headEvent(value []byte) error {
	h, err := decodeHead(value, false)
	if err != nil {
		return err
	}
	if err := f.e.client.sameChain(&h.Header); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard, f.merger.last[0] = time.Now(), h.Height
	m := merged{height: h.Height, event: event{height: h.Height, header: &h.Header}, complete: true}
	f.announceLocked(follow.Update[da.Block]{Head: follow.Ref{Height: h.Height, Hash: h.hash}, Item: m.item()})
	return nil
}

var (
	errStuck = errors.New("subscription is stuck")
	noParams = jsonrpc.Array()
)

func params(values ...any) jsonrpc.Raw { return jsonrpc.Array(values...) }

// grace is how long a message may take from the socket to its channel's goroutine.
const grace = 100 * time.Millisecond

// watch is the watchdog of the subscription, with one clock for its two kinds of silence, and returns why the
// subscription is of no use. A height that one namespace does not report is announced without its blobs, to be
// fetched. A namespace that falls silent while others go on is stuck, and so is a node whose head goes on without a
// word, or that does not answer. What is just coming in may be what is missing: it is waited for.
func (f *feed) watch(ctx context.Context) error {
	timer := time.NewTimer(f.e.hold())
	defer timer.Stop()
	var work sync.WaitGroup
	defer work.Wait()
	probed := make(chan error, 1) // by the probe that is under way: one at a time
	probing, suspect := false, false
	var asked time.Time // when the last probe began: a chain that makes no block is asked no more often than silence is borne
	for {
		select {
		case <-f.poke:
		case <-timer.C:
		case err := <-probed:
			if probing = false; err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		hold := f.e.hold()
		if f.receiving() {
			suspect = false
			timer.Reset(hold)
			continue
		}
		patience := f.e.patience()
		next, quiet, err := f.look(ctx, hold, patience)
		switch {
		case err != nil && suspect:
			return err
		case err != nil: // what has just been received may not have been taken yet: look twice
			suspect = true
			timer.Reset(grace)
			continue
		}
		suspect = false
		if now := time.Now(); quiet >= patience && !probing && now.Sub(asked) >= patience {
			probing, asked = true, now
			work.Go(func() { probed <- f.probe(ctx, quiet) })
		}
		timer.Reset(min(next, max(patience-time.Since(asked), grace)))
	}
}

// look does what is due, and returns when to look again and for how long nothing has come.
func (f *feed) look(ctx context.Context, hold, patience time.Duration) (next, quiet time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.settledLocked(ctx, f.merger.overdue(now, hold))
	if !f.started {
		return hold, 0, nil
	}
	for i, since := range f.behind {
		if !since.IsZero() && now.Sub(since) > max(patience, hold) {
			return 0, 0, fmt.Errorf("%s: %w: namespace %s is silent at %d while others are at %d", f.e.name, errStuck, f.e.client.opt.Namespaces[i], f.merger.last[i], f.merger.top())
		}
	}
	quiet = now.Sub(f.heard)
	if next = patience - quiet; next <= 0 {
		next = patience
	}
	if since, waiting := f.merger.waiting(); waiting {
		next = min(next, hold-now.Sub(since))
	}
	return max(next, time.Millisecond), quiet, nil
}

// probe asks a silent endpoint for its head, and returns an error if that shows the subscription to be of no use: the
// head is further, and what is there has not begun to come in for as long as a late event is waited for. A head that is
// not further is announced: that it is the same one says that its chain is slow, and the endpoint well.
func (f *feed) probe(ctx context.Context, quiet time.Duration) error {
	before := f.top()
	h, err := f.e.header(ctx, f.e.news, "header.NetworkHead", noParams, false)
	if err != nil {
		return err
	}
	if h.Height > before {
		if err := pause(ctx, f.e.hold()); err != nil {
			return err
		}
		if f.top() > before || f.receiving() {
			return nil
		}
		return fmt.Errorf("%s: %w: silent for %s at %d while the head is %d", f.e.name, errStuck, quiet.Round(time.Millisecond), before, h.Height)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.topLocked() != before {
		return nil
	}
	if h.Height < before { // the node has gone back
		f.merger = newMerger(len(f.merger.last))
		clear(f.behind)
	}
	f.announceLocked(follow.Update[da.Block]{Head: follow.Ref{Height: h.Height, Hash: h.hash}}) // of the same head again: the endpoint lives
	return nil
}

// receiving reports whether something is coming in that may be what is waited for.
func (f *feed) receiving() bool { return f.e.news.Receiving() || f.decoding.Load() > 0 }

// top returns the highest height that has been reported.
func (f *feed) top() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.topLocked()
}

func (f *feed) topLocked() uint64 { return max(f.merger.top(), f.e.health.Status().Head) }

// hold is how long a height waits for its other events.
func (e *endpoint) hold() time.Duration { return e.late.hold(e.client.opt.Hold, e.client.opt.Probe) }

// patience is how long silence is no sign of anything: a few blocks.
func (e *endpoint) patience() time.Duration { return e.health.Patience(e.client.opt.Probe) }
