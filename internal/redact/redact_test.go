package redact_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"headrace/internal/redact"
)

func TestAddress(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:26658":                     "http://127.0.0.1:26658",
		"http://127.0.0.1:26658/":                    "http://127.0.0.1:26658/",
		"wss://user:key@node.example/v2/key?key=k#k": "wss://node.example",
		"https://node.example/a%2Fkey/":              "https://node.example",
		"https://node.example/?key=k":                "https://node.example/",
		"http://%zz key":                             "",
	} {
		if got := redact.Address(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func TestError(t *testing.T) {
	refused := errors.New("refused")
	asked := fmt.Errorf("dial: %w", &url.Error{Op: "Get", URL: "https://node.example/key", Err: refused})
	if got := redact.Error(asked); got != refused {
		t.Errorf("got %v, want %v", got, refused)
	}
	if got := redact.Error(refused); got != refused || redact.Error(nil) != nil {
		t.Errorf("an error without an address: got %v, want it as it is", got)
	}
}

func TestAddresses(t *testing.T) {
	got := redact.Addresses([]string{"https://one/key", "https://two/key", "https://one/other", "ws://one/key"})
	if want := "[https://one #1 https://two https://one #2 ws://one]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestRefused(t *testing.T) {
	for address, want := range map[string]string{
		"localhost:26658": `"localhost:26658"`,
		"ftp://user:planted@node.example/planted?a": `"ftp://node.example"`,
		"user:planted@node.example":                 "(not shown)",
		"node.example:80/planted":                   "(not shown)",
		"0123456789abcdef0123456789abcdef":          "(not shown)", // may be a key
		"http://user:pl#anted@node.example":         "(not shown)",
	} {
		if got := redact.Refused(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

// What is secret is taken out of a text in each form that servers repeat it in, and the rest stays.
func TestSecrets(t *testing.T) {
	s := redact.Of("https://us%2Fer:pass%20word@node.example/v2/Planted%2Fkey/?token=que%3Dry&v=1&bare-word#frag-ment", "to\"ken+/=")
	for text, want := range map[string]string{
		"dial tcp 127.0.0.1:1: connection refused, v2": "dial tcp 127.0.0.1:1: connection refused, v2",
		"no /v2/Planted%2Fkey/ here":                   "no /(hidden)/ here",
		"no planted/KEY here":                          "no (hidden) here",
		`no Planted\/key here`:                         "no (hidden) here",
		"token=que%3Dry or que=ry or bare-word":        "token=(hidden) or (hidden) or (hidden)",
		"us/er, us%2Fer, pass word, pass%20word":       "(hidden), (hidden), (hidden), (hidden)",
		"Basic dXMvZXI6cGFzcyB3b3Jk":                   "Basic (hidden)",
		`to"ken+/= or to\"ken+/= or frag-ment`:         "(hidden) or (hidden) or (hidden)",
		"Bearer eyJhbGciOiJIUzI1NiJ9.eyJpYXQ.c2ln-_":   "Bearer (hidden)",
	} {
		if got := s.Text(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// A text that is too long is cut, and never within a secret, which what is left would give away in part.
func TestLongTexts(t *testing.T) {
	s := redact.Of("http://node.example/planted-key")
	for n := range 40 {
		got := s.Text(strings.Repeat("x", 4080+n) + "planted-key" + strings.Repeat("y", 1<<20))
		if len(got) > 8<<10 || strings.Contains(got, "plan") || !strings.HasPrefix(got, strings.Repeat("x", 4080)) {
			t.Errorf("%d bytes before it: got %d bytes that end with %q", 4080+n, len(got), got[len(got)-20:])
		}
	}
}

// An error stays what it was.
func TestSecretsError(t *testing.T) {
	refused := errors.New("refused")
	got := redact.Of("http://node.example/planted").Error(fmt.Errorf("no /planted: %w", refused))
	if !errors.Is(got, refused) || got.Error() != "no /(hidden): refused" {
		t.Errorf("got %v, want it refused, without the path", got)
	}
	if redact.Of("").Error(nil) != nil {
		t.Error("no error: got one")
	}
}

// A token goes along no redirect to another scheme, host or port, nor does the address that has a key in it.
func TestRedirect(t *testing.T) {
	type seen struct{ token, referrer, path string }
	var got []seen
	note := func(w http.ResponseWriter, r *http.Request) {
		got = append(got, seen{r.Header.Get("Authorization"), r.Referer(), r.URL.Path})
	}
	other := httptest.NewServer(http.HandlerFunc(note))
	defer other.Close()
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(w, r)
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/there", http.StatusTemporaryRedirect)
		case "/near":
			http.Redirect(w, r, "/here", http.StatusTemporaryRedirect)
		}
	}))
	defer own.Close()
	client := &http.Client{CheckRedirect: redact.Redirect}
	for path, want := range map[string]seen{"/away": {"", "", "/there"}, "/near": {"Bearer planted", own.URL + "/near", "/here"}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, own.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer planted")
		got = nil
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if len(got) != 2 || got[1] != want {
			t.Errorf("%s: got %+v, want at last %+v", path, got, want)
		}
	}
}

// Addresses have one origin if scheme, host and port are the same, however they are written.
func TestOrigin(t *testing.T) {
	of := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return redact.Origin(u)
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"http://node.example/a", "http://user:key@Node.Example:80/b?c#d", true},
		{"ws://node.example:26658", "http://node.example:26658", true},
		{"wss://node.example", "https://node.example:443", true},
		{"http://node.example:443", "https://node.example:443", false},
		{"http://node.example", "https://node.example", false},
		{"http://node.example", "http://node.example:8080", false},
		{"http://node.example", "http://a.node.example", false},
		{"http://node.example", "http://node.example.", false},
		{"http://127.0.0.1", "http://[::1]", false},
	} {
		if got := of(c.a) == of(c.b); got != c.same {
			t.Errorf("%s and %s: got one origin %t, want %t", c.a, c.b, got, c.same)
		}
	}
}
