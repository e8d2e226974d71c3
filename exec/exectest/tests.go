package exectest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"headrace/block"
	"headrace/exec"
)

func fresh(t *testing.T, r *run) {
	h := r.head()
	if h.Height != r.s.InitialHeight-1 || !h.Hash.IsZero() {
		t.Errorf("head of a fresh engine: got %d %s, want %d and no hash", h.Height, h.Hash, r.s.InitialHeight-1)
	}
	r.revert(r.s.InitialHeight - 1)
}

func chain(_ *testing.T, r *run) {
	r.grow(12)
	if len(r.head().Root) == 0 { // the blocks wrote something
		r.t.Error("the engine tells no state root: nothing could show that two nodes have come to the same state")
	}
}

// repeats executes blocks again (I4): at once, and from below the head.
func repeats(t *testing.T, r *run) {
	r.grow(6)
	for i := len(r.chain) - 1; i >= 0; i-- {
		b := r.chain[i]
		for range 2 {
			root, err := r.e.Execute(t.Context(), b)
			if r.s.Forgets && i < len(r.chain)-1 && errors.Is(err, exec.ErrParent) {
				break
			}
			if err != nil {
				t.Fatalf("execute block %d again, at %d: %v", b.Height(), r.height(), err)
			}
			r.learn(b, root)
			r.check()
		}
	}
	r.grow(2)
}

// parents offers blocks that are not on the head, and are not repeats.
func parents(t *testing.T, r *run) {
	r.grow(3)
	good := r.next()
	r.refuse("a block on another parent", r.vary(good, func(h *block.Header, _ *block.Data) { h.LastHeaderHash = bytes.Repeat([]byte{7}, 32) }))

	r.execute(good)
	other := func(h *block.Header, _ *block.Data) { h.ValidatorHash = bytes.Repeat([]byte{8}, 32) }
	r.refuse("another block at the head's height", r.vary(good, other))
	r.refuse("another block below the head", r.vary(r.chain[1], other))
	if r.s.OneWay {
		next := r.next()
		gap := r.vary(next, func(h *block.Header, d *block.Data) { h.Height++; d.Metadata.Height++ })
		r.refuse("a block with a gap below it", gap)
		r.execute(next)
		return
	}

	skipped := r.next()
	r.execute(skipped)
	ahead := r.next()
	r.revert(skipped.Height() - 1)
	r.refuse("a block with a gap below it", ahead)
	r.execute(skipped)
	r.execute(ahead)
	r.check()
}

func (r *run) refuse(what string, b *block.Block) {
	r.t.Helper()
	if root, err := r.e.Execute(r.t.Context(), b); !errors.Is(err, exec.ErrParent) {
		r.t.Errorf("%s: got root %x and %v, want %v", what, root, err, exec.ErrParent)
	}
	r.check()
}

// revert goes back, forth on the same blocks, and forth on others.
func revert(_ *testing.T, r *run) {
	r.grow(10)
	r.revert(r.height())
	r.revert(r.height() + 5)
	all := r.chain
	for _, n := range []int{1, 2, r.depth(7)} {
		r.revert(r.height() - uint64(n))
		r.replay(all[len(r.chain):])
	}
	n := r.depth(4)
	r.revert(r.height() - uint64(n))
	common := len(r.chain)
	r.grow(1)
	r.revert(r.height() - 1)
	r.replay(all[common:])
}

func revertEverything(_ *testing.T, r *run) {
	r.grow(7)
	if r.s.OneWay {
		r.revert(r.s.InitialHeight - 1)
		return
	}
	all := r.chain
	for range 2 {
		r.revert(r.s.InitialHeight - 1)
		r.replay(all)
	}
	r.revert(r.s.InitialHeight - 1)
	r.grow(3)
	r.revert(r.s.InitialHeight - 1)
	r.replay(all)
}

// randomWalk goes forth on new and on known blocks, back, and repeats, and knows what the head must be after each step.
func randomWalk(_ *testing.T, r *run) {
	rng := seeded(1)
	known := map[block.Hash][]*block.Block{} // by parent
	for range 120 {
		var at block.Hash
		if n := len(r.chain); n > 0 {
			at = r.chain[n-1].Hash()
		}
		switch n := rng.IntN(10); {
		case n < 5 || len(r.chain) == 0:
			b := r.next()
			known[at] = append(known[at], b)
			r.execute(b)
		case n < 7 && len(known[at]) > 0:
			r.execute(known[at][rng.IntN(len(known[at]))])
		case n == 7:
			root, err := r.e.Execute(r.t.Context(), r.chain[len(r.chain)-1])
			if err != nil {
				r.t.Fatalf("execute the head again: %v", err)
			}
			r.learn(r.chain[len(r.chain)-1], root)
		default:
			r.revert(r.height() - uint64(rng.IntN(r.depth(6)+1)))
		}
		r.check()
	}
}

// sameRoots gives one engine's blocks to another.
func sameRoots(t *testing.T, r, other *run) {
	r.grow(3)
	r.revert(r.height() - 1)
	r.grow(5)
	for _, b := range r.chain {
		root, err := other.e.Execute(t.Context(), b)
		if err != nil {
			t.Fatalf("execute block %d elsewhere: %v", b.Height(), err)
		}
		if want := r.roots[b.Hash()]; string(root) != want {
			t.Fatalf("root after block %d: got %x, and elsewhere %x", b.Height(), root, want)
		}
	}
}

func badTransactions(t *testing.T, r *run, open func(*testing.T) Subject) {
	if r.s.BadTx == nil {
		t.Skip("no transaction of this engine is skipped")
	}
	r.grow(1)
	without := r.next()
	with := r.vary(without, func(_ *block.Header, d *block.Data) {
		d.Txs = append([][]byte{r.s.BadTx}, append(d.Txs, r.s.BadTx, r.s.BadTx)...)
	})
	r.execute(with)
	root := r.roots[with.Hash()]
	if r.s.OneWay { // another engine gets the other block
		before := r.chain[:1]
		r = newRun(t, open(t))
		r.replay(before)
	} else {
		r.revert(r.height() - 1)
	}
	r.execute(without)
	if got := r.roots[without.Hash()]; got != root {
		t.Errorf("root without the bad transactions: got %x, with them %x", got, root)
	}
}

// blocksAreNotKept overwrites a block after it was executed.
func blocksAreNotKept(t *testing.T, r *run) {
	r.grow(2)
	b := r.next()
	before := b.Encode()
	same, err := block.DecodeBlock(before)
	if err != nil {
		t.Fatal(err)
	}
	r.execute(b)
	if !bytes.Equal(b.Encode(), before) {
		t.Error("the engine has changed the block")
	}
	for _, tx := range b.Data.Txs {
		clear(tx)
	}
	clear(b.Header.Header.LastHeaderHash)
	r.chain[len(r.chain)-1] = same
	r.check()
	r.grow(1)
	all := r.chain
	r.revert(r.height() - 2)
	r.replay(all[len(r.chain):])
}

// cancelled executes and reverts with a context that has ended: done or not done, and Head says which.
func cancelled(t *testing.T, r *run) {
	r.grow(3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := r.next()
	if root, err := r.e.Execute(ctx, b); err == nil {
		r.learn(b, root)
		r.chain = append(r.chain, b)
	} else if h := r.head(); h.Hash == b.Hash() {
		r.execute(b)
	} else {
		r.check()
		r.execute(b)
	}
	r.check()
	if err := r.e.Revert(ctx, r.height()-1); err == nil {
		r.chain = r.chain[:len(r.chain)-1]
		r.check()
	} else {
		r.recovered(r.e)
	}
	r.grow(1)
}

// headOverlaps asks for Head all the time: it must always be a block that was executed, whole.
func headOverlaps(t *testing.T, r *run) {
	ctx, cancel := context.WithCancel(t.Context())
	var heads []exec.Head
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if h, err := r.e.Head(ctx); err == nil && (len(heads) == 0 || heads[len(heads)-1].Hash != h.Hash) {
				heads = append(heads, h)
			}
		}
	})
	seen := map[block.Hash]uint64{}
	for range 10 {
		r.grow(1)
		last := r.chain[len(r.chain)-1]
		seen[last.Hash()] = last.Height()
		if r.height()%3 == 0 {
			r.revert(r.height() - 1)
		}
	}
	cancel()
	wg.Wait()
	for _, h := range heads {
		if h.Hash.IsZero() && h.Height == r.s.InitialHeight-1 {
			continue
		}
		if height, ok := seen[h.Hash]; !ok || height != h.Height || string(h.Root) != r.roots[h.Hash] {
			t.Errorf("head %d %s with root %x was never executed", h.Height, h.Hash, h.Root)
		}
	}
}

func reopen(t *testing.T, r *run) {
	if r.s.Reopen == nil {
		t.Skip("this engine cannot be reopened here")
	}
	for range 3 {
		lost := r.recovered(r.s.Reopen(t))
		if len(lost) > r.s.Redo {
			t.Fatalf("%d blocks are lost by an orderly end", len(lost))
		}
		r.replay(lost)
		r.grow(4)
		r.revert(r.height() - 1)
	}
	all := r.chain
	r.replay(r.recovered(r.s.Reopen(t)))
	r.revert(r.height() - uint64(r.depth(3)))
	r.replay(all[len(r.chain):])
}

// crash kills the engine after blocks, repeats and reverts. It may have lost some, then it gets them again, and all
// roots stay the same.
func crash(t *testing.T, r *run) {
	if r.s.Crash == nil {
		t.Skip("this engine cannot be crashed here")
	}
	rng := seeded(2)
	for range 12 {
		r.grow(1 + rng.IntN(4))
		if rng.IntN(3) == 0 && !r.s.OneWay {
			r.crashInRevert(t, uint64(1+rng.IntN(r.depth(3))))
			continue
		}
		r.replay(r.recovered(r.s.Crash(t)))
	}
}

// crashInRevert crashes after a revert: the engine stands where it was reverted to, or below, or at a block that was
// taken back.
func (r *run) crashInRevert(t *testing.T, n uint64) {
	t.Helper()
	all, to := r.chain, r.height()-n
	r.revert(to)
	r.chain = all
	r.recovered(r.s.Crash(t))
	if r.height() > to {
		r.revert(to)
	}
	r.replay(all[len(r.chain):])
}

// pruned goes back too far: refused without any effect, and everything at once still works.
func pruned(t *testing.T, r *run) {
	if r.s.History == 0 {
		t.Skip("this engine can go back without bound")
	}
	r.grow(int(r.s.History) + 4)
	all := r.chain
	if err := r.e.Revert(t.Context(), r.s.InitialHeight); !errors.Is(err, exec.ErrPruned) {
		t.Errorf("revert beyond the history: got %v, want %v", err, exec.ErrPruned)
	}
	r.check()
	r.revert(r.height() - r.s.History)
	r.replay(all[len(r.chain):])
	r.revert(r.s.InitialHeight - 1)
	r.replay(all)
}

// labels tells safe and finalized, which changes nothing else.
func labels(t *testing.T, r *run) {
	l, ok := r.e.(exec.Labeler)
	if !ok {
		t.Skip("this engine is no Labeler")
	}
	r.grow(6)
	ref := func(i int) block.Ref { return block.Ref{Height: r.chain[i].Height(), Hash: r.chain[i].Hash()} }
	for i := range 3 {
		if err := l.Label(t.Context(), ref(i+2), ref(i)); err != nil {
			t.Fatalf("label safe %d, finalized %d: %v", i+2, i, err)
		}
		r.check()
	}
	r.revert(ref(4).Height)
	r.grow(2)
}

// builder submits, builds, executes, until the pool is empty; and fills it.
func builder(t *testing.T, r *run) {
	bld, ok := r.e.(exec.Builder)
	if !ok || r.s.Tx == nil {
		t.Skip("this engine is no Builder")
	}
	const n = 40
	own := 0
	if s, ok := r.e.(exec.Sealer); ok {
		own = s.OwnTxs()
	}
	waiting := map[string]bool{}
	for i := range n {
		waiting[string(r.s.Tx(i))] = true
		if err := bld.SubmitTx(t.Context(), r.s.Tx(i)); err != nil {
			t.Fatalf("submit transaction %d: %v", i, err)
		}
	}
	if r.s.InvalidTx != nil {
		if err := bld.SubmitTx(t.Context(), r.s.InvalidTx); !errors.Is(err, exec.ErrInvalid) {
			t.Errorf("submit %q: got %v, want %v", r.s.InvalidTx, err, exec.ErrInvalid)
		}
	}
	for range n {
		b := r.built(bld, r.s.MaxBytes)
		if len(b.Data.Txs) == own {
			break
		}
		for _, tx := range b.Data.Txs[own:] {
			if !waiting[string(tx)] {
				t.Fatalf("built with %q, which does not wait", tx)
			}
			delete(waiting, string(tx))
		}
		r.execute(b)
		r.check()
	}
	if len(waiting) > 0 {
		t.Errorf("%d transactions of %d are in no block", len(waiting), n)
	}
	if r.s.PoolLimit > 0 {
		fill(t, r, bld)
	}
}

// revertedTransactions takes back blocks that hold submitted transactions: all of them are built again, once, also by
// an engine that was opened again; and none is when the same blocks are executed again.
func revertedTransactions(t *testing.T, r *run) {
	if _, ok := r.e.(exec.Builder); !ok || r.s.Tx == nil {
		t.Skip("this engine is no Builder")
	}
	const batches, each = 3, 4
	n, have := 0, []string{}
	submit := func() {
		t.Helper()
		for range each {
			if err := r.e.(exec.Builder).SubmitTx(t.Context(), r.s.Tx(n)); err != nil {
				t.Fatalf("submit transaction %d: %v", n, err)
			}
			have = append(have, string(r.s.Tx(n)))
			n++
		}
	}
	for range batches {
		submit()
		r.drain()
	}
	for _, reopened := range []bool{false, r.s.Reopen != nil} {
		all := r.chain
		r.revert(r.height() - uint64(r.depth(len(r.chain))))
		r.replay(all[len(r.chain):])
		if again := r.drain(); len(again) > 0 {
			t.Errorf("built with %q, which is in blocks that were taken back and executed again", again)
		}
		if reopened {
			r.recovered(r.s.Reopen(t))
		}
		r.revert(r.height() - uint64(r.depth(len(r.chain))))
		submit()
		r.drain()
		var got []string
		for _, b := range r.chain {
			for _, tx := range b.Data.Txs[r.own():] {
				got = append(got, string(tx))
			}
		}
		slices.Sort(got)
		slices.Sort(have)
		if !slices.Equal(got, have) {
			t.Errorf("after a revert (opened again: %v) the blocks hold %d transactions, want the %d that were submitted, once each", reopened, len(got), len(have))
		}
	}
}

// own is how many transactions at the front of each block are the engine's.
func (r *run) own() int {
	if s, ok := r.e.(exec.Sealer); ok {
		return s.OwnTxs()
	}
	return 0
}

// drain builds and executes until a block has no transaction but the engine's own, and returns the others.
func (r *run) drain() (txs []string) {
	r.t.Helper()
	for range 100 {
		b := r.built(r.e.(exec.Builder), r.s.MaxBytes)
		r.execute(b)
		r.check()
		if len(b.Data.Txs) == r.own() {
			return txs
		}
		for _, tx := range b.Data.Txs[r.own():] {
			txs = append(txs, string(tx))
		}
	}
	r.t.Fatal("the builder does not come to an end")
	return nil
}

// built returns a block with what the builder gives, asked twice.
func (r *run) built(bld exec.Builder, most int) *block.Block {
	r.t.Helper()
	b := r.next()
	for range 2 {
		txs, err := bld.Build(r.t.Context(), b.Height(), b.Header.Header.Time, most)
		if err != nil {
			r.t.Fatalf("build block %d: %v", b.Height(), err)
		}
		if size := exec.Size(txs); size > most {
			r.t.Fatalf("build block %d: got %d bytes, want %d at most", b.Height(), size, most)
		}
		r.check()
		b.Data.Txs = txs
	}
	return r.seal(b)
}

// sizes offers transactions of all sizes to a builder that takes them in their order: each that is accepted is in a
// block within ten, whatever waits before it; what is larger than a block is refused, and dropped if it waits.
func sizes(t *testing.T, r *run) {
	bld, ok := r.e.(exec.Builder)
	pool, isPool := r.e.(exec.Pool)
	if !ok || r.s.SizedTx == nil {
		t.Skip("this engine is no Builder that takes transactions of any size in their order")
	}
	const most, waits = 1000, 990
	n := 0
	submit := func(size int) (tx []byte, err error) {
		n++
		tx = r.s.SizedTx(n, size)
		return tx, bld.SubmitTx(t.Context(), bytes.Clone(tx))
	}
	if _, err := submit(most + 1); err != nil {
		t.Fatalf("submit a transaction before a block's size is known: %v", err)
	}
	r.execute(r.built(bld, most))
	if isPool && pool.Dropped() != 1 {
		t.Errorf("%d transactions are dropped, want the one that is larger than a block", pool.Dropped())
	}
	if _, err := submit(most - exec.TxOverhead + 1); !errors.Is(err, exec.ErrTooBig) {
		t.Errorf("submit a transaction that is larger than a block: got %v, want %v", err, exec.ErrTooBig)
	}
	for _, c := range []struct {
		name        string
		before, own int
	}{
		{"the largest behind small ones", 20, most - exec.TxOverhead},
		{"a small one behind the largest", most - exec.TxOverhead, 20},
		{"more than half a block behind others", most/2 + 1, most/2 + 2},
	} {
		var last []byte
		for full := false; !full; {
			_, err := submit(c.before)
			if full = errors.Is(err, exec.ErrFull); err != nil && !full {
				t.Fatalf("%s: %v", c.name, err)
			}
			tx, err := submit(c.own)
			if err == nil {
				last = tx
			} else if !errors.Is(err, exec.ErrFull) {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		found := 0
		for blocks := 1; blocks <= 10 && found == 0; blocks++ {
			b := r.built(bld, most)
			r.execute(b)
			if slices.ContainsFunc(b.Data.Txs, func(tx []byte) bool { return bytes.Equal(tx, last) }) {
				found = blocks
			}
		}
		if found == 0 || last == nil {
			t.Errorf("%s: not in a block within ten", c.name)
		}
		for len(r.built(bld, most).Data.Txs) > 0 { // what came after it
			r.execute(r.built(bld, most))
		}
	}
	if isPool && pool.Dropped() != 1 {
		t.Errorf("%d transactions are dropped, want none that fits", pool.Dropped())
	}
	tx, err := submit(waits)
	if err != nil {
		t.Fatal(err)
	}
	if b := r.built(bld, waits); len(b.Data.Txs) > 0 {
		t.Errorf("a block of %d bytes holds %d transactions, the one of %d included", waits, len(b.Data.Txs), len(tx))
	}
	if isPool && pool.Dropped() != 2 {
		t.Errorf("%d transactions are dropped, want two: blocks have become smaller", pool.Dropped())
	}
}

func fill(t *testing.T, r *run, bld exec.Builder) {
	for i := range r.s.PoolLimit + 1 {
		err := bld.SubmitTx(t.Context(), r.s.Tx(1000+i))
		if errors.Is(err, exec.ErrFull) {
			return
		}
		if err != nil {
			t.Fatalf("submit transaction %d: %v", i, err)
		}
	}
	t.Errorf("%d transactions fit", r.s.PoolLimit+1)
}

func exempts(t *testing.T, r *run) {
	x, ok := r.e.(exec.Exempter)
	if !ok || r.s.InvalidTx == nil {
		t.Skip("this engine is no Exempter, or no transaction is known that it exempts")
	}
	exempt := func(height uint64, tx []byte) bool {
		t.Helper()
		why, err := x.Exempt(t.Context(), height, [][]byte{r.s.InvalidTx, tx})
		if err != nil || len(why) != 2 || why[0] == "" {
			t.Fatalf("check %q and %q after block %d: got %q, %v", r.s.InvalidTx, tx, height, why, err)
		}
		return why[1] != ""
	}
	r.grow(4)
	for height := r.height() - 1; height <= r.height(); height++ {
		if !exempt(height, r.s.InvalidTx) {
			t.Errorf("%q is not exempt after block %d", r.s.InvalidTx, height)
		}
	}
	if r.s.Tx != nil && exempt(r.height(), r.s.Tx(0)) {
		t.Errorf("%q is exempt after block %d, which a block may hold", r.s.Tx(0), r.height())
	}
	r.check()
	r.revert(r.height() - 1)
	if !exempt(r.height(), r.s.InvalidTx) {
		t.Errorf("%q is not exempt after block %d, to which the engine was reverted", r.s.InvalidTx, r.height())
	}
	if _, err := x.Exempt(t.Context(), r.height()+1, [][]byte{r.s.InvalidTx}); !errors.Is(err, exec.ErrParent) {
		t.Errorf("check a transaction above the head: got %v, want %v", err, exec.ErrParent)
	}
	r.grow(1)
	f, ok := r.e.(exec.Forcer)
	if !ok || r.s.Tx == nil {
		return
	}
	b, want := r.next(), [][]byte{r.s.Tx(0), r.s.Tx(1)}
	txs, err := f.BuildForced(t.Context(), b.Height(), b.Header.Header.Time, r.s.MaxBytes, [][]byte{r.s.InvalidTx, want[0], r.s.InvalidTx, want[1]})
	if err != nil {
		t.Fatalf("build block %d with forced transactions: %v", b.Height(), err)
	}
	own := 0
	if s, ok := r.e.(exec.Sealer); ok {
		own = s.OwnTxs()
	}
	if len(txs) < own+2 || string(txs[own]) != string(want[0]) || string(txs[own+1]) != string(want[1]) {
		t.Fatalf("block %d begins with %q, want the two forced transactions that can be included", b.Height(), txs)
	}
	b.Data.Txs = txs
	r.execute(r.seal(b))
	r.check()
}

// hashes looks at the names of transactions: the same before and in a block, others for others, and of nothing but the
// bytes. What a chain executes once has one place in it, however often it is submitted.
func hashes(t *testing.T, r *run) {
	one, other := []byte("a=1"), []byte("a=2")
	if r.s.Tx != nil {
		one, other = r.s.Tx(0), r.s.Tx(1)
	}
	hash := exec.TxHash(r.e, one)
	if _, ok := r.e.(exec.TxHasher); !ok && hash != sha256.Sum256(one) {
		t.Errorf("hash of a transaction: got %s, want the SHA-256 of its bytes", hash)
	}
	changed := bytes.Clone(one)
	if exec.TxHash(r.e, changed) != hash || hash == exec.TxHash(r.e, other) || !bytes.Equal(changed, one) {
		t.Error("the hash of a transaction is not that of its bytes alone")
	}
	clear(changed)
	for _, strange := range [][]byte{nil, {}, {3}, {3, 0xc0}, {'H', 1}, bytes.Repeat([]byte{0xff}, 300)} {
		if exec.TxHash(r.e, strange) != exec.TxHash(r.e, bytes.Clone(strange)) {
			t.Errorf("%x has two hashes", strange)
		}
	}
	bld, ok := r.e.(exec.Builder)
	if !ok || r.s.Tx == nil {
		return
	}
	r.grow(1)
	want := map[block.Hash]int{hash: 2, exec.TxHash(r.e, other): 1}
	for _, tx := range [][]byte{one, one, other} {
		if err := bld.SubmitTx(t.Context(), bytes.Clone(tx)); err != nil {
			t.Fatal(err)
		}
	}
	if exec.TxOnce(r.e) {
		want[hash] = 1
	}
	got := map[block.Hash]int{}
	for range 10 {
		b := r.built(bld, r.s.MaxBytes)
		r.execute(b)
		users, names := exec.UserTxs(r.e, b.Data.Txs), exec.TxHashes(r.e, b.Data.Txs)
		if len(names) != len(users) || len(users)+r.own() != len(b.Data.Txs) {
			t.Fatalf("block %d has %d transactions, %d of them the engine's own, and %d hashes", b.Height(), len(b.Data.Txs), r.own(), len(names))
		}
		for i, name := range names {
			if name != exec.TxHash(r.e, users[i]) {
				t.Errorf("transaction %d of block %d has another hash than in its block", i, b.Height())
			}
			got[name]++
		}
		if skipped, err := exec.Skipped(r.e, b); err != nil || slices.Contains(skipped, true) {
			t.Errorf("block %d of good transactions: got %v, %v, want that none was skipped", b.Height(), skipped, err)
		}
		r.receipts(b, names)
		if maps.Equal(got, want) {
			r.skips()
			return
		}
	}
	t.Errorf("got %v in the blocks, want %v", got, want)
}

// skips looks at what an engine says of a block in which it skips some, also when it is opened again.
func (r *run) skips() {
	r.t.Helper()
	if _, ok := r.e.(exec.Skipper); !ok || r.s.BadTx == nil {
		return
	}
	b := r.vary(r.next(), func(_ *block.Header, d *block.Data) { d.Txs = [][]byte{r.s.BadTx, r.s.Tx(2), r.s.BadTx} })
	if skipped, err := exec.Skipped(r.e, b); err != nil || len(skipped) > 0 {
		r.t.Errorf("a block that was not executed: got %v, %v, want nothing", skipped, err)
	}
	r.execute(b)
	want := []bool{true, false, true}
	for range 2 {
		if got, err := exec.Skipped(r.e, b); err != nil || !slices.Equal(got, want) {
			r.t.Errorf("block %d: got skipped %v, %v, want %v", b.Height(), got, err, want)
		}
		if r.s.Reopen == nil {
			return
		}
		r.e = r.s.Reopen(r.t)
	}
}

// receipts asks for those of a block's transactions, and for what is none of it.
func (r *run) receipts(b *block.Block, hashes []block.Hash) {
	r.t.Helper()
	rec, ok := r.e.(exec.Receipter)
	if !ok {
		return
	}
	sibling := r.vary(b, func(h *block.Header, d *block.Data) {
		h.ValidatorHash = bytes.Repeat([]byte{9}, 32)
		d.Txs = d.Txs[:0:0]
	})
	before := r.chain[len(r.chain)-2]
	for _, hash := range hashes {
		text, err := rec.Receipt(r.t.Context(), b, hash)
		if err != nil || !json.Valid(text) {
			r.t.Errorf("receipt of transaction %s in block %d: got %s, %v", hash, b.Height(), text, err)
		}
		for _, other := range []*block.Block{sibling, before} {
			if text, err := rec.Receipt(r.t.Context(), other, hash); !errors.Is(err, exec.ErrNoReceipt) {
				r.t.Errorf("receipt of transaction %s in a block %d without it: got %s, %v, want %v", hash, other.Height(), text, err, exec.ErrNoReceipt)
			}
		}
	}
	if text, err := rec.Receipt(r.t.Context(), b, block.Hash{7}); !errors.Is(err, exec.ErrNoReceipt) {
		r.t.Errorf("receipt of a transaction that is nowhere: got %s, %v, want %v", text, err, exec.ErrNoReceipt)
	}
}
