package ethereum_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/devnet/geth"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// gate is a gateway that passes on what comes with its token.
type gate struct {
	*httptest.Server
	t    *testing.T
	file string // that holds the token

	mu    sync.Mutex // guards the rest
	token string
	wrong int // that were refused since the token was renewed
}

func newGate(t *testing.T, to, token string) *gate {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, token: token, file: filepath.Join(t.TempDir(), "token")}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("Authorization")
	}}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		ok := r.Header.Get("Authorization") == "Bearer "+g.token
		if !ok {
			g.wrong++
		}
		g.mu.Unlock()
		if !ok {
			http.Error(w, "no such token", http.StatusUnauthorized)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { g.CloseClientConnections(); g.Close() })
	g.write()
	return g
}

// write puts the present token into the file.
func (g *gate) write() {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := os.WriteFile(g.file, []byte(g.token+"\n"), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gate) renew() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.token, g.wrong = g.token+"-again", 0
}

func (g *gate) refused() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.wrong
}

func (g *gate) endpoint(address string) []ethereum.Endpoint {
	return []ethereum.Endpoint{{URL: address, TokenFile: g.file}}
}

// Each endpoint of an L1 gets its own token, over WebSocket and over HTTP, and from the beacon API too. One that is
// replaced in its file is sent from then on.
func TestTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	socket, read, blobs := newGate(t, r.node.HTTP(), "planted-socket"), newGate(t, r.node.HTTP(), "planted-read"), newGate(t, r.beacon.URL, "planted-blobs")
	link := newRelay(t, socket.URL) // can be cut
	ws := r.client(func(o *ethereum.Options) {
		o.WS, o.HTTP, o.Beacon = socket.endpoint(link.url()), nil, blobs.endpoint(blobs.URL)
	})
	http := r.client(func(o *ethereum.Options) {
		o.WS, o.HTTP, o.Beacon = nil, read.endpoint(read.URL), blobs.endpoint(blobs.URL)
	})
	clients := map[string]*ethereum.Client{"ws": ws, "http": http}
	id := uint64(0)
	// works proposes in blobs by way of one client, and reads that by way of both.
	works := func(through string) {
		t.Helper()
		id++
		r.mining(func(ctx context.Context) {
			at, err := r.account(clients[through], r.proposer, ethereum.Blobs).Propose(ctx, draft(id, through))
			r.check(err)
			for name, c := range clients {
				if p := one(t, c, at.Block.Height).Proposal; p.Void != "" || len(p.Blocks) != 1 {
					t.Errorf("over %s: got %+v", name, p)
				}
			}
		})
	}
	works("ws")
	works("http")
	gates := []*gate{socket, read, blobs}
	for _, g := range gates {
		if n := g.refused(); n > 0 {
			t.Errorf("got %d requests without its own token, want none", n)
		}
		g.renew()
	}
	link.cut()
	for name, c := range clients {
		_, _ = c.State(t.Context(), l1.Hash{}) // which finds out that the link is cut
		_, err := c.State(t.Context(), l1.Hash{})
		if err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "planted") {
			t.Errorf("over %s, with a token that is void: got %v, want 401", name, err)
		}
	}
	for _, g := range gates {
		g.write()
	}
	works("http")
	works("ws")
}

// An endpoint's chain is asked for with its token; and no redirect of a request or of a handshake takes it elsewhere.
func TestTokenStays(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string // the tokens elsewhere
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":"0x7"}`))
	}))
	defer other.Close()
	var token string
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		token = r.Header.Get("Authorization")
		mu.Unlock()
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer away.Close()
	for _, scheme := range []string{"http", "WS"} {
		seen, token = nil, ""
		at := httpc.Endpoint{URL: scheme + "://user:pass@" + away.Listener.Addr().String(), Token: "planted"}
		id, err := ethereum.AskChainID(t.Context(), at, time.Minute)
		if followed := scheme == "http"; followed != (err == nil && id == 7) || followed != (len(seen) == 1) {
			t.Errorf("%s: got chain %d (%v), %d requests elsewhere", scheme, id, err, len(seen))
		}
		if token != "Bearer planted" || len(seen) > 0 && seen[0] != "" {
			t.Errorf("%s: got %q at its own address and %q elsewhere, want the token and none", scheme, token, seen)
		}
	}
}
