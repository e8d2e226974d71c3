package ethereum_test

import (
	"context"
	"errors"
	"math/big"
	"net/url"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/await"
	"headrace/await/ethereum"
	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/devnet/proxy"
)

// rig is a real geth whose blocks the test makes, and forks are built where nobody sees them.
type rig struct {
	t     *testing.T
	geth  *geth.Node
	chain *beacon.Chain
	ctx   context.Context
}

func newRig(t *testing.T) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only for a test that hangs
	t.Cleanup(cancel)
	r := &rig{t: t, geth: gethtest.Open(t, geth.Options{}), ctx: ctx}
	var err error
	r.chain, err = beacon.New(ctx, r.geth, beacon.Options{Builder: gethtest.Open(t, geth.Options{})})
	r.check(err)
	t.Cleanup(r.chain.Close)
	return r
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// wait begins a wait and returns once it looks for the first time: from there on it must not miss anything.
func (r *rig) wait(node *ethereum.Node, what string, f func(context.Context) (*ethereum.Header, error)) (end func(want common.Hash)) {
	r.t.Helper()
	before := node.Stats().Checks
	var h *ethereum.Header
	var err error
	var waiter sync.WaitGroup
	waiter.Go(func() { h, err = f(r.ctx) })
	for node.Stats().Checks == before { // it has its channel before it looks
		runtime.Gosched()
	}
	return func(want common.Hash) {
		r.t.Helper()
		waiter.Wait()
		if err != nil || h.Hash != want {
			r.t.Errorf("%s: got %v, %v, want %s", what, h, err, want)
		}
	}
}

func (r *rig) block(node *ethereum.Node, n uint64) func(common.Hash) {
	r.t.Helper()
	return r.wait(node, "block", func(ctx context.Context) (*ethereum.Header, error) { return ethereum.Block(ctx, node, n) })
}

func (r *rig) branch(depth uint64, n int) []*beacon.Block {
	r.t.Helper()
	blocks, err := r.chain.Reorg(r.ctx, depth, beacon.EmptyN(n)...)
	r.check(err)
	return blocks
}

// E6, P22, P23 and P28 on a real node: two blocks in one forkchoice, reorgs to lower and equal heights, bodies (only
// when asked for) and receipts.
func TestGeth(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// What is found by a probe would hide a fault: none comes within this test, but for the look that begins a wait.
	node := ethereum.New(r.geth.WS(), ethereum.Options{Probe: time.Hour})
	defer node.Keep()()
	r.check(func() error { _, err := ethereum.Block(r.ctx, node, 0); return err }())

	one, three := r.block(node, 1), r.block(node, 3)
	three1 := r.branch(0, 3) // one forkchoice: geth announces the third
	one(three1[0].Hash())
	three(three1[2].Hash())

	old := three1[1].Hash()
	deep := r.wait(node, "canonical", func(ctx context.Context) (*ethereum.Header, error) {
		return ethereum.Canonical(ctx, node, 2, common.Hash{}, 2)
	})
	lower := r.branch(2, 1) // to height 2: no news is lost when the head goes down
	again := r.wait(node, "first branch", func(ctx context.Context) (*ethereum.Header, error) {
		return ethereum.Canonical(ctx, node, 2, old, 1)
	})
	higher := r.branch(0, 2)
	deep(lower[0].Hash())
	if h, err := ethereum.BlockHash(r.ctx, node, old); err != nil || h.Hash != old || h.Number != 2 {
		t.Errorf("got %v, %v, want the orphaned block by its hash", h, err)
	}
	r.check(r.chain.SetHead(r.ctx, three1[2].Hash()))
	again(old)
	r.check(r.chain.SetHead(r.ctx, higher[1].Hash()))

	tx, err := types.SignNewTx(geth.DevKey(0), types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(params.Ether / 1e6), Gas: params.TxGas, To: &common.Address{1},
	})
	r.check(err)
	receipts := make(chan *types.Receipt, 1) // sent to once
	go func() {
		receipt, err := ethereum.Receipt(r.ctx, node, tx.Hash())
		if err != nil {
			t.Error(err)
		}
		receipts <- receipt
	}()
	mined, err := r.chain.Mine(r.ctx, beacon.With(tx))
	r.check(err)
	if got := <-receipts; got == nil || got.BlockHash != mined.Hash() || got.Status != types.ReceiptStatusSuccessful {
		t.Errorf("got receipt %+v, want one of block %s", got, mined.Hash())
	}
	whole, err := ethereum.Block(r.ctx, node, mined.Number(), await.WithBody())
	r.check(err)
	if whole.Block == nil || len(whole.Block.Transactions()) != 1 || whole.Block.Hash() != mined.Hash() {
		t.Errorf("got %+v, want the block with its transaction", whole)
	}
	if h, err := ethereum.Block(r.ctx, node, mined.Number()); err != nil || h.Block != nil {
		t.Errorf("got %+v, %v, want a header alone", h, err)
	}
	if s := node.Stats(); s.Sessions != 1 || s.Probes != 0 {
		t.Errorf("got %+v, want one session and no probe", s)
	}
}

// On a real node: a transaction that a reorg replaces by another one of its nonce, and a log that a reorg moves.
func TestGethSent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	node := ethereum.New(r.geth.WS(), ethereum.Options{Probe: time.Hour})
	defer node.Keep()()
	key := geth.DevKey(0)
	sign := func(to *common.Address, data []byte) *types.Transaction {
		t.Helper()
		tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
			ChainID: big.NewInt(geth.DevChainID), GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(params.Ether / 1e6), Gas: 10 * params.TxGas, To: to, Data: data,
		})
		r.check(err)
		return tx
	}
	topic := common.Hash{1, 31: 2}
	logs := append(append([]byte{0x7f}, topic[:]...), 0x60, 0, 0x60, 0, 0xa1, 0) // a constructor: PUSH32 topic, PUSH1 0, PUSH1 0, LOG1, STOP
	ours, theirs := sign(&common.Address{1}, nil), sign(nil, logs)
	_, err := r.chain.Mine(r.ctx, beacon.With(ours))
	r.check(err)
	included, err := ethereum.Included(r.ctx, []*ethereum.Node{node}, ethereum.Sent{Hash: ours.Hash()})
	if r.check(err); included.BlockNumber.Uint64() != 1 || included.Status != types.ReceiptStatusSuccessful {
		t.Errorf("got %+v, want the receipt of block 1", included)
	}
	var found *types.Log
	var logErr, sentErr error
	var waiters sync.WaitGroup
	before := node.Stats().Checks
	waiters.Go(func() {
		found, logErr = ethereum.Log(r.ctx, node, ethereum.LogFilter{Topics: [][]common.Hash{{topic}}, Confirmations: 1})
	})
	waiters.Go(func() {
		sent := ethereum.Sent{Hash: ours.Hash(), Sender: crypto.PubkeyToAddress(key.PublicKey), Confirmations: 2, Lost: 1}
		_, sentErr = ethereum.Included(r.ctx, []*ethereum.Node{node}, sent)
	})
	for node.Stats().Checks < before+2 { // both look
		runtime.Gosched()
	}
	reorg := func(depth uint64, specs ...beacon.Spec) []*beacon.Block {
		blocks, err := r.chain.Reorg(r.ctx, depth, specs...)
		r.check(err)
		return blocks
	}
	reorg(1, beacon.Empty(), beacon.With(theirs))
	moved := reorg(2, beacon.With(theirs), beacon.Empty(), beacon.Empty())
	waiters.Wait()
	if logErr != nil || found.BlockHash != moved[0].Hash() {
		t.Errorf("got %+v, %v, want the log of block %s", found, logErr, moved[0].Hash())
	}
	var replaced *ethereum.ReplacedError
	if !errors.As(sentErr, &replaced) || replaced.By != theirs.Hash() || replaced.Block.Hash != moved[0].Hash() {
		t.Errorf("got %v, want it replaced by %s in block %s", sentErr, theirs.Hash(), moved[0].Hash())
	}
	if s := node.Stats(); s.Sessions != 1 || s.Probes != 0 {
		t.Errorf("got %+v, want one session and no probe", s)
	}
}

// P24 on a real node: a rewinding by debug_setHead is not announced, so only the probe sees it.
func TestGethRewinds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	node := ethereum.New(r.geth.WS(), ethereum.Options{Probe: 100 * time.Millisecond})
	defer node.Keep()()
	announced := func(context.Context, *rpc.Client) (struct{}, bool, error) {
		return struct{}{}, node.Stats().Heads > 0, nil
	}
	r.check(func() error { _, err := ethereum.Block(r.ctx, node, 0); return err }())
	r.branch(0, 3)
	_, err := ethereum.Ask(r.ctx, node, "the announcement of 3", announced)
	r.check(err)
	before := node.Stats().ProbeHits
	client, err := rpc.DialContext(r.ctx, r.geth.HTTP())
	r.check(err)
	defer client.Close()
	asked := make(chan struct{})
	var once sync.Once
	gone := r.wait(node, "rewinding", func(ctx context.Context) (*ethereum.Header, error) {
		return ethereum.Ask(ctx, node, "a head below 2", func(ctx context.Context, conn *rpc.Client) (*ethereum.Header, bool, error) {
			var h *ethereum.Header
			err := conn.CallContext(ctx, &h, "eth_getBlockByNumber", "latest", false)
			once.Do(func() { close(asked) })
			return h, err == nil && h.Number < 2, err
		})
	})
	<-asked
	r.check(client.CallContext(r.ctx, nil, "debug_setHead", "0x1"))
	first, _ := r.chain.At(1)
	gone(first.Hash())
	if s := node.Stats(); s.ProbeHits != before+1 {
		t.Errorf("got %+v, want the probe to have found it", s)
	}
}

// E6, P25 on a real node: the socket is cut, or freezes, or geth is killed and comes back, with blocks made meanwhile.
func TestGethComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u, err := url.Parse(r.geth.WS())
	r.check(err)
	link, err := proxy.New(u.Host, 0)
	r.check(err)
	ctx, cancel := context.WithCancel(r.ctx)
	var relay sync.WaitGroup
	relay.Go(func() { _ = link.Run(ctx) })
	defer relay.Wait()
	defer cancel()
	node := ethereum.New("ws://"+link.Address(), ethereum.Options{CallTimeout: 300 * time.Millisecond, Probe: 200 * time.Millisecond})
	defer node.Keep()()
	mine := func() common.Hash {
		b, err := r.chain.Mine(r.ctx, beacon.Empty())
		r.check(err)
		return b.Hash()
	}
	sessions := func(n uint64) {
		t.Helper()
		if s := node.Stats(); s.Sessions < n {
			t.Errorf("got %+v, want %d sessions", s, n)
		}
	}

	one, two := r.block(node, 1), r.block(node, 2)
	link.Cut(true)
	hash := mine()
	link.Cut(false)
	one(hash)
	sessions(2)
	hash = mine() // announced by the new subscription, or found when it was made
	two(hash)

	three := r.block(node, 3)
	link.Freeze(true)
	hash = mine()
	ctx3, cancel3 := context.WithTimeout(r.ctx, time.Second)
	if _, err := ethereum.Block(ctx3, node, 3); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v from a frozen link, want the deadline", err)
	}
	cancel3()
	link.Freeze(false)
	three(hash)

	four := r.block(node, 4)
	r.geth.Kill()
	died := await.Exit(r.geth.Exited())
	if _, err := ethereum.Block(r.ctx, node, 9, await.WithAbort(died)); !errors.Is(err, await.ErrEnded) {
		t.Errorf("got %v, want the end of geth", err)
	}
	r.check(r.geth.Restart(r.ctx))
	r.check(r.chain.Sync(r.ctx))
	four(mine())
	sessions(4)
}
