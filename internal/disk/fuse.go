package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fuse is a file system that at the first failure stops writing to the disk, and Pebble's logger, which hears of
// other failures. From then on changes go to memory and succeed. Pebble knows no other way on: it retries a failed
// flush without end, even while it opens or closes, and wants its process to die of a failed log or manifest. So it
// goes on in memory until it is closed, the disk stays as the failure left it, and DB reports the failure for every
// commit.
type fuse struct {
	vfs.FS // the disk
	log    *slog.Logger
	blown  atomic.Pointer[error]
	failed chan struct{}          // closed once blown is set
	rotten blocks                 // of tables
	torn   atomic.Pointer[string] // the table that is not whole because writing stopped in it

	shadowOnce sync.Once
	shadow     *vfs.MemFS // use memory()
}

// trip keeps the first error and stops all writing.
func (f *fuse) trip(err error) {
	if f.blown.CompareAndSwap(nil, &err) {
		close(f.failed)
		f.log.Error("stop writing", "err", err)
	}
}

// tidy removes the table in which writing stopped. It is not whole, so nothing on the disk names it; and whoever
// opens the database again and again while the disk is full must not fill it with them.
func (f *fuse) tidy() {
	if name := f.torn.Load(); name != nil {
		_ = f.FS.Remove(*name) // if that fails too, the next one who opens the database removes it
	}
}

// cause returns the error that tripped the fuse, or nil.
func (f *fuse) cause() error {
	if p := f.blown.Load(); p != nil {
		return *p
	}
	return nil
}

func (f *fuse) memory() *vfs.MemFS {
	f.shadowOnce.Do(func() { f.shadow = vfs.NewMem() })
	return f.shadow
}

// Infof drops Pebble's account of its housekeeping.
func (f *fuse) Infof(string, ...any) {}

// Errorf passes on what Pebble calls an error and survives.
func (f *fuse) Errorf(format string, args ...any) { f.log.Warn(fmt.Sprintf(format, args...)) }

// Fatalf is Pebble's word that its process must not go on.
func (f *fuse) Fatalf(format string, args ...any) { f.trip(fmt.Errorf(format, args...)) }

// Unwrap returns the disk.
func (f *fuse) Unwrap() vfs.FS { return f.FS }

// Create makes a file. A marker names another file, whose own entry in the directory must be on disk first: POSIX
// does not say that syncing a file does that, and Pebble syncs the directory only after both.
func (f *fuse) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if f.cause() == nil && strings.HasPrefix(f.PathBase(name), "marker.") {
		if err := syncDir(f.PathDir(name), f.FS); err != nil {
			f.trip(fmt.Errorf("sync directory: %w", err))
		}
	}
	return f.open(name, func(to vfs.FS) (vfs.File, error) { return to.Create(name, c) })
}

func (f *fuse) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open(name, func(to vfs.FS) (vfs.File, error) { return to.OpenReadWrite(name, c, opts...) })
}

func (f *fuse) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(newname, func(to vfs.FS) (vfs.File, error) {
		if to == f.FS {
			return to.ReuseForWrite(oldname, newname, c)
		}
		return to.Create(newname, c)
	})
}

// open opens a file for writing, on the disk or else in memory.
func (f *fuse) open(name string, do func(vfs.FS) (vfs.File, error)) (vfs.File, error) {
	if f.cause() == nil {
		file, err := do(f.FS)
		if err == nil {
			return &fuseFile{File: file, fuse: f, name: name}, nil
		}
		f.trip(fmt.Errorf("create file: %w", err))
	}
	if err := f.memory().MkdirAll(f.PathDir(name), 0o755); err != nil {
		return nil, err
	}
	return do(f.memory())
}

func (f *fuse) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if f.cause() != nil {
		if file, err := f.memory().Open(name, opts...); err == nil {
			return file, nil
		}
	}
	file, err := f.FS.Open(name, opts...)
	if err == nil && isTable(name) {
		file = tableFile{file, f.PathBase(name), &f.rotten}
	}
	return file, err
}

// isTable reports whether a file is one that Pebble never writes to again once it is whole.
func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

func (f *fuse) Stat(name string) (vfs.FileInfo, error) {
	if f.cause() != nil {
		if info, err := f.memory().Stat(name); err == nil {
			return info, nil
		}
	}
	return f.FS.Stat(name)
}

func (f *fuse) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &fuseFile{File: file, fuse: f, name: name}, nil // its Sync writes
}

func (f *fuse) Link(oldname, newname string) error {
	return f.change(func(to vfs.FS) error { return to.Link(oldname, newname) })
}

func (f *fuse) Remove(name string) error {
	return f.change(func(to vfs.FS) error { return to.Remove(name) })
}

func (f *fuse) RemoveAll(name string) error {
	return f.change(func(to vfs.FS) error { return to.RemoveAll(name) })
}

func (f *fuse) Rename(oldname, newname string) error {
	return f.change(func(to vfs.FS) error { return to.Rename(oldname, newname) })
}

func (f *fuse) MkdirAll(dir string, perm os.FileMode) error {
	return f.change(func(to vfs.FS) error { return to.MkdirAll(dir, perm) })
}

// change changes the directory, on the disk or else in memory, where a file of the disk is not there to be changed.
func (f *fuse) change(do func(vfs.FS) error) error {
	if f.cause() == nil {
		err := do(f.FS)
		if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
			return err
		}
		f.trip(fmt.Errorf("change directory: %w", err))
	}
	if err := do(f.memory()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// fuseFile is a file or a directory on the disk.
type fuseFile struct {
	vfs.File
	fuse *fuse
	name string
}

var errBlown = errors.New("writing has stopped after an earlier error")

// write does one write or sync. When it cannot be done, Pebble hears of it only if it may read the file again; that
// is for a table, which it then writes anew. The others, logs above all, are read at the next start only.
func (f *fuseFile) write(verb string, do func() error) error {
	err := errBlown
	if f.fuse.cause() == nil {
		if err = do(); err == nil {
			return nil
		}
		f.fuse.trip(fmt.Errorf("%s: %w", verb, err))
	}
	if isTable(f.name) {
		f.fuse.torn.CompareAndSwap(nil, &f.name)
		return err
	}
	return nil
}

func (f *fuseFile) Write(p []byte) (int, error) {
	if err := f.write("write", func() error { _, err := f.File.Write(p); return err }); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *fuseFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.write("write", func() error { _, err := f.File.WriteAt(p, off); return err }); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *fuseFile) Sync() error { return f.write("sync", f.File.Sync) }

func (f *fuseFile) SyncData() error { return f.write("sync", f.File.SyncData) }

func (f *fuseFile) SyncTo(length int64) (full bool, err error) {
	err = f.write("sync", func() error { full, err = f.File.SyncTo(length); return err })
	return full, err
}

// Preallocate is help, not a promise; an error of it shows in the write that follows.
func (f *fuseFile) Preallocate(offset, length int64) error {
	if f.fuse.cause() != nil {
		return nil
	}
	return f.File.Preallocate(offset, length)
}
