package follow

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Ahead returns a source of the items of source with their data converted, where most of the work of converting a range's items is done
// before their turn, on all cores. It is for a sink that does the same costly thing with each item, whatever came before it.
//
// What is pushed, and what is fetched alone, waits for nobody: it is passed on with its data wrapped, and the sink does the work itself.
// The items of a longer range are prepared side by side, and delivered in order. Prepare may be called from several goroutines at
// a time; its result must depend on its argument alone, since when it is called, and whether, depends on timing (I3). About 256 items at
// most, and 8 MiB by Item.Size or a single item, are between the source and the sink (I6).
func Ahead[T, U any](source Source[T], wrap, prepare func(T) U) Source[U] {
	return &ahead[T, U]{source: source, wrap: wrap, prepare: prepare}
}

const (
	aheadItems = 256
	aheadBytes = 8 << 20
)

type ahead[T, U any] struct {
	source        Source[T]
	wrap, prepare func(T) U
}

func convert[T, U any](item *Item[T], f func(T) U) Item[U] {
	return Item[U]{Height: item.Height, Hash: item.Hash, Parent: item.Parent, Size: item.Size, Data: f(item.Data)}
}

func (a *ahead[T, U]) Subscribe(ctx context.Context, update func(Update[U])) error {
	return a.source.Subscribe(ctx, func(u Update[T]) {
		out := Update[U]{Head: u.Head}
		if u.Item != nil {
			item := convert(u.Item, a.wrap)
			out.Item = &item
		}
		update(out)
	})
}

// early is an item that is prepared once, by a worker or when it is its turn, whichever comes first.
type early[T, U any] struct {
	once sync.Once
	in   Item[T]
	out  Item[U]
}

func (e *early[T, U]) prepare(f func(T) U) {
	e.once.Do(func() {
		e.out = convert(&e.in, f)
		e.in = Item[T]{} // let go of the data
	})
}

func (a *ahead[T, U]) Fetch(ctx context.Context, from, to uint64, deliver func(Item[U]) error) error {
	if to-from == 1 {
		return a.source.Fetch(ctx, from, to, func(item Item[T]) error { return deliver(convert(&item, a.wrap)) })
	}
	ctx, cancel := context.WithCancel(ctx)
	var goroutines sync.WaitGroup
	defer goroutines.Wait()
	defer cancel()
	// The goroutine that fetches sends on both channels, and closes them: to turns all items in order, to work as many as the workers keep up with.
	turns, work := make(chan *early[T, U], aheadItems), make(chan *early[T, U], aheadItems)
	room := semaphore.NewWeighted(aheadBytes)
	var ended error // of the source's fetch; set before turns is closed
	goroutines.Go(func() {
		defer close(turns)
		defer close(work)
		ended = a.source.Fetch(ctx, from, to, func(item Item[T]) error {
			if err := room.Acquire(ctx, weight(item.Size)); err != nil {
				return err
			}
			e := &early[T, U]{in: item}
			select {
			case turns <- e:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case work <- e:
			default:
			}
			return nil
		})
	})
	for range runtime.GOMAXPROCS(0) {
		goroutines.Go(func() {
			for e := range work {
				if ctx.Err() == nil {
					e.prepare(a.prepare)
				}
			}
		})
	}
	for e := range turns {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e.prepare(a.prepare)
		item := e.out
		e.out = Item[U]{} // a worker may hold on to e
		err := deliver(item)
		room.Release(weight(item.Size))
		if err != nil {
			return err
		}
	}
	return ended
}

// weight is what an item takes of the room: one that is too big for it takes it all.
func weight(size int) int64 { return int64(min(max(size, 0), aheadBytes)) }
