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

// VerifyDAH checks that the roots are those that a header's data hash commits to: 2k row and 2k column roots, k a
// power of two.
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

// AbsentByRoots reports whether roots, verified by VerifyDAH, prove that no share of ns is in the square: no row's
// range includes it.
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

// Extent returns how many bytes of shares a namespace has at least and at most, as the roots have it: rows that hold
// nothing else, and rows that may hold some.
func (d *DAH) Extent(ns da.Namespace) (least, most int) {
	row := d.Width() * ShareSize
	for _, r := range d.rows(ns) {
		most += row
		if root := d.RowRoots[r]; bytes.Equal(root[:NamespaceSize], ns[:]) && bytes.Equal(root[NamespaceSize:2*NamespaceSize], ns[:]) {
			least += row
		}
	}
	return least, most
}

// VerifyNamespace checks that rows are all that a block has in ns, no share missing and none added, against roots
// verified by VerifyDAH, and returns the blobs in it with their places and their commitments computed anew. No blobs
// and no error mean that ns is proven absent, or holds padding only.
func VerifyNamespace(d *DAH, ns da.Namespace, rows []NamespaceRow) ([]da.Blob, error) {
	g := NewGather(d, ns)
	if len(g.rows) != len(rows) {
		return nil, unproven("namespace %s may be in %d rows, but there are %d", ns, len(g.rows), len(rows))
	}
	if err := g.Add(rows); err != nil {
		return nil, err
	}
	return g.Blobs()
}

// Gather is VerifyNamespace in steps: it takes the rows of a namespace a few at a time, and holds no more than the
// blobs in those so far.
type Gather struct {
	d      *DAH
	rows   []int // that may have shares of the namespace
	taken  int   // of them
	parser parser
	bad    error // what is proven cannot be read
}

// NewGather begins to gather a namespace, against roots verified by VerifyDAH.
func NewGather(d *DAH, ns da.Namespace) *Gather {
	rows := d.rows(ns)
	return &Gather{d: d, rows: rows, parser: parser{ns: ns, most: len(rows) * d.Width()}}
}

// Next returns rows [from, to) of the square that are to be added next, most of them at most. With the last one added,
// from is to.
func (g *Gather) Next(most int) (from, to int) {
	if g.taken == len(g.rows) {
		return 0, 0
	}
	from = g.rows[g.taken]
	for to = from + 1; to-from < most && g.taken+to-from < len(g.rows) && g.rows[g.taken+to-from] == to; to++ {
	}
	return from, to
}

// Alone reports whether the namespace has a row's first share, and its last one, as its root has it.
func (g *Gather) Alone(row int) (first, last bool) {
	root, ns := g.d.RowRoots[row], g.parser.ns
	return bytes.Equal(root[:NamespaceSize], ns[:]), bytes.Equal(root[NamespaceSize:2*NamespaceSize], ns[:])
}

// Width returns the side of the square.
func (g *Gather) Width() int { return g.d.Width() }

// Add takes the next rows. After an error the first that was wrong, and those after it, are still to be added.
func (g *Gather) Add(rows []NamespaceRow) error {
	k, ns := g.d.Width(), g.parser.ns
	if g.bad != nil {
		return g.bad
	}
	for i := range rows {
		if g.taken == len(g.rows) {
			return unproven("namespace %s is in %d rows, and there are more", ns, g.taken)
		}
		r, row := g.rows[g.taken], &rows[i]
		if err := verifyRow(g.d.RowRoots[r], ns, row); err != nil {
			return fmt.Errorf("row %d: %w", r, err)
		}
		if end := row.Proof.Start() + len(row.Shares); end > k {
			return unproven("share at column %d of a square of %d", end-1, k)
		}
		for j, s := range row.Shares {
			if err := g.parser.add(s, r*2*k+row.Proof.Start()+j); err != nil {
				g.bad = unproven("parse namespace %s: %w", ns, err)
				return g.bad
			}
		}
		g.taken++
	}
	return nil
}

// Passed returns how many blobs of other share versions than 0 and 1 have been passed over.
func (g *Gather) Passed() int { return g.parser.passed }

// Blobs returns the blobs, with their places and their commitments computed, once all rows have been added.
func (g *Gather) Blobs() ([]da.Blob, error) {
	blobs, err := g.parser.end()
	switch {
	case err != nil:
		return nil, unproven("parse namespace %s: %w", g.parser.ns, err)
	case g.taken < len(g.rows):
		return nil, unproven("namespace %s may be in %d rows, but there are %d", g.parser.ns, len(g.rows), g.taken)
	}
	return blobs, nil
}

// Rows returns the shares of a range row by row, with the proof of each.
func (r *ShareRange) Rows() ([]NamespaceRow, error) {
	rows := make([]NamespaceRow, len(r.ShareProofs))
	rest := r.Shares
	for i, p := range r.ShareProofs {
		n := p.End() - p.Start()
		if n < 0 || n > len(rest) {
			return nil, unproven("%d shares are too few for their proofs", len(r.Shares))
		}
		rows[i], rest = NamespaceRow{Shares: rest[:n], Proof: p}, rest[n:]
	}
	if len(rest) > 0 {
		return nil, unproven("%d shares are too many for their proofs", len(r.Shares))
	}
	return rows, nil
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
