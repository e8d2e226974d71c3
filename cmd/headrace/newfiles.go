package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// newFiles are files to be made together, and never over others.
type newFiles struct {
	home  string
	files []newFile
}

// newFile makes a file at path that is on disk when it returns, or fails and leaves none, or somebody else's that was there.
type newFile struct {
	path  string
	write func(path string) error
}

// absent fails when one of the names is there already.
func (n *newFiles) absent(names ...string) error {
	for _, name := range names {
		path := n.path(name)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already, and is never overwritten: choose another directory, or move it away", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (n *newFiles) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(n.home, name)
}

func (n *newFiles) add(name string, write func(path string) error) {
	n.files = append(n.files, newFile{n.path(name), write})
}

// write makes the files, or none of them.
func (n *newFiles) write() error {
	if err := os.MkdirAll(n.home, 0o700); err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	for i, f := range n.files {
		if err := f.write(f.path); err != nil {
			for _, made := range n.files[:i] {
				_ = os.Remove(made.path) // what cannot be removed is named by the next init
			}
			return fmt.Errorf("write home: %w", err)
		}
	}
	return nil
}

// writeNew is a newFile's write: the file is for its owner's eyes alone, since a configuration may hold a token.
func writeNew(path string, content []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}
