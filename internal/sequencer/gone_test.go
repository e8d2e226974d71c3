package sequencer_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

// endpoint is what a dev chain's node, or one of several, answers of an L1: what is not on its chain it does not know.
type endpoint struct {
	*local.Chain
	mu     sync.Mutex
	behind uint64 // blocks that it does not have yet
	says   bool   // it says so: another one is known to be ahead
}

func (e *endpoint) set(behind uint64, says bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.behind, e.says = behind, says
}

func (e *endpoint) Gone(ctx context.Context, at l1.Ref) (l1.Ref, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	head, gone, err := e.Chain.Gone(ctx, at)
	if e.behind > 0 && err == nil {
		head = e.at(head.Height - min(e.behind, head.Height))
		gone = !e.says && (gone || head.Height < at.Height)
	}
	return head, gone, err
}

func (e *endpoint) at(height uint64) (ref l1.Ref) {
	_ = e.Fetch(context.Background(), height, height+1, func(item follow.Item[l1.Block]) error {
		ref = l1.Ref(item.Ref())
		return nil
	})
	return ref
}

func (e *endpoint) Queue(ctx context.Context, at l1.Hash, limit int) ([]l1.Forced, error) {
	e.mu.Lock()
	top := e.Head().Number - min(e.behind, e.Head().Number)
	e.mu.Unlock()
	for height := top; ; height-- {
		if l1.Hash(e.at(height).Hash) == at {
			return e.Chain.Queue(ctx, at, limit)
		}
		if height == 0 {
			return nil, fmt.Errorf("block %s: %w", at, l1.ErrNotFound)
		}
	}
}

// A dev chain that mines with each transaction is put back to a snapshot: its head is an old block, and no block takes
// the place of those that are gone, until somebody sends a transaction. That is the sequencer, three block times later:
// it proposes what was taken back again, on the old block. Nothing is signed a second time and nothing is lost.
func TestHeadVanishes(t *testing.T) {
	const patience = 6 * time.Second
	for name, c := range map[string]struct {
		forgets bool // the node does not know the blocks that are gone
		back    func(head uint64) uint64
	}{
		"the state of what is gone is there": {false, func(head uint64) uint64 { return head - 3 }},
		"it is not":                          {true, func(head uint64) uint64 { return head - 3 }},
		"one block":                          {true, func(head uint64) uint64 { return head - 1 }},
		"everything":                         {true, func(uint64) uint64 { return 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &inboxBench{World: syncertest.NewWorld(t, -1)}
				engine := &signed{blocks: map[uint64]map[block.Hash]bool{}}
				b.machine = b.OpenL1(syncertest.NewHome(), func(e exec.Engine) exec.Engine {
					engine.Engine, engine.Exempter = e, e.(exec.Exempter)
					return engine
				})
				t.Cleanup(b.machine.Close)
				view := &endpoint{}
				b.start(t, local.Options{Instant: true, ForcedDelay: 3600}, func(cfg *sequencer.Config, _ *local.Options) {
					cfg.BlockTime, cfg.Patience = time.Second, func() time.Duration { return patience }
					if c.forgets {
						cfg.Inbox = view
					}
				})
				view.Chain = b.chain
				full := b.OpenL1(syncertest.NewHome(), nil)
				t.Cleanup(full.Close)
				// No clock of its own: blocks come with transactions alone.
				stop := syncertest.Run(t, b.follower.Run, b.seq.Run, follow.New[l1.Block](b.chain, full.L1, follow.Options{}).Run)
				for round := range 3 {
					b.machine.Load(t, round, 3)
					b.force(fmt.Sprintf("forced-%d=yes", round))
					time.Sleep(5 * time.Second)
					synctest.Wait()
					before := b.machine.Status().Load()
					head := b.chain.Head().Number
					if before.Position.Hash != block.Hash(b.chain.Head().Hash) || before.Safe.Height == 0 {
						t.Fatalf("round %d: stands at %+v", round, before)
					}
					if err := b.chain.Reorg(c.back(head), nil); err != nil {
						t.Fatal(err)
					}
					time.Sleep(patience - 100*time.Millisecond)
					synctest.Wait()
					if st := b.machine.Status().Load(); st.Position != before.Position || b.chain.Head().Number != c.back(head) {
						t.Fatalf("round %d: stands at %v, the L1 at %d, want both to stand still", round, st.Position, b.chain.Head().Number)
					}
					time.Sleep(30 * time.Second)
					synctest.Wait()
					st := b.machine.Status().Load()
					if st.Safe.Height <= before.Safe.Height || st.Proposal.Reorgs != uint64(round+1) || b.seq.Status().Load().Failure != "" {
						t.Fatalf("round %d: got %+v after %+v, sequencer %+v; want the chain to go on", round, st, before, b.seq.Status().Load())
					}
				}
				stop()
				st, of := b.machine.Status().Load(), full.Status().Load()
				if st.Counts.Void != 0 || of.Counts.Void != 0 || st.Counts.Dropped != 0 || engine.twice() != 0 || st.Counts.Demoted == 0 {
					t.Errorf("got %+v, and %d heights signed again; want none void, none signed twice, and some taken back", st.Counts, engine.twice())
				}
				syncertest.Agree(t, 30, b.machine, full)
			})
		})
	}
}

// An endpoint that is merely late does not make the sequencer propose on an old block: not while another one is known to
// be ahead of it, nor before it has stood below for some block times. And when it has, by which the real chain has what
// is proposed, the draft is found to be stale before it costs anything.
func TestLateEndpoint(t *testing.T) {
	for name, late := range map[string]func(e *endpoint){
		"another one is ahead": func(e *endpoint) { e.set(4, true); time.Sleep(time.Minute) },
		"for a moment": func(e *endpoint) {
			for range 10 {
				e.set(4, false)
				time.Sleep(4 * time.Second)
				e.set(0, false)
				time.Sleep(2 * time.Second)
			}
		},
		"for long": func(e *endpoint) { e.set(4, false); time.Sleep(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				view := &endpoint{}
				b := newInboxBench(t, local.Options{}, func(cfg *sequencer.Config, _ *local.Options) {
					cfg.Inbox, cfg.Patience = view, func() time.Duration { return 6 * time.Second }
				})
				view.Chain = b.chain
				t.Cleanup(b.machine.Close)
				stop := b.run(t)
				time.Sleep(10 * time.Second)
				late(view)
				view.set(0, false)
				time.Sleep(20 * time.Second)
				synctest.Wait()
				if failed := b.seq.Status().Load(); failed.Failure != "" {
					t.Errorf("it does not go on: %+v", failed)
				}
				stop()
				st := b.machine.Status().Load()
				if st.Counts.Void != 0 || st.Proposal.Reorgs != 0 || st.Counts.Demoted != 0 {
					t.Errorf("got %+v, %+v; want no proposal in vain", st.Counts, st.Proposal)
				}
				if n := b.chain.Failed(); n != 0 {
					t.Errorf("%d transactions failed in a block, which costs gas", n)
				}
				proposals := map[uint64]int{}
				for height := uint64(1); height <= b.chain.Head().Number; height++ {
					if err := b.chain.Fetch(t.Context(), height, height+1, func(item follow.Item[l1.Block]) error {
						for _, m := range item.Data.Messages {
							if m.Proposal == nil {
								continue
							}
							for _, e := range m.Proposal.Blocks {
								h, err := block.DecodeSignedHeader(e.Header)
								if err != nil {
									return err
								}
								proposals[h.Header.Height]++
							}
						}
						return nil
					}); err != nil {
						t.Fatal(err)
					}
				}
				for height, n := range proposals {
					if n != 1 {
						t.Errorf("block %d was proposed %d times", height, n)
					}
				}
			})
		})
	}
}

// What the sequencer waits for is told: which endpoint's fault it seems to be, and what will be done when.
func TestVanishedHeadIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := &endpoint{}
		b := newInboxBench(t, local.Options{Instant: true}, func(cfg *sequencer.Config, _ *local.Options) {
			cfg.Inbox, cfg.Patience = view, func() time.Duration { return time.Minute }
		})
		view.Chain = b.chain
		t.Cleanup(b.machine.Close)
		stop := syncertest.Run(t, b.follower.Run, b.seq.Run)
		time.Sleep(10 * time.Second)
		if err := b.chain.Reorg(b.chain.Head().Number-2, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := b.seq.Status().Load().Failure; !strings.Contains(got, "stands below block") || !strings.Contains(got, "after 1m0s") {
			t.Errorf("got %q, want what it waits for", got)
		}
		stop()
	})
}

// An L1 that calls blocks final and takes them back is not followed there. So nothing is proposed there, which would be paid for in
// vain, and the reason is told, with the way out.
func TestVanishedFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := &endpoint{}
		b := newInboxBench(t, local.Options{Instant: true}, func(cfg *sequencer.Config, _ *local.Options) {
			cfg.Inbox, cfg.Patience = view, func() time.Duration { return 6 * time.Second }
		})
		view.Chain = b.chain
		t.Cleanup(b.machine.Close)
		stop := syncertest.Run(t, b.follower.Run, b.seq.Run)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		head := b.chain.Head().Number
		if err := b.machine.L1.FinalizeBelow(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if err := b.chain.Reorg(head-2, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := b.seq.Status().Load().Failure; !strings.Contains(got, "stands at block") || !strings.Contains(got, "l1.finality") {
			t.Errorf("got %q, want the reason and the way out", got)
		}
		if got := b.chain.Head().Number; got != head-2 {
			t.Errorf("the L1 stands at %d, want %d: nothing is to be paid for", got, head-2)
		}
		stop()
	})
}

// A proposal is included, and its block vanishes before the node has seen it: nothing tells of that. The endpoint is
// asked once the L1 has been silent for long, however long a submission may take, and the sequencer goes on.
func TestIncludedInAVanishedBlock(t *testing.T) {
	const patience = 6 * time.Second
	synctest.Test(t, func(t *testing.T) {
		view := &endpoint{}
		b := newInboxBench(t, local.Options{Instant: true}, func(cfg *sequencer.Config, _ *local.Options) {
			cfg.Inbox, cfg.Patience, cfg.SubmitTimeout = view, func() time.Duration { return patience }, func() time.Duration { return 10 * time.Hour }
		})
		view.Chain = b.chain
		t.Cleanup(b.machine.Close)
		stop := syncertest.Run(t, b.follower.Run, b.seq.Run)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		b.proposer.mu.Lock()
		b.proposer.answer = func(d l1.Draft) (l1.Inclusion, error) {
			b.proposer.mu.Lock()
			b.proposer.answer = nil // once
			b.proposer.mu.Unlock()
			return l1.Inclusion{ID: d.ID, Block: l1.Ref{Height: b.chain.Head().Number + 1, Hash: [32]byte{9}}, Tx: l1.Hash{9}}, nil
		}
		b.proposer.mu.Unlock()
		time.Sleep(time.Second) // the next block's proposal
		synctest.Wait()
		before := b.machine.Status().Load()
		time.Sleep(patience - 2*time.Second)
		synctest.Wait()
		if s := b.machine.Status().Load(); s.Safe != before.Safe {
			t.Errorf("it was not waited for what is included: safe head %d, then %d", before.Safe.Height, s.Safe.Height)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if s := b.machine.Status().Load(); s.Safe.Height <= before.Safe.Height || b.seq.Status().Load().Failure != "" {
			t.Errorf("safe head %d, then %d, %+v: want it to go on", before.Safe.Height, s.Safe.Height, b.seq.Status().Load())
		}
		stop()
		if st := b.machine.Status().Load(); st.Counts.Void != 0 || b.chain.Failed() != 0 {
			t.Errorf("got %+v, %d failed transactions, want none", st.Counts, b.chain.Failed())
		}
	})
}

// later builds what is forced only once it may: until then it is in no block.
type later struct {
	*kv.Engine
	may atomic.Bool
}

func (l *later) BuildForced(ctx context.Context, height, at uint64, most int, forced [][]byte) ([][]byte, error) {
	if !l.may.Load() {
		forced = nil
	}
	return l.Engine.BuildForced(ctx, height, at, most, forced)
}

// The head vanishes while forced items are due that are in no old block. Where a proposal holds all blocks, and one more
// with them, it is made on the head that is there. Where it does not, those in it are safe to the node, which replaces
// them only when a block competes: the sequencer has the L1 make one. Nothing of that costs more than one transaction.
func TestHeadVanishesWithForcedDue(t *testing.T) {
	const patience = 6 * time.Second
	for name, c := range map[string]struct {
		limit, back int
		pending     uint64
		nudges      int // at most
	}{
		"a proposal holds all":               {1 << 20, 3, 1000, 0},
		"it holds few blocks":                {3000, 12, 1000, 1},
		"it holds what was safe, and little": {6000, 3, 1000, 1},
		"production paused":                  {1 << 20, 3, 5, 0},
		"one block may wait":                 {1 << 20, 3, 1, 0},
	} {
		for _, forgets := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, forgets %t", name, forgets), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					view := &endpoint{}
					var builder *later
					b := newInboxBench(t, local.Options{Instant: true, ForcedDelay: 3600, Limit: c.limit}, func(cfg *sequencer.Config, _ *local.Options) {
						builder = &later{Engine: cfg.Builder.(*kv.Engine)}
						cfg.Builder, cfg.MaxPending, cfg.Patience = builder, c.pending, func() time.Duration { return patience }
						if forgets {
							cfg.Inbox = view
						}
					})
					view.Chain = b.chain
					t.Cleanup(b.machine.Close)
					full := b.OpenL1(syncertest.NewHome(), nil)
					t.Cleanup(full.Close)
					stop := syncertest.Run(t, b.follower.Run, b.seq.Run, follow.New[l1.Block](b.chain, full.L1, follow.Options{}).Run)
					time.Sleep(3 * time.Second)
					b.force("forced=yes")
					time.Sleep(20 * time.Second)
					synctest.Wait()
					before := b.machine.Status().Load()
					b.chain.IncreaseTime(7200)
					if err := b.chain.Reorg(b.chain.Head().Number-uint64(c.back), nil); err != nil {
						t.Fatal(err)
					}
					builder.may.Store(true)
					time.Sleep(40 * time.Second)
					synctest.Wait()
					st := b.machine.Status().Load()
					if st.Safe.Height <= before.Safe.Height || st.Proposal.Reorgs != 1 || b.seq.Status().Load().Failure != "" {
						t.Fatalf("got %+v after %+v, sequencer %+v; want the chain to go on", st, before, b.seq.Status().Load())
					}
					if v, ok, _ := full.KV.Get([]byte("forced")); !ok || string(v) != "yes" {
						t.Error("the forced transaction was not included")
					}
					stop()
					if of := full.Status().Load(); st.Counts.Void != 0 || of.Counts.Void != 0 || b.chain.Failed() != 0 {
						t.Errorf("got %+v, %+v, %d failed transactions; want nothing in vain", st.Counts, of.Counts, b.chain.Failed())
					}
					b.proposer.mu.Lock()
					if b.proposer.nudges > c.nudges {
						t.Errorf("%d empty transactions, want %d at most", b.proposer.nudges, c.nudges)
					}
					b.proposer.mu.Unlock()
					syncertest.Agree(t, 30, b.machine, full)
				})
			})
		}
	}
}
