package follow_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
)

// astray is an endpoint that is on a fork of its own at height 3, and has nothing above it.
type astray struct {
	bare
	asked *[]uint64 // where its fetches began
}

func (a astray) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	*a.asked = append(*a.asked, from)
	err := a.Chain.Fetch(ctx, from, min(to, 4), func(item follow.Item[string]) error {
		if item.Height == 3 {
			item.Hash, item.Parent = follow.Hash{3}, follow.Hash{2}
		}
		return deliver(item)
	})
	if err == nil && to > 4 {
		err = follow.ErrNotYet
	}
	return err
}

// slowUp is an endpoint whose first fetch stops after an item, and ends with its caller.
type slowUp struct {
	bare
	first *sync.Once
}

// Subscribe begins after the other one has: that is asked first.
func (s slowUp) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	time.Sleep(time.Millisecond)
	return s.bare.Subscribe(ctx, update)
}

func (s slowUp) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	waits := false
	s.first.Do(func() { waits = true })
	if !waits {
		return s.bare.Fetch(ctx, from, to, deliver)
	}
	if err := s.bare.Fetch(ctx, from, from+1, deliver); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// tardy is a source whose first item reaches the one who fetches a second late.
type tardy[T any] struct {
	follow.Source[T]
	first *sync.Once
}

func (s tardy[T]) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[T]) error) error {
	return s.Source.Fetch(ctx, from, to, func(item follow.Item[T]) error {
		s.first.Do(func() { time.Sleep(time.Second) })
		return deliver(item)
	})
}

// In Ahead an item waits for its turn, and another source may have gone on behind it by the time it is refused. That
// is held against the source that gave it, which is asked last then, and not against the other one.
func TestRefusedAfterItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type early = *follow.Early[string, int]
		var asked []uint64
		c, sink := followtest.NewChain(10), followtest.NewSink[early](1)
		for h := range uint64(2) {
			item := c.Item(h + 1)
			if err := sink.Apply(t.Context(), follow.Item[early]{Height: item.Height, Hash: item.Hash, Parent: item.Parent}); err != nil {
				t.Fatal(err)
			}
		}
		best := follow.Best[string](astray{bare{c}, &asked}, slowUp{bare{c.Endpoint(nil)}, new(sync.Once)})
		run(t, tardy[early]{follow.Ahead(best, func(s string) int { return len(s) }), new(sync.Once)}, sink, follow.Options{})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := sink.Last(); got != c.Head() {
			t.Errorf("sink stands at %v, want %v", got, c.Head())
		}
		if n := len(slices.DeleteFunc(asked, func(from uint64) bool { return from != 3 })); n != 1 {
			t.Errorf("the source whose item 3 was refused was asked for it %d times, want once", n)
		}
	})
}
