package devnet_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"testing"
	"time"

	"headrace/block"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/node"
)

var (
	chaosFor  = flag.Duration("chaos.for", 2*time.Minute, "how long TestReadyThroughChaos looks")
	chaosSeed = flag.Uint64("chaos.seed", 7, "of its faults")
)

// TestReadyThroughChaos: under faults mixed by chance a monitor samples a full node as an operator's does. The safe head
// has at no time stood for more than three block times of the layer while /readyz said 200, and something was said to
// wait whenever it had (I5). It goes on with -chaos.for 20m.
func TestReadyThroughChaos(t *testing.T) {
	const layer, sample = 2 * time.Second, 2 * time.Second
	const late = 200 * time.Millisecond // what a busy machine's clocks may be late by; the samples come in step with the blocks
	faults := new(fault.Set)
	faults.Seed(*chaosSeed)
	defer faults.Clear()
	d, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: layer}, Handler: celestia.HandlerOptions{Faults: faults}})
	if err != nil {
		t.Fatal(err)
	}
	background(t, d.Run)
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	genesis := &block.Genesis{
		ChainID: "chaos", StartTime: time.Now().UTC(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"},
	}
	start := func(tune func(*node.Options)) *node.Node {
		o := node.Options{Home: t.TempDir(), Genesis: genesis, Config: node.Default()}
		o.Config.DA.Address, o.Config.DA.BlockTime, o.Config.HTTP.Address = node.At(d.URL()), layer, "127.0.0.1:0"
		tune(&o)
		n, err := node.New(o)
		if err != nil {
			t.Fatal(err)
		}
		background(t, n.Run)
		return n
	}
	start(func(o *node.Options) {
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime = key, true, time.Second
	})
	full := start(func(*node.Options) {})
	until(t, full, "well", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 10 && s.Chain.Quiet != "" })

	ctx, cancel := context.WithTimeout(t.Context(), *chaosFor)
	defer cancel()
	begun := 0
	ended := make(chan error, 1)
	go func() {
		ended <- fault.Chaos{Seed: *chaosSeed, Begin: func(fault.Fault) { begun++ }}.Run(ctx, faults)
	}()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	clock := time.NewTicker(sample) // the monitor's
	defer clock.Stop()
	var height uint64
	var since time.Time
	samples, stood, unready := 0, 0, 0
	for ctx.Err() == nil {
		ready := get(t, client, full.URL()+"/readyz") == http.StatusOK
		s, now := full.Status().Load(), time.Now()
		if samples++; s.Heads.Safe.Height != height {
			height, since = s.Heads.Safe.Height, now
		}
		if !ready {
			unready++
		}
		if now.Sub(since) > 3*layer+late {
			stood++
			if ready && s.Ready { // the same before and after
				t.Errorf("the safe head stands at %d for %s, and the node is ready; waiting %+v", height, now.Sub(since), s.Waiting)
			}
			if len(s.Waiting) == 0 {
				t.Errorf("the safe head stands at %d for %s, and nothing waits", height, now.Sub(since))
			}
		}
		select {
		case <-clock.C:
		case <-ctx.Done():
		}
	}
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	faults.Clear()
	until(t, full, "well again", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height > height })
	t.Logf("%d faults, %d samples: in %d the safe head had stood for three layer blocks, in %d the node was not ready", begun, samples, stood, unready)
	if begun == 0 || stood == 0 {
		t.Errorf("%d faults, and the safe head stood in %d samples: nothing was shown", begun, stood)
	}
}

func get(t *testing.T, client *http.Client, url string) (code int) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}
