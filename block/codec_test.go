package block_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"headrace/block"
)

func tagged(num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

func varint(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// drawBytes draws an absent field or a short one.
func drawBytes(t *rapid.T, label string) []byte {
	b := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, label)
	if len(b) == 0 {
		return nil
	}
	return b
}

func drawSigned(t *rapid.T) *block.SignedHeader {
	return &block.SignedHeader{
		Header: block.Header{
			Version:         block.Version{Block: rapid.Uint64().Draw(t, "block"), App: rapid.Uint64().Draw(t, "app")},
			Height:          rapid.Uint64().Draw(t, "height"),
			Time:            rapid.Uint64().Draw(t, "time"),
			LastHeaderHash:  drawBytes(t, "last"),
			DataHash:        drawBytes(t, "data"),
			AppHash:         drawBytes(t, "app hash"),
			ProposerAddress: drawBytes(t, "proposer"),
			ValidatorHash:   drawBytes(t, "validator"),
			ChainID:         rapid.String().Draw(t, "chain"),
		},
		Signature:         drawBytes(t, "signature"),
		Signer:            block.Signer{Address: drawBytes(t, "address"), PubKey: drawBytes(t, "key")},
		EnvelopeSignature: drawBytes(t, "envelope"),
	}
}

func drawData(t *rapid.T) block.Data {
	d := block.Data{Metadata: block.Metadata{
		ChainID: rapid.String().Draw(t, "chain"), Height: rapid.Uint64().Draw(t, "height"),
		Time: rapid.Uint64().Draw(t, "time"), LastDataHash: drawBytes(t, "last"),
	}}
	for range rapid.IntRange(0, 4).Draw(t, "txs") {
		d.Txs = append(d.Txs, rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "tx"))
	}
	return d
}

// TestRoundTrip: what is encoded decodes to the same, and whole blocks do.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, d := drawSigned(t), drawData(t)
		if got, err := block.DecodeSignedHeader(h.Encode()); err != nil || !reflect.DeepEqual(got, h) {
			t.Fatalf("got %+v (%v), want %+v", got, err, h)
		}
		sd := &block.SignedData{Data: d, Signature: h.Signature, Signer: h.Signer}
		if got, err := block.DecodeSignedData(sd.Encode()); err != nil || !reflect.DeepEqual(got, sd) {
			t.Fatalf("got %+v (%v), want %+v", got, err, sd)
		}
		if got, err := block.DecodeData(d.Encode()); err != nil || !reflect.DeepEqual(*got, d) {
			t.Fatalf("got %+v (%v), want %+v", got, err, d)
		}
		b := &block.Block{Header: *h, Data: d}
		got, err := block.DecodeBlock(b.Encode())
		if err != nil || !reflect.DeepEqual(got, b) {
			t.Fatalf("got %+v (%v), want %+v", got, err, b)
		}
		if want := (block.Ref{Height: h.Header.Height, Hash: h.Header.Hash()}); got.Ref() != want {
			t.Fatalf("got ref %v, want %v", got.Ref(), want)
		}
	})
}

// TestHashes compares with hashes over the whole encodings, which the package does not build.
func TestHashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, d := drawSigned(t).Header, drawData(t)
		if got, want := h.Hash(), block.Hash(sha256.Sum256(h.Append([]byte("x"))[1:])); got != want {
			t.Fatalf("got header hash %v, want %v", got, want)
		}
		if got, want := d.Hash(), block.Hash(sha256.Sum256(join([]byte{0}, d.Encode()))); got != want {
			t.Fatalf("got data hash %v, want %v", got, want)
		}
		var txs []byte
		for _, tx := range d.Txs {
			txs = append(txs, tagged(2, tx)...)
		}
		if got, want := d.Commitment(), block.Hash(sha256.Sum256(join([]byte{0}, txs))); got != want {
			t.Fatalf("got commitment %v, want %v", got, want)
		}
	})
}

func TestEmptyCommitment(t *testing.T) {
	const want = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
	if got := block.EmptyCommitment.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestUnknownFields: fields of a newer or an older format are passed over at every level, and do not come back when
// encoding.
func TestUnknownFields(t *testing.T) {
	extra := join(varint(15, 7), tagged(99, []byte("new")),
		protowire.AppendFixed32(protowire.AppendTag(nil, 20, protowire.Fixed32Type), 1),
		protowire.AppendFixed64(protowire.AppendTag(nil, 21, protowire.Fixed64Type), 1),
		protowire.AppendGroup(protowire.AppendTag(nil, 22, protowire.StartGroupType), 22, varint(1, 1)))
	header := join(varint(2, 5), tagged(1, extra), tagged(5, []byte("old")), tagged(7, []byte("old")), tagged(9, []byte("old")), extra)
	s, err := block.DecodeSignedHeader(join(extra, tagged(1, header), tagged(3, extra), extra))
	if err != nil {
		t.Fatal(err)
	}
	want := join(tagged(1, join(tagged(1, nil), varint(2, 5))), tagged(3, nil))
	if got := s.Encode(); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	d, err := block.DecodeSignedData(join(tagged(1, join(tagged(1, join(varint(2, 5), extra)), extra, tagged(2, []byte("tx")))), tagged(3, extra)))
	if err != nil {
		t.Fatal(err)
	}
	want = join(tagged(1, join(tagged(1, varint(2, 5)), tagged(2, []byte("tx")))), tagged(3, nil))
	if got := d.Encode(); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// TestRepeatedFields: of a singular field the last value counts, messages are merged, lists are joined.
func TestRepeatedFields(t *testing.T) {
	s, err := block.DecodeSignedHeader(join(
		tagged(1, join(tagged(1, varint(1, 3)), varint(2, 5), varint(3, 9), tagged(12, []byte("a")))),
		tagged(2, []byte("first")), tagged(2, []byte("second")), tagged(4, []byte("envelope")), tagged(4, nil),
		tagged(1, join(varint(2, 6), tagged(1, varint(2, 4)), tagged(12, []byte("b"))))))
	if err != nil {
		t.Fatal(err)
	}
	want := &block.SignedHeader{
		Header:    block.Header{Version: block.Version{Block: 3, App: 4}, Height: 6, Time: 9, ChainID: "b"},
		Signature: []byte("second"),
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}
	d, err := block.DecodeSignedData(join(
		tagged(1, join(tagged(2, []byte("x")), tagged(1, varint(2, 5)))),
		tagged(1, join(tagged(1, varint(3, 7)), tagged(2, []byte("y")), tagged(2, nil)))))
	if err != nil {
		t.Fatal(err)
	}
	wantData := block.Data{Metadata: block.Metadata{Height: 5, Time: 7}, Txs: [][]byte{[]byte("x"), []byte("y"), {}}}
	if !reflect.DeepEqual(d.Data, wantData) {
		t.Errorf("got %+v, want %+v", d.Data, wantData)
	}
}

func TestMalformed(t *testing.T) {
	header := tagged(1, varint(2, 5))
	cut := header[:len(header)-1]
	huge := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.BytesType), 1<<62)
	for name, b := range map[string][]byte{
		"empty":                          nil,
		"no header":                      tagged(2, []byte("signature")),
		"cut":                            cut,
		"header is a varint":             varint(1, 5),
		"header is a group":              protowire.AppendGroup(protowire.AppendTag(nil, 1, protowire.StartGroupType), 1, nil),
		"height is bytes":                tagged(1, tagged(2, []byte{5})),
		"time is fixed64":                tagged(1, protowire.AppendFixed64(protowire.AppendTag(nil, 3, protowire.Fixed64Type), 1)),
		"version is a varint":            tagged(1, varint(1, 5)),
		"version's block is bytes":       tagged(1, tagged(1, tagged(1, nil))),
		"data hash is a varint":          tagged(1, varint(6, 5)),
		"chain id is a varint":           tagged(1, varint(12, 5)),
		"chain id is not UTF-8":          tagged(1, tagged(12, []byte{0xff})),
		"signature is a varint":          join(header, varint(2, 5)),
		"signer is a varint":             join(header, varint(3, 5)),
		"signer's key is a varint":       join(header, tagged(3, varint(2, 5))),
		"envelope signature is a varint": join(header, varint(4, 5)),
		"field number 0":                 join(header, []byte{0x02, 0x00}),
		"length beyond the end":          join(header, huge),
		"length beyond the end, inside":  tagged(1, huge),
		"varint of eleven bytes":         join(header, []byte{0x10}, bytes.Repeat([]byte{0x80}, 11)),
		"end of a group":                 join(header, []byte{7<<3 | 4}),
		"data":                           firstData(t),
	} {
		if s, err := block.DecodeSignedHeader(b); err == nil || s != nil {
			t.Errorf("header, %s: got %+v, %v, want an error", name, s, err)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("header, %s: got %q, want one line", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"empty":                    nil,
		"no data":                  tagged(2, []byte("signature")),
		"data is a varint":         varint(1, 5),
		"metadata is a varint":     tagged(1, varint(1, 5)),
		"tx is a varint":           tagged(1, varint(2, 5)),
		"height is bytes":          tagged(1, tagged(1, tagged(2, nil))),
		"last data hash is varint": tagged(1, tagged(1, varint(4, 4))),
		"signer is a varint":       join(tagged(1, nil), varint(3, 5)),
		"length beyond the end":    tagged(1, huge),
		"header":                   firstHeader(t),
	} {
		if s, err := block.DecodeSignedData(b); err == nil || s != nil {
			t.Errorf("data, %s: got %+v, %v, want an error", name, s, err)
		}
	}
	whole := (&block.Block{}).Encode()
	for name, b := range map[string][]byte{
		"empty": nil, "cut": whole[:len(whole)-1], "trailing": append(bytes.Clone(whole), 0), "header only": whole[:1+whole[0]],
		"bad header": {1, 0xff, 0}, "bad data": append(bytes.Clone(whole[:1+whole[0]]), 1, 0xff),
	} {
		if got, err := block.DecodeBlock(b); err == nil || got != nil {
			t.Errorf("block, %s: got %+v, %v, want an error", name, got, err)
		}
	}
}

func firstHeader(t testing.TB) []byte { h, _ := blobs(t); return h[0] }
func firstData(t testing.TB) []byte   { _, d := blobs(t); return d[0] }

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestMemoryFollowsInput: what is decoded takes memory in proportion to the input, garbage included, whatever lengths
// it claims and however it is cut up. A transaction of two bytes on the wire takes 24 in the list; a message of four,
// a little more.
func TestMemoryFollowsInput(t *testing.T) {
	claim := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.BytesType), 1<<40)
	for name, b := range map[string][]byte{
		"claimed length":          tagged(1, claim),
		"claimed length at top":   join(tagged(1, nil), claim),
		"a million empty txs":     tagged(1, bytes.Repeat([]byte{0x12, 0x00}, 1<<20)),
		"many small data":         bytes.Repeat(tagged(1, []byte{0x12, 0x00}), 1<<12),
		"many unknown fields":     join(tagged(1, nil), bytes.Repeat([]byte{0x28, 0x00}, 1<<20)),
		"groups within groups":    bytes.Repeat([]byte{5<<3 | 3}, 1<<20),
		"metadata over and again": tagged(1, bytes.Repeat(tagged(1, tagged(1, bytes.Repeat([]byte("c"), 100))), 1<<12)),
	} {
		limit := uint64(64*len(b) + 64<<10)
		if got := allocated(func() { _, _ = block.DecodeSignedData(b) }); got > limit {
			t.Errorf("data, %s: %d bytes allocated for %d bytes of input, want at most %d", name, got, len(b), limit)
		}
		if got := allocated(func() { _, _ = block.DecodeSignedHeader(b) }); got > limit {
			t.Errorf("header, %s: %d bytes allocated for %d bytes of input, want at most %d", name, got, len(b), limit)
		}
	}
}

func TestHashText(t *testing.T) {
	h := block.EmptyCommitment
	text, err := h.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var got block.Hash
	if err := got.UnmarshalText(text); err != nil || got != h {
		t.Errorf("got %v (%v), want %v", got, err, h)
	}
	for _, bad := range []string{"", "6e", hex.EncodeToString(h[:])[1:], strings.Repeat("g", 64)} {
		if err := got.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("got no error for %q", bad)
		}
	}
	if h.IsZero() || !(block.Hash{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestHalfKey(t *testing.T) {
	h := block.Half{Kind: block.DataHalf, Hash: block.Hash{1}, Height: 7, DAHeight: 9, Index: 3, Raw: []byte("x")}
	if got, want := h.Key(), (block.HalfKey{Kind: block.DataHalf, Height: 7, Hash: block.Hash{1}}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestHashField: in a header and in metadata the absence of a hash stands for none, and 32 zero bytes do not.
func TestHashField(t *testing.T) {
	if got := (block.Hash{}).Field(); got != nil {
		t.Errorf("got %x for none, want nil", got)
	}
	h := block.Hash{31: 1}
	if got := h.Field(); !bytes.Equal(got, h[:]) {
		t.Errorf("got %x, want %s", got, h)
	}
	for n, want := range map[int]bool{0: true, 1: false, 31: false, 32: true, 33: false, 64: false} {
		if got := block.IsField(make([]byte, n)); got != want {
			t.Errorf("%d bytes: got %v, want %v", n, got, want)
		}
	}
}

// TestReadSigned: data may be missing, and then there are none; what is there decodes, or it is an error.
func TestReadSigned(t *testing.T) {
	header, data := (&block.SignedHeader{Header: block.Header{Height: 7}}).Encode(), (&block.SignedData{Data: block.Data{Txs: [][]byte{{1}}}}).Encode()
	h, d, err := block.ReadSigned(header, data)
	if err != nil || h.Header.Height != 7 || d.Txs() != 1 {
		t.Fatalf("got %+v, %+v, %v", h, d, err)
	}
	for _, none := range [][]byte{nil, {}} {
		if h, d, err := block.ReadSigned(header, none); err != nil || d != nil || h.Header.Height != 7 {
			t.Errorf("without data: got %+v, %+v, %v", h, d, err)
		}
	}
	for name, c := range map[string][2][]byte{"no header": {nil, data}, "bad header": {{1}, data}, "bad data": {header, {1}}} {
		if _, _, err := block.ReadSigned(c[0], c[1]); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
