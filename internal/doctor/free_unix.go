//go:build linux || darwin

package doctor

import (
	"fmt"
	"syscall"
)

// free returns the bytes that a program may still write to the file system of a directory.
func free(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("%s: %w", dir, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// descriptors returns how many descriptors a process may have. Go has raised the soft limit to the hard one by now.
func descriptors() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return limit.Cur, nil
}
