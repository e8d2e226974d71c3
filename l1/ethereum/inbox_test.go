package ethereum_test

import (
	"bytes"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/l1"
)

// The contract's rules, on a real chain: what must succeed does, what must not reverts.
func TestContractRules(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedDelay: 0, ForcedMax: 2})
	c := r.client(nil)
	stranger := geth.DevKey(5)
	try := func(name string, want bool, txs ...*types.Transaction) {
		t.Helper()
		r.mine(txs...)
		if got := r.succeeded(txs[len(txs)-1]); got != want {
			t.Errorf("%s: got success %v, want %v", name, got, want)
		}
	}
	none := common.Hash{}
	try("stranger proposes", false, r.tx(stranger, r.inbox(), bindings.PackPropose(none, none, 0, payload("a"))))
	try("proposal without content", false, r.tx(r.proposer, r.inbox(), bindings.PackPropose(none, none, 0, nil)))
	try("blobs without blobs", false, r.tx(r.proposer, r.inbox(), bindings.PackProposeBlobs(none, none, 0, 0)))
	try("other parent than none", false, r.tx(r.proposer, r.inbox(), bindings.PackPropose(common.Hash{1}, none, 0, payload("a"))))
	if got := r.state(); got.NextID != 1 || !got.LastProposal.IsZero() {
		t.Errorf("state before the first proposal: got %+v", got)
	}
	try("first proposal", true, r.proposeTx(payload("a"), 0))
	try("parent of the fork before", false, r.tx(r.proposer, r.inbox(), bindings.PackPropose(none, none, 0, payload("a"))))
	before := r.chain.Head()
	try("second proposal", true, r.proposeTx(payload("b"), 0))
	if got := r.state(); got.NextID != 3 || got.LastBlock != r.chain.Head().Number() || got.LastProposal.IsZero() {
		t.Errorf("state: got %+v", got)
	}
	if old, err := c.State(t.Context(), l1.Hash(before.Hash())); err != nil || old.NextID != 2 {
		t.Errorf("state at the block before: got %+v, %v, want next id 2", old, err)
	}

	try("stranger finalizes", false, r.tx(stranger, r.inbox(), bindings.PackFinalize(1, common.Hash{1})))
	try("finalize what is not there", false, r.tx(r.owner, r.inbox(), bindings.PackFinalize(3, common.Hash{1})))
	try("finalize", true, r.tx(r.owner, r.inbox(), bindings.PackFinalize(2, common.Hash{2})))
	if m := one(t, c, r.head().Height); m.Proved == nil || *m.Proved != (l1.Proved{ID: 2, Hash: l1.Hash{2}}) {
		t.Errorf("Proved: got %+v", m.Proved)
	}
	try("finalize backwards", false, r.tx(r.owner, r.inbox(), bindings.PackFinalize(1, common.Hash{1})))
	if got := r.state(); got.FinalizedID != 2 || got.FinalizedHash != (l1.Hash{2}) {
		t.Errorf("finalized: got %+v", got)
	}

	try("force too much", false, r.tx(stranger, r.inbox(), bindings.PackForce(make([]byte, l1.MaxForced+1))))
	try("force nothing", false, r.tx(stranger, r.inbox(), bindings.PackForce(nil)))
	try("stranger sets proposer", false, r.tx(stranger, r.inbox(), bindings.PackSetProposer(common.Address(address(stranger)), true)))
	try("owner sets proposer", true, r.tx(r.owner, r.inbox(), bindings.PackSetProposer(common.Address(address(stranger)), true)))
	try("second proposer", true, r.tx(stranger, r.inbox(), bindings.PackPropose(r.state().LastProposal, none, 0, payload("c"))))

	// Two in one block, the second right in all else: the block is made twice, to know the hash of the first one's proposal in it.
	first := r.proposeTx(payload("d"), 0)
	try("alone", true, first)
	second := r.tx(stranger, r.inbox(), bindings.PackPropose(r.state().LastProposal, none, 0, payload("e")))
	next := r.state().LastProposal
	if _, err := r.chain.Reorg(t.Context(), 1, beacon.With(first, second)); err != nil {
		t.Fatal(err)
	}
	if got := r.state().LastProposal; got != next {
		t.Fatalf("the block made again has proposal %s, want %s", got, next)
	}
	if !r.succeeded(first) || r.succeeded(second) {
		t.Error("two proposals in one block: want the first to succeed and the second to fail")
	}
	try("the same in the next block", true, r.tx(stranger, r.inbox(), bindings.PackPropose(next, none, 0, payload("e"))))
	try("forbidden again", true, r.tx(r.owner, r.inbox(), bindings.PackSetProposer(common.Address(address(stranger)), false)))
	try("forbidden proposer", false, r.tx(stranger, r.inbox(), bindings.PackPropose(r.state().LastProposal, none, 0, payload("c"))))
	try("stranger takes over", false, r.tx(stranger, r.inbox(), bindings.PackSetOwner(common.Address(address(stranger)))))
	try("no owner", false, r.tx(r.owner, r.inbox(), bindings.PackSetOwner(common.Address{})))
	try("owner hands over", true, r.tx(r.owner, r.inbox(), bindings.PackSetOwner(common.Address(address(stranger)))))
	try("the owner before", false, r.tx(r.owner, r.inbox(), bindings.PackFinalize(3, common.Hash{1})))
	try("the new owner", true, r.tx(stranger, r.inbox(), bindings.PackFinalize(3, common.Hash{1})))
	if settings, err := c.Settings(t.Context()); err != nil || settings != (l1.Settings{ForcedDelay: 0, ForcedMax: 2}) {
		t.Errorf("settings: got %+v, %v", settings, err)
	}
	try("force as much as may be", true, r.tx(stranger, r.inbox(), bindings.PackForce(make([]byte, l1.MaxForced))))
}

// S31: what is queued and due is taken, in order, before the proposer's own; and it is only taken once.
func TestForcedInclusion(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedDelay: 0, ForcedMax: 2})
	stranger := geth.DevKey(5)
	start := r.head().Height + 1
	for i := range byte(3) {
		r.mine(r.tx(stranger, r.inbox(), bindings.PackForce(l1.EncodeTxs([][]byte{{i}, {i, i}}))))
	}
	r.mine(r.tx(stranger, r.inbox(), bindings.PackForce([]byte("garbage"))))
	leftOut := r.proposeTx(payload("leaves out"), 1)
	r.mine(leftOut)
	tooMany := r.proposeTx(payload("takes too many"), 3)
	r.mine(tooMany)
	if r.succeeded(leftOut) || r.succeeded(tooMany) {
		t.Error("a proposal that leaves out due items, or takes more than it may, succeeded")
	}
	queue, err := r.client(nil).Queue(t.Context(), l1.Hash{}, 10)
	if err != nil || len(queue) != 4 || queue[1].Sender != address(stranger) || !bytes.Equal(queue[1].Source.Txs[1], []byte{1, 1}) || queue[3].Source.Void == "" {
		t.Errorf("queue: got %+v, %v", queue, err)
	}
	if r.mine(r.proposeTx(payload("first"), 2)); r.state().NextID != 2 {
		t.Fatal("the proposal that takes two items failed")
	}
	first := r.head().Height
	r.mine(r.proposeTx(payload("second"), 2))
	r.mine(r.proposeTx(payload("third"), 0))

	blocks := fetch(t, r.client(nil), start, r.head().Height+1)
	for i := range 3 {
		f := blocks[i].Messages[0].Forced
		if f == nil || f.Source.Index != uint64(i) || !f.Source.Forced || len(f.Source.Txs) != 2 || f.Source.Number != blocks[i].Number || f.Source.Time != blocks[i].Time {
			t.Errorf("forced item %d: got %+v", i, f)
		}
	}
	p := blocks[first-start].Messages[0].Proposal
	if p.ID != 1 || len(p.Sources) != 3 || p.Void != "" || string(p.Blocks[0].Header) != "header first" {
		t.Fatalf("first proposal: got %+v", p)
	}
	for i := range 2 {
		if s := p.Sources[i]; !s.Forced || s.Index != uint64(i) || !bytes.Equal(s.Txs[0], []byte{byte(i)}) {
			t.Errorf("first proposal, source %d: got %+v", i, s)
		}
	}
	// Somebody's forced garbage does not make the proposal void.
	p = blocks[first-start+1].Messages[0].Proposal
	if p.ID != 2 || p.Void != "" || p.Sources[1].Void == "" || p.Sources[1].Txs != nil || p.Sources[0].Void != "" {
		t.Errorf("second proposal: got %+v", p)
	}
	if p = blocks[first-start+2].Messages[0].Proposal; len(p.Sources) != 1 || p.ID != 3 {
		t.Errorf("third proposal: got %+v", p)
	}
	// A client that has not seen the items queued gives the same.
	again := fetch(t, r.client(nil), first, first+1)[0].Messages[0].Proposal
	if len(again.Sources) != 3 || !bytes.Equal(again.Sources[1].Txs[1], []byte{1, 1}) {
		t.Errorf("first proposal by another client: got %+v", again)
	}
}
