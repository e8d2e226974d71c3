package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// damaged is a file that says what was found to be damaged. It is there from then on, whoever opens the database.
const damaged = "DAMAGED"

// rot is what is known of damage on the disk.
type rot struct {
	dir   string
	fs    vfs.FS
	log   *slog.Logger
	first atomic.Pointer[error]
	found chan struct{} // closed once first is set
}

func newRot(dir string, base vfs.FS, log *slog.Logger) *rot {
	return &rot{dir: dir, fs: base, log: log, found: make(chan struct{})}
}

// error says that what was read is damaged.
func (r *rot) error(cause error) error {
	return fmt.Errorf("read %s: %w: %w: restore a copy, or have it rebuilt", r.dir, ErrCorrupt, oneLine{cause})
}

func (r *rot) cause() error {
	if p := r.first.Load(); p != nil {
		return *p
	}
	return nil
}

// set keeps the first damage, and reports whether this is it.
func (r *rot) set(cause error) bool {
	err := r.error(cause)
	if !r.first.CompareAndSwap(nil, &err) {
		return false
	}
	close(r.found)
	return true
}

// note keeps the first damage, in memory and in the directory. If that cannot be written, the damage is found again.
func (r *rot) note(cause error) {
	if !r.set(cause) {
		return
	}
	r.log.Error("damage found", "err", oneLine{cause})
	if err := r.write(oneLine{cause}.Error()); err != nil {
		r.log.Warn("damage not noted", "err", err)
	}
}

func (r *rot) write(text string) error {
	f, err := r.fs.Create(r.fs.PathJoin(r.dir, damaged), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	return errors.Join(err, f.Sync(), f.Close(), syncDir(r.dir, r.fs))
}

// recall reads what an earlier process noted.
func (r *rot) recall() error {
	f, err := r.fs.Open(r.fs.PathJoin(r.dir, damaged))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return openError(r.dir, err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return openError(r.dir, err)
	}
	r.set(fmt.Errorf("found earlier: %s", strings.TrimSpace(string(text))))
	return nil
}

// blocks are the parts of tables whose checksum did not fit. A table never changes, so they are not read again: where a
// checksum does not fit Pebble tries out which bit may have been flipped, and that takes it seconds of CPU, or minutes,
// for a large block. Whoever asks for what is in one must not be able to have that done again and again.
type blocks struct {
	mu    sync.Mutex
	known map[place]rottenBlock
}

type place struct {
	table string // the file's name, without its directory
	at    int64
}

// rottenBlock is what Pebble said of a block.
type rottenBlock string

func (b rottenBlock) Error() string { return string(b) }

// Is makes it for Pebble what its own error was.
func (b rottenBlock) Is(target error) bool { return target == pebble.ErrCorruption }

// inBlock is how Pebble says in which block of a table it is.
var inBlock = regexp.MustCompile(`block (\d+)/\d+: .*checksum mismatch.*`)

// add notes the block that Pebble speaks of, if it does of one.
func (b *blocks) add(table string, err error) {
	found := inBlock.FindStringSubmatch(oneLine{err}.Error())
	if found == nil {
		return
	}
	at, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[place]rottenBlock{}
	}
	b.known[place{table, at}] = rottenBlock(found[0])
}

// at returns what is wrong with the block of a table that begins there, or nil.
func (b *blocks) at(table string, at int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err, ok := b.known[place{table, at}]; ok {
		return err
	}
	return nil
}

// tableFile is a table that is read.
type tableFile struct {
	vfs.File
	name   string
	rotten *blocks
}

func (f tableFile) ReadAt(p []byte, at int64) (int, error) {
	if err := f.rotten.at(f.name, at); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, at)
}
