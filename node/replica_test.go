package node_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/internal/syncer"
	"headrace/l1"
	locall1 "headrace/l1/local"
	"headrace/node"
)

// Another node over HTTP is a follow.Source like any other, of safe blocks that revert and of those that do not.
func TestReplicasSource(t *testing.T) {
	for _, open := range []bool{false, true} {
		t.Run(fmt.Sprintf("reverts %t", open), func(t *testing.T) {
			followtest.TestSource(t, func(t *testing.T) followtest.Harness[*syncer.Replicated] {
				l := newLedger(t, true)
				l.open = open
				l.mine(5)
				s := httptest.NewServer(l.Handler())
				t.Cleanup(s.Close)
				t.Cleanup(s.CloseClientConnections)
				source := node.Mirror(s.URL, ledgerChain, l.key.Public().Address())
				t.Cleanup(func() { node.CloseIdle(source) })
				h := followtest.Harness[*syncer.Replicated]{
					Source: source, Start: 1, Extend: l.mine, Head: l.head, Cut: s.CloseClientConnections,
					Equal: func(a, b **syncer.Replicated) bool { return reflect.DeepEqual(*a, *b) },
				}
				if open {
					h.Fork = l.fork
				}
				return h
			})
		})
	}
}

// replica returns the options of a replica with a home of its own.
func (c chain) replica(t testing.TB, urls ...string) node.Options {
	o := c.full(t, "http://127.0.0.1:1")
	o.Config.Source.Node = node.At(urls...)
	return o
}

// safeAt has the safe head at a height, or above it.
func safeAt(height uint64) func(node.Status) bool {
	return func(s node.Status) bool { return s.Heads.Safe.Height >= height }
}

// sameChain fails the test unless the nodes have the same blocks up to a height, as they serve them.
func sameChain(t *testing.T, to uint64, nodes ...*running) {
	t.Helper()
	for h := uint64(1); h <= to; h++ {
		path := fmt.Sprintf("/v1/blocks/%d?signed=true", h)
		_, want := ask(t, nodes[0], http.MethodGet, path, "")
		for i, n := range nodes[1:] {
			if _, got := ask(t, n, http.MethodGet, path, ""); got != want {
				t.Fatalf("block %d of node %d is\n%s\nwant\n%s", h, i+1, got, want)
			}
		}
	}
}

// Replicas have the chain of the node that they follow, block for block, and go on where they were, whoever is killed
// when: the replica, its source, or both; and one can follow another.
func TestReplica(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", filepath.Join(t.TempDir(), "da"), 200*time.Millisecond)
	c := newChain(t, "replica")
	o := c.sequencer(t, d.URL(), 20*time.Millisecond)
	seq := start(t, o)
	f := c.full(t, d.URL())
	full := start(t, f)
	for i := range 20 {
		if err := seq.SubmitTx(bounded(t), fmt.Appendf(nil, "key-%d=%d", i, i)); err != nil {
			t.Fatal(err)
		}
	}
	full.until(t, "at block 50", safeAt(50))
	r := c.replica(t, full.URL())
	one := start(t, r)
	s := one.until(t, "ready", ready)
	if s.Mode != "replica" || !strings.Contains(s.Source.Believed, full.URL()) || s.Source.Position != s.Heads.Safe || s.Heads.Finalized != s.Heads.Safe {
		t.Errorf("got mode %s, believed %q, position %v, heads %+v", s.Mode, s.Source.Believed, s.Source.Position, s.Heads)
	}
	if e := s.Source.Endpoints; len(e) != 1 || e[0].Role != "node" || !e[0].Live || !e[0].Healthy || e[0].Address != full.URL() {
		t.Errorf("got the endpoints %+v", e)
	}
	q := c.replica(t, one.URL())
	two := start(t, q)
	two.until(t, "at block 80", safeAt(80))
	sameChain(t, 80, seq, full, one, two)
	if _, err := one.Wait(bounded(t), 100); err != nil {
		t.Error(err)
	}
	if code, answer := ask(t, two, http.MethodGet, "/v1/wait?height=110&head=finalized&timeout=1m", ""); code != http.StatusOK {
		t.Errorf("got %d %s of a wait", code, answer)
	}

	one.stop() // the one in the middle: the other says why it is not ready, and goes on
	s = two.until(t, "not ready without its source", unready)
	if s.Reason == "" || !strings.Contains(s.Remedy, "source.node") {
		t.Errorf("got %+v, want a reason, and what to do about source.node", s)
	}
	r.Config.HTTP.Address = one.Address()
	one = start(t, r)
	if s := one.Status().Load(); s.Heads.Safe.Height < 110 {
		t.Errorf("got the safe head %d after the restart, want it where it was", s.Heads.Safe.Height)
	}
	at := two.until(t, "ready again", ready).Heads.Safe.Height
	two.until(t, "further", safeAt(at+20))

	full.stop() // the source of both, and then one replica too
	two.until(t, "not ready without the node that reads the layer", unready)
	one.stop()
	f.Config.HTTP.Address = full.Address()
	full = start(t, f)
	one = start(t, r)
	at = two.until(t, "ready again", ready).Heads.Safe.Height
	two.until(t, "further", safeAt(at+20))
	if c := one.Status().Load().Counts; c.RevertedUnsafe+c.Demoted+c.SignedTwice != 0 {
		t.Errorf("got %+v, want nothing taken back", c)
	}
	sameChain(t, at+20, full, two)
}

// What a home's positions are, they stay: a replica's home is no full node's, nor the other way round; a replica makes
// no blocks, and says what it cannot know.
func TestReplicaRefusals(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "refusals")
	seq := start(t, c.sequencer(t, d.URL(), 20*time.Millisecond))
	f := c.full(t, d.URL())
	full := start(t, f)
	full.until(t, "at block 3", safeAt(3))
	r := c.replica(t, seq.URL())
	replica := start(t, r)
	replica.until(t, "at block 3", safeAt(3))
	for path, want := range map[string]string{
		"/v1/wait?position=3":            "this node is a replica",
		"/v1/blocks?da_height=3":         "this node is a replica",
		"/v1/wait?proposal=3&timeout=1s": "proposals",
	} {
		if code, answer := ask(t, replica, http.MethodGet, path, ""); code != http.StatusBadRequest || !strings.Contains(answer, want) {
			t.Errorf("%s: got %d %s, want 400 and %q", path, code, answer, want)
		}
	}
	if err := replica.SubmitTx(bounded(t), []byte("a=1")); err == nil {
		t.Error("a replica has taken a transaction")
	}
	full.stop()
	replica.stop()
	f.Config.Source.Node = node.At(seq.URL())
	if _, err := node.New(f); !errors.Is(err, node.ErrOtherKind) || !strings.Contains(err.Error(), "init --replica") {
		t.Errorf("a full node's home as a replica's: got %v", err)
	}
	r.Config.Source.Node, r.Config.DA.Address = nil, node.At(d.URL())
	if _, err := node.New(r); !errors.Is(err, node.ErrOtherKind) || !strings.Contains(err.Error(), "source.node again") {
		t.Errorf("a replica's home as a full node's: got %v", err)
	}
	o := c.sequencer(t, d.URL(), time.Second)
	o.Config.Source.Node = node.At(seq.URL())
	o.Config.Stream.URL = []string{"nats://127.0.0.1:1"}
	o.Config.Sequencer.Enabled = false
	if err := o.Config.Validate(); err == nil || !strings.Contains(err.Error(), "publishes a stream") {
		t.Errorf("a replica that publishes: got %v", err)
	}
	o.Config.Stream.URL, o.Config.Sequencer.Enabled = nil, true
	if _, err := node.New(o); err == nil || !strings.Contains(err.Error(), "makes no blocks") {
		t.Errorf("a replica that makes blocks: got %v", err)
	}
	g, have, err := node.GenesisAt(bounded(t), node.At("http://127.0.0.1:1", seq.URL()))
	if err != nil || g.Hash() != c.genesis.Hash() || len(have) != 1 || have[0] != seq.URL() {
		t.Errorf("got the genesis %+v of %v, %v", g, have, err)
	}
	other := start(t, newChain(t, "refusals").full(t, d.URL()))
	if _, _, err := node.GenesisAt(bounded(t), node.At(seq.URL(), other.URL())); err == nil || !strings.Contains(err.Error(), "different chains") {
		t.Errorf("got %v of nodes of two chains", err)
	}
}

// Readiness of a replica is live: it is that of the nodes that it follows, with their reason, and of what they hear of
// the layer. Replicas that follow each other are not ready by that alone.
func TestReplicaReadiness(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "da")
	d, stopDA := daLayer(t, "127.0.0.1:0", dir, 300*time.Millisecond)
	c := newChain(t, "readiness")
	start(t, c.sequencer(t, d.URL(), 50*time.Millisecond))
	f := c.full(t, d.URL())
	full := start(t, f)
	full.until(t, "ready, with a block time", func(s node.Status) bool { return s.Ready && s.Source.BlockTime != "" })
	r := c.replica(t, full.URL(), "http://127.0.0.1:1")
	one := start(t, r)
	q := c.replica(t, one.URL(), full.URL())
	two := start(t, q)
	one.stop() // it follows the other one too
	r.Config.HTTP.Address = one.Address()
	r.Config.Source.Node = node.At(full.URL(), two.URL())
	one = start(t, r)
	both := []*running{one, two}
	all := func(what string, pred func(node.Status) bool) {
		t.Helper()
		for _, n := range both {
			n.until(t, what, pred)
		}
	}
	all("ready", ready)

	address := strings.TrimPrefix(d.URL(), "http://")
	stopDA()
	all("not ready without the layer, with the source's own reason", func(s node.Status) bool {
		return !s.Ready && s.Stage == follow.StageSource && strings.Contains(s.Reason, "is not ready: ") && s.Remedy != ""
	})
	daLayer(t, address, dir, 300*time.Millisecond)
	all("ready again", ready)

	full.stop()
	all("not ready with nobody who reads the layer", unready)
	f.Config.HTTP.Address = full.Address()
	start(t, f)
	all("ready again", ready)
}

// bent is a node as somebody in between passes it on: bend may change each block, and says false for one that is left
// out.
func bent(t *testing.T, from string, bend func(b map[string]any) bool) string {
	t.Helper()
	to, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	p := &httputil.ReverseProxy{
		ErrorLog:  log.New(io.Discard, "", 0),
		Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(resp *http.Response) error {
			switch kind := resp.Header.Get("Content-Type"); {
			case strings.HasPrefix(kind, "text/event-stream"):
				resp.Body = bentStream(resp.Body, bend)
			case strings.HasPrefix(resp.Request.URL.Path, "/v1/blocks"):
				var page map[string]any
				if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
					return err
				}
				var kept []any
				blocks, _ := page["blocks"].([]any)
				for _, b := range blocks {
					if bend(b.(map[string]any)) {
						kept = append(kept, b)
					}
				}
				page["blocks"] = kept
				out, err := json.Marshal(page)
				resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(out)), int64(len(out))
				resp.Header.Set("Content-Length", fmt.Sprint(len(out)))
				return err
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	s := httptest.NewServer(p)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close(); transport.CloseIdleConnections() })
	return s.URL
}

// bentStream bends each block of a stream.
func bentStream(body io.ReadCloser, bend func(map[string]any) bool) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		defer body.Close()
		in := bufio.NewReaderSize(body, 1<<20)
		event := ""
		for {
			line, err := in.ReadBytes('\n')
			if text, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
				event = strings.TrimSpace(string(text))
			}
			if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok && event == "block" {
				var b map[string]any
				if json.Unmarshal(data, &b) == nil {
					if bend(b) {
						data, _ = json.Marshal(b)
						line = append(append([]byte("data: "), data...), '\n')
					} else {
						line = []byte("x: y\n")
					}
				}
			}
			if _, e := w.Write(line); e != nil || err != nil {
				_ = w.CloseWithError(errors.Join(err, io.EOF))
				return
			}
		}
	}()
	return struct {
		io.Reader
		io.Closer
	}{r, closerFunc(func() error { _ = body.Close(); return r.Close() })}
}

type closerFunc func() error

func (c closerFunc) Close() error { return c() }

// garble changes a byte of the header's signature.
func garble(b map[string]any) bool {
	raw, _ := json.Marshal(b["signed"])
	var signed node.SignedBytes
	if json.Unmarshal(raw, &signed) == nil && len(signed.Header) > 3 {
		signed.Header[len(signed.Header)-1] ^= 1
		b["signed"] = signed
	}
	return true
}

// Of several nodes one that lies, keeps a block back, is of another chain, has pruned, is silent, or answers with
// something else costs nothing: the honest one is followed, and what was wrong with each is in the status.
func TestReplicaOfLiars(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 100*time.Millisecond)
	c := newChain(t, "liars")
	seq := start(t, c.sequencer(t, d.URL(), 20*time.Millisecond))
	other := start(t, newChain(t, "liars").sequencer(t, d.URL(), 20*time.Millisecond))
	third := start(t, newChain(t, "third").sequencer(t, d.URL(), 20*time.Millisecond))
	for _, n := range []*running{seq, other, third} {
		n.until(t, "at block 30", safeAt(30))
	}
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		return s.URL
	}
	var nth atomic.Uint64
	liars := map[string]string{
		"forged":     bent(t, seq.URL(), garble),
		"holes":      bent(t, seq.URL(), func(map[string]any) bool { return nth.Add(1)%3 != 0 }),
		"foreign":    other.URL(),
		"named else": third.URL(),
		"pruned":     serve(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"error":"pruned"}`, http.StatusGone) }),
		"a web page": serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }),
		"nobody":     "http://127.0.0.1:1",
		"far":        serve(headAt(c, 1<<40)),
		"no statuses": serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "event: status\ndata: {{\n\n")
		}),
	}
	var urls []string
	for _, u := range liars {
		urls = append(urls, u)
	}
	replica := start(t, c.replica(t, append(urls, seq.URL())...))
	s := replica.until(t, "at block 60, with the faults told", func(s node.Status) bool {
		faults := 0
		for _, e := range s.Source.Endpoints {
			if e.Errors > 0 && e.LastError != "" {
				faults++
			}
		}
		return s.Heads.Safe.Height >= 60 && s.Ready && faults >= len(liars)
	})
	for _, e := range s.Source.Endpoints {
		for what, want := range map[string]string{"forged": "not the chain's", "named else": `chain "third"`, "pruned": "name one in source.node", "a web page": "no node of headrace"} {
			if e.Address == liars[what] && !strings.Contains(e.LastError, want) {
				t.Errorf("%s: got %q, want %q", what, e.LastError, want)
			}
		}
	}
	if s.Counts.RevertedUnsafe+s.Counts.SignedTwice+s.Counts.Demoted != 0 {
		t.Errorf("got %+v", s.Counts)
	}
	sameChain(t, 60, seq, replica)

	alone := start(t, c.replica(t, liars["pruned"]))
	s = alone.until(t, "not ready, with what to do", func(s node.Status) bool { return !s.Ready && strings.Contains(s.Reason, "name one in source.node") })
	if s.Heads.Safe.Height != 0 {
		t.Errorf("got %+v", s.Heads)
	}
}

// headAt is a node that announces a head of which it has no block.
func headAt(c chain, height uint64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/blocks") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"blocks":[]}`)
			return
		}
		head := block.Ref{Height: height, Hash: block.Hash{1}}
		text, _ := json.Marshal(node.Status{ChainID: c.genesis.ChainID, Ready: true, Heads: node.Heads{Unsafe: head, Safe: head, Finalized: head}})
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "event: status\ndata: %s\n\n", text)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// A client's cursor is good on any node: moved at random between the full node and two replicas, in the middle of the
// stream, with the one it reads from killed, it has each block once, in order.
func TestCursorMovesBetweenReplicas(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", filepath.Join(t.TempDir(), "da"), 200*time.Millisecond)
	c := newChain(t, "cursor")
	seq := start(t, c.sequencer(t, d.URL(), 10*time.Millisecond))
	f := c.full(t, d.URL())
	full := start(t, f)
	r, q := c.replica(t, full.URL()), c.replica(t, full.URL())
	nodes := []*running{full, start(t, r), start(t, q)}
	options := []*node.Options{&f, &r, &q}
	for i, n := range nodes {
		options[i].Config.HTTP.Address = n.Address()
		n.until(t, "at block 20", safeAt(20))
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 3))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	after, next := "", uint64(1)
	for round := 0; round < 20; round++ {
		i := random.IntN(len(nodes))
		path := nodes[i].URL() + "/v1/events?events=block&from=1"
		if after != "" {
			path = nodes[i].URL() + "/v1/events?events=block&after=" + after
		}
		req, err := http.NewRequestWithContext(bounded(t), http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(resp.Body)
			t.Fatalf("seed %d: node %d refuses %q: %s %s", seed, i, after, resp.Status, text)
		}
		kill, left := round%5 == 4, 1+random.IntN(30)
		var killed sync.WaitGroup
		for in := bufio.NewReader(resp.Body); left > 0; {
			line, err := in.ReadString('\n')
			if err != nil {
				break // it was killed
			}
			id, ok := strings.CutPrefix(strings.TrimSpace(line), "id: ")
			if !ok {
				continue
			}
			after = id
			if !strings.HasPrefix(id, fmt.Sprintf("%d-%s-", next, blockAt(t, seq, next).Hash)) {
				t.Fatalf("seed %d: got the event %s, want that of block %d", seed, id, next)
			}
			next++
			if left--; kill && left == 1 {
				killed.Go(func() { nodes[i].stop() })
			}
		}
		_ = resp.Body.Close()
		if kill {
			killed.Go(func() { nodes[i].stop() })
			killed.Wait()
			nodes[i] = start(t, *options[i])
		}
	}
	if next < 40 {
		t.Errorf("seed %d: got %d blocks in all", seed, next)
	}
	for _, n := range nodes {
		n.until(t, "at the last block", safeAt(next-1))
	}
	sameChain(t, next-1, append([]*running{seq}, nodes...)...)
}

// On an L1 a replica goes back with the node that it follows, to what comes in the place of its safe blocks; what is
// proposed again is where that node says that it is now; and finality is that node's. So it is where blocks have no
// signature of their own, and one replica follows the other.
func TestReplicaOnAnL1(t *testing.T) {
	t.Parallel()
	for _, payload := range []uint64{1, l1.CompactVersion} {
		t.Run(fmt.Sprintf("payloads of version %d", payload), func(t *testing.T) {
			t.Parallel()
			testReplicaOnAnL1(t, payload)
		})
	}
}

func testReplicaOnAnL1(t *testing.T, payload uint64) {
	c := newChain(t, "replica-l1")
	c.genesis.DA, c.genesis.DAStartHeight = nil, 0
	c.genesis.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x00000000000000000000000000000000000000aa", StartBlock: 1}
	chain := locall1.New(locall1.Options{Finality: 8})
	var mining sync.Mutex
	goRun(t, "L1", func(ctx context.Context) error {
		each := time.NewTicker(100 * time.Millisecond) // the L1's own clock
		defer each.Stop()
		for {
			select {
			case <-each.C:
				mining.Lock()
				chain.Mine()
				mining.Unlock()
			case <-ctx.Done():
				return nil
			}
		}
	})
	o := c.sequencer(t, "http://127.0.0.1:1", 20*time.Millisecond)
	o.Config.Sequencer.MaxPending, o.Config.L1.Payload = 100_000, payload
	seq := start(t, o.OnL1(newL1Near(chain, trouble{}), chain.Proposer(l1.Address{1})))
	full := start(t, c.full(t, "http://127.0.0.1:1").OnL1(newL1Near(chain, trouble{}), nil))
	replica := start(t, c.replica(t, full.URL()))
	second := start(t, c.replica(t, replica.URL()))
	for _, n := range []*running{replica, second} {
		n.until(t, "at a final block", func(s node.Status) bool {
			return s.Heads.Finalized.Height > 20 && s.Heads.Safe.Height > s.Heads.Finalized.Height
		})
	}
	for range 5 {
		mining.Lock()
		if err := chain.Reorg(chain.Head().Number-4, func() {
			for range 5 {
				chain.Mine()
			}
		}); err != nil {
			t.Error(err)
		}
		mining.Unlock()
		at := seq.Status().Load().Heads.Unsafe.Height
		replica.until(t, "beyond the reorg", safeAt(at))
	}
	if p := full.Status().Load().Proposal; p == nil || p.Reorgs == 0 {
		t.Fatal("no reorg has reached the full node")
	}
	at := full.Status().Load().Heads.Safe.Height
	for _, n := range []*running{full, replica, second} {
		n.until(t, "final", func(s node.Status) bool { return s.Heads.Finalized.Height >= at })
	}
	bare := 0
	for h := uint64(1); h <= at; h++ {
		var blocks []node.Block
		for _, n := range []*running{full, replica, second} {
			var b node.Block
			_, text := ask(t, n, http.MethodGet, fmt.Sprintf("/v1/blocks/%d?signed=true", h), "")
			decode(t, text, &b)
			if b.SignedBytes.Signature == node.Unsigned {
				bare++
			}
			b.SignedBytes = nil // which of them had a signature of its own when it came first may differ
			if n == second {    // where a block has come to be in a reorg, it has not been told by who was told himself
				b.HeaderDAHeight, b.DataDAHeight = blocks[0].HeaderDAHeight, blocks[0].DataDAHeight
			}
			blocks = append(blocks, b)
		}
		if !reflect.DeepEqual(blocks[0], blocks[1]) || !reflect.DeepEqual(blocks[0], blocks[2]) {
			t.Fatalf("got block %d as %+v, want it the same everywhere", h, blocks)
		}
	}
	if (payload == l1.CompactVersion) != (bare > 0) {
		t.Errorf("got %d blocks without a signature of their own with payloads of version %d", bare, payload)
	}
	for _, n := range []*running{replica, second} {
		if e := n.Status().Load().Source.Endpoints[0]; strings.Contains(e.LastError, "signature") || strings.Contains(e.LastError, "not the chain's") {
			t.Errorf("got %+v, want nothing said against the node that is followed", e)
		}
	}
}

// Whoever says that blocks have no signature of their own, and has others than the proposer's, or never one that has a
// signature, is found out, and another node followed.
func TestReplicaOfBareLiars(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.open = true
	l.mine(300)
	s := httptest.NewServer(l.Handler())
	t.Cleanup(s.Close)
	strip := func(change func(h *block.SignedHeader), but uint64) string {
		return bent(t, s.URL, func(b map[string]any) bool {
			raw, _ := json.Marshal(b["signed"])
			var signed node.SignedBytes
			if json.Unmarshal(raw, &signed) != nil {
				return true
			}
			h, err := block.DecodeSignedHeader(signed.Header)
			if err != nil || but > 0 && h.Header.Height%but == 0 {
				return true
			}
			bare := block.SignedHeader{Header: h.Header}
			change(&bare)
			signed.Signature, signed.Header = node.Unsigned, bare.Encode()
			b["signed"] = signed
			return true
		})
	}
	same := func(*block.SignedHeader) {}
	for name, q := range map[string]struct {
		url      string
		from, to uint64
		want     int
		says     string
	}{
		"a run to a signed one":      {strip(same, 10), 3, 11, 8, ""},
		"more than was asked for":    {strip(same, 10), 3, 5, 2, ""},
		"a run over several pages":   {strip(same, 290), 1, 3, 2, ""},
		"one that is another":        {strip(func(h *block.SignedHeader) { h.Header.Time += h.Header.Height / 15 }, 10), 11, 21, 0, "not the chain's"},
		"no signature until the end": {strip(same, 0), 200, 202, 0, follow.ErrNotYet.Error()},
	} {
		m := node.Mirror(q.url, ledgerChain, l.key.Public().Address())
		t.Cleanup(func() { node.CloseIdle(m) })
		next := q.from
		err := m.Fetch(bounded(t), q.from, q.to, func(item follow.Item[*syncer.Replicated]) error {
			if want, err := l.store.Ref(next); err != nil || item.Ref() != want {
				t.Errorf("%s: got block %v, want %v (%v)", name, item.Ref(), want, err)
			}
			next++
			return nil
		})
		if got := int(next - q.from); got != q.want || (err == nil) != (q.says == "") || err != nil && !strings.Contains(err.Error(), q.says) {
			t.Errorf("%s: got %d blocks, %v; want %d, %q", name, got, err, q.want, q.says)
		}
	}
}

// In a catch-up each transaction comes once: what is signed has it. A node of an earlier release, which does not know
// the request, is asked as before.
func TestReplicaAsksForTransactionsOnce(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.mine(40)
	h := l.Handler()
	for _, old := range []bool{false, true} {
		var sent, asked atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if old && r.URL.Query().Has("txs") {
				http.Error(w, `{"error":"there is no parameter txs"}`, http.StatusBadRequest)
				return
			}
			h.ServeHTTP(counting{w, &sent}, r)
		}))
		t.Cleanup(s.Close)
		m := node.Mirror(s.URL, ledgerChain, l.key.Public().Address())
		t.Cleanup(func() { node.CloseIdle(m) })
		got, sum := 0, 0
		for from := uint64(1); from <= 40; from += 20 {
			if err := m.Fetch(bounded(t), from, from+20, func(item follow.Item[*syncer.Replicated]) error {
				rec, err := l.store.Block(item.Height)
				if got++; err == nil {
					sum += len(rec.Block.Header.Encode()) + len(rec.Block.Data.Encode())
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		each, of := int(sent.Load())/got, sum/got
		t.Logf("old %t: %d bytes for a block of %d", old, each, of)
		if want := map[bool]int64{false: 2, true: 3}[old]; got != 40 || asked.Load() != want {
			t.Errorf("old %t: got %d blocks with %d requests, want 40 with %d", old, got, asked.Load(), want)
		}
		if once := each < of*4/3+1000; once == old {
			t.Errorf("old %t: got %d bytes for each block of %d", old, each, of)
		}
	}
}

// counting counts the bytes of answers.
type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counting) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n.Add(int64(n))
	return n, err
}

func (c counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// A node that falls silent, with its connection open, costs a replica that has another one nothing, and one that has
// none its readiness until it is heard again.
func TestReplicaOfASilentNode(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 200*time.Millisecond)
	c := newChain(t, "silent")
	start(t, c.sequencer(t, d.URL(), 50*time.Millisecond))
	full, second := start(t, c.full(t, d.URL())), start(t, c.full(t, d.URL()))
	for _, n := range []*running{full, second} {
		n.until(t, "ready, with a block time", func(s node.Status) bool { return s.Ready && s.Source.BlockTime != "" && s.Heads.Safe.Height > 10 })
	}
	l := link(t, full.URL())
	url := "http://" + l.Address()
	alone, both := start(t, c.replica(t, url)), start(t, c.replica(t, url, second.URL()))
	alone.until(t, "ready", ready)
	both.until(t, "ready", ready)
	l.Freeze(true)
	s := alone.until(t, "not ready", unready)
	if !strings.Contains(s.Reason, url) {
		t.Errorf("got the reason %q, want who is silent", s.Reason)
	}
	at := s.Heads.Safe.Height
	both.until(t, "further, by the other one", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= at+40 })
	l.Freeze(false)
	alone.until(t, "ready again", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= at+40 })
}

// A replica takes blocks before they are safe as a full node does, and promotes them when the node that it follows says
// that they are.
func TestReplicaWithUnsafeBlocks(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 500*time.Millisecond)
	c := newChain(t, "soft-replica")
	o := c.sequencer(t, d.URL(), 20*time.Millisecond)
	o.Config.Sequencer.MaxPending = 100_000
	seq := start(t, o)
	full := start(t, c.full(t, d.URL()))
	r := c.replica(t, full.URL())
	r.Config.Unsafe.From = node.At(seq.URL())
	replica := start(t, r)
	s := replica.until(t, "ahead of what is safe", func(s node.Status) bool {
		return s.Heads.Safe.Height >= 50 && s.Heads.Unsafe.Height >= s.Heads.Safe.Height+5
	})
	before := s.Counts
	s = replica.until(t, "at the next hundred", func(s node.Status) bool { return s.Counts.Promoted >= before.Promoted+100 })
	if c := s.Counts; c.Promoted+c.Executed != s.Heads.Safe.Height || c.RevertedUnsafe+c.SignedTwice+c.Demoted != 0 {
		t.Errorf("got %+v at safe block %d, want each either promoted or executed", c, s.Heads.Safe.Height)
	}
	full.until(t, "there too", safeAt(s.Heads.Safe.Height))
	sameChain(t, s.Heads.Safe.Height, full, replica)
}

// A page of another node has as many blocks as a page may have, and no more are made of it.
func TestPageIsBounded(t *testing.T) {
	blocks := func(n int) string { return `{"blocks":[` + strings.Repeat("{},", n) + `{}],"next":1}` }
	for text, want := range map[string]int{blocks(0): 1, blocks(255): 256, blocks(256): -1, blocks(1e6): -1, `{"blocks":null}`: 0, `{"blocks":[]}`: 0, `{"blocks":{}}`: -1, `{"blocks":[1]}`: -1} {
		if got, err := node.MirroredBlocks(text); (err == nil) != (want >= 0) || got != max(want, 0) {
			t.Errorf("%.60q: got %d blocks, %v, want %d", text, got, err, want)
		}
	}
}
