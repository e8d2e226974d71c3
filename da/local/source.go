package local

import (
	"context"
	"fmt"

	"headrace/da"
	"headrace/follow"
)

// Source returns what is posted to the given namespaces as a source to follow, without sockets.
func (c *Chain) Source(namespaces ...da.Namespace) follow.Source[da.Block] {
	return &source{c, namespaces}
}

type source struct {
	chain      *Chain
	namespaces []da.Namespace
}

// Subscribe gives each new head with its complete block. Of a head that comes while update runs, and is not the next, only the newest is given.
func (s *source) Subscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	last := uint64(0)
	for {
		head, err := s.chain.head.Wait(ctx, func(h Head) bool { return h.Height > last })
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		u := follow.Update[da.Block]{Head: head.Ref()}
		if item, err := s.item(head.Height); err == nil { // else it is pruned already: the news stands
			u.Item = &item
		}
		update(u)
		last = head.Height
	}
}

// Fetch gives the blocks of [from, to).
func (s *source) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	for h := from; h < to; h++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if h > s.chain.head.Load().Height {
			return follow.ErrNotYet
		}
		item, err := s.item(h)
		if err != nil {
			return fmt.Errorf("fetch height %d: %w", h, err)
		}
		if err := deliver(item); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) item(height uint64) (follow.Item[da.Block], error) {
	var item follow.Item[da.Block]
	if err := s.chain.within(height); err != nil {
		return item, err
	}
	rec, err := s.chain.history.record(height)
	if err != nil {
		return item, err
	}
	item.Height, item.Hash = height, follow.Hash(rec.hash)
	if height > s.chain.history.first() {
		parent, err := s.chain.history.record(height - 1)
		if err != nil {
			return item, err
		}
		item.Parent = follow.Hash(parent.hash)
	}
	item.Data = da.Block{Height: height, Time: rec.at()}
	for _, ns := range s.namespaces {
		blobs, err := s.chain.history.blobs(height, ns)
		if err != nil {
			return item, err
		}
		item.Data.Blobs = append(item.Data.Blobs, blobs...)
	}
	item.Size = item.Data.Size()
	return item, nil
}
