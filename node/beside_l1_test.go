package node_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"headrace/block"
	"headrace/l1"
	locall1 "headrace/l1/local"
	"headrace/node"
)

// On an L1 a full node has the sequencer's blocks from its stream too, while it has all that is canonical; what the L1
// then has is promoted.
func TestFollowsAnotherNodeOnAnL1(t *testing.T) {
	t.Parallel()
	c := newChain(t, "soft-l1")
	c.genesis.DA, c.genesis.DAStartHeight = nil, 0
	c.genesis.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x00000000000000000000000000000000000000aa", StartBlock: 1}
	chain := locall1.New(locall1.Options{Finality: 64})
	goRun(t, "L1", func(ctx context.Context) error {
		each := time.NewTicker(300 * time.Millisecond) // the L1's own clock
		defer each.Stop()
		for {
			select {
			case <-each.C:
				chain.Mine()
			case <-ctx.Done():
				return nil
			}
		}
	})
	o := c.sequencer(t, "http://127.0.0.1:1", 20*time.Millisecond)
	o.Config.Sequencer.MaxPending = 100_000
	seq := start(t, o.OnL1(newL1Near(chain, trouble{}), chain.Proposer(l1.Address{1})))
	f := c.full(t, "http://127.0.0.1:1")
	f.Config.Unsafe.From = node.At(seq.URL())
	full := start(t, f.OnL1(newL1Near(chain, trouble{}), nil))
	s := full.until(t, "ahead of the L1", func(s node.Status) bool {
		return s.Heads.Safe.Height >= 50 && s.Heads.Unsafe.Height >= s.Heads.Safe.Height+5
	})
	before := s.Counts
	s = full.until(t, "at the next hundred", func(s node.Status) bool { return s.Counts.Promoted >= before.Promoted+100 })
	if c := s.Counts; c.Promoted+c.Executed != s.Heads.Safe.Height || c.RevertedUnsafe != 0 || c.SignedTwice != 0 || s.Unsafe.Max != 0 {
		t.Errorf("got %+v at safe block %d, want each either promoted or executed", c, s.Heads.Safe.Height)
	}
	if code, answer := ask(t, full, http.MethodPost, "/v1/unsafe", `{"header":"AA=="}`); code != http.StatusBadRequest && code != http.StatusConflict {
		t.Errorf("got %d %s of garbage", code, answer)
	}
}
