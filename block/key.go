package block

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// KeyType is an algorithm, numbered as libp2p does in its key messages.
type KeyType uint64

// The algorithms that Evolve chains sign with.
const (
	Ed25519   KeyType = 1
	Secp256k1 KeyType = 2 // ECDSA over SHA-256, signatures in DER
)

func (t KeyType) String() string {
	switch t {
	case Ed25519:
		return "ed25519"
	case Secp256k1:
		return "secp256k1"
	}
	return fmt.Sprintf("key type %d", uint64(t))
}

const keyTypeField, keyDataField = 1, 2

func encodeKey(t KeyType, raw []byte) []byte {
	return appendBytes(appendUint(make([]byte, 0, 4+len(raw)), keyTypeField, uint64(t)), keyDataField, raw)
}

func decodeKey(b []byte) (t KeyType, raw []byte, err error) {
	err = eachField(b, func(f field) error {
		switch f.num {
		case keyTypeField:
			return f.uint((*uint64)(&t))
		case keyDataField:
			return f.raw(&raw)
		}
		return nil
	})
	return t, raw, err
}

// PublicKey is a public key: an immutable value that can be compared with ==. The zero PublicKey verifies nothing.
type PublicKey struct {
	typ KeyType
	raw [33]byte // 32 bytes of Ed25519, or 33 of a compressed secp256k1 point
}

var errBadKey = errors.New("not a key")

func newPublicKey(t KeyType, raw []byte) (k PublicKey, err error) {
	switch {
	case t == Ed25519 && len(raw) == ed25519.PublicKeySize:
	case t == Secp256k1 && len(raw) == secp256k1.PubKeyBytesLenCompressed:
		if _, err := secp256k1.ParsePubKey(raw); err != nil {
			return k, err
		}
	case t == Ed25519 || t == Secp256k1:
		return k, fmt.Errorf("%d bytes are %w of type %v", len(raw), errBadKey, t)
	default:
		return k, fmt.Errorf("%v is not supported", t)
	}
	k.typ = t
	copy(k.raw[:], raw)
	return k, nil
}

// DecodePublicKey decodes a libp2p public-key protobuf. A secp256k1 key must be in compressed form.
func DecodePublicKey(b []byte) (PublicKey, error) {
	t, raw, err := decodeKey(b)
	if err != nil {
		return PublicKey{}, fmt.Errorf("decode public key: %w", err)
	}
	k, err := newPublicKey(t, raw)
	if err != nil {
		return PublicKey{}, fmt.Errorf("decode public key: %w", err)
	}
	return k, nil
}

// Type returns the key's algorithm, or 0 for the zero PublicKey.
func (k PublicKey) Type() KeyType { return k.typ }

func (k *PublicKey) bytes() []byte {
	switch k.typ {
	case Ed25519:
		return k.raw[:32]
	case Secp256k1:
		return k.raw[:33]
	}
	return nil
}

// Encode returns the key as a libp2p public-key protobuf.
func (k PublicKey) Encode() []byte { return encodeKey(k.typ, k.bytes()) }

// Address returns the SHA-256 of the raw key: the proposer's or signer's address.
func (k PublicKey) Address() []byte {
	sum := sha256.Sum256(k.bytes())
	return sum[:]
}

// Verify reports whether sig is the key's signature over msg.
func (k PublicKey) Verify(msg, sig []byte) bool {
	switch k.typ {
	case Ed25519:
		return ed25519.Verify(k.raw[:32], msg, sig)
	case Secp256k1:
		sum := sha256.Sum256(msg)
		return k.verifySum(sum[:], sig)
	}
	return false
}

// verifySum reports whether sig is the signature of a secp256k1 key over the message with this SHA-256.
func (k *PublicKey) verifySum(sum, sig []byte) bool {
	pub, err := secp256k1.ParsePubKey(k.raw[:])
	if err != nil {
		return false
	}
	s, err := ecdsa.ParseDERSignature(sig)
	return err == nil && s.Verify(sum, pub)
}

// PrivateKey is a signing key. It is immutable, and does not show itself when it is printed or logged. The zero
// PrivateKey signs nothing.
type PrivateKey struct {
	pub PublicKey
	raw []byte // 64 bytes of Ed25519 (seed and public key), or 32 of secp256k1
}

// GenerateKey makes a new key from the system's randomness.
func GenerateKey(t KeyType) (*PrivateKey, error) {
	switch t {
	case Ed25519:
		seed := make([]byte, ed25519.SeedSize)
		rand.Read(seed) // never fails: it ends the program instead
		return newPrivateKey(t, ed25519.NewKeyFromSeed(seed))
	case Secp256k1:
		k, err := secp256k1.GeneratePrivateKey()
		if err != nil {
			return nil, fmt.Errorf("generate key: %w", err)
		}
		return newPrivateKey(t, k.Serialize())
	}
	return nil, fmt.Errorf("generate key: %v is not supported", t)
}

func newPrivateKey(t KeyType, raw []byte) (*PrivateKey, error) {
	var public []byte
	switch {
	case t == Ed25519 && len(raw) == ed25519.PrivateKeySize:
		k := ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize])
		if string(k) != string(raw) {
			return nil, fmt.Errorf("%w: its two halves do not belong together", errBadKey)
		}
		public = k[ed25519.SeedSize:]
	case t == Secp256k1 && len(raw) == secp256k1.PrivKeyBytesLen:
		var n secp256k1.ModNScalar
		if n.SetByteSlice(raw) || n.IsZero() {
			return nil, fmt.Errorf("%w: it is out of range", errBadKey)
		}
		public = secp256k1.NewPrivateKey(&n).PubKey().SerializeCompressed()
	case t == Ed25519 || t == Secp256k1:
		return nil, fmt.Errorf("%d bytes are %w of type %v", len(raw), errBadKey, t)
	default:
		return nil, fmt.Errorf("%v is not supported", t)
	}
	pub, err := newPublicKey(t, public)
	if err != nil {
		return nil, err
	}
	return &PrivateKey{pub: pub, raw: append([]byte(nil), raw...)}, nil
}

// ParsePrivateKey reads what Encode returned. Its errors do not contain the key.
func ParsePrivateKey(b []byte) (*PrivateKey, error) {
	t, raw, err := decodeKey(b)
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w", err)
	}
	k, err := newPrivateKey(t, raw)
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w", err)
	}
	return k, nil
}

// Encode returns the key as a libp2p private-key protobuf. It is secret.
func (k *PrivateKey) Encode() []byte { return encodeKey(k.pub.typ, k.raw) }

// Public returns the key's public half.
func (k *PrivateKey) Public() PublicKey { return k.pub }

// Sign returns the key's signature over msg. The same key and message give the same signature. The zero PrivateKey
// returns nil.
func (k *PrivateKey) Sign(msg []byte) []byte {
	switch k.pub.typ {
	case Ed25519:
		return ed25519.Sign(k.raw, msg)
	case Secp256k1:
		sum := sha256.Sum256(msg)
		return ecdsa.Sign(secp256k1.PrivKeyFromBytes(k.raw), sum[:]).Serialize()
	}
	return nil
}

// Format keeps the secret out of everything that package fmt prints.
func (k PrivateKey) Format(w fmt.State, _ rune) {
	fmt.Fprintf(w, "private key of %x", k.pub.Address())
}

// LogValue keeps the secret out of logs.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }
