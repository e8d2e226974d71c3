package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"headrace/block"
	"headrace/internal/httpd"
	"headrace/node"
)

// taker is a client that has its answer in memory, and takes the events of blocks when the test lets it.
type taker struct {
	httptest.ResponseRecorder
	take chan struct{} // closed when it does; nil: at once

	mu   sync.Mutex // guards the rest
	text bytes.Buffer
}

func (h *taker) Write(p []byte) (int, error) {
	if h.take != nil && bytes.HasPrefix(p, []byte("event: block")) {
		<-h.take
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.text.Len() > 64<<20 {
		return 0, errors.New("too much")
	}
	return h.text.Write(p)
}

func (h *taker) Flush()              {}
func (h *taker) FlushError() error   { return nil }
func (h *taker) WriteHeader(int)     {}
func (h *taker) said() (text string) { h.mu.Lock(); defer h.mu.Unlock(); return h.text.String() }

// crowded is a scripted chain whose reads are counted, and whose events count in a budget, on a false clock.
type crowded struct {
	*scripted
	t     *testing.T
	serve http.Handler
	reads atomic.Int64
	twos  atomic.Int64 // reads of block 2
	refs  atomic.Int64
	ctx   context.Context

	unsure bool // blocks are read just before they become safe

	work sync.WaitGroup
}

func newCrowded(t *testing.T, answers *httpd.Budget) *crowded {
	ctx, cancel := context.WithCancel(t.Context())
	c := &crowded{scripted: newChainOf(), t: t, ctx: ctx}
	c.serve = node.EventsWithin(answers, c.status, func() uint64 { return 1 }, func(height uint64) (block.Ref, error) {
		c.refs.Add(1)
		return c.ref(height)
	}, func(height uint64) (node.Block, error) {
		if c.reads.Add(1); height == 2 {
			c.twos.Add(1)
		}
		b, err := c.at(height)
		b.Safe = b.Safe && !c.unsure
		return b, err
	})
	t.Cleanup(func() { cancel(); c.work.Wait() })
	return c
}

// open opens a stream whose client takes no events of blocks until take is closed.
func (c *crowded) open(query string, take chan struct{}) *taker {
	h := &taker{take: take}
	r := httptest.NewRequestWithContext(c.ctx, http.MethodGet, "/v1/events?"+query, nil)
	c.work.Go(func() { c.serve.ServeHTTP(h, r) })
	synctest.Wait()
	return h
}

// A block is read once for all streams that are there at the same time, whoever takes it first, and each has the same
// bytes. When nobody sends it any more it is in nobody's memory.
func TestOneEventForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowded(t, httpd.NewBudget(1<<20))
		c.mine(3)
		take := make(chan struct{})
		var all []*taker
		for range 20 {
			all = append(all, c.open("", take))
		}
		whole := c.open("body=true", take)
		c.txs = [][]byte{[]byte("color=blue")}
		c.mine(1)
		synctest.Wait()
		if n := c.reads.Load(); n < 2 || n > 3 { // two of a kind are built at a time
			t.Errorf("block 4 was read %d times for 20 streams of one shape and one of another, want once for each shape", n)
		}
		late := c.open("after=3-"+c.chain[2].Hash, nil)
		before := c.reads.Load()
		if !strings.Contains(late.said(), `"height":4`) {
			t.Errorf("one who comes later got %s, want block 4", late.said())
		}
		close(take)
		synctest.Wait()
		for _, h := range append(all, late) {
			if got, want := h.said(), all[0].said(); got != want || !strings.Contains(got, "id: 4-"+c.chain[3].Hash+"-0\nevent: block\ndata: {\"height\":4,") {
				t.Errorf("got %s, want block 4 as in %s", got, want)
			}
		}
		if got := whole.said(); !strings.Contains(got, `"txs":["Y29sb3I9Ymx1ZQ=="]`) || strings.Contains(all[0].said(), `"txs":[`) {
			t.Errorf("got %s and %s, want each in its own shape", got, all[0].said())
		}
		for gone := false; !gone; { // its collection is all that this waits for
			runtime.GC()
			gone = !node.Shared(c.serve, c.status.Load().Heads, 4)
		}
		if c.open("after=3-"+c.chain[2].Hash, nil); c.reads.Load() != before+1 {
			t.Errorf("got %d reads after %d, want one more for who comes when nobody has it any more", c.reads.Load(), before)
		}
	})
}

// Where there is another block now, or the same one is safe now, an event that somebody still sends is not shared with who
// comes later. And whoever has all that there is reads nothing.
func TestSharedEventsOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowded(t, nil)
		c.mine(3)
		fifth := "after=3-" + c.chain[2].Hash
		take := make(chan struct{})
		c.mine(1)
		c.open(fifth, take)
		c.replace(3, 1)
		if got := c.open(fifth, nil).said(); !strings.Contains(got, c.chain[3].Hash) || strings.Count(got, "event:") != 1 {
			t.Errorf("got %s, want the block 4 that is there now alone", got)
		}

		c.unsure = true
		c.mine(1)
		c.open("after=4-"+c.chain[3].Hash, take)
		c.unsure = false
		if got := c.open("after=4-"+c.chain[3].Hash, nil).said(); !strings.Contains(got, `"safe":true`) {
			t.Errorf("got %s, want block 5 as it is", got)
		}

		c.mu.Lock()
		c.final = 2
		c.publishLocked()
		c.mu.Unlock()
		c.open("after=1-"+c.chain[0].Hash, take)
		c.mine(1)
		twos := c.twos.Load()
		if c.open("after=1-"+c.chain[0].Hash, nil); c.twos.Load() != twos {
			t.Errorf("got block 2 read again under other heads, want what is final shared")
		}

		c.safeTo(3)
		c.open("head=unsafe&after=4-"+c.chain[3].Hash, take)
		if got := c.open("after=4-"+c.chain[3].Hash, nil).said(); strings.Contains(got, "event:") {
			t.Errorf("got %s, want nothing above the safe head", got)
		}
		c.safeTo(6)

		close(take)
		synctest.Wait()
		before := c.refs.Load()
		c.mu.Lock()
		c.live = true
		c.publishLocked()
		c.mu.Unlock()
		if synctest.Wait(); c.refs.Load() != before {
			t.Errorf("streams that have all blocks have looked for more %d times", c.refs.Load()-before)
		}
	})
}

// A reorg that a stream sees before the status has it: what others still send of the branch that has gone is sent once at
// most, and then the blocks that are there.
func TestSharedEventsBeforeTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowded(t, nil)
		c.mine(5)
		fourth := "after=3-" + c.chain[2].Hash
		take := make(chan struct{})
		c.open(fourth, take)
		void := c.chain[3].Hash
		status := c.status.Load()
		c.replace(3, 2)
		c.status.Set(status)
		got := c.open(fourth, nil).said()
		if strings.Count(got, "event:") > 4 || strings.Count(got, void) > 3 || !strings.Contains(got, c.chain[4].Hash) {
			t.Errorf("got %.3000s, want block 4, that it is void, and the two that are there", got)
		}
		close(take)
	})
}

// A shared event counts for each who sends it: those who do not read it have no more of the budget, and no less, than
// with one of their own each.
func TestSharedEventsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowded(t, httpd.NewBudget(3<<20))
		c.txs = [][]byte{make([]byte, 1<<20)} // 1.4 MB in base64
		c.mine(1)
		take := make(chan struct{})
		var all []*taker
		for range 3 {
			all = append(all, c.open("from=1&body=true", take))
		}
		resumed := c.open("body=true&after=0-"+block.Hash{}.String(), nil) // takes at once what it gets
		if strings.Contains(resumed.said(), "event") {
			t.Errorf("got a third of an event of 1.4 MB at the same time, want it to wait for room in 3 MiB")
		}
		close(take)
		synctest.Wait()
		for _, h := range append(all, resumed) {
			if !strings.Contains(h.said(), "event: block") {
				t.Errorf("got %d bytes, want the block once there is room", len(h.said()))
			}
		}
	})
}

// I3, P9: whatever is shared, each of many streams, of each head and shape, has exactly the chain, with each block as it
// is when the stream comes by.
func TestSharedEventsAreExact(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 4))
			c := newCrowded(t, httpd.NewBudget(1<<20))
			var all []*taker
			for i := range 12 {
				all = append(all, c.open(fmt.Sprintf("from=1&head=%s&body=%v", []string{"safe", "unsafe"}[i%2], i%4 < 2), nil))
			}
			for range 60 {
				switch height := c.head().Height; random.IntN(3) {
				case 0:
					c.replace(height-random.Uint64N(min(height, 5)+1), 1+random.IntN(6))
				case 1:
					c.safeTo(random.Uint64N(height + 1))
				case 2:
					c.mine(1 + random.IntN(3))
				}
				if seed%2 == 0 || random.IntN(2) == 0 {
					synctest.Wait()
				}
			}
			c.mine(1)
			synctest.Wait()
			for i, h := range all {
				c.exact(i, h.said(), seed%2 == 0)
			}
		})
	}
}

// exact fails unless a stream's text leads to the chain. If nothing happened while it read, all that a reader of safe blocks
// has was safe.
func (c *crowded) exact(i int, text string, calm bool) {
	c.t.Helper()
	var have copied
	for part := range strings.SplitSeq(text, "\n\n") {
		var e event
		for line := range strings.SplitSeq(part, "\n") {
			switch name, value, _ := strings.Cut(line, ": "); name {
			case "event":
				e.kind = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			}
		}
		if e.kind == "" || e.kind == "end" {
			continue
		}
		if calm && e.kind == "block" && i%2 == 0 && !strings.Contains(e.data, `"safe":true`) {
			c.t.Errorf("stream %d: got %s of a reader of safe blocks", i, e.data)
		}
		if e.kind == "block" && strings.Contains(e.data, `"txs":null`) != (i%4 < 2) {
			c.t.Fatalf("stream %d: got %s, want its own shape", i, e.data)
		}
		e.data = strings.Replace(e.data, `"txs":null`, `"txs":0`, 1)
		have.take(c.t, e)
	}
	for n, b := range c.chain {
		if n >= len(have.blocks) || have.blocks[n].Hash.String() != b.Hash {
			c.t.Fatalf("stream %d: got %d blocks, want block %d %s", i, len(have.blocks), n+1, b.Hash)
		}
	}
}
