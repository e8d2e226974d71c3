package l1_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"headrace/l1"
)

func blocks() []l1.Encoded {
	return []l1.Encoded{
		{Header: []byte("header 1"), Data: []byte("data 1")},
		{Header: []byte("header 2")}, // an empty block
		{Header: []byte("header 3"), Data: bytes.Repeat([]byte{0}, 100)},
	}
}

func sameBlocks(t *testing.T, got, want []l1.Encoded) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d blocks, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i].Header, want[i].Header) || !bytes.Equal(got[i].Data, want[i].Data) {
			t.Errorf("block %d: got %q, want %q", i, got[i], want[i])
		}
	}
}

func TestPayloadBytes(t *testing.T) {
	got := hex.EncodeToString(l1.EncodeBlocks([]l1.Encoded{{Header: []byte{0xaa, 0xbb}, Data: []byte{0xcc}}}))
	want := "01" + "0000000d" + "01" + "00000002" + "aabb" + "02" + "00000001" + "cc"
	if got != want {
		t.Errorf("payload: got %s, want %s", got, want)
	}
}

func TestPayloadThereAndBack(t *testing.T) {
	payload := l1.EncodeBlocks(blocks())
	if got, want := len(payload), l1.PayloadSize(blocks()); got != want {
		t.Errorf("PayloadSize: got %d, want %d", want, got)
	}
	got, err := l1.DecodeBlocks(append(payload, "anything"...))
	if err != nil {
		t.Fatal(err)
	}
	sameBlocks(t, got, blocks())
	txs, err := l1.DecodeTxs(l1.EncodeTxs([][]byte{{1}, {2, 3}}))
	if err != nil || len(txs) != 2 || !bytes.Equal(txs[1], []byte{2, 3}) {
		t.Errorf("transactions: got %x, %v", txs, err)
	}
}

func record(kind byte, content ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content))), content...)
}

func payload(records ...[]byte) []byte {
	b := bytes.Join(records, nil)
	return append(binary.BigEndian.AppendUint32([]byte{1}, uint32(len(b))), b...)
}

func TestPayloadVerdicts(t *testing.T) {
	many := bytes.Repeat(record(1, 7), l1.MaxBlocks+1)
	for name, b := range map[string][]byte{
		"nothing":              nil,
		"short":                {1, 0, 0, 0},
		"other version":        {2, 0, 0, 0, 0},
		"no blocks":            payload(),
		"length beyond":        {1, 0, 0, 0, 1},
		"huge length":          {1, 0xff, 0xff, 0xff, 0xff, 0},
		"record beyond":        payload([]byte{1, 0, 0, 0, 9, 1}),
		"record length beyond": payload([]byte{1, 0xff, 0xff, 0xff, 0xff}),
		"stray bytes":          payload(record(1, 7), []byte{1, 2}),
		"data first":           payload(record(2, 7)),
		"data twice":           payload(record(1, 7), record(2, 7), record(2, 7)),
		"empty header":         payload(record(1)),
		"empty data":           payload(record(1, 7), record(2)),
		"unknown kind":         payload(record(1, 7), record(9, 7)),
		"transaction":          payload(record(3, 7)),
		"too many blocks":      payload(many),
	} {
		if got, err := l1.DecodeBlocks(b); !errors.Is(err, l1.ErrContent) || got != nil {
			t.Errorf("%s: got %v, %v, want ErrContent", name, got, err)
		}
	}
	if _, err := l1.DecodeTxs(payload(record(1, 7))); !errors.Is(err, l1.ErrContent) {
		t.Errorf("header in forced content: got %v, want ErrContent", err)
	}
	if _, err := l1.DecodeTxs(payload(bytes.Repeat(record(3, 7), l1.MaxTxs+1))); !errors.Is(err, l1.ErrContent) {
		t.Errorf("too many transactions: got %v, want ErrContent", err)
	}
	most := l1.MaxForced - len(payload(record(3)))
	if txs, err := l1.DecodeTxs(append(payload(record(3, make([]byte, most)...)), make([]byte, 100)...)); err != nil || len(txs) != 1 { // what follows is ignored
		t.Errorf("as much as may be forced: got %d transactions, %v, want 1", len(txs), err)
	}
	if _, err := l1.DecodeTxs(payload(record(3, make([]byte, most+1)...))); !errors.Is(err, l1.ErrContent) {
		t.Errorf("more than may be forced: got %v, want ErrContent", err)
	}
}

func TestFitIsTheMostThatFits(t *testing.T) {
	all := blocks()
	for limit := range l1.PayloadSize(all) + 10 {
		n := l1.Fit(all, limit)
		if n > 0 && len(l1.EncodeBlocks(all[:n])) > limit {
			t.Errorf("limit %d: %d blocks take %d bytes", limit, n, len(l1.EncodeBlocks(all[:n])))
		}
		if n < len(all) && len(l1.EncodeBlocks(all[:n+1])) <= limit {
			t.Errorf("limit %d: got %d blocks, one more fits", limit, n)
		}
	}
	if got := l1.Fit(make([]l1.Encoded, l1.MaxBlocks+5), 1<<30); got != l1.MaxBlocks {
		t.Errorf("many small blocks: got %d, want %d", got, l1.MaxBlocks)
	}
}

func TestBlobs(t *testing.T) {
	for _, n := range []int{1, 31, 32, l1.BlobCapacity - 1, l1.BlobCapacity, l1.BlobCapacity + 1, 2*l1.BlobCapacity + 5} {
		content := bytes.Repeat([]byte{0xff, 1, 2}, n/3+1)[:n]
		packed := l1.PackBlobs(content)
		if want := (n + l1.BlobCapacity - 1) / l1.BlobCapacity; len(packed) != want {
			t.Errorf("%d bytes: got %d blobs, want %d", n, len(packed), want)
		}
		for _, offset := range []uint32{0, 1, uint32(n) - 1} {
			got, err := l1.UnpackBlobs(packed, offset)
			if err != nil || !bytes.HasPrefix(got, content[offset:]) {
				t.Errorf("%d bytes from %d: got %d bytes, %v", n, offset, len(got), err)
			}
		}
	}
	packed := l1.PackBlobs([]byte("x"))
	if _, err := l1.UnpackBlobs(packed, l1.BlobCapacity); !errors.Is(err, l1.ErrContent) {
		t.Errorf("offset beyond: got %v, want ErrContent", err)
	}
	packed[0][4095*32] = 1
	if _, err := l1.UnpackBlobs(packed, 0); !errors.Is(err, l1.ErrContent) {
		t.Errorf("full element: got %v, want ErrContent", err)
	}
}

func TestResolve(t *testing.T) {
	p := l1.Proposal{Sources: make([]l1.Source, 2)}
	p.Resolve(l1.EncodeBlocks(blocks()), nil)
	sameBlocks(t, p.Blocks, blocks())
	if p.Void != "" || p.Own() != &p.Sources[1] || p.Own().Size() < l1.PayloadSize(blocks()) {
		t.Errorf("good content: got void %q, size %d", p.Void, p.Own().Size())
	}
	p.Resolve([]byte("garbage"), nil)
	if p.Blocks != nil || !strings.Contains(p.Void, "payload version") || p.Own().Void == "" {
		t.Errorf("garbage: got %d blocks, void %q", len(p.Blocks), p.Void)
	}
	later := l1.Later{Version: 3, PubKey: []byte("key"), Signature: []byte("signature"), Content: []byte("content")}
	p.Resolve(append(later.Encode(), 0, 0), nil)
	if p.Blocks != nil || p.Void != "content is no good: payload version 3" || !reflect.DeepEqual(p.Later, &later) || p.Own().Size() < len(later.Encode()) {
		t.Errorf("a later version: got %+v, void %q, size %d", p.Later, p.Void, p.Own().Size())
	}
	var s l1.Source
	s.Resolve(nil, l1.ErrContent)
	if s.Void != l1.ErrContent.Error() {
		t.Errorf("verdict: got void %q", s.Void)
	}
}

func TestDue(t *testing.T) {
	queue := []l1.Forced{{Source: l1.Source{Time: 10}}, {Source: l1.Source{Time: 20}}, {Source: l1.Source{Time: 30}}}
	s := l1.Settings{ForcedDelay: 5, ForcedMax: 2}
	for time, want := range map[uint64]int{0: 0, 14: 0, 15: 1, 25: 2, 100: 2} {
		if got := s.Due(queue, time); got != want {
			t.Errorf("at %d: got %d due, want %d", time, got, want)
		}
	}
}

// Of later versions what all have in common is read, or they are nothing.
func TestLater(t *testing.T) {
	want := l1.Later{Version: 3, PubKey: []byte("key"), Signature: []byte("signature"), Content: []byte("content")}
	raw := want.Encode()
	if got, ok := l1.DecodeLater(raw); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %t, want %+v", got, ok, want)
	}
	for i := range raw {
		if got, ok := l1.DecodeLater(raw[:i]); ok {
			t.Errorf("cut to %d bytes: got %+v", i, got)
		}
	}
	for name, l := range map[string]l1.Later{
		"version 1": {Version: 1, PubKey: []byte("key"), Signature: []byte("s")}, "version 2": {Version: 2, PubKey: []byte("key"), Signature: []byte("s")},
		"no key": {Version: 3, Signature: []byte("s")}, "no signature": {Version: 3, PubKey: []byte("key")},
	} {
		if got, ok := l1.DecodeLater(l.Encode()); ok {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	a, b, c := want, want, want
	b.Version, c.Content = 4, []byte("other content")
	all := [][]byte{a.Message("chain"), a.Message("chains"), b.Message("chain"), c.Message("chain")}
	for i := range all {
		for j := range i {
			if bytes.Equal(all[i], all[j]) {
				t.Errorf("%d and %d are signed alike", i, j)
			}
		}
	}
}

// rooms makes items that take so many bytes of room each.
func rooms(sizes ...int) (queue []l1.Forced) {
	for _, n := range sizes {
		queue = append(queue, l1.Forced{Room: n})
	}
	return queue
}

func TestRoom(t *testing.T) {
	s := l1.Settings{ForcedDelay: 5, ForcedRoom: 100}
	for want, queue := range map[int][]l1.Forced{0: nil, 1: rooms(100, 1), 2: rooms(50, 50, 1), 3: rooms(1, 2, 97), 4: rooms(1, 1, 1, 1, 97)} {
		if got := s.Fit(queue); got != want {
			t.Errorf("%+v: got %d that fit, want %d", queue, got, want)
		}
	}
	queue := rooms(40, 40, 10, 40)
	for i := range queue {
		queue[i].Source.Time = 10 * uint64(i)
	}
	for time, want := range map[uint64]int{0: 0, 4: 0, 5: 1, 15: 2, 25: 3, 35: 3, 1 << 40: 3} {
		if got := s.Due(queue, time); got != want {
			t.Errorf("at %d: got %d due, want %d", time, got, want)
		}
	}
	if v1, v2 := (l1.Settings{ForcedMax: 4}), (l1.Settings{ForcedRoom: l1.MaxRoom}); v1.Version() != 1 || v2.Version() != 2 || v1.Most() != 4 || v2.Most() != 178 || v1.MostBytes() != 4*l1.MaxForced || v2.MostBytes() != l1.MaxRoom {
		t.Errorf("got versions %d and %d, items %d and %d, bytes %d and %d", v1.Version(), v2.Version(), v1.Most(), v2.Most(), v1.MostBytes(), v2.MostBytes())
	}
	if got := (l1.Settings{ForcedMax: 2}).Fit(rooms(0, 0, 0)); got != 2 {
		t.Errorf("version 1: got %d that fit, want 2", got)
	}
}

// Whatever sizes the items have, no due item waits for more proposals than Wait says; and for the worst sizes it waits
// for about as many.
func TestWait(t *testing.T) {
	const least, most = 1 + l1.ForcedItemBytes, l1.MaxForced + l1.ForcedItemBytes
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 3))
	worst := 0.0
	for range 300 {
		s := l1.Settings{ForcedRoom: l1.MinRoom + rng.IntN(l1.MaxRoom-l1.MinRoom+1)}
		if rng.IntN(4) == 0 {
			s = l1.Settings{ForcedMax: 1 + rng.IntN(20)} // of version 1
		}
		var queue []l1.Forced
		before := 0
		for n := rng.IntN(200); n > 0; n-- {
			size := least + rng.IntN(most-least+1)
			switch rng.IntN(4) {
			case 0:
				size = most
			case 1:
				size = max(s.ForcedRoom/(1+s.ForcedRoom/most)+1, least) // one fewer of these fits than of slightly smaller ones
			}
			size = min(size, most)
			queue = append(queue, l1.Forced{Room: size})
			before += size
		}
		items := len(queue)
		queue = append(queue, l1.Forced{Room: most}) // the honest one, of any size
		proposals := 0
		for len(queue) > 0 {
			n := s.Due(queue, 0)
			if n == 0 {
				t.Fatalf("seed %d: an item of %d bytes never fits into %d", seed, queue[0].Room, s.ForcedRoom)
			}
			queue = queue[n:]
			proposals++
		}
		if bound := s.Wait(items, before); proposals > bound {
			t.Fatalf("seed %d: the item behind %d bytes is taken by proposal %d with %+v, want %d at the latest", seed, before, proposals, s, bound)
		}
		worst = max(worst, float64(proposals)/float64(s.Wait(items, before)))
	}
	if worst < 0.8 {
		t.Errorf("seed %d: the bound was never nearer than %.2f to what happens", seed, worst)
	}
}

func TestForcedGas(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 4))
	for range 1000 {
		s := l1.Settings{ForcedRoom: l1.MinRoom + rng.IntN(l1.MaxRoom-l1.MinRoom+1)}
		fee, length, waiting := rng.Uint64N(1001), 1+rng.IntN(l1.MaxForced), rng.IntN(1<<uint(1+rng.IntN(29)))
		want := new(big.Int).SetUint64(fee * uint64(l1.ForcedItemBytes+length))
		want.Mul(want, big.NewInt(int64(s.ForcedRoom+waiting)))
		want.Add(want, big.NewInt(int64(s.ForcedRoom-1)))
		want.Div(want, big.NewInt(int64(s.ForcedRoom)))
		if got := s.ForcedGas(fee, length, waiting); want.Cmp(new(big.Int).SetUint64(got)) != 0 {
			t.Fatalf("seed %d: fee %d, %d bytes behind %d, room %d: got %d, want %s", seed, fee, length, waiting, s.ForcedRoom, got, want)
		}
	}
}

func FuzzDecodeBlocks(f *testing.F) {
	f.Add(l1.EncodeBlocks(blocks()))
	f.Add(l1.EncodeTxs([][]byte{{1}, {2, 3}}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0})
	f.Add((&l1.Later{Version: 3, PubKey: []byte{1}, Signature: []byte{2}, Content: []byte{3}}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := l1.DecodeBlocks(b)
		if err != nil {
			if !errors.Is(err, l1.ErrContent) {
				t.Fatalf("got %v, want ErrContent", err)
			}
		} else if again := l1.EncodeBlocks(got); !bytes.HasPrefix(b, again) {
			t.Fatalf("encodes to %x, came from %x", again, b)
		}
		if later, ok := l1.DecodeLater(b); ok && !bytes.HasPrefix(b, later.Encode()) {
			t.Fatalf("a later version encodes to %x, came from %x", later.Encode(), b)
		}
		if txs, err := l1.DecodeTxs(b); err == nil && !bytes.HasPrefix(b, l1.EncodeTxs(txs)) {
			t.Fatalf("transactions encode to %x, came from %x", l1.EncodeTxs(txs), b)
		}
	})
}

func FuzzUnpackBlobs(f *testing.F) {
	f.Add([]byte("content"), uint32(0))
	f.Add(bytes.Repeat([]byte{0xff}, l1.BlobCapacity+1), uint32(31))
	f.Fuzz(func(t *testing.T, content []byte, offset uint32) {
		packed := l1.PackBlobs(content)
		got, err := l1.UnpackBlobs(packed, offset)
		if uint64(offset) >= uint64(len(packed))*l1.BlobCapacity {
			if !errors.Is(err, l1.ErrContent) {
				t.Fatalf("offset %d: got %v, want ErrContent", offset, err)
			}
		} else if err != nil || int(offset) < len(content) && !bytes.HasPrefix(got, content[offset:]) {
			t.Fatalf("offset %d of %d bytes: %v", offset, len(content), err)
		}
	})
}
