package block_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"headrace/block"
)

var kinds = []block.KeyType{block.Ed25519, block.Secp256k1}

func newKey(t testing.TB, kind block.KeyType) *block.PrivateKey {
	t.Helper()
	k, err := block.GenerateKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeys(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			k, other := newKey(t, kind), newKey(t, kind)
			again, err := block.ParsePrivateKey(k.Encode())
			if err != nil || again.Public() != k.Public() {
				t.Fatalf("got %v (%v), want %v", again, err, k)
			}
			pub, err := block.DecodePublicKey(k.Public().Encode())
			if err != nil || pub != k.Public() || pub.Type() != kind {
				t.Fatalf("got %v (%v), want %v", pub, err, k.Public())
			}
			msg := []byte("message")
			sig := k.Sign(msg)
			if !bytes.Equal(again.Sign(msg), sig) {
				t.Error("the same key and message give another signature")
			}
			if !pub.Verify(msg, sig) {
				t.Error("a signature does not verify")
			}
			for what, ok := range map[string]bool{
				"another message":   pub.Verify([]byte("massage"), sig),
				"another key":       other.Public().Verify(msg, sig),
				"the zero key":      block.PublicKey{}.Verify(msg, sig),
				"no signature":      pub.Verify(msg, nil),
				"a cut signature":   pub.Verify(msg, sig[:len(sig)-1]),
				"a longer one":      pub.Verify(msg, append(bytes.Clone(sig), 0)),
				"a damaged one":     pub.Verify(msg, append(bytes.Clone(sig[:len(sig)-1]), sig[len(sig)-1]^1)),
				"another algorithm": newKey(t, 3-kind).Public().Verify(msg, sig),
			} {
				if ok {
					t.Errorf("a signature verifies with %s", what)
				}
			}
		})
	}
}

// TestKeyVectors pins both algorithms, their encodings and the address to values that do not come from this package: the test key of
// RFC 8032 (7.1, test 2), and secp256k1's generator, the public key of the number 1.
func TestKeyVectors(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	seed := unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
	public := unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
	k, err := block.ParsePrivateKey(join(unhex("08011240"), seed, public))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Public().Encode(), join(unhex("08011220"), public); !bytes.Equal(got, want) {
		t.Errorf("got public key %x, want %x", got, want)
	}
	sum := sha256.Sum256(public)
	if got := k.Public().Address(); !bytes.Equal(got, sum[:]) {
		t.Errorf("got address %x, want %x", got, sum)
	}
	want := unhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
	if got := k.Sign([]byte{0x72}); !bytes.Equal(got, want) {
		t.Errorf("got signature %x, want %x", got, want)
	}

	generator := unhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
	k, err = block.ParsePrivateKey(join(unhex("08021220"), make([]byte, 31), []byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Public().Encode(), join(unhex("08021221"), generator); !bytes.Equal(got, want) {
		t.Errorf("got public key %x, want %x", got, want)
	}
	// RFC 6979 with SHA-256 for the key 1 and this message, as Bitcoin libraries publish it.
	want = unhex("30450221008600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b0220547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21")
	if got := k.Sign([]byte("All those moments will be lost in time, like tears in rain. Time to die...")); !bytes.Equal(got, want) {
		t.Errorf("got signature %x, want %x", got, want)
	}
}

func TestBadKeys(t *testing.T) {
	ed, ec := newKey(t, block.Ed25519), newKey(t, block.Secp256k1)
	order, _ := new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
	mixed := bytes.Clone(ed.Encode())
	mixed[len(mixed)-1] ^= 1
	for name, b := range map[string][]byte{
		"nothing":                nil,
		"a public key":           ed.Public().Encode(),
		"cut":                    ed.Encode()[:40],
		"halves do not match":    mixed,
		"zero":                   join([]byte{8, 2, 0x12, 32}, make([]byte, 32)),
		"the order of the curve": join([]byte{8, 2, 0x12, 32}, order.Bytes()),
		"beyond the order":       join([]byte{8, 2, 0x12, 32}, new(big.Int).Add(order, big.NewInt(1)).Bytes()),
		"RSA":                    join([]byte{8, 0, 0x12, 3}, []byte("rsa")),
		"wrong wire types":       join([]byte{0x0a, 0}, ed.Encode()),
	} {
		if k, err := block.ParsePrivateKey(b); err == nil {
			t.Errorf("private, %s: got %v, want an error", name, k)
		} else if strings.Contains(err.Error(), hex.EncodeToString(ed.Encode()[4:12])) {
			t.Errorf("private, %s: the error %q shows the key", name, err)
		}
	}
	offCurve := bytes.Clone(ec.Public().Encode())
	for i := range 32 {
		offCurve[5+i] = 0xff
	}
	for name, b := range map[string][]byte{
		"nothing":          nil,
		"a private key":    ed.Encode(),
		"cut":              ed.Public().Encode()[:20],
		"off the curve":    offCurve,
		"wrong type":       join([]byte{8, 2}, ed.Public().Encode()[2:]),
		"unknown type":     join([]byte{8, 3}, ed.Public().Encode()[2:]),
		"wrong wire types": join([]byte{0x0a, 0}, ed.Public().Encode()),
	} {
		if k, err := block.DecodePublicKey(b); err == nil {
			t.Errorf("public, %s: got %x, want an error", name, k.Encode())
		}
	}
	if _, err := block.GenerateKey(0); err == nil {
		t.Error("got a key of type 0")
	}
}

// TestKeyIsSecret: whatever prints or logs a private key shows its address only.
func TestKeyIsSecret(t *testing.T) {
	for _, kind := range kinds {
		k := newKey(t, kind)
		secret := k.Encode()[4:36]
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "pointer", k, "value", *k)
		asJSON, err := json.Marshal([]any{k, *k})
		if err != nil {
			t.Fatal(err)
		}
		out := fmt.Sprintf("%v %+v %#v %s %x %d %v %x", k, k, k, k, k, k, *k, *k) + log.String() + string(asJSON)
		for _, form := range []string{hex.EncodeToString(secret), string(secret), fmt.Sprint(secret)[1:20]} {
			if strings.Contains(out, form) {
				t.Errorf("%v: %q shows the secret", kind, out)
			}
		}
		if !strings.Contains(out, hex.EncodeToString(k.Public().Address())) {
			t.Errorf("%v: %q does not show the address", kind, out)
		}
	}
}

func testHeader(k *block.PrivateKey) block.Header {
	return block.Header{Height: 3, Time: 5, ChainID: "chain", ProposerAddress: k.Public().Address(), DataHash: block.EmptyCommitment[:]}
}

func TestSignAndVerify(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			k, other := newKey(t, kind), newKey(t, kind)
			good, err := block.SignHeader(k, testHeader(k))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(good.Verify(), good.VerifyEnvelope()); err != nil {
				t.Fatal(err)
			}
			stranger, err := block.SignHeader(other, testHeader(other))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				name             string
				change           func(s *block.SignedHeader)
				header, envelope error
			}{
				{"header changed", func(s *block.SignedHeader) { s.Header.Height++ }, block.ErrSignature, block.ErrSignature},
				{"signature changed", func(s *block.SignedHeader) { s.Signature = s.EnvelopeSignature }, block.ErrSignature, block.ErrSignature},
				{"envelope changed", func(s *block.SignedHeader) { s.EnvelopeSignature = s.Signature }, nil, block.ErrSignature},
				{"envelope gone", func(s *block.SignedHeader) { s.EnvelopeSignature = nil }, nil, block.ErrSignature},
				{"another signer", func(s *block.SignedHeader) { s.Signer = stranger.Signer }, block.ErrSigner, block.ErrSigner},
				{"another key", func(s *block.SignedHeader) { s.Signer.PubKey = stranger.Signer.PubKey }, block.ErrSigner, block.ErrSigner},
				{"another address", func(s *block.SignedHeader) {
					s.Signer.Address, s.Header.ProposerAddress = stranger.Signer.Address, stranger.Signer.Address
				}, block.ErrSigner, block.ErrSigner},
				{"another proposer", func(s *block.SignedHeader) { s.Header.ProposerAddress = stranger.Signer.Address }, block.ErrSigner, block.ErrSigner},
				{"no key", func(s *block.SignedHeader) { s.Signer.PubKey = nil }, block.ErrSigner, block.ErrSigner},
			} {
				s := good
				c.change(&s)
				if got := s.Verify(); !errors.Is(got, c.header) || (got == nil) != (c.header == nil) {
					t.Errorf("%s: got %v of the header, want %v", c.name, got, c.header)
				}
				if got := s.VerifyEnvelope(); !errors.Is(got, c.envelope) {
					t.Errorf("%s: got %v of the envelope, want %v", c.name, got, c.envelope)
				}
			}

			d, err := block.SignData(k, block.Data{Metadata: block.Metadata{ChainID: "chain", Height: 3}, Txs: [][]byte{[]byte("tx")}})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Verify(); err != nil {
				t.Fatal(err)
			}
			changed := d
			changed.Data.Txs = [][]byte{[]byte("ty")}
			if err := changed.Verify(); !errors.Is(err, block.ErrSignature) {
				t.Errorf("got %v of changed data, want ErrSignature", err)
			}
			changed = d
			changed.Signer = stranger.Signer
			if err := changed.Verify(); !errors.Is(err, block.ErrSignature) {
				t.Errorf("got %v of another signer, want ErrSignature", err)
			}
			changed.Signer.Address = d.Signer.Address
			if err := changed.Verify(); !errors.Is(err, block.ErrSigner) {
				t.Errorf("got %v of another key, want ErrSigner", err)
			}
			if _, err := block.SignHeader(other, testHeader(k)); err == nil {
				t.Error("a key signs another proposer's header")
			}
		})
	}
	for _, k := range []*block.PrivateKey{nil, {}} {
		if _, err := block.SignHeader(k, block.Header{}); err == nil {
			t.Error("an empty key signs a header")
		}
		if _, err := block.SignData(k, block.Data{}); err == nil {
			t.Error("an empty key signs data")
		}
	}
}

// TestSignedBytes checks what the signatures are made over, by the fields' bytes.
func TestSignedBytes(t *testing.T) {
	k := newKey(t, block.Ed25519)
	s, err := block.SignHeader(k, testHeader(k))
	if err != nil {
		t.Fatal(err)
	}
	signer := join(tagged(1, k.Public().Address()), tagged(2, k.Public().Encode()))
	plain := join(tagged(1, s.Header.Encode()), tagged(2, s.Signature), tagged(3, signer))
	if !k.Public().Verify(s.Header.Encode(), s.Signature) || !k.Public().Verify(plain, s.EnvelopeSignature) {
		t.Error("a signature is over something else")
	}
	if got, want := s.Encode(), join(plain, tagged(4, s.EnvelopeSignature)); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind.String(), func(b *testing.B) {
			k := newKey(b, kind)
			s, err := block.SignHeader(k, testHeader(k))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := s.Verify(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
