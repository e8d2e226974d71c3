package l1_test

import (
	"context"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"headrace/block"
	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/node"
)

// proposeBlobs puts a proposal of these blocks into blobs.
func (w *world) proposeBlobs(id uint64, blocks ...*block.Block) l1.Inclusion {
	w.t.Helper()
	account := ethereum.NewAccount(w.client, geth.DevKey(1), ethereum.AccountOptions{Content: ethereum.Blobs})
	d := l1.Draft{ID: id, Blocks: w.encode(blocks...)}
	copy(d.Parent[:], blocks[0].Header.Header.LastHeaderHash)
	var in l1.Inclusion
	w.check(w.inbox.WhileMining(w.ctx, 30*time.Millisecond, func(ctx context.Context) (err error) {
		in, err = account.Propose(ctx, d)
		return err
	}))
	return in
}

// misplaced serves blobs under slots that are not theirs.
type misplaced struct {
	mu   sync.Mutex // guards seen
	seen map[uint64][]beacon.Sidecar
}

// remember changes nothing.
func (p *misplaced) remember(slot uint64, own []beacon.Sidecar) []beacon.Sidecar {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[uint64][]beacon.Sidecar{}
	}
	p.seen[slot] = own
	return own
}

// others gives the blobs of all other slots that were asked for.
func (p *misplaced) others(slot uint64, own []beacon.Sidecar) (out []beacon.Sidecar) {
	p.remember(slot, own)
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, blobs := range p.seen {
		if at != slot {
			out = append(out, blobs...)
		}
	}
	return out
}

// TestBlobs are S5, E7 and E8: content in blobs, which the beacon API serves for their slot alone. While it is down or fails, does not have them, has other
// content, none, or has them under another slot only, the node waits: no proposal is void for it.
func TestBlobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a, m := w.lightAuthor(), w.light(nil)
	api, slots := w.inbox.Chain.API(), misplaced{}
	api.SetFaults(beacon.Faults{Tamper: slots.remember})
	w.proposeBlobs(1, a.many(2)...)
	m.canonical(1, a.tip())
	for i, f := range []beacon.Faults{
		{Down: true}, {Status: http.StatusNotFound}, {Status: http.StatusInternalServerError}, {Tamper: beacon.CorruptBlobs}, {Tamper: beacon.OmitBlobs}, {Tamper: slots.others},
	} {
		api.SetFaults(f)
		before, id := m.Status().Load(), uint64(i)+2
		b := a.many(1)
		in := w.proposeBlobs(id, b...)
		asked := api.Requests()
		s := m.until("waiting for the content", func(s node.Status) bool { return len(s.Waiting) > 0 && s.Source.Head.Height >= in.Block.Number })
		if s.Proposal.ID != before.Proposal.ID || s.Counts.Void != 0 || s.Heads.Unsafe != before.Heads.Unsafe {
			t.Fatalf("fault %d: got %+v, %+v, want all as before", i, s.Proposal, s.Counts)
		}
		api.SetFaults(beacon.Faults{})
		s = m.canonical(id, a.tip())
		if s.Proposal.Void != "" || s.Counts.Void != 0 || api.Requests() <= asked {
			t.Fatalf("fault %d: got %+v, want block %d", i, s.Proposal, b[0].Height())
		}
	}
	m.chain(a.blocks)
}

// TestVoid is S38: proposals that make no block, on every node alike; and many blocks in one.
func TestVoid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a := w.lightAuthor()
	nodes := []*member{w.light(nil), w.light(nil)}
	w.propose(a.many(1)...)
	first := a.tip()
	next := a.many(3)
	stranger := *w
	var err error
	stranger.key, err = block.GenerateKey(block.Ed25519)
	w.check(err)
	strange := stranger.encode(next[0])[0]
	bad := [][]byte{
		[]byte("garbage"), l1.EncodeBlocks(nil), l1.EncodeBlocks([]l1.Encoded{strange}),
		l1.EncodeBlocks(w.encode(next[1])), l1.EncodeBlocks(w.encode(next[0], next[2])), l1.EncodeBlocks(w.encode(next...))[:40],
	}
	for _, payload := range bad {
		w.mine(w.proposal(0, next[0], payload))
	}
	for _, m := range nodes {
		if s := m.canonical(uint64(len(bad))+1, first); s.Counts.Void != uint64(len(bad)) || s.Proposal.Void == "" {
			t.Fatalf("got %+v, %+v, want %d void proposals", s.Counts, s.Proposal, len(bad))
		}
	}
	w.propose(append(next, a.many(40)...)...)
	for _, m := range append(nodes, w.light(nil)) {
		m.canonical(uint64(len(bad))+2, a.tip())
		m.chain(a.blocks)
	}
}

// TestForced is S31: a proposal that takes a forced item has its transactions; one that leaves them out is void; the next takes none.
func TestForced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{ForcedDelay: 3600, ForcedMax: 2}, 0)
	a, m := w.lightAuthor(), w.light(nil)
	forced := []byte("forced=1")
	w.mine(w.tx(3, 0, bindings.PackForce(l1.EncodeTxs([][]byte{forced}))))

	// Both blocks follow the same parent; the first proposal that counts is the one with the transaction.
	without := a.next([]byte("other=1"))
	w.mine(w.proposal(1, without, l1.EncodeBlocks(w.encode(without))))
	if s := m.canonical(1, nil); s.Proposal.Void == "" {
		t.Fatalf("got %+v without the forced transaction, want it void", s.Proposal)
	}
	a.back(0)
	w.mine(w.tx(3, 0, bindings.PackForce(l1.EncodeTxs([][]byte{[]byte("forced=2")}))))
	two := []*block.Block{a.next([]byte("forced=2")), a.next()}
	w.mine(w.proposal(1, two[0], l1.EncodeBlocks(w.encode(two...))))
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

// TestForcedBySequencer is S31 with the node's own sequencer: a forced item gets into a block, once, on every node, and the inbox's queue is empty then.
func TestForcedBySequencer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{ForcedDelay: 3, ForcedMax: 2}, 0)
	keyFile := filepath.Join(t.TempDir(), "proposer-key")
	w.check(os.WriteFile(keyFile, []byte(hex.EncodeToString(crypto.FromECDSA(geth.DevKey(1)))), 0o600))
	sequencer := w.light(func(o *node.Options) {
		o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime, o.Config.L1.KeyFile = w.key, true, 50*time.Millisecond, keyFile
	})
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
