package celestia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// A height whose content does not fit into one message is asked for in pieces: one namespace at a time, and a
// namespace that does not fit either by ranges of its shares, a few rows of the square each. Each row is verified
// against its root when it comes: that its shares are all it has of the namespace. What has come is kept when a try
// ends.

// pieces are what has come so far of a height.
type pieces struct {
	height uint64
	hash   follow.Hash
	done   map[da.Namespace][]da.Blob
	part   map[da.Namespace]*square.Gather
}

func newPieces(height uint64, hash follow.Hash) *pieces {
	return &pieces{height, hash, map[da.Namespace][]da.Blob{}, map[da.Namespace]*square.Gather{}}
}

// extent returns how much content a height has, as its roots have it; they need not be right for that.
func (c *Client) extent(h *head) (x extent) {
	if h.dah == nil {
		return extent{}
	}
	for _, ns := range c.opt.Namespaces {
		least, most := h.dah.Extent(ns)
		x.least, x.most = x.least+least, x.most+most
	}
	return x
}

// fits reports whether so many bytes of shares are asked for at once. At the level Prove they come as shares anyway,
// and beside the blobs: asking for blobs too only saves calls, and is for what is small.
func (c *Client) fits(shares int) bool {
	limit := c.opt.MaxMessage
	if c.opt.Level == da.Prove {
		limit /= 3
	}
	return shares/3*4+shares/32 <= limit // base64, and what is around it
}

// inPieces returns the blobs of all followed namespaces at a height, verified.
func (e *endpoint) inPieces(ctx context.Context, h *head) (blobs []da.Blob, err error) {
	c := e.client
	p := c.shelf.takePieces(h.Height, h.hash)
	defer func() {
		if err != nil {
			c.shelf.putPieces(p)
		}
	}()
	if len(p.done) == 0 && len(p.part) == 0 {
		c.opt.Logger.Info("content is too large for one message and comes in pieces", "height", h.Height, "bytes", c.extent(h).most, "source", e.name)
	}
	dah := h.dah
	if dah == nil {
		if _, dah, err = e.proofHeader(ctx, h.Height, h.hash); err != nil {
			return nil, err
		}
	}
	if err := square.VerifyDAH(dah, h.DataHash); err != nil {
		return nil, e.notProven(&h.Header, err)
	}
	for _, ns := range c.opt.Namespaces {
		if _, ok := p.done[ns]; !ok {
			if p.done[ns], err = e.piece(ctx, p, h, dah, ns); err != nil {
				delete(p.done, ns)
				return nil, err
			}
		}
		blobs = append(blobs, p.done[ns]...)
	}
	return blobs, nil
}

// piece returns the blobs of one namespace.
func (e *endpoint) piece(ctx context.Context, p *pieces, h *head, dah *square.DAH, ns da.Namespace) ([]da.Blob, error) {
	least, most := dah.Extent(ns)
	if most == 0 {
		return nil, nil
	}
	if p.part[ns] == nil && e.client.fits(least) {
		var last []da.Blob
		blobs, err := e.told(ctx, h, dah, []da.Namespace{ns}, &last)
		if !errors.Is(err, jsonrpc.ErrTooBig) {
			return blobs, err
		}
	}
	g := p.part[ns]
	if g == nil {
		g = square.NewGather(dah, ns)
		p.part[ns] = g
	}
	for {
		from, to := g.Next(pieceRows(e.client.opt.MaxMessage, g.Width()))
		if from == to {
			break
		}
		if err := e.gather(ctx, h, g, ns, from, to); err != nil {
			return nil, err
		}
	}
	delete(p.part, ns)
	e.client.count.fibre.Add(uint64(g.Passed()))
	blobs, err := g.Blobs()
	if err != nil {
		return nil, e.notProven(&h.Header, err)
	}
	return blobs, nil
}

// pieceRows returns how many rows of a square of a width are asked for at once: a small part of a message of the
// largest size, so that little is lost with it. A share is twice in an answer, as base64.
func pieceRows(message, width int) int {
	return max(message/16/(width*square.ShareSize*8/3), 1)
}

// gather asks for the shares of a namespace in rows [from, to).
func (e *endpoint) gather(ctx context.Context, h *head, g *square.Gather, ns da.Namespace, from, to int) error {
	k := g.Width()
	start, end := from*k, to*k
	first, _ := g.Alone(from)
	_, last := g.Alone(to - 1)
	if to == from+1 && !first && !last { // it may even be absent
		rows := map[da.Namespace][]square.NamespaceRow{}
		if err := e.rows(ctx, h.Height, []da.Namespace{ns}, rows); err != nil {
			return err
		}
		return e.add(h, g, rows[ns], 1)
	}
	var err error
	if !first {
		if start, err = e.boundary(ctx, h.Height, from, k, func(share da.Namespace) bool { return bytes.Compare(share[:], ns[:]) >= 0 }); err != nil {
			return err
		}
	}
	if !last {
		if end, err = e.boundary(ctx, h.Height, to-1, k, func(share da.Namespace) bool { return bytes.Compare(share[:], ns[:]) > 0 }); err != nil {
			return err
		}
	}
	if start >= end {
		return fmt.Errorf("%s: height %d: share.GetShare tells of no share of namespace %s in rows [%d, %d)", e.name, h.Height, ns, from, to)
	}
	var r square.ShareRange
	e.client.count.proofs.Add(1)
	err = e.data(ctx, h.Height, "share.GetRange", params(h.Height, start, end), func(result []byte) error { return json.Unmarshal(result, &r) })
	if err != nil {
		return err
	}
	rows, err := r.Rows()
	if err != nil {
		return e.notProven(&h.Header, err)
	}
	return e.add(h, g, rows, to-from)
}

// add adds rows, so many of them.
func (e *endpoint) add(h *head, g *square.Gather, rows []square.NamespaceRow, want int) error {
	if len(rows) != want {
		return e.notProven(&h.Header, fmt.Errorf("%d rows in the place of %d", len(rows), want))
	}
	if err := g.Add(rows); err != nil {
		return e.notProven(&h.Header, err)
	}
	return nil
}

// boundary returns the place, in a square of k*k, of a row's first share of which beyond holds, and the row's end if
// there is none. Shares are in order of their namespaces. What it is told is not proven: a wrong place shows when the
// row is verified.
func (e *endpoint) boundary(ctx context.Context, height uint64, row, k int, beyond func(da.Namespace) bool) (int, error) {
	var failed error
	column := sort.Search(k, func(column int) bool {
		var ns da.Namespace
		if failed == nil {
			e.client.count.proofs.Add(1)
			failed = e.data(ctx, height, "share.GetShare", params(height, row, column), func(result []byte) error {
				share, err := decodeBase64(result)
				if err == nil && len(share) != square.ShareSize {
					err = fmt.Errorf("share of %d bytes", len(share))
				}
				copy(ns[:], share)
				return err
			})
		}
		return beyond(ns)
	})
	return row*k + column, failed
}
