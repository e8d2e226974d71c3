package gossip

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
)

// TestTwo: what one node makes, the other has.
func TestTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProposer(t)
		n := newNet(t, 2, 20*time.Millisecond)
		a, b := newMemory(p), newMemory(p)
		open(t, n.hosts[0], a)
		open(t, n.hosts[1], b)
		link(t, n.hosts[0], n.hosts[1])
		time.Sleep(2 * time.Second)
		for _, made := range p.chain(t, block.Ref{}, 10, 100) {
			a.append(made)
			b.reach(t, made.Height())
		}
		if a.status.Load().Heads.Unsafe != b.status.Load().Heads.Unsafe {
			t.Error("they differ")
		}
	})
}

// TestFifty: 50 peers, each linked to 8 others at random, 20 ms one way. A block reaches all; the clock is the test's, so
// that the bounds are of the network and not of this machine.
func TestFifty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const peers, links, delay = 50, 8, 20 * time.Millisecond
		p := newProposer(t)
		n := newNet(t, peers, delay)
		var mu sync.Mutex
		var began time.Time
		var took []time.Duration
		chains := make([]*memory, peers)
		for i := range chains {
			chains[i] = newMemory(p)
			if i > 0 {
				chains[i].applied = func(*block.Block) {
					mu.Lock()
					defer mu.Unlock()
					took = append(took, time.Since(began))
				}
			}
			open(t, n.hosts[i], chains[i])
		}
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range n.hosts {
			for _, j := range rnd.Perm(peers)[:links/2] { // as many come from others
				if j != i {
					link(t, n.hosts[i], n.hosts[j])
				}
			}
		}
		time.Sleep(10 * time.Second) // the mesh is made
		for _, b := range p.chain(t, block.Ref{}, *manyBlocks, 10_000) {
			mu.Lock()
			began = time.Now()
			mu.Unlock()
			chains[0].append(b)
			for _, c := range chains {
				c.reach(t, b.Height())
			}
			time.Sleep(200 * time.Millisecond)
		}
		if want := (peers - 1) * *manyBlocks; len(took) != want {
			t.Fatalf("blocks were applied %d times, want %d", len(took), want)
		}
		slices.Sort(took)
		p50, p99 := took[len(took)/2], took[len(took)*99/100]
		t.Logf("p50 %s, p99 %s, last %s", p50, p99, took[len(took)-1])
		if p50 > 60*time.Millisecond || p99 > 120*time.Millisecond {
			t.Errorf("p50 %s and p99 %s, want at most 60 ms and 120 ms", p50, p99)
		}
	})
}
