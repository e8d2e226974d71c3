package celestia

import (
	"slices"
	"time"

	"headrace/da"
	"headrace/follow"
)

// merger makes one sequence of heights out of one channel of events per namespace. A height is complete when every
// namespace has reported it; once a namespace has reported a later one, it never will report it (I7). The merger is
// pure: no clock, no goroutine, no lock.
type merger struct {
	last    []uint64      // per namespace, the height of its last event; 0 before the first
	back    []int         // per namespace, how many events in a row were not later than that
	took    time.Duration // how long after its first event the height of the last one was whole; valid if done
	done    bool
	heights []*partial // not complete yet, by height
	bytes   int        // of blobs in them
}

// partial is a height that some namespaces have reported.
type partial struct {
	event     // of the first to report, for height and header
	parts     [][]da.Blob
	here      []bool
	since     time.Time
	announced bool // as a head without blobs
}

// A merger holds this much at most; beyond, the lowest height is announced without its blobs (I6).
const (
	mergeHeights = 256
	mergeBytes   = 64 << 20
)

// merged is what a merger announces: a height, with its complete block or without.
type merged struct {
	height   uint64
	event    event
	complete bool
	blobs    []da.Blob // in the order of the namespaces
}

func newMerger(namespaces int) *merger {
	return &merger{last: make([]uint64, namespaces), back: make([]int, namespaces)}
}

// top returns the highest height that any namespace has reported.
func (m *merger) top() uint64 { return slices.Max(m.last) }

// add takes an event of the i-th namespace, and returns what it settles, the lowest height first.
func (m *merger) add(i int, e event, now time.Time) []merged {
	m.done = false
	if last := m.last[i]; last != 0 && e.height <= last {
		return m.again(i, e, now)
	}
	m.back[i] = 0
	return m.take(i, e, now)
}

// again handles an event that is not later than its channel's last: one that came twice or late, which says nothing,
// or the third in a row: then the node's head has gone back, and we with it.
func (m *merger) again(i int, e event, now time.Time) []merged {
	if e.height == m.last[i] {
		return nil
	}
	if m.back[i]++; m.back[i] < 3 {
		return nil
	}
	*m = *newMerger(len(m.last))
	return m.take(i, e, now)
}

func (m *merger) take(i int, e event, now time.Time) []merged {
	m.last[i] = e.height
	p := m.at(e, now)
	m.took, m.done = now.Sub(p.since), slices.Min(m.last) >= e.height
	p.parts[i], p.here[i] = e.blobs, !e.bad
	m.bytes += size(e.blobs)
	if p.header == nil {
		p.header = e.header
	} else if e.header != nil && e.header.Hash() != p.header.Hash() {
		p.announced, p.here[i] = false, false // two headers at one height: whoever fetches it will see
	}
	return m.settle()
}

// at returns the partial of an event's height.
func (m *merger) at(e event, now time.Time) *partial {
	i, ok := slices.BinarySearchFunc(m.heights, e.height, func(p *partial, h uint64) int { return int(p.height) - int(h) })
	if !ok {
		p := &partial{event: event{height: e.height, header: e.header}, parts: make([][]da.Blob, len(m.last)), here: make([]bool, len(m.last)), since: now}
		m.heights = slices.Insert(m.heights, i, p)
	}
	return m.heights[i]
}

// settle takes out what is complete, what never will be, and what is too much.
func (m *merger) settle() []merged {
	var out []merged
	keep := m.heights[:0]
	for n, p := range m.heights {
		complete, hopeless := true, false
		for i, here := range p.here {
			complete = complete && here
			hopeless = hopeless || (!here && m.last[i] >= p.height)
		}
		tooMuch := len(m.heights)-n > mergeHeights || m.bytes > mergeBytes
		switch {
		case complete:
			out = append(out, merged{p.height, p.event, true, slices.Concat(p.parts...)})
		case hopeless, tooMuch:
			if !p.announced {
				out = append(out, merged{height: p.height, event: p.event})
			}
		default:
			keep = append(keep, p)
			continue
		}
		for _, part := range p.parts {
			m.bytes -= size(part)
		}
	}
	clear(m.heights[len(keep):])
	m.heights = keep
	return out
}

// overdue returns, once, the heights that have waited for longer than hold; their missing events may yet come.
func (m *merger) overdue(now time.Time, hold time.Duration) []merged {
	var out []merged
	for _, p := range m.heights {
		if !p.announced && now.Sub(p.since) >= hold {
			p.announced = true
			out = append(out, merged{height: p.height, event: p.event})
		}
	}
	return out
}

// late returns how long after its first event the height of the last event was whole, if it is by that.
func (m *merger) late() (time.Duration, bool) { return m.took, m.done }

// waiting returns since when the oldest height waits that has not been announced.
func (m *merger) waiting() (time.Time, bool) {
	for _, p := range m.heights {
		if !p.announced {
			return p.since, true
		}
	}
	return time.Time{}, false
}

func size(blobs []da.Blob) int {
	n := 0
	for i := range blobs {
		n += len(blobs[i].Data) + 192
	}
	return n
}

// item makes a complete block of what was merged. The header must be there.
func (m *merged) item() *follow.Item[da.Block] {
	h := m.event.header
	item := &follow.Item[da.Block]{Height: m.height, Hash: h.Hash(), Parent: h.Parent(), Data: da.Block{Height: m.height, Time: h.Time, Blobs: m.blobs}}
	item.Size = item.Data.Size()
	return item
}
