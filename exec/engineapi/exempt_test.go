package engineapi_test

import (
	"crypto/ecdsa"
	"errors"
	"math/big"
	"strconv"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec"
	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

// by signs a transaction that change may alter, of a plain kind otherwise.
func by(key *ecdsa.PrivateKey, change func(*types.DynamicFeeTx)) *types.Transaction {
	tx := &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), To: &common.Address{0xaa}, Value: big.NewInt(1), Gas: 21_000,
		GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(100 * params.GWei),
	}
	if change != nil {
		change(tx)
	}
	return types.MustSignNewTx(key, types.LatestSignerForChainID(tx.ChainID), tx)
}

// A transaction is exempt exactly if a builder never includes it: each is asked about, then offered to a real client
// with ordinary settings, and looked for in the blocks that it builds. Reasons are the same on another node, and at
// the same block later.
func TestExempt(t *testing.T) {
	t.Parallel()
	n := gethtest.Open(t, geth.Options{Genesis: geth.DevGenesis(geth.Osaka), Args: []string{"--miner.gasprice", strconv.Itoa(params.GWei / 1000)}}) // the default
	e := open(t, options(t, n))
	_, other := fresh(t, geth.Osaka, nil)
	submit(t, e, transfer(0, 0)) // account 0 has used its first nonce
	start := produce(t, e, nil)
	execute(t, other, start)

	poor, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	id := big.NewInt(geth.DevChainID)
	signer := types.LatestSignerForChainID(id)
	legacy := &types.LegacyTx{Nonce: 0, To: &common.Address{0xaa}, Gas: 21_000, GasPrice: big.NewInt(100 * params.GWei)}
	gwei := func(n int64) *big.Int { return big.NewInt(n * params.GWei) }
	cases := []struct {
		name   string
		tx     []byte
		exempt bool
	}{
		{"plain", raw(t, by(geth.DevKey(1), nil)), false},
		{"legacy", raw(t, types.MustSignNewTx(geth.DevKey(2), signer, legacy)), false},
		{"access list", raw(t, types.MustSignNewTx(geth.DevKey(3), signer, &types.AccessListTx{
			ChainID: id, To: &common.Address{}, Gas: 30_000, GasPrice: gwei(100), AccessList: types.AccessList{{Address: common.Address{1}}}})), false},
		{"the least tip", raw(t, by(geth.DevKey(4), func(tx *types.DynamicFeeTx) { tx.GasTipCap = big.NewInt(params.GWei / 1000) })), false},
		{"next nonce", raw(t, by(geth.DevKey(0), func(tx *types.DynamicFeeTx) { tx.Nonce = 1 })), false},
		{"a transaction that fails", raw(t, by(geth.DevKey(5), func(tx *types.DynamicFeeTx) {
			tx.To, tx.Data, tx.Gas = nil, []byte{0xfe}, 60_000 // creates a contract by an invalid instruction
		})), false},
		{"much data", raw(t, by(geth.DevKey(6), func(tx *types.DynamicFeeTx) { tx.Data, tx.Gas = make([]byte, 60_000), 3_000_000 })), false},

		{"used nonce", raw(t, transfer(0, 0)), true},
		{"used nonce, another transaction", raw(t, by(geth.DevKey(0), func(tx *types.DynamicFeeTx) { tx.Value = big.NewInt(2) })), true},
		{"nonce gap", raw(t, by(geth.DevKey(7), func(tx *types.DynamicFeeTx) { tx.Nonce = 1 })), true},
		{"last nonce", raw(t, by(geth.DevKey(8), func(tx *types.DynamicFeeTx) { tx.Nonce = 1<<64 - 1 })), true},
		{"no funds", raw(t, by(poor, nil)), true},
		{"more value than funds", raw(t, by(geth.DevKey(8), func(tx *types.DynamicFeeTx) { tx.Value.Lsh(tx.Value, 100) })), true},
		{"no tip", raw(t, by(geth.DevKey(9), func(tx *types.DynamicFeeTx) { tx.GasTipCap = new(big.Int) })), true},
		{"less than the least tip", raw(t, by(geth.DevKey(9), func(tx *types.DynamicFeeTx) { tx.GasTipCap = big.NewInt(params.GWei/1000 - 1) })), true},
		{"fee below the base fee", raw(t, by(geth.DevKey(10), func(tx *types.DynamicFeeTx) { tx.GasFeeCap, tx.GasTipCap = big.NewInt(6), big.NewInt(6) })), true},
		{"tip above the fee", raw(t, by(geth.DevKey(10), func(tx *types.DynamicFeeTx) { tx.GasTipCap = gwei(101) })), true},
		{"too little gas", raw(t, by(geth.DevKey(10), func(tx *types.DynamicFeeTx) { tx.Gas = 20_999 })), true},
		{"too little gas for its data", raw(t, by(geth.DevKey(10), func(tx *types.DynamicFeeTx) { tx.Data = make([]byte, 100) })), true},
		{"more gas than a transaction may have", raw(t, by(geth.DevKey(10), func(tx *types.DynamicFeeTx) { tx.Gas = params.MaxTxGas + 1 })), true},
		{"more gas than a block", raw(t, by(geth.DevKey(10), func(tx *types.DynamicFeeTx) { tx.Gas = 1 << 40 })), true},
		{"too much init code", raw(t, by(geth.DevKey(10), func(tx *types.DynamicFeeTx) {
			tx.To, tx.Data, tx.Gas = nil, make([]byte, params.MaxInitCodeSize+1), 10_000_000
		})), true},
		{"other chain", raw(t, types.MustSignNewTx(geth.DevKey(10), types.LatestSignerForChainID(big.NewInt(5)), &types.DynamicFeeTx{
			ChainID: big.NewInt(5), Gas: 21_000, To: &common.Address{}, GasTipCap: gwei(1), GasFeeCap: gwei(100)})), true},
		{"any chain", raw(t, types.MustSignNewTx(geth.DevKey(10), types.HomesteadSigner{}, legacy)), true},
		{"blobs", raw(t, types.MustSignNewTx(geth.DevKey(10), signer, &types.BlobTx{
			ChainID: uint256.MustFromBig(id), GasTipCap: uint256.NewInt(params.GWei), GasFeeCap: uint256.NewInt(100 * params.GWei), Gas: 21_000,
			BlobFeeCap: uint256.NewInt(params.GWei), BlobHashes: []common.Hash{{1}}})), true},
		{"garbage", []byte("garbage"), true},
		{"empty", nil, true},
		{"a seal", start.Data.Txs[0], true},
		{"a tail", append(raw(t, by(geth.DevKey(10), nil)), 0), true},
	}
	ask := func(e *engineapi.Engine, height uint64, tx []byte) string {
		t.Helper()
		why, err := e.Exempt(t.Context(), height, [][]byte{tx})
		if err != nil {
			t.Fatal(err)
		}
		return why[0]
	}
	before := make([]string, len(cases))
	for i, c := range cases {
		before[i] = ask(e, start.Height(), c.tx)
		if got := before[i] != ""; got != c.exempt {
			t.Errorf("%s: got reason %q, want one: %t", c.name, before[i], c.exempt)
		}
		if err := e.SubmitTx(t.Context(), c.tx); err != nil && !c.exempt {
			t.Errorf("%s is not exempt, but refused: %v", c.name, err)
		}
	}
	built, parent := map[string]bool{}, start
	for range 3 {
		parent = produce(t, e, parent)
		execute(t, other, parent)
		for _, tx := range parent.Data.Txs {
			built[string(tx)] = true
		}
	}
	for i, c := range cases {
		if built[string(c.tx)] == c.exempt {
			t.Errorf("%s: exempt %t, in a block %t", c.name, c.exempt, built[string(c.tx)])
		}
		if now, there := ask(e, start.Height(), c.tx), ask(other, start.Height(), c.tx); now != before[i] || there != before[i] {
			t.Errorf("%s: got reason %q later and %q elsewhere, want %q", c.name, now, there, before[i])
		}
		if ask(e, parent.Height(), c.tx) == "" {
			t.Errorf("%s: not exempt any more after it was included", c.name)
		}
	}
	if _, err := e.Exempt(t.Context(), parent.Height()+1, [][]byte{cases[0].tx}); !errors.Is(err, exec.ErrParent) {
		t.Errorf("above the head: got %v, want ErrParent", err)
	}
	wantHead(t, e, n, parent)
}

// What stands between the engine and its client exempts nothing, and a state that the client has dropped is there
// again after a revert.
func TestExemptWithoutState(t *testing.T) {
	t.Parallel()
	n, p, e := tapped(t, geth.Options{Args: []string{"--state.scheme", "path", "--gcmode", "full"}}) // as most are run
	var chain []*block.Block
	var parent *block.Block
	for range 140 { // more than the 128 that a client keeps the state of
		parent = produce(t, e, parent)
		chain = append(chain, parent)
	}
	tx, first := [][]byte{raw(t, transfer(0, 0))}, chain[0].Height()
	if why, err := e.Exempt(t.Context(), first, tx); !errors.Is(err, exec.ErrPruned) || why != nil {
		t.Fatalf("after block %d of %d: got %q, %v, want ErrPruned", first, parent.Height(), why, err)
	}
	for _, method := range []string{"eth_getProof", "eth_getBlockByHash"} {
		for _, r := range []rule{{drop: true}, {status: 500}, {answer: `"error":{"code":-32000,"message":"trouble"}`}, {answer: `"result":null`}} {
			p.set(method, r)
			if why, err := e.Exempt(t.Context(), parent.Height(), tx); err == nil || why != nil || errors.Is(err, exec.ErrPruned) || errors.Is(err, exec.ErrInvalid) {
				t.Errorf("%s %+v: got %q, %v, want an error that is no verdict", method, r, why, err)
			}
		}
		p.clear()
	}
	if err := e.Revert(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if why, err := e.Exempt(t.Context(), first, tx); err != nil || why[0] != "" {
		t.Fatalf("after a revert: got %q, %v, want none", why, err)
	}
	for _, b := range chain[1:] {
		execute(t, e, b)
	}
	wantHead(t, e, n, parent)
}

// What a sender offers counts above the base fee of the next block, to the wei; and an account with code sends
// nothing, unless it has only delegated.
func TestExemptAtTheEdge(t *testing.T) {
	t.Parallel()
	genesis := geth.DevGenesis(geth.Prague)
	code := func(i int, code []byte) {
		a := genesis.Alloc[geth.DevAddress(i)]
		a.Code = code
		genesis.Alloc[geth.DevAddress(i)] = a
	}
	code(1, []byte{0})
	code(2, types.AddressToDelegation(common.Address{1}))
	n := gethtest.Open(t, geth.Options{Genesis: genesis})
	e := open(t, options(t, n))
	b := produce(t, e, nil)
	base := eip1559.CalcBaseFee(genesis.Config, header(t, b))
	offer := func(above int64) []byte {
		return raw(t, by(geth.DevKey(3), func(tx *types.DynamicFeeTx) {
			tx.GasFeeCap, tx.GasTipCap = new(big.Int).Add(base, big.NewInt(above)), big.NewInt(params.GWei/1000)
		}))
	}
	for name, c := range map[string]struct {
		tx     []byte
		exempt bool
	}{
		"a wei too little":          {offer(params.GWei/1000 - 1), true},
		"just enough":               {offer(params.GWei / 1000), false},
		"a contract":                {raw(t, transfer(1, 0)), true},
		"an account that delegates": {raw(t, transfer(2, 0)), false},
		"an account like any":       {raw(t, transfer(4, 0)), false},
	} {
		why, err := e.Exempt(t.Context(), b.Height(), [][]byte{c.tx})
		if err != nil {
			t.Fatal(err)
		}
		if got := why[0] != ""; got != c.exempt {
			t.Errorf("%s: got %q, want a reason: %t", name, why[0], c.exempt)
		}
	}
}

// The transactions of an item are thought of one after the other: what those before it spend, of nonces and money,
// counts.
func TestExemptOneAfterTheOther(t *testing.T) {
	t.Parallel()
	_, e := fresh(t, geth.Prague, nil)
	b := produce(t, e, nil)
	spend := func(nonce uint64, ether int64) []byte {
		return raw(t, by(geth.DevKey(1), func(tx *types.DynamicFeeTx) {
			tx.Nonce, tx.Value = nonce, new(big.Int).Mul(big.NewInt(ether), big.NewInt(params.Ether))
		}))
	}
	for name, c := range map[string]struct {
		item   [][]byte
		exempt []bool
	}{
		"a chain":              {[][]byte{spend(0, 1), spend(1, 1), spend(2, 1)}, []bool{false, false, false}},
		"a gap":                {[][]byte{spend(0, 1), spend(2, 1)}, []bool{false, true}},
		"the wrong way round":  {[][]byte{spend(1, 1), spend(0, 1)}, []bool{true, false}},
		"twice":                {[][]byte{spend(0, 1), spend(0, 2)}, []bool{false, true}},
		"more than there is":   {[][]byte{spend(0, 600_000), spend(1, 600_000)}, []bool{false, true}},
		"nothing left to cost": {[][]byte{spend(0, 2_000_000), spend(0, 1)}, []bool{true, false}},
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
