package devnet_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"headrace/devnet"
)

// With Soft the full nodes have the sequencer's blocks long before a slow DA layer has them, and each line says how long;
// without it they have none of them.
func TestSoft(t *testing.T) {
	t.Parallel()
	for _, soft := range []bool{true, false} {
		var mu sync.Mutex
		var lines []devnet.Line
		enough := make(chan struct{})
		n, err := devnet.New(devnet.Options{Soft: soft, BlockTime: 50 * time.Millisecond, DABlockTime: time.Second, OnBlock: func(l devnet.Line) {
			mu.Lock()
			defer mu.Unlock()
			if lines = append(lines, l); len(lines) == 40 {
				close(enough)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		select {
		case <-enough:
		case <-ctx.Done():
			t.Fatal("no 40 blocks within a minute")
		}
		r := n.Settle(ctx)
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if !r.OK || soft != (r.EarlyMS.P50 > 0) {
			t.Errorf("soft %t: got %+v, want blocks before the DA layer has them, if they are followed", soft, r)
		}
		mu.Lock()
		for _, l := range lines[20:] {
			for i := range l.Early {
				if had := l.Early[i] > 0; had != soft || l.Unsafe[i] < l.Height {
					t.Errorf("soft %t: block %d: node %d had it %s before, with the unsafe head at %d", soft, l.Height, i+1, l.Early[i], l.Unsafe[i])
				}
			}
		}
		mu.Unlock()
	}
}

// Replicas follow the full nodes, and have what they have.
func TestReplicas(t *testing.T) {
	t.Parallel()
	n := devnet.Start(t, devnet.Options{Nodes: 1, Replicas: 2, TxRate: 20})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all := n.Nodes()
	if len(all) != 4 || n.Name(1) != "node-1" || n.Name(2) != "replica-1" || n.Name(3) != "replica-2" {
		t.Fatalf("got %d nodes, of which the last is %s", len(all), n.Name(len(all)-1))
	}
	for i, each := range all {
		s, err := each.Wait(ctx, 20)
		if err != nil || (s.Mode == "replica") != (i >= 2) {
			t.Errorf("%s: got mode %s, %v", n.Name(i), s.Mode, err)
		}
	}
	for h := uint64(1); h <= 20; h++ {
		want, err := all[0].Block(h)
		if err != nil {
			t.Fatal(err)
		}
		for i, each := range all[1:] {
			if got, err := each.Block(h); err != nil || got.Hash != want.Hash || string(got.StateRoot) != string(want.StateRoot) {
				t.Errorf("%s: got block %+v, %v, want %+v", n.Name(i+1), got, err, want)
			}
		}
	}
}
