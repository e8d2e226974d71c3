package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/httpd"
	"headrace/internal/store"
	"headrace/watch"
)

// Delivered is a block as Blocks delivers it. It is shared: read it only.
type Delivered struct {
	Block               // as /v1/blocks serves it, with the state root and the heights of the source where it became safe
	Signed *block.Block // the same block as its proposer signed it
	Heads  Heads        // of the node, just before the block was read
	Origin block.Ref    // the height of the DA layer, or the L1 block, at which the block became safe; zeros: it has not

	engine exec.Engine // whose transactions these are
}

// ErrPruned is what a fetch of a block matches that the node has had and keeps no longer. It will not come back.
var ErrPruned = errors.New("pruned")

// Blocks returns the node's blocks up to one of its heads as a source that any follow.Follower can read.
//
// Subscribe announces the present head, and again whenever the status changes or nothing has changed for 15 s. It is
// the latest value: heads in between may be missing, the last one never is. When the node ends, Subscribe returns an
// error that matches watch.ErrClosed and the node's own.
//
// Fetch delivers blocks in order, at the pace of deliver: there is no queue, so a slow reader holds one block and
// slows nobody (I6). Above the head it returns follow.ErrNotYet, below the oldest block kept ErrPruned, and when the
// node has ended the same as Subscribe. A follower goes on trying then: let its context end with the node.
//
// A reorg is seen as a block whose parent is not the one before, here or in the next fetch: the follower then looks
// for where the branch left. A head that only goes back announces no such block, and a follower waits for what comes
// in its place (I10). Blocks up to Finalized never change.
func (n *Node) Blocks(head await.Label) follow.Source[Delivered] {
	return &blocks{
		head: head, status: n.status, oldest: func() uint64 { return n.at.Load().store.State().Oldest },
		ref: func(height uint64) (block.Ref, error) { return n.at.Load().store.Ref(height) }, read: n.stored,
	}
}

// blocks returns them for one client, who has to ask again when the home is opened anew: blocks that it knows may be
// gone then for a while, which is no reorg. Reading from what was closed is an error.
func (n *Node) blocks(head await.Label) *blocks {
	o := n.at.Load()
	return &blocks{
		head: head, status: n.status, oldest: func() uint64 { return o.store.State().Oldest }, ref: o.store.Ref, read: o.stored,
		text: &n.text, shared: &o.shared, answers: n.answers(),
	}
}

// blocks is the latest status, as the reason to look, and the stored chain, as the truth.
type blocks struct {
	head   await.Label
	status *statuses
	oldest func() uint64                                       // height of the lowest block that is not pruned
	ref    func(height uint64) (block.Ref, error)              // the error matches ErrNoBlock if there is no block
	read   func(height uint64) (follow.Item[Delivered], error) // likewise

	text    *statusText   // of status
	shared  *sharedEvents // of the streams
	answers *httpd.Budget // that events count in; nil: none
}

// stored reads a block, safe or not.
func (n *Node) stored(height uint64) (item follow.Item[Delivered], err error) {
	return n.at.Load().stored(height)
}

func (o *opened) stored(height uint64) (item follow.Item[Delivered], err error) {
	rec, err := o.store.Block(height)
	if err != nil {
		return item, err
	}
	return o.delivered(rec), nil
}

// delivered is a block of the store as it is delivered.
func (o *opened) delivered(rec store.Record) (item follow.Item[Delivered]) {
	h, hash := &rec.Block.Header.Header, rec.Block.Hash()
	item = follow.Item[Delivered]{Height: h.Height, Hash: hash, Size: 1 << 10, Data: Delivered{Signed: rec.Block, Origin: rec.Origin.Source, engine: o.engine, Block: Block{
		Height: h.Height, Hash: hash.String(), ParentHash: h.LastHeaderHash, Time: rec.Block.Made().UTC(), Proposer: h.ProposerAddress, DataHash: h.DataHash,
		AppHash: h.AppHash, StateRoot: rec.Root, Txs: append([][]byte{}, rec.Block.Data.Txs...), Safe: h.Height <= o.store.State().Safe.Height,
		HeaderDAHeight: rec.Origin.HeaderAt, DataDAHeight: rec.Origin.DataAt,
	}}}
	copy(item.Parent[:], h.LastHeaderHash)
	for _, tx := range rec.Block.Data.Txs {
		item.Size += len(tx)
	}
	return item
}

// Subscribe implements follow.Source.
func (b *blocks) Subscribe(ctx context.Context, update func(follow.Update[Delivered])) error {
	return each(ctx, b.status.Value, func(st Status, _ <-chan struct{}) error {
		update(follow.Update[Delivered]{Head: st.Heads.of(b.head)})
		return nil
	})
}

// Fetch implements follow.Source.
func (b *blocks) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[Delivered]) error) (err error) {
	for ; from < to && err == nil; from++ {
		var item follow.Item[Delivered]
		if item, err = b.item(b.status.Load().Heads, from); err == nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = deliver(item)
		}
	}
	return err
}

// aliveEvery is how often those who listen are shown that the node is there.
const aliveEvery = 15 * time.Second

// each calls f with the present value and those that come later, of which some may be left out, but never the last, each
// with its version; and again, without one, when nothing has come for a while. It returns f's error, or why there is
// nothing more to come.
func each[T any](ctx context.Context, w *watch.Value[T], f func(v T, version <-chan struct{}) error) error {
	tick := time.NewTicker(aliveEvery) // a sign of life, which also shows a reader that has gone without a word
	defer tick.Stop()
	for {
		ended := w.Err()      // first: then the value is the last one
		v, changed := w.Get() // before the look: what comes after it wakes us
		err := f(v, changed)
		if err == nil {
			err = ended
		}
		for waits := true; waits && err == nil; {
			select {
			case <-changed:
				waits = false
			case <-tick.C:
				err = f(v, nil)
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
}

// item reads the block at height, unless that is above the head.
func (b *blocks) item(heads Heads, height uint64) (item follow.Item[Delivered], err error) {
	if height > heads.of(b.head).Height {
		return item, follow.ErrNotYet
	}
	item, err = b.read(height)
	item.Data.Heads = heads
	switch ended := b.status.Err(); {
	case errors.Is(err, ErrNoBlock):
		if err = b.pruned(height); err == nil {
			err = follow.ErrNotYet // reverted since the status was published: there is news
		}
	case err != nil && ended != nil:
		err = ended // and the store is closed
	}
	return item, err
}

// pruned returns an error if the block at height is.
func (b *blocks) pruned(height uint64) error {
	if oldest := b.oldest(); height < oldest {
		return fmt.Errorf("block %d is %w: the oldest one here is %d", height, ErrPruned, oldest)
	}
	return nil
}

// refAt is ref that also knows the block before the oldest.
func (b *blocks) refAt(height uint64) (block.Ref, error) {
	r, err := b.ref(height)
	if errors.Is(err, ErrNoBlock) && height+1 == b.oldest() {
		var item follow.Item[Delivered]
		item, err = b.read(height + 1)
		r = block.Ref{Height: height, Hash: item.Parent}
	}
	return r, err
}

// remembered is how many of the blocks that it passed a cursor knows at least, to find where a branch left. If that
// is further down, or the reader came with an id alone, the cursor goes back to what was final when the id was made,
// which cannot have been reverted since (I10).
const remembered = 256

// cursor walks the chain for a reader that knows a part of it, from block to block, and back to where a branch left.
// It is used by one goroutine.
//
// A follow.Follower has to suspect its source, and a missing block may only be late (I10). A cursor looks into the
// store itself: a block that was there and is missing has been reverted.
type cursor struct {
	blocks
	at      block.Ref   // the last block the reader knows
	final   uint64      // height at or below at that was final when at was passed
	anyHash bool        // the reader knows the height alone, whatever block is there
	passed  bool        // at was at or below the head when it was passed
	known   []block.Ref // blocks before and including at, ascending, without gaps; none before at has been seen here
}

// errForeign: a block that was final, or is below the final one, is not ours. The reader's chain is another one (I10).
var errForeign = errors.New("is of another chain, or of a branch that was reverted long ago")

// beginAt makes the next block the one at this height, now or later.
func (c *cursor) beginAt(height uint64) error {
	height = max(height, 1)
	c.at, c.anyHash = block.Ref{Height: height - 1}, true
	return c.pruned(height)
}

// resume goes on after the block with this id, of which the last part may be left out.
func (c *cursor) resume(id string) error {
	parts := append(strings.Split(id, "-"), strconv.FormatUint(c.status.Load().Heads.Finalized.Height, 10))
	if len(parts) != 3 && len(parts) != 4 {
		return errEventID(id)
	}
	var err1, err2 error
	c.at.Height, err1 = strconv.ParseUint(parts[0], 10, 64)
	c.final, err2 = strconv.ParseUint(parts[2], 10, 64)
	if errors.Join(err1, err2, c.at.Hash.UnmarshalText([]byte(parts[1]))) != nil {
		return errEventID(id)
	}
	c.final = min(c.final, c.at.Height)
	if err := c.pruned(c.at.Height + 1); err != nil {
		return err
	}
	if now, err := c.refAt(c.at.Height); err == nil && now.Hash != c.at.Hash && c.at.Height <= c.final {
		return c.foreign(now)
	}
	return nil
}

func errEventID(id string) error {
	return fmt.Errorf("event id %q is not HEIGHT-HASH-FINAL, as events have it", id)
}

func (c *cursor) foreign(ours block.Ref) error {
	return fmt.Errorf("block %d is %s here, and final: %s %w", c.at.Height, ours.Hash, c.at.Hash, errForeign)
}

// id is what resume goes on from.
func (c *cursor) id() string { return fmt.Sprintf("%d-%s-%d", c.at.Height, c.at.Hash, c.final) }

// know notes that at, a block of this chain, is the last one that the reader knows.
func (c *cursor) know(at block.Ref) {
	c.at, c.anyHash = at, false
	if len(c.known) >= 2*remembered {
		c.known = append(c.known[:0], c.known[len(c.known)-remembered:]...)
	}
	c.known = append(c.known, at)
}

// settle notes what is final of the chain below at, which is canonical.
func (c *cursor) settle(heads Heads) {
	c.final = max(c.final, min(heads.Finalized.Height, c.at.Height))
}

// next moves on to the child of at, which it returns, or, if at is no longer part of the chain, back to the last
// block known to the reader that is, and returns nil. It does not move if there is nothing new under these heads.
// What is reverted meanwhile shows by the parent of the block that is read.
func (c *cursor) next(heads Heads) (item *follow.Item[Delivered], moved bool, err error) {
	now, err := c.refAt(c.at.Height)
	gone := errors.Is(err, ErrNoBlock)
	switch {
	case gone && c.at.Height+1 < c.oldest():
		return nil, false, fmt.Errorf("block %d is %w: the client was too slow", c.at.Height+1, ErrPruned)
	case gone && len(c.known) == 0, c.anyHash && heads.of(c.head).Height < c.at.Height:
		return nil, false, nil // this node is behind what the reader knows or asks for, which is no reorg (I10)
	case err != nil && !gone:
		return nil, false, err
	case gone, now.Hash != c.at.Hash && !c.anyHash:
		return nil, true, c.goBack(c.at.Height)
	case c.passed && c.at.Height > heads.of(c.head).Height: // it is still here, above the head that the reader asked for
		return nil, true, c.goBack(heads.of(c.head).Height)
	case len(c.known) == 0:
		c.know(now)
	}
	c.passed = c.at.Height <= heads.of(c.head).Height
	c.settle(heads)
	child, err := c.item(heads, c.at.Height+1)
	switch {
	case errors.Is(err, follow.ErrNotYet):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case !c.at.Hash.IsZero() && child.Parent != c.at.Hash:
		return nil, false, nil // at has been reverted, and blocks have come in its place: there is news
	}
	c.know(child.Ref()) // no higher than the head
	c.settle(heads)
	return &child, true, nil
}

// goBack moves to the last block known to the reader that is still part of the chain, and no higher than height.
func (c *cursor) goBack(height uint64) error {
	for len(c.known) > 0 {
		last := c.known[len(c.known)-1]
		c.known = c.known[:len(c.known)-1]
		if last.Height > height {
			continue
		}
		now, err := c.refAt(last.Height)
		if err != nil && !errors.Is(err, ErrNoBlock) {
			return err // the disk does not say
		}
		if err == nil && now == last {
			c.know(last)
			return nil
		}
	}
	to, err := c.refAt(c.final)
	switch {
	case err != nil:
		return fmt.Errorf("block %d is not of this chain any more, and where its branch left is pruned: %w", c.at.Height, err)
	case to.Height >= c.at.Height:
		return c.foreign(to)
	}
	c.know(to)
	return nil
}
