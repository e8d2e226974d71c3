package celestia

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/jsonrpc"
)

// A local-da, ev-node's DA layer for development, has heights and blobs and nothing that commits to them: its headers
// are empty, and there are no ranges of them and no shares. So what it holds at a height is asked for each time, and
// stands in for the hash of a header: a height that has changed is noticed, by whoever remembers it. Its events are
// hints that there is something to ask for.

// Unverified is what is to be known of a local-da, in the words of everybody who names one.
const Unverified = "not verified, development only"

// localProbe is how often a local-da is asked for its head when nothing hints at a new one: it has no rhythm, so nothing
// else tells whether it is there.
const localProbe = 500 * time.Millisecond

// parseHeight reads a height.
func parseHeight(text []byte) (uint64, error) {
	height, err := strconv.ParseUint(string(text), 10, 64)
	if err == nil && height > follow.MaxHeight {
		err = fmt.Errorf("%d is no height", height)
	}
	return height, err
}

// localHeight reads the height in a local-da's answer to a question for a head: at the top level, beside a header that
// has none.
func localHeight(answer []byte) (height uint64, err error) {
	found := false
	h, err := decodeHead(answer, false)
	if err == nil {
		return 0, fmt.Errorf("it has header %d, as a celestia-node has, and no local-da: set da.kind to celestia", h.Height)
	}
	scan := jsonrpc.ScanObject(answer, func(key, value []byte) {
		if string(key) == "height" {
			if n := len(value); n > 1 && value[0] == '"' {
				value = value[1 : n-1]
			}
			height, err = parseHeight(value)
			found = true
		}
	})
	switch {
	case scan != nil:
		return 0, scan
	case !found:
		return 0, errors.New("head without a height")
	}
	return height, err
}

// localHead asks for the height of the newest submission; 0: there is none yet.
func (e *endpoint) localHead(ctx context.Context) (height uint64, err error) {
	e.client.count.headers.Add(1)
	err = e.call(ctx, "header.NetworkHead", noParams, func(result []byte) error {
		height, err = localHeight(result)
		return err
	})
	return height, err
}

// localBlobs asks for the blobs of the followed namespaces at a height, one namespace at a time: that one has none may be
// answered with an error. The hash is that of the height with all that they hold; zero for height 0, where nothing is.
func (e *endpoint) localBlobs(ctx context.Context, height uint64) (blobs []da.Blob, hash follow.Hash, err error) {
	if height == 0 {
		return nil, hash, nil
	}
	sum := sha256.New()
	sum.Write(binary.BigEndian.AppendUint64([]byte("local-da"), height))
	for _, ns := range e.client.opt.Namespaces {
		found, err := e.contents(ctx, height, []da.Namespace{ns})
		if err != nil && !errors.Is(err, da.ErrNotFound) {
			return nil, hash, err
		}
		digest := da.Digest(found)
		sum.Write(ns[:])
		sum.Write(digest[:])
		blobs = append(blobs, found...)
	}
	for i := range blobs {
		blobs[i].Index = i // its own are all the same
	}
	sum.Sum(hash[:0])
	return blobs, hash, nil
}

// localFetch delivers the items of [from, to). The item before is asked for too: what it holds now is the first one's
// parent.
func (e *endpoint) localFetch(ctx context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	head, err := e.localHead(ctx)
	if err != nil {
		return err
	}
	if head < from {
		return fmt.Errorf("%s: height %d: %w: its head is %d", e.name, from, da.ErrFuture, head)
	}
	_, parent, err := e.localBlobs(ctx, from-1)
	for height := from; err == nil && height < min(to, head+1); height++ {
		var item follow.Item[da.Block]
		if item, err = e.localItem(ctx, height, parent); err == nil {
			parent = item.Hash
			err = deliver(item)
		}
	}
	if err == nil && head+1 < to {
		err = fmt.Errorf("%s: height %d: %w: its head is %d", e.name, head+1, da.ErrFuture, head)
	}
	return err
}

func (e *endpoint) localItem(ctx context.Context, height uint64, parent follow.Hash) (follow.Item[da.Block], error) {
	blobs, hash, err := e.localBlobs(ctx, height)
	item := follow.Item[da.Block]{Height: height, Hash: hash, Parent: parent, Data: da.Block{Height: height, Blobs: blobs}}
	item.Size = item.Data.Size()
	return item, err
}

// localSubscribe tells news by WebSocket: each event hints at a new head.
func (e *endpoint) localSubscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	ctx, cancel := context.WithCancelCause(ctx)
	hint := make(chan struct{}, 1)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel(nil)
	opened := make(chan struct{}, len(e.client.opt.Namespaces))
	for _, ns := range e.client.opt.Namespaces {
		work.Go(func() {
			err := e.news.Subscribe(ctx, "blob.Subscribe", jsonrpc.Array(appendNamespace(ns)), func() { opened <- struct{}{} }, func([]byte) error {
				e.client.count.events.Add(1)
				put(hint)
				return nil
			})
			cancel(fmt.Errorf("%s: blob.Subscribe: %w", e.name, classify(err)))
		})
	}
	for range e.client.opt.Namespaces {
		select {
		case <-opened:
			e.client.count.subscriptions.Add(1)
		case <-ctx.Done():
			return e.ended(ctx)
		}
	}
	return e.localNews(ctx, "websocket", hint, update)
}

// localPoll tells news over HTTP.
func (e *endpoint) localPoll(ctx context.Context, update func(follow.Update[da.Block])) error {
	return e.localNews(ctx, "polling", nil, update)
}

// localNews announces the head, with what it holds if it is a new one, at each hint and each localProbe. The same head is
// announced again and again, with the hash of what is there now: that says that the endpoint lives, and shows if that
// has changed.
func (e *endpoint) localNews(ctx context.Context, mode string, hint <-chan struct{}, update func(follow.Update[da.Block])) (err error) {
	news := e.health.Listen()
	defer func() { news.Silent(err) }()
	timer := time.NewTimer(localProbe)
	defer timer.Stop()
	for last := uint64(0); ; {
		u, err := e.localUpdate(ctx, last)
		if ctx.Err() != nil {
			return e.ended(ctx)
		}
		if err != nil {
			return err
		}
		last = u.Head.Height
		news.Heard(last, mode)
		update(u)
		timer.Reset(localProbe)
		select {
		case <-hint:
		case <-timer.C:
		case <-ctx.Done():
			return e.ended(ctx)
		}
	}
}

func (e *endpoint) localUpdate(ctx context.Context, last uint64) (u follow.Update[da.Block], err error) {
	if u.Head.Height, err = e.localHead(ctx); err != nil {
		return u, err
	}
	if u.Head.Height <= last || u.Head.Height == 0 {
		_, u.Head.Hash, err = e.localBlobs(ctx, u.Head.Height)
		return u, err
	}
	_, parent, err := e.localBlobs(ctx, u.Head.Height-1)
	if err != nil {
		return u, err
	}
	item, err := e.localItem(ctx, u.Head.Height, parent)
	if err != nil {
		return u, err
	}
	e.client.count.inline.Add(1)
	u.Head, u.Item = item.Ref(), &item
	return u, nil
}
