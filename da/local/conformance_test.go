package local_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/da"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/follow"
	"headrace/follow/followtest"
)

func TestSourceConforms(t *testing.T) {
	for name, o := range map[string]local.Options{
		"memory": {Interval: -1, StartHeight: 7},
		"disk":   {Interval: -1, StartHeight: 7, Dir: "da"},
	} {
		for _, view := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " view"}[view], func(t *testing.T) {
				followtest.TestSource(t, func(t *testing.T) followtest.Harness[da.Block] {
					if o.Dir != "" {
						o.FS = vfs.NewMem()
					}
					c := open(t, o)
					h := followtest.Harness[da.Block]{
						Source: c.Source(headers, data),
						Start:  7,
						Head:   func() follow.Ref { return c.Head().Load().Ref() },
						Extend: func(n int) {
							for i := range n {
								if i%3 == 0 {
									produce(t, c)
								} else {
									submit(t, c, []da.Blob{blob(data, "d"), blob(headers, "h")})
								}
							}
						},
					}
					if view {
						h.Source = c.View(new(fault.Set)).Source(headers, data)
					}
					h.Extend(4)
					return h
				})
			})
		}
	}
}

// A follower of a chain whose endpoint goes back, pauses and syncs by chance applies each block once, and has them all when it ends (I1, I12).
func TestFollowThroughFaults(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			c, err := local.New(local.Options{Interval: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			faults := new(fault.Set)
			sink := followtest.NewSink[da.Block](1)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { c.Run(ctx) })
			wg.Go(func() {
				f := follow.New(c.View(faults).Source(headers, data), sink, follow.Options{})
				if err := f.Run(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want context.Canceled", err)
				}
			})
			storm, stop := context.WithTimeout(ctx, 3*time.Minute)
			menu := []fault.Fault{{Kind: fault.HeadBehind}, {Kind: fault.Pause}, {Kind: fault.Syncing, From: 50}, {Kind: fault.BelowTail, To: 1 << 40}}
			if err := (fault.Chaos{Seed: seed, Menu: menu}).Run(storm, faults); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want DeadlineExceeded", err)
			}
			stop()
			time.Sleep(30 * time.Second) // the follower's own bound on what it does not hear of
			if got, head := sink.Last().Height, c.Head().Load().Height; got+1 < head {
				t.Errorf("seed %d: got height %d after the faults, want %d", seed, got, head)
			}
			if err := sink.Err(); err != nil || sink.Reverted() > 0 {
				t.Errorf("seed %d: got %v and %d items taken back, want none", seed, err, sink.Reverted())
			}
			cancel()
			wg.Wait()
		})
	}
}
