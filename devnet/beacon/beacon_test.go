package beacon_test

import (
	"context"
	"math/big"
	"testing"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"

	"github.com/ethereum/go-ethereum/core/types"
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

var _ = context.Background
var _ = big.NewInt
var _ types.Transaction

func TestForks(t *testing.T) {
	c, _ := open(t, geth.Prague, beacon.Options{})
	b, err := c.MineN(t.Context(), 40, beacon.Empty())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(b.Number(), b.Hash())
	for _, r := range []struct{ depth uint64; n int }{{3, 5}, {5, 5}, {3, 1}, {2, 0}, {36, 1}, {0,40}, {35,0}} {
		if _, err := c.Reorg(t.Context(), r.depth, beacon.EmptyN(r.n)...); err != nil {
			t.Fatal(r, err)
		}
		t.Log(c.Head().Number())
	}
	if err := c.SetHead(t.Context(), b.Hash()); err != nil {
		t.Fatal(err)
	}
}
