package devnet_test

import (
	"context"
	"testing"
	"time"

	"headrace/devnet"
	"headrace/devnet/geth/gethtest"
)

// TestL1 is S15 and the demo: a sequencer that proposes, and driven nodes that end with the same blocks and state, with a geth each or without.
func TestL1(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]devnet.L1Options{
		"geth": {Nodes: 2}, "kv": {Nodes: 2, KV: true}, "blobs": {Nodes: 1, KV: true, Blobs: true},
		"geth, version 1": {Nodes: 1, Payload: 1}, "blobs, version 1": {Nodes: 1, KV: true, Blobs: true, Payload: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gethtest.Binary(t) // or skip
			opt.BlockTime, opt.L1BlockTime, opt.TxRate = 100*time.Millisecond, 300*time.Millisecond, 10
			n, err := devnet.NewL1(bounded(t), opt)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			ended := make(chan error, 1) // Run's result
			go func() { ended <- n.Run(ctx) }()
			for i, each := range n.Nodes() {
				if s, err := each.Wait(bounded(t), 6); err != nil {
					t.Errorf("%s: safe head %d, want 6: %v; waiting %+v", n.Name(i), s.Heads.Safe.Height, err, s.Waiting)
				}
			}
			if r := n.Settle(bounded(t)); !r.OK || r.Blocks < 6 {
				t.Errorf("got report %+v, want all to agree", r)
			}
			for i, each := range n.Nodes() {
				if s := each.Status().Load(); s.Counts.Void != 0 || s.Proposal.ID == 0 {
					t.Errorf("%s: got %+v, %+v, want proposals and none void", n.Name(i), s.Counts, s.Proposal)
				}
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: got %v after its context's end, want nil", err)
			}
		})
	}
}

// TestL1HomeIsNew: an L1 begins anew, so a home that holds one already is refused.
func TestL1HomeIsNew(t *testing.T) {
	t.Parallel()
	gethtest.Binary(t) // or skip
	home := t.TempDir()
	n, err := devnet.NewL1(bounded(t), devnet.L1Options{Home: home, Nodes: 1, KV: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := devnet.NewL1(bounded(t), devnet.L1Options{Home: home}); err == nil {
		t.Fatal("got a second devnet in the same home, want an error")
	}
}
