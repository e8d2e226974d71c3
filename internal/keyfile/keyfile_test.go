package keyfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"headrace/block"
	"headrace/internal/keyfile"
)

var fast = keyfile.Options{WorkFactor: 2}

func newKey(t *testing.T, kind block.KeyType) *block.PrivateKey {
	t.Helper()
	k, err := block.GenerateKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func save(t *testing.T, path string, k *block.PrivateKey) {
	t.Helper()
	if err := keyfile.Save(path, k, "correct horse", fast); err != nil {
		t.Fatal(err)
	}
}

func TestSaveThenLoad(t *testing.T) {
	for _, kind := range []block.KeyType{block.Ed25519, block.Secp256k1} {
		path := filepath.Join(t.TempDir(), "key.age")
		k := newKey(t, kind)
		save(t, path, k)
		got, err := keyfile.Load(path, "correct horse", keyfile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got.Public() != k.Public() || !bytes.Equal(got.Encode(), k.Encode()) {
			t.Errorf("%v: got key %v, want %v", kind, got, k)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != 0o600 {
			t.Errorf("got mode %v, want 0600", got)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) != 1 {
			t.Errorf("got %v (%v) in the directory, want the key file alone", entries, err)
		}
		raw, err := os.ReadFile(path)
		if err != nil || bytes.Contains(raw, k.Encode()[4:36]) {
			t.Errorf("the file shows the secret (%v)", err)
		}
	}
}

func TestSaveNeverReplacesUnasked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.age")
	first, second := newKey(t, block.Ed25519), newKey(t, block.Ed25519)
	save(t, path, first)
	err := keyfile.Save(path, second, "other", fast)
	if !errors.Is(err, keyfile.ErrExists) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want ErrExists that names the file", err)
	}
	if got, err := keyfile.Load(path, "correct horse", fast); err != nil || got.Public() != first.Public() {
		t.Errorf("got %v (%v), want the first key", got, err)
	}
	replace := fast
	replace.Replace = true
	if err := keyfile.Save(path, second, "other", replace); err != nil {
		t.Fatal(err)
	}
	if got, err := keyfile.Load(path, "other", fast); err != nil || got.Public() != second.Public() {
		t.Errorf("got %v (%v), want the second key", got, err)
	}
}

func TestOneOfManySavesWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.age")
	keys := make([]*block.PrivateKey, 8)
	errs := make([]error, len(keys))
	var wg sync.WaitGroup
	for i := range keys {
		keys[i] = newKey(t, block.Ed25519)
		wg.Go(func() { errs[i] = keyfile.Save(path, keys[i], "correct horse", fast) })
	}
	wg.Wait()
	won := slices.Index(errs, nil)
	if won < 0 {
		t.Fatalf("no save succeeded: %v", errs)
	}
	for i, err := range errs {
		if i != won && !errors.Is(err, keyfile.ErrExists) {
			t.Errorf("save %d: got %v, want ErrExists", i, err)
		}
	}
	if got, err := keyfile.Load(path, "correct horse", fast); err != nil || got.Public() != keys[won].Public() {
		t.Errorf("got %v (%v), want the key of the save that succeeded", got, err)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key.age")
	save(t, path, newKey(t, block.Ed25519))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	cut := put("cut", good[:len(good)/2])
	for _, c := range []struct {
		name, path, passphrase string
		want                   error
	}{
		{"wrong passphrase", path, "incorrect horse", keyfile.ErrPassphrase},
		{"empty passphrase", path, "", keyfile.ErrPassphrase},
		{"missing", filepath.Join(dir, "none"), "correct horse", keyfile.ErrMissing},
		{"missing directory", filepath.Join(dir, "none", "key"), "correct horse", keyfile.ErrMissing},
		{"empty file", put("empty", nil), "correct horse", keyfile.ErrCorrupt},
		{"cut", cut, "correct horse", keyfile.ErrCorrupt},
		{"not age", put("text", []byte("0123456789abcdef")), "correct horse", keyfile.ErrCorrupt},
		{"not a key inside", put("foreign", sealed(t, []byte("hello"))), "correct horse", keyfile.ErrCorrupt},
		{"a directory", dir, "correct horse", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, err := keyfile.Load(c.path, c.passphrase, fast)
			if err == nil || k != nil {
				t.Fatalf("got %v, %v, want an error", k, err)
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %q, want it to be %q", err, c.want)
			}
			if !strings.Contains(err.Error(), c.path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line that names the file", err)
			}
		})
	}
	if _, err := keyfile.Load(path, "incorrect horse", fast); err == nil || err.Error() != "wrong passphrase for "+path {
		t.Errorf("got %v", err)
	}
}

// TestDamage changes each byte of a key file in turn: no damage gives another key, or a panic.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.age")
	want := newKey(t, block.Ed25519)
	save(t, path, want)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := keyfile.Load(path, "correct horse", fast)
		if err == nil && got.Public() != want.Public() {
			t.Errorf("byte %d: got another key", i)
		}
		if err != nil && !errors.Is(err, keyfile.ErrCorrupt) && !errors.Is(err, keyfile.ErrPassphrase) {
			t.Errorf("byte %d: got %v", i, err)
		}
	}
}

// sealed encrypts b as the age tool does without armor.
func sealed(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := age.NewScryptRecipient("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(2)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReadsWhatAgeWrote(t *testing.T) {
	k := newKey(t, block.Secp256k1)
	path := filepath.Join(t.TempDir(), "key.age")
	if err := os.WriteFile(path, sealed(t, k.Encode()), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := keyfile.Load(path, "correct horse", fast); err != nil || got.Public() != k.Public() {
		t.Errorf("got %v, %v, want %v", got, err, k)
	}
}

func TestWarnsOfOpenPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.age")
	save(t, path, newKey(t, block.Ed25519))
	for _, c := range []struct {
		mode fs.FileMode
		want bool
	}{{0o600, false}, {0o400, false}, {0o640, true}, {0o604, true}} {
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		opt := keyfile.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
		if _, err := keyfile.Load(path, "correct horse", opt); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), path); got != c.want {
			t.Errorf("mode %v: got log %q, want a warning: %v", c.mode, log.String(), c.want)
		}
	}
}

func TestSaveErrors(t *testing.T) {
	k := newKey(t, block.Ed25519)
	path := filepath.Join(t.TempDir(), "none", "key.age")
	if err := keyfile.Save(path, k, "correct horse", fast); err == nil || !strings.Contains(err.Error(), filepath.Dir(path)) {
		t.Errorf("got %v, want an error that names the directory", err)
	}
	path = filepath.Join(t.TempDir(), "key.age")
	if err := keyfile.Save(path, k, "", fast); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v for an empty passphrase, want an error that names the file", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no file", err)
	}
}

func ExampleSave() {
	dir, _ := os.MkdirTemp("", "keyfile")
	defer os.RemoveAll(dir)
	key, _ := block.GenerateKey(block.Ed25519)
	path := filepath.Join(dir, "key.age")
	fmt.Println(keyfile.Save(path, key, "correct horse", keyfile.Options{WorkFactor: 2}))
	again, err := keyfile.Load(path, "correct horse", keyfile.Options{})
	fmt.Println(again.Public() == key.Public(), err)
	// Output:
	// <nil>
	// true <nil>
}
