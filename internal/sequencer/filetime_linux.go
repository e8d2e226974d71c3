package sequencer

import (
	"os"
	"syscall"
	"time"
)

// fileTime returns a file's inode, and when the system noted that the file was changed last, by whatever means.
func fileTime(path string) (inode uint64, changed time.Time, err error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return 0, changed, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, time.Unix(st.Ctim.Unix()), nil
}
