package evolve_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/evolve"
	"headrace/exec/evolve/evolvetest"
	"headrace/exec/exectest"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const first = 5

func options(fs vfs.FS) evolve.Options {
	return evolve.Options{ChainID: "exectest", InitialHeight: first, GenesisTime: time.Unix(1_600_000_000, 0), Dir: "index", FS: fs}
}

func open(t *testing.T, x evolve.Executor, opt evolve.Options) *evolve.Engine {
	t.Helper()
	e, err := evolve.New(x, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func started(t *testing.T, path string, opt evolvetest.Options) *evolvetest.Executor {
	t.Helper()
	x, err := evolvetest.Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// The suite, as far as an engine that takes nothing back can pass it; either side crashes.
func TestSuite(t *testing.T) {
	for _, lags := range []bool{false, true} {
		t.Run(fmt.Sprintf("lags=%v", lags), func(t *testing.T) {
			exectest.Test(t, func(t *testing.T) exectest.Subject { return subject(t, lags) })
		})
	}
}

func subject(t *testing.T, lags bool) exectest.Subject {
	path, disk, random := filepath.Join(t.TempDir(), "state"), vfs.NewCrashableMem(), rand.New(rand.NewPCG(1, 1))
	x := started(t, path, evolvetest.Options{Lags: lags})
	e := open(t, x, options(disk))
	again := func(t *testing.T, fs *vfs.MemFS, restart bool) exec.Engine {
		t.Helper()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if restart {
			x = started(t, path, evolvetest.Options{Lags: lags})
		}
		disk = fs
		e = open(t, x, options(disk))
		return e
	}
	return exectest.Subject{
		Engine: e, InitialHeight: first, BadTx: []byte("nonsense"), OneWay: true, Redo: 1,
		Reopen: func(t *testing.T) exec.Engine { return again(t, disk, false) },
		Crash: func(t *testing.T) exec.Engine {
			left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 30, RNG: random})
			return again(t, left, random.IntN(2) == 0)
		},
	}
}

// tape is an executor that can go back, and tells its height unless it is shy.
type tape struct {
	evolve.Executor // the calls that it does not care for
	heights         uint64
	states          []map[string]string // from the genesis state on
}

func (x *tape) InitChain(_ context.Context, _ time.Time, height uint64, _ string) ([]byte, error) {
	if x.states == nil {
		x.heights, x.states = height-1, []map[string]string{{"genesis": "state"}}
	}
	return root(x.states[0]), nil
}

func root(pairs map[string]string) []byte { return fmt.Append(nil, pairs) }

func (x *tape) GetLatestHeight(context.Context) (uint64, error) {
	return x.heights + uint64(max(len(x.states), 1)-1), nil
}

func (x *tape) ExecuteTxs(_ context.Context, txs [][]byte, height uint64, _ time.Time, _ []byte) (evolve.Result, error) {
	n := int(height - x.heights)
	if n < 1 || n < len(x.states)-1 || n > len(x.states) {
		return evolve.Result{}, errors.New("it is neither the last nor the next one")
	}
	now := maps.Clone(x.states[n-1])
	for _, tx := range txs {
		if key, value, ok := strings.Cut(string(tx), "="); ok {
			now[key] = value
			now["executed"] += "."
		}
	}
	x.states = append(x.states[:n], now)
	return evolve.Result{Root: root(now)}, nil
}

func (x *tape) Rollback(_ context.Context, height uint64) error {
	if height < x.heights || height-x.heights >= uint64(len(x.states)) {
		return fmt.Errorf("cannot roll back to %d", height)
	}
	x.states = x.states[:height-x.heights+1]
	return nil
}

func (x *tape) SetFinal(context.Context, uint64) error { return nil }

// shy hides the height.
type shy struct{ *tape }

func (shy) GetLatestHeight(context.Context) (uint64, error) { return 0, errors.ErrUnsupported }

// The whole suite, with an executor that can roll back.
func TestSuiteRollback(t *testing.T) {
	for name, kind := range map[string]func(*tape) evolve.Executor{
		"heights": func(x *tape) evolve.Executor { return x },
		"shy":     func(x *tape) evolve.Executor { return shy{x} },
	} {
		t.Run(name, func(t *testing.T) {
			exectest.Test(t, func(t *testing.T) exectest.Subject {
				disk, random := vfs.NewCrashableMem(), rand.New(rand.NewPCG(1, 1))
				x := &tape{Executor: started(t, "", evolvetest.Options{})}
				e := open(t, kind(x), options(disk))
				again := func(t *testing.T) exec.Engine {
					t.Helper()
					if err := e.Close(); err != nil {
						t.Fatal(err)
					}
					e = open(t, kind(x), options(disk))
					return e
				}
				return exectest.Subject{
					Engine: e, InitialHeight: first, BadTx: []byte("nonsense"), Redo: 1, Reopen: again,
					Crash: func(t *testing.T) exec.Engine {
						if n := len(x.states); name == "heights" && n > 3 && random.IntN(2) == 0 { // it loses more than one
							x.states = x.states[:n-2]
						}
						disk = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 30, RNG: random})
						return again(t)
					},
				}
			})
		})
	}
}

// link is an executor in another process, which may be exchanged, and whose answers may be lost.
type link struct {
	evolve.Executor
	lost    bool // the next call finds that the executor was restarted
	notDone bool // the next ExecuteTxs is not done, and has no answer
	unsaid  bool // the next ExecuteTxs is done, and has no answer
}

func (l *link) answer() error {
	if l.lost {
		l.lost = false
		return evolve.ErrNoAnswer
	}
	return nil
}

func (l *link) GetExecutionInfo(ctx context.Context) (evolve.Info, error) {
	if err := l.answer(); err != nil {
		return evolve.Info{}, err
	}
	return l.Executor.GetExecutionInfo(ctx)
}

func (l *link) ExecuteTxs(ctx context.Context, txs [][]byte, height uint64, at time.Time, root []byte) (evolve.Result, error) {
	if err := l.answer(); err != nil || l.notDone {
		l.notDone = false
		return evolve.Result{}, evolve.ErrNoAnswer
	}
	r, err := l.Executor.ExecuteTxs(ctx, txs, height, at, root)
	if l.unsaid {
		l.unsaid = false
		return evolve.Result{}, evolve.ErrNoAnswer
	}
	return r, err
}

// chain drives an engine.
type chain struct {
	t      *testing.T
	e      *evolve.Engine
	blocks []*block.Block
	roots  [][]byte // before each block, and after the last
}

func newChain(t *testing.T, e *evolve.Engine) *chain {
	c := &chain{t: t, e: e}
	c.roots = [][]byte{c.head().Root}
	return c
}

func (c *chain) head() exec.Head {
	c.t.Helper()
	h, err := c.e.Head(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return h
}

// next returns a block on top of the last one.
func (c *chain) next(txs ...string) *block.Block {
	b := &block.Block{}
	n := len(c.blocks)
	b.Header.Header = block.Header{Height: first + uint64(n), Time: uint64(1_700_000_000+n) * 1e9, ChainID: "exectest", AppHash: c.roots[n], ProposerAddress: make([]byte, 32)}
	if n > 0 {
		hash := c.blocks[n-1].Hash()
		b.Header.Header.LastHeaderHash = hash[:]
	}
	for _, tx := range txs {
		b.Data.Txs = append(b.Data.Txs, []byte(tx))
	}
	commitment := b.Data.Commitment()
	b.Header.Header.DataHash = commitment[:]
	return b
}

func (c *chain) execute(b *block.Block) []byte {
	c.t.Helper()
	root, err := c.e.Execute(c.t.Context(), b)
	if err != nil {
		c.t.Fatalf("execute block %d: %v", b.Height(), err)
	}
	return root
}

func (c *chain) grow(n int) {
	c.t.Helper()
	for range n {
		b := c.next(fmt.Sprintf("key%d=%d", len(c.blocks)%3, len(c.blocks)), "nonsense")
		c.roots = append(c.roots, c.execute(b))
		c.blocks = append(c.blocks, b)
	}
}

// wantHead checks that the engine has n blocks of the chain.
func (c *chain) wantHead(n int) {
	c.t.Helper()
	want := exec.Head{Height: first - 1 + uint64(n), Root: c.roots[n]}
	if n > 0 {
		want.Hash = c.blocks[n-1].Hash()
	}
	if got := c.head(); got.Height != want.Height || got.Hash != want.Hash || !bytes.Equal(got.Root, want.Root) {
		c.t.Fatalf("got head %d %s %x, want %d %s %x", got.Height, got.Hash, got.Root, want.Height, want.Hash, want.Root)
	}
}

func (c *chain) refuse(b *block.Block, want error, words ...string) {
	c.t.Helper()
	_, err := c.e.Execute(c.t.Context(), b)
	if !errors.Is(err, want) {
		c.t.Fatalf("execute block %d: got %v, want %v", b.Height(), err, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			c.t.Errorf("got %q, want it to say %q", err, w)
		}
	}
}

// independent returns the roots of another executor that is given the same blocks.
func (c *chain) independent(opt evolvetest.Options) [][]byte {
	c.t.Helper()
	x := started(c.t, "", opt)
	root, err := x.InitChain(c.t.Context(), options(nil).GenesisTime, first, "exectest")
	roots := [][]byte{root}
	for i, b := range c.blocks {
		var r evolve.Result
		if err == nil {
			r, err = x.ExecuteTxs(c.t.Context(), b.Data.Txs, first+uint64(i), time.Unix(0, int64(b.Header.Header.Time)), nil)
		}
		roots = append(roots, r.Root)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return roots
}

func (c *chain) wantRoots() {
	c.t.Helper()
	if want := c.independent(evolvetest.Options{}); !slices.EqualFunc(c.roots, want, bytes.Equal) {
		c.t.Errorf("got roots %x, want %x", c.roots, want)
	}
}

// After a call without an answer the same block is given again, whether it was executed or not, and no other.
func TestUnknownOutcome(t *testing.T) {
	for _, done := range []bool{false, true} {
		x := &link{Executor: started(t, "", evolvetest.Options{})}
		c := newChain(t, open(t, x, options(vfs.NewMem())))
		c.grow(3)
		b := c.next("a=1")
		x.unsaid, x.notDone = done, !done
		c.refuse(b, evolve.ErrNoAnswer)
		c.wantHead(2)
		c.execute(c.blocks[2]) // which the executor refuses if it has executed b
		c.wantHead(3)
		c.refuse(c.next("b=1"), exec.ErrPruned, "cannot take back", "remove index")
		c.roots, c.blocks = append(c.roots, c.execute(b)), append(c.blocks, b)
		c.grow(2)
		c.wantHead(6)
		c.wantRoots()
	}
}

// An executor that was restarted has lost its last block, or not; and the one that it was just given, or not.
func TestLastBlockLost(t *testing.T) {
	for _, lags := range []bool{false, true} {
		for _, given := range []bool{false, true} {
			t.Run(fmt.Sprintf("lags=%v,given=%v", lags, given), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "state")
				x := &link{Executor: started(t, path, evolvetest.Options{Lags: lags})}
				c := newChain(t, open(t, x, options(vfs.NewMem())))
				c.grow(4)
				x.Executor, x.lost = started(t, path, evolvetest.Options{Lags: lags}), true
				b := c.next("a=1")
				if given {
					c.refuse(b, evolve.ErrNoAnswer)
				} else if _, err := c.e.Head(t.Context()); !errors.Is(err, evolve.ErrNoAnswer) {
					t.Fatalf("got %v, want no answer", err)
				}
				c.wantHead(3)
				c.execute(c.blocks[3])
				c.wantHead(4)
				c.roots, c.blocks = append(c.roots, c.execute(b)), append(c.blocks, b)
				c.grow(2)
				c.wantRoots()
			})
		}
	}
}

// An empty executor behind an index of blocks is refused, with what to do; and that works.
func TestEmptyExecutor(t *testing.T) {
	fs := vfs.NewMem()
	x := &link{Executor: started(t, "", evolvetest.Options{})}
	c := newChain(t, open(t, x, options(fs)))
	c.grow(4)
	empty := started(t, "", evolvetest.Options{})
	x.Executor, x.lost = empty, true
	if _, err := c.e.Head(t.Context()); !errors.Is(err, evolve.ErrNoAnswer) {
		t.Fatalf("got %v, want no answer", err)
	}
	c.wantHead(3)
	for range 3 {
		c.refuse(c.blocks[3], evolve.ErrLost, "InitChain was not called", "give the executor an empty data directory, remove index")
	}
	if err := c.e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.RemoveAll("index"); err != nil {
		t.Fatal(err)
	}
	c.e = open(t, x, options(fs))
	c.wantHead(0)
	for i, b := range c.blocks {
		if got := c.execute(b); !bytes.Equal(got, c.roots[i+1]) {
			t.Fatalf("got root %x after block %d, want %x", got, b.Height(), c.roots[i+1])
		}
	}
	c.wantHead(4)
	if want := []string{"init", "5", "6", "7", "8"}; !slices.Equal(empty.Calls[len(empty.Calls)-5:], want) {
		t.Errorf("got calls %q, want them to end with %q", empty.Calls, want)
	}
}

// An executor with another state after the last block is not believed, unless the next header is.
func TestAnotherState(t *testing.T) {
	x := &link{Executor: started(t, "", evolvetest.Options{Salt: "wrong"})}
	c := newChain(t, open(t, x, options(vfs.NewMem())))
	c.grow(4)
	c.wantHead(4)
	right := c.independent(evolvetest.Options{})
	other := started(t, "", evolvetest.Options{})
	drive := newChain(t, open(t, other, options(vfs.NewMem())))
	for _, b := range c.blocks {
		drive.execute(b)
	}
	x.Executor, x.lost = other, true
	_, _ = c.e.Head(t.Context())
	for range 2 {
		c.wantHead(3)
		if got := c.execute(c.blocks[3]); !bytes.Equal(got, right[4]) {
			t.Fatalf("got root %x, want the executor's own, %x", got, right[4])
		}
	}
	c.wantHead(3)
	c.refuse(c.next("a=1"), exec.ErrParent) // it is built on the root of before
	c.roots[4] = right[4]
	b := c.next("a=1")
	c.execute(b)
	c.blocks, c.roots = append(c.blocks, b), append(c.roots, c.head().Root)
	c.wantHead(5)
	if want := c.independent(evolvetest.Options{}); !bytes.Equal(c.roots[5], want[5]) {
		t.Errorf("got root %x, want %x", c.roots[5], want[5])
	}
}

// A caller that has lost more blocks than the engine gets their roots again, without a call; and no other blocks.
func TestCallerIsBehind(t *testing.T) {
	fs := vfs.NewMem()
	x := started(t, "", evolvetest.Options{})
	c := newChain(t, open(t, x, options(fs)))
	c.grow(6)
	if err := c.e.Close(); err != nil {
		t.Fatal(err)
	}
	c.e = open(t, x, options(fs))
	c.wantHead(5)
	if err := c.e.Revert(t.Context(), first+1); err != nil {
		t.Fatal(err)
	}
	c.wantHead(2)
	calls := len(x.Calls)
	for i, b := range c.blocks[2:] {
		if got := c.execute(b); !bytes.Equal(got, c.roots[i+3]) {
			t.Fatalf("got root %x after block %d, want %x", got, b.Height(), c.roots[i+3])
		}
	}
	if got := x.Calls[calls:]; !slices.Equal(got, []string{"10"}) {
		t.Errorf("got calls %q, want the last block alone", got)
	}
	c.grow(1)
	c.wantRoots()
	if err := c.e.Revert(t.Context(), first+1); !errors.Is(err, exec.ErrPruned) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want %v: the executor has been given a block", err, exec.ErrPruned)
	}

	if err := c.e.Close(); err != nil {
		t.Fatal(err)
	}
	c.e = open(t, x, options(fs))
	c.head()
	if err := c.e.Revert(t.Context(), first+1); err != nil {
		t.Fatal(err)
	}
	c.blocks, c.roots = c.blocks[:2], c.roots[:3]
	c.refuse(c.next("other=1"), exec.ErrPruned, "cannot take back")
}

// The executor's transactions: each once in a block, those that it wants later later, and none that it takes back.
func TestBuild(t *testing.T) {
	x := started(t, "", evolvetest.Options{})
	c := newChain(t, open(t, x, options(vfs.NewMem())))
	for _, tx := range []string{"a=1", "later=1", "never=1", "b=2", "a=1", strings.Repeat("x", 200)} {
		x.Submit([]byte(tx))
	}
	build := func(maxBytes int) (txs []string) {
		t.Helper()
		got, err := c.e.Build(t.Context(), first+uint64(len(c.blocks)), 0, maxBytes)
		if err != nil {
			t.Fatal(err)
		}
		for _, tx := range got {
			txs = append(txs, string(tx))
		}
		return txs
	}
	want := func(got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Fatalf("built %q, want %q", got, want)
		}
	}
	want(build(100), "a=1", "b=2")
	if got := c.e.Dropped(); got != 1 {
		t.Errorf("got %d dropped transactions, want the one that is too large", got)
	}
	want(build(8), "a=1") // again, while no block has it
	want(build(100), "a=1", "b=2")
	b := c.next("a=1", "b=2")
	c.roots, c.blocks = append(c.roots, c.execute(b)), append(c.blocks, b)
	x.Submit([]byte("a=1")) // it is slow to note
	x.Submit([]byte("c=3"))
	want(build(100), "c=3")
	if _, err := c.e.Build(t.Context(), first, 0, 100); !errors.Is(err, exec.ErrParent) {
		t.Errorf("got %v for a block that is there, want %v", err, exec.ErrParent)
	}
	if err := c.e.SubmitTx(t.Context(), []byte("a=1")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want that transactions are for the executor", err)
	}
}

func TestLabel(t *testing.T) {
	x := started(t, "", evolvetest.Options{})
	c := newChain(t, open(t, x, options(vfs.NewMem())))
	c.grow(4)
	for _, step := range []struct{ finalized, want uint64 }{{first - 1, 0}, {first + 1, first + 1}, {first, first + 1}, {first + 9, first + 1}, {first + 3, first + 3}} {
		if err := c.e.Label(t.Context(), block.Ref{Height: first + 3}, block.Ref{Height: step.finalized}); err != nil || x.Final != step.want {
			t.Errorf("label %d: got %d final, %v, want %d", step.finalized, x.Final, err, step.want)
		}
	}
}

// The executor is given a block when it is on disk that it may have that, and all before it: else a crash could leave an
// executor that is ahead of the index by two, or with a block that nobody knows of.
func TestNotedBeforeIt(t *testing.T) {
	disk := vfs.NewCrashableMem()
	x := &link{Executor: started(t, "", evolvetest.Options{})}
	c := newChain(t, open(t, x, options(disk)))
	c.grow(3)
	x.unsaid = true
	c.refuse(c.next("a=1"), evolve.ErrNoAnswer)
	c.e = open(t, x, options(disk.CrashClone(vfs.CrashCloneCfg{}))) // nothing that was not synced is there
	c.wantHead(2)
	c.execute(c.blocks[2])
	c.wantHead(3)
	c.refuse(c.next("b=1"), exec.ErrPruned, "cannot take back")
	b := c.next("a=1")
	c.roots, c.blocks = append(c.roots, c.execute(b)), append(c.blocks, b)
	c.wantRoots()
}

// An index is of one chain.
func TestIdentity(t *testing.T) {
	opt := options(vfs.NewMem())
	x := started(t, "", evolvetest.Options{})
	if err := open(t, x, opt).Close(); err != nil {
		t.Fatal(err)
	}
	opt.ChainID = "another"
	if _, err := evolve.New(x, opt); err == nil || !strings.Contains(err.Error(), "another chain's directory") {
		t.Errorf("got %v, want a refusal", err)
	}
}
