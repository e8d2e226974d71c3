package compact_test

import (
	"math/rand/v2"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/l1"
	"headrace/l1/compact"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/params"
)

// compressed is the size of b when it is packed as a body is.
func compressed(t *testing.T, b []byte) int {
	t.Helper()
	z, err := compact.Pack(b)
	if err != nil {
		t.Fatal(err)
	}
	return len(z)
}

// versionOne is the payloads of version 1.
func versionOne(t *testing.T, blocks []*block.Block) []byte {
	t.Helper()
	var all []l1.Encoded
	for _, b := range blocks {
		d, err := block.SignData(proposer, b.Data)
		if err != nil {
			t.Fatal(err)
		}
		e := l1.Encoded{Header: b.Header.Encode()}
		if len(b.Data.Txs) > 0 {
			e.Data = d.Encode()
		}
		all = append(all, e)
	}
	return l1.EncodeBlocks(all)
}

// TestFigures: what a load takes, all included, beside its transactions alone, compressed as well as can be.
func TestFigures(t *testing.T) {
	load := func(i int, b *core.BlockGen, rnd *rand.Rand) {
		for range []int{0, 1, 2, 3, 4, 5, 3, 2, 4, 2, 3}[i%11] { // 2.6 in a block
			b.AddTx(transfer(b, rnd.IntN(8), rnd))
		}
	}
	c := newEthChain(t, genesisOf(geth.Prague), 720, 9, load)
	raw := compressed(t, c.raw)
	t.Logf("%d blocks, %d transactions of %d bytes, %d compressed", len(c.blocks), c.txs, c.bytes, raw)
	for _, row := range []struct {
		n    int
		most float64 // of raw
	}{{1, 0}, {12, 1.3}, {300, 1.2}} {
		if row.most == 0 && !testing.Verbose() {
			continue // these are for the reader
		}
		one, oneShort, two := 0, 0, 0
		c.proposals(row.n, func(p compact.Parent, blocks []*block.Block) {
			payload, err := compact.Encode(&c.Chain, p, blocks)
			if err != nil {
				t.Fatal(err)
			}
			two += len(payload)
			if testing.Verbose() {
				v1 := versionOne(t, blocks)
				one, oneShort = one+len(v1), oneShort+compressed(t, v1)
			}
		})
		t.Logf("%d blocks a proposal: version 1 %d, compressed %d, version 2 %d: %.3f of the transactions", row.n, one, oneShort, two, float64(two)/float64(raw))
		if row.most > 0 && float64(two) > row.most*float64(raw) {
			t.Errorf("%d blocks a proposal take %d bytes, want at most %.1f times %d", row.n, two, row.most, raw)
		}
	}
}

// TestEmptyBlocks: what a block takes that does nothing, in a run of 300.
func TestEmptyBlocks(t *testing.T) {
	for _, row := range []struct {
		fork geth.Fork
		bare bool // without system contracts
		most int  // bytes
	}{{geth.Prague, false, 42}, {geth.Cancun, true, 12}} {
		g := genesisOf(row.fork)
		if row.bare {
			delete(g.Alloc, params.BeaconRootsAddress)
			delete(g.Alloc, params.HistoryStorageAddress)
		}
		c := newEthChain(t, g, 300, 5, func(int, *core.BlockGen, *rand.Rand) {})
		c.proposals(300, func(p compact.Parent, blocks []*block.Block) {
			payload, err := compact.Encode(&c.Chain, p, blocks)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d bytes for 300 empty blocks, %.2f each", row.fork, len(payload), float64(len(payload))/300)
			if len(payload) > 300*row.most {
				t.Errorf("%s: 300 empty blocks take %d bytes, want at most %d each", row.fork, len(payload), row.most)
			}
		})
	}
}
