// Package exec is the contract between Headrace and an execution engine: the state machine that a rollup's blocks drive.
//
// Headrace calls one engine from one goroutine at a time, with exceptions named below (Head and Exempt may be called any time; a Builder's
// Build is called between two Executes). Every promise here is checked by exectest.
package exec

import (
	"context"
	"errors"

	"headrace/block"
)

// Head is the last block an engine has executed. Height is the genesis' InitialHeight-1 and Hash zero when it has executed none.
type Head struct {
	Height uint64
	Hash   block.Hash // header hash of the block
	Root   []byte     // state root after it
}

// Engine executes blocks.
type Engine interface {
	// Execute runs b on top of its parent and returns the state root after it. It is idempotent by (height, hash): executing the current
	// head, or any block below it that the engine still knows, again changes nothing and returns the same root. A block whose parent is not the
	// current head (and that is not such a repeat) fails with ErrParent. What Execute did need not be durable on return, but what is durable must be a
	// prefix: after a crash the engine stands at some block it has executed, with exactly that block's state, and says so in Head.
	// The root depends only on the sequence of blocks. Transactions that fail are skipped in the same way everywhere; they are
	// not an error. ErrInvalid is a verdict on the block's content, the same on every node; any other error is transient or the engine's own
	// trouble. The engine must not keep or change b.
	Execute(ctx context.Context, b *block.Block) (root []byte, err error)

	// Head returns where the engine stands.
	Head(ctx context.Context) (Head, error)

	// Revert takes back the blocks above height, so that Head().Height == height. Reverting to the present head or above it does nothing.
	// Reverting to InitialHeight-1 (everything) always works; else ErrPruned says that the engine no longer can go back that far. Durable on
	// return at least in this sense: after a crash the engine stands at or below height, or at a block above it that is executed again
	// or reverted again with the same result.
	Revert(ctx context.Context, height uint64) error
}

// Builder is the producer's side of an engine.
type Builder interface {
	// SubmitTx offers one transaction for inclusion. ErrInvalid: it can never be included. ErrFull: try again later. The slice is the engine's from then on.
	SubmitTx(ctx context.Context, tx []byte) error

	// Build returns the transactions for a block at height on top of the engine's head, at most maxBytes in all, without executing it. Until a
	// block with them is executed they may be returned again.
	Build(ctx context.Context, height uint64, time uint64, maxBytes int) (txs [][]byte, err error)
}

// Labeler is implemented by engines that want to know which of their blocks are safe and finalized.
type Labeler interface {
	// Label tells the engine the safe and the finalized heights, each at most Head's. Called after the change is stored.
	Label(ctx context.Context, safe, finalized block.Ref) error
}

// Sealer is implemented by engines that put transactions of their own at the front of each block.
type Sealer interface {
	// OwnTxs returns how many, the same for every block.
	OwnTxs() int
}

// Forcer is implemented by Builders that can put given transactions into a block past their pool, in which anything may stand in their way.
type Forcer interface {
	// BuildForced is Build with transactions that must be included: as many of them as can be in this block, in their order, and nothing else, so that nobody fills the room of those
	// to come. If none can be, it is Build. Each that an Exempter does not exempt, asked about it with the transactions of its item, is in one of the next blocks that are built with it.
	BuildForced(ctx context.Context, height uint64, time uint64, maxBytes int, forced [][]byte) (txs [][]byte, err error)
}

// Exempter is implemented by engines that know of transactions that cannot be included. Of an engine that is none, no forced transaction is exempt.
type Exempter interface {
	// Exempt says of each transaction of an item why it could not be in the block after the executed one at height, behind those before it that could, whoever makes it; empty if it
	// could be. All that is not exempt of one item fits into one block. The answer depends on the blocks up to height and on the item alone, so that it is the same on every node: a proposal that leaves
	// out a forced transaction stands or falls with it (I3). ErrParent: height is above the engine's head. ErrPruned: the state after it is dropped; it is there again
	// after a Revert to height. May be called at any time.
	Exempt(ctx context.Context, height uint64, item [][]byte) (why []string, err error)
}

var (
	// ErrParent: the block's parent is not the engine's head. Headrace compares Head with its store and replays or reverts.
	ErrParent = errors.New("parent is not the engine's head")
	// ErrInvalid: the content is invalid, by a rule that gives the same verdict on every node.
	ErrInvalid = errors.New("invalid content")
	// ErrPruned: the engine has dropped what it would need to go back that far.
	ErrPruned = errors.New("history is pruned")
	// ErrFull: no room for more transactions.
	ErrFull = errors.New("transaction pool is full")
)
