// Package position keeps where a reader of a source stands in a file, for follow.Each.
//
// A position is there as a whole or not at all, whenever the process or the machine ends: it is written beside the one
// before, put on the disk, and takes its place in one step. A File has one writer: two programs with the same file read
// everything twice.
package position

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"headrace/follow"
)

// File is a follow.Position in a file of JSON: {"height":7,"hash":"…"}.
type File struct {
	path string
	from uint64
}

var _ follow.Position = (*File)(nil)

// InFile returns the position in the file at path. While there is no such file, it is before the height from.
func InFile(path string, from uint64) *File { return &File{path, max(from, 1)} }

// Load implements follow.Position.
func (f *File) Load() (at follow.Ref, err error) {
	text, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return follow.Ref{Height: f.from - 1}, nil
	}
	if err != nil {
		return at, err
	}
	if err := json.Unmarshal(text, &at); err != nil {
		return follow.Ref{}, fmt.Errorf("%s holds no position: %w: remove it to read from height %d on, or write {\"height\":N} to go on after N", f.path, err, f.from)
	}
	return at, nil
}

// Store implements follow.Position.
func (f *File) Store(at follow.Ref) error {
	text, err := json.Marshal(at)
	if err != nil {
		return err
	}
	next := f.path + ".new"
	if err := write(next, append(text, '\n')); err != nil {
		return err
	}
	if err := os.Rename(next, f.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(f.path))
}

// write makes a file that is on the disk when it returns.
func write(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// syncDir puts the names in a directory on the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
