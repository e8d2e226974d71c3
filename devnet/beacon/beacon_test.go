package beacon_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, fork geth.Fork, opt beacon.Options) (*beacon.Chain, *geth.Node) {
	t.Helper()
	node := gethtest.Open(t, geth.Options{Genesis: geth.DevGenesis(fork)})
	c, err := beacon.New(t.Context(), node, opt)
	if err != nil {
		t.Fatalf("new chain: %v", err)
	}
	t.Cleanup(c.Close)
	return c, node
}

func dial(t *testing.T, url string) *ethclient.Client {
	t.Helper()
	client, err := ethclient.DialContext(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func mine(t *testing.T, c *beacon.Chain, n int, spec beacon.Spec) *beacon.Block {
	t.Helper()
	b, err := c.MineN(t.Context(), n, spec)
	if err != nil {
		t.Fatalf("mine: %v", err)
	}
	return b
}

// wantHead checks the chain's head, and the client's.
func wantHead(t *testing.T, c *beacon.Chain, client *ethclient.Client, b *beacon.Block) {
	t.Helper()
	if c.Head() != b {
		t.Fatalf("head: got %d %s, want %d %s", c.Head().Number(), c.Head().Hash(), b.Number(), b.Hash())
	}
	got, err := client.HeaderByNumber(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Hash() != b.Hash() {
		t.Fatalf("client's head: got %d %s, want %d %s", got.Number, got.Hash(), b.Number(), b.Hash())
	}
}

func TestReorgs(t *testing.T) {
	t.Parallel()
	c, node := open(t, geth.Prague, beacon.Options{})
	client := dial(t, node.HTTP())
	old := mine(t, c, 70, beacon.Empty())
	wantHead(t, c, client, old)
	for _, r := range []struct {
		name  string
		depth uint64
		n     int
		want  uint64
	}{
		{"higher", 3, 5, 72}, {"equal", 5, 5, 72}, {"lower", 3, 1, 70}, {"back", 2, 0, 68},
		{"deep", 60, 2, 10}, {"to genesis", 10, 1, 1}, {"only genesis", 1, 0, 0}, {"up", 0, 40, 40}, {"far back", 33, 0, 7},
	} {
		before := c.Head()
		branch, err := c.Reorg(t.Context(), r.depth, beacon.EmptyN(r.n)...)
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		if got := c.Head().Number(); got != r.want || len(branch) != r.n {
			t.Fatalf("%s: head is %d after %d new blocks, want %d and %d", r.name, got, len(branch), r.want, r.n)
		}
		wantHead(t, c, client, c.Head())
		if r.n > 0 {
			if sibling, ok := c.Block(branch[0].Header.ParentHash); !ok || sibling.Number() != before.Number()-r.depth {
				t.Errorf("%s: the branch does not begin %d below %d", r.name, r.depth, before.Number())
			}
		}
	}
	if err := c.SetHead(t.Context(), old.Hash()); err != nil { // all the way back to the first branch
		t.Fatal(err)
	}
	wantHead(t, c, client, old)
	if _, err := c.Reorg(t.Context(), old.Number()+1); err == nil {
		t.Error("reorg to below genesis: got no error")
	}
	if err := c.SetHead(t.Context(), common.Hash{1}); err == nil {
		t.Error("set head to a block that is not: got no error")
	}
}

// heads collects what a client announces.
func heads(t *testing.T, node *geth.Node) (next func() common.Hash) {
	t.Helper()
	announced := make(chan *types.Header, 100)
	sub, err := dial(t, node.WS()).SubscribeNewHead(t.Context(), announced)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Unsubscribe)
	return func() common.Hash {
		t.Helper()
		select {
		case h := <-announced:
			return h.Hash()
		case err := <-sub.Err():
			t.Fatalf("subscription ended: %v", err)
		case <-time.After(30 * time.Second):
			t.Fatal("no announcement")
		}
		return common.Hash{}
	}
}

// With a builder of its own, a reorg is announced as on a real L1: as the new head, and nothing else.
func TestForksAreBuiltUnseen(t *testing.T) {
	t.Parallel()
	builder := gethtest.Open(t, geth.Options{})
	c, node := open(t, geth.Prague, beacon.Options{Builder: builder})
	next := heads(t, node)
	var want []common.Hash
	for range 6 {
		want = append(want, mine(t, c, 1, beacon.Empty()).Hash())
	}
	for _, r := range []struct{ depth, n int }{{2, 4}, {5, 2}, {1, 1}} {
		branch, err := c.Reorg(t.Context(), uint64(r.depth), beacon.EmptyN(r.n)...)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, branch[len(branch)-1].Hash())
	}
	side, err := c.Build(t.Context(), beacon.Spec{Parent: c.Head().Header.ParentHash, Txs: []*types.Transaction{}})
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, mine(t, c, 1, beacon.Empty()).Hash(), side.Hash())
	if err := c.SetHead(t.Context(), side.Hash()); err != nil {
		t.Fatal(err)
	}
	for i, hash := range want {
		if got := next(); got != hash {
			t.Fatalf("announcement %d: got %s, want %s", i, got, hash)
		}
	}
}

func transfer(i int, nonce uint64) *types.Transaction {
	to := common.Address{0xaa}
	return types.MustSignNewTx(geth.DevKey(i), types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), Nonce: nonce, To: &to, Value: big.NewInt(1), Gas: 21_000,
		GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(100 * params.GWei),
	})
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	c, node := open(t, geth.Prague, beacon.Options{})
	client := dial(t, node.HTTP())
	// From the pool: all that were sent are in the block, at once, however the pool works.
	var sent []common.Hash
	for nonce := range uint64(10) {
		tx := transfer(0, nonce)
		if err := client.SendTransaction(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, tx.Hash())
	}
	b := mine(t, c, 1, beacon.Including(sent...))
	if len(b.Txs) != 10 {
		t.Fatalf("got %d transactions, want the 10 in the pool", len(b.Txs))
	}
	// Exactly these, in this order, though others are in the pool.
	if err := client.SendTransaction(t.Context(), transfer(1, 0)); err != nil {
		t.Fatal(err)
	}
	exact := []*types.Transaction{transfer(3, 0), transfer(2, 0), transfer(3, 1)}
	b = mine(t, c, 1, beacon.With(exact...))
	for i, tx := range b.Txs {
		if tx.Hash() != exact[i].Hash() || len(b.Txs) != 3 {
			t.Fatalf("got %v, want exactly the transactions given", b.Txs)
		}
	}
	if b := mine(t, c, 1, beacon.Empty()); len(b.Txs) != 0 {
		t.Errorf("empty block has %d transactions", len(b.Txs))
	}
	if _, err := c.Mine(t.Context(), beacon.With(transfer(5, 7))); err == nil {
		t.Error("a block with a transaction that cannot be: got no error")
	}
	// What a reorg takes out of the chain can be put in again.
	if _, err := c.Reorg(t.Context(), 3, beacon.Including(append(sent, transfer(1, 0).Hash())...)); err != nil {
		t.Fatal(err)
	}
	wantHead(t, c, client, c.Head())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Mine(ctx, beacon.Including(common.Hash{1})); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait for a transaction that does not come: got error %v, want the deadline", err)
	}
	mine(t, c, 1, beacon.Empty())
}

func TestSlots(t *testing.T) {
	t.Parallel()
	c, _ := open(t, geth.Prague, beacon.Options{SecondsPerSlot: 12, GenesisTime: 1_000_000})
	first := mine(t, c, 1, beacon.Empty())
	spec := beacon.Empty()
	spec.SkipSlots, spec.Extra = 3, []byte("hello")
	second := mine(t, c, 1, spec)
	if first.Slot != 1 || first.Header.Time != 1_000_012 || second.Slot != 5 || second.Header.Time != 1_000_060 {
		t.Errorf("got slots %d and %d at %d and %d, want 1 and 5 at 1000012 and 1000060", first.Slot, second.Slot, first.Header.Time, second.Header.Time)
	}
	if string(second.Header.Extra) != "hello" || *second.Header.ParentBeaconRoot != first.Root() {
		t.Errorf("got extra %q and beacon root %s, want hello and %s", second.Header.Extra, second.Header.ParentBeaconRoot, first.Root())
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	c, node := open(t, geth.Prague, beacon.Options{})
	client := dial(t, node.HTTP())
	if _, err := client.HeaderByNumber(t.Context(), big.NewInt(int64(rpc.FinalizedBlockNumber))); err == nil {
		t.Error("finalized block before any: got no error")
	}
	mine(t, c, 10, beacon.Empty())
	want := func(safe, finalized uint64) {
		t.Helper()
		for number, tag := range map[uint64]rpc.BlockNumber{safe: rpc.SafeBlockNumber, finalized: rpc.FinalizedBlockNumber} {
			h, err := client.HeaderByNumber(t.Context(), big.NewInt(int64(tag)))
			if err != nil || h.Number.Uint64() != number {
				t.Errorf("%v: got %v, %v, want block %d", tag, h, err, number)
			}
		}
	}
	hash := func(number uint64) common.Hash { b, _ := c.At(number); return b.Hash() }
	if err := c.Tag(t.Context(), hash(7), hash(5)); err != nil {
		t.Fatal(err)
	}
	want(7, 5)
	mine(t, c, 1, beacon.Empty())
	want(7, 5)
	// A reorg below the safe block takes the tag back; one below the finalized block is refused, until the tag is cleared.
	if _, err := c.Reorg(t.Context(), 5, beacon.Empty()); err != nil {
		t.Fatal(err)
	}
	want(5, 5)
	if _, err := c.Reorg(t.Context(), 3, beacon.Empty()); err == nil {
		t.Error("reorg below the finalized block: got no error")
	}
	wantHead(t, c, client, c.Head())
	if err := c.Tag(t.Context(), common.Hash{}, common.Hash{1}); err == nil {
		t.Error("finalize a block that is not: got no error")
	}
	if err := c.Tag(t.Context(), common.Hash{}, common.Hash{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reorg(t.Context(), 4, beacon.EmptyN(2)...); err != nil {
		t.Fatal(err)
	}
	wantHead(t, c, client, c.Head())
}

func TestTagsByDepth(t *testing.T) {
	t.Parallel()
	c, node := open(t, geth.Prague, beacon.Options{SafeDepth: 2, FinalDepth: 4})
	client := dial(t, node.HTTP())
	mine(t, c, 8, beacon.Empty())
	for tag, want := range map[rpc.BlockNumber]uint64{rpc.SafeBlockNumber: 6, rpc.FinalizedBlockNumber: 4} {
		if h, err := client.HeaderByNumber(t.Context(), big.NewInt(int64(tag))); err != nil || h.Number.Uint64() != want {
			t.Errorf("%v: got %v, %v, want block %d", tag, h, err, want)
		}
	}
	if _, err := c.Reorg(t.Context(), 4, beacon.Empty()); err != nil {
		t.Errorf("reorg down to the finalized block: %v", err)
	}
	if h, err := client.HeaderByNumber(t.Context(), big.NewInt(int64(rpc.FinalizedBlockNumber))); err != nil || h.Number.Uint64() != 4 {
		t.Errorf("finalized after the reorg: got %v, %v, want block 4", h, err)
	}
}

// A client that lost blocks, or all of them, is brought up to date, by Sync or by the next block.
func TestClientKilled(t *testing.T) {
	t.Parallel()
	c, node := open(t, geth.Prague, beacon.Options{})
	client := dial(t, node.HTTP())
	head := mine(t, c, 20, beacon.Empty())
	for range 2 {
		node.Kill()
		if _, err := c.Mine(t.Context(), beacon.Empty()); err == nil {
			t.Error("mine on a client that is dead: got no error")
		}
		if err := node.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantHead(t, c, client, head)
	}
	node.Kill()
	if err := node.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := mine(t, c, 1, beacon.Empty())
	if next.Header.ParentHash != head.Hash() {
		t.Errorf("block after a crash: built on %s, want %s", next.Header.ParentHash, head.Hash())
	}
	wantHead(t, c, client, next)
}

// TestSlotOfANewHead: who has learned of a head from the client finds its slot.
func TestSlotOfANewHead(t *testing.T) {
	t.Parallel()
	c, node := open(t, geth.Prague, beacon.Options{})
	next, ended := heads(t, node), make(chan error, 1)
	go func() {
		_, err := c.MineN(t.Context(), 200, beacon.Empty())
		ended <- err
	}()
	for range 200 {
		b, ok := c.Block(next())
		if !ok {
			t.Fatal("got a head that was not built")
		}
		w := httptest.NewRecorder()
		c.API().ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprintf("/eth/v1/beacon/blob_sidecars/%d", b.Slot), nil))
		if w.Code != http.StatusOK {
			t.Fatalf("slot %d: got %d %s", b.Slot, w.Code, w.Body)
		}
		w = httptest.NewRecorder()
		c.API().ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprintf("/eth/v1/beacon/headers/%d", b.Slot), nil))
		if !strings.Contains(w.Body.String(), `"canonical":true`) {
			t.Fatalf("slot %d: got %s, want it canonical", b.Slot, w.Body)
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	c, node := open(t, geth.Prague, beacon.Options{GenesisTime: uint64(time.Now().Unix()) - 100})
	next := heads(t, node)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx, 20*time.Millisecond) }()
	var announced []common.Hash
	for range 3 {
		announced = append(announced, next())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	if !slices.ContainsFunc(announced, func(h common.Hash) bool { b, ok := c.Block(h); return ok && b.Slot >= 100 }) {
		t.Error("slots do not follow the clock")
	}
	mine(t, c, 1, beacon.Empty()) // it is still ours to drive
}
