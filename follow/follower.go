package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"headrace/watch"
)

// Options tune a Follower. The zero value works.
type Options struct {
	Logger     *slog.Logger  // default: silent
	QueueBytes int           // bound of the pushed items that wait; default 64 MiB
	Stall      time.Duration // no news, or no item of a running fetch, for so long: start that again; default 30 s
	Backoff    Backoff       // between retries; default 100 ms to 5 s
	Observer   Observer
}

// Observer's functions, where not nil, are called at the point of truth, from the follower's goroutines. They must be quick.
type Observer struct {
	News     func(head Ref, inline bool)
	Applied  func(item Ref, inline bool)
	Reverted func(item Ref)
	Fetching func(from, to uint64)
	Waiting  func(w Waiting)
}

// Waiting says why a follower does not go on. The zero Waiting: it waits for news only, or is at work.
type Waiting struct {
	Stage  string    `json:"stage"`  // "subscribe", "fetch", "apply", "revert", "check"
	Height uint64    `json:"height"` // the item it is about
	Cause  string    `json:"cause"`
	Since  time.Time `json:"since"` // when this stage first failed
	Next   time.Time `json:"next"`  // when it is tried again, at the latest
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
	source Source[T]
	sink   Sink[T]
	opt    Options
	state  *watch.Value[State]
	wake   chan struct{} // holds one token when there is something new to look at

	mu    sync.Mutex // guards the rest: written by the subscription's callback, read by drive
	queue queue[T]
	head  Ref // newest news

	checked Ref // owned by drive: a head that was found to be no fork
}

// New returns a follower. Run makes it work.
func New[T any](source Source[T], sink Sink[T], opt Options) *Follower[T] {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.QueueBytes <= 0 {
		opt.QueueBytes = 64 << 20
	}
	if opt.Stall <= 0 {
		opt.Stall = 30 * time.Second
	}
	return &Follower[T]{
		source: source, sink: sink, opt: opt,
		state: watch.New(State{Last: sink.Last()}),
		wake:  make(chan struct{}, 1),
		queue: queue[T]{limit: opt.QueueBytes},
	}
}

// State returns what the follower publishes. It is closed with Run's error when Run returns.
func (f *Follower[T]) State() *watch.Value[State] { return f.state }

// Wake makes the follower ask the sink again where it stands. For sinks whose Last went back by itself, and for faults outside that have ended.
func (f *Follower[T]) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run follows until ctx ends or an error is Fatal, and returns that. All it started has stopped by then.
func (f *Follower[T]) Run(ctx context.Context) (err error) {
	defer func() { f.state.Close(err) }()
	ctx, cancel := context.WithCancel(ctx)
	var listener sync.WaitGroup
	listener.Go(func() { f.listen(ctx) })
	defer listener.Wait()
	defer cancel()
	return f.drive(ctx)
}

// listen keeps a subscription alive until ctx ends.
func (f *Follower[T]) listen(ctx context.Context) {
	backoff := f.opt.Backoff
	for ctx.Err() == nil {
		heard, err := f.subscribe(ctx)
		if ctx.Err() != nil {
			return
		}
		if heard {
			backoff.Reset()
		}
		d := backoff.Next()
		f.opt.Logger.Warn("subscription ended", "err", err, "retry", d)
		f.state.Update(func(s State) State {
			s.Subscribed, s.Live = false, false
			s.News = f.waiting(s.News, "subscribe", s.Head.Height, err, d)
			return s
		})
		_ = sleep(ctx, d, nil)
	}
}

var errSilent = errors.New("no news for too long")

// subscribe runs one subscription. The watchdog ends one that has gone silent: an open socket is no sign of life.
func (f *Follower[T]) subscribe(ctx context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(f.opt.Stall, func() { cancel(errSilent) })
	defer watchdog.Stop()
	f.state.Update(func(s State) State { s.Counts.Subscriptions++; return s })
	err = f.source.Subscribe(ctx, func(u Update[T]) {
		heard = true
		watchdog.Reset(f.opt.Stall)
		f.news(u)
	})
	if errors.Is(context.Cause(ctx), errSilent) {
		err = fmt.Errorf("%w (%s)", errSilent, f.opt.Stall)
	}
	return heard, err
}

// news notes what the source says. It never blocks and decides nothing (I8).
func (f *Follower[T]) news(u Update[T]) {
	f.mu.Lock()
	f.head = u.Head
	if u.Item != nil {
		f.queue.push(*u.Item)
	}
	dropped := f.queue.dropped
	f.mu.Unlock()

	now := time.Now()
	f.state.Update(func(s State) State {
		if u.Head.Height > s.Highest || s.AdvancedAt.IsZero() {
			s.Highest, s.AdvancedAt = u.Head.Height, now
		}
		s.Head, s.NewsAt, s.Subscribed, s.News = u.Head, now, true, Waiting{}
		s.Counts.Dropped = dropped
		return s
	})
	if f.opt.Observer.News != nil {
		f.opt.Observer.News(u.Head, u.Item != nil)
	}
	f.Wake()
}

// drive is the loop: one step after the other, a pause after an error, and sleep when there is nothing to do.
func (f *Follower[T]) drive(ctx context.Context) error {
	backoff := f.opt.Backoff
	for {
		before := f.sink.Last()
		more, err := f.step(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.sink.Last() != before {
			backoff.Reset()
		}
		if err == nil {
			f.caughtUp(!more)
		}
		switch {
		case IsFatal(err):
			return err
		case err != nil:
			d := backoff.Next()
			f.blocked(err, d)
			_ = sleep(ctx, d, f.wake)
		case !more:
			select {
			case <-f.wake:
			case <-ctx.Done():
			}
		}
	}
}

// stageError says which stage failed, and at which height.
type stageError struct {
	stage  string
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
	case pushed && !follows(&item, last):
		// A pushed item that does not fit is only a hint; fetch what stands there now (I8).
		f.forget(item.Height)
		fallthrough
	case !pushed && head.Height > last.Height:
		if head.Height <= last.Height {
			return true, nil // the hint was all there was; look again
		}
		return true, f.fetch(ctx, last, head.Height+1)
	case pushed:
		return true, f.apply(ctx, item, true)
	case f.competes(head, last):
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

// apply gives the sink its next item. An item that cannot be applied now is kept, and tried again without a fetch.
func (f *Follower[T]) apply(ctx context.Context, item Item[T], inline bool) error {
	if err := f.sink.Apply(ctx, item); err != nil {
		f.mu.Lock()
		f.queue.unread(item)
		f.mu.Unlock()
		return &stageError{"apply", item.Height, err}
	}
	f.forget(item.Height)
	f.state.Update(func(s State) State {
		if inline {
			s.Counts.Inline++
		} else {
			s.Counts.Fetched++
		}
		s.Last, s.Waiting = item.Ref(), Waiting{}
		return s
	})
	if f.opt.Observer.Applied != nil {
		f.opt.Observer.Applied(item.Ref(), inline)
	}
	return nil
}

var (
	errMoved     = errors.New("sink has moved") // not an error to anyone: the step is over
	errFork      = errors.New("fork")
	errFetchIdle = errors.New("fetch delivered nothing for too long")
	errSkipped   = errors.New("source skipped an item")
)

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
			return errFork
		}
		return f.apply(ctx, item, false)
	})
	switch {
	case errors.Is(err, errFork): // the source itself, asked, gives a competing item (I10)
		return f.revert(ctx)
	case err == nil || errors.Is(err, errMoved):
		return nil
	}
	var stage *stageError
	if errors.As(err, &stage) {
		return err
	}
	return &stageError{"fetch", f.sink.Last().Height + 1, err}
}

// fetchRange fetches [from, to), insisting on order, completeness and liveness.
func (f *Follower[T]) fetchRange(ctx context.Context, from, to uint64, deliver func(context.Context, Item[T]) error) error {
	if f.opt.Observer.Fetching != nil {
		f.opt.Observer.Fetching(from, to)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(f.opt.Stall, func() { cancel(errFetchIdle) })
	defer watchdog.Stop()
	next := from
	err := f.source.Fetch(ctx, from, to, func(item Item[T]) error {
		if item.Height != next || next >= to {
			return fmt.Errorf("%w: got %d, want %d of [%d, %d)", errSkipped, item.Height, next, from, to)
		}
		watchdog.Stop() // the sink's time is not the source's
		if err := deliver(ctx, item); err != nil {
			return err
		}
		next++
		watchdog.Reset(f.opt.Stall)
		return nil
	})
	if errors.Is(context.Cause(ctx), errFetchIdle) {
		return fmt.Errorf("%w (%s)", errFetchIdle, f.opt.Stall)
	}
	if err == nil && next < to {
		return ErrNotYet
	}
	return err
}

// revert takes back the last item.
func (f *Follower[T]) revert(ctx context.Context) error {
	last := f.sink.Last()
	if err := f.sink.Revert(ctx); err != nil {
		if errors.Is(err, ErrFinalized) {
			err = fmt.Errorf("the endpoint serves another chain than the one followed so far: its item after %d does not follow ours (%s): %w", last.Height, last.Hash, err)
		}
		return &stageError{"revert", last.Height, err}
	}
	f.state.Update(func(s State) State {
		s.Counts.Reverted++
		s.Last, s.Waiting = f.sink.Last(), Waiting{}
		return s
	})
	f.opt.Logger.Info("reverted", "height", last.Height, "hash", last.Hash)
	if f.opt.Observer.Reverted != nil {
		f.opt.Observer.Reverted(last)
	}
	return nil
}

// competes reports whether head, at or below last, names another item than the sink holds there. An endpoint that is merely behind names one that
// the sink knows, or one so old that the sink has forgotten it.
func (f *Follower[T]) competes(head, last Ref) bool {
	if head.Height > last.Height || head.Hash.IsZero() || last.Hash.IsZero() || head == f.checked {
		return false
	}
	at, ok := last, true
	if head.Height < last.Height {
		at, ok = f.sink.At(head.Height)
	}
	return ok && at.Hash != head.Hash
}

// check asks for the item at head, since the news alone proves nothing, and reverts to below it if it does compete.
func (f *Follower[T]) check(ctx context.Context, head Ref) error {
	var there Ref
	err := f.fetchRange(ctx, head.Height, head.Height+1, func(_ context.Context, item Item[T]) error {
		there = item.Ref()
		return nil
	})
	if err != nil {
		return &stageError{"check", head.Height, err}
	}
	if !f.competes(there, f.sink.Last()) {
		f.checked = head
		return nil
	}
	for f.sink.Last().Height >= head.Height {
		if err := f.revert(ctx); err != nil {
			return err
		}
	}
	return nil
}

// blocked publishes why the loop pauses.
func (f *Follower[T]) blocked(err error, retry time.Duration) {
	stage := &stageError{"fetch", 0, err}
	errors.As(err, &stage)
	first := false
	var w Waiting
	f.state.Update(func(s State) State {
		first = s.Waiting.Stage != stage.stage || s.Waiting.Height != stage.height
		s.Waiting = f.waiting(s.Waiting, stage.stage, stage.height, stage.err, retry)
		s.Last = f.sink.Last()
		w = s.Waiting
		return s
	})
	if first {
		f.opt.Logger.Warn("waiting", "stage", stage.stage, "height", stage.height, "err", stage.err)
	}
	if f.opt.Observer.Waiting != nil {
		f.opt.Observer.Waiting(w)
	}
}

// waiting returns old brought up to date; Since stays while the stage and height do.
func (f *Follower[T]) waiting(old Waiting, stage string, height uint64, cause error, retry time.Duration) Waiting {
	now := time.Now()
	since := now
	if old.Stage == stage && old.Height == height && !old.Since.IsZero() {
		since = old.Since
	}
	return Waiting{Stage: stage, Height: height, Cause: cause.Error(), Since: since, Next: now.Add(retry)}
}

// caughtUp publishes that a step went well, and whether it left nothing to do.
func (f *Follower[T]) caughtUp(idle bool) {
	if s := f.state.Load(); s.Waiting == (Waiting{}) && (!idle || s.Live || !s.Subscribed) {
		return
	}
	last := f.sink.Last()
	f.state.Update(func(s State) State {
		s.Waiting, s.Last = Waiting{}, last
		if idle && s.Subscribed && last.Height >= s.Head.Height {
			s.Live = true
		}
		return s
	})
}
