package block_test

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"headrace/block"
)

// The decoders never panic, and what they accept is canonical from then on: its encoding decodes to the same, and is no longer than what
// it came from but for the parts that are always written.

func FuzzDecodeSignedHeader(f *testing.F) {
	headers, data := blobs(f)
	for _, b := range append(headers, data...) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := block.DecodeSignedHeader(b)
		if err != nil {
			return
		}
		_, _ = s.Verify(), s.VerifyEnvelope()
		enc := s.Encode()
		again, err := block.DecodeSignedHeader(enc)
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("got %+v (%v) again, want %+v", again, err, s)
		}
		if len(enc) > len(b)+24 {
			t.Fatalf("%d bytes became %d", len(b), len(enc))
		}
	})
}

func FuzzDecodeSignedData(f *testing.F) {
	headers, data := blobs(f)
	for _, b := range append(headers, data...) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := block.DecodeSignedData(b)
		if err != nil {
			return
		}
		_ = s.Verify()
		enc := s.Encode()
		again, err := block.DecodeSignedData(enc)
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("got %+v (%v) again, want %+v", again, err, s)
		}
		if len(enc) > len(b)+24 {
			t.Fatalf("%d bytes became %d", len(b), len(enc))
		}
	})
}

func FuzzDecodeBlock(f *testing.F) {
	for _, b := range apiBlocks(f) {
		f.Add(b.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := block.DecodeBlock(b)
		if err != nil {
			return
		}
		enc := got.Encode()
		again, err := block.DecodeBlock(enc)
		if err != nil || !reflect.DeepEqual(again, got) || !bytes.Equal(again.Encode(), enc) {
			t.Fatalf("got %+v (%v) again, want %+v", again, err, got)
		}
	})
}

func FuzzKeys(f *testing.F) {
	for _, kind := range []block.KeyType{block.Ed25519, block.Secp256k1} {
		k, err := block.GenerateKey(kind)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(k.Encode(), k.Sign([]byte("m")))
		f.Add(k.Public().Encode(), []byte{0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01})
	}
	f.Fuzz(func(t *testing.T, b, sig []byte) {
		if k, err := block.DecodePublicKey(b); err == nil {
			if again, err := block.DecodePublicKey(k.Encode()); err != nil || again != k {
				t.Fatalf("got %x (%v) again, want %x", again.Encode(), err, k.Encode())
			}
			k.Verify(b, sig)
		}
		if k, err := block.ParsePrivateKey(b); err == nil && !k.Public().Verify(b, k.Sign(b)) {
			t.Fatal("a signature does not verify")
		}
	})
}

func FuzzParseGenesis(f *testing.F) {
	b, err := os.ReadFile("testdata/genesis.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := block.ParseGenesis(b)
		if err != nil {
			return
		}
		again, err := block.ParseGenesis(g.Encode())
		if err != nil || again.Hash() != g.Hash() {
			t.Fatalf("got %+v (%v) again, want %+v", again, err, g)
		}
	})
}
