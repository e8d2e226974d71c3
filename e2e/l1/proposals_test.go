package l1_test

import (
	"maps"
	"sync"
	"testing"

	"headrace/block"
	"headrace/l1"
	"headrace/node"
)

// TestKnownCanonical is S1 and P34: a canonical block that is there already costs nothing. Of all that the execution
// client could be asked only the labels of its blocks change.
func TestKnownCanonical(t *testing.T) { t.Parallel(); knownCanonical(t, chosen(t)) }

func knownCanonical(t testing.TB, mode waits) *world {
	w, a, m := setup(t, mode)
	first := a.next(a.tx())
	w.propose(first)
	m.canonical(1, first)
	m.executed(first)

	second := a.next(a.tx())
	m.open()
	buffered, err := m.give(second)
	if err != nil || buffered {
		t.Fatalf("offer: got buffered %v, %v, want it connected", buffered, err)
	}
	m.executed(second)
	before, heads := m.Status().Load(), recordHeads(w, m.geth.WS())
	if before.Heads.Unsafe != second.Ref() || before.Heads.Safe != first.Ref() || before.Proposal.ID != 1 {
		t.Fatalf("got heads %+v after proposal %+v, want block 2 as unsafe", before.Heads, before.Proposal)
	}
	m.tap.take()
	at := w.propose(second)
	s := m.canonical(2, second)
	if got, want := s.Counts.Promoted, before.Counts.Promoted+1; got != want || s.Counts.Executed != before.Counts.Executed {
		t.Fatalf("got %+v, want %d promoted and as many executed as in %+v", s.Counts, want, before.Counts)
	}
	if s.Proposal.L1.Hash != block.Hash(at.Hash()) || s.Proposal.Tx != block.Hash(at.Txs[0].Hash()) {
		t.Fatalf("got proposal %+v, want it in %s", s.Proposal, at.Hash())
	}
	calls := m.tap.take()
	labels := calls["engine_forkchoiceUpdated"]
	delete(calls, "engine_forkchoiceUpdated")
	delete(calls, "eth_getBlockByNumber") // the head read back
	if len(calls) != 0 || labels > 1 || m.latest() != execution(t, second) {
		t.Fatalf("got requests %v and %d fork choices, head %s; want none, one, and %s", calls, labels, m.latest(), execution(t, second))
	}

	// The same once more, by a node that begins with what is stored.
	m.restart()
	w.mine()
	after := m.canonical(2, second)
	if *after.Proposal != *s.Proposal || after.Counts.Executed != 0 || after.Counts.Replayed != 0 {
		t.Fatalf("got %+v and %+v after a restart, want %+v and nothing executed", after.Proposal, after.Counts, s.Proposal)
	}
	if n := m.tap.take()["engine_newPayload"]; n != 0 {
		t.Fatalf("got %d blocks handed to the execution client after the restart, want none", n)
	}
	if got := heads.heads.Load(); len(got) != 0 {
		t.Fatalf("the execution client has announced %d heads, want none", len(got))
	}
	return w
}

// TestProposals is S2, S4, P9 and P32: one proposal after the other, then several before the first wait; a slow
// onlooker sees ids that only go up, and the last.
func TestProposals(t *testing.T) {
	everyWay(t, func(t *testing.T, h how) { proposals(t, chosen(t).in(h)) })
}

func proposals(t testing.TB, mode waits) *world {
	w, a, m := setup(t, mode)
	onlooker := make(chan []uint64, 1) // the ids seen, at the end
	go func() {
		var seen []uint64
		last := node.Status{}
		for last.Proposal == nil || last.Proposal.ID < 5 {
			s, err := m.Status().Wait(w.ctx, func(s node.Status) bool {
				return s.Proposal != nil && (last.Proposal == nil || *s.Proposal != *last.Proposal)
			})
			if err != nil {
				break
			}
			last, seen = s, append(seen, s.Proposal.ID)
		}
		onlooker <- seen
	}()
	for id := range uint64(2) {
		b := a.next(a.tx())
		w.propose(b)
		m.canonical(id+1, b)
		m.executed(b)
	}
	w.propose(a.many(3)...)
	w.propose(a.many(1)...)
	at := w.propose(a.many(2)...)
	s := m.canonical(5, a.tip())
	m.executed(a.tip())
	if s.Counts.Void != 0 || s.Counts.Executed != 8 || s.Proposal.Tx != block.Hash(at.Txs[0].Hash()) {
		t.Fatalf("got %+v and %+v, want 8 blocks of 5 proposals", s.Counts, s.Proposal)
	}
	m.chain(a.blocks)
	seen := <-onlooker
	for i := 1; i < len(seen); i++ {
		if seen[i] <= seen[i-1] {
			t.Fatalf("the ids seen are %v, want them to go up", seen)
		}
	}
	if len(seen) == 0 || seen[len(seen)-1] != 5 {
		t.Fatalf("the ids seen are %v, want 5 at the end", seen)
	}
	return w
}

// chain checks that the node's blocks are exactly these, in content too.
func (m *member) chain(want []*block.Block) {
	m.w.t.Helper()
	for i, b := range want {
		got, err := m.Block(uint64(i) + 1)
		m.w.check(err)
		if got.Hash != b.Hash().String() || len(got.Txs) != len(b.Data.Txs) {
			m.w.t.Fatalf("block %d: got %s with %d transactions, want %s with %d", i+1, got.Hash, len(got.Txs), b.Hash(), len(b.Data.Txs))
		}
	}
	if _, err := m.Block(uint64(len(want)) + 1); err == nil {
		m.w.t.Fatalf("got a block %d, want none", len(want)+1)
	}
}

// TestCountsOfUsers: how many transactions a block has is told without the execution client's own, whichever way the block came: 0 of an empty one.
func TestCountsOfUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t).in(chosenHow(t)), l1.Settings{}, 2)
	a := w.author()
	var mu sync.Mutex // guards told
	told := map[node.Applied]bool{}
	m := w.driveWith(func(o *node.Options) {
		o.Observer.Applied = func(a node.Applied) {
			mu.Lock()
			defer mu.Unlock()
			told[node.Applied{Ref: a.Ref, Txs: a.Txs, Safe: a.Safe}] = true
		}
	})
	empty, full := a.next(), a.next(a.tx(), a.tx())
	w.propose(empty, full)
	m.canonical(1, full)
	early := a.next()
	m.open()
	if _, err := m.give(early); err != nil {
		t.Fatal(err)
	}
	w.propose(early)
	m.canonical(2, early)
	want := map[node.Applied]bool{
		{Ref: empty.Ref(), Safe: true}: true, {Ref: full.Ref(), Txs: 2, Safe: true}: true, {Ref: early.Ref()}: true, {Ref: early.Ref(), Safe: true}: true,
	}
	m.stop() // nothing is told after that
	if !maps.Equal(told, want) {
		t.Errorf("told %+v, want %+v", told, want)
	}
}
