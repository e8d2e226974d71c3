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

// TestExport: what is exported can be imported with its passphrase alone, is nobody else's to read, takes the place of
// nothing, and shows no key. Two exports differ.
func TestExport(t *testing.T) {
	ed, dir := newKey(t, block.Ed25519), t.TempDir()
	path, again := filepath.Join(dir, "signer.json"), filepath.Join(dir, "again.json")
	for _, p := range []string{path, again} {
		if err := keyfile.Export(p, ed, "correct horse"); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info, err)
	}
	got, err := keyfile.Import(path, "correct horse", block.Ed25519)
	if err != nil || string(got.Encode()) != string(ed.Encode()) {
		t.Errorf("got %v, %v imported, want the key that was exported", got, err)
	}
	if _, err := keyfile.Import(path, "battery staple", block.Ed25519); !errors.Is(err, keyfile.ErrPassphrase) {
		t.Errorf("got %v with another passphrase, want ErrPassphrase", err)
	}
	var one, two struct {
		Sealed []byte `json:"priv_key_encrypted"`
		Nonce  []byte `json:"nonce"`
		Public []byte `json:"pub_key"`
		Salt   []byte `json:"salt"`
	}
	for p, into := range map[string]any{path: &one, again: &two} {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	if string(one.Public) != string(raw(ed)[32:]) || len(one.Salt) != 16 || len(one.Nonce) != 12 || strings.Contains(string(one.Sealed), string(raw(ed)[:32])) {
		t.Errorf("got %+v, want the public key, a salt, a nonce, and the private key sealed", one)
	}
	if string(one.Salt) == string(two.Salt) || string(one.Nonce) == string(two.Nonce) {
		t.Error("got the same salt or nonce twice")
	}
	before, _ := os.ReadFile(path)
	if err := keyfile.Export(path, ed, "another"); !errors.Is(err, keyfile.ErrExists) {
		t.Errorf("got %v over a file that is there, want ErrExists", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the file that was there has changed")
	}
	for kind, c := range map[string]struct {
		key        *block.PrivateKey
		passphrase string
	}{"secp256k1": {newKey(t, block.Secp256k1), "correct horse"}, "passphrase is empty": {ed, ""}} {
		none := filepath.Join(dir, "none.json")
		if err := keyfile.Export(none, c.key, c.passphrase); err == nil || !strings.Contains(err.Error(), kind) {
			t.Errorf("%s: got %v, want it refused by name", kind, err)
		}
		if _, err := os.Stat(none); err == nil {
			t.Errorf("%s: got a file", kind)
		}
	}
}
