package evolve

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
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
	*disk.DB
	before uint64 // InitialHeight-1
}

// identity says whose blocks the index holds.
type identity struct {
	Format        int    `json:"format"`
	Kind          string `json:"kind"`
	ChainID       string `json:"chain_id"`
	InitialHeight uint64 `json:"initial_height"`
}

var identityKey = []byte("identity")

func openIndex(dir string, fs vfs.FS, log *slog.Logger, id identity) (*index, error) {
	db, err := disk.Open(dir, disk.Options{FS: fs, Logger: log, MemTableBytes: 256 << 10})
	if err != nil {
		return nil, fmt.Errorf("engine index: %w", err)
	}
	x := &index{db, id.InitialHeight - 1}
	if err := x.claim(id); err != nil {
		db.Close() // what it says now would only repeat err
		return nil, err
	}
	return x, nil
}

// CheckIndex reads all of the index in dir. It returns a disk.ErrCorrupt if that is damaged.
func CheckIndex(dir string, fs vfs.FS, log *slog.Logger) error {
	db, err := disk.Open(dir, disk.Options{FS: fs, Logger: log})
	if err != nil {
		return fmt.Errorf("engine index: %w", err)
	}
	err = db.Damage()
	if err == nil {
		err = db.Verify()
	}
	return errors.Join(err, db.Close())
}

// claim makes a new index ours, and refuses another chain's, or another kind of engine's.
func (x *index) claim(id identity) error {
	id.Format, id.Kind = 1, "evolve"
	want, err := json.Marshal(id)
	if err != nil {
		return err
	}
	got, ok, err := x.Get(identityKey)
	switch {
	case err != nil:
		return fmt.Errorf("read engine index: %w", err)
	case !ok:
		return x.commit(func(b *pebble.Batch) error { return b.Set(identityKey, want, nil) }, true)
	case !bytes.Equal(got, want):
		return fmt.Errorf("engine index is of %s, want %s: is this another chain's directory, or another engine's?", got, want)
	}
	return nil
}

func (x *index) commit(fill func(*pebble.Batch) error, sync bool) error {
	b := x.NewBatch()
	defer b.Close()
	if err := fill(b); err != nil {
		return err
	}
	return x.Commit(b, sync)
}

func key(kind byte, height uint64) []byte { return binary.BigEndian.AppendUint64([]byte{kind}, height) }

// top returns the highest block that was executed.
func (x *index) top() (record, bool, error) {
	k, v, ok, err := x.Last(key('b', 0), []byte{'b' + 1})
	if err != nil {
		return record{}, false, fmt.Errorf("read engine index: %w", err)
	}
	if !ok {
		return record{}, false, nil
	}
	r, err := x.decode(binary.BigEndian.Uint64(k[1:]), v)
	return r, err == nil, err
}

// get returns the block that was executed at height.
func (x *index) get(height uint64) (record, bool, error) { return x.read('b', height) }

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
	r, ok, err := x.read('t', height)
	if !ok {
		return nil, err
	}
	return &r, nil
}

func (x *index) read(kind byte, height uint64) (record, bool, error) {
	v, ok, err := x.Get(key(kind, height))
	if err != nil {
		return record{}, false, fmt.Errorf("read engine index at %d: %w", height, err)
	}
	if !ok {
		return record{}, false, nil
	}
	r, err := x.decode(height, v)
	return r, err == nil, err
}

// try notes on disk that the executor is about to be given r, and with it all that was executed before.
func (x *index) try(r record) error {
	err := x.commit(func(b *pebble.Batch) error {
		return errors.Join(b.DeleteRange([]byte{'t'}, []byte{'t' + 1}, nil), b.Set(key('t', r.height), r.hash[:], nil))
	}, true)
	if err != nil {
		return fmt.Errorf("write engine index at %d: %w", r.height, err)
	}
	return nil
}

// put notes that r was executed. Not synced: a crash that takes it away leaves it tried.
func (x *index) put(r record) error {
	err := x.commit(func(b *pebble.Batch) error { return b.Set(key('b', r.height), append(r.hash[:], r.root...), nil) }, false)
	if err != nil {
		return fmt.Errorf("write engine index at %d: %w", r.height, err)
	}
	return nil
}

// truncate drops what is above height, executed or tried.
func (x *index) truncate(height uint64) error {
	err := x.commit(func(b *pebble.Batch) error {
		return errors.Join(b.DeleteRange(key('b', height+1), []byte{'b' + 1}, nil), b.DeleteRange([]byte{'t'}, []byte{'t' + 1}, nil))
	}, true)
	if err != nil {
		return fmt.Errorf("truncate engine index to %d: %w", height, err)
	}
	return nil
}

func (x *index) decode(height uint64, v []byte) (record, error) {
	if len(v) < 32 {
		return record{}, x.Corrupt(fmt.Errorf("engine index at %d: record of %d bytes, want 32 at least", height, len(v)))
	}
	r := record{height: height, hash: block.Hash(v[:32])}
	if len(v) > 32 {
		r.root = bytes.Clone(v[32:])
	}
	return r, nil
}
