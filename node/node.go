// Package node is Headrace's public face: a full node, or a sequencer, as one value that runs.
//
// New opens what is on disk and touches no network; Run follows the DA layer, makes blocks if it is the sequencer,
// serves HTTP, and when it returns everything has stopped and is closed. A DA layer that is away, at start or later,
// is not an error: the node says what it waits for and goes on when it comes. Status is a latest value that anyone
// can wait on; it is never ahead of what is stored.
package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/edge"
	"headrace/internal/httpd"
	"headrace/internal/sequencer"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/l1"
	"headrace/watch"
)

// Options are what a program, rather than an operator, gives a node. Home and Genesis are needed.
type Options struct {
	Home    string // directory of the store and of the key-value engine's state; made if absent
	Genesis *block.Genesis
	Config  Config
	Key     *block.PrivateKey // of the sequencer; needed if Config.Sequencer.Enabled
	Logger  *slog.Logger      // default: silent
	Levels  *LogLevels        // that Logger shows, and PUT /v1/log changes; nil: that cannot be changed
	Bounds  Bounds

	// Engine replaces the one that Config.Engine names. It stays the caller's.
	Engine   exec.Engine
	Observer Observer

	// Handlers serve more at the node's HTTP address, within its limits and for whom it answers: by patterns of
	// http.ServeMux that the node has none of.
	Handlers map[string]http.Handler

	// Blocks bring signed blocks beside the canonical source and Config.Unsafe.From. They run as long as the node does.
	Blocks []BlockSource

	// Outlets take the node's blocks elsewhere. They run as long as the node does; the status shows the first one.
	Outlets []Outlet

	storeFS, engineFS store.FS // nil: the operating system's
	daSource          daSource // nil: of the configured endpoints
	l1Source          l1Source // likewise
	l1Proposer        l1.Proposer

	// plainNames: the home takes names of namespaces that look like hexadecimal digits for names. Its store says so.
	plainNames bool

	Version string // of the program, for the status

	sources []BlockSource   // Blocks, and those of Config.Unsafe.From
	hand    *sequencer.Hand // the operator's, of a sequencer

	Clock func() time.Time // the machine's clock, for the times of a sequencer's blocks; default time.Now

	offered func()        // called between a transaction's acceptance and the wait for it; nil: nothing is
	holdTx  time.Duration // see sequencer.Config.HoldTx
}

// Bounds are the timeouts of the node towards its DA layer. A zero field has the default, which is made for
// Celestia's three to six seconds between blocks. A DA layer that is many times faster, as in tests, wants shorter ones.
type Bounds struct {
	Silence time.Duration // a connection without a byte for so long is closed: 20 s
	Hold    time.Duration // how long a height waits at least for the other namespace's event; longer, up to Probe, where that has come later. Then it is fetched: 2 s
	Probe   time.Duration // after so long without an event the head is asked for: 15 s, or the time of three blocks if that is shorter
	Polling time.Duration // how long to poll over HTTP before a WebSocket is tried again: 10 s
	Arrival time.Duration // how long a submission may take to the DA layer, when nothing has answered: 1 s
	Flight  time.Duration // how long what was submitted by a process that has ended may still be included: 5 min, or 50 block times if that is longer
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

// The steps that an observer is told of.
const (
	StepDerive  = syncer.StepDerive
	StepExecute = syncer.StepExecute
	StepHead    = syncer.StepHead
	StepRevert  = syncer.StepRevert
	StepLabel   = syncer.StepLabel
	StepExempt  = syncer.StepExempt
	StepCommit  = syncer.StepCommit
	StepProve   = syncer.StepProve
	StepBuild   = syncer.StepBuild
	StepPost    = syncer.StepPost
)

// Node is a full node or a sequencer. Make it with New, run it once.
type Node struct {
	opt    Options
	id     string // of this process, see Source.HeardBy
	log    *slog.Logger
	said   edge.Log // what fails again and again
	http   *httpd.Server
	public bool // other hosts reach http, and no token keeps them from writing
	status *statuses
	text   statusText

	history  history
	started  time.Time
	progress progress // these are owned by publish
	seen     seen
	told     teller
	oldest   Applied // the lowest block that waits to be posted

	at   atomic.Pointer[opened] // what is open now, or was last
	down atomic.Pointer[error]  // why nothing is open: see reopen

	waiters, streams atomic.Int64   // see Serving
	parked           sync.WaitGroup // waits of /v1/wait; they end with the status

	sources []BlockSource // of signed blocks, beside the canonical source
	poked   chan struct{} // holds one token when what they say of themselves has changed

	long     long          // what bounds the requests that last
	sent     sent          // what was offered to the engine
	receipts chan struct{} // holds one for each that the engine is asked for now

	headSince atomic.Pointer[uint64] // content fetches before the source's head was reached; nil before
}

// New opens the node's home and its HTTP port. Whatever it fails with says what to do. A node that was made must be
// run, or closed.
func New(opt Options) (_ *Node, err error) {
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	if err := opt.Config.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if err := opt.Genesis.Validate(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	n := newNode(opt)
	n.opt.Observer = Join(n.history.observer(), opt.Observer)
	defer func() {
		if err != nil {
			_ = n.Close()
		}
	}()
	if err := n.listen(); err != nil {
		return nil, err
	}
	if n.sources, err = openSources(&n.opt); err != nil {
		return nil, err
	}
	n.opt.sources = n.sources
	o, err := open(&n.opt, nil)
	if err != nil {
		return nil, err
	}
	n.at.Store(o)
	n.publish(o)
	return n, nil
}

// newNode returns a node of which nothing is open.
func newNode(opt Options) *Node {
	return &Node{
		opt: opt, id: rand.Text(), log: opt.Logger, status: newStatuses(new(watch.Value[Status])), started: time.Now(), poked: make(chan struct{}, 1),
		long: newLong(opt.Config.HTTP.MaxWaiting), receipts: make(chan struct{}, maxReceipts),
	}
}

// Close releases what New opened. Run does it by itself; Close is for a node that is never run.
func (n *Node) Close() error {
	var errs []error
	if n.http != nil {
		if err := n.http.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if o := n.at.Load(); o != nil {
		errs = append(errs, o.close())
	}
	return errors.Join(errs...)
}

// Run follows, makes blocks and serves until ctx ends, which is no error, or something fails that only a restart or
// the operator can cure: ErrDisk and ErrDamaged are two of them. A failed write alone does not end it, see reopen.
func (n *Node) Run(parent context.Context) (err error) {
	err = together(parent, append(append(n.runSources(), n.runOutlets()...), n.serve, n.keep, n.work)...)
	if parent.Err() != nil && errors.Is(err, context.Cause(parent)) {
		err = nil
	}
	o := n.at.Load()
	n.publish(o) // what was committed last belongs in the last status
	o.up.syncer.Close(err)
	n.status.Close(err)
	n.parked.Wait()
	return errors.Join(err, n.Close())
}

// together runs the parts until one of them ends, and returns that one's error when all have.
func together(parent context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(func() { cancel(part(ctx)) })
	}
	wg.Wait()
	return context.Cause(ctx)
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
func (n *Node) Status() *watch.Value[Status] { return n.status.Value }

// Wait returns once the safe head has reached height, with the status that says so.
func (n *Node) Wait(ctx context.Context, height uint64) (Status, error) {
	return n.status.Wait(ctx, func(s Status) bool { return s.Heads.Safe.Height >= height })
}

// SubmitTx offers a transaction to the engine for the next block; only a sequencer takes it. Send also waits for it.
func (n *Node) SubmitTx(ctx context.Context, tx []byte) error {
	_, err := n.send(ctx, tx, sending{})
	return err
}

// ErrTooBig is what SubmitTx's error matches if no block can hold the transaction; the error says what one can hold.
var ErrTooBig = exec.ErrTooBig

// ErrNotBegun is what SubmitTx's error matches if the transaction was not offered, since the sequencer does not yet have
// all blocks that it may have signed before its start. The error says what it waits for.
var ErrNotBegun = sequencer.ErrNotBegun

// maxTx returns the size of the largest transaction that is taken, in bytes.
func (n *Node) maxTx() int {
	if o := n.at.Load(); o.seq != nil {
		return o.seq.MaxTx()
	}
	return 1 << 20 // to be told where to send it
}

var errNotSequencer = errors.New("this node is not the sequencer: send transactions to the one that is")
