package local

import (
	"context"
	"fmt"

	"headrace/da"
	"headrace/follow"
	"headrace/watch"
)

// Source returns what is posted to the given namespaces as a source to follow, without sockets.
func (c *Chain) Source(namespaces ...da.Namespace) follow.Source[da.Block] {
	return &source{c, namespaces}
}

// teller is a Chain or a View.
type teller interface {
	Head() *watch.Value[Head]
	item(height uint64, namespaces []da.Namespace) (follow.Item[da.Block], error)
}

type source struct {
	chain      teller
	namespaces []da.Namespace
}

// Subscribe gives each new head with its complete block. Of a head that comes while update runs, and is not the next, only the newest is given.
func (s *source) Subscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	var last Head
	for {
		head, err := s.chain.Head().Wait(ctx, func(h Head) bool { return h != last })
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		u := follow.Update[da.Block]{Head: head.Ref()}
		if item, err := s.chain.item(head.Height, s.namespaces); err == nil { // else it is pruned already: the news stands
			u.Item = &item
		}
		update(u)
		last = head
	}
}

// Fetch gives the blocks of [from, to).
func (s *source) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	for h := from; h < to; h++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if h > s.chain.Head().Load().Height {
			return follow.ErrNotYet
		}
		item, err := s.chain.item(h, s.namespaces)
		if err != nil {
			return fmt.Errorf("fetch height %d: %w", h, err)
		}
		if err := deliver(item); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chain) item(height uint64, namespaces []da.Namespace) (follow.Item[da.Block], error) {
	var item follow.Item[da.Block]
	if err := c.within(height); err != nil {
		return item, err
	}
	rec, err := c.history.record(height)
	if err != nil {
		return item, err
	}
	item.Height, item.Hash = height, follow.Hash(rec.hash)
	if height > c.history.first() {
		parent, err := c.history.record(height - 1)
		if err != nil {
			return item, err
		}
		item.Parent = follow.Hash(parent.hash)
	}
	item.Data = da.Block{Height: height, Time: rec.at()}
	for _, ns := range namespaces {
		blobs, err := c.history.blobs(height, ns)
		if err != nil {
			return item, err
		}
		item.Data.Blobs = append(item.Data.Blobs, blobs...)
	}
	item.Size = item.Data.Size()
	return item, nil
}
