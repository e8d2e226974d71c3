package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"time"

	"headrace/internal/edge"
	"headrace/watch"
)

// Options tune a Follower. The zero value works.
type Options struct {
	Logger     *slog.Logger  // default: silent
	QueueBytes int           // bound of the pushed items that wait; default 64 MiB
	Stall      time.Duration // no news for so long: subscribe again; default 30 s
	FetchStall time.Duration // neither an item nor enough bytes of a running fetch for so long: start that again; default Stall
	Backoff    Backoff       // between retries; default 100 ms to 5 s
	Observer   Observer
}

// Observer's functions, where not nil, are called where things happen. They must be quick, must not block and must
// not call back.
type Observer struct {
	// By the follower. What is of subscriptions comes from a goroutine of theirs, the others from that of Run, and
	// Waiting from both.
	Subscribed func(took time.Duration)                             // a subscription has announced its first head, so long after it began
	News       func(head Ref, inline bool)                          // the source has announced a head, with its item or without
	Ended      func(heard bool, err error)                          // a subscription has ended, which has announced something or nothing. ErrSilent: the watchdog has ended it
	Fetching   func(from, to uint64)                                // a fetch of [from, to) begins
	Fetched    func(from, to uint64, took time.Duration, err error) // it has ended. took is without the sink's time. ErrStalled: the watchdog has ended it
	Applying   func(item Ref, inline bool)                          // the sink is given an item, which was pushed or fetched
	Applied    func(item Ref, inline bool)                          // the sink has taken it
	Reverted   func(item Ref)                                       // the sink has taken its last item back
	Waiting    func(was, is Waiting)                                // why the loop, or the subscription, does not go on; the zero Waiting: it does

	// By the source's endpoints, from any goroutine.
	Called func(method string, n int, took time.Duration, err error) // after a request, or n in a batch; "beacon" for the beacon API
	Mode   func(address, mode string, err error)                     // how an endpoint's news comes now, see SourceStatus. "": no more, and why. With its Health locked
	Paid   func(wei *big.Int)                                        // a transaction of this node is in a block of an L1, and has cost so much
}

// Waiting says why a follower does not go on. The zero Waiting: it waits for news only, or is at work.
type Waiting struct {
	Stage  Stage     `json:"stage"`
	Height uint64    `json:"height"` // the item it is about
	Cause  string    `json:"cause"`
	Since  time.Time `json:"since,omitzero"`    // since when it does not go on
	Next   time.Time `json:"next_try,omitzero"` // when it is tried again, at the latest
}

// State is what a follower knows of its source and of itself.
type State struct {
	Head       Ref       // newest news; zero before the first
	NewsAt     time.Time // when it came
	AdvancedAt time.Time // when a head higher than any before it came
	Highest    uint64    // the highest head announced
	Last       Ref       // the sink's last item
	Subscribed bool      // news has come from the present subscription
	Live       bool      // the sink has reached the head announced last, at least once since the subscription
	Waiting    Waiting   // of the loop that fetches and applies
	News       Waiting   // of the subscription
	Counts     Counts
}

// Counts count since the follower was made.
type Counts struct {
	Inline, Fetched, Reverted, Subscriptions, Dropped uint64
}

// Follower keeps sink in step with source. Make it with New, run it once.
type Follower[T any] struct {
	source    Source[T]
	sink      Sink[T]
	opt       Options
	state     *watch.Value[State]
	said      edge.Log      // what fails again and again
	wake      chan struct{} // holds one token when somebody wants us to look again
	announced chan struct{} // holds one token when there is news

	mu      sync.Mutex // guards the rest: written by the subscription's callback, read by drive
	queue   queue[T]
	head    Ref // newest news
	session int // subscriptions so far that have announced something

	// owned by drive
	checked Ref     // a head that was found to be no fork
	at      uint64  // where the last step left the sink
	reached uint64  // the highest position so far, or where the sink has gone back to by itself
	turns   int     // forks followed since it was reached
	doubt   Backoff // between tries of a source that contradicts itself
	kept    kept    // what could not be applied
}

// kept is an item that could not be applied. It is tried again without a fetch, for as long as the source may have it: where
// there is another head the source may have gone to a fork without it, which nothing else would tell, so it is read again.
type kept struct {
	item Ref
	head Ref       // when it was read
	at   time.Time // then
}

// rereadAfter bounds how often an item that cannot be applied is read.
const rereadAfter = 20 * time.Second

// stale reports whether an item that could not be applied is to be read again.
func (k *kept) stale(item, head Ref) bool {
	return k.item == item && head != k.head && head.Height >= item.Height && head != item && time.Since(k.at) >= rereadAfter
}

// New returns a follower. Run makes it work.
func New[T any](source Source[T], sink Sink[T], opt Options) *Follower[T] {
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	if opt.QueueBytes <= 0 {
		opt.QueueBytes = 64 << 20
	}
	if opt.Stall <= 0 {
		opt.Stall = 30 * time.Second
	}
	if opt.FetchStall <= 0 {
		opt.FetchStall = opt.Stall
	}
	return &Follower[T]{
		source: source, sink: sink, opt: opt,
		state:     watch.New(State{Last: sink.Last()}),
		wake:      make(chan struct{}, 1),
		announced: make(chan struct{}, 1),
		queue:     queue[T]{limit: opt.QueueBytes},
		doubt:     Backoff{Min: opt.Backoff.Min, Max: maxDoubt},
	}
}

// maxDoubt bounds the pause before a source that contradicts itself is asked again: two of them after it has come to
// one mind, the follower is at the head (I12).
const maxDoubt = 15 * time.Second

// State returns what the follower publishes. It is closed with Run's error when Run returns.
func (f *Follower[T]) State() *watch.Value[State] { return f.state }

// Wake makes the follower ask the sink again where it stands. For sinks whose Last went back by itself, and for
// faults outside that have ended.
func (f *Follower[T]) Wake() { put(f.wake) }

// put puts a token into c unless there is one.
func put(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run follows until ctx ends or an error is Fatal, and returns that. All it started has stopped by then.
func (f *Follower[T]) Run(ctx context.Context) (err error) {
	defer func() { f.state.Close(err) }()
	ctx, cancel := context.WithCancelCause(ctx)
	var listener sync.WaitGroup
	listener.Go(func() { cancel(f.listen(ctx)) })
	defer listener.Wait()
	defer cancel(nil)
	err = f.drive(ctx)
	if cause := context.Cause(ctx); IsFatal(cause) { // of the subscription
		return cause
	}
	return err
}

// listen keeps a subscription alive until ctx ends or an error is Fatal, and returns that.
func (f *Follower[T]) listen(ctx context.Context) error {
	backoff := f.opt.Backoff
	for ctx.Err() == nil {
		heard, err := f.subscribe(ctx)
		if ctx.Err() != nil || IsFatal(err) {
			return err
		}
		if heard {
			backoff.Reset()
		}
		d := backoff.Next()
		what := "no news can be had"
		if heard {
			what = "subscription ended"
		}
		f.said.Warn(f.opt.Logger, what, err, "retry", d)
		f.update(func(s State) State {
			s.Subscribed, s.Live = false, false
			s.News = f.waiting(s.News, StageSubscribe, s.Head.Height, err, d)
			return s
		})
		_ = sleep(ctx, d, nil)
	}
	return ctx.Err()
}

// ErrSilent: a subscription has announced nothing for too long.
var ErrSilent = errors.New("no news for too long")

// subscribe runs one subscription. The watchdog ends one that has gone silent: an open socket is no sign of life.
func (f *Follower[T]) subscribe(ctx context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(f.opt.Stall, func() { cancel(ErrSilent) })
	defer watchdog.Stop()
	f.state.Update(func(s State) State { s.Counts.Subscriptions++; return s })
	began := time.Now()
	err = f.source.Subscribe(ctx, func(u Update[T]) {
		watchdog.Reset(f.opt.Stall)
		if !heard && f.opt.Observer.Subscribed != nil {
			f.opt.Observer.Subscribed(time.Since(began))
		}
		f.news(u, !heard)
		heard = true
	})
	if errors.Is(context.Cause(ctx), ErrSilent) {
		err = fmt.Errorf("%w (%s)", ErrSilent, f.opt.Stall)
	}
	if f.opt.Observer.Ended != nil {
		f.opt.Observer.Ended(heard, err)
	}
	return heard, err
}

// news notes what the source says, first in its subscription or not. It never blocks and decides nothing (I8).
func (f *Follower[T]) news(u Update[T], first bool) {
	f.mu.Lock()
	f.head = u.Head
	if first {
		f.session++
	}
	if u.Item != nil {
		f.queue.push(*u.Item)
	}
	dropped := f.queue.dropped
	f.mu.Unlock()

	now := time.Now()
	f.update(func(s State) State {
		if u.Head.Height > s.Highest || s.AdvancedAt.IsZero() {
			s.Highest, s.AdvancedAt = u.Head.Height, now
		}
		s.Head, s.NewsAt, s.Subscribed, s.News = u.Head, now, true, Waiting{}
		s.Counts.Dropped = dropped
		return s
	})
	if f.debugs() {
		f.opt.Logger.Debug("announced", "height", u.Head.Height, "hash", u.Head.Hash, "inline", u.Item != nil)
	}
	if f.opt.Observer.News != nil {
		f.opt.Observer.News(u.Head, u.Item != nil)
	}
	put(f.announced)
}

// drive is the loop: one step after the other, a pause after an error, and sleep when there is nothing to do.
func (f *Follower[T]) drive(ctx context.Context) error {
	backoff := f.opt.Backoff
	f.at = f.sink.Last().Height
	f.reached = f.at
	for {
		more, err := f.step(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.progress() {
			backoff.Reset()
		}
		if err == nil {
			f.caughtUp(!more)
		}
		switch {
		case IsFatal(err):
			return err
		case errors.Is(err, errDoubt):
			f.pause(ctx, err, f.doubt.Next())
		case err != nil:
			f.pause(ctx, err, backoff.Next())
		case !more:
			select {
			case <-f.wake:
			case <-f.announced:
			case <-ctx.Done():
			}
		}
	}
}

// progress reports whether the sink is further than it ever was. Only that ends doubt: a source that gives the same
// heights again and again, each time another way, is asked less and less often.
func (f *Follower[T]) progress() bool {
	was, at := f.at, f.sink.Last().Height
	f.at = at
	if at < was {
		f.reached = at // not by us: see revert
	}
	if at <= f.reached {
		return false
	}
	f.reached, f.turns = at, 0
	f.doubt.Reset()
	return true
}

// pause publishes why the loop pauses, and waits for d before what failed is tried again. Wake ends that, and so does
// news that may help.
func (f *Follower[T]) pause(ctx context.Context, err error, d time.Duration) {
	f.blocked(err, d)
	f.mu.Lock()
	head, session := f.head, f.session
	f.mu.Unlock()
	least := f.opt.Backoff
	floor := time.Now().Add(least.Next())
	timer := time.NewTimer(d) // a backoff
	defer timer.Stop()
	for {
		select {
		case <-f.announced:
			if f.helps(err, head, session) {
				timer.Reset(min(d, max(0, time.Until(floor)))) // at the source's rate, but no faster than the shortest pause
			}
			continue
		case <-timer.C:
		case <-f.wake:
		case <-ctx.Done():
		}
		return
	}
}

// helps reports whether the news since head and session may cure what failed with err: what was asked for has been
// pushed, the source has reached what it had not, or it is back. News is no reason to try again what failed for
// another reason, or the source would choose our rate.
func (f *Follower[T]) helps(err error, head Ref, session int) bool {
	stage := &stageError{}
	if !errors.As(err, &stage) || stage.stage != StageFetch && stage.stage != StageCheck || errors.Is(err, errDoubt) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, pushed := f.queue.at(f.sink.Last().Height + 1)
	return pushed || f.session > session || errors.Is(err, ErrNotYet) && f.head.Height > head.Height
}

// stageError says which stage failed, and at which height.
type stageError struct {
	stage  Stage
	height uint64
	err    error
}

func (e *stageError) Error() string { return fmt.Sprintf("%s %d: %v", e.stage, e.height, e.err) }
func (e *stageError) Unwrap() error { return e.err }

// step does one thing, and reports whether there may be more to do at once.
func (f *Follower[T]) step(ctx context.Context) (more bool, err error) {
	last := f.sink.Last()
	f.mu.Lock()
	f.queue.trim(last.Height)
	head := f.head
	item, pushed := f.queue.at(last.Height + 1)
	f.mu.Unlock()

	switch {
	case pushed && (!follows(&item, last) || f.kept.stale(item.Ref(), head)):
		// A pushed item that does not fit is only a hint; fetch what stands there now (I8).
		f.forget(item.Height)
		f.kept = kept{}
		fallthrough
	case !pushed && head.Height > last.Height:
		if head.Height <= last.Height {
			return true, nil // the hint was all there was; look again
		}
		return true, f.fetch(ctx, last, head.Height+1)
	case pushed:
		return true, f.apply(ctx, item, true)
	}
	if _, yes := f.competes(head, last); yes {
		return true, f.check(ctx, head)
	}
	return false, nil
}

// follows reports whether item is the successor of last.
func follows[T any](item *Item[T], last Ref) bool {
	return item.Height == last.Height+1 && (item.Parent == last.Hash || last.Hash.IsZero())
}

func (f *Follower[T]) forget(height uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue.trim(height)
}

// debugs reports whether the log shows each item: what is not shown is not made.
func (f *Follower[T]) debugs() bool {
	return f.opt.Logger.Enabled(context.Background(), slog.LevelDebug)
}

// apply gives the sink its next item. An item that cannot be applied now is kept, and tried again without a fetch.
func (f *Follower[T]) apply(ctx context.Context, item Item[T], inline bool) error {
	if f.opt.Observer.Applying != nil {
		f.opt.Observer.Applying(item.Ref(), inline)
	}
	if err := f.sink.Apply(ctx, item); err != nil {
		f.mu.Lock()
		f.queue.unread(item)
		head := f.head
		f.mu.Unlock()
		if f.kept.item != item.Ref() {
			f.kept = kept{item.Ref(), head, time.Now()}
		}
		return &stageError{StageApply, item.Height, err}
	}
	f.forget(item.Height)
	f.update(func(s State) State {
		if inline {
			s.Counts.Inline++
		} else {
			s.Counts.Fetched++
		}
		s.Last, s.Waiting = item.Ref(), Waiting{}
		return s
	})
	if f.debugs() {
		f.opt.Logger.Debug("applied", "height", item.Height, "hash", item.Hash, "inline", inline)
	}
	if f.opt.Observer.Applied != nil {
		f.opt.Observer.Applied(item.Ref(), inline)
	}
	return nil
}

var (
	errMoved = errors.New("sink has moved") // not an error to anyone: the step is over
	errDoubt = errors.New("the source contradicts itself")

	// ErrStalled: a fetch came on too slowly for too long.
	ErrStalled = errors.New("fetch delivered nothing, and hardly a byte came, for too long")
)

// forkError says that the item at a height does not follow what the sink has below it.
type forkError struct{ height uint64 }

func (e *forkError) Error() string {
	return fmt.Sprintf("item %d does not follow the last one", e.height)
}

// fetch applies the items after last, up to the head or to the first one that waits in the queue.
func (f *Follower[T]) fetch(ctx context.Context, last Ref, to uint64) error {
	f.mu.Lock()
	if low, ok := f.queue.lowest(); ok && low > last.Height+1 && low < to {
		to = low
	}
	f.mu.Unlock()
	err := f.fetchRange(ctx, last.Height+1, to, func(ctx context.Context, item Item[T]) error {
		last := f.sink.Last()
		switch {
		case item.Height != last.Height+1:
			return errMoved
		case !follows(&item, last):
			return &forkError{item.Height}
		}
		return f.apply(ctx, item, false)
	})
	switch {
	case errors.As(err, new(*forkError)):
		return f.fork(ctx)
	case err == nil || errors.Is(err, errMoved):
		return nil
	}
	var stage *stageError
	if errors.As(err, &stage) {
		return err
	}
	return &stageError{StageFetch, f.sink.Last().Height + 1, err}
}

// fetchRange fetches [from, to), insisting on what Source promises and on liveness.
func (f *Follower[T]) fetchRange(ctx context.Context, from, to uint64, deliver func(context.Context, Item[T]) error) (err error) {
	start := time.Now()
	if f.opt.Observer.Fetching != nil {
		f.opt.Observer.Fetching(from, to)
	}
	if f.debugs() {
		defer func() { f.opt.Logger.Debug("fetched", "from", from, "to", to, "took", time.Since(start), "err", err) }()
	}
	if f.opt.Observer.Fetched != nil {
		defer func() { f.opt.Observer.Fetched(from, to, time.Since(start), err) }()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	least := int(f.opt.FetchStall.Seconds() * lowestRate)
	watchdog := newMeter(f.opt.FetchStall, func(bytes int) bool { return bytes >= least }, func() { cancel(ErrStalled) })
	defer watchdog.pause()
	err = fetch(onReceived(ctx, watchdog.received), f.source, from, to, func(item Item[T]) error {
		watchdog.pause() // the sink's time is not the source's
		given := time.Now()
		defer func() { start = start.Add(time.Since(given)) }()
		if err := deliver(ctx, item); err != nil {
			return err
		}
		watchdog.resume(true)
		return nil
	})
	if errors.Is(context.Cause(ctx), ErrStalled) {
		return fmt.Errorf("%w (%s)", ErrStalled, f.opt.FetchStall)
	}
	return err
}

// fork is called when the item after the sink's last one does not follow it. That alone proves nothing, so the source
// is asked for what it holds at the sink's own height (I10): another item there competes, and the sink goes back
// until the two agree. The same one, or none, is no fork.
func (f *Follower[T]) fork(ctx context.Context) error {
	for first := true; ; first = false {
		last := f.sink.Last()
		there, err := f.itemAt(ctx, last.Height)
		switch {
		case errors.Is(err, ErrNotYet):
			return &stageError{StageCheck, last.Height, fmt.Errorf("%w: it has item %d, and none at %d (%v)", errDoubt, last.Height+1, last.Height, err)}
		case err != nil:
			return err
		case there.Hash == last.Hash && first:
			return &stageError{StageCheck, last.Height, fmt.Errorf("%w: its item %d does not follow its item %d, %s", errDoubt, last.Height+1, last.Height, last.Hash)}
		case there.Hash != last.Hash:
			if err := f.revert(ctx, there.Ref(), last); err != nil {
				return err
			}
		}
		if last = f.sink.Last(); there.Hash == last.Hash || there.Parent == last.Hash || last.Hash.IsZero() {
			return f.turned(last.Height)
		}
	}
}

// turned notes that the sink went back to a fork from height on. The first time since it was further than ever, that
// is a reorg. If the next one comes before that, at the same heights, it may be a source that changes its mind, and
// costs a pause.
func (f *Follower[T]) turned(height uint64) error {
	if f.turns++; f.turns == 1 {
		return nil
	}
	return &stageError{StageRevert, height + 1, fmt.Errorf("%w: %d forks in turn, none of which went beyond height %d", errDoubt, f.turns, f.reached)}
}

// itemAt asks for the item at a height, without its data.
func (f *Follower[T]) itemAt(ctx context.Context, height uint64) (there Item[T], err error) {
	err = f.fetchRange(ctx, height, height+1, func(_ context.Context, item Item[T]) error {
		there = Item[T]{Height: item.Height, Hash: item.Hash, Parent: item.Parent}
		return nil
	})
	if err != nil {
		err = &stageError{StageCheck, height, err}
	}
	return there, err
}

// revert takes back the last item, since the source holds there where the sink holds ours.
func (f *Follower[T]) revert(ctx context.Context, there, ours Ref) error {
	last := f.sink.Last()
	if err := f.sink.Revert(ctx); err != nil {
		if errors.Is(err, ErrFinalized) {
			err = fmt.Errorf("the endpoint serves another chain than the one followed so far, or its chain has begun anew: its item %d is %s, ours is %s: %w", there.Height, there.Hash, ours.Hash, err)
		}
		return &stageError{StageRevert, last.Height, err}
	}
	now := f.sink.Last()
	f.at = now.Height
	f.update(func(s State) State {
		s.Counts.Reverted++
		s.Last, s.Waiting = now, Waiting{}
		return s
	})
	f.opt.Logger.Info("reverted", "height", last.Height, "hash", last.Hash)
	if f.opt.Observer.Reverted != nil {
		f.opt.Observer.Reverted(last)
	}
	return nil
}

// competes reports whether head, at or below last, names another item than the sink holds there, and which that is. An
// endpoint that is merely behind names one that the sink knows, or one so old that the sink has forgotten it.
func (f *Follower[T]) competes(head, last Ref) (ours Ref, yes bool) {
	if head.Height > last.Height || head.Hash.IsZero() || last.Hash.IsZero() || head == f.checked {
		return Ref{}, false
	}
	ours, ok := last, true
	if head.Height < last.Height {
		ours, ok = f.sink.At(head.Height)
	}
	return ours, ok && ours.Hash != head.Hash
}

// check asks for the item at head, since the news alone proves nothing, and reverts to below it if it does compete.
func (f *Follower[T]) check(ctx context.Context, head Ref) error {
	there, err := f.itemAt(ctx, head.Height)
	if err != nil {
		return err
	}
	ours, yes := f.competes(there.Ref(), f.sink.Last())
	if !yes {
		f.checked = head
		return nil
	}
	for f.sink.Last().Height >= head.Height {
		if err := f.revert(ctx, there.Ref(), ours); err != nil {
			return err
		}
	}
	return f.turned(head.Height - 1)
}

// blocked publishes why the loop pauses.
func (f *Follower[T]) blocked(err error, retry time.Duration) {
	stage := &stageError{StageFetch, 0, err}
	errors.As(err, &stage)
	f.update(func(s State) State {
		s.Waiting = f.waiting(s.Waiting, stage.stage, stage.height, stage.err, retry)
		s.Last = f.sink.Last()
		return s
	})
	f.said.Warn(f.opt.Logger, "waiting", stage.err, "stage", stage.stage, "height", stage.height)
}

// update changes the state, and tells the observer what it changes of what is waited for.
func (f *Follower[T]) update(change func(State) State) {
	var was, is State
	f.state.Update(func(s State) State {
		was, is = s, change(s)
		return is
	})
	if f.opt.Observer.Waiting == nil {
		return
	}
	if was.Waiting != is.Waiting {
		f.opt.Observer.Waiting(was.Waiting, is.Waiting)
	}
	if was.News != is.News {
		f.opt.Observer.Waiting(was.News, is.News)
	}
}

// waiting returns old brought up to date. Since stays as long as nothing has got on: what fails may be tried in several
// ways, in turn.
func (f *Follower[T]) waiting(old Waiting, stage Stage, height uint64, cause error, retry time.Duration) Waiting {
	now := time.Now()
	since := now
	if !old.Since.IsZero() {
		since = old.Since
	}
	return Waiting{Stage: stage, Height: height, Cause: edge.Line(cause), Since: since, Next: now.Add(retry)}
}

// caughtUp publishes that a step went well, and whether it left nothing to do.
func (f *Follower[T]) caughtUp(idle bool) {
	if s := f.state.Load(); s.Waiting == (Waiting{}) && (!idle || s.Live || !s.Subscribed) {
		return
	}
	last := f.sink.Last()
	f.update(func(s State) State {
		s.Waiting, s.Last = Waiting{}, last
		if idle && s.Subscribed && last.Height >= s.Head.Height {
			s.Live = true
		}
		return s
	})
}
