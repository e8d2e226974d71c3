package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"headrace/block"
	"headrace/exec"
)

// parse splits a transaction into key and value.
func parse(tx []byte) (key, value []byte, ok bool) {
	key, value, ok = bytes.Cut(tx, []byte("="))
	return key, value, ok && len(key) > 0 && len(key) <= MaxKey
}

// Execute implements exec.Engine.
func (e *Engine) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	at, hash := e.at.Load(), b.Hash()
	if b.Height() <= at.height {
		return e.again(at, b.Height(), hash)
	}
	if b.Height() != at.height+1 || b.Height() > e.initial && !bytes.Equal(b.Header.Header.LastHeaderHash, at.hash[:]) {
		return nil, fmt.Errorf("execute block %d with parent %x on %d %s: %w", b.Height(), b.Header.Header.LastHeaderHash, at.height, at.hash, exec.ErrParent)
	}
	root, err := e.apply(at, hash, b)
	if err != nil {
		return nil, fmt.Errorf("execute block %d: %w", b.Height(), err)
	}
	e.pool.remove(b)
	return root, nil
}

// again answers for a block that is not above the head: known, it has been executed already (I4).
func (e *Engine) again(at *head, height uint64, hash block.Hash) ([]byte, error) {
	r, ok, err := e.record(height)
	if err != nil {
		return nil, fmt.Errorf("execute block %d again: %w", height, err)
	}
	if !ok || r.hash != hash {
		return nil, fmt.Errorf("execute block %d %s on %d %s: %w", height, hash, at.height, at.hash, exec.ErrParent)
	}
	return r.root, nil
}

// apply is the one commit of a block: values, record, sum and head (I2).
func (e *Engine) apply(at *head, hash block.Hash, b *block.Block) ([]byte, error) {
	ch := e.changes(at)
	skipped := uint64(0)
	var txs [][]byte
	for _, tx := range b.Data.Txs {
		key, value, ok := parse(tx)
		if !ok {
			skipped++
			continue
		}
		txs = append(txs, tx)
		if err := ch.set(string(key), value); err != nil {
			return nil, err
		}
	}
	next := *at
	next.height, next.hash = b.Height(), hash
	next.skipped += skipped
	batch := e.db.NewBatch()
	defer batch.Close()
	undo, err := ch.write(batch)
	if err != nil {
		return nil, err
	}
	next.keys, next.root = ch.keys, ch.sum.root(ch.keys)
	r := record{hash: hash, root: next.root, skipped: skipped, undo: undo}
	err = errors.Join(batch.Set(recordKey(next.height), r.encode(), nil), e.forget(batch, &next))
	if len(txs) > 0 {
		err = errors.Join(err, batch.Set(txsKey(next.height), encodeTxs(txs), nil))
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(next.root), e.commit(batch, &next, ch)
}

// forget deletes the records that history no longer asks for: history blocks can be taken back, and the one below
// them is what they are taken back to.
func (e *Engine) forget(batch *pebble.Batch, next *head) error {
	for ; next.oldest+e.history < next.height; next.oldest++ {
		if err := errors.Join(batch.Delete(recordKey(next.oldest), nil), batch.Delete(txsKey(next.oldest), nil)); err != nil {
			return err
		}
	}
	return nil
}

// commit makes next the head.
func (e *Engine) commit(batch *pebble.Batch, next *head, ch *changes) error {
	err := batch.Set(headKey, next.encode(), nil)
	if ch.touched {
		err = errors.Join(err, batch.Set(sumKey, ch.sum.encode(), nil))
	}
	if err == nil {
		err = e.db.Commit(batch, false)
	}
	if err != nil {
		return err
	}
	e.sum = ch.sum
	e.at.Store(next)
	return nil
}

// Revert implements exec.Engine.
func (e *Engine) Revert(ctx context.Context, height uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.at.Load()
	switch {
	case height >= at.height:
		return ctx.Err()
	case height+1 == e.initial:
		return e.reset(ctx)
	case height+1 < e.initial:
		return fmt.Errorf("revert to %d, below the first height %d: %w", height, e.initial, exec.ErrPruned)
	case height < at.oldest:
		return fmt.Errorf("revert to %d: %w: it goes back to %d", height, exec.ErrPruned, at.oldest)
	}
	for at.height > height {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.undo(at); err != nil {
			return fmt.Errorf("revert block %d: %w", at.height, err)
		}
		at = e.at.Load()
	}
	return nil
}

// undo takes back the block at the head.
func (e *Engine) undo(at *head) error {
	r, ok, err := e.record(at.height)
	if err != nil {
		return err
	}
	parent, ok2, err := e.record(at.height - 1)
	if err != nil {
		return err
	}
	if !ok || !ok2 {
		return e.corrupt(fmt.Errorf("a record of block %d or the one below is missing, and the oldest is %d", at.height, at.oldest))
	}
	ch := e.changes(at)
	for _, old := range r.undo {
		if err := ch.put(old.key, old.value, old.present); err != nil {
			return err
		}
	}
	batch := e.db.NewBatch()
	defer batch.Close()
	if _, err := ch.write(batch); err != nil {
		return err
	}
	next := head{height: at.height - 1, hash: parent.hash, root: parent.root, keys: ch.keys, skipped: at.skipped - r.skipped, oldest: at.oldest}
	if root := ch.sum.root(ch.keys); !bytes.Equal(root, parent.root) {
		return e.corrupt(fmt.Errorf("root is %x after taking back block %d, and was %x before it", root, at.height, parent.root))
	}
	txs, err := e.pooled(at.height)
	err = errors.Join(err, batch.Delete(recordKey(at.height), nil), batch.Delete(txsKey(at.height), nil))
	if err == nil {
		err = e.commit(batch, &next, ch)
	}
	if err != nil {
		return err
	}
	e.pool.back(next.height, txs)
	return nil
}

// reset empties the state in one commit.
func (e *Engine) reset(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	txs, err := e.newest()
	batch := e.db.NewBatch()
	defer batch.Close()
	for _, table := range []byte{pairTable, recordTable, txTable} {
		err = errors.Join(err, batch.DeleteRange([]byte{table}, []byte{table + 1}, nil))
	}
	if err == nil {
		err = e.commit(batch, e.empty(), &changes{touched: true})
	}
	if err != nil {
		return fmt.Errorf("revert everything: %w", err)
	}
	e.pool.back(0, txs)
	return nil
}

// newest returns the transactions of the newest blocks, in order, as many as the pool holds.
func (e *Engine) newest() (txs [][]byte, err error) {
	at, size := e.at.Load(), 0
	var blocks [][][]byte
	for h := at.height; h >= at.oldest && size < e.pool.limit; h-- {
		txs, err := e.pooled(h)
		if err != nil {
			return nil, err
		}
		for _, tx := range txs {
			size += len(tx) + txOverhead
		}
		blocks = append(blocks, txs)
	}
	slices.Reverse(blocks)
	return slices.Concat(blocks...), nil
}
