package square

import (
	"bytes"
	"crypto/sha256"

	"github.com/celestiaorg/go-square/v3/inclusion"
	"github.com/celestiaorg/nmt"
	"github.com/celestiaorg/nmt/namespace"

	"headrace/da"
)

// VerifyCommitment checks that a blob with a commitment in namespace ns is in the block with a data hash. It says
// nothing about other blobs.
func VerifyCommitment(p *CommitmentProof, dataHash []byte, ns da.Namespace, commitment []byte) error {
	if p.Namespace != ns {
		return unproven("proof is for namespace %s, not %s", p.Namespace, ns)
	}
	for _, r := range p.SubtreeRoots {
		if len(r) != RootSize || !bytes.Equal(r[:NamespaceSize], ns[:]) || !bytes.Equal(r[NamespaceSize:2*NamespaceSize], ns[:]) {
			return unproven("subtree root is not of the namespace alone")
		}
	}
	if got := commitmentOf(p.SubtreeRoots); len(p.SubtreeRoots) == 0 || !bytes.Equal(got, commitment) {
		return unproven("subtree roots give commitment %X, not %X", got, commitment)
	}
	k, err := p.RowProof.verify(dataHash)
	if err != nil {
		return err
	}
	ranges, shares, err := contiguous(p.SubtreeRootProofs, len(p.RowProof.RowRoots), k)
	if err != nil {
		return err
	}
	width := inclusion.SubTreeWidth(shares, SubtreeRootThreshold)
	rest := p.SubtreeRoots
	hasher := nmt.NewNmtHasher(sha256.New(), namespace.IDSize(NamespaceSize), true)
	for i, proof := range p.SubtreeRootProofs {
		leaves, err := nmt.ToLeafRanges(ranges[i].start, ranges[i].end, width)
		if err != nil {
			return unproven("row %d: %w", i, err)
		}
		if len(leaves) > len(rest) {
			return unproven("%d subtree roots are too few", len(p.SubtreeRoots))
		}
		ok, err := proof.VerifySubtreeRootInclusion(hasher, rest[:len(leaves)], width, p.RowProof.RowRoots[i])
		if err != nil {
			return unproven("row %d: %w", i, err)
		}
		if !ok {
			return unproven("subtree roots and proof do not give the root of row %d", i)
		}
		rest = rest[len(leaves):]
	}
	if len(rest) > 0 {
		return unproven("%d subtree roots are too many", len(p.SubtreeRoots))
	}
	return nil
}

// VerifyRange checks that the shares are [start, end) of the original square of the block with a data hash.
func VerifyRange(r *ShareRange, dataHash []byte, start, end int) error {
	k, err := r.RowProof.verify(dataHash)
	if err != nil {
		return err
	}
	ranges, shares, err := contiguous(r.ShareProofs, len(r.RowProof.RowRoots), k)
	if err != nil {
		return err
	}
	if got := int(r.RowProof.StartRow)*k + ranges[0].start; got != start || shares != end-start || len(r.Shares) != shares {
		return unproven("%d shares with a proof of %d from %d, want [%d, %d)", len(r.Shares), shares, got, start, end)
	}
	rest := r.Shares
	for i, proof := range r.ShareProofs {
		n := ranges[i].end - ranges[i].start
		for _, s := range rest[:n] {
			if len(s) != ShareSize || !bytes.Equal(s[:NamespaceSize], r.Namespace[:]) {
				return unproven("share is not one of namespace %s", r.Namespace)
			}
		}
		if !proof.VerifyInclusion(sha256.New(), namespace.ID(r.Namespace[:]), rest[:n], r.RowProof.RowRoots[i]) {
			return unproven("shares and proof do not give the root of row %d", i)
		}
		rest = rest[n:]
	}
	return nil
}

type span struct{ start, end int }

// contiguous checks that proofs, one for each row, are of shares that follow each other without a hole, and returns
// their ranges and number.
func contiguous(proofs []*Proof, rows, k int) (ranges []span, shares int, err error) {
	if len(proofs) != rows {
		return nil, 0, unproven("%d proofs for %d rows", len(proofs), rows)
	}
	for i, p := range proofs {
		if err := plausible(p); err != nil {
			return nil, 0, err
		}
		if p.IsOfAbsence() {
			return nil, 0, unproven("proof of row %d is not one of shares", i)
		}
		s := span{p.Start(), p.End()}
		if s.end > k || i > 0 && s.start != 0 || i < rows-1 && s.end != k {
			return nil, 0, unproven("proof of row %d is of shares [%d, %d) of %d", i, s.start, s.end, k)
		}
		ranges = append(ranges, s)
		shares += s.end - s.start
	}
	return ranges, shares, nil
}

// verify checks that the rows belong to a data hash, and returns the width of the square.
func (p *RowProof) verify(dataHash []byte) (k int, err error) {
	n := len(p.RowRoots)
	if n == 0 || n != len(p.Proofs) || uint64(p.EndRow)-uint64(p.StartRow)+1 != uint64(n) || p.EndRow < p.StartRow {
		return 0, unproven("%d row roots and %d proofs for rows %d to %d", n, len(p.Proofs), p.StartRow, p.EndRow)
	}
	total := p.Proofs[0].Total
	k = int(total / 4) // 2k row roots, then 2k column roots
	if k < 1 || k > MaxWidth || int64(4*k) != total || k&(k-1) != 0 || int(p.EndRow) >= k {
		return 0, unproven("rows %d to %d of a square with %d roots", p.StartRow, p.EndRow, total)
	}
	for i, m := range p.Proofs {
		leaf := leafHash(p.RowRoots[i])
		if m.Total != total || m.Index != int64(p.StartRow)+int64(i) || !bytes.Equal(m.LeafHash, leaf[:]) || len(p.RowRoots[i]) != RootSize {
			return 0, unproven("proof %d is not one of row %d", i, int(p.StartRow)+i)
		}
		root, ok := climb(leaf, int(m.Index), int(total), m.Aunts)
		if !ok || !bytes.Equal(root[:], dataHash) {
			return 0, unproven("row %d does not belong to data hash %X", m.Index, dataHash)
		}
	}
	return k, nil
}

// climb computes the root of a tree of total leaves from one of them and the siblings on its way, lowest first.
func climb(leaf [32]byte, index, total int, aunts [][]byte) (root [32]byte, ok bool) {
	if total == 1 {
		return leaf, len(aunts) == 0
	}
	if len(aunts) == 0 || len(aunts[len(aunts)-1]) != 32 {
		return root, false
	}
	top := [32]byte(aunts[len(aunts)-1])
	n := splitPoint(total)
	if index < n {
		below, ok := climb(leaf, index, n, aunts[:len(aunts)-1])
		return innerHash(&below, &top), ok
	}
	below, ok := climb(leaf, index-n, total-n, aunts[:len(aunts)-1])
	return innerHash(&top, &below), ok
}

// SameProofs reports whether two answers of BlobProof are equal: what blob.Included compares.
func SameProofs(a, b []*Proof) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !sameProof(a[i], b[i]) {
			return false
		}
	}
	return true
}

func sameProof(a, b *Proof) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Start() != b.Start() || a.End() != b.End() || len(a.Nodes()) != len(b.Nodes()) || a.IsMaxNamespaceIDIgnored() != b.IsMaxNamespaceIDIgnored() ||
		!bytes.Equal(a.LeafHash(), b.LeafHash()) {
		return false
	}
	for i := range a.Nodes() {
		if !bytes.Equal(a.Nodes()[i], b.Nodes()[i]) {
			return false
		}
	}
	return true
}
