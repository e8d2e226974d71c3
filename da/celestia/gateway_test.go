package celestia_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/devnet/proxy"
	"headrace/internal/httpc"
)

// gateway puts a gateway without WebSockets before an address. fault says what it does to a submission.
func gateway(t *testing.T, address string, most int64, fault func() proxy.Fault) string {
	t.Helper()
	g, err := proxy.NewGateway(address, proxy.GatewayOptions{MaxBody: most, Fault: func(r *http.Request, body []byte) proxy.Fault {
		switch {
		case r.Header.Get("Upgrade") != "":
			return proxy.Fault{Status: http.StatusNotImplemented}
		case bytes.Contains(body, []byte("blob.Submit")):
			return fault()
		}
		return proxy.Fault{}
	}})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(g)
	t.Cleanup(func() { front.Close(); _ = g.Close() })
	return front.URL
}

// TestGateways: what a gateway answers in the node's place is certain for the statuses by which it lets nothing
// through. After any other the blobs may be posted, and the error says so: of each status, before the node took the
// request, while it works on it, and after it has answered.
func TestGateways(t *testing.T) {
	certain := map[int]error{401: da.ErrUnauthorized, 403: da.ErrUnauthorized, 404: da.ErrNotPosted, 413: da.ErrTooBig, 429: da.ErrRateLimited}
	statuses := []int{301, 302, 303, 307, 308, 400, 401, 403, 404, 408, 413, 429, 499, 500, 501, 502, 503, 504, 507, 520, 524, 530, 599}
	for _, node := range []proxy.Node{proxy.Untouched, proxy.Sent, proxy.Answered} {
		faults := []proxy.Fault{{Broken: true, Node: node}}
		for _, s := range statuses {
			followed := s == 307 || s == 308 // these two say that nothing was done, and that it is to be sent elsewhere
			if node == proxy.Untouched || certain[s] == nil && !followed {
				faults = append(faults, proxy.Fault{Status: s, Node: node})
			}
		}
		for _, f := range faults {
			t.Run(fmt.Sprintf("%d %v %d", f.Status, f.Broken, f.Node), func(t *testing.T) {
				t.Parallel()
				posted, err := throughGateway(t, f)
				if want := certain[f.Status]; want != nil {
					if !errors.Is(err, want) || errors.Is(err, da.ErrUnknownOutcome) {
						t.Errorf("got %v, want %v, and no doubt", err, want)
					}
				} else if !errors.Is(err, da.ErrUnknownOutcome) {
					t.Errorf("got %v, want %v", err, da.ErrUnknownOutcome)
				}
				if took := f.Node != proxy.Untouched; posted > 1 || took != (posted == 1) {
					t.Errorf("posted %d times, and the node took it: %v", posted, took)
				}
			})
		}
	}
}

// throughGateway submits a blob once, and returns how often it is on the chain afterwards.
func throughGateway(t *testing.T, f proxy.Fault) (posted int, err error) {
	chain := newChain(t, local.Options{Interval: 10 * time.Millisecond})
	run(t, chain)
	c := newClient(t, gateway(t, serve(t, chain, celestia.HandlerOptions{}), 0, func() proxy.Fault { return f }), celestia.Options{})
	ctx := deadline(t)
	_, err = c.Submit(ctx, []da.Blob{blob(alpha, "x")})
	last := chain.Head().Load().Height + 3
	for h := uint64(1); h <= last || posted == 0 && f.Node != proxy.Untouched; h++ {
		if _, err := chain.Head().Wait(ctx, func(head local.Head) bool { return head.Height >= h }); err != nil {
			t.Fatalf("what the node took is not there: %v", err)
		}
		blobs, err := chain.Blobs(h, alpha)
		if err != nil {
			t.Fatal(err)
		}
		posted += len(blobs)
	}
	return posted, err
}

// TestGatewayPassedOver: an endpoint before which somebody lets nothing through is passed over for the next one.
func TestGatewayPassedOver(t *testing.T) {
	for _, f := range []proxy.Fault{{Status: 401}, {Status: 403}, {Status: 404}, {}} { // the last one: too large for it
		t.Run(fmt.Sprint(f.Status), func(t *testing.T) {
			chain := newChain(t, local.Options{Interval: 10 * time.Millisecond})
			run(t, chain)
			node := serve(t, chain, celestia.HandlerOptions{})
			c, err := celestia.New(httpc.At(gateway(t, node, 1<<20, func() proxy.Fault { return f }), node), celestia.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Submit(deadline(t), []da.Blob{blob(alpha, strings.Repeat("x", 1<<20))}); err != nil {
				t.Error(err)
			}
		})
	}
}
