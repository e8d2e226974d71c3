package ethereum_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/watch"
)

// nonce is that of the account in the last block that is whole.
func (r *rig) nonce(key *ecdsa.PrivateKey) uint64 {
	r.t.Helper()
	r.turn.RLock()
	defer r.turn.RUnlock()
	n, err := r.eth.NonceAt(r.t.Context(), crypto.PubkeyToAddress(key.PublicKey), nil)
	r.check(err)
	return n
}

// What is proposed is found by the source, where the proposer says; and proposing it again, also by another process,
// finds it and sends nothing.
func TestPropose(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	c := r.client(nil)
	a := r.account(c, r.proposer, ethereum.CallData)
	r.mining(func(ctx context.Context) {
		for id := uint64(1); id <= 3; id++ {
			d := draft(id, fmt.Sprint(id))
			at, err := a.Propose(ctx, d)
			r.check(err)
			m := one(t, c, at.Block.Height)
			p := m.Proposal
			if p == nil || p.ID != id || at.ID != id || m.Tx != at.Tx || m.LogIndex != at.LogIndex || p.Parent != d.Parent || p.Proposer != a.Address() {
				t.Errorf("proposal %d: got %+v at %+v", id, p, at)
			}
		}
		before := r.nonce(r.proposer)
		first, err := a.Propose(ctx, draft(1, "1"))
		r.check(err)
		again, err := r.account(r.client(nil), r.proposer, ethereum.CallData).Propose(ctx, draft(1, "1"))
		r.check(err)
		if m := one(t, c, first.Block.Height); first != again || m.Proposal.ID != 1 {
			t.Errorf("again: got %+v and %+v", first, again)
		}
		moved, err := r.account(c, geth.DevKey(3), ethereum.CallData).Propose(ctx, draft(1, "1"))
		if err != nil || moved != first {
			t.Errorf("by another account: got %+v, %v, want %+v", moved, err, first)
		}
		if got := r.nonce(r.proposer) + r.nonce(geth.DevKey(3)); got != before {
			t.Errorf("proposing again sent %d transactions", got-before)
		}
		cheap, err := ethereum.NewAccount(c, r.proposer, ethereum.AccountOptions{}).Propose(ctx, draft(4, "cheapest"))
		r.check(err)
		if p := one(t, c, cheap.Block.Height).Proposal; p.Void != "" || p.ID != 4 {
			t.Errorf("where it is cheaper: got %+v", p)
		}
	})
}

func TestProposeRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedMax: 2})
	c := r.client(nil)
	a := r.account(c, r.proposer, ethereum.CallData)
	poor, err := crypto.GenerateKey()
	r.check(err)
	r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetProposer(common.Address(address(poor)), true)))
	large := draft(1, "large")
	large.Blocks[0].Data = make([]byte, a.Limit())
	forced := draft(1, "forced")
	forced.Forced = 1
	check := func(name string, account *ethereum.Account, d l1.Draft, want error) {
		t.Helper()
		if _, err := account.Propose(t.Context(), d); !errors.Is(err, want) || errors.Is(err, l1.ErrUnknownOutcome) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	check("id ahead", a, draft(2, "a"), l1.ErrStale)
	check("too big", a, large, l1.ErrTooBig)
	check("may not propose", r.account(c, geth.DevKey(6), ethereum.CallData), draft(1, "a"), l1.ErrNotProposer)
	check("no money", r.account(c, poor, ethereum.CallData), draft(1, "a"), l1.ErrFunds)
	check("forced item that is not there", a, forced, l1.ErrStale)
	r.mine(r.tx(geth.DevKey(5), r.inbox(), bindings.PackForce(l1.EncodeTxs(nil))))
	check("forced item is due", a, draft(1, "a"), l1.ErrForcedDue)
	if _, err := a.Propose(t.Context(), l1.Draft{ID: 1}); err == nil {
		t.Error("a draft without blocks was taken")
	}
	if got := r.nonce(r.proposer); got != 0 {
		t.Errorf("refused drafts cost %d transactions", got)
	}
	r.mining(func(ctx context.Context) {
		_, err := a.Propose(ctx, forced)
		r.check(err)
		check("id taken by another", a, draft(1, "other"), l1.ErrStale)
		owner := r.account(c, r.owner, ethereum.CallData)
		at, err := owner.Finalize(ctx, 1, l1.Hash{3})
		r.check(err)
		if m := one(t, c, at.Block.Height); m.Proved == nil || m.Proved.Hash != (l1.Hash{3}) {
			t.Errorf("finalize: got %+v", m)
		}
		if _, err := owner.Finalize(ctx, 1, l1.Hash{3}); err == nil {
			t.Error("finalizing twice succeeded")
		}
		if _, err := owner.Force(ctx, [][]byte{{1}}); err != nil {
			t.Error(err)
		}
		if _, err := owner.SetProposer(ctx, a.Address(), false); err != nil {
			t.Error(err)
		}
		check("no longer a proposer", a, draft(2, "a"), l1.ErrNotProposer)
	})
}

// A call given up has an unknown outcome; trying again finds what was included, or replaces what was not.
func TestProposeUnknownOutcome(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	giveUp := func(content ethereum.Content, d l1.Draft) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := r.client(func(o *ethereum.Options) {
			o.Observer.Called = func(method string, _ int, _ time.Duration, err error) {
				if method == "eth_sendRawTransaction" && err == nil {
					cancel()
				}
			}
		})
		if _, err := r.account(c, r.proposer, content).Propose(ctx, d); !errors.Is(err, l1.ErrUnknownOutcome) || !errors.Is(err, context.Canceled) {
			t.Fatalf("given up: got %v, want ErrUnknownOutcome", err)
		}
	}
	c := r.client(nil)
	a := r.account(c, r.proposer, ethereum.CallData)

	giveUp(ethereum.CallData, draft(1, "included meanwhile"))
	if _, err := r.chain.Mine(t.Context(), beacon.Spec{}); err != nil { // from the pool
		t.Fatal(err)
	}
	at, err := a.Propose(t.Context(), draft(1, "included meanwhile"))
	r.check(err)
	if at.Block.Hash != [32]byte(r.chain.Head().Hash()) || r.nonce(r.proposer) != 1 {
		t.Errorf("got %+v and %d transactions, want the block mined meanwhile, and 1", at, r.nonce(r.proposer))
	}

	giveUp(ethereum.CallData, draft(2, "waits in the pool")) // a transaction that another process has left is replaced
	r.mining(func(ctx context.Context) {
		at, err := a.Propose(ctx, draft(2, "another"))
		if errors.Is(err, l1.ErrStale) { // the first one was faster
			at, err = a.Propose(ctx, draft(2, "waits in the pool"))
		}
		r.check(err)
		if r.nonce(r.proposer) != 2 || r.state().NextID != 3 || at.ID != 2 {
			t.Errorf("got %d transactions, next id %d, want 2 and 3", r.nonce(r.proposer), r.state().NextID)
		}
	})
}

// An account is idle when what an earlier process has left in the pool is included, and not before.
func TestIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	until := func(ctx context.Context, method string, times int, run func(context.Context, *ethereum.Account) error) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var calls atomic.Int64
		c := r.client(func(o *ethereum.Options) {
			o.Poll = 10 * time.Millisecond
			o.Observer.Called = func(called string, _ int, _ time.Duration, err error) {
				if called == method && err == nil && calls.Add(1) == int64(times) {
					cancel()
				}
			}
		})
		return run(ctx, r.account(c, r.proposer, ethereum.CallData))
	}
	_ = until(t.Context(), "eth_sendRawTransaction", 1, func(ctx context.Context, a *ethereum.Account) error {
		_, err := a.Propose(ctx, draft(1, "left in the pool"))
		return err
	})
	idle := func(ctx context.Context, a *ethereum.Account) error {
		at, err := a.Idle(ctx)
		if err == nil && at != r.chain.Head().Number() {
			t.Errorf("idle as of block %d, the head is %d", at, r.chain.Head().Number())
		}
		return err
	}
	if err := until(t.Context(), "eth_getTransactionCount", 10, idle); !errors.Is(err, context.Canceled) {
		t.Errorf("a transaction waits: got %v, want no answer", err)
	}
	if _, err := r.chain.Mine(t.Context(), beacon.Spec{}); err != nil {
		t.Fatal(err)
	}
	if err := until(t.Context(), "", 1, idle); err != nil || r.nonce(r.proposer) != 1 {
		t.Errorf("it is included: got %v, %d transactions", err, r.nonce(r.proposer))
	}
}

// A transaction that is not included is sent again with a higher fee, and included once.
func TestFeeBump(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	sends := watch.New(0)
	c := r.client(func(o *ethereum.Options) {
		o.Observer.Called = func(method string, _ int, _ time.Duration, err error) {
			if method == "eth_sendRawTransaction" && err == nil {
				sends.Update(func(n int) int { return n + 1 })
			}
		}
	})
	a := ethereum.NewAccount(c, r.proposer, ethereum.AccountOptions{Content: ethereum.CallData, Resend: 20 * time.Millisecond})
	var done sync.WaitGroup
	done.Go(func() {
		if at, err := a.Propose(t.Context(), draft(1, "a")); err != nil || at.ID != 1 {
			t.Errorf("got %+v, %v", at, err)
		}
	})
	atLeast(t, sends, 4)
	_, err := r.chain.Mine(t.Context(), beacon.Spec{})
	r.check(err)
	done.Wait()
	market, err := r.eth.SuggestGasTipCap(t.Context())
	r.check(err)
	block, err := r.eth.BlockByHash(t.Context(), r.chain.Head().Hash())
	r.check(err)
	if len(block.Transactions()) != 1 {
		t.Fatalf("got %d transactions, want 1", len(block.Transactions()))
	}
	if tip := block.Transactions()[0].GasTipCap(); tip.Cmp(new(big.Int).Add(market, big.NewInt(2))) <= 0 {
		t.Errorf("got tip %s, the market's is %s: not raised", tip, market)
	}
}

// Another transaction of the account takes the nonce: the proposal goes out again with the next one.
func TestNonceTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	sends := watch.New(0)
	c := r.client(func(o *ethereum.Options) {
		o.Observer.Called = func(method string, _ int, _ time.Duration, err error) {
			if method == "eth_sendRawTransaction" && err == nil {
				sends.Update(func(n int) int { return n + 1 })
			}
		}
	})
	other := r.tx(r.proposer, r.inbox(), bindings.PackForce([]byte("x"))) // with the nonce that the proposal will have
	r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetProposer(common.Address{1}, true)))
	d := draft(1, "a")
	var done sync.WaitGroup
	done.Go(func() {
		at, err := r.account(c, r.proposer, ethereum.CallData).Propose(t.Context(), d)
		if !errors.Is(err, l1.ErrForcedDue) { // what took the nonce has queued an item
			t.Errorf("got %+v, %v, want ErrForcedDue", at, err)
		}
	})
	atLeast(t, sends, 1)
	r.mine(other)
	done.Wait()
	d.Forced = 1
	r.mining(func(ctx context.Context) {
		at, err := r.account(c, r.proposer, ethereum.CallData).Propose(ctx, d)
		if err != nil || at.ID != 1 || r.nonce(r.proposer) != 2 {
			t.Errorf("got %+v, %v after %d transactions", at, err, r.nonce(r.proposer))
		}
	})
}

// Of two proposers at the same time one gets the id, and the other is told.
func TestTwoProposers(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetProposer(common.Address(address(geth.DevKey(3))), true)))
	c := r.client(nil)
	r.mining(func(ctx context.Context) {
		for id := uint64(1); id <= 4; id++ {
			var errs [2]error
			var both sync.WaitGroup
			for i, key := range []*ecdsa.PrivateKey{r.proposer, geth.DevKey(3)} {
				both.Go(func() {
					_, errs[i] = r.account(c, key, ethereum.CallData).Propose(ctx, draft(id, fmt.Sprint(i)))
				})
			}
			both.Wait()
			if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), l1.ErrStale) {
				t.Errorf("proposal %d: got %v, want one ErrStale", id, errs)
			}
			if got := r.state().NextID; got != id+1 {
				t.Fatalf("next id: got %d, want %d", got, id+1)
			}
		}
	})
}

// A reorg takes a proposal back: proposing the same draft again includes it in the new fork.
func TestProposeAfterReorg(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	c := r.client(nil)
	a := r.account(c, r.proposer, ethereum.CallData)
	propose := func() (at l1.Inclusion) {
		r.mining(func(ctx context.Context) {
			var err error
			at, err = a.Propose(ctx, draft(1, "a"))
			r.check(err)
		})
		return at
	}
	first := propose()
	depth := r.chain.Head().Number() - first.Block.Height + 1
	if _, err := r.chain.Reorg(t.Context(), depth, beacon.EmptyN(int(depth)+1)...); err != nil {
		t.Fatal(err)
	}
	if got := r.state().NextID; got != 1 {
		t.Fatalf("next id after the reorg: got %d, want 1", got)
	}
	second := propose()
	if second.Block == first.Block || one(t, c, second.Block.Height).Proposal.ID != 1 || r.state().NextID != 2 {
		t.Errorf("got %+v after %+v, next id %d", second, first, r.state().NextID)
	}
}

// An endpoint that takes the transaction and answers with an error, or does not take it, changes nothing in the end.
func TestSendFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	for id, after := range []bool{false, true} { // failed and not done, failed but done
		liar := newLiar(t, r.node.HTTP())
		liar.breakSend(after)
		c := r.client(func(o *ethereum.Options) { o.HTTP = httpc.At(liar.URL) })
		a := ethereum.NewAccount(c, r.proposer, ethereum.AccountOptions{Content: ethereum.CallData, Resend: 50 * time.Millisecond})
		r.mining(func(ctx context.Context) {
			at, err := a.Propose(ctx, draft(uint64(id+1), strings.Repeat("x", 100)))
			if err != nil || at.ID != uint64(id+1) {
				t.Errorf("done %v: got %+v, %v", after, at, err)
			}
		})
		if liar.told() == 0 || r.nonce(r.proposer) != uint64(id+1) {
			t.Errorf("done %v: got %d faults and %d transactions", after, liar.told(), r.nonce(r.proposer))
		}
	}
}
