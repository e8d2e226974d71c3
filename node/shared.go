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
	text   []byte
}

// sharedEvents has the events of blocks that some stream sends, for the others that come by there: a block is read and
// written down once for all who listen. It keeps none of them: one is there for as long as somebody sends it, who has
// counted it, and until the garbage collector comes by.
type sharedEvents struct {
	mu     sync.Mutex // guards the rest
	heads  Heads      // all events are of blocks that were read when the node had these
	events map[eventKey]weak.Pointer[blockEvent]
}

type eventKey struct {
	height uint64
	shape
}

// maxShared bounds the places of a chain at which events are shared under the same heads: those who listen are at a few,
// and who reads what was long ago does so alone.
const maxShared = 64

// of returns the event of the block at height under these heads, if somebody has made it.
func (s *sharedEvents) of(heads Heads, height uint64, shape shape) *blockEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	if heads != s.heads {
		return nil
	}
	return s.events[eventKey{height, shape}].Value()
}

// keep notes an event that was made under these heads.
func (s *sharedEvents) keep(heads Heads, shape shape, e *blockEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if heads != s.heads || s.events == nil || len(s.events) >= maxShared {
		s.heads, s.events = heads, map[eventKey]weak.Pointer[blockEvent]{}
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

// pass moves on to the block of an event that somebody has made under these heads, if it is the child of at, which shows
// that at is still part of the chain. It does what next does.
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
