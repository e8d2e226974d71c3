package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"headrace/block"
)

// Commit applies b as a whole (I2). ErrRefused: b contradicts itself or the store, and nothing has changed. Any other
// error: what became of b is unknown, and the store takes no further commit until it is opened anew.
func (s *Store) Commit(b *Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := change{s: s, b: b, next: *s.state.Load(), items: s.items, txs: s.whole.Load(), txsFrom: s.txsFrom, batch: s.db.NewBatch()}
	c.base = c.next.Unsafe.Height
	defer c.batch.Close()
	if err := c.stage(); err != nil {
		return err
	}
	if err := s.db.Commit(c.batch, b.Sync); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.items, s.txsFrom = c.items, c.txsFrom
	s.whole.Store(c.txs)
	s.state.Store(&c.next)
	return nil
}

// change is a Batch on its way to the disk.
type change struct {
	s     *Store
	b     *Batch
	next  State
	items span

	txs, txsFrom uint64 // TxsFrom, and as it is on disk

	base  uint64        // the height that is appended to
	marks []mark        // of appended blocks, from base+1 on
	batch *pebble.Batch // its methods fail only for batches that are closed or too large
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrRefused, fmt.Errorf(format, args...))
}

func (c *change) stage() error {
	for _, step := range []func() error{c.initial, c.truncate, c.append, c.correct, c.promote, c.heads, c.position, c.dropItems, c.item, c.halves, c.rest} {
		if err := step(); err != nil {
			return err
		}
	}
	return c.write()
}

func (c *change) initial() error {
	if c.b.InitialRoot != nil {
		c.next.InitialRoot = bytes.Clone(c.b.InitialRoot)
	}
	return nil
}

func (c *change) truncate() error {
	if c.b.Truncate == nil || *c.b.Truncate >= c.next.Unsafe.Height {
		return nil
	}
	top := *c.b.Truncate
	if top < c.next.Finalized.Height {
		return refuse("truncate to %d, below the finalized height %d", top, c.next.Finalized.Height)
	}
	if err := c.s.dropBlocks(c.batch, top+1, c.next.Unsafe.Height+1); err != nil {
		return err
	}
	c.base = top
	m, err := c.mark(top)
	if err != nil {
		return err
	}
	c.next.Unsafe = block.Ref{Height: top, Hash: m.hash}
	c.next.Root = m.root
	c.txs = min(c.txs, top+1)
	return nil
}

// dropBlocks deletes the blocks in [from, to).
func (s *Store) dropBlocks(batch *pebble.Batch, from, to uint64) error {
	err := s.db.Each(originKey(from), originKey(to), func(_, value []byte) error {
		m, err := decodeMark(value)
		if err != nil {
			return s.db.Corrupt(err)
		}
		return batch.Delete(hashKey(m.hash), nil)
	})
	return errors.Join(err, s.dropTxs(batch, from, to), deleteHeights(batch, 'o', from, to), deleteHeights(batch, 'b', from, to))
}

// deleteHeights deletes a table's keys with heights in [from, to). Few are deleted one by one: a range deletion costs
// every later read a little.
func deleteHeights(batch *pebble.Batch, table byte, from, to uint64) error {
	const few = 64
	if to-from > few {
		return batch.DeleteRange(heightKey(table, from), heightKey(table, to), nil)
	}
	for h := from; h < to; h++ {
		if err := batch.Delete(heightKey(table, h), nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) append() error {
	for i := range c.b.Append {
		r := &c.b.Append[i]
		if err := c.checkSuccessor(r.Block); err != nil {
			return err
		}
		height := r.Block.Height()
		m := mark{hash: r.Block.Hash(), root: r.Root, origin: r.Origin}
		body := r.Block.Encode()
		err := errors.Join(
			c.set(bodyKey(height), m.hash[:], body),
			c.batch.Set(hashKey(m.hash), binary.BigEndian.AppendUint64(nil, height), nil),
			c.batch.Set(originKey(height), m.encode(), nil),
			c.indexTxs(r.Block, m.hash))
		if err != nil {
			return err
		}
		c.marks = append(c.marks, m)
		c.next.Unsafe = block.Ref{Height: height, Hash: m.hash}
		c.next.Root = r.Root
	}
	return nil
}

// correct puts another root in the place of the one after the last block.
func (c *change) correct() error {
	switch {
	case c.b.Root == nil:
		return nil
	case len(c.b.Append) > 0 || c.b.Truncate != nil || c.next.Unsafe.Height < c.s.fixed.initial:
		return refuse("correct the state root of a block that is not stored yet")
	}
	m, err := c.mark(c.next.Unsafe.Height)
	if err != nil {
		return err
	}
	m.root = bytes.Clone(c.b.Root)
	c.next.Root = m.root
	if c.next.Safe == c.next.Unsafe {
		c.next.SafeRoot = m.root
	}
	return c.batch.Set(originKey(c.next.Unsafe.Height), m.encode(), nil)
}

// set writes a value of two parts without joining them first.
func (c *change) set(key, head, tail []byte) error {
	op := c.batch.SetDeferred(len(key), len(head)+len(tail))
	copy(op.Key, key)
	copy(op.Value[copy(op.Value, head):], tail)
	return op.Finish()
}

func (c *change) checkSuccessor(b *block.Block) error {
	if b == nil {
		return refuse("append no block on %d", c.next.Unsafe.Height)
	}
	top, h := c.next.Unsafe, &b.Header.Header
	switch {
	case h.Height != top.Height+1:
		return refuse("append block %d on %d", h.Height, top.Height)
	case h.ChainID != c.s.fixed.id.ChainID:
		return refuse("append block %d of chain %q to chain %q", h.Height, h.ChainID, c.s.fixed.id.ChainID)
	case h.Height > c.s.fixed.initial && !bytes.Equal(h.LastHeaderHash, top.Hash[:]):
		return refuse("append block %d with parent %x on %s", h.Height, h.LastHeaderHash, top.Hash)
	}
	return nil
}

// mark returns the mark of a block as it will be after what is staged so far.
func (c *change) mark(height uint64) (mark, error) {
	if height+1 == c.s.fixed.initial {
		return mark{root: c.next.InitialRoot}, nil // before the first block: no hash
	}
	if height <= c.base {
		return c.s.mark(height)
	}
	if i := height - c.base - 1; i < uint64(len(c.marks)) {
		return c.marks[i], nil
	}
	return mark{}, ErrNotFound
}

func (c *change) promote() error {
	for _, p := range c.b.Promote {
		m, err := c.mark(p.Height)
		if errors.Is(err, ErrNotFound) || p.Height+1 == c.s.fixed.initial {
			return refuse("promote block %d, which is not there; the highest is %d", p.Height, c.next.Unsafe.Height)
		}
		if err != nil {
			return err
		}
		m.origin = p.Origin
		if p.Height > c.base {
			c.marks[p.Height-c.base-1] = m
		}
		if err := c.batch.Set(originKey(p.Height), m.encode(), nil); err != nil {
			return err
		}
	}
	return nil
}

// heads sets safe and finalized, and checks their order (I10).
func (c *change) heads() error {
	n := &c.next
	if c.b.Safe != nil {
		m, err := c.head("safe", *c.b.Safe)
		if err != nil {
			return err
		}
		if err := c.demote(c.b.Safe.Height, n.Safe.Height); err != nil {
			return err
		}
		n.Safe, n.SafeRoot = *c.b.Safe, m.root
	}
	if c.b.Finalized != nil {
		if c.b.Finalized.Height < n.Finalized.Height {
			return refuse("finalized goes back from %d to %d", n.Finalized.Height, c.b.Finalized.Height)
		}
		if _, err := c.head("finalized", *c.b.Finalized); err != nil {
			return err
		}
		n.Finalized = *c.b.Finalized
	}
	if n.Finalized.Height > n.Safe.Height || n.Safe.Height > n.Unsafe.Height {
		return refuse("heads out of order: finalized %d, safe %d, unsafe %d", n.Finalized.Height, n.Safe.Height, n.Unsafe.Height)
	}
	return nil
}

// demote takes the origin of the blocks in (safe, before] that stay: they are in the source no more.
func (c *change) demote(safe, before uint64) error {
	for h := safe + 1; h <= min(before, c.base); h++ {
		m, err := c.mark(h)
		if err != nil {
			return err
		}
		m.origin = Origin{}
		if err := c.batch.Set(originKey(h), m.encode(), nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) head(name string, r block.Ref) (mark, error) {
	m, err := c.mark(r.Height)
	if errors.Is(err, ErrNotFound) {
		return mark{}, refuse("%s is %d, a block that is not there; the highest is %d", name, r.Height, c.next.Unsafe.Height)
	}
	if err == nil && m.hash != r.Hash {
		return mark{}, refuse("%s is %d %s, and the block there is %s", name, r.Height, r.Hash, m.hash)
	}
	return m, err
}

// position sets position and proven.
func (c *change) position() error {
	n, start := &c.next, c.s.fixed.start
	if c.b.Position != nil {
		n.Position = *c.b.Position
	}
	if c.b.Proven != nil {
		n.Proven = *c.b.Proven
	}
	if n.Proven.Height > n.Position.Height || n.Proven.Height < start.Height {
		return refuse("positions out of order: start %d, proven %d, position %d", start.Height, n.Proven.Height, n.Position.Height)
	}
	return nil
}

func (c *change) dropItems() error {
	if a := c.b.DropItemsAbove; a != nil && *a < c.items.high {
		from := max(*a+1, c.items.low)
		if err := deleteHeights(c.batch, 'i', from, max(c.items.high, from)); err != nil {
			return err
		}
		c.items.high = from
	}
	if b := c.b.DropItemsBelow; b != nil && *b > c.items.low {
		to := min(*b, c.items.high)
		if err := deleteHeights(c.batch, 'i', c.items.low, to); err != nil {
			return err
		}
		c.items.low = to
	}
	return nil
}

func (c *change) item() error {
	it := c.b.Item
	if it == nil {
		return nil
	}
	last := c.s.State().Position
	switch {
	case it.Ref != c.next.Position:
		return refuse("item %d %s is not the position %d %s", it.Ref.Height, it.Ref.Hash, c.next.Position.Height, c.next.Position.Hash)
	case it.Safe > c.next.Unsafe.Height:
		return refuse("item %d with safe height %d above unsafe height %d", it.Ref.Height, it.Safe, c.next.Unsafe.Height)
	case c.b.DropItemsAbove == nil && it.Ref.Height == last.Height+1 && !last.Hash.IsZero() && !it.Parent.IsZero() && it.Parent != last.Hash:
		return refuse("item %d with parent %s on %s", it.Ref.Height, it.Parent, last.Hash)
	}
	if c.items.low == c.items.high {
		c.items = span{it.Ref.Height, it.Ref.Height}
	}
	c.items = span{min(c.items.low, it.Ref.Height), max(c.items.high, it.Ref.Height+1)}
	return c.batch.Set(itemKey(it.Ref.Height), encodeItem(it), nil)
}

func (c *change) halves() error {
	for _, k := range c.b.RemoveHalves {
		if err := c.batch.Delete(halfKey(k), nil); err != nil {
			return err
		}
	}
	for i := range c.b.AddHalves {
		h := &c.b.AddHalves[i]
		if h.Index < 0 {
			return refuse("pending half of block %d with index %d", h.Height, h.Index)
		}
		if err := c.batch.Set(halfKey(h.Key()), encodeHalf(h), nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) rest() error {
	if c.b.EnvelopesOnly {
		c.next.EnvelopesOnly = true
	}
	if c.b.Inbox != nil {
		in := *c.b.Inbox
		c.next.Inbox = &in
		if err := c.batch.Set(inboxKey, encodeInbox(c.b.Inbox), nil); err != nil {
			return err
		}
	}
	for name, value := range c.b.Named {
		err := c.batch.Delete(namedKey(name), nil)
		if value != nil {
			err = c.batch.Set(namedKey(name), value, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// write adds what has changed of the state itself.
func (c *change) write() error {
	last := c.s.State()
	if source := encodeSource(&c.next, c.items); !bytes.Equal(source, encodeSource(&last, c.s.items)) {
		if err := c.batch.Set(sourceKey, source, nil); err != nil {
			return err
		}
	}
	if c.s.hashes != nil && len(c.b.Append) > 0 && c.txsFrom != c.txs {
		c.txsFrom = c.txs
		if err := c.batch.Set(wholeKey, binary.BigEndian.AppendUint64(nil, c.txsFrom), nil); err != nil {
			return err
		}
	}
	if chain := encodeChain(&c.next); !bytes.Equal(chain, encodeChain(&last)) {
		return c.batch.Set(chainKey, chain, nil)
	}
	return nil
}
