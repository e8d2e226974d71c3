package httpc_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"headrace/internal/httpc"
)

// asked is a server that notes who came with which token, at all addresses of the loopback.
type asked struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // path and token
}

func ask(t *testing.T, handle http.HandlerFunc) *asked {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &asked{}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.seen = append(a.seen, r.URL.Path+" "+r.Header.Get("Authorization"))
		a.mu.Unlock()
		if handle != nil {
			handle(w, r)
		}
	}))
	a.Listener = l
	t.Cleanup(func() { a.CloseClientConnections(); a.Close() })
	return a
}

func (a *asked) start() *asked { a.Start(); return a }

// at returns its address by a host of the loopback.
func (a *asked) at(host string) string {
	_, port, _ := net.SplitHostPort(a.Listener.Addr().String())
	scheme, _, _ := strings.Cut(a.URL, ":")
	return scheme + "://" + net.JoinHostPort(host, port)
}

func (a *asked) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.seen
	a.seen = nil
	return seen
}

func open(t *testing.T, e httpc.Endpoint) (*httpc.Access, *http.Client) {
	t.Helper()
	a, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	c := httpc.New(httpc.Options{Access: a})
	t.Cleanup(c.CloseIdleConnections)
	return a, c
}

// chunked is a body of unknown length that can be sent again.
type chunked string

func (chunked) Read([]byte) (int, error) { return 0, io.EOF }

func post(t *testing.T, c *http.Client, url string, body io.Reader) (status int, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := body.(chunked); ok {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(text))), nil }
		req.Body, _ = req.GetBody()
		req.ContentLength = -1
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if got := resp.Request.Header.Get("Authorization"); got != "" {
		t.Errorf("the request of the answer has %q in its header, want nothing", got)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, nil
}

// TestTokenGoesNowhereElse: a token goes to the scheme, host and port of its address, along redirects within them, and
// neither along a redirect to another of each, nor when that leads back.
func TestTokenGoesNowhereElse(t *testing.T) {
	var own, other, secure *asked
	secure = ask(t, nil)
	secure.StartTLS()
	other = ask(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/and-back" {
			http.Redirect(w, r, own.at("127.0.0.1")+"/back", http.StatusTemporaryRedirect)
		}
	}).start()
	own = ask(t, func(w http.ResponseWriter, r *http.Request) {
		if to := map[string]string{
			"/near": "/here", "/host": own.at("127.0.0.2") + "/here", "/port": other.at("127.0.0.1") + "/here",
			"/away": other.at("127.0.0.1") + "/and-back", "/scheme": secure.at("127.0.0.1") + "/here",
		}[r.URL.Path]; to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		}
	}).start()
	const token = "Bearer planted"
	for path, want := range map[string][3][]string{
		"/":       {{"/ " + token}, nil, nil},
		"/near":   {{"/near " + token, "/here " + token}, nil, nil},
		"/host":   {{"/host " + token, "/here "}, nil, nil},
		"/port":   {{"/port " + token}, {"/here "}, nil},
		"/away":   {{"/away " + token, "/back "}, {"/and-back "}, nil},
		"/scheme": {{"/scheme " + token}, nil, {"/here "}},
	} {
		_, c := open(t, httpc.Endpoint{URL: own.at("127.0.0.1"), Token: "planted"})
		c.Transport = httpc.Trusting(c.Transport)
		if _, err := post(t, c, own.at("127.0.0.1")+path, strings.NewReader("{}")); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if got := [3][]string{own.take(), other.take(), secure.take()}; !slices.Equal(got[0], want[0]) || !slices.Equal(got[1], want[1]) || !slices.Equal(got[2], want[2]) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}

	// Asked straight away, too: a client is for one endpoint, but whoever has it may ask elsewhere.
	_, c := open(t, httpc.Endpoint{URL: "ws://127.0.0.1:1", Token: "planted"})
	for _, url := range []string{own.at("127.0.0.1"), own.at("127.0.0.2")} {
		if _, err := post(t, c, url, nil); err != nil {
			t.Error(err)
		}
	}
	if got := own.take(); slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "planted") }) {
		t.Errorf("elsewhere: got %q, want no token", got)
	}
}

// TestTokenIsReplaced: one that was replaced in its file is sent after a 401, with the same body, once; one that was
// not is not sent again; and what cannot be sent again is answered as it was.
func TestTokenIsReplaced(t *testing.T) {
	var bodies []string
	valid := "one"
	s := ask(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body)) // requests come one after the other
		if r.Header.Get("Authorization") != "Bearer "+valid {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}).start()
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(" one\r\n")
	a, c := open(t, httpc.Endpoint{URL: s.URL, TokenFile: file})
	expect := func(what string, body io.Reader, status int, tokens ...string) {
		t.Helper()
		bodies = nil
		got, err := post(t, c, s.URL, body)
		want := []string{}
		for _, token := range tokens {
			want = append(want, "/ Bearer "+token)
		}
		if seen := s.take(); err != nil || got != status || !slices.Equal(seen, want) {
			t.Errorf("%s: got status %d (%v) and %q, want %d and %q", what, got, err, seen, status, want)
		}
		for _, b := range bodies {
			if b != "question" {
				t.Errorf("%s: got body %q, want the question", what, b)
			}
		}
	}
	question := func() io.Reader { return strings.NewReader("question") }
	expect("at first", question(), 200, "one")
	write("two")
	expect("while the old one is good", question(), 200, "one")
	valid = "two"
	expect("once it is not", question(), 200, "one", "two")
	expect("from then on", question(), 200, "two")
	valid = "three"
	expect("before there is a new one", question(), 401, "two")
	write("three\n")
	expect("a body that cannot be sent again", io.MultiReader(question()), 401, "two")
	expect("a body that can", chunked("question"), 200, "three")
	valid = "of a length"
	write(valid)
	expect("a body of unknown length that can", chunked("question"), 200, "three", "of a length")
	valid = "three"
	write(valid)
	expect("back to another", question(), 200, "of a length", "three")
	valid = "four"
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("without a file", question(), 401, "three")
	status := errors.New("HTTP status 401 for one, two and three")
	if got := a.Error(status); !errors.Is(got, status) || !strings.Contains(got.Error(), file) || strings.Contains(got.Error(), "three") || a.Error(got).Error() != got.Error() {
		t.Errorf("got %q, want it to say, once, that there is no file, and no token", got)
	}
	write("four")
	expect("with a file again", question(), 200, "three", "four")
	if got := a.Error(errors.New("reset")).Error(); got != "reset" {
		t.Errorf("got %q, want nothing of the file, which is there", got)
	}
	if got := a.Text("planted three or four"); strings.Contains(got, "three") || strings.Contains(got, "four") {
		t.Errorf("got %q, want it without the tokens, old and new", got)
	}
}

// TestWhoIsFirstReads: calls that are refused side by side all go on with the new token.
func TestWhoIsFirstReads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := ask(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer new" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}).start()
	_, c := open(t, httpc.Endpoint{URL: s.URL, TokenFile: file})
	if err := os.WriteFile(file, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() {
			if status, err := post(t, c, s.URL, strings.NewReader("x")); status != 200 || err != nil {
				t.Errorf("got status %d (%v), want 200", status, err)
			}
		})
	}
	calls.Wait()
}

// TestAuthorize: a dialer that nobody sees the answers of has the token that is in the file now.
func TestAuthorize(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, _ := open(t, httpc.Endpoint{URL: "ws://127.0.0.1:1", Token: " zero\r\n"})
	expect := func(want string) {
		t.Helper()
		h := http.Header{"Authorization": {"Basic x"}}
		if err := a.Authorize(h); err != nil || h.Get("Authorization") != "Bearer "+want {
			t.Errorf("got %q (%v), want the token %s", h, err, want)
		}
	}
	expect("zero")
	a, _ = open(t, httpc.Endpoint{URL: "ws://127.0.0.1:1", TokenFile: file})
	expect("one")
	if err := os.WriteFile(file, []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("two")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("two")
	if got := a.Error(errors.New("refused")).Error(); !strings.Contains(got, file) {
		t.Errorf("got %q, want it to name the file that is gone", got)
	}
}

// TestBadTokens: what cannot work is refused before anything is asked, and no text has anything of it.
func TestBadTokens(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for want, e := range map[string]httpc.Endpoint{
		"no such file":                  {TokenFile: filepath.Join(dir, "none")},
		"is a directory":                {TokenFile: dir},
		"empty is empty":                {TokenFile: file("empty", "")},
		"blank is empty":                {TokenFile: file("blank", " \r\n")},
		"lines holds what no header":    {TokenFile: file("lines", "planted\nplanted")},
		"long is longer than 64 KiB":    {TokenFile: file("long", strings.Repeat("planted", 10<<10))},
		"its token holds what no":       {Token: "planted\x00planted"},
		"nothing but spaces":            {Token: " \n"},
		"both a token and a token_file": {Token: "planted", TokenFile: file("good", "planted")},
	} {
		e.URL = "http://127.0.0.1:1"
		if _, err := e.Open(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for path, want := range map[string]string{"t": filepath.Join(dir, "t"), "/t": "/t", "": ""} {
		if got := (httpc.Endpoint{TokenFile: path}).In(dir).TokenFile; got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}
