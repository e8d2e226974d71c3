package node_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/da"
	"headrace/da/local"
	"headrace/follow"
	"headrace/l1"
	locall1 "headrace/l1/local"
	"headrace/node"
)

// told is an endpoint in the process: what is told of it is told of a celestia-node, or of an Ethereum node.
type told[T any] struct {
	follow.Source[T]
	health *follow.Health
	trouble
}

func (t *told[T]) Health() *follow.Health { return t.health }

func (t *told[T]) Subscribe(ctx context.Context, update func(follow.Update[T])) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := t.is("subscribe"); err != nil {
		t.health.Bad(err)
		return err
	}
	err := t.Source.Subscribe(ctx, func(u follow.Update[T]) {
		if err := t.is("subscribe"); err != nil {
			cancel(err)
			return
		}
		if t.is("fetch") != nil || t.is("fetch hangs") != nil {
			u.Item = nil
		}
		t.health.Heard(u.Head.Height, "websocket")
		update(u)
	})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	t.health.Silent(err)
	return err
}

func (t *told[T]) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[T]) error) error {
	if err := t.is("fetch"); err != nil {
		t.health.Bad(err)
		return err
	}
	if t.is("fetch hangs") != nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return t.Source.Fetch(ctx, from, to, deliver)
}

// trouble is what does not work at an endpoint now. Several may share one. The zero trouble: all works.
type trouble struct{ with *sync.Map }

func (t trouble) is(what string) error {
	if t.with == nil {
		return nil
	}
	if _, is := t.with.Load(what); is {
		return fmt.Errorf("trouble with %s", what)
	}
	return nil
}

// daNear is a DA layer in the process, as a node uses one. A submission is answered, and a proof given, a while after.
type daNear struct {
	*follow.Several[da.Block]
	chain *local.Chain
	late  func() time.Duration
	trouble
}

func newDANear(chain *local.Chain, namespaces []da.Namespace, late func() time.Duration, t trouble) *daNear {
	one := &told[da.Block]{Source: unproven{chain.Source(namespaces...)}, health: follow.NewHealth("http://near", "da", nil), trouble: t}
	return &daNear{follow.Best[da.Block](one), chain, late, t}
}

// unproven leaves the content of each height to be shown.
type unproven struct{ follow.Source[da.Block] }

func (u unproven) Subscribe(ctx context.Context, update func(follow.Update[da.Block])) error {
	return u.Source.Subscribe(ctx, func(n follow.Update[da.Block]) {
		if n.Item != nil {
			n.Item.Data.Unproven = make([]da.Claim, 1)
		}
		update(n)
	})
}

func (d *daNear) Submit(ctx context.Context, blobs []da.Blob) (uint64, error) {
	if d.is("submit") != nil {
		return 0, da.ErrRejected
	}
	if d.is("submit hangs") != nil {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	height, err := d.chain.Submit(ctx, blobs)
	time.Sleep(d.late())
	return height, err
}

func (d *daNear) Prove(context.Context, uint64, [32]byte, []da.Claim) error {
	time.Sleep(d.late())
	return d.is("prove")
}

func (d *daNear) Head(context.Context) (uint64, error) { return d.chain.Head().Load().Height, nil }
func (d *daNear) BlockTime() time.Duration             { return d.Pace() }
func (d *daNear) Endpoints() []follow.SourceStatus     { return d.Status() }
func (d *daNear) Stats() node.Calls                    { return node.Calls{} }
func (d *daNear) SubmitTimeout() time.Duration         { return time.Minute }

// l1Near is an L1 in the process.
type l1Near struct {
	*locall1.Chain
	*follow.Several[l1.Block]
}

func newL1Near(chain *locall1.Chain, t trouble) *l1Near {
	one := &told[l1.Block]{Source: chain, health: follow.NewHealth("ws://near", "news", nil), trouble: t}
	return &l1Near{chain, follow.Best[l1.Block](one)}
}

func (c *l1Near) Subscribe(ctx context.Context, update func(follow.Update[l1.Block])) error {
	return c.Several.Subscribe(ctx, update)
}

func (c *l1Near) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[l1.Block]) error) error {
	return c.Several.Fetch(ctx, from, to, deliver)
}

func (c *l1Near) BlockTime() time.Duration         { return c.Pace() }
func (c *l1Near) Endpoints() []follow.SourceStatus { return c.Several.Status() }

// healthy watches nodes in a bubble.
type healthy struct {
	*testing.T
	rng   *rand.Rand
	chain chain
	looks atomic.Int64
	work  sync.WaitGroup
}

// runs runs a node until ctx ends, and fails the test if it says that it is not ready once it was. Every status that it
// publishes is looked at, or the next one.
func (h *healthy) runs(ctx context.Context, name string, opt node.Options) *node.Node {
	h.Helper()
	n, run, err := node.Unserved(node.OnDisks(opt, vfs.NewMem(), vfs.NewMem()))
	if err != nil {
		h.Fatal(err)
	}
	h.work.Go(func() {
		if err := run(ctx); !errors.Is(err, context.Canceled) {
			h.Errorf("%s: %v", name, err)
		}
	})
	h.work.Go(func() {
		if _, err := n.Status().Wait(ctx, ready); err != nil {
			h.Errorf("%s was never ready: %v", name, err)
			return
		}
		for begun := time.Now(); ctx.Err() == nil; {
			s, changed := n.Status().Get()
			if h.looks.Add(1); !s.Ready && ctx.Err() == nil {
				h.Errorf("%s, after %s: not ready: %s (%s); %+v", name, time.Since(begun), s.Reason, s.Stage, s.Waiting)
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	})
	return n
}

func (h *healthy) full() node.Options {
	o := node.Options{Home: h.TempDir(), Genesis: h.chain.genesis, Config: node.Default()}
	o.Config.Sequencer.LazyInterval = time.Minute
	return o
}

func (h *healthy) sequencer(blockTime time.Duration, lazy bool) node.Options {
	o := h.full()
	o.Key, o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime, o.Config.Sequencer.Lazy = h.chain.key, true, blockTime, lazy
	return o
}

// wavers returns about d: a fifth more or less.
func (h *healthy) wavers(d time.Duration) time.Duration {
	return d*4/5 + time.Duration(h.rng.Int64N(int64(d)*2/5+1))
}

// TestHealthyIsReady: 2,000 blocks of chains and layers that are well, of every pace and habit, and no node says at any
// time that it is not ready.
func TestHealthyIsReady(t *testing.T) {
	const blocks = 2000
	type layer struct {
		da      time.Duration // between its blocks; 0: it is an L1
		slot    time.Duration // of an L1; 0: a block comes with each transaction
		missed  bool          // up to two slots in turn
		burst   int           // L1 blocks at once, now and then
		each    time.Duration // the rollup's blocks
		lazy    bool
		delay   time.Duration                                         // for which blocks wait to be proposed together
		offered func(h *healthy, i int) (txs int, wait time.Duration) // before each turn
	}
	busy := func(h *healthy, i int) (int, time.Duration) { return 1 + h.rng.IntN(3), h.wavers(time.Second) }
	rare := func(h *healthy, i int) (int, time.Duration) { // ten minutes of quiet, and then some that come close together
		if i%50 == 0 {
			return 0, 10 * time.Minute
		}
		return 1, h.wavers(2 * time.Second)
	}
	late := func(h *healthy, i int) (int, time.Duration) { // it is long before the chain is idle for the first time
		if i < 300 {
			return busy(h, i)
		}
		return rare(h, i)
	}
	for name, c := range map[string]layer{
		"DA blocks each 1 s":          {da: time.Second, each: time.Second, offered: busy},
		"DA blocks each 6 s":          {da: 6 * time.Second, each: 3 * time.Second, offered: busy},
		"DA blocks each 40 s":         {da: 40 * time.Second, each: 20 * time.Second, offered: rare},
		"a lazy chain":                {da: 6 * time.Second, each: time.Second, lazy: true, offered: rare},
		"a lazy chain, busy at first": {da: 6 * time.Second, each: time.Second, lazy: true, offered: late},
		"an L1 that misses slots":     {slot: 12 * time.Second, missed: true, each: 6 * time.Second, offered: busy},
		"proposals each ten minutes":  {slot: 12 * time.Second, missed: true, each: 6 * time.Second, offered: busy, delay: 10 * time.Minute},
		"an L1 that mines on demand":  {each: time.Second, offered: rare},
		"bursts of 1,000 L1 blocks":   {slot: 2 * time.Second, burst: 1000, each: 2 * time.Second, offered: busy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := &healthy{T: t, rng: rand.New(rand.NewPCG(7, 7)), chain: newChain(t, "well")}
				ctx, cancel := context.WithCancel(t.Context())
				defer h.work.Wait()
				defer cancel()
				seq, full := h.sequencer(c.each, c.lazy), h.full()
				var one, two node.Options
				if c.da > 0 {
					chain, err := local.New(local.Options{Interval: -1})
					if err != nil {
						t.Fatal(err)
					}
					defer chain.Close()
					late := func() time.Duration { return c.da / 10 }
					namespaces := []da.Namespace{da.NamespaceFromName("well-headers"), da.NamespaceFromName("well-data")}
					one, two = seq.OnDA(newDANear(chain, namespaces, late, trouble{})), full.OnDA(newDANear(chain, namespaces, late, trouble{}))
					rng := rand.New(rand.NewPCG(1, 1))
					next := func() {
						time.Sleep(c.da*4/5 + time.Duration(rng.Int64N(int64(c.da)*2/5)))
						if _, err := chain.Produce(); err != nil && ctx.Err() == nil {
							t.Error(err)
						}
					}
					for range 10 { // the layer is older than the chain
						next()
					}
					h.work.Go(func() {
						for ctx.Err() == nil {
							next()
						}
					})
				} else {
					h.chain.genesis.DA, h.chain.genesis.DAStartHeight = nil, 0
					h.chain.genesis.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x00000000000000000000000000000000000000aa", StartBlock: 1}
					seq.Config.L1.MaxDelay = c.delay // the full node sees for itself
					chain := locall1.New(locall1.Options{Instant: c.slot == 0, Finality: 64})
					if c.slot == 0 {
						seq.Config.L1.BlockTime, full.Config.L1.BlockTime = "on-demand", "on-demand"
					} else {
						seq.Config.L1.BlockTime, full.Config.L1.BlockTime = c.slot.String(), c.slot.String()
					}
					one, two = seq.OnL1(newL1Near(chain, trouble{}), chain.Proposer(l1.Address{1})), full.OnL1(newL1Near(chain, trouble{}), nil)
					h.work.Go(func() { mines(ctx, chain, c.slot, c.missed, c.burst) })
				}
				n := h.runs(ctx, "the sequencer", one)
				f := h.runs(ctx, "the full node", two)
				for i := 0; f.Status().Load().Heads.Safe.Height < blocks && !t.Failed(); i++ {
					txs, wait := c.offered(h, i)
					for range txs {
						if err := n.SubmitTx(ctx, fmt.Appendf(nil, "key-%d=%d", h.rng.IntN(100), i)); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(wait)
				}
				if s := f.Status().Load(); h.looks.Load() < blocks || s.Chain.Quiet == "" {
					t.Errorf("looked %d times at chains up to %d, quiet for %q", h.looks.Load(), s.Heads.Safe.Height, s.Chain.Quiet)
				}
				t.Logf("%d looks, %s", h.looks.Load(), f.Status().Load().Chain.Quiet)
			})
		})
	}
}

// mines makes blocks in slots until ctx ends: not in all of them, and now and then many at once.
func mines(ctx context.Context, chain *locall1.Chain, slot time.Duration, missed bool, burst int) {
	if slot == 0 {
		return
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for i := 1; ctx.Err() == nil; i++ {
		wait := slot
		if missed {
			wait *= time.Duration(1 + rng.IntN(3))
		}
		time.Sleep(wait)
		chain.Mine()
		if burst > 0 && i%400 == 0 {
			for range burst {
				chain.Mine()
			}
		}
	}
}
