package ethereum_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"headrace/await"
	"headrace/await/ethereum"
)

// send makes transactions those of the next block.
func (c *chain) send(txs ...fakeTx) *chain { c.next.txs = txs; return c }

// offer puts a transaction into the pool, or takes it out.
func (c *chain) offer(tx fakeTx, there bool) {
	c.set(func(c *chain) {
		if delete(c.pool, tx.hash); there {
			c.pool[tx.hash] = tx
		}
	})
}

type gotReceipt struct {
	receipt *types.Receipt
	err     error
}

func beginSent(t *testing.T, tx ethereum.Sent, nodes []*ethereum.Node, opts ...await.Option) <-chan gotReceipt {
	c := make(chan gotReceipt, 1) // sent to once
	go func() {
		r, err := ethereum.Included(within(t, time.Hour), nodes, tx, opts...)
		c <- gotReceipt{r, err}
	}()
	synctest.Wait()
	return c
}

func wantReceipt(t *testing.T, c <-chan gotReceipt, in ethereum.Header) {
	t.Helper()
	if g := <-c; g.err != nil || g.receipt.BlockHash != in.Hash {
		t.Errorf("got %+v, %v, want the receipt of block %d %s", g.receipt, g.err, in.Number, in.Hash)
	}
}

func waits(t *testing.T, c <-chan gotReceipt) {
	t.Helper()
	synctest.Wait()
	if len(c) > 0 {
		g := <-c
		t.Fatalf("got %+v, %v, want it to wait", g.receipt, g.err)
	}
}

var ours, theirs = fakeTx{hash(0xa1), 0}, fakeTx{hash(0xb1), 0}

// A transaction that is included before the subscription, and during it; and with confirmations, across reorgs.
func TestIncluded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		nodes := []*ethereum.Node{c.node()}
		c.onAck = func() { c.send(ours).extend(1, 1, true) }
		wantReceipt(t, beginSent(t, ethereum.Sent{Hash: ours.hash}, nodes), c.blocks[1])
		wantReceipt(t, beginSent(t, ethereum.Sent{Hash: ours.hash}, nodes), c.blocks[1])

		deep := beginSent(t, ethereum.Sent{Hash: ours.hash, Confirmations: 3, Lost: 2}, nodes)
		c.mine(2)
		waits(t, deep)
		c.reorg(1, 3, true) // it is in no block any more
		waits(t, deep)
		c.offer(ours, true)
		c.mine(1)
		waits(t, deep)
		in := c.send(ours).mine(1)
		c.mine(2)
		waits(t, deep)
		c.cut(true)
		c.mine(1)
		time.Sleep(100 * time.Millisecond) // of the bubble
		c.cut(false)
		wantReceipt(t, deep, in)
		noHits(t, nodes[0])
	})
}

// Another transaction of the sender and nonce has the place: that is told with its hash and block, once it has the
// confirmations, and not if a reorg takes it away before.
func TestReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		nodes := []*ethereum.Node{c.node()}
		c.offer(ours, true)
		deep := beginSent(t, ethereum.Sent{Hash: ours.hash, Confirmations: 2, Lost: 1}, nodes) // who sent it is learnt
		c.mine(1)
		c.offer(ours, false)
		c.send(theirs).mine(1)
		c.mine(1)
		waits(t, deep)
		c.offer(ours, true)
		c.reorg(2, 1, true)
		c.mine(2)
		waits(t, deep)
		in := c.send(ours).mine(1)
		c.mine(2)
		wantReceipt(t, deep, in)

		c.reorg(1, 1, true)
		c.mine(40)
		c.send(theirs).mine(1)
		by := c.blocks[len(c.blocks)-1]
		c.mine(100)
		for _, confirmations := range []uint64{0, 100} { // long before the wait
			g := <-beginSent(t, ethereum.Sent{Hash: ours.hash, Sender: sender, Confirmations: confirmations}, nodes)
			var replaced *ethereum.ReplacedError
			if !errors.As(g.err, &replaced) || replaced.By != theirs.hash || replaced.Block.Hash != by.Hash || errors.Is(g.err, ethereum.ErrDropped) {
				t.Errorf("got %+v, %v, want it replaced by the one of block %s", g.receipt, g.err, by.Hash)
			}
		}
		c.reorg(1, 3, true)
		c.next.consumes = 1
		by = c.mine(1)
		c.mine(3)
		var replaced *ethereum.ReplacedError
		if g := <-beginSent(t, ethereum.Sent{Hash: ours.hash, Sender: sender}, nodes); !errors.As(g.err, &replaced) || replaced.By != (common.Hash{}) || replaced.Block.Hash != by.Hash {
			t.Errorf("got %+v, %v, want the nonce consumed by what is no transaction", g.receipt, g.err)
		}
		later := beginSent(t, ethereum.Sent{Hash: hash(0xa2), Sender: sender, Nonce: 1}, nodes) // its nonce is free
		in = c.send(fakeTx{hash(0xa2), 1}).mine(1)
		wantReceipt(t, later, in)
	})
}

// Dropped is what no endpoint knows for so many heads: one that knows it, or does not answer, is enough to go on.
func TestDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newChain(), newChain()
		nodes := []*ethereum.Node{a.node(), b.node()}
		tx := ethereum.Sent{Hash: ours.hash, Sender: sender, Lost: 3}
		both := func(n int) {
			for range n {
				a.mine(1)
				b.mine(1)
				synctest.Wait()
			}
		}
		b.offer(ours, true)
		wait := beginSent(t, tx, nodes)
		both(5)
		waits(t, wait)
		b.offer(ours, false)
		both(3) // the first of them begins the count
		waits(t, wait)
		b.cut(true)
		a.mine(5)
		waits(t, wait)
		b.cut(false)
		b.offer(ours, true) // it comes back
		both(1)
		time.Sleep(time.Second)
		both(2)
		b.offer(ours, false)
		both(3)
		waits(t, wait)
		both(1)
		g := <-wait
		var e *await.Error
		if !errors.Is(g.err, ethereum.ErrDropped) || errors.As(g.err, new(*ethereum.ReplacedError)) || !errors.As(g.err, &e) || !strings.Contains(e.What, "receipt") {
			t.Errorf("got %+v, %v, want it dropped", g.receipt, g.err)
		}

		never := beginSent(t, ethereum.Sent{Hash: ours.hash}, nodes) // 0: never
		both(20)
		waits(t, never)
		in := b.send(ours).mine(1) // one of the nodes is enough
		wantReceipt(t, never, in)
	})
}

// A refusal says nothing of the transaction, and a producer's end is told.
func TestIncludedFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		nodes := []*ethereum.Node{c.node()}
		broke, result := errors.New("broke"), make(chan error, 1)
		c.refuse = errors.New("database is locked")
		wait := beginSent(t, ethereum.Sent{Hash: ours.hash, Sender: sender, Lost: 1}, nodes, await.WithAbort(await.Exit(result)))
		c.mine(1)
		synctest.Wait()
		c.mine(1)
		waits(t, wait)
		result <- broke
		if g := <-wait; !errors.Is(g.err, broke) || !errors.Is(g.err, await.ErrEnded) || !strings.Contains(g.err.Error(), "database is locked") {
			t.Errorf("got %v, want the producer's end, and the last failure", g.err)
		}
	})
}
