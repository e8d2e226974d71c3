package evgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/devnet/proxy"
	"headrace/exec/evolve"
	"headrace/exec/evolve/evgrpc"
	"headrace/exec/evolve/evolvetest"
)

// before puts a gateway before an executor, and returns where it listens. It speaks what the executor does.
func before(t *testing.T, at string, as evolvetest.Form, fault *atomic.Pointer[proxy.Fault]) string {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(as != evolvetest.Connect)
	protocols.SetHTTP1(as == evolvetest.Connect)
	transport := &http.Transport{Protocols: &protocols}
	g, err := proxy.NewGateway(at, proxy.GatewayOptions{Transport: transport, Fault: func(*http.Request, []byte) proxy.Fault { return *fault.Load() }})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(g)
	front.Config.Protocols = &protocols
	front.Start()
	t.Cleanup(func() { front.CloseClientConnections(); front.Close(); _ = g.Close(); transport.CloseIdleConnections() })
	return front.URL
}

// once is an executor that has no block twice.
type once struct {
	evolve.Executor
	executed atomic.Int64
}

func (o *once) ExecuteTxs(context.Context, [][]byte, uint64, time.Time, []byte) (evolve.Result, error) {
	o.executed.Add(1)
	return evolve.Result{Root: []byte("root")}, nil
}

func (o *once) SetFinal(context.Context, uint64) error { return nil }

// What a gateway answers in the executor's place, before and after that took the call, is no verdict, and no sign that
// the executor has not the method: each call fails as one without an answer, and the next one succeeds.
func TestGatewayIsNoExecutor(t *testing.T) { forms(t, testGateway) }

func testGateway(t *testing.T, as evolvetest.Form) {
	var fault atomic.Pointer[proxy.Fault]
	fault.Store(&proxy.Fault{})
	at, _ := serve(t, "http://127.0.0.1:0", &once{Executor: executor(t, "", evolvetest.Options{})}, as)
	x := dial(t, before(t, at, as, &fault), evgrpc.Options{})
	ctx := t.Context()
	calls := map[string]func() error{
		"init":    func() error { _, err := x.InitChain(ctx, time.Now(), 1, "c"); return err },
		"get":     func() error { _, err := x.GetTxs(ctx); return err },
		"execute": func() error { _, err := x.ExecuteTxs(ctx, nil, 1, time.Now(), nil); return err },
		"final":   func() error { return x.SetFinal(ctx, 1) },
		"info":    func() error { _, err := x.GetExecutionInfo(ctx); return err },
		"filter":  func() error { _, err := x.FilterTxs(ctx, nil, 1, 1, false); return err },
	}
	faults := []proxy.Fault{{GRPC: "12"}, {GRPC: "7"}, {GRPC: "16"}, {GRPC: "8"}, {Status: 404, Error: `{"code":5}`}, {Status: 200, Error: `{}`}}
	for _, on := range []proxy.Node{proxy.Untouched, proxy.Sent, proxy.Answered} {
		faults = append(faults, proxy.Fault{Broken: true, Node: on})
		for _, status := range []int{200, 302, 400, 401, 403, 404, 405, 408, 413, 429, 499, 500, 501, 502, 503, 504} {
			faults = append(faults, proxy.Fault{Status: status, Node: on})
		}
	}
	for _, f := range faults {
		for name, call := range calls {
			fault.Store(&f)
			for range 2 { // the second is one that finds out first how to speak
				err := call()
				if !errors.Is(err, evolve.ErrNoAnswer) || errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("%s, %+v: got %v, want it to count as not answered", name, f, err)
				}
				if status := fmt.Sprint(f.Status); err != nil && f.Status > 0 && (!strings.Contains(err.Error(), status) || !strings.Contains(err.Error(), "no executor answers")) {
					t.Errorf("%s, %+v: got %v, want the status, and that it is no executor's", name, f, err)
				}
			}
			fault.Store(&proxy.Fault{})
			err := call()
			if as == evolvetest.Connect && errors.Is(err, evolve.ErrNoAnswer) {
				err = call() // net/http gives up a connection whose request it has not seen written after 50 ms
			}
			if err != nil {
				t.Errorf("%s, after %+v: %v", name, f, err)
			}
		}
	}
}

// A gateway's own JSON is no error of Connect: that has a code, and the code is one of Connect's.
func TestForeignJSON(t *testing.T) {
	h := evolvetest.Handler(&once{Executor: executor(t, "", evolvetest.Options{})})
	var says atomic.Pointer[string]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := says.Load()
		if text == nil || strings.HasSuffix(r.URL.Path, "/GetExecutionInfo") { // which goes another way
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(*text))
	}))
	t.Cleanup(s.Close)
	x := dial(t, s.URL, evgrpc.Options{})
	for _, text := range []string{`{"message":"no Route matched with those values"}`, `{"code":404}`, `{"code":"route_not_found"}`, `[]`, ``} {
		says.Store(&text)
		if err := x.SetFinal(t.Context(), 1); !errors.Is(err, evolve.ErrNoAnswer) || errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "HTTP status 404") {
			t.Errorf("%s: got %v, want no answer, with the status", text, err)
		}
	}
	text := `{"code":"unimplemented","message":"no such method"}`
	says.Store(&text)
	if err := x.SetFinal(t.Context(), 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%s: got %v, want %v", text, err, errors.ErrUnsupported)
	}
}

// lacking is an executor of before FilterTxs, and one that refuses a block.
type lacking struct{ evolve.Executor }

func (lacking) FilterTxs(context.Context, [][]byte, uint64, uint64, bool) ([]evolve.Filtered, error) {
	return nil, errors.ErrUnsupported
}

func (lacking) ExecuteTxs(context.Context, [][]byte, uint64, time.Time, []byte) (evolve.Result, error) {
	return evolve.Result{}, errors.New("neither the last nor the next")
}

// What an executor says itself counts: that it has not a method, and that it refuses a block.
func TestVerdicts(t *testing.T) {
	for _, as := range []evolvetest.Form{evolvetest.Both, evolvetest.Connect, evolvetest.Connect2} {
		t.Run(string(as), func(t *testing.T) {
			at, _ := serve(t, "http://127.0.0.1:0", lacking{executor(t, "", evolvetest.Options{})}, as)
			x := dial(t, at, evgrpc.Options{})
			if _, err := x.FilterTxs(t.Context(), nil, 0, 0, false); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, evolve.ErrNoAnswer) {
				t.Errorf("got %v of a method that is missing, want %v", err, errors.ErrUnsupported)
			}
			if _, err := x.ExecuteTxs(t.Context(), nil, 5, time.Now(), nil); err == nil || errors.Is(err, evolve.ErrNoAnswer) || !strings.Contains(err.Error(), "neither the last nor the next") {
				t.Errorf("got %v of a block that is refused, want the executor's words", err)
			}
		})
	}
}

// An executor that ends its connection after each answer is refused, with what to do: that it was restarted meanwhile
// would not be seen.
func TestConnectionsMustLast(t *testing.T) {
	s := httptest.NewUnstartedServer(evolvetest.Handler(executor(t, "", evolvetest.Options{})))
	s.Config.SetKeepAlivesEnabled(false)
	s.Start()
	t.Cleanup(s.Close)
	x := dial(t, s.URL, evgrpc.Options{})
	for range 2 {
		if _, err := x.GetExecutionInfo(t.Context()); !errors.Is(err, evolve.ErrNoAnswer) || !strings.Contains(err.Error(), "have it keep connections open") {
			t.Errorf("got %v, want no answer, and what to do", err)
		}
	}
}

// An executor that hangs costs a call its time, whatever ways are still to be tried.
func TestSilentExecutor(t *testing.T) {
	forms(t, func(t *testing.T, as evolvetest.Form) {
		x := &silent{Executor: executor(t, "", evolvetest.Options{})}
		at, _ := serve(t, "http://127.0.0.1:0", x, as)
		c := dial(t, at, evgrpc.Options{Timeout: 200 * time.Millisecond})
		x.hangs.Store(true)
		for range 2 {
			if _, err := c.InitChain(t.Context(), time.Now(), 1, "c"); !errors.Is(err, evolve.ErrNoAnswer) {
				t.Errorf("got %v, want %v", err, evolve.ErrNoAnswer)
			}
		}
		x.hangs.Store(false)
		c = dial(t, at, evgrpc.Options{})
		if _, err := c.InitChain(t.Context(), time.Now(), 1, "c"); err != nil {
			t.Errorf("got %v from one that hangs no more", err)
		}
	})
}

// silent is an executor that may not say what bounds a block.
type silent struct {
	evolve.Executor
	hangs atomic.Bool
}

func (s *silent) GetExecutionInfo(ctx context.Context) (evolve.Info, error) {
	if !s.hangs.Load() {
		return s.Executor.GetExecutionInfo(ctx)
	}
	<-ctx.Done()
	return evolve.Info{}, ctx.Err()
}
