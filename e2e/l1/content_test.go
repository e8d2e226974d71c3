package l1_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

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
	d := l1.Draft{ID: id, Payload: w.payload(blocks...), Count: len(blocks)}
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

// TestBlobs are S5, E7 and E8: content in blobs, which the beacon API serves for their slot alone. While it is down
// or fails, does not have them, has other content, none, or has them under another slot only, the node waits: no
// proposal is void for it.
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
		s := m.until("waiting for the content", func(s node.Status) bool { return len(s.Waiting) > 0 && s.Source.Head.Height >= in.Block.Height })
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
	if w.waits.how.version2 {
		bad = append(bad, w.compact(next[1]), w.compact(next...)[:40])
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
