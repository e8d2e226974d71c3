package httpd_test

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/internal/httpd"
	"headrace/internal/logs/logstest"
)

// tokenFile is a file that a token is in, which can be replaced.
type tokenFile struct {
	t     *testing.T
	path  string
	clock time.Time // the file's time of change: a disk's clock may be too coarse for a test
}

func (f *tokenFile) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.clock = f.clock.Add(time.Second)
	if err := os.Chtimes(f.path, f.clock, f.clock); err != nil {
		f.t.Fatal(err)
	}
}

// errTooShort is what parseToken says of a text, no part of which may be in a log.
var errTooShort = errors.New("holds too little")

func parseToken(text string) (string, error) {
	if text = strings.TrimSpace(text); len(text) < 16 {
		return "", errTooShort
	}
	return text, nil
}

// TestReplacedToken: a token that is replaced counts from the next request on, and the one before is refused. While the
// file is of no use the one before counts, and that is said once, however many ask.
func TestReplacedToken(t *testing.T) {
	t.Parallel()
	const one, two = "the first token of all", "another token of theirs"
	f := &tokenFile{t, filepath.Join(t.TempDir(), "token"), time.Now()}
	if _, err := httpd.ReadTokenFile("a.token", f.path, parseToken, nil); err == nil || !strings.Contains(err.Error(), "read a.token: ") {
		t.Errorf("got %v where there is no file, want the setting's name", err)
	}
	f.write("planted")
	if _, err := httpd.ReadTokenFile("a.token", f.path, parseToken, nil); !errors.Is(err, errTooShort) || !strings.HasPrefix(err.Error(), "a.token holds") {
		t.Errorf("got %v of a file without a token, want the setting's name", err)
	}
	f.write(one)
	out := new(logstest.Text)
	file, err := httpd.ReadTokenFile("a.token", f.path, parseToken, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := run(t, httpd.Options{Access: httpd.Access{File: file, Writes: func(r *http.Request) bool { return r.Method == http.MethodPost }}}, nil)
	told := map[string]int{}
	want := func(when, good, level string) {
		t.Helper()
		told[level]++
		for _, token := range []string{one, two, "", "planted", good} {
			code := http.StatusUnauthorized
			if token == good {
				code = http.StatusOK
			}
			if got, text := s.ask("POST", "/", "Authorization: Bearer "+token); got != code {
				t.Errorf("%s: got %d %s with %q, want %d", when, got, text, token, code)
			}
		}
		if got, text := s.ask("GET", "/"); got != http.StatusOK {
			t.Errorf("%s: got %d %s of a read, want 200", when, got, text)
		}
		for _, level := range []string{"WARN", "INFO"} {
			if got := strings.Count(out.String(), "level="+level); got != told[level] {
				t.Errorf("%s: got %d lines of %s, want %d: %s", when, got, level, told[level], out.String())
			}
		}
	}
	want("at first", one, "")
	f.write(two + "\n")
	want("replaced", two, "INFO")
	f.write(" " + two)
	want("written again", two, "")
	f.write("")
	want("half written", two, "WARN")
	f.write("planted")
	want("too short", two, "WARN")
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	want("gone", two, "WARN")
	f.write(one)
	want("back", one, "INFO")
	for _, secret := range []string{one, two, "planted"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the log: %s", secret, out.String())
		}
	}
}

// A file that another one takes the place of is read again, though it has the same size and time.
func TestReplacedTokenOfTheSameTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	at := time.Unix(1, 0)
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path+".new", at, at); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	put("the first token of all")
	file, err := httpd.ReadTokenFile("a.token", path, parseToken, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	put("the other token of one")
	s := run(t, httpd.Options{Access: httpd.Access{File: file, Writes: func(r *http.Request) bool { return r.Method == http.MethodPost }}}, nil)
	for token, want := range map[string]int{"the first token of all": 401, "the other token of one": 200} {
		if got, _ := s.ask("POST", "/", "Authorization: Bearer "+token); got != want {
			t.Errorf("%q: got %d, want %d", token, got, want)
		}
	}
}
