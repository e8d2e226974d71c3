package square

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/celestiaorg/nmt"
	"github.com/celestiaorg/nmt/namespace"

	"headrace/da"
)

// Proof is a proof in the tree of one row: of a range of shares, of a whole namespace, or of a namespace's absence. Its JSON is Celestia's.
type Proof = nmt.Proof

// NamespaceRow is the part of a namespace's data that lies in one row. Without shares its Proof is one of absence.
type NamespaceRow struct {
	Shares [][]byte `json:"shares"`
	Proof  *Proof   `json:"proof"`
}

// MerkleProof proves one root's place among the row and column roots.
type MerkleProof struct {
	Total    int64
	Index    int64
	LeafHash []byte
	Aunts    [][]byte
}

// RowProof proves that rows [StartRow, EndRow] belong to a data root.
type RowProof struct {
	RowRoots [][]byte
	Proofs   []MerkleProof
	StartRow uint32
	EndRow   uint32 // the last one
}

// CommitmentProof proves that the blob with a commitment belongs to a data root: the commitment is the merkle root of SubtreeRoots, those
// belong to rows, and the rows to the data root.
type CommitmentProof struct {
	SubtreeRoots      [][]byte
	SubtreeRootProofs []*Proof
	Namespace         da.Namespace
	RowProof          RowProof
}

// ShareRange is a range of shares of one namespace in the original square, with the proof that they belong to a data root.
type ShareRange struct {
	Shares      [][]byte
	ShareProofs []*Proof // one for each row
	Namespace   da.Namespace
	RowProof    RowProof
}

// NamespaceData returns the shares of a namespace row by row, each row with a proof that they are all it has. Rows whose range of
// namespaces does not include ns are left out: their roots prove it absent. A row that includes it without having it is proven so.
func (s *Square) NamespaceData(ns da.Namespace) ([]NamespaceRow, error) {
	out := []NamespaceRow{}
	for r := range s.k {
		if !covers(s.dah.RowRoots[r], ns) {
			continue
		}
		tree, _, err := s.tree(r)
		if err != nil {
			return nil, err
		}
		proof, err := tree.ProveNamespace(namespace.ID(ns[:]))
		if err != nil {
			return nil, fmt.Errorf("prove namespace: %w", err)
		}
		row := NamespaceRow{Proof: &proof}
		if !proof.IsOfAbsence() {
			row.Shares = s.ods[r*s.k+proof.Start() : r*s.k+proof.End()]
		}
		out = append(out, row)
	}
	return out, nil
}

// tree returns the merkle tree of a row, and its 2k shares.
func (s *Square) tree(r int) (*nmt.NamespacedMerkleTree, [][]byte, error) {
	shares, err := s.row(r)
	if err != nil {
		return nil, nil, err
	}
	tree := nmt.New(sha256.New(), nmt.NamespaceIDSize(NamespaceSize), nmt.IgnoreMaxNamespace(true), nmt.InitialCapacity(2*s.k))
	for c, share := range shares {
		leaf := append(append(make([]byte, 0, NamespaceSize+ShareSize), filedUnder(share, r, c, s.k)...), share...)
		if err := tree.Push(leaf); err != nil {
			return nil, nil, fmt.Errorf("build row tree: %w", err)
		}
	}
	return tree, shares, nil
}

// BlobProof returns, for each row that the first blob with a commitment touches, the proof of the namespace's data in that row.
func (s *Square) BlobProof(ns da.Namespace, commitment []byte) ([]*Proof, error) {
	p, err := s.Blob(ns, commitment)
	if err != nil {
		return nil, err
	}
	var out []*Proof
	for r := p.Start / s.k; r*s.k < p.Start+p.Shares; r++ {
		tree, _, err := s.tree(r)
		if err != nil {
			return nil, err
		}
		proof, err := tree.ProveNamespace(namespace.ID(ns[:]))
		if err != nil {
			return nil, fmt.Errorf("prove namespace: %w", err)
		}
		out = append(out, &proof)
	}
	return out, nil
}

// CommitmentProof proves the first blob with a commitment in a namespace.
func (s *Square) CommitmentProof(ns da.Namespace, commitment []byte) (*CommitmentProof, error) {
	p, err := s.Blob(ns, commitment)
	if err != nil {
		return nil, err
	}
	proofs, rows, err := s.proveRange(p.Start, p.Start+p.Shares)
	if err != nil {
		return nil, err
	}
	subroots, err := subtreeRoots(ns, s.ods[p.Start:p.Start+p.Shares])
	if err != nil {
		return nil, err
	}
	return &CommitmentProof{SubtreeRoots: subroots, SubtreeRootProofs: proofs, Namespace: ns, RowProof: rows}, nil
}

// Range returns the shares [start, end) of the original square, which must be of one namespace, with their proof.
func (s *Square) Range(start, end int) (*ShareRange, error) {
	if start < 0 || start >= end || end > len(s.ods) {
		return nil, fmt.Errorf("range [%d, %d) is not within the %d shares of the square", start, end, len(s.ods))
	}
	ns := s.ods[start][:NamespaceSize]
	for i := start; i < end; i++ {
		if !bytes.Equal(s.ods[i][:NamespaceSize], ns) {
			return nil, fmt.Errorf("range [%d, %d) has more than one namespace", start, end)
		}
	}
	proofs, rows, err := s.proveRange(start, end)
	if err != nil {
		return nil, err
	}
	return &ShareRange{Shares: s.ods[start:end], ShareProofs: proofs, Namespace: da.Namespace(ns), RowProof: rows}, nil
}

// proveRange proves shares [start, end) in each of their rows, and the rows in the data root.
func (s *Square) proveRange(start, end int) ([]*Proof, RowProof, error) {
	first, last := start/s.k, (end-1)/s.k
	var out []*Proof
	for r := first; r <= last; r++ {
		tree, _, err := s.tree(r)
		if err != nil {
			return nil, RowProof{}, err
		}
		proof, err := tree.ProveRange(max(start-r*s.k, 0), min(end-r*s.k, s.k))
		if err != nil {
			return nil, RowProof{}, fmt.Errorf("prove shares: %w", err)
		}
		out = append(out, &proof)
	}
	return out, s.dah.proveRows(first, last), nil
}

// proveRows proves that rows [first, last] belong to the data root.
func (d *DAH) proveRows(first, last int) RowProof {
	leaves := make([][32]byte, 0, len(d.RowRoots)+len(d.ColumnRoots))
	for _, r := range d.RowRoots {
		leaves = append(leaves, leafHash(r))
	}
	for _, r := range d.ColumnRoots {
		leaves = append(leaves, leafHash(r))
	}
	p := RowProof{StartRow: uint32(first), EndRow: uint32(last)}
	for i := first; i <= last; i++ {
		p.RowRoots = append(p.RowRoots, d.RowRoots[i])
		p.Proofs = append(p.Proofs, MerkleProof{Total: int64(len(leaves)), Index: int64(i), LeafHash: bytes.Clone(leaves[i][:]), Aunts: aunts(leaves, i)})
	}
	return p
}

// aunts returns the siblings on the way from leaf i up to the root, lowest first.
func aunts(leaves [][32]byte, i int) [][]byte {
	if len(leaves) == 1 {
		return nil
	}
	n := splitPoint(len(leaves))
	mine, others := leaves[:n], leaves[n:]
	if i >= n {
		mine, others, i = others, mine, i-n
	}
	sibling := merkleRoot(append([][32]byte(nil), others...))
	return append(aunts(mine, i), sibling[:])
}

// covers reports whether a root's range of namespaces includes ns.
func covers(root []byte, ns da.Namespace) bool {
	return len(root) == RootSize && bytes.Compare(root[:NamespaceSize], ns[:]) <= 0 && bytes.Compare(ns[:], root[NamespaceSize:2*NamespaceSize]) <= 0
}
