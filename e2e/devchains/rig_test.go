// Package devchains_test runs rollups whose L1 is a chain that people develop contracts against: a real Anvil, Ganache and Hardhat, as
// npm has them. A kind that cannot be fetched is skipped, and the reason given. What is tested here of one client or another is tested
// elsewhere with geth, and with a gateway before it that lacks what these lack.
package devchains_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/block"
	"headrace/devnet/devchain"
	"headrace/devnet/devchain/devchaintest"
	"headrace/devnet/program"
	"headrace/node"
)

// patience bounds every wait: what takes longer on a busy machine hangs.
const patience = 2 * time.Minute

// binary is the command under test.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "headrace-devchains-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "headrace")
	if out, err := exec.Command("go", "build", "-o", binary, "headrace/cmd/headrace").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build headrace: %v\n%s", err, out)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// world is a chain with an inbox, and the key of a rollup's proposer.
type world struct {
	t       *testing.T
	ctx     context.Context // of the test, bounded
	chain   *devchain.Chain
	l1key   string // a file
	inbox   string
	start   uint64 // the block of its deployment
	key     *block.PrivateKey
	genesis *block.Genesis
}

// noteSources looks at all of the module's sources, for go test: it notes which files a test looks at, and then knows that a result it kept
// is stale when one of them has changed. The command is not among what this package imports.
func noteSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2:
			return fs.SkipDir
		case strings.HasSuffix(path, ".go"), d.Name() == "go.mod":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newWorld starts a chain and deploys an inbox on it, with the command.
func newWorld(t *testing.T, kind devchain.Kind, opt devchain.Options) *world {
	t.Helper()
	noteSources(t)
	w := &world{t: t, chain: devchaintest.Open(t, kind, opt), l1key: filepath.Join(t.TempDir(), "l1.key")}
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	w.ctx = ctx
	w.check(os.WriteFile(w.l1key, []byte(devchain.Key), 0o600))
	var made struct {
		ChainID    uint64 `json:"chain_id"`
		Inbox      string `json:"inbox"`
		StartBlock uint64 `json:"start_block"`
	}
	w.check(json.Unmarshal([]byte(w.headrace("inbox", "deploy", "--l1.http", w.chain.HTTP(), "--l1.key_file", w.l1key, "--forced-delay", "0s")), &made))
	w.inbox, w.start = made.Inbox, made.StartBlock
	var err error
	w.key, err = block.GenerateKey(block.Ed25519)
	w.check(err)
	w.genesis = &block.Genesis{
		ChainID: "devchains", StartTime: time.Unix(1_700_000_000, 0).UTC(), InitialHeight: 1, ProposerAddress: w.key.Public().Address(),
		L1: &block.GenesisL1{ChainID: made.ChainID, Inbox: made.Inbox, StartBlock: made.StartBlock},
	}
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// headrace runs the command to its end, which must be a success, and returns its standard output.
func (w *world) headrace(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = environment()
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		w.t.Fatalf("headrace %s: %v\n%s", strings.Join(args, " "), err, log.String())
	}
	return out.String()
}

// environment is that of this test without Headrace's own variables, with a passphrase.
func environment() []string {
	env := []string{"HEADRACE_PASSPHRASE=of a test"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "HEADRACE_") {
			env = append(env, v)
		}
	}
	return env
}

// member is a node.
type member struct {
	*node.Node
	w    *world
	stop func()
}

// run starts a node, which lasts as long as the test, or until it is stopped.
func (w *world) run(change func(*node.Options)) *member {
	w.t.Helper()
	c := node.Default()
	c.HTTP.Address = "127.0.0.1:0"
	c.L1.BlockTime, c.L1.WS, c.L1.Finality = "on-demand", node.At(w.chain.WS()), "64"
	opt := node.Options{Home: w.t.TempDir(), Genesis: w.genesis, Config: c}
	change(&opt)
	n, err := node.New(opt)
	w.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // Run's result
	go func() { ended <- n.Run(ctx) }()
	m := &member{Node: n, w: w, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: got %v after its context's end, want nil", err)
		}
	})}
	w.t.Cleanup(m.stop)
	return m
}

var howFlag = flag.String("proposals", "", "version of the payloads in which blocks are proposed, in all tests: 1 or 2; empty: each test has one of them. Always in call data")

// payload is the version in which a test's sequencer proposes. Blobs are not for these chains: they give no transactions root by which a block with one could be
// checked, or know none.
func payload(t *testing.T) uint64 {
	t.Helper()
	switch version, _, _ := strings.Cut(*howFlag, "-"); version {
	case "1":
		return 1
	case "2":
		return 2
	case "":
	default:
		t.Fatalf("-proposals is %q, want 1 or 2", *howFlag)
	}
	sum := fnv.New32a()
	sum.Write([]byte(t.Name()))
	return 1 + uint64(sum.Sum32()%2)
}

// sequencer starts the node that makes blocks.
func (w *world) sequencer(change func(*node.Options)) *member {
	w.t.Helper()
	return w.run(func(o *node.Options) {
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime, o.Config.L1.KeyFile = w.key, true, 200*time.Millisecond, w.l1key
		o.Config.L1.Payload = payload(w.t)
		if change != nil {
			change(o)
		}
	})
}

// overHTTP is a change that leaves a node no WebSocket.
func (w *world) overHTTP(o *node.Options) {
	o.Config.L1.WS, o.Config.L1.HTTP = nil, node.At(w.chain.HTTP())
}

// until waits until the node's status satisfies pred.
func (m *member) until(what string, pred func(node.Status) bool) node.Status {
	m.w.t.Helper()
	ctx, cancel := context.WithTimeout(m.w.ctx, patience)
	defer cancel()
	s, err := m.Status().Wait(ctx, pred)
	if err != nil {
		m.w.t.Fatalf("node is not at %s: %v; status %+v; proposal %+v", what, err, s, s.Proposal)
	}
	return s
}

// safe waits until a block of this height is canonical.
func (m *member) safe(height uint64) node.Status {
	m.w.t.Helper()
	return m.until(fmt.Sprintf("safe block %d", height), func(s node.Status) bool { return s.Heads.Safe.Height >= height })
}

// still calls do while the sequencer proposes nothing. A dev chain takes no care of a block that is being mined when its state is noted,
// or put back: the state is then not that of any of its blocks, and no proposal has a place there.
func (m *member) still(do func()) {
	m.w.t.Helper()
	m.w.headrace("sequencer", "stop", "--node", m.URL())
	m.until("all blocks proposed", func(s node.Status) bool { return s.Sequencer.Pending == 0 && s.Sequencer.Flight == nil })
	do()
	m.w.headrace("sequencer", "start", "--node", m.URL())
}

// snapshot notes the state of the dev chain.
func (m *member) snapshot() (id string) {
	m.w.t.Helper()
	m.still(func() {
		var err error
		id, err = m.w.chain.Snapshot(m.w.ctx)
		m.w.check(err)
	})
	return id
}

// put sends the sequencer a transaction, and waits until each of the nodes has the block with it, by its proposal.
func (m *member) put(key, value string, nodes ...*member) {
	m.w.t.Helper()
	m.w.check(m.SubmitTx(m.w.ctx, fmt.Appendf(nil, "%s=%s", key, value)))
	m.w.has(key, value, nodes...)
}

// has waits until each of the nodes has a value. It looks with each block: what a value is, is known at none before.
func (w *world) has(key, value string, nodes ...*member) {
	w.t.Helper()
	for _, m := range nodes {
		for height := m.Status().Load().Heads.Safe.Height; m.value(key) != value; height++ {
			m.safe(height + 1)
		}
	}
}

func (m *member) value(key string) string {
	m.w.t.Helper()
	resp, err := http.Get(m.URL() + "/v1/kv/" + key)
	m.w.check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	m.w.check(err)
	var got struct{ Value string }
	_ = json.Unmarshal(body, &got) // none
	return got.Value
}

// agree fails the test unless the nodes come to have the same blocks up to a height.
func (w *world) agree(height uint64, nodes ...*member) {
	w.t.Helper()
	for _, m := range nodes {
		m.safe(height)
	}
	for h := uint64(1); h <= height; h++ {
		want, err := nodes[0].Block(h)
		w.check(err)
		for _, m := range nodes[1:] {
			if got, err := m.Block(h); err != nil || got.Hash != want.Hash || !bytes.Equal(got.StateRoot, want.StateRoot) {
				w.t.Fatalf("block %d: got %+v, %v, want %+v", h, got, err, want)
			}
		}
	}
}

// spawn starts the command's own node, and returns its URL.
func (w *world) spawn(home string) string {
	w.t.Helper()
	url := make(chan string, 1) // sent to once, by the reader of the output
	p, err := program.Start(program.Options{
		Path: binary, Args: []string{"start", "--home", home}, Env: []string{"HEADRACE_PASSPHRASE=of a test"}, Log: filepath.Join(w.t.TempDir(), "node.log"),
		Line: func(line string) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "http://") {
				url <- line
			}
		},
	})
	w.check(err)
	w.t.Cleanup(p.Kill)
	select {
	case at := <-url:
		return at
	case <-p.Done():
	case <-w.ctx.Done():
	}
	w.t.Fatalf("headrace start ended, or hangs:\n%s", p.Tail())
	return ""
}

// otherKey is a file with the key of an account that the sequencer does not use.
func (w *world) otherKey() string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "other.key")
	w.check(os.WriteFile(path, []byte(devchain.OtherKey), 0o600))
	return path
}
