package l1_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"headrace/block"
	"headrace/l1"
	"headrace/node"
	"headrace/watch"
)

// onlooker looks at every status that it is quick enough for.
type onlooker struct {
	w    *world
	seen *watch.Value[node.Status] // the last one looked at, and found in order; ends with the first that is not
}

// onlook looks at each status from now on, until the test ends. wrong says what is wrong with one, by itself or after the one before.
func (m *member) onlook(wrong func(before, s node.Status) error) *onlooker {
	o := &onlooker{m.w, new(watch.Value[node.Status])}
	stop := make(chan struct{}) // closed when the test ends
	var looker sync.WaitGroup
	looker.Go(func() {
		before := m.Status().Load()
		for {
			s, changed := m.Status().Get()
			if err := wrong(before, s); err != nil {
				o.seen.Close(fmt.Errorf("%w: got %+v, proposal %+v, at %+v; before it %+v, proposal %+v", err, s.Heads, s.Proposal, s.Source.Position, before.Heads, before.Proposal))
				return
			}
			before = s
			o.seen.Set(s)
			select {
			case <-changed:
			case <-stop:
				return
			}
		}
	})
	m.w.t.Cleanup(func() { close(stop); looker.Wait() })
	return o
}

// saw returns once the onlooker has seen a status like s, and found all before it in order.
func (o *onlooker) saw(s node.Status) node.Status {
	o.w.t.Helper()
	_, err := o.seen.Wait(o.w.ctx, func(seen node.Status) bool {
		return seen.Proposal != nil && *seen.Proposal == *s.Proposal && seen.Heads == s.Heads && seen.Source.Position == s.Source.Position
	})
	o.w.check(err)
	return s
}

// whole says what is wrong with a snapshot by itself (P3): all of it is of one moment.
func whole(s node.Status) error {
	switch {
	case s.Proposal.L2 != s.Heads.Safe && (s.Proposal.ID > 0 || s.Heads.Safe.Height > 0):
		return fmt.Errorf("the last proposal does not end with the safe head")
	case s.Proposal.L1.Height > s.Source.Position.Height:
		return fmt.Errorf("the last proposal is in an L1 block that is not applied")
	case s.Heads.Unsafe.Height < s.Heads.Safe.Height || s.Heads.Safe.Height < s.Heads.Finalized.Height:
		return fmt.Errorf("the heads are not in order")
	}
	return nil
}

// TestSnapshots is P3, P6, P7, P8 and P33: whatever moves the chain, each status is of one moment, and what it names is there: stored, and in the execution client. An L1
// block without a proposal leaves the proposal as it is, other messages of the inbox too; a void one and one that is known already (the fast path) are published.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{ForcedDelay: 3600}, 2)
	a, m := w.author(), w.drive()
	o := m.onlook(func(before, s node.Status) error {
		if err := whole(s); err != nil {
			return err
		}
		if *s.Proposal != *before.Proposal && s.Proposal.L1 == before.Proposal.L1 {
			return fmt.Errorf("the proposal has changed, and its L1 block has not")
		}
		for _, ref := range []block.Ref{s.Heads.Unsafe, s.Heads.Safe} {
			if ref.Height == 0 {
				continue
			}
			if b, err := m.Block(ref.Height); err != nil || b.Hash != ref.Hash.String() {
				return fmt.Errorf("block %v is named, %q is stored (%v)", ref, b.Hash, err)
			}
		}
		if h, err := m.eth.HeaderByNumber(w.ctx, nil); err != nil || h.Number.Uint64() < s.Heads.Unsafe.Height {
			return fmt.Errorf("block %v is named, the execution client is at %v (%v)", s.Heads.Unsafe, h, err)
		}
		return nil
	})
	m.open()
	w.propose(a.many(1)...)
	first := *o.saw(m.canonical(1, a.tip())).Proposal

	// Nothing of ours, and something that is no proposal.
	w.mine()
	o.saw(m.canonical(1, a.tip()))
	w.mine(w.tx(3, 0, bindings.PackForce(l1.EncodeTxs([][]byte{{1}}))), w.tx(0, 0, bindings.PackSetProposer(common.Address{9}, true)))
	if now := *o.saw(m.canonical(1, a.tip())).Proposal; now != first {
		t.Fatalf("got %+v, want %+v as before", now, first)
	}

	unsafe := a.many(2)
	m.offer(http.StatusOK, unsafe[0])
	m.offer(http.StatusOK, unsafe[1])
	o.saw(m.unsafeHead(unsafe[1]))
	w.mine(w.proposal(0, unsafe[0], []byte("garbage")))
	if s := o.saw(m.canonical(2, a.blocks[0])); s.Proposal.Void == "" {
		t.Fatalf("got %+v, want it void", s.Proposal)
	}
	at := w.mine( // the second message of its block, by its topic
		w.tx(3, 0, bindings.PackForce(l1.EncodeTxs([][]byte{{2}}))), w.proposal(0, unsafe[0], w.payload(unsafe...)))
	if s := o.saw(m.canonical(3, a.tip())); s.Counts.Promoted != 2 || s.Proposal.Tx != block.Hash(at.Txs[1].Hash()) || s.Proposal.Void != "" {
		t.Fatalf("got %+v, %+v, want both promoted by the second transaction", s.Proposal, s.Counts)
	}
	// The same content again (P32) makes nothing twice, and is not taken for something else: it is void, and says why.
	w.mine(w.proposal(0, unsafe[0], w.payload(unsafe...)))
	if s := o.saw(m.canonical(4, a.tip())); s.Proposal.Void == "" || s.Counts.Void != 2 {
		t.Fatalf("got %+v, want the repetition void", s.Proposal)
	}
	w.propose(a.many(3)...)
	o.saw(m.canonical(5, a.tip()))
}

// TestSnapshotsOfReorgs is P3 and P4: a reorg's snapshots are of one moment too; the id goes down at once when the L1 takes a proposal back, and the count of reorgs
// goes up with it.
func TestSnapshotsOfReorgs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a, m := w.lightAuthor(), w.light(nil)
	o := m.onlook(func(before, s node.Status) error {
		if s.Proposal.Reorgs < before.Proposal.Reorgs {
			return errors.New("the count of reorgs has gone down")
		}
		return whole(s)
	})
	root := w.propose(a.many(1)...)
	for i := range 5 {
		w.propose(a.many(2)...)
		w.propose(a.many(1)...)
		o.saw(m.canonical(3, a.tip()))
		a.back(1)
		w.reorg(root, 1+i)
		if s := o.saw(m.canonical(1, a.tip())); s.Proposal.Reorgs != uint64(i)+1 {
			t.Fatalf("got %+v, want %d reorgs", s.Proposal, i+1)
		}
	}
}
