package engineapi

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"headrace/block"

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

// index is the durable map from rollup heights to execution blocks. The execution client cannot hold it: a rollup header's hash covers the
// execution block, so that block cannot name it. A record is written once its block is the client's head, so the index never leads the client;
// when either loses its newest blocks, they are executed again.
//
// Keys are 'b' and the height, 8 bytes big-endian; values 104 bytes: hash, exec, root, time (big-endian).
type index struct {
	db *pebble.DB
}

// identity says whose blocks the index holds.
type identity struct {
	Format        int         `json:"format"`
	ChainID       string      `json:"chain_id"`
	InitialHeight uint64      `json:"initial_height"`
	Genesis       common.Hash `json:"execution_genesis"`
}

const indexFormat = 1

var identityKey = []byte("identity")

func openIndex(dir string, fs vfs.FS, id identity) (*index, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		FS: fs, FormatMajorVersion: pebble.FormatNewest, MemTableSize: 256 << 10, Logger: quiet{},
	})
	if err != nil {
		return nil, fmt.Errorf("open engine index: %w", err)
	}
	x := &index{db: db}
	if err := x.claim(id); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return x, nil
}

// claim makes a new index ours, and refuses another chain's.
func (x *index) claim(id identity) error {
	id.Format = indexFormat
	want, err := json.Marshal(id)
	if err != nil {
		return err
	}
	got, closer, err := x.db.Get(identityKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return x.db.Set(identityKey, want, pebble.Sync)
	}
	if err != nil {
		return fmt.Errorf("read engine index: %w", err)
	}
	defer closer.Close()
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: engine index is of %s, want %s: is this another chain's directory?", ErrConfig, got, want)
	}
	return nil
}

func key(height uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'b'}, height) }

// top returns the highest record.
func (x *index) top() (record, bool, error) {
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: key(0), UpperBound: []byte{'b' + 1}})
	if err != nil {
		return record{}, false, fmt.Errorf("read engine index: %w", err)
	}
	defer it.Close()
	if !it.Last() {
		return record{}, false, it.Error()
	}
	r, err := decodeRecord(binary.BigEndian.Uint64(it.Key()[1:]), it.Value())
	return r, err == nil, err
}

func (x *index) get(height uint64) (record, bool, error) {
	value, closer, err := x.db.Get(key(height))
	if errors.Is(err, pebble.ErrNotFound) {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, fmt.Errorf("read engine index at %d: %w", height, err)
	}
	defer closer.Close()
	r, err := decodeRecord(height, value)
	return r, err == nil, err
}

func (x *index) put(r record) error {
	v := make([]byte, 0, 104)
	v = append(append(append(v, r.hash[:]...), r.exec[:]...), r.root[:]...)
	// Not synced: what a crash takes from the end is executed again.
	if err := x.db.Set(key(r.height), binary.BigEndian.AppendUint64(v, r.time), pebble.NoSync); err != nil {
		return fmt.Errorf("write engine index at %d: %w", r.height, err)
	}
	return nil
}

// truncate drops the records above height.
func (x *index) truncate(height uint64) error {
	if err := x.db.DeleteRange(key(height+1), []byte{'b' + 1}, pebble.Sync); err != nil {
		return fmt.Errorf("truncate engine index to %d: %w", height, err)
	}
	return nil
}

func (x *index) close() error { return x.db.Close() }

func decodeRecord(height uint64, v []byte) (record, error) {
	if len(v) != 104 {
		return record{}, fmt.Errorf("engine index at %d: record of %d bytes, want 104", height, len(v))
	}
	return record{
		height: height, hash: block.Hash(v[:32]), exec: common.Hash(v[32:64]), root: common.Hash(v[64:96]),
		time: binary.BigEndian.Uint64(v[96:]),
	}, nil
}

// quiet is a logger for Pebble that says nothing; what goes wrong comes back as an error.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
