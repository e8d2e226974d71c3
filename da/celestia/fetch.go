package celestia

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// A fetch goes through a range in chunks: the first header of a chunk by its height, the 64 after it in one request,
// and then the content of each height whose square is not empty; a square that is empty has a data hash that says so,
// and costs no request (I7). Chunks and contents are asked for ahead of their delivery, which is in order. Four
// things bound that: how many chunks, how many requests, the bytes of their answers, and the bytes of blocks that wait
// (I6). A block that comes when no bytes are left for it is dropped, and asked for again when it is its turn.
//
// What was verified and not delivered when a fetch ends is kept for the next one (see shelf). One that begins at the
// height at which the last one failed asks for that height alone first.
const (
	chunkLen  = maxRange + 1
	maxChunks = 64
)

// fetching is one range being fetched from one endpoint. Fetch's own goroutine delivers, one asks for chunks and
// contents in order of height, and one per request waits for its answer; run waits for all of them.
type fetching struct {
	e      *endpoint
	cancel context.CancelCauseFunc
	work   sync.WaitGroup
	chunks chan *chunk // in order; sent to, and closed, by plan
	flow   *flow
	left   []leftover // by earlier tries, of heights that plan has not come to; owned by plan
}

// chunk is up to 65 heights.
type chunk struct {
	from, to uint64
	ready    chan struct{} // closed when slots are there, or err
	slots    []slot
	err      error
}

// slot is one height. Before ready is closed it belongs to the goroutine that asks for its content.
type slot struct {
	head   head
	ready  chan struct{} // closed when blobs are there, or err; nil for a height that is empty
	blobs  []da.Blob
	again  bool      // the blobs came and were forgotten
	got    bool      // the blobs are there, and not delivered
	told   []da.Blob // what the endpoint has told, not yet proven
	err    error
	weight int
}

// fetch delivers the items of [from, to) from this endpoint.
func (e *endpoint) fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	if to-from > 1 && e.client.shelf.isStuck(from) {
		if err := e.fetchRange(ctx, from, from+1, deliver); err != nil {
			return err
		}
		from++
	}
	return e.fetchRange(ctx, from, to, deliver)
}

func (e *endpoint) fetchRange(ctx context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	f := &fetching{e: e, cancel: cancel, chunks: make(chan *chunk, maxChunks), flow: newFlow(e.client.opt.Window, e.client.opt.FetchBytes)}
	defer e.begun(ctx, f)()
	f.left = e.client.shelf.take(from)
	for _, l := range f.left {
		f.flow.hold(l.size)
	}
	f.work.Go(func() { f.plan(ctx, from, to) })
	var at *chunk
	next := from
	verdict, err := f.run(ctx, &at, func(item follow.Item[da.Block]) error {
		err := deliver(item)
		if err == nil {
			next = item.Height + 1
			e.client.shelf.passed(item.Height)
		}
		return err
	})
	cancel(context.Canceled)
	f.work.Wait()
	f.leave(at)
	if verdict == nil && err != nil && !errors.Is(err, da.ErrFuture) {
		e.client.shelf.failed(next)
	}
	if verdict != nil {
		return verdict
	}
	return err
}

// run delivers, and returns deliver's error or its own. at is the chunk that it is at.
func (f *fetching) run(ctx context.Context, at **chunk, deliver func(follow.Item[da.Block]) error) (verdict, err error) {
	for c := range f.chunks {
		*at = c
		if err := wait(ctx, c.ready); err != nil {
			return nil, err
		}
		for i := range c.slots {
			s := &c.slots[i]
			item, err := f.item(ctx, s)
			if err != nil {
				return nil, err
			}
			if verdict := deliver(item); verdict != nil {
				return verdict, nil
			}
			f.flow.delivered(s.weight)
			s.blobs, s.head.dah, s.got = nil, nil, false
		}
		if c.err != nil {
			return nil, c.err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return nil, nil
}

// leave keeps for the next try what has come and was not delivered. at is the chunk that delivery was at; everything
// else has ended.
func (f *fetching) leave(at *chunk) {
	left := f.left
	keep := func(c *chunk) {
		for i := range c.slots {
			switch s := &c.slots[i]; {
			case s.got:
				left = append(left, leftover{s.head.Height, s.head.hash, s.blobs, s.weight, nil})
			case len(s.told) > 0:
				left = append(left, leftover{s.head.Height, s.head.hash, s.told, size(s.told), f.e})
			}
		}
	}
	if at != nil {
		keep(at)
	}
	for c := range f.chunks {
		keep(c)
	}
	f.e.client.shelf.put(left)
}

// take returns what earlier tries have left of a height. What they have left of those before it is of another fork.
func (f *fetching) take(h *head) (leftover, bool) {
	for len(f.left) > 0 && f.left[0].height <= h.Height {
		l := f.left[0]
		f.left = f.left[1:]
		f.flow.reached(l.size)
		if l.height == h.Height && l.hash == h.hash {
			return l, true
		}
		f.flow.delivered(l.size)
	}
	return leftover{}, false
}

func wait(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// item waits for the content of a height.
func (f *fetching) item(ctx context.Context, s *slot) (follow.Item[da.Block], error) {
	h := &s.head
	item := follow.Item[da.Block]{Height: h.Height, Hash: h.hash, Parent: h.Parent(), Data: da.Block{Height: h.Height, Time: h.Time}}
	if s.ready != nil {
		if err := wait(ctx, s.ready); err != nil {
			return item, err
		}
		if s.err == nil && s.again {
			s.blobs, s.err = f.e.verified(ctx, s)
		}
		if s.err != nil {
			return item, s.err
		}
		item.Data.Blobs = s.blobs
	}
	item.Size = item.Data.Size()
	return item, nil
}

// plan asks for chunks, a few ahead, and for the contents of each in order of height.
func (f *fetching) plan(ctx context.Context, from, to uint64) {
	defer close(f.chunks)
	ahead := make(chan *chunk, maxChunks)
	f.work.Go(func() {
		defer close(ahead)
		room := newFlow(maxChunks, 0)
		room.usual = 512 << 10 // until the first answer tells
		for at := from; at < to; {
			c := &chunk{from: at, to: min(at+chunkLen, to), ready: make(chan struct{})}
			expected, err := room.acquire(ctx, extent{})
			if err != nil {
				return
			}
			f.work.Go(func() {
				defer close(c.ready)
				start := time.Now()
				c.slots, c.err = f.e.headers(ctx, c.from, c.to)
				size := 0
				for i := range c.slots {
					size += c.slots[i].head.size
				}
				room.release(time.Since(start), extent{}, expected, size)
			})
			select {
			case ahead <- c:
			case <-ctx.Done():
				return
			}
			at = c.to
		}
	})
	for c := range ahead {
		if wait(ctx, c.ready) != nil {
			return
		}
		for i := range c.slots {
			if s := &c.slots[i]; len(f.e.client.opt.Namespaces) > 0 && !square.AbsentByHash(s.head.DataHash) {
				s.ready = make(chan struct{})
			}
		}
		select {
		case f.chunks <- c:
		case <-ctx.Done():
			return
		}
		if f.ask(ctx, c) != nil || c.err != nil {
			return
		}
	}
}

// ask asks for the contents of a chunk, as fast as flow allows.
func (f *fetching) ask(ctx context.Context, c *chunk) error {
	for i := range c.slots {
		s := &c.slots[i]
		if s.ready == nil {
			continue
		}
		switch l, ok := f.take(&s.head); {
		case ok && l.unproven == nil:
			s.blobs, s.weight, s.got = l.blobs, l.size, true
			close(s.ready)
			continue
		case ok:
			f.flow.delivered(l.size)
			if l.unproven == f.e { // another endpoint's word is not held against this one
				s.told = l.blobs
			}
		}
		extent := f.e.client.extent(&s.head)
		expected, err := f.flow.acquire(ctx, extent)
		if err != nil {
			return err
		}
		f.work.Go(func() {
			defer close(s.ready)
			f.content(ctx, s, extent, expected)
		})
	}
	return nil
}

func (f *fetching) content(ctx context.Context, s *slot, x extent, expected int) {
	start := time.Now()
	s.blobs, s.err = f.e.verified(ctx, s)
	s.weight = size(s.blobs)
	if !f.flow.release(time.Since(start), x, expected, s.weight) && s.err == nil {
		s.blobs, s.again, s.weight = nil, true, 0
	}
	if s.got = s.err == nil && !s.again; s.err == nil {
		s.told = nil
	}
}

// headers returns slots for the heights of [from, to), at most 65, with an error if there are fewer.
func (e *endpoint) headers(ctx context.Context, from, to uint64) ([]slot, error) {
	first, err := e.header(ctx, nil, "header.GetByHeight", jsonrpc.Array(from), true)
	if err != nil {
		return nil, err
	}
	if first.Height != from {
		return nil, fmt.Errorf("%s: asked for header %d, got %d", e.name, from, first.Height)
	}
	raw := first.raw
	first.raw = nil
	slots := append(make([]slot, 0, to-from), slot{head: first})
	if to == from+1 {
		return slots, nil
	}
	e.client.count.headers.Add(1)
	err = e.call(ctx, "header.GetRangeByHeight", jsonrpc.Array(jsonrpc.Raw(raw), to), func(result []byte) error {
		return jsonrpc.ScanArray(result, func(value []byte) error {
			h, err := decodeHead(value, e.client.opt.Level != da.Trust)
			if err != nil {
				return err
			}
			if want := from + uint64(len(slots)); h.Height != want || want >= to {
				return fmt.Errorf("headers of [%d, %d): got %d in the place of %d", from+1, to, h.Height, want)
			}
			if err := e.client.sameChain(&h.Header); err != nil {
				return err
			}
			h.size = len(value)
			slots = append(slots, slot{head: h})
			return nil
		})
	})
	if err == nil && uint64(len(slots)) < to-from {
		err = fmt.Errorf("%s: headers of [%d, %d): %w after %d", e.name, from+1, to, da.ErrFuture, from+uint64(len(slots))-1)
	}
	return slots, err
}

// verified returns the blobs at a height, verified at the client's level (I7).
func (e *endpoint) verified(ctx context.Context, s *slot) ([]da.Blob, error) {
	if !e.client.fits(e.client.extent(&s.head).least) {
		return e.inPieces(ctx, &s.head)
	}
	blobs, err := e.told(ctx, &s.head, s.head.dah, e.client.opt.Namespaces, &s.told)
	if errors.Is(err, jsonrpc.ErrTooBig) {
		return e.inPieces(ctx, &s.head)
	}
	return blobs, err
}

// told returns the blobs of namespaces at a height, asked for as such and verified, or read from their shares if what
// was told is not so. What has been told is in last, if it is not proven yet.
func (e *endpoint) told(ctx context.Context, h *head, dah *square.DAH, namespaces []da.Namespace, last *[]da.Blob) (blobs []da.Blob, err error) {
	if blobs = *last; len(blobs) == 0 {
		blobs, err = e.contents(ctx, h.Height, namespaces)
	}
	if err == nil {
		*last = blobs
		err = e.prove(ctx, &h.Header, dah, namespaces, blobs)
	}
	if errors.Is(err, da.ErrNotProven) {
		*last = nil
		return e.provenBlobs(ctx, &h.Header, namespaces)
	}
	if err != nil {
		return nil, err
	}
	return blobs, nil
}

// contents returns the blobs of namespaces at a height.
func (e *endpoint) contents(ctx context.Context, height uint64, namespaces []da.Namespace) ([]da.Blob, error) {
	params := jsonrpc.Array(height)
	params[len(params)-1] = ','
	for i, ns := range namespaces {
		params = appendBase64(append(params, "[,"[min(i, 1)]), ns[:])
	}
	params = append(params, ']', ']')
	var blobs []da.Blob
	e.client.count.contents.Add(1)
	err := e.data(ctx, height, "blob.GetAll", params, func(result []byte) (err error) {
		var passed int
		blobs, passed, err = decodeBlobs(result)
		e.client.count.fibre.Add(uint64(passed))
		return err
	})
	if err != nil {
		return nil, err
	}
	order := -1
	for i := range blobs { // grouped in the order of the namespaces asked for
		at := slices.Index(namespaces, blobs[i].Namespace)
		if at < order || at < 0 {
			return nil, fmt.Errorf("%s: blob.GetAll of height %d: namespaces not asked for, or not in that order", e.name, height)
		}
		order = at
	}
	return blobs, nil
}
