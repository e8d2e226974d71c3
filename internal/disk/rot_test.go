package disk_test

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/internal/disk"
	"headrace/internal/disk/disktest"
)

// TestFaultThatLasts fails all operations of one kind from a certain one on, as a full disk or a process without
// descriptors does, while a database is made, opened, used, closed and opened anew. Nothing of that is taken for
// damage, and once the fault has ended the database opens, with all that was durable.
func TestFaultThatLasts(t *testing.T) {
	for name, fault := range map[string]*disktest.FaultFS{
		"disk full":           {Err: &fs.PathError{Op: "write", Path: "home/db", Err: syscall.ENOSPC}},
		"too many open files": {Err: &fs.PathError{Op: "open", Path: "home/db", Err: syscall.EMFILE}, Opens: true},
	} {
		t.Run(name, func(t *testing.T) {
			at := 0
			for lastingFault(t, at, fault.Err, fault.Opens) {
				at += (1 + at/30) * disktest.Sparse(8)
			}
			if at < 40 {
				t.Errorf("only %d operations were failed", at)
			}
		})
	}
}

func lastingFault(t *testing.T, at int, fault error, opens bool) bool {
	t.Helper()
	fs := &disktest.FaultFS{FS: vfs.NewMem(), At: at, Lasts: true, Err: fault, Opens: opens}
	opt := small
	opt.FS = fs
	var tried, synced uint64
	for range 3 { // more than once while the fault lasts
		db, err := disk.Open("home/db", opt)
		if err != nil {
			if errors.Is(err, disk.ErrCorrupt) || errors.Is(err, disk.ErrLocked) {
				t.Fatalf("operation %d: got %v from a disk that is whole", at, err)
			}
			continue
		}
		for range 60 {
			tried++
			if err = put(db, tried, tried%20 == 0); err != nil {
				break
			}
			if tried%20 == 0 {
				synced = tried
			}
		}
		if err != nil {
			<-db.Failed()
		}
		if err := db.Damage(); err != nil {
			t.Fatalf("operation %d: got %v from a disk that is whole", at, err)
		}
		_ = db.Close() // it repeats what failed
		if err != nil {
			break
		}
		if fs.Failed() {
			continue
		}
		synced = tried
	}
	failed := fs.Failed()
	fs.Mend()
	db := open(t, fs)
	defer mustClose(t, db)
	if n, err := last(db); err != nil || n < synced || n > tried {
		t.Fatalf("operation %d: got %d commits, %v, want %d to %d", at, n, err, synced, tried)
	}
	if err := put(db, tried+1, true); err != nil {
		t.Fatalf("operation %d: a commit after the fault: %v", at, err)
	}
	return failed
}

// rotten returns a database with a flipped bit in a table, and that table's name.
func rotten(t *testing.T) (disk *readsFS, name string) {
	t.Helper()
	mem := vfs.NewMem()
	db := open(t, mem)
	for n := range uint64(60) {
		if err := put(db, n+1, false); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, db)
	for file := range contents(t, mem) {
		if strings.HasSuffix(file, ".sst") && (name == "" || file > name) {
			name = file
		}
	}
	if name == "" {
		t.Fatal("there is no table")
	}
	return &readsFS{FS: disktest.Copy(t, mem, "home/db", func(file string, content []byte) []byte {
		if file == name {
			content[len(content)/3] ^= 1
		}
		return content
	}), name: name}, name
}

// readsFS counts the times that one file is opened, up to the first read of it each.
type readsFS struct {
	vfs.FS
	name  string
	reads atomic.Int64
}

func (f *readsFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if err == nil && strings.HasSuffix(name, f.name) {
		file = readsFile{file, f}
	}
	return file, err
}

type readsFile struct {
	vfs.File
	fs *readsFS
}

func (f readsFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.reads.Add(1)
	return f.File.ReadAt(p, off)
}

// TestDamageStopsNothing: a read of a rotten block is an error of that read alone. What is whole is read, commits go
// on, and whoever opens the database later knows of the damage without a read.
func TestDamageStopsNothing(t *testing.T) {
	fs, name := rotten(t)
	db := open(t, fs)
	if err := db.Damage(); err != nil {
		t.Fatalf("got %v before anything was read", err)
	}
	_, err := last(db)
	if !errors.Is(err, disk.ErrCorrupt) || !strings.Contains(err.Error(), "restore a copy") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v from a table with a flipped bit, want it corrupt, and the remedy", err)
	}
	<-db.Damaged()
	if err := put(db, 61, true); err != nil || db.Err() != nil {
		t.Fatalf("a commit beside the damage: got %v, %v", err, db.Err())
	}
	if v, ok, err := db.Get([]byte("n")); err != nil || !ok || v[7] != 61 {
		t.Errorf("a read beside the damage: got %x, %v", v, err)
	}
	mustClose(t, db)
	reads := fs.reads.Load()
	for range 2 {
		db = open(t, fs)
		select {
		case <-db.Damaged():
		default:
			t.Fatalf("opened again: the damage of %s is not known", name)
		}
		if err := db.Damage(); !errors.Is(err, disk.ErrCorrupt) || !strings.Contains(err.Error(), "found earlier") {
			t.Errorf("opened again: got %v", err)
		}
		mustClose(t, db)
	}
	if got := fs.reads.Load() - reads; got > 40 {
		t.Errorf("got %d reads of %s to know of its damage", got, name)
	}
}

// place is the part of a text about damage that says where it is.
var place = regexp.MustCompile(`block \d+/\d+: crc32c checksum mismatch \w+ != \w+`)

// TestRottenBlockIsReadOnce: what is in a rotten block is an error each time, for the same key and for others, and
// costs no read: Pebble searches what it has read for a flipped bit, which takes very long.
func TestRottenBlockIsReadOnce(t *testing.T) {
	fs, name := rotten(t)
	db := open(t, fs)
	defer mustClose(t, db)
	var lost []uint64
	var said string
	key := func(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte("v"), n) }
	for n := uint64(1); n <= 60; n++ {
		if _, _, err := db.Get(key(n)); err != nil {
			lost, said = append(lost, n), place.FindString(err.Error())
		}
	}
	if len(lost) == 0 || len(lost) == 60 {
		t.Fatalf("%d of 60 values are lost, want some of them", len(lost))
	}
	reads := fs.reads.Load()
	for _, n := range slices.Repeat(lost, 5) {
		for _, key := range [][]byte{key(n), append(key(n), "and one that is not there"...)} {
			if _, ok, err := db.Get(key); !ok && err == nil {
				continue // behind the block
			} else if !errors.Is(err, disk.ErrCorrupt) || said == "" || place.FindString(err.Error()) != said {
				t.Fatalf("got %v the second time, want what was said the first time: %s", err, said)
			}
		}
	}
	if got := fs.reads.Load() - reads; got > 1 { // a compaction may have come by
		t.Errorf("got %d more reads of %s, want none", got, name)
	}
	for n := range uint64(60) {
		if _, _, err := db.Get(key(n + 1)); err != nil && !slices.Contains(lost, n+1) {
			t.Errorf("value %d beside the damage: %v", n+1, err)
		}
	}
}

// fullFS takes the first bytes of a table, and has no room for more.
type fullFS struct{ vfs.FS }

func (f fullFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	if err == nil && strings.HasSuffix(name, ".sst") {
		file = fullFile{file}
	}
	return file, err
}

type fullFile struct{ vfs.File }

func (f fullFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p[:len(p)/2])
	return n, errors.Join(err, syscall.ENOSPC)
}

// TestFullDiskIsNotFilled: who opens a database again and again while the disk is full leaves nothing there each time.
func TestFullDiskIsNotFilled(t *testing.T) {
	mem := vfs.NewMem()
	db := open(t, mem)
	for n := range uint64(10) {
		if err := put(db, n+1, false); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, db)
	before := len(contents(t, mem))
	opt := small
	opt.FS = fullFS{mem}
	for range 5 {
		if _, err := disk.Open("home/db", opt); err == nil || errors.Is(err, disk.ErrCorrupt) {
			t.Fatalf("a full disk: got %v", err)
		}
	}
	if after := contents(t, mem); len(after) > before {
		t.Errorf("%d files became %d: %q", before, len(after), slices.Sorted(maps.Keys(after)))
	}
	db = open(t, mem)
	defer mustClose(t, db)
	if n, err := last(db); err != nil || n != 10 {
		t.Errorf("got %d commits, %v, want 10", n, err)
	}
}

// TestCompactionMeetsDamage: a compaction that cannot read its input ends no process, fails no commit, and is not
// tried without end.
func TestCompactionMeetsDamage(t *testing.T) {
	fs, name := rotten(t)
	db := open(t, fs)
	n := uint64(60)
	more := func(count int) {
		t.Helper()
		for range count {
			n++
			if err := put(db, n%60+1, false); err != nil {
				t.Fatalf("commit %d: %v", n, err)
			}
		}
		if err := db.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	for met := false; !met; {
		more(20)
		select {
		case <-db.Damaged():
			met = true
		default:
			if n > 20_000 {
				t.Fatalf("no compaction read %s", name)
			}
		}
	}
	more(2000)
	if err := db.Err(); err != nil {
		t.Errorf("got %v after a compaction met damage", err)
	}
	if got := fs.reads.Load(); got > 200 {
		t.Errorf("got %d reads of %s, want the compaction tried once", got, name)
	}
	mustClose(t, db)
}
