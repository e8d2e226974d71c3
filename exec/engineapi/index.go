package engineapi

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
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
}

// index is the durable map from rollup heights to execution blocks. The execution client cannot hold it: a rollup
// header's hash covers the execution block, so that block cannot name it. A record is written once its block is the
// client's head, so the index never leads the client; when either loses its newest blocks, they are executed again.
//
// Keys are 'b' and the height, 8 bytes big-endian; values 104 bytes: hash, exec, root, time (big-endian).
type index struct {
	*disk.DB
}

// identity says whose blocks the index holds.
type identity struct {
	Format        int         `json:"format"`
	ChainID       string      `json:"chain_id"`
	InitialHeight uint64      `json:"initial_height"`
	Genesis       common.Hash `json:"execution_genesis"`
	Derived       bool        `json:"derived,omitempty"`
}

const indexFormat = 1

var identityKey = []byte("identity")

// ErrCorrupt says that what the index has on disk cannot be read; test with errors.Is.
var ErrCorrupt = disk.ErrCorrupt

func openIndex(dir string, fs vfs.FS, log *slog.Logger, id identity) (*index, error) {
	db, err := disk.Open(dir, disk.Options{FS: fs, Logger: log, MemTableBytes: 256 << 10})
	if err != nil {
		return nil, fmt.Errorf("engine index: %w", err)
	}
	x := &index{db}
	if err := x.claim(id); err != nil {
		db.Close() // what it says now would only repeat err
		return nil, err
	}
	return x, nil
}

// CheckIndex reads all of the index in dir. It returns an ErrCorrupt if that is damaged: the directory can be removed
// then, since an engine with a new index takes its client's blocks over.
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

// claim makes a new index ours, and refuses another chain's.
func (x *index) claim(id identity) error {
	id.Format = indexFormat
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
		return fmt.Errorf("%w: engine index is of %s, want %s: is this another chain's directory?", ErrConfig, got, want)
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

func key(height uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'b'}, height) }

// end is behind the keys of all records.
var end = []byte{'b' + 1}

// top returns the highest record.
func (x *index) top() (record, bool, error) {
	k, v, ok, err := x.Last(key(0), end)
	if err != nil {
		return record{}, false, fmt.Errorf("read engine index: %w", err)
	}
	if !ok {
		return record{}, false, nil
	}
	r, err := x.decode(binary.BigEndian.Uint64(k[1:]), v)
	return r, err == nil, err
}

func (x *index) get(height uint64) (record, bool, error) {
	v, ok, err := x.Get(key(height))
	if err != nil {
		return record{}, false, fmt.Errorf("read engine index at %d: %w", height, err)
	}
	if !ok {
		return record{}, false, nil
	}
	r, err := x.decode(height, v)
	return r, err == nil, err
}

func (x *index) put(r record) error {
	v := make([]byte, 0, 104)
	v = append(append(append(v, r.hash[:]...), r.exec[:]...), r.root[:]...)
	v = binary.BigEndian.AppendUint64(v, r.time)
	// Not synced: what a crash takes from the end is executed again.
	if err := x.commit(func(b *pebble.Batch) error { return b.Set(key(r.height), v, nil) }, false); err != nil {
		return fmt.Errorf("write engine index at %d: %w", r.height, err)
	}
	return nil
}

// truncate drops the records above height.
func (x *index) truncate(height uint64) error {
	if err := x.commit(func(b *pebble.Batch) error { return b.DeleteRange(key(height+1), end, nil) }, true); err != nil {
		return fmt.Errorf("truncate engine index to %d: %w", height, err)
	}
	return nil
}

func (x *index) decode(height uint64, v []byte) (record, error) {
	if len(v) != 104 {
		return record{}, x.Corrupt(fmt.Errorf("engine index at %d: record of %d bytes, want 104", height, len(v)))
	}
	return record{
		height: height, hash: block.Hash(v[:32]), exec: common.Hash(v[32:64]), root: common.Hash(v[64:96]),
		time: binary.BigEndian.Uint64(v[96:]),
	}, nil
}
