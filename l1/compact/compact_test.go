package compact_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/exec/engineapi"
	"headrace/l1"
	"headrace/l1/compact"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rlp"
	"pgregory.net/rapid"
)

// same fails unless got are want's blocks, of which the last one has its signature and no other one has.
func same(t interface{ Fatalf(string, ...any) }, got, want []*block.Block) {
	if len(got) != len(want) {
		t.Fatalf("got %d blocks, want %d", len(got), len(want))
	}
	for i := range want {
		g, w := got[i], *want[i]
		w.Header = block.SignedHeader{Header: w.Header.Header}
		if i == len(want)-1 {
			w.Header.Signature, w.Header.Signer = want[i].Header.Signature, want[i].Header.Signer
			if err := g.Header.Verify(); err != nil {
				t.Fatalf("the last header: %v", err)
			}
		}
		if g.Hash() != w.Hash() || g.Data.Hash() != w.Data.Hash() || !bytes.Equal(g.Encode(), w.Encode()) {
			t.Fatalf("block %d of %d: got %x\nwant %x", i+1, len(want), g.Encode(), w.Encode())
		}
	}
}

// there encodes blocks and decodes them.
func there(t interface{ Fatalf(string, ...any) }, c *compact.Chain, p compact.Parent, blocks []*block.Block) []byte {
	payload, err := compact.Encode(c, p, blocks)
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	got, err := compact.Decode(c, p, append(payload, 0, 0, 1)) // what follows it is no part of it
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	same(t, got, blocks)
	return payload
}

// everyFill puts transactions of all types into blocks, in some of them.
func everyFill(i int, b *core.BlockGen, rnd *rand.Rand) {
	id, account := big.NewInt(geth.DevChainID), rnd.IntN(4)
	nonce := b.TxNonce(geth.DevAddress(account))
	list := types.AccessList{{Address: common.Address{9}, StorageKeys: []common.Hash{{1}, {2}}}}
	switch i % 6 {
	case 1:
		b.AddTx(transfer(b, account, rnd))
	case 2:
		b.AddTx(sign(b, account, &types.LegacyTx{Nonce: nonce, GasPrice: big.NewInt(10 * params.GWei), Gas: 100_000, Data: []byte{0x60, 0, 0x60, 0, 0xa0}})) // logs
	case 3:
		to := common.Address{byte(i)}
		b.AddTx(sign(b, account, &types.AccessListTx{ChainID: id, Nonce: nonce, GasPrice: big.NewInt(10 * params.GWei), Gas: 100_000, To: &to, AccessList: list, Data: bytes.Repeat([]byte{1}, 200)}))
		b.AddTx(types.MustSignNewTx(geth.DevKey(account), types.HomesteadSigner{}, &types.LegacyTx{Nonce: nonce + 1, GasPrice: big.NewInt(10 * params.GWei), Gas: 21_000, To: &to, Value: big.NewInt(5)}))
	case 4:
		for range 20 {
			b.AddTx(transfer(b, account, rnd))
		}
	}
}

func genesisOf(fork geth.Fork) *core.Genesis { return geth.DevGenesis(fork) }

// TestGeth writes and reads blocks that go-ethereum made, in all forks and by several proposals: every seal is written
// shortly, whatever the number of blocks.
func TestGeth(t *testing.T) {
	for _, fork := range []geth.Fork{geth.Cancun, geth.Prague, geth.Osaka} {
		c := newEthChain(t, genesisOf(fork), 40, 7, everyFill)
		for _, n := range []int{1, 3, 12, 40} {
			c.proposals(n, func(p compact.Parent, blocks []*block.Block) {
				e, err := compact.Explain(there(t, &c.Chain, p, blocks))
				if err != nil {
					t.Fatal(err)
				}
				for i, b := range e.Blocks {
					if !b.Sealed || b.AppHash != nil || len(b.Txs) != len(blocks[i].Data.Txs)-1 {
						t.Errorf("%s, block %d of %d: got sealed %t, app hash %x, %d transactions, want a short seal and %d", fork, i+1, n, b.Sealed, b.AppHash, len(b.Txs), len(blocks[i].Data.Txs)-1)
					}
				}
			})
		}
	}
}

// TestOtherSeals: a header that does not follow its rules comes back as it is, in whatever it differs.
func TestOtherSeals(t *testing.T) {
	c := newEthChain(t, genesisOf(geth.Prague), 3, 7, everyFill)
	number := func(n uint64) *uint64 { return &n }
	short := map[string]bool{"nothing": true, "requests": true, "longest extra": true, "longer extra": false, "too many requests": false}
	for name, change := range map[string]func(*engineapi.Seal){
		"nothing":     func(*engineapi.Seal) {},
		"time":        func(s *engineapi.Seal) { s.Header.Time += 5 },
		"gas limit":   func(s *engineapi.Seal) { s.Header.GasLimit -= 77 },
		"extra data":  func(s *engineapi.Seal) { s.Header.Extra = []byte("a builder of others") },
		"no extra":    func(s *engineapi.Seal) { s.Header.Extra = nil },
		"recipient":   func(s *engineapi.Seal) { s.Header.Coinbase = common.Address{1} },
		"prevRandao":  func(s *engineapi.Seal) { s.Header.MixDigest = common.Hash{1} },
		"root":        func(s *engineapi.Seal) { s.Header.Root = common.Hash{1} },
		"txs root":    func(s *engineapi.Seal) { s.Header.TxHash = common.Hash{1} },
		"base fee":    func(s *engineapi.Seal) { s.Header.BaseFee = big.NewInt(12345) },
		"large fee":   func(s *engineapi.Seal) { s.Header.BaseFee = new(big.Int).Lsh(big.NewInt(1), 300) },
		"blob gas":    func(s *engineapi.Seal) { s.Header.BlobGasUsed, s.Header.ExcessBlobGas = number(1<<17), number(5) },
		"full bloom":  func(s *engineapi.Seal) { s.Header.Bloom = types.Bloom(bytes.Repeat([]byte{0xff}, 256)) },
		"bloom":       func(s *engineapi.Seal) { s.Header.Bloom[0], s.Header.Bloom[255] = 1, 0x80 },
		"difficulty":  func(s *engineapi.Seal) { s.Header.Difficulty = big.NewInt(1) },
		"uncles":      func(s *engineapi.Seal) { s.Header.UncleHash = common.Hash{1} },
		"nonce":       func(s *engineapi.Seal) { s.Header.Nonce[0] = 1 },
		"number":      func(s *engineapi.Seal) { s.Header.Number = big.NewInt(99) },
		"parent":      func(s *engineapi.Seal) { s.Header.ParentHash = common.Hash{1} },
		"beacon root": func(s *engineapi.Seal) { s.Header.ParentBeaconRoot = &common.Hash{1} },
		"requests": func(s *engineapi.Seal) {
			s.Requests = [][]byte{{1, 2, 3}, {2, 3}}
			h := types.CalcRequestsHash(s.Requests)
			s.Header.RequestsHash = &h
		},
		"no requests":       func(s *engineapi.Seal) { s.Header.RequestsHash = nil },
		"too many requests": func(s *engineapi.Seal) { s.Requests = make([][]byte, 257) },
		"longest extra":     func(s *engineapi.Seal) { s.Header.Extra = bytes.Repeat([]byte{1}, 32) },
		"longer extra":      func(s *engineapi.Seal) { s.Header.Extra = bytes.Repeat([]byte{1}, 33) },
		"before": func(s *engineapi.Seal) {
			s.Header.RequestsHash, s.Header.ParentBeaconRoot, s.Header.ExcessBlobGas, s.Header.BlobGasUsed = nil, nil, nil, nil
		},
		"later": func(s *engineapi.Seal) {
			s.Header.BlockAccessListHash, s.Header.SlotNumber = &common.Hash{1}, number(3)
		},
		"no base fee":  func(s *engineapi.Seal) { *s.Header = types.Header{Difficulty: new(big.Int), Number: big.NewInt(2)} },
		"no gas limit": func(s *engineapi.Seal) { s.Header.GasLimit = 0 },
		"last time":    func(s *engineapi.Seal) { s.Header.Time = ^uint64(0) },
		"huge number":  func(s *engineapi.Seal) { s.Header.Number = new(big.Int).SetUint64(^uint64(0)) },
	} {
		s, err := engineapi.DecodeSeal(c.blocks[1].Data.Txs[0])
		if err != nil {
			t.Fatal(err)
		}
		change(s)
		first, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		txs := append([][]byte{first}, c.blocks[1].Data.Txs[1:]...)
		odd := next(t, proposer, c.blocks[0], c.blocks[1].Header.Header.Time, c.roots[0], txs, nil)
		after := next(t, proposer, odd, odd.Header.Header.Time+1e9, s.Header.Root.Bytes(), c.blocks[2].Data.Txs, nil)
		t.Run(name, func(t *testing.T) {
			e, err := compact.Explain(there(t, &c.Chain, on(c.blocks[0]), []*block.Block{odd, after}))
			if err != nil {
				t.Fatal(err)
			}
			if want, ok := short[name]; ok && e.Blocks[0].Sealed != want {
				t.Errorf("its seal is short: %t, want %t", !want, want)
			}
			there(t, &c.Chain, on(odd), []*block.Block{after})
		})
	}
}

// drawTx draws bytes that are a transaction of some chain, or nearly one of Ethereum's.
func drawTx(t *rapid.T) []byte {
	b := func(label string, n int) []byte { return rapid.SliceOfN(rapid.Byte(), 0, n).Draw(t, label) }
	switch rapid.IntRange(0, 3).Draw(t, "tx") {
	case 0:
		return b("bytes", 150)
	case 1:
		return fmt.Appendf(nil, "key%d=%x", rapid.IntRange(0, 9).Draw(t, "key"), b("value", 20))
	}
	num := func(label string) []byte {
		n := b(label, rapid.SampledFrom([]int{1, 8, 32, 33}).Draw(t, "size"))
		if rapid.IntRange(0, 20).Draw(t, "zeros") > 0 {
			n = bytes.TrimLeft(n, "\x00")
		}
		return n
	}
	to := bytes.Repeat([]byte{7}, rapid.SampledFrom([]int{0, 20, 20, 20, 20, 20, 19, 21}).Draw(t, "to"))
	v := rapid.SampledFrom([][]byte{{}, {1}, {27}, {28}, {29}, {2}, {35}, {36}, {37}, {0x0a, 0x95}, bytes.Repeat([]byte{255}, 8), bytes.Repeat([]byte{255}, 9), bytes.Repeat([]byte{3}, 32)}).Draw(t, "v")
	id := rapid.SampledFrom([][]byte{{}, {1}, {5}, {0x05, 0x39}, bytes.Repeat([]byte{255}, 9)}).Draw(t, "chain")
	var list any = []any{}
	if rapid.Bool().Draw(t, "a list") {
		list = []any{[]any{to, []any{num("slot")}}}
	}
	kind := rapid.IntRange(0, 4).Draw(t, "kind")
	fields := []any{num("nonce"), num("price"), num("gas"), to, num("value"), b("input", 100)}
	switch kind {
	case 1:
		fields = append(append([]any{id}, fields...), list)
	case 2:
		fields = append(append([]any{id, num("nonce"), num("tip")}, fields[1:]...), list)
	case 3:
		fields = append(append([]any{id, num("nonce"), num("tip")}, fields[1:]...), list, num("blob fee"), list)
	case 4:
		fields = append(append([]any{id, num("nonce"), num("tip")}, fields[1:]...), list, list)
	}
	fields = append(fields, v, num("r"), num("s"))
	raw, err := rlp.EncodeToBytes(fields)
	if err != nil {
		t.Fatal(err)
	}
	if kind > 0 {
		raw = append([]byte{byte(kind)}, raw...)
	}
	switch rapid.IntRange(0, 20).Draw(t, "damage") {
	case 0:
		raw = raw[:len(raw)-1]
	case 1:
		raw = append(raw, 0)
	case 2:
		raw[rapid.IntRange(0, len(raw)-1).Draw(t, "where")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
	}
	return raw
}

// TestAnyBlocks: whatever blocks follow one another come back, of any engine, with and without a codec of its first
// transactions, whose rules anything may break.
func TestAnyBlocks(t *testing.T) {
	made := newEthChain(t, genesisOf(geth.Prague), 12, 3, everyFill)
	rapid.Check(t, func(t *rapid.T) {
		c := made.Chain
		if rapid.Bool().Draw(t, "no codec") {
			c.Seals = nil
		}
		var parent *block.Block
		var all []*block.Block
		at := rapid.SampledFrom([]uint64{0, 1, start, 1 << 63, ^uint64(0) - 1e12}).Draw(t, "start")
		for range rapid.IntRange(1, 6).Draw(t, "blocks") {
			at += rapid.SampledFrom([]uint64{0, 1, 999_999_999, 1_000_000_000, 1<<24 - 1, 1 << 24, 1e11}).Draw(t, "after")
			root := rapid.SampledFrom([][]byte{nil, {1}, bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 33)}).Draw(t, "root")
			var txs [][]byte
			if rapid.Bool().Draw(t, "of geth") {
				txs = append(txs, made.blocks[rapid.IntRange(0, 11).Draw(t, "which")].Data.Txs...)
			}
			for range rapid.IntRange(0, 3).Draw(t, "txs") {
				txs = append(txs, drawTx(t))
			}
			version := block.Version{Block: rapid.SampledFrom([]uint64{0, 0, 1, ^uint64(0)}).Draw(t, "version"), App: rapid.SampledFrom([]uint64{0, 0, 1 << 40}).Draw(t, "app")}
			validator := rapid.SampledFrom([][]byte{nil, nil, {9}, proposer.Public().Address()}).Draw(t, "validator")
			b := next(t, proposer, parent, at, root, txs, func(h *block.Header) { h.Version, h.ValidatorHash = version, validator })
			all, parent = append(all, b), b
		}
		cut := rapid.IntRange(0, len(all)-1).Draw(t, "cut")
		p := on(nil)
		if cut > 0 {
			p = on(all[cut-1])
		}
		there(t, &c, p, all[cut:])
	})
}

// TestRefused: what is no continuation, or not one proposer's, is not encoded.
func TestRefused(t *testing.T) {
	a := next(t, proposer, nil, start, nil, [][]byte{[]byte("a=1")}, nil)
	good := func() *block.Block { return next(t, proposer, a, start+1e9, nil, [][]byte{[]byte("b=2")}, nil) }
	c := &compact.Chain{ID: chainID}
	for name, b := range map[string]*block.Block{
		"another height":   next(t, proposer, a, start, nil, nil, func(h *block.Header) { h.Height++ }),
		"another parent":   next(t, proposer, a, start, nil, nil, func(h *block.Header) { h.LastHeaderHash = bytes.Repeat([]byte{1}, 32) }),
		"another chain":    next(t, proposer, a, start, nil, nil, func(h *block.Header) { h.ChainID = "other" }),
		"another proposer": next(t, stranger, a, start, nil, nil, nil),
		"other data":       func() *block.Block { b := good(); b.Data.Txs = [][]byte{[]byte("b=3")}; return b }(),
		"data's parent":    func() *block.Block { b := good(); b.Data.Metadata.LastDataHash = nil; return b }(),
		"data's time":      func() *block.Block { b := good(); b.Data.Metadata.Time++; return b }(),
		"no signature":     func() *block.Block { b := good(); b.Header.Signature = nil; return b }(),
		"another's key":    func() *block.Block { b := good(); b.Header.Signer.PubKey = stranger.Public().Encode(); return b }(),
	} {
		if _, err := compact.Encode(c, on(nil), []*block.Block{a, b}); !errors.Is(err, compact.ErrDoesNotFollow) {
			t.Errorf("%s: got %v, want %v", name, err, compact.ErrDoesNotFollow)
		}
	}
	if _, err := compact.Encode(c, on(nil), []*block.Block{a, good()}); err != nil {
		t.Errorf("a good one: %v", err)
	}
	if _, err := compact.Encode(c, on(nil), nil); !errors.Is(err, l1.ErrTooBig) {
		t.Errorf("no blocks: got %v, want %v", err, l1.ErrTooBig)
	}
	many := make([][]byte, 1<<20)
	huge := next(t, proposer, nil, start, nil, many, nil)
	if _, err := compact.Encode(c, on(nil), []*block.Block{huge}); !errors.Is(err, l1.ErrTooBig) {
		t.Errorf("a million transactions: got %v, want %v", err, l1.ErrTooBig)
	}
}

// TestLongForms: a transaction whose RLP is not in its shortest form is nobody's on Ethereum, and comes back as it is.
func TestLongForms(t *testing.T) {
	short := [][]byte{{9}, {8}, {7}, bytes.Repeat([]byte{1}, 20), {6}, {5, 5}, {27}, {4}, {3}}
	list := func(change func(i int, field []byte) []byte) []byte {
		var body []byte
		for i, f := range short {
			raw, err := rlp.EncodeToBytes(f)
			if err != nil {
				t.Fatal(err)
			}
			body = append(body, change(i, raw)...)
		}
		return append([]byte{0xc0 + byte(len(body))}, body...)
	}
	txs := [][]byte{
		list(func(_ int, f []byte) []byte { return f }),
		list(func(i int, f []byte) []byte { // a byte behind its length
			if i == 0 {
				return append([]byte{0x81}, f...)
			}
			return f
		}),
		list(func(i int, f []byte) []byte { // a length behind its length
			if i == 5 {
				return append([]byte{0xb8}, f[0]-0x80, f[1], f[2])
			}
			return f
		}),
		list(func(i int, f []byte) []byte { // a leading zero
			if i == 1 {
				return []byte{0x82, 0, 8}
			}
			return f
		}),
	}
	c := &compact.Chain{ID: chainID}
	for i, tx := range txs {
		b := next(t, proposer, nil, start, nil, [][]byte{tx}, nil)
		e, err := compact.Explain(there(t, c, on(nil), []*block.Block{b}))
		if err != nil {
			t.Fatal(err)
		}
		if whole := e.Columns[compact.ColumnNamed("tx whole")].Bytes; (whole == 0) != (i == 0) {
			t.Errorf("transaction %d: %d bytes of it are written whole", i, whole)
		}
	}
}
