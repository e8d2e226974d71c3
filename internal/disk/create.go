package disk

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// creating is a file that is there while a database is made. Pebble's first files name each other, and a power loss
// among them leaves a directory that cannot be opened. Nobody has been told of a database that still has this file,
// so what is left of it is removed.
const creating = "CREATING"

// prepare readies dir for Pebble and reports whether a database is made there.
func prepare(dir string, base vfs.FS) (fresh bool, err error) {
	names, err := base.List(dir)
	if err != nil {
		return false, fmt.Errorf("list %s: %w", dir, err)
	}
	left := names[:0]
	unfinished := false
	for _, name := range names {
		switch name {
		case "LOCK": // ours
		case creating:
			unfinished = true
		default:
			left = append(left, name)
		}
	}
	if unfinished {
		return true, clear(dir, left, base)
	}
	if len(left) == 0 {
		return true, mark(dir, base)
	}
	desc, err := pebble.Peek(dir, base)
	if err != nil {
		return false, openError(dir, err)
	}
	if !desc.Exists {
		return false, Corrupt(dir, fmt.Errorf("%d files, and no manifest among them", len(left)))
	}
	return false, nil
}

// mark writes the file that says that a database is being made, before anything else.
func mark(dir string, base vfs.FS) error {
	f, err := base.Create(base.PathJoin(dir, creating), vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), syncDir(dir, base))
	}
	if err != nil {
		return fmt.Errorf("create database in %s: %w", dir, err)
	}
	return nil
}

func clear(dir string, names []string, base vfs.FS) error {
	for _, name := range names {
		if err := base.RemoveAll(base.PathJoin(dir, name)); err != nil {
			return fmt.Errorf("remove what is left of an unfinished database: %w", err)
		}
	}
	return syncDir(dir, base)
}

// finish says that the database is made. All of it is on disk: Pebble synced the directory after its last file, and
// now we do.
func finish(dir string, base vfs.FS) error {
	err := syncDir(dir, base)
	if err == nil {
		err = base.Remove(base.PathJoin(dir, creating))
	}
	if err == nil {
		err = syncDir(dir, base)
	}
	if err != nil {
		return fmt.Errorf("create database in %s: %w", dir, err)
	}
	return nil
}

// makeDir makes dir and what is missing above it, durably.
func makeDir(dir string, base vfs.FS) error {
	_, err := base.Stat(dir)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := base.PathDir(dir)
	if parent != dir {
		if err := makeDir(parent, base); err != nil {
			return err
		}
	}
	if err := base.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(parent, base)
}

func syncDir(dir string, base vfs.FS) error {
	f, err := base.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
