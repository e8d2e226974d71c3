package evolve

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"

	"headrace/block"
	"headrace/exec"
	"headrace/internal/disk"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// record is what is known of one executed block; height InitialHeight-1, with a zero hash, is the genesis state.
type record struct {
	height uint64
	hash   block.Hash
	root   []byte // state root after it
}

// index is the durable map from heights to blocks and state roots. A block is noted as tried, and that is on disk,
// before the executor is given it. Its root is written after, and is on disk with the next such note. So a crash takes
// away at most that the last block was executed.
//
// Keys are 'b' and the height, 8 bytes big-endian, of what is executed, and 't' and the height of what is tried. Values
// are the hash, 32 bytes, and the root.
type index struct {
	*disk.Index[record]
	before uint64 // InitialHeight-1
}

// identity says whose blocks the index holds.
type identity struct {
	Format        int    `json:"format"`
	Kind          string `json:"kind"`
	ChainID       string `json:"chain_id"`
	InitialHeight uint64 `json:"initial_height"`
}

func openIndex(dir string, fs vfs.FS, log *slog.Logger, id identity) (*index, error) {
	id.Format, id.Kind = 1, "evolve"
	x, err := disk.OpenIndex(dir, disk.Options{FS: fs, Logger: log}, id, decodeRecord)
	if err != nil {
		return nil, err
	}
	return &index{x, id.InitialHeight - 1}, nil
}

// CheckIndex reads all of the index in dir. It returns a disk.ErrCorrupt if that is damaged.
func CheckIndex(dir string, fs vfs.FS, log *slog.Logger) error {
	return disk.CheckIndex(dir, disk.Options{FS: fs, Logger: log})
}

// top returns the highest block that was executed.
func (x *index) top() (record, bool, error) { return x.Top('b') }

// get returns the block that was executed at height.
func (x *index) get(height uint64) (record, bool, error) { return x.At('b', height) }

// at is get for a height at or below the top. The genesis state may not be known yet.
func (x *index) at(height uint64) (record, error) {
	r, ok, err := x.get(height)
	if err == nil && !ok && height == x.before {
		return record{height: height}, nil
	}
	if err == nil && !ok {
		err = fmt.Errorf("engine index has no height %d: %w", height, exec.ErrPruned)
	}
	return r, err
}

// tried returns the block that the executor was given at height, or nil.
func (x *index) tried(height uint64) (*record, error) {
	r, ok, err := x.At('t', height)
	if !ok {
		return nil, err
	}
	return &r, nil
}

// try notes on disk that the executor is about to be given r, and with it all that was executed before.
func (x *index) try(r record) error {
	err := x.Write(true, func(b *pebble.Batch) error {
		return errors.Join(b.DeleteRange([]byte{'t'}, []byte{'t' + 1}, nil), b.Set(disk.Key('t', r.height), r.hash[:], nil))
	})
	if err != nil {
		return fmt.Errorf("write engine index at %d: %w", r.height, err)
	}
	return nil
}

// put notes that r was executed. Not synced: a crash that takes it away leaves it tried.
func (x *index) put(r record) error {
	err := x.Write(false, func(b *pebble.Batch) error { return b.Set(disk.Key('b', r.height), append(r.hash[:], r.root...), nil) })
	if err != nil {
		return fmt.Errorf("write engine index at %d: %w", r.height, err)
	}
	return nil
}

// truncate drops what is above height, executed or tried.
func (x *index) truncate(height uint64) error {
	err := x.Write(true, func(b *pebble.Batch) error {
		return errors.Join(b.DeleteRange(disk.Key('b', height+1), []byte{'b' + 1}, nil), b.DeleteRange([]byte{'t'}, []byte{'t' + 1}, nil))
	})
	if err != nil {
		return fmt.Errorf("truncate engine index to %d: %w", height, err)
	}
	return nil
}

func decodeRecord(height uint64, v []byte) (record, error) {
	if len(v) < 32 {
		return record{}, fmt.Errorf("record of %d bytes, want 32 at least", len(v))
	}
	r := record{height: height, hash: block.Hash(v[:32])}
	if len(v) > 32 {
		r.root = bytes.Clone(v[32:])
	}
	return r, nil
}
