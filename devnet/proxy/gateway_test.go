package proxy_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"headrace/devnet/proxy"
)

// A gateway passes on what it is not told to answer, limits bodies, and answers before, while and after the node does
// its work.
func TestGateway(t *testing.T) {
	var took atomic.Int32
	hold := make(chan struct{})
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == "hold" {
			<-hold
		}
		took.Add(1)
		_, _ = w.Write([]byte("done " + string(body)))
	}))
	defer node.Close()
	var fault proxy.Fault
	g, err := proxy.NewGateway(node.URL, proxy.GatewayOptions{MaxBody: 10, Fault: func(*http.Request, []byte) proxy.Fault { return fault }})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(g)
	defer front.Close()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, c := range []struct {
		name   string
		fault  proxy.Fault
		body   string
		status int
		want   string // in the answer
		broken bool
		took   int32
	}{
		{"passed on", proxy.Fault{}, "x", 200, "done x", false, 1},
		{"too large", proxy.Fault{}, "12345678901", 413, "413 Request Entity Too Large", false, 0},
		{"before", proxy.Fault{Status: 504}, "x", 504, "nginx", false, 0},
		{"redirect", proxy.Fault{Status: 307}, "x", 307, "nginx", false, 0},
		{"after", proxy.Fault{Status: 502, Node: proxy.Answered}, "x", 502, "nginx", false, 1},
		{"cut", proxy.Fault{Broken: true, Node: proxy.Answered}, "x", 200, "do", true, 1},
		{"cut before", proxy.Fault{Broken: true}, "x", 200, "jsonrpc", true, 0},
		{"meanwhile", proxy.Fault{Status: 499, Node: proxy.Sent}, "hold", 499, "nginx", false, 0},
	} {
		fault = c.fault
		before := took.Load()
		resp, err := client.Post(front.URL, "text/plain", bytes.NewReader([]byte(c.body)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(body), c.want) || (err != nil) != c.broken || took.Load()-before != c.took {
			t.Errorf("%s: got %d %q (%v), and the node took %d; want %d, %q, and %d", c.name, resp.StatusCode, body, err, took.Load()-before, c.status, c.want, c.took)
		}
	}
	before := took.Load()
	close(hold)
	_ = g.Close()
	if took.Load() != before+1 {
		t.Error("what was sent to the node did not go on there")
	}
}
