package httpc

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"headrace/internal/redact"
)

// Endpoint is an address, and the bearer token that it alone is sent.
type Endpoint struct {
	URL       string
	Token     string // "": none, or the one in TokenFile
	TokenFile string // a file that holds the token. It is read again when the endpoint refuses that
}

// At returns the endpoints at these addresses, without tokens.
func At(urls ...string) []Endpoint {
	var out []Endpoint
	for _, u := range urls {
		out = append(out, Endpoint{URL: u})
	}
	return out
}

// Names returns the names of endpoints, as redact.Addresses does.
func Names(endpoints []Endpoint) []string {
	var urls []string
	for _, e := range endpoints {
		urls = append(urls, e.URL)
	}
	return redact.Addresses(urls)
}

// String is the address without what is secret in it: no text has the rest by mistake.
func (e Endpoint) String() string { return redact.Address(e.URL) }

// In returns the endpoint with its TokenFile below a directory, unless the path is absolute.
func (e Endpoint) In(dir string) Endpoint {
	if e.TokenFile != "" && !filepath.IsAbs(e.TokenFile) {
		e.TokenFile = filepath.Join(dir, e.TokenFile)
	}
	return e
}

// CheckPort refuses an address whose port nobody can listen at: to dial it fails in words that hide why.
func CheckPort(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Port() == "" {
		return nil // whoever takes it says what it should be
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %s is not from 1 to 65535", u.Port())
	}
	return nil
}

// Check reports what is wrong with the port and with the token, whatever is in the file.
func (e Endpoint) Check() error {
	if err := CheckPort(e.URL); err != nil {
		return err
	}
	switch {
	case e.Token != "" && e.TokenFile != "":
		return errors.New("it has both a token and a token_file: keep one")
	case e.Token != "" && strings.TrimSpace(e.Token) == "":
		return errors.New("its token holds nothing but spaces")
	}
	if err := CheckToken(e.Token); err != nil {
		return fmt.Errorf("its token %w", err)
	}
	return nil
}

// CheckToken refuses what no header can carry. Spaces and line breaks around a token, which a mounted secret ends with,
// are taken off where it is used.
func CheckToken(token string) error {
	if strings.ContainsFunc(strings.TrimSpace(token), unicode.IsControl) {
		return errors.New("holds what no header can carry: a line break or another control character")
	}
	return nil
}

// maxToken is how long the file of a token may be, in bytes.
const maxToken = 64 << 10

func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("token_file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	token := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", fmt.Errorf("token_file: %w", err)
	case len(text) > maxToken:
		return "", fmt.Errorf("token_file %s is longer than 64 KiB: it must hold a token, and nothing else", path)
	case token == "":
		return "", fmt.Errorf("token_file %s is empty: it must hold a token", path)
	}
	if err := CheckToken(token); err != nil {
		return "", fmt.Errorf("token_file %s %w", path, err)
	}
	return token, nil
}

// Access is what one endpoint is asked with: its token, which goes to the scheme, host and port of its address alone,
// and along no redirect elsewhere. The file of a token is read again when that is refused, so that one can be replaced
// while it is in use. Access also keeps the rest of the address, and each token, out of texts.
type Access struct {
	endpoint Endpoint
	origin   string

	reading sync.Mutex // held while the file is read

	mu      sync.Mutex // guards the rest
	token   string
	recent  []string       // tokens, the present one last
	secrets redact.Secrets // of the address and of recent
	trouble error          // why the file could not be read when it was needed last
}

// keptTokens is how many tokens may not be shown: those before are in no answer any more.
const keptTokens = 4

// Open reads the endpoint's token. It does not touch the network.
func (e Endpoint) Open() (*Access, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	u, err := url.Parse(e.URL)
	if err != nil {
		return nil, fmt.Errorf("address %s is no URL", redact.Refused(e.URL))
	}
	a := &Access{endpoint: e, origin: redact.Origin(u), secrets: redact.Of(e.URL)}
	if e.TokenFile == "" {
		a.use(strings.TrimSpace(e.Token))
	}
	_, err = a.read("")
	return a, err
}

// use makes a token the present one.
func (a *Access) use(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if token == a.token {
		return
	}
	a.token = token
	a.recent = append(slices.Clone(a.recent[max(0, len(a.recent)-keptTokens+1):]), token)
	a.secrets = redact.Of(a.endpoint.URL, a.recent...)
}

// read reads the file, if there is one, unless there is another token than a refused one already. If that fails the
// token stays, and Error tells of it. It returns the present token.
func (a *Access) read(refused string) (string, error) {
	a.reading.Lock()
	defer a.reading.Unlock()
	if present := a.present(); a.endpoint.TokenFile == "" || present != refused {
		return present, nil
	}
	token, err := readToken(a.endpoint.TokenFile)
	a.noted(err)
	if err == nil {
		a.use(token)
	}
	return a.present(), err
}

func (a *Access) present() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.token
}

// noted notes why the file could not be read; nil: it could, or that does not matter, as the token was not refused.
func (a *Access) noted(trouble error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trouble = trouble
}

// of returns the token for a request: "" if the request, or one before it that redirected, goes elsewhere.
func (a *Access) of(req *http.Request) string {
	if a == nil {
		return ""
	}
	for r := req; r != nil; r = r.Response.Request {
		if redact.Origin(r.URL) != a.origin {
			return ""
		}
		if r.Response == nil {
			break
		}
	}
	return a.present()
}

// Authorize puts the token into the header of a WebSocket's upgrade to the endpoint's own address by somebody else's
// dialer, which must not follow redirects. As nobody sees how that is answered, the file is read each time.
func (a *Access) Authorize(h http.Header) error {
	token, _ := a.read(a.present()) // an error is kept: Error tells of it
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return nil
}

// Error returns an error as redact.Secrets.Error does and, if the file of the token could not be read when it was
// needed, with the reason.
func (a *Access) Error(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err = a.secrets.Error(err)
	if err == nil || a.trouble == nil || errors.Is(err, a.trouble) {
		return err
	}
	return fmt.Errorf("%w; %w", err, a.trouble)
}

// Text returns a text as redact.Secrets.Text does.
func (a *Access) Text(text string) string {
	a.mu.Lock()
	secrets := a.secrets
	a.mu.Unlock()
	return secrets.Text(text)
}

// replayed returns a request that can be sent again; nil if its body cannot.
func replayed(req *http.Request) *http.Request {
	again := *req
	if req.Body == nil || req.Body == http.NoBody {
		return &again
	}
	if req.GetBody == nil {
		return nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil
	}
	again.Body = body
	return &again
}
