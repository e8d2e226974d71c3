// Package disk opens Pebble databases the way Headrace uses them: one writer, commits that are atomic, and a disk
// that fails once.
//
// Order and durability: a commit without sync is visible at once and reaches the disk soon; a crash loses at most a
// suffix of such commits, never one from the middle (I2). A commit with sync, and everything committed before it, is
// on disk when Commit returns.
//
// After the first error of a write, a sync or a background job, nothing more is written: the files stay as a crash at
// that moment would leave them, every later commit returns the error, and the owner, whom Failed tells, closes the
// database and opens it anew to learn what became of the last commit. (A retry after a failed sync would report
// success for data that the operating system has already dropped.)
//
// Damage that a read or a background job finds is another thing, and stops nothing: what is whole can be read, and
// commits go on. It is noted in the directory, so that Damage knows of it whenever the database is opened, until it
// has been rebuilt.
//
// Concurrency: everything may overlap; commits are made one after another in the order of their calls.
package disk

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// The kinds of errors; test with errors.Is. Each message says what to do.
var (
	ErrLocked      = errors.New("another process has it open")
	ErrNewerFormat = errors.New("written by a newer version")
	ErrCorrupt     = errors.New("database is corrupt")
	ErrFailed      = errors.New("disk failed")
	ErrClosed      = errors.New("database is closed")
)

// Options of Open. The zero value works.
type Options struct {
	FS            vfs.FS       // nil: the operating system's
	Logger        *slog.Logger // nil: discard
	CacheBytes    int64        // block cache; 0: 8 MiB
	MemTableBytes uint64       // one memtable, of which there may be up to four; 0: 4 MiB
}

// DB is an open database.
type DB struct {
	dir  string
	fuse *fuse
	rot  *rot
	work *compactions
	lock *pebble.Lock

	mu     sync.RWMutex // held for reading by every use of db, for writing by Close
	db     *pebble.DB
	closed bool
}

// Open opens the database in dir, or creates it, and holds the directory's lock until Close. Errors: ErrLocked,
// ErrNewerFormat, ErrCorrupt, or the file system's own.
func Open(dir string, opt Options) (*DB, error) {
	base := opt.FS
	if base == nil {
		base = vfs.Default
	}
	log := cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	if err := makeDir(dir, base); err != nil {
		return nil, fmt.Errorf("create directory %s: %w", dir, err)
	}
	lock, err := lockDirectory(dir, base)
	if err != nil {
		return nil, err
	}
	log = log.With("dir", dir)
	d := &DB{dir: dir, fuse: &fuse{FS: base, log: log, failed: make(chan struct{})}, rot: newRot(dir, base, log), work: newCompactions(), lock: lock}
	if err := d.openLocked(base, opt); err != nil {
		lock.Close()
		return nil, err
	}
	return d, nil
}

func (d *DB) openLocked(base vfs.FS, opt Options) error {
	if err := checkFormat(d.dir, base); err != nil {
		return err
	}
	fresh, err := prepare(d.dir, base)
	if err == nil {
		err = d.rot.recall()
	}
	if err != nil {
		return err
	}
	if err := d.open(opt); err != nil {
		d.fuse.tidy()
		return err
	}
	err = d.Err()
	if err == nil && fresh {
		err = finish(d.dir, base)
	}
	if err != nil {
		d.db.Close() // what it says now would only repeat err
		d.fuse.tidy()
		return err
	}
	return nil
}

// lockDirectory tells a lock that is held from a directory that cannot be locked: opening the lock file fails with a
// path, locking it with a bare errno, and a lock held by this very process with neither.
func lockDirectory(dir string, base vfs.FS) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, base)
	if err == nil {
		return lock, nil
	}
	var path *fs.PathError
	var errno syscall.Errno
	if errors.As(err, &path) || errors.As(err, &errno) && errno != syscall.EAGAIN && errno != syscall.EACCES {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return nil, fmt.Errorf("open %s: %w: stop that process, or use another directory", dir, ErrLocked)
}

// checkFormat reads Pebble's format marker before Pebble does, whose own error for an unknown version has no kind.
func checkFormat(dir string, base vfs.FS) error {
	value, err := atomicfs.ReadMarker(base, dir, "format-version")
	if err != nil {
		return openError(dir, err)
	}
	if value == "" {
		return nil
	}
	v, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return Corrupt(dir, fmt.Errorf("format marker: %w", err))
	}
	if v > uint64(pebble.FormatNewest) {
		return NewerFormat(dir, v, uint64(pebble.FormatNewest))
	}
	return nil
}

// NewerFormat is the ErrNewerFormat of a database whose format version is newer than known.
func NewerFormat(dir string, version, known uint64) error {
	return fmt.Errorf("open %s: %w (format %d, this one knows %d): run the version that wrote it, or a newer one", dir, ErrNewerFormat, version, known)
}

// Corrupt is the ErrCorrupt of the database in dir for the reason cause.
func Corrupt(dir string, cause error) error {
	return fmt.Errorf("open %s: %w: %w: restore a copy, or move it away and sync again", dir, ErrCorrupt, oneLine{cause})
}

// openError tells a file system that refuses, with a path in its error, from files that contradict themselves, each
// other (one names another that is gone), or what we always write.
func openError(dir string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	return Corrupt(dir, err)
}

// oneLine cuts an error's message at its first line: Pebble's can have more.
type oneLine struct{ error }

func (e oneLine) Error() string {
	line, _, _ := strings.Cut(e.error.Error(), "\n")
	return line
}

func (e oneLine) Unwrap() error { return e.error }

func (d *DB) open(opt Options) (err error) {
	defer func() {
		if r := recover(); r != nil { // Pebble panics on some impossible metadata; what it found is on disk, so it is corruption
			d.fuse.trip(fmt.Errorf("panic: %v", r))
			err = Corrupt(d.dir, fmt.Errorf("panic: %v", r))
		}
	}()
	opt.CacheBytes = cmp.Or(opt.CacheBytes, 8<<20)
	opt.MemTableBytes = cmp.Or(opt.MemTableBytes, 4<<20)
	options := &pebble.Options{
		FS:   d.fuse,
		Lock: d.lock,
		// The newest format also keeps flushes from different synctest bubbles apart: older ones share pooled writers.
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   opt.CacheBytes,
		MemTableSize:                opt.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		WALBytesPerSync:             1 << 20, // spreads the writing of unsynced commits
		Logger:                      d.fuse,
		EventListener: &pebble.EventListener{
			BackgroundError: d.backgroundError,
			DataCorruption:  d.corruption,
		},
		CompactionConcurrencyRange: func() (lower, upper int) { return 1, 1 },
		// Without compactions (see compactions) commits go on for some gigabytes.
		L0StopWritesThreshold: 1000,
	}
	options.Experimental.CompactionScheduler = d.work
	d.db, err = pebble.Open(d.dir, options)
	if err == nil {
		d.work.begin()
		return nil
	}
	if failed := d.Err(); failed != nil {
		return failed
	}
	return openError(d.dir, err)
}

// backgroundError hears of a job that failed. One that could not read damaged data has written nothing.
func (d *DB) backgroundError(err error) {
	if pebble.IsCorruptionError(err) {
		d.work.hold()
		d.rot.note(err)
		return
	}
	d.fuse.trip(err)
}

// corruption hears of damage that is read.
func (d *DB) corruption(info pebble.DataCorruptionInfo) {
	d.fuse.rotten.add(d.fuse.PathBase(info.Path), info.Details)
	d.rot.note(info.Details)
}

// Dir returns the directory that Open was given.
func (d *DB) Dir() string { return d.dir }

// Err returns nil, or the ErrFailed after which nothing is written any more.
func (d *DB) Err() error {
	err := d.fuse.cause()
	if err == nil {
		return nil
	}
	return fmt.Errorf("write %s: %w, and what it did last is not known until it is opened anew: %w", d.dir, ErrFailed, oneLine{err})
}

// Failed is closed when Err is no longer nil.
func (d *DB) Failed() <-chan struct{} { return d.fuse.failed }

// Damage returns nil, or an ErrCorrupt that says what was first found to be damaged, now or before the database was
// opened.
func (d *DB) Damage() error { return d.rot.cause() }

// Damaged is closed when Damage is no longer nil.
func (d *DB) Damaged() <-chan struct{} { return d.rot.found }

// Corrupt notes that what was read is damaged, and returns the ErrCorrupt that says so.
func (d *DB) Corrupt(cause error) error {
	d.rot.note(cause)
	return d.rot.error(cause)
}

// NewBatch returns an empty batch; the caller closes it.
func (d *DB) NewBatch() *pebble.Batch { return d.db.NewBatch() }

// Commit applies b as one, and with sync returns when it and all before it are on disk. After an error the outcome is
// unknown until the database is opened anew, and Commit always fails.
func (d *DB) Commit(b *pebble.Batch, sync bool) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return ErrClosed
	}
	if err := d.Err(); err != nil {
		return err
	}
	if b.Empty() && !sync {
		return nil
	}
	if b.Empty() { // Pebble would not sync for it
		if err := b.LogData(nil, nil); err != nil {
			return err
		}
	}
	opts := pebble.NoSync
	if sync {
		opts = pebble.Sync
	}
	if err := b.Commit(opts); err != nil {
		d.fuse.trip(err)
	}
	return d.Err() // Pebble tells its logger of a failed commit, not the caller
}

// Write commits what fill puts into a batch.
func (d *DB) Write(sync bool, fill func(*pebble.Batch) error) error {
	b := d.NewBatch()
	defer b.Close()
	if err := fill(b); err != nil {
		return err
	}
	return d.Commit(b, sync)
}

// Sync returns when everything committed so far is on disk.
func (d *DB) Sync() error { return d.Write(true, func(*pebble.Batch) error { return nil }) }

// Get returns a copy of key's value.
func (d *DB) Get(key []byte) (value []byte, ok bool, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, false, ErrClosed
	}
	v, closer, err := d.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, d.readError(err)
	}
	value = append([]byte{}, v...)
	return value, true, closer.Close()
}

// Check returns the damage that is known, or reads everything.
func (d *DB) Check() error {
	if err := d.Damage(); err != nil {
		return err
	}
	return d.Verify()
}

// Verify reads everything, and returns the first error.
func (d *DB) Verify() error {
	return d.Each(nil, nil, func([]byte, []byte) error { return nil })
}

// Each calls fn with the keys in [from, to) in order, without bounds where nil, until fn returns an error, which it
// returns. The slices are good during the call only. Each sees the database as it was at the start.
func (d *DB) Each(from, to []byte, fn func(key, value []byte) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return ErrClosed
	}
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return d.readError(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err != nil {
			err = d.readError(err)
			break
		}
		err = fn(it.Key(), v)
	}
	if cerr := it.Close(); err == nil && cerr != nil {
		err = d.readError(cerr)
	}
	return err
}

// Last returns copies of the highest key in [from, to) and of its value.
func (d *DB) Last(from, to []byte) (key, value []byte, ok bool, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, nil, false, ErrClosed
	}
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, nil, false, d.readError(err)
	}
	if it.Last() {
		key, ok = bytes.Clone(it.Key()), true
		value = bytes.Clone(it.Value())
	}
	if err := it.Close(); err != nil { // it says what has gone wrong before, too
		return nil, nil, false, d.readError(err)
	}
	return key, value, ok, nil
}

func (d *DB) readError(err error) error {
	if pebble.IsCorruptionError(err) {
		return d.Corrupt(err)
	}
	return fmt.Errorf("read %s: %w", d.dir, err)
}

// Close makes everything committed durable, waits for reads under way, and gives the directory back. A second Close
// does nothing.
func (d *DB) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	err := d.db.Close()
	d.fuse.tidy()
	if failed := d.Err(); failed != nil {
		err = failed
	}
	return errors.Join(err, d.lock.Close())
}
