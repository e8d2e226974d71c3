// Package exectest checks that an execution engine keeps the contract of package exec. An engine's own tests call
// Test with a function that opens it.
//
// The suite drives the engine as Headrace does: blocks on top of each other, repeats, reverts of any depth, other
// branches, restarts, crashes. Whatever it does, the engine must stand at a block that was executed, and the root
// after a block must depend on the blocks up to it alone.
package exectest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"headrace/block"
	"headrace/exec"
)

// Subject is one fresh engine under test, and what it can do. Only Engine is needed; a field that is nil or zero
// leaves out what needs it.
type Subject struct {
	Engine        exec.Engine
	ChainID       string    // of the blocks; "": "exectest"
	InitialHeight uint64    // of the blocks; 0: 1
	StartTime     time.Time // before the first block; zero: 14 November 2023

	// Txs returns the transactions of a block that is executed next, on the engine's head. salt makes blocks of one
	// height differ. nil: "key=value" transactions. An engine whose blocks carry what it has built itself builds
	// here.
	Txs func(t *testing.T, e exec.Engine, height uint64, at time.Time, salt int) [][]byte

	// Block may change a block before it is executed: sign it, or set fields that the engine looks at.
	Block func(b *block.Block)

	BadTx []byte // a transaction that is skipped when a block holds it

	// Reopen closes the engine in an orderly way and opens it again.
	Reopen func(t *testing.T) exec.Engine
	// Crash stops the engine as a kill or a power loss would, and opens it again on what is left.
	Crash func(t *testing.T) exec.Engine

	History uint64 // how many blocks the engine can take back; 0: all of them
	Forgets bool   // repeats of blocks below the head may be answered with ErrParent

	OneWay bool // it takes nothing back, see exec.OneWay
	Redo   int  // how many of its last blocks it may ask for again when it is opened, also after an orderly end

	// Tx returns the n-th of any number of different valid transactions for SubmitTx; nil leaves out the tests of a
	// Builder.
	Tx        func(n int) []byte
	InvalidTx []byte // one that SubmitTx must refuse with ErrInvalid, and that an Exempter exempts
	PoolLimit int    // ErrFull must come after at most this many transactions; 0: not tested
	MaxBytes  int    // that the suite asks of Build; 0: 300, so that a block does not hold all that wait

	// SizedTx is Tx for transactions of a size, of an engine that takes them in their order; nil: it does not.
	SizedTx func(n, size int) []byte
}

// Test runs the suite. open is called once for each test, and once more where two engines are compared; it registers
// its own clean-up.
func Test(t *testing.T, open func(t *testing.T) Subject) {
	for i, tt := range []struct {
		name string
		run  func(*testing.T, *run)
	}{
		{"Fresh", fresh},
		{"Chain", chain},
		{"Repeats", repeats},
		{"Parents", parents},
		{"Revert", revert},
		{"RevertEverything", revertEverything},
		{"RandomWalk", randomWalk},
		{"SameRootsElsewhere", func(t *testing.T, r *run) { sameRoots(t, r, newRun(t, open(t))) }},
		{"BadTransactions", func(t *testing.T, r *run) { badTransactions(t, r, open) }},
		{"BlocksAreNotKept", blocksAreNotKept},
		{"Cancelled", cancelled},
		{"HeadOverlaps", headOverlaps},
		{"Reopen", reopen},
		{"Crash", crash},
		{"Pruned", pruned},
		{"Exempt", exempts},
		{"Builder", builder},
		{"BuilderSizes", sizes},
		{"RevertedTransactions", revertedTransactions},
		{"Labels", labels},
		{"TransactionHashes", hashes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRun(t, open(t))
			r.s.StartTime = r.s.StartTime.Add(time.Duration(i) * time.Hour) // an engine may remember what it has built on the same parent for the same time
			tt.run(t, r)
		})
	}
}

// run is an engine and the chain it is at.
type run struct {
	t *testing.T
	s Subject
	e exec.Engine

	chain   []*block.Block // executed and not reverted
	highest uint64         // since the last time that all was reverted
	roots   map[block.Hash]string
	salt    int
}

func newRun(t *testing.T, s Subject) *run {
	t.Helper()
	s.ChainID = cmp.Or(s.ChainID, "exectest")
	s.InitialHeight = cmp.Or(s.InitialHeight, 1)
	if s.StartTime.IsZero() {
		s.StartTime = time.Unix(1_700_000_000, 0)
	}
	if s.Txs == nil {
		s.Txs = keyValues
	}
	s.MaxBytes = cmp.Or(s.MaxBytes, 300)
	r := &run{t: t, s: s, e: s.Engine, roots: map[block.Hash]string{}}
	r.roots[block.Hash{}] = string(r.head().Root) // of the genesis state, which may be empty
	return r
}

// keyValues returns transactions that set a few keys, some of them again and again.
func keyValues(_ *testing.T, _ exec.Engine, height uint64, _ time.Time, salt int) [][]byte {
	return [][]byte{
		fmt.Appendf(nil, "height=%d", height),
		fmt.Appendf(nil, "salt=%d", salt),
		fmt.Appendf(nil, "key%d=%d", salt%7, height),
		fmt.Appendf(nil, "own%d.%d=x", height, salt),
	}
}

// height returns the height of the head that the run expects.
func (r *run) height() uint64 { return r.s.InitialHeight - 1 + uint64(len(r.chain)) }

// next returns a block on the head of the run, and of the engine.
func (r *run) next() *block.Block {
	r.t.Helper()
	r.salt++
	height := r.height() + 1
	at := r.s.StartTime.Add(time.Duration(height) * time.Second)
	b := &block.Block{}
	b.Data.Metadata = block.Metadata{ChainID: r.s.ChainID, Height: height, Time: uint64(at.UnixNano())}
	b.Data.Txs = r.s.Txs(r.t, r.e, height, at, r.salt)
	b.Header.Header = block.Header{
		Height: height, Time: uint64(at.UnixNano()), ChainID: r.s.ChainID,
		ProposerAddress: make([]byte, 32), ValidatorHash: fmt.Appendf(nil, "%032d", r.salt), // makes siblings differ
	}
	b.Header.Header.AppHash = []byte(r.roots[block.Hash{}])
	if n := len(r.chain); n > 0 {
		parent, last := r.chain[n-1].Hash(), r.chain[n-1].Data.Hash()
		b.Header.Header.LastHeaderHash = parent[:]
		b.Header.Header.AppHash = []byte(r.roots[parent])
		b.Data.Metadata.LastDataHash = last[:]
	}
	return r.seal(b)
}

// seal makes the header fit the data.
func (r *run) seal(b *block.Block) *block.Block {
	commitment := b.Data.Commitment()
	b.Header.Header.DataHash = commitment[:]
	if r.s.Block != nil {
		r.s.Block(b)
	}
	return b
}

// vary returns a copy of b that change has changed.
func (r *run) vary(b *block.Block, change func(h *block.Header, d *block.Data)) *block.Block {
	c := *b
	change(&c.Header.Header, &c.Data)
	return r.seal(&c)
}

// execute executes b, which must succeed, and compares the root with what is known.
func (r *run) execute(b *block.Block) {
	r.t.Helper()
	root, err := r.e.Execute(r.t.Context(), b)
	if err != nil {
		r.t.Fatalf("execute block %d: %v", b.Height(), err)
	}
	r.learn(b, root)
	r.chain = append(r.chain, b)
	r.highest = max(r.highest, b.Height())
}

// learn keeps the root after a block: it is the same for ever.
func (r *run) learn(b *block.Block, root []byte) {
	r.t.Helper()
	want, known := r.roots[b.Hash()]
	if known && string(root) != want {
		r.t.Fatalf("root after block %d: got %x, and it was %x before", b.Height(), root, want)
	}
	r.roots[b.Hash()] = string(root)
}

// grow executes n new blocks.
func (r *run) grow(n int) {
	r.t.Helper()
	for range n {
		r.execute(r.next())
		r.check()
	}
}

// replay executes blocks of an earlier chain again, which are on top of the head.
func (r *run) replay(blocks []*block.Block) {
	r.t.Helper()
	for _, b := range blocks {
		r.execute(b)
		r.check()
	}
}

func (r *run) revert(height uint64) {
	r.t.Helper()
	if r.s.OneWay && height < r.height() { // refused, without an effect
		if err := r.e.Revert(r.t.Context(), height); !errors.Is(err, exec.ErrPruned) {
			r.t.Fatalf("revert an engine that takes nothing back from %d to %d: got %v, want %v", r.height(), height, err, exec.ErrPruned)
		}
		r.check()
		return
	}
	if err := r.e.Revert(r.t.Context(), height); err != nil {
		r.t.Fatalf("revert from %d to %d: %v", r.height(), height, err)
	}
	if height+1 == r.s.InitialHeight {
		r.highest = height
	}
	if height < r.height() {
		r.chain = r.chain[: height+1-r.s.InitialHeight : height+1-r.s.InitialHeight]
	}
	r.check()
}

// check compares Head with the run.
func (r *run) check() {
	r.t.Helper()
	h := r.head()
	want := exec.Head{Height: r.height()}
	if n := len(r.chain); n > 0 {
		want.Hash = r.chain[n-1].Hash()
	}
	if want.Root = []byte(r.roots[want.Hash]); string(h.Root) != string(want.Root) {
		r.t.Fatalf("head %d: got root %x, want %x", h.Height, h.Root, want.Root)
	}
	if h.Height != want.Height || h.Hash != want.Hash {
		r.t.Fatalf("head: got %d %s, want %d %s", h.Height, h.Hash, want.Height, want.Hash)
	}
}

func (r *run) head() exec.Head {
	r.t.Helper()
	h, err := r.e.Head(r.t.Context())
	if err != nil {
		r.t.Fatalf("head: %v", err)
	}
	return h
}

// depth returns how far the engine can be reverted from where it is, at most n. The history counts from the highest
// block there was.
func (r *run) depth(n int) int {
	n = min(n, len(r.chain))
	if r.s.OneWay {
		return 0
	}
	if r.s.History > 0 {
		n = min(n, max(0, int(r.height()+r.s.History)-int(r.highest)))
	}
	return n
}

// recovered takes over an engine that was opened again: it must stand at a block of the chain, with that block's
// root. The chain is cut there, and what was cut off is returned.
func (r *run) recovered(e exec.Engine) (lost []*block.Block) {
	r.t.Helper()
	r.e = e
	h := r.head()
	if h.Height < r.s.InitialHeight-1 || h.Height > r.height() {
		r.t.Fatalf("head after opening again: got %d, want %d at most", h.Height, r.height())
	}
	n := h.Height + 1 - r.s.InitialHeight
	r.chain, lost = r.chain[:n:n], r.chain[n:]
	r.check()
	return lost
}

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 0)) }
