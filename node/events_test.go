package node_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/block"
	"headrace/node"
	"headrace/watch"
)

// scripted is a rollup whose blocks, reorgs and pruning the test makes.
type scripted struct {
	*httptest.Server
	status *watch.Value[node.Status]

	mu     sync.Mutex // guards the rest
	chain  []node.Block
	made   uint64
	final  uint64
	live   bool // the node
	oldest uint64
	txs    [][]byte // of each new block
	onRead func()   // called once, before a block is read
}

// newChainOf returns a chain that nobody serves.
func newChainOf() *scripted { return &scripted{status: watch.New(node.Status{}), oldest: 1} }

func newScripted(t *testing.T) *scripted {
	c := newChainOf()
	c.Server = httptest.NewServer(node.Events(c.status, func() uint64 { c.mu.Lock(); defer c.mu.Unlock(); return c.oldest }, c.ref, c.at))
	t.Cleanup(func() { c.Server.CloseClientConnections(); c.Server.Close() })
	return c
}

func (c *scripted) ref(height uint64) (block.Ref, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refLocked(height)
}

func (c *scripted) refLocked(height uint64) (block.Ref, error) {
	if height == 0 {
		return block.Ref{}, nil
	}
	if height < c.oldest || height > uint64(len(c.chain)) {
		return block.Ref{}, fmt.Errorf("ref %d: %w", height, node.ErrNoBlock)
	}
	r := block.Ref{Height: height}
	return r, r.Hash.UnmarshalText([]byte(c.chain[height-1].Hash))
}

func (c *scripted) at(height uint64) (node.Block, error) {
	c.mu.Lock()
	if f := c.onRead; f != nil {
		c.onRead = nil
		c.mu.Unlock()
		f()
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	if height < c.oldest || height > uint64(len(c.chain)) {
		return node.Block{}, fmt.Errorf("block %d: %w", height, node.ErrNoBlock)
	}
	b := c.chain[height-1]
	b.Safe = height <= c.status.Load().Heads.Safe.Height
	return b, nil
}

// replace makes n blocks in the place of those above a height, and publishes that.
func (c *scripted) replace(above uint64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.chain = c.chain[:above]
	for range n {
		c.made++
		parent, _ := c.refLocked(uint64(len(c.chain)))
		var h block.Hash
		binary.BigEndian.PutUint64(h[:], c.made)
		c.chain = append(c.chain, node.Block{Height: uint64(len(c.chain)) + 1, Hash: h.String(), ParentHash: parent.Hash[:], Txs: c.txs, Time: time.Unix(0, int64(c.made)).UTC()})
	}
	c.publishLocked()
}

func (c *scripted) mine(n int) { c.replace(c.head().Height, n) }

func (c *scripted) publishLocked() {
	head, _ := c.refLocked(uint64(len(c.chain)))
	final, _ := c.refLocked(c.final)
	c.status.Set(node.Status{Heads: node.Heads{Unsafe: head, Safe: head, Finalized: final}, Source: node.Source{Live: c.live}})
}

// safeTo has the safe head go to height.
func (c *scripted) safeTo(height uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, _ := c.refLocked(uint64(len(c.chain)))
	ref, _ := c.refLocked(height)
	c.status.Set(node.Status{Heads: node.Heads{Unsafe: head, Safe: ref}})
}

func (c *scripted) head() block.Ref {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, _ := c.refLocked(uint64(len(c.chain)))
	return head
}

// event is one server-sent event.
type event struct{ kind, id, data string }

func (e event) block(t *testing.T) (b node.BlockEvent) {
	t.Helper()
	if e.kind != "block" {
		t.Fatalf("got %+v, want a block", e)
	}
	decode(t, e.data, &b)
	return b
}

// listener is one client's connection.
type listener struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

// listen connects. resume is the id to go on from; empty: none.
func listen(t *testing.T, url, query, resume string) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(bounded(t))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/events?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resume != "" {
		req.Header.Set("Last-Event-ID", resume)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %s %v, want a stream of events", resp.Status, resp.Header)
	}
	l := &listener{t: t, lines: bufio.NewScanner(resp.Body), close: func() { cancel(); resp.Body.Close() }}
	l.lines.Buffer(nil, 64<<20)
	t.Cleanup(l.close)
	if got := l.next(); got != (event{}) { // the line about retries
		t.Fatalf("got %+v first", got)
	}
	return l
}

// next returns the next event.
func (l *listener) next() (e event) {
	l.t.Helper()
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "":
			return e
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		}
	}
	l.t.Fatalf("stream ended: %v", l.lines.Err())
	return e
}

// copied is the chain as a client knows it from events alone.
type copied struct {
	blocks []node.BlockEvent
	last   string // id
}

// take applies an event, and fails unless it fits.
func (c *copied) take(t *testing.T, e event) {
	t.Helper()
	switch e.kind {
	case "block":
		b := e.block(t)
		if n := len(c.blocks); b.Height != uint64(n)+1 || n > 0 && b.ParentHash != c.blocks[n-1].Hash {
			t.Fatalf("got %+v after %d blocks, want the successor", b, n)
		}
		c.blocks = append(c.blocks, b)
	case "reorg":
		var r node.ReorgEvent
		decode(t, e.data, &r)
		if r.To.Height >= uint64(len(c.blocks)) || r.To.Height > 0 && c.blocks[r.To.Height-1].Hash != r.To.Hash || !strings.HasPrefix(e.id, fmt.Sprintf("%d-%s-", r.To.Height, r.To.Hash)) {
			t.Fatalf("got %+v with %d blocks, want one of them to go back to", e, len(c.blocks))
		}
		c.blocks = c.blocks[:r.To.Height]
	default:
		t.Fatalf("got %+v", e)
	}
	c.last = e.id
}

// follow takes events until the client has the head.
func (c *copied) follow(t *testing.T, l *listener, head block.Ref) {
	t.Helper()
	for len(c.blocks) == 0 || c.blocks[len(c.blocks)-1].Hash != head.Hash {
		c.take(t, l.next())
	}
}

func TestEventsFromTheHeadOn(t *testing.T) {
	c := newScripted(t)
	c.mine(3)
	l := listen(t, c.URL, "", "")
	c.mine(2)
	for want := uint64(4); want <= 5; want++ {
		e := l.next()
		if b := e.block(t); b.Height != want || e.id != fmt.Sprintf("%d-%s-0", b.Height, b.Hash) {
			t.Errorf("got %+v, want block %d", e, want)
		}
	}
}

// A status comes after the blocks that it speaks of, and does not touch the id.
func TestStatusEvents(t *testing.T) {
	c := newScripted(t)
	l := listen(t, c.URL, "events=block,status&from=1", "")
	if e := l.next(); e.kind != "status" || e.id != "" {
		t.Fatalf("got %+v, want the present status", e)
	}
	c.mine(2)
	var s node.Status
	for seen := uint64(0); s.Heads.Safe.Height < 2; {
		if e := l.next(); e.kind == "block" {
			seen = e.block(t).Height
		} else if decode(t, e.data, &s); s.Heads.Safe.Height > seen {
			t.Fatalf("got a status of height %d after block %d", s.Heads.Safe.Height, seen)
		}
	}
	only := listen(t, c.URL, "events=status", "")
	if e := only.next(); e.kind != "status" {
		t.Errorf("got %+v, want a status", e)
	}
}

// A reorg while the client listens goes back to exactly where the branch left.
func TestReorgEvent(t *testing.T) {
	c := newScripted(t)
	l := listen(t, c.URL, "", "")
	var have copied
	c.mine(60)
	c.mu.Lock()
	c.final = 50
	c.mu.Unlock()
	c.mine(540) // more than a stream remembers
	have.follow(t, l, c.head())
	for _, r := range []struct {
		above uint64
		n     int
		to    uint64
	}{{597, 3, 597}, {595, 7, 595}, {594, 1, 594}, {590, 0, 590}} { // equal, higher, lower, and only back
		c.replace(r.above, r.n)
		e := l.next()
		if have.take(t, e); e.kind != "reorg" || uint64(len(have.blocks)) != r.to {
			t.Fatalf("got %+v, want a reorg to %d", e, r.to)
		}
		if r.n > 0 {
			have.follow(t, l, c.head())
		}
	}
	c.replace(100, 1) // further back than the stream remembers: to the finalized block
	if e := l.next(); e.kind != "reorg" {
		t.Fatalf("got %+v, want a reorg", e)
	} else if have.take(t, e); len(have.blocks) != 50 {
		t.Errorf("got a reorg to %d, want the finalized block", len(have.blocks))
	}
	have.follow(t, l, c.head())
}

// Safe blocks that an L1 reorg makes unsafe ones stay where they are: a reader of safe blocks hears of a reorg all the
// same, and gets them again when they are safe again; a reader of unsafe ones has nothing to hear.
func TestSafeHeadGoesBack(t *testing.T) {
	c := newScripted(t)
	c.mine(6)
	safe := c.safeTo
	var have copied
	id := fmt.Sprintf("6-%s-0", c.head().Hash)
	l, unsafe, fresh := listen(t, c.URL, "from=1", ""), listen(t, c.URL, "events=block,status&head=unsafe", ""), listen(t, c.URL, "", "")
	have.follow(t, l, c.head())
	if e := unsafe.next(); e.kind != "status" {
		t.Fatalf("got %+v, want the present status", e)
	}
	safe(3)
	for _, l := range []*listener{l, fresh} {
		var r node.ReorgEvent
		e := l.next()
		if decode(t, e.data, &r); e.kind != "reorg" || r.To.Height > 3 {
			t.Fatalf("got %+v, want a reorg to block 3 or below", e)
		}
		if l != fresh {
			have.take(t, e)
		}
	}
	if len(have.blocks) != 3 {
		t.Fatalf("the reader is left with %d blocks, want the three safe ones", len(have.blocks))
	}
	resumed := listen(t, c.URL, "events=block,status", id)
	if e := resumed.next(); e.kind != "status" {
		t.Fatalf("got %+v from a node that is behind what its client knows, want its status alone", e)
	}
	if e := unsafe.next(); e.kind != "status" {
		t.Fatalf("got %+v, want nothing but the status of a reader of unsafe blocks", e)
	}
	safe(6)
	have.follow(t, l, c.head())
	if len(have.blocks) != 6 {
		t.Errorf("the reader has %d blocks, want all six", len(have.blocks))
	}
	c.mine(1)
	if b := resumed.next(); b.kind != "status" && b.block(t).Height != 7 {
		t.Errorf("got %+v, want block 7", b)
	}
}

// P9, P25: any client that resumes by the last id has exactly the chain, whatever is cut and reorganised when.
func TestEventsResumeExactly(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 2))
		c := newScripted(t)
		var have copied
		var l *listener
		for range 40 {
			switch random.IntN(4) {
			case 0:
				if l != nil {
					l.close()
					l = nil
				}
			case 1:
				c.mu.Lock()
				final, height := c.final, uint64(len(c.chain))
				c.mu.Unlock()
				c.replace(final+random.Uint64N(height-final+1), 1+random.IntN(4))
			case 2:
				c.mu.Lock()
				c.final += random.Uint64N(uint64(len(c.chain)) - c.final + 1)
				c.publishLocked()
				c.mu.Unlock()
			case 3:
				c.mine(random.IntN(5))
			}
			if random.IntN(2) == 0 {
				if l == nil {
					l = listen(t, c.URL, "from=1", have.last)
				}
				if head := c.head(); head.Height > 0 && head.Height >= uint64(len(have.blocks)) { // else the client is ahead of the node: see TestNodeBehindItsClient
					have.follow(t, l, head)
				}
			}
		}
		c.mine(max(1, len(have.blocks)+1-int(c.head().Height)))
		if l == nil {
			l = listen(t, c.URL, "from=1", have.last)
		}
		have.follow(t, l, c.head())
		for i, b := range c.chain {
			if have.blocks[i].Hash.String() != b.Hash {
				t.Fatalf("seed %d: got block %d %s, want %s", seed, i+1, have.blocks[i].Hash, b.Hash)
			}
		}
		l.close()
	}
}

// P21: a reorg between two reads of the stream does not get through as a block whose parent the client does not know.
func TestReorgBetweenReads(t *testing.T) {
	c := newScripted(t)
	c.mine(5)
	var have copied
	c.onRead = func() { c.onRead = func() { c.replace(0, 6) } } // after block 1 was sent
	l := listen(t, c.URL, "from=1", "")
	have.follow(t, l, block.Ref{Hash: hashOf(t, c, 6)})
}

// hashOf waits for a block.
func hashOf(t *testing.T, c *scripted, height uint64) block.Hash {
	t.Helper()
	if _, err := c.status.Wait(bounded(t), func(s node.Status) bool { return s.Heads.Safe.Height >= height }); err != nil {
		t.Fatal(err)
	}
	r, err := c.ref(height)
	if err != nil {
		t.Fatal(err)
	}
	return r.Hash
}

// I10: a node that is behind what its client knows has not reorganised. One that then comes up with another block has.
func TestNodeBehindItsClient(t *testing.T) {
	c := newScripted(t)
	c.mine(5)
	id := fmt.Sprintf("5-%s-0", c.head().Hash)
	full := slices.Clone(c.chain)
	c.replace(2, 0)
	same, other := listen(t, c.URL, "events=block,status", id), listen(t, c.URL, "events=block,status", id)
	for _, l := range []*listener{same, other} {
		if e := l.next(); e.kind != "status" {
			t.Fatalf("got %+v from a node that is behind, want its status alone", e)
		}
	}
	other.close()
	c.mu.Lock()
	c.chain = full
	c.mu.Unlock()
	c.mine(1)
	if b := same.next().block(t); b.Height != 6 {
		t.Errorf("got %+v, want block 6", b)
	}
	c.replace(2, 1)
	other = listen(t, c.URL, "events=block,status", id)
	if e := other.next(); e.kind != "status" {
		t.Fatalf("got %+v, want a status", e)
	}
	c.mine(2)
	for e := other.next(); e.kind != "reorg"; e = other.next() {
		if e.kind == "block" {
			t.Fatalf("got %+v, want a reorg once there is another block 5", e)
		}
	}
}

func TestEventsFrom(t *testing.T) {
	c := newScripted(t)
	c.mine(2)
	l := listen(t, c.URL, "from=5&body=true", "") // not there yet
	c.txs = [][]byte{[]byte("color=blue")}
	c.mine(2)
	c.mine(2)
	e := l.next()
	var b node.Block
	decode(t, e.data, &b)
	if b.Height != 5 || len(b.Txs) != 1 || string(b.Txs[0]) != "color=blue" {
		t.Errorf("got %+v, want block 5 with its transaction", b)
	}
	c.mu.Lock()
	c.oldest = 4
	c.mu.Unlock()
	if b := listen(t, c.URL, "from=4", "").next().block(t); b.Height != 4 {
		t.Errorf("got %+v, want the oldest block", b)
	}
}

func TestEventsRefuse(t *testing.T) {
	c := newScripted(t)
	c.mine(9)
	c.mu.Lock()
	c.oldest, c.final = 4, 6
	c.publishLocked()
	c.mu.Unlock()
	id := func(height uint64, fill byte) string { return fmt.Sprintf("%d-%s", height, block.Hash{fill}) }
	for _, r := range []struct {
		query, id string
		want      int
		says      string
	}{
		{"after=" + id(2, 0xff), "", 410, "block 3 is pruned: the oldest one here is 4"},
		{"from=3", "", 410, "pruned"},
		{"", id(5, 0xff), 409, "of another chain"},
		{"", "seven", 400, "HEIGHT-HASH"},
		{"", "7-seven", 400, "HEIGHT-HASH"},
		{"from=x", "", 400, "not a height"},
		{"events=blocks", "", 400, "block and status"},
		{"head=main", "", 400, "safe, unsafe or finalized"},
		{"body=perhaps", "", 400, ""},
		{"since=1", "", 400, "no parameter since"},
	} {
		w := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(bounded(t), http.MethodGet, "/v1/events?"+r.query, nil)
		if r.id != "" {
			req.Header.Set("Last-Event-ID", r.id)
		}
		c.Server.Config.Handler.ServeHTTP(w, req)
		if w.Code != r.want || !strings.Contains(w.Body.String(), r.says) {
			t.Errorf("%s %s: got %d %s, want %d and %q", r.query, r.id, w.Code, w.Body, r.want, r.says)
		}
	}
}

// I6, P27: a client that does not read keeps nobody waiting, and finds every block later.
func TestSlowListener(t *testing.T) {
	c := newScripted(t)
	c.txs = [][]byte{make([]byte, 64<<10)}
	l := listen(t, c.URL, "from=1&body=true", "")
	began := time.Now()
	for range 500 { // 44 MB of events: more than sockets hold
		c.mine(1)
	}
	if took := time.Since(began); took > 2*time.Minute {
		t.Errorf("500 blocks took %s with a client that does not read", took)
	}
	for want := uint64(1); want <= 500; want++ {
		var b node.Block
		decode(t, l.next().data, &b)
		if b.Height != want {
			t.Fatalf("got block %d, want %d", b.Height, want)
		}
	}
}

// What is pruned before a slow client could have it ends its stream with the reason.
func TestPrunedAway(t *testing.T) {
	c := newScripted(t)
	c.mine(9)
	l := listen(t, c.URL, "from=10", "")
	c.mine(1)
	_ = l.next()
	c.mu.Lock()
	c.replaceLocked(5, 20)
	c.mu.Unlock()
	if e := l.next(); e.kind != "end" || !strings.Contains(e.data, "pruned") {
		t.Errorf("got %+v, want the end and why", e)
	}
}

// replaceLocked mines n blocks and prunes all but the last few, in one step.
func (c *scripted) replaceLocked(keep uint64, n int) {
	for range n {
		c.made++
		parent, _ := c.refLocked(uint64(len(c.chain)))
		var h block.Hash
		binary.BigEndian.PutUint64(h[:], c.made)
		c.chain = append(c.chain, node.Block{Height: uint64(len(c.chain)) + 1, Hash: h.String(), ParentHash: parent.Hash[:]})
	}
	c.oldest = uint64(len(c.chain)) - keep
	c.publishLocked()
}

// P10: what comes while the stream is busy with what was before, and is the last, is not lost.
func TestLastBlockWhileBusy(t *testing.T) {
	c := newScripted(t)
	c.mine(1)
	c.onRead = func() { c.mine(1); c.status.Close(nil) }
	l := listen(t, c.URL, "from=1", "")
	for _, want := range []string{"block", "block", "end"} {
		if e := l.next(); e.kind != want {
			t.Errorf("got %+v, want %s", e, want)
		}
	}
}

// P15, P17: the end of the node comes once, after the blocks that it still made, with its cause.
func TestEndEvent(t *testing.T) {
	c := newScripted(t)
	l := listen(t, c.URL, "events=block,status", "")
	c.mine(1)
	c.status.Close(fmt.Errorf("disk is full"))
	var kinds []string
	for {
		e := l.next()
		kinds = append(kinds, e.kind)
		if e.kind == "end" {
			var end node.EndEvent
			if err := json.Unmarshal([]byte(e.data), &end); err != nil || !strings.Contains(end.Cause, "disk is full") {
				t.Errorf("got %+v, want the cause", e)
			}
			break
		}
	}
	if !slices.Contains(kinds, "block") {
		t.Errorf("got %v, want the last block before the end", kinds)
	}
}
