package node_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/await"
	"headrace/block"
	"headrace/devnet/evreth"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/node"
)

const evmFees = "0xfe00000000000000000000000000000000000000"

// onEvReth gives o an ev-reth of its own as the engine: see devnet/evreth.
func onEvReth(t *testing.T, o node.Options) (node.Options, *evreth.Proxy) {
	t.Helper()
	o, g := onGeth(t, o)
	p := evreth.New(g)
	serve := func(h http.Handler) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	e := &o.Config.Engine
	e.Kind, e.URL, e.EthURL, e.FeeRecipient = "evolve-evm", serve(p.Engine()), serve(p.HTTP()), evmFees
	return o, p
}

// pay is a signed transfer of development account i.
func pay(t *testing.T, i int, nonce uint64, value *big.Int) []byte {
	t.Helper()
	to := common.Address{0xaa}
	raw, err := types.MustSignNewTx(geth.DevKey(i), types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), Nonce: nonce, To: &to, Value: value, Gas: 21_000,
		GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(100 * params.GWei),
	}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// runAlone runs a chain's blocks on a geth, without any part of ours, and returns the state root after the last. Of their
// transactions it is given those that are not in bad.
func runAlone(t *testing.T, blocks []node.Block, bad [][]byte) common.Hash {
	t.Helper()
	g := gethtest.Open(t, geth.Options{})
	client, err := rpc.Dial(g.HTTP())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	root := g.GenesisBlock().Root()
	for _, b := range blocks {
		if common.BytesToHash(b.AppHash) != root {
			t.Fatalf("block %d is built on state root %x, want %s", b.Height, b.AppHash, root)
		}
		txs := []hexutil.Bytes{}
		for _, tx := range b.Txs {
			if !slices.ContainsFunc(bad, func(other []byte) bool { return string(other) == string(tx) }) {
				txs = append(txs, tx)
			}
		}
		at := map[string]any{
			"timestamp": hexutil.Uint64(b.Time.Unix()), "prevRandao": common.BigToHash(new(big.Int).SetUint64(b.Height)),
			"suggestedFeeRecipient": evmFees, "withdrawals": []any{}, "parentBeaconBlockRoot": common.Hash{},
		}
		var hash common.Hash
		var h *types.Header
		if err := errors.Join(client.Call(&hash, "testing_commitBlockV1", at, txs, hexutil.Bytes{}), client.Call(&h, "eth_getBlockByHash", hash, false)); err != nil {
			t.Fatalf("run block %d: %v", b.Height, err)
		}
		root = h.Root
	}
	return root
}

// Whoever waits for a transaction that the client passes over in a block is not told that block, but the later one which
// executes it; and so is whoever looks for it, on any node.
func TestSkippedIsInNoBlock(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 200*time.Millisecond)
	chain := newChain(t, "skipped")
	o, pool := onEvReth(t, chain.sequencer(t, d.URL(), 1100*time.Millisecond)) // geth wants a second for each
	seq := start(t, o)
	full, _ := onEvReth(t, chain.full(t, d.URL()))
	follower := start(t, full)
	seq.until(t, "ready", ready)
	early := pay(t, 1, 1, big.NewInt(1))
	type answer struct {
		sent node.Sent
		err  error
	}
	told := make(chan answer, 1)
	go func() {
		sent, err := seq.Send(t.Context(), early, await.Safe)
		told <- answer{sent, err}
	}()
	for _, _, waits := seq.Remembered(); waits < 1; _, _, waits = seq.Remembered() {
		select {
		case got := <-told:
			t.Fatalf("got %+v, %v before it was in a block", got.sent, got.err)
		case <-time.After(time.Millisecond): // until it waits
		}
	}
	pool.List(early)
	skipped := uint64(0)
	for height := uint64(1); skipped == 0; height++ {
		follower.until(t, "at the next block", func(s node.Status) bool { return s.Heads.Safe.Height >= height })
		b, err := follower.Block(height)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(b.Txs, func(tx []byte) bool { return string(tx) == string(early) }) {
			skipped = height
		}
	}
	hash := block.Hash(crypto.Keccak256Hash(early))
	for _, n := range []*running{seq, follower} {
		n.until(t, "at the block that has it", func(s node.Status) bool { return s.Heads.Safe.Height >= skipped })
		if body := wantStatus(t, n, "/v1/txs/"+hash.String(), http.StatusNotFound); !strings.Contains(body, "skipped") {
			t.Errorf("got %s, want that a block in which it was skipped does not count", body)
		}
	}
	if err := seq.SubmitTx(t.Context(), pay(t, 1, 0, big.NewInt(1))); err != nil {
		t.Fatal(err)
	}
	got := <-told
	if got.err != nil || got.sent.Tx.Block.Height <= skipped || len(got.sent.Tx.Receipt) == 0 {
		t.Fatalf("got %+v, %v with %+v, want a block above %d, and a receipt", got.sent, got.err, got.sent.Tx, skipped)
	}
	if found := await1(t, follower, hash.String()); found.Block != got.sent.Tx.Block || found.Index != got.sent.Tx.Index || len(found.Again) > 0 {
		t.Errorf("another node has %+v, want %+v", found, got.sent.Tx)
	}
}

// TestEvolveEVM: a chain with a genesis state and failing transactions is produced, and followed from its genesis to the
// roots of an independent run. A node with another fee recipient comes to another state: it says so, with both roots,
// after a restart too, and executes nothing on it. So does one behind whose home a client of another state is put; with
// the right one it goes on.
func TestEvolveEVM(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 200*time.Millisecond)
	chain := newChain(t, "evolve-evm")
	o, pool := onEvReth(t, chain.sequencer(t, d.URL(), 1100*time.Millisecond)) // geth wants a second for each
	seq := start(t, o)
	seq.until(t, "ready", ready)
	bad := [][]byte{
		pay(t, 1, 7, big.NewInt(1)),                        // too early
		pay(t, 2, 0, new(big.Int).Lsh(big.NewInt(1), 100)), // of more than there is
		[]byte("garbage"),
	}
	pool.List(bad...)
	for nonce := range uint64(3) {
		if err := seq.SubmitTx(t.Context(), pay(t, 0, nonce, big.NewInt(1))); err != nil {
			t.Fatal(err)
		}
	}
	full, _ := onEvReth(t, chain.full(t, d.URL()))
	follower := start(t, full)
	seq.until(t, "beyond 5", func(s node.Status) bool { return s.Heads.Safe.Height > 5 })
	follower.until(t, "ready beyond 5", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height > 5 })

	isGood := func(tx []byte) bool {
		return !slices.ContainsFunc(bad, func(other []byte) bool { return string(other) == string(tx) })
	}
	var blocks []node.Block
	good, failed := 0, 0
	for height := uint64(1); height <= 5; height++ {
		b, err := follower.Block(height)
		if err != nil {
			t.Fatal(err)
		}
		for _, tx := range b.Txs {
			if isGood(tx) {
				good++
			} else {
				failed++
			}
		}
		blocks = append(blocks, b)
	}
	if good != 3 || failed != len(bad) {
		t.Errorf("the chain holds %d good transactions and %d that fail, want 3 and %d", good, failed, len(bad))
	}
	if got, want := common.BytesToHash(blocks[4].StateRoot), runAlone(t, blocks, bad); got != want {
		t.Errorf("state root after block 5: got %s, and an independent run has %s", got, want)
	}

	const otherFees = "0xee00000000000000000000000000000000000000"
	paid := slices.IndexFunc(blocks, func(b node.Block) bool { return slices.ContainsFunc(b.Txs, isGood) }) // the first after which the states differ
	follower.stopped(t)
	height := follower.Status().Load().Heads.Safe.Height
	behind, _ := onEvReth(t, full) // the same home, and a client that is empty
	behind.Config.Engine.FeeRecipient = otherFees
	for range 2 { // it is restarted
		n := start(t, behind)
		s := n.until(t, "ready, or told of the other state", func(s node.Status) bool { return strings.Contains(s.Reason, "state root mismatch") })
		stored := fmt.Sprintf("and %x is stored", []byte(blocks[paid].StateRoot))
		if s.Ready || s.Heads.Unsafe.Height != height || !strings.Contains(s.Reason, stored) || !strings.Contains(s.Reason, fmt.Sprintf("after block %d,", paid+1)) {
			t.Errorf("got ready %v at %d: %s; want it unready at %d, with both roots after block %d", s.Ready, s.Heads.Unsafe.Height, s.Reason, height, paid+1)
		}
		n.stopped(t)
	}
	follower = start(t, full)
	follower.until(t, "going on with the right client", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height > height })

	wrong, _ := onEvReth(t, chain.full(t, d.URL()))
	wrong.Config.Engine.FeeRecipient = otherFees
	for range 2 { // it is restarted
		n := start(t, wrong)
		s := n.until(t, "told of the other state", func(s node.Status) bool { return strings.Contains(waits(s), "state root mismatch") })
		if s.Ready || s.Heads.Unsafe.Height > 4 {
			t.Errorf("got ready %v at %d, want it unready where the first fee was paid", s.Ready, s.Heads.Unsafe.Height)
		}
		n.stopped(t)
	}
}

// waits is what a node waits for, as text.
func waits(s node.Status) string {
	raw, _ := json.Marshal(s.Waiting)
	return s.Reason + string(raw)
}

// TestEvolveEVMRefused: what such a chain cannot be is said at start.
func TestEvolveEVMRefused(t *testing.T) {
	t.Parallel()
	chain := newChain(t, "refused")
	dir := t.TempDir()
	raw, err := json.Marshal(geth.DevGenesis(geth.Prague))
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "genesis.json"), raw, 0o600),
		os.WriteFile(filepath.Join(dir, "jwt.hex"), []byte(strings.Repeat("07", 32)), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(*node.Options)
		says   string
	}{
		{func(o *node.Options) { g := *o.Genesis; g.InitialHeight = 2; o.Genesis = &g }, "want 1"},
		{func(o *node.Options) {
			g := *o.Genesis
			g.DA, g.DAStartHeight, g.L1 = nil, 0, &block.GenesisL1{ChainID: 1, Inbox: "0x00000000000000000000000000000000000000aa", StartBlock: 1}
			o.Genesis, o.Config.L1.HTTP = &g, node.At("http://127.0.0.1:1")
		}, "only a chain on a DA layer"},
		{func(o *node.Options) { o.Config.Engine.FeeRecipient = "" }, "engine.fee_recipient"},
		{func(o *node.Options) { o.Config.Engine.FeeRecipient = "0x12" }, "engine.fee_recipient"},
		{func(o *node.Options) { o.Config.Engine.EthURL, o.Config.Sequencer.Enabled = "", true }, "engine.eth_url"},
		{func(o *node.Options) { o.Config.Engine.EthURL = "ftp://127.0.0.1:1" }, "http or https"},
	} {
		o := chain.full(t, "http://127.0.0.1:1")
		o.Config.Engine = node.EngineConfig{Kind: "evolve-evm", URL: "http://127.0.0.1:1", EthURL: "http://127.0.0.1:1", FeeRecipient: evmFees,
			JWTFile: filepath.Join(dir, "jwt.hex"), GenesisFile: filepath.Join(dir, "genesis.json")}
		c.change(&o)
		err := o.Config.Validate()
		if err == nil {
			var n *node.Node
			if n, err = node.New(o); err == nil {
				err = n.Close()
			}
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want it refused saying %q", err, c.says)
		}
	}
}
