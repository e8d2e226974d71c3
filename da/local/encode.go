package local

import (
	"encoding/binary"
	"errors"

	"headrace/da"
	"headrace/internal/disk"
	"headrace/internal/square"
)

var errCorrupt = errors.New("history is corrupt")

// encode writes
//
//	time (8) | hash (32) | signature (64) | data hash (32, not for an empty block)
func (r *record) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 136), uint64(r.time))
	b = append(append(b, r.hash[:]...), r.signature[:]...)
	if !r.empty {
		b = append(b, r.dataHash[:]...)
	}
	return b
}

func decodeRecord(b []byte) (*record, error) {
	if len(b) != 104 && len(b) != 136 {
		return nil, errCorrupt
	}
	r := &record{time: int64(binary.BigEndian.Uint64(b)), dataHash: square.EmptyDataHash, empty: len(b) == 104}
	copy(r.hash[:], b[8:])
	copy(r.signature[:], b[40:])
	if !r.empty {
		copy(r.dataHash[:], b[104:])
	}
	return r, nil
}

// encode writes, with numbers as varints,
//
//	number of row roots | row roots | column roots (as many, 90 bytes each)
//	number of blobs | of each: submission, index, share version, namespace (29), commitment (32), with version 1 signer (20)
func (c *content) encode() []byte {
	b := binary.AppendUvarint(make([]byte, 0, 16+180*len(c.dah.RowRoots)+96*len(c.blobs)), uint64(len(c.dah.RowRoots)))
	for _, roots := range [][][]byte{c.dah.RowRoots, c.dah.ColumnRoots} {
		for _, r := range roots {
			b = append(b, r...)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(c.blobs)))
	for i := range c.blobs {
		p := &c.blobs[i]
		b = binary.AppendUvarint(b, uint64(p.submission))
		b = binary.AppendUvarint(b, uint64(p.Index))
		b = append(append(append(b, p.ShareVersion), p.Namespace[:]...), p.Commitment...)
		b = append(b, p.Signer...)
	}
	return b
}

func decodeContent(b []byte) (*content, error) {
	r := reader{disk.Decoder{Rest: b}}
	n := r.count(2 * square.RootSize)
	c := &content{}
	c.dah.RowRoots, c.dah.ColumnRoots = r.roots(n), r.roots(n)
	c.blobs = make([]posted, r.count(64))
	for i := range c.blobs {
		p := &c.blobs[i]
		p.submission, p.Index = int(r.Number()), int(r.Number())
		p.ShareVersion = r.bytes(1)[0]
		p.Namespace = da.Namespace(r.bytes(square.NamespaceSize))
		p.Commitment = r.bytes(32)
		if p.ShareVersion == 1 {
			p.Signer = r.bytes(20)
		}
	}
	if r.End() != nil {
		return nil, errCorrupt
	}
	return c, nil
}

// reader takes values from the front of Rest. Past the end it gives zeros, and End says so.
type reader struct{ disk.Decoder }

// count reads how many values of at least size bytes follow.
func (r *reader) count(size int) int {
	n := r.Number()
	if n > uint64(len(r.Rest)/size) {
		r.Rest, r.Err = nil, errCorrupt
		return 0
	}
	return int(n)
}

func (r *reader) bytes(n int) []byte {
	if v := r.Take(uint64(n)); v != nil {
		return v
	}
	return make([]byte, n)
}

func (r *reader) roots(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = r.bytes(square.RootSize)
	}
	return out
}
