package local_test

import (
	"bytes"
	"testing"

	"headrace/da"
	"headrace/da/local"
	"headrace/internal/square"
)

// Any bytes decode or give an error, and what decodes is written as it was.
func FuzzHistory(f *testing.F) {
	c := open(f, local.Options{Interval: -1})
	signed := blob(data, "signed")
	signed.ShareVersion, signed.Signer = 1, square.Account[:]
	submit(f, c, []da.Blob{blob(data, "one"), blob(headers, "two")}, []da.Blob{signed})
	for _, b := range local.Encoded(c, 2) {
		f.Add(b)
		if got := local.Decode(b); len(got) != 1 || !bytes.Equal(got[0], b) {
			f.Errorf("got %x, want %x", got, b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, again := range local.Decode(b) {
			if len(again) > len(b) {
				t.Fatalf("got %d bytes from %d", len(again), len(b))
			}
		}
	})
}
