package block

import (
	"crypto/sha256"
	"fmt"
)

// Field numbers of evnode.v1, in the order in which they are written.
const (
	versionBlock, versionApp = 1, 2

	headerVersion         = 1
	headerHeight          = 2
	headerTime            = 3
	headerLastHeaderHash  = 4
	headerDataHash        = 6
	headerAppHash         = 8
	headerProposerAddress = 10
	headerValidatorHash   = 11
	headerChainID         = 12

	signerAddress, signerPubKey = 1, 2

	signedContent, signedSignature, signedSigner, signedEnvelope = 1, 2, 3, 4
)

// Append appends the encoding of h to b. The version is written even when it is zero, as a field of length zero.
func (h *Header) Append(b []byte) []byte {
	b = appendPrefix(b, headerVersion, h.Version.size())
	b = appendUint(b, versionBlock, h.Version.Block)
	b = appendUint(b, versionApp, h.Version.App)
	b = appendUint(b, headerHeight, h.Height)
	b = appendUint(b, headerTime, h.Time)
	b = appendBytes(b, headerLastHeaderHash, h.LastHeaderHash)
	b = appendBytes(b, headerDataHash, h.DataHash)
	b = appendBytes(b, headerAppHash, h.AppHash)
	b = appendBytes(b, headerProposerAddress, h.ProposerAddress)
	b = appendBytes(b, headerValidatorHash, h.ValidatorHash)
	return appendBytes(b, headerChainID, h.ChainID)
}

// Encode returns the encoding of h, which its hash and signature are taken over.
func (h *Header) Encode() []byte { return h.Append(make([]byte, 0, h.size())) }

// Hash returns the SHA-256 of h's encoding: the block's hash, and the next header's LastHeaderHash.
func (h *Header) Hash() Hash { return sha256.Sum256(h.Encode()) }

func (v *Version) size() int { return sizeUint(versionBlock, v.Block) + sizeUint(versionApp, v.App) }

func (h *Header) size() int {
	return sizePrefixed(headerVersion, h.Version.size()) +
		sizeUint(headerHeight, h.Height) + sizeUint(headerTime, h.Time) +
		sizeBytes(headerLastHeaderHash, len(h.LastHeaderHash)) + sizeBytes(headerDataHash, len(h.DataHash)) +
		sizeBytes(headerAppHash, len(h.AppHash)) + sizeBytes(headerProposerAddress, len(h.ProposerAddress)) +
		sizeBytes(headerValidatorHash, len(h.ValidatorHash)) + sizeBytes(headerChainID, len(h.ChainID))
}

func (v *Version) set(f field) error {
	switch f.num {
	case versionBlock:
		return f.uint(&v.Block)
	case versionApp:
		return f.uint(&v.App)
	}
	return nil
}

// HasLegacyFields reports whether the header in a header blob has one of the fields that the format had before: 5, 7
// and 9. They are passed over in decoding, and a signature over them does not verify without.
func HasLegacyFields(signed []byte) (has bool) {
	_ = eachField(signed, func(f field) error { // what does not decode is no header at all
		if f.num != signedContent {
			return nil
		}
		return f.message(func(f field) error {
			has = has || f.num == 5 || f.num == 7 || f.num == 9
			return nil
		})
	})
	return has
}

// set takes one field of a Header. Fields that are not known, the old format's among them, are passed over.
func (h *Header) set(f field) error {
	switch f.num {
	case headerVersion:
		return f.message(h.Version.set)
	case headerHeight:
		return f.uint(&h.Height)
	case headerTime:
		return f.uint(&h.Time)
	case headerLastHeaderHash:
		return f.raw(&h.LastHeaderHash)
	case headerDataHash:
		return f.raw(&h.DataHash)
	case headerAppHash:
		return f.raw(&h.AppHash)
	case headerProposerAddress:
		return f.raw(&h.ProposerAddress)
	case headerValidatorHash:
		return f.raw(&h.ValidatorHash)
	case headerChainID:
		return f.str(&h.ChainID)
	}
	return nil
}

func (s *Signer) size() int {
	return sizeBytes(signerAddress, len(s.Address)) + sizeBytes(signerPubKey, len(s.PubKey))
}

func (s *Signer) set(f field) error {
	switch f.num {
	case signerAddress:
		return f.raw(&s.Address)
	case signerPubKey:
		return f.raw(&s.PubKey)
	}
	return nil
}

// appendSignature appends what follows the content of every signed message: the signature and the signer, the latter
// even when it is empty.
func appendSignature(b, signature []byte, s *Signer) []byte {
	b = appendBytes(b, signedSignature, signature)
	b = appendPrefix(b, signedSigner, s.size())
	b = appendBytes(b, signerAddress, s.Address)
	return appendBytes(b, signerPubKey, s.PubKey)
}

func sizeSignature(signature []byte, s *Signer) int {
	return sizeBytes(signedSignature, len(signature)) + sizePrefixed(signedSigner, s.size())
}

// Encode returns the encoding of s: a header blob. It is an envelope if s has an envelope signature, else the plain
// form.
func (s *SignedHeader) Encode() []byte {
	return appendBytes(s.plain(), signedEnvelope, s.EnvelopeSignature)
}

// plain returns the encoding without the envelope signature, which is what the envelope signature is made over. It
// has room for one.
func (s *SignedHeader) plain() []byte {
	n := s.Header.size()
	size := sizePrefixed(signedContent, n) + sizeSignature(s.Signature, &s.Signer)
	b := make([]byte, 0, size+sizeBytes(signedEnvelope, len(s.EnvelopeSignature)))
	b = s.Header.Append(appendPrefix(b, signedContent, n))
	return appendSignature(b, s.Signature, &s.Signer)
}

// DecodeSignedHeader decodes a header blob, envelope or plain. Nothing is verified. The result keeps parts of b,
// which must not be written to afterwards.
func DecodeSignedHeader(b []byte) (*SignedHeader, error) {
	s, found := new(SignedHeader), false
	err := eachField(b, func(f field) error {
		switch f.num {
		case signedContent:
			found = true
			return f.message(s.Header.set)
		case signedSignature:
			return f.raw(&s.Signature)
		case signedSigner:
			return f.message(s.Signer.set)
		case signedEnvelope:
			return f.raw(&s.EnvelopeSignature)
		}
		return nil
	})
	if err == nil && !found {
		err = errNoContent
	}
	if err != nil {
		return nil, fmt.Errorf("decode signed header: %w", err)
	}
	return s, nil
}
