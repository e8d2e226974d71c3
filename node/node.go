// Package node is Headrace's public face: a full node, or a sequencer, as one value that runs.
//
// New opens what is on disk and touches no network; Run follows the DA layer, makes blocks if it is the sequencer,
// serves HTTP, and when it returns everything has stopped and is closed. A DA layer that is away, at start or later,
// is not an error: the node says what it waits for and goes on when it comes. Status is a latest value that anyone
// can wait on; it is never ahead of what is stored.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/httpd"
	"headrace/internal/sequencer"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/watch"
)

// Options are what a program, rather than an operator, gives a node. Home and Genesis are needed.
type Options struct {
	Home    string // directory of the store and of the key-value engine's state; made if absent
	Genesis *block.Genesis
	Config  Config
	Key     *block.PrivateKey // of the sequencer; needed if Config.Sequencer.Enabled
	Logger  *slog.Logger      // default: silent
	Bounds  Bounds

	// Engine replaces the one that Config.Engine names. It stays the caller's.
	Engine   exec.Engine
	Observer Observer

	Clock func() time.Time // the machine's clock, for the times of a sequencer's blocks; default time.Now
}

// Bounds are the timeouts of the node towards its DA layer. A zero field has the default, which is made for
// Celestia's six seconds between blocks. A DA layer that is many times faster, as in tests, wants shorter ones.
type Bounds struct {
	Silence time.Duration // a connection without a byte for so long is closed: 20 s
	Hold    time.Duration // how long a height waits for the other namespace's event. Then it is fetched: 1 s
	Probe   time.Duration // after so long without an event the head is asked for: 15 s, or the time of three blocks if that is shorter
	Polling time.Duration // how long to poll over HTTP before a WebSocket is tried again: 10 s
	Submit  time.Duration // how long a submission may take: 2 min
	Flight  time.Duration // how long what was submitted by a process that has ended may still be included: 5 min
	Stall   time.Duration // a subscription without an update, or a fetch without an item, for so long is started again: 30 s
	Retry   time.Duration // the longest pause between two tries: 2 s
}

// Observer's functions, where not nil, are called where things happen, some inside the node's serialised section:
// they must be quick, must not block and must not call the node.
type Observer struct {
	syncer.Observer                 // of the chain: blocks, and the steps that make them
	Source          follow.Observer // of the canonical source, with its endpoints and who follows it

	// EngineCalled is called after each request to an Ethereum execution client, with the engine locked.
	EngineCalled func(method string, took time.Duration, err error)
}

// Applied describes one change of a head; see the fields of Status. Step is work whose end the observer is told of.
type (
	Applied = syncer.Applied
	Step    = syncer.Step
)

// Node is a full node or a sequencer. Make it with New, run it once.
type Node struct {
	opt    Options
	log    *slog.Logger
	store  *store.Store
	engine exec.Engine
	kv     *kv.Engine  // nil with another engine
	owned  []io.Closer // what New opened, last first
	up     *upstream
	seq    *sequencer.Sequencer // nil in a full node
	http   *httpd.Server
	status *watch.Value[Status]
	text   statusText

	blockTime atomic.Int64           // of the source, as in the status
	headSince atomic.Pointer[uint64] // content fetches before the source's head was reached; nil before
}

// New opens the node's home and its HTTP port. Whatever it fails with says what to do. A node that was made must be
// run, or closed.
func New(opt Options) (_ *Node, err error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if err := opt.Config.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if err := opt.Genesis.Validate(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	n := &Node{opt: opt, log: opt.Logger, status: new(watch.Value[Status])}
	defer func() {
		if err != nil {
			_ = n.Close()
		}
	}()
	for _, open := range []func() error{n.listen, n.openStore, n.openEngine, n.openUpstream, n.openSequencer} {
		if err := open(); err != nil {
			return nil, err
		}
	}
	n.publish()
	return n, nil
}

func (n *Node) openStore() error {
	g := n.opt.Genesis
	if err := os.MkdirAll(n.opt.Home, 0o700); err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	id := store.Identity{ChainID: g.ChainID, Genesis: g.Hash()}
	opt := store.Options{Logger: n.log, InitialHeight: g.InitialHeight}
	var first uint64
	var err error
	if id.Source, first, err = kindOf(g).identity(&n.opt); err != nil {
		return err
	}
	opt.Start.Height = max(first, 1) - 1
	if n.store, err = store.Open(filepath.Join(n.opt.Home, "store"), id, opt); err != nil {
		return err
	}
	n.own(n.store)
	return nil
}

// own notes what Close has to release, before all that was noted earlier.
func (n *Node) own(c io.Closer) { n.owned = append([]io.Closer{c}, n.owned...) }

func (n *Node) openSequencer() error {
	c := &n.opt.Config.Sequencer
	if !c.Enabled {
		return nil
	}
	builder, ok := n.engine.(exec.Builder)
	switch {
	case !ok:
		return errors.New("sequencer.enabled: this engine cannot build blocks; it serves a full node only")
	case n.opt.Key == nil:
		return errors.New("sequencer.enabled: no signing key was given")
	}
	cfg := sequencer.Config{
		Syncer: n.up.syncer, Builder: builder, Key: n.opt.Key, CaughtUp: n.caughtUp,
		BlockTime: c.BlockTime, Lazy: c.Lazy, LazyInterval: c.LazyInterval, MaxPending: c.MaxPending, Logger: n.log,
		Wall: n.opt.Clock, Ahead: n.ahead,
		Mark: sequencer.OpenMark(filepath.Join(n.opt.Home, "signed")), Decided: n.decided, InFlight: n.up.inFlight, Trust: c.TrustHome,
	}
	n.own(cfg.Mark)
	err := n.up.post(&cfg)
	if err != nil {
		return err
	}
	n.seq, err = sequencer.New(cfg)
	return err
}

// ahead returns how far a block's time may be ahead of the source's newest header: five of its block times, which
// leaves it room to be late, but at least half a minute. It is never more than the minute that followers allow a block
// to be ahead of their clocks: a source with slower blocks than Ethereum's leaves the rest to the monotonic clock.
func (n *Node) ahead() time.Duration {
	return min(max(5*time.Duration(n.blockTime.Load()), 30*time.Second), time.Minute)
}

// caughtUp waits until the follower has reached the source's head once.
func (n *Node) caughtUp(ctx context.Context) error {
	_, err := n.up.follower.State().Wait(ctx, func(s follow.State) bool { return s.Live })
	return err
}

// decided waits until the source has been followed past all that may have been on its way there.
func (n *Node) decided(ctx context.Context) error {
	height, err := n.up.decided(ctx)
	if err != nil {
		return err
	}
	_, err = n.up.syncer.Status().Wait(ctx, func(s syncer.Status) bool { return s.Position.Height >= height })
	return err
}

// Close releases what New opened. Run does it by itself; Close is for a node that is never run.
func (n *Node) Close() error {
	var errs []error
	if n.http != nil {
		if err := n.http.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, c := range n.owned {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Run follows, makes blocks and serves until ctx ends, which is no error, or something fails that only a restart or
// the operator can cure.
func (n *Node) Run(parent context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	parts := append([]func(context.Context) error{n.bringUp, n.up.follower.Run, n.serve, n.watchStatus, n.gate}, n.up.beside...)
	if n.seq != nil {
		parts = append(parts, n.seq.Run)
	}
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(func() { cancel(part(ctx)) })
	}
	wg.Wait()
	if err = context.Cause(ctx); parent.Err() != nil && errors.Is(err, context.Cause(parent)) {
		err = nil
	}
	n.publish() // what was committed last belongs in the last status
	n.up.syncer.Close(err)
	n.status.Close(err)
	return errors.Join(err, n.Close())
}

// lookAgain is how long the engine is left alone between two looks at it.
const lookAgain = time.Second

// bringUp brings the engine up to the store, however late it comes. Each item of the source is an occasion to look at
// it again: one that was restarted may have lost blocks.
func (n *Node) bringUp(ctx context.Context) error {
	var backoff follow.Backoff
	for {
		at := n.up.syncer.Status().Load().Position
		err := n.up.syncer.BringUp(ctx)
		if follow.IsFatal(err) {
			return err
		}
		if err != nil {
			if err := backoff.Sleep(ctx, nil); err != nil {
				return err
			}
			continue
		}
		backoff.Reset()
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := n.up.syncer.Status().Wait(ctx, func(s syncer.Status) bool { return s.Position != at }); err != nil {
			return err
		}
	}
}

// Address returns where the node serves HTTP.
func (n *Node) Address() string { return n.http.Addr().String() }

// URL returns the address with its scheme.
func (n *Node) URL() string {
	if n.opt.Config.HTTP.TLSCert != "" {
		return "https://" + n.Address()
	}
	return "http://" + n.Address()
}

// Status returns the latest status. It ends with Run.
func (n *Node) Status() *watch.Value[Status] { return n.status }

// Wait returns once the safe head has reached height, with the status that says so.
func (n *Node) Wait(ctx context.Context, height uint64) (Status, error) {
	return n.status.Wait(ctx, func(s Status) bool { return s.Heads.Safe.Height >= height })
}

// SubmitTx offers a transaction to the engine for the next block; only a sequencer takes it.
func (n *Node) SubmitTx(ctx context.Context, tx []byte) error {
	if n.seq == nil {
		return errNotSequencer
	}
	return n.seq.SubmitTx(ctx, tx)
}

// ErrTooBig is what SubmitTx's error matches if no block can hold the transaction; the error says what one can hold.
var ErrTooBig = exec.ErrTooBig

// maxTx returns the size of the largest transaction that is taken, in bytes.
func (n *Node) maxTx() int {
	if n.seq == nil {
		return 1 << 20 // to be told where to send it
	}
	return n.seq.MaxTx()
}

var errNotSequencer = errors.New("this node is not the sequencer: send transactions to the one that is")
