package ethereum_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"headrace/devnet/geth"
	"headrace/follow"
	"headrace/l1"
	"headrace/l1/local"
)

// The L1 in the process keeps the contract's rules, and gives the same messages: random transactions to both, one in a block.
func TestLocalAgrees(t *testing.T) {
	t.Parallel()
	for _, settings := range []l1.Settings{{ForcedMax: 2}, {ForcedRoom: l1.MinRoom}} {
		t.Run(fmt.Sprint("version ", settings.Version()), func(t *testing.T) { t.Parallel(); localAgrees(t, settings) })
	}
}

func localAgrees(t *testing.T, settings l1.Settings) {
	r := newRig(t, geth.Prague, settings)
	chain := local.New(local.Options{ForcedMax: settings.ForcedMax, ForcedRoom: settings.ForcedRoom, Proposers: []l1.Address{address(r.proposer)}})
	large := l1.EncodeTxs([][]byte{make([]byte, l1.MaxForced-20)}) // two of them fill the room
	stranger := geth.DevKey(5)
	start := r.head().Height
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := 0; i < 60 || i < 600 && r.state().NextID < 3; i++ { // until enough of them were good
		var tx *types.Transaction
		content := [][]byte{payload("a"), payload("b"), []byte("garbage"), l1.EncodeTxs([][]byte{{1}}), l1.EncodeTxs(nil), large}[rng.IntN(6)]
		switch state := r.state(); rng.IntN(6) {
		case 0, 1, 2:
			from, forced := r.proposer, rng.IntN(4)
			if rng.IntN(2) == 0 { // what must be taken, or one more, or one less
				queue, err := chain.Queue(t.Context(), l1.Hash{}, 1000)
				r.check(err)
				forced = max(settings.Due(queue, math.MaxUint64)+rng.IntN(3)-1, 0)
			}
			if rng.IntN(8) == 0 {
				from = stranger
			}
			tx = r.tx(from, r.inbox(), bindings.PackPropose(state.LastProposal, common.Hash{7}, uint16(forced), content))
			chain.Send(local.Tx{From: address(from), Propose: &local.Call{Parent: l1.Hash{7}, Forced: forced, Payload: content}})
		case 3, 4:
			tx = r.tx(stranger, r.inbox(), bindings.PackForce(content))
			chain.Send(local.Tx{From: address(stranger), Force: content})
		default:
			p := l1.Proved{ID: state.NextID - rng.Uint64N(3), Hash: l1.Hash{byte(rng.IntN(9))}}
			tx = r.tx(r.owner, r.inbox(), bindings.PackFinalize(p.ID, p.Hash))
			chain.Send(local.Tx{Prove: &p})
		}
		r.mine(tx)
		chain.Mine()
	}
	real := fetch(t, r.client(nil), start+1, r.head().Height+1)
	for i := range real {
		want, got := plain(real[i]), plain(at(t, chain, uint64(i+1)))
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d, block %d:\n got %+v\nwant %+v", seed, i+1, got, want)
		}
	}
	got, err := chain.State(t.Context(), l1.Hash{})
	r.check(err)
	want := r.state()
	got.LastProposal, want.LastProposal, got.LastBlock = l1.Hash{}, l1.Hash{}, got.LastBlock+start
	if got.LastBlock == start {
		got.LastBlock = 0
	}
	if got != want || want.NextID < 3 {
		t.Errorf("seed %d: state is %+v, want %+v", seed, got, want)
	}
}

func at(t *testing.T, c *local.Chain, number uint64) (b l1.Block) {
	t.Helper()
	if err := c.Fetch(t.Context(), number, number+1, func(i follow.Item[l1.Block]) error { b = i.Data; return nil }); err != nil {
		t.Fatal(err)
	}
	return b
}

// plain is a block's messages without what differs between any two chains: hashes, numbers and times.
func plain(b l1.Block) (messages []any) {
	clean := func(s l1.Source) l1.Source {
		return l1.Source{Forced: s.Forced, Index: s.Index, Txs: s.Txs, Void: s.Void}
	}
	for _, m := range b.Messages {
		switch {
		case m.Proposal != nil:
			p := *m.Proposal
			p.Sources = nil
			for _, s := range m.Proposal.Sources {
				p.Sources = append(p.Sources, clean(s))
			}
			messages = append(messages, p)
		case m.Forced != nil:
			messages = append(messages, l1.Forced{Sender: m.Forced.Sender, Source: clean(m.Forced.Source)})
		default:
			messages = append(messages, *m.Proved)
		}
	}
	return messages
}
