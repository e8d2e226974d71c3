// Package exec is the contract between Headrace and an execution engine: the state machine that a rollup's blocks
// drive.
//
// Headrace calls one engine from one goroutine at a time, with exceptions named below (Head and Exempt may be called
// any time; a Builder's Build is called between two Executes). Every promise here is checked by exectest.
package exec

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"

	"headrace/block"
)

// Head is the last block an engine has executed. Height is the genesis' InitialHeight-1 and Hash zero when it has
// executed none.
type Head struct {
	Height uint64
	Hash   block.Hash // header hash of the block
	Root   []byte     // state root after it; of the genesis state when it has executed none
}

// Engine executes blocks.
type Engine interface {
	// Execute runs b on top of its parent and returns the state root after it. It is idempotent by (height, hash):
	// executing the current head, or any block below it that the engine still knows, again changes nothing and
	// returns the same root. A block whose parent is not the current head (and that is not such a repeat) fails with
	// ErrParent. What Execute did need not be durable on return, but what is durable must be a prefix: after a crash
	// the engine stands at some block it has executed, with exactly that block's state, and says so in Head. The root
	// depends only on the sequence of blocks. Transactions that fail are skipped in the same way everywhere; they are
	// not an error. ErrInvalid is a verdict on the block's content, the same on every node; any other error is
	// transient or the engine's own trouble. The engine must not keep or change b.
	Execute(ctx context.Context, b *block.Block) (root []byte, err error)

	// Head returns where the engine stands.
	Head(ctx context.Context) (Head, error)

	// Revert takes back the blocks above height, so that Head().Height == height. Reverting to the present head or
	// above it does nothing. Reverting to InitialHeight-1 (everything) always works; else ErrPruned says that the
	// engine no longer can go back that far. Durable on return at least in this sense: after a crash the engine
	// stands at or below height, or at a block above it that is executed again or reverted again with the same
	// result.
	Revert(ctx context.Context, height uint64) error
}

// Builder is the producer's side of an engine.
//
// What Revert takes back is not lost: the transactions of the blocks above height wait again, each once, until a block
// with them is executed. A full pool is no reason to drop one; that there are more of them than the pool holds is, and
// that no block can include one any more.
type Builder interface {
	// SubmitTx offers one transaction for inclusion. ErrInvalid: it can never be included. ErrTooBig: it is larger than
	// the last Build's maxBytes. ErrFull: try again later. The slice is the engine's from then on.
	SubmitTx(ctx context.Context, tx []byte) error

	// Build returns the transactions for a block at height on top of the engine's head, without executing it. Their
	// Size is at most maxBytes. Until a block with them is executed they may be returned again.
	//
	// maxBytes is what a block can hold, and the same for every block while Headrace runs. So a transaction that waits
	// and is larger (it was accepted when blocks could hold more) is dropped and counted (see Pool). Any other is in
	// one of the next ten blocks that Build makes, whatever waits before it, unless the engine has its own reason, such
	// as a fee: an engine that takes transactions in their order says ErrFull in time.
	Build(ctx context.Context, height uint64, time uint64, maxBytes int) (txs [][]byte, err error)
}

// TxOverhead is what a transaction takes of a block beside its own bytes: how it is written there, for any that is
// shorter than 256 MiB.
const TxOverhead = 5

// Size returns what transactions take of a block, in bytes.
func Size(txs [][]byte) (bytes int) {
	for _, tx := range txs {
		bytes += len(tx) + TxOverhead
	}
	return bytes
}

// Pool is implemented by Builders that keep what waits in a pool of their own.
type Pool interface {
	// Limit names the maxBytes of the Builds to come, before the first one.
	Limit(maxBytes int)
	// Dropped returns how many waiting transactions were dropped because they were larger than maxBytes.
	Dropped() uint64
}

// Labeler is implemented by engines that want to know which of their blocks are safe and finalized.
type Labeler interface {
	// Label tells the engine the safe and the finalized heights, each at most Head's. Called after the change is
	// stored.
	Label(ctx context.Context, safe, finalized block.Ref) error
}

// Sealer is implemented by engines that put transactions of their own at the front of each block.
type Sealer interface {
	// OwnTxs returns how many, the same for every block.
	OwnTxs() int
	// OwnBytes returns what they take of a block's maxBytes at most: a transaction can be that much smaller than it.
	OwnBytes() int
}

// TxHasher is implemented by engines whose transactions have a hash of their own. Any other's is the SHA-256 of their
// bytes, and the same bytes in two blocks, or twice in one, are executed twice.
type TxHasher interface {
	// TxHash returns the hash by which the engine's users know a transaction, in the form that SubmitTx takes and in
	// that of a block. It depends on the bytes alone, of which there may be any, and keeps nothing of them. It may be
	// called any time.
	TxHash(tx []byte) block.Hash
	// TxOnce reports whether a chain executes a transaction once at most. One that is submitted again is then the same.
	TxOnce() bool
}

// TxHash returns the hash of a transaction.
func TxHash(e Engine, tx []byte) block.Hash {
	if h, ok := e.(TxHasher); ok {
		return h.TxHash(tx)
	}
	return sha256.Sum256(tx)
}

// TxOnce reports whether a chain of the engine executes a transaction once at most.
func TxOnce(e Engine) bool {
	h, ok := e.(TxHasher)
	return ok && h.TxOnce()
}

// OwnTxs returns how many transactions at the front of each block are the engine's own, and nobody's transaction. A
// block of strangers may have fewer.
func OwnTxs(e Engine) int {
	if s, ok := e.(Sealer); ok {
		return s.OwnTxs()
	}
	return 0
}

// UserTxs returns a block's transactions without the engine's own.
func UserTxs(e Engine, txs [][]byte) [][]byte { return txs[min(OwnTxs(e), len(txs)):] }

// TxHashes returns the hashes of a block's transactions, in their order, without the engine's own.
func TxHashes(e Engine, txs [][]byte) []block.Hash {
	txs = UserTxs(e, txs)
	hashes := make([]block.Hash, len(txs))
	for i, tx := range txs {
		hashes[i] = TxHash(e, tx)
	}
	return hashes
}

// Skipper is implemented by engines that can tell which transactions of a block they have skipped. For whoever looks for
// one of those, or waits for it, it is not in that block: it may be in a later one, which executes it.
type Skipper interface {
	// Skipped reports which transactions of b were skipped, the engine's own included, in their order; those beyond the
	// end of the answer were not. It is asked about blocks that the engine has executed; of any other, and of one of which
	// it does not know any more, it reports none. It may be called any time. An error is of reading what it keeps.
	Skipped(b *block.Block) ([]bool, error)
}

// Skipped reports which of TxHashes were skipped; those beyond the end of the answer were not.
func Skipped(e Engine, b *block.Block) ([]bool, error) {
	s, ok := e.(Skipper)
	if !ok {
		return nil, nil
	}
	skipped, err := s.Skipped(b)
	return skipped[min(OwnTxs(e), len(b.Data.Txs), len(skipped)):], err
}

// Receipter is implemented by engines that keep what became of each transaction.
type Receipter interface {
	// Receipt returns, as JSON, what became of the transaction with this hash in b, which the engine has executed.
	// ErrNoReceipt: it keeps none of it, or none any more, or the transaction was passed over; one of another block is
	// never returned. It may be called any time.
	Receipt(ctx context.Context, b *block.Block, tx block.Hash) (json.RawMessage, error)
}

// Forcer is implemented by Builders that can put given transactions into a block without their transaction pool, which
// might refuse them or never choose them.
type Forcer interface {
	// BuildForced builds a block of forced transactions: as many as this block can include, in the given order, and
	// no others. (With others in it, strangers could fill the block and so keep forced transactions out.) If the
	// block can include none of them, BuildForced does what Build does. A forced transaction that is given to every
	// build, and stays not exempt (see Exempter), is included after finitely many blocks.
	BuildForced(ctx context.Context, height uint64, time uint64, maxBytes int, forced [][]byte) (txs [][]byte, err error)
}

// Exempter is implemented by engines that can tell which forced transactions the next block could not include, because
// of a nonce or a balance, say. Those are exempt: a proposal may take their item without including them. Any other
// forced transaction that is missing in the blocks of a proposal that takes its item makes the proposal void. With an
// engine that is no Exempter, no transaction is exempt.
type Exempter interface {
	// Exempt reports, per transaction of a forced item, why block height+1 could not include it after the item's
	// earlier transactions that are not exempt. An empty string means that it could: a proposal that ends with block
	// height and leaves it out is void. The item is given whole. What it says of a transaction that is in one of the
	// proposal's blocks (its nonce is used, say) is not looked at. Each item is judged alone.
	//
	// The transactions of an item that are not exempt fit into one block together: one that does not fit behind the
	// others is exempt. The answer depends on nothing but the item and the blocks up to height, so that every node
	// gives the proposal the same verdict (I3).
	//
	// ErrParent: height is above the engine's head. ErrPruned: the engine has dropped the state after block height;
	// Headrace reverts it to height then, and asks again. Exempt may be called at any time, during an Execute too.
	Exempt(ctx context.Context, height uint64, item [][]byte) (why []string, err error)
}

// OneWay is implemented by engines that may be unable to take a block back. Headrace gives those the blocks of a DA layer
// only, which are final, and its own: none that others offer, and none of an L1, which may be reorganised.
type OneWay interface {
	// OneWay reports whether Revert takes back nothing that was executed: it fails with ErrPruned. The last block may be
	// given once more, to an engine whose Head is below it since it does not know whether it was executed.
	OneWay() bool
}

var (
	// ErrParent: the block's parent is not the engine's head. Headrace compares Head with its store and replays or
	// reverts.
	ErrParent = errors.New("parent is not the engine's head")
	// ErrInvalid: the content is invalid, by a rule that gives the same verdict on every node.
	ErrInvalid = errors.New("invalid content")
	// ErrPruned: the engine has dropped what it would need to go back that far.
	ErrPruned = errors.New("history is pruned")
	// ErrTooBig: the transaction is larger than what a block can hold.
	ErrTooBig = errors.New("transaction is too large")
	// ErrFull: no room for more transactions.
	ErrFull = errors.New("transaction pool is full")
	// ErrNoReceipt: the engine has no receipt of the transaction in this block.
	ErrNoReceipt = errors.New("no receipt")
)

// Disk is implemented by engines that keep something on a disk of this process.
type Disk interface {
	// Err returns nil, or why nothing is written any more: a write has failed, and what it did last is not known until
	// the engine is closed and opened anew.
	Err() error
	Failed() <-chan struct{} // closed when Err is no longer nil

	// Damage returns nil, or what was first found to be unreadable, now or by an earlier process. It stops nothing
	// beside what needs it.
	Damage() error
	Damaged() <-chan struct{} // closed when Damage is no longer nil
}
