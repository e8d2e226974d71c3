package disk

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fuse is a file system that stops all writing at the first sign of trouble, and Pebble's logger, which is told of trouble. Pebble wants its
// process to end when it calls Fatalf; with the disk cut off it may as well go on: nothing that it does in its confusion reaches a file.
type fuse struct {
	vfs.FS
	log   *slog.Logger
	blown atomic.Pointer[error]
}

var errBlown = errors.New("writing has stopped after an earlier error")

// trip keeps the first error and stops all writing.
func (f *fuse) trip(err error) {
	if f.blown.CompareAndSwap(nil, &err) {
		f.log.Error("stop writing", "err", err)
	}
}

func (f *fuse) cause() error {
	if p := f.blown.Load(); p != nil {
		return *p
	}
	return nil
}

// check is asked before each change.
func (f *fuse) check() error {
	if f.blown.Load() != nil {
		return errBlown
	}
	return nil
}

// Infof drops Pebble's account of its housekeeping.
func (f *fuse) Infof(string, ...any) {}

// Errorf passes on what Pebble calls an error.
func (f *fuse) Errorf(format string, args ...any) { f.log.Warn(fmt.Sprintf(format, args...)) }

// Fatalf is Pebble's word that it must not go on.
func (f *fuse) Fatalf(format string, args ...any) { f.trip(fmt.Errorf(format, args...)) }

func (f *fuse) Unwrap() vfs.FS { return f.FS }

func (f *fuse) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.guard(func() (vfs.File, error) { return f.FS.Create(name, category) })
}

func (f *fuse) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.guard(func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) })
}

func (f *fuse) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.guard(func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, category) })
}

func (f *fuse) OpenDir(name string) (vfs.File, error) { // its Sync writes
	return f.guard(func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f *fuse) guard(open func() (vfs.File, error)) (vfs.File, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	file, err := open()
	if err != nil {
		return nil, err
	}
	return &fuseFile{File: file, fuse: f}, nil
}

func (f *fuse) Link(oldname, newname string) error {
	return f.change(func() error { return f.FS.Link(oldname, newname) })
}

func (f *fuse) Remove(name string) error { return f.change(func() error { return f.FS.Remove(name) }) }

func (f *fuse) RemoveAll(name string) error {
	return f.change(func() error { return f.FS.RemoveAll(name) })
}

func (f *fuse) Rename(oldname, newname string) error {
	return f.change(func() error { return f.FS.Rename(oldname, newname) })
}

func (f *fuse) MkdirAll(dir string, perm os.FileMode) error {
	return f.change(func() error { return f.FS.MkdirAll(dir, perm) })
}

func (f *fuse) change(do func() error) error {
	if err := f.check(); err != nil {
		return err
	}
	return do()
}

// fuseFile trips the fuse when a write or a sync fails.
type fuseFile struct {
	vfs.File
	fuse *fuse
}

func (f *fuseFile) Write(p []byte) (n int, err error) {
	err = f.must("write", func() error { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *fuseFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.must("write", func() error { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f *fuseFile) Sync() error { return f.must("sync", f.File.Sync) }

func (f *fuseFile) SyncData() error { return f.must("sync", f.File.SyncData) }

func (f *fuseFile) SyncTo(length int64) (full bool, err error) {
	err = f.must("sync", func() error { full, err = f.File.SyncTo(length); return err })
	return full, err
}

func (f *fuseFile) must(verb string, do func() error) error {
	if err := f.fuse.check(); err != nil {
		return err
	}
	err := do()
	if err != nil {
		f.fuse.trip(fmt.Errorf("%s: %w", verb, err))
	}
	return err
}
