// Package node_test runs whole nodes against a DA layer that is away, silent, broken or another one, and looks at them as an operator does: by their
// status and over HTTP.
package node_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/block"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/devnet/proxy"
	"headrace/internal/latetest"
	"headrace/node"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(crowdEnv); address != "" {
		if err := runCrowd(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if of := os.Getenv(fanEnv); of != "" {
		if err := runFan(of, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait: what takes longer on a busy machine hangs.
const patience = 2 * time.Minute

// prompt is how long New and a stop may take, whatever the network does: a second, and what a busy machine takes longer.
// Every timeout of the network is longer. While the machine stood still, no time passed.
const prompt = 8 * time.Second

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// goRun calls run in the background. The function returned ends it, checks that it returns nil, and tells how long that took; it may be called again, and the test's
// end calls it too.
func goRun(t testing.TB, what string, run func(context.Context) error) (stop func() time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // run's result
	go func() { ended <- run(ctx) }()
	stop = sync.OnceValue(func() time.Duration {
		begin := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: got %v after its context's end, want nil", what, err)
		}
		return time.Since(begin)
	})
	t.Cleanup(func() { stop() })
	return stop
}

// daLayer runs a DA layer until the test or stop ends it.
func daLayer(t testing.TB, listen, dir string, interval time.Duration) (d *devnet.DA, stop func() time.Duration) {
	t.Helper()
	d, err := devnet.NewDA(devnet.DAOptions{Listen: listen, Chain: local.Options{Interval: interval, Dir: dir}})
	if err != nil {
		t.Fatal(err)
	}
	return d, goRun(t, "DA layer", d.Run)
}

// link runs a proxy to url until the test ends.
func link(t *testing.T, url string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New(strings.TrimPrefix(url, "http://"), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return p
}

// chain is a rollup's identity.
type chain struct {
	key     *block.PrivateKey
	genesis *block.Genesis
}

func newChain(t testing.TB, id string) chain {
	t.Helper()
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return chain{key, &block.Genesis{
		ChainID: id, StartTime: time.Now().UTC(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: id + "-headers", DataNamespace: id + "-data"},
	}}
}

// full returns the options of a full node with a home of its own.
func (c chain) full(t testing.TB, url string) node.Options {
	o := node.Options{Home: t.TempDir(), Genesis: c.genesis, Config: node.Default()}
	o.Config.DA.Address = node.At(url)
	o.Config.HTTP.Address = "127.0.0.1:0"
	return o
}

// sequencer returns the options of the sequencer with a home of its own.
func (c chain) sequencer(t testing.TB, url string, blockTime time.Duration) node.Options {
	o := c.full(t, url)
	o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime = c.key, true, blockTime
	return o
}

// running is a node at work.
type running struct {
	*node.Node
	stop func() time.Duration
}

func start(t testing.TB, o node.Options) *running {
	t.Helper()
	late, begin := latetest.New(t), time.Now()
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > prompt+late.Total(begin) {
		t.Errorf("New took %s, and the machine was late by %s", took, late.Total(begin))
	}
	late.Stop()
	return &running{n, goRun(t, "node", n.Run)}
}

// until waits for a status that satisfies pred.
func (n *running) until(t testing.TB, what string, pred func(node.Status) bool) node.Status {
	t.Helper()
	s, err := n.Status().Wait(bounded(t), pred)
	if err != nil {
		t.Fatalf("node is not %s: %v: %+v", what, err, s)
	}
	return s
}

func ready(s node.Status) bool   { return s.Ready }
func unready(s node.Status) bool { return !s.Ready }

// stopped fails the test unless n stops promptly.
func (n *running) stopped(t *testing.T) {
	t.Helper()
	late, begin := latetest.New(t), time.Now()
	defer late.Stop()
	if took := n.stop(); took > prompt+late.Total(begin) {
		t.Errorf("got a stop that took %s, want at most %s; the machine was late by %s", took, prompt, late.Total(begin))
	}
}
