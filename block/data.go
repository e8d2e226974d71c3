package block

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of evnode.v1, in the order in which they are written.
const (
	metadataChainID      = 1
	metadataHeight       = 2
	metadataTime         = 3
	metadataLastDataHash = 4

	dataMetadata, dataTxs = 1, 2
)

// EmptyCommitment is the Data.Commitment of a block without transactions. No data blob is posted for such a block.
var EmptyCommitment = Hash(sha256.Sum256([]byte{0}))

// EmptyData returns the data of the block without transactions that h is the header of; lastDataHash is the parent's
// Data.Hash, nil at the first height.
func EmptyData(h *Header, lastDataHash []byte) Data {
	return Data{Metadata: Metadata{ChainID: h.ChainID, Height: h.Height, Time: h.Time, LastDataHash: lastDataHash}}
}

func (m *Metadata) append(b []byte) []byte {
	b = appendBytes(b, metadataChainID, m.ChainID)
	b = appendUint(b, metadataHeight, m.Height)
	b = appendUint(b, metadataTime, m.Time)
	return appendBytes(b, metadataLastDataHash, m.LastDataHash)
}

func (m *Metadata) size() int {
	return sizeBytes(metadataChainID, len(m.ChainID)) + sizeUint(metadataHeight, m.Height) +
		sizeUint(metadataTime, m.Time) + sizeBytes(metadataLastDataHash, len(m.LastDataHash))
}

func (m *Metadata) set(f field) error {
	switch f.num {
	case metadataChainID:
		return f.str(&m.ChainID)
	case metadataHeight:
		return f.uint(&m.Height)
	case metadataTime:
		return f.uint(&m.Time)
	case metadataLastDataHash:
		return f.raw(&m.LastDataHash)
	}
	return nil
}

func (d *Data) append(b []byte) []byte {
	return d.appendTxs(d.Metadata.append(appendPrefix(b, dataMetadata, d.Metadata.size())))
}

func (d *Data) appendTxs(b []byte) []byte {
	for _, tx := range d.Txs {
		b = append(appendPrefix(b, dataTxs, len(tx)), tx...)
	}
	return b
}

func (d *Data) size() int { return sizePrefixed(dataMetadata, d.Metadata.size()) + d.sizeTxs() }

func (d *Data) sizeTxs() (n int) {
	for _, tx := range d.Txs {
		n += sizePrefixed(dataTxs, len(tx))
	}
	return n
}

// EncodeTxs returns the encoding of d's transactions alone, which Commitment is made over. The rest of d follows from the
// header and the block before.
func (d *Data) EncodeTxs() []byte { return d.appendTxs(make([]byte, 0, d.sizeTxs())) }

// CommitmentOf returns the Commitment of the data whose transactions have this encoding. There is one encoding that has
// it: who finds it in a signed header needs not decode what is to be passed on.
func CommitmentOf(txs []byte) (sum Hash) {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(txs)
	h.Sum(sum[:0])
	return sum
}

// Encode returns the encoding of d, which its signature is made over.
func (d *Data) Encode() []byte { return d.append(make([]byte, 0, d.size())) }

// Hash returns the SHA-256 of a zero byte and d's encoding: the next block's LastDataHash.
func (d *Data) Hash() Hash {
	head := d.Metadata.append(appendPrefix([]byte{0}, dataMetadata, d.Metadata.size()))
	return d.hashTxs(head)
}

// Commitment returns the SHA-256 of a zero byte and the encoding of d's transactions alone: the header's DataHash.
func (d *Data) Commitment() Hash { return d.hashTxs([]byte{0}) }

// hashTxs hashes head and the encoding of the transactions, without building it.
func (d *Data) hashTxs(head []byte) (sum Hash) {
	w := sha256.New()
	w.Write(head)
	for _, tx := range d.Txs {
		writeTx(w, tx)
	}
	w.Sum(sum[:0])
	return sum
}

func writeTx(w hash.Hash, tx []byte) {
	var prefix [16]byte
	w.Write(appendPrefix(prefix[:0], dataTxs, len(tx)))
	w.Write(tx)
}

func (d *Data) set(f field) error {
	switch f.num {
	case dataMetadata:
		return f.message(d.Metadata.set)
	case dataTxs:
		if f.typ != protowire.BytesType {
			return errWireType
		}
		n := len(f.bytes)
		d.Txs = append(d.Txs, f.bytes[:n:n])
	}
	return nil
}

var errNoContent = errors.New("no content")

// DecodeData decodes the encoding of Data. The result keeps parts of b, which must not be written to afterwards.
func DecodeData(b []byte) (*Data, error) {
	d := new(Data)
	if err := d.decode(b); err != nil {
		return nil, fmt.Errorf("decode data: %w", err)
	}
	return d, nil
}

func (d *Data) decode(b []byte) error {
	d.Txs = slices.Grow(d.Txs, countTxs(b))
	return eachField(b, d.set)
}

// countTxs returns how many transactions are in the encoding b of Data, as far as it can be read: the list is then
// allocated once.
func countTxs(b []byte) (n int) {
	_ = eachField(b, func(f field) error { // an error is found again, and returned, when b is decoded
		if f.num == dataTxs {
			n++
		}
		return nil
	})
	return n
}

// Encode returns the encoding of s: a data blob.
func (s *SignedData) Encode() []byte {
	n := s.Data.size()
	b := make([]byte, 0, sizePrefixed(signedContent, n)+sizeSignature(s.Signature, &s.Signer))
	b = s.Data.append(appendPrefix(b, signedContent, n))
	return appendSignature(b, s.Signature, &s.Signer)
}

// DecodeSignedData decodes a data blob. Nothing is verified. The result keeps parts of b, which must not be written
// to afterwards.
func DecodeSignedData(b []byte) (*SignedData, error) {
	s, found := new(SignedData), false
	err := eachField(b, func(f field) error {
		switch f.num {
		case signedContent:
			found = true
			if f.typ != protowire.BytesType {
				return errWireType
			}
			return s.Data.decode(f.bytes)
		case signedSignature:
			return f.raw(&s.Signature)
		case signedSigner:
			return f.message(s.Signer.set)
		}
		return nil
	})
	if err == nil && !found {
		err = errNoContent
	}
	if err != nil {
		return nil, fmt.Errorf("decode signed data: %w", err)
	}
	return s, nil
}
