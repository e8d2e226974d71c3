package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/devnet/evreth"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/internal/nettest"
	"headrace/node"
	"headrace/watch"
)

var evmKillsFlag = flag.Int("evm.kills", 10, "how many processes TestEvolveEVMKills kills")

const evmFees = "0xfe00000000000000000000000000000000000000"

// evm is an execution client for evolve-evm, and the flags that name it.
type evm struct {
	*geth.Node
	proxy *evreth.Proxy
	flags []string
}

func newEVM(t *testing.T, genesis string) evm {
	t.Helper()
	g := gethtest.Open(t, geth.Options{})
	p := evreth.New(g)
	engine, eth := httptest.NewServer(p.Engine()), httptest.NewServer(p.HTTP())
	t.Cleanup(func() { engine.Close(); eth.Close() })
	return evm{g, p, []string{
		"--engine.kind", "evolve-evm", "--engine.url", engine.URL, "--engine.eth_url", eth.URL, "--engine.fee_recipient", evmFees,
		"--engine.jwt_file", filepath.Join(g.Dir(), "jwt.hex"), "--engine.genesis_file", genesis,
	}}
}

// transfer is a signed transfer of development account i.
func transfer(t *testing.T, i int, nonce uint64, value *big.Int) []byte {
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

// TestEvolveEVMKills: an EVM chain of Evolve with a genesis state, whose blocks hold failing transactions among good
// ones, is followed from its genesis by a node that is killed at any moment, and its execution client too. It ends with
// the roots of an independent run.
func TestEvolveEVMKills(t *testing.T) {
	noteSources(t)
	rng := rand.New(rand.NewPCG(seedOf(t), 3))
	home := t.TempDir()
	in := func(names ...string) string { return filepath.Join(append([]string{home}, names...)...) }
	raw, err := json.Marshal(geth.DevGenesis(geth.Prague))
	if err := errors.Join(err, os.WriteFile(in("evm.json"), raw, 0o600), os.WriteFile(in("pass"), []byte("correct horse\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	made, followed, listen := newEVM(t, in("evm.json")), newEVM(t, in("evm.json")), nettest.FreeAddress(t)
	all := []string{"--da.address", "http://" + listen, "--http.address", "127.0.0.1:0", "--log.format", "json"}
	headrace(t, append(append([]string{"init", "--home", in("seq"), "--sequencer", "--passphrase-file", in("pass"), "--chain-id", "e2e",
		"--sequencer.block_time", "1100ms"}, all...), made.flags...)...) // geth wants a second for each block
	headrace(t, append(append([]string{"init", "--home", in("full"), "--genesis", in("seq", "genesis.json")}, all...), followed.flags...)...)
	cheapen(t, in("seq", "sequencer.key"))
	program := func(name string, args ...string) *server {
		return &server{name: name, args: args, url: new(watch.Value[address])}
	}
	r := &rollup{
		home: home,
		da:   program("da", "da", "--home", in("da"), "--listen", listen, "--block-time", "200ms", "--chain-id", "e2e-da", "--log.format", "json"),
		seq:  program("sequencer", "start", "--home", in("seq")),
		all:  program("full node", "start", "--home", in("full")),
	}
	r.servers = []*server{r.da, r.seq, r.all}
	for _, s := range r.servers {
		s.start(t)
	}
	client, err := rpc.Dial(made.HTTP())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	var highest uint64
	for kills := 0; kills < *evmKillsFlag; kills++ {
		made.proxy.List(transfer(t, 1, 7, big.NewInt(1)), transfer(t, 2, 0, new(big.Int).Lsh(big.NewInt(1), 100)), []byte("garbage"))
		if err := client.Call(nil, "eth_sendRawTransaction", hexutil.Bytes(transfer(t, 0, uint64(kills), big.NewInt(1)))); err != nil {
			t.Fatal(err)
		}
		r.killFollower(t, rng, followed.Node)
		if kills%4 == 3 {
			highest = r.settled(t, highest)
		}
	}
	r.settled(t, max(highest, uint64(r.seq.p.told.Load().Blocks)-1)) // all that the sequencer, which was not killed, has made
	r.verifyEVM(t, r.all.p.told.Load().Safe)
	for _, s := range []*server{r.all, r.seq, r.da} {
		s.p.interrupt(t)
	}
}

// killFollower kills the full node, its execution client, or both, at a random moment from now, and starts what it
// killed again.
func (r *rollup) killFollower(t *testing.T, rng *rand.Rand, g *geth.Node) {
	t.Helper()
	moment, cancel := context.WithTimeout(t.Context(), time.Duration(rng.Int64N(int64(1500*time.Millisecond)))) // chance's clock
	defer cancel()
	told, blocks, early := r.all.p.told, r.all.p.told.Load().Blocks, rng.IntN(2) == 0
	if _, err := told.Wait(moment, func(p progress) bool { return early && p.Blocks > blocks }); told.Err() != nil {
		t.Fatalf("the full node ended by itself: %v\n%s", err, told.Load().Tail)
	}
	victims := rng.IntN(3)
	if victims != 0 {
		g.Kill()
	}
	if victims != 1 {
		r.all.p.kill()
		r.all.start(t)
	}
	if victims != 0 {
		if err := g.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// verifyEVM compares the full node's blocks with the sequencer's, and its state roots with those of a geth that runs
// them alone: as many of a block's transactions as can be executed, in their order.
func (r *rollup) verifyEVM(t *testing.T, highest uint64) {
	t.Helper()
	g := gethtest.Open(t, geth.Options{})
	client, err := rpc.Dial(g.HTTP())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	parent, root, failed, good := g.GenesisBlock().Hash(), g.GenesisBlock().Root(), 0, 0
	for height := uint64(1); height <= highest; height++ {
		b, made := blockAt(t, r.all, height), blockAt(t, r.seq, height)
		if b.Hash != made.Hash || common.BytesToHash(b.AppHash) != root {
			t.Fatalf("block %d: got %s on root %x, the sequencer has %s, and an independent run root %s", height, b.Hash, b.AppHash, made.Hash, root)
		}
		at := map[string]any{
			"timestamp": hexutil.Uint64(b.Time.Unix()), "prevRandao": common.BigToHash(new(big.Int).SetUint64(height)),
			"suggestedFeeRecipient": evmFees, "withdrawals": []any{}, "parentBeaconBlockRoot": common.Hash{},
		}
		txs := []hexutil.Bytes{}
		for _, tx := range b.Txs {
			with := append(txs[:len(txs):len(txs)], tx)
			if client.Call(nil, "testing_buildBlockV1", parent, at, with, hexutil.Bytes{}) == nil {
				txs = with
			} else {
				failed++
			}
		}
		good += len(txs)
		if err := client.Call(&parent, "testing_commitBlockV1", at, txs, hexutil.Bytes{}); err != nil {
			t.Fatalf("run block %d: %v", height, err)
		}
		var h *types.Header
		if err := client.Call(&h, "eth_getBlockByHash", parent, false); err != nil {
			t.Fatal(err)
		}
		if root = h.Root; common.BytesToHash(b.StateRoot) != root {
			t.Fatalf("state root after block %d: got %x, and an independent run has %s", height, b.StateRoot, root)
		}
	}
	t.Logf("%d blocks with %d transactions, and %d that fail", highest, good, failed)
	if good == 0 || failed == 0 {
		t.Errorf("got %d good and %d failing transactions, want both", good, failed)
	}
}

// blockAt is a block as a server tells it.
func blockAt(t *testing.T, s *server, height uint64) (b node.Block) {
	t.Helper()
	url := s.ready(t.Context(), t)
	resp, err := http.Get(fmt.Sprintf("%s/v1/blocks/%d", url, height))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if err := json.NewDecoder(resp.Body).Decode(&b); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("block %d of the %s: %s, %v", height, s.name, resp.Status, err)
	}
	return b
}
