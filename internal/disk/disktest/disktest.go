// Package disktest breaks disks on purpose, for tests of what stands on package disk: a file system that fails one operation, and copies of a
// file system as a crash at a given byte would leave it.
package disktest

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Sparse returns all, or every n-th under the race detector.
func Sparse(n int) int {
	if Race {
		return n
	}
	return 1
}

// ErrInjected is the error of an operation that a FaultFS fails.
var ErrInjected = errors.New("injected disk error")

// FaultFS counts the operations that change files, and fails one of them: number At, from 0; negative for none. Faults come in pairs: with
// Done the operation is carried out and then reported as failed, without it is not carried out.
type FaultFS struct {
	vfs.FS
	At   int
	Done bool

	Before func(n int) // called before operation n; nil for nothing

	mu sync.Mutex
	n  int
}

// Count returns how many operations there have been.
func (f *FaultFS) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// FailNext fails the next operation.
func (f *FaultFS) FailNext() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.At = f.n
}

// Failed reports whether the fault has happened.
func (f *FaultFS) Failed() bool { return f.At >= 0 && f.Count() > f.At }

func (f *FaultFS) op(do func() error) error {
	f.mu.Lock()
	n := f.n
	fail := n == f.At
	f.n++
	f.mu.Unlock()
	if f.Before != nil {
		f.Before(n)
	}
	if !fail {
		return do()
	}
	if f.Done {
		if err := do(); err != nil {
			return err
		}
	}
	return ErrInjected
}

func (f *FaultFS) open(do func() (vfs.File, error)) (file vfs.File, err error) {
	err = f.op(func() (err error) { file, err = do(); return err })
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, err
	}
	return &faultFile{file, f}, nil
}

func (f *FaultFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *FaultFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open(func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

func (f *FaultFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, c) })
}

func (f *FaultFS) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{file, f}, nil
}

func (f *FaultFS) Link(oldname, newname string) error {
	return f.op(func() error { return f.FS.Link(oldname, newname) })
}

func (f *FaultFS) Remove(name string) error {
	return f.op(func() error { return f.FS.Remove(name) })
}

func (f *FaultFS) Rename(oldname, newname string) error {
	return f.op(func() error { return f.FS.Rename(oldname, newname) })
}

func (f *FaultFS) MkdirAll(dir string, perm os.FileMode) error {
	return f.op(func() error { return f.FS.MkdirAll(dir, perm) })
}

func (f *FaultFS) Unwrap() vfs.FS { return f.FS }

type faultFile struct {
	vfs.File
	fs *FaultFS
}

func (f *faultFile) Write(p []byte) (n int, err error) {
	err = f.fs.op(func() error { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *faultFile) Sync() error { return f.fs.op(f.File.Sync) }

func (f *faultFile) SyncData() error { return f.fs.op(f.File.SyncData) }

// Copy returns a crashable copy of one directory, all of it synced. change, if not nil, gets each file's name and content and returns the content of
// the copy.
func Copy(t testing.TB, from vfs.FS, dir string, change func(name string, content []byte) []byte) *vfs.MemFS {
	t.Helper()
	to := vfs.NewCrashableMem()
	names, err := from.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "LOCK" {
			continue
		}
		content := Read(t, from, from.PathJoin(dir, name))
		if change != nil {
			content = change(name, content)
		}
		Write(t, to, dir, name, content)
	}
	syncDir(t, to, dir)
	return to
}

// Read returns a file's content.
func Read(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Write makes a file in dir, and dir if it is missing.
func Write(t testing.TB, fs vfs.FS, dir, name string, content []byte) {
	t.Helper()
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(fs.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if len(content) > 0 {
		if _, err := f.Write(append([]byte{}, content...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func syncDir(t testing.TB, fs vfs.FS, dir string) {
	t.Helper()
	for {
		f, err := fs.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			t.Fatal(err)
		}
		if fs.PathDir(dir) == dir {
			return
		}
		dir = fs.PathDir(dir)
	}
}
