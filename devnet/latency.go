package devnet

import (
	"math"
	"slices"
	"sync"
	"time"

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
	samples   []time.Duration      // of every block and node; the newest keepSamples, as a ring
	next      int                  // in samples
	nodes     int
	blocks    uint64
}

type line struct {
	Line
	missing int
}

const (
	keepAnnounces = 4096
	keepSamples   = 1 << 20
)

func newLatency(nodes int, onBlock func(Line)) *latency {
	if onBlock == nil {
		onBlock = func(Line) {}
	}
	return &latency{onBlock: onBlock, announces: map[uint64]time.Time{}, lines: map[uint64]*line{}, nodes: nodes}
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

// applied is called by a node when a block has become safe.
func (l *latency) applied(nodeIndex int, a node.Applied, now time.Time) {
	if !a.Safe {
		return
	}
	l.mu.Lock()
	at, known := l.announces[a.Source.Height]
	if !known { // announced before this process started: catching up, not a latency
		l.mu.Unlock()
		return
	}
	e := l.lines[a.Ref.Height]
	if e == nil {
		e = &line{Line: Line{Height: a.Ref.Height, DAHeight: a.Source.Height, Txs: a.Txs, Latency: make([]time.Duration, l.nodes)}, missing: l.nodes}
		l.lines[a.Ref.Height] = e
	}
	took := now.Sub(at)
	e.Latency[nodeIndex] = took
	e.missing--
	l.sample(took)
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

func (l *latency) sample(d time.Duration) {
	if len(l.samples) < keepSamples {
		l.samples = append(l.samples, d)
		return
	}
	l.samples[l.next] = d
	l.next = (l.next + 1) % keepSamples
}

// Percentiles of the announced→applied latency, in milliseconds.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// summary returns how many blocks every node has applied, and how fast.
func (l *latency) summary() (blocks uint64, p Percentiles) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sorted := slices.Clone(l.samples)
	slices.Sort(sorted)
	return l.blocks, Percentiles{P50: rank(sorted, 0.50), P99: rank(sorted, 0.99), Max: rank(sorted, 1)}
}

// rank returns the nearest-rank quantile of sorted, in milliseconds to the microsecond.
func rank(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := max(int(math.Ceil(q*float64(len(sorted)))), 1) - 1
	return float64(sorted[i].Microseconds()) / 1000
}
