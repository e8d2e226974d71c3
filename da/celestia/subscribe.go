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
	update func(follow.Update[da.Block])
	poke   chan struct{} // buffered: there is something for the watchdog to look at

	decoding atomic.Int64 // events being decoded

	mu      sync.Mutex // guards the rest, and is held during update: one at a time
	merger  *merger
	started bool
	before  []follow.Update[da.Block] // came before the present head was known
	seen    []time.Time               // per namespace, when its last event came
	pace    time.Duration             // about the time between two heights
	top     uint64                    // the highest height that any namespace has reported
	topAt   time.Time                 // when it did
}

// subscribe runs one subscription over WebSocket until it ends.
func (e *endpoint) subscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	ctx, cancel := context.WithCancelCause(ctx)
	namespaces := e.client.opt.Namespaces
	f := &feed{e: e, update: update, poke: make(chan struct{}, 1), merger: newMerger(len(namespaces)), seen: make([]time.Time, len(namespaces))}
	var work sync.WaitGroup
	defer e.silent()
	defer work.Wait()
	defer cancel(nil)

	opened := make(chan struct{}, max(1, len(namespaces)))
	for i, ns := range namespaces {
		work.Go(func() {
			err := e.news.Subscribe(ctx, "blob.Subscribe", jsonrpc.Array(appendNamespace(ns)), func() {
				e.client.count.subscriptions.Add(1)
				opened <- struct{}{}
			}, func(value []byte) error { return f.event(ctx, i, value) })
			cancel(fmt.Errorf("%s: blob.Subscribe: %w", e.name, classify(err)))
		})
	}
	if len(namespaces) == 0 { // nothing but the head is of interest
		work.Go(func() {
			err := e.news.Subscribe(ctx, "header.Subscribe", noParams, func() { opened <- struct{}{} }, func(value []byte) error { return f.headEvent(value) })
			cancel(fmt.Errorf("%s: header.Subscribe: %w", e.name, classify(err)))
		})
	}
	work.Go(func() { f.watch(ctx) })
	work.Go(func() { cancel(f.probe(ctx)) })
	for range max(1, len(namespaces)) {
		select {
		case <-opened:
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

// start tells the present head, and then what has come since the channels opened.
func (f *feed) start(u follow.Update[da.Block]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started = true
	now := time.Now()
	f.top, f.topAt = max(f.top, u.Head.Height), now
	for i := range f.seen {
		f.seen[i] = now
	}
	f.e.heard(u.Head.Height, "websocket")
	f.update(u)
	for _, u := range f.before {
		f.tellLocked(u)
	}
	f.before = nil
}

// tellLocked tells an update, or keeps it until the present head has been told.
func (f *feed) tellLocked(u follow.Update[da.Block]) {
	if !f.started {
		f.before = append(f.before, u)
		return
	}
	f.e.heard(u.Head.Height, "websocket")
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
	now := time.Now()
	f.progress(i, e.height, now)
	settled := f.merger.add(i, e, now)
	for n := range settled {
		f.settledLocked(ctx, &settled[n])
	}
	if _, waiting := f.merger.waiting(); waiting {
		select {
		case f.poke <- struct{}{}:
		default:
		}
	}
	return nil
}

// progress notes when an event came. The caller holds f.mu.
func (f *feed) progress(i int, height uint64, now time.Time) {
	if i < len(f.seen) {
		f.seen[i] = now
	}
	if height <= f.top {
		return
	}
	if !f.topAt.IsZero() && f.top != 0 {
		f.pace = (3*f.pace + now.Sub(f.topAt)/time.Duration(height-f.top)) / 4
	}
	f.top, f.topAt = height, now
}

// settledLocked tells of a height. From a node that does not send headers, it asks for one.
func (f *feed) settledLocked(ctx context.Context, m *merged) {
	c := f.e.client
	if m.event.header == nil {
		h, err := f.e.header(ctx, nil, "header.GetByHeight", jsonrpc.Array(m.height), false)
		if err != nil || h.Height != m.height {
			return // the next height tells of this one too
		}
		m.event.header = &h.Header
	}
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
	f.tellLocked(u)
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
	f.progress(0, h.Height, time.Now())
	m := merged{height: h.Height, event: event{height: h.Height, header: &h.Header}, complete: true}
	f.tellLocked(follow.Update[da.Block]{Head: follow.Ref{Height: h.Height, Hash: h.hash}, Item: m.item()})
	return nil
}

// watch is the watchdog of the namespaces: a height that one of them does not report is told without its blobs, to be fetched.
func (f *feed) watch(ctx context.Context) {
	hold := f.e.client.opt.Hold
	timer := time.NewTimer(hold)
	defer timer.Stop()
	for {
		select {
		case <-f.poke:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		f.mu.Lock()
		if f.e.news.Receiving() || f.decoding.Load() > 0 { // what is missing may be just that
			f.mu.Unlock()
			timer.Reset(hold)
			continue
		}
		overdue := f.merger.overdue(time.Now(), hold)
		for n := range overdue {
			f.settledLocked(ctx, &overdue[n])
		}
		since, waiting := f.merger.waiting()
		f.mu.Unlock()
		if waiting {
			timer.Reset(max(hold-time.Since(since), time.Millisecond))
		}
	}
}

var (
	errStuck = errors.New("subscription is stuck")
	noParams = jsonrpc.Array()
)

func params(values ...any) jsonrpc.Raw { return jsonrpc.Array(values...) }

// probe is the watchdog of the subscription. Silence is not "no blocks": a namespace that falls silent while others go on, and a node whose head
// goes on without a word, are stuck, and so is a socket that does not answer. It returns why the subscription is of no use.
func (f *feed) probe(ctx context.Context) error {
	timer := time.NewTimer(f.patience())
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		patience := f.patience()
		timer.Reset(patience)
		f.mu.Lock()
		started, top, quiet := f.started, f.top, time.Since(f.topAt)
		err := f.skewed(patience)
		f.mu.Unlock()
		switch {
		case err != nil:
			return err
		case !started, quiet < patience, f.e.news.Receiving(), f.decoding.Load() > 0:
			continue
		}
		h, err := f.e.header(ctx, f.e.news, "header.NetworkHead", noParams, false)
		if err != nil {
			return err
		}
		f.mu.Lock()
		moved := f.top != top
		if !moved && h.Height < top { // the node has gone back
			f.top, f.topAt = h.Height, time.Now()
			f.merger = newMerger(len(f.merger.last))
			f.tellLocked(follow.Update[da.Block]{Head: follow.Ref{Height: h.Height, Hash: h.hash}})
		}
		f.mu.Unlock()
		if !moved && h.Height > top {
			return fmt.Errorf("%s: %w: silent for %s at %d while the head is %d", f.e.name, errStuck, quiet.Round(time.Millisecond), top, h.Height)
		}
	}
}

// skewed reports a namespace that has reported nothing while another went on. The caller holds f.mu.
func (f *feed) skewed(patience time.Duration) error {
	for i, last := range f.merger.last {
		if f.started && last < f.top && f.topAt.Sub(f.seen[i]) > patience {
			return fmt.Errorf("%s: %w: namespace %s is silent at %d while others are at %d", f.e.name, errStuck, f.e.client.opt.Namespaces[i], last, f.top)
		}
	}
	return nil
}

// patience is how long silence is no sign of anything: a few blocks.
func (f *feed) patience() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pace == 0 {
		return f.e.client.opt.Probe
	}
	return min(max(3*f.pace, 500*time.Millisecond), f.e.client.opt.Probe)
}
