package compact_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/exec/engineapi"
	"headrace/l1/compact"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/consensus/ethash"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

const (
	chainID = "rollup"
	start   = uint64(1_790_000_000_123_456_789) // nanoseconds
)

var proposer, stranger = keyOf(1), keyOf(2)

// keyOf returns a key that is the same in every run.
func keyOf(n byte) *block.PrivateKey {
	seed := bytes.Repeat([]byte{n}, ed25519.SeedSize)
	k, err := block.ParsePrivateKey(append([]byte{8, 1, 0x12, 64}, ed25519.NewKeyFromSeed(seed)...))
	if err != nil {
		panic(err)
	}
	return k
}

type fataler interface{ Fatal(args ...any) }

// next makes the block after parent (nil: the first, at height 7), signed by k; change, if not nil, is applied before.
func next(t fataler, k *block.PrivateKey, parent *block.Block, at uint64, root []byte, txs [][]byte, change func(*block.Header)) *block.Block {
	h := block.Header{Height: 7, Time: at, ChainID: chainID, ProposerAddress: k.Public().Address(), AppHash: root}
	d := block.Data{Metadata: block.Metadata{ChainID: chainID}, Txs: txs}
	if parent != nil {
		header, data := parent.Hash(), parent.Data.Hash()
		h.Height, h.LastHeaderHash, d.Metadata.LastDataHash = parent.Height()+1, header[:], data[:]
	}
	sum := d.Commitment()
	h.DataHash = sum[:]
	if change != nil {
		change(&h)
	}
	d.Metadata.Height, d.Metadata.Time = h.Height, h.Time
	signed, err := block.SignHeader(k, h)
	if err != nil {
		t.Fatal(err)
	}
	return &block.Block{Header: signed, Data: d}
}

// on is the parent of a proposal.
func on(parent *block.Block) compact.Parent {
	p := compact.Parent{Block: parent, Height: 6}
	if parent != nil {
		p.Height = parent.Height()
	}
	return p
}

// ethChain is a chain whose blocks were executed by go-ethereum.
type ethChain struct {
	compact.Chain
	genesis *core.Genesis
	blocks  []*block.Block
	roots   [][]byte // after each block
	txs     int      // without the seals
	bytes   int      // of those
	raw     []byte   // those
}

// proposals calls f with n blocks of the chain at a time, and what they build on.
func (c *ethChain) proposals(n int, f func(compact.Parent, []*block.Block)) {
	p := on(nil)
	for i := 0; i < len(c.blocks); i += n {
		part := c.blocks[i:min(i+n, len(c.blocks))]
		f(p, part)
		last := i + len(part) - 1
		p = on(c.blocks[last])
	}
}

// newEthChain has go-ethereum make n blocks, in which fill puts transactions, and makes rollup blocks of them, each
// about a second after the one before. Their prevRandao is as an engine has it; so is all else that they are made of.
func newEthChain(t testing.TB, g *core.Genesis, n int, seed uint64, fill func(i int, b *core.BlockGen, rnd *rand.Rand)) *ethChain {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	g.Timestamp = start/1e9 - 5
	codec, err := engineapi.NewSealCodec(g)
	if err != nil {
		t.Fatal(err)
	}
	c := &ethChain{Chain: compact.Chain{ID: chainID, Seals: codec}, genesis: g}
	_, made, _ := core.GenerateChainWithGenesis(g, beacon.New(ethash.NewFaker()), n, func(i int, b *core.BlockGen) {
		b.SetPoS()
		b.SetParentBeaconRoot(common.Hash{})
		b.SetExtra([]byte("geth"))
		b.SetCoinbase(common.Address{0xfe})
		fill(i, b, rnd)
	})
	parent, at, last := g.ToBlock().Header(), start, (*block.Block)(nil)
	for _, b := range made {
		h := b.Header()
		seed := binary.BigEndian.AppendUint64(parent.Hash().Bytes(), 1+uint64(rnd.IntN(3)/2))
		h.ParentHash, h.Time, h.MixDigest = parent.Hash(), max(at/1e9, parent.Time+1), sha256.Sum256(binary.BigEndian.AppendUint64(seed, at/1e9))
		s := &engineapi.Seal{Header: h, Requests: [][]byte{}}
		first, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		txs := [][]byte{first}
		for _, tx := range b.Transactions() {
			raw, err := tx.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			txs = append(txs, raw)
			c.raw, c.bytes = append(c.raw, raw...), c.bytes+len(raw)
		}
		last = next(t, proposer, last, at, parent.Root.Bytes(), txs, nil)
		c.blocks, c.roots, c.txs = append(c.blocks, last), append(c.roots, h.Root.Bytes()), c.txs+len(txs)-1
		parent, at = h, at+1e9+uint64(rnd.IntN(2_000_000))-1_000_000
	}
	return c
}

// transfer is what most transactions of a load are.
func transfer(b *core.BlockGen, from int, rnd *rand.Rand) *types.Transaction {
	var to common.Address
	for i := range to {
		to[i] = byte(rnd.Uint32())
	}
	return sign(b, from, &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), Nonce: b.TxNonce(geth.DevAddress(from)), GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(10 * params.GWei),
		Gas: 21_000, To: &to, Value: big.NewInt(rnd.Int64N(params.Ether)),
	})
}

func sign(b *core.BlockGen, from int, tx types.TxData) *types.Transaction {
	return types.MustSignNewTx(geth.DevKey(from), b.Signer(), tx)
}
