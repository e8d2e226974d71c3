package l1_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"

	"headrace/block"
	"headrace/devnet"
	"headrace/devnet/geth"
	"headrace/l1"
	"headrace/node"
)

// TestForced is S31: a proposal that takes a forced item has its transactions; one that leaves them out is void; the
// next takes none.
func TestForced(t *testing.T) {
	for _, settings := range inboxes(3600) {
		t.Run(fmt.Sprint("inbox ", settings.Version()), func(t *testing.T) { t.Parallel(); forcedItem(t, settings) })
	}
}

// inboxes are the settings of an inbox of each version, with this delay.
func inboxes(delay uint64) []l1.Settings {
	return []l1.Settings{{ForcedDelay: delay, ForcedMax: 2}, {ForcedDelay: delay, ForcedRoom: l1.DefaultRoom}}
}

func forcedItem(t *testing.T, settings l1.Settings) {
	w := newWorld(t, chosen(t), settings, 0)
	a, m := w.lightAuthor(), w.light(nil)
	forced := []byte("forced=1")
	w.mine(w.tx(3, 0, bindings.PackForce(l1.EncodeTxs([][]byte{forced}))))

	// Both blocks follow the same parent; the first proposal that counts is the one with the transaction.
	without := a.next([]byte("other=1"))
	w.mine(w.proposal(1, without, w.payload(without)))
	if s := m.canonical(1, nil); s.Proposal.Void == "" {
		t.Fatalf("got %+v without the forced transaction, want it void", s.Proposal)
	}
	a.back(0)
	w.mine(w.tx(3, 0, bindings.PackForce(l1.EncodeTxs([][]byte{[]byte("forced=2")}))))
	two := []*block.Block{a.next([]byte("forced=2")), a.next()}
	w.mine(w.proposal(1, two[0], w.payload(two...)))
	if s := m.canonical(2, a.tip()); s.Proposal.Void != "" {
		t.Fatalf("got %+v, want both blocks", s.Proposal)
	}
	s, err := w.client.State(w.ctx, l1.Hash(w.inbox.Chain.Head().Hash()))
	w.check(err)
	if s.ForcedHead != s.ForcedTail {
		t.Fatalf("got the queue [%d, %d), want it empty", s.ForcedHead, s.ForcedTail)
	}
	one := a.many(1)
	w.propose(one...)
	m.canonical(3, a.tip())
	m.chain(a.blocks)
}

// sequencing makes a node the sequencer, which proposes with an account of its own.
func (w *world) sequencing(blockTime time.Duration) func(*node.Options) {
	w.t.Helper()
	keyFile := filepath.Join(w.t.TempDir(), "proposer-key")
	w.check(os.WriteFile(keyFile, []byte(hex.EncodeToString(crypto.FromECDSA(geth.DevKey(1)))), 0o600))
	return func(o *node.Options) {
		w.waits.how.proposes(&o.Config.L1)
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime, o.Config.L1.KeyFile = w.key, true, blockTime, keyFile
	}
}

// TestForcedBySequencer is S31 with the node's own sequencer: a forced item gets into a block, once, on every node,
// and the inbox's queue is empty then.
func TestForcedBySequencer(t *testing.T) {
	everyWay(t, forcedBySequencer)
}

func forcedBySequencer(t *testing.T, h how) {
	w := newWorld(t, chosen(t).in(h), inboxes(3)[h.version()-1], 0) // the older inbox with the older payloads
	sequencer := w.light(w.sequencing(50 * time.Millisecond))
	full := w.light(nil)
	var s node.Status
	w.check(w.inbox.WhileMining(w.ctx, 100*time.Millisecond, func(ctx context.Context) error {
		full.until("proposals", func(s node.Status) bool { return s.Proposal != nil && s.Proposal.ID >= 2 })
		w.check(w.eth.SendTransaction(ctx, w.tx(3, 0, bindings.PackForce(l1.EncodeTxs([][]byte{[]byte("forced=yes")})))))
		s = full.until("an empty queue", func(s node.Status) bool {
			at, err := w.client.State(ctx, l1.Hash(s.Source.Position.Hash))
			return err == nil && at.ForcedTail == 1 && at.ForcedHead == 1
		})
		return nil
	}))
	if s.Counts.Void != 0 || s.Proposal.Void != "" {
		t.Fatalf("got %+v, %+v, want no void proposal", s.Counts, s.Proposal)
	}
	old := w.lightAuthor().next() // one that the sequencer may have dropped
	if _, err := sequencer.give(old); !errors.Is(err, node.ErrGate) {
		t.Errorf("offer to the sequencer: got %v, want ErrGate", err)
	}
	if _, err := full.give(old); !errors.Is(err, node.ErrStale) {
		t.Errorf("offer to a full node: got %v, want ErrStale", err)
	}
	for _, m := range []*member{sequencer, full} {
		m.until("the block", func(now node.Status) bool { return now.Heads.Safe.Height >= s.Heads.Safe.Height })
		found := 0
		for h := uint64(1); h <= s.Heads.Safe.Height; h++ {
			b, err := m.Block(h)
			w.check(err)
			for _, tx := range b.Txs {
				if string(tx) == "forced=yes" {
					found++
				}
			}
		}
		if found != 1 {
			t.Fatalf("got the forced transaction %d times in %d blocks, want once", found, s.Heads.Safe.Height)
		}
	}
}

// TestQueueIsTold: a sequencer's status has what waits in the forced queue, of an inbox of either version, and what the next item
// would cost; and that nothing waits any more, when all was taken.
func TestQueueIsTold(t *testing.T) {
	t.Parallel()
	for _, settings := range inboxes(3600) {
		t.Run(fmt.Sprintf("version %d", settings.Version()), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, chosen(t).in(chosenHow(t)), settings, 0)
			for i := range 3 {
				w.force(fmt.Appendf(nil, "forced=%d", i))
			}
			sequencer := w.light(w.sequencing(50 * time.Millisecond))
			s := sequencer.until("what waits", func(s node.Status) bool { return s.Sequencer.Forced != nil })
			got := *s.Sequencer.Forced
			want := node.ForcedQueue{L1: w.inbox.Chain.Head().Number(), Items: 3, Wait: 1}
			if settings.Version() == 1 {
				want.Wait = 1 + 3/settings.ForcedMax
			} else {
				item := len(l1.EncodeTxs([][]byte{[]byte("forced=0")})) + l1.ForcedItemBytes
				want.Bytes = 3 * item
			}
			if got != want {
				t.Errorf("got %+v, want %+v: the inbox charges nothing", got, want)
			}
			w.check(w.inbox.WhileMining(w.ctx, 100*time.Millisecond, func(context.Context) error {
				sequencer.until("an empty queue", func(s node.Status) bool { return s.Sequencer.Forced.Items == 0 && s.Sequencer.Forced.Bytes == 0 })
				return nil
			}))
			if full := w.light(nil).Status().Load(); full.Sequencer != nil {
				t.Errorf("a full node has %+v", full.Sequencer)
			}
		})
	}
}

// force makes an L1 block that queues an item of these transactions of the rollup.
func (w *world) force(txs ...[]byte) {
	w.t.Helper()
	w.mine(w.tx(3, 0, bindings.PackForce(l1.EncodeTxs(txs))))
}

// rollupTx signs a transaction of the rollup that change may alter.
func (w *world) rollupTx(i int, change func(*types.DynamicFeeTx)) []byte {
	w.t.Helper()
	to, id := geth.DevAddress(15), big.NewInt(devnet.L2ChainID)
	tx := &types.DynamicFeeTx{ChainID: id, To: &to, Value: big.NewInt(1), Gas: 21_000, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11)}
	if change != nil {
		change(tx)
	}
	raw, err := types.MustSignNewTx(geth.DevKey(i), types.LatestSignerForChainID(id), tx).MarshalBinary()
	w.check(err)
	return raw
}

// TestForcedExempt is S31 on real execution clients: a proposal may leave out a forced transaction whose sender's
// state after its last block shows that it could not be included, and no other; all nodes judge alike, those that
// executed the blocks before and those that did not.
func TestForcedExempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{ForcedDelay: 3600}, 3)
	a, m, late := w.author(), w.drive(), w.drive()
	used, good := w.rollupTx(0, nil), w.rollupTx(1, nil)
	w.propose(a.next(used))
	m.canonical(1, a.tip())

	w.force(used, []byte("garbage"), good)
	without := a.next()
	late.stop() // it sees what follows at once
	m.open()
	m.offer(200, without)
	m.unsafeHead(without)
	w.mine(w.proposal(1, without, w.payload(without)))
	if s := m.canonical(2, a.blocks[0]); s.Proposal.Void == "" || s.Counts.Exempt != 0 {
		t.Fatalf("got %+v without a transaction that could be included, want it void", s.Proposal)
	}
	w.force(used, w.rollupTx(2, func(tx *types.DynamicFeeTx) { tx.Nonce = 1 }), w.rollupTx(4, func(tx *types.DynamicFeeTx) { tx.Value.Lsh(tx.Value, 100) }))
	w.mine(w.proposal(1, without, w.payload(without)))
	want := []*member{m, late}
	late.start()
	for _, each := range want {
		if s := each.canonical(3, without); s.Proposal.Void != "" || s.Counts.Exempt != 3 || s.Counts.Void != 1 {
			t.Fatalf("got %+v, %+v, want one void, then the block with three reasons", s.Proposal, s.Counts)
		}
		each.executed(without)
	}
	w.propose(a.many(1)...)
	for _, each := range want {
		each.canonical(4, a.tip())
		each.chain(a.blocks)
	}
}

// TestForcedGarbageBySequencer: whatever is forced that its geth does not include, a sequencer goes on, when the
// items are due and long after; and what can be included is.
func TestForcedGarbageBySequencer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{ForcedDelay: 1}, 2)
	sequencer := w.driveWith(w.sequencing(100 * time.Millisecond))
	full := w.drive()
	poor, err := crypto.GenerateKey()
	w.check(err)
	id := big.NewInt(devnet.L2ChainID)
	noFunds, err := types.MustSignNewTx(poor, types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, To: &common.Address{}, Gas: 21_000, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11)}).MarshalBinary()
	w.check(err)
	good := [][]byte{w.rollupTx(0, nil), w.rollupTx(1, nil), w.rollupTx(0, func(tx *types.DynamicFeeTx) { tx.Nonce = 1 })}
	items := [][][]byte{
		{good[0]}, {good[0], []byte("garbage")}, {noFunds, good[1]}, // the second is the first again: consumed by then
		{w.rollupTx(2, func(tx *types.DynamicFeeTx) { tx.Nonce = 7 })}, {w.rollupTx(3, func(tx *types.DynamicFeeTx) { tx.GasTipCap = new(big.Int) })},
		{w.rollupTx(4, func(tx *types.DynamicFeeTx) { tx.GasFeeCap, tx.GasTipCap = big.NewInt(3), big.NewInt(1) })}, {good[2]},
	}
	var s node.Status
	w.check(w.inbox.WhileMining(w.ctx, 100*time.Millisecond, func(ctx context.Context) error {
		full.until("proposals", func(s node.Status) bool { return s.Proposal != nil && s.Proposal.ID >= 2 })
		for i, txs := range items {
			w.check(w.eth.SendTransaction(ctx, w.tx(3+i, 0, bindings.PackForce(l1.EncodeTxs(txs)))))
		}
		s = full.until("an empty queue", func(s node.Status) bool {
			at, err := w.client.State(ctx, l1.Hash(s.Source.Position.Hash))
			return err == nil && at.ForcedTail == uint64(len(items)) && at.ForcedHead == at.ForcedTail
		})
		s = full.until("more proposals", func(now node.Status) bool { return now.Proposal.ID >= s.Proposal.ID+2 })
		return nil
	}))
	if s.Counts.Void != 0 || s.Counts.Exempt < 5 {
		t.Fatalf("got %+v, want no void proposal, and five transactions exempt at least", s.Counts)
	}
	sequencer.until("the same block", func(now node.Status) bool { return now.Heads.Safe.Height >= s.Heads.Safe.Height })
	found := map[string]int{}
	for h := uint64(1); h <= s.Heads.Safe.Height; h++ {
		b, err := full.Block(h)
		w.check(err)
		same, err := sequencer.Block(h)
		w.check(err)
		if b.Hash != same.Hash {
			t.Fatalf("block %d: got %s, the sequencer has %s", h, b.Hash, same.Hash)
		}
		for _, tx := range b.Txs[1:] {
			found[string(tx)]++
		}
	}
	for i, tx := range good {
		if found[string(tx)] != 1 {
			t.Errorf("got transaction %d in %d blocks, want one", i, found[string(tx)])
		}
	}
	if len(found) != len(good) {
		t.Errorf("got %d transactions, want %d", len(found), len(good))
	}
}

// TestForcedInTheWay: what is forced is included though the execution client's pool would not have it, and though it
// asks for whole blocks the chain goes on.
func TestForcedInTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{ForcedDelay: 1}, 2)
	sequencer, full := w.driveWith(w.sequencing(100*time.Millisecond)), w.drive()
	limit := min(devnet.L2Genesis().GasLimit, params.MaxTxGas)
	var hog [][]byte
	for i := range uint64(200) {
		hog = append(hog, w.rollupTx(5, func(tx *types.DynamicFeeTx) {
			tx.Nonce, tx.Gas, tx.GasFeeCap, tx.GasTipCap = i, limit, big.NewInt(2e9), big.NewInt(1e6)
		}))
	}
	// A transaction that the pool keeps, and its rival with the same nonce and a smaller tip, which the pool refuses.
	kept, rival := w.rollupTx(6, func(tx *types.DynamicFeeTx) { tx.GasFeeCap, tx.GasTipCap = big.NewInt(6), big.NewInt(6) }), w.rollupTx(6, func(tx *types.DynamicFeeTx) {
		tx.GasFeeCap, tx.GasTipCap = big.NewInt(1e11), big.NewInt(1e6)
	})
	w.check(w.inbox.WhileMining(w.ctx, 100*time.Millisecond, func(ctx context.Context) error {
		full.until("proposals", func(s node.Status) bool { return s.Proposal != nil && s.Proposal.ID >= 2 })
		w.check(sequencer.SubmitTx(ctx, kept))
		for i, txs := range [][][]byte{hog, {rival}, {w.rollupTx(7, nil)}} {
			w.check(w.eth.SendTransaction(ctx, w.tx(3+i, 0, bindings.PackForce(l1.EncodeTxs(txs)))))
		}
		s := full.until("an empty queue", func(s node.Status) bool {
			at, err := w.client.State(ctx, l1.Hash(s.Source.Position.Hash))
			return err == nil && at.ForcedTail == 3 && at.ForcedHead == 3
		})
		full.until("more proposals", func(now node.Status) bool { return now.Proposal.ID >= s.Proposal.ID+2 })
		return nil
	}))
	s := full.Status().Load()
	found := map[string]int{}
	for h := uint64(1); h <= s.Heads.Safe.Height; h++ {
		b, err := full.Block(h)
		w.check(err)
		for _, tx := range b.Txs[1:] {
			found[string(tx)]++
		}
	}
	if found[string(hog[0])] != 1 || found[string(rival)] != 1 || s.Counts.Void != 0 || s.Counts.Exempt == 0 {
		t.Fatalf("got the first of many %d times and the rival %d times, %+v; want each once, the rest of the many exempt, and none void", found[string(hog[0])], found[string(rival)], s.Counts)
	}
}
