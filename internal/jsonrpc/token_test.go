package jsonrpc_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/internal/httpc"
	"headrace/internal/jsonrpc"
)

// TestTokenFollowsNoRedirect: neither a POST nor an upgrade that is redirected to another port carries the token
// there, and both carry it to where they were meant for.
func TestTokenFollowsNoRedirect(t *testing.T) {
	var mu sync.Mutex
	var own, elsewhere []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		elsewhere = append(elsewhere, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		own = append(own, r.Header.Get("Authorization"))
		mu.Unlock()
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer away.Close()
	for _, scheme := range []string{"http", "ws"} {
		own, elsewhere = nil, nil
		url := scheme + strings.TrimPrefix(away.URL, "http")
		access, err := (httpc.Endpoint{URL: url, Token: "planted"}).Open()
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, url, jsonrpc.ClientOptions{Access: access})
		if err := c.Call(within(t, time.Minute), "a", jsonrpc.Array(), nil); err == nil {
			t.Errorf("%s: got an answer, want an error", scheme)
		}
		if len(own) != 1 || own[0] != "Bearer planted" || len(elsewhere) != 1 || elsewhere[0] != "" {
			t.Errorf("%s: got %q at its own address and %q elsewhere, want the token and none", scheme, own, elsewhere)
		}
	}
}
