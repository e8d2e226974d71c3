// Package local is a data-availability chain in the process: a block clock, submissions, hash-linked and signed headers, real squares with
// their proofs, and a history in memory or on disk.
//
// A block is made at each interval, also when there is nothing in it. Submissions made since the last one share its height, in the order
// they came, up to the block's limits; the rest go into the next. Submit returns after its blobs are in a block that is in the history.
// Heights follow each other without a hole, and a height never changes.
//
// With a directory, a block is written before it is announced; what a crash of the machine takes is the newest blocks and nothing in
// between, and a restart goes on from the last block that is there. Without a directory memory holds about 150 bytes per height, beside the blobs;
// with one, a window that does not grow (I6).
//
// A View is the chain as one endpoint of its network tells it, with the faults of a fault.Set: several views are several endpoints. What a
// view tells wrongly is wrong as a real node is wrong: headers still hash, link and are signed, and proofs are never forged.
//
// The validator's key follows from the chain's id and is no secret; so does the account that pays. Nothing here protects anything.
//
// A Chain's methods may be called at any time from any goroutine. Only Run starts goroutines, and they end before it returns; a chain in
// memory and its Source work inside a testing/synctest bubble.
package local
