package keyfile_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"headrace/block"
	"headrace/internal/keyfile"
)

func put(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// raw returns the key's bytes without the protobuf around them.
func raw(k *block.PrivateKey) []byte { return k.Encode()[4:] }

// signer makes what an ev-node writes as signer.json.
func signer(t *testing.T, k *block.PrivateKey, passphrase string, change func(map[string]any)) string {
	t.Helper()
	salt, nonce := []byte("sixteen bytes xx"), []byte("twelve bytes")
	b, err := aes.NewCipher(argon2.IDKey([]byte(passphrase), salt, 3, 32*1024, 4, 32))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(b)
	if err != nil {
		t.Fatal(err)
	}
	file := map[string]any{"priv_key_encrypted": gcm.Seal(nil, nonce, raw(k), nil), "nonce": nonce, "pub_key": raw(k)[32:], "salt": salt}
	if change != nil {
		change(file)
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return put(t, string(text))
}

func TestImport(t *testing.T) {
	ed, secp := newKey(t, block.Ed25519), newKey(t, block.Secp256k1)
	own := filepath.Join(t.TempDir(), "own")
	save(t, own, secp)
	for name, c := range map[string]struct {
		path string
		kind block.KeyType
		want *block.PrivateKey
	}{
		"own":            {own, block.Ed25519, secp},
		"age":            {put(t, string(sealed(t, ed.Encode()))), block.Ed25519, ed},
		"signer.json":    {signer(t, ed, "correct horse", nil), block.Ed25519, ed},
		"keys export":    {put(t, hex.EncodeToString(raw(ed))+"\n"), block.Ed25519, ed},
		"with 0x":        {put(t, "  0x"+strings.ToUpper(hex.EncodeToString(raw(ed)))), block.Ed25519, ed},
		"Ed25519 seed":   {put(t, hex.EncodeToString(raw(ed)[:32])), block.Ed25519, ed},
		"secp256k1":      {put(t, hex.EncodeToString(raw(secp))), block.Secp256k1, secp},
		"kind not asked": {put(t, hex.EncodeToString(raw(ed))), block.Secp256k1, ed},
	} {
		got, err := keyfile.Import(c.path, "correct horse", c.kind)
		if err != nil || got.Public() != c.want.Public() {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, c.want)
		}
	}
}

func TestImportErrors(t *testing.T) {
	ed := newKey(t, block.Ed25519)
	digits := hex.EncodeToString(raw(ed))
	other := []byte(hex.EncodeToString(raw(newKey(t, block.Ed25519)))[:32])
	own := filepath.Join(t.TempDir(), "own")
	save(t, own, ed)
	for name, c := range map[string]struct {
		path, passphrase string
		want             error
	}{
		"none":                 {filepath.Join(t.TempDir(), "none"), "correct horse", keyfile.ErrMissing},
		"empty":                {put(t, ""), "correct horse", keyfile.ErrCorrupt},
		"own, wrong":           {own, "x", keyfile.ErrPassphrase},
		"signer, wrong":        {signer(t, ed, "correct horse", nil), "x", keyfile.ErrPassphrase},
		"signer, cut":          {put(t, `{"priv_key_encrypted":`), "correct horse", keyfile.ErrCorrupt},
		"signer, other JSON":   {put(t, `{}`), "correct horse", keyfile.ErrCorrupt},
		"signer, short nonce":  {signer(t, ed, "correct horse", func(f map[string]any) { f["nonce"] = []byte("short") }), "correct horse", keyfile.ErrCorrupt},
		"signer, without salt": {signer(t, ed, "correct horse", func(f map[string]any) { delete(f, "salt") }), "correct horse", keyfile.ErrCorrupt},
		"signer, of another":   {signer(t, ed, "correct horse", func(f map[string]any) { f["pub_key"] = other }), "correct horse", keyfile.ErrCorrupt},
		"odd digits":           {put(t, digits[1:]), "correct horse", keyfile.ErrCorrupt},
		"too few digits":       {put(t, digits[2:]), "correct horse", keyfile.ErrCorrupt},
		"halves swapped":       {put(t, digits[64:]+digits[:64]), "correct horse", keyfile.ErrCorrupt},
		"0x":                   {put(t, "0x"), "correct horse", keyfile.ErrCorrupt},
	} {
		k, err := keyfile.Import(c.path, c.passphrase, block.Ed25519)
		if k != nil || !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: got %v, %v, want %v that names the file", name, k, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), digits[4:20]) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: got %q, which shows the key, or has two lines", name, err)
		}
	}
}
