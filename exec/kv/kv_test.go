package kv_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/exectest"
	"headrace/exec/kv"
	"headrace/internal/disk/disktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dir = "home/kv"

func open(t testing.TB, opt kv.Options) *kv.Engine {
	t.Helper()
	e, err := kv.Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mustClose(t testing.TB, e *kv.Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// subject is a kv engine on a disk that can crash.
func subject(opt kv.Options) func(t *testing.T) exectest.Subject {
	return func(t *testing.T) exectest.Subject {
		mem := vfs.NewCrashableMem()
		rng := rand.New(rand.NewPCG(1, 1))
		opt := opt
		opt.FS = mem
		e := open(t, opt)
		t.Cleanup(func() { mustClose(t, e) })
		return exectest.Subject{
			Engine:        e,
			InitialHeight: opt.InitialHeight,
			BadTx:         []byte("not a pair"),
			Reopen: func(t *testing.T) exec.Engine {
				mustClose(t, e)
				e = open(t, opt)
				return e
			},
			Crash: func(t *testing.T) exec.Engine {
				crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
				mustClose(t, e)
				mem, opt.FS = crashed, crashed
				e = open(t, opt)
				return e
			},
			History:   opt.History,
			Tx:        func(n int) []byte { return fmt.Appendf(nil, "n%d=%d", n, n) },
			InvalidTx: []byte("=no key"),
			SizedTx:   func(n, size int) []byte { return fmt.Appendf(nil, "n%d=%0*d", n, size-len(fmt.Sprintf("n%d=", n)), 0) },
			PoolLimit: opt.PoolBytes / 256,
		}
	}
}

func TestConformance(t *testing.T) {
	exectest.Test(t, subject(kv.Options{PoolBytes: 64 << 10}))
}

func TestConformanceShortHistoryLateStart(t *testing.T) {
	exectest.Test(t, subject(kv.Options{History: 7, InitialHeight: 1000, PoolBytes: 64 << 10}))
}

// successor returns a block with txs on parent, which is nil for the first one.
func successor(parent *block.Block, txs ...string) *block.Block {
	b := &block.Block{}
	b.Header.Header = block.Header{Height: 1, ChainID: "kv", ProposerAddress: make([]byte, 32)}
	if parent != nil {
		h := parent.Hash()
		b.Header.Header.Height = parent.Height() + 1
		b.Header.Header.LastHeaderHash = h[:]
	}
	for _, tx := range txs {
		b.Data.Txs = append(b.Data.Txs, []byte(tx))
	}
	c := b.Data.Commitment()
	b.Header.Header.DataHash = c[:]
	return b
}

func execute(t testing.TB, e *kv.Engine, b *block.Block) []byte {
	t.Helper()
	root, err := e.Execute(t.Context(), b)
	if err != nil {
		t.Fatalf("execute block %d: %v", b.Height(), err)
	}
	return root
}

func TestTransactions(t *testing.T) {
	e := open(t, kv.Options{FS: vfs.NewMem()})
	defer mustClose(t, e)
	empty := successor(nil, "bad", "=", "=x", strings.Repeat("k", kv.MaxKey+1)+"=v", "")
	if root := execute(t, e, empty); root != nil {
		t.Errorf("root of an empty state: got %x, want none", root)
	}
	b := successor(empty, "a=1", "b=2=3", "c=", "a=4", "bad", strings.Repeat("k", kv.MaxKey)+"=v")
	if root := execute(t, e, b); len(root) != 32 {
		t.Errorf("root: got %d bytes, want 32", len(root))
	}
	for key, want := range map[string]string{"a": "4", "b": "2=3", "c": "", "d": "missing"} {
		got, ok, err := e.Get([]byte(key))
		if err != nil || ok != (want != "missing") || ok && string(got) != want {
			t.Errorf("%s: got %q, %v, %v, want %q", key, got, ok, err, want)
		}
	}
	want := kv.Stats{Keys: 4, Skipped: 6}
	if got := e.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := e.Revert(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	got := e.Stats()
	if want := (kv.Stats{Skipped: 5, PoolTxs: 5, PoolBytes: got.PoolBytes}); got != want { // what was executed waits again
		t.Errorf("after a revert: got %+v, want %+v", got, want)
	}
	if h, err := e.Head(t.Context()); err != nil || h.Root != nil {
		t.Errorf("root after a revert: got %x, %v, want none", h.Root, err)
	}
}

// TestRootIsOfTheState compares engines that came to a state by different ways, and states that are nearly the same.
func TestRootIsOfTheState(t *testing.T) {
	roots := map[string]string{}
	root := func(txs ...string) string {
		e := open(t, kv.Options{FS: vfs.NewMem()})
		defer mustClose(t, e)
		var last *block.Block
		var r []byte
		for _, tx := range txs {
			last = successor(last, strings.Split(tx, " ")...)
			r = execute(t, e, last)
		}
		return string(r)
	}
	want := root("a=1 b=2 c=3")
	for _, way := range [][]string{{"c=3", "b=2", "a=1"}, {"a=9 b=8 c=7", "c=3 a=1", "b=2"}, {"a=1 a=2 a=1 b=2 c=3 b=2"}} {
		if got := root(way...); got != want {
			t.Errorf("by way of %q: got root %x, want %x", way, got, want)
		}
	}
	for _, txs := range []string{"a=1 b=2 c=3", "a=1 b=3 c=2", "a=1 b=2", "a=1 b=2 c=3 d=4", "a1=b b=2 c=3", "a=1b=2 c=3", "a=1 b=2 c=", "ab=c", "a=bc", "abc="} {
		r := root(txs)
		if other, ok := roots[r]; ok {
			t.Errorf("%q and %q have the same root %x", txs, other, r)
		}
		roots[r] = txs
	}
}

// TestRootIsFixed pins a root: it is part of chains' headers and must never change.
func TestRootIsFixed(t *testing.T) {
	e := open(t, kv.Options{FS: vfs.NewMem()})
	defer mustClose(t, e)
	root := execute(t, e, successor(nil, "a=1", "b=two", "c="))
	if got, want := fmt.Sprintf("%x", root), "73cfb3ab41fe6029f5bb2b4d35617e14e25c9eff7b217784bd5739b23ac8f32b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestModel runs random blocks and reverts against a map, and reads every key back.
func TestModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	mem := vfs.NewMem()
	e := open(t, kv.Options{FS: mem})
	states := []map[string]string{{}}
	blocks := []*block.Block{nil}
	for n := range 200 {
		if rng.IntN(5) == 0 {
			to := max(0, len(blocks)-1-rng.IntN(6))
			if err := e.Revert(t.Context(), uint64(to)); err != nil {
				t.Fatal(err)
			}
			states, blocks = states[:to+1], blocks[:to+1]
		} else {
			state := map[string]string{}
			for k, v := range states[len(states)-1] {
				state[k] = v
			}
			var txs []string
			for i := range rng.IntN(6) {
				k, v := fmt.Sprint("key", rng.IntN(30)), strings.Repeat("v", rng.IntN(3))
				state[k] = v
				txs = append(txs, k+"="+v, fmt.Sprint("bad", i))
			}
			b := successor(blocks[len(blocks)-1], txs...)
			execute(t, e, b)
			states, blocks = append(states, state), append(blocks, b)
		}
		if rng.IntN(20) == 0 {
			mustClose(t, e)
			e = open(t, kv.Options{FS: mem})
		}
		sameState(t, n, e, states[len(states)-1])
	}
	mustClose(t, e)
}

func sameState(t *testing.T, n int, e *kv.Engine, want map[string]string) {
	t.Helper()
	for i := range 30 {
		k := fmt.Sprint("key", i)
		got, ok, err := e.Get([]byte(k))
		if w, there := want[k]; err != nil || ok != there || string(got) != w {
			t.Fatalf("step %d: %s: got %q, %v, %v, want %q, %v", n, k, got, ok, err, w, there)
		}
	}
	if got := e.Stats().Keys; got != uint64(len(want)) {
		t.Fatalf("step %d: got %d keys, want %d", n, got, len(want))
	}
}

// TestDiskFaults fails each operation of the disk in turn, once not done and once done: the engine refuses to go on,
// and opened again it stands at a block it has executed, with that block's state.
func TestDiskFaults(t *testing.T) {
	var blocks []*block.Block
	var last *block.Block
	roots := map[block.Hash]string{}
	good := open(t, kv.Options{FS: vfs.NewMem()})
	for i := range 12 {
		last = successor(last, fmt.Sprintf("a=%d", i), fmt.Sprintf("b%d=x", i))
		blocks = append(blocks, last)
		roots[last.Hash()] = string(execute(t, good, last))
	}
	mustClose(t, good)
	for _, done := range []bool{false, true} {
		at := 0
		for diskFault(t, at, done, blocks, roots) {
			at += disktest.Sparse(5)
		}
		if at < 30 {
			t.Errorf("done %v: only %d operations were there to fail", done, at)
		}
	}
}

func diskFault(t *testing.T, at int, done bool, blocks []*block.Block, roots map[block.Hash]string) bool {
	t.Helper()
	mem := vfs.NewCrashableMem()
	fs := &disktest.FaultFS{FS: mem, At: at, Done: done}
	e, err := kv.Open(dir, kv.Options{FS: fs})
	if err == nil {
		for i, b := range blocks {
			if _, err = e.Execute(t.Context(), b); err != nil {
				break
			}
			if i%4 == 3 { // back two, and forth
				if err = errors.Join(e.Sync(), e.Revert(t.Context(), b.Height()-2)); err != nil {
					break
				}
				for _, again := range blocks[i-1 : i+1] {
					if _, err = e.Execute(t.Context(), again); err != nil {
						break
					}
				}
			}
			if err != nil {
				break
			}
		}
		if err != nil {
			if _, again := e.Execute(t.Context(), blocks[0]); !errors.Is(err, kv.ErrFailed) || again == nil && atNone(t, e) {
				t.Fatalf("operation %d: got %v, then %v, want the disk failed", at, err, again)
			}
		}
		e.Close()
	}
	for _, fs := range []vfs.FS{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(at), 1))}), mem} {
		e := open(t, kv.Options{FS: fs})
		h, err := e.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if h.Height > 0 && (h.Hash != blocks[h.Height-1].Hash() || string(h.Root) != roots[h.Hash]) {
			t.Fatalf("operation %d: head %d %s with root %x was never executed", at, h.Height, h.Hash, h.Root)
		}
		for _, b := range blocks {
			root, err := e.Execute(t.Context(), b)
			if err != nil || string(root) != roots[b.Hash()] {
				t.Fatalf("operation %d: execute block %d from %d: got %x, %v, want %x", at, b.Height(), h.Height, root, err, roots[b.Hash()])
			}
		}
		mustClose(t, e)
	}
	return fs.Failed()
}

func atNone(t *testing.T, e *kv.Engine) bool {
	h, err := e.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h.Height == 0
}

func TestOpenRefuses(t *testing.T) {
	mem := vfs.NewMem()
	e := open(t, kv.Options{FS: mem})
	if _, err := kv.Open(dir, kv.Options{FS: mem}); !errors.Is(err, kv.ErrLocked) {
		t.Errorf("open twice: got %v", err)
	}
	mustClose(t, e)
	if _, err := kv.Open(dir, kv.Options{FS: mem, InitialHeight: 9}); err == nil || !strings.Contains(err.Error(), "from height 1, not 9") {
		t.Errorf("another first height: got %v", err)
	}
	if _, err := e.Execute(t.Context(), successor(nil, "a=1")); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("execute after close: got %v", err)
	}
}

func TestPool(t *testing.T) {
	e := open(t, kv.Options{FS: vfs.NewMem(), PoolBytes: 10 * 300})
	defer mustClose(t, e)
	submit := func(tx string) error { return e.SubmitTx(t.Context(), []byte(tx)) }
	build := func(height uint64, most int) string {
		txs, err := e.Build(t.Context(), height, 0, most)
		if err != nil {
			t.Fatal(err)
		}
		return string(bytes.Join(txs, []byte(" ")))
	}
	for _, tx := range []string{"a=1", "big=" + strings.Repeat("x", 40), "b=2", "a=1", "c=3"} {
		if err := submit(tx); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := build(1, 24), "a=1 b=2 a=1"; got != want { // without the one that never fits, up to the first that does not
		t.Errorf("build: got %q, want %q", got, want)
	}
	if st := e.Stats(); st.Dropped != 1 || st.PoolTxs != 4 {
		t.Errorf("got %+v, want the one that never fits dropped and counted", st)
	}
	if _, err := e.Build(t.Context(), 2, 0, 24); !errors.Is(err, exec.ErrParent) {
		t.Errorf("build at another height: got %v, want %v", err, exec.ErrParent)
	}
	b := successor(nil, "a=1", "other=1")
	execute(t, e, b)
	execute(t, e, b)
	if got, want := build(2, 24), "b=2 a=1 c=3"; got != want { // a=1 waited twice and was executed once
		t.Errorf("build: got %q, want %q", got, want)
	}
	if err := submit("large=" + strings.Repeat("x", 14)); !errors.Is(err, exec.ErrTooBig) || !strings.Contains(err.Error(), "at most 19") {
		t.Errorf("a transaction larger than a block: got %v, want %v and the size", err, exec.ErrTooBig)
	}
	build(2, 1<<20)
	full := 0
	for full = range 100 {
		if err := submit(fmt.Sprintf("f%d=%s", full, strings.Repeat("x", 20))); errors.Is(err, exec.ErrFull) {
			break
		}
	}
	if st := e.Stats(); full > 10 || st.PoolBytes > 3000 {
		t.Errorf("%d more transactions fit, %d bytes", full, st.PoolBytes)
	}
	execute(t, e, successor(b, strings.Split(build(2, 1<<20), " ")...))
	if st := e.Stats(); st.PoolTxs != 0 || st.PoolBytes != 0 {
		t.Errorf("after all are executed: got %+v, want none waiting", st)
	}
}

// TestOverlaps reads, submits and builds while blocks are executed; the race detector is the judge.
func TestOverlaps(t *testing.T) {
	e := open(t, kv.Options{FS: vfs.NewMem()})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, _, err := e.Get([]byte("a")); err != nil {
					t.Error(err)
				}
				if err := e.SubmitTx(t.Context(), fmt.Appendf(nil, "s%d=%d", i, n)); err != nil && !errors.Is(err, exec.ErrFull) {
					t.Error(err)
				}
				e.Stats()
			}
		})
	}
	var last *block.Block
	for n := range uint64(100) {
		txs, err := e.Build(t.Context(), n+1, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var strs []string
		for _, tx := range txs {
			strs = append(strs, string(tx))
		}
		last = successor(last, append(strs, fmt.Sprintf("a=%d", n))...)
		execute(t, e, last)
	}
	close(stop)
	wg.Wait()
	mustClose(t, e)
}

// TestCostIsFlat counts what a block writes when the state is small and when it is large.
func TestCostIsFlat(t *testing.T) {
	e := open(t, kv.Options{FS: vfs.NewMem()})
	defer mustClose(t, e)
	var last *block.Block
	allocs := func() float64 {
		return testing.AllocsPerRun(20, func() {
			last = successor(last, "a="+fmt.Sprint(last != nil), "b=2")
			execute(t, e, last)
		})
	}
	small := allocs()
	for n := range 20 {
		var txs []string
		for i := range 1000 {
			txs = append(txs, fmt.Sprintf("key%d.%d=value", n, i))
		}
		last = successor(last, txs...)
		execute(t, e, last)
	}
	if large := allocs(); large > 2*small+50 {
		t.Errorf("a block of two transactions costs %v allocations on 2 keys and %v on 20,000", small, large)
	}
}

// BenchmarkExecute is what a block of 10 transactions costs on a state of 1,000 keys.
func BenchmarkExecute(b *testing.B) {
	e, err := kv.Open(b.TempDir(), kv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer mustClose(b, e)
	var last *block.Block
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		var txs []string
		for n := range 10 {
			txs = append(txs, fmt.Sprintf("key%d=%d", (i*10+n)%1000, i))
		}
		last = successor(last, txs...)
		b.StartTimer()
		execute(b, e, last)
	}
}
