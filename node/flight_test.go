package node_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/node"
)

// How long what was submitted may still be included is a number of blocks, and some minutes at least.
func TestFlightTime(t *testing.T) {
	for _, c := range []struct{ given, blockTime, want time.Duration }{
		{0, 0, 5 * time.Minute}, {0, 3 * time.Second, 5 * time.Minute}, {0, 40 * time.Second, 2000 * time.Second},
		{time.Second, 40 * time.Second, time.Second},
	} {
		if got := node.FlightTime(c.given, c.blockTime); got != c.want {
			t.Errorf("given %s, a block each %s: got %s, want %s", c.given, c.blockTime, got, c.want)
		}
	}
}

// A block time that becomes known while that is waited for counts: and then news is waited for.
func TestFlightGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pulse{health: follow.NewHealth("", "", nil), heads: make(chan uint64)}
		f := follow.New[int](p, followtest.NewSink[int](10), follow.Options{Stall: time.Hour})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		p.heads <- 10
		start := time.Now()
		var work sync.WaitGroup
		defer work.Wait()
		defer cancel()
		work.Go(func() {
			for height := uint64(11); ctx.Err() == nil; height++ {
				time.Sleep(50 * time.Second)
				select {
				case p.heads <- height:
				case <-ctx.Done():
				}
			}
		})
		height, err := node.AfterFlight(ctx, f, func() time.Duration {
			if time.Since(start) < 4*time.Minute {
				return node.FlightTime(0, 0)
			}
			return node.FlightTime(0, 36*time.Second)
		})
		if took := time.Since(start); err != nil || height != 10+37 || took != 37*50*time.Second {
			t.Errorf("got height %d, %v, after %s, want the first head after half an hour", height, err, took)
		}
	})
}

// A fetch is given longer than any of its calls.
func TestFetchStall(t *testing.T) {
	for _, c := range []struct{ stall, call, want time.Duration }{
		{0, 30 * time.Second, 45 * time.Second}, {time.Minute, 30 * time.Second, time.Minute}, {0, 0, 0},
	} {
		if got := node.FetchStall(c.stall, c.call); got != c.want {
			t.Errorf("stall %s, calls %s: got %s, want %s", c.stall, c.call, got, c.want)
		}
	}
}
