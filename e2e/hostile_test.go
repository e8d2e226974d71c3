package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/internal/keyfile"
	"headrace/node"
)

var hostileFlag = flag.Duration("hostile", 20*time.Second, "how long the nodes are under attack; from 5m on, times are bounds too")

// maxRSS bounds the memory of a node under attack, in bytes.
const maxRSS = 300 << 20

// TestHostile: strangers do all that they can to a full node and a sequencer, at once: connections that idle, drip and
// do not read, streams, waits, offers of blocks, transactions that are no good, and forged blobs that fill the DA
// layer's blocks. The nodes keep within their memory, answer probes, and every honest transaction is in a block.
func TestHostile(t *testing.T) {
	noteSources(t)
	r := newRollupAt(t, pace{block: 250 * time.Millisecond, da: time.Second})
	for _, s := range r.servers {
		s.start(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.settled(t, 0)
	load := newLoad(r.seq.url)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()

	big := r.bigBlock(ctx, t, load)
	nodes := []*observed{observe(t, r.seq, "sequencer"), observe(t, r.all, "full node")}
	for _, n := range nodes {
		n.calm(t)
		n.follow(ctx, t)
		work.Go(func() { n.probe(ctx) })
		work.Go(n.behind)
	}
	work.Go(func() { nodes[0].production(ctx) })
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var honest sync.WaitGroup
	honest.Go(func() { load.run(loading) })

	end := r.attack(t, big)
	before := r.all.p.told.Load().Safe
	_ = rest(ctx, *hostileFlag) // the attack's length
	for _, n := range nodes {
		if err := n.server.p.told.Err(); err != nil {
			t.Fatalf("the %s has ended under attack: %v\n%s", n.name, err, n.server.p.told.Load().Tail)
		}
	}
	if after := r.all.p.told.Load().Safe; after <= before {
		t.Errorf("the full node stands at block %d under attack: it was at %d before", after, before)
	}
	stop()
	honest.Wait()
	end()
	for _, n := range nodes {
		n.report(t)
	}
	r.whole(t, load)
}

// bigBlock has a block of about a megabyte made, and returns its height: for readers that do not read.
func (r *rollup) bigBlock(ctx context.Context, t *testing.T, l *load) uint64 {
	t.Helper()
	url := r.seq.ready(ctx, t)
	tx := "key-0=" + strings.Repeat("x", 900_000)
	l.sent[tx] = true
	if !l.post(ctx, url, tx) {
		t.Fatal("a big transaction is refused")
	}
	l.accepted[tx] = r.seq.runs
	c := &asker{client: &http.Client{Transport: &http.Transport{}}}
	defer c.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it hangs"))
	defer cancel()
	for height := uint64(1); ; height++ {
		c.status(ctx, t, url, "on", func(s node.Status) bool { return s.Heads.Safe.Height >= height })
		var b node.Block
		c.get(ctx, t, fmt.Sprintf("%s/v1/blocks/%d", url, height), &b)
		if len(b.Txs) == 1 && string(b.Txs[0]) == tx {
			r.progress(ctx, t, height)
			return height
		}
	}
}

// attack starts the process that attacks, and returns what ends it.
func (r *rollup) attack(t *testing.T, big uint64) (end func()) {
	t.Helper()
	key, err := keyfile.Load(filepath.Join(r.home, "seq", "sequencer.key"), "correct horse", keyfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	url := func(s *server) string { return s.url.Load().url }
	orders, err := json.Marshal(attack{
		Nodes: []string{url(r.seq), url(r.all)}, DA: url(r.da), Genesis: filepath.Join(r.home, "seq", "genesis.json"),
		PubKey: key.Public().Encode(), Big: big, Blob: hostileBlob(), Blobs: 4, Every: 4 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(environment(), attackEnv+"="+string(orders))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		_ = hold.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the attacker: %v", err)
		}
		used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		t.Logf("the attacker has used %s of CPU time. %s", used.Round(time.Millisecond), log.String())
	})
	t.Cleanup(end)
	return end
}

// hostileBlob returns the size of a hostile blob: four of them fill a height of 32 MiB when the attack is a long one.
func hostileBlob() int {
	if *hostileFlag < 5*time.Minute {
		return 1_900_000
	}
	return 7_850_000
}

// observed is a node that is watched from outside.
type observed struct {
	name   string
	server *server
	pid    int
	url    string
	status io.ReadCloser // a stream of what it says of itself, begun before the attack

	mu     sync.Mutex // guards the rest
	lags   []uint64   // heights that the position was behind the DA layer's head, at each change of the status
	took   []time.Duration
	failed []error
	gaps   []time.Duration // between blocks made
}

func observe(t *testing.T, s *server, name string) *observed {
	return &observed{name: name, server: s, pid: s.p.cmd.Process.Pid, url: s.url.Load().url}
}

// calm begins the measurement of the process's peak of memory.
func (n *observed) calm(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", n.pid), []byte("5"), 0); err != nil {
		t.Skipf("the peak of a process's memory cannot be measured here: %v", err)
	}
}

// peak returns the most memory that the process has held since calm, in bytes.
func (n *observed) peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// follow opens a stream of the node's status, as an operator's page has one.
func (n *observed) follow(ctx context.Context, t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url+"/v1/events?events=status", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		t.Fatalf("got %s for a stream of the status, want 200", resp.Status)
	}
	n.status = resp.Body
}

// behind notes how far the node's position is behind the DA layer's head, until the stream ends.
func (n *observed) behind() {
	defer n.status.Close()
	lines := bufio.NewReaderSize(n.status, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var s node.Status
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && json.Unmarshal(data, &s) == nil {
			n.mu.Lock()
			n.lags = append(n.lags, s.Source.Lag)
			n.mu.Unlock()
		}
	}
}

// probe asks /readyz as a supervisor does, ten times a second, over a connection of its own.
func (n *observed) probe(ctx context.Context) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	clock := time.NewTicker(100 * time.Millisecond) // the supervisor's pace
	defer clock.Stop()
	for {
		select {
		case <-clock.C:
		case <-ctx.Done():
			return
		}
		start := time.Now()
		err := answered(ctx, client, n.url+"/readyz")
		if ctx.Err() != nil {
			return
		}
		n.mu.Lock()
		if err != nil {
			n.failed = append(n.failed, err)
		} else {
			n.took = append(n.took, time.Since(start))
		}
		n.mu.Unlock()
	}
}

// answered makes a request whose answer says whether the node is ready; either will do.
func answered(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK && !bytes.HasPrefix(body, []byte("not ready")) {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}

// production notes the times between the blocks that the process logs.
func (n *observed) production(ctx context.Context) {
	blocks, last := n.server.p.told.Load().Blocks, time.Now()
	for {
		p, err := n.server.p.told.Wait(ctx, func(p progress) bool { return p.Blocks > blocks })
		if err != nil {
			return
		}
		now := time.Now()
		n.mu.Lock()
		n.gaps = append(n.gaps, now.Sub(last))
		n.mu.Unlock()
		blocks, last = p.Blocks, now
	}
}

// report checks what was observed.
func (n *observed) report(t *testing.T) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	peak := n.peak(t)
	t.Logf("%s: at most %d MiB; %d probes answered, p99 %s, %d not; %d blocks, longest gap %s; of %d looks, at most %d heights behind", n.name, peak>>20,
		len(n.took), percentile(n.took, 99), len(n.failed), len(n.gaps), percentile(n.gaps, 100), len(n.lags), slices.Max(append(n.lags, 0)))
	if len(n.lags) == 0 {
		t.Errorf("the %s has streamed no status", n.name)
	}
	if peak > maxRSS {
		t.Errorf("the %s held %d MiB under attack, want at most %d", n.name, peak>>20, maxRSS>>20)
	}
	if len(n.failed) > 0 {
		t.Errorf("the %s has not answered %d of %d probes, the last: %v", n.name, len(n.failed), len(n.failed)+len(n.took), n.failed[len(n.failed)-1])
	}
	if *hostileFlag < 5*time.Minute {
		return // too short, on a machine that does other things beside, for a time to prove anything
	}
	if p99 := percentile(n.took, 99); p99 > time.Second {
		t.Errorf("the %s has answered probes after %s (p99), want a second at most", n.name, p99)
	}
	if lag := slices.Max(n.lags); lag > 3 {
		t.Errorf("the %s was %d heights behind the DA layer's head, want three at most", n.name, lag)
	}
	if gap := percentile(n.gaps, 100); gap > 3*250*time.Millisecond {
		t.Errorf("the %s made no block for %s, want three block times at most", n.name, gap)
	}
}

// percentile returns the time that p percent of the times are at or below; zero if there are none.
func percentile(times []time.Duration, p int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[max(len(sorted)*p/100, 1)-1].Round(time.Millisecond)
}

// whole checks, when the attack is over, that both nodes have the same blocks, with every transaction that was
// accepted, once.
func (r *rollup) whole(t *testing.T, l *load) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*patience, errors.New("it hangs"))
	defer cancel()
	c := &asker{client: &http.Client{Transport: &http.Transport{}}}
	defer c.client.CloseIdleConnections()
	seq, full := r.seq.ready(ctx, t), r.all.ready(ctx, t)
	height := c.status(ctx, t, seq, "answering", func(node.Status) bool { return true }).Heads.Unsafe.Height + 2
	var ours []node.Block
	for i, url := range []string{seq, full} {
		c.status(ctx, t, url, fmt.Sprintf("ready, with block %d", height), func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= height })
		chain := c.chain(ctx, t, url, height)
		if i == 0 {
			ours = chain
		}
		for j := range chain {
			if chain[j].Hash != ours[j].Hash || !bytes.Equal(chain[j].StateRoot, ours[j].StateRoot) {
				t.Fatalf("got block %d %s on the full node, want the sequencer's %s", j+1, chain[j].Hash, ours[j].Hash)
			}
		}
	}
	l.check(t, ours, r.seq.runs)
}
