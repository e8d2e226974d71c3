package square

var Bech32 = bech32

// BuildTxs is Build with given transactions. The blobs' commitments must be set.
func BuildTxs(txs []PayForBlobs) (*Square, error) { return build(MaxWidth, txs) }

// ScanNamespaceRows reads an answer of share.GetNamespaceData as encoding/json does by UnmarshalJSON.
func ScanNamespaceRows(data []byte) ([]NamespaceRow, error) {
	s := scanner{b: data}
	var rows []NamespaceRow
	s.array(MaxWidth, func() {
		var r NamespaceRow
		s.namespaceRow(&r)
		rows = append(rows, r)
	})
	return rows, s.end("namespace data")
}

// EDS returns the extended square's shares by rows, made all at once.
func (s *Square) EDS() ([][]byte, error) {
	w := 2 * s.k
	out := make([][]byte, w*w)
	for r := range s.k {
		row := append(append(make([][]byte, 0, w), s.ods[r*s.k:(r+1)*s.k]...), room(s.k)...)
		if err := extend(row); err != nil {
			return nil, err
		}
		copy(out[r*w:], row)
	}
	for c := range w {
		column := append(make([][]byte, s.k, w), room(s.k)...)
		for r := range s.k {
			column[r] = out[r*w+c]
		}
		if err := extend(column); err != nil {
			return nil, err
		}
		for r := s.k; r < w; r++ {
			out[r*w+c] = column[r]
		}
	}
	return out, nil
}
