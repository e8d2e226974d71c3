package node

import (
	"context"
	"net/http"
	"sync"
	"time"

	"headrace/block"
	"headrace/follow"
)

// Sample is how the node stood at a time, and what happened in the few seconds before it.
type Sample struct {
	At        time.Time `json:"at"`
	LatencyMS float64   `json:"latency_ms"` // the longest time from the news of a height to its application; 0: none was applied
	Lag       uint64    `json:"lag"`        // heights behind the head of the source
	Rate      float64   `json:"rate"`       // heights applied a second
	Ready     bool      `json:"ready"`
}

// History is the answer of /v1/history.
type History struct {
	EachSeconds float64  `json:"each_seconds"` // between two samples
	Points      []Sample `json:"points"`       // of the last hour at most, the oldest first
}

// A sample is taken each sampleEach; an hour of them is kept, in 40 KiB.
const (
	sampleEach  = 5 * time.Second
	sampleCount = int(time.Hour / sampleEach)
)

// history keeps samples, and measures what goes into them. It may be used from any goroutine.
type history struct {
	announced follow.Announced

	mu      sync.Mutex    // guards the rest
	applied int           // heights, since the last sample
	longest time.Duration // from news to application, likewise
	last    time.Duration // of the last height
	points  []Sample
}

// observer returns what tells h of the source's heights.
func (h *history) observer() (o Observer) {
	o.Source.News = func(head block.Ref, _ bool) { h.announced.Note(head.Height, time.Now()) }
	o.Source.Applied = func(item block.Ref, _ bool) { h.took(h.announced.Applied(item.Height)) }
	o.Source.Reverted = func(item block.Ref) { h.announced.Reverted(item.Height) }
	return o
}

// took notes that a height was applied that was announced at a time; the zero time: not by itself.
func (h *history) took(announced time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.applied++
	if !announced.IsZero() {
		h.last = time.Since(announced)
		h.longest = max(h.longest, h.last)
	}
}

// sample adds a point.
func (h *history) sample(s *Status, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := Sample{At: now.UTC(), LatencyMS: millis(h.longest), Lag: s.Source.Lag, Rate: float64(h.applied) / sampleEach.Seconds(), Ready: s.Ready}
	if len(h.points) == sampleCount {
		h.points = h.points[:copy(h.points, h.points[1:])]
	}
	h.points = append(h.points, p)
	h.applied, h.longest = 0, 0
}

func (h *history) latency() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *history) all() History {
	h.mu.Lock()
	defer h.mu.Unlock()
	return History{EachSeconds: sampleEach.Seconds(), Points: append([]Sample{}, h.points...)}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// keep takes samples until ctx ends.
func (n *Node) keep(ctx context.Context) error {
	clock := time.NewTicker(sampleEach) // it is the clock of the samples
	defer clock.Stop()
	for {
		select {
		case now := <-clock.C:
			s := n.status.Load()
			n.history.sample(&s, now)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (n *Node) getHistory(w http.ResponseWriter, r *http.Request) {
	if err := n.replyLarge(w, r, func() (any, error) { return n.history.all(), nil }); err != nil {
		failLarge(w, err)
	}
}
