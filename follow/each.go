package follow

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Position keeps where a reader of a source stands. Package position has one that is a file.
type Position interface {
	// Load returns what Store was given last. Before that it returns the height before the first one to be read, and a
	// zero hash.
	Load() (Ref, error)
	// Store notes that all up to an item is done, durably.
	Store(at Ref) error
}

// Each calls do with each item of a source, in order, from the position on, and stores the position after each: the
// position may lag behind what was done, and never leads it (I2). So after a crash do is called again with the last
// item, and must bear that. It goes on when the source does not answer, until ctx ends or do or the position fails, and
// returns why.
//
// It is for items that are final: those of a DA layer, or the safe blocks of a rollup on one. Where the source has another
// item in the place of one that was done, Each ends with an error that matches ErrFinalized. Who can take items back gives
// a Follower a Sink.
func Each[T any](ctx context.Context, source Source[T], at Position, do func(context.Context, Item[T]) error, opt Options) error {
	last, err := at.Load()
	if err != nil {
		return fmt.Errorf("load position: %w", err)
	}
	s := &each[T]{at: at, do: do}
	s.last.Store(&last)
	return New(source, s, opt).Run(ctx)
}

// each is a sink whose position somebody else keeps.
type each[T any] struct {
	at   Position
	do   func(context.Context, Item[T]) error
	last atomic.Pointer[Ref]
}

func (s *each[T]) Last() Ref { return *s.last.Load() }

func (s *each[T]) At(height uint64) (Ref, bool) {
	last := s.Last()
	return last, last.Height == height
}

func (s *each[T]) Apply(ctx context.Context, item Item[T]) error {
	if err := s.do(ctx, item); err != nil {
		return Fatal(err)
	}
	ref := item.Ref()
	if err := s.at.Store(ref); err != nil {
		return Fatal(fmt.Errorf("store position %d: %w", ref.Height, err))
	}
	s.last.Store(&ref)
	return nil
}

func (s *each[T]) Revert(context.Context) error { return Fatal(ErrFinalized) }
