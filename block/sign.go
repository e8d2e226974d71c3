package block

import (
	"bytes"
	"errors"
	"fmt"
)

// Why a signature does not hold; test with errors.Is.
var (
	ErrSignature = errors.New("signature does not verify")
	ErrSigner    = errors.New("signer is not who it says")
)

// Key returns the signer's public key, having checked that the address derives from it.
func (s *Signer) Key() (PublicKey, error) {
	k, err := DecodePublicKey(s.PubKey)
	if err != nil {
		return k, fmt.Errorf("%w: %w", ErrSigner, err)
	}
	if !bytes.Equal(k.Address(), s.Address) {
		return k, fmt.Errorf("%w: address %x is not of its key", ErrSigner, s.Address)
	}
	return k, nil
}

// Verify checks the header's signature, and that the signer's address derives from its public key and is the header's
// proposer. Whether that proposer is the chain's is for the caller to check. The envelope signature is not looked at.
func (s *SignedHeader) Verify() error {
	return s.verify("header", s.Header.Encode(), s.Signature)
}

// VerifyEnvelope checks the envelope signature, which covers the header, its signature and the signer, and the signer
// as Verify does.
func (s *SignedHeader) VerifyEnvelope() error {
	return s.verify("envelope of header", s.plain(), s.EnvelopeSignature)
}

func (s *SignedHeader) verify(what string, msg, sig []byte) error {
	k, err := s.Signer.Key()
	switch {
	case err != nil:
	case !bytes.Equal(s.Signer.Address, s.Header.ProposerAddress):
		err = fmt.Errorf("%w: address %x is not the proposer %x", ErrSigner, s.Signer.Address, s.Header.ProposerAddress)
	case !k.Verify(msg, sig):
		err = ErrSignature
	}
	if err != nil {
		return fmt.Errorf("verify %s %d: %w", what, s.Header.Height, err)
	}
	return nil
}

// Verify checks the signature over the data, and that the signer's address derives from its public key. Whether that
// signer is the chain's proposer is for the caller to check.
func (s *SignedData) Verify() error {
	k, err := s.Signer.Key()
	if err == nil && !k.Verify(s.Data.Encode(), s.Signature) {
		err = ErrSignature
	}
	if err != nil {
		return fmt.Errorf("verify data %d: %w", s.Data.Metadata.Height, err)
	}
	return nil
}

func signerOf(k *PrivateKey) Signer { return Signer{Address: k.pub.Address(), PubKey: k.pub.Encode()} }

var errNoKey = errors.New("sign: the key is empty")

// SignHeader signs h, whose ProposerAddress must be the key's address already, and the envelope around it.
func SignHeader(k *PrivateKey, h Header) (SignedHeader, error) {
	if k == nil || k.pub.typ == 0 {
		return SignedHeader{}, errNoKey
	}
	s := SignedHeader{Header: h, Signer: signerOf(k)}
	if !bytes.Equal(h.ProposerAddress, s.Signer.Address) {
		return SignedHeader{}, fmt.Errorf("sign header %d: its proposer is %x, the key's address %x", h.Height, h.ProposerAddress, s.Signer.Address)
	}
	s.Signature = k.Sign(h.Encode())
	s.EnvelopeSignature = k.Sign(s.plain())
	return s, nil
}

// SignData signs d.
func SignData(k *PrivateKey, d Data) (SignedData, error) {
	if k == nil || k.pub.typ == 0 {
		return SignedData{}, errNoKey
	}
	return SignedData{Data: d, Signature: k.Sign(d.Encode()), Signer: signerOf(k)}, nil
}
