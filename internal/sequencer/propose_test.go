package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/exec"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

// proposer fails on demand, before or after the proposal is included.
type proposer struct {
	l1.Proposer
	mu            sync.Mutex
	before, after error
	answer        func(l1.Draft) (l1.Inclusion, error) // in place of the inbox's
	refuse        func(l1.Draft) error                 // before, by the draft; called with mu held
	nudges        int
}

func (p *proposer) set(before, after error) {
	p.mu.Lock()
	p.before, p.after = before, after
	p.mu.Unlock()
}

func (p *proposer) Propose(ctx context.Context, d l1.Draft) (l1.Inclusion, error) {
	p.mu.Lock()
	before, after, answer := p.before, p.after, p.answer
	if p.refuse != nil && before == nil {
		before = p.refuse(d)
	}
	p.mu.Unlock()
	if answer != nil {
		return answer(d)
	}
	if before != nil {
		return l1.Inclusion{}, before
	}
	in, err := p.Proposer.Propose(ctx, d)
	if after != nil {
		return l1.Inclusion{}, after
	}
	return in, err
}

// Nudge is l1.Nudger's, and fails as Propose does.
func (p *proposer) Nudge(ctx context.Context) error {
	p.mu.Lock()
	before := p.before
	p.nudges++
	p.mu.Unlock()
	if before != nil {
		return before
	}
	return p.Proposer.(l1.Nudger).Nudge(ctx)
}

// inboxBench is a sequencer that proposes to the inbox of an L1 in memory.
type inboxBench struct {
	*syncertest.World
	chain    *local.Chain
	machine  *syncertest.Machine
	follower *follow.Follower[l1.Block]
	proposer *proposer
	seq      *sequencer.Sequencer
	cfg      sequencer.Config // of seq
}

// rebuild makes another sequencer, before it runs.
func (b *inboxBench) rebuild(t *testing.T, change func(*sequencer.Config)) {
	t.Helper()
	change(&b.cfg)
	var err error
	if b.seq, err = sequencer.New(b.cfg); err != nil {
		t.Fatal(err)
	}
}

// payload is the version in which inbox benches propose; only TestVersion2 changes it.
var payload byte

// newInboxBench makes one with a block each 300 ms, unless change says otherwise.
func newInboxBench(t *testing.T, opt local.Options, change func(*sequencer.Config, *local.Options)) *inboxBench {
	t.Helper()
	b := &inboxBench{World: syncertest.NewWorld(t, -1)}
	b.machine = b.OpenL1(syncertest.NewHome(), nil)
	b.start(t, opt, change)
	return b
}

// start makes the L1 and the sequencer of b's machine.
func (b *inboxBench) start(t *testing.T, opt local.Options, change func(*sequencer.Config, *local.Options)) {
	t.Helper()
	cfg := sequencer.Config{
		Syncer: b.machine.Syncer, Builder: b.machine.KV, Key: b.Key, BlockTime: 300 * time.Millisecond, SubmitTimeout: func() time.Duration { return 10 * time.Second },
		CaughtUp: func(ctx context.Context) error {
			_, err := b.follower.State().Wait(ctx, func(s follow.State) bool { return s.Live })
			return err
		},
	}
	opt.BlockTime = time.Second
	defer func() { b.cfg = cfg }()
	cfg.Payload = payload
	if change != nil {
		change(&cfg, &opt)
	}
	b.chain = local.New(opt)
	b.follower = follow.New[l1.Block](b.chain, b.machine.L1, follow.Options{})
	b.proposer = &proposer{Proposer: b.chain.Proposer(l1.Address{1})}
	if cfg.Proposer = b.proposer; cfg.Inbox == nil {
		cfg.Inbox = b.chain
	}
	var err error
	if b.seq, err = sequencer.New(cfg); err != nil {
		t.Fatal(err)
	}
}

// run starts the L1, the sequencer's node and more.
func (b *inboxBench) run(t *testing.T, more ...func(context.Context) error) (stop func()) {
	t.Helper()
	return syncertest.Run(t, append([]func(context.Context) error{b.chain.Run, b.follower.Run, b.seq.Run}, more...)...)
}

// force queues an item of these transactions.
func (b *inboxBench) force(txs ...string) {
	var raw [][]byte
	for _, tx := range txs {
		raw = append(raw, []byte(tx))
	}
	b.chain.Send(local.Tx{From: l1.Address{9}, Force: l1.EncodeTxs(raw)})
}

// A proposal that is found included below the node's position, on a branch that the node has not followed yet, is not
// proposed again before the node has moved: that costs as many calls as the L1 has blocks.
func TestIncludedOnAnotherBranch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{}, nil)
		stop := b.run(t)
		time.Sleep(3 * time.Second)
		calls := 0
		b.proposer.mu.Lock()
		b.proposer.answer = func(d l1.Draft) (l1.Inclusion, error) {
			if calls++; calls > 1000 { // or the bubble's time would stand still
				return l1.Inclusion{}, errors.New("called without end")
			}
			return l1.Inclusion{ID: d.ID, Block: l1.Ref{Height: 1}}, nil
		}
		b.proposer.mu.Unlock()
		time.Sleep(5 * time.Second)
		stop()
		if calls == 0 || calls > 20 {
			t.Errorf("got %d calls in five blocks of the L1, want one or two for each", calls)
		}
		b.machine.Close()
	})
}

// A proposal whose outcome was unknown and that the node sees included is a success: the next one follows it, and does not
// wait for what is left of a delay that failures have made long.
func TestIncludedAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{}, nil)
		defer b.machine.Close()
		b.proposer.set(errors.New("no answer"), nil)
		stop := b.run(t)
		time.Sleep(15 * time.Second)
		b.proposer.set(nil, l1.ErrUnknownOutcome)
		s, err := b.machine.Status().Wait(t.Context(), func(s syncer.Status) bool { return s.Proposal.ID == 1 })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		now := b.machine.Status().Load()
		stop()
		if got := now.Proposal.ID - s.Proposal.ID; got < 9 { // each takes two blocks of the L1 at most: it is sent beside one, and followed with the next
			t.Errorf("%d proposals were included in 20 blocks of the L1, want nine at least", got)
		}
	})
}

// A sequencer proposes to an inbox; a full node follows it. Failures before and after inclusion, and a reorg that
// drops proposals, leave one chain without a doubled or lost proposal; forced items are taken.
func TestProposing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{ForcedDelay: 5}, nil)
		chain, seq, p := b.chain, b.machine, b.proposer
		full := b.OpenL1(syncertest.NewHome(), nil)
		stop := b.run(t, follow.New[l1.Block](chain, full.L1, follow.Options{}).Run)
		time.Sleep(5 * time.Second)
		p.set(errors.New("no answer"), nil)
		time.Sleep(5 * time.Second)
		p.set(nil, l1.ErrUnknownOutcome)
		time.Sleep(5 * time.Second)
		p.set(nil, nil)
		b.force("never included", "forced=yes", "=nor this")
		for round := range 10 {
			seq.Load(t, round, 3)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if v, ok, _ := full.KV.Get([]byte("forced")); !ok || string(v) != "yes" {
			t.Error("the forced transaction was not included")
		}
		if st, err := chain.State(t.Context(), l1.Hash{}); err != nil || st.ForcedHead != st.ForcedTail {
			t.Errorf("the forced queue is %+v (%v), want it taken", st, err)
		}
		before := full.Status().Load()
		if err := chain.Reorg(before.Position.Height-4, func() { chain.Mine(); chain.Mine() }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		st := full.Status().Load()
		if st.Proposal.Reorgs != 1 || st.Proposal.ID <= before.Proposal.ID || st.Counts.Void != 0 {
			t.Errorf("proposal %+v, %d void; want one reorg, more proposals than the %d before, none void", st.Proposal, st.Counts.Void, before.Proposal.ID)
		}
		stop()
		syncertest.Agree(t, 60, seq, full)
		if _, err := seq.Block(st.Safe.Height); err != nil {
			t.Error(err)
		}
		seq.Close()
		full.Close()
	})
}

// Forced items come due while many more blocks wait than a proposal holds, or than may wait: the sequencer gives
// blocks up until what must be taken fits, and goes on. However many items wait, it takes no more than it may.
func TestForcedBehindABacklog(t *testing.T) {
	for name, change := range map[string]func(*sequencer.Config, *local.Options){
		"more than fits":     func(_ *sequencer.Config, o *local.Options) { o.Limit = 10_000 },
		"few blocks fit":     func(_ *sequencer.Config, o *local.Options) { o.Limit = 3000 },
		"production paused":  func(c *sequencer.Config, _ *local.Options) { c.MaxPending = 40 },
		"one block may wait": func(c *sequencer.Config, _ *local.Options) { c.MaxPending = 1 },
		"through the pool": func(c *sequencer.Config, o *local.Options) {
			o.Limit, c.Builder = 3000, struct{ exec.Builder }{c.Builder}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newInboxBench(t, local.Options{ForcedDelay: 5, ForcedMax: 2}, change)
				seq, p := b.machine, b.proposer
				full := b.OpenL1(syncertest.NewHome(), nil)
				stop := b.run(t, follow.New[l1.Block](b.chain, full.L1, follow.Options{}).Run)
				time.Sleep(5 * time.Second)
				p.set(errors.New("no answer"), nil) // for a minute
				time.Sleep(50 * time.Second)
				before := seq.Status().Load()
				for i := range 7 {
					b.force(fmt.Sprintf("forced-%d=%d", i, i))
				}
				time.Sleep(10 * time.Second)
				p.set(nil, nil)
				time.Sleep(3 * time.Minute)
				synctest.Wait()
				for i := range 7 {
					if v, ok, _ := full.KV.Get(fmt.Appendf(nil, "forced-%d", i)); !ok || string(v) != fmt.Sprint(i) {
						t.Errorf("forced transaction %d was not included", i)
					}
				}
				seq.Load(t, 1, 2000) // more than a proposal of one block holds
				time.Sleep(time.Minute)
				synctest.Wait()
				if v, ok, _ := full.KV.Get([]byte("key-1999")); !ok || string(v) != "1/1999" {
					t.Errorf("the last of many transactions: got %s, want it included", v)
				}
				st := full.Status().Load()
				if st.Counts.Void != 0 || st.Safe.Height <= before.Safe.Height+100 || st.Position.Height > st.Proposal.L1.Height+20 {
					t.Errorf("%+v: safe head %d, was %d, last proposal in L1 block %d of %d, %d void: want it to go on", b.seq.Status().Load(), st.Safe.Height, before.Safe.Height, st.Proposal.L1.Height, st.Position.Height, st.Counts.Void)
				}
				stop()
				syncertest.Agree(t, before.Safe.Height+1, seq, full)
				seq.Close()
				full.Close()
			})
		})
	}
}

// What is forced gets into a block though nothing else comes, as often as it is asked for, past a builder's pool or,
// if the builder has no other way, through it.
func TestForcedAlone(t *testing.T) {
	for name, builder := range map[string]func(*kv.Engine) exec.Builder{
		"past the pool":    func(e *kv.Engine) exec.Builder { return e },
		"through the pool": func(e *kv.Engine) exec.Builder { return struct{ exec.Builder }{e} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newInboxBench(t, local.Options{ForcedDelay: 20}, func(c *sequencer.Config, _ *local.Options) {
					c.Builder, c.Lazy, c.LazyInterval = builder(c.Builder.(*kv.Engine)), true, time.Hour
				})
				chain, seq := b.chain, b.machine
				stop := b.run(t)
				seq.Load(t, 0, 1)
				b.seq.Notify()
				time.Sleep(time.Minute)
				b.force("never included", "twice=1", "twice=1")
				b.force("once=1")
				time.Sleep(10 * time.Second)
				synctest.Wait()
				st := seq.Status().Load()
				found := map[string]int{}
				for h := uint64(1); h <= st.Safe.Height; h++ {
					rec, err := seq.Block(h)
					if err != nil {
						t.Fatal(err)
					}
					for _, tx := range rec.Block.Data.Txs {
						found[string(tx)]++
					}
				}
				if found["twice=1"] != 2 || found["once=1"] != 1 || len(found) != 3 {
					t.Errorf("got %v in %d safe blocks, want what was forced as often as that, and what was there before", found, st.Safe.Height)
				}
				if at, err := chain.State(t.Context(), l1.Hash{}); err != nil || at.ForcedHead != 2 || at.ForcedTail != 2 || st.Counts.Void != 0 || st.Counts.Exempt != 1 {
					t.Errorf("the queue is %+v (%v), %+v; want it taken, and one exempt", at, err, st.Counts)
				}
				stop()
				seq.Close()
			})
		})
	}
}

// reluctant builds nothing that is forced, and counts how often it was to.
type reluctant struct {
	exec.Builder
	asked atomic.Int64
}

func (r *reluctant) BuildForced(ctx context.Context, height, at uint64, most int, _ [][]byte) ([][]byte, error) {
	r.asked.Add(1)
	return r.Build(ctx, height, at, most)
}

// An item that no block could hold is tried again, but not with each block. Blocks are given up for what this node
// knows of alone: not when the inbox says that something is due of which it has not heard.
func TestForcedInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var builder *reluctant
		b := newInboxBench(t, local.Options{ForcedDelay: 3600, Limit: 3000}, func(c *sequencer.Config, _ *local.Options) {
			builder = &reluctant{Builder: c.Builder}
			c.Builder = builder
		})
		seq, p := b.machine, b.proposer
		stop := b.run(t)
		time.Sleep(5 * time.Second)
		p.set(fmt.Errorf("as another head has it: %w", l1.ErrForcedDue), nil)
		time.Sleep(30 * time.Second)
		p.set(nil, nil)
		b.force("forced=1")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := builder.asked.Load(); n < 5 || n > 20 {
			t.Errorf("tried %d times in a minute, want once each five seconds or so", n)
		}
		if st := seq.Status().Load(); st.Counts.RevertedUnsafe != 0 || st.Counts.Void != 0 || st.Safe.Height < 100 {
			t.Errorf("%+v, safe head %d: want no block given up, and the chain to go on", st.Counts, st.Safe.Height)
		}
		stop()
		seq.Close()
	})
}

// onePer puts one forced transaction into a block, as an engine does when each asks for much of a block's gas.
type onePer struct{ *kv.Engine }

func (o onePer) BuildForced(_ context.Context, _, _ uint64, _ int, txs [][]byte) ([][]byte, error) {
	return txs[:1], nil
}

// Large items come due while users fill all blocks: what is forced has blocks of its own, one behind the other, which
// fit into one proposal.
func TestForcedUnderLoad(t *testing.T) {
	for name, c := range map[string]struct {
		builder func(*kv.Engine) exec.Builder
		size    int
	}{
		"large items":          {func(e *kv.Engine) exec.Builder { return e }, 32_000},
		"a block for each one": {func(e *kv.Engine) exec.Builder { return onePer{e} }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newInboxBench(t, local.Options{ForcedDelay: 5, ForcedMax: 3}, func(cfg *sequencer.Config, _ *local.Options) {
					cfg.Builder, cfg.BlockTime = c.builder(cfg.Builder.(*kv.Engine)), time.Second
				})
				chain, seq, p := b.chain, b.machine, b.proposer
				stop := b.run(t)
				under := func(n int) {
					for range n {
						for seq.KV.Stats().PoolTxs < 200 {
							if err := seq.KV.SubmitTx(t.Context(), append(fmt.Appendf(nil, "u%d=", time.Now().UnixNano()), make([]byte, 2000)...)); err != nil {
								t.Fatal(err)
							}
						}
						time.Sleep(500 * time.Millisecond)
					}
				}
				under(20)
				for i := range 3 {
					b.force(fmt.Sprintf("forced-%d=%s", i, strings.Repeat("x", c.size)))
				}
				p.set(errors.New("no answer"), nil)
				under(20)
				p.set(nil, nil)
				under(120)
				synctest.Wait()
				at, err := chain.State(t.Context(), l1.Hash{})
				if st := seq.Status().Load(); err != nil || at.ForcedHead != 3 || st.Counts.Void != 0 {
					t.Errorf("the queue is [%d, %d) (%v), %+v; want it taken within a minute", at.ForcedHead, at.ForcedTail, err, st.Counts)
				}
				stop()
				seq.Close()
			})
		})
	}
}

// judging counts the transactions that its engine is asked about for one block.
type judging struct {
	*kv.Engine
	now, most int
}

func (j *judging) Exempt(ctx context.Context, height uint64, item [][]byte) ([]string, error) {
	j.now += len(item)
	return j.Engine.Exempt(ctx, height, item)
}

func (j *judging) Build(ctx context.Context, height, at uint64, most int) ([][]byte, error) {
	j.most, j.now = max(j.most, j.now), 0
	return j.Engine.Build(ctx, height, at, most)
}

func (j *judging) BuildForced(ctx context.Context, height, at uint64, most int, forced [][]byte) ([][]byte, error) {
	j.most, j.now = max(j.most, j.now), 0
	return j.Engine.BuildForced(ctx, height, at, most, forced)
}

// Forty items of strangers, as large as they may be, that no block can include: what the engine is asked about them
// while a block is made is bounded, and the honest item behind them has its turn all the same.
func TestForcedBehindStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var builder *judging
		b := newInboxBench(t, local.Options{ForcedDelay: 3600, ForcedMax: 41, Limit: 1 << 22}, func(c *sequencer.Config, _ *local.Options) {
			builder = &judging{Engine: c.Builder.(*kv.Engine)}
			c.Builder = builder
		})
		stop := b.run(t)
		time.Sleep(5 * time.Second)
		b.proposer.set(errors.New("no answer"), nil) // so that the items stay
		for i := range 40 {
			txs := make([]string, 290)
			for n := range txs {
				txs[n] = fmt.Sprintf("no pair %d", i)
			}
			b.force(txs...)
		}
		b.force("honest=1")
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if v, ok, _ := b.machine.KV.Get([]byte("honest")); !ok || string(v) != "1" {
			t.Error("the honest item was not included")
		}
		stop()
		if builder.most < 290 || builder.most > 300 {
			t.Errorf("the engine was asked about %d transactions for one block, want one item of 290 at a time", builder.most)
		}
		b.machine.Close()
	})
}

// An account that may not propose, or cannot pay for it, is told as what stands in the way until somebody acts, with what
// to do, and is tried again.
func TestProposerRefused(t *testing.T) {
	for why, todo := range map[error]string{l1.ErrNotProposer: "headrace inbox proposer", l1.ErrFunds: "fund it"} {
		t.Run(why.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newInboxBench(t, local.Options{}, nil)
				b.proposer.set(fmt.Errorf("account 0x01: %w", why), nil)
				stop := b.run(t)
				s, err := b.seq.Status().Wait(t.Context(), func(s sequencer.Status) bool { return s.Failures > 3 })
				if err != nil || !strings.Contains(s.Stuck, why.Error()+": ") || !strings.Contains(s.Stuck, todo) || s.Failure != s.Stuck {
					t.Errorf("got %q, %q, %v, want the account and what to do", s.Stuck, s.Failure, err)
				}
				b.proposer.set(errors.New("no answer"), nil)
				if s, err = b.seq.Status().Wait(t.Context(), func(s sequencer.Status) bool { return strings.Contains(s.Failure, "no answer") }); err != nil || s.Stuck != "" {
					t.Errorf("got %q, %v after a failure of another kind", s.Stuck, err)
				}
				b.proposer.set(nil, nil)
				if s, err = b.seq.Status().Wait(t.Context(), func(s sequencer.Status) bool { return s.Submitted > 0 }); err != nil || s.Stuck != "" {
					t.Errorf("got %q, %v once it may", s.Stuck, err)
				}
				stop()
				b.machine.Close()
			})
		})
	}
}

// A proposal that is too large for what stands before the L1's node is made smaller, and the size is remembered, also if
// that says nothing but that the outcome is not known. A block that is too large alone is named, with what to do.
func TestProposalTooBig(t *testing.T) {
	for _, why := range []error{l1.ErrTooBig, l1.ErrUnknownOutcome} {
		t.Run(why.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) { c.BlockTime = 50 * time.Millisecond })
				refused, most := 0, 8
				b.proposer.mu.Lock()
				b.proposer.refuse = func(d l1.Draft) error {
					if len(d.Blocks) <= most {
						return nil
					}
					refused++
					return why
				}
				b.proposer.mu.Unlock()
				stop := b.run(t)
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				b.proposer.mu.Lock()
				if s := b.machine.Status().Load(); s.Safe.Height < 500 || refused == 0 || refused > 40 {
					t.Errorf("safe head %d after five minutes, %d proposals were too large: want it to move, and the size remembered", s.Safe.Height, refused)
				}
				most = 0
				b.proposer.mu.Unlock()
				time.Sleep(5 * time.Minute)
				if s := b.seq.Status().Load(); (why == l1.ErrTooBig) != (strings.Contains(s.Stuck, "client_max_body_size") && strings.Contains(s.Stuck, "l1.http")) {
					t.Errorf("got %q, want the remedy where the size is refused", s.Stuck)
				}
				b.proposer.mu.Lock()
				b.proposer.refuse = nil
				b.proposer.mu.Unlock()
				time.Sleep(time.Minute)
				if s := b.seq.Status().Load(); s.Stuck != "" || s.Failure != "" {
					t.Errorf("got %q, %q after it was proposed", s.Stuck, s.Failure)
				}
				stop()
				b.machine.Close()
			})
		})
	}
}
