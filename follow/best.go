package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"headrace/watch"
)

// Several is several sources of one chain as one. Make it with Best. It is safe for concurrent use.
type Several[T any] struct{ members []*member[T] }

// member is one of several sources.
type member[T any] struct {
	Source[T]
	health *Health
	own    bool // the source notes by itself how it does

	refused atomic.Uint64          // the height at which the one who fetches found that its item does not follow; 0: none
	slow    watch.Value[time.Time] // until then, others that could serve are not left for it: it was too slow
}

// Best returns sources of one chain as one source.
//
// All are subscribed to at once: the first to announce a height wins, and one that is behind the others is not heard
// (I10). One that fails is tried again; the subscription ends when all of them have failed since they last announced
// something. A fetch asks the source that is best by its Health; when that fails, breaks the contract of Fetch, or
// contradicts itself, or its bytes (see Received) come so slowly that another one that could serve is worth a try, the
// next one goes on where it stopped.
func Best[T any](sources ...Source[T]) *Several[T] {
	s := new(Several[T])
	for _, source := range sources {
		m := &member[T]{Source: source, health: new(Health)}
		if own, ok := source.(Monitored); ok {
			m.health, m.own = own.Health(), true
		}
		s.members = append(s.members, m)
	}
	return s
}

// Status returns the state of each source, in the order in which Best was given them.
func (s *Several[T]) Status() []SourceStatus {
	var best uint64
	out := make([]SourceStatus, len(s.members))
	for i, m := range s.members {
		out[i] = m.health.Status()
		best = max(best, m.health.Standing())
	}
	for i, m := range s.members {
		if out[i].Head > 0 { // it has announced something
			out[i].Lag = m.health.behind(best)
		}
	}
	return out
}

// Pace returns that of the source that is furthest, of those whose pace is known; 0: none is.
func (s *Several[T]) Pace() time.Duration {
	var best SourceStatus
	for _, m := range s.members {
		if st := m.health.Status(); st.Pace > 0 && (best.Pace == 0 || st.Head > best.Head) {
			best = st
		}
	}
	return best.Pace
}

// Order returns in which order the sources, by their place, are best asked for something: first those that have not
// failed lately and do not want to be left alone, of these those that were not too slow, of these the one that is
// least behind.
func (s *Several[T]) Order() []int { return s.orderAt(0) }

// orderAt is Order for a fetch that begins at a height: the sources whose item there did not follow are asked last.
func (s *Several[T]) orderAt(from uint64) []int {
	type rank struct {
		i, last int // its place, and in how far it is asked after others however far it is
		behind  uint64
	}
	var best uint64
	for _, m := range s.members {
		best = max(best, m.health.Standing())
	}
	now := time.Now()
	ranks := make([]rank, len(s.members))
	for i, m := range s.members {
		ranks[i] = rank{i: i, behind: m.health.behind(best)}
		for weight, after := range []bool{m.slowAt(now), m.health.doubtful(now), from > 0 && m.refused.Load() == from} {
			if after {
				ranks[i].last += 1 << weight
			}
		}
	}
	slices.SortStableFunc(ranks, func(a, b rank) int {
		return cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.behind, b.behind))
	})
	out := make([]int, len(ranks))
	for i := range ranks {
		out[i] = ranks[i].i
	}
	return out
}

func (m *member[T]) slowAt(now time.Time) bool { return m.slow.Load().After(now) }

// couldServe reports whether nothing speaks against a source for the item at a height.
func (m *member[T]) couldServe(height uint64) bool {
	now := time.Now()
	head := m.health.Status().Head
	return m.refused.Load() != height && !m.health.doubtful(now) && !m.slowAt(now) && (head == 0 || head >= height)
}

// fetched notes how a fetch went that was to go on at next: with the error of the source, and what the one who
// fetches said of its items.
func (m *member[T]) fetched(next uint64, err, verdict error) {
	if next > m.refused.Load() {
		m.refused.Store(0)
	}
	if errors.Is(err, errSlow) {
		m.slow.Set(time.Now().Add(slowFor))
	}
	switch {
	case errors.Is(err, errContract), errors.Is(err, errSlow): // what it says itself does not show this
		m.health.Bad(err)
	case errors.Is(verdict, ErrStalled): // nor this: its calls ended with the fetch
		m.health.Bad(verdict)
	case m.own || verdict != nil:
	case err == nil || errors.Is(err, ErrNotYet):
		m.health.Good()
	default:
		m.health.Bad(err)
	}
}

// Fetch implements Source.
func (s *Several[T]) Fetch(ctx context.Context, from, to uint64, deliver func(Item[T]) error) error {
	next := from
	var verdict error
	var errs []error
	var starts []uint64 // where each source asked so far began
	order := s.orderAt(from)
	for n, i := range order {
		starts = append(starts, next)
		err := s.fetchFrom(ctx, order[n:], next, to, func(item Item[T]) error {
			if verdict = deliver(item); verdict == nil {
				next++
			}
			return verdict
		})
		if verdict == nil && ctx.Err() != nil {
			verdict = context.Cause(ctx)
		}
		s.members[i].fetched(next, err, verdict)
		if fork := new(forkError); errors.As(verdict, &fork) {
			for n > 0 && fork.height < starts[n] { // the item has waited (see Ahead), and this source went on behind it
				n--
			}
			s.members[order[n]].refused.Store(fork.height)
		}
		if verdict != nil || err == nil {
			return verdict
		}
		errs = append(errs, err)
	}
	return &FailedError{next, errs}
}

// errSlow: a source was left, for another one that could serve.
var errSlow = errors.New("source is too slow")

// fetchFrom fetches from the first source of an order, as long as that is not too slow for there being others.
func (s *Several[T]) fetchFrom(ctx context.Context, order []int, from, to uint64, deliver func(Item[T]) error) error {
	source, others := s.members[order[0]].Source, order[1:]
	if len(others) == 0 {
		return fetch(ctx, source, from, to, deliver)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Uint64
	next.Store(from)
	enough := func(bytes int) bool { // none at all is a matter of the time-outs
		return bytes == 0 || bytes >= int(slowAfter.Seconds()*fairRate) ||
			!slices.ContainsFunc(others, func(i int) bool { return s.members[i].couldServe(next.Load()) })
	}
	watchdog := newMeter(slowAfter, enough, func() { cancel(errSlow) })
	defer watchdog.pause()
	err := fetch(onReceived(ctx, watchdog.received), source, from, to, func(item Item[T]) error {
		watchdog.pause() // the sink's time is not the source's
		defer watchdog.resume(false)
		next.Store(item.Height + 1)
		return deliver(item)
	})
	if errors.Is(context.Cause(ctx), errSlow) {
		return fmt.Errorf("%w: less than %d KiB/s, while another one could serve", errSlow, fairRate>>10)
	}
	return err
}

// FailedError says that none of several sources could do it, and why each could not.
type FailedError struct {
	Height uint64 // the item that a fetch could not get; 0 of a subscription
	Errs   []error
}

func (e *FailedError) Error() string {
	texts := make([]string, len(e.Errs))
	for i, err := range e.Errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e *FailedError) Unwrap() []error { return e.Errs }

// errContract: a source does not do what Source says.
var errContract = errors.New("source breaks its contract")

// fetch fetches [from, to) from source, insisting on order, completeness and links.
func fetch[T any](ctx context.Context, source Source[T], from, to uint64, deliver func(Item[T]) error) error {
	next, last := from, Hash{}
	err := source.Fetch(ctx, from, to, func(item Item[T]) error {
		switch {
		case item.Height != next || next >= to:
			return fmt.Errorf("%w: it delivers item %d in the place of %d, asked for [%d, %d)", errContract, item.Height, next, from, to)
		case !last.IsZero() && item.Parent != last:
			return fmt.Errorf("%w: it contradicts itself: item %d follows %s, the one that it delivered before is %s", errContract, item.Height, item.Parent, last)
		}
		if err := deliver(item); err != nil {
			return err
		}
		next, last = next+1, item.Hash
		return nil
	})
	if err == nil && next < to {
		return ErrNotYet
	}
	return err
}

// Subscribe implements Source.
func (s *Several[T]) Subscribe(ctx context.Context, update func(Update[T])) error {
	ctx, cancel := context.WithCancelCause(ctx)
	n := &news[T]{update: update, failed: map[*member[T]]error{}, up: map[*member[T]]Ref{}, all: s.members, cancel: cancel}
	var work sync.WaitGroup
	for _, m := range s.members {
		work.Go(func() { n.listen(ctx, m) })
	}
	<-ctx.Done()
	work.Wait() // nobody calls update any more
	return context.Cause(ctx)
}

// news makes one sequence of what several sources announce.
type news[T any] struct {
	update func(Update[T])
	all    []*member[T]
	cancel context.CancelCauseFunc

	mu     sync.Mutex           // guards the rest, and is held during update: one at a time
	best   Ref                  // announced last
	inline bool                 // with its item
	leader *member[T]           // who announced it
	up     map[*member[T]]Ref   // what those announced last that are subscribed to
	failed map[*member[T]]error // those that have failed since they last announced something
}

// listen keeps a subscription to one source alive until ctx ends.
func (n *news[T]) listen(ctx context.Context, m *member[T]) {
	backoff := Backoff{Max: 2 * time.Second}
	for ctx.Err() == nil {
		if m.health.Rested(ctx) != nil {
			return
		}
		err := m.Subscribe(ctx, func(u Update[T]) {
			backoff.Reset()
			if !m.own {
				m.health.Heard(u.Head.Height, "")
			}
			n.announce(m, u)
		})
		if ctx.Err() != nil {
			return
		}
		if !m.own {
			m.health.Silent(err)
			m.health.Bad(err)
		}
		n.lost(m, err)
		_ = backoff.Sleep(ctx, nil)
	}
}

// announce passes an update on, if it says more than what was announced before. The leader may go back, the others
// may not: they are behind.
func (n *news[T]) announce(m *member[T], u Update[T]) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.failed, m)
	n.up[m] = u.Head
	switch {
	case n.leader == nil, u.Head.Height > n.best.Height:
		n.leader = m
	case m == n.leader:
		if better := n.ahead(u.Head.Height); u.Head.Height < n.best.Height && better != nil {
			n.leader = better // which has announced nothing lower, and perhaps something that nobody listened to
			if u = (Update[T]{Head: n.up[better]}); u.Head.Height < n.best.Height || u.Head == n.best {
				return
			}
		}
	case u.Head == n.best && u.Item != nil && !n.inline:
	case u.Head.Height == n.best.Height && u.Head.Hash != n.best.Hash:
		m.health.Bad(fmt.Errorf("it announces %s at height %d, another source %s: one of them is on another fork, or another chain", u.Head.Hash, u.Head.Height, n.best.Hash))
		return
	default:
		return
	}
	n.best, n.inline = u.Head, u.Item != nil
	for _, other := range n.all {
		if other != m {
			other.health.overtaken(u.Head.Height)
		}
	}
	n.update(u)
}

// ahead returns a source that is up and is ahead of a height, if there is one beside the leader.
func (n *news[T]) ahead(height uint64) *member[T] {
	for m, head := range n.up {
		if m != n.leader && head.Height > height {
			return m
		}
	}
	return nil
}

// lost notes that a source announces nothing any more. With the last one the subscription ends.
func (n *news[T]) lost(m *member[T], err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.up, m)
	if n.leader == m {
		n.leader = nil
	}
	n.failed[m] = err
	if len(n.failed) < len(n.all) {
		return
	}
	var errs []error
	for _, m := range n.all { // in their order: the same causes are the same text
		errs = append(errs, n.failed[m])
	}
	n.cancel(&FailedError{0, errs})
}
