package ethereum_test

import (
	"context"
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

	"headrace/devnet/geth"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// Logs that are trusted are trusted to be all there are. What one of them says of its place, its contract and its
// transaction must be possible, or nothing is delivered.
func TestLyingLogs(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	r.propose(payload("a"))
	height := r.head().Height
	r.check(r.chain.Tag(t.Context(), r.chain.Head().Hash(), r.chain.Head().Hash()))
	liar := newLiar(t, r.node.HTTP())
	client := r.client(func(o *ethereum.Options) { o.HTTP, o.WS, o.TrustLogs = httpc.At(liar.URL), nil, true })
	for name, change := range map[string]func(log map[string]any){
		"of a block below the range":          func(log map[string]any) { log["blockNumber"] = "0x0" },
		"of a block above the range":          func(log map[string]any) { log["blockNumber"] = "0xffff" },
		"taken back":                          func(log map[string]any) { log["removed"] = true },
		"of another contract":                 func(log map[string]any) { log["address"] = hexutil.Encode(make([]byte, 20)) },
		"of another event":                    func(log map[string]any) { list(log["topics"])[0] = hexutil.Encode(make([]byte, 32)) },
		"of a transaction that there is none": func(log map[string]any) { log["transactionIndex"] = "0x63" },
	} {
		liar.set("eth_getLogs", func(v any) any { change(object(list(v)[0])); return v })
		if got, err := tryFetch(t.Context(), client, height, height+1); err == nil || len(got) != 0 || liar.told() == 0 {
			t.Errorf("a log %s, told %d times: got %d blocks, %v, want an error", name, liar.told(), len(got), err)
		}
	}
	liar.set("", nil)
	if m := one(t, client, height); m.Proposal == nil || m.Proposal.Void != "" {
		t.Errorf("the true log: got %+v", m)
	}
}

// Logs are trusted for blocks that are final. Of a block that is not, an endpoint may not have them yet: it is read
// by its receipts, in the same range too.
func TestLogsOfBlocksNotFinal(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	final := r.chain.Head()
	r.check(r.chain.Tag(t.Context(), final.Hash(), final.Hash()))
	r.propose(payload("a"))
	liar := newLiar(t, r.node.HTTP())
	liar.set("eth_getLogs", func(any) any { return []any{} })
	client := r.client(func(o *ethereum.Options) { o.HTTP, o.WS, o.TrustLogs = httpc.At(liar.URL), nil, true })
	got := fetch(t, client, final.Number(), r.head().Height+1)
	if last := got[len(got)-1]; len(last.Messages) != 1 {
		t.Errorf("got %d messages in a block that is not final, want 1", len(last.Messages))
	}
}

// A proposal is the draft only if it names the same parent and takes as many forced items: one with the same blocks
// is another one all the same.
func TestSameBlocksAnotherProposal(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedDelay: 1000})
	r.mine(r.tx(geth.DevKey(4), r.inbox(), bindings.PackForce(l1.EncodeTxs([][]byte{{1}}))))
	if tx := r.proposeTx(payload("a"), 0); r.mine(tx) == nil || !r.succeeded(tx) { // on parent 7
		t.Fatal("the proposal was not taken")
	}
	a := r.account(r.client(nil), r.proposer, ethereum.CallData)
	for name, c := range map[string]struct {
		parent l1.Hash
		forced int
		want   error
	}{
		"the same":             {l1.Hash{7}, 0, nil},
		"another parent":       {l1.Hash{1}, 0, l1.ErrStale},
		"with the forced item": {l1.Hash{7}, 1, l1.ErrStale},
	} {
		d := draft(1, "a")
		d.Parent, d.Forced = c.parent, c.forced
		if at, err := a.Propose(t.Context(), d); !errors.Is(err, c.want) || err == nil && at.ID != 1 {
			t.Errorf("%s: got %+v, %v, want %v", name, at, err, c.want)
		}
	}
	if got := r.nonce(r.proposer); got != 1 {
		t.Errorf("got %d transactions, want the first alone", got)
	}
}

// Whatever an endpoint says that the market asks for, no transaction offers more than is allowed.
func TestFeeLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	liar := newLiar(t, r.node.HTTP())
	most := big.NewInt(20 * params.GWei)
	for _, c := range []struct {
		name, method string
		content      ethereum.Content
		offers       func(*types.Transaction) []*big.Int
	}{
		{"call data", "eth_maxPriorityFeePerGas", ethereum.CallData, func(tx *types.Transaction) []*big.Int { return []*big.Int{tx.GasFeeCap(), tx.GasTipCap()} }},
		{"blobs", "eth_blobBaseFee", ethereum.Blobs, func(tx *types.Transaction) []*big.Int { return []*big.Int{tx.BlobGasFeeCap()} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			liar.set(c.method, func(any) any { return hexutil.EncodeBig(big.NewInt(1000 * params.GWei)) })
			a := ethereum.NewAccount(r.client(func(o *ethereum.Options) { o.HTTP, o.WS = httpc.At(liar.URL), nil }), r.proposer,
				ethereum.AccountOptions{Content: c.content, MaxFee: most, MaxBlobFee: most})
			r.mining(func(ctx context.Context) {
				at, err := a.Propose(ctx, draft(r.state().NextID, c.method))
				if err != nil {
					t.Fatal(err)
				}
				tx, _, err := r.eth.TransactionByHash(ctx, common.Hash(at.Tx))
				if err != nil {
					t.Fatal(err)
				}
				for _, offer := range c.offers(tx) {
					if offer.Cmp(most) != 0 {
						t.Errorf("%s says 1000 gwei: got an offer of %s, want %s", c.method, offer, most)
					}
				}
			})
			if liar.told() == 0 {
				t.Errorf("%s was not asked", c.method)
			}
		})
	}
}
