package ethereum_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"math/big"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"go.uber.org/goleak"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/l1/ethereum/inbox"
	"headrace/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bindings = inbox.NewInbox()

// rig is an L1 of one real geth with an inbox contract, whose blocks the test makes.
type rig struct {
	t        *testing.T
	node     *geth.Node
	chain    *beacon.Chain
	eth      *ethclient.Client
	beacon   *httptest.Server
	opt      ethereum.Options // of a client of this L1
	owner    *ecdsa.PrivateKey
	proposer *ecdsa.PrivateKey

	// turn is held while mining makes a block. In the middle of that a receipt may be there and "latest" still be the
	// block before: who reads "latest" after an answer waits until the block is whole.
	turn *sync.RWMutex
}

func newRig(t *testing.T, fork geth.Fork, settings l1.Settings) *rig {
	t.Helper()
	r := &rig{t: t, turn: new(sync.RWMutex), node: gethtest.Open(t, geth.Options{Genesis: geth.DevGenesis(fork)}), owner: geth.DevKey(0), proposer: geth.DevKey(1)}
	var err error
	r.chain, err = beacon.New(t.Context(), r.node, beacon.Options{})
	r.check(err)
	t.Cleanup(r.chain.Close)
	r.eth, err = ethclient.Dial(r.node.HTTP())
	r.check(err)
	t.Cleanup(r.eth.Close)
	r.beacon = httptest.NewServer(r.chain.API())
	t.Cleanup(r.beacon.Close)
	r.opt = ethereum.Options{WS: httpc.At(r.node.WS()), HTTP: httpc.At(r.node.HTTP()), Beacon: httpc.At(r.beacon.URL), ChainID: geth.DevChainID, Poll: 20 * time.Millisecond, CallTimeout: time.Minute}

	contract := ethereum.Contract{Settings: settings, Proposers: []l1.Address{address(r.proposer)}}
	r.mining(func(ctx context.Context) {
		at, block, err := ethereum.Deploy(ctx, r.opt, ethereum.AccountOptions{}, r.owner, contract)
		r.check(err)
		r.opt.Inbox, r.opt.StartBlock = at, block.Height
	})
	return r
}

func address(key *ecdsa.PrivateKey) l1.Address {
	return l1.Address(crypto.PubkeyToAddress(key.PublicKey))
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// client returns a client of this L1, or one with other options.
func (r *rig) client(change func(*ethereum.Options)) *ethereum.Client {
	r.t.Helper()
	opt := r.opt
	if change != nil {
		change(&opt)
	}
	c, err := ethereum.New(opt)
	r.check(err)
	r.t.Cleanup(c.Close)
	return c
}

func (r *rig) account(c *ethereum.Client, key *ecdsa.PrivateKey, content ethereum.Content) *ethereum.Account {
	return ethereum.NewAccount(c, key, ethereum.AccountOptions{Content: content})
}

// mining calls f while blocks are made from the pool. No block is cut off in the middle.
func (r *rig) mining(f func(ctx context.Context)) {
	r.t.Helper()
	r.miningFor(2*time.Minute, f) // only for a test that hangs
}

// miningFor is mining with another limit.
func (r *rig) miningFor(limit time.Duration, f func(ctx context.Context)) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), limit)
	stop := make(chan struct{}) // closed below
	var clock sync.WaitGroup
	clock.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond) // the block clock
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.turn.Lock()
				_, err := r.chain.Mine(r.t.Context(), beacon.Spec{})
				r.turn.Unlock()
				if err != nil {
					r.t.Errorf("mine: %v", err)
					return
				}
			case <-stop:
				return
			}
		}
	})
	defer cancel()
	defer clock.Wait()
	defer close(stop)
	f(ctx)
}

// tx signs a transaction to the inbox.
func (r *rig) tx(key *ecdsa.PrivateKey, to common.Address, data []byte) *types.Transaction {
	r.t.Helper()
	nonce := r.nonce(key)
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), Nonce: nonce, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11), Gas: 5_000_000, To: &to, Data: data,
	})
	r.check(err)
	return tx
}

func (r *rig) inbox() common.Address { return common.Address(r.opt.Inbox) }

// mine makes one block of exactly these transactions.
func (r *rig) mine(txs ...*types.Transaction) *beacon.Block {
	r.t.Helper()
	b, err := r.chain.Mine(r.t.Context(), beacon.With(txs...))
	r.check(err)
	return b
}

// propose makes a block with a proposal of any payload.
func (r *rig) propose(payload []byte) *beacon.Block {
	r.t.Helper()
	return r.mine(r.proposeTx(payload, 0))
}

func (r *rig) proposeTx(payload []byte, forced uint16) *types.Transaction {
	r.t.Helper()
	return r.tx(r.proposer, r.inbox(), bindings.PackPropose(r.state().LastProposal, common.Hash{7}, forced, payload))
}

func (r *rig) state() l1.CoreState {
	r.t.Helper()
	r.turn.RLock()
	defer r.turn.RUnlock()
	s, err := r.client(nil).State(r.t.Context(), l1.Hash(r.chain.Head().Hash()))
	r.check(err)
	return s
}

func (r *rig) succeeded(tx *types.Transaction) bool {
	r.t.Helper()
	receipt, err := r.eth.TransactionReceipt(r.t.Context(), tx.Hash())
	r.check(err)
	return receipt.Status == types.ReceiptStatusSuccessful
}

func (r *rig) head() follow.Ref {
	h := r.chain.Head()
	return follow.Ref{Height: h.Number(), Hash: follow.Hash(h.Hash())}
}

// fetch returns the blocks [from, to).
func fetch(t *testing.T, c *ethereum.Client, from, to uint64) []l1.Block {
	t.Helper()
	blocks, err := tryFetch(t.Context(), c, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

func tryFetch(ctx context.Context, c *ethereum.Client, from, to uint64) (blocks []l1.Block, err error) {
	err = c.Fetch(ctx, from, to, func(i follow.Item[l1.Block]) error {
		if i.Height != i.Data.Number || i.Hash != follow.Hash(i.Data.Hash) || i.Parent != follow.Hash(i.Data.Parent) || i.Size < 100 {
			return errors.New("item and block differ")
		}
		blocks = append(blocks, i.Data)
		return nil
	})
	return blocks, err
}

// one returns the single message of the block at a height.
func one(t *testing.T, c *ethereum.Client, number uint64) l1.Message {
	t.Helper()
	b := fetch(t, c, number, number+1)[0]
	if len(b.Messages) != 1 {
		t.Fatalf("block %d: got %d messages, want 1", number, len(b.Messages))
	}
	return b.Messages[0]
}

func payload(name string) []byte {
	return l1.EncodeBlocks([]l1.Encoded{{Header: []byte("header " + name), Data: []byte("data " + name)}})
}

func draft(id uint64, name string) l1.Draft {
	return l1.Draft{ID: id, Parent: l1.Hash{byte(id)}, Blocks: []l1.Encoded{{Header: []byte("header " + name), Data: []byte("data " + name)}}}
}

// follower keeps a sink in step with a source until the test ends.
func follower(t *testing.T, source follow.Source[l1.Block], start uint64) (*followtest.Sink[l1.Block], *watch.Value[follow.State]) {
	t.Helper()
	sink := followtest.NewSink[l1.Block](start)
	f := follow.New(source, sink, follow.Options{Backoff: follow.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond}})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := sink.Err(); err != nil {
			t.Error(err)
		}
	})
	return sink, f.State()
}

func reach(t *testing.T, state *watch.Value[follow.State], want follow.Ref) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only for a test that hangs
	defer cancel()
	if s, err := state.Wait(ctx, func(s follow.State) bool { return s.Last == want }); err != nil {
		t.Fatalf("follower stands at %v, want %v: %v (waiting %+v, news %+v)", s.Last, want, err, s.Waiting, s.News)
	}
}
