package square

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/celestiaorg/nmt/namespace"

	"headrace/da"
)

// unproven makes an error that matches da.ErrNotProven.
func unproven(format string, args ...any) error {
	return fmt.Errorf("%w: %w", da.ErrNotProven, fmt.Errorf(format, args...))
}

// VerifyDAH checks that the roots are those that a header's data hash commits to: 2k row and 2k column roots, k a power of two.
func VerifyDAH(d *DAH, dataHash []byte) error {
	n := len(d.RowRoots)
	if n < 2 || n > 2*MaxWidth || n&(n-1) != 0 || len(d.ColumnRoots) != n {
		return unproven("%d row and %d column roots are not those of a square", n, len(d.ColumnRoots))
	}
	for _, r := range append(append(make([][]byte, 0, 2*n), d.RowRoots...), d.ColumnRoots...) {
		if len(r) != RootSize {
			return unproven("root of %d bytes", len(r))
		}
	}
	if root := d.Hash(); !bytes.Equal(root[:], dataHash) {
		return unproven("roots hash to %X, but the header commits to %X", root, dataHash)
	}
	return nil
}

// AbsentByHash reports whether a data hash alone proves that a block has nothing in any namespace for users.
func AbsentByHash(dataHash []byte) bool { return bytes.Equal(dataHash, EmptyDataHash[:]) }

// AbsentByRoots reports whether roots, verified by VerifyDAH, prove that no share of ns is in the square: no row's range includes it.
func AbsentByRoots(d *DAH, ns da.Namespace) bool { return len(d.rows(ns)) == 0 }

// rows returns which rows of the original square may have shares of ns. The lower half holds the extension only.
func (d *DAH) rows(ns da.Namespace) []int {
	var out []int
	for r := range d.Width() {
		if covers(d.RowRoots[r], ns) {
			out = append(out, r)
		}
	}
	return out
}

// VerifyNamespace checks that rows are all that a block has in ns, no share missing and none added, against roots verified by VerifyDAH,
// and returns the blobs in it with their places and their commitments computed anew. No blobs and no error mean that ns is proven absent,
// or holds padding only.
func VerifyNamespace(d *DAH, ns da.Namespace, rows []NamespaceRow) ([]da.Blob, error) {
	at := d.rows(ns)
	if len(at) != len(rows) {
		return nil, unproven("namespace %s may be in %d rows, but there are %d", ns, len(at), len(rows))
	}
	k := d.Width()
	var shares [][]byte
	var places []int // in the extended square, of each share
	for i, r := range at {
		if err := verifyRow(d.RowRoots[r], ns, &rows[i]); err != nil {
			return nil, fmt.Errorf("row %d: %w", r, err)
		}
		for j := range rows[i].Shares {
			c := rows[i].Proof.Start() + j
			if c >= k {
				return nil, unproven("share at column %d of a square of %d", c, k)
			}
			places = append(places, r*2*k+c)
		}
		shares = append(shares, rows[i].Shares...)
	}
	runs, err := parse(ns, shares)
	if err != nil {
		return nil, unproven("parse namespace %s: %w", ns, err)
	}
	var out []da.Blob
	for _, r := range runs {
		r.blob.Index = places[r.start]
		out = append(out, r.blob)
	}
	return out, nil
}

// plausible checks the shape of a proof before a library computes with it.
func plausible(p *Proof) error {
	if p == nil || p.Start() < 0 || p.Start() >= p.End() || p.End() > 2*MaxWidth || len(p.Nodes()) > 2*MaxWidth || !p.IsMaxNamespaceIDIgnored() {
		return unproven("no proof, or one of an impossible range")
	}
	for _, n := range p.Nodes() {
		if len(n) != RootSize {
			return unproven("node of %d bytes", len(n))
		}
	}
	if n := len(p.LeafHash()); n != 0 && n != RootSize {
		return unproven("leaf of %d bytes", n)
	}
	return nil
}

// verifyRow checks that row holds all the shares of ns in the row with a root.
func verifyRow(root []byte, ns da.Namespace, row *NamespaceRow) error {
	if err := plausible(row.Proof); err != nil {
		return err
	}
	if (len(row.Shares) == 0) != row.Proof.IsOfAbsence() {
		return unproven("%d shares with a proof of absence: %t", len(row.Shares), row.Proof.IsOfAbsence())
	}
	leaves := make([][]byte, len(row.Shares))
	for i, s := range row.Shares {
		if len(s) != ShareSize || !bytes.Equal(s[:NamespaceSize], ns[:]) {
			return unproven("share %d is not one of the namespace", i)
		}
		leaves[i] = append(append(make([]byte, 0, NamespaceSize+ShareSize), ns[:]...), s...)
	}
	if !row.Proof.VerifyNamespace(sha256.New(), namespace.ID(ns[:]), leaves, root) {
		return unproven("shares and proof do not give the row's root")
	}
	return nil
}
