package local

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/da"
	"headrace/internal/square"
	"headrace/watch"
)

// Options are the properties of a chain. The zero value is a chain in memory with a block each second.
type Options struct {
	ChainID       string        // "headrace-local"
	Interval      time.Duration // between blocks: 1 s. Below zero there is no clock, and blocks are made by Produce alone
	Dir           string        // of the history; "" is in memory
	FS            vfs.FS        // of Dir; the real disk. With "" as Dir it is not used
	StartHeight   uint64        // of the first block of a new chain: 1
	Genesis       time.Time     // time of the first block of a new chain: now
	Deterministic bool          // blocks are one interval (one second without a clock) apart by their times, whatever the clock says
	Retain        uint64        // prune heights so far below the head, or a little further: 0 keeps all
	MaxBlobBytes  int           // the largest blob, and all blobs of a submission together: 8,000,000 or so less than 8 MiB, as on Celestia
	MaxBlockBytes int           // all blobs of a block: 32 MiB
	MaxWidth      int           // of a block's square before its extension, a power of two: 512
	MaxPerBlock   int           // submissions in a block: 200, as on Celestia
	MaxPending    int           // bytes of blobs that wait for a block: 128 MiB. Submit refuses more with da.ErrRateLimited
	Logger        *slog.Logger  // none

	// Announce, if not nil, is called with each new head right before it is announced, by the goroutine that made the
	// block. It must not block.
	Announce func(Head)
}

func (o Options) withDefaults() Options {
	o.ChainID = cmp.Or(o.ChainID, "headrace-local")
	o.Interval = cmp.Or(o.Interval, time.Second)
	o.StartHeight = cmp.Or(o.StartHeight, 1)
	o.MaxBlobBytes = cmp.Or(o.MaxBlobBytes, 8<<20-64<<10)
	o.MaxBlockBytes = cmp.Or(o.MaxBlockBytes, 32<<20)
	o.MaxWidth = cmp.Or(o.MaxWidth, square.MaxWidth)
	o.MaxPerBlock = cmp.Or(o.MaxPerBlock, 200)
	o.MaxPending = cmp.Or(o.MaxPending, 128<<20)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

// ErrClosed is what the methods of a closed chain return.
var ErrClosed = errors.New("chain is closed")

// Head is the newest block.
type Head = square.Head

// Chain is a data-availability chain. See the package comment.
type Chain struct {
	opts    Options
	signer  signer
	head    *watch.Value[Head] // set after the block is in the history
	history history
	waiting watch.Value[int]  // len(pending), set with mu held
	making  watch.Value[bool] // set with producing held

	blobs     atomic.Uint64 // included since New
	blobBytes atomic.Uint64 // of their data

	restoring  sync.Mutex // held while a square is laid out again: that takes several times its memory
	lastSquare atomic.Pointer[squareAt]
	asked      atomic.Uint64 // height of the square that was asked for last, of those that it is not

	producing sync.Mutex // held while a block is made; guards what only the maker of blocks uses

	mu      sync.Mutex // guards what follows; never held while a block is built
	pending []*submission
	bytes   int // of pending
	closed  bool
	views   []*View // told of each block
}

// New opens or makes a chain. A new one has its first block, empty, on return.
func New(opts Options) (*Chain, error) {
	o := opts.withDefaults()
	seed := sha256.Sum256([]byte("headrace local chain " + o.ChainID))
	c := &Chain{opts: o, signer: newSigner(o.ChainID, ed25519.NewKeyFromSeed(seed[:])), head: watch.New(Head{})}
	var err error
	if c.history, err = openHistory(o); err != nil {
		return nil, err
	}
	if _, last := c.history.bounds(); last > 0 {
		rec, err := c.history.record(last)
		if err != nil {
			c.history.close()
			return nil, err
		}
		c.head.Set(rec.head(last))
		return c, nil
	}
	if _, err := c.Produce(); err != nil {
		c.history.close()
		return nil, err
	}
	return c, nil
}

// ChainID returns the chain's name, which each header carries.
func (c *Chain) ChainID() string { return c.opts.ChainID }

// Interval returns the time between blocks, 0 without a clock.
func (c *Chain) Interval() time.Duration { return max(c.opts.Interval, 0) }

// Run makes a block at each interval until ctx ends, and returns its error. It does not close the chain.
func (c *Chain) Run(ctx context.Context) error {
	if c.opts.Interval < 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	clock := time.NewTicker(c.opts.Interval) // the block clock
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-clock.C:
			if _, err := c.Produce(); err != nil {
				return err
			}
		}
	}
}

// Close ends the chain: waits and submissions return ErrClosed, and the history is closed.
func (c *Chain) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	waiting := c.pending
	c.queue(nil, -c.bytes)
	views := c.views
	c.mu.Unlock()
	for _, s := range waiting {
		s.end(0, ErrClosed)
	}
	c.producing.Lock() // a block being made is finished first
	defer c.producing.Unlock()
	c.head.Close(ErrClosed)
	c.waiting.Close(ErrClosed)
	c.making.Close(ErrClosed)
	for _, v := range views {
		v.head.Close(ErrClosed)
	}
	return c.history.close()
}

// Produce makes the next block now, of what has been submitted, and returns its head.
func (c *Chain) Produce() (Head, error) {
	c.producing.Lock()
	defer c.producing.Unlock()
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return Head{}, ErrClosed
	}
	subs := c.take()
	c.making.Set(true)
	head, err := c.produce(&subs)
	c.making.Set(false)
	for _, s := range subs {
		s.end(head.Height, err)
	}
	if err != nil {
		return head, err
	}
	return head, c.retain(head.Height)
}

// produce makes, signs, stores and announces a block of subs. It takes those that a square cannot hold out of subs.
func (c *Chain) produce(subs *[]*submission) (Head, error) {
	body, err := c.pack(subs)
	if err != nil {
		return Head{}, err
	}
	height, rec, err := c.seal(body)
	if err != nil {
		return Head{}, err
	}
	if err := c.history.append(height, rec, body); err != nil {
		return Head{}, fmt.Errorf("store block %d: %w: %w", height, da.ErrUnknownOutcome, err)
	}
	if body != nil {
		c.blobs.Add(uint64(len(body.blobs)))
		c.blobBytes.Add(uint64(body.size()))
		c.opts.Logger.Info("block made", "height", height, "submissions", len(*subs), "blobs", len(body.blobs), "bytes", body.size())
	}
	head := rec.head(height)
	c.announce(head)
	return head, nil
}

// pack builds the square of subs, nil if it is empty. What it cannot hold goes back into the queue, and what no
// square could is refused.
func (c *Chain) pack(subs *[]*submission) (*content, error) {
	for {
		sq, err := c.build(*subs)
		switch n := len(*subs); {
		case errors.Is(err, square.ErrFull) && n > 1:
			c.putBack((*subs)[n/2:])
			*subs = (*subs)[:n/2]
		case errors.Is(err, square.ErrFull) && n == 1:
			(*subs)[0].end(0, fmt.Errorf("%w: %w", da.ErrTooBig, err))
			*subs = nil
		case err != nil:
			return nil, err
		case sq.Empty():
			return nil, nil
		default:
			return newContent(sq, *subs), nil
		}
	}
}

func (c *Chain) build(subs []*submission) (*square.Square, error) {
	blobs := make([][]da.Blob, len(subs))
	for i, s := range subs {
		blobs[i] = s.blobs
	}
	return square.BuildIn(c.opts.MaxWidth, blobs...)
}

// announce tells everyone of a block that is in the history.
func (c *Chain) announce(head Head) {
	if c.opts.Announce != nil {
		c.opts.Announce(head)
	}
	c.head.Set(head)
	c.mu.Lock()
	views := c.views
	c.mu.Unlock()
	for _, v := range views {
		v.refresh()
	}
}

// retain prunes by Options.Retain, in steps so that it costs little per block.
func (c *Chain) retain(height uint64) error {
	keep := c.opts.Retain
	if step := max(keep/16, 1); keep == 0 || height%step != 0 || height <= keep {
		return nil
	}
	if err := c.Prune(height - keep + 1); err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	return nil
}

// Head returns the newest block, to look at and to wait on. Only the chain sets it.
func (c *Chain) Head() *watch.Value[Head] { return c.head }

// Making reports whether a block is being made just now, to look at and to wait on: who has work that can wait lets it be
// made first.
func (c *Chain) Making() *watch.Value[bool] { return &c.making }

// Included returns how many blobs were included since the chain was opened, and the bytes of their data.
func (c *Chain) Included() (blobs, bytes uint64) { return c.blobs.Load(), c.blobBytes.Load() }

// Tail returns the lowest height that the chain still has.
func (c *Chain) Tail() uint64 {
	tail, _ := c.history.bounds()
	return tail
}

// WaitHeight returns once the chain has reached a height.
func (c *Chain) WaitHeight(ctx context.Context, height uint64) error {
	_, err := c.head.Wait(ctx, func(h Head) bool { return h.Height >= height })
	return err
}

// Prune drops all blocks below a height, but never the head.
func (c *Chain) Prune(below uint64) error {
	return c.history.prune(min(below, c.head.Load().Height))
}

// within returns da.ErrFuture or da.ErrPruned for a height that the chain does not have.
func (c *Chain) within(height uint64) error {
	tail, head := c.history.bounds()
	switch {
	case height > head:
		return fmt.Errorf("height %d: %w (head is %d)", height, da.ErrFuture, head)
	case height < tail:
		return fmt.Errorf("height %d: %w (tail is %d)", height, da.ErrPruned, tail)
	}
	return nil
}

// Blobs returns the blobs in a namespace at a height by index; none if there are none. The caller must not write to
// them.
func (c *Chain) Blobs(height uint64, ns da.Namespace) ([]da.Blob, error) {
	if err := c.within(height); err != nil {
		return nil, err
	}
	return c.history.blobs(height, ns)
}

// Square returns the square of a height, made anew from its submissions: proofs come from it. The last one is kept,
// if it is not wide, because who asks for one namespace of a height asks for another next.
func (c *Chain) Square(height uint64) (*square.Square, error) {
	if err := c.within(height); err != nil {
		return nil, err
	}
	c.restoring.Lock()
	defer c.restoring.Unlock()
	if l := c.lastSquare.Load(); l != nil && l.height == height {
		return l.square, nil
	}
	subs, err := c.history.submissions(height)
	if err != nil {
		return nil, err
	}
	dah, err := c.history.dah(height)
	if err != nil {
		return nil, err
	}
	sq, err := square.Restore(dah, subs...)
	if err == nil && (sq.Width() <= 64 || c.asked.Swap(height) == height) { // 2 MiB, or asked for again: in pieces, as a rule
		c.lastSquare.Store(&squareAt{height, sq})
	}
	return sq, err
}

type squareAt struct {
	height uint64
	square *square.Square
}

// NamespaceData returns the data of a namespace at a height with its proofs.
func (c *Chain) NamespaceData(height uint64, ns da.Namespace) ([]square.NamespaceRow, error) {
	sq, err := c.Square(height)
	if err != nil {
		return nil, err
	}
	return sq.NamespaceData(ns)
}
