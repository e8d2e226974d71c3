package ethereum_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"headrace/await"
	"headrace/await/ethereum"
)

var (
	contract = common.Address{0xcc}
	topic    = common.Hash{0x10}
)

// event is a log that the tests wait for, with a number in its data.
func event(n byte) types.Log {
	return types.Log{Address: contract, Topics: []common.Hash{topic}, Data: []byte{n}}
}

// put makes logs those of the next block.
func (c *chain) put(logs ...types.Log) *chain { c.next.logs = logs; return c }

type gotLog struct {
	log *types.Log
	err error
}

// beginLog starts a wait for a log of the contract and topic, and returns once it waits or has ended.
func beginLog(t *testing.T, node *ethereum.Node, from, confirmations uint64, opts ...await.Option) <-chan gotLog {
	c := make(chan gotLog, 1) // sent to once
	f := ethereum.LogFilter{From: from, Addresses: []common.Address{contract}, Topics: [][]common.Hash{{topic}}, Confirmations: confirmations}
	go func() {
		l, err := ethereum.Log(within(t, time.Hour), node, f, opts...)
		c <- gotLog{l, err}
	}()
	synctest.Wait()
	return c
}

func wantLog(t *testing.T, c <-chan gotLog, n byte, in ethereum.Header) {
	t.Helper()
	if g := <-c; g.err != nil || g.log.Data[0] != n || g.log.BlockHash != in.Hash {
		t.Errorf("got %+v, %v, want log %d of block %d %s", g.log, g.err, n, in.Number, in.Hash)
	}
}

// P19, P33: a log that is there before, between the subscription and the look, and later; the first one, and no other
// contract's or topic's.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		other, strange := event(9), event(9)
		other.Address, strange.Topics = common.Address{1}, []common.Hash{{1}}
		one := c.put(other, strange, event(1), event(2)).mine(1)
		wantLog(t, beginLog(t, node, 0, 0), 1, one)
		c.onAck = func() { c.put(event(3)).extend(2, 1, true) }
		two := beginLog(t, node, 2, 0)
		wantLog(t, two, 3, c.blocks[2])
		five := beginLog(t, node, 5, 0)
		c.put(event(4)).mine(1) // block 3 is before
		c.put(other).mine(2)
		synctest.Wait()
		if len(five) > 0 {
			t.Fatalf("got %+v, want a log of block 5 or later", <-five)
		}
		wantLog(t, five, 5, c.put(event(5)).mine(1))
		noHits(t, node)
	})
}

// A reorg takes the log away, and brings it again in another block, or an earlier one in a block that had none.
func TestLogAcrossReorg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		c.mine(3)
		deep := beginLog(t, node, 1, 2)
		c.put(event(1)).mine(1) // block 4
		c.mine(1)
		synctest.Wait()
		c.reorg(4, 3, true) // higher, without the log
		synctest.Wait()
		if len(deep) > 0 {
			t.Fatalf("got %+v with one block on top, want two", <-deep)
		}
		again := c.put(event(1)).mine(1) // block 7
		c.mine(1)
		synctest.Wait()
		c.put(event(2)).reorg(2, 1, true) // block 2, which was passed long ago
		earlier := c.blocks[2]
		c.mine(1)
		synctest.Wait()
		if len(deep) > 0 {
			t.Fatalf("got %+v, want one of two blocks on top: it was in %s before", <-deep, again.Hash)
		}
		c.mine(1)
		wantLog(t, deep, 2, earlier)
	})
}

// A reorg between two questions of one look mixes no branches: the log that it brings is not passed over.
func TestLogReorgWithinALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		one := beginLog(t, node, 1, 0)
		c.onLogs = func() { c.put(event(1)).extend(1, 1, true) } // asked about the block before
		c.mine(1)
		synctest.Wait()
		wantLog(t, one, 1, c.blocks[1])
	})
}

// Behind one address there may be several nodes: one that does not have the block yet says nothing of its logs.
func TestLogOfANodeBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		one := beginLog(t, node, 1, 0)
		c.lagging = 1
		want := c.put(event(1)).mine(1)
		c.mine(3)
		wantLog(t, one, 1, want)
	})
}

// Long ranges are asked for in pieces that the endpoint bears, what was looked at is not looked at again, and the first
// log is found also where a reorg replaces what was looked at in pieces.
func TestLogFarBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		c.mostLogs = 50
		node := c.node()
		c.mine(199)
		want := c.put(event(1)).mine(1) // block 200
		c.mine(150)
		c.put(event(2)).mine(1)
		c.mine(300)
		wantLog(t, beginLog(t, node, 1, 0), 1, want)
		if n := c.calls["logs"]; n > 40 {
			t.Errorf("got %d questions for 200 blocks", n)
		}
		late := beginLog(t, node, 352, 0)
		if len(late) > 0 {
			t.Fatalf("got %+v", <-late)
		}
		c.reorg(10, 470, false) // a checkpoint of a range gives way, 650 blocks below
		c.put(event(3)).extend(480, 1, false)
		c.mine(200)
		wantLog(t, late, 3, c.blocks[480])
	})
}

// The node is gone in the middle, and comes back; a producer's end is told, and what it did before counts.
func TestLogAtANodeThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		c.mine(3)
		one := beginLog(t, node, 1, 1)
		c.cut(true)
		want := c.put(event(1)).mine(1)
		c.mine(1)
		time.Sleep(time.Second) // of the bubble
		c.cut(false)
		wantLog(t, one, 1, want)

		broke, result := errors.New("broke"), make(chan error, 1)
		never := beginLog(t, node, 100, 0, await.WithAbort(await.Exit(result)))
		result <- broke
		if g := <-never; !errors.Is(g.err, await.ErrEnded) || !errors.Is(g.err, broke) {
			t.Errorf("got %v, want the producer's end", g.err)
		}
		last, reached := make(chan error, 1), make(chan gotLog, 1)
		go func() {
			l, err := ethereum.Log(within(t, time.Hour), node, ethereum.LogFilter{From: 6, Topics: [][]common.Hash{nil}}, await.WithAbort(await.Exit(last)))
			reached <- gotLog{l, err}
		}()
		synctest.Wait()
		c.mine(30)
		six := c.put(event(6)).reorg(uint64(len(c.blocks)), 1, false) // unannounced
		last <- broke
		wantLog(t, reached, 6, six)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var e *await.Error
		if _, err := ethereum.Log(ctx, node, ethereum.LogFilter{From: 1000}); !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
	})
}

// Random schedules of logs, reorgs and cuts: what is found is the first log of the canonical chain, and nothing but
// announcements was needed.
func TestLogSchedules(t *testing.T) {
	schedules := uint64(200)
	if testing.Short() {
		schedules = 20
	}
	for seed := range schedules {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 2))
			c := newChain()
			node := ethereum.New("fake", ethereum.Options{Dial: c.dial, Probe: time.Hour})
			found := beginLog(t, node, 3, 2)
			for n := byte(0); len(found) == 0; n++ {
				if random.IntN(8) == 0 {
					c.put(event(n))
				}
				switch head := uint64(len(c.blocks)) - 1; random.IntN(8) {
				case 0:
					c.cut(false)
				case 1:
					c.reorg(head-random.Uint64N(min(head, 4)+1)+1, 1+random.IntN(3), true)
				case 2:
					time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond) // of the bubble
				default:
					c.grow(1)
				}
				if random.IntN(2) == 0 {
					synctest.Wait()
				}
			}
			g := <-found
			if g.err != nil {
				t.Fatalf("seed %d: %v", seed, g.err)
			}
			first := "none"
			for _, b := range c.blocks[3:] {
				if logs := c.bodies[b.Hash].logs; len(logs) > 0 {
					first = fmt.Sprint(b.Hash, logs[0].Data)
					break
				}
			}
			// A reorg after the answer may have changed the chain: its block then is none of it.
			if got := fmt.Sprint(g.log.BlockHash, g.log.Data); got != first && c.blocks[min(g.log.BlockNumber, uint64(len(c.blocks)-1))].Hash == g.log.BlockHash {
				t.Errorf("seed %d: got %s, want %s", seed, got, first)
			}
			noHits(t, node)
		})
		if t.Failed() {
			return
		}
	}
}

// What a head names is waited for: latest, safe and finalized, also where there is none yet, and not on a branch that is
// left.
func TestHeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		defer node.Keep()()
		height := func(n uint64, label await.Label) <-chan got {
			return begin(func() (*ethereum.Header, error) {
				return ethereum.Height(within(t, time.Hour), node, n, await.WithLabel(label))
			})
		}
		c.mine(3)
		want(t, height(3, await.Unsafe), c.blocks[3], 0)
		safe, final := height(2, await.Safe), height(3, await.Finalized)
		c.mine(2)
		synctest.Wait()
		if len(safe)+len(final) > 0 {
			t.Fatal("got blocks without such heads")
		}
		c.set(func(c *chain) { c.safe = 4 })
		c.mine(1)
		want(t, safe, c.blocks[2], 0)
		c.set(func(c *chain) { c.final = 3 })
		c.mine(1)
		want(t, final, c.blocks[3], 0)
		noHits(t, node)
	})
}

// A block that is read while a reorg passes is not taken for one below the head of the other branch.
func TestHeightAcrossReorg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		c.mine(5)
		node := ethereum.New("fake", ethereum.Options{Dial: c.dial, Probe: time.Hour})
		defer node.Keep()()
		c.safe = 4
		c.onRead = map[uint64]func(){2: func() { c.extend(2, 3, true) }} // once block 2 has been read, it is of no branch
		safe := begin(func() (*ethereum.Header, error) { return ethereum.Height(within(t, time.Hour), node, 2) })
		g := <-safe
		if g.err != nil || g.header.Hash != c.blocks[2].Hash {
			t.Errorf("got %v, %v, want block 2 of the new branch, %s", g.header, g.err, c.blocks[2].Hash)
		}
	})
}
