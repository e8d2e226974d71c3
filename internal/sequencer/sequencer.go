// Package sequencer makes a rollup's blocks on a clock and posts them to the DA layer, or as proposals to an inbox on
// an L1.
//
// Blocks are made through the syncer's serialised section, which keeps each signed block on disk before anyone sees
// it. What is posted is known from following it: the syncer's safe head is the durable record, and what was submitted
// beyond it is remembered on top. So a submission whose outcome is unknown is looked for before it is repeated, and a
// repeat is harmless. When the DA layer is away the sequencer goes on until MaxPending blocks wait for it, then
// pauses and says so, and resumes when they are included.
//
// Run owns two goroutines, the producer and the submitter, and waits for both.
package sequencer

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
	"headrace/da"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/edge"
	"headrace/internal/syncer"
	"headrace/l1"
	"headrace/watch"
)

// Config is what a Sequencer works with.
type Config struct {
	Syncer  *syncer.Syncer
	Builder exec.Builder
	Key     *block.PrivateKey
	TxOnce  bool // a chain executes a transaction once at most, see exec.TxOnce

	// Where blocks are posted: to the DA layer, or as proposals to the inbox. One of the two is set.
	Submitter da.Submitter
	Proposer  l1.Proposer
	Inbox     l1.Reader // beside Proposer: its forced queue; nil if the chain has none

	// Payload is the version of the payloads of proposals: 0 or 1, or l1.CompactVersion, with the engine's Seals.
	Payload byte
	Seals   exec.SealCodec

	HeaderNamespace da.Namespace
	DataNamespace   da.Namespace

	// CaughtUp returns once the node has followed the DA layer up to its head. A sequencer with an empty store makes
	// no block before: it may have signed some that only the DA layer remembers. Nothing is submitted before either.
	CaughtUp func(context.Context) error

	// Mark shows whether the home is the one that signed last. If it does not, nothing is signed or posted before
	// Decided has returned: once the node has followed the source past everything that may have been on its way there
	// when it started. InFlight says in words, as the wait begins, until when or for what that is. A nil Mark: it is
	// known to be the one.
	Mark     *Mark
	Decided  func(context.Context) error
	InFlight func() string
	Trust    bool // the home, whatever Mark says

	// Of proposals to an inbox: how long a block may wait for others that are proposed with it, and the size in bytes of a
	// payload that waits for no more. Default: none waits; what a proposal holds.
	MaxDelay time.Duration
	Full     int

	// Prepare does what the first submission needs and takes long: beside all else, before anything is posted. Nil: nothing
	// does. Preparing says what that is.
	Prepare   func() error
	Preparing string

	// HoldTx is how long a transaction is held at most, before the sequencer has begun; see ErrNotBegun. Default 10 s.
	HoldTx time.Duration

	// Hand is an operator's. Default: one that nobody else has.
	Hand *Hand

	// TakeBack asks others for the blocks above the safe head that this key has signed, and makes unsafe blocks of them.
	// It is called before the first signature of a home that is empty, or that Mark does not show to be the one, and again
	// after each wait for Decided, when more of them show that another sequencer is at work; say is given what it waits for.
	// Nil: there is nobody to ask.
	TakeBack func(ctx context.Context, say func(string)) error

	Wall  func() time.Time     // the machine's clock; default time.Now
	Ahead func() time.Duration // how far a block's time may be ahead of the source's newest header; default 30 s

	Source *watch.Value[follow.State] // how the source is followed: where its head is, and when it is back; nil: not known

	BlockTime      time.Duration        // default 1 s
	Lazy           bool                 // make a block only when there are transactions, or LazyInterval has passed
	LazyInterval   time.Duration        // default 60 s
	MaxPending     uint64               // blocks that may wait for the DA layer before production pauses; default 1000
	MaxBlockBytes  int                  // of the transactions of one block, as exec.Size counts; default 1 MiB. Less if a proposal holds less
	MaxSubmitBytes int                  // of the blobs of one submission; default 2 MiB. A single block may exceed it
	SubmitTimeout  func() time.Duration // of one submission; default 1 minute, and at least Patience: it waits for its block

	// What the DA layer may hold of a submission that nothing has answered.
	Head    func(context.Context) (uint64, error) // asks the DA layer for its newest height; nil: what is known of it will do
	Arrival time.Duration                         // how long what was sent may take to the DA layer, though nothing has answered; default 1 s

	// Patience is how long the source may be silent, or an endpoint of the L1 stand below the node, before that means
	// anything: some block times. Default 36 s, or SubmitTimeout if that is shorter.
	Patience func() time.Duration

	Logger *slog.Logger // default: silent
}

// Status is what the sequencer does now.
type Status struct {
	Paused    string    // why no blocks are made; empty when they are
	Submitted uint64    // the highest height that a submission has been reported included for
	Failure   string    // of the last submission; empty after a success
	FailedAt  time.Time // when
	Failures  uint64    // since the start
	Stuck     string    // why nothing can be posted before somebody acts; empty: nothing is known to be in the way
	Full      Full      // the builder's pool
	Flight    Flight    // the submission that is under way
	Due       time.Time // when the blocks that wait to be proposed together are, at the latest; zero: none waits
	Preparing string    // what is prepared, before anything is posted; empty: nothing is
	Clock     string    // why the last block's time is not what the machine's clock said, with both; empty if it is
}

// Flight is a submission that is under way. The zero Flight: none is.
type Flight struct {
	From, To uint64    // blocks
	Since    time.Time // when it was sent
	Deadline time.Time // when it is given up
}

// Full says whether the builder's pool is full.
type Full struct {
	Since   time.Time // when it refused a transaction first; zero: it has room
	Size    int       // of the smallest one that it has refused since then
	Refused uint64    // transactions since the start
}

// Sequencer makes and posts blocks. Make it with New, run it once.
type Sequencer struct {
	cfg        Config
	status     *watch.Value[Status]
	txs        chan struct{} // holds one token when transactions have come, for lazy mode
	forced     *forced
	clock      clock         // owned by produce
	clockWrong bool          // owned by produce: the log has that the clock is not believed
	gone       gone          // owned by propose
	ready      chan struct{} // closed when all is prepared
	waiting    waiting       // owned by propose
	made       made          // when blocks were
	asks       uint64        // of the hand that were heard; owned by propose or submit
	said       edge.Log      // what fails again and again

	begun *watch.Value[bool] // whether all that was signed before Run has its place, or can have none any more
}

// ErrNotBegun: the sequencer does not yet have all blocks that it may have signed before it was started. Of an engine that
// executes a transaction as often as it comes it takes none before: one of those blocks may hold the same bytes, and would
// take them out of the pool in their place.
var ErrNotBegun = errors.New("no transaction is taken before the blocks that may have been signed before the start are there")

// New checks cfg and returns a sequencer.
func New(cfg Config) (*Sequencer, error) {
	next := cfg.Syncer.Status().Load().Unsafe.Height + 1
	if own, proposer := cfg.Key.Public().Address(), cfg.Syncer.Authority().ProposerAt(next); !bytes.Equal(own, proposer) {
		return nil, fmt.Errorf("the signing key's address %x is not the proposer %x that the genesis names: use the key that the genesis was made with", own, proposer)
	}
	setDefault(&cfg.BlockTime, time.Second)
	setDefault(&cfg.LazyInterval, time.Minute)
	setDefault(&cfg.MaxPending, 1000)
	setDefault(&cfg.MaxBlockBytes, 1<<20)
	setDefault(&cfg.MaxSubmitBytes, 2<<20)
	setDefault(&cfg.Arrival, time.Second)
	setDefault(&cfg.HoldTx, 10*time.Second)
	if cfg.SubmitTimeout == nil {
		cfg.SubmitTimeout = func() time.Duration { return time.Minute }
	}
	if cfg.Patience == nil {
		most := min(36*time.Second, cfg.SubmitTimeout())
		cfg.Patience = func() time.Duration { return most }
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if cfg.Hand == nil {
		var err error
		if cfg.Hand, err = OpenHand(""); err != nil {
			return nil, err
		}
	}
	if cfg.Mark != nil {
		cfg.Syncer.OnSigned(func(ref block.Ref) { cfg.Mark.note(ref, cfg.Logger) })
	}
	q := &Sequencer{cfg: cfg, status: new(watch.Value[Status]), txs: make(chan struct{}, 1), clock: newClock(&cfg), begun: new(watch.Value[bool]), ready: make(chan struct{})}
	q.begun.Set(cfg.TxOnce)
	if cfg.Prepare == nil {
		close(q.ready)
	} else {
		q.status.Set(Status{Preparing: cfg.Preparing})
	}
	q.forced, q.waiting.search = newForced(q), cfg.Syncer.NewSearch()
	return q, q.limit()
}

// aroundData bounds what a proposal holds of a block beside its transactions: header and metadata of some hundred
// bytes, two signatures and their key.
const aroundData = 2048

// limit makes one number of what a block and a proposal can hold.
func (q *Sequencer) limit() error {
	if q.cfg.Proposer != nil {
		q.cfg.MaxBlockBytes = min(q.cfg.MaxBlockBytes, q.cfg.Proposer.Limit()-aroundData)
		if q.cfg.Full <= 0 || q.cfg.Full > q.cfg.Proposer.Limit() {
			q.cfg.Full = q.cfg.Proposer.Limit()
		}
	}
	if most := q.MaxTx(); most <= 0 {
		return fmt.Errorf("a block of at most %d bytes holds no transaction", q.cfg.MaxBlockBytes)
	}
	if p, ok := q.cfg.Builder.(exec.Pool); ok {
		p.Limit(q.cfg.MaxBlockBytes)
	}
	return nil
}

// MaxTx returns the size of the largest transaction that a block can hold, in bytes.
func (q *Sequencer) MaxTx() int {
	most := q.cfg.MaxBlockBytes - exec.TxOverhead
	if s, ok := q.cfg.Builder.(exec.Sealer); ok {
		most -= s.OwnBytes()
	}
	return most
}

// SubmitTx offers a transaction to the builder for the next block. exec.ErrTooBig: no block can hold it. ErrNotBegun: Run
// has not begun, or waits before the first block, and Config.HoldTx, or ctx, was over before: it was not offered.
func (q *Sequencer) SubmitTx(ctx context.Context, tx []byte) error {
	return q.SubmitTxWithin(ctx, tx, q.cfg.HoldTx)
}

// SubmitTxWithin is SubmitTx, but that the transaction is held for no longer than most. That bounds nothing else: what
// the builder has begun to take is not cut short, since nobody would know whether it has it.
func (q *Sequencer) SubmitTxWithin(ctx context.Context, tx []byte, most time.Duration) error {
	size := len(tx)
	if most := q.MaxTx(); size > most {
		return fmt.Errorf("submit transaction of %d bytes: %w: a block holds one of at most %d", size, exec.ErrTooBig, most)
	}
	if err := q.hold(ctx, min(most, q.cfg.HoldTx)); err != nil {
		return err
	}
	err := q.cfg.Builder.SubmitTx(ctx, tx)
	switch full := q.status.Load().Full; {
	case errors.Is(err, exec.ErrFull):
		q.full(func(now *Full) {
			if now.Since.IsZero() {
				now.Since, now.Size = time.Now(), size
			}
			now.Size = min(now.Size, size)
			now.Refused++
		})
	case err == nil && !full.Since.IsZero() && size >= full.Size:
		q.full(func(now *Full) { now.Since = time.Time{} })
	}
	if err == nil {
		q.Notify()
	}
	return err
}

// errHeld is why a transaction is held no longer.
var errHeld = errors.New("it was held for as long as it may be")

// hold waits until transactions may be taken. Its error is an ErrNotBegun, with the reason of the end of ctx or of Run.
func (q *Sequencer) hold(ctx context.Context, most time.Duration) error {
	if q.begun.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, errHeld)
	defer cancel()
	_, err := q.begun.Wait(ctx, func(yes bool) bool { return yes })
	if err == nil {
		return nil
	}
	if !errors.Is(context.Cause(ctx), errHeld) {
		return fmt.Errorf("%w: %w", ErrNotBegun, err)
	}
	if why := q.status.Load().Paused; why != "" {
		return fmt.Errorf("%w: %s", ErrNotBegun, why)
	}
	return ErrNotBegun
}

// GoOn says of the builder's pool what before said, a sequencer over the same transactions that has ended. What it counted
// is the caller's to add.
func (q *Sequencer) GoOn(before *Sequencer) {
	was := before.status.Load().Full
	q.full(func(now *Full) { now.Since, now.Size = was.Since, was.Size })
}

// timeout returns how long one submission may take.
func (q *Sequencer) timeout() time.Duration { return max(q.cfg.SubmitTimeout(), q.cfg.Patience()) }

// full changes what is said of the builder's pool.
func (q *Sequencer) full(change func(*Full)) {
	q.status.Update(func(s Status) Status { change(&s.Full); return s })
}

func setDefault[T int | uint64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Status returns what the sequencer publishes. It is closed when Run returns.
func (q *Sequencer) Status() *watch.Value[Status] { return q.status }

// Notify tells a lazy sequencer that transactions have come. It never blocks.
func (q *Sequencer) Notify() {
	select {
	case q.txs <- struct{}{}:
	default:
	}
}

// Run makes and posts blocks until ctx ends or something fails that no retry can cure.
func (q *Sequencer) Run(ctx context.Context) (err error) {
	defer func() { q.status.Close(err); q.begun.Close(err) }()
	ctx, cancel := context.WithCancelCause(ctx)
	var preparing sync.WaitGroup
	defer preparing.Wait()
	defer cancel(nil)
	if q.cfg.Prepare != nil {
		preparing.Go(func() {
			if err := q.prepare(); err != nil {
				cancel(err)
			}
		})
	}
	if err := q.begin(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	}
	last, signed, err := q.cfg.Syncer.LastSigned()
	if err != nil {
		return err
	}
	// Unless it is stored, it is the first block that is made.
	stored := !signed || last.Ref.Height <= q.cfg.Syncer.Status().Load().Unsafe.Height
	q.pause("") // the first block may take long, or not be wanted for long: neither is for a reason that begin had
	post := q.submit
	if q.cfg.Proposer != nil {
		post = q.propose
	}
	var wg sync.WaitGroup
	if stored {
		wg.Go(func() { q.level(ctx) })
	}
	for _, part := range []func(context.Context) error{q.produce, post} {
		wg.Go(func() { cancel(part(ctx)) })
	}
	wg.Wait()
	return context.Cause(ctx)
}

// level has the engine brought up to the stored blocks, and then transactions taken. An engine that a crash has left behind
// is given those blocks again, and what a block has it takes out of its pool: a new transaction of the same bytes would go
// with it. A block that is made has the same effect, and may come first.
func (q *Sequencer) level(ctx context.Context) {
	backoff := follow.Backoff{Min: q.cfg.BlockTime, Max: 10 * time.Second}
	for !q.begun.Load() {
		if q.cfg.Syncer.BringUp(ctx) == nil { // what it says is in the syncer's status
			q.begun.Set(true)
		} else if backoff.Sleep(ctx, nil) != nil {
			return
		}
	}
}

// prepare does what has to be done before anything is posted. It cannot be interrupted.
func (q *Sequencer) prepare() error {
	start := time.Now()
	if err := q.cfg.Prepare(); err != nil {
		return err
	}
	q.cfg.Logger.Info("prepared: "+q.cfg.Preparing, "took", time.Since(start).Round(time.Millisecond))
	q.status.Update(func(s Status) Status { s.Preparing = ""; return s })
	close(q.ready)
	return nil
}

// prepared waits for that.
func (q *Sequencer) prepared(ctx context.Context) error {
	select {
	case <-q.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin returns when it is sure that no block that will be signed was signed before: at once, if this home is the one
// that signed last, since its store has all of them.
func (q *Sequencer) begin(ctx context.Context) error {
	empty := q.cfg.Syncer.Status().Load().Unsafe.Hash.IsZero()
	last, signed, err := q.cfg.Syncer.LastSigned()
	if err != nil {
		return err
	}
	if empty {
		q.pause("waiting for the " + q.layer() + ", to see whether this chain has blocks already")
		if err := q.cfg.CaughtUp(ctx); err != nil {
			return err
		}
		if err := q.takeBack(ctx); err != nil {
			return err
		}
		if !signed && q.cfg.Mark.none() && q.cfg.Syncer.Status().Load().Unsafe.Hash.IsZero() {
			return nil // the chain begins here
		}
	}
	if q.cfg.Mark == nil {
		return nil
	}
	doubt := q.cfg.Mark.doubt(last)
	if q.cfg.Trust {
		if doubt != "" && !empty {
			return q.takeBack(ctx)
		}
		return nil
	}
	why := doubt
	if why == "" {
		if signed { // a kill may have come between the two, and may come there again
			q.cfg.Mark.note(last.Ref, q.cfg.Logger)
		}
		return nil
	}
	q.cfg.Logger.Warn("waiting before the first signature", "cause", why)
	wait := func() {
		q.pause(fmt.Sprintf("this home may not be the one that signed last (%s): no block is signed until %s; sequencer.trust_home signs at once", why, q.cfg.InFlight()))
	}
	for asked := empty; ; asked = true {
		wait()
		if err := q.cfg.CaughtUp(ctx); err != nil {
			return err
		}
		if !asked { // so that what comes later was signed meanwhile
			if err := q.takeBack(ctx); err != nil {
				return err
			}
			wait()
		}
		other, err := q.other(ctx)
		if err != nil {
			return err
		}
		if other == "" {
			break
		}
		why = fmt.Sprintf("%s; and another sequencer with this key is at work, or was: %s meanwhile; stop one of the two", doubt, other)
		q.said.Warn(q.cfg.Logger, "waiting again before the first signature", errors.New(why))
	}
	q.cfg.Logger.Info("nothing that this key may have signed is on its way: blocks are made")
	return nil
}

// takeBack takes back what this key has signed and this home has lost, as far as others have it.
func (q *Sequencer) takeBack(ctx context.Context) error {
	if q.cfg.TakeBack == nil {
		return nil
	}
	return q.cfg.TakeBack(ctx, q.pause)
}

// other waits until nothing that this key may have signed is on its way, and for as long as the source may be silent at
// least. Then it takes back what others have. It returns what became of a block meanwhile, empty if there was none: nobody
// else has this key, so another sequencer has signed it, and may go on. What was on its way when the wait began looks the
// same, and costs another wait.
func (q *Sequencer) other(ctx context.Context) (what string, err error) {
	status := q.cfg.Syncer.Status()
	seen := status.Load()
	quiet, cancel := context.WithTimeout(ctx, q.cfg.Patience()) // at what is outside
	defer cancel()
	if err := q.cfg.Decided(ctx); err != nil {
		return "", err
	}
	_, err = status.Wait(quiet, func(s syncer.Status) bool { return s.Safe.Height > seen.Safe.Height })
	if err != nil && (!errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil) {
		return "", err
	}
	if err := q.takeBack(ctx); err != nil { // now: others may have got more meanwhile
		return "", err
	}
	now := status.Load()
	switch {
	case now.Safe.Height > seen.Safe.Height:
		return fmt.Sprintf("block %d became safe", now.Safe.Height), nil
	case now.Unsafe != seen.Unsafe:
		return fmt.Sprintf("block %d was signed", now.Unsafe.Height), nil
	}
	return "", nil
}

// produce makes blocks on the clock.
func (q *Sequencer) produce(ctx context.Context) error {
	clock := time.NewTicker(q.cfg.BlockTime) // the block clock; a slow block makes it skip ticks, not bunch them
	defer clock.Stop()
	last := time.Now() // when the last block was made, for lazy mode
	backoff := follow.Backoff{Min: q.cfg.BlockTime, Max: 10 * time.Second}
	for {
		if err := q.cfg.Hand.started(ctx); err != nil {
			return err
		}
		if err := q.room(ctx); err != nil {
			return err
		}
		before := q.cfg.Syncer.Status().Load().Unsafe
		empty := !q.cfg.Lazy || time.Since(last) >= q.cfg.LazyInterval
		var head block.Ref
		made, err := q.cfg.Hand.make(ctx, func() (err error) {
			head, err = q.cfg.Syncer.Produce(ctx, func(ctx context.Context, p syncer.Parent) (*block.Block, error) {
				return q.build(ctx, p, empty)
			})
			return err
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && !made:
			q.pause("") // what was in the way of blocks before the stop may not be after it
			continue
		case follow.IsFatal(err):
			return err
		case err != nil:
			q.pause(err.Error())
			q.said.Warn(q.cfg.Logger, "no block made", err)
			if err := backoff.Sleep(ctx, nil); err != nil {
				return err
			}
			continue
		}
		if !q.begun.Load() {
			q.begun.Set(true)
		}
		backoff.Reset()
		q.pause("")
		switch {
		case head != before:
			last = time.Now()
		case q.cfg.Lazy:
			q.idle(ctx, last.Add(q.cfg.LazyInterval))
		}
		select {
		case <-clock.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// layer is what blocks are posted to, in texts.
func (q *Sequencer) layer() string {
	if q.cfg.Proposer != nil {
		return "L1"
	}
	return "DA layer"
}

// idle waits, in lazy mode, for transactions or for the time of the next empty block.
func (q *Sequencer) idle(ctx context.Context, next time.Time) {
	timer := time.NewTimer(time.Until(next)) // the clock of empty blocks
	defer timer.Stop()
	select {
	case <-q.txs:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// room waits until fewer than MaxPending blocks wait for the DA layer.
func (q *Sequencer) room(ctx context.Context) error {
	pending := func(s syncer.Status) uint64 { return s.Unsafe.Height - s.Safe.Height }
	if n := pending(q.cfg.Syncer.Status().Load()); n >= q.cfg.MaxPending {
		q.pause(fmt.Sprintf("%d blocks wait for inclusion in the %s, which is the bound: block production goes on when they are included", n, q.layer()))
		q.cfg.Logger.Warn("block production paused", "pending", n)
		_, err := q.cfg.Syncer.Status().Wait(ctx, func(s syncer.Status) bool { return pending(s) < q.cfg.MaxPending })
		if err != nil {
			return err
		}
		q.cfg.Logger.Info("block production resumed")
		q.pause("")
	}
	return nil
}

func (q *Sequencer) pause(why string) {
	if q.status.Load().Paused != why {
		q.status.Update(func(s Status) Status { s.Paused = why; return s })
	}
}

// build makes and signs the block after p, or none when there is nothing to put in and empty blocks are not wanted.
func (q *Sequencer) build(ctx context.Context, p syncer.Parent, empty bool) (*block.Block, error) {
	moment := time.Now()
	source := q.cfg.Syncer.Status().Load().SourceTime
	now, why := q.clock.next(p, source)
	q.clockSays(why, source.IsZero())
	height, authority := p.Ref.Height+1, q.cfg.Syncer.Authority()
	h := block.Header{
		Height: height, Time: now, ChainID: authority.ChainID(), LastHeaderHash: p.Ref.Hash.Field(),
		AppHash: p.Root, ProposerAddress: authority.ProposerAt(height),
	}
	d := block.Data{Metadata: block.Metadata{ChainID: h.ChainID, Height: height, Time: now, LastDataHash: p.DataHash.Field()}}
	build := q.cfg.Builder.Build
	if q.forced != nil && q.forced.into != nil {
		build = q.forced.build
	}
	for most := q.cfg.MaxBlockBytes; ; {
		start := q.cfg.Syncer.Begin(syncer.StepBuild, height)
		var err error
		d.Txs, err = build(ctx, height, now, most)
		q.cfg.Syncer.Took(syncer.StepBuild, height, start, err)
		if err != nil {
			return nil, fmt.Errorf("build block %d: %w", height, err)
		}
		size := exec.Size(d.Txs)
		if size <= q.cfg.MaxBlockBytes {
			if !q.status.Load().Full.Since.IsZero() && size < q.cfg.MaxBlockBytes/2 { // little waits, or more would be in it
				q.full(func(now *Full) { now.Since = time.Time{} })
			}
			break
		}
		// The engine counts the transactions' own bytes alone, as it was once asked to. Ask for so much less.
		if most = int(int64(most) * int64(q.cfg.MaxBlockBytes) / int64(size)); most == 0 {
			return nil, fmt.Errorf("build block %d: the engine gives %d bytes, a block holds %d", height, size, q.cfg.MaxBlockBytes)
		}
	}
	own := 0
	if s, ok := q.cfg.Builder.(exec.Sealer); ok {
		own = s.OwnTxs()
	}
	if len(d.Txs) <= own && !empty {
		return nil, nil
	}
	commitment := d.Commitment()
	h.DataHash = commitment[:]
	signed, err := block.SignHeader(q.cfg.Key, h)
	if err != nil {
		return nil, fmt.Errorf("sign block %d: %w", height, err)
	}
	made := &block.Block{Header: signed, Data: d}
	q.clock.signed(signed.Header.Hash(), moment)
	q.made.note(made.Ref(), moment, q.cfg.Syncer.Status().Load().Safe.Height)
	return made, nil
}

// clockSays publishes why the machine's clock is not believed, and logs when that begins and ends. What is so only
// because the source has not been heard yet, as after each restart, is no fault of a clock: it is in the status alone.
func (q *Sequencer) clockSays(why string, unheard bool) {
	before := q.status.Load().Clock
	if before == why {
		return
	}
	q.status.Update(func(s Status) Status { s.Clock = why; return s })
	switch wrong := why != "" && !unheard; {
	case wrong && !q.clockWrong:
		q.cfg.Logger.Warn("blocks do not get the time of the machine's clock", "cause", why)
		q.clockWrong = true
	case why == "" && q.clockWrong:
		q.cfg.Logger.Info("blocks get the time of the machine's clock again")
		q.clockWrong = false
	}
}

// errLost: the DA layer has passed the height it reported, and the blocks are not there.
var errLost = errors.New("submitted blocks were not found where the DA layer said they are")
