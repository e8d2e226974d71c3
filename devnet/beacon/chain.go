// Package beacon is a small consensus for a dev L1: it decides what the blocks of a real execution client (devnet/geth) are, through
// the client's Engine API, and keeps the blobs that go with them.
//
// A Chain makes blocks on demand (Mine) or on a clock (Run), with exactly the transactions it is told or with those in the client's pool; it
// builds forks of any depth and chooses among them, to higher, equal and lower heads (Build, SetHead, Reorg); and it sets the safe and
// finalized tags (Tag). When a method returns, the client has done it, and the Chain has read it back. API serves the blobs as a beacon node does.
//
// Chain keeps every block in memory, so a client that was killed, or one on a fresh directory, is brought up to date by Sync. Methods are
// serialised, and safe for use from many goroutines.
//
// The client announces (newHeads) the block that is made its head, no other. To build a block it must first make the block's parent its
// head; so a fork's parent would be announced too. With a second client as Options.Builder the forks are built there, unseen.
package beacon

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"headrace/devnet/geth"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

// Options configure a Chain. The zero value works.
type Options struct {
	// SecondsPerSlot is the time between the timestamps of blocks in adjacent slots. Default: 1.
	SecondsPerSlot uint64

	// GenesisTime is the Unix time of slot 0. Default: now.
	GenesisTime uint64

	// FeeRecipient of the blocks.
	FeeRecipient common.Address

	// Builder, if not nil, is a second client on the same genesis, which nobody else looks at. Forks are built on it.
	Builder *geth.Node

	// SafeDepth and FinalDepth, if not 0, move the tags with the head: to the block that many below it. Else only Tag moves them.
	SafeDepth, FinalDepth uint64

	// Logger. Default: discard.
	Logger *slog.Logger
}

// Chain is the consensus of one L1.
type Chain struct {
	opt     Options
	config  *params.ChainConfig
	public  *client
	builder *client // public when there is no other

	drive sync.Mutex // serialises what changes the chain; guards built
	built uint64     // blocks built so far: makes each one different

	mu              sync.Mutex // guards the rest
	blocks          map[common.Hash]*Block
	head            *Block
	coming          *Block // the client is told that it is the head: from then on it may tell others; nil if there is none
	safe, finalized common.Hash

	api API
}

// New returns the consensus of node, which must be at its genesis block. It makes the genesis block the head.
func New(ctx context.Context, node *geth.Node, opt Options) (*Chain, error) {
	opt.SecondsPerSlot = cmp.Or(opt.SecondsPerSlot, 1)
	if opt.GenesisTime == 0 {
		opt.GenesisTime = uint64(time.Now().Unix())
	}
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	public, err := dial(node)
	if err != nil {
		return nil, err
	}
	genesis := &Block{
		Header: node.GenesisBlock().Header(), proofs: func() ([]hexutil.Bytes, error) { return nil, nil },
	}
	c := &Chain{
		opt: opt, config: node.Genesis().Config, public: public, builder: public,
		blocks: map[common.Hash]*Block{genesis.Hash(): genesis}, head: genesis,
	}
	c.api.chain = c
	if opt.Builder != nil {
		if c.builder, err = dial(opt.Builder); err != nil {
			public.close()
			return nil, err
		}
	}
	for _, client := range c.clients() {
		if err := c.move(ctx, client, genesis, engine.ForkchoiceStateV1{}); err != nil {
			c.Close()
			return nil, fmt.Errorf("begin at genesis: %w", err)
		}
	}
	return c, nil
}

// Close drops the connections to the clients, which run on.
func (c *Chain) Close() {
	for _, client := range c.clients() {
		client.close()
	}
}

func (c *Chain) clients() []*client {
	if c.builder == c.public {
		return []*client{c.public}
	}
	return []*client{c.public, c.builder}
}

// Head returns the head block.
func (c *Chain) Head() *Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head
}

// told returns the head that the client is told of, or has been. mu is held.
func (c *Chain) told() *Block { return cmp.Or(c.coming, c.head) }

// Block returns a block that was built, canonical or not.
func (c *Chain) Block(hash common.Hash) (*Block, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.blocks[hash]
	return b, ok
}

// At returns the canonical block at number.
func (c *Chain) At(number uint64) (*Block, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.ancestor(c.head, number)
	return b, b != nil
}

// Tags returns the hashes of the safe and the finalized block; zero while there is none.
func (c *Chain) Tags() (safe, finalized common.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.safe, c.finalized
}

// ancestor is the block at number on b's branch, or nil when b is below it. mu is held.
func (c *Chain) ancestor(b *Block, number uint64) *Block {
	for b != nil && b.Number() > number {
		b = c.blocks[b.Header.ParentHash]
	}
	if b == nil || b.Number() != number {
		return nil
	}
	return b
}

// Mine builds a block on the head and makes it the head.
func (c *Chain) Mine(ctx context.Context, spec Spec) (*Block, error) {
	c.drive.Lock()
	defer c.drive.Unlock()
	spec.Parent = c.Head().Hash()
	b, err := c.build(ctx, spec)
	if err != nil {
		return nil, err
	}
	return b, c.setHead(ctx, b)
}

// MineN mines n blocks by the same spec and returns the last.
func (c *Chain) MineN(ctx context.Context, n int, spec Spec) (b *Block, err error) {
	for range n {
		if b, err = c.Mine(ctx, spec); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Build builds a block on spec.Parent (default: the head) and hands it to the client, without making it the head.
func (c *Chain) Build(ctx context.Context, spec Spec) (*Block, error) {
	c.drive.Lock()
	defer c.drive.Unlock()
	head := c.Head()
	if spec.Parent == (common.Hash{}) {
		spec.Parent = head.Hash()
	}
	b, err := c.build(ctx, spec)
	if c.builder == c.public && spec.Parent != head.Hash() {
		err = errors.Join(err, c.setHead(ctx, head)) // building made the parent the client's head: return
	}
	return b, err
}

// SetHead makes a block that was built the head, whatever branch it is on and however far below the head it is.
func (c *Chain) SetHead(ctx context.Context, hash common.Hash) error {
	c.drive.Lock()
	defer c.drive.Unlock()
	b, ok := c.Block(hash)
	if !ok {
		return fmt.Errorf("no block %s was built", hash)
	}
	return c.setHead(ctx, b)
}

// Reorg builds a branch of one block per spec on the block depth below the head, and then makes its last block the head: a higher, equal
// or lower fork by the number of specs; with none, the head goes back. Specs' parents are set here. It returns the new blocks.
func (c *Chain) Reorg(ctx context.Context, depth uint64, specs ...Spec) ([]*Block, error) {
	c.drive.Lock()
	defer c.drive.Unlock()
	head := c.Head()
	if depth > head.Number() {
		return nil, fmt.Errorf("no block %d below head %d", depth, head.Number())
	}
	tip, _ := c.At(head.Number() - depth)
	if _, _, err := c.tagsUnder(tip); err != nil {
		return nil, err
	}
	var branch []*Block
	for _, spec := range specs {
		spec.Parent = tip.Hash()
		b, err := c.build(ctx, spec)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("build block %d of the branch: %w", tip.Number()+1, err), c.setHead(ctx, head))
		}
		branch, tip = append(branch, b), b
	}
	return branch, c.setHead(ctx, tip)
}

// Tag sets the safe and the finalized block, by hash; both must be canonical. The zero hash leaves the client's tag as it is, and lets a
// reorg pass below it.
func (c *Chain) Tag(ctx context.Context, safe, finalized common.Hash) error {
	c.drive.Lock()
	defer c.drive.Unlock()
	c.mu.Lock()
	oldSafe, oldFinalized := c.safe, c.finalized
	c.safe, c.finalized = safe, finalized
	c.mu.Unlock()
	if err := c.setHead(ctx, c.Head()); err != nil {
		c.mu.Lock()
		c.safe, c.finalized = oldSafe, oldFinalized
		c.mu.Unlock()
		return err
	}
	return nil
}

// Sync gives the client what it lacks of the canonical chain, as after a crash of the client, and makes the head its head.
func (c *Chain) Sync(ctx context.Context) error {
	c.drive.Lock()
	defer c.drive.Unlock()
	return c.setHead(ctx, c.Head())
}

// Run mines a block from the pool each period, until ctx ends; then it returns nil. A client that does not answer costs the blocks of that
// time, no more. Slots follow the clock as long as the period is not shorter than a slot.
func (c *Chain) Run(ctx context.Context, period time.Duration) error {
	clock := time.NewTicker(period) // the block clock
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-clock.C:
			spec := Spec{SkipSlots: c.slotsBehind(now)}
			if _, err := c.Mine(ctx, spec); err != nil && ctx.Err() == nil {
				c.opt.Logger.Warn("no block mined", "err", err)
			}
		}
	}
}

// slotsBehind is how many slots lie between the one after the head's and that of now.
func (c *Chain) slotsBehind(now time.Time) uint64 {
	next, at := c.timeOf(c.Head().Slot+1), uint64(now.Unix())
	if at <= next {
		return 0
	}
	return (at - next) / c.opt.SecondsPerSlot
}

func (c *Chain) timeOf(slot uint64) uint64 { return c.opt.GenesisTime + slot*c.opt.SecondsPerSlot }

// setHead makes b the head of the public client and then ours. drive is held.
func (c *Chain) setHead(ctx context.Context, b *Block) error {
	safe, finalized, err := c.tagsUnder(b)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.coming = b
	c.mu.Unlock()
	err = c.move(ctx, c.public, b, engine.ForkchoiceStateV1{SafeBlockHash: safe, FinalizedBlockHash: finalized})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.coming = nil; err != nil {
		return err
	}
	c.head, c.safe, c.finalized = b, safe, finalized
	return nil
}

// tagsUnder are the tags when b is the head. The safe block goes back with a reorg; the finalized one never does.
func (c *Chain) tagsUnder(b *Block) (safe, finalized common.Hash, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	on := func(hash common.Hash) bool {
		tag, ok := c.blocks[hash]
		return ok && c.ancestor(b, tag.Number()) == tag
	}
	safe, finalized = c.safe, c.finalized
	if finalized != (common.Hash{}) && !on(finalized) {
		return safe, finalized, fmt.Errorf("block %d %s is not on top of the finalized block %s: clear the tags first if that is wanted", b.Number(), b.Hash(), finalized)
	}
	if safe != (common.Hash{}) && !on(safe) {
		if c.blocks[safe] == nil {
			return safe, finalized, fmt.Errorf("no block %s was built to be tagged safe", safe)
		}
		safe = finalized
	}
	if depth := c.opt.FinalDepth; depth != 0 && b.Number() > depth {
		if tag := c.ancestor(b, b.Number()-depth); finalized == (common.Hash{}) || tag.Number() > c.blocks[finalized].Number() {
			finalized = tag.Hash()
		}
	}
	if depth := c.opt.SafeDepth; depth != 0 && b.Number() > depth {
		safe = c.ancestor(b, b.Number()-depth).Hash()
	}
	return safe, finalized, nil
}

// build builds a block on spec.Parent, hands it to both clients and remembers it. drive is held.
func (c *Chain) build(ctx context.Context, spec Spec) (*Block, error) {
	parent, ok := c.Block(spec.Parent)
	if !ok {
		return nil, fmt.Errorf("no block %s was built to be the parent", spec.Parent)
	}
	builder := c.builder
	if parent == c.Head() {
		builder = c.public // it has the transaction pool, and the parent is its head
	}
	if builder.head != parent {
		if err := c.move(ctx, builder, parent, engine.ForkchoiceStateV1{}); err != nil {
			return nil, fmt.Errorf("go to block %d: %w", parent.Number(), err)
		}
	}
	c.built++
	slot := parent.Slot + 1 + spec.SkipSlots
	root := parent.Root()
	attributes := engine.PayloadAttributes{
		Timestamp:             c.timeOf(slot),
		Random:                c.random(parent),
		SuggestedFeeRecipient: c.opt.FeeRecipient,
		Withdrawals:           []*types.Withdrawal{},
		BeaconRoot:            &root,
	}
	envelope, err := builder.build(ctx, parent.Hash(), attributes, spec)
	if err != nil {
		// The client may have lost its head in a crash; if not, the error is the same again.
		if again := c.move(ctx, builder, parent, engine.ForkchoiceStateV1{}); again != nil {
			return nil, errors.Join(err, again)
		}
		if envelope, err = builder.build(ctx, parent.Hash(), attributes, spec); err != nil {
			return nil, err
		}
	}
	b, err := newBlock(slot, root, envelope)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.blocks[b.Hash()] = b
	c.mu.Unlock()
	for _, client := range c.clients() {
		if err := c.give(ctx, client, b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// random makes the block unlike every other that is or will be built, its siblings with the same content too.
func (c *Chain) random(parent *Block) common.Hash {
	hash := parent.Hash()
	return sha256.Sum256(binary.BigEndian.AppendUint64(hash[:], c.built))
}

var errRewindIgnored = errors.New("client says VALID and ignores the fork choice")

// rewindStep is how far below its head a client goes in one fork choice (go-ethereum refuses 32 and more).
const rewindStep = 31

// move makes b the head of client, whatever the client has, and reads it back. Tags are in state; its head is set here.
func (c *Chain) move(ctx context.Context, client *client, b *Block, state engine.ForkchoiceStateV1) error {
	for _, step := range c.steps(client, b) {
		state := state
		if state.HeadBlockHash = step.Hash(); step != b {
			state.SafeBlockHash, state.FinalizedBlockHash = common.Hash{}, common.Hash{}
		}
		err := c.choose(ctx, client, step, state)
		if errors.Is(err, errRewindIgnored) {
			// The client has held this block, or one above it, to be final. A reorg below that is for its operator to make.
			if err := client.setHead(ctx, b.Number()); err != nil {
				return err
			}
			return c.choose(ctx, client, b, state)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// steps are the heads that client takes on its way to b: several when b is far below its head on the same branch.
func (c *Chain) steps(client *client, b *Block) (steps []*Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client.head == nil || client.head.Number() <= b.Number()+rewindStep || c.ancestor(client.head, b.Number()) != b {
		return []*Block{b}
	}
	number := b.Number()
	for at := number; at < client.head.Number(); at += rewindStep {
		steps = append(steps, c.ancestor(client.head, at))
	}
	slices.Reverse(steps)
	return steps
}

// choose makes one fork choice, after giving the client what it lacks, and reads it back.
func (c *Chain) choose(ctx context.Context, client *client, b *Block, state engine.ForkchoiceStateV1) error {
	r, err := client.engine.ForkchoiceUpdated(ctx, state, nil)
	if err == nil && r.PayloadStatus.Status == engine.SYNCING {
		if err := c.give(ctx, client, b); err != nil {
			return err
		}
		r, err = client.engine.ForkchoiceUpdated(ctx, state, nil)
	}
	if err != nil {
		return fmt.Errorf("make block %d the head: %w", b.Number(), err)
	}
	if r.PayloadStatus.Status != engine.VALID {
		return fmt.Errorf("make block %d the head: client says %s", b.Number(), r.PayloadStatus.Status)
	}
	latest, err := client.engine.Latest(ctx)
	if err != nil {
		return err
	}
	if latest.Reported != b.Hash() {
		return fmt.Errorf("make block %d %s the head: %w: its head is %d %s", b.Number(), b.Hash(), errRewindIgnored, latest.Number, latest.Reported)
	}
	client.head = b
	return nil
}

// give hands b to client, after its ancestors as far back as the client lacks them.
func (c *Chain) give(ctx context.Context, client *client, b *Block) error {
	for missing := []*Block{b}; len(missing) > 0; {
		next := missing[len(missing)-1]
		if next.Number() == 0 {
			return errors.New("client does not know the genesis block")
		}
		status, err := client.engine.NewPayload(ctx, &next.payload)
		if err != nil {
			return fmt.Errorf("hand over block %d: %w", next.Number(), err)
		}
		switch status.Status {
		case engine.VALID:
			missing = missing[:len(missing)-1]
		case engine.SYNCING: // it has no parent
			parent, ok := c.Block(next.Header.ParentHash)
			if !ok {
				return fmt.Errorf("hand over block %d: no block %s was built", next.Number(), next.Header.ParentHash)
			}
			missing = append(missing, parent)
		default:
			return fmt.Errorf("hand over block %d: client says %s: %s", next.Number(), status.Status, validationError(status))
		}
	}
	return nil
}

func validationError(s engine.PayloadStatusV1) string {
	if s.ValidationError == nil {
		return "no reason given"
	}
	return *s.ValidationError
}
