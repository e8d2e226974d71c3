// Package before_test runs the binary of before: what the releases out there do when a chain goes on in what they do not
// know. The binary is built from the commit before that in this repository's history, in a folder of the test's own. Where
// the history does not reach so far, or the binary cannot be built, the tests are skipped.
package before_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"headrace/block"
	"headrace/devnet"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/node"
)

// patience is only for a test that hangs.
const patience = 5 * time.Minute

// buildTime is how long the build may take. Where it takes longer the test is skipped: it says nothing about the machine.
const buildTime = 4 * time.Minute

// git returns what a command of git prints, about the repository that this package is in. Where there is none the test is
// skipped.
func git(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", filepath.Join("..", "..")}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("the history does not reach so far: git %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// before builds headrace as it was before a file came into the repository.
func before(t *testing.T, file string) string {
	t.Helper()
	added := strings.Fields(string(git(t, "log", "--diff-filter=A", "--format=%H", "--", file)))
	if len(added) == 0 {
		t.Skipf("the history does not reach so far: it has no commit that added %s", file)
	}
	dir := t.TempDir()
	source := tar.NewReader(bytes.NewReader(git(t, "archive", "--format=tar", added[len(added)-1]+"^")))
	for {
		head, err := source.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
		path := filepath.Join(dir, filepath.FromSlash(head.Name))
		if head.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(head.Name)) {
			continue
		}
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		raw, err := io.ReadAll(source)
		check(t, err)
		check(t, os.WriteFile(path, raw, os.FileMode(head.Mode)&0o777))
	}
	binary := filepath.Join(dir, "headrace-before")
	ctx, cancel := context.WithTimeout(t.Context(), buildTime)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", binary, "./cmd/headrace")
	build.Dir, build.WaitDelay = dir, time.Minute
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("the binary of before cannot be built here: %v: %s", errors.Join(err, ctx.Err()), out)
	}
	return binary
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// environment is that of this test without Headrace's own variables.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "HEADRACE_") {
			env = append(env, v)
		}
	}
	return env
}

// old is a full node that runs the binary of before.
type old struct {
	t   *testing.T
	url string
	end func() (log string) // ends it, and returns what it has logged
}

// start makes a home with a genesis, and runs the node on it.
func start(t *testing.T, binary string, genesis *block.Genesis, args ...string) *old {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "genesis.json")
	check(t, os.WriteFile(file, genesis.Encode(), 0o600))
	home := filepath.Join(dir, "home")
	initial := exec.CommandContext(t.Context(), binary, append([]string{"init", "--home", home, "--genesis", file, "--http.address", "127.0.0.1:0"}, args...)...)
	initial.Env = environment()
	if out, err := initial.CombinedOutput(); err != nil {
		t.Fatalf("init: %v: %s", err, out)
	}
	cmd := exec.Command(binary, "start", "--home", home)
	cmd.Env = environment()
	var log bytes.Buffer // written by the process until it has ended
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	first := make(chan string, 1) // sent by the goroutine below, once: the first line is where it serves
	var reads sync.WaitGroup
	reads.Go(func() {
		var line [256]byte
		n, _ := stdout.Read(line[:])
		url, _, _ := strings.Cut(string(line[:n]), "\n")
		first <- url
		_, _ = io.Copy(io.Discard, stdout)
	})
	end := sync.OnceValue(func() string {
		_ = cmd.Process.Kill() // or it has ended already
		reads.Wait()
		_ = cmd.Wait()
		return log.String()
	})
	t.Cleanup(func() { end() })
	url := <-first
	if !strings.HasPrefix(url, "http") {
		t.Fatalf("it serves nowhere, and says:\n%s", end())
	}
	return &old{t, url, end}
}

// status is what this test wants to know of that of the binary of before.
type status struct {
	Heads    struct{ Safe block.Ref }
	Counts   struct{ Void uint64 }
	Proposal struct {
		ID   uint64
		Void string
	}
	Result string // of a wait
}

// reach waits until the node has passed a proposal, good or void.
func (o *old) reach(id uint64) (s status) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), patience)
	defer cancel()
	for _, path := range []string{fmt.Sprintf("/v1/wait?proposal=%d&timeout=%s", id, patience), "/v1/status"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+path, nil)
		check(o.t, err)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err != nil {
			o.t.Fatalf("get %s: %v; the node has said:\n%s", path, err, o.end())
		}
		raw, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		check(o.t, err)
		check(o.t, json.Unmarshal(raw, &s))
		if s.Proposal.ID < id {
			o.t.Fatalf("get %s: got %s, want it to be at proposal %d; the node has said:\n%s", path, raw, id, o.end())
		}
	}
	return s
}

// world is a chain on an L1 with a node of this release that proposes.
type world struct {
	t       *testing.T
	inbox   *devnet.Inbox
	genesis *block.Genesis
	key     *block.PrivateKey
	home    string // of the sequencer
	l1key   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	gethtest.Binary(t) // or skip
	inbox, err := devnet.OpenInbox(t.Context(), devnet.InboxOptions{Dir: t.TempDir()})
	check(t, err)
	t.Cleanup(func() { _ = inbox.Close() })
	key, err := block.GenerateKey(block.Ed25519)
	check(t, err)
	l1key := filepath.Join(t.TempDir(), "l1.key")
	check(t, os.WriteFile(l1key, []byte(hex.EncodeToString(crypto.FromECDSA(geth.DevKey(1)))), 0o600))
	return &world{t: t, inbox: inbox, key: key, l1key: l1key, home: t.TempDir(), genesis: &block.Genesis{
		ChainID: "before", StartTime: time.Unix(1_700_000_000, 0).UTC(), InitialHeight: 1, ProposerAddress: key.Public().Address(),
		L1: &block.GenesisL1{ChainID: inbox.Client.ChainID, Inbox: inbox.Client.Inbox.String(), StartBlock: inbox.Client.StartBlock},
	}}
}

// run starts a node of this release. stop ends it.
func (w *world) run(home string, change func(*node.Options)) (n *node.Node, stop func()) {
	w.t.Helper()
	c := node.Default()
	c.HTTP.Address = "127.0.0.1:0"
	c.L1.BlockTime, c.L1.WS, c.L1.HTTP = "on-demand", w.inbox.Client.WS, w.inbox.Client.HTTP
	opt := node.Options{Home: home, Genesis: w.genesis, Config: c}
	if change != nil {
		change(&opt)
	}
	n, err := node.New(opt)
	check(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // Run's result
	go func() { ended <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: got %v after its context's end, want nil", err)
		}
	})
	w.t.Cleanup(stop)
	return n, stop
}

// sequence runs the sequencer, with payloads of a version, until it has seen n more of its proposals than there were, and
// returns the status then. No proposal is under way after that.
func (w *world) sequence(payload uint64, n uint64) (s node.Status) {
	w.t.Helper()
	seq, stop := w.run(w.home, func(o *node.Options) {
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime, o.Config.L1.KeyFile = w.key, true, 100*time.Millisecond, w.l1key
		o.Config.L1.Payload = payload
	})
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	from := uint64(0)
	check(w.t, w.inbox.WhileMining(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		if p := seq.Status().Load().Proposal; p != nil {
			from = p.ID
		}
		if err := w.hand(ctx, seq, "start"); err != nil {
			return err
		}
		_, err := seq.Status().Wait(ctx, func(s node.Status) bool { return s.Proposal != nil && s.Proposal.ID >= from+n })
		if err != nil {
			return err
		}
		if err := w.hand(ctx, seq, "stop"); err != nil {
			return err
		}
		s, err = seq.Status().Wait(ctx, func(s node.Status) bool { return s.Sequencer.Pending == 0 && s.Sequencer.Flight == nil })
		return err
	}))
	stop()
	return s
}

// hand stops or starts the making of blocks.
func (w *world) hand(ctx context.Context, n *node.Node, what string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL()+"/v1/sequencer/"+what, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", what, resp.Status)
	}
	return nil
}

// TestPayloadVersion2: the release before version 2 of the payloads finds such proposals void, says "payload version 2", in
// its log and in its status, and gets no further. This release follows the same chain from an empty store. So nodes come
// first, and then the sequencer's setting.
func TestPayloadVersion2(t *testing.T) {
	w := newWorld(t)
	binary := before(t, "l1/compact/compact.go")
	o := start(t, binary, w.genesis, "--l1.ws", w.inbox.Client.WS[0].URL, "--l1.http", w.inbox.Client.HTTP[0].URL)
	first := w.sequence(1, 3)
	s := o.reach(first.Proposal.ID)
	if s.Counts.Void != 0 || s.Heads.Safe != first.Heads.Safe {
		t.Fatalf("of proposals in version 1 the binary of before has %+v, want the safe block %+v and none void", s, first.Heads.Safe)
	}
	second := w.sequence(2, 3)
	s = o.reach(second.Proposal.ID)
	if s.Counts.Void != second.Proposal.ID-first.Proposal.ID || s.Heads.Safe != first.Heads.Safe || !strings.Contains(s.Proposal.Void, "payload version 2") {
		t.Errorf("of proposals in version 2 the binary of before has %+v, want all %d void, by their version", s, second.Proposal.ID-first.Proposal.ID)
	}
	if log := o.end(); !strings.Contains(log, "payload version 2") {
		t.Errorf("the binary of before names no version in its log:\n%s", log)
	}
	n, _ := w.run(t.TempDir(), nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	now, err := n.Status().Wait(ctx, func(s node.Status) bool { return s.Proposal != nil && s.Proposal.ID == second.Proposal.ID })
	if err != nil || now.Counts.Void != 0 || now.Heads.Safe != second.Heads.Safe || now.Heads.Safe == first.Heads.Safe {
		t.Errorf("this release has %+v, %v, want the safe block %+v", now.Heads, err, second.Heads.Safe)
	}
}
