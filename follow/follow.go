// Package follow keeps a Sink in step with a Source: every item from the start to the head, in order, once.
//
// A Source announces its head and fetches items by range. A Sink knows where it stands. The Follower in between holds
// no position of its own: it asks the sink, gets the successor from what was pushed or by a fetch, and applies it.
// Start-up, pauses, crashes, silent sockets and reorgs of any depth are this one loop.
//
// News is a hint (I8): dropped, repeated, delayed or forged news costs time, never correctness. Only a fetched item
// that competes with what the sink holds makes it revert; an endpoint that is merely behind does not (I10). Pushed
// items wait in a queue bounded in bytes; when it is full the oldest is dropped and fetched later (I6).
package follow

import (
	"context"
	"errors"

	"headrace/ref"
)

// Hash identifies an item. The zero Hash stands for "none".
type Hash = ref.Hash

// Ref names one item of a source by height and hash.
type Ref = ref.Ref

// MaxHeight is the highest height that is taken for one.
const MaxHeight = ref.MaxHeight

// Item is what a source holds at one height, complete.
type Item[T any] struct {
	Height uint64
	Hash   Hash // of the source's block at this height
	Parent Hash // of the one before
	Size   int  // bytes of memory that the item holds, for bounds
	Data   T
}

// Ref returns the item's height and hash.
func (i *Item[T]) Ref() Ref { return Ref{Height: i.Height, Hash: i.Hash} }

// Update is news of a source's head. Item, if not nil, is the complete item at the head, which saves fetching it.
type Update[T any] struct {
	Head Ref
	Item *Item[T]
}

// Source is what a Follower reads. Its methods may overlap.
type Source[T any] interface {
	// Subscribe calls update with the present head first, so that nothing falls between two subscriptions, and then
	// with each new head. It blocks until the subscription or ctx ends and returns why, never nil. Heads may skip,
	// repeat and go back. update does not block; Subscribe calls it from one goroutine at a time and not after it has
	// returned.
	Subscribe(ctx context.Context, update func(Update[T])) error

	// Fetch calls deliver with the items of [from, to) in order, from one goroutine at a time, and returns nil once
	// all are delivered. It stops at deliver's first error and returns that. An error of its own can come after some
	// items were delivered. ErrNotYet: the source has not reached the next item. One that delivers nothing for long
	// is ended, unless it tells of bytes that come meanwhile: see Received.
	Fetch(ctx context.Context, from, to uint64, deliver func(Item[T]) error) error
}

// Sink is what a Follower feeds. Only the Follower calls Apply and Revert, never two at a time; Last and At may be
// called at any time and must be quick.
type Sink[T any] interface {
	// Last returns the last item applied: where to go on from. Before the first item it returns the height before the
	// first one and a zero hash, which any parent matches. It may go back by itself (the follower reads again from
	// there, see Follower.Wake), never forward.
	Last() Ref

	// At returns the item applied at height if the sink still remembers it. Nothing at or below the finalized height
	// is ever reverted.
	At(height uint64) (Ref, bool)

	// Apply takes the successor of Last: its height is one more and its parent is Last's hash. On return the item is
	// durable, or will be asked for again after a crash. After an error Last is unchanged and the follower tries the
	// same item again, unless the error is Fatal.
	Apply(ctx context.Context, item Item[T]) error

	// Revert takes back the last item, durably. ErrFinalized: it must not be taken back.
	Revert(ctx context.Context) error
}

var (
	// ErrNotYet: the source has not reached this height. The follower waits for news, or for its retry timer.
	ErrNotYet = errors.New("source has not reached this height")

	// ErrFinalized: the last item is final, so what competes with it belongs to another chain.
	ErrFinalized = errors.New("item is finalized")
)

// Fatal marks err as one that no retry can cure: Run returns it.
func Fatal(err error) error {
	if err == nil {
		return nil
	}
	return &fatalError{err}
}

// IsFatal reports whether err, or an error it wraps, was marked by Fatal.
func IsFatal(err error) bool {
	var f *fatalError
	return errors.As(err, &f)
}

type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }
