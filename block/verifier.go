package block

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"sync"

	"filippo.io/edwards25519"
)

// Verifier verifies the signatures of one key, and gives the same verdicts as the key itself. It is for a key that signs a whole chain: with
// Ed25519 it is more than three times as fast, since it looks up what the key alone determines. The price is 480 KiB of memory and a millisecond
// or two, at the first signature, and once in a process the same again. Signatures are public, so its time depends on them.
// It is safe for concurrent use. Make it with NewVerifier.
type Verifier struct {
	key     PublicKey
	encoded []byte // the key's usual encoding
	address []byte
	minusA  func() *multiples // of the public key's negative; nil if the key goes its own way
}

// NewVerifier returns a verifier of k's signatures.
func NewVerifier(k PublicKey) *Verifier {
	v := &Verifier{key: k, encoded: k.Encode(), address: k.Address()}
	if k.typ != Ed25519 {
		return v
	}
	a, err := new(edwards25519.Point).SetBytes(k.bytes())
	if err != nil {
		return v // not a point: nothing verifies, as crypto/ed25519 has it
	}
	v.minusA = sync.OnceValue(func() *multiples { return multiplesOf(a.Negate(a)) })
	return v
}

// Key returns the key whose signatures v verifies.
func (v *Verifier) Key() PublicKey { return v.key }

// Verify reports whether sig is the key's signature over msg, exactly as PublicKey.Verify does.
func (v *Verifier) Verify(msg, sig []byte) bool { return v.verify(claim{msg, sig}) }

// claim is a signature that is to be verified.
type claim struct{ msg, sig []byte }

// verify reports whether all claims are true.
func (v *Verifier) verify(claims ...claim) bool {
	if v.minusA == nil {
		for i := range claims {
			if !v.key.Verify(claims[i].msg, claims[i].sig) {
				return false
			}
		}
		return true
	}
	r := make([]extended, len(claims))
	for i := range claims {
		if !v.solve(&r[i], &claims[i]) {
			return false
		}
	}
	normalize(r)
	for i := range claims {
		if !bytes.Equal(r[i].bytes(), claims[i].sig[:32]) {
			return false
		}
	}
	return true
}

// solve sets r to the R that would make the claim true: [S]B + [k](-A), by RFC 8032, section 5.1.7, without the cofactor. It is to be
// compared as it is encoded, so that only the usual encoding of a point will do; k is hashed from R and A as they were given; and S must be
// below the order of B.
func (v *Verifier) solve(r *extended, c *claim) bool {
	if len(c.sig) != ed25519.SignatureSize {
		return false
	}
	var s, k edwards25519.Scalar
	if _, err := s.SetCanonicalBytes(c.sig[32:]); err != nil {
		return false
	}
	h := sha512.New()
	h.Write(c.sig[:32])
	h.Write(v.key.bytes())
	h.Write(c.msg)
	var sum [sha512.Size]byte
	if _, err := k.SetUniformBytes(h.Sum(sum[:0])); err != nil {
		return false
	}
	r.setNeutral()
	r.addMultiple(basepoint(), &s)
	r.addMultiple(v.minusA(), &k)
	return true
}

// IsKeyOf reports whether s names the verifier's key: as Signer.Key would return it, without an error.
func (v *Verifier) IsKeyOf(s *Signer) bool {
	if !bytes.Equal(s.Address, v.address) {
		return false
	}
	if bytes.Equal(s.PubKey, v.encoded) {
		return true
	}
	k, err := s.Key() // the key may be encoded in another way
	return err == nil && k == v.key
}

// VerifyHeader checks that s is signed with the verifier's key and names its address as the proposer: the header's signature and, if there is
// one, the envelope's.
func (v *Verifier) VerifyHeader(s *SignedHeader) error {
	var err error
	claims := append(make([]claim, 0, 2), claim{s.Header.Encode(), s.Signature})
	if len(s.EnvelopeSignature) > 0 {
		claims = append(claims, claim{s.plain(), s.EnvelopeSignature})
	}
	switch {
	case !v.IsKeyOf(&s.Signer) || !bytes.Equal(s.Header.ProposerAddress, v.address):
		err = ErrSigner
	case !v.verify(claims...):
		err = ErrSignature
	default:
		return nil
	}
	return fmt.Errorf("verify header %d: %w", s.Header.Height, err)
}

// VerifyData checks that s is signed with the verifier's key.
func (v *Verifier) VerifyData(s *SignedData) error {
	var err error
	switch {
	case !v.IsKeyOf(&s.Signer):
		err = ErrSigner
	case !v.Verify(s.Data.Encode(), s.Signature):
		err = ErrSignature
	default:
		return nil
	}
	return fmt.Errorf("verify data %d: %w", s.Data.Metadata.Height, err)
}
