// Package disktest breaks disks on purpose, for tests of what stands on package disk: a file system that fails one
// operation, and copies of a file system as a crash at a given byte would leave it. Tree tells whether a directory is as before.
package disktest

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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

// Tree is what is in a directory: names, and hashes of contents.
func Tree(t testing.TB, dir string) (text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		text += fmt.Sprintf("%s %x\n", path, sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ErrInjected is the error of an operation that a FaultFS fails.
var ErrInjected = errors.New("injected disk error")

// FaultFS counts the operations that change files, and fails one of them: number At, from 0; negative for none.
// Faults come in pairs: with Done the operation is carried out and then reported as failed, without it is not carried
// out.
type FaultFS struct {
	vfs.FS
	At   int
	Done bool

	Lasts bool  // all operations from At on fail, until Mend
	Opens bool  // what opens a file, for reading too, is counted instead of what changes one
	Err   error // what they fail with; nil: ErrInjected

	Before func(n int) // called before operation n; nil for nothing

	mu     sync.Mutex
	n      int
	mended bool
}

// Count returns how many operations there have been.
func (f *FaultFS) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// FailNext fails the next operation.
func (f *FaultFS) FailNext() { f.FailIn(0) }

// FailIn fails the operation after the next n.
func (f *FaultFS) FailIn(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.At, f.mended = f.n+n, false
}

// Mend ends what Lasts.
func (f *FaultFS) Mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mended = true
}

// Failed reports whether the fault has happened.
func (f *FaultFS) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.At >= 0 && f.n > f.At
}

// fails counts an operation, and reports whether it fails.
func (f *FaultFS) fails() (n int, fails bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n = f.n
	f.n++
	return n, !f.mended && (n == f.At || f.Lasts && f.At >= 0 && n > f.At)
}

// op does what changes a file.
func (f *FaultFS) op(do func() error) error {
	if f.Opens {
		return do()
	}
	return f.count(do)
}

func (f *FaultFS) count(do func() error) error {
	n, fail := f.fails()
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
	return cmp.Or(f.Err, ErrInjected)
}

func (f *FaultFS) open(do func() (vfs.File, error)) (file vfs.File, err error) {
	err = f.count(func() (err error) { file, err = do(); return err })
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
	return f.look(func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

func (f *FaultFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.look(func() (vfs.File, error) { return f.FS.Open(name, opts...) })
}

// look opens what is there.
func (f *FaultFS) look(do func() (vfs.File, error)) (vfs.File, error) {
	if f.Opens {
		return f.open(do)
	}
	file, err := do()
	if err != nil {
		return nil, err
	}
	return &faultFile{file, f}, nil
}

func (f *FaultFS) List(name string) (names []string, err error) {
	if !f.Opens {
		return f.FS.List(name)
	}
	err = f.count(func() (err error) { names, err = f.FS.List(name); return err })
	return names, err
}

func (f *FaultFS) Lock(name string) (lock io.Closer, err error) {
	if !f.Opens {
		return f.FS.Lock(name)
	}
	err = f.count(func() (err error) { lock, err = f.FS.Lock(name); return err })
	return lock, err
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

// Copy returns a crashable copy of one directory, all of it synced. change, if not nil, gets each file's name and
// content and returns the content of the copy.
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
