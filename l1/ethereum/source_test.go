package ethereum_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// The conformance suite, over WebSocket with HTTP beside it, over WebSocket alone, and by polling.
func TestSource(t *testing.T) {
	for name, change := range map[string]func(*ethereum.Options){
		"websocket and http": nil,
		"websocket":          func(o *ethereum.Options) { o.HTTP = nil },
		"polling":            func(o *ethereum.Options) { o.WS = nil },
		"the second of each": func(o *ethereum.Options) {
			o.WS, o.HTTP = httpc.At("ws://127.0.0.1:1", o.WS[0].URL), httpc.At("http://127.0.0.1:1", o.HTTP[0].URL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, geth.Prague, l1.Settings{})
			extend := func(n int) { // a block with a proposal, then an empty one
				for i := range n {
					if i%2 == 0 {
						r.propose(payload(fmt.Sprint(r.head().Height)))
					} else {
						r.mine()
					}
				}
			}
			extend(4)
			followtest.TestSource(t, func(t *testing.T) followtest.Harness[l1.Block] {
				relay := newRelay(t, r.node.WS())
				c := r.client(func(o *ethereum.Options) {
					if o.WS = httpc.At(relay.url()); change != nil {
						change(o)
					}
				})
				h := followtest.Harness[l1.Block]{
					Source: c, Start: r.opt.StartBlock, Extend: extend, Head: r.head,
					Fork: func(depth, n int) {
						if _, err := r.chain.Reorg(t.Context(), uint64(depth), beacon.EmptyN(n)...); err != nil {
							t.Error(err)
						}
					},
				}
				if name != "polling" {
					h.Cut = relay.cut
				}
				return h
			})
		})
	}
}

// S27 to S30 for the source, on a real node: whichever way the L1 goes, a follower and a late reader have the same.
func TestReorgs(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	r.propose(payload("base"))
	_, state := follower(t, r.client(nil), r.opt.StartBlock)
	base := r.chain.Head()
	for _, fork := range []struct {
		name string
		n    int
	}{{"old", 2}, {"higher", 10}, {"lower", 1}, {"lowest", 1}, {"same height", 1}, {"higher again", 3}} {
		if err := r.chain.SetHead(t.Context(), base.Hash()); err != nil {
			t.Fatal(err)
		}
		spec := beacon.Empty()
		spec.Extra = []byte(fork.name) // makes the fork another one
		if _, err := r.chain.Mine(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		for i := range fork.n {
			r.propose(payload(fmt.Sprint(fork.name, i)))
		}
		reach(t, state, r.head())
		p := one(t, r.client(nil), r.head().Height).Proposal
		if got, want := p.ID, uint64(1+fork.n); got != want {
			t.Errorf("%s: got proposal %d at the head, want %d", fork.name, got, want)
		}
		if got, want := string(p.Blocks[0].Header), fmt.Sprint("header ", fork.name, fork.n-1); got != want {
			t.Errorf("%s: got %q, want %q", fork.name, got, want)
		}
	}
	// Below everything: the contract itself is gone. Then it goes on without.
	if _, err := r.chain.Reorg(t.Context(), r.chain.Head().Number()-r.opt.StartBlock+1, beacon.EmptyN(3)...); err != nil {
		t.Fatal(err)
	}
	got, err := tryFetch(t.Context(), r.client(nil), 1, r.head().Height+1)
	if err != nil || len(got) != int(r.head().Height) {
		t.Errorf("after the rollback to genesis: got %d blocks, %v", len(got), err)
	}
	for _, b := range got {
		if len(b.Messages) != 0 {
			t.Errorf("after the rollback to genesis: block %d has messages", b.Number)
		}
	}
}

// What needs no L1 of its own: each node costs about a second.
func TestReading(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	for _, c := range []struct {
		name string
		test func(*testing.T, *rig)
	}{{"finality", testFinality}, {"catch-up", testCatchUp}, {"inline", testInline}, {"identity", testIdentity}, {"late receipts", testLateReceipts}, {"adaptive", testAdaptive}} {
		t.Run(c.name, func(t *testing.T) {
			sub := *r
			sub.t = t
			c.test(t, &sub)
		})
	}
}

// Catch-up over many blocks gives what following gives, in few requests; and blocks without messages cost none of
// their own.
func testCatchUp(t *testing.T, r *rig) {
	for i := range 5 {
		r.propose(payload(fmt.Sprint(i)))
		if _, err := r.chain.MineN(t.Context(), 12, beacon.Empty()); err != nil {
			t.Fatal(err)
		}
	}
	var calls, content atomic.Int64
	c := r.client(func(o *ethereum.Options) {
		o.Observer.Called = func(method string, n int, _ time.Duration, err error) {
			calls.Add(1)
			if method != "eth_getBlockByNumber" && method != "eth_chainId" {
				content.Add(1)
			}
		}
	})
	all := fetch(t, c, 1, r.head().Height+1)
	if n := content.Load(); n != 10 {
		t.Errorf("got %d requests for content, want 10: receipts and transactions of 5 blocks", n)
	}
	if n := calls.Load(); n > 20 {
		t.Errorf("got %d requests for %d blocks", n, len(all))
	}
	head := r.chain.Head().Hash()
	if err := r.chain.Tag(t.Context(), head, head); err != nil {
		t.Fatal(err)
	}
	trusting := fetch(t, r.client(func(o *ethereum.Options) { o.TrustLogs, o.Parallel = true, 2 }), 1, r.head().Height+1)
	if !reflect.DeepEqual(all, trusting) {
		t.Error("blocks read from eth_getLogs differ from proven ones")
	}
	for i := range all {
		if single := fetch(t, c, all[i].Number, all[i].Number+1); !reflect.DeepEqual(single[0], all[i]) {
			t.Errorf("block %d alone differs from the one in a range", all[i].Number)
		}
	}
	if _, err := tryFetch(t.Context(), c, r.head().Height, r.head().Height+2); !errors.Is(err, follow.ErrNotYet) {
		t.Errorf("beyond the head: got %v, want ErrNotYet", err)
	}
}

// At the head, a block without messages costs no request at all, and one with a message two.
func testInline(t *testing.T, r *rig) {
	r.mine()
	var content atomic.Int64
	inline := make(chan bool, 100) // from the follower
	c := r.client(func(o *ethereum.Options) {
		o.Observer.Called = func(method string, _ int, _ time.Duration, _ error) {
			if !slices.Contains([]string{"eth_getCode", "eth_getBlockByNumber", "eth_chainId", "eth_subscribe"}, method) {
				content.Add(1)
			}
		}
	})
	sink := followtest.NewSink[l1.Block](r.head().Height)
	f := follow.New(c, sink, follow.Options{Observer: follow.Observer{Applied: func(_ follow.Ref, in bool) { inline <- in }}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	defer func() { cancel(); <-done }()
	reach(t, f.State(), r.head())
	<-inline
	for range 5 {
		r.mine()
		reach(t, f.State(), r.head())
		if !<-inline {
			t.Error("an empty block was fetched")
		}
	}
	if n := content.Load(); n != 0 {
		t.Errorf("empty blocks at the head: got %d requests for content, want 0", n)
	}
	r.propose(payload("a"))
	reach(t, f.State(), r.head())
	if !<-inline || content.Load() != 2 {
		t.Errorf("a block with a proposal: got %d requests for content, want 2, inline", content.Load())
	}
}

func testFinality(t *testing.T, r *rig) {
	c := r.client(nil)
	if _, err := c.Finalized(t.Context()); !errors.Is(err, l1.ErrNoFinality) {
		t.Errorf("finalized at first: got %v, want ErrNoFinality", err)
	}
	if _, err := c.Safe(t.Context()); !errors.Is(err, l1.ErrNoFinality) {
		t.Errorf("safe at first: got %v, want ErrNoFinality", err)
	}
	r.mine()
	safe, _ := r.chain.At(2)
	final, _ := r.chain.At(1)
	if err := r.chain.Tag(t.Context(), safe.Hash(), final.Hash()); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Finalized(t.Context()); err != nil || got != (l1.Ref{Height: 1, Hash: [32]byte(final.Hash())}) {
		t.Errorf("finalized: got %v, %v", got, err)
	}
	if got, err := c.Safe(t.Context()); err != nil || got != (l1.Ref{Height: 2, Hash: [32]byte(safe.Hash())}) {
		t.Errorf("safe: got %v, %v", got, err)
	}
}

func testIdentity(t *testing.T, r *rig) {
	other := r.client(func(o *ethereum.Options) { o.ChainID++ })
	if err := other.Subscribe(t.Context(), func(follow.Update[l1.Block]) { t.Error("news of another chain") }); !errors.Is(err, l1.ErrWrongChain) {
		t.Errorf("subscribe: got %v, want ErrWrongChain", err)
	}
	if _, err := tryFetch(t.Context(), other, 1, 2); !errors.Is(err, l1.ErrWrongChain) {
		t.Errorf("fetch: got %v, want ErrWrongChain", err)
	}
	nowhere := r.client(func(o *ethereum.Options) { o.Inbox = l1.Address{1, 2, 3} })
	if err := nowhere.Subscribe(t.Context(), func(follow.Update[l1.Block]) { t.Error("news without an inbox") }); !errors.Is(err, l1.ErrNoInbox) {
		t.Errorf("subscribe: got %v, want ErrNoInbox", err)
	}
	if _, err := nowhere.State(t.Context(), l1.Hash{}); !errors.Is(err, l1.ErrNoInbox) {
		t.Errorf("state: got %v, want ErrNoInbox", err)
	}
	if _, err := r.client(nil).State(t.Context(), l1.Hash(common.Hash{9})); !errors.Is(err, l1.ErrNotFound) {
		t.Errorf("state at an unknown block: got %v, want ErrNotFound", err)
	}
	for name, opt := range map[string]ethereum.Options{
		"no endpoint": {ChainID: 1, Inbox: l1.Address{1}},
		"no chain":    {HTTP: httpc.At("http://localhost"), Inbox: l1.Address{1}},
		"no inbox":    {HTTP: httpc.At("http://localhost"), ChainID: 1},
	} {
		if _, err := ethereum.New(opt); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
