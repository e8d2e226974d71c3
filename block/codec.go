package block

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of package evnode.v1, in proto3's deterministic encoding: ascending fields, defaults left out, except that messages that Evolve always sets
// (a header's version, a signer) are written even when empty. Field numbers are Evolve's.

var errTruncated = errors.New("truncated or malformed protobuf")

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return appendMessage(b, field, v)
}

func appendMessage(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

// fields calls f for each field of a message. Length-delimited values are slices of b: nothing is allocated here, whatever lengths b claims.
func fields(b []byte, f func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errTruncated
		}
		b = b[n:]
		var val []byte
		var num64 uint64
		switch typ {
		case protowire.VarintType:
			num64, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			val, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return errTruncated
		}
		b = b[n:]
		if err := f(num, typ, val, num64); err != nil {
			return err
		}
	}
	return nil
}

// want returns an error unless a known field has its type.
func want(message string, num protowire.Number, got, typ protowire.Type) error {
	if got != typ {
		return fmt.Errorf("%s field %d has wire type %d, not %d", message, num, got, typ)
	}
	return nil
}

// clone returns a copy, nil for empty: an absent field and an empty one are the same in proto3.
func clone(v []byte) []byte {
	if len(v) == 0 {
		return nil
	}
	return append([]byte(nil), v...)
}

func (v Version) append(b []byte) []byte { return appendVarint(appendVarint(b, 1, v.Block), 2, v.App) }

func decodeVersion(b []byte) (v Version, err error) {
	err = fields(b, func(num protowire.Number, typ protowire.Type, _ []byte, n uint64) error {
		if num != 1 && num != 2 {
			return nil
		}
		if err := want("Version", num, typ, protowire.VarintType); err != nil {
			return err
		}
		if num == 1 {
			v.Block = n
		} else {
			v.App = n
		}
		return nil
	})
	return v, err
}

// Append appends the header's encoding to b.
func (h *Header) Append(b []byte) []byte {
	b = appendMessage(b, 1, h.Version.append(nil))
	b = appendVarint(b, 2, h.Height)
	b = appendVarint(b, 3, h.Time)
	b = appendBytes(b, 4, h.LastHeaderHash)
	b = appendBytes(b, 6, h.DataHash)
	b = appendBytes(b, 8, h.AppHash)
	b = appendBytes(b, 10, h.ProposerAddress)
	b = appendBytes(b, 11, h.ValidatorHash)
	return appendBytes(b, 12, []byte(h.ChainID))
}

// Encode returns the header's encoding, which its hash and its signature are taken over.
func (h *Header) Encode() []byte { return h.Append(nil) }

// Hash returns the header hash, which identifies a block: SHA-256 of the encoding.
func (h *Header) Hash() Hash { return sha256.Sum256(h.Encode()) }

func decodeHeader(b []byte) (h Header, err error) {
	err = fields(b, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		switch num {
		case 2, 3:
			if err := want("Header", num, typ, protowire.VarintType); err != nil {
				return err
			}
		case 1, 4, 6, 8, 10, 11, 12:
			if err := want("Header", num, typ, protowire.BytesType); err != nil {
				return err
			}
		}
		switch num {
		case 1:
			v, err := decodeVersion(v)
			h.Version = v
			return err
		case 2:
			h.Height = n
		case 3:
			h.Time = n
		case 4:
			h.LastHeaderHash = clone(v)
		case 6:
			h.DataHash = clone(v)
		case 8:
			h.AppHash = clone(v)
		case 10:
			h.ProposerAddress = clone(v)
		case 11:
			h.ValidatorHash = clone(v)
		case 12:
			h.ChainID = string(v)
		}
		return nil
	})
	return h, err
}

func (s *Signer) append(b []byte) []byte {
	return appendBytes(appendBytes(b, 1, s.Address), 2, s.PubKey)
}

func decodeSigner(b []byte) (s Signer, err error) {
	err = fields(b, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		if num != 1 && num != 2 {
			return nil
		}
		if err := want("Signer", num, typ, protowire.BytesType); err != nil {
			return err
		}
		if num == 1 {
			s.Address = clone(v)
		} else {
			s.PubKey = clone(v)
		}
		return nil
	})
	return s, err
}

// appendPlain appends fields 1 to 3: the plain form, which the envelope signature is taken over.
func (s *SignedHeader) appendPlain(b []byte) []byte {
	b = appendMessage(b, 1, s.Header.Encode())
	b = appendBytes(b, 2, s.Signature)
	return appendMessage(b, 3, s.Signer.append(nil))
}

// Encode returns the blob that posts the header: a DAHeaderEnvelope if there is an envelope signature, else a plain SignedHeader.
func (s *SignedHeader) Encode() []byte {
	return appendBytes(s.appendPlain(nil), 4, s.EnvelopeSignature)
}

// DecodeSignedHeader reads a header blob of either form. It checks the shape only; see Verify. It keeps nothing of b.
func DecodeSignedHeader(b []byte) (*SignedHeader, error) {
	s, seen := new(SignedHeader), false
	err := fields(b, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) (err error) {
		if num > 4 {
			return nil
		}
		if err := want("SignedHeader", num, typ, protowire.BytesType); err != nil {
			return err
		}
		switch num {
		case 1:
			seen = true
			s.Header, err = decodeHeader(v)
		case 2:
			s.Signature = clone(v)
		case 3:
			s.Signer, err = decodeSigner(v)
		case 4:
			s.EnvelopeSignature = clone(v)
		}
		return err
	})
	if err == nil && !seen {
		err = errors.New("no header in it")
	}
	if err != nil {
		return nil, fmt.Errorf("decode signed header: %w", err)
	}
	return s, nil
}

func (m *Metadata) append(b []byte) []byte {
	b = appendBytes(b, 1, []byte(m.ChainID))
	b = appendVarint(b, 2, m.Height)
	b = appendVarint(b, 3, m.Time)
	return appendBytes(b, 4, m.LastDataHash)
}

func decodeMetadata(b []byte) (m Metadata, err error) {
	err = fields(b, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) error {
		switch num {
		case 2, 3:
			if err := want("Metadata", num, typ, protowire.VarintType); err != nil {
				return err
			}
		case 1, 4:
			if err := want("Metadata", num, typ, protowire.BytesType); err != nil {
				return err
			}
		}
		switch num {
		case 1:
			m.ChainID = string(v)
		case 2:
			m.Height = n
		case 3:
			m.Time = n
		case 4:
			m.LastDataHash = clone(v)
		}
		return nil
	})
	return m, err
}

func (d *Data) appendTxs(b []byte) []byte {
	for _, tx := range d.Txs {
		b = appendMessage(b, 2, tx)
	}
	return b
}

// Encode returns the data's encoding, which its signature is taken over.
func (d *Data) Encode() []byte { return d.appendTxs(appendMessage(nil, 1, d.Metadata.append(nil))) }

// leafHash is SHA-256 of b behind a zero byte, the leaf prefix of RFC 6962.
func leafHash(b []byte) (h Hash) {
	s := sha256.New()
	s.Write([]byte{0})
	s.Write(b)
	s.Sum(h[:0])
	return h
}

// Hash returns the hash over data and metadata: the next block's Metadata.LastDataHash.
func (d *Data) Hash() Hash { return leafHash(d.Encode()) }

// Commitment returns the hash over the transactions alone: the DataHash of the block's header.
func (d *Data) Commitment() Hash { return leafHash(d.appendTxs(nil)) }

// EmptyCommitment is the Commitment of a block without transactions, whose data is not posted.
var EmptyCommitment = leafHash(nil)

// EmptyData returns the data of an empty block, which is not posted, from its header and the hash of the data before it (nil at the first height).
func EmptyData(h *Header, lastDataHash []byte) Data {
	return Data{Metadata: Metadata{ChainID: h.ChainID, Height: h.Height, Time: h.Time, LastDataHash: clone(lastDataHash)}}
}

// DecodeData reads an unsigned Data message. It keeps nothing of b.
func DecodeData(b []byte) (*Data, error) {
	d, err := decodeData(b)
	if err != nil {
		return nil, fmt.Errorf("decode data: %w", err)
	}
	return &d, nil
}

func decodeData(b []byte) (d Data, err error) {
	// Count first: one exact allocation, instead of a slice that an adversary's thousands of empty transactions would grow by copying.
	count := 0
	err = fields(b, func(num protowire.Number, typ protowire.Type, _ []byte, _ uint64) error {
		if num == 2 {
			count++
		}
		if num == 1 || num == 2 {
			return want("Data", num, typ, protowire.BytesType)
		}
		return nil
	})
	if err != nil {
		return d, err
	}
	if count > 0 {
		d.Txs = make([][]byte, 0, count)
	}
	err = fields(b, func(num protowire.Number, _ protowire.Type, v []byte, _ uint64) (err error) {
		switch num {
		case 1:
			d.Metadata, err = decodeMetadata(v)
		case 2:
			d.Txs = append(d.Txs, append([]byte{}, v...))
		}
		return err
	})
	return d, err
}

// Encode returns the blob that posts the data.
func (s *SignedData) Encode() []byte {
	b := appendMessage(nil, 1, s.Data.Encode())
	b = appendBytes(b, 2, s.Signature)
	return appendMessage(b, 3, s.Signer.append(nil))
}

// DecodeSignedData reads a data blob. It checks the shape only; see Verify. It keeps nothing of b.
func DecodeSignedData(b []byte) (*SignedData, error) {
	s, seen := new(SignedData), false
	err := fields(b, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) (err error) {
		if num > 3 {
			return nil
		}
		if err := want("SignedData", num, typ, protowire.BytesType); err != nil {
			return err
		}
		switch num {
		case 1:
			seen = true
			s.Data, err = decodeData(v)
		case 2:
			s.Signature = clone(v)
		case 3:
			s.Signer, err = decodeSigner(v)
		}
		return err
	})
	if err == nil && !seen {
		err = errors.New("no data in it")
	}
	if err != nil {
		return nil, fmt.Errorf("decode signed data: %w", err)
	}
	return s, nil
}

// Hash returns the block's hash: its header's.
func (b *Block) Hash() Hash { return b.Header.Header.Hash() }

// Ref returns the block's height and hash.
func (b *Block) Ref() Ref { return Ref{Height: b.Height(), Hash: b.Hash()} }

// Encode returns the block as one message for storage: the header blob as field 1, the data as field 2.
func (b *Block) Encode() []byte {
	out := appendMessage(nil, 1, b.Header.Encode())
	return appendMessage(out, 2, b.Data.Encode())
}

// DecodeBlock reads what Encode wrote.
func DecodeBlock(raw []byte) (*Block, error) {
	b := new(Block)
	err := fields(raw, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) error {
		switch num {
		case 1:
			h, err := DecodeSignedHeader(v)
			if err != nil {
				return err
			}
			b.Header = *h
		case 2:
			d, err := decodeData(v)
			b.Data = d
			return err
		}
		return nil
	})
	if err == nil && b.Header.Header.Height == 0 && b.Header.Header.ChainID == "" {
		err = errors.New("no header in it")
	}
	if err != nil {
		return nil, fmt.Errorf("decode block: %w", err)
	}
	return b, nil
}
