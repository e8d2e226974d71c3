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
