package square_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	nmtns "github.com/celestiaorg/nmt/namespace"

	"headrace/da"
	"headrace/internal/square"
)

// rawShare is a share as bytes, whatever its version.
func rawShare(ns da.Namespace, version byte, start bool, size uint32, data string) []byte {
	s := append(make([]byte, 0, square.ShareSize), ns[:]...)
	info := version << 1
	if start {
		info |= 1
	}
	s = append(s, info)
	if start {
		s = binary.BigEndian.AppendUint32(s, size)
	}
	s = append(s, data...)
	return append(s, make([]byte, square.ShareSize-len(s))...)
}

// prove files given shares in a square of width k and returns its roots, without columns, and the proofs of a namespace.
func prove(t *testing.T, k int, ns da.Namespace, shares ...[]byte) (square.DAH, []square.NamespaceRow) {
	t.Helper()
	var dah square.DAH
	var rows []square.NamespaceRow
	for r := range k {
		tr := libTree(k)(0, uint(r)).(*tree)
		row := shares[r*k : (r+1)*k]
		for c := range 2 * k {
			share := make([]byte, square.ShareSize) // parity, which nobody looks at here
			if c < k {
				share = row[c]
			}
			if err := tr.Push(share); err != nil {
				t.Fatal(err)
			}
		}
		root, err := tr.Root()
		if err != nil {
			t.Fatal(err)
		}
		dah.RowRoots = append(dah.RowRoots, root)
		proof, err := tr.ProveNamespace(nmtns.ID(ns[:]))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, square.NamespaceRow{Shares: row[proof.Start():proof.End()], Proof: &proof})
	}
	for range k {
		dah.RowRoots = append(dah.RowRoots, make([]byte, square.RootSize))
	}
	return dah, rows
}

// Anybody may post blobs of versions to come to any namespace: they are passed over, and what is around them is read (I9).
func TestUnknownShareVersions(t *testing.T) {
	dah, rows := prove(t, 2, alpha,
		rawShare(alpha, 0, true, 3, "one"), rawShare(alpha, 2, true, 600, "?"),
		rawShare(alpha, 2, false, 0, "?"), rawShare(alpha, 0, true, 3, "two"))
	got, err := square.VerifyNamespace(&dah, alpha, rows)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || string(got[0].Data) != "one" || string(got[1].Data) != "two" || got[0].Index != 0 || got[1].Index != 5 {
		t.Errorf("got %+v, want blobs one at 0 and two at 5", got)
	}
}

func TestPadding(t *testing.T) {
	dah, rows := prove(t, 2, alpha,
		rawShare(alpha, 0, true, 0, ""), rawShare(alpha, 0, true, 3, "one"),
		rawShare(alpha, 0, true, 0, ""), rawShare(alpha, 0, true, 0, ""))
	got, err := square.VerifyNamespace(&dah, alpha, rows)
	if err != nil || len(got) != 1 || got[0].Index != 1 {
		t.Errorf("got %+v, %v, want one blob at 1", got, err)
	}
}

// Shares that no consensus node lets into a block are an error, and never a blob.
func TestMalformedNamespaces(t *testing.T) {
	for name, shares := range map[string][][]byte{
		"continues nothing":   {rawShare(alpha, 0, false, 0, "x"), rawShare(alpha, 0, true, 1, "x"), rawShare(alpha, 0, true, 1, "x"), rawShare(alpha, 0, true, 1, "x")},
		"longer than there":   {rawShare(alpha, 0, true, 1, "x"), rawShare(alpha, 0, true, 1, "x"), rawShare(alpha, 0, true, 1, "x"), rawShare(alpha, 0, true, 1<<32-1, "x")},
		"broken in the midst": {rawShare(alpha, 0, true, 600, "x"), rawShare(alpha, 0, true, 1, "x"), rawShare(alpha, 0, true, 1, "x"), rawShare(alpha, 0, true, 1, "x")},
		"changes its version": {rawShare(alpha, 0, true, 600, "x"), rawShare(alpha, 1, false, 1, "x"), rawShare(alpha, 0, true, 1, "x"), rawShare(alpha, 0, true, 1, "x")},
	} {
		dah, rows := prove(t, 2, alpha, shares...)
		if got, err := square.VerifyNamespace(&dah, alpha, rows); !errors.Is(err, da.ErrNotProven) {
			t.Errorf("%s: got %d blobs, %v, want ErrNotProven", name, len(got), err)
		}
	}
}

func TestCheckBlob(t *testing.T) {
	ok := da.Blob{Namespace: alpha, Data: []byte("x")}
	signed := da.Blob{Namespace: alpha, Data: []byte("x"), ShareVersion: 1, Signer: square.Account[:]}
	change := func(b da.Blob, f func(*da.Blob)) da.Blob { f(&b); return b }
	for _, c := range []struct {
		name string
		blob da.Blob
		ok   bool
	}{
		{"plain", ok, true},
		{"signed", signed, true},
		{"no data", change(ok, func(b *da.Blob) { b.Data = nil }), false},
		{"signer without version 1", change(ok, func(b *da.Blob) { b.Signer = square.Account[:] }), false},
		{"version 1 without signer", change(signed, func(b *da.Blob) { b.Signer = nil }), false},
		{"short signer", change(signed, func(b *da.Blob) { b.Signer = b.Signer[1:] }), false},
		{"version 2", change(signed, func(b *da.Blob) { b.ShareVersion = 2 }), false},
		{"transactions' namespace", change(ok, func(b *da.Blob) { b.Namespace = da.Namespace{28: 4} }), false},
		{"parity's namespace", change(ok, func(b *da.Blob) { b.Namespace = da.Namespace(bytes.Repeat([]byte{0xff}, 29)) }), false},
		{"no leading zeros", change(ok, func(b *da.Blob) { b.Namespace[5] = 1 }), false},
		{"namespace version 1", change(ok, func(b *da.Blob) { b.Namespace[0] = 1 }), false},
	} {
		if err := square.CheckBlob(&c.blob); (err == nil) != c.ok {
			t.Errorf("%s: got %v, want ok %t", c.name, err, c.ok)
		}
		if _, err := square.Build([]da.Blob{c.blob}); (err == nil) != c.ok {
			t.Errorf("%s: Build gives %v, want ok %t", c.name, err, c.ok)
		}
	}
}

func TestSameProofs(t *testing.T) {
	a := unmarshal[[]*square.Proof](t, result(t, "050"))
	b := unmarshal[[]*square.Proof](t, result(t, "053"))
	if !square.SameProofs(a, unmarshal[[]*square.Proof](t, result(t, "050"))) {
		t.Error("a proof differs from itself")
	}
	if square.SameProofs(a, b) || square.SameProofs(a, nil) || square.SameProofs(a, []*square.Proof{nil}) {
		t.Error("different proofs are the same")
	}
}
