package kv

import (
	"reflect"
	"testing"

	"headrace/block"
)

// FuzzDecode feeds the decoders of stored values: none panics, and what decodes encodes to what decodes the same.
func FuzzDecode(f *testing.F) {
	r := record{hash: block.Hash{1}, root: []byte("root"), skipped: 3, undo: []undone{{"a", []byte("1"), true}, {"b", nil, false}, {"c", nil, true}}}
	f.Add(r.encode())
	f.Add((&head{height: 1, keys: 2, skipped: 3, oldest: 4}).encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeRecord(b); err == nil {
			if again, err := decodeRecord(r.encode()); err != nil || !reflect.DeepEqual(r, again) {
				t.Errorf("got %+v, %v, want %+v", again, err, r)
			}
		}
		if h, err := decodeHead(b); err == nil {
			if again, err := decodeHead(h.encode()); err != nil || !reflect.DeepEqual(h, again) {
				t.Errorf("got %+v, %v, want %+v", again, err, h)
			}
		}
		var s lthash
		if err := s.decode(b); (err == nil) != (len(b) == 2*lanes) {
			t.Errorf("sum of %d bytes: got %v", len(b), err)
		}
	})
}
