package block_test

import (
	"time"

	"golang.org/x/sys/unix"
)

// processor returns the processor time that the calling thread has used: what others do at the same time is not in it.
func processor() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
