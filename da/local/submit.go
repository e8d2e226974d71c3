package local

import (
	"context"
	"fmt"

	"headrace/da"
	"headrace/internal/square"
	"headrace/watch"
)

// submission is one call of Submit that waits for its block.
type submission struct {
	blobs  []da.Blob
	bytes  int
	taken  bool // into a block being made; guarded by Chain.mu
	done   chan struct{}
	height uint64 // set, or err, before done is closed
	err    error
}

func (s *submission) end(height uint64, err error) {
	s.height, s.err = height, err
	close(s.done)
}

// Submit puts blobs into the next block that has room, together, and returns its height once the block is in the history. It does not copy
// their data. When ctx ends before a block has taken them, they are withdrawn: they are not included, then or later.
func (c *Chain) Submit(ctx context.Context, blobs []da.Blob) (uint64, error) {
	s := &submission{blobs: blobs, done: make(chan struct{})}
	if err := c.check(s); err != nil {
		return 0, err
	}
	if err := c.enqueue(s); err != nil {
		return 0, err
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		if c.withdraw(s) {
			return 0, fmt.Errorf("submit blobs: %w", context.Cause(ctx))
		}
		<-s.done // its block is being made: that takes no longer than a block
	}
	return s.height, s.err
}

func (c *Chain) check(s *submission) error {
	if len(s.blobs) == 0 {
		return fmt.Errorf("%w: no blobs provided", da.ErrRejected)
	}
	for i := range s.blobs {
		if err := square.CheckBlob(&s.blobs[i]); err != nil {
			return fmt.Errorf("%w: blob %d: %w", da.ErrRejected, i, err)
		}
		s.bytes += len(s.blobs[i].Data)
	}
	if s.bytes > c.opts.MaxBlobBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", da.ErrTooBig, s.bytes, c.opts.MaxBlobBytes)
	}
	return nil
}

func (c *Chain) enqueue(s *submission) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case c.bytes+s.bytes > c.opts.MaxPending:
		return fmt.Errorf("%w: mempool is full", da.ErrRateLimited)
	}
	c.queue(append(c.pending, s), s.bytes)
	return nil
}

// queue replaces the queue, whose bytes change by diff. The caller holds c.mu.
func (c *Chain) queue(pending []*submission, diff int) {
	c.pending = pending
	c.bytes += diff
	c.waiting.Set(len(pending))
}

// withdraw takes s out of the queue, or returns false if a block has it.
func (c *Chain) withdraw(s *submission) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.taken {
		return false
	}
	for i, p := range c.pending {
		if p == s {
			c.queue(append(c.pending[:i:i], c.pending[i+1:]...), -s.bytes)
			return true
		}
	}
	return false // ended by Close
}

// Pending returns how many submissions wait for a block, to look at and to wait on. Only the chain sets it.
func (c *Chain) Pending() *watch.Value[int] { return &c.waiting }

// PendingBytes returns the bytes of the blobs that wait for a block.
func (c *Chain) PendingBytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// take removes the submissions of the next block from the queue: from its front, while they fit.
func (c *Chain) take() []*submission {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, size := 0, 0
	for n < len(c.pending) && n < c.opts.MaxPerBlock && (n == 0 || size+c.pending[n].bytes <= c.opts.MaxBlockBytes) {
		size += c.pending[n].bytes
		c.pending[n].taken = true
		n++
	}
	taken := c.pending[:n:n]
	if n > 0 {
		c.queue(append([]*submission(nil), c.pending[n:]...), -size)
	}
	return taken
}

// putBack returns submissions that did not fit after all to the front of the queue.
func (c *Chain) putBack(subs []*submission) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		for _, s := range subs {
			s.end(0, ErrClosed)
		}
		return
	}
	size := 0
	for _, s := range subs {
		s.taken = false
		size += s.bytes
	}
	c.queue(append(subs[:len(subs):len(subs)], c.pending...), size)
}
