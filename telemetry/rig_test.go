// Package telemetry_test runs whole nodes, and asks them as the tools of operators do.
package telemetry_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/block"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/node"
	"headrace/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait: what takes longer on a busy machine hangs.
const patience = 2 * time.Minute

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// goRun calls run in the background until the test, or the function returned, ends it.
func goRun(t *testing.T, what string, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := run(ctx); err != nil {
			t.Errorf("%s: got %v after its context's end, want nil", what, err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); work.Wait() })
	t.Cleanup(stop)
	return stop
}

// daLayer runs a DA layer until the test ends.
func daLayer(t *testing.T, interval time.Duration) *devnet.DA {
	t.Helper()
	d, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: interval}})
	if err != nil {
		t.Fatal(err)
	}
	goRun(t, "DA layer", d.Run)
	return d
}

// onDA returns the options of nodes of a new chain on a DA layer: of its sequencer, and of full nodes.
func onDA(t *testing.T, d *devnet.DA, blockTime time.Duration) (sequencer, full func() node.Options) {
	t.Helper()
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	genesis := &block.Genesis{
		ChainID: "figures", StartTime: time.Now().UTC(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "figures-headers", DataNamespace: "figures-data"},
	}
	full = func() node.Options {
		o := node.Options{Home: t.TempDir(), Genesis: genesis, Config: node.Default()}
		o.Config.DA.Address = node.At(d.URL())
		o.Config.HTTP.Address = "127.0.0.1:0"
		return o
	}
	return func() node.Options {
		o := full()
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime = key, true, blockTime
		return o
	}, full
}

// measured runs a node with figures until the test ends.
func measured(t *testing.T, o node.Options) (*node.Node, *telemetry.Metrics) {
	t.Helper()
	m := telemetry.NewMetrics()
	o.Observer, o.Handlers = m.Observer(), map[string]http.Handler{"GET /metrics": m}
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(n)
	goRun(t, "node", n.Run)
	return n, m
}

// get asks for a path, and returns the answer.
func get(t *testing.T, url string, edit ...func(*http.Request)) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(bounded(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	for _, e := range edit {
		e(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
