package square

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/celestiaorg/nmt"

	"headrace/da"
)

// A proof of rows has two encodings: that of blob.GetCommitmentProof leaves out zeros and has its roots in base64,
// that of share.GetRange writes everything and has them in upper-case hexadecimal. 64-bit integers are strings in
// both.

type rowProofJSON struct {
	RowRoots [][]byte          `json:"row_roots"`
	Proofs   []merkleProofJSON `json:"proofs"`
	StartRow uint32            `json:"start_row,omitempty"`
	EndRow   uint32            `json:"end_row,omitempty"`
}

type merkleProofJSON struct {
	Total    int64    `json:"total,omitempty,string"`
	Index    int64    `json:"index,omitempty,string"`
	LeafHash []byte   `json:"leaf_hash,omitempty"`
	Aunts    [][]byte `json:"aunts,omitempty"`
}

// rangeProofJSON is a Proof as share.GetRange writes it: of shares that are there, so without a leaf's hash, and
// without the flag.
type rangeProofJSON struct {
	Start int      `json:"start,omitempty"`
	End   int      `json:"end,omitempty"`
	Nodes [][]byte `json:"nodes,omitempty"`
}

type commitmentProofJSON struct {
	SubtreeRoots      [][]byte     `json:"subtree_roots"`
	SubtreeRootProofs []*Proof     `json:"subtree_root_proofs"`
	NamespaceID       []byte       `json:"namespace_id"`
	RowProof          rowProofJSON `json:"row_proof"`
	NamespaceVersion  uint8        `json:"namespace_version"`
}

// MarshalJSON writes what blob.GetCommitmentProof returns.
func (p *CommitmentProof) MarshalJSON() ([]byte, error) {
	j := commitmentProofJSON{SubtreeRoots: p.SubtreeRoots, SubtreeRootProofs: p.SubtreeRootProofs, NamespaceID: p.Namespace[1:], NamespaceVersion: p.Namespace[0]}
	j.RowProof = rowProofJSON{RowRoots: p.RowProof.RowRoots, StartRow: p.RowProof.StartRow, EndRow: p.RowProof.EndRow}
	for _, m := range p.RowProof.Proofs {
		j.RowProof.Proofs = append(j.RowProof.Proofs, merkleProofJSON(m))
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *CommitmentProof) UnmarshalJSON(data []byte) error {
	var j commitmentProofJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("read commitment proof: %w", err)
	}
	ns, err := joinNamespace(j.NamespaceVersion, j.NamespaceID)
	if err != nil {
		return err
	}
	*p = CommitmentProof{SubtreeRoots: j.SubtreeRoots, SubtreeRootProofs: j.SubtreeRootProofs, Namespace: ns}
	p.RowProof = RowProof{RowRoots: j.RowProof.RowRoots, StartRow: j.RowProof.StartRow, EndRow: j.RowProof.EndRow}
	for _, m := range j.RowProof.Proofs {
		p.RowProof.Proofs = append(p.RowProof.Proofs, MerkleProof(m))
	}
	return nil
}

func joinNamespace(version uint8, id []byte) (da.Namespace, error) {
	var ns da.Namespace
	if len(id) != NamespaceSize-1 {
		return ns, errors.New("namespace id is not of 28 bytes")
	}
	ns[0] = version
	copy(ns[1:], id)
	return ns, nil
}

// MarshalJSON writes what share.GetRange returns.
func (r *ShareRange) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// AppendJSON appends what MarshalJSON returns.
func (r *ShareRange) AppendJSON(b []byte) []byte {
	b = append(slices.Grow(b, 2*sharesJSON(len(r.Shares))+4096*(1+len(r.ShareProofs))), `{"Shares":`...)
	b = appendRoots(b, r.Shares)
	b = appendRoots(append(b, `,"Proof":{"data":`...), r.Shares)
	b = append(b, `,"share_proofs":[`...)
	for i, p := range r.ShareProofs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendSmall(b, rangeProofJSON{p.Start(), p.End(), p.Nodes()})
	}
	b = appendBase64(append(b, `],"namespace_id":`...), r.Namespace[1:])
	b = append(b, `,"row_proof":{"row_roots":[`...)
	for i, root := range r.RowProof.RowRoots {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendHex(b, root)
	}
	b = append(b, `],"proofs":[`...)
	for i, p := range r.RowProof.Proofs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendInt(append(b, `{"total":`...), p.Total)
		b = appendInt(append(b, `,"index":`...), p.Index)
		b = appendBase64(append(b, `,"leaf_hash":`...), p.LeafHash)
		b = append(appendRoots(append(b, `,"aunts":`...), p.Aunts), '}')
	}
	b = strconv.AppendUint(append(b, `],"start_row":`...), uint64(r.RowProof.StartRow), 10)
	b = strconv.AppendUint(append(b, `,"end_row":`...), uint64(r.RowProof.EndRow), 10)
	b = strconv.AppendUint(append(b, `},"namespace_version":`...), uint64(r.Namespace[0]), 10)
	return append(b, '}', '}')
}

// AppendRowsJSON appends the data of a namespace as share.GetNamespaceData gives it. It makes room for all of it once.
func AppendRowsJSON(b []byte, rows []NamespaceRow) []byte {
	n := 0
	for i := range rows {
		n += sharesJSON(len(rows[i].Shares)) + 4096
	}
	b = append(slices.Grow(b, n), '[')
	for i, r := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRoots(append(b, `{"shares":`...), r.Shares)
		b = append(appendSmall(append(b, `,"proof":`...), r.Proof), '}')
	}
	return append(b, ']')
}

// sharesJSON is how many bytes a list of n shares has.
func sharesJSON(n int) int { return n*(base64.StdEncoding.EncodedLen(ShareSize)+3) + 2 }

// appendSmall appends a value of ours, which encoding/json can write.
func appendSmall(b []byte, v any) []byte {
	j, err := json.Marshal(v)
	if err != nil {
		panic("encode " + err.Error())
	}
	return append(b, j...)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *ShareRange) UnmarshalJSON(data []byte) error {
	*r = ShareRange{}
	s := scanner{b: data}
	var id []byte
	var version uint8
	s.object(func(key []byte) {
		switch string(key) {
		case "Shares":
			r.Shares = s.roots(MaxWidth * MaxWidth)
		case "Proof":
			s.object(func(key []byte) {
				switch string(key) {
				case "share_proofs":
					s.array(MaxWidth, func() { r.ShareProofs = append(r.ShareProofs, s.proof()) })
				case "namespace_id":
					id = s.base64()
				case "namespace_version":
					version = uint8(s.uint(255))
				case "row_proof":
					s.rowProof(&r.RowProof)
				}
			})
		}
	})
	if err := s.end("share range"); err != nil {
		return err
	}
	ns, err := joinNamespace(version, id)
	r.Namespace = ns
	return err
}

// UnmarshalJSON reads one row.
func (r *NamespaceRow) UnmarshalJSON(data []byte) error {
	s := scanner{b: data}
	*r = NamespaceRow{}
	s.namespaceRow(r)
	return s.end("namespace data")
}

func (s *scanner) namespaceRow(r *NamespaceRow) {
	s.object(func(key []byte) {
		switch string(key) {
		case "shares":
			r.Shares = s.roots(MaxWidth)
		case "proof":
			if r.Proof = nil; !s.null() {
				r.Proof = s.proof()
			}
		}
	})
}

// proof reads a proof as Celestia's own methods write it, or, where there is no flag, as share.GetRange does.
func (s *scanner) proof() *Proof {
	var start, end int
	var nodes [][]byte
	var leaf []byte
	ignored := true
	s.object(func(key []byte) {
		switch string(key) {
		case "start":
			start = int(s.uint(2 * MaxWidth))
		case "end":
			end = int(s.uint(2 * MaxWidth))
		case "nodes":
			nodes = s.roots(2 * MaxWidth)
		case "leaf_hash":
			leaf = s.base64()
		case "is_max_namespace_ignored":
			ignored = s.bool()
		}
	})
	p := nmt.NewInclusionProof(start, end, nodes, ignored)
	if len(leaf) > 0 {
		p = nmt.NewAbsenceProof(start, end, nodes, leaf, ignored)
	}
	return &p
}

// rowProof reads the encoding of share.GetRange.
func (s *scanner) rowProof(p *RowProof) {
	s.object(func(key []byte) {
		switch string(key) {
		case "row_roots":
			s.array(MaxWidth, func() {
				_, root := s.hex(nil)
				p.RowRoots = append(p.RowRoots, root)
			})
		case "proofs":
			s.array(MaxWidth, func() {
				var m MerkleProof
				s.merkleProof(&m)
				p.Proofs = append(p.Proofs, m)
			})
		case "start_row":
			p.StartRow = uint32(s.uint(1<<32 - 1))
		case "end_row":
			p.EndRow = uint32(s.uint(1<<32 - 1))
		}
	})
}

func (s *scanner) merkleProof(m *MerkleProof) {
	s.object(func(key []byte) {
		switch string(key) {
		case "total":
			m.Total = s.int()
		case "index":
			m.Index = s.int()
		case "leaf_hash":
			m.LeafHash = s.base64()
		case "aunts":
			m.Aunts = s.roots(64)
		}
	})
}
