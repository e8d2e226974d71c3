package l1_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/ethclient"

	"headrace/devnet/geth"
	"headrace/l1"
)

// randomKills is how many kills TestKilledAnywhere makes at least.
const randomKills = 14

// seed is that of HEADRACE_SEED, or another one each time; it is logged.
func seed(t testing.TB) *rand.Rand {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if s := os.Getenv("HEADRACE_SEED"); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("HEADRACE_SEED: %v", err)
		}
	}
	t.Logf("HEADRACE_SEED=%d", n)
	return rand.New(rand.NewPCG(n, 0))
}

// killer kills a node's process, its execution client, or both, some time after some request of the node.
type killer struct {
	w    *world
	p    *process
	geth *geth.Node
	tap  *tap
	url  string // of the node's present process
}

// victims are whom a kill ends.
type victims struct{ node, client bool }

// arm lets the kill come this long after the n-th request from now. It returns a channel that is closed when the victims are dead.
func (k *killer) arm(v victims, n int, delay time.Duration) <-chan struct{} {
	dead := make(chan struct{})
	kill := func() {
		if v.node {
			k.p.kill()
		}
		if v.client {
			k.geth.Kill()
		}
		close(dead)
	}
	var mu sync.Mutex
	k.tap.then(func(string) {
		mu.Lock()
		n--
		now := n == 0
		mu.Unlock()
		switch {
		case now && delay == 0:
			kill() // before the node is told that its request was served
		case now:
			time.AfterFunc(delay, kill) // in the middle of whatever comes then
		}
	})
	return dead
}

// await returns when the victims are dead.
func (k *killer) await(dead <-chan struct{}) {
	k.w.t.Helper()
	select {
	case <-dead:
		k.tap.then(nil)
	case <-time.After(patience):
		k.p.kill()
		k.w.t.Fatalf("the request to kill after never came; the process has said:\n%s", k.p.log.String())
	}
}

// revive starts the victims again.
func (k *killer) revive(v victims) {
	k.w.t.Helper()
	if v.client {
		k.w.check(k.geth.Restart(k.w.ctx))
	}
	if v.node {
		k.url = k.p.start()
	}
}

// TestKilledAnywhere is E5 at random points: kills some time after any request to the execution client, with proposals of several blocks under way, and
// in the middle of the start after a kill. After each the node gets to the same chain, and nothing is void, lost or doubled.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, events.in(chosenHow(t)), l1.Settings{}, 2)
	r, a, g := seed(t), w.author(), w.execution()
	tap := newTap(t, g.Engine())
	k := &killer{w: w, p: newProcess(w, tap.url, g), geth: g, tap: tap}
	k.url = k.p.start()
	delay := func() time.Duration { return time.Duration(r.IntN(3)) * time.Duration(r.IntN(4000)) * time.Microsecond }
	kinds := []victims{{node: true}, {client: true}, {node: true, client: true}}
	id, kills := uint64(0), 0
	for kills < randomKills {
		began := time.Now()
		// Each block is at least three requests: the block, the fork choice, and the head read back.
		blocks := a.many(1 + r.IntN(3))
		v, n, after := kinds[r.IntN(len(kinds))], 1+r.IntN(3*len(blocks)), delay()
		dead := k.arm(v, n, after)
		id++
		w.propose(blocks...)
		k.await(dead)
		kills++
		t.Logf("proposal %d of %d blocks: %+v killed %s after request %d", id, len(blocks), v, after, n)
		if r.IntN(2) == 0 { // on with the L1 meanwhile
			id++
			w.propose(a.many(1 + r.IntN(3))...)
		}
		for v.node && r.IntN(3) == 0 { // a start makes at least five requests
			n, after := 1+r.IntN(5), delay()
			dead := k.arm(victims{true, true}, n, after)
			k.revive(v)
			k.await(dead)
			kills++
			v = victims{true, true}
			t.Logf("both killed %s after request %d of the start", after, n)
		}
		k.revive(v)
		k.p.reach(k.url, id, a.tip())
		t.Logf("there again after %s", time.Since(began).Round(time.Millisecond))
	}
	id++ // a client that was killed after the last block is seen to have lost it when the next one comes
	w.propose(a.many(1)...)
	k.p.reach(k.url, id, a.tip())
	k.p.holds(k.url, a.blocks)
	client, err := ethclient.DialContext(w.ctx, g.HTTP())
	w.check(err)
	defer client.Close()
	h, err := client.HeaderByNumber(w.ctx, nil)
	w.check(err)
	if want := execution(t, a.tip()); h.Hash() != want {
		t.Fatalf("got the execution client's head %d %s, want %s", h.Number, h.Hash(), want)
	}
}
