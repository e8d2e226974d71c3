package compact_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/l1"
	"headrace/l1/compact"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/klauspost/compress/zstd"
)

// body is a body in its parts, which a test may change.
type body struct {
	blocks         uint64
	key, signature []byte
	columns        [][]byte
}

func bodyOf(t testing.TB, c *compact.Chain, p compact.Parent, blocks []*block.Block) *body {
	t.Helper()
	raw, err := compact.EncodeBody(c, p, blocks)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := compact.OpenBody(raw)
	if err != nil {
		t.Fatal(err)
	}
	last := blocks[len(blocks)-1].Header
	b := &body{uint64(len(blocks)), last.Signer.PubKey, last.Signature, nil}
	for _, col := range columns {
		b.columns = append(b.columns, bytes.Clone(col))
	}
	if !bytes.Equal(b.encode(), raw) {
		t.Fatal("the test writes another body")
	}
	return b
}

func (b *body) encode() []byte {
	out := binary.AppendUvarint(nil, b.blocks)
	out = append(binary.AppendUvarint(out, uint64(len(b.key))), b.key...)
	out = append(binary.AppendUvarint(out, uint64(len(b.signature))), b.signature...)
	out = binary.AppendUvarint(out, uint64(len(b.columns)))
	for _, col := range b.columns {
		out = binary.AppendUvarint(out, uint64(len(col)))
	}
	return append(out, bytes.Join(b.columns, nil)...)
}

// TestOneEncoding: every byte of a body changed, dropped and doubled, and its columns cut, doubled and exchanged. What is
// read all the same is the one body of other blocks.
func TestOneEncoding(t *testing.T) {
	c := newEthChain(t, genesisOf(geth.Prague), 4, 7, everyFill)
	p, blocks := on(nil), c.blocks
	raw := bodyOf(t, &c.Chain, p, blocks).encode()
	good := 0
	check := func(what string, changed []byte) {
		t.Helper()
		got, err := compact.DecodeBody(&c.Chain, p, changed)
		if err != nil {
			return
		}
		good++
		again, err := compact.EncodeBody(&c.Chain, p, got)
		if err != nil || !bytes.Equal(again, changed) {
			t.Errorf("%s: it is read, and written in another way (%v)", what, err)
		}
		last, want := &got[len(got)-1].Header, &blocks[len(blocks)-1].Header
		if bytes.Equal(changed, raw) != (last.Header.Hash() == want.Header.Hash() && bytes.Equal(last.Signature, want.Signature)) {
			t.Errorf("%s: two bodies of the same blocks", what)
		}
	}
	check("nothing", raw)
	for i := range raw {
		for _, bit := range []byte{1, 0x10, 0x80} {
			changed := bytes.Clone(raw)
			changed[i] ^= bit
			check(fmt.Sprintf("byte %d with bit %x", i, bit), changed)
		}
		check(fmt.Sprintf("byte %d dropped", i), slices.Delete(bytes.Clone(raw), i, i+1))
		check(fmt.Sprintf("byte %d doubled", i), slices.Insert(bytes.Clone(raw), i, raw[i]))
		check(fmt.Sprintf("cut to %d bytes", i), raw[:i])
	}
	for i := range bodyOf(t, &c.Chain, p, blocks).columns {
		change := func(what string, f func(cols [][]byte) [][]byte) {
			b := bodyOf(t, &c.Chain, p, blocks)
			b.columns = f(b.columns)
			check(fmt.Sprintf("column %d %s", i, what), b.encode())
		}
		change("doubled", func(cols [][]byte) [][]byte { return slices.Insert(cols, i, cols[i]) })
		change("dropped", func(cols [][]byte) [][]byte { return slices.Delete(cols, i, i+1) })
		change("emptied", func(cols [][]byte) [][]byte { cols[i] = nil; return cols })
		change("twice as long", func(cols [][]byte) [][]byte { cols[i] = append(cols[i], cols[i]...); return cols })
		change("with a zero", func(cols [][]byte) [][]byte { cols[i] = append(cols[i], 0); return cols })
		for j := range i {
			change(fmt.Sprintf("exchanged with %d", j), func(cols [][]byte) [][]byte { cols[i], cols[j] = cols[j], cols[i]; return cols })
		}
	}
	if good < 100 { // state roots, signatures, inputs and the like may be any
		t.Errorf("got %d bodies that are read, want the test to have made many", good)
	}
}

// TestWrittenForNothing: what follows and is written all the same is no other encoding of the same blocks.
func TestWrittenForNothing(t *testing.T) {
	a := next(t, proposer, nil, start, []byte{1}, nil, nil)
	b := next(t, proposer, a, start+1e9, []byte{1}, [][]byte{[]byte("a=1")}, nil)
	c, p := &compact.Chain{ID: chainID}, on(a)
	flags, rare, txs, whole := compact.ColumnNamed("block flags"), compact.ColumnNamed("block rare"), compact.ColumnNamed("transactions"), compact.ColumnNamed("tx whole")
	for name, change := range map[string]func(cols [][]byte){
		"version":     func(cols [][]byte) { cols[flags][0], cols[rare] = 1, []byte{0, 0} },
		"validator":   func(cols [][]byte) { cols[flags][0], cols[rare] = 2, []byte{0} },
		"app hash":    func(cols [][]byte) { cols[flags][0], cols[rare] = 4, []byte{1, 1} },
		"seal":        func(cols [][]byte) { cols[flags][0], cols[txs] = 8, []byte{0} },
		"odd flag":    func(cols [][]byte) { cols[flags][0] = 0x40 },
		"long number": func(cols [][]byte) { cols[txs] = []byte{0x81, 0} },
		"long length": func(cols [][]byte) { cols[whole] = append([]byte{0x83, 0}, cols[whole][1:]...) },
	} {
		body := bodyOf(t, c, p, []*block.Block{b})
		change(body.columns)
		if got, err := compact.DecodeBody(c, p, body.encode()); err == nil {
			t.Errorf("%s: got block %v, want none", name, got[0].Ref())
		}
	}
}

// payloadOf frames what a test says is a packed body.
func payloadOf(packing byte, size uint64, packed []byte) []byte {
	out := binary.AppendUvarint([]byte{compact.Version, 0, 0, 0, 0, packing}, size)
	out = append(out, packed...)
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-5))
	return out
}

// TestFrames: a frame is taken if it is the one stream of exactly the body that it declares.
func TestFrames(t *testing.T) {
	c := newEthChain(t, genesisOf(geth.Prague), 6, 7, everyFill)
	p := on(nil)
	raw := bodyOf(t, &c.Chain, p, c.blocks).encode()
	z, err := compact.Pack(raw)
	if err != nil {
		t.Fatal(err)
	}
	zstdWith := func(o ...zstd.EOption) []byte {
		e, err := zstd.NewWriter(nil, append([]zstd.EOption{zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithZeroFrames(true)}, o...)...)
		if err != nil {
			t.Fatal(err)
		}
		return e.EncodeAll(raw, nil)
	}
	skip := []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9}
	empty, err := compact.Pack(nil)
	if err != nil {
		t.Fatal(err)
	}
	n, stored, zs := uint64(len(raw)), compact.Packings["stored"], compact.Packings["zstd"]
	join := func(b ...[]byte) []byte { return bytes.Join(b, nil) }
	for _, row := range []struct {
		name    string
		payload []byte
		good    bool
	}{
		{"stored", payloadOf(stored, n, raw), true},
		{"zstd", payloadOf(zs, n, z), true},
		{"zstd at another level", payloadOf(zs, n, zstdWith(zstd.WithEncoderLevel(zstd.SpeedFastest))), true},
		{"stored as zstd", payloadOf(zs, n, raw), false},
		{"another packing", payloadOf(2, n, raw), false},
		{"stored, less", payloadOf(stored, n-1, raw), false},
		{"stored, more", payloadOf(stored, n, append(raw[:n:n], 0)), false},
		{"zstd, less", payloadOf(zs, n-1, z), false},
		{"zstd, more", payloadOf(zs, n+1, z), false},
		{"zstd with a checksum", payloadOf(zs, n, zstdWith(zstd.WithEncoderCRC(true))), false},
		{"zstd with a window", payloadOf(zs, n, zstdWith(zstd.WithSingleSegment(false), zstd.WithWindowSize(1<<10))), false},
		{"zstd and a frame to skip", payloadOf(zs, n, join(z, skip)), false},
		{"a frame to skip and zstd", payloadOf(zs, n, join(skip, z)), false},
		{"zstd and an empty frame", payloadOf(zs, n, join(z, empty)), false},
		{"zstd twice", payloadOf(zs, 2*n, join(z, z)), false},
		{"zstd and a byte", payloadOf(zs, n, join(z, []byte{0})), false},
		{"zstd, cut", payloadOf(zs, n, z[:len(z)-1]), false},
		{"nothing", payloadOf(zs, 0, nil), false},
		{"no body", payloadOf(stored, 0, nil), false},
		{"version 1", append([]byte{1}, payloadOf(stored, n, raw)[1:]...), false},
		{"a head", []byte{2, 0, 0, 0}, false},
		{"no bytes", nil, false},
		{"claims more", func() []byte { b := payloadOf(stored, n, raw); b[4]++; return b }(), false},
		{"claims all", func() []byte { b := payloadOf(stored, n, raw); copy(b[1:], "\xff\xff\xff\xff"); return b }(), false},
	} {
		got, err := compact.Decode(&c.Chain, p, row.payload)
		switch {
		case row.good && err != nil:
			t.Errorf("%s: %v", row.name, err)
		case row.good:
			same(t, got, c.blocks)
		case err == nil:
			t.Errorf("%s: got %d blocks, want none", row.name, len(got))
		case !errors.Is(err, l1.ErrContent):
			t.Errorf("%s: %v is no verdict", row.name, err)
		}
	}
}

// bomb is a void payload that claims to become much.
type bomb struct {
	chain   *compact.Chain
	payload []byte
}

// bombs are such payloads, by name.
func bombs(t testing.TB) map[string]bomb {
	plain, eth := &compact.Chain{ID: chainID}, &newEthChain(t, genesisOf(geth.Prague), 1, 7, everyFill).Chain
	zeros := make([]byte, compact.MaxSize+1)
	zip := func(c *compact.Chain, raw []byte) bomb {
		z, err := compact.Pack(raw)
		if err != nil {
			t.Fatal(err)
		}
		return bomb{c, payloadOf(compact.Packings["zstd"], uint64(len(raw)), z)}
	}
	sized := func(b []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }
	type cols = map[string][]byte
	columns := func(c *compact.Chain, blocks uint64, fill ...cols) bomb {
		var seals []string
		if c.Seals != nil {
			seals = c.Seals.Columns()
		}
		b := &body{blocks: blocks, key: proposer.Public().Encode(), signature: []byte{1}, columns: make([][]byte, compact.OwnColumns+len(seals))}
		for _, part := range fill {
			for name, col := range part {
				i := compact.OwnColumns + slices.Index(seals, name)
				if i < compact.OwnColumns {
					i = compact.ColumnNamed(name)
				}
				b.columns[i] = col
			}
		}
		return zip(c, b.encode())
	}
	block := func(flags, txs byte) cols {
		return cols{"block flags": {flags}, "block time": {0, 0, 0}, "block time, high": {0}, "transactions": {txs}}
	}
	of := func(kind byte, fill cols) bomb { // with a transaction that lacks nothing: to nobody
		return columns(plain, 1, block(0, 1), cols{
			"tx kind": {kind | 1<<3}, "tx nonce": {0}, "tx price": {0, 0}, "tx gas": {0}, "tx value": {0}, "tx input size": {0}, "tx list size": {0}, "tx r": zeros[:32], "tx s": zeros[:32],
		}, fill)
	}
	whole := func(c *compact.Chain, tx []byte) bomb { // and something is left in the end
		return columns(c, 1, block(0, 1), cols{"tx kind": {0}, "tx whole": sized(tx), "tx gas": {0}})
	}
	seal := func(requests, extra []byte) []byte { // its header is written by hand: rlp would take long for as many requests
		h := types.Header{Difficulty: new(big.Int), Number: new(big.Int), BaseFee: new(big.Int), WithdrawalsHash: new(common.Hash), Extra: extra}
		h.BlobGasUsed, h.ExcessBlobGas, h.ParentBeaconRoot, h.RequestsHash = new(uint64), new(uint64), new(common.Hash), new(common.Hash)
		header, err := rlp.EncodeToBytes(&h)
		if err != nil {
			t.Fatal(err)
		}
		list, err := rlp.EncodeToBytes([]any{rlp.RawValue(header), rlp.RawValue(requests)})
		if err != nil {
			t.Fatal(err)
		}
		return append([]byte{'H', 1}, list...)
	}
	const large, kindLegacy, kindDynamic, isSealed, hasRequests, hasRare, rareExtra = 15 << 20, 1, 3, 8, 1 << 4, 1 << 5, 1 << 2
	return map[string]bomb{
		"zeros":             zip(plain, zeros[1:]),
		"too many":          zip(plain, zeros),
		"claims 16 GiB":     {plain, payloadOf(compact.Packings["zstd"], 16<<30, nil)},
		"claims more":       {plain, payloadOf(0, 1<<63, nil)},
		"empty blocks":      columns(plain, 4097, cols{"block flags": zeros[:5000], "block time": zeros[:15000], "block time, high": zeros[:5000], "transactions": zeros[:5000]}),
		"empty txs":         columns(plain, 1, block(0, 0), cols{"transactions": binary.AppendUvarint(nil, 8<<20), "tx kind": zeros[:8<<20], "tx whole": zeros[:8<<20-100]}),
		"a huge tx":         whole(plain, zeros[:large]),
		"a huge input":      of(kindLegacy|1<<7, cols{"tx price": {0}, "tx input size": binary.AppendUvarint(nil, large), "tx input": zeros[:large], "tx list size": nil}),
		"a huge list":       of(kindDynamic, cols{"tx list size": binary.AppendUvarint(nil, large), "tx list": zeros[:large]}),
		"an input and more": of(kindDynamic, cols{"tx input size": binary.AppendUvarint(nil, 12<<20), "tx input": zeros[:12<<20], "tx list": {0}}),
		"claims many bytes": columns(plain, 1, block(0, 1), cols{"tx kind": {0}, "tx whole": binary.AppendUvarint(nil, 1<<62)}),
		"many requests":     columns(eth, 1, block(isSealed, 0), cols{"seal flags": {hasRequests}, "seal attempt": {1}, "requests": sized(zeros[:large])}),
		"a huge request":    columns(eth, 1, block(isSealed, 0), cols{"seal flags": {hasRequests}, "seal attempt": {1}, "requests": append([]byte{1}, sized(zeros[:12<<20])...)}),
		"huge extra data":   columns(eth, 1, block(isSealed, 0), cols{"seal flags": {hasRare}, "seal rare flags": {rareExtra}, "seal attempt": {1}, "seal bytes": sized(zeros[:12<<20])}),
		"a seal of many":    whole(eth, seal(append([]byte{0xfa, 0x30, 0, 0}, bytes.Repeat([]byte{0x80}, 3<<20)...), nil)),
		"a huge seal":       whole(eth, seal([]byte{0xc0}, zeros[:12<<20])),
	}
}

// TestBombs: whatever a payload claims to become, deciding that it is void takes no more memory than may be. How long it
// takes BenchmarkBombs tells.
func TestBombs(t *testing.T) {
	p := on(nil)
	for name, x := range bombs(t) {
		_, _ = compact.Decode(x.chain, p, payloadOf(compact.Packings["stored"], 1, []byte{0})) // what is made once
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := compact.Decode(x.chain, p, x.payload)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, l1.ErrContent) {
			t.Errorf("%s: got %v, want %v", name, err, l1.ErrContent)
		}
		most := uint64(32 << 20)
		switch name {
		case "zeros", "a huge input", "a huge list", "many requests", "a huge request", "huge extra data": // nothing but the body is made
			most = compact.MaxSize + 1<<20
		case "too many", "claims 16 GiB", "claims more": // not even that
			most = 1 << 20
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Errorf("%s: took %d bytes in all, want at most %d", name, took, most)
		}
		t.Logf("%s: %d bytes, took %d: %v", name, len(x.payload), after.TotalAlloc-before.TotalAlloc, err)
	}
}

// largest is a payload of blocks that take about as much as may be. It is good until its last signature is looked at.
func largest(t testing.TB, c *compact.Chain, p compact.Parent) []byte {
	txs := make([][]byte, 175_000)
	for i := range txs {
		txs[i] = fmt.Appendf(nil, "key-%d=%050d", i%100, i)
	}
	payload, err := compact.Encode(c, p, []*block.Block{next(t, proposer, nil, start, nil, txs, nil)})
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// BenchmarkBombs tells how long it takes to decide that a bomb is void, and to read what is as large as may be: each is to take
// less than 0.5 s on a machine of 2025.
//
//	go test ./l1/compact -run '^$' -bench Bombs
func BenchmarkBombs(b *testing.B) {
	c, p := &compact.Chain{ID: chainID}, on(nil)
	all := bombs(b)
	all["as large as may be"] = bomb{c, largest(b, c, p)}
	for name, x := range all {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := compact.Decode(x.chain, p, x.payload); (err == nil) != (name == "as large as may be") {
					b.Fatal(err)
				}
			}
		})
	}
}

// fuzzChain is what fuzzed payloads are read for.
func fuzzChain(t testing.TB) (c *ethChain, p compact.Parent) {
	c = newEthChain(t, genesisOf(geth.Prague), 6, 7, everyFill)
	return c, on(c.blocks[0])
}

// FuzzDecode: whatever a body is, reading it ends, and it is the one that its blocks are written as.
func FuzzDecode(f *testing.F) {
	c, p := fuzzChain(f)
	plain := &compact.Chain{ID: chainID}
	for n := 1; n < len(c.blocks); n++ {
		for _, chain := range []*compact.Chain{&c.Chain, plain} {
			raw, err := compact.EncodeBody(chain, p, c.blocks[1:1+n])
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw, chain == plain)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, noCodec bool) {
		chain := &c.Chain
		if noCodec {
			chain = plain
		}
		blocks, err := compact.DecodeBody(chain, p, raw)
		if err != nil {
			return
		}
		again, err := compact.EncodeBody(chain, p, blocks)
		if err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("read and written in another way (%v): got %x, want %x", err, again, raw)
		}
	})
}

// FuzzPayload: whatever bytes a payload is, reading it ends with blocks or a verdict, and explaining it as well.
func FuzzPayload(f *testing.F) {
	c, p := fuzzChain(f)
	raw, err := compact.EncodeBody(&c.Chain, p, c.blocks[1:])
	if err != nil {
		f.Fatal(err)
	}
	z, err := compact.Pack(raw)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payloadOf(0, uint64(len(raw)), raw))
	f.Add(payloadOf(1, uint64(len(raw)), z))
	f.Fuzz(func(t *testing.T, payload []byte) {
		blocks, err := compact.Decode(&c.Chain, p, payload)
		if err != nil && !errors.Is(err, l1.ErrContent) {
			t.Fatalf("%v is no verdict", err)
		}
		if e, explained := compact.Explain(payload); err == nil && (explained != nil || len(e.Blocks) != len(blocks)) {
			t.Fatalf("it is good, and explained as %d blocks (%v), want %d", len(e.Blocks), explained, len(blocks))
		}
	})
}
