package httpd

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// TokenFile is a file that holds the token that writes need. It is read again when it has changed, so that a token can
// be replaced without a restart: from then on the one before is refused. While the file is of no use, as when it is
// half written, what was read last counts.
type TokenFile struct {
	name  string // of the setting that names the file
	path  string
	parse func(text string) (token string, err error)
	log   *slog.Logger

	mu    sync.Mutex // guards the rest
	stamp stamp      // of the file when it was read last, of use or not
	using string
}

// ReadTokenFile reads the file at path, which the setting of this name says. What parse makes of its text is the token.
// An error of parse says what the text does, and has no part of it: it is logged.
func ReadTokenFile(name, path string, parse func(text string) (string, error), log *slog.Logger) (*TokenFile, error) {
	f := &TokenFile{name: name, path: path, parse: parse, log: log, stamp: stampOf(path)}
	var err error
	f.using, err = f.read()
	return f, err
}

func (f *TokenFile) read() (string, error) {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", f.name, err)
	}
	token, err := f.parse(string(text))
	if err != nil {
		return "", fmt.Errorf("%s %w", f.name, err)
	}
	return token, nil
}

// current returns the token that counts now. It tells the log once of a file that has changed: strangers choose how often
// it is called.
func (f *TokenFile) current() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := stampOf(f.path) // before it is read: what changes meanwhile is read next time
	if now.same(f.stamp) {
		return f.using
	}
	f.stamp = now
	renewed, err := f.read()
	switch {
	case err != nil:
		f.log.Warn("the file of the token has changed and cannot be used: the token before counts", "err", err)
	case renewed != f.using:
		f.using = renewed
		f.log.Info("the token has changed: the one before is refused from now on")
	}
	return f.using
}
