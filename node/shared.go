package node

import (
	"sync"
	"weak"

	"headrace/block"
)

// blockEvent is the event of a block, or of a reorg, as it is sent, but for its id: that is each reader's own.
type blockEvent struct {
	ref    block.Ref
	parent block.Hash
	safe   bool
	heads  Heads // of the node, just before the block was read
	text   []byte
}

// holds reports whether what e says holds under these heads: those that it was read under, or any if it was final (I10).
func (e *blockEvent) holds(heads Heads) bool {
	return e.heads == heads || e.safe && e.ref.Height <= e.heads.Finalized.Height
}

// sharedEvents has the events of blocks that some stream sends, for the others that come by there: a block is read and
// written down once for all who listen. It keeps none of them: one is there for as long as somebody sends it, who has
// counted it, and until the garbage collector comes by.
type sharedEvents struct {
	mu     sync.Mutex // guards the rest
	events map[eventKey]weak.Pointer[blockEvent]
}

type eventKey struct {
	height uint64
	shape
}

// maxShared bounds the places of a chain at which events are shared: those who listen are at a few, and those who come
// all read what is first.
const maxShared = 1024

// of returns the event of the block at height, if somebody has made it and it holds under these heads.
func (s *sharedEvents) of(heads Heads, height uint64, shape shape) *blockEvent {
	s.mu.Lock()
	e := s.events[eventKey{height, shape}].Value()
	s.mu.Unlock()
	if e == nil || !e.holds(heads) {
		return nil
	}
	return e
}

// keep notes an event.
func (s *sharedEvents) keep(shape shape, e *blockEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events == nil || len(s.events) >= maxShared {
		s.events = map[eventKey]weak.Pointer[blockEvent]{}
	}
	s.events[eventKey{e.ref.Height, shape}] = weak.Make(e)
}

// forget has all be read again that is not sent yet.
func (s *sharedEvents) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = nil
}

// isAt reports whether the reader knows the block at the head, which needs no look into the store: then there is nothing
// for him.
func (c *cursor) isAt(heads Heads) bool {
	if c.anyHash || c.at != heads.of(c.head) {
		return false
	}
	if len(c.known) == 0 {
		c.know(c.at)
	}
	c.passed = true
	c.settle(heads)
	return true
}

// pass moves on to the block of an event that holds under these heads, if it is the child of at, which shows that at is
// still part of the chain. It does what next does.
func (c *cursor) pass(e *blockEvent, heads Heads) bool {
	was := c.at.Height + 1
	switch {
	case c.anyHash || e.parent != c.at.Hash || e.ref.Height != was:
		return false
	case was > heads.of(c.head).Height:
		return false
	case !e.safe && was <= heads.Safe.Height: // read just before it became safe, or just after it ceased to be
		return false
	}
	if len(c.known) == 0 {
		c.know(c.at)
	}
	c.know(e.ref)
	c.passed = true
	c.settle(heads)
	return true
}
