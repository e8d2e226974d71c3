package celestia

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// A fetch goes through a range in chunks: the first header of a chunk by its height, the 64 after it in one request,
// and then the content of each height whose square is not empty; a square that is empty has a data hash that says so,
// and costs no request (I7). Chunks and contents are asked for ahead of their delivery, which is in order. Three
// things bound that: how many chunks, how many requests, and the bytes of blocks that wait (I6). A block that comes
// when no bytes are left for it is dropped, and asked for again when it is its turn.
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
	again  bool // the blobs came and were forgotten
	err    error
	weight int
}

// fetch delivers the items of [from, to) from this endpoint.
func (e *endpoint) fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	f := &fetching{e: e, cancel: cancel, chunks: make(chan *chunk, maxChunks), flow: newFlow(e.client.opt.Window, e.client.opt.FetchBytes)}
	defer f.work.Wait()
	defer cancel(context.Canceled)
	defer e.begun(ctx, f)()
	f.work.Go(func() { f.plan(ctx, from, to) })
	for c := range f.chunks {
		if err := wait(ctx, c.ready); err != nil {
			return err
		}
		for i := range c.slots {
			s := &c.slots[i]
			item, err := f.item(ctx, s)
			if err != nil {
				return err
			}
			err = deliver(item)
			f.flow.delivered(s.weight)
			if err != nil {
				return err
			}
			s.blobs, s.head.dah = nil, nil
		}
		if c.err != nil {
			return c.err
		}
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	return nil
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
		for at := from; at < to; {
			c := &chunk{from: at, to: min(at+chunkLen, to), ready: make(chan struct{})}
			if room.acquire(ctx) != nil {
				return
			}
			f.work.Go(func() {
				defer close(c.ready)
				start := time.Now()
				c.slots, c.err = f.e.headers(ctx, c.from, c.to)
				room.release(time.Since(start), 0)
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
		if err := f.flow.acquire(ctx); err != nil {
			return err
		}
		f.work.Go(func() {
			defer close(s.ready)
			f.content(ctx, s)
		})
	}
	return nil
}

func (f *fetching) content(ctx context.Context, s *slot) {
	start := time.Now()
	s.blobs, s.err = f.e.verified(ctx, s)
	s.weight = size(s.blobs)
	if !f.flow.release(time.Since(start), s.weight) && s.err == nil {
		s.blobs, s.again, s.weight = nil, true, 0
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
	blobs, err := e.contents(ctx, s.head.Height)
	if err == nil {
		err = e.prove(ctx, &s.head.Header, s.head.dah, blobs)
	}
	if errors.Is(err, da.ErrNotProven) {
		return e.provenBlobs(ctx, &s.head.Header)
	}
	if err != nil {
		return nil, err
	}
	return blobs, nil
}

// contents returns the blobs of all followed namespaces at a height.
func (e *endpoint) contents(ctx context.Context, height uint64) ([]da.Blob, error) {
	params := jsonrpc.Array(height)
	params[len(params)-1] = ','
	namespaces := e.client.opt.Namespaces
	for i, ns := range namespaces {
		params = appendBase64(append(params, "[,"[min(i, 1)]), ns[:])
	}
	params = append(params, ']', ']')
	var blobs []da.Blob
	e.client.count.contents.Add(1)
	err := e.call(ctx, "blob.GetAll", params, func(result []byte) (err error) {
		blobs, err = decodeBlobs(result)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("height %d: %w", height, err)
	}
	order := -1
	for i := range blobs { // grouped in the order of the namespaces asked for
		at := -1
		for j, ns := range namespaces {
			if ns == blobs[i].Namespace {
				at = j
			}
		}
		if at < order || at < 0 {
			return nil, fmt.Errorf("%s: blob.GetAll of height %d: namespaces not asked for, or not in that order", e.name, height)
		}
		order = at
	}
	return blobs, nil
}
