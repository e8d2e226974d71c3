// Package local is an L1 in the process, with an inbox, that can reorganise: for developing rollups and testing them,
// without sockets or an Ethereum client. It gives the same l1.Block content, keeps the same rules, and answers the
// same questions as an Ethereum L1 with the contract Inbox.
//
// Blocks come on demand (Mine), with each transaction (Options.Instant), or on a clock (Run). Its clock is that of
// package time, so it runs inside testing/synctest bubbles. Everything is in memory and nothing is ever forgotten,
// side forks included: about half a kilobyte for each block, and the content. All methods are safe for concurrent
// use; a subscriber that is slow sees the latest head, not each.
package local

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"headrace/follow"
	"headrace/l1"
)

// Options of a Chain. The zero value works.
type Options struct {
	BlockTime time.Duration // of Run; default 1 s
	Instant   bool          // each transaction makes a block at once
	Finality  uint64        // this many blocks behind the head are finalized, and half as many behind it safe; 0: only what Finalize and SetSafe say

	ForcedDelay uint64 // seconds; see l1.Settings
	ForcedMax   int    // if it is set, the inbox is of version 1
	ForcedRoom  int    // of version 2; default l1.DefaultRoom. Unlike the contract it may be less than l1.MinRoom

	Proposers []l1.Address // accounts that may propose; none given: all may
	Limit     int          // bytes of a proposal's payload; default 120,000, as of call data on Ethereum
}

func (o Options) withDefaults() Options {
	if o.BlockTime <= 0 {
		o.BlockTime = time.Second
	}
	if o.ForcedMax <= 0 {
		o.ForcedMax, o.ForcedRoom = 0, cmp.Or(o.ForcedRoom, l1.DefaultRoom)
	}
	if o.Limit <= 0 {
		o.Limit = 120_000
	}
	return o
}

// node is one block with the inbox's state after it. Never changed once made.
type node struct {
	block l1.Block
	state l1.CoreState
	queue []l1.Forced // [ForcedHead, ForcedTail)
}

// Chain is the L1. It is a follow.Source of its blocks and an l1.Reader.
type Chain struct {
	opt Options

	mu        sync.Mutex
	ahead     uint64  // seconds that blocks' times are ahead of the clock
	chain     []*node // canonical, by number; never empty
	byHash    map[l1.Hash]*node
	pool      []poolTx
	receipts  map[l1.Hash]receipt // of canonical blocks' transactions
	safe      uint64              // 0: none yet
	finalized uint64              // 0: none yet
	serial    uint64              // counts blocks and transactions: makes each hash unique
	failed    int                 // transactions that were included, and refused: they cost gas
	quiet     bool                // inside Reorg: nothing is announced, Run makes no blocks
	changed   chan struct{}       // closed and replaced when the head moves
}

// New returns a chain that has a genesis block with number 0 and nothing else.
func New(opt Options) *Chain {
	c := &Chain{opt: opt.withDefaults(), byHash: map[l1.Hash]*node{}, receipts: map[l1.Hash]receipt{}, changed: make(chan struct{})}
	n := &node{block: l1.Block{Hash: c.hash("genesis"), Time: now()}, state: l1.CoreState{NextID: 1}}
	c.chain, c.byHash[n.block.Hash] = []*node{n}, n
	return c
}

func now() uint64 { return uint64(time.Now().Unix()) }

// hash returns one that was never returned before by c. Called with mu held.
func (c *Chain) hash(parts ...any) l1.Hash {
	c.serial++
	h := sha256.New()
	fmt.Fprintln(h, "headrace local l1", c.serial, parts)
	return l1.Hash(h.Sum(nil))
}

// Run makes a block every Options.BlockTime until ctx ends, and returns why it ended.
func (c *Chain) Run(ctx context.Context) error {
	tick := time.NewTicker(c.opt.BlockTime)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.mu.Lock()
			if !c.quiet {
				c.mine()
			}
			c.mu.Unlock()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// SetProposers says which accounts may propose from now on; none given: all may.
func (c *Chain) SetProposers(accounts ...l1.Address) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opt.Proposers = accounts
}

// IncreaseTime makes all blocks to come later by so many seconds more, as evm_increaseTime does.
func (c *Chain) IncreaseTime(seconds uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += seconds
}

// Mine makes one block of the transactions that wait, and returns it.
func (c *Chain) Mine() l1.Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mine()
}

// mine is called with mu held.
func (c *Chain) mine() l1.Block {
	parent := c.chain[len(c.chain)-1]
	n := &node{state: parent.state, queue: parent.queue}
	n.block = l1.Block{Number: parent.block.Number + 1, Parent: parent.block.Hash, Time: max(parent.block.Time, now()+c.ahead)}
	n.block.Hash = c.hash(n.block.Number, n.block.Parent, n.block.Time)
	for _, tx := range c.pool {
		r := n.run(tx, c.opt)
		if c.receipts[tx.hash] = r; r.err != nil {
			c.failed++
		}
	}
	c.pool = nil
	c.chain, c.byHash[n.block.Hash] = append(c.chain, n), n
	if depth := c.opt.Finality; depth > 0 {
		c.finalized = max(c.finalized, n.block.Number-min(depth, n.block.Number))
		c.safe = max(c.finalized, n.block.Number-min(depth/2, n.block.Number))
	}
	c.announce()
	return n.block
}

func (c *Chain) announce() {
	if c.quiet {
		return
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// Head returns the last block.
func (c *Chain) Head() l1.Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chain[len(c.chain)-1].block
}

// Reorg takes back the canonical blocks above base and then calls build, which makes the new fork with Mine and the
// other methods; none, for a head that only goes down. The new head is announced once, afterwards, so a fork can be
// lower, equal or higher. The transactions of the blocks taken back, and those that wait, are dropped. It fails, and
// changes nothing, if a block above base is finalized.
func (c *Chain) Reorg(base uint64, build func()) error {
	c.mu.Lock()
	if base < c.finalized || base >= uint64(len(c.chain)) {
		c.mu.Unlock()
		return fmt.Errorf("reorganise above %d: finalized %d, head %d", base, c.finalized, len(c.chain)-1)
	}
	for _, n := range c.chain[base+1:] {
		for i := range n.block.Messages {
			delete(c.receipts, n.block.Messages[i].Tx)
		}
	}
	c.chain = append([]*node(nil), c.chain[:base+1]...)
	c.pool, c.safe = nil, min(c.safe, base)
	c.quiet = true
	c.mu.Unlock()

	defer func() {
		c.mu.Lock()
		c.quiet = false
		c.announce()
		c.mu.Unlock()
	}()
	if build != nil {
		build()
	}
	return nil
}

// Finalize makes the canonical block with this number, and all below it, final; and safe.
func (c *Chain) Finalize(number uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number < c.finalized || number >= uint64(len(c.chain)) {
		return fmt.Errorf("finalize %d: finalized %d, head %d", number, c.finalized, len(c.chain)-1)
	}
	c.finalized, c.safe = number, max(c.safe, number)
	return nil
}

// SetSafe makes the canonical block with this number the safe one.
func (c *Chain) SetSafe(number uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number < c.finalized || number >= uint64(len(c.chain)) {
		return fmt.Errorf("set safe to %d: finalized %d, head %d", number, c.finalized, len(c.chain)-1)
	}
	c.safe = number
	return nil
}

// Subscribe is follow.Source's. Each update carries the whole block.
func (c *Chain) Subscribe(ctx context.Context, update func(follow.Update[l1.Block])) error {
	for {
		c.mu.Lock()
		head, changed, quiet := c.chain[len(c.chain)-1], c.changed, c.quiet
		c.mu.Unlock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !quiet { // else Reorg announces the new head in a moment
			item := head.item()
			update(follow.Update[l1.Block]{Head: item.Ref(), Item: &item})
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Fetch is follow.Source's.
func (c *Chain) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[l1.Block]) error) error {
	for n := from; n < to; n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c.mu.Lock()
		if n >= uint64(len(c.chain)) {
			head := len(c.chain) - 1
			c.mu.Unlock()
			return fmt.Errorf("fetch L1 block %d, head %d: %w", n, head, follow.ErrNotYet)
		}
		item := c.chain[n].item()
		c.mu.Unlock()
		if err := deliver(item); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) item() follow.Item[l1.Block] {
	b := n.block
	return follow.Item[l1.Block]{Height: b.Number, Hash: follow.Hash(b.Hash), Parent: follow.Hash(b.Parent), Size: b.Size(), Data: b}
}

// Failed returns how many transactions were included in a block, on any fork, and refused there.
func (c *Chain) Failed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Finalized is l1.Reader's.
func (c *Chain) Finalized(context.Context) (l1.Ref, error) { return c.tag(&c.finalized) }

// Safe is l1.Reader's.
func (c *Chain) Safe(context.Context) (l1.Ref, error) { return c.tag(&c.safe) }

func (c *Chain) tag(number *uint64) (l1.Ref, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *number == 0 {
		return l1.Ref{}, l1.ErrNoFinality
	}
	return c.chain[*number].block.Ref(), nil
}

// State is l1.Reader's.
func (c *Chain) State(_ context.Context, at l1.Hash) (l1.CoreState, error) {
	n, err := c.at(at)
	if err != nil {
		return l1.CoreState{}, err
	}
	return n.state, nil
}

// Queue is l1.Reader's.
func (c *Chain) Queue(_ context.Context, at l1.Hash, limit int) ([]l1.Forced, error) {
	n, err := c.at(at)
	if err != nil {
		return nil, err
	}
	return n.queue[:min(limit, len(n.queue))], nil
}

// Gone is l1.Reader's.
func (c *Chain) Gone(_ context.Context, at l1.Ref) (head l1.Ref, gone bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone = at.Height >= uint64(len(c.chain)) || c.chain[at.Height].block.Hash != l1.Hash(at.Hash)
	return c.chain[len(c.chain)-1].block.Ref(), gone, nil
}

// Settings is l1.Reader's.
func (c *Chain) Settings(context.Context) (l1.Settings, error) { return c.opt.settings(), nil }

func (o Options) settings() l1.Settings {
	return l1.Settings{ForcedDelay: o.ForcedDelay, ForcedMax: o.ForcedMax, ForcedRoom: o.ForcedRoom}
}

func (c *Chain) at(hash l1.Hash) (*node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hash.IsZero() {
		return c.chain[len(c.chain)-1], nil
	}
	n, ok := c.byHash[hash]
	if !ok {
		return nil, fmt.Errorf("state at %s: %w", hash, l1.ErrNotFound)
	}
	return n, nil
}

func uint64Bytes(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
