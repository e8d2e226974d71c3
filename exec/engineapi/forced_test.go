package engineapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec"
	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

// data makes a transaction create a contract by this code.
func data(code ...byte) func(*types.DynamicFeeTx) {
	return func(tx *types.DynamicFeeTx) { tx.To, tx.Data, tx.Gas = nil, code, 200_000 }
}

// Forced transactions get into the next block whatever the pool thinks of them, in their order and alone; what cannot
// be included is left out. Others execute that block like any.
func TestBuildForced(t *testing.T) {
	t.Parallel()
	for _, fork := range []geth.Fork{geth.Cancun, geth.Prague, geth.Osaka} {
		t.Run(fork.String(), func(t *testing.T) {
			t.Parallel()
			n, e := fresh(t, fork, nil)
			_, other := fresh(t, fork, nil)
			id := big.NewInt(geth.DevChainID)
			signer := types.LatestSignerForChainID(id)
			// In the pool: one with the same nonce that pays more.
			submit(t, e, by(geth.DevKey(1), func(tx *types.DynamicFeeTx) {
				tx.GasTipCap, tx.GasFeeCap = big.NewInt(50*params.GWei), big.NewInt(200*params.GWei)
			}))
			forced := [][]byte{
				[]byte("garbage"),
				raw(t, by(geth.DevKey(1), nil)),
				raw(t, types.MustSignNewTx(geth.DevKey(2), signer, &types.LegacyTx{To: &common.Address{1}, Gas: 21_000, GasPrice: big.NewInt(100 * params.GWei)})),
				raw(t, types.MustSignNewTx(geth.DevKey(3), signer, &types.AccessListTx{ChainID: id, To: &common.Address{2}, Gas: 40_000, GasPrice: big.NewInt(100 * params.GWei),
					AccessList: types.AccessList{{Address: common.Address{3}, StorageKeys: []common.Hash{{1}}}}})),
				raw(t, transfer(4, 1)), // a nonce too high
				raw(t, transfer(4, 0)), raw(t, transfer(4, 1)),
				raw(t, by(geth.DevKey(5), data(0x60, 0, 0x60, 0, 0xa0, 0))),                      // logs
				raw(t, by(geth.DevKey(6), data(0x60, 0, 0x60, 0, 0xa0, 0x60, 0, 0x60, 0, 0xfd))), // logs, and reverts
				raw(t, by(geth.DevKey(7), data(0xfe))),                                           // fails
				raw(t, transfer(4, 1)),                                                           // again
			}
			want := append(forced[1:4:4], forced[5:10]...)
			b := wrap(nil, nil)
			txs, err := e.BuildForced(t.Context(), b.Height(), b.Header.Header.Time, 1<<20, forced)
			if err != nil {
				t.Fatal(err)
			}
			wantTxs(t, txs, want)
			first := wrap(nil, txs)
			wantHead(t, e, n, nil)
			execute(t, e, first)
			execute(t, other, first)

			// As much gas as a block has, and the least tip: no builder by tips would take it while others come.
			greedy := raw(t, by(geth.DevKey(8), func(tx *types.DynamicFeeTx) {
				tx.Gas, tx.GasTipCap = min(header(t, first).GasLimit, maxGas(fork)), big.NewInt(params.GWei/1000)
			}))
			submit(t, e, transfer(9, 0))
			txs, err = e.BuildForced(t.Context(), first.Height()+1, first.Header.Header.Time, 1<<20, [][]byte{greedy, raw(t, transfer(10, 0))})
			if err != nil {
				t.Fatal(err)
			}
			if fork == geth.Osaka {
				wantTxs(t, txs, [][]byte{greedy, raw(t, transfer(10, 0))})
			} else {
				wantTxs(t, txs, [][]byte{greedy})
			}
			second := wrap(first, txs)
			execute(t, e, second)
			execute(t, other, second)

			// Nothing that could be included: the block is one of the pool's.
			txs, err = e.BuildForced(t.Context(), second.Height()+1, second.Header.Header.Time, 1<<20, [][]byte{greedy, []byte("garbage")})
			if err != nil {
				t.Fatal(err)
			}
			wantTxs(t, txs, [][]byte{raw(t, transfer(9, 0))})
			if _, err := e.BuildForced(t.Context(), second.Height(), 0, 1<<20, forced); !errors.Is(err, exec.ErrParent) {
				t.Errorf("at the head: got %v, want ErrParent", err)
			}
		})
	}
}

// maxGas is what a transaction may have.
func maxGas(fork geth.Fork) uint64 {
	if fork >= geth.Osaka {
		return params.MaxTxGas
	}
	return 1 << 62
}

// wantTxs compares a built block's transactions, behind the seal.
func wantTxs(t testing.TB, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want)+1 {
		t.Fatalf("got %d transactions, want the seal and %d", len(got), len(want))
	}
	for i := range want {
		if string(got[i+1]) != string(want[i]) {
			t.Fatalf("transaction %d is another one", i)
		}
	}
}

// A sender whose blob transaction is in the pool for ever can send nothing else by it.
func TestBuildForcedPastReservation(t *testing.T) {
	t.Parallel()
	n, e := fresh(t, geth.Cancun, nil)
	parent := produce(t, e, nil)
	// The empty blob's commitment and proof are the point at infinity.
	sidecar := types.NewBlobTxSidecar(types.BlobSidecarVersion0, []kzg4844.Blob{{}}, []kzg4844.Commitment{{0xc0}}, []kzg4844.Proof{{0xc0}})
	id := big.NewInt(geth.DevChainID)
	stuck := types.MustSignNewTx(geth.DevKey(1), types.LatestSignerForChainID(id), &types.BlobTx{
		ChainID: uint256.MustFromBig(id), GasTipCap: uint256.NewInt(1), GasFeeCap: uint256.NewInt(1), Gas: 21_000, BlobFeeCap: uint256.NewInt(1),
		BlobHashes: sidecar.BlobHashes(), Sidecar: sidecar,
	})
	submit(t, e, stuck)
	tx := raw(t, by(geth.DevKey(1), nil))
	if err := e.SubmitTx(t.Context(), tx); err == nil {
		t.Skip("this client's pool takes both")
	}
	txs, err := e.BuildForced(t.Context(), parent.Height()+1, parent.Header.Header.Time, 1<<20, [][]byte{tx})
	if err != nil {
		t.Fatal(err)
	}
	wantTxs(t, txs, [][]byte{tx})
	next := wrap(parent, txs)
	execute(t, e, next)
	wantHead(t, e, n, next)
}

// A client that cannot simulate, or simulates something else, gets the transactions into its pool.
func TestBuildForcedWithoutSimulation(t *testing.T) {
	t.Parallel()
	_, p, e := tapped(t, geth.Options{})
	var parent *block.Block
	for i, r := range []rule{
		{answer: `"error":{"code":-32601,"message":"the method does not exist"}`}, {answer: `"result":[]`}, {answer: `"result":[{}]`},
		{answer: `"error":{"code":-38010,"message":"nonce too low"}`}, {status: 500},
	} {
		p.set("eth_simulateV1", r)
		b, tx := wrap(parent, nil), raw(t, transfer(i, 0))
		txs, err := e.BuildForced(t.Context(), b.Height(), b.Header.Header.Time, 1<<20, [][]byte{tx})
		if err != nil {
			t.Fatal(err)
		}
		wantTxs(t, txs, [][]byte{tx})
		b = wrap(parent, txs)
		execute(t, e, b)
		parent = b
	}
}

// A block holds as much of what the client has built as it may, and nothing that was left out is lost.
func TestBuildCut(t *testing.T) {
	t.Parallel()
	n, e := fresh(t, geth.Prague, nil)
	_, other := fresh(t, geth.Prague, nil)
	const each = 20
	large := raw(t, by(geth.DevKey(9), func(tx *types.DynamicFeeTx) { tx.Data, tx.Gas = make([]byte, 100_000), 5_000_000 }))
	if err := e.SubmitTx(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		for nonce := range uint64(each) {
			submit(t, e, transfer(i, nonce))
		}
	}
	var parent *block.Block
	found := 0
	for range 40 {
		b := wrap(parent, nil)
		txs, err := e.Build(t.Context(), b.Height(), b.Header.Header.Time, 4000)
		if err != nil {
			t.Fatal(err)
		}
		if size := exec.Size(txs); size > 4000 {
			t.Fatalf("got %d bytes, want 4000 at most", size)
		}
		b = wrap(parent, txs)
		execute(t, e, b)
		execute(t, other, b)
		parent = b
		if found += len(txs) - 1; found == 5*each {
			break
		}
	}
	if found != 5*each {
		t.Errorf("got %d transactions in 40 blocks, want %d", found, 5*each)
	}
	wantHead(t, e, n, parent)
	if _, err := e.Build(t.Context(), parent.Height()+1, 0, 100); err == nil {
		t.Error("build a block of at most 100 bytes: got no error")
	}
}

// A large transaction that the client puts behind more small ones than a block holds, in each block, is in one of the
// next all the same.
func TestBuildCutLongestFirst(t *testing.T) {
	t.Parallel()
	_, e := fresh(t, geth.Prague, nil)
	large := raw(t, by(geth.DevKey(9), func(tx *types.DynamicFeeTx) {
		tx.Data, tx.Gas, tx.GasTipCap = make([]byte, 5100), 500_000, big.NewInt(params.GWei/100)
	}))
	if err := e.SubmitTx(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	var parent *block.Block
	for n := range uint64(10) {
		for i := range 5 {
			for nonce := range uint64(12) {
				submit(t, e, transfer(i, 12*n+nonce))
			}
		}
		b := wrap(parent, nil)
		txs, err := e.Build(t.Context(), b.Height(), b.Header.Header.Time, 9000)
		if err != nil {
			t.Fatal(err)
		}
		if size := exec.Size(txs); size > 9000 || len(txs) < 2 {
			t.Fatalf("got %d transactions of %d bytes, want some, and 9000 bytes at most", len(txs), size)
		}
		b = wrap(parent, txs)
		execute(t, e, b)
		parent = b
		for i, tx := range txs {
			if bytes.Equal(tx, large) {
				if n == 0 {
					t.Errorf("the large transaction is number %d of the first block: this shows nothing", i)
				}
				return
			}
		}
	}
	t.Error("the large transaction is in none of ten blocks")
}

// All that is not exempt of one item has room in one block.
func TestExemptByGas(t *testing.T) {
	t.Parallel()
	_, e := fresh(t, geth.Cancun, nil)
	b := produce(t, e, nil)
	limit := header(t, b).GasLimit
	with := func(i int, nonce, gas uint64) []byte {
		return raw(t, by(geth.DevKey(i), func(tx *types.DynamicFeeTx) { tx.Nonce, tx.Gas = nonce, gas }))
	}
	for name, c := range map[string]struct {
		item   [][]byte
		exempt []bool
	}{
		"all of a block":       {[][]byte{with(0, 0, limit)}, []bool{false}},
		"two halves":           {[][]byte{with(0, 0, limit/2), with(1, 0, limit/2), with(2, 0, 21_000)}, []bool{false, false, true}},
		"more behind the most": {[][]byte{with(0, 0, limit), with(1, 0, 21_000)}, []bool{false, true}},
		"more than there is":   {[][]byte{with(0, 0, 1<<63), with(1, 0, 1<<63), with(2, 0, 21_000)}, []bool{true, true, true}},
		"garbage asks nothing": {[][]byte{{1, 2, 3}, with(0, 0, limit)}, []bool{true, false}},
	} {
		why, err := e.Exempt(t.Context(), b.Height(), c.item)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.exempt {
			if got := why[i] != ""; got != want {
				t.Errorf("%s: transaction %d: got %q, want a reason: %t", name, i, why[i], want)
			}
		}
	}
}

// Execution requests are no obstacle: neither those of a forced transaction, nor those that wait from before, 16 of
// which are in each block.
func TestBuildForcedWithRequests(t *testing.T) {
	t.Parallel()
	for _, fork := range []geth.Fork{geth.Prague, geth.Osaka} {
		t.Run(fork.String(), func(t *testing.T) {
			t.Parallel()
			_, e := fresh(t, fork, nil)
			_, other := fresh(t, fork, nil)
			withdraw := func(nonce uint64) []byte {
				return raw(t, by(geth.DevKey(1), func(tx *types.DynamicFeeTx) {
					tx.Nonce, tx.To, tx.Data, tx.Gas, tx.Value = nonce, &params.WithdrawalQueueAddress, make([]byte, 56), 200_000, big.NewInt(params.GWei)
				}))
			}
			var many [][]byte
			for nonce := range uint64(40) {
				many = append(many, withdraw(nonce))
			}
			parent := produce(t, e, nil)
			execute(t, other, parent)
			build := func(want int, forced [][]byte) {
				t.Helper()
				txs, err := e.BuildForced(t.Context(), parent.Height()+1, parent.Header.Header.Time, 1<<20, forced)
				if err != nil {
					t.Fatal(err)
				}
				wantTxs(t, txs, forced)
				parent = wrap(parent, txs)
				execute(t, e, parent)
				execute(t, other, parent)
				seal, err := engineapi.DecodeSeal(txs[0])
				if err != nil {
					t.Fatal(err)
				}
				got := 0
				for _, r := range seal.Requests {
					got += len(r) / 76
				}
				if got != want {
					t.Fatalf("got %d requests, want %d", got, want)
				}
			}
			build(16, many)
			build(16, [][]byte{raw(t, transfer(2, 0))})
			build(8, [][]byte{raw(t, transfer(2, 1))})
			build(0, [][]byte{raw(t, transfer(2, 2))})
		})
	}
}

// What the client simulates is believed only when it has executed it as a block: with another root, or fewer results,
// the pool is what is left.
func TestBuildForcedIsExecuted(t *testing.T) {
	t.Parallel()
	_, p, e := tapped(t, geth.Options{})
	parent := produce(t, e, nil)
	h := types.CopyHeader(header(t, parent))
	h.Number, h.ParentHash, h.Time, h.Root, h.GasUsed = new(big.Int).Add(h.Number, common.Big1), h.Hash(), h.Time+1, common.Hash{1}, 21_000
	encoded, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for i, calls := range []string{`[{"status":"0x1","gasUsed":"0x5208","logs":[]}]`, `[]`} {
		p.set("eth_simulateV1", rule{answer: fmt.Sprintf(`"result":[%s,"calls":%s}]`, encoded[:len(encoded)-1], calls)})
		tx := raw(t, transfer(i, 0))
		txs, err := e.BuildForced(t.Context(), parent.Height()+1, parent.Header.Header.Time, 1<<20, [][]byte{tx})
		if err != nil {
			t.Fatal(err)
		}
		wantTxs(t, txs, [][]byte{tx})
		parent = wrap(parent, txs)
		execute(t, e, parent)
	}
}

// One that the client trips over does not keep the others out, and what there is no room for waits.
func TestBuildForcedInPart(t *testing.T) {
	t.Parallel()
	genesis := geth.DevGenesis(geth.Prague)
	genesis.GasLimit = 60_000_000 // above what a client simulates if it is not told otherwise
	n := gethtest.Open(t, geth.Options{Genesis: genesis, GasLimit: genesis.GasLimit})
	e := open(t, options(t, n))
	parent := produce(t, e, nil)
	greedy := raw(t, by(geth.DevKey(1), func(tx *types.DynamicFeeTx) { tx.To, tx.Data, tx.Gas = nil, []byte{0xfe}, 55_000_000 }))
	forced := [][]byte{greedy, raw(t, transfer(2, 0)), raw(t, transfer(3, 0)), raw(t, transfer(2, 1))}
	txs, err := e.BuildForced(t.Context(), parent.Height()+1, parent.Header.Header.Time, 1<<20, forced)
	if err != nil {
		t.Fatal(err)
	}
	wantTxs(t, txs, forced[1:])
	small := 3<<10 + 2*len(forced[1]) + len(forced[1])/2
	txs, err = e.BuildForced(t.Context(), parent.Height()+1, parent.Header.Header.Time, small, forced[1:])
	if err != nil {
		t.Fatal(err)
	}
	wantTxs(t, txs, forced[1:3])
	execute(t, e, wrap(parent, txs))
}
