package derive

// Missing says what the next block lacks.
type Missing string

// What can be missing.
const (
	MissingHeader Missing = "header" // no header of that height has been posted
	MissingData   Missing = "data"   // a header that continues the chain is there, the data it names is not
	MissingLink   Missing = "link"   // there are headers of that height, but none continues the chain
)

// Waiting says what the next block waits for, and what waits for it.
type Waiting struct {
	Height   uint64  `json:"height"` // of the next block
	Missing  Missing `json:"missing"`
	HeaderAt uint64  `json:"header_at,omitempty"` // with MissingData, the DA height of the header
	Headers  int     `json:"headers"`             // pending
	Data     int     `json:"data"`                // pending
	Bytes    int     `json:"bytes"`               // that the pending halves take
}

// Waiting describes why the next block is not there yet.
func (d *Deriver) Waiting() Waiting {
	w := Waiting{Height: d.tip.Height + 1, Missing: MissingHeader, Headers: len(d.pool.byKey) - d.pool.data, Data: d.pool.data, Bytes: d.pool.bytes}
	var first *half
	for _, h := range d.pool.at(w.Height).headers {
		if w.Missing == MissingHeader {
			w.Missing = MissingLink
		}
		if d.continues(&h.header.Header) && (first == nil || h.before(first)) {
			first = h
			w.Missing, w.HeaderAt = MissingData, h.DAHeight
		}
	}
	return w
}
