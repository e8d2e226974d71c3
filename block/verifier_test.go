package block_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"filippo.io/edwards25519"

	"headrace/block"
)

// publicKey returns the Ed25519 key with these 32 bytes, whether they are a point or not.
func publicKey(t testing.TB, raw []byte) block.PublicKey {
	t.Helper()
	k, err := block.DecodePublicKey(append([]byte{0x08, 0x01, 0x12, 0x20}, raw...))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// same compares a Verifier's verdict with the standard library's, and returns it.
func same(t testing.TB, v *block.Verifier, pub, msg, sig []byte) bool {
	t.Helper()
	want := ed25519.Verify(pub, msg, sig)
	if got := v.Verify(msg, sig); got != want {
		t.Errorf("key %x, message %x, signature %x: got %v, want %v", pub, msg, sig, got, want)
	}
	return want
}

func scalar(t testing.TB, b ...byte) *edwards25519.Scalar {
	t.Helper()
	s, err := new(edwards25519.Scalar).SetUniformBytes(append(b, make([]byte, 64-len(b))...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// point is a point with what is known of it: known·B plus a point of small order.
type point struct {
	name      string
	encoding  []byte
	known     *edwards25519.Scalar
	canonical bool
}

// torsion returns the eight points of small order: multiples of what the order of B leaves of some point.
func torsion(t testing.TB) (out []*edwards25519.Point) {
	t.Helper()
	minusOne := new(edwards25519.Scalar).Negate(scalar(t, 1))
	for y := byte(2); ; y++ {
		p, err := new(edwards25519.Point).SetBytes(append([]byte{y}, make([]byte, 31)...))
		if err != nil {
			continue
		}
		rest := new(edwards25519.Point).ScalarMult(minusOne, p)
		rest.Add(rest, p) // times the order of B
		out = []*edwards25519.Point{edwards25519.NewIdentityPoint()}
		for range 7 {
			out = append(out, new(edwards25519.Point).Add(out[len(out)-1], rest))
		}
		if out[4].Equal(out[0]) == 0 {
			return out
		}
	}
}

// points returns small multiples of B and some others, each with every point of small order added, in every encoding
// that decodes to it.
func points(t testing.TB, seed byte) (out []point) {
	t.Helper()
	small := torsion(t)
	for i, known := range []*edwards25519.Scalar{scalar(t), scalar(t, 1), scalar(t, seed, 2, 3, 4, 5, 6, 7, 8)} {
		base := new(edwards25519.Point).ScalarBaseMult(known)
		for j, p := range small {
			p = new(edwards25519.Point).Add(base, p)
			out = append(out, point{fmt.Sprintf("%d+%d", i, j), p.Bytes(), known, true})
			for _, other := range unusual(t) {
				if q, err := new(edwards25519.Point).SetBytes(other); err == nil && q.Equal(p) == 1 {
					out = append(out, point{fmt.Sprintf("%d+%d as %x", i, j, other), other, known, false})
				}
			}
		}
	}
	return out
}

// unusual returns all encodings, of a point or not, in which no point is written: those with a y of p or more, and
// the two with an x of -0.
func unusual(t testing.TB) (out [][]byte) {
	t.Helper()
	top := bytes.Repeat([]byte{0xff}, 32)
	for y := byte(0xed); y != 0; y++ { // p is 2^255-19
		top[0], top[31] = y, 0x7f
		out = append(out, bytes.Clone(top))
		top[31] = 0xff
		out = append(out, bytes.Clone(top))
	}
	one := append([]byte{1}, make([]byte, 31)...)
	one[31] = 0x80
	top[0], top[31] = 0xec, 0xff // -1
	return append(out, one, bytes.Clone(top))
}

// TestVerifierAtTheEdges compares verdicts where implementations of Ed25519 differ: keys and points R of small and of
// mixed order, in each encoding, with an S that solves the equation but for the points of small order, with that S
// plus the order, and with S and k of note. The cases of "Taming the Many EdDSAs" (Chalkias, Garillot, Nikolaenko;
// section 5) are all among them.
func TestVerifierAtTheEdges(t *testing.T) {
	order, err := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	if err != nil {
		t.Fatal(err)
	}
	accepted := map[string]int{}
	for _, a := range points(t, 1) {
		v := block.NewVerifier(publicKey(t, a.encoding))
		for _, r := range points(t, 2) {
			for m := range byte(8) {
				msg := []byte{m}
				sum := sha512.Sum512(slices.Concat(r.encoding, a.encoding, msg))
				k, err := new(edwards25519.Scalar).SetUniformBytes(sum[:])
				if err != nil {
					t.Fatal(err)
				}
				s := new(edwards25519.Scalar).MultiplyAdd(k, a.known, r.known).Bytes()
				if same(t, v, a.encoding, msg, slices.Concat(r.encoding, s)) {
					accepted[fmt.Sprintf("key %s, canonical: %v, %v", a.name[:1], a.canonical, r.canonical)]++
				}
				if m == 0 && same(t, v, a.encoding, msg, slices.Concat(r.encoding, plus(s, order))) {
					t.Error("S plus the order was accepted")
				}
			}
		}
	}
	for _, class := range []string{"key 0, canonical: true, true", "key 0, canonical: false, true", "key 1, canonical: true, true", "key 2, canonical: true, true"} {
		if accepted[class] == 0 {
			t.Errorf("got no signature accepted of the class %q: nothing was compared there", class)
		}
	}
	if len(accepted) != 4 {
		t.Errorf("got %v accepted, want none with an R in another encoding than the usual one", accepted)
	}
}

// plus adds two numbers in 32 little-endian bytes.
func plus(a, b []byte) []byte {
	out, carry := make([]byte, len(a)), 0
	for i := range a {
		carry += int(a[i]) + int(b[i])
		out[i] = byte(carry)
		carry >>= 8
	}
	return out
}

// TestVerifierDigits takes a key that is the neutral point: then R = [S]B, and S can be chosen to have every byte and
// every carry in it.
func TestVerifierDigits(t *testing.T) {
	neutral := edwards25519.NewIdentityPoint().Bytes()
	v := block.NewVerifier(publicKey(t, neutral))
	r := rand.New(rand.NewPCG(1, 2))
	check := func(s []byte) {
		t.Helper()
		s[31] &= 0x0f
		n, err := new(edwards25519.Scalar).SetCanonicalBytes(s)
		if err != nil {
			t.Fatal(err)
		}
		sig := slices.Concat(new(edwards25519.Point).ScalarBaseMult(n).Bytes(), s)
		if !same(t, v, neutral, nil, sig) {
			t.Errorf("got S = %x refused, want it accepted", s)
		}
		sig[0] ^= 1
		same(t, v, neutral, nil, sig)
	}
	for b := range 256 {
		check(bytes.Repeat([]byte{byte(b)}, 32))
	}
	for range 500 {
		s := make([]byte, 32)
		for i := range s {
			s[i] = []byte{0, 1, 127, 128, 129, 255, byte(r.Int())}[r.IntN(7)]
		}
		check(s)
	}
	check(new(edwards25519.Scalar).Negate(scalar(t, 1)).Bytes()) // the highest S
}

// TestVerifierVectors pins it to RFC 8032, section 7.1.
func TestVerifierVectors(t *testing.T) {
	for _, c := range [][3]string{
		{"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "", "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
		{"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72", "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
		{"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82", "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	} {
		var raw [3][]byte
		for i := range c {
			var err error
			if raw[i], err = hex.DecodeString(c[i]); err != nil {
				t.Fatal(err)
			}
		}
		if !same(t, block.NewVerifier(publicKey(t, raw[0])), raw[0], raw[1], raw[2]) {
			t.Errorf("got the vector of %s refused", c[0])
		}
	}
}

// TestVerifierMutations compares verdicts on honest signatures with one bit changed, of the message, the signature or
// the key, and on other lengths.
func TestVerifierMutations(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 3 {
		key := newKey(t, block.Ed25519)
		pub := key.Public().Encode()[4:]
		v := block.NewVerifier(key.Public())
		for n := range 300 {
			msg := make([]byte, n)
			for i := range msg {
				msg[i] = byte(r.Int())
			}
			sig := key.Sign(msg)
			if !same(t, v, pub, msg, sig) {
				t.Fatal("got an honest signature refused")
			}
			sig[r.IntN(64)] ^= 1 << r.IntN(8)
			same(t, v, pub, msg, sig)
			same(t, v, pub, msg, sig[:r.IntN(64)])
			same(t, v, pub, msg, append(sig, 0))
		}
	}
	for range 50 {
		key := newKey(t, block.Ed25519)
		pub := key.Public().Encode()[4:]
		sig := key.Sign(nil)
		pub[r.IntN(32)] ^= 1 << r.IntN(8) // half of these are no point
		same(t, block.NewVerifier(publicKey(t, pub)), pub, nil, sig)
	}
}

// FuzzVerifier compares verdicts on anything.
func FuzzVerifier(f *testing.F) {
	key := newKey(f, block.Ed25519)
	f.Add(key.Public().Encode()[4:], []byte("message"), key.Sign([]byte("message")))
	neutral := edwards25519.NewIdentityPoint().Bytes()
	f.Add(neutral, []byte{}, append(neutral, make([]byte, 32)...))
	for _, u := range unusual(f) {
		f.Add(u, []byte{}, append(neutral, make([]byte, 32)...))
		f.Add(neutral, []byte{}, append(u, make([]byte, 32)...))
	}
	f.Fuzz(func(t *testing.T, pub, msg, sig []byte) {
		if len(pub) == ed25519.PublicKeySize {
			same(t, block.NewVerifier(publicKey(t, pub)), pub, msg, sig)
		}
	})
}

// TestVerifierOfHeadersAndData gives the verdicts of the messages' own methods, for a signer in another encoding too,
// and refuses another key.
func TestVerifierOfHeadersAndData(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			key, other := newKey(t, kind), newKey(t, kind)
			v := block.NewVerifier(key.Public())
			if v.Key() != key.Public() {
				t.Errorf("got key %v, want %v", v.Key(), key.Public())
			}
			for what, c := range map[string]struct {
				key    *block.PrivateKey
				change func(*block.SignedHeader, *block.SignedData)
				want   error
			}{
				"honest":            {key, func(*block.SignedHeader, *block.SignedData) {}, nil},
				"encoded otherwise": {key, func(h *block.SignedHeader, d *block.SignedData) { otherwise(key, h, d) }, nil},
				"another key":       {other, func(*block.SignedHeader, *block.SignedData) {}, block.ErrSigner},
				"no address":        {key, func(h *block.SignedHeader, d *block.SignedData) { h.Signer.Address, d.Signer.Address = nil, nil }, block.ErrSigner},
				"another's key": {key, func(h *block.SignedHeader, d *block.SignedData) {
					h.Signer.PubKey, d.Signer.PubKey = other.Public().Encode(), other.Public().Encode()
				}, block.ErrSigner},
				"changed": {key, func(h *block.SignedHeader, d *block.SignedData) { h.Header.Time++; d.Data.Metadata.Time++ }, block.ErrSignature},
				"signed by another": {key, func(h *block.SignedHeader, d *block.SignedData) {
					h.Signature, d.Signature = other.Sign(h.Header.Encode()), other.Sign(d.Data.Encode())
				}, block.ErrSignature},
			} {
				h, d := signed(t, c.key)
				c.change(&h, &d)
				if got := v.VerifyHeader(&h); !errors.Is(got, c.want) || (got == nil) != (h.Verify() == nil && h.VerifyEnvelope() == nil && c.key == key) {
					t.Errorf("%s: header: got %v, want %v", what, got, c.want)
				}
				blob, err := block.ReadDataBlob(d.Encode())
				if err != nil {
					t.Fatal(err)
				}
				if got := v.VerifyDataBlob(blob); !errors.Is(got, c.want) || (got == nil) != (d.Verify() == nil && c.key == key) {
					t.Errorf("%s: data: got %v, want %v", what, got, c.want)
				}
			}
			h, _ := signed(t, key)
			h.EnvelopeSignature = other.Sign([]byte("envelope"))
			if err := v.VerifyHeader(&h); !errors.Is(err, block.ErrSignature) {
				t.Errorf("a bad envelope: got %v", err)
			}
			h.EnvelopeSignature = nil
			if err := v.VerifyHeader(&h); err != nil {
				t.Errorf("no envelope: got %v", err)
			}
			h.Header.ProposerAddress = other.Public().Address()
			h.Signature = key.Sign(h.Header.Encode())
			if err := v.VerifyHeader(&h); !errors.Is(err, block.ErrSigner) {
				t.Errorf("another proposer: got %v", err)
			}
		})
	}
}

// otherwise gives both signers the key in an encoding that nobody writes, and signs anew what covers the signer.
func otherwise(key *block.PrivateKey, h *block.SignedHeader, d *block.SignedData) {
	enc := append(key.Public().Encode(), 0x18, 1) // with a field that nobody knows
	h.Signer.PubKey, d.Signer.PubKey, h.EnvelopeSignature = enc, enc, nil
	h.EnvelopeSignature = key.Sign(h.Encode())
}

func signed(t testing.TB, key *block.PrivateKey) (block.SignedHeader, block.SignedData) {
	t.Helper()
	h, err := block.SignHeader(key, block.Header{Height: 7, Time: 9, ChainID: "chain", ProposerAddress: key.Public().Address()})
	if err != nil {
		t.Fatal(err)
	}
	d, err := block.SignData(key, block.Data{Metadata: block.Metadata{ChainID: "chain", Height: 7}, Txs: [][]byte{{1}}})
	if err != nil {
		t.Fatal(err)
	}
	return h, d
}

func BenchmarkVerifier(b *testing.B) {
	key := newKey(b, block.Ed25519)
	h, _ := signed(b, key)
	msgs, sigs := make([][]byte, 256), make([][]byte, 256)
	for i := range msgs {
		h.Header.Time = uint64(i)
		msgs[i] = h.Header.Encode()
		sigs[i] = key.Sign(msgs[i])
	}
	v := block.NewVerifier(key.Public())
	for _, c := range []struct {
		name   string
		verify func(msg, sig []byte) bool
	}{{"key", key.Public().Verify}, {"verifier", v.Verify}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !c.verify(msgs[i%256], sigs[i%256]) {
					b.Fatal("refused")
				}
			}
		})
	}
}
