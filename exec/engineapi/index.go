package engineapi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"headrace/block"
	"headrace/internal/disk"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
)

// record is what is known of one executed rollup block.
type record struct {
	height uint64
	hash   block.Hash  // of the rollup block's header
	exec   common.Hash // of the execution block
	root   common.Hash // state root after it
	time   uint64      // the execution block's timestamp, Unix seconds

	// Of a derived block, which transactions the client passed over: bit i%8 of byte i/8 is that of transaction i. No byte
	// after the last one that is. Of a block that an earlier version has executed, nothing is known.
	skipped string
}

// index is the durable map from rollup heights to execution blocks. The execution client cannot hold it: a rollup
// header's hash covers the execution block, so that block cannot name it. A record is written once its block is the
// client's head, so the index never leads the client; when either loses its newest blocks, they are executed again.
//
// Keys are 'b' and the height, 8 bytes big-endian; values 104 bytes or more: hash, exec, root, time (big-endian), skipped.
type index struct {
	*disk.Index[record]
}

// identity says whose blocks the index holds.
type identity struct {
	Format        int         `json:"format"`
	ChainID       string      `json:"chain_id"`
	InitialHeight uint64      `json:"initial_height"`
	Genesis       common.Hash `json:"execution_genesis"`
	Derived       bool        `json:"derived,omitempty"`
}

// ErrCorrupt says that what the index has on disk cannot be read; test with errors.Is.
var ErrCorrupt = disk.ErrCorrupt

func openIndex(dir string, fs vfs.FS, log *slog.Logger, id identity) (*index, error) {
	id.Format = 1
	x, err := disk.OpenIndex(dir, disk.Options{FS: fs, Logger: log}, id, decodeRecord)
	switch {
	case errors.Is(err, disk.ErrOthers):
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	case err != nil:
		return nil, err
	}
	return &index{x}, nil
}

// CheckIndex reads all of the index in dir. It returns an ErrCorrupt if that is damaged: the directory can be removed
// then, since an engine with a new index takes its client's blocks over.
func CheckIndex(dir string, fs vfs.FS, log *slog.Logger) error {
	return disk.CheckIndex(dir, disk.Options{FS: fs, Logger: log})
}

// top returns the highest record.
func (x *index) top() (record, bool, error) { return x.Top('b') }

func (x *index) get(height uint64) (record, bool, error) { return x.At('b', height) }

func (x *index) put(r record) error {
	v := make([]byte, 0, 104+len(r.skipped))
	v = append(append(append(v, r.hash[:]...), r.exec[:]...), r.root[:]...)
	v = append(binary.BigEndian.AppendUint64(v, r.time), r.skipped...)
	// Not synced: what a crash takes from the end is executed again.
	if err := x.Write(false, func(b *pebble.Batch) error { return b.Set(disk.Key('b', r.height), v, nil) }); err != nil {
		return fmt.Errorf("write engine index at %d: %w", r.height, err)
	}
	return nil
}

// truncate drops the records above height.
func (x *index) truncate(height uint64) error {
	err := x.Write(true, func(b *pebble.Batch) error { return b.DeleteRange(disk.Key('b', height+1), []byte{'b' + 1}, nil) })
	if err != nil {
		return fmt.Errorf("truncate engine index to %d: %w", height, err)
	}
	return nil
}

func decodeRecord(height uint64, v []byte) (record, error) {
	if len(v) < 104 {
		return record{}, fmt.Errorf("record of %d bytes, want 104 at least", len(v))
	}
	return record{
		height: height, hash: block.Hash(v[:32]), exec: common.Hash(v[32:64]), root: common.Hash(v[64:96]),
		time: binary.BigEndian.Uint64(v[96:]), skipped: string(v[104:]),
	}, nil
}
