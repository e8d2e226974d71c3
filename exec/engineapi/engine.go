// Package engineapi makes an engine of any Ethereum execution client, through the Engine API that consensus clients
// use. New's Engine runs chains whose blocks Headrace seals, NewDerived's the EVM chains of Evolve: see Derived for what
// is otherwise there.
//
// # Blocks
//
// A rollup block holds one execution block, ready made: its first transaction is the sealed header (see Seal), the
// others are the execution block's. A follower never builds. It hands the block to the client (engine_newPayload),
// makes it the head (engine_forkchoiceUpdated), and reads the head back. Execution block n is that of rollup height
// InitialHeight-1+n; block 0 is the execution genesis. The state root that Execute returns is the execution block's,
// 32 bytes; before the first block it is the genesis'.
//
// # Verdicts
//
// Execute fails with exec.ErrInvalid only on a verdict about the content, of which there are two:
//
//   - The bytes alone show it: the seal or a transaction does not decode, or the sealed header is not the header of this content at this height and on
//     the execution block before (the transactions' root, the requests' hash, the number, the parent).
//   - The client answers INVALID and names the parent as the latest valid block, and the same client, asked at once, makes and executes a
//     block of its own on the same parent. So a client that can execute nothing there, as with a full disk, gives no verdict.
//
// Whatever else happens is ErrUnavailable (trying again helps), ErrConfig (someone must change something), or an
// error with the values that should not be. INVALID in answer to a fork choice is not a verdict; nor is a block hash
// of the client's that differs from ours; nor a header with another fork's fields, since that schedule is
// configuration.
//
// # Position
//
// The engine keeps an index of the blocks that it has executed (see index). Head is the highest of them that is
// canonical in the client. A client that was killed comes back with fewer blocks, and then Head is lower too.
//
// Revert lowers Head and sets the client's head back. A client refuses that if the block is below the one that it
// holds to be final. Then its blocks above Head stay where they are: if the same blocks come again they count as
// executed, and if others come they replace them. If the index is lost, Head is at the beginning, and the client's
// blocks are taken over in the same way, without execution. Upholds I2 and I4.
//
// # Connecting
//
// New makes no request. The first call of any method connects: it checks that the client is on the right chain with
// the right rules, and finds where index and client stand. A failure is that call's error, and the next call tries
// again.
//
// An Engine's methods are serialised, but for Exempt, which waits for the client beside the others. It starts no
// goroutines but those of its index and its connections, which Close ends.
package engineapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/internal/edge"
	"headrace/internal/redact"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
)

// Options configure an Engine. The fields of the first group are required.
type Options struct {
	URL           string        // of the client's Engine API, http or https
	JWT           [32]byte      // its secret
	Genesis       *core.Genesis // the execution chain's, as the client was initialised with; cancun or later
	ChainID       string        // the rollup's
	InitialHeight uint64        // the rollup's first height, at least 1
	Dir           string        // for the engine's index

	// FeeRecipient of the blocks that Build makes.
	FeeRecipient common.Address

	// EthURL is of the client's public JSON-RPC, for a Derived that builds. Default: it cannot build.
	EthURL string

	// BuildTime is how long Build lets the client fill a block before it fetches it. Default: 50 ms.
	BuildTime time.Duration

	// DialOptions are those of the client.
	DialOptions

	// FS holds Dir. Default: the operating system's.
	FS vfs.FS

	// Logger. Default: discard.
	Logger *slog.Logger
}

// Engine is an exec.Engine, exec.Builder, exec.Forcer, exec.Labeler, exec.Exempter, exec.SealCoder and exec.Disk.
type Engine struct {
	opt    Options
	said   edge.Log // what fails again and again
	client *Client
	eth    *Client // of Options.EthURL, or nil
	first  record  // the execution genesis, as the block before the first

	derived bool // the blocks are: see Derived
	seals   exec.SealCodec

	connected atomic.Bool // stays true once it is

	index *index // its methods may be called at any time

	mu sync.Mutex // serialises the methods, and guards the rest but for states

	closed bool
	head   record
	// ahead: the client may have canonical blocks above head, which are nobody's; see promote.
	ahead           bool
	safe, finalized record // zero: no such label
	attempts        uint64 // blocks that were asked for on the head: makes each unlike the others
	most            uint64 // the highest attempts there has been
	submitted       map[common.Hash]struct{}
	passed          map[common.Hash]int    // of the last block that was cut, what was left out: in so many in a row
	recent          map[common.Hash]uint64 // heights of the transactions of the last few derived blocks

	statesMu sync.Mutex // guards states, and is held during no request
	states   []*state   // what Exempt has read, of the last few blocks, the newest first
}

var (
	_ exec.Engine    = (*Engine)(nil)
	_ exec.Builder   = (*Engine)(nil)
	_ exec.Labeler   = (*Engine)(nil)
	_ exec.Forcer    = (*Engine)(nil)
	_ exec.Exempter  = (*Engine)(nil)
	_ exec.Disk      = (*Engine)(nil)
	_ exec.TxHasher  = (*Engine)(nil)
	_ exec.Receipter = (*Engine)(nil)
	_ exec.SealCoder = (*Engine)(nil)
)

// New opens the index and returns an engine that connects to the client at its first use: a client that is down shows
// when it is needed. Whatever New fails with is for someone to change. Close must be called.
func New(opt Options) (*Engine, error) { return open(opt, false) }

func open(opt Options, derived bool) (*Engine, error) {
	if err := checkGenesis(opt.Genesis); err != nil {
		return nil, err
	}
	if opt.InitialHeight == 0 || opt.ChainID == "" || opt.Dir == "" {
		return nil, fmt.Errorf("%w: want a rollup chain id, an initial height of at least 1 and a directory", ErrConfig)
	}
	opt.BuildTime = cmp.Or(opt.BuildTime, 50*time.Millisecond)
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	client, err := Dial(opt.URL, opt.JWT, opt.DialOptions)
	if err != nil {
		return nil, err
	}
	genesis := opt.Genesis.ToBlock()
	e := &Engine{
		opt: opt, client: client, derived: derived, seals: sealCodecOf(opt.Genesis.Config, genesis.Header()), submitted: map[common.Hash]struct{}{},
		first: record{height: opt.InitialHeight - 1, exec: genesis.Hash(), root: genesis.Root(), time: genesis.Time()},
	}
	if opt.EthURL != "" {
		e.eth, err = dial(opt.EthURL, nil, opt.DialOptions)
	}
	if err == nil {
		err = e.openIndex()
	}
	if err != nil {
		_ = e.Close() // what it says now would only repeat err
		return nil, err
	}
	return e, nil
}

// SealCodec is exec.SealCoder's.
func (e *Engine) SealCodec() exec.SealCodec { return e.seals }

func (e *Engine) openIndex() (err error) {
	id := identity{ChainID: e.opt.ChainID, InitialHeight: e.opt.InitialHeight, Genesis: e.first.exec, Derived: e.derived}
	e.index, err = openIndex(e.opt.Dir, e.opt.FS, e.opt.Logger, id)
	if err != nil {
		return err
	}
	top, ok, err := e.index.top()
	if !ok {
		top = e.first
	}
	e.head = top
	return err
}

// begin is the beginning of each method: it takes mu, which the method has to release, and connects if nobody has. It
// holds nothing if it fails.
func (e *Engine) begin(ctx context.Context) (err error) {
	e.mu.Lock()
	if e.closed {
		err = errClosed
	} else if !e.connected.Load() {
		err = e.connect(ctx)
		e.connected.Store(err == nil)
	}
	if err != nil {
		e.mu.Unlock()
	}
	return err
}

func (e *Engine) connect(ctx context.Context) error {
	if err := checkClient(ctx, e.client, e.opt.Genesis, e.first.exec, e.derived); err != nil {
		return fmt.Errorf("check execution client at %s: %w", redact.Address(e.opt.URL), err)
	}
	if e.derived {
		return e.settle(ctx)
	}
	if err := e.client.call(ctx, new(account), "eth_getProof", common.Address{}, []string{}, "latest"); errors.Is(err, errNoMethod) {
		e.opt.Logger.Warn("the execution client offers no eth_getProof on its Engine API port: a chain whose inbox takes forced transactions will need it", "url", redact.Address(e.opt.URL))
	}
	return e.settle(ctx)
}

// Close ends the calls under way, and closes the index and the connections. The client runs on. It may be called again.
func (e *Engine) Close() error {
	e.client.Close()
	if e.eth != nil {
		e.eth.Close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.index == nil { // it could not be opened
		return nil
	}
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

// number is the execution block number of a rollup height.
func (e *Engine) number(height uint64) uint64 { return height - e.first.height }

// at returns the record of a height at or below the head.
func (e *Engine) at(height uint64) (record, error) {
	if height == e.first.height {
		return e.first, nil
	}
	r, ok, err := e.index.get(height)
	if err == nil && !ok {
		err = fmt.Errorf("engine index has no height %d below its top %d: %w", height, e.head.height, exec.ErrPruned)
	}
	return r, err
}

// Head returns where the engine stands. It asks the client, which may have lost blocks.
func (e *Engine) Head(ctx context.Context) (exec.Head, error) {
	if err := e.begin(ctx); err != nil {
		return exec.Head{}, err
	}
	defer e.mu.Unlock()
	if err := e.settle(ctx); err != nil {
		return exec.Head{}, err
	}
	return exec.Head{Height: e.head.height, Hash: e.head.hash, Root: e.head.root.Bytes()}, nil
}

// settle brings head in agreement with the client: it goes down to the highest block of the index that is canonical
// there. Records above are dropped; their blocks will be executed again. mu is held.
func (e *Engine) settle(ctx context.Context) error {
	latest, err := e.client.Latest(ctx)
	if err != nil {
		return err
	}
	if latest == nil {
		return fmt.Errorf("%w: it has no head", ErrUnavailable)
	}
	if latest.Reported == e.head.exec {
		e.ahead = false
		return nil
	}
	r, err := e.common(ctx, min(e.head.height, e.first.height+latest.Number.Uint64()))
	if err != nil {
		return err
	}
	if r.height < e.head.height {
		e.opt.Logger.Warn("execution client has lost blocks", "height", r.height, "was", e.head.height)
		if err := e.index.truncate(r.height); err != nil {
			return err
		}
		e.goTo(r)
	}
	e.ahead = latest.Reported != e.head.exec
	return nil
}

// common finds the highest record at or below height whose block is canonical in the client. Blocks name their
// parents, and records are of one chain, so if one matches all below it do: a binary search.
func (e *Engine) common(ctx context.Context, height uint64) (record, error) {
	var failed error
	above := sort.Search(int(e.number(height)), func(i int) bool {
		r, err := e.at(e.first.height + uint64(i) + 1)
		var h *Header
		if err == nil {
			h, err = e.client.Canonical(ctx, e.number(r.height))
		}
		failed = errors.Join(failed, err)
		return err != nil || h == nil || h.Reported != r.exec
	})
	if failed != nil {
		return record{}, failed
	}
	return e.at(e.first.height + uint64(above))
}

// goTo makes r, at or below it, the head. Labels above it fall.
func (e *Engine) goTo(r record) {
	e.head, e.attempts = r, e.most // blocks may have been asked for on it before
	maps.DeleteFunc(e.recent, func(_ common.Hash, height uint64) bool { return height > r.height })
	if e.safe.height > r.height {
		e.safe = record{}
	}
	if e.finalized.height > r.height {
		e.finalized = record{}
	}
}

// Execute is exec.Engine's: it is idempotent by height and hash (I4), and a repeat makes no request.
func (e *Engine) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	height, hash := b.Height(), b.Hash()
	if height > e.first.height && height <= e.head.height {
		r, err := e.at(height)
		if err != nil {
			return nil, err
		}
		if r.hash == hash {
			return r.root.Bytes(), nil
		}
	}
	if parent := b.Header.Header.LastHeaderHash; height != e.head.height+1 || !bytes.Equal(parent, e.head.hash.Field()) {
		return nil, fmt.Errorf("%w: block %d on %x, head is %d %s", exec.ErrParent, height, parent, e.head.height, e.head.hash)
	}
	payload, err := e.perform(ctx, b)
	if err != nil {
		return nil, err
	}
	r := record{height: height, hash: hash, exec: payload.Data.BlockHash, root: payload.Data.StateRoot, time: payload.Data.Timestamp}
	if e.derived {
		r.skipped = skipped(b.Data.Txs, payload.Data.Transactions)
	}
	if err := e.promote(ctx, r); err != nil {
		return nil, fmt.Errorf("promote block %d: %w", height, err)
	}
	if err := e.index.put(r); err != nil {
		return nil, err
	}
	e.head, e.attempts = r, 0
	e.included(payload)
	e.remember(r.height, payload)
	return r.root.Bytes(), nil
}

// perform has the client execute b on our head. The client's head stays where it is.
func (e *Engine) perform(ctx context.Context, b *block.Block) (p *Payload, err error) {
	if e.derived {
		p, err = e.derive(ctx, b)
	} else {
		if p, err = e.read(b); err != nil {
			return nil, err
		}
		err = e.run(ctx, p)
	}
	if err != nil {
		return nil, fmt.Errorf("execute block %d: %w", b.Height(), err)
	}
	return p, nil
}
