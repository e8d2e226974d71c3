package ethereum_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"headrace/await/ethereum"
	"headrace/devnet/proxy"
)

// before returns a gateway with faults before a chain, and its address over HTTP.
func before(t *testing.T, c *chain, f proxy.RPCFaults) (g *proxy.RPC, url string) {
	t.Helper()
	inner := http.NewServeMux()
	inner.Handle("/", c.server)
	inner.Handle("/ws", c.server.WebsocketHandler([]string{"*"}))
	node := httptest.NewServer(inner)
	t.Cleanup(func() { c.cut(true); node.Close() })
	g = proxy.NewRPC(node.URL, "ws"+strings.TrimPrefix(node.URL, "http")+"/ws")
	g.Set(f)
	s := httptest.NewServer(g)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close(); g.Close() })
	return g, s.URL
}

// A block below others is waited for at any endpoint: over HTTP too, with what batches it bears, without
// subscriptions, and with announcements that lack something.
func TestAnyEndpoint(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]proxy.RPCFaults{
		"whole":           {},
		"no batches":      {MaxBatch: 1, Refusal: http.StatusForbidden},
		"ten at most":     {MaxBatch: 10, Refusal: http.StatusTooManyRequests},
		"an error object": {MaxBatch: 10, Refusal: http.StatusOK},
		"it hangs up":     {MaxBatch: 10},
		"no subscription": {Lacks: []string{"eth_subscribe"}},
		"thin heads":      {StripPushed: []string{"number", "parentHash"}},
		"another type":    {ContentType: "text/plain"},
	} {
		for _, socket := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, socket %t", name, socket), func(t *testing.T) {
				t.Parallel()
				c := newChain()
				_, url := before(t, c, f)
				if socket {
					url = "ws" + strings.TrimPrefix(url, "http")
				}
				node := ethereum.New(url, ethereum.Options{Probe: 20 * time.Millisecond, CallTimeout: time.Second})
				defer node.Keep()()
				for range 10 { // one after the other, so that the subscription is there
					head := c.mine(1)
					if _, err := ethereum.Block(within(t, 30*time.Second), node, head.Number); err != nil {
						t.Fatal(err)
					}
				}
				want := c.mine(1)
				reached := make(chan error, 1)
				go func() {
					got, err := ethereum.Canonical(within(t, 30*time.Second), node, want.Number, common.Hash{}, 40)
					if err == nil && got.Hash != want.Hash {
						err = fmt.Errorf("got block %s, want %s", got.Hash, want.Hash)
					}
					reached <- err
				}()
				for range 41 {
					c.mine(1)
				}
				if err := <-reached; err != nil {
					t.Error(err)
				}
				if sessions := node.Stats().Sessions; name == "thin heads" && sessions != 1 {
					t.Errorf("got %d connections, want one", sessions)
				}
			})
		}
	}
}

// A node that wants a bearer token gets the one in the file, over HTTP and WebSocket, and another one once that is
// there. Whoever it redirects to gets none.
func TestToken(t *testing.T) {
	t.Parallel()
	c := newChain()
	_, url := before(t, c, proxy.RPCFaults{})
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var valid atomic.Value
	var elsewhere atomic.Int32 // requests there with a token
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			elsewhere.Add(1)
		}
	}))
	t.Cleanup(other.Close)
	target, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(target)
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case valid.Load() == "moved":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case r.Header.Get("Authorization") != "Bearer "+valid.Load().(string):
			http.Error(w, "no such token", http.StatusUnauthorized)
		default:
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { gate.CloseClientConnections(); gate.Close() })
	for _, scheme := range []string{"http", "ws"} {
		write("one")
		valid.Store("one")
		at := ethereum.Endpoint{URL: scheme + strings.TrimPrefix(gate.URL, "http"), TokenFile: file}
		node, err := ethereum.Open(at, ethereum.Options{Probe: 20 * time.Millisecond, MaxBackoff: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{"one", "two"} {
			valid.Store(token)
			write(token)
			if _, err := ethereum.Block(within(t, 30*time.Second), node, 0); err != nil {
				t.Errorf("over %s, with token %s: %v", scheme, token, err)
			}
		}
		valid.Store("moved")
		if _, err := ethereum.Block(within(t, 200*time.Millisecond), node, 0); err == nil || strings.Contains(err.Error(), "two") {
			t.Errorf("over %s, moved: got %v, want an error without the token", scheme, err)
		}
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("the token went elsewhere %d times", n)
	}
	if _, err := ethereum.Open(ethereum.Endpoint{URL: url, TokenFile: file + "x"}, ethereum.Options{}); err == nil {
		t.Error("got a node without the token that it is to have")
	}
}
