package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"

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
