package ethereum_test

import (
	"context"
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/watch"
)

// included is the transaction with a hash, and its receipt.
func (r *rig) included(hash l1.Hash) (*types.Transaction, *types.Receipt) {
	r.t.Helper()
	tx, _, err := r.eth.TransactionByHash(r.t.Context(), common.Hash(hash))
	r.check(err)
	receipt, err := r.eth.TransactionReceipt(r.t.Context(), common.Hash(hash))
	r.check(err)
	return tx, receipt
}

func (r *rig) balance(key [20]byte) *big.Int {
	r.t.Helper()
	r.turn.RLock()
	defer r.turn.RUnlock()
	n, err := r.eth.BalanceAt(r.t.Context(), common.Address(key), nil)
	r.check(err)
	return n
}

// sentOnce returns a client, and a context that ends when a transaction was sent through it.
func (r *rig) sentOnce() (*ethereum.Client, context.Context) {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.t.Cleanup(cancel)
	return r.client(func(o *ethereum.Options) {
		o.Observer.Called = func(method string, _ int, _ time.Duration, err error) {
			if method == "eth_sendRawTransaction" && err == nil {
				cancel()
			}
		}
	}), ctx
}

// No limit of a fee is passed. While the L1 asks for more, the proposal waits, and the error says for what; with a higher
// limit another one takes its place.
func TestFeesAboveTheLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	base := r.chain.Head().Header.BaseFee
	for name, c := range map[string]struct {
		opt  ethereum.AccountOptions
		says string
	}{
		"base fee": {ethereum.AccountOptions{Content: ethereum.CallData, MaxFee: new(big.Int).Div(base, big.NewInt(2))}, "the L1's base fee is "},
	} {
		client, ctx := r.sentOnce()
		_, err := ethereum.NewAccount(client, r.proposer, c.opt).Propose(ctx, draft(1, "a"))
		if !errors.Is(err, l1.ErrFeeCap) || !errors.Is(err, l1.ErrUnknownOutcome) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want ErrFeeCap, %q", name, err, c.says)
		}
	}
	const tip = 7
	most := new(big.Int).Mul(base, big.NewInt(20))
	liar := newLiar(t, r.node.HTTP())
	liar.set("eth_maxPriorityFeePerGas", func(any) any { return "0x3b9aca00" })
	a := ethereum.NewAccount(r.client(func(o *ethereum.Options) { o.HTTP, o.WS = httpc.At(liar.URL), nil }), r.proposer, ethereum.AccountOptions{Content: ethereum.CallData, MaxTip: big.NewInt(tip), MaxFee: most})
	r.mining(func(ctx context.Context) {
		for id := uint64(1); id <= 2; id++ {
			at, err := a.Propose(ctx, draft(id, "a"))
			r.check(err)
			if tx, _ := r.included(at.Tx); tx.GasTipCap().Int64() != tip || tx.GasFeeCap().Cmp(most) != 0 {
				t.Errorf("proposal %d: got tip %s, fee cap %s; want %d of the gwei that is asked for, and the highest cap, since nothing can take its place", id, tx.GasTipCap(), tx.GasFeeCap(), tip)
			}
		}
	})
	if got := r.nonce(r.proposer); got != 2 {
		t.Errorf("got %d transactions, want 2", got)
	}
}

// What an account has posted is what its proposals were, and what they cost is what it has paid.
func TestPosted(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	at := [20]byte(crypto.PubkeyToAddress(r.proposer.PublicKey))
	for name, content := range map[string]ethereum.Content{"call data": ethereum.CallData, "blobs": ethereum.Blobs} {
		a := r.account(r.client(nil), r.proposer, content)
		before := r.balance(at)
		want := ethereum.Posted{Wei: new(big.Int)}
		r.mining(func(ctx context.Context) {
			for range 2 {
				d := draft(r.state().NextID, name)
				d.Blocks = append(d.Blocks, d.Blocks[0])
				in, err := a.Propose(ctx, d)
				r.check(err)
				_, receipt := r.included(in.Tx)
				want.Proposals, want.Blocks, want.Bytes = want.Proposals+1, want.Blocks+2, want.Bytes+uint64(l1.PayloadSize(d.Blocks))
				want.Gas, want.BlobGas = want.Gas+receipt.GasUsed, want.BlobGas+receipt.BlobGasUsed
				if again, err := a.Propose(ctx, d); err != nil || again != in {
					t.Errorf("%s: again: got %+v, %v", name, again, err)
				}
			}
		})
		data, blobs := a.Posted()
		got, none := data, blobs
		if content == ethereum.Blobs {
			got, none = blobs, data
		}
		want.Wei.Sub(before, r.balance(at))
		if got.Wei == nil || got.Wei.Cmp(want.Wei) != 0 {
			t.Errorf("%s: it has cost %s wei, want %s", name, got.Wei, want.Wei)
		}
		got.Wei, want.Wei = nil, nil
		if got != want || none != (ethereum.Posted{}) || want.Gas == 0 || (want.BlobGas > 0) != (content == ethereum.Blobs) {
			t.Errorf("%s: got %+v and %+v, want %+v and nothing", name, got, none, want)
		}
	}
}

// How much of a payload is worth its price: what fits into call data, whole blobs, or what costs less for a byte.
func TestWorth(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	const blob, data = l1.BlobCapacity, 120_000
	for _, c := range []struct {
		content    ethereum.Content
		size, want int
	}{
		{ethereum.CallData, 100, 100}, {ethereum.CallData, 1 << 20, data},
		{ethereum.Blobs, 100, 100}, {ethereum.Blobs, blob, blob}, {ethereum.Blobs, 2*blob - 1, blob}, {ethereum.Blobs, 2*blob + 1, 2 * blob}, {ethereum.Blobs, 1 << 30, 6 * blob},
		{ethereum.Cheapest, 100, 100}, {ethereum.Cheapest, 3*blob + 5, 3 * blob}, // a new L1's blobs cost nothing
	} {
		got, err := r.account(r.client(nil), r.proposer, c.content).Worth(t.Context(), c.size)
		if err != nil || got != c.want {
			t.Errorf("content %d, %d bytes: got %d, %v, want %d", c.content, c.size, got, err, c.want)
		}
	}
}

// What commitments need can be prepared at any time, as often as one likes.
func TestPrepareBlobs(t *testing.T) {
	for range 2 {
		if err := ethereum.PrepareBlobs(); err != nil {
			t.Fatal(err)
		}
	}
}

// A proposal that is sent again takes what has come meanwhile with it, in call data and in blobs, and is found by whoever
// proposes that again.
func TestFullerInItsPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	for id, content := range []ethereum.Content{ethereum.CallData, ethereum.Blobs} {
		id := uint64(id) + 1
		sends := watch.New(0)
		c := r.client(func(o *ethereum.Options) {
			o.Observer.Called = func(method string, _ int, _ time.Duration, err error) {
				if method == "eth_sendRawTransaction" && err == nil {
					sends.Update(func(n int) int { return n + 1 })
				}
			}
		})
		a := ethereum.NewAccount(c, r.proposer, ethereum.AccountOptions{Content: content, Resend: 20 * time.Millisecond})
		first, second := draft(id, "first"), draft(id, "second")
		fuller := first
		fuller.Blocks = append(fuller.Blocks[:1:1], second.Blocks...)
		first.Fuller = func(context.Context) (l1.Draft, bool) { return fuller, sends.Load() >= 2 }
		var done sync.WaitGroup
		done.Go(func() {
			if at, err := a.Propose(t.Context(), first); err != nil || at.ID != id {
				t.Errorf("got %+v, %v", at, err)
			}
		})
		atLeast(t, sends, 4)
		_, err := r.chain.Mine(t.Context(), beacon.Spec{})
		r.check(err)
		done.Wait()
		p := one(t, c, r.chain.Head().Number()).Proposal
		if p == nil || len(p.Blocks) != 2 || string(p.Blocks[1].Header) != string(second.Blocks[0].Header) {
			t.Errorf("content %d: got %+v, want both blocks", content, p)
		}
		data, blobs := a.Posted()
		if posted := data.Blocks + blobs.Blocks; posted != 2 {
			t.Errorf("content %d: %d blocks are said to be posted, want 2", content, posted)
		}
		before := r.nonce(r.proposer)
		if at, err := r.account(r.client(nil), r.proposer, content).Propose(t.Context(), fuller); err != nil || at.ID != id || r.nonce(r.proposer) != before {
			t.Errorf("content %d: again: got %+v, %v", content, at, err)
		}
		if _, err := r.account(r.client(nil), r.proposer, content).Propose(t.Context(), draft(id, "first")); !errors.Is(err, l1.ErrStale) {
			t.Errorf("content %d: the smaller one: got %v, want that another has its id", content, err)
		}
	}
}
