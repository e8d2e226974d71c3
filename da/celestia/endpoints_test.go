package celestia_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/follow"
	"headrace/internal/httpc"
)

// TestFirstToAnnounceWins: of two endpoints the one ahead is heard; when it goes, the other one is, and what is
// behind is never told (I10).
func TestFirstToAnnounceWins(t *testing.T) {
	chain := newChain(t, local.Options{})
	produce(t, chain, 20)
	slow := &fault.Set{}
	behind := chain.View(slow)
	addFault(t, slow, fault.Fault{Kind: fault.HeadBehind, Depth: 3})
	address, stop := serveHandler(t, celestia.NewHandler(chain, celestia.HandlerOptions{}))
	c, err := celestia.New(httpc.At(serve(t, behind, celestia.HandlerOptions{}), address), celestia.Options{Namespaces: []da.Namespace{alpha}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	updates := subscribe(t, c)
	last := uint64(0)
	told := func(height uint64) {
		t.Helper()
		for last < height {
			u := next(t, updates)
			if u.Head.Height < last {
				t.Errorf("told %d after %d", u.Head.Height, last)
			}
			last = u.Head.Height
		}
	}
	told(21)
	for h := uint64(22); h < 30; h++ {
		submit(t, chain, blob(alpha, "x"))
		told(h)
	}
	if got := c.Endpoints(); got[1].Head != 29 || got[1].Lag != 0 || !got[1].Live || got[1].Mode != "websocket" {
		t.Errorf("endpoint ahead: %+v", got[1])
	}
	stop()
	slow.Clear()
	produce(t, chain, 1)
	for next(t, updates).Head.Height < 30 { // the one that is left may be behind for a moment, and tells it
	}
}

// TestAllEndpointsDown: then the subscription ends, and says of each why.
func TestAllEndpointsDown(t *testing.T) {
	c, err := celestia.New(httpc.At("http://127.0.0.1:1", "ws://127.0.0.1:2"), celestia.Options{Namespaces: []da.Namespace{alpha}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Subscribe(deadline(t), func(follow.Update[da.Block]) { t.Error("told something") })
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), "127.0.0.1:2") {
		t.Errorf("got %v, want both endpoints' reasons", err)
	}
	if err := c.Fetch(deadline(t), 1, 2, nil); err == nil {
		t.Error("fetched from nobody")
	}
}

// TestPollingAndBack: without WebSockets news comes by polling, and when there are some again, by them. That polling ends
// then says nothing of the subscription.
func TestPollingAndBack(t *testing.T) {
	chain := newChain(t, local.Options{})
	faults := &fault.Set{}
	addFault(t, faults, fault.Fault{Kind: fault.NoSubscription})
	var mu sync.Mutex
	var modes []string // guarded by mu
	c := newClient(t, serve(t, chain, celestia.HandlerOptions{Faults: faults}), celestia.Options{Namespaces: []da.Namespace{alpha}, Polling: 50 * time.Millisecond,
		Observer: follow.Observer{Mode: func(_, mode string, _ error) {
			mu.Lock()
			defer mu.Unlock()
			modes = append(modes, mode)
		}}})
	t.Cleanup(func() { // after all has ended
		if want := []string{"polling", "websocket", ""}; !slices.Equal(modes, want) {
			t.Errorf("modes: got %q, want %q", modes, want)
		}
	})
	updates := subscribe(t, c)
	told := func(height uint64) follow.Update[da.Block] {
		t.Helper()
		for {
			if u := next(t, updates); u.Head.Height >= height {
				return u
			}
		}
	}
	told(1)
	submit(t, chain, blob(alpha, "x"))
	if u := told(2); u.Item != nil {
		t.Error("a poll brought a block")
	}
	if got := c.Endpoints()[0].Mode; got != "polling" {
		t.Errorf("mode: got %q, want polling", got)
	}
	if got := fetch(t, c, 2, 3); len(got[0].Data.Blobs) != 1 {
		t.Errorf("fetched over HTTP: %v", got)
	}
	faults.Clear()
	for h, pushed := uint64(3), 0; pushed < 20; h++ { // polling ends meanwhile
		submit(t, chain, blob(alpha, "x"))
		if u := told(h); u.Item != nil {
			pushed++
		}
	}
	if got := c.Endpoints()[0].Mode; got != "websocket" {
		t.Errorf("mode: got %q, want websocket", got)
	}
}

// TestWrongChain: an endpoint of another chain is not followed.
func TestWrongChain(t *testing.T) {
	one, other := newChain(t, local.Options{ChainID: "one"}), newChain(t, local.Options{ChainID: "other"})
	c := newClient(t, serve(t, other, celestia.HandlerOptions{}), celestia.Options{ChainID: "one"})
	if err := c.Subscribe(deadline(t), func(follow.Update[da.Block]) {}); !errors.Is(err, da.ErrWrongChain) {
		t.Errorf("subscribe: got %v, want ErrWrongChain", err)
	}
	if err := c.Fetch(deadline(t), 1, 2, nil); !errors.Is(err, da.ErrWrongChain) {
		t.Errorf("fetch: got %v, want ErrWrongChain", err)
	}
	both, err := celestia.New(httpc.At(serve(t, other, celestia.HandlerOptions{}), serve(t, one, celestia.HandlerOptions{})), celestia.Options{ChainID: "one"})
	if err != nil {
		t.Fatal(err)
	}
	defer both.Close()
	if got := fetch(t, both, 1, 2); got[0].Hash != one.Head().Load().Hash {
		t.Errorf("got %v, want the head of the right chain", got)
	}
}

// TestAddresses: what is no address, and what is shown of one.
func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "localhost", "localhost:26658", "ftp://x", "http://"} {
		if _, err := celestia.New(httpc.At(bad), celestia.Options{}); err == nil {
			t.Errorf("address %q was taken", bad)
		}
	}
	c, err := celestia.New(httpc.At("https://user:secret@host:26658/path?token=secret"), celestia.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.Endpoints()[0].Address; got != "https://host:26658" {
		t.Errorf("address shown: %q", got)
	}
}

// TestNoSecretsInErrors: what an endpoint that cannot be reached fails with names it without what is secret in its
// address.
func TestNoSecretsInErrors(t *testing.T) {
	c, err := celestia.New(httpc.At("http://user:secret@127.0.0.1:1/?token=secret"), celestia.Options{Namespaces: []da.Namespace{alpha}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, err := range []error{
		c.Subscribe(t.Context(), func(follow.Update[da.Block]) {}),
		c.Fetch(t.Context(), 1, 2, func(follow.Item[da.Block]) error { return nil }),
	} {
		if err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:1/") || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "user") {
			t.Errorf("got %v", err)
		}
	}
	if st := c.Endpoints()[0]; st.LastError == "" || strings.Contains(st.LastError, "secret") {
		t.Errorf("last error: %q", st.LastError)
	}
}

// TestTokens: no token, one that is not valid, expired, too weak, and in the address.
func TestTokens(t *testing.T) {
	chain := newChain(t, local.Options{})
	url := serve(t, chain, celestia.HandlerOptions{Secret: secret})
	expired, err := celestia.NewToken(secret, celestia.Admin, time.Nanosecond)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := celestia.NewToken([]byte("another secret of thirty-two bytes"), celestia.Admin, 0)
	if err != nil {
		t.Fatal(err)
	}
	read := token(t, celestia.Read)
	for name, bad := range map[string]string{"none": "", "nonsense": "x", "expired": expired, "of another": foreign,
		"no algorithm": "eyJhbGciOiJub25lIn0.eyJBbGxvdyI6WyJhZG1pbiJdfQ."} {
		c := newClient(t, url, celestia.Options{Token: bad})
		if err := c.Fetch(deadline(t), 1, 2, nil); !errors.Is(err, da.ErrUnauthorized) {
			t.Errorf("%s: got %v, want ErrUnauthorized", name, err)
		}
	}
	if got := fetch(t, newClient(t, url, celestia.Options{Token: read}), 1, 2); len(got) != 1 {
		t.Error("read token does not read")
	}
	if got := fetch(t, newClient(t, url+"?token="+read, celestia.Options{}), 1, 2); len(got) != 1 {
		t.Error("token in the address does not read")
	}
	if _, err := newClient(t, url, celestia.Options{Token: read}).Submit(deadline(t), []da.Blob{blob(alpha, "x")}); !errors.Is(err, da.ErrUnauthorized) {
		t.Errorf("submit with a read token: got %v, want ErrUnauthorized", err)
	}
}

// TestLimits: requests at a time, and per second.
func TestLimits(t *testing.T) {
	chain := newChain(t, local.Options{})
	ctx := deadline(t)
	url := serve(t, chain, celestia.HandlerOptions{MaxRequests: 1})
	ws, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, resp, err := websocket.Dial(ctx, url, nil)
	if err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("second WebSocket of one allowed: got %v, %v", resp, err)
	}
	_ = ws.CloseNow()
	url = serve(t, chain, celestia.HandlerOptions{RatePerIP: 1})
	status := 0
	for range 3 {
		status, _ = post(t, chain, url, "", `{"id":1,"method":"node.Ready"}`)
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("third request of two allowed: got status %d", status)
	}
}

// TestSlowSubscriber: 16 events wait for a reader; the next one closes its channel and not the connection.
func TestSlowSubscriber(t *testing.T) {
	chain := newChain(t, local.Options{})
	url := serve(t, chain, celestia.HandlerOptions{})
	ctx := deadline(t)
	ws, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(-1)
	request, err := json.Marshal(map[string]any{"id": 1, "method": "blob.Subscribe", "params": []any{alpha[:]}})
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.Write(ctx, websocket.MessageText, request); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(ctx); err != nil {
		t.Fatal(err)
	}
	for range 30 { // 1.4 MB each on the wire: the socket takes some of them
		submit(t, chain, da.Blob{Namespace: alpha, Data: make([]byte, 1<<20)})
	}
	heights := uint64(1)
	for {
		_, msg, err := ws.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(msg[:80]), "xrpc.ch.close") {
			break
		}
		heights++
		if !strings.Contains(string(msg[len(msg)-1200:]), `"height":`+json.Number(itoa(heights)).String()+`,`) {
			t.Fatalf("event is not of height %d", heights)
		}
	}
	if events := heights - 1; events < 16 || events >= 30 {
		t.Errorf("events before the close: got %d", events)
	}
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"id":2,"method":"node.Ready","params":[]}`)); err != nil {
		t.Fatal(err)
	}
	if _, msg, err := ws.Read(ctx); err != nil || !strings.Contains(string(msg), `"result":true`) {
		t.Errorf("after the close: %s, %v", msg, err)
	}
}

func itoa(n uint64) string { b, _ := json.Marshal(n); return string(b) }

// TestFaultsOverHTTP puts a fault in force, lists it and ends it.
func TestFaultsOverHTTP(t *testing.T) {
	faults := &fault.Set{}
	s := httptest.NewServer(celestia.NewHandler(newChain(t, local.Options{}), celestia.HandlerOptions{Faults: faults}))
	defer s.Close()
	do := func(method, path, body string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(deadline(t), method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out json.RawMessage
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if got := do("POST", "/faults", `{"kind":"refuse","status":503}`); got != `{"id":1}` {
		t.Errorf("add: got %s", got)
	}
	if got := do("GET", "/faults", ""); !strings.Contains(got, `"refuse"`) {
		t.Errorf("list: got %s", got)
	}
	version := faults.Changes().Load()
	var adding sync.WaitGroup
	defer adding.Wait()
	adding.Go(func() { // before the question is there, or after
		if _, err := faults.Add(fault.Fault{Kind: fault.Gap, For: fault.Duration(time.Second)}); err != nil {
			t.Error(err)
		}
	})
	if got := do("GET", fmt.Sprintf("/faults?after=%d", version), ""); !strings.Contains(got, `"gap"`) {
		t.Errorf("the list after a change: got %s", got)
	}
	if got := do("GET", fmt.Sprintf("/faults?after=%d", version+1), ""); strings.Contains(got, `"gap"`) || !strings.Contains(got, `"refuse"`) {
		t.Errorf("the list after a fault has ended by itself: got %s", got)
	}
	if got := do("GET", "/faults/kinds", ""); strings.Count(got, `"help"`) != len(fault.Kinds()) {
		t.Errorf("kinds: got %s", got)
	}
	if got := do("POST", "/faults", `{"kind":"nonsense"}`); !strings.Contains(got, "error") {
		t.Errorf("a kind there is not: got %s", got)
	}
	if got := do("DELETE", "/faults?id=1", ""); got != `[]` {
		t.Errorf("end: got %s", got)
	}
	if got := do("DELETE", "/faults?id=1", ""); !strings.Contains(got, "error") {
		t.Errorf("end again: got %s", got)
	}
}
