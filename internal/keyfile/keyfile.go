// Package keyfile keeps a signing key in a file that a passphrase encrypts: an age file with a scrypt recipient, so
// that the age tool reads it too. What is encrypted is the key's libp2p private-key protobuf.
//
// Memory: scrypt works in 256 MiB. They are given back to the operating system before Save and Load return.
//
// Durability: when Save returns nil the file is on disk, whole and with mode 0600; a crash before leaves the old file
// or none. Concurrency: calls may overlap; of two Saves without Replace for one path one fails with ErrExists.
package keyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"filippo.io/age"
	"filippo.io/age/armor"

	"headrace/block"
)

// The kinds of errors; test with errors.Is. Each error is one line and names the file.
var (
	ErrPassphrase = errors.New("wrong passphrase")
	ErrMissing    = errors.New("there is no key file")
	ErrCorrupt    = errors.New("key file is damaged")
	ErrExists     = errors.New("a key file is there already")
)

// DefaultWorkFactor is scrypt's cost: about a second and 256 MiB for each try of a passphrase.
const DefaultWorkFactor = 18

// maxBytes bounds what is read: a key file has some hundred.
const maxBytes = 64 << 10

// Options of Save and Load. The zero value works.
type Options struct {
	WorkFactor int          // log2 of scrypt's N, for Save; default DefaultWorkFactor. Lower it only in tests
	Replace    bool         // Save may replace a file, say to change the passphrase
	Logger     *slog.Logger // warned when others may read the file; default: silent
}

// Save encrypts key with the passphrase and writes it to path. Without Options.Replace it never touches a file that
// is there.
func Save(path string, key *block.PrivateKey, passphrase string, opt Options) error {
	sealed, err := seal(key, passphrase, opt.WorkFactor)
	if err != nil {
		return fmt.Errorf("encrypt key file %s: %w", path, err)
	}
	err = write(path, sealed, opt.Replace)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s; move it away if it is no longer needed", ErrExists, path)
	}
	if err != nil {
		return fmt.Errorf("write key file: %w", err) // err names the file
	}
	return nil
}

func seal(key *block.PrivateKey, passphrase string, workFactor int) ([]byte, error) {
	defer giveBack()
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	if workFactor <= 0 {
		workFactor = DefaultWorkFactor
	}
	recipient.SetWorkFactor(workFactor)
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(key.Encode()); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), text.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// WriteNew writes a file for its owner's eyes alone, as Save does: at once and whole, and over nothing that is there, which
// is an error that is fs.ErrExist.
func WriteNew(path string, b []byte) error { return write(path, b, false) }

// write makes the file appear at path at once and whole: a temporary file is synced, then renamed, then the directory
// is synced. A hard link stands in for the rename where nothing may be replaced, because it fails if there is
// something.
func write(path string, b []byte, replace bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	temp := f.Name()
	defer func() { _ = os.Remove(temp) }() // after a rename there is nothing left to remove
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	put := os.Link
	if replace {
		put = os.Rename
	}
	if err := put(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Load decrypts the key in the file at path.
func Load(path, passphrase string, opt Options) (*block.PrivateKey, error) {
	sealed, err := read(path, opt.Logger)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrMissing, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err) // err names the file
	}
	raw, err := open(sealed, passphrase)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, fmt.Errorf("%w for %s", ErrPassphrase, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	key, err := block.ParsePrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	return key, nil
}

func read(path string, log *slog.Logger) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && log != nil {
		log.Warn("others may read the key file; make it private with chmod 600", "path", path, "mode", mode.String())
	}
	return io.ReadAll(io.LimitReader(f, maxBytes))
}

// giveBack frees what scrypt has worked in. Left to itself, the collector would let as much again be allocated first,
// and the process keep all of it for minutes.
func giveBack() { debug.FreeOSMemory() }

// open decrypts an age file, with or without armor.
func open(sealed []byte, passphrase string) ([]byte, error) {
	defer giveBack()
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil { // it is empty, which no file's passphrase is
		return nil, age.ErrIncorrectIdentity
	}
	var in io.Reader = bytes.NewReader(sealed)
	if bytes.HasPrefix(sealed, []byte(armor.Header)) {
		in = armor.NewReader(in)
	}
	r, err := age.Decrypt(in, identity)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxBytes))
}
