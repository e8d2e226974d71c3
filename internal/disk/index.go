package disk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Index is a database of what an engine has executed, by height, that belongs to one chain. A key is a byte that names
// a table, and the height, 8 bytes big-endian; "identity" is whose it is, in JSON.
type Index[R any] struct {
	*DB
	decode func(height uint64, value []byte) (R, error) // says what is wrong with a value
}

// ErrOthers says that an index has another identity than it was opened with.
var ErrOthers = errors.New("this is another chain's directory, or another engine's")

// OpenIndex opens the index in dir, or makes one, and refuses with ErrOthers one that is another's.
func OpenIndex[R any](dir string, opt Options, identity any, decode func(height uint64, value []byte) (R, error)) (*Index[R], error) {
	opt.MemTableBytes = 256 << 10
	db, err := Open(dir, opt)
	if err != nil {
		return nil, fmt.Errorf("engine index: %w", err)
	}
	x := &Index[R]{db, decode}
	if err := x.claim(identity); err != nil {
		db.Close() // what it says now would only repeat err
		return nil, err
	}
	return x, nil
}

// CheckIndex reads all of the index in dir. It returns an ErrCorrupt if that is damaged.
func CheckIndex(dir string, opt Options) error {
	db, err := Open(dir, opt)
	if err != nil {
		return fmt.Errorf("engine index: %w", err)
	}
	return errors.Join(db.Check(), db.Close())
}

// claim makes a new index ours, and refuses another's.
func (x *Index[R]) claim(identity any) error {
	key := []byte("identity")
	want, err := json.Marshal(identity)
	if err != nil {
		return err
	}
	got, ok, err := x.Get(key)
	switch {
	case err != nil:
		return fmt.Errorf("read engine index: %w", err)
	case !ok:
		return x.Write(true, func(b *pebble.Batch) error { return b.Set(key, want, nil) })
	case !bytes.Equal(got, want):
		return fmt.Errorf("engine index is of %s, want %s: %w", got, want, ErrOthers)
	}
	return nil
}

// Key is where the record of a height is in a table.
func Key(table byte, height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{table}, height)
}

// Top returns the highest record of a table.
func (x *Index[R]) Top(table byte) (r R, ok bool, err error) {
	k, v, ok, err := x.Last(Key(table, 0), []byte{table + 1})
	if err != nil {
		return r, false, fmt.Errorf("read engine index: %w", err)
	}
	if !ok {
		return r, false, nil
	}
	return x.record(binary.BigEndian.Uint64(k[1:]), v)
}

// At returns the record of a height.
func (x *Index[R]) At(table byte, height uint64) (r R, ok bool, err error) {
	v, ok, err := x.Get(Key(table, height))
	if err != nil {
		return r, false, fmt.Errorf("read engine index at %d: %w", height, err)
	}
	if !ok {
		return r, false, nil
	}
	return x.record(height, v)
}

func (x *Index[R]) record(height uint64, value []byte) (r R, ok bool, err error) {
	if r, err = x.decode(height, value); err != nil {
		return r, false, x.Corrupt(fmt.Errorf("engine index at %d: %w", height, err))
	}
	return r, true, nil
}
