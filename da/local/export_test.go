package local

// Decode decodes both forms of what a history keeps and writes it again; nil for what is neither.
func Decode(b []byte) [][]byte {
	var out [][]byte
	if r, err := decodeRecord(b); err == nil {
		out = append(out, r.encode())
	}
	if c, err := decodeContent(b); err == nil {
		out = append(out, c.encode())
	}
	return out
}

// Encoded returns the keys that a height has on disk, for the seeds of fuzzing.
func Encoded(c *Chain, height uint64) [][]byte {
	rec, err := c.history.record(height)
	if err != nil {
		panic(err)
	}
	return [][]byte{rec.encode(), c.history.(*memory).body(height).encode()}
}
