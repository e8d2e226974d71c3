package jsonrpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"headrace/internal/jsonrpc"
)

// methods are enough to show everything a server does.
func methods() map[string]jsonrpc.Method {
	return map[string]jsonrpc.Method{
		"t.Add": {Params: 2, Level: jsonrpc.Read, Bind: func(a *jsonrpc.Args) jsonrpc.Run {
			x, y := jsonrpc.Arg[uint64](a, "uint64"), jsonrpc.Arg[uint64](a, "uint64")
			return func(context.Context) (any, error) { return x + y, nil }
		}},
		"t.Fail": {Bind: func(*jsonrpc.Args) jsonrpc.Run {
			return func(context.Context) (any, error) { return nil, errors.New("a < b") }
		}},
		"t.Panic": {Bind: func(*jsonrpc.Args) jsonrpc.Run { return func(context.Context) (any, error) { panic("ouch") } }},
		"t.Void":  {Bind: func(*jsonrpc.Args) jsonrpc.Run { return func(context.Context) (any, error) { return nil, nil } }},
		"t.Wait": {Bind: func(*jsonrpc.Args) jsonrpc.Run {
			return func(ctx context.Context) (any, error) { <-ctx.Done(); return nil, ctx.Err() }
		}},
		"t.Count": {Params: 1, Channel: true, Bind: func(a *jsonrpc.Args) jsonrpc.Run {
			n := jsonrpc.Arg[int](a, "int")
			return func(context.Context) (any, error) {
				return &jsonrpc.Stream{Queue: n, Run: func(ctx context.Context, send func(any) bool) {
					for i := range n {
						send(i)
					}
				}}, nil
			}
		}},
		"t.Forever": {Channel: true, Bind: func(*jsonrpc.Args) jsonrpc.Run {
			return func(context.Context) (any, error) {
				return &jsonrpc.Stream{Run: func(ctx context.Context, send func(any) bool) { <-ctx.Done() }}, nil
			}
		}},
		"t.Flood": {Channel: true, Bind: func(*jsonrpc.Args) jsonrpc.Run {
			return func(context.Context) (any, error) {
				return &jsonrpc.Stream{Run: func(ctx context.Context, send func(any) bool) {
					for i := 0; send(func() (jsonrpc.Raw, error) { return jsonrpc.Raw(`"` + strings.Repeat("x", 4<<20) + `"`), nil }); i++ {
						if ctx.Err() != nil {
							return
						}
					}
				}}, nil
			}
		}},
	}
}

// TestPost checks answers and statuses against what go-jsonrpc gives, byte for byte.
func TestPost(t *testing.T) {
	url, _ := server(t, methods(), jsonrpc.ServerOptions{MaxBody: 1000, Authorize: func(r *http.Request) (jsonrpc.Level, error) {
		switch r.Header.Get("Authorization") {
		case "":
			return jsonrpc.Public, nil
		case "read":
			return jsonrpc.Read, nil
		}
		return 0, errors.New("no")
	}})
	for _, test := range []struct {
		auth, body, want string
		status           int
	}{
		{"read", `{"id":1,"jsonrpc":"2.0","method":"t.Add","params":[1,2]}`, `{"id":1,"jsonrpc":"2.0","result":3}` + "\n", 200},
		{"read", ` {"id":"x","jsonrpc":"2.0","method":"t.Void","params":[],"meta":{"a":"b"}} `, `{"id":"x","jsonrpc":"2.0","result":null}` + "\n", 200},
		{"read", `{"id":1,"jsonrpc":"2.0","method":"t.Void"}`, `{"id":1,"jsonrpc":"2.0","result":null}` + "\n", 200},
		{"read", `{"jsonrpc":"2.0","method":"t.Void","params":[]}`, "", 200},
		{"", `{"id":1,"jsonrpc":"2.0","method":"t.Add","params":[1,2]}`, `{"error":{"code":1,"message":"missing permission to invoke 'Add' (need 'read')"},"id":1,"jsonrpc":"2.0"}` + "\n", 200},
		{"", `{"id":1,"jsonrpc":"2.0","method":"t.Add","params":["1",2]}`, `{"error":{"code":-32700,"message":"unmarshaling params for 't.Add' (param: *uint64): json: cannot unmarshal string into Go value of type uint64"},"id":1,"jsonrpc":"2.0"}` + "\n", 500},
		{"x", `{"id":1,"jsonrpc":"2.0","method":"t.Add","params":[1,2]}`, "", 401},
		{"read", `{"id":1,"jsonrpc":"2.0","method":"t.Fail","params":[]}`, `{"error":{"code":1,"message":"a \u003c b"},"id":1,"jsonrpc":"2.0"}` + "\n", 200},
		{"read", `{"id":1,"jsonrpc":"2.0","method":"t.Panic","params":[]}`, `{"error":{"code":0,"message":"fatal error calling 't.Panic': panic in rpc method 't.Panic': ouch"},"id":1,"jsonrpc":"2.0"}` + "\n", 500},
		{"read", `{"id":1,"jsonrpc":"2.0","method":"t.No","params":[]}`, `{"error":{"code":-32601,"message":"method 't.No' not found"},"id":1,"jsonrpc":"2.0"}` + "\n", 500},
		{"read", `{"id":1,"jsonrpc":"2.0","method":"t.Count","params":[1]}`, `{"error":{"code":-32601,"message":"method 't.Count' not supported in this mode (no out channel support)"},"id":1,"jsonrpc":"2.0"}` + "\n", 500},
		{"read", `{"id":1,"jsonrpc":"2.0","method":"t.Add","params":[1]}`, `{"error":{"code":-32602,"message":"wrong param count (method 't.Add'): 1 != 2"},"id":1,"jsonrpc":"2.0"}` + "\n", 500},
		{"read", `{"id":1,"jsonrpc":"2.0","method":"t.Add","params":{"x":1}}`, `{"error":{"code":-32700,"message":"unmarshaling param array: json: cannot unmarshal object into Go value of type []jsonrpc.param"},"id":1,"jsonrpc":"2.0"}` + "\n", 500},
		{"read", `{"id":true,"jsonrpc":"2.0","method":"t.Void","params":[]}`, `{"error":{"code":-32700,"message":"failed to parse ID: invalid id type: bool"},"id":null,"jsonrpc":"2.0"}` + "\n", 500},
		{"read", `{"jsonrpc":`, `{"error":{"code":-32700,"message":"Parse error"},"id":null,"jsonrpc":"2.0"}` + "\n", 500},
		{"read", ``, `{"error":{"code":-32600,"message":"Invalid request"},"id":null,"jsonrpc":"2.0"}` + "\n", 400},
		{"read", `[]`, `{"error":{"code":-32600,"message":"Invalid request"},"id":null,"jsonrpc":"2.0"}` + "\n", 400},
		{"read", `[{"id":1,"method":"t.Void"},{"method":"t.Void"},{"id":2,"method":"t.No"}]`, `[{"id":1,"jsonrpc":"2.0","result":null}` + "\n" + `,{"error":{"code":-32601,"message":"method 't.No' not found"},"id":2,"jsonrpc":"2.0"}` + "\n]", 200},
		{"read", strings.Repeat(" ", 1001), `{"error":{"code":-32700,"message":"request bigger than maximum 1000 allowed"},"id":null,"jsonrpc":"2.0"}` + "\n", 500},
	} {
		req, err := http.NewRequestWithContext(within(t, time.Minute), "POST", url, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if test.auth != "" {
			req.Header.Set("Authorization", test.auth)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if string(got) != test.want || resp.StatusCode != test.status {
			t.Errorf("%.80s\n got %d %s\nwant %d %s", test.body, resp.StatusCode, got, test.status, test.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// dialRaw opens a WebSocket that the test reads and writes by hand.
func dialRaw(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(within(t, time.Minute), ws(url), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// TestSocketCornerCases: what is not answered over a WebSocket, and that what comes after is.
func TestSocketCornerCases(t *testing.T) {
	url, _ := server(t, methods(), jsonrpc.ServerOptions{})
	c, ctx := dialRaw(t, url), within(t, time.Minute)
	for _, quiet := range []string{`[{"id":1,"method":"t.Void"}]`, `{"jsonrpc":`, `{"id":true,"method":"t.Void"}`, `{"method":"xrpc.cancel","params":[99]}`,
		`{"method":"xrpc.cancel","params":{}}`, `{"method":"xrpc.cancel"}`, `{"method":"t.No"}`, `{"id":1}`, `{"method":"xrpc.ch.val","params":[1,2]}`} {
		say(ctx, c, "%s", quiet)
	}
	say(ctx, c, `{"id":9,"method":"t.Void"}`)
	if got, want := hear(ctx, c), `{"id":9,"jsonrpc":"2.0","result":null}`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	say(ctx, c, `{"id":10,"method":"t.Wait"}`)
	say(ctx, c, `{"method":"xrpc.cancel","params":[10]}`)
	if got, want := hear(ctx, c), `{"error":{"code":1,"message":"context canceled"},"id":10,"jsonrpc":"2.0"}`+"\n"; got != want {
		t.Errorf("cancelled call: got %q, want %q", got, want)
	}
}

// TestChannels: ids from 1 per connection, the answer before the first value, values in order, and a close at the end or at a cancel.
func TestChannels(t *testing.T) {
	url, _ := server(t, methods(), jsonrpc.ServerOptions{})
	for range 2 {
		c, ctx := dialRaw(t, url), within(t, time.Minute)
		say(ctx, c, `{"id":"a","method":"t.Count","params":[3]}`)
		for _, want := range []string{`{"id":"a","jsonrpc":"2.0","result":1}`, `{"jsonrpc":"2.0","method":"xrpc.ch.val","params":[1,0]}`, `{"jsonrpc":"2.0","method":"xrpc.ch.val","params":[1,1]}`,
			`{"jsonrpc":"2.0","method":"xrpc.ch.val","params":[1,2]}`, `{"jsonrpc":"2.0","method":"xrpc.ch.close","params":[1]}`} {
			if got := hear(ctx, c); got != want+"\n" {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		say(ctx, c, `{"id":2,"method":"t.Forever"}`)
		hear(ctx, c)
		say(ctx, c, `{"method":"xrpc.cancel","params":[2]}`)
		if got, want := hear(ctx, c), `{"jsonrpc":"2.0","method":"xrpc.ch.close","params":[2]}`+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestSlowReader: what is queued comes without a hole, then the channel is closed and the connection stays.
func TestSlowReader(t *testing.T) {
	url, _ := server(t, methods(), jsonrpc.ServerOptions{})
	c, ctx := dialRaw(t, url), within(t, time.Minute)
	say(ctx, c, `{"id":1,"method":"t.Flood"}`)
	hear(ctx, c)
	n := 0
	for msg := hear(ctx, c); !strings.Contains(msg, "xrpc.ch.close"); msg = hear(ctx, c) {
		if msg == "" {
			t.Fatal("connection ended")
		}
		n++
	}
	if n < 16 || n > 18 {
		t.Errorf("values before the close: got %d, want the 16 queued and what was being written", n)
	}
	say(ctx, c, `{"id":2,"method":"t.Void"}`)
	if got := hear(ctx, c); !strings.Contains(got, `"result":null`) {
		t.Errorf("after the close: got %q", got)
	}
}

// TestServerClose: every channel is closed, then the connection ends without a close frame.
func TestServerClose(t *testing.T) {
	url, s := server(t, methods(), jsonrpc.ServerOptions{})
	c, ctx := dialRaw(t, url), within(t, time.Minute)
	say(ctx, c, `{"id":1,"method":"t.Forever"}`)
	hear(ctx, c)
	say(ctx, c, `{"id":2,"method":"t.Wait"}`)
	closed := make(chan struct{})
	go func() { _ = s.Close(); close(closed) }()
	if got, want := hear(ctx, c), `{"jsonrpc":"2.0","method":"xrpc.ch.close","params":[1]}`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for {
		_, _, err := c.Read(ctx)
		if err == nil {
			continue // the answer of t.Wait
		}
		if got := websocket.CloseStatus(err); got != -1 {
			t.Errorf("close frame with status %d, want none", got)
		}
		break
	}
	<-closed
}

// TestPing: the server says that it lives.
func TestPing(t *testing.T) {
	url, _ := server(t, methods(), jsonrpc.ServerOptions{PingInterval: 10 * time.Millisecond})
	pinged := make(chan struct{}, 100)
	ctx := within(t, time.Minute)
	c, _, err := websocket.Dial(ctx, ws(url), &websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool { pinged <- struct{}{}; return true }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	readCtx := c.CloseRead(ctx)
	for range 3 {
		select {
		case <-pinged:
		case <-readCtx.Done():
			t.Fatal("no ping")
		}
	}
}

// TestOwnClient drives the server with our client, over both transports.
func TestOwnClient(t *testing.T) {
	url, _ := server(t, methods(), jsonrpc.ServerOptions{})
	for _, address := range []string{url, ws(url)} {
		c := newClient(t, address, jsonrpc.ClientOptions{})
		var sum int
		err := c.Call(within(t, time.Minute), "t.Add", jsonrpc.Array(20, 22), func(b []byte) error { return json.Unmarshal(b, &sum) })
		if err != nil || sum != 42 {
			t.Errorf("%s: got %d, %v", address, sum, err)
		}
		for method, code := range map[string]int{"t.Fail": jsonrpc.CodeMethod, "t.Panic": jsonrpc.CodePanic, "t.No": jsonrpc.CodeNoMethod, "t.Add": jsonrpc.CodeParams} {
			var e *jsonrpc.Error
			if err := c.Call(within(t, time.Minute), method, jsonrpc.Array(), nil); !errors.As(err, &e) || e.Code != code {
				t.Errorf("%s %s: got %v, want code %d", address, method, err, code)
			}
		}
	}
}
