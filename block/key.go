package block

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"google.golang.org/protobuf/encoding/protowire"
)

// KeyType is a signature scheme, by its number in libp2p's key protobufs.
type KeyType uint8

// The schemes that Evolve chains use.
const (
	Ed25519   KeyType = 1
	Secp256k1 KeyType = 2 // ECDSA over SHA-256, DER signatures, compressed public keys
)

func (t KeyType) String() string {
	switch t {
	case Ed25519:
		return "ed25519"
	case Secp256k1:
		return "secp256k1"
	}
	return fmt.Sprintf("key type %d", uint8(t))
}

// PublicKey verifies signatures. The zero value verifies nothing.
type PublicKey struct {
	typ KeyType
	raw []byte
	ec  *secp256k1.PublicKey // of a secp256k1 key
}

// DecodePublicKey reads a libp2p public-key protobuf.
func DecodePublicKey(b []byte) (PublicKey, error) {
	typ, raw, err := decodeKey(b)
	if err != nil {
		return PublicKey{}, fmt.Errorf("decode public key: %w", err)
	}
	k := PublicKey{typ: typ, raw: raw}
	switch typ {
	case Ed25519:
		if len(raw) != ed25519.PublicKeySize {
			return PublicKey{}, fmt.Errorf("decode public key: an ed25519 key has %d bytes, not %d", ed25519.PublicKeySize, len(raw))
		}
	case Secp256k1:
		if k.ec, err = secp256k1.ParsePubKey(raw); err != nil {
			return PublicKey{}, fmt.Errorf("decode public key: %w", err)
		}
	default:
		return PublicKey{}, fmt.Errorf("decode public key: %s is not supported", typ)
	}
	return k, nil
}

// decodeKey reads the message that libp2p uses for public and private keys alike: 1 type, 2 bytes.
func decodeKey(b []byte) (typ KeyType, raw []byte, err error) {
	err = fields(b, func(num protowire.Number, t protowire.Type, v []byte, n uint64) error {
		switch {
		case num == 1 && t == protowire.VarintType && n <= 255:
			typ = KeyType(n)
		case num == 2 && t == protowire.BytesType:
			raw = clone(v)
		case num <= 2:
			return errors.New("not a key")
		}
		return nil
	})
	return typ, raw, err
}

func encodeKey(typ KeyType, raw []byte) []byte {
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(typ))
	return appendMessage(b, 2, raw)
}

// Type returns the key's scheme.
func (k PublicKey) Type() KeyType { return k.typ }

// Address returns what names the key in headers and in the genesis: SHA-256 of the raw key.
func (k PublicKey) Address() []byte {
	sum := sha256.Sum256(k.raw)
	return sum[:]
}

// Encode returns the libp2p public-key protobuf.
func (k PublicKey) Encode() []byte { return encodeKey(k.typ, k.raw) }

// Verify reports whether sig is k's signature of msg.
func (k PublicKey) Verify(msg, sig []byte) bool {
	switch k.typ {
	case Ed25519:
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(k.raw, msg, sig)
	case Secp256k1:
		s, err := ecdsa.ParseDERSignature(sig)
		if err != nil {
			return false
		}
		sum := sha256.Sum256(msg)
		return s.Verify(sum[:], k.ec)
	}
	return false
}

// PrivateKey signs. Its signatures are deterministic: the same message gives the same one.
type PrivateKey struct {
	typ KeyType
	ed  ed25519.PrivateKey
	ec  *secp256k1.PrivateKey
}

// GenerateKey makes a new key.
func GenerateKey(typ KeyType) (*PrivateKey, error) {
	switch typ {
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("generate key: %w", err)
		}
		return &PrivateKey{typ: typ, ed: key}, nil
	case Secp256k1:
		key, err := secp256k1.GeneratePrivateKey()
		if err != nil {
			return nil, fmt.Errorf("generate key: %w", err)
		}
		return &PrivateKey{typ: typ, ec: key}, nil
	}
	return nil, fmt.Errorf("generate key: %s is not supported", typ)
}

// ParsePrivateKey reads a libp2p private-key protobuf, as Encode writes it.
func ParsePrivateKey(b []byte) (*PrivateKey, error) {
	typ, raw, err := decodeKey(b)
	switch {
	case err != nil:
		return nil, fmt.Errorf("parse private key: %w", err)
	case typ == Ed25519 && len(raw) == ed25519.PrivateKeySize:
		key := ed25519.PrivateKey(raw)
		if fresh := ed25519.NewKeyFromSeed(key.Seed()); !fresh.Equal(key) {
			return nil, errors.New("parse private key: its two halves do not belong together")
		}
		return &PrivateKey{typ: typ, ed: key}, nil
	case typ == Secp256k1 && len(raw) == secp256k1.PrivKeyBytesLen:
		return &PrivateKey{typ: typ, ec: secp256k1.PrivKeyFromBytes(raw)}, nil
	}
	return nil, fmt.Errorf("parse private key: %s with %d bytes is not supported", typ, len(raw))
}

// Encode returns the libp2p private-key protobuf. It is the secret itself.
func (k *PrivateKey) Encode() []byte {
	if k.typ == Ed25519 {
		return encodeKey(k.typ, k.ed)
	}
	return encodeKey(k.typ, k.ec.Serialize())
}

// Public returns the key that verifies k's signatures.
func (k *PrivateKey) Public() PublicKey {
	if k.typ == Ed25519 {
		return PublicKey{typ: k.typ, raw: k.ed.Public().(ed25519.PublicKey)}
	}
	pub := k.ec.PubKey()
	return PublicKey{typ: k.typ, raw: pub.SerializeCompressed(), ec: pub}
}

// Sign returns k's signature of msg.
func (k *PrivateKey) Sign(msg []byte) []byte {
	if k.typ == Ed25519 {
		return ed25519.Sign(k.ed, msg)
	}
	sum := sha256.Sum256(msg)
	return ecdsa.Sign(k.ec, sum[:]).Serialize()
}
