package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/nettest"
	"headrace/node"
	"headrace/watch"
)

var (
	replicaKills   = flag.Int("replica.kills", 12, "how many processes TestReplicaKills kills")
	replicaWaits   = flag.Int("replica.waits", 200, "waits in TestReplicasBehindABalancer; 2000 for what must hold")
	replicaStreams = flag.Int("replica.streams", 50, "streams there; 500 for what must hold")
)

// replicated is a rollup with a second full node and two replicas, each a process with a home: one replica follows both
// full nodes, the other one follows that and the second full node. Its all is the last replica.
type replicated struct {
	*rollup
	full, second, one, two *server
}

func newReplicated(t *testing.T, at pace, ofReplicas ...string) *replicated {
	t.Helper()
	port := func() string { return nettest.FreeAddress(t) }
	full, second, one, two := port(), port(), port(), port()
	r := &replicated{rollup: newRollupWith(t, at, nil, []string{"--http.address", full})}
	in := func(names ...string) string { return filepath.Join(append([]string{r.home}, names...)...) }
	genesis := in("seq", "genesis.json")
	program := func(name, home string) *server {
		return &server{name: name, args: []string{"start", "--home", home}, url: new(watch.Value[address])}
	}
	headrace(t, "init", "--home", in("second"), "--genesis", genesis, "--da.address", "http://"+r.da.args[4], "--http.address", second, "--log.format", "json")
	for home, q := range map[string]struct{ at, first, then string }{"one": {one, full, second}, "two": {two, one, second}} {
		headrace(t, append([]string{"init", "--home", in(home), "--replica", "--genesis", genesis, "--source.node", "http://" + q.first, "--source.node", "http://" + q.then,
			"--http.address", q.at, "--log.format", "json"}, ofReplicas...)...)
	}
	r.full, r.second, r.one, r.two = r.all, program("second full node", in("second")), program("replica one", in("one")), program("replica two", in("two"))
	r.all = r.two
	r.servers = append(r.servers, r.second, r.one, r.two)
	return r
}

// TestReplicaKills: two replicas follow two full nodes and each other, and all of them, the sequencer and the DA layer are
// killed at any moment. A node that is followed goes away, and another of the list is followed; that one's home is an
// older copy of itself, and is followed when it has caught up. Afterwards the replicas have the chain, block for block.
func TestReplicaKills(t *testing.T) {
	noteSources(t)
	rng := rand.New(rand.NewPCG(seedOf(t), 1))
	r := newReplicated(t, pace{block: 50 * time.Millisecond, da: 100 * time.Millisecond})
	for _, s := range r.servers {
		s.start(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	load := newLoad(r.seq.url)
	var work sync.WaitGroup
	work.Go(func() { load.run(ctx) })
	defer work.Wait()
	defer cancel()

	highest := r.settled(t, 0)
	for kills := 0; kills < *replicaKills; {
		for i := 0; i < 5 && kills < *replicaKills; i++ {
			kills += r.kill(t, rng)
		}
		highest = r.settled(t, highest)
	}

	// From here on the first full node is away, and then the second one is what it was a while ago.
	bounded, end := context.WithTimeoutCause(t.Context(), 2*patience, errors.New("it hangs"))
	defer end()
	home, copied := filepath.Join(r.home, "second"), filepath.Join(t.TempDir(), "copy")
	r.second.p.kill()
	if err := os.CopyFS(copied, os.DirFS(home)); err != nil {
		t.Fatal(err)
	}
	r.second.start(t)
	highest = r.settled(t, highest+20)
	r.full.p.kill()
	highest = r.progress(bounded, t, r.on(bounded, t, r.one, highest+20))
	r.second.p.kill()
	if err := errors.Join(os.RemoveAll(home), os.CopyFS(home, os.DirFS(copied))); err != nil {
		t.Fatal(err)
	}
	r.second.start(t)
	highest = r.progress(bounded, t, r.on(bounded, t, r.one, highest+20))
	r.one.p.kill()
	r.one.start(t)
	r.progress(bounded, t, r.on(bounded, t, r.one, highest+20))
	r.full.start(t)
	r.full.ready(bounded, t)

	cancel()
	work.Wait()
	r.verify(t, load)
	c := &asker{client: &http.Client{Transport: &http.Transport{}}}
	defer c.client.CloseIdleConnections()
	last := within(t)
	want := c.chain(last, t, r.seq.ready(last, t), highest)
	for _, s := range []*server{r.full, r.second, r.one, r.two} {
		url := s.ready(last, t)
		st := c.status(last, t, url, "as far", func(s node.Status) bool { return s.Heads.Safe.Height >= highest })
		if !reflect.DeepEqual(c.chain(last, t, url, highest), want) {
			t.Errorf("%s has another chain", s.name)
		}
		if n := st.Counts; n.RevertedUnsafe+n.Demoted+n.SignedTwice != 0 {
			t.Errorf("%s: got %+v, want nothing taken back", s.name, n)
		}
	}
	for _, s := range []*server{r.two, r.one, r.second, r.full, r.seq, r.da} {
		s.p.interrupt(t)
	}
}

// on waits until a server has applied a block above a height.
func (r *replicated) on(ctx context.Context, t *testing.T, s *server, above uint64) uint64 {
	t.Helper()
	p, err := s.p.told.Wait(ctx, func(p progress) bool { return p.Safe > above })
	if err != nil {
		t.Fatalf("%s applies nothing above %d: %v\n%s", s.name, above, err, r.tails())
	}
	return p.Safe
}

// balancer passes connections on to its backends, in turn, and to the next one where one does not answer: what is between
// a crowd and its replicas.
type balancer struct {
	l     net.Listener
	to    []string
	turn  atomic.Uint64
	taken []atomic.Int64 // by each of to
	work  sync.WaitGroup

	mu    sync.Mutex // guards the rest
	conns map[net.Conn]bool
}

func balance(t *testing.T, to ...string) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{l: l, to: to, taken: make([]atomic.Int64, len(to)), conns: map[net.Conn]bool{}}
	b.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.work.Go(func() { b.pass(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		b.mu.Lock()
		for c := range b.conns {
			_ = c.Close()
		}
		b.conns = nil
		b.mu.Unlock()
		b.work.Wait()
	})
	return b
}

// holds notes that a connection is open; not if the balancer has ended.
func (b *balancer) holds(c net.Conn, open bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.conns == nil:
		return false
	case open:
		b.conns[c] = true
	default:
		delete(b.conns, c)
	}
	return true
}

func (b *balancer) pass(in net.Conn) {
	defer in.Close()
	for range b.to {
		i := b.turn.Add(1) % uint64(len(b.to))
		out, err := net.Dial("tcp", b.to[i])
		if err != nil {
			continue
		}
		defer out.Close()
		b.taken[i].Add(1)
		if !b.holds(in, true) || !b.holds(out, true) {
			return
		}
		defer b.holds(in, false)
		defer b.holds(out, false)
		var both sync.WaitGroup
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			both.Go(func() {
				_, _ = io.Copy(way[0], way[1])
				_ = way[0].Close()
				_ = way[1].Close()
			})
		}
		both.Wait()
		return
	}
}

// TestReplicasBehindABalancer: a crowd waits for blocks and reads streams of them at two replicas behind a balancer, which
// asks neither what it has. One replica is killed meanwhile, and comes back. Who has read a part goes on at any of them
// with the id of his last event, and has each block once, in order; each wait is answered with what it asked for.
func TestReplicasBehindABalancer(t *testing.T) {
	noteSources(t)
	const far = 120
	r := newReplicated(t, pace{block: 50 * time.Millisecond, da: 100 * time.Millisecond}, "--http.max_connections", "8000", "--http.max_waiting", "8000")
	for _, s := range r.servers {
		s.start(t)
	}
	r.settled(t, 0)
	base := r.on(within(t), t, r.one, 5)
	b := balance(t, strings.TrimPrefix(r.one.ready(within(t), t), "http://"), strings.TrimPrefix(r.two.ready(within(t), t), "http://"))
	begun := time.Now()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 4*patience, errors.New("it hangs"))
	defer cancel()
	crowd := &crowdOfClients{url: "http://" + b.l.Addr().String(), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	until := base + far
	streams := make([]streamReader, *replicaStreams)
	for i := range streams {
		work.Go(func() { crowd.read(ctx, t, &streams[i], until) })
	}
	for i := range *replicaWaits {
		work.Go(func() { crowd.wait(ctx, t, base+1+uint64(i*far / *replicaWaits)) })
	}
	r.on(ctx, t, r.one, base+far/3)
	r.one.p.kill()
	r.on(ctx, t, r.two, base+far/2)
	r.one.start(t)
	work.Wait()
	took := time.Since(begun)

	moved, sum := 0, uint64(0)
	for i := range streams {
		s := &streams[i]
		if s.at.Height < until {
			t.Errorf("a stream has ended at block %d, want %d", s.at.Height, until)
		}
		if s.sessions > 1 {
			moved++
		}
		sum += s.at.Height
	}
	if got := crowd.answered.Load(); got != int64(*replicaWaits) {
		t.Errorf("%d of %d waits were answered", got, *replicaWaits)
	}
	if moved == 0 || b.taken[0].Load() == 0 || b.taken[1].Load() == 0 {
		t.Errorf("%d streams have gone on elsewhere; the replicas have had %d and %d connections", moved, b.taken[0].Load(), b.taken[1].Load())
	}
	c := &asker{client: crowd.client}
	chain := c.chain(ctx, t, r.seq.ready(ctx, t), until)
	for i := range streams {
		if s := &streams[i]; s.at.Hash.String() != chain[until-1].Hash {
			t.Errorf("a stream has block %v at the end, want %s", s.at, chain[until-1].Hash)
		}
	}
	t.Logf("%d waits and %d streams in %s: %d blocks by streams, of which %d went on elsewhere; %d requests again; %d and %d connections",
		*replicaWaits, *replicaStreams, took.Round(time.Millisecond), sum, moved, crowd.again.Load(), b.taken[0].Load(), b.taken[1].Load())
}

// crowdOfClients asks one address, and again where a connection ends without an answer.
type crowdOfClients struct {
	url             string
	client          *http.Client
	answered, again atomic.Int64
}

// ask returns the answer to a request, with this status or one of a node that ends; again until there is one.
func (c *crowdOfClients) ask(ctx context.Context, t *testing.T, path, id string) *http.Response {
	var backoff follow.Backoff
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
		if err != nil {
			t.Error(err)
			return nil
		}
		if id != "" {
			req.Header.Set("Last-Event-ID", id)
		}
		resp, err := c.client.Do(req)
		if err == nil && resp.StatusCode == http.StatusOK {
			return resp
		}
		if err == nil {
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusGone && resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%s: got %s: %s", path, resp.Status, text)
				return nil
			}
		}
		c.again.Add(1)
		if err := backoff.Sleep(ctx, nil); err != nil { // the client's, as browsers have one
			t.Errorf("%s: %v", path, context.Cause(ctx))
			return nil
		}
	}
}

// wait waits for a height until it has an answer.
func (c *crowdOfClients) wait(ctx context.Context, t *testing.T, height uint64) {
	for ctx.Err() == nil {
		resp := c.ask(ctx, t, fmt.Sprintf("/v1/wait?height=%d&timeout=2m", height), "")
		if resp == nil {
			return
		}
		var w node.Waited
		err := json.NewDecoder(resp.Body).Decode(&w)
		_ = resp.Body.Close()
		if err != nil { // it was killed amid its answer
			c.again.Add(1)
			continue
		}
		if w.Result != "reached" || w.Heads.Safe.Height < height {
			t.Errorf("got %+v of a wait for block %d", w, height)
		}
		c.answered.Add(1)
		return
	}
}

// streamReader is what one client has read of its streams.
type streamReader struct {
	at       block.Ref
	id       string
	sessions int
}

// read reads blocks from the first one on up to a height, in as many streams as it takes.
func (c *crowdOfClients) read(ctx context.Context, t *testing.T, s *streamReader, until uint64) {
	for s.at.Height < until && ctx.Err() == nil {
		resp := c.ask(ctx, t, "/v1/events?events=block&from=1", s.id)
		if resp == nil {
			return
		}
		s.sessions++
		lines := bufio.NewScanner(resp.Body)
		id, kind := "", ""
		for s.at.Height < until && lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "id":
				id = value
			case name == "event":
				kind = value
			case name == "data" && kind == "block":
				var b node.BlockEvent
				if err := json.Unmarshal([]byte(value), &b); err != nil { // it was killed amid an event
					continue
				}
				if b.Height != s.at.Height+1 || b.ParentHash != s.at.Hash {
					t.Errorf("got block %d %s after %d %s", b.Height, b.Hash, s.at.Height, s.at.Hash)
				}
				s.at, s.id = block.Ref{Height: b.Height, Hash: b.Hash}, id
			}
		}
		_ = resp.Body.Close()
	}
}
