//go:build !linux

package block_test

import "time"

// processor returns the time on the wall, where that of the processor is not to be had for a thread.
func processor() time.Duration { return time.Since(begun) }

var begun = time.Now()
