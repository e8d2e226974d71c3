package follow

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"headrace/watch"
)

// Early is an item's data with what is computed from it alone: once, before the item's turn or when it is asked for,
// whichever comes first.
type Early[T, U any] struct {
	Data T

	work   func(T) U
	begun  atomic.Bool   // whoever sets it does the work
	done   chan struct{} // closed when result is there
	result U
}

// Result returns the result, which it computes or waits for if need be.
func (e *Early[T, U]) Result() U {
	e.begin()
	<-e.done
	return e.result
}

// begin does the work unless somebody does.
func (e *Early[T, U]) begin() {
	if e.begun.CompareAndSwap(false, true) {
		e.result = e.work(e.Data)
		close(e.done)
	}
}

// Ahead returns a source of the items of source, with the results of work on them. It is for a sink that does the
// same costly thing with each item: for a range that is fetched, most of that is done ahead, on all cores.
//
// What is pushed, and what is fetched alone, goes straight through, and the sink, asking for the result, computes it.
// Of a longer range, items that wait for their turn are worked on, side by side; their order stays. Work may be
// called from several goroutines at a time, and its result must depend on its argument alone, since when it is called
// depends on timing (I3). About 256 items at most, and 8 MiB by Item.Size or a single item, are between the source
// and the sink (I6).
func Ahead[T, U any](source Source[T], work func(T) U) Source[*Early[T, U]] {
	return &ahead[T, U]{source: source, work: work}
}

const (
	aheadItems = 256
	aheadBytes = 8 << 20
)

type ahead[T, U any] struct {
	source Source[T]
	work   func(T) U
}

func (a *ahead[T, U]) early(item *Item[T]) Item[*Early[T, U]] {
	return Item[*Early[T, U]]{Height: item.Height, Hash: item.Hash, Parent: item.Parent, Size: item.Size, Data: &Early[T, U]{Data: item.Data, work: a.work, done: make(chan struct{})}}
}

func (a *ahead[T, U]) Subscribe(ctx context.Context, update func(Update[*Early[T, U]])) error {
	return a.source.Subscribe(ctx, func(u Update[T]) {
		out := Update[*Early[T, U]]{Head: u.Head}
		if u.Item != nil {
			item := a.early(u.Item)
			out.Item = &item
		}
		update(out)
	})
}

func (a *ahead[T, U]) Fetch(ctx context.Context, from, to uint64, deliver func(Item[*Early[T, U]]) error) error {
	if to-from == 1 {
		return a.source.Fetch(ctx, from, to, func(item Item[T]) error { return deliver(a.early(&item)) })
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var goroutines sync.WaitGroup
	defer goroutines.Wait()
	defer cancel(nil)
	// The goroutine that fetches sends on both channels, and closes them: to turns all items in order, to work as
	// many as the workers keep up with.
	turns, work := make(chan Item[*Early[T, U]], aheadItems), make(chan *Early[T, U], aheadItems)
	held := watch.New(0) // bytes between the source and the sink. Only the goroutine that fetches adds to them
	var ended error      // of the source's fetch; set before turns is closed
	goroutines.Go(func() {
		defer close(turns)
		defer close(work)
		ended = a.source.Fetch(ctx, from, to, func(in Item[T]) error {
			if _, err := held.Wait(ctx, func(n int) bool { return n == 0 || in.Size <= aheadBytes-n }); err != nil {
				return context.Cause(ctx)
			}
			held.Update(func(n int) int { return n + in.Size })
			item := a.early(&in)
			select {
			case turns <- item:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			select {
			case work <- item.Data:
			default:
			}
			return nil
		})
	})
	for range runtime.GOMAXPROCS(0) {
		goroutines.Go(func() {
			for e := range work {
				if ctx.Err() == nil {
					e.begin()
				}
			}
		})
	}
	for item := range turns {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := deliver(item)
		held.Update(func(n int) int { return n - item.Size })
		if err != nil {
			cancel(err) // the source is told why
			return err
		}
	}
	return ended
}
