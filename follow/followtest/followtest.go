// Package followtest checks followers, sources and sinks: an in-memory chain with faults on demand, a sink that
// insists on the contract, and TestSource, the conformance suite that every follow.Source passes.
//
// Chain and Sink are small real implementations, safe for concurrent use, and work inside testing/synctest bubbles.
package followtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"headrace/follow"
	"headrace/watch"
)

// Chain is an in-memory chain that can grow, fork and misbehave. It is a follow.Source[string].
type Chain struct {
	*chain

	// Faults, asked before each operation while it is not nil. Set it before the chain is used.
	Faults func(Op) Fault
}

// chain is what all endpoints of a Chain share.
type chain struct {
	mu    sync.Mutex
	items []follow.Item[string] // items[i] is at height i+1
	salt  uint64
	head  *watch.Value[follow.Ref]
}

// Endpoint returns another endpoint of the same chain, with faults of its own.
func (c *Chain) Endpoint(faults func(Op) Fault) *Chain { return &Chain{chain: c.chain, Faults: faults} }

// Op is what a Chain is about to do.
type Op struct {
	Name   string // "subscribe", "news", "fetch"
	Height uint64
}

// Fault is what goes wrong. The zero Fault: nothing.
type Fault struct {
	Err      error // the operation fails with it
	Drop     bool  // news is not announced
	NoItem   bool  // news without its item
	FalseRef bool  // news names a hash that does not exist
	OldHead  bool  // news names an earlier height of the same chain
	Forged   bool  // the pushed item is not of this chain

	// What breaks the contract of Fetch:
	Other bool // the item of another height is delivered
	Torn  bool // the item does not follow the one before
	Early bool // it returns nil before it has delivered all
	More  bool // it goes on beyond what was asked for
}

// ErrInjected is a transient error for Fault.Err.
var ErrInjected = errors.New("injected fault")

// NewChain returns a chain with n items at heights 1 to n.
func NewChain(n int) *Chain {
	c := &Chain{chain: &chain{head: watch.New(follow.Ref{})}}
	c.Extend(n)
	return c
}

// Extend adds n items.
func (c *chain) Extend(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.extend(n)
}

func (c *chain) extend(n int) {
	for range n {
		height := uint64(len(c.items) + 1)
		var parent follow.Hash
		if height > 1 {
			parent = c.items[height-2].Hash
		}
		c.items = append(c.items, newItem(height, parent, c.salt))
		c.head.Set(c.items[height-1].Ref())
	}
}

func newItem(height uint64, parent follow.Hash, salt uint64) follow.Item[string] {
	b := binary.BigEndian.AppendUint64(parent[:], height)
	hash := sha256.Sum256(binary.BigEndian.AppendUint64(b, salt))
	return follow.Item[string]{Height: height, Hash: hash, Parent: parent, Size: 100, Data: fmt.Sprintf("%d/%d", height, salt)}
}

// Fork takes back the last depth items and adds n others: a reorg to a lower, equal or higher head.
func (c *chain) Fork(depth, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	depth = min(depth, len(c.items))
	c.items = c.items[:len(c.items)-depth]
	c.salt++
	if n > 0 {
		c.extend(n)
	} else {
		c.head.Set(c.headLocked())
	}
}

func (c *chain) headLocked() follow.Ref {
	if len(c.items) == 0 {
		return follow.Ref{}
	}
	return c.items[len(c.items)-1].Ref()
}

// Head returns the chain's head.
func (c *chain) Head() follow.Ref { return c.head.Load() }

// Item returns the item at height, which must exist.
func (c *chain) Item(height uint64) follow.Item[string] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.items[height-1]
}

func (c *Chain) fault(name string, height uint64) Fault {
	if c.Faults == nil {
		return Fault{}
	}
	return c.Faults(Op{Name: name, Height: height})
}

// Subscribe implements follow.Source.
func (c *Chain) Subscribe(ctx context.Context, update func(follow.Update[string])) error {
	if f := c.fault("subscribe", 0); f.Err != nil {
		return f.Err
	}
	for {
		head, changed := c.head.Get()
		if err := c.announce(head, update); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Chain) announce(head follow.Ref, update func(follow.Update[string])) error {
	f := c.fault("news", head.Height)
	if f.Err != nil || f.Drop {
		return f.Err
	}
	u := follow.Update[string]{Head: head}
	c.mu.Lock()
	if head.Height > 0 && int(head.Height) <= len(c.items) && !f.NoItem {
		item := c.items[head.Height-1]
		u.Item = &item
	}
	if f.OldHead && len(c.items) > 2 {
		u = follow.Update[string]{Head: c.items[len(c.items)/2].Ref()}
	}
	c.mu.Unlock()
	if f.FalseRef {
		u.Head.Hash[0] ^= 0xff
	}
	if f.Forged {
		item := newItem(head.Height, follow.Hash{1, 2, 3}, 99)
		u = follow.Update[string]{Head: item.Ref(), Item: &item}
	}
	update(u)
	return nil
}

// Fetch implements follow.Source.
func (c *Chain) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[string]) error) error {
	more := false
	for h := from; h < to || more; h++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		f := c.fault("fetch", h)
		if f.Err != nil {
			return f.Err
		}
		if f.Early {
			return nil
		}
		more = f.More
		item, err := c.fetched(h, f)
		if err != nil {
			return err
		}
		if err := deliver(item); err != nil {
			return err
		}
	}
	return nil
}

// fetched returns the item at height, or what a fault makes of it.
func (c *Chain) fetched(height uint64, f Fault) (follow.Item[string], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int(height) > len(c.items) {
		return follow.Item[string]{}, follow.ErrNotYet
	}
	switch {
	case f.Other && height > 1:
		return c.items[height-2], nil
	case f.Torn:
		return newItem(height, follow.Hash{1, 2, 3}, 99), nil
	}
	return c.items[height-1], nil
}

// Sink insists on the contract of follow.Sink and records what it is given. The first violation is kept; see Err.
type Sink[T any] struct {
	mu        sync.Mutex
	start     uint64
	items     []follow.Ref // items[i] is at height start+i
	finalized uint64
	applied   uint64
	reverted  uint64
	violation error
	busy      bool

	// Fault, if not nil, is asked before each "apply" and "revert"; an error makes it fail and not be done. After is
	// asked when it is done: an error makes it fail although it is done.
	Fault, After func(op string, height uint64) error
}

// NewSink returns a sink whose first item is at height start.
func NewSink[T any](start uint64) *Sink[T] { return &Sink[T]{start: start} }

// Last implements follow.Sink.
func (s *Sink[T]) Last() follow.Ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last()
}

func (s *Sink[T]) last() follow.Ref {
	if len(s.items) == 0 {
		return follow.Ref{Height: s.start - 1}
	}
	return s.items[len(s.items)-1]
}

// At implements follow.Sink.
func (s *Sink[T]) At(height uint64) (follow.Ref, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if height < s.start || height >= s.start+uint64(len(s.items)) || height <= s.finalized {
		return follow.Ref{}, false
	}
	return s.items[height-s.start], true
}

// enter notes a call and returns its fault, if any.
func (s *Sink[T]) enter(op string, height uint64) error {
	s.mu.Lock()
	if s.busy {
		s.violate("%s %d while another call is under way", op, height)
	}
	s.busy = true
	s.mu.Unlock()
	if s.Fault != nil {
		return s.Fault(op, height)
	}
	return nil
}

func (s *Sink[T]) leave(op string, height uint64) error {
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	if s.After != nil {
		return s.After(op, height)
	}
	return nil
}

// Apply implements follow.Sink.
func (s *Sink[T]) Apply(ctx context.Context, item follow.Item[T]) error {
	if err := s.enter("apply", item.Height); err != nil {
		s.mu.Lock()
		s.busy = false
		s.mu.Unlock()
		return err
	}
	s.mu.Lock()
	switch last := s.last(); {
	case item.Height != last.Height+1:
		s.violate("I1: apply %d after %d", item.Height, last.Height)
	case !last.Hash.IsZero() && item.Parent != last.Hash:
		s.violate("I1: item %d has parent %s, the last item is %s", item.Height, item.Parent, last.Hash)
	}
	s.items = append(s.items, item.Ref())
	s.applied++
	s.mu.Unlock()
	return s.leave("apply", item.Height)
}

// Revert implements follow.Sink.
func (s *Sink[T]) Revert(ctx context.Context) error {
	height := s.Last().Height
	if err := s.enter("revert", height); err != nil {
		s.mu.Lock()
		s.busy = false
		s.mu.Unlock()
		return err
	}
	s.mu.Lock()
	switch {
	case len(s.items) == 0:
		s.violate("revert of an empty sink")
	case height <= s.finalized:
		s.busy = false
		s.mu.Unlock()
		return follow.ErrFinalized
	default:
		s.items = s.items[:len(s.items)-1]
		s.reverted++
	}
	s.mu.Unlock()
	return s.leave("revert", height)
}

// SetBack makes Last go back to height by itself, as after a crash that lost the newest commits.
func (s *Sink[T]) SetBack(height uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := int(height + 1 - s.start); height+1 >= s.start && n < len(s.items) {
		s.items = s.items[:n]
	}
}

// Finalize makes the items at or below height final.
func (s *Sink[T]) Finalize(height uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finalized = max(s.finalized, height)
}

// Reverted returns how many items were taken back.
func (s *Sink[T]) Reverted() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reverted
}

// Applied returns how many items were applied.
func (s *Sink[T]) Applied() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied
}

// Err returns the first violation of the contract.
func (s *Sink[T]) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.violation
}

func (s *Sink[T]) violate(format string, args ...any) {
	if s.violation == nil {
		s.violation = fmt.Errorf(format, args...)
	}
}
