package square

var Bech32 = bech32

// BuildTxs is Build with given transactions. The blobs' commitments must be set.
func BuildTxs(txs []PayForBlobs) (*Square, error) { return build(MaxWidth, txs) }
