package celestia_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/internal/httpd"
)

// serveAt serves a handler at an address until the test ends, and returns how the loopback reaches it.
func serveAt(t *testing.T, address string, h *celestia.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := h.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "http://127.0.0.1:" + port
}

// asks returns the status of an answer.
func asks(t *testing.T, method, url, body string, header http.Header) int {
	t.Helper()
	req, err := http.NewRequestWithContext(deadline(t), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// Faults are for programs of the host alone, or for who has an admin's token.
func TestWhoMayFault(t *testing.T) {
	chain := newChain(t, local.Options{})
	handler := func(secret []byte) *celestia.Handler {
		return celestia.NewHandler(chain, celestia.HandlerOptions{Faults: new(fault.Set), Secret: secret})
	}
	bearer := func(level celestia.Level) http.Header {
		return http.Header{"Authorization": {"Bearer " + token(t, level)}}
	}
	for name, test := range map[string]struct {
		address string
		secret  []byte
		header  http.Header
		want    int
	}{
		"loopback":              {"127.0.0.1:0", nil, nil, 200},
		"loopback, a page":      {"127.0.0.1:0", nil, http.Header{"Origin": {"https://evil.example"}}, 403},
		"beyond":                {"0.0.0.0:0", nil, nil, 403},
		"tokens, none":          {"127.0.0.1:0", secret, nil, 401},
		"tokens, write":         {"127.0.0.1:0", secret, bearer(celestia.Write), 401},
		"tokens, nonsense":      {"127.0.0.1:0", secret, http.Header{"Authorization": {"Bearer nonsense"}}, 401},
		"tokens, admin":         {"127.0.0.1:0", secret, bearer(celestia.Admin), 200},
		"beyond, tokens, none":  {"0.0.0.0:0", secret, nil, 401},
		"beyond, tokens, admin": {"0.0.0.0:0", secret, bearer(celestia.Admin), 200},
	} {
		url := serveAt(t, test.address, handler(test.secret))
		for method, body := range map[string]string{"GET": "", "POST": `{"kind":"gap"}`, "DELETE": ""} {
			if got := asks(t, method, url+"/faults", body, test.header); got != test.want {
				t.Errorf("%s: %s of faults: got %d, want %d", name, method, got, test.want)
			}
		}
	}
}

// No web page asks or submits, over HTTP or a WebSocket, unless its origin is named.
func TestPages(t *testing.T) {
	chain := newChain(t, local.Options{})
	url := serveAt(t, "127.0.0.1:0", celestia.NewHandler(chain, celestia.HandlerOptions{Access: httpd.Access{Origins: []string{"https://app.example"}}}))
	const head = `{"jsonrpc":"2.0","id":1,"method":"header.LocalHead","params":[]}`
	for origin, want := range map[string]int{"": 200, "https://app.example": 200, "https://evil.example": 403, "null": 403} {
		h := http.Header{}
		if origin != "" {
			h.Set("Origin", origin)
		}
		if got := asks(t, "POST", url, head, h); got != want {
			t.Errorf("POST of a page of %q: got %d, want %d", origin, got, want)
		}
		ws, resp, err := websocket.Dial(deadline(t), url, &websocket.DialOptions{HTTPHeader: h})
		if (err == nil) != (want == 200) {
			t.Errorf("WebSocket of a page of %q: got %v, %v", origin, resp, err)
		}
		if err == nil {
			_ = ws.CloseNow()
		}
	}
}

// Messages that are begun and not completed are in memory up to a bound, and keep no other client away for long.
func TestUnfinishedMessages(t *testing.T) {
	chain := newChain(t, local.Options{})
	url := serve(t, chain, celestia.HandlerOptions{Limits: httpd.Limits{Bodies: 4 << 20}})
	ctx := deadline(t)
	for range 6 {
		ws, _, err := websocket.Dial(ctx, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		w, err := ws.Writer(ctx, websocket.MessageText)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(`{"id":1,"method":"` + strings.Repeat("x", 1<<20)))
	}
	c := newClient(t, url, celestia.Options{Namespaces: []da.Namespace{alpha}})
	done := make(chan error, 1)
	go func() {
		_, err := c.Submit(ctx, []da.Blob{{Namespace: alpha, Data: make([]byte, 1<<20), Index: -1}})
		done <- err
	}()
	if _, err := chain.Pending().Wait(ctx, func(n int) bool { return n > 0 }); err != nil {
		t.Fatalf("the submission has not come: %v", err)
	}
	produce(t, chain, 1)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
