package syncer

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"headrace/block"
)

// Moment is when a head came to be where it is.
type Moment struct {
	Made time.Time // the block, by its header; zero before the first block
	At   time.Time // when it became the head here, or when the node started with it
}

// Rhythm is the chain's own pace, as its blocks show it. What is not known yet is zero.
type Rhythm struct {
	Quiet   time.Duration `json:"quiet"`          // how long it goes without a block when all is well
	Busy    bool          `json:"busy,omitempty"` // it was never idle yet: if it is a lazy one, Quiet is not how long that may last
	Heights uint64        `json:"heights"`        // of the source, between two that bring safe blocks
	Source  time.Duration `json:"source"`         // between two heights of the source, by their own times

	// Waited is how long a block waits for later ones before the source has it, by its own time and the source's: the
	// longest of the last day or two.
	Waited time.Duration `json:"waited,omitempty"`
}

// Of how many blocks, or heights, a rhythm is made, and how many must be there.
const (
	keepEmpty   = 9
	keepFull    = 64
	keepHeights = 15
	leastOfThem = 3
)

// rhythm measures the chain's pace. A block without transactions is made because the time for one has come: after the
// block time, or in a lazy chain after the time between empty blocks, so what went before it is how long the chain is
// ever quiet. While there was none, as in a chain that is never idle, all blocks count. Times are the headers': how
// late blocks were posted, or read, is nothing of theirs. One outage is one sample, and sets no pace.
type rhythm struct {
	last    block.Ref // noted last
	made    time.Time
	empty   []time.Duration // before blocks without transactions
	full    []time.Duration // before others
	source  uint64          // the last height that brought a safe block
	heights []uint64
	item    uint64 // the item of the source that was noted last, and its time
	itemAt  time.Time
	items   []time.Duration // between items
	waits   waits
	is      Rhythm
	stored  Rhythm // what the store has
}

// waits are the longest waits of a day, and what came of the days before. A chain that is busy by day proposes as soon as
// proposals are full, and by night when they are old: a median would forget the nights.
type waits struct {
	since   time.Time // the day's first, by the source's time
	longest []time.Duration
	before  time.Duration
}

const day = 24 * time.Hour

// add notes a wait that ended at a time, and returns how long waits are. The two longest of a day may be outages, if there
// are others.
func (w *waits) add(wait time.Duration, at time.Time) time.Duration {
	if w.since.IsZero() {
		w.since = at
	} else if at.Sub(w.since) >= day {
		w.before, w.since, w.longest = w.long(), at, nil
	}
	w.longest = append(w.longest, wait)
	slices.SortFunc(w.longest, func(a, b time.Duration) int { return cmp.Compare(b, a) })
	w.longest = w.longest[:min(len(w.longest), leastOfThem)]
	return max(w.before, w.long())
}

// long returns how long waits were today.
func (w *waits) long() time.Duration {
	switch len(w.longest) {
	case 0:
		return 0
	case leastOfThem:
		return w.longest[leastOfThem-1]
	}
	return w.longest[0]
}

// block notes a new block on top of the last one, or in the place of others.
func (r *rhythm) block(ref block.Ref, made time.Time, txs int) {
	if ref.Height == r.last.Height+1 && !r.made.IsZero() {
		gap := max(made.Sub(r.made), 0)
		if txs == 0 {
			r.empty = keep(r.empty, gap, keepEmpty)
		} else {
			r.full = keep(r.full, gap, keepFull)
		}
		r.quiet()
	}
	r.last, r.made = ref, made
}

// quiet computes how long the chain goes without a block.
func (r *rhythm) quiet() {
	switch {
	case len(r.empty) >= leastOfThem:
		r.is.Busy = false
		r.is.Quiet = middle(r.empty)
	case len(r.empty) > 0:
		r.is.Busy = false
		r.is.Quiet = max(r.is.Quiet, slices.Max(r.empty))
	case len(r.full) == keepFull && (r.is.Quiet == 0 || r.is.Busy):
		r.is.Busy = true
		sorted := slices.Sorted(slices.Values(r.full))
		r.is.Quiet = sorted[len(sorted)-leastOfThem] // the two longest may be outages
	}
}

// brought notes a height of the source that brought a safe block. Of several that it brings the first one was made first.
func (r *rhythm) brought(height uint64, made time.Time) {
	if height > r.source && height == r.item {
		r.is.Waited = r.waits.add(max(r.itemAt.Sub(made), 0), r.itemAt)
	}
	if r.source != 0 && height > r.source {
		if r.heights = keep(r.heights, height-r.source, keepHeights); len(r.heights) >= leastOfThem {
			r.is.Heights = middle(r.heights)
		}
	}
	r.source = max(r.source, height)
}

// passed notes an item of the source.
func (r *rhythm) passed(height uint64, at time.Time) {
	if height == r.item+1 && !r.itemAt.IsZero() {
		if r.items = keep(r.items, max(at.Sub(r.itemAt), 0), keepEmpty); len(r.items) >= leastOfThem {
			r.is.Source = middle(r.items)
		}
	}
	r.item, r.itemAt = height, at
}

func keep[T any](of []T, next T, most int) []T {
	return append(of[max(len(of)-most+1, 0):], next)
}

// middle returns the median; of an even number the lower one of two.
func middle[T time.Duration | uint64](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[(len(sorted)-1)/2]
}

// rhythmKey names the rhythm in the store. A node that starts while its chain stands still knows by it that it does.
const rhythmKey = "rhythm"

// toStore returns what is to be written of the rhythm: nothing as long as it is about what is stored.
func (r *rhythm) toStore() []byte {
	if about(r.is.Quiet, r.stored.Quiet) && r.is.Busy == r.stored.Busy && r.is.Heights == r.stored.Heights && about(r.is.Source, r.stored.Source) && about(r.is.Waited, r.stored.Waited) {
		return nil
	}
	text, err := json.Marshal(r.is)
	if err != nil { // two numbers
		return nil
	}
	r.stored = r.is
	return text
}

func about(a, b time.Duration) bool { return a == b || a > b*3/4 && a < b*4/3 }

// loadRhythm takes up what is stored. What cannot be read is learned again.
func (s *Syncer) loadRhythm() {
	text, ok, err := s.cfg.Store.Named(rhythmKey)
	if err == nil && ok && json.Unmarshal(text, &s.rhythm.stored) == nil {
		s.rhythm.is, s.rhythm.waits.before = s.rhythm.stored, s.rhythm.stored.Waited
	}
}

// headAt is a head with its moment.
type headAt struct {
	ref block.Ref
	Moment
}

// moves brings a head up to date, and returns its moment.
func (s *Syncer) moves(h *headAt, to block.Ref) Moment {
	if h.ref == to && !h.At.IsZero() {
		return h.Moment
	}
	h.ref, h.Moment = to, Moment{At: time.Now()}
	switch {
	case to.Hash.IsZero():
	case s.noted.ref == to:
		h.Made = s.noted.Made
	default: // at the start, and when blocks were taken back
		if rec, err := s.cfg.Store.Block(to.Height); err == nil {
			h.Made = rec.Block.Made()
		}
	}
	return h.Moment
}

// note notes a change of a head, before it is published.
func (s *Syncer) note(a *Applied) {
	s.noted = headAt{ref: a.Ref, Moment: Moment{Made: a.Made}}
	if !a.Promoted {
		s.rhythm.block(a.Ref, a.Made, a.Txs)
	}
	if a.Safe {
		s.rhythm.brought(a.Source.Height, a.Made)
	}
}

// Busy is a call to the engine that has not returned. The zero Busy: there is none.
type Busy struct {
	Step   Step
	Height uint64
	Since  time.Time
}

// busy holds one.
type busy struct {
	mu sync.Mutex
	is Busy
}

// Begin notes that the engine is called; Took ends that. It is for calls inside the section.
func (s *Syncer) Begin(step Step, height uint64) time.Time {
	now := time.Now()
	s.busy.mu.Lock()
	defer s.busy.mu.Unlock()
	s.busy.is = Busy{step, height, now}
	return now
}

// ended notes the end of a call.
func (s *Syncer) ended(step Step, height uint64) {
	s.busy.mu.Lock()
	defer s.busy.mu.Unlock()
	if s.busy.is.Step == step && s.busy.is.Height == height {
		s.busy.is = Busy{}
	}
}

// Busy returns what the engine is asked for, so that somebody can tell who waits for one that does not answer.
func (s *Syncer) Busy() Busy {
	s.busy.mu.Lock()
	defer s.busy.mu.Unlock()
	return s.busy.is
}
