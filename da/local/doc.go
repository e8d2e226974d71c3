// Package local is a data-availability chain in the process: a block clock, submissions, hash-linked and signed headers, real squares with
// their proofs, and a history in memory or on disk.
//
// A block is made at each interval, also when there is nothing in it. Submissions made since the last one share its height, in the order
// they came, up to the block's limits; the rest go into the next. Submit returns after its blobs are in a block that is in the history.
// Heights follow each other without a hole, and a height never changes.
//
// With a directory, a block is on disk before it is announced: neither a kill nor a crash of the machine takes one that somebody has seen, and a
// restart goes on from it. Without one, memory holds about 150 bytes per height beside the blobs; with one, a window that does not grow (I6).
//
// A View is the chain as one endpoint of its network tells it, with the faults of a fault.Set: several views are several endpoints. What a
// view tells wrongly is wrong as a real node is wrong: headers still hash, link and are signed, and proofs are never forged.
//
// The validator's key follows from the chain's id and is no secret; so does the account that pays. Nothing here protects anything.
//
// A Chain's methods may be called at any time from any goroutine. No goroutine outlives the call that started it, but those of the history on
// disk, which end with Close; a chain, its views and their sources work inside a testing/synctest bubble.
package local
