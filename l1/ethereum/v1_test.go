package ethereum_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"headrace/contracts"
	"headrace/devnet/geth"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// deployV1 puts an inbox of version 1 in the place of the rig's, made of the recorded bytecode alone, and returns its ABI.
func (r *rig) deployV1(settings l1.Settings) abi.ABI {
	r.t.Helper()
	var old struct {
		ABI      abi.ABI       `json:"abi"`
		Bytecode hexutil.Bytes `json:"bytecode"`
	}
	r.check(json.Unmarshal(contracts.V1, &old))
	owner := crypto.PubkeyToAddress(r.owner.PublicKey)
	arguments, err := old.ABI.Pack("", owner, settings.ForcedDelay, uint16(settings.ForcedMax), []common.Address{common.Address(address(r.proposer))})
	r.check(err)
	nonce := r.nonce(r.owner)
	tx, err := types.SignNewTx(r.owner, types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), Nonce: nonce, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11), Gas: 5_000_000, Data: append(old.Bytecode, arguments...),
	})
	r.check(err)
	r.mine(tx)
	if !r.succeeded(tx) {
		r.t.Fatal("the recorded inbox cannot be deployed")
	}
	r.opt.Inbox, r.opt.StartBlock = l1.Address(crypto.CreateAddress(owner, nonce)), r.head().Height
	return old.ABI
}

// An inbox that was deployed before there was a version 2 is followed and proposed to as before, and items are forced
// in it: calls are made by its own ABI where a node does not make them.
func TestInboxOfVersion1(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	methods := r.deployV1(l1.Settings{ForcedDelay: 0, ForcedMax: 2})
	call := func(method string, args ...any) []byte {
		t.Helper()
		data, err := methods.Pack(method, args...)
		r.check(err)
		return data
	}
	c := r.client(nil)
	if got, err := c.Settings(t.Context()); err != nil || got != (l1.Settings{ForcedDelay: 0, ForcedMax: 2}) {
		t.Fatalf("settings: got %+v, %v, want no delay and two items", got, err)
	}
	start := r.head().Height + 1
	r.mine(r.tx(r.proposer, r.inbox(), call("propose", common.Hash{}, common.Hash{7}, uint16(0), payload("a"))))
	for i := range byte(3) {
		r.mine(r.tx(geth.DevKey(5), r.inbox(), call("force", l1.EncodeTxs([][]byte{{i}}))))
	}
	tooFew := r.tx(r.proposer, r.inbox(), call("propose", common.Hash(r.state().LastProposal), common.Hash{7}, uint16(1), payload("b")))
	r.mine(tooFew)
	tooMany := r.tx(r.proposer, r.inbox(), call("propose", common.Hash(r.state().LastProposal), common.Hash{7}, uint16(3), payload("b")))
	r.mine(tooMany)
	if r.succeeded(tooFew) || r.succeeded(tooMany) {
		t.Error("a proposal with one item, or three, succeeded, and two are due")
	}
	queue, err := c.Queue(t.Context(), l1.Hash{}, 10)
	if err != nil || len(queue) != 3 || queue[2].Source.Index != 2 || queue[2].Source.Txs[0][0] != 2 {
		t.Fatalf("queue: got %+v, %v, want three items", queue, err)
	}
	r.mining(func(ctx context.Context) {
		a := r.account(c, r.proposer, ethereum.CallData)
		d := draft(2, "b")
		d.Forced = 1
		if _, err := a.Propose(ctx, d); !errors.Is(err, l1.ErrForcedDue) {
			t.Errorf("a draft with one item: got %v, want ErrForcedDue", err)
		}
		d.Forced = 2
		at, err := a.Propose(ctx, d)
		r.check(err)
		if _, err := r.account(c, geth.DevKey(6), ethereum.CallData).Force(ctx, [][]byte{{9}}); err != nil {
			t.Errorf("force: %v", err)
		}
		d = draft(3, "c")
		d.Forced = 2
		blobs, err := r.account(c, r.proposer, ethereum.Blobs).Propose(ctx, d)
		r.check(err)
		blocks := fetch(t, r.client(nil), start, blobs.Block.Height+1)
		if p := blocks[0].Messages[0].Proposal; p.ID != 1 || p.Void != "" || len(p.Blocks) != 1 {
			t.Errorf("first proposal: got %+v", p)
		}
		if f := blocks[2].Messages[0].Forced; f == nil || f.Source.Index != 1 || f.Source.Txs[0][0] != 1 {
			t.Errorf("forced item: got %+v", f)
		}
		for id, number := range map[uint64]uint64{2: at.Block.Height, 3: blobs.Block.Height} {
			p := blocks[number-start].Messages[0].Proposal
			if p.ID != id || p.Void != "" || len(p.Sources) != 3 || p.Sources[1].Index != 2*id-3 || len(p.Sources[1].Txs) != 1 {
				t.Errorf("proposal %d: got %+v, want the items %d and %d in it", id, p, 2*id-4, 2*id-3)
			}
		}
		if _, err := r.account(c, r.owner, ethereum.CallData).Finalize(ctx, 3, l1.Hash{3}); err != nil {
			t.Errorf("finalize: %v", err)
		}
	})
	if got := r.state(); got.NextID != 4 || got.FinalizedID != 3 || got.ForcedHead != 4 || got.ForcedTail != 4 {
		t.Errorf("state: got %+v", got)
	}
}
