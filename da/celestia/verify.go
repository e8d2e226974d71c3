package celestia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/square"
)

// What an endpoint tells of a height is verified at the level of Options.Verify, see da.Level. A fetch delivers nothing that is not. Of what is
// pushed, a height that its header alone does not settle is verified before it is told, which costs no content call but its time; with
// Options.Ahead it is told at once, and whoever applies it calls Prove.

// Prove verifies, at the level of Options.Verify, that an item told by Subscribe or Fetch is all that the followed namespaces have at its height. An
// error that matches da.ErrNotProven says that it is not: what the endpoint told is false, and a Fetch of the height does better. Any other error
// says that it cannot be decided now. What this client has proven before costs nothing.
func (c *Client) Prove(ctx context.Context, item *follow.Item[da.Block]) error {
	if c.opt.Verify == da.Trust || len(c.opt.Namespaces) == 0 || c.proven.has(item.Ref()) {
		return nil
	}
	var errs []error
	for _, e := range c.ranked() {
		h, dah, err := e.proofHeader(ctx, item.Height, item.Hash)
		if err == nil {
			err = e.prove(ctx, &h, dah, item.Data.Blobs)
		}
		if err == nil || errors.Is(err, da.ErrNotProven) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
	}
	return fetchError(item.Height, errs)
}

// proofHeader asks for a header with its roots. It must be the one with the given hash.
func (e *endpoint) proofHeader(ctx context.Context, height uint64, hash follow.Hash) (h square.Header, dah *square.DAH, err error) {
	e.client.count.proofs.Add(1)
	dah = &square.DAH{}
	err = e.call(ctx, "header.GetByHeight", params(height), func(result []byte) (err error) {
		h, *dah, err = square.ScanHeader(result, true)
		return err
	})
	if got := follow.Hash(h.Hash()); err == nil && got != hash {
		err = fmt.Errorf("%s: header %d is %s, not %s", e.name, height, got, hash)
	}
	return h, dah, err
}

// prove verifies what was told of a height. The header is trusted; roots, if there are any, are not.
func (e *endpoint) prove(ctx context.Context, h *square.Header, dah *square.DAH, blobs []da.Blob) error {
	c := e.client
	if c.opt.Verify == da.Trust {
		return nil
	}
	if c.opt.Verify == da.ProveEmpty { // at the other level the shares themselves are compared
		if err := square.CheckCommitments(blobs); err != nil {
			return e.false(h, err)
		}
	}
	ev := square.Evidence{DataHash: h.DataHash, DAH: dah, Rows: map[da.Namespace][]square.NamespaceRow{}}
	for range 3 { // each turn brings what the one before has missed: the roots, then the rows
		need, err := square.VerifyBlobs(c.opt.Verify, &ev, c.opt.Namespaces, blobs)
		switch {
		case err != nil:
			return e.false(h, err)
		case need.Nothing():
			c.proven.add(follow.Ref{Height: h.Height, Hash: h.Hash()})
			return nil
		case need.DAH:
			if _, ev.DAH, err = e.proofHeader(ctx, h.Height, h.Hash()); err != nil {
				return err
			}
		}
		if err := e.rows(ctx, h.Height, need.Namespaces, ev.Rows); err != nil {
			return err
		}
	}
	return fmt.Errorf("height %d: verification asks for more and more", h.Height)
}

// false returns the error of something told that is not so, and notes it: it is no small matter.
func (e *endpoint) false(h *square.Header, err error) error {
	err = fmt.Errorf("%s: height %d: %w: %w", e.name, h.Height, da.ErrNotProven, err)
	e.note(context.Background(), err)
	return err
}

// rows asks for the data of namespaces with their proofs, side by side.
func (e *endpoint) rows(ctx context.Context, height uint64, namespaces []da.Namespace, into map[da.Namespace][]square.NamespaceRow) error {
	var mu sync.Mutex
	var work sync.WaitGroup
	var failed error
	for _, ns := range namespaces {
		work.Go(func() {
			var rows []square.NamespaceRow
			e.client.count.proofs.Add(1)
			err := e.call(ctx, "share.GetNamespaceData", params(height, appendNamespace(ns)), func(result []byte) error {
				return json.Unmarshal(result, &rows)
			})
			mu.Lock()
			defer mu.Unlock()
			into[ns] = rows
			if err != nil {
				failed = err
			}
		})
	}
	work.Wait()
	return failed
}

// check checks what can be checked of an event alone.
func (c *Client) check(e *event) error {
	if c.opt.Verify != da.ProveEmpty { // at Prove the shares are compared
		return nil
	}
	if err := square.CheckCommitments(e.blobs); err != nil {
		return fmt.Errorf("%w: %w", da.ErrNotProven, err)
	}
	return nil
}

// settled reports whether the header alone proves what was told, at the client's level.
func (c *Client) settled(h *square.Header, blobs []da.Blob) bool {
	if c.opt.Verify == da.Trust {
		return true
	}
	if square.AbsentByHash(h.DataHash) {
		return len(blobs) == 0
	}
	if c.opt.Verify == da.Prove {
		return false
	}
	told := map[da.Namespace]bool{}
	for i := range blobs {
		told[blobs[i].Namespace] = true
	}
	return len(told) == len(c.opt.Namespaces)
}

// remembered are the last heights that were proven.
type remembered struct {
	mu   sync.Mutex
	refs map[uint64]follow.Hash
	ring []uint64 // the heights in refs, in the order they were proven
	next int
}

const rememberedLen = 4096

func (r *remembered) add(ref follow.Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refs == nil {
		r.refs, r.ring = map[uint64]follow.Hash{}, make([]uint64, rememberedLen)
	}
	if _, ok := r.refs[ref.Height]; !ok {
		delete(r.refs, r.ring[r.next])
		r.ring[r.next] = ref.Height
		r.next = (r.next + 1) % rememberedLen
	}
	r.refs[ref.Height] = ref.Hash
}

func (r *remembered) has(ref follow.Ref) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	hash, ok := r.refs[ref.Height]
	return ok && hash == ref.Hash
}

// pushed is what a feed tells, in order, once it is verified: those that need a proof wait for it, and those behind them too. It is nearly
// always empty.
type pushed struct {
	updates chan verifying // sent to by the feed's channels, with its mu held
}

type verifying struct {
	update follow.Update[da.Block]
	header *square.Header // to be verified against; nil if there is nothing to verify
}

// pushedLen bounds what waits; beyond, heights are told without their blocks.
const pushedLen = 64

// deliver tells what has been verified, until ctx ends.
func (f *feed) deliver(ctx context.Context) {
	for {
		var v verifying
		select {
		case v = <-f.pushed.updates:
		case <-ctx.Done():
			return
		}
		if v.header != nil {
			proving, cancel := context.WithTimeout(ctx, f.e.client.opt.CallTimeout)
			err := f.e.prove(proving, v.header, nil, v.update.Item.Data.Blobs)
			cancel()
			if err != nil { // it will be fetched, perhaps elsewhere
				f.e.client.opt.Logger.Debug("pushed block not proven", "height", v.update.Head.Height, "err", err)
				v.update.Item = nil
				f.e.client.count.incomplete.Add(1)
			}
		}
		f.mu.Lock()
		f.waiting--
		f.emitLocked(v.update)
		f.mu.Unlock()
	}
}

// tellLocked tells an update, at once if nothing is to be verified, and nothing waits that is.
func (f *feed) tellLocked(u follow.Update[da.Block], h *square.Header) {
	if u.Item != nil && h != nil && !f.e.client.opt.Ahead && !f.e.client.settled(h, u.Item.Data.Blobs) {
		if f.waiting < pushedLen {
			f.waiting++
			f.pushed.updates <- verifying{u, h} // has room
			return
		}
		u.Item = nil
	}
	if f.waiting > 0 && f.waiting < pushedLen {
		f.waiting++
		f.pushed.updates <- verifying{update: u}
		return
	}
	f.emitLocked(u)
}
