// Package kv is an execution engine whose state is a set of keys with values, for tests, demos and as an example of
// an engine.
//
// A transaction is "key=value": all before the first "=" is the key, which is not empty and at most MaxKey bytes, all
// after it is the value. It sets the key. Any other transaction is skipped and counted, on every node alike. There is
// no other rule: the root depends only on the blocks' transactions in their order.
//
// The state root is SHA-256 over an LtHash16 (a sum of hashes, one per pair) of all keys with their values, and nil
// while there are none. A block costs what its own transactions cost, however large the state.
//
// Durability: the effect of a block is one atomic commit, which is not waited for; after a crash the engine stands at
// some block it has executed, with exactly that block's state. Reverts go back block by block, each one commit, as
// far as the history that is kept; the transactions of these blocks are kept with it, and go back to the pool.
//
// Concurrency: everything may overlap. Execute and Revert exclude each other; Get and Head do not wait for them. The
// pool of transactions is in memory only, first in, first out; it is full when what waits fills eight blocks. What
// Revert gives back to it has room of its own, as much again.
package kv

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/exec"
	"headrace/internal/disk"
)

// MaxKey is the length of the longest key, in bytes.
const MaxKey = 4096

// The kinds of errors of Open; test with errors.Is. Each message says what to do.
var (
	ErrLocked      = disk.ErrLocked
	ErrNewerFormat = disk.ErrNewerFormat
	ErrCorrupt     = disk.ErrCorrupt
	ErrFailed      = disk.ErrFailed // the disk failed a write: every later Execute and Revert fails too; open anew
	ErrClosed      = disk.ErrClosed
)

// Options of Open. The zero value works.
type Options struct {
	FS            vfs.FS       // nil: the operating system's
	Logger        *slog.Logger // nil: discard
	CacheBytes    int64        // of memory for reads; 0: 8 MiB
	InitialHeight uint64       // the rollup's first height; 0: 1. It is fixed when the engine is made
	History       uint64       // how many blocks below the highest one Revert can go back, besides to the beginning; 0: 10,000
	PoolBytes     int          // of transactions waiting, each counted with 256 bytes on top; 0: 16 MiB
	Before        *Engine      // one that was closed: the transactions that wait in it wait in the new one, whichever they are given to
}

// Engine is an open engine. It implements exec.Engine and exec.Builder.
type Engine struct {
	db      *disk.DB
	initial uint64
	history uint64
	pool    *pool

	mu  sync.Mutex // held by Execute and Revert, which alone set the rest
	sum lthash     // of the state at head
	at  atomic.Pointer[head]
}

var (
	_ exec.Engine   = (*Engine)(nil)
	_ exec.Builder  = (*Engine)(nil)
	_ exec.Forcer   = (*Engine)(nil)
	_ exec.Exempter = (*Engine)(nil)
	_ exec.Pool     = (*Engine)(nil)
	_ exec.Disk     = (*Engine)(nil)
)

// head is where the engine stands.
type head struct {
	height  uint64
	hash    block.Hash
	root    []byte
	keys    uint64 // in the state
	skipped uint64 // transactions since the first block
	oldest  uint64 // the lowest height whose record is kept; above height if there is none
}

// Stats are figures about an engine.
type Stats struct {
	Keys      uint64 // in the state
	Skipped   uint64 // transactions that were skipped, since the first block
	PoolTxs   int    // waiting
	PoolBytes int
	Dropped   uint64 // transactions that waited and were larger than a block can hold
}

// Open opens the engine in dir, or makes one with an empty state.
func Open(dir string, opt Options) (*Engine, error) {
	db, err := disk.Open(dir, disk.Options{FS: opt.FS, Logger: opt.Logger, CacheBytes: opt.CacheBytes})
	if err != nil {
		return nil, err
	}
	e := &Engine{db: db, initial: max(opt.InitialHeight, 1), history: cmp.Or(opt.History, 10_000), pool: &pool{limit: cmp.Or(opt.PoolBytes, 16<<20)}}
	if opt.Before != nil {
		e.pool = opt.Before.pool
	}
	if err := e.load(); err != nil {
		db.Close() // what it says now would only repeat err
		return nil, err
	}
	return e, nil
}

// Check reads all of the engine in dir. It returns an ErrCorrupt if that is damaged: a new engine, in an empty
// directory, can take its place, and is given the blocks again.
func Check(dir string, opt Options) error {
	e, err := Open(dir, opt)
	if err != nil {
		return err
	}
	return errors.Join(e.db.Check(), e.Close())
}

// Head implements exec.Engine.
func (e *Engine) Head(ctx context.Context) (exec.Head, error) {
	if err := ctx.Err(); err != nil {
		return exec.Head{}, err
	}
	at := e.at.Load()
	return exec.Head{Height: at.height, Hash: at.hash, Root: bytes.Clone(at.root)}, nil
}

// Get returns the present value of key.
func (e *Engine) Get(key []byte) (value []byte, ok bool, err error) {
	return e.db.Get(pairKey(string(key)))
}

// Stats returns present figures.
func (e *Engine) Stats() Stats {
	at := e.at.Load()
	txs, size, dropped := e.pool.stats()
	return Stats{Keys: at.keys, Skipped: at.skipped, PoolTxs: txs, PoolBytes: size, Dropped: dropped}
}

// SubmitTx implements exec.Builder. It waits for nothing, and does not look at its context: its errors say for certain that
// the transaction does not wait here.
func (e *Engine) SubmitTx(_ context.Context, tx []byte) error {
	if why := exempt(tx); why != "" {
		return fmt.Errorf("submit transaction of %d bytes: %w: %s", len(tx), exec.ErrInvalid, why)
	}
	return e.pool.add(tx)
}

// BuildForced implements exec.Forcer.
func (e *Engine) BuildForced(ctx context.Context, height, time uint64, maxBytes int, forced [][]byte) (txs [][]byte, err error) {
	left := maxBytes
	for _, tx := range forced {
		if size := len(tx) + exec.TxOverhead; exempt(tx) == "" && size <= left {
			txs, left = append(txs, tx), left-size
		}
	}
	if len(txs) > 0 {
		return txs, ctx.Err()
	}
	return e.Build(ctx, height, time, maxBytes)
}

// Exempt implements exec.Exempter: what sets no value is skipped, after whatever block.
func (e *Engine) Exempt(_ context.Context, height uint64, item [][]byte) (why []string, err error) {
	if at := e.at.Load(); height > at.height {
		return nil, fmt.Errorf("check forced transactions after block %d on %d: %w", height, at.height, exec.ErrParent)
	}
	for _, tx := range item {
		why = append(why, exempt(tx))
	}
	return why, nil
}

func exempt(tx []byte) string {
	if _, _, ok := parse(tx); !ok {
		return fmt.Sprintf("it is not key=value with a key of 1 to %d bytes", MaxKey)
	}
	return ""
}

// Build implements exec.Builder.
func (e *Engine) Build(ctx context.Context, height, _ uint64, maxBytes int) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if at := e.at.Load(); height != at.height+1 {
		return nil, fmt.Errorf("build block %d on %d: %w", height, at.height, exec.ErrParent)
	}
	e.pool.limitTo(maxBytes)
	return e.pool.first(), nil
}

// Limit implements exec.Pool.
func (e *Engine) Limit(maxBytes int) { e.pool.limitTo(maxBytes) }

// Dropped implements exec.Pool.
func (e *Engine) Dropped() uint64 { return e.Stats().Dropped }

// Err implements exec.Disk.
func (e *Engine) Err() error { return e.db.Err() }

// Failed implements exec.Disk.
func (e *Engine) Failed() <-chan struct{} { return e.db.Failed() }

// Damage implements exec.Disk.
func (e *Engine) Damage() error { return e.db.Damage() }

// Damaged implements exec.Disk.
func (e *Engine) Damaged() <-chan struct{} { return e.db.Damaged() }

// Sync returns when everything executed so far is on disk.
func (e *Engine) Sync() error { return e.db.Sync() }

// Close makes everything executed durable and gives the directory back.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.db.Close()
}
