package ethereum_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/await"
	"headrace/await/ethereum"
)

// got is how a wait on a side goroutine ended.
type got struct {
	header *ethereum.Header
	err    error
	took   time.Duration
}

// begin starts a wait and returns once it waits, or has ended.
func begin(wait func() (*ethereum.Header, error)) <-chan got {
	c := make(chan got, 1) // sent to once
	began := time.Now()
	go func() {
		h, err := wait()
		c <- got{h, err, time.Since(began)}
	}()
	synctest.Wait()
	return c
}

func block(t *testing.T, node *ethereum.Node, n uint64, opts ...await.Option) <-chan got {
	return begin(func() (*ethereum.Header, error) { return ethereum.Block(within(t, time.Hour), node, n, opts...) })
}

// want fails unless the wait ended with a block, at that time of the bubble's clock.
func want(t *testing.T, c <-chan got, h ethereum.Header, took time.Duration) {
	t.Helper()
	g := <-c
	if g.err != nil || g.header.Hash != h.Hash || g.took != took {
		t.Errorf("got %v, %v after %s, want %v after %s", g.header, g.err, g.took, h, took)
	}
}

// none fails if announcements were missing.
func noHits(t *testing.T, node *ethereum.Node) {
	t.Helper()
	if s := node.Stats(); s.ProbeHits != 0 {
		t.Errorf("got %+v, want everything found by announcements", s)
	}
}

// E1, P22: waiters before, during and after; two blocks with one announcement.
func TestBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		one, two, three := block(t, node, 1), block(t, node, 2), block(t, node, 3)
		b1 := c.mine(1)
		want(t, one, b1, 0)
		b3 := c.mine(2)
		want(t, three, b3, 0)
		want(t, two, c.blocks[2], 0)
		want(t, block(t, node, 0), c.blocks[0], 0)
		noHits(t, node)
	})
}

// P19, E6: a block made while the subscription is, which nobody will announce any more.
func TestBlockBetweenSubscriptionAndLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		c.onAck = func() { c.extend(1, 1, true) }
		node := c.node()
		want(t, block(t, node, 1), c.blocks[1], 0)
		noHits(t, node)
	})
}

// P21: the head is announced before the block is served. The next news, or the probe, finds it.
func TestAnnouncedBeforeServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		c.unready[1], c.unready[2] = 1, 100
		node := c.node()
		one := block(t, node, 1)
		b1 := c.mine(1)
		want(t, one, b1, time.Second)
		if s := node.Stats(); s.ProbeHits != 1 {
			t.Errorf("got %+v, want one hit of the probe", s)
		}
		two := block(t, node, 2)
		b2 := c.mine(1)
		synctest.Wait()
		c.set(func(c *chain) { c.unready[2] = 0 })
		c.mine(1)
		want(t, two, b2, 0)
	})
}

// P24: what is not announced is found by the probe, and counted.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		one := block(t, node, 1)
		b := c.reorg(1, 1, false)
		want(t, one, b, time.Second)
		if s := node.Stats(); s.Probes != 1 || s.ProbeHits != 1 {
			t.Errorf("got %+v, want one probe that hit", s)
		}
	})
}

// P23: lower and equal heads. Block is first sight, BlockHash any branch, Canonical what has others on top.
func TestReorg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		defer node.Keep()()
		canonical := func(n uint64, h common.Hash, depth uint64) <-chan got {
			return begin(func() (*ethereum.Header, error) { return ethereum.Canonical(within(t, time.Hour), node, n, h, depth) })
		}
		c.mine(4)
		old := c.blocks[3]
		deep := canonical(3, common.Hash{}, 2) // heads 1 above it
		again := canonical(3, old.Hash, 3)
		c.reorg(2, 1, true) // lower
		synctest.Wait()
		five := block(t, node, 5)
		c.reorg(3, 2, true) // equal: block 3 is another now, with one above it
		synctest.Wait()
		if len(deep)+len(again)+len(five) > 0 {
			t.Fatalf("got waits that ended: %d %d %d", len(deep), len(again), len(five))
		}
		fresh := c.blocks[3]
		c.mine(1)
		want(t, deep, fresh, 0)
		want(t, five, c.blocks[5], 0)
		want(t, begin(func() (*ethereum.Header, error) { return ethereum.BlockHash(within(t, time.Hour), node, old.Hash) }), old, 0)

		c.set(func(c *chain) { c.blocks = append(c.blocks[:2], c.byHash[old.ParentHash], old) }) // the first branch wins
		c.mine(2)
		synctest.Wait()
		if len(again) > 0 {
			t.Fatalf("got %v with two blocks on top, want three", <-again)
		}
		c.mine(1)
		want(t, again, old, 0)
		noHits(t, node)
	})
}

// A branch that is mixed from two, read while a reorg passes, proves nothing; and more headers than fit in one request.
func TestCanonicalLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		c.mine(300)
		first := c.blocks[10]
		mended := c.blocks[100]
		c.blocks[100].Hash = hash(1) // nobody's parent
		deep := begin(func() (*ethereum.Header, error) {
			return ethereum.Canonical(within(t, time.Hour), node, 10, first.Hash, 200)
		})
		if len(deep) > 0 {
			t.Fatalf("got %v, want no block below a broken link", <-deep)
		}
		c.set(func(c *chain) { c.blocks[100] = mended })
		c.mine(1)
		want(t, deep, first, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if h, err := ethereum.Canonical(ctx, node, 2, common.Hash{}, ^uint64(0)); err == nil {
			t.Errorf("got %v below more blocks than there are numbers", h)
		}
	})
}

// P18, P26: one connection and one subscription for all, gone with the last waiter, kept by Keep.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		var waits []<-chan got
		for n := range uint64(50) {
			waits = append(waits, block(t, node, n%5+1))
		}
		c.mine(5)
		for i, w := range waits {
			want(t, w, c.blocks[i%5+1], 0)
		}
		if s := node.Stats(); s.Sessions != 1 {
			t.Errorf("got %+v, want one session", s)
		}
		release := node.Keep()
		for n := range uint64(5) {
			want(t, block(t, node, n), c.blocks[n], 0)
		}
		release()
		release() // does nothing
		if s := node.Stats(); s.Sessions != 2 {
			t.Errorf("got %+v, want a second session that was kept", s)
		}
		noHits(t, node)
	}) // the bubble fails if anything is left
}

// P25, E6: the socket is cut; what came in the gap is found by the look after the new subscription, not by a probe.
func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		one, two := block(t, node, 1), block(t, node, 2)
		c.cut(true)
		b1 := c.mine(1)
		time.Sleep(100 * time.Millisecond) // of the bubble: attempts fail meanwhile
		c.cut(false)
		if g := <-one; g.err != nil || g.header.Hash != b1.Hash || g.took > 300*time.Millisecond {
			t.Errorf("got %+v, want block 1 soon after the return", g)
		}
		b2 := c.mine(1)
		if g := <-two; g.err != nil || g.header.Hash != b2.Hash {
			t.Errorf("got %+v, want block 2", g)
		}
		if s := node.Stats(); s.Sessions != 2 {
			t.Errorf("got %+v, want two sessions", s)
		}
		noHits(t, node)
	})
}

// P20: requests that fail or hang have a bound of their own and are tried again; the last failure is in the message.
func TestFailures(t *testing.T) {
	ended := func(t *testing.T, c *chain, wants ...string) error {
		t.Helper()
		synctest.Wait()
		_, err := ethereum.Block(within(t, 10*time.Second), c.node(), 7)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		for _, want := range append(wants, "block 7") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want %q in it", err, want)
			}
		}
		return err
	}
	t.Run("refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newChain()
			c.cut(true)
			ended(t, c, "connection refused", "no head")
		})
	})
	t.Run("error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newChain()
			c.refuse = errors.New("database is locked")
			time.AfterFunc(time.Second, func() { c.mine(1) })
			err := ended(t, c, "last error: ", "head 1 0x", "9s ago")
			// The request under way when the time is up may fail by that instead, and so may its connection.
			cause := regexp.MustCompile("ask for block 7: .*(database is locked|i/o timeout)|connection to fake ended")
			if !cause.MatchString(err.Error()) {
				t.Errorf("got %q, want the node's error in it, or that of the request cut short", err)
			}
		})
	})
	t.Run("dial hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			node := ethereum.New("fake", ethereum.Options{Dial: func(ctx context.Context) (*rpc.Client, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			_, err := ethereum.Block(within(t, 5*time.Second), node, 1)
			if err == nil || !strings.Contains(err.Error(), "connect to fake") {
				t.Errorf("got %v, want the failed connection in it", err)
			}
		})
	})
	t.Run("silent socket", func(t *testing.T) { // a request hangs: another connection is made, and finds the block
		synctest.Test(t, func(t *testing.T) {
			c := newChain()
			node := c.node()
			hang := make(chan struct{})
			c.hang = hang
			one := block(t, node, 1)
			c.reorg(1, 1, false)
			time.Sleep(time.Second)
			c.set(func(c *chain) { c.hang = nil })
			if g := <-one; g.err != nil || g.took > 3*time.Second {
				t.Errorf("got %+v, want block 1 by another connection", g)
			}
			close(hang)
			if s := node.Stats(); s.Sessions != 2 {
				t.Errorf("got %+v, want a second session", s)
			}
		})
	})
}

// P27: heads are read while the waiters are busy, more of them than go-ethereum's client would queue.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := ethereum.New("fake", ethereum.Options{Dial: c.dial, CallTimeout: time.Minute})
		const flood = 25_000 // the client ends a subscription of which 20,000 are unread
		busy := make(chan struct{})
		last := begin(func() (*ethereum.Header, error) {
			return ethereum.Ask(within(t, time.Hour), node, "the last block", func(ctx context.Context, conn *rpc.Client) (*ethereum.Header, bool, error) {
				<-busy
				var h *ethereum.Header
				err := conn.CallContext(ctx, &h, "eth_getBlockByNumber", hexutil.Uint64(flood), false)
				return h, h != nil, err
			})
		})
		for range flood {
			c.grow(1)
		}
		synctest.Wait()
		close(busy)
		want(t, last, c.blocks[flood], 0)
		if s := node.Stats(); s.Sessions != 1 || s.Heads != flood {
			t.Errorf("got %+v, want every head read in one session", s)
		}
	})
}

// P29: the end of whoever makes the blocks ends the wait, but what it made before counts.
func TestBlockAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		broke := errors.New("consensus stopped")
		exit := func(after time.Duration, first func()) await.End {
			result := make(chan error, 1)
			time.AfterFunc(after, func() { first(); result <- broke })
			return await.Exit(result)
		}
		one := block(t, node, 1, await.WithAbort(exit(100*time.Millisecond, func() { c.reorg(1, 1, false) }))) // unannounced: only the last look sees it
		want(t, one, ethereum.Header{Hash: c.byNumber(t, 1)}, 100*time.Millisecond)
		g := <-block(t, node, 9, await.WithAbort(exit(100*time.Millisecond, func() {})))
		if !errors.Is(g.err, await.ErrEnded) || !errors.Is(g.err, broke) || g.took != 100*time.Millisecond {
			t.Errorf("got %+v, want the end of the producer at once", g)
		}
	})
}

// byNumber returns a block's hash, once it is there.
func (c *chain) byNumber(t *testing.T, n uint64) common.Hash {
	t.Helper()
	for {
		c.mu.Lock()
		if n < uint64(len(c.blocks)) {
			defer c.mu.Unlock()
			return c.blocks[n].Hash
		}
		c.mu.Unlock()
		time.Sleep(time.Millisecond) // of the bubble
	}
}

// P10, P19, P25: random schedules of blocks, reorgs and cuts: no wake-up is lost, so the probe is never what finds a
// block.
func TestNoLostWakeUp(t *testing.T) {
	schedules := uint64(300)
	if testing.Short() {
		schedules = 20
	}
	for seed := range schedules {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			c := newChain()
			node := ethereum.New("fake", ethereum.Options{Dial: c.dial, Probe: time.Hour})
			var waiters sync.WaitGroup
			for n := range uint64(20) {
				late := time.Duration(random.IntN(20)) * time.Millisecond
				waiters.Go(func() {
					time.Sleep(late) // of the bubble
					if h, err := ethereum.Block(within(t, time.Minute), node, n); err != nil || h.Number != n {
						t.Errorf("seed %d: got %v, %v, want block %d: %+v", seed, h, err, n, node.Stats())
					}
				})
			}
			for head := uint64(0); head < 20; {
				switch random.IntN(6) {
				case 0:
					c.cut(false)
				case 1:
					head = c.reorg(head-random.Uint64N(min(head, 3)+1)+1, 1, true).Number
				case 2:
					time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
				default:
					head = c.grow(1 + random.IntN(2)).Number
				}
			}
			waiters.Wait()
			noHits(t, node)
		})
		if t.Failed() {
			return
		}
	}
}
