package derive

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"headrace/block"
)

// What follows decodes a signed header and signed data as package block did when each transaction was decoded before
// anything was verified: a field at a time, by protowire alone. Data is encoded again to see what was signed.

var errOld = errors.New("it does not decode")

type oldField struct {
	num   protowire.Number
	typ   protowire.Type
	value uint64
	bytes []byte
}

func oldEach(msg []byte, visit func(f *oldField) error) error {
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return errOld
		}
		msg = msg[n:]
		f := oldField{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(msg)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(msg)
		default:
			n = protowire.ConsumeFieldValue(num, typ, msg)
		}
		if n < 0 {
			return errOld
		}
		if err := visit(&f); err != nil {
			return err
		}
		msg = msg[n:]
	}
	return nil
}

// uint, raw and str return a setter of a field of that type.

func oldUint(to *uint64) func(f *oldField) error {
	return func(f *oldField) error {
		if f.typ != protowire.VarintType {
			return errOld
		}
		*to = f.value
		return nil
	}
}

func oldRaw(to *[]byte) func(f *oldField) error {
	return func(f *oldField) error {
		if f.typ != protowire.BytesType {
			return errOld
		}
		if *to = nil; len(f.bytes) > 0 {
			*to = f.bytes
		}
		return nil
	}
}

func oldStr(to *string) func(f *oldField) error {
	return func(f *oldField) error {
		if f.typ != protowire.BytesType || !utf8.Valid(f.bytes) {
			return errOld
		}
		*to = string(f.bytes)
		return nil
	}
}

// oldMessage returns a setter of a message's fields, by their numbers. Fields that are not known are passed over.
func oldMessage(fields map[protowire.Number]func(f *oldField) error) func(f *oldField) error {
	return func(f *oldField) error {
		if f.typ != protowire.BytesType {
			return errOld
		}
		return oldEach(f.bytes, func(f *oldField) error {
			if set := fields[f.num]; set != nil {
				return set(f)
			}
			return nil
		})
	}
}

type oldFields = map[protowire.Number]func(f *oldField) error

func oldSigner(s *block.Signer) func(f *oldField) error {
	return oldMessage(oldFields{1: oldRaw(&s.Address), 2: oldRaw(&s.PubKey)})
}

func oldDecodeSignedHeader(b []byte) (*block.SignedHeader, error) {
	s, found := new(block.SignedHeader), false
	h := &s.Header
	header := oldMessage(oldFields{
		1: oldMessage(oldFields{1: oldUint(&h.Version.Block), 2: oldUint(&h.Version.App)}), 2: oldUint(&h.Height), 3: oldUint(&h.Time),
		4: oldRaw(&h.LastHeaderHash), 6: oldRaw(&h.DataHash), 8: oldRaw(&h.AppHash), 10: oldRaw(&h.ProposerAddress),
		11: oldRaw(&h.ValidatorHash), 12: oldStr(&h.ChainID),
	})
	err := oldMessage(oldFields{
		1: func(f *oldField) error { found = true; return header(f) },
		2: oldRaw(&s.Signature), 3: oldSigner(&s.Signer), 4: oldRaw(&s.EnvelopeSignature),
	})(&oldField{typ: protowire.BytesType, bytes: b})
	if err == nil && !found {
		err = errOld
	}
	return s, err
}

func oldDecodeSignedData(b []byte) (*block.SignedData, error) {
	s, found := new(block.SignedData), false
	m := &s.Data.Metadata
	metadata := oldMessage(oldFields{1: oldStr(&m.ChainID), 2: oldUint(&m.Height), 3: oldUint(&m.Time), 4: oldRaw(&m.LastDataHash)})
	data := oldMessage(oldFields{1: metadata, 2: func(f *oldField) error {
		if f.typ != protowire.BytesType {
			return errOld
		}
		s.Data.Txs = append(s.Data.Txs, f.bytes)
		return nil
	}})
	err := oldMessage(oldFields{
		1: func(f *oldField) error { found = true; return data(f) },
		2: oldRaw(&s.Signature), 3: oldSigner(&s.Signer),
	})(&oldField{typ: protowire.BytesType, bytes: b})
	if err == nil && !found {
		err = errOld
	}
	return s, err
}
