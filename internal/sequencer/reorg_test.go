package sequencer_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

var (
	reorgs    = flag.Int("reorgs", 200, "reorgs in TestReorgsLoseNothing")
	reorgSeed = flag.Uint64("reorgseed", 1, "of TestReorgsLoseNothing")
)

// signed is an engine that notes which blocks its node has executed: of a sequencer, those that it has signed.
type signed struct {
	exec.Engine
	exec.Exempter
	mu     sync.Mutex
	blocks map[uint64]map[block.Hash]bool // by height
}

func (s *signed) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	s.mu.Lock()
	if s.blocks[b.Height()] == nil {
		s.blocks[b.Height()] = map[block.Hash]bool{}
	}
	s.blocks[b.Height()][b.Hash()] = true
	s.mu.Unlock()
	return s.Engine.Execute(ctx, b)
}

// twice is how many blocks beyond one for each height were signed.
func (s *signed) twice() (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.blocks {
		n += uint64(len(of)) - 1
	}
	return n
}

// The L1 goes from branch to branch, with forced items that are there again on the new one, in another order, or not
// at all, while its proposer sometimes gets no answer. Every transaction that was accepted is in a safe block once, no
// proposal is void, and no height is signed a second time but where forced items made the sequencer drop blocks. One
// that drops none signs none twice.
func TestReorgsLoseNothing(t *testing.T) {
	for name, c := range map[string]struct {
		limit, delay int
		drops        bool // blocks may be dropped
	}{
		"forced items":               {20_000, 5, true},
		"forced items come due late": {100_000, 3600, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(*reorgSeed, uint64(c.delay)))
				b := &inboxBench{World: syncertest.NewWorld(t, -1)}
				engine := &signed{blocks: map[uint64]map[block.Hash]bool{}}
				b.machine = b.OpenL1(syncertest.NewHome(), func(e exec.Engine) exec.Engine {
					engine.Engine, engine.Exempter = e, e.(exec.Exempter)
					return engine
				})
				b.start(t, local.Options{ForcedDelay: uint64(c.delay), Limit: c.limit}, func(cfg *sequencer.Config, _ *local.Options) {
					cfg.BlockTime = 600 * time.Millisecond
				})
				full := b.OpenL1(syncertest.NewHome(), nil)
				stop := b.run(t, follow.New[l1.Block](b.chain, full.L1, follow.Options{}).Run)

				accepted, items := 0, 0
				var queued []string // what was forced last
				for range *reorgs {
					for range 1 + rng.IntN(4) {
						for range rng.IntN(4) {
							if err := b.machine.KV.SubmitTx(t.Context(), []byte(acceptedTx(accepted))); err != nil {
								t.Fatal(err)
							}
							accepted++
						}
						if rng.IntN(6) == 0 {
							tx := fmt.Sprintf("forced-%d=%d", items, items)
							items++
							queued = append(queued[max(len(queued)-5, 0):], tx)
							b.force(tx, "never included")
						}
						if b.proposer.set(nil, nil); rng.IntN(8) == 0 {
							b.proposer.set(nil, l1.ErrUnknownOutcome)
						}
						time.Sleep(time.Duration(200+rng.IntN(1500)) * time.Millisecond)
					}
					head := b.chain.Head().Number
					depth := min(1+uint64(rng.IntN(8)), head)
					if err := b.chain.Reorg(head-depth, func() {
						rng.Shuffle(len(queued), func(i, j int) { queued[i], queued[j] = queued[j], queued[i] })
						for _, tx := range queued[:rng.IntN(len(queued)+1)] {
							b.force(tx, "never included")
						}
						for range 1 + rng.IntN(int(depth)+2) {
							b.chain.Mine()
						}
					}); err != nil {
						t.Fatal(err)
					}
				}
				b.proposer.set(nil, nil)
				level := func() bool { // the last reorg has been followed, by both
					at := block.Hash(b.chain.Head().Hash)
					return b.machine.Status().Load().Position.Hash == at && full.Status().Load().Position.Hash == at
				}
				b.until(t, func() bool {
					s := b.machine.Status().Load()
					return level() && b.machine.KV.Stats().PoolTxs == 0 && s.Safe.Height+10 > s.Unsafe.Height
				})
				// When blocks are dropped for forced items, the status tells it before the engine has given their
				// transactions back. So an empty pool shows nothing: what counts is that all are found in the end.
				var last uint64
				var found map[string]int
				b.until(t, func() bool {
					if last = full.Status().Load().Safe.Height; !level() || last > b.machine.Status().Load().Safe.Height {
						return false
					}
					found = inBlocks(t, full, last)
					return foundAll(found, accepted)
				})
				stop()

				for i := range accepted {
					if tx := acceptedTx(i); found[tx] != 1 {
						t.Errorf("%s is in %d safe blocks, want it in one", tx, found[tx])
					}
				}
				st, of := b.machine.Status().Load(), full.Status().Load()
				// A proposal that was drafted just before a reorg and is included after it may build on a proposal that is not
				// there: it is void, which costs its fee and nothing else. That is rare.
				if rare := uint64(*reorgs) / 50; st.Counts.Void > rare || of.Counts.Void > rare || st.Counts.Demoted == 0 || of.Counts.Demoted == 0 || st.Proposal.Reorgs < uint64(*reorgs)/2 {
					t.Errorf("got %+v and %+v, %d reorgs; want blocks that became unsafe again, and hardly a void proposal", st.Counts, of.Counts, st.Proposal.Reorgs)
				}
				if n := engine.twice(); n > st.Counts.Dropped || !c.drops && st.Counts.Dropped > 0 {
					t.Errorf("%d heights signed again, %d blocks dropped; want none but for those", n, st.Counts.Dropped)
				}
				t.Logf("%d transactions, %d items, %d blocks, %d reorgs, %+v", accepted, items, last, st.Proposal.Reorgs, st.Counts)
				syncertest.Agree(t, last, b.machine, full)
				b.machine.Close()
				full.Close()
			})
		})
	}
}

func acceptedTx(i int) string { return fmt.Sprintf("accepted-%d=%d", i, i) }

// inBlocks returns how often each transaction is in the node's blocks up to last.
func inBlocks(t *testing.T, node *syncertest.Machine, last uint64) map[string]int {
	t.Helper()
	found := map[string]int{}
	for h := uint64(1); h <= last; h++ {
		rec, err := node.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, tx := range rec.Block.Data.Txs {
			found[string(tx)]++
		}
	}
	return found
}

func foundAll(found map[string]int, accepted int) bool {
	for i := range accepted {
		if found[acceptedTx(i)] == 0 {
			return false
		}
	}
	return true
}

// until waits, in the time of the test's bubble, until reached, at most ten minutes.
func (b *inboxBench) until(t *testing.T, reached func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if _, err := b.machine.Status().Wait(ctx, func(syncer.Status) bool { return reached() }); errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("not reached within ten minutes: %+v, sequencer %+v", b.machine.Status().Load(), b.seq.Status().Load())
	}
}
