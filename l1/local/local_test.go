package local_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/l1"
	"headrace/l1/local"
)

var (
	alice = l1.Address{1}
	bob   = l1.Address{2}
)

func draft(id uint64, name string) l1.Draft {
	return l1.Draft{ID: id, Parent: l1.Hash{byte(id)}, Blocks: []l1.Encoded{{Header: []byte("header " + name), Data: []byte("data " + name)}}}
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestSource(t *testing.T) {
	followtest.TestSource(t, func(t *testing.T) followtest.Harness[l1.Block] {
		c := local.New(local.Options{})
		n := byte(0)
		mine := func() { // a block with a proposal, then an empty one, and so on
			if n++; n%2 == 1 {
				c.Send(local.Tx{From: alice, Propose: &local.Call{Payload: []byte{n}}})
			}
			c.Mine()
		}
		extend := func(k int) {
			for range k {
				mine()
			}
		}
		extend(5)
		return followtest.Harness[l1.Block]{
			Source: c,
			Start:  1,
			Extend: extend,
			Head:   func() follow.Ref { b := c.Head(); return follow.Ref{Height: b.Number, Hash: follow.Hash(b.Hash)} },
			Fork: func(depth, k int) {
				if err := c.Reorg(c.Head().Number-uint64(depth), func() { extend(k) }); err != nil {
					t.Error(err)
				}
			},
		}
	})
}

func TestProposalsForcedItemsAndProofs(t *testing.T) {
	c := local.New(local.Options{Instant: true, ForcedMax: 2})
	ctx := t.Context()
	for i := range 3 {
		must(c.Include(ctx, local.Tx{From: bob, Force: l1.EncodeTxs([][]byte{{byte(i)}})}))(t)
	}
	p := c.Proposer(alice)
	if _, err := p.Propose(ctx, draft(1, "a")); !errors.Is(err, l1.ErrForcedDue) {
		t.Errorf("due items left out: got %v, want ErrForcedDue", err)
	}
	d := draft(1, "a")
	d.Forced = 3
	if _, err := p.Propose(ctx, d); err == nil {
		t.Error("more forced items than a proposal may take were taken")
	}
	d.Forced = 2
	at := must(p.Propose(ctx, d))(t)
	head := c.Head()
	if at.ID != 1 || at.Block != head.Ref() || len(head.Messages) != 1 {
		t.Fatalf("inclusion: got %+v at head %v", at, head.Ref())
	}
	got := head.Messages[0].Proposal
	if len(got.Sources) != 3 || !got.Sources[1].Forced || got.Sources[1].Index != 1 || got.Sources[1].Txs[0][0] != 1 || got.Own().Forced {
		t.Errorf("sources: got %+v", got.Sources)
	}
	if got.Void != "" || string(got.Blocks[0].Header) != "header a" || got.Parent != d.Parent || got.Proposer != alice {
		t.Errorf("proposal: got %+v", got)
	}
	queue := must(c.Queue(ctx, l1.Hash{}, 10))(t)
	if len(queue) != 1 || queue[0].Source.Index != 2 || queue[0].Sender != bob {
		t.Errorf("queue: got %+v", queue)
	}
	before := must(c.Queue(ctx, head.Parent, 10))(t)
	if len(before) != 3 {
		t.Errorf("queue at the parent: got %d items, want 3", len(before))
	}

	if _, err := c.Include(ctx, local.Tx{Prove: &l1.Proved{ID: 2}}); err == nil {
		t.Error("a proposal that does not exist was proven")
	}
	must(c.Include(ctx, local.Tx{Prove: &l1.Proved{ID: 1, Hash: l1.Hash{9}}}))(t)
	state := must(c.State(ctx, l1.Hash{}))(t)
	if state.NextID != 2 || state.FinalizedID != 1 || state.FinalizedHash != (l1.Hash{9}) || state.ForcedHead != 2 || state.ForcedTail != 3 || state.LastProposal.IsZero() {
		t.Errorf("state: got %+v", state)
	}
	if old := must(c.State(ctx, head.Parent))(t); old.NextID != 1 || old.ForcedHead != 0 {
		t.Errorf("state at the parent: got %+v", old)
	}
	if _, err := c.State(ctx, l1.Hash{7}); !errors.Is(err, l1.ErrNotFound) {
		t.Errorf("state at an unknown block: got %v, want ErrNotFound", err)
	}
}

func TestForcedDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := local.New(local.Options{Instant: true, ForcedDelay: 10})
		must(c.Include(t.Context(), local.Tx{Force: l1.EncodeTxs(nil)}))(t)
		p := c.Proposer(alice)
		must(p.Propose(t.Context(), draft(1, "not due yet")))(t)
		time.Sleep(10 * time.Second)
		if _, err := p.Propose(t.Context(), draft(2, "due")); !errors.Is(err, l1.ErrForcedDue) {
			t.Errorf("after the delay: got %v, want ErrForcedDue", err)
		}
	})
}

func TestGarbageIsVoid(t *testing.T) {
	c := local.New(local.Options{Instant: true})
	must(c.Include(t.Context(), local.Tx{Propose: &local.Call{Payload: []byte("garbage")}}))(t)
	if p := c.Head().Messages[0].Proposal; p.ID != 1 || p.Void == "" || p.Blocks != nil {
		t.Errorf("garbage: got %+v, want a void proposal 1", p)
	}
	must(c.Include(t.Context(), local.Tx{Force: []byte("garbage")}))(t)
	if f := c.Head().Messages[0].Forced; f.Source.Void == "" || f.Source.Txs != nil {
		t.Errorf("forced garbage: got %+v, want it void", f)
	}
}

func TestProposeAgainFindsIt(t *testing.T) {
	c := local.New(local.Options{Proposers: []l1.Address{alice}})
	p := c.Proposer(alice)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Propose(ctx, draft(1, "a")); !errors.Is(err, l1.ErrUnknownOutcome) || !errors.Is(err, context.Canceled) {
		t.Fatalf("given up: got %v, want ErrUnknownOutcome", err)
	}
	done := make(chan error, 1) // from the goroutine below
	go func() {
		_, err := p.Propose(t.Context(), draft(1, "a")) // while the first attempt waits for a block
		done <- err
	}()
	for len(done) == 0 && c.Head().Number < 100 {
		c.Mine()
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := must(c.State(t.Context(), l1.Hash{}))(t); got.NextID != 2 {
		t.Errorf("next id: got %d, want 2: proposed twice", got.NextID)
	}
	if _, err := p.Propose(t.Context(), draft(1, "b")); !errors.Is(err, l1.ErrStale) {
		t.Errorf("another draft with the id: got %v, want ErrStale", err)
	}
	c.Send(local.Tx{From: bob, Propose: &local.Call{Payload: []byte("x")}})
	if b := c.Mine(); len(b.Messages) != 0 {
		t.Error("somebody proposed who may not")
	}
}

func TestOneProposalInABlock(t *testing.T) {
	c := local.New(local.Options{})
	for range 2 {
		c.Send(local.Tx{From: alice, Propose: &local.Call{Payload: []byte("x")}})
	}
	if b := c.Mine(); len(b.Messages) != 1 {
		t.Errorf("got %d proposals in one block, want 1", len(b.Messages))
	}
}

// S27 to S30 for the source: a follower of this L1 stands on the new fork, whichever way it goes.
func TestReorgs(t *testing.T) {
	for _, c := range []struct {
		name       string
		keep, fork int // of the 2 blocks above the base; blocks of the new fork
	}{{"higher", 0, 10}, {"lower", 0, 1}, {"same height", 0, 2}, {"lower, no new block", 1, 0}, {"to genesis", -2, 0}, {"from genesis", -2, 3}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				chain := local.New(local.Options{})
				propose := func(n int, fork string) {
					for i := range n {
						chain.Send(local.Tx{Propose: &local.Call{Payload: l1.EncodeBlocks([]l1.Encoded{{Header: fmt.Append(nil, fork, i)}})}})
						chain.Mine()
					}
				}
				propose(2, "base")
				propose(2, "old")
				sink := follower(t, chain)
				synctest.Wait()
				if got, want := sink.Last().Height, uint64(4); got != want {
					t.Fatalf("before: got height %d, want %d", got, want)
				}
				base := uint64(2 + c.keep)
				if err := chain.Reorg(base, func() { propose(c.fork, "new") }); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if c.fork == 0 { // a head that is lower on the same chain may be an endpoint behind (I10): only a competing block is a reorg
					if got := sink.Last().Height; got != 4 {
						t.Errorf("no competing block: got height %d, want 4", got)
					}
					c.fork = 1
					propose(1, "new")
					time.Sleep(time.Minute)
				}
				if got, want := sink.Last(), chain.Head(); got.Height != base+uint64(c.fork) || got.Hash != follow.Hash(want.Hash) {
					t.Errorf("after: got %v, want %v", got, want.Ref())
				}
				state := must(chain.State(t.Context(), l1.Hash{}))(t)
				if got, want := state.NextID, base+uint64(c.fork)+1; got != want {
					t.Errorf("next id: got %d, want %d", got, want)
				}
			})
		})
	}
}

func TestFinality(t *testing.T) {
	c := local.New(local.Options{})
	if _, err := c.Finalized(t.Context()); !errors.Is(err, l1.ErrNoFinality) {
		t.Errorf("at first: got %v, want ErrNoFinality", err)
	}
	for range 5 {
		c.Mine()
	}
	if err := errors.Join(c.Finalize(2), c.SetSafe(4)); err != nil {
		t.Fatal(err)
	}
	if got := must(c.Finalized(t.Context()))(t); got.Height != 2 {
		t.Errorf("finalized: got %d, want 2", got.Height)
	}
	if err := c.Reorg(1, nil); err == nil {
		t.Error("a finalized block was taken back")
	}
	if err := c.Reorg(3, nil); err != nil {
		t.Fatal(err)
	}
	if got := must(c.Safe(t.Context()))(t); got.Height != 3 {
		t.Errorf("safe after a reorg below it: got %d, want 3", got.Height)
	}
	if c.Finalize(1) == nil || c.Finalize(9) == nil || c.SetSafe(9) == nil {
		t.Error("a tag was set below the finalized block or above the head")
	}
	auto := local.New(local.Options{Finality: 4})
	for range 10 {
		auto.Mine()
	}
	if f, s := must(auto.Finalized(t.Context()))(t), must(auto.Safe(t.Context()))(t); f.Height != 6 || s.Height != 8 {
		t.Errorf("by depth: got finalized %d, safe %d, want 6, 8", f.Height, s.Height)
	}
}

func TestRunMakesBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := local.New(local.Options{BlockTime: 2 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 21*time.Second)
		defer cancel()
		sink := follower(t, c)
		if err := c.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run: got %v", err)
		}
		synctest.Wait()
		if got := sink.Last().Height; got != 10 {
			t.Errorf("got %d blocks, want 10", got)
		}
	})
}

// follower keeps a sink in step with the chain until the test ends.
func follower(t *testing.T, c *local.Chain) *followtest.Sink[l1.Block] {
	t.Helper()
	sink := followtest.NewSink[l1.Block](1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}) // closed by the goroutine below
	go func() {
		defer close(done)
		_ = follow.New(c, sink, follow.Options{}).Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := sink.Err(); err != nil {
			t.Error(err)
		}
	})
	return sink
}
