package block

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A field is one field of a protobuf message: value for a varint, bytes for a length-delimited one.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	value uint64
	bytes []byte
}

// eachField calls visit for each field of msg, in order. A field's bytes are a part of msg: nothing is copied, nothing
// is allocated, and a length that claims more than there is ends in an error.
func eachField(msg []byte, visit func(f field) error) (err error) {
	var f field
	for len(msg) > 0 {
		if msg, err = f.next(msg); err != nil {
			return err
		}
		if err := visit(f); err != nil {
			return fmt.Errorf("field %d: %w", f.num, err)
		}
	}
	return nil
}

// next reads the first field of msg, which is not empty, into f, and returns what follows it. Strangers choose how
// many fields a message has: what is short is read without a call.
func (f *field) next(msg []byte) (rest []byte, err error) {
	tag, n := uint64(msg[0]), 1
	if tag >= 0x80 && len(msg) > 1 && msg[1] < 0x80 {
		tag, n = tag&0x7f|uint64(msg[1])<<7, 2
	}
	f.num, f.typ = protowire.Number(tag>>3), protowire.Type(tag&7)
	if f.num == 0 || n == 1 && tag >= 0x80 {
		if f.num, f.typ, n = protowire.ConsumeTag(msg); n < 0 {
			return nil, protowire.ParseError(n)
		}
	}
	if msg = msg[n:]; len(msg) > 0 && msg[0] < 0x80 {
		small := msg[0]
		switch end := 1 + int(small); {
		case f.typ == protowire.VarintType:
			f.value = uint64(small)
			return msg[1:], nil
		case f.typ == protowire.BytesType && end <= len(msg):
			f.bytes = msg[1:end]
			return msg[end:], nil
		}
	}
	switch f.typ {
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(msg)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(msg)
	default:
		n = protowire.ConsumeFieldValue(f.num, f.typ, msg)
	}
	if n < 0 {
		return nil, fmt.Errorf("field %d: %w", f.num, protowire.ParseError(n))
	}
	return msg[n:], nil
}

var (
	errWireType = errors.New("wrong wire type")
	errUTF8     = errors.New("string is not valid UTF-8")
)

// The setters store a field's value; of a field that occurs twice the last one counts, as in any proto3 decoder. An
// empty byte field is the same as an absent one: nil.

func (f *field) uint(to *uint64) error {
	if f.typ != protowire.VarintType {
		return errWireType
	}
	*to = f.value
	return nil
}

func (f *field) raw(to *[]byte) error {
	if f.typ != protowire.BytesType {
		return errWireType
	}
	*to = nil
	if n := len(f.bytes); n > 0 {
		*to = f.bytes[:n:n]
	}
	return nil
}

func (f *field) str(to *string) error {
	if f.typ != protowire.BytesType {
		return errWireType
	}
	if !utf8.Valid(f.bytes) {
		return errUTF8
	}
	*to = string(f.bytes)
	return nil
}

// message decodes an embedded message into what is there already: parts of a message that occurs twice are merged, as
// in proto3.
func (f *field) message(visit func(f field) error) error {
	if f.typ != protowire.BytesType {
		return errWireType
	}
	return eachField(f.bytes, visit)
}

// The append functions leave out zero values, as proto3 does; the size functions return how many bytes they append.

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func sizeUint(num protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeVarint(v)
}

func appendBytes[T string | []byte](b []byte, num protowire.Number, v T) []byte {
	if len(v) == 0 {
		return b
	}
	return append(appendPrefix(b, num, len(v)), v...)
}

func sizeBytes(num protowire.Number, n int) int {
	if n == 0 {
		return 0
	}
	return sizePrefixed(num, n)
}

// appendPrefix appends the tag and length of a field whose n bytes follow; unlike appendBytes it does so for an empty
// one too.
func appendPrefix(b []byte, num protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(n))
}

func sizePrefixed(num protowire.Number, n int) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(n)
}
