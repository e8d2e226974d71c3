package node

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/watch"
)

// An hour of samples is kept in bounded memory, the newest, and each has what has happened since the one before.
func TestHistory(t *testing.T) { synctest.Test(t, testHistory) }

func testHistory(t *testing.T) {
	var h history
	seen := 0
	given := Observer{Source: follow.Observer{Applied: func(block.Ref, bool) { seen++ }}}
	o := Join(h.observer(), given).Source
	start := time.Unix(1_800_000_000, 0)
	for i := range 3 * sampleCount {
		for k := range uint64(10) {
			o.News(block.Ref{Height: uint64(i)*10 + k}, true)
		}
		time.Sleep(time.Millisecond)
		for k := range uint64(10) {
			o.Applied(block.Ref{Height: uint64(i)*10 + k}, true)
		}
		h.sample(&Status{Ready: i%2 == 0, Source: Source{Lag: uint64(i)}}, start.Add(time.Duration(i)*sampleEach))
	}
	if seen != 30*sampleCount {
		t.Errorf("the observer that was given heard of %d heights, want %d", seen, 30*sampleCount)
	}
	all := h.all()
	if got := len(all.Points); got != 720 || cap(h.points) > 1024 {
		t.Fatalf("got %d samples in room for %d, want those of an hour", got, cap(h.points))
	}
	for i, p := range all.Points {
		n := 2*sampleCount + i
		if p.Lag != uint64(n) || p.Ready != (n%2 == 0) || p.Rate != 2 || p.LatencyMS <= 0 || p.LatencyMS > 60_000 || !p.At.Equal(start.Add(time.Duration(n)*sampleEach)) {
			t.Fatalf("sample %d: got %+v", i, p)
		}
	}
	if text, err := json.Marshal(all); err != nil || len(text) > 1<<20 {
		t.Errorf("it is %d bytes of JSON (%v), want at most 1 MiB", len(text), err)
	}
	if h.latency() <= 0 {
		t.Error("the last height has no latency")
	}
	before := h.latency()
	for i := range uint64(100_000) { // announced and never applied, as of a node that stands
		o.News(block.Ref{Height: 1e9 + i}, false)
	}
	o.Applied(block.Ref{Height: 5e8}, false) // nobody has announced it
	h.sample(&Status{}, start)
	if p := h.all().Points[719]; p.LatencyMS != 0 || p.Rate != 0.2 || h.latency() != before {
		t.Errorf("a height without news: got %+v, last latency %s, want none", p, h.latency())
	}
}

// A search by DA height ends with the work of one page, however many blocks are there.
func TestSearchIsBounded(t *testing.T) {
	const blocks = 100_000
	reads := 0
	s := Status{Heads: Heads{Safe: block.Ref{Height: blocks}}}
	b := blocksOf(&s, func(height uint64) (follow.Item[Delivered], error) {
		reads++
		return follow.Item[Delivered]{Height: height, Data: Delivered{Block: Block{Height: height, HeaderDAHeight: 7, DataDAHeight: 7}}}, nil
	})
	gone := func() error { return nil }
	if from, to, err := b.completeAt(gone, 7, 1); from != 1 || to != 1+pageBlocks || err != nil || reads > 2*pageBlocks {
		t.Errorf("got [%d, %d), %v after %d reads, want a page", from, to, err, reads)
	}
	reads = 0
	if _, _, err := b.completeAt(func() error { return context.Canceled }, 7, 1); err == nil || reads > 0 {
		t.Errorf("got %v after %d reads for a client that has gone", err, reads)
	}
}

func blocksOf(s *Status, read func(height uint64) (follow.Item[Delivered], error)) *blocks {
	return &blocks{head: await.Safe, status: newStatuses(watch.New(*s)), read: read, oldest: func() uint64 { return 1 }}
}
