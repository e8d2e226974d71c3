package node_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/block"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/node"
)

// bridge is a celestia-node that takes tokens of its own, and notes those that came.
type bridge struct {
	*httptest.Server
	t       *testing.T
	chain   *local.Chain
	sockets bool

	mu      sync.Mutex // guards the rest
	handler *celestia.Handler
	tokens  map[string]bool // that came
}

func newBridge(t *testing.T, chain *local.Chain, sockets bool) (b *bridge, token string) {
	b = &bridge{t: t, chain: chain, sockets: sockets, tokens: map[string]bool{}}
	token = b.renew()
	b.Server = httptest.NewServer(b)
	t.Cleanup(func() { b.end() })
	return b, token
}

// renew makes all tokens void, ends what they were good for, and returns a new one.
func (b *bridge) renew() string {
	b.t.Helper()
	secret := fmt.Appendf(nil, "the %d. secret, of thirty-two bytes or more", time.Now().UnixNano())
	token, err := celestia.NewToken(secret, celestia.Read, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	before := b.handler
	b.handler = celestia.NewHandler(b.chain, celestia.HandlerOptions{Secret: secret})
	b.mu.Unlock()
	if before != nil {
		_ = before.Close()
	}
	return token
}

func (b *bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	h := b.handler
	b.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] = true
	b.mu.Unlock()
	if r.Header.Get("Upgrade") != "" && !b.sockets {
		http.NotFound(w, r)
		return
	}
	h.ServeHTTP(w, r)
}

// end ends the server and its connections.
func (b *bridge) end() {
	b.mu.Lock()
	h := b.handler
	b.mu.Unlock()
	_ = h.Close()
	b.CloseClientConnections()
	b.Close()
}

// saw fails the test unless the bridge has seen these tokens, and no others.
func (b *bridge) saw(name string, want ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, token := range want {
		if !b.tokens[token] {
			b.t.Errorf("%s: a token of its own never came", name)
		}
	}
	if len(b.tokens) != len(want) {
		b.t.Errorf("%s: got %d tokens, want its own %d alone", name, len(b.tokens), len(want))
	}
}

// TestTokensOfBridges: each bridge gets its own token. When the others are lost, one goes on; and when its token is
// replaced, and then its file, that one goes on without a restart. Over WebSockets and over HTTP.
func TestTokensOfBridges(t *testing.T) {
	t.Parallel()
	for name, sockets := range map[string]bool{"websocket": true, "http": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chain, err := local.New(local.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = chain.Close() })
			height := uint64(0)
			grow := func() {
				t.Helper()
				head, err := chain.Produce()
				if err != nil {
					t.Fatal(err)
				}
				height = head.Height
			}
			grow()
			one, token1 := newBridge(t, chain, sockets)
			two, token2 := newBridge(t, chain, sockets)
			three, token3 := newBridge(t, chain, sockets)
			o := newChain(t, "bridges").full(t, "")
			file := filepath.Join(o.Home, "two.token")
			write := func(token string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(token2)
			o.Config.DA.Address = node.Addresses{{URL: one.URL, Token: token1 + "\r\n"}, {URL: two.URL, TokenFile: "two.token"}, {URL: three.URL}}
			o.Config.DA.Token, o.Config.DA.BlockTime = token3, time.Second
			o.Bounds = node.Bounds{Polling: 200 * time.Millisecond, Probe: 200 * time.Millisecond, Retry: 100 * time.Millisecond}
			n := start(t, o)
			at := func(s node.Status) bool { return s.Source.Position.Height >= height }
			n.until(t, "served by all", func(s node.Status) bool {
				for _, e := range s.Source.Endpoints {
					if !e.Healthy || e.Calls == 0 || !e.Live {
						return false
					}
				}
				return at(s)
			})
			grow()
			n.until(t, "going on", at)
			one.end()
			three.end()
			grow()
			n.until(t, "going on with one bridge", at)
			one.saw("the first", token1)
			three.saw("the third", token3)

			renewed := two.renew()
			grow()
			refused := n.until(t, "refused", func(s node.Status) bool { return strings.Contains(s.Source.Endpoints[1].LastError, "401") })
			if at(refused) {
				t.Error("it has gone on without a token that is good")
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			n.until(t, "without its file", func(s node.Status) bool { return strings.Contains(s.Source.Endpoints[1].LastError, "token_file") })
			write(renewed)
			n.until(t, "going on with another token", at)
			two.saw("the second", token2, renewed)
		})
	}
}

// TestRefusedTokenFiles: a token's file that holds none is found at the start, and named with its setting.
func TestRefusedTokenFiles(t *testing.T) {
	t.Parallel()
	da := newChain(t, "files")
	onL1 := *da.genesis
	onL1.DA, onL1.DAStartHeight = nil, 0
	onL1.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x" + strings.Repeat("12", 20), StartBlock: 1}
	for _, c := range []struct {
		setting string
		genesis *block.Genesis
		list    func(*node.Config) *node.Addresses
		scheme  string
	}{
		{"da.address", da.genesis, func(c *node.Config) *node.Addresses { return &c.DA.Address }, "http"},
		{"l1.ws", &onL1, func(c *node.Config) *node.Addresses { return &c.L1.WS }, "ws"},
		{"l1.http", &onL1, func(c *node.Config) *node.Addresses { return &c.L1.HTTP }, "http"},
		{"l1.beacon", &onL1, func(c *node.Config) *node.Addresses { return &c.L1.Beacon }, "http"},
	} {
		o := da.full(t, "http://127.0.0.1:1")
		o.Genesis, o.Config.L1.HTTP = c.genesis, node.At("http://127.0.0.1:1")
		*c.list(&o.Config) = node.Addresses{{URL: c.scheme + "://127.0.0.1:1/key"}, {URL: c.scheme + "://127.0.0.1:1/other", TokenFile: "token"}}
		for text, want := range map[string]string{"": "is empty", "\n": "is empty", "planted\x07": "holds what no header can carry", "none": "no such file"} {
			path := filepath.Join(o.Home, "token")
			if text == "none" {
				_ = os.Remove(path)
			} else if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			n, err := node.New(o)
			if err == nil {
				_ = n.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.setting+" "+c.scheme+"://127.0.0.1:1 #2: ") || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") {
				t.Errorf("%s: got %v, want %q with the setting and the file", c.setting, err, want)
			}
		}
	}
	for want, e := range map[string]node.Address{
		"keep one":             {Token: "planted", TokenFile: "x"},
		"holds what no header": {Token: "planted\x07"},
		"nothing but spaces":   {Token: "  "},
	} {
		c := node.Default()
		e.URL = "http://planted@127.0.0.1:1/planted"
		c.DA.Address = node.Addresses{e}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "da.address http://127.0.0.1:1: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
