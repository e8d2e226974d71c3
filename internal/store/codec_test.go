package store

import (
	"bytes"
	"reflect"
	"testing"

	"headrace/block"
)

// FuzzDecode feeds every decoder of stored values: none panics, and what decodes encodes to what decodes the same.
func FuzzDecode(f *testing.F) {
	m := mark{hash: block.Hash{1}, root: []byte("root"), origin: Origin{HeaderAt: 1, DataAt: 300, Source: block.Ref{Height: 2, Hash: block.Hash{3}}, Proposal: 4, Tx: block.Hash{5}, LogIndex: 6}}
	f.Add(m.encode())
	f.Add(encodeItem(&Item{Parent: block.Hash{1}, Safe: 7}))
	in := Inbox{Proposal: Proposal{ID: 1, L1: block.Ref{Height: 2}, L2: block.Ref{Height: 3}, Void: "void", Reorgs: 4}, Finalized: block.Ref{Height: 5}}
	f.Add(encodeItem(&Item{Parent: block.Hash{1}, Safe: 7, Inbox: &in}))
	f.Add(encodeInbox(&in))
	f.Add([]byte(`{"proposal":{"id":1,"void":"v"},"finalized":{"height":5}}`))
	f.Add(encodeHalf(&block.Half{DAHeight: 1, Index: 2, Raw: []byte("raw")}))
	st := State{Position: block.Ref{Height: 9}, Root: []byte("r"), EnvelopesOnly: true}
	f.Add(encodeSource(&st, span{1, 2}))
	f.Add(encodeChain(&st))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMark(b); err == nil {
			again, err := decodeMark(m.encode())
			check(t, m, again, err)
		}
		if it, err := decodeItem(3, b); err == nil {
			again, err := decodeItem(3, encodeItem(&it))
			check(t, it, again, err)
		}
		if in, err := decodeInbox(b); err == nil {
			again, err := decodeInbox(encodeInbox(in))
			check(t, in, again, err)
		}
		k := block.HalfKey{Kind: block.DataHalf, Height: 3}
		if h, err := decodeHalf(k, b); err == nil {
			again, err := decodeHalf(k, encodeHalf(&h))
			check(t, h, again, err)
		}
		var st, st2 State
		var items, items2 span
		if decodeSource(b, &st, &items) == nil {
			check(t, st, st2, decodeSource(encodeSource(&st, items), &st2, &items2))
		}
		st, st2 = State{}, State{}
		if decodeChain(b, &st) == nil {
			check(t, st, st2, decodeChain(encodeChain(&st), &st2))
		}
		if k, err := parseHalfKey(b); err == nil && !bytes.Equal(halfKey(k)[1:], b[1:]) {
			t.Errorf("got key %x, want %x", halfKey(k), b)
		}
	})
}

func check[T any](t *testing.T, first, again T, err error) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(first, again) {
		t.Errorf("got %+v, %v, want %+v", again, err, first)
	}
}
