// Package local is a data-availability chain in the process: a block clock, submissions, hash-linked and signed headers, real squares with
// their proofs, and a history in memory or on disk.
//
// A block is made at each interval, also when there is nothing in it. Submissions made since the last one share its height, in the order
// they came, up to the block's limits; the rest go into the next. Submit returns after its blobs are in a block that is in the history.
// Heights follow each other without a hole, and a height never changes.
//
// With a directory, a block is written before it is announced; what a crash of the machine takes is the newest blocks and nothing in
// between, and a restart goes on from the last block that is there. Memory holds about 150 bytes per height without a directory, beside
// the blobs; with one, a window that does not grow (I6).
//
// A Chain's methods may be called at any time from any goroutine. Only Run starts goroutines, and they end before it returns; a chain in
// memory and its Source work inside a testing/synctest bubble.
package local
