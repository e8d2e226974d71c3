package block

import (
	"bytes"
	"errors"
	"fmt"
)

// The reasons why a signature does not count.
var (
	ErrSigner    = errors.New("signer is not the proposer, or its address does not derive from its key")
	ErrSignature = errors.New("signature does not verify")
)

func (s Signer) key() (PublicKey, error) {
	k, err := DecodePublicKey(s.PubKey)
	if err != nil {
		return k, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	if !bytes.Equal(k.Address(), s.Address) {
		return k, ErrSigner
	}
	return k, nil
}

// SignHeader signs h as its proposer, in the envelope form.
func SignHeader(k *PrivateKey, h Header) (SignedHeader, error) {
	s := SignedHeader{Header: h, Signer: signerOf(k), Signature: k.Sign(h.Encode())}
	if !bytes.Equal(h.ProposerAddress, s.Signer.Address) {
		return s, fmt.Errorf("sign header %d: %w", h.Height, ErrSigner)
	}
	s.EnvelopeSignature = k.Sign(s.appendPlain(nil))
	return s, nil
}

// SignData signs d.
func SignData(k *PrivateKey, d Data) (SignedData, error) {
	return SignedData{Data: d, Signer: signerOf(k), Signature: k.Sign(d.Encode())}, nil
}

func signerOf(k *PrivateKey) Signer {
	pub := k.Public()
	return Signer{Address: pub.Address(), PubKey: pub.Encode()}
}

// Verify checks the header's signature and that its signer is the proposer that it names. Whether that is the chain's proposer is the caller's to check.
func (s *SignedHeader) Verify() error {
	k, err := s.Signer.key()
	switch {
	case err != nil:
		return err
	case !bytes.Equal(s.Signer.Address, s.Header.ProposerAddress):
		return ErrSigner
	case !k.Verify(s.Header.Encode(), s.Signature):
		return ErrSignature
	}
	return nil
}

// VerifyEnvelope checks the envelope signature, which a plain header does not have.
func (s *SignedHeader) VerifyEnvelope() error {
	k, err := s.Signer.key()
	switch {
	case err != nil:
		return err
	case len(s.EnvelopeSignature) == 0:
		return fmt.Errorf("%w: there is no envelope signature", ErrSignature)
	case !k.Verify(s.appendPlain(nil), s.EnvelopeSignature):
		return fmt.Errorf("envelope: %w", ErrSignature)
	}
	return nil
}

// Verify checks the data's signature. Whether its signer is the chain's proposer is the caller's to check.
func (s *SignedData) Verify() error {
	k, err := s.Signer.key()
	switch {
	case err != nil:
		return err
	case !k.Verify(s.Data.Encode(), s.Signature):
		return ErrSignature
	}
	return nil
}
