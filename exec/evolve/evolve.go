// Package evolve makes an engine of an Evolve executor: a state machine that knows heights and state roots, and neither
// hashes of blocks nor, if need be, a way back. Executors written in Go are given to New; package evgrpc calls those in
// other processes.
//
// # Position
//
// An executor does not say which block it stands at, so the engine keeps an index: the hash and the state root of each
// block that was executed. Before a block is given to the executor, that is noted there, on disk: whatever happens, what
// is not known afterwards is whether that one block was executed.
//
// It is not known after a start, after a call of ExecuteTxs that failed, and after any call without an answer
// (ErrNoAnswer). Then Head is below the last block in the index, so that this one is given to the executor again, whose
// last or next one it should be, and its root is compared with the one in the index. One that differs is returned, for
// the caller to judge, and logged, and Head stays below. A caller who takes it executes the next block, whose header must
// name that root. An executor that refuses the block has executed the one after it, if it was given that: it is given
// that again, too.
//
// An executor that has lost more than its last block refuses that. It then has to begin anew, and the index with it: see
// ErrLost. One that tells its height (Heighter) is given what it has lost.
//
// # Going back
//
// Revert takes blocks back by the executor's Rollback. Without that it fails with exec.ErrPruned, and no block can take
// the place of another. Only while the executor has not been given a block since the engine was opened may the caller be
// behind it: Revert lowers Head then, and blocks of the index that come again are answered from there.
//
// # Transactions
//
// They are sent to the executor. Build asks it for them, since some executors tell each only once keeps them until they
// are in a block, and has the executor filter them. They wait in memory: what waits at a crash is lost.
//
// An Engine's methods are serialised. It starts no goroutine but those of its index, which Close ends.
package evolve

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"headrace/block"
	"headrace/exec"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Executor is an Evolve executor, as ev-node v1.1.4 calls it. Calls do not overlap, but for one whose context has ended
// before it did. An executor that may have been restarted since its last answer fails the next call with ErrNoAnswer.
type Executor interface {
	// InitChain makes the genesis state and returns its root. It is called while nothing is executed, again and again.
	InitChain(ctx context.Context, genesisTime time.Time, initialHeight uint64, chainID string) (root []byte, err error)
	// GetTxs returns transactions that wait for a block. It may return each once, or as long as it waits.
	GetTxs(ctx context.Context) ([][]byte, error)
	// ExecuteTxs executes the next block, or the last one again, which has the same root. What is no transaction is
	// passed over.
	ExecuteTxs(ctx context.Context, txs [][]byte, height uint64, at time.Time, rootBefore []byte) (Result, error)
	// SetFinal tells that no block up to height will ever be taken back.
	SetFinal(ctx context.Context, height uint64) error
	// GetExecutionInfo returns what bounds a block. It is also how the executor is found to be there.
	GetExecutionInfo(ctx context.Context) (Info, error)
	// FilterTxs says of each transaction whether the next block, of at most so many bytes and so much gas, can have it.
	// 0 is no bound. forced: there are some among them that were not sent to the executor.
	FilterTxs(ctx context.Context, txs [][]byte, maxBytes, maxGas uint64, forced bool) ([]Filtered, error)
}

// Result is that of a block.
type Result struct {
	Root     []byte // after it
	MaxBytes uint64 // what the next block's transactions may take; 0: not said
}

// Info is what bounds a block.
type Info struct {
	MaxGas uint64 // 0: the executor knows no gas
}

// Filtered is what becomes of a transaction.
type Filtered int

// The answers of FilterTxs.
const (
	Taken     Filtered = iota // the next block can have it
	Removed                   // no block can
	Postponed                 // a later block may
)

// Heighter is an Executor that tells its height: that of the last block that it has executed, and below the initial one
// if there is none.
type Heighter interface {
	GetLatestHeight(ctx context.Context) (uint64, error)
}

// Rollbacker is an Executor that can take blocks back, so that it stands at height. Where it does so already, nothing
// changes.
type Rollbacker interface {
	Rollback(ctx context.Context, height uint64) error
}

// Pruner is an Executor that can forget how to go back to a block at or below height.
type Pruner interface {
	PruneExec(ctx context.Context, height uint64) error
}

// The kinds of errors; test with errors.Is. Each message says what to do.
var (
	// ErrNoAnswer: a call was not answered, and whether it had an effect is not known. It is an Executor's to return.
	ErrNoAnswer = errors.New("no answer")
	// ErrLost: the executor is not at the last block that it was given, nor at the one before.
	ErrLost = errors.New("the executor is not where it was left")
)

// Options configure an Engine. The fields of the first group are required.
type Options struct {
	ChainID       string
	InitialHeight uint64 // at least 1
	GenesisTime   time.Time
	Dir           string // for the engine's index

	// Keep is how many final blocks a Pruner can still take back; 0: it is not told to forget any.
	Keep uint64

	// FS holds Dir. Default: the operating system's.
	FS vfs.FS

	// Logger. Default: discard.
	Logger *slog.Logger
}

// Engine is an exec.Engine, exec.Builder, exec.Pool, exec.Labeler, exec.OneWay and exec.Disk.
type Engine struct {
	x     Executor
	opt   Options
	index *index

	mu     sync.Mutex // serialises the methods, and guards the rest
	closed bool
	known  knowledge
	head   record  // what Head says
	from   uint64  // the first height that is given to the executor; below, the index answers
	tried  *record // was given to the executor after the index' last block, and may have been executed; nil: none was
	said   []byte  // root that the executor has after the index' last block, if not the one there; nil: it is
	final  uint64  // as the executor was told
	pool   pool
}

// knowledge is what is known of where the executor stands.
type knowledge int

const (
	unknown knowledge = iota // it has to be asked
	doubted                  // it takes the block at from, or that one was executed
	exactly                  // it has executed head, and nothing above
)

var (
	_ exec.Engine  = (*Engine)(nil)
	_ exec.Builder = (*Engine)(nil)
	_ exec.Pool    = (*Engine)(nil)
	_ exec.Labeler = (*Engine)(nil)
	_ exec.OneWay  = (*Engine)(nil)
	_ exec.Disk    = (*Engine)(nil)
)

// New opens the index and returns an engine that calls x at its first use. Close must be called; x stays the caller's.
func New(x Executor, opt Options) (*Engine, error) {
	if opt.InitialHeight == 0 || opt.ChainID == "" || opt.Dir == "" {
		return nil, errors.New("evolve: want a chain id, an initial height of at least 1 and a directory")
	}
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	index, err := openIndex(opt.Dir, opt.FS, opt.Logger, identity{ChainID: opt.ChainID, InitialHeight: opt.InitialHeight})
	if err != nil {
		return nil, err
	}
	return &Engine{x: x, opt: opt, index: index}, nil
}

// Close closes the index. It may be called again.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return e.index.Close()
}

// Err implements exec.Disk, for the index.
func (e *Engine) Err() error { return e.index.Err() }

// Failed implements exec.Disk.
func (e *Engine) Failed() <-chan struct{} { return e.index.Failed() }

// Damage implements exec.Disk.
func (e *Engine) Damage() error { return e.index.Damage() }

// Damaged implements exec.Disk.
func (e *Engine) Damaged() <-chan struct{} { return e.index.Damaged() }

// OneWay implements exec.OneWay.
func (e *Engine) OneWay() bool {
	_, can := e.x.(Rollbacker)
	return !can
}

// before is the height before the first block.
func (e *Engine) before() uint64 { return e.opt.InitialHeight - 1 }

// Head implements exec.Engine. It asks whether the executor is there.
func (e *Engine) Head(ctx context.Context) (exec.Head, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.info(ctx); err != nil {
		return exec.Head{}, err
	}
	if err := e.settle(ctx); err != nil {
		return exec.Head{}, err
	}
	return exec.Head{Height: e.head.height, Hash: e.head.hash, Root: e.head.root}, nil
}

// Execute implements exec.Engine: it is idempotent by height and hash (I4).
func (e *Engine) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err // and nothing is in doubt
	}
	if err := e.settle(ctx); err != nil {
		return nil, err
	}
	h, hash := &b.Header.Header, b.Hash()
	if err := e.taken(h); err != nil {
		return nil, err
	}
	if h.Height >= e.opt.InitialHeight && h.Height <= e.head.height {
		if r, err := e.index.at(h.Height); err != nil || r.hash == hash {
			return r.root, err
		}
	}
	if h.Height != e.head.height+1 || !bytes.Equal(h.LastHeaderHash, e.head.hash.Field()) {
		return nil, fmt.Errorf("%w: block %d on %x, head is %d %s", exec.ErrParent, h.Height, h.LastHeaderHash, e.head.height, e.head.hash)
	}
	was, done, err := e.index.get(h.Height)
	if err == nil && !done && e.tried != nil {
		was = *e.tried
	}
	switch {
	case err != nil:
		return nil, err
	case (done || e.tried != nil) && was.hash != hash: // the executor may have the other one
		if err := e.replace(ctx, was, hash); err != nil {
			return nil, err
		}
		done = false
	case h.Height < e.from: // and so it is done
		e.head = was
		return was.root, nil
	}
	root, err := e.run(ctx, b, done)
	refused := err != nil && !errors.Is(err, ErrNoAnswer) && ctx.Err() == nil
	switch {
	case err == nil:
		e.pool.included(b.Data.Txs)
		return root, e.executed(record{h.Height, hash, root}, was, done)
	case refused && done && e.tried != nil: // then it has executed the one after
		e.head, e.from = was, was.height+1
		return was.root, nil
	case refused && e.known == doubted:
		err = fmt.Errorf("%w: it refuses the block that it may have executed last: %w. If it has lost more than that: %s", ErrLost, err, e.anew())
	}
	e.known = unknown
	return nil, err
}

// replace makes room for a block in the place of another, which the executor was given on top of the head.
func (e *Engine) replace(ctx context.Context, has record, hash block.Hash) error {
	back, can := e.x.(Rollbacker)
	if !can {
		return e.conflict(has, hash)
	}
	return e.rollback(ctx, back, e.head)
}

// conflict is the error of a block that would take the place of another, which the executor has or may have.
func (e *Engine) conflict(has record, hash block.Hash) error {
	return fmt.Errorf("%w: block %d is to be %s, and the executor was given %s, which it cannot take back: %s", exec.ErrPruned, has.height, hash, has.hash, e.anew())
}

// anew says how an executor begins anew.
func (e *Engine) anew() string {
	return fmt.Sprintf("stop the node, give the executor an empty data directory, remove %s, and start both: all stored blocks are executed again", e.opt.Dir)
}

// run gives a block to the executor: the last one again, or the next one, after a note that it may be there.
func (e *Engine) run(ctx context.Context, b *block.Block, again bool) ([]byte, error) {
	h := &b.Header.Header
	if next := (record{height: h.Height, hash: b.Hash()}); !again && e.tried == nil {
		if err := e.index.try(next); err != nil {
			return nil, err
		}
		e.tried = &next
	}
	at := time.Unix(int64(h.Time/uint64(time.Second)), int64(h.Time%uint64(time.Second))).UTC()
	res, err := e.x.ExecuteTxs(ctx, b.Data.Txs, h.Height, at, e.head.root)
	if err == nil {
		e.pool.maxBytes = res.MaxBytes
		return bytes.Clone(res.Root), nil
	}
	return nil, fmt.Errorf("execute block %d: %w", h.Height, err)
}

// executed notes the result of a block: r, which was known as was before if done.
func (e *Engine) executed(r, was record, done bool) error {
	if done && !bytes.Equal(r.root, was.root) {
		e.opt.Logger.Error("the executor has another state root after its last block than before", "height", r.height, "was", fmt.Sprintf("%x", was.root), "is", fmt.Sprintf("%x", r.root))
		e.said = r.root
		return nil
	}
	if !done {
		if err := e.index.put(r); err != nil {
			return err
		}
		e.tried = nil
	}
	e.stand(r)
	return nil
}

// stand notes that the executor has executed r.
func (e *Engine) stand(r record) {
	e.head, e.from, e.known, e.said = r, r.height+1, exactly, nil
}

// taken looks at a block on top of the last one, after which the executor has another root than it had before: one whose
// header names that root shows that it is the right one.
func (e *Engine) taken(h *block.Header) error {
	if e.said == nil || h.Height != e.head.height+2 || !bytes.Equal(h.AppHash, e.said) {
		return nil
	}
	r, err := e.index.at(h.Height - 1)
	if err != nil || !bytes.Equal(h.LastHeaderHash, r.hash.Field()) {
		return err
	}
	r.root = e.said
	if err := e.index.put(r); err != nil {
		return err
	}
	e.stand(r)
	return nil
}

// Revert implements exec.Engine, as far as the executor can go back; see the package's comment.
func (e *Engine) Revert(ctx context.Context, height uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.settle(ctx); err != nil {
		return err
	}
	if height >= e.head.height {
		return nil
	}
	to, err := e.index.at(max(height, e.before()))
	if err != nil {
		return err
	}
	back, can := e.x.(Rollbacker)
	switch {
	case can:
		return e.rollback(ctx, back, to)
	case e.known == doubted:
		e.head = to
		return nil
	}
	return fmt.Errorf("%w: the executor cannot go back from block %d to %d (%w): %s", exec.ErrPruned, e.head.height, height, errors.ErrUnsupported, e.anew())
}

// rollback takes the blocks above to back, in the index first: what is above its end is rolled back again.
func (e *Engine) rollback(ctx context.Context, x Rollbacker, to record) error {
	if err := e.index.truncate(to.height); err != nil {
		return err
	}
	e.known, e.tried = unknown, nil
	if err := x.Rollback(ctx, to.height); err != nil {
		return fmt.Errorf("roll the executor back to %d: %w", to.height, err)
	}
	e.stand(to)
	return nil
}

// Label implements exec.Labeler.
func (e *Engine) Label(ctx context.Context, _, finalized block.Ref) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if finalized.Height <= max(e.final, e.before()) || e.known == unknown || finalized.Height > e.head.height {
		return nil // it is told with the next one
	}
	if err := e.x.SetFinal(ctx, finalized.Height); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return e.failed(fmt.Errorf("tell the executor that block %d is final: %w", finalized.Height, err))
	}
	e.final = finalized.Height
	if p, ok := e.x.(Pruner); ok && e.opt.Keep > 0 && e.final > e.before()+e.opt.Keep {
		if err := p.PruneExec(ctx, e.final-e.opt.Keep-1); err != nil {
			return e.failed(fmt.Errorf("prune the executor: %w", err))
		}
	}
	return nil
}

// info asks for what bounds a block.
func (e *Engine) info(ctx context.Context) (Info, error) {
	i, err := e.x.GetExecutionInfo(ctx)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return i, e.failed(fmt.Errorf("ask the executor for what bounds a block: %w", err))
	}
	return i, nil
}

// failed notes that a call without an effect has failed. Without an answer, the executor may have been restarted.
func (e *Engine) failed(err error) error {
	if errors.Is(err, ErrNoAnswer) {
		e.known = unknown
	}
	return err
}
