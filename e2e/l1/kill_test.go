package l1_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/await/ethereum"
	"headrace/block"
	"headrace/devnet/geth"
	"headrace/l1"
	"headrace/node"
)

// built is the directory of what command builds; empty while that is nothing.
var built string

// command builds headrace once.
var command = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "headrace-e2e-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "headrace")
	out, err := exec.Command("go", "build", "-o", path, "headrace/cmd/headrace").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build headrace: %w: %s", err, out)
	}
	return path, err
})

// process is a node as a process, and what outlives its runs.
type process struct {
	w    *world
	path string
	home string
	args []string

	mu   sync.Mutex // guards the rest
	cmd  *exec.Cmd
	dead chan struct{} // closed when cmd has ended
	log  bytes.Buffer
}

func newProcess(w *world, engine string, g *geth.Node) *process {
	w.t.Helper()
	path, err := command()
	w.check(err)
	p := &process{w: w, path: path, home: filepath.Join(w.t.TempDir(), "home")}
	genesis := filepath.Join(w.t.TempDir(), "genesis.json")
	w.check(os.WriteFile(genesis, w.genesis.Encode(), 0o600))
	p.args = []string{
		"--home", p.home, "--http.address", "127.0.0.1:0", "--l1.ws", w.inbox.Client.WS[0].URL, "--l1.http", w.inbox.Client.HTTP[0].URL, "--l1.beacon", w.inbox.Client.Beacon[0].URL,
		"--engine.kind", "engineapi", "--engine.url", engine, "--engine.jwt_file", filepath.Join(g.Dir(), "jwt.hex"), "--engine.genesis_file", w.l2,
	}
	out, err := exec.CommandContext(w.ctx, path, append([]string{"init", "--genesis", genesis}, p.args...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("init: %v: %s", err, out)
	}
	w.t.Cleanup(p.kill)
	return p
}

// start runs the node's next process, and returns where it serves.
func (p *process) start() string {
	p.w.t.Helper()
	cmd := exec.Command(p.path, "start", "--home", p.home, "--log.level", "warn")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "HEADRACE_") }) // the tests' switches are no settings
	stdout, err := cmd.StdoutPipe()
	p.w.check(err)
	stderr, err := cmd.StderrPipe()
	p.w.check(err)
	dead := make(chan struct{})
	p.mu.Lock() // a kill finds the process as soon as it runs
	err = cmd.Start()
	if err == nil {
		p.cmd, p.dead = cmd, dead
	}
	p.mu.Unlock()
	p.w.check(err)
	url := make(chan string, 1) // the first line
	var pipes sync.WaitGroup
	pipes.Go(func() {
		out := bufio.NewReader(stdout)
		line, _ := out.ReadString('\n')
		url <- strings.TrimSpace(line)
		_, _ = io.Copy(io.Discard, out)
	})
	pipes.Go(func() {
		raw, _ := io.ReadAll(stderr)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.log.Write(raw)
	})
	go func() { pipes.Wait(); _ = cmd.Wait(); close(dead) }() // ends with the process
	select {
	case u := <-url:
		return u
	case <-p.w.ctx.Done():
		p.w.t.Fatalf("the process says nothing: %v", p.w.ctx.Err())
		return ""
	}
}

// kill ends the process with SIGKILL, and waits for its end.
func (p *process) kill() {
	p.mu.Lock()
	cmd, dead := p.cmd, p.dead
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill() // or it has ended already
		<-dead
	}
}

func (p *process) get(url string, into any) {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(p.w.ctx, patience+10*time.Second) // it bounds its own waits by patience
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	p.w.check(err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		p.kill()
		p.w.t.Fatalf("get %s: %v; the process has said:\n%s", url, err, p.log.String())
	}
	defer resp.Body.Close()
	p.w.check(json.NewDecoder(resp.Body).Decode(into))
}

// reach waits until the node has applied proposal id, and checks that it has no other and that it ends with block tip.
func (p *process) reach(url string, id uint64, tip *block.Block) {
	p.w.t.Helper()
	var waited node.Waited
	p.get(fmt.Sprintf("%s/v1/wait?proposal=%d&timeout=%s", url, id, patience), &waited)
	if waited.Result != "reached" || waited.Heads.Safe != tip.Ref() || waited.Proposal.ID != id || waited.Proposal.Void != "" {
		p.kill()
		p.w.t.Fatalf("got %+v, proposal %+v; want proposal %d with block %v; the process has said:\n%s", waited, waited.Proposal, id, tip.Ref(), p.log.String())
	}
}

// holds checks that the node has exactly these blocks, all canonical, and counted no void proposal.
func (p *process) holds(url string, want []*block.Block) {
	p.w.t.Helper()
	var s node.Status
	p.get(url+"/v1/status", &s)
	if last := want[len(want)-1].Ref(); s.Counts.Void != 0 || s.Heads.Unsafe != last || s.Heads.Safe != last {
		p.w.t.Fatalf("got %+v, heads %+v, want no void proposal, and block %v as both heads", s.Counts, s.Heads, last)
	}
	for i, b := range want {
		var got node.Block
		p.get(fmt.Sprintf("%s/v1/blocks/%d", url, i+1), &got)
		if got.Hash != b.Hash().String() || !got.Safe || len(got.Txs) != len(b.Data.Txs) {
			p.w.t.Fatalf("block %d: got %s with %d transactions, want %s with %d", i+1, got.Hash, len(got.Txs), b.Hash(), len(b.Data.Txs))
		}
	}
}

// TestKilled is E5: the node is killed, alone, with its execution client, or the client alone, when a block has been
// handed over, when it has been made the head, and when it has been stored. Each time it comes back with the same
// chain: no block is lost, none twice, and no proposal is void.
func TestKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events.in(chosenHow(t)), l1.Settings{}, 2)
	a, g := w.author(), w.execution()
	tap := newTap(t, g.Engine())
	p := newProcess(w, tap.url, g)
	url := p.start()
	id := uint64(0)
	reach := func() { t.Helper(); p.reach(url, id, a.tip()) }
	id++
	w.propose(a.many(2)...)
	reach()
	for _, point := range []string{"engine_newPayload", "engine_forkchoiceUpdated", ""} {
		for _, victim := range []string{"node", "client", "both"} {
			began := time.Now()
			killed := make(chan struct{}) // closed when the victims are dead
			kill := sync.OnceFunc(func() {
				if victim != "client" {
					p.kill()
				}
				if victim != "node" {
					g.Kill()
				}
				close(killed)
			})
			blocks := a.many(2)
			tap.then(func(method string) {
				if method == point {
					kill()
				}
			})
			id++
			w.propose(blocks...)
			if point == "" {
				reach()
				kill()
			}
			select {
			case <-killed:
			case <-w.ctx.Done():
				t.Fatalf("%s: never called", point)
			}
			tap.then(nil)
			if victim != "node" {
				w.check(g.Restart(w.ctx))
			}
			if victim != "client" {
				url = p.start()
			}
			reach()
			w.mine() // news of an L1 block without a proposal is occasion enough to look at the client
			ctx, cancel := context.WithTimeout(w.ctx, patience)
			_, err := ethereum.Canonical(ctx, ethereum.New(g.WS(), ethereum.Options{}), a.tip().Height(), execution(t, a.tip()), 0)
			cancel()
			if err != nil {
				t.Fatalf("%s killed after %q: the client is not brought up to block %d: %v", victim, point, a.tip().Height(), err)
			}
			id++
			w.propose(a.many(1)...)
			reach()
			t.Logf("%s killed after %q: there again in %s", victim, point, time.Since(began).Round(time.Millisecond))
		}
	}
	p.holds(url, a.blocks)
}
