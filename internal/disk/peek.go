package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Peek returns the values of some keys of the database in dir, nil for those that are not there, as of its last commits.
// It takes no lock and writes nothing, so it works beside a process that has the database open: it is for whoever looks,
// and decides nothing. Files may be removed while it reads; then it tries again, and in the end fails.
func Peek(dir string, base vfs.FS, keys ...[]byte) (values [][]byte, err error) {
	if base == nil {
		base = vfs.Default
	}
	if err := checkFormat(dir, base); err != nil {
		return nil, err
	}
	for range peeks {
		if values, err = peek(dir, onlyLooking{base}, keys); err == nil {
			return values, nil
		}
	}
	return nil, err
}

// peeks is how often reading is tried.
const peeks = 5

func peek(dir string, look vfs.FS, keys [][]byte) (values [][]byte, err error) {
	defer func() {
		if r := recover(); r != nil { // Pebble panics on what contradicts itself, and it may have changed meanwhile
			err = fmt.Errorf("read %s: %v", dir, r)
		}
	}()
	db, err := pebble.Open(dir, &pebble.Options{FS: look, ReadOnly: true, Logger: quiet{}, CacheSize: 1 << 20})
	if err != nil {
		return nil, openError(dir, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, key := range keys {
		value, closer, err := db.Get(key)
		switch {
		case errors.Is(err, pebble.ErrNotFound):
			values = append(values, nil)
			continue
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", dir, oneLine{err})
		}
		values = append(values, append([]byte{}, value...))
		if err := closer.Close(); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// Noted returns nil, or the damage that is noted in the directory of a database.
func Noted(dir string, base vfs.FS) error {
	if base == nil {
		base = vfs.Default
	}
	r := newRot(dir, base, slog.New(slog.DiscardHandler))
	if err := r.recall(); err != nil {
		return err
	}
	return r.cause()
}

// onlyLooking is a file system on which nothing is changed, nor locked.
type onlyLooking struct{ vfs.FS }

var errLooking = fmt.Errorf("only looking: %w", fs.ErrPermission)

func (onlyLooking) Lock(string) (io.Closer, error)                         { return io.NopCloser(nil), nil }
func (onlyLooking) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, errLooking }
func (onlyLooking) Link(string, string) error                              { return errLooking }
func (onlyLooking) Remove(string) error                                    { return errLooking }
func (onlyLooking) RemoveAll(string) error                                 { return errLooking }
func (onlyLooking) Rename(string, string) error                            { return errLooking }
func (onlyLooking) MkdirAll(string, fs.FileMode) error                     { return errLooking }
func (onlyLooking) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, errLooking
}
func (onlyLooking) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errLooking
}

// quiet is a logger of Pebble that says nothing.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
