package node_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"headrace/block"
	"headrace/exec/engineapi"
	"headrace/internal/logs/logstest"
	"headrace/internal/nettest"
	"headrace/node"
)

// planted is what no text may have in it, in whatever form.
var planted = regexp.MustCompile("(?i)planted|" + regexp.QuoteMeta(base64.StdEncoding.EncodeToString([]byte("planteduser:plantedpass"))) + `|eyJ\w+\.`)

// secretive returns an address with something secret in every place.
func secretive(scheme, host string, n int) string {
	return fmt.Sprintf("%s://planteduser:plantedpass@%s/v2/plantedpath%d/?token=plantedquery#plantedfragment", scheme, host, n)
}

// echo is a text that repeats a request.
func echo(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "no %s here: %v; in full: %s", r.URL, r.Header, r.URL.Path)
	return b.String()
}

// tactless are servers that repeat in their failures what they were asked with.
var tactless = map[string]http.HandlerFunc{
	"401": func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), http.StatusUnauthorized) },
	"404": func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), http.StatusNotFound) },
	"cut": func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, strings.Repeat("x", 500)+echo(r), http.StatusInternalServerError)
	},
	"answer": func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			_, _, _ = c.Read(r.Context())
			_ = c.Close(websocket.StatusPolicyViolation, r.URL.String())
			return
		}
		var req struct {
			ID json.RawMessage `json:"id"`
		}
		_ = json.NewDecoder(r.Body).Decode(&req)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": req.ID, "error": map[string]any{"code": 1, "message": echo(r), "data": echo(r)}})
	},
	"redirect": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/plantedlocation"+r.URL.Path, http.StatusTemporaryRedirect)
	},
	"no redirect": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://plantedlocation%zz")
		w.WriteHeader(http.StatusTemporaryRedirect)
	},
	"silence": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the context ends with the connection only after that
		<-r.Context().Done()
	},
}

// TestNoSecretLeavesANode: whatever goes wrong at an endpoint, nothing of its address but scheme, host and port, and
// no token, gets into an answer, a log or an error; and two keys of one provider are told apart.
func TestNoSecretLeavesANode(t *testing.T) {
	t.Parallel()
	for name, serve := range tactless {
		s := httptest.NewServer(serve)
		t.Cleanup(s.Close)
		t.Run(name, func(t *testing.T) { t.Parallel(); noSecret(t, "http", "ws", s.Listener.Addr().String()) })
		if name == "401" {
			t.Run("TLS", func(t *testing.T) { t.Parallel(); noSecret(t, "https", "wss", s.Listener.Addr().String()) })
		}
	}
	t.Run("refused", func(t *testing.T) { t.Parallel(); noSecret(t, "http", "ws", nettest.FreeAddress(t)) })
}

func noSecret(t *testing.T, plain, socket, host string) {
	c := newChain(t, "secrets")
	o := c.full(t, "")
	file := filepath.Join(t.TempDir(), "token")
	// with gives the first address the token in the file, and the last of several one of its own.
	with := func(urls ...string) node.Addresses {
		a := node.At(urls...)
		a[0].TokenFile = file
		if len(a) > 1 {
			a[len(a)-1].Token = "plantedown"
		}
		return a
	}
	o.Config.DA.Address = append(with(secretive(plain, host, 1), secretive(socket, host, 2)), node.At(secretive(plain, host, 3))...)
	o.Config.DA.Token, o.Config.DA.CallTimeout = "plantedtoken", 200*time.Millisecond
	s := leaks(t, o, file, 3)
	names := []string{plain + "://" + host + " #1", socket + "://" + host, plain + "://" + host + " #2"}
	for i, e := range s.Source.Endpoints {
		if e.Address != names[i] {
			t.Errorf("endpoint %d: got %s, want %s", i, e.Address, names[i])
		}
	}

	onL1 := *c.genesis
	onL1.DA, onL1.DAStartHeight = nil, 0
	onL1.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x" + strings.Repeat("12", 20), StartBlock: 1}
	o = c.full(t, secretive(plain, host, 1))
	o.Genesis, o.Config.L1.CallTimeout = &onL1, 200*time.Millisecond
	o.Config.L1.WS = with(secretive(socket, host, 1), secretive(socket, host, 2))
	o.Config.L1.HTTP = with(secretive(plain, host, 1), secretive(plain, host, 2))
	o.Config.L1.Beacon = with(secretive(plain, host, 1))
	leaks(t, o, file, 4)

	e, err := engineapi.Dial(secretive(plain, host, 1), [32]byte{1}, engineapi.DialOptions{Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Latest(t.Context()); err == nil || planted.MatchString(err.Error()) {
		t.Errorf("engine: got %v, want an error without a secret", err)
	}
}

// leaks runs a node until each of the first n endpoints has been asked in vain, and looks for secrets in all that it
// says. In file is a token of it, which is replaced.
func leaks(t *testing.T, o node.Options, file string, n int) node.Status {
	t.Helper()
	if err := os.WriteFile(file, []byte("plantedfile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := new(logstest.Text)
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := start(t, o)
	if err := os.WriteFile(file, []byte("plantedanew\n"), 0o600); err != nil { // which is read after a 401
		t.Fatal(err)
	}
	s := r.until(t, "in trouble", func(s node.Status) bool {
		for i := range n {
			if len(s.Source.Endpoints) < n || s.Source.Endpoints[i].LastError == "" && s.Source.Endpoints[i].Calls == 0 {
				return false
			}
		}
		return true
	})
	for _, path := range []string{"/readyz", "/livez", "/v1/status", "/metrics", "/v1/wait?ready&timeout=10ms"} {
		resp, err := http.Get(r.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if found := planted.Find(body); err != nil || found != nil {
			t.Errorf("%s: got %q (%v) in %s", path, found, err, body)
		}
	}
	r.stop()
	if text := log.String(); planted.MatchString(text) {
		t.Errorf("log: got %q in %s", planted.FindString(text), text)
	}
	return s
}

// TestNoSecretInARefusal: nor does it get into the error of a setting that is refused.
func TestNoSecretInARefusal(t *testing.T) {
	for name, change := range map[string]func(c *node.Config, address string){
		"da.address": func(c *node.Config, a string) { c.DA.Address = node.At(a) },
		"l1.ws":      func(c *node.Config, a string) { c.L1.WS = node.At(a) },
		"l1.http":    func(c *node.Config, a string) { c.L1.HTTP = node.At(a) },
		"l1.beacon":  func(c *node.Config, a string) { c.L1.Beacon = node.At(a) },
		"engine.address": func(c *node.Config, a string) {
			c.Engine.Kind, c.Engine.Address = "grpc", a
		},
	} {
		for _, address := range []string{secretive("ftp", "node.example", 1), secretive("http", "node.example:x", 1), "planteduser:plantedpass@node.example", "http://plantedpass%zz@node.example", "http://#plantedfragment"} {
			c := node.Default()
			change(&c, address)
			if err := c.Validate(); err == nil || planted.MatchString(err.Error()) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s of %s: got %v, want it refused by its name, without a secret", name, address, err)
			}
		}
	}
	for _, url := range []string{secretive("ftp", "node.example", 1), "http://plantedpass%zz@node.example", secretive("http", "node.example:x", 1)} {
		if e, err := engineapi.Dial(url, [32]byte{1}, engineapi.DialOptions{}); err == nil || planted.MatchString(err.Error()) {
			t.Errorf("engine at %s: got %v (%v), want an error without a secret", url, e, err)
		}
	}
}
