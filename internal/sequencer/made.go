package sequencer

import (
	"slices"
	"sync"
	"time"

	"headrace/block"
)

// made knows when the blocks that are not safe yet were made. A header does not tell: its time is what could be shown
// when a clock was not believed (clock), and compared with that clock the newest block would be a day old, or not made
// yet for a day. So what this process has made it dates itself, by the monotonic clock. Its methods are safe for
// concurrent use.
type made struct {
	mu    sync.Mutex // guards the rest
	own   []moment   // what this process has made and was not safe when the next one was made; the lowest first
	other moment     // the block from before the start that was asked for last, and when that was first
}

// moment is when something became of a block.
type moment struct {
	block.Ref
	at time.Time
}

// note notes that a block was made, in the place of all that were made at its height or above; those up to safe are
// asked for no more.
func (m *made) note(ref block.Ref, at time.Time, safe uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.own = slices.DeleteFunc(m.own, func(o moment) bool { return o.Height <= safe || o.Height >= ref.Height })
	m.own = append(m.own, moment{ref, at})
}

// of returns when a block was made. One that this process has not made, but found when it was started, was made when
// its header says, unless that is not over yet or the clock is not to be believed: then it counts from when it was asked
// for first.
func (m *made) of(ref block.Ref, header time.Time, believed bool) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.own, func(o moment) bool { return o.Ref == ref }); i >= 0 {
		return m.own[i].at
	}
	if m.other.Ref != ref {
		m.other = moment{ref, time.Now()}
	}
	if !believed || header.After(m.other.at) {
		return m.other.at
	}
	return header
}

// MadeAt returns when a block above the safe head was made, whose header says when. The age that follows from it can be
// relied on also while the machine's clock is wrong, for all blocks that were made since the start. It is safe for
// concurrent use.
func (q *Sequencer) MadeAt(ref block.Ref, header time.Time) time.Time {
	return q.made.of(ref, header, q.status.Load().Clock == "")
}
