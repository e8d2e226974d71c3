package keyfile

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"unicode"

	"golang.org/x/crypto/argon2"

	"headrace/block"
)

// Import reads a private key from a file in any of the forms that operators have:
//   - what Save, or the age tool, wrote;
//   - the encrypted signer.json of an ev-node, whose passphrase opens it;
//   - hexadecimal digits, as ev-node's "keys export" prints them: 64 bytes of Ed25519, or 32 bytes, which are a seed of Ed25519 or a secp256k1 key as kind says.
//
// Errors are those of Load.
func Import(path, passphrase string, kind block.KeyType) (*block.PrivateKey, error) {
	content, err := read(path, nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s", ErrMissing, path)
	case err != nil:
		return nil, fmt.Errorf("read key file: %w", err) // err names the file
	}
	text := bytes.TrimSpace(content)
	var key *block.PrivateKey
	switch {
	case bytes.HasPrefix(text, []byte("{")):
		key, err = openSigner(text, passphrase)
	case isHex(text):
		key, err = parseHex(text, kind)
	default:
		return Load(path, passphrase, Options{})
	}
	switch {
	case errors.Is(err, ErrPassphrase):
		return nil, fmt.Errorf("%w for %s", ErrPassphrase, path)
	case err != nil:
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	return key, nil
}

func isHex(text []byte) bool {
	return len(text) > 0 && !bytes.ContainsFunc(bytes.TrimPrefix(text, []byte("0x")), func(r rune) bool { return !unicode.Is(unicode.ASCII_Hex_Digit, r) })
}

func parseHex(text []byte, kind block.KeyType) (*block.PrivateKey, error) {
	raw, err := hex.DecodeString(string(bytes.TrimPrefix(text, []byte("0x"))))
	if err != nil {
		return nil, errors.New("an odd number of hexadecimal digits") // err would show a part of the key
	}
	switch len(raw) {
	case ed25519.PrivateKeySize:
		return fromRaw(raw, block.Ed25519)
	case ed25519.SeedSize:
		if kind == block.Ed25519 {
			raw = ed25519.NewKeyFromSeed(raw)
		}
		return fromRaw(raw, kind)
	}
	return nil, fmt.Errorf("%d bytes in hexadecimal are no key: an Ed25519 key has 64, or 32 of its seed, and a secp256k1 key 32", len(raw))
}

// fromRaw makes a key of its raw bytes, by way of the protobuf that has them.
func fromRaw(raw []byte, kind block.KeyType) (*block.PrivateKey, error) {
	return block.ParsePrivateKey(append([]byte{0x08, byte(kind), 0x12, byte(len(raw))}, raw...))
}

// signerFile is an ev-node's signer.json: an Ed25519 key under AES-GCM, with a key that Argon2id makes of the passphrase and the salt.
type signerFile struct {
	Sealed []byte `json:"priv_key_encrypted"`
	Nonce  []byte `json:"nonce"`
	Public []byte `json:"pub_key"`
	Salt   []byte `json:"salt"`
}

// The Argon2id parameters of a signer.json.
const (
	signerTime    = 3
	signerMemory  = 32 << 10 // KiB
	signerThreads = 4
)

// ErrNotEd25519: a signer.json holds Ed25519 keys alone.
var ErrNotEd25519 = errors.New("a signer.json holds an Ed25519 key, and this one is another kind of key")

// Export writes key as the signer.json of an ev-node, encrypted with the passphrase: what Import reads. It never
// touches a file that is there.
func Export(path string, key *block.PrivateKey, passphrase string) error {
	if kind := key.Public().Type(); kind != block.Ed25519 {
		return fmt.Errorf("%w: %s", ErrNotEd25519, kind)
	}
	text, err := sealSigner(key, passphrase)
	if err != nil {
		return fmt.Errorf("encrypt %s: %w", path, err)
	}
	err = write(path, text, false)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %s", ErrExists, path)
	case err != nil:
		return fmt.Errorf("write key file: %w", err) // err names the file
	}
	return nil
}

func sealSigner(key *block.PrivateKey, passphrase string) ([]byte, error) {
	if passphrase == "" {
		return nil, errors.New("the passphrase is empty")
	}
	raw := key.Encode()[4:] // without the protobuf around it, see fromRaw
	f := signerFile{Salt: make([]byte, 16), Nonce: make([]byte, 12), Public: raw[len(raw)-ed25519.PublicKeySize:]}
	_, _ = rand.Read(f.Salt) // never fails
	_, _ = rand.Read(f.Nonce)
	gcm, err := signerCipher(passphrase, f.Salt)
	if err != nil {
		return nil, err
	}
	f.Sealed = gcm.Seal(nil, f.Nonce, raw, nil)
	return json.MarshalIndent(f, "", "  ")
}

// signerCipher returns what seals the key in a signer.json.
func signerCipher(passphrase string, salt []byte) (cipher.AEAD, error) {
	sealing, err := aes.NewCipher(argon2.IDKey([]byte(passphrase), salt, signerTime, signerMemory, signerThreads, 32))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(sealing)
}

func openSigner(text []byte, passphrase string) (*block.PrivateKey, error) {
	var f signerFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("not an ev-node's signer.json: %w", err)
	}
	if len(f.Sealed) == 0 || len(f.Salt) == 0 {
		return nil, errors.New("not a signer.json with a salt: let the ev-node that wrote it print the key with keys export")
	}
	gcm, err := signerCipher(passphrase, f.Salt)
	if err != nil {
		return nil, err
	}
	if len(f.Nonce) != gcm.NonceSize() { // Open panics
		return nil, fmt.Errorf("its nonce has %d bytes, want %d", len(f.Nonce), gcm.NonceSize())
	}
	raw, err := gcm.Open(nil, f.Nonce, f.Sealed, nil)
	if err != nil {
		return nil, ErrPassphrase // or damage: they look alike
	}
	key, err := fromRaw(raw, block.Ed25519)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(f.Public, raw[len(raw)-ed25519.PublicKeySize:]) {
		return nil, errors.New("its public key is not that of its private key")
	}
	return key, nil
}
