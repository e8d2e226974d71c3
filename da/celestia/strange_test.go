package celestia_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/internal/httpc"
)

// TestFibrePointers: a blob of share version 2 beside ours is passed over and counted, pushed or fetched, at each level. It
// makes nothing fail, and costs no further call.
func TestFibrePointers(t *testing.T) {
	for _, level := range []da.Level{da.Trust, da.ProveEmpty, da.Prove} {
		t.Run(level.String(), func(t *testing.T) {
			chain := newChain(t, local.Options{})
			l := &liar{Chain: chain, blobs: func(_ uint64, ns da.Namespace, told []da.Blob) []da.Blob {
				return append(told, da.Blob{Namespace: ns, Data: bytes.Repeat([]byte{2}, 36), ShareVersion: 2, Commitment: make([]byte, 32), Index: 9})
			}}
			c := newClient(t, serve(t, l, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Level: level})
			updates := subscribe(t, c)
			next(t, updates)
			height := submit(t, chain, blob(alpha, "ours"))
			u := next(t, updates)
			if u.Item == nil || len(u.Item.Data.Blobs) != 1 || string(u.Item.Data.Blobs[0].Data) != "ours" {
				t.Fatalf("pushed: got %+v, want our blob alone", u)
			}
			if n := c.Stats().FibrePointers; n != 2 {
				t.Errorf("pushed: %d pointers counted, want one in each namespace", n)
			}
			if err := c.Prove(deadline(t), height, u.Item.Hash, u.Item.Data.Unproven); err != nil {
				t.Errorf("prove: %v", err)
			}
			items, err := tryFetch(t, c, height, height+1)
			if err != nil || len(items) != 1 || len(items[0].Data.Blobs) != 1 {
				t.Fatalf("fetched: got %+v, %v", items, err)
			}
			if n := c.Stats().FibrePointers; n != 4 {
				t.Errorf("fetched: %d pointers counted, want two more", n)
			}
			if e := c.Endpoints()[0]; e.Errors != 0 {
				t.Errorf("the endpoint is held to blame: %+v", e)
			}
		})
	}
}

// TestLostHeightIsNamed: an endpoint looks for lost data longer than a call may take. The height is named, not a time-out,
// and another endpoint serves it.
func TestLostHeightIsNamed(t *testing.T) {
	chain, faults := newChain(t, local.Options{}), &fault.Set{}
	for range 8 {
		submit(t, chain, blob(alpha, "x"))
	}
	addFault(t, faults, fault.Fault{Kind: fault.FalseEmpty, From: 5, To: 6, Delay: fault.Duration(time.Hour)})
	opt := celestia.Options{Namespaces: []da.Namespace{alpha}, CallTimeout: 300 * time.Millisecond}
	damaged := serve(t, chain.View(faults), celestia.HandlerOptions{})
	c := newClient(t, damaged, opt)
	items, err := tryFetch(t, c, 1, 9)
	if len(items) != 4 || err == nil || !strings.Contains(err.Error(), "lost the data of this height") || !strings.Contains(err.Error(), "height 5") {
		t.Fatalf("got %d items and %v, want four and the cause", len(items), err)
	}
	dead := newClient(t, silent(t), opt) // nothing is known of a height by an endpoint that says nothing
	if _, err = tryFetch(t, dead, 1, 9); err == nil || strings.Contains(err.Error(), "lost the data") {
		t.Errorf("an endpoint that is dead: %v", err)
	}
	both, err := celestia.New(httpc.At(damaged, serve(t, chain, celestia.HandlerOptions{})), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = both.Close() })
	if items, err = tryFetch(t, both, 1, 9); err != nil || len(items) != 8 {
		t.Errorf("with another endpoint: got %d items and %v", len(items), err)
	}
}

// silent serves headers over HTTP, once each, and then nothing more.
func silent(t *testing.T) string {
	chain := newChain(t, local.Options{})
	for range 8 {
		submit(t, chain, blob(alpha, "x"))
	}
	h := celestia.NewHandler(chain, celestia.HandlerOptions{})
	t.Cleanup(func() { _ = h.Close() })
	var data atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Connection") // no WebSocket
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if data.Load() || r.Method == http.MethodPost && !bytes.Contains(body, []byte(`"header.`)) {
			data.Store(true)
			<-r.Context().Done()
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// lateChain is a chain whose node pushes one namespace later than the others.
type lateChain struct {
	*local.Chain
	ns da.Namespace
	by time.Duration
}

func (l *lateChain) Search(_ uint64, ns da.Namespace) time.Duration {
	if ns == l.ns {
		return l.by
	}
	return 0
}

// TestLateNamespace: a node pushes one namespace long after the other. Once that is known it is waited for, and nothing is
// fetched that is coming. A new subscription knows it too.
func TestLateNamespace(t *testing.T) {
	const heights, hold, late = 20, 40 * time.Millisecond, 160 * time.Millisecond
	chain := newChain(t, local.Options{})
	url := serve(t, &lateChain{chain, beta, late}, celestia.HandlerOptions{})
	c := newClient(t, url, celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Hold: hold, Probe: time.Minute})
	pushed := func() uint64 {
		before := c.Stats().Incomplete
		updates := subscribe(t, c)
		next(t, updates)
		for range heights {
			produce(t, chain, 1)
			for u := next(t, updates); u.Head.Height < chain.Head().Load().Height; u = next(t, updates) {
			}
		}
		return c.Stats().Incomplete - before
	}
	if n := pushed(); n == 0 || n > heights/2 {
		t.Errorf("%d of %d heights were announced without what was coming, want the first few", n, heights)
	}
	if n := pushed(); n > heights/4 {
		t.Errorf("a new subscription: %d of %d heights were announced without what was coming", n, heights)
	}
}
