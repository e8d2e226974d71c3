package execgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"headrace/block"
	"headrace/devnet/proxy"
	"headrace/exec"
	execgrpc "headrace/exec/grpc"
)

// before puts a gateway of HTTP/2 before an engine, and returns where it listens. fault says what becomes of a call.
func before(t *testing.T, engine string, fault func(r *http.Request) proxy.Fault) string {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	g, err := proxy.NewGateway("http://"+engine, proxy.GatewayOptions{Transport: transport, Fault: func(r *http.Request, _ []byte) proxy.Fault { return fault(r) }})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(g)
	front.Config.Protocols = &protocols
	front.Start()
	t.Cleanup(func() { front.CloseClientConnections(); front.Close(); _ = g.Close(); transport.CloseIdleConnections() })
	return strings.TrimPrefix(front.URL, "http://")
}

// chainOf is an engine that counts the blocks that it executes, each once.
type chainOf struct {
	full
	executed atomic.Int64 // blocks
	last     block.Hash
}

func (c *chainOf) Execute(_ context.Context, b *block.Block) ([]byte, error) {
	if hash := b.Hash(); hash != c.last { // Execute is given one call at a time
		c.last = hash
		c.executed.Add(1)
	}
	return []byte("root"), nil
}

func (c *chainOf) Exempt(context.Context, uint64, [][]byte) ([]string, error) {
	return []string{""}, nil
}

// What a gateway answers in the engine's place, before and after that took the call, is no verdict, and no sign that
// the engine has not the method: each call fails, for a reason that may pass, and the next one succeeds. A block is
// executed once.
func TestGatewayIsNoEngine(t *testing.T) {
	e := &chainOf{full: full{txs: [][]byte{[]byte("a")}}}
	addr, _ := serve(t, loopback, e, execgrpc.ServerOptions{})
	var fault atomic.Pointer[proxy.Fault]
	fault.Store(&proxy.Fault{})
	client := dial(t, before(t, addr, func(*http.Request) proxy.Fault { return *fault.Load() }), execgrpc.Options{})
	calls := map[string]func() error{
		"execute": func() error { _, err := client.Execute(t.Context(), someBlock(1)); return err },
		"head":    func() error { _, err := client.Head(t.Context()); return err },
		"revert":  func() error { return client.Revert(t.Context(), 1) },
		"label":   func() error { return client.Label(t.Context(), block.Ref{}, block.Ref{}) },
		"submit":  func() error { return client.SubmitTx(t.Context(), []byte("x")) },
		"build":   func() error { _, err := client.Build(t.Context(), 1, 2, 100); return err },
		"exempt":  func() error { _, err := client.Exempt(t.Context(), 1, [][]byte{{1}}); return err },
	}
	verdicts := []error{exec.ErrParent, exec.ErrInvalid, exec.ErrPruned, exec.ErrFull, exec.ErrTooBig, errors.ErrUnsupported}
	for _, on := range []proxy.Node{proxy.Untouched, proxy.Sent, proxy.Answered} {
		faults := []proxy.Fault{{Broken: true, Node: on}}
		for _, status := range []int{200, 302, 400, 401, 403, 404, 405, 408, 413, 429, 499, 500, 501, 502, 503, 504} {
			faults = append(faults, proxy.Fault{Status: status, Node: on})
		}
		for _, f := range faults {
			for name, call := range calls {
				fault.Store(&f)
				err := call()
				if err == nil {
					t.Errorf("%s, %+v: got no error", name, f)
				}
				for _, v := range verdicts {
					if errors.Is(err, v) {
						t.Errorf("%s, %+v: got the verdict %v from a gateway: %v", name, f, v, err)
					}
				}
				if status := fmt.Sprint(f.Status); err != nil && !f.Broken && (!strings.Contains(err.Error(), status) || !strings.Contains(err.Error(), "no engine")) {
					t.Errorf("%s, %+v: got %v, want the status, and that it is no engine's", name, f, err)
				}
				fault.Store(&proxy.Fault{})
				if err := call(); err != nil {
					t.Errorf("%s, after %+v: %v", name, f, err)
				}
			}
		}
	}
	if got := e.executed.Load(); got != 1 {
		t.Errorf("one block was executed %d times", got)
	}
}

// A gateway that knows gRPC says UNIMPLEMENTED of a path that it has no route for. That the engine has no such method is
// believed if the engine itself answers meanwhile.
func TestUnimplementedByAGateway(t *testing.T) {
	addr, _ := serve(t, loopback, &fake{}, execgrpc.ServerOptions{})
	var away atomic.Bool
	target := before(t, addr, func(*http.Request) proxy.Fault {
		if away.Load() {
			return proxy.Fault{Status: http.StatusOK, GRPC: "12"}
		}
		return proxy.Fault{}
	})
	client := dial(t, target, execgrpc.Options{})
	for _, gone := range []bool{false, true} {
		away.Store(gone)
		if err := client.SubmitTx(t.Context(), []byte("x")); errors.Is(err, errors.ErrUnsupported) == gone || err == nil {
			t.Errorf("submit, the engine is away: %t: got %v", gone, err)
		}
		if err := client.Label(t.Context(), block.Ref{}, block.Ref{}); (err != nil) != gone {
			t.Errorf("label, the engine is away: %t: got %v", gone, err)
		}
	}
}
