package node_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"headrace/node"
)

// TestTokenOfAFile: a token that was read from a file, with the line break at its end, is sent without it; one that no
// header can carry is refused by the name of its setting.
func TestTokenOfAFile(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1) // the first request's, from the server
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case got <- r.Header.Get("Authorization"):
		default:
		}
	}))
	t.Cleanup(s.Close)
	o := newChain(t, "token").full(t, s.URL)
	o.Config.DA.Token = "of-a-file\r\n"
	start(t, o)
	select {
	case token := <-got:
		if token != "Bearer of-a-file" {
			t.Errorf("got %q, want the token without its line break", token)
		}
	case <-bounded(t).Done():
		t.Error("no request came")
	}
}

// TestRefusedAtTheStart: what cannot work is found by Validate, which init and start share.
func TestRefusedAtTheStart(t *testing.T) {
	for want, change := range map[string]func(c *node.Config){
		"da.token holds what no header":   func(c *node.Config) { c.DA.Token = "one\ntwo" },
		"http.token holds what no header": func(c *node.Config) { c.HTTP.Token = "one\x00two" },
		"log.level":                       func(c *node.Config) { c.Log.Level = "loud" },
		"log.format":                      func(c *node.Config) { c.Log.Format = "xml" },
		"log.blocks":                      func(c *node.Config) { c.Log.Blocks = "10" },
		"use node, follow, da, l1":        func(c *node.Config) { c.Log.Level = "info,folow=debug" },
		"the port is neither":             func(c *node.Config) { c.HTTP.Address = "127.0.0.1:73310" },
		"da.header_namespace":             func(c *node.Config) { c.DA.HeaderNamespace = strings.Repeat("x", 58) },
		"da.start_height":                 func(c *node.Config) { c.DA.StartHeight = 1 << 53 },
		"da.data_namespace":               func(c *node.Config) { c.DA.DataNamespace = strings.Repeat("x", 58) },
	} {
		c := node.Default()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "two") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
