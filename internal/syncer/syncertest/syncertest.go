// Package syncertest is a rollup without sockets, for tests inside testing/synctest: a DA chain in memory, and
// machines whose disks survive, or do not survive, a crash.
package syncertest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/da"
	"headrace/da/local"
	"headrace/exec"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/store"
	"headrace/internal/syncer"
)

// The namespaces of the World's chain.
var (
	HeaderNS = da.NamespaceFromName("hdr")
	DataNS   = da.NamespaceFromName("dat")
)

// MaxUnsafe is how far above the safe head a machine takes unsafe blocks, on a DA layer.
const MaxUnsafe = 20_000

// World is a DA chain in memory and the rollup that is posted to it.
type World struct {
	T       testing.TB
	Chain   *local.Chain
	Key     *block.PrivateKey
	Genesis *block.Genesis
	Signs   bool // machines that are opened have the key, too
}

// NewWorld makes a world whose DA chain has a block each interval, once its Run is run; without a clock if interval
// is below zero.
func NewWorld(t testing.TB, interval time.Duration) *World {
	t.Helper()
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := local.New(local.Options{Interval: interval})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chain.Close() })
	return &World{T: t, Chain: chain, Key: key, Genesis: &block.Genesis{
		ChainID: "test", StartTime: time.Now(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"},
	}}
}

// Derive returns the derivation of the world's chain.
func (w *World) Derive() derive.Config {
	return derive.Config{
		Authority: derive.NewAuthority(w.Genesis.ChainID, w.Genesis.ProposerAddress), InitialHeight: 1, StartTime: uint64(w.Genesis.StartTime.UnixNano()),
		HeaderNamespace: HeaderNS, DataNamespace: DataNS,
	}
}

// Home is what survives a crash: the disks of a store and of an engine.
type Home struct {
	Store, Engine vfs.FS
	Dir           string // of both on their disks
}

// NewHome returns two empty disks.
func NewHome() *Home { return &Home{Store: vfs.NewCrashableMem(), Engine: vfs.NewCrashableMem()} }

// DiskHome returns the home in a directory of the operating system.
func DiskHome(dir string) *Home { return &Home{Store: vfs.Default, Engine: vfs.Default, Dir: dir} }

// Machine is one node's parts, without sockets.
type Machine struct {
	*syncer.Syncer
	DA    *syncer.DASink // nil if it follows an L1
	L1    *syncer.L1Sink // nil if it follows a DA layer
	Store *store.Store
	KV    *kv.Engine
	Home  *Home
}

// Open starts a machine on a home, which follows a DA layer. wrap, if not nil, stands between the syncer and its
// engine.
func (w *World) Open(h *Home, wrap func(exec.Engine) exec.Engine) *Machine {
	w.T.Helper()
	m, cfg := w.open(h, wrap)
	var err error
	if m.DA, err = syncer.OpenDA(cfg); err != nil {
		w.T.Fatal(err)
	}
	m.Syncer = m.DA.Syncer
	return m
}

// OpenL1 is Open for a machine that follows an L1.
func (w *World) OpenL1(h *Home, wrap func(exec.Engine) exec.Engine) *Machine {
	w.T.Helper()
	m, cfg := w.open(h, wrap)
	var err error
	if m.L1, err = syncer.OpenL1(cfg); err != nil {
		w.T.Fatal(err)
	}
	m.Syncer = m.L1.Syncer
	return m
}

func (w *World) open(h *Home, wrap func(exec.Engine) exec.Engine) (*Machine, syncer.Config) {
	w.T.Helper()
	m := &Machine{Home: h}
	var err error
	m.Store, err = store.Open(filepath.Join(h.Dir, "store"), store.Identity{ChainID: "test", Genesis: w.Genesis.Hash(), Source: "da"}, store.Options{FS: h.Store, InitialHeight: 1})
	if err != nil {
		w.T.Fatal(err)
	}
	if m.KV, err = kv.Open(filepath.Join(h.Dir, "kv"), kv.Options{FS: h.Engine, InitialHeight: 1, History: MaxUnsafe + 1000}); err != nil {
		w.T.Fatal(err)
	}
	var engine exec.Engine = m.KV
	if wrap != nil {
		engine = wrap(m.KV)
	}
	return m, syncer.Config{Genesis: w.Genesis, Derive: w.Derive(), Store: m.Store, Engine: engine, MaxUnsafe: MaxUnsafe, Signs: w.Signs}
}

// Items is a source of DA blocks that has these, in order, and no news.
type Items []follow.Item[da.Block]

// Subscribe implements follow.Source.
func (l Items) Subscribe(ctx context.Context, _ func(follow.Update[da.Block])) error {
	<-ctx.Done()
	return ctx.Err()
}

// Fetch implements follow.Source.
func (l Items) Fetch(_ context.Context, from, to uint64, deliver func(follow.Item[da.Block]) error) error {
	for _, it := range l {
		if it.Height >= from && it.Height < to {
			if err := deliver(it); err != nil {
				return err
			}
		}
	}
	return nil
}

// Apply gives m DA blocks, one by one, as a follower does that gets each alone.
func (m *Machine) Apply(ctx context.Context, items ...follow.Item[da.Block]) error {
	source := m.DA.Checked(Items(items))
	for _, it := range items {
		if err := source.Fetch(ctx, it.Height, it.Height+1, func(it follow.Item[*syncer.Checked]) error { return m.DA.Apply(ctx, it) }); err != nil {
			return err
		}
	}
	return nil
}

// Close stops the machine in order.
func (m *Machine) Close() {
	_ = m.Store.Close()
	_ = m.KV.Close()
}

// Crash stops the machine as a power loss would, and returns what is left of its disks.
func (m *Machine) Crash(cfg vfs.CrashCloneCfg) *Home {
	h := &Home{Store: m.Home.Store.(*vfs.MemFS).CrashClone(cfg), Engine: m.Home.Engine.(*vfs.MemFS).CrashClone(cfg)}
	m.Close()
	return h
}

// Follower returns a follower of the world's DA chain for m.
func (w *World) Follower(m *Machine) *follow.Follower[*syncer.Checked] {
	return follow.New(m.DA.Checked(w.Chain.Source(HeaderNS, DataNS)), m.DA, follow.Options{Stall: 5 * time.Second})
}

// Load offers n transactions to m, named by round. While the pool is full it waits, so that blocks must be made.
func (m *Machine) Load(t testing.TB, round, n int) {
	t.Helper()
	for i := range n {
		tx := fmt.Appendf(nil, "key-%d=%d/%d", i, round, i)
		err := m.KV.SubmitTx(t.Context(), tx)
		for ; errors.Is(err, exec.ErrFull) && t.Context().Err() == nil; err = m.KV.SubmitTx(t.Context(), tx) {
			time.Sleep(50 * time.Millisecond) // a client's retry
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Run starts parts; the returned stop ends them and waits. A part that ends by itself fails the test.
func Run(t testing.TB, parts ...func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, local.ErrClosed) {
				t.Errorf("ended by itself: %v", err)
			}
		})
	}
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); wg.Wait() }) }
	t.Cleanup(stop)
	return stop
}

// Agree fails the test unless all machines have the same blocks and roots up to the lowest safe head, which must be
// at least height.
func Agree(t testing.TB, height uint64, machines ...*Machine) {
	t.Helper()
	top := machines[0].Status().Load().Safe.Height
	for _, m := range machines {
		top = min(top, m.Status().Load().Safe.Height)
	}
	if top < height {
		t.Fatalf("the lowest safe head is %d, want at least %d", top, height)
	}
	for h := uint64(1); h <= top; h++ {
		want, err := machines[0].Block(h)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range machines[1:] {
			got, err := m.Block(h)
			if err != nil {
				t.Fatal(err)
			}
			if got.Block.Hash() != want.Block.Hash() || string(got.Root) != string(want.Root) {
				t.Fatalf("machine %d has block %s and root %x at height %d, machine 0 has %s and %x", i+1, got.Block.Hash(), got.Root, h, want.Block.Hash(), want.Root)
			}
		}
	}
}
