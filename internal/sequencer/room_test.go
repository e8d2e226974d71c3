package sequencer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/exec/kv"
	"headrace/internal/sequencer"
	"headrace/l1"
	"headrace/l1/local"
)

// More small items are due than a proposal has room for, and each needs a block of its own: a proposal takes as many as fit, which
// fit into call data, and the item behind them all is taken by the last proposal that l1.Settings.Wait allows.
func TestRoomForBlocks(t *testing.T) {
	for _, payload := range []byte{1, l1.CompactVersion} {
		t.Run(fmt.Sprint("payload ", payload), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newInboxBench(t, local.Options{ForcedDelay: 60}, func(cfg *sequencer.Config, _ *local.Options) {
					cfg.Builder, cfg.Payload = onePer{cfg.Builder.(*kv.Engine)}, payload
				})
				settings, err := b.chain.Settings(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				stop := b.run(t)
				time.Sleep(5 * time.Second)
				b.proposer.set(errors.New("no answer"), nil) // until all are due
				n := 2*settings.Most() + 5
				for i := range n {
					b.force(fmt.Sprintf("forced-%d=%d", i, i))
				}
				b.force("last=1")
				time.Sleep(90 * time.Second)
				b.proposer.set(nil, nil)
				time.Sleep(time.Minute)
				synctest.Wait()
				if v, ok, _ := b.machine.KV.Get([]byte("last")); !ok || string(v) != "1" {
					t.Errorf("the last of %d items was not included", n+1)
				}
				at, err := b.chain.State(t.Context(), l1.Hash{})
				if st := b.machine.Status().Load(); err != nil || at.ForcedHead != uint64(n)+1 || st.Counts.Void != 0 {
					t.Errorf("the queue is [%d, %d) (%v), %+v; want it taken, and nothing void", at.ForcedHead, at.ForcedTail, err, st.Counts)
				}
				stop()
				b.machine.Close()
			})
		})
	}
}

// A sequencer that could not propose while items came due takes of them what fits, proposal after proposal.
func TestRoomAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{ForcedDelay: 5, ForcedRoom: 4 * (l1.ForcedItemBytes + 1000)}, nil)
		stop := b.run(t)
		time.Sleep(5 * time.Second)
		b.proposer.set(errors.New("no answer"), nil)
		for i := range 30 {
			b.force(fmt.Sprintf("forced-%d=%s", i, strings.Repeat("x", 900))) // four fit; of smaller ones more would
		}
		time.Sleep(time.Minute)
		failed := b.chain.Failed()
		b.proposer.set(nil, nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		at, err := b.chain.State(t.Context(), l1.Hash{})
		if st := b.machine.Status().Load(); err != nil || at.ForcedHead != 30 || st.Counts.Void != 0 {
			t.Errorf("the queue is [%d, %d) (%v), %+v; want it taken, and nothing void", at.ForcedHead, at.ForcedTail, err, st.Counts)
		}
		if now := b.chain.Failed(); now != failed {
			t.Errorf("%d proposals were refused by the inbox, and cost", now-failed)
		}
		stop()
		b.machine.Close()
	})
}
