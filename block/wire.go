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

// eachField calls visit for each field of msg, in order. A field's bytes are a part of msg: nothing is copied, and a length that claims
// more than there is ends in an error before anything is allocated.
func eachField(msg []byte, visit func(f *field) error) error {
	var f field // one for all: visit does not keep it
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return protowire.ParseError(n)
		}
		msg = msg[n:]
		f = field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(msg)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(msg)
		default:
			n = protowire.ConsumeFieldValue(num, typ, msg)
		}
		if n < 0 {
			return fmt.Errorf("field %d: %w", num, protowire.ParseError(n))
		}
		if err := visit(&f); err != nil {
			return fmt.Errorf("field %d: %w", num, err)
		}
		msg = msg[n:]
	}
	return nil
}

var (
	errWireType = errors.New("wrong wire type")
	errUTF8     = errors.New("string is not valid UTF-8")
)

// The setters store a field's value; of a field that occurs twice the last one counts, as in any proto3 decoder. An empty byte field is
// the same as an absent one: nil.

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

// message decodes an embedded message into what is there already: parts of a message that occurs twice are merged, as in proto3.
func (f *field) message(visit func(f *field) error) error {
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

// appendPrefix appends the tag and length of a field whose n bytes follow; unlike appendBytes it does so for an empty one too.
func appendPrefix(b []byte, num protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(n))
}

func sizePrefixed(num protowire.Number, n int) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(n)
}
