package sequencer_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

// proposer fails on demand, before or after the proposal is included.
type proposer struct {
	l1.Proposer
	mu            sync.Mutex
	before, after error
}

func (p *proposer) set(before, after error) {
	p.mu.Lock()
	p.before, p.after = before, after
	p.mu.Unlock()
}

func (p *proposer) Propose(ctx context.Context, d l1.Draft) (l1.Inclusion, error) {
	p.mu.Lock()
	before, after := p.before, p.after
	p.mu.Unlock()
	if before != nil {
		return l1.Inclusion{}, before
	}
	in, err := p.Proposer.Propose(ctx, d)
	if after != nil {
		return l1.Inclusion{}, after
	}
	return in, err
}

// A sequencer proposes to an inbox; a full node follows it. Failures before and after inclusion, and a reorg that drops proposals, leave one chain without a doubled
// or lost proposal; forced items are taken.
func TestProposing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, -1)
		chain := local.New(local.Options{BlockTime: time.Second, ForcedDelay: 5})
		seq, full := w.Open(syncertest.NewHome(), nil), w.Open(syncertest.NewHome(), nil)
		sf := follow.New[l1.Block](chain, seq.L1Sink(), follow.Options{})
		ff := follow.New[l1.Block](chain, full.L1Sink(), follow.Options{})
		p := &proposer{Proposer: chain.Proposer(l1.Address{1})}
		q, err := sequencer.New(sequencer.Config{
			Syncer: seq.Syncer, Builder: seq.KV, Key: w.Key, Genesis: w.Genesis, Proposer: p, Inbox: chain, BlockTime: 300 * time.Millisecond,
			SubmitTimeout: 10 * time.Second,
			CaughtUp: func(ctx context.Context) error {
				_, err := sf.State().Wait(ctx, func(s follow.State) bool { return s.Live })
				return err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := syncertest.Run(t, chain.Run, sf.Run, ff.Run, q.Run)
		time.Sleep(5 * time.Second)
		p.set(errors.New("no answer"), nil)
		time.Sleep(5 * time.Second)
		p.set(nil, l1.ErrUnknownOutcome)
		time.Sleep(5 * time.Second)
		p.set(nil, nil)
		chain.Send(local.Tx{From: l1.Address{9}, Force: l1.EncodeTxs([][]byte{[]byte("forced=yes")})})
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
