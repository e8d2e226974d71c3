package disk

import (
	"encoding/binary"
	"errors"
)

// A value is fields in a fixed order: numbers as uvarints, and byte strings behind their length plus one, 0 for one that
// is not present.

var (
	errShort = errors.New("value is cut short")
	errLong  = errors.New("value has bytes left over")
)

// AppendBytes appends a byte string, which may be absent.
func AppendBytes(b, v []byte, present bool) []byte {
	if !present {
		return binary.AppendUvarint(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(v))+1), v...)
}

// Decoder reads fields from the front of Rest. After the first error it returns zero values.
type Decoder struct {
	Rest []byte
	Err  error
}

// Number reads a number.
func (d *Decoder) Number() uint64 {
	v, n := binary.Uvarint(d.Rest)
	if n <= 0 {
		d.Rest, d.Err = nil, errShort
		return 0
	}
	d.Rest = d.Rest[n:]
	return v
}

// Take reads n bytes.
func (d *Decoder) Take(n uint64) []byte {
	if n > uint64(len(d.Rest)) {
		d.Rest, d.Err = nil, errShort
		return nil
	}
	v := d.Rest[:n:n]
	d.Rest = d.Rest[n:]
	return v
}

// Bytes reads what AppendBytes wrote; an empty byte string as nil.
func (d *Decoder) Bytes() (v []byte, present bool) {
	n := d.Number()
	if n <= 1 {
		return nil, n == 1
	}
	return d.Take(n - 1), true
}

// End returns the first error, or one for bytes that are left over.
func (d *Decoder) End() error {
	if d.Err == nil && len(d.Rest) > 0 {
		return errLong
	}
	return d.Err
}
