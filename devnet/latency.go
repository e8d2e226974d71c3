package devnet

import (
	"math"
	"slices"
	"sync"
	"time"

	"headrace/block"
	"headrace/da/local"
	"headrace/node"
)

// latency measures, for each block and full node, the time from the announcement of the DA height that completed the
// block to the block being stored and visible in the node's status. It is safe for concurrent use.
type latency struct {
	onBlock func(Line)

	mu        sync.Mutex
	announces map[uint64]time.Time // by DA height; the newest keepAnnounces
	lines     map[uint64]*line     // by rollup height; until every node has applied it
	samples   ring                 // of every block and node
	early     ring                 // likewise, for how long before the source a block was there
	unsafe    []map[uint64]arrival // of each node: its unsafe blocks, by height
	heads     []uint64             // of each node: the unsafe head
	nodes     int
	blocks    uint64
}

type line struct {
	Line
	missing int
}

// arrival is when an unsafe block was there.
type arrival struct {
	hash block.Hash
	at   time.Time
}

// ring holds the newest keepSamples of what is measured.
type ring struct {
	samples []time.Duration
	next    int
}

func (r *ring) add(d time.Duration) {
	if len(r.samples) < keepSamples {
		r.samples = append(r.samples, d)
		return
	}
	r.samples[r.next] = d
	r.next = (r.next + 1) % keepSamples
}

func (r *ring) percentiles() Percentiles {
	sorted := slices.Clone(r.samples)
	slices.Sort(sorted)
	return Percentiles{P50: rank(sorted, 0.50), P99: rank(sorted, 0.99), Max: rank(sorted, 1)}
}

const (
	keepAnnounces = 4096
	keepSamples   = 1 << 20
)

func newLatency(nodes int, onBlock func(Line)) *latency {
	if onBlock == nil {
		onBlock = func(Line) {}
	}
	l := &latency{onBlock: onBlock, announces: map[uint64]time.Time{}, lines: map[uint64]*line{}, nodes: nodes, heads: make([]uint64, nodes)}
	for range nodes {
		l.unsafe = append(l.unsafe, map[uint64]arrival{})
	}
	return l
}

// announced is called by the DA chain just before it announces a new head.
func (l *latency) announced(h local.Head) { l.begun(h.Height) }

// begun notes that from now on a node may have the source's block at height.
func (l *latency) begun(height uint64) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.announces[height] = now
	delete(l.announces, height-keepAnnounces)
}

// applied is called by a node when a block has become safe, or an unsafe one.
func (l *latency) applied(nodeIndex int, a node.Applied, now time.Time) {
	l.mu.Lock()
	l.heads[nodeIndex] = max(l.heads[nodeIndex], a.Ref.Height)
	if !a.Safe {
		l.heads[nodeIndex] = a.Ref.Height // also after a revert
		l.unsafe[nodeIndex][a.Ref.Height] = arrival{a.Ref.Hash, now}
		delete(l.unsafe[nodeIndex], a.Ref.Height-keepAnnounces)
		l.mu.Unlock()
		return
	}
	at, known := l.announces[a.Source.Height]
	if !known { // announced before this process started: catching up, not a latency
		l.mu.Unlock()
		return
	}
	e := l.lines[a.Ref.Height]
	if e == nil {
		e = &line{Line: Line{Height: a.Ref.Height, DAHeight: a.Source.Height, Txs: a.Txs, Latency: make([]time.Duration, l.nodes), Unsafe: make([]uint64, l.nodes), Early: make([]time.Duration, l.nodes)}, missing: l.nodes}
		l.lines[a.Ref.Height] = e
	}
	took := now.Sub(at)
	e.Latency[nodeIndex] = took
	e.missing--
	l.samples.add(took)
	e.Unsafe[nodeIndex] = l.heads[nodeIndex]
	if before, ok := l.unsafe[nodeIndex][a.Ref.Height]; ok && before.hash == a.Ref.Hash {
		e.Early[nodeIndex] = at.Sub(before.at)
	}
	l.early.add(max(e.Early[nodeIndex], 0))
	delete(l.unsafe[nodeIndex], a.Ref.Height)
	done := e.missing == 0
	if done {
		delete(l.lines, a.Ref.Height)
		l.blocks++
	}
	l.mu.Unlock()
	if done {
		l.onBlock(e.Line)
	}
}

// Percentiles of times, in milliseconds.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// summary returns how many blocks every node has applied, how fast, and how long before the source's block they were
// there as unsafe ones.
func (l *latency) summary() (blocks uint64, took, early Percentiles) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocks, l.samples.percentiles(), l.early.percentiles()
}

// rank returns the nearest-rank quantile of sorted, in milliseconds to the microsecond.
func rank(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := max(int(math.Ceil(q*float64(len(sorted)))), 1) - 1
	return float64(sorted[i].Microseconds()) / 1000
}
