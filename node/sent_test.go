package node_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"headrace/await"
	"headrace/block"
	"headrace/exec"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/node"
)

// hasher is an engine that has hashes, and nothing else.
type hasher struct {
	exec.Engine
	once bool
}

func (h hasher) TxHash(tx []byte) block.Hash { return sha256.Sum256(append([]byte("hasher"), tx...)) }
func (h hasher) TxOnce() bool                { return h.once }

// with makes a block with these transactions on parent.
func (l *ledger) with(parent block.Ref, txs ...string) store.Record {
	rec := l.child(parent)
	rec.Block.Data.Txs = nil
	for _, tx := range txs {
		rec.Block.Data.Txs = append(rec.Block.Data.Txs, []byte(tx))
	}
	c := rec.Block.Data.Commitment()
	rec.Block.Header.Header.DataHash = c[:]
	signed, err := block.SignHeader(l.key, rec.Block.Header.Header)
	if err != nil {
		l.t.Fatal(err)
	}
	rec.Block.Header = signed
	return rec
}

// put makes the next block of these transactions, and has the node look at it.
func (l *ledger) put(txs ...string) block.Ref {
	l.t.Helper()
	l.commit(&store.Batch{Append: []store.Record{l.with(l.head(), txs...)}})
	l.look()
	return l.head()
}

func (l *ledger) look() {
	l.t.Helper()
	if err := l.Look(); err != nil {
		l.t.Fatal(err)
	}
}

// send has a transaction begin, and be accepted with somebody who waits for that head.
func (l *ledger) send(tx string, head await.Label) *node.Sending {
	l.t.Helper()
	s := l.begin(tx)
	s.Accepted(&head)
	return s
}

func (l *ledger) begin(tx string) *node.Sending {
	l.t.Helper()
	s, err := l.Begin(hasher{}.TxHash([]byte(tx)), true)
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

func sentOn(t *testing.T, once bool) *ledger {
	l := newLedger(t, false)
	l.With(hasher{once: once})
	return l
}

// wantTold checks that whoever waits was told this place, and nobody else.
func wantTold(t *testing.T, what string, s *node.Sending, at block.Ref, index int) {
	t.Helper()
	if tx, ok := s.Told(); !ok || tx.Block != at || tx.Index != index {
		t.Errorf("%s: got %+v, %v, want place %d of block %d", what, tx, ok, index, at.Height)
	}
}

func wantWaiting(t *testing.T, what string, s *node.Sending) {
	t.Helper()
	if tx, ok := s.Told(); ok {
		t.Errorf("%s: got %+v, want a wait", what, tx)
	}
}

// The first place is that of who sent it first, whoever waits; and what was in the chain before is nobody's.
func TestEachSubmissionHasItsPlace(t *testing.T) {
	l := sentOn(t, false)
	l.put("a", "b")
	first, unheard := l.send("a", await.Unsafe), l.begin("a")
	unheard.Accepted(nil)
	third := l.send("a", await.Unsafe)
	wantWaiting(t, "before any block", first)
	at := l.put("b", "a")
	wantTold(t, "the first", first, at, 1)
	wantWaiting(t, "the third, after one", third)
	at = l.put("a", "c", "a")
	wantTold(t, "the third", third, at, 2)

	// The one that is taken first has the first turn, whoever was about to be offered earlier.
	slow, quick := l.begin("a"), l.begin("a")
	unsafe := await.Unsafe
	quick.Accepted(&unsafe)
	at = l.put("a")
	wantTold(t, "the one taken first", quick, at, 0)
	refused := l.begin("a")
	at = l.put("a")
	refused.Refused()
	slow.Accepted(&unsafe) // it was in a block before its answer came
	wantTold(t, "the one taken late", slow, at, 0)
	next := l.send("a", await.Unsafe)
	wantWaiting(t, "one that comes after all", next)
	wantTold(t, "it", next, l.put("a"), 0)
}

// A block that was signed before a crash, and is stored after it, is no news for who comes in between: it has what was
// sent before.
func TestSubmissionsAfterACrash(t *testing.T) {
	l := sentOn(t, false)
	at := l.put()
	signed := l.with(at, "a")
	note, err := json.Marshal(syncer.Signed{Ref: signed.Block.Ref(), Parent: at.Hash})
	if err != nil {
		t.Fatal(err)
	}
	l.commit(&store.Batch{Named: map[string][]byte{"signed": note}, Sync: true})
	after := l.send("a", await.Unsafe)
	l.commit(&store.Batch{Append: []store.Record{signed}})
	l.look()
	wantWaiting(t, "who came after the crash", after)
	wantTold(t, "it", after, l.put("a"), 0)
}

// A place that is somebody's is not gone through again: one transaction can be sent any number of times before its first
// places are final.
func TestTheSameManyTimes(t *testing.T) {
	l := sentOn(t, false)
	l.put()
	var senders []*node.Sending
	for range 1000 {
		senders = append(senders, l.send("hot", await.Unsafe))
	}
	at := l.put(slices.Repeat([]string{"hot"}, len(senders))...)
	for i, s := range senders {
		wantTold(t, "hot", s, at, i)
	}
	if subs, places, waits := l.Remembered(); subs != len(senders) || places > 0 || waits > 0 {
		t.Errorf("%d submissions, %d places and %d waits are remembered, want %d submissions alone: a reorg may take them back", subs, places, waits, len(senders))
	}
	next := l.send("hot", await.Unsafe)
	wantTold(t, "one more", next, l.put("hot"), 0)
}

// A reorg before the head asked for puts the wait back; who was told keeps the turn; and a block that comes again is no
// news for who came after it.
func TestSubmissionsInAReorg(t *testing.T) {
	l := sentOn(t, false)
	l.put()
	told, waits := l.send("a", await.Unsafe), l.send("a", await.Safe)
	base := l.head()
	at := l.put("a", "a")
	wantTold(t, "who waits for unsafe", told, at, 0)
	wantWaiting(t, "who waits for safe", waits)
	if tx := waits.Leave(); tx == nil || tx.Block != at || tx.Index != 1 || tx.Head != "unsafe" {
		t.Errorf("so far: got %+v, want block %d", tx, at.Height)
	}
	waits = l.send("b", await.Safe)
	was := l.with(l.head(), "b")
	l.commit(&store.Batch{Append: []store.Record{was}})
	l.look()
	late := l.send("b", await.Unsafe)
	l.commit(&store.Batch{Truncate: &base.Height})
	l.look()
	if tx := waits.Leave(); tx != nil {
		t.Errorf("after a reorg: got %+v, want no place", tx)
	}
	waits = l.send("c", await.Safe)

	at = l.put("a", "c", "b") // b's first is that of who has left
	wantWaiting(t, "who came second", late)
	l.commit(&store.Batch{Truncate: &base.Height})
	at = l.put("a")
	at = l.put("c", "b", "b")
	wantTold(t, "who came second", late, at, 2)
	wantWaiting(t, "who waits for safe", waits)
	l.commit(&store.Batch{Safe: &at})
	l.look()
	wantTold(t, "who waits for safe", waits, at, 0)

	// The noted head is reverted, and comes again with what was sent before.
	old := l.with(l.head(), "d")
	l.commit(&store.Batch{Append: []store.Record{old}})
	l.look()
	after := l.send("d", await.Unsafe)
	l.commit(&store.Batch{Truncate: &at.Height})
	l.look()
	l.commit(&store.Batch{Append: []store.Record{old}})
	l.look()
	wantWaiting(t, "who was told of a head with the same transaction", after)
	wantTold(t, "it", after, l.put("d"), 0)

	// The noted head is reverted for good: what comes is above where the branch left.
	l.put("x")
	l.put("y")
	deep := l.send("e", await.Unsafe)
	l.commit(&store.Batch{Truncate: &at.Height})
	wantTold(t, "whose head is gone", deep, l.put("e"), 0)
}

// Of what is executed once, one place is everybody's, also the place that it had before.
func TestSubmissionsOfWhatIsExecutedOnce(t *testing.T) {
	l := sentOn(t, true)
	l.put()
	one, two := l.send("a", await.Unsafe), l.send("a", await.Finalized)
	at := l.put("x", "a")
	wantTold(t, "one", one, at, 1)
	wantWaiting(t, "who waits for finalized", two)
	wantTold(t, "who comes later", l.send("a", await.Unsafe), at, 1)
	l.commit(&store.Batch{Safe: &at, Finalized: &at})
	l.look()
	wantTold(t, "who waits for finalized", two, at, 1)
	if s, err := l.Begin(hasher{}.TxHash([]byte("a")), false); err != nil {
		t.Fatal(err)
	} else {
		s.Accepted(nil)
	}
	if subs, places, waits := l.Remembered(); subs+places+waits > 0 {
		t.Errorf("%d submissions, %d places and %d waits are remembered, want none", subs, places, waits)
	}
}

// skipping is an engine that skips each "a" of a block that has "skip" too.
type skipping struct{ hasher }

func (skipping) Skipped(b *block.Block) (skipped []bool, err error) {
	skips := slices.ContainsFunc(b.Data.Txs, func(tx []byte) bool { return string(tx) == "skip" })
	for _, tx := range b.Data.Txs {
		skipped = append(skipped, skips && string(tx) == "a")
	}
	return skipped, nil
}

// A block in which the engine has skipped a transaction is none that it is in, for who has sent it and for who looks for it.
func TestSkippedIsInNoPlace(t *testing.T) {
	l := newLedger(t, false)
	l.With(skipping{hasher{once: true}})
	base := l.put("x")
	one, two := l.send("a", await.Unsafe), l.send("a", await.Unsafe)
	at := l.put("b", "a", "skip")
	wantWaiting(t, "whose transaction was skipped", one)
	hash := hasher{}.TxHash([]byte("a"))
	if tx, ok, err := l.FindTx(hash, await.Unsafe); ok || err != nil {
		t.Errorf("got %+v, %v, want that it is nowhere", tx, err)
	}
	if got := two.Skipped(); got != at {
		t.Errorf("skipped in %v, want %v", got, at)
	}
	l.commit(&store.Batch{Truncate: &base.Height})
	l.look()
	if got := two.Skipped(); got != (block.Ref{}) {
		t.Errorf("after a reorg: skipped in %v, want in none", got)
	}
	l.put("skip", "a")
	wantWaiting(t, "whose transaction was skipped again", one)
	at = l.put("a", "b")
	wantTold(t, "whose transaction was executed", one, at, 0)
	if tx, ok, err := l.FindTx(hash, await.Unsafe); !ok || err != nil || tx.Block != at || len(tx.Again) > 0 {
		t.Errorf("got %+v, %v, %v, want it in block %d alone", tx, ok, err, at.Height)
	}
}

// What is final is forgotten, and what nobody waits for is bounded; who waits is not forgotten for that.
func TestSubmissionsAreBounded(t *testing.T) {
	l := sentOn(t, false)
	l.put()
	waits := l.send("mine", await.Unsafe)
	for i := range node.MaxSent + 10 {
		s, err := l.Begin(hasher{}.TxHash(fmt.Append(nil, i)), false)
		if err != nil {
			t.Fatal(err)
		}
		s.Accepted(nil)
	}
	if subs, _, waits := l.Remembered(); subs > node.MaxSent || waits != 1 {
		t.Errorf("%d submissions are remembered, and %d wait, want %d at most, and one", subs, waits, node.MaxSent)
	}
	at := l.put("mine", "again", "again")
	wantTold(t, "who waits", waits, at, 0)

	l = sentOn(t, false)
	l.put()
	for range 100 { // the same one, again and again
		s := l.send("hot", await.Unsafe)
		at := l.put("hot", "hot")
		wantTold(t, "hot", s, at, 0)
		l.commit(&store.Batch{Safe: &at, Finalized: &at})
		l.look()
	}
	if subs, places, waits := l.Remembered(); subs+places+waits > 0 {
		t.Errorf("%d submissions, %d places and %d waits are remembered, want none", subs, places, waits)
	}
}

// client is one who sends in a random history.
type client struct {
	*node.Sending
	tx      string
	head    await.Label
	began   int // the step
	offered bool
	taken   bool
	told    *node.Tx
}

// history is a chain with a pool, which reorganises, and those who send to it.
type history struct {
	*ledger
	rng     *rand.Rand
	once    bool
	step    int
	pool    []string
	blocks  []store.Record     // from height 1 on
	dropped []store.Record     // by the last reorg, the lowest first
	first   map[block.Hash]int // the step in which a block came first
	places  map[string]*client // whom a place was told
	clients []*client
}

// Whatever happens, in whatever order: each one is told a place of his own, which is in the chain, under the head asked
// for, and new to him; and all who wait are told in the end.
func TestSubmissionsInAnyOrder(t *testing.T) {
	for seed := range uint64(40) {
		h := &history{ledger: sentOn(t, seed%3 == 2), rng: rand.New(rand.NewPCG(seed, 16)), once: seed%3 == 2, first: map[block.Hash]int{}, places: map[string]*client{}}
		for h.step = range 300 {
			h.random()
			h.check()
		}
		h.end()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (h *history) random() {
	switch n := h.rng.IntN(20); {
	case n < 5:
		c := &client{tx: fmt.Sprint("tx", h.rng.IntN(4)), head: await.Label(h.rng.IntN(3)), began: h.step}
		if h.once {
			c.tx = fmt.Sprint("tx", h.rng.IntN(60))
		}
		c.Sending = h.begin(c.tx)
		h.clients = append(h.clients, c)
	case n < 10:
		h.advance()
	case n < 15:
		h.block()
	case n == 15:
		h.reorg()
	case n < 18:
		st := h.store.State()
		safe := st.Safe.Height + h.rng.Uint64N(st.Unsafe.Height-st.Safe.Height+1)
		final := st.Finalized.Height + h.rng.Uint64N(safe-st.Finalized.Height+1)
		h.promote(safe, final)
	default:
		h.look()
	}
}

// advance takes one client a step further: offered, then accepted or, if it was not offered, refused.
func (h *history) advance() {
	for _, i := range h.rng.Perm(len(h.clients)) {
		c := h.clients[i]
		switch {
		case c.taken:
			continue
		case !c.offered && h.rng.IntN(5) == 0:
			c.Refused()
			h.clients = slices.Delete(h.clients, i, i+1)
		case !c.offered:
			c.offered = true
			if !h.once || !h.has(c.tx) {
				h.pool = append(h.pool, c.tx)
			}
		default:
			c.taken = true
			head := c.head
			c.Accepted(&head)
		}
		return
	}
}

// has reports whether a transaction waits, or is in the chain.
func (h *history) has(tx string) bool {
	return slices.Contains(h.pool, tx) || slices.ContainsFunc(h.blocks, func(r store.Record) bool {
		return slices.ContainsFunc(r.Block.Data.Txs, func(in []byte) bool { return string(in) == tx })
	})
}

func (h *history) block() {
	if len(h.dropped) > 0 && h.rng.IntN(2) == 0 { // what was reverted comes again, as it was
		h.add(h.dropped[0])
		h.dropped = h.dropped[1:]
		return
	}
	h.dropped = nil
	n := h.rng.IntN(min(len(h.pool), 3) + 1)
	h.add(h.with(h.head(), h.pool[:n]...))
}

func (h *history) add(rec store.Record) {
	for _, tx := range rec.Block.Data.Txs {
		if i := slices.Index(h.pool, string(tx)); i >= 0 {
			h.pool = slices.Delete(h.pool, i, i+1)
		}
	}
	h.blocks = append(h.blocks, rec)
	if _, again := h.first[rec.Block.Hash()]; !again {
		h.first[rec.Block.Hash()] = h.step
	}
	h.commit(&store.Batch{Append: []store.Record{rec}})
}

func (h *history) reorg() {
	h.look() // a block that was reverted before it was looked at is news when it comes again
	h.check()
	st := h.store.State()
	to := st.Finalized.Height + h.rng.Uint64N(st.Unsafe.Height-st.Finalized.Height+1)
	h.dropped = slices.Clone(h.blocks[to:])
	h.blocks = h.blocks[:to]
	var back []string
	for _, rec := range h.dropped {
		for _, tx := range rec.Block.Data.Txs {
			back = append(back, string(tx))
		}
	}
	h.pool = append(back, h.pool...)
	b := &store.Batch{Truncate: &to}
	if to < st.Safe.Height {
		at := block.Ref{Height: to}
		if to > 0 {
			at = h.blocks[to-1].Block.Ref()
		}
		b.Safe = &at
	}
	h.commit(b)
}

func (h *history) promote(safe, final uint64) {
	at := func(height uint64) *block.Ref {
		if height == 0 {
			return &block.Ref{}
		}
		r := h.blocks[height-1].Block.Ref()
		return &r
	}
	h.commit(&store.Batch{Safe: at(safe), Finalized: at(final)})
}

// check looks at what was told since the last time.
func (h *history) check() {
	for _, c := range h.clients {
		if !c.taken || c.told != nil {
			continue
		}
		tx, ok := c.Told()
		if !ok {
			continue
		}
		c.told = &tx
		heads := h.store.State()
		limit := map[await.Label]uint64{await.Unsafe: heads.Unsafe.Height, await.Safe: heads.Safe.Height, await.Finalized: heads.Finalized.Height}[c.head]
		if tx.Block.Height > limit || h.blocks[tx.Block.Height-1].Block.Ref() != tx.Block {
			h.t.Errorf("step %d: told %+v, which is not in the chain up to the %s head %d", h.step, tx, c.head, limit)
			continue
		}
		if in := h.blocks[tx.Block.Height-1].Block.Data.Txs; tx.Index >= len(in) || string(in[tx.Index]) != c.tx {
			h.t.Errorf("step %d: told %+v, where there is another transaction", h.step, tx)
		}
		if h.once {
			continue
		}
		if h.first[tx.Block.Hash] < c.began {
			h.t.Errorf("step %d: told block %d, which was there in step %d, and it was sent in step %d", h.step, tx.Block.Height, h.first[tx.Block.Hash], c.began)
		}
		key := fmt.Sprint(tx.Block.Hash, tx.Index)
		if other := h.places[key]; other != nil {
			h.t.Errorf("step %d: two were told place %d of block %d", h.step, tx.Index, tx.Block.Height)
		}
		h.places[key] = c
	}
}

// end takes all that waits into blocks, and those to finality.
func (h *history) end() {
	for slices.ContainsFunc(h.clients, func(c *client) bool { return !c.taken }) {
		h.advance()
	}
	h.dropped = nil
	for len(h.pool) > 0 {
		h.add(h.with(h.head(), h.pool[0]))
	}
	top := h.head().Height
	h.promote(top, top)
	h.look()
	h.check()
	for _, c := range h.clients {
		if c.told == nil {
			h.t.Errorf("who sent %s in step %d is never told", c.tx, c.began)
		}
	}
	if subs, places, waits := h.Remembered(); subs+places+waits > 0 {
		h.t.Errorf("%d submissions, %d places and %d waits are remembered in the end, want none", subs, places, waits)
	}
}
