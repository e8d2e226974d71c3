package jsonrpc_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"headrace/internal/jsonrpc"
)

// idOf takes the id out of a request of ours.
func idOf(msg string) string {
	_, rest, _ := strings.Cut(msg, `"id":`)
	id, _, _ := strings.Cut(rest, ",")
	return id
}

func TestCallDeadlineKeepsConnection(t *testing.T) {
	seen := make(chan string, 8)
	url := peer(t, func(ctx context.Context, ws *websocket.Conn) {
		for msg := hear(ctx, ws); msg != ""; msg = hear(ctx, ws) {
			seen <- msg
			if strings.Contains(msg, "quick") {
				say(ctx, ws, `{"id":%s,"jsonrpc":"2.0","result":"ok"}`, idOf(msg))
			}
		}
	})
	c := newClient(t, url, jsonrpc.ClientOptions{})
	err := c.Call(within(t, 50*time.Millisecond), "slow", jsonrpc.Array(), nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("call that nobody answers: got %v, want its deadline", err)
	}
	slow := <-seen
	if got, want := <-seen, `{"jsonrpc":"2.0","method":"xrpc.cancel","params":[`+idOf(slow)+"]}\n"; got != want {
		t.Errorf("after the deadline: got %q, want %q", got, want)
	}
	var result string
	if err := c.Call(within(t, time.Minute), "quick", jsonrpc.Array(1, "two"), keep(&result)); err != nil || result != `"ok"` {
		t.Errorf("next call: got %s, %v", result, err)
	}
	quick := <-seen
	if idOf(quick) == idOf(slow) {
		t.Errorf("id %s was used twice", idOf(slow))
	}
	if !strings.Contains(quick, `"params":[1,"two"]`) {
		t.Errorf("parameters: got %s", quick)
	}
	if got := c.Stats().Dials; got != 1 {
		t.Errorf("dials: got %d, want 1", got)
	}
}

// TestHostileAnswers feeds a client what no server should send; it neither dies nor believes it.
func TestHostileAnswers(t *testing.T) {
	deep := strings.Repeat("[", 2_000_000)
	for name, junk := range map[string]string{
		"not JSON":              "hello",
		"empty":                 "",
		"cut":                   `{"id":1,"result":"x`,
		"array":                 `[1,2,3]`,
		"number":                `5`,
		"wrong id":              `{"id":4711,"jsonrpc":"2.0","result":1}`,
		"negative id":           `{"id":-1,"jsonrpc":"2.0","result":1}`,
		"huge id":               `{"id":1e999,"jsonrpc":"2.0","result":1}`,
		"text id":               `{"id":"1","jsonrpc":"2.0","result":1}`,
		"null id":               `{"id":null,"jsonrpc":"2.0","error":{"code":1,"message":"x"}}`,
		"unknown channel":       `{"jsonrpc":"2.0","method":"xrpc.ch.val","params":[99,{}]}`,
		"close unknown channel": `{"jsonrpc":"2.0","method":"xrpc.ch.close","params":[99]}`,
		"value without channel": `{"jsonrpc":"2.0","method":"xrpc.ch.val","params":[]}`,
		"value of nothing":      `{"jsonrpc":"2.0","method":"xrpc.ch.val"}`,
		"a call to us":          `{"jsonrpc":"2.0","id":1,"method":"node.Ready","params":[]}`,
		"deep":                  `{"id":7777,"result":` + deep,
		"deep in a channel":     `{"jsonrpc":"2.0","method":"xrpc.ch.val","params":[1,` + deep,
		"backslashes":           `{"id":"` + strings.Repeat(`\"`, 100_000) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			url := peer(t, func(ctx context.Context, ws *websocket.Conn) {
				msg := hear(ctx, ws)
				say(ctx, ws, "%s", junk)
				say(ctx, ws, `{"id":%s,"jsonrpc":"2.0","result":"ok"}`, idOf(msg))
				hear(ctx, ws)
			})
			c := newClient(t, url, jsonrpc.ClientOptions{})
			var got string
			if err := c.Call(within(t, time.Minute), "m", jsonrpc.Array(), keep(&got)); err != nil || got != `"ok"` {
				t.Errorf("call: got %s, %v", got, err)
			}
			if n := c.Stats().Strays; n != 1 {
				t.Errorf("strays: got %d, want 1", n)
			}
		})
	}
}

// TestHostileBytes breaks the WebSocket itself: what is announced is not what comes.
func TestHostileBytes(t *testing.T) {
	for name, test := range map[string]struct {
		bytes string // after the upgrade; a bracket per byte would be unreadable
		drip  time.Duration
	}{
		"1 GiB announced": {bytes: "\x81\x7f\x00\x00\x00\x00\x40\x00\x00\x00" + `{"id":1,`},
		"2^63 announced":  {bytes: "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"},
		"unknown opcode":  {bytes: "\x8f\x01x"},
		"masked":          {bytes: "\x81\x81abcdx"},
		"long ping":       {bytes: "\x89\x7e\x10\x00" + strings.Repeat("x", 4096)},
		"slow drip":       {bytes: "\x81\x7f\x00\x00\x00\x00\x00\x10\x00\x00" + strings.Repeat(" ", 1<<20), drip: 5 * time.Millisecond},
		"silence":         {},
	} {
		t.Run(name, func(t *testing.T) {
			url := rawPeer(t, test.bytes, test.drip)
			c := newClient(t, url, jsonrpc.ClientOptions{Silence: 200 * time.Millisecond})
			before := heap()
			err := c.Call(within(t, time.Minute), "m", jsonrpc.Array(), nil)
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("call: got %v, want a broken connection", err)
			}
			if grown := heap() - before; grown > 8<<20 {
				t.Errorf("memory grew by %d bytes", grown)
			}
		})
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// rawPeer accepts an upgrade, reads one message and then writes bytes, one at a time if drip is set, and nothing more.
func rawPeer(t *testing.T, bytes string, drip time.Duration) string {
	t.Helper()
	end := make(chan struct{})
	var work sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		work.Add(1)
		defer work.Done()
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(key[:]))
		if drip == 0 {
			_, _ = conn.Write([]byte(bytes))
			<-end
		}
		tick := time.NewTicker(max(drip, time.Millisecond)) // the drip
		defer tick.Stop()
		for i := 0; i < len(bytes); i++ {
			select {
			case <-tick.C:
				_, _ = conn.Write([]byte{bytes[i]})
			case <-end:
				i = len(bytes)
			}
		}
		_ = conn.Close()
	}))
	t.Cleanup(func() { close(end); work.Wait(); s.Close() })
	return ws(s.URL)
}

// TestEndlessFrames: a server that never stops sending holds no memory of ours.
func TestEndlessFrames(t *testing.T) {
	junk := `{"jsonrpc":"2.0","method":"xrpc.ch.val","params":[1,"` + strings.Repeat("x", 1<<20) + `"]}`
	sent := make(chan struct{})
	url := peer(t, func(ctx context.Context, ws *websocket.Conn) {
		say(ctx, ws, `{"id":%s,"jsonrpc":"2.0","result":1}`, idOf(hear(ctx, ws)))
		for range 100 {
			say(ctx, ws, "%s", junk)
		}
		close(sent)
		say(ctx, ws, `{"jsonrpc":"2.0","method":"xrpc.ch.close","params":[1]}`)
		hear(ctx, ws)
	})
	c := newClient(t, url, jsonrpc.ClientOptions{MaxQueued: 4 << 20})
	entered, leave := make(chan struct{}), make(chan struct{})
	n := 0
	var work sync.WaitGroup
	work.Go(func() {
		err := c.Subscribe(within(t, time.Minute), "s", jsonrpc.Array(), nil, func([]byte) error {
			if n++; n == 1 {
				close(entered)
				<-leave // a reader that sleeps
			}
			return nil
		})
		if !errors.Is(err, jsonrpc.ErrChannelClosed) {
			t.Errorf("subscription: got %v, want ErrChannelClosed", err)
		}
	})
	<-entered
	before := heap()
	<-sent                                        // the sleeping reader does not stop the other end
	if grown := heap() - before; grown > 40<<20 { // of the 100 MiB sent; the other end's frames under way are in this heap too
		t.Errorf("memory grew by %d bytes with 4 MiB allowed", grown)
	}
	close(leave)
	work.Wait()
	if got := c.Stats().Dropped; int(got)+n != 100 {
		t.Errorf("values: %d handled and %d dropped, want 100 together", n, got)
	}
	if n > 20 {
		t.Errorf("a reader asleep got %d values, want no more than are allowed to wait", n)
	}
}

func TestReadLimit(t *testing.T) {
	url := peer(t, func(ctx context.Context, ws *websocket.Conn) {
		say(ctx, ws, `{"id":%s,"result":"%s"}`, idOf(hear(ctx, ws)), strings.Repeat("x", 2<<20))
		hear(ctx, ws)
	})
	c := newClient(t, url, jsonrpc.ClientOptions{ReadLimit: 1 << 20})
	if err := c.Call(within(t, time.Minute), "m", jsonrpc.Array(), nil); err == nil {
		t.Error("answer beyond the limit was taken")
	}
}

// TestChannelOrder: values that came before the end, of the channel or of the connection, are handled, in order.
func TestChannelOrder(t *testing.T) {
	for _, end := range []string{`{"jsonrpc":"2.0","method":"xrpc.ch.close","params":[5]}`, ""} {
		url := peer(t, func(ctx context.Context, ws *websocket.Conn) {
			say(ctx, ws, `{"id":%s,"jsonrpc":"2.0","result":5}`, idOf(hear(ctx, ws)))
			for i := range 100 {
				say(ctx, ws, `{"jsonrpc":"2.0","method":"xrpc.ch.val","params":[5,%d]}`, i)
			}
			if end != "" {
				say(ctx, ws, "%s", end)
				hear(ctx, ws)
			}
		})
		c := newClient(t, url, jsonrpc.ClientOptions{})
		var got []string
		opened := false
		err := c.Subscribe(within(t, time.Minute), "s", jsonrpc.Array(), func() { opened = true }, func(v []byte) error {
			got = append(got, string(v))
			return nil
		})
		if err == nil || (end != "") != errors.Is(err, jsonrpc.ErrChannelClosed) {
			t.Errorf("end %q: got %v", end, err)
		}
		if !opened || len(got) != 100 {
			t.Fatalf("opened %t, got %d values, want 100", opened, len(got))
		}
		for i, v := range got {
			if v != strconv.Itoa(i) {
				t.Errorf("value %d: got %s", i, v)
			}
		}
	}
}

// TestCloseIsPrompt closes a client in every state it can be in.
func TestCloseIsPrompt(t *testing.T) {
	silent := peer(t, func(ctx context.Context, ws *websocket.Conn) {
		for hear(ctx, ws) != "" {
		}
	})
	hole, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	for name, test := range map[string]struct {
		url string
		do  func(c *jsonrpc.Client) error
	}{
		"call": {silent, func(c *jsonrpc.Client) error { return c.Call(context.Background(), "m", jsonrpc.Array(), nil) }},
		"subscribe": {silent, func(c *jsonrpc.Client) error {
			return c.Subscribe(context.Background(), "m", jsonrpc.Array(), nil, nil)
		}},
		"dial": {"ws://" + hole.Addr().String(), func(c *jsonrpc.Client) error { return c.Call(context.Background(), "m", jsonrpc.Array(), nil) }},
		"post": {"http://" + hole.Addr().String(), func(c *jsonrpc.Client) error { return c.Call(context.Background(), "m", jsonrpc.Array(), nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, test.url, jsonrpc.ClientOptions{})
			started, done := make(chan struct{}), make(chan error, 1)
			go func() {
				close(started)
				done <- test.do(c)
			}()
			<-started
			start := time.Now()
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if err := <-done; err == nil {
				t.Error("ended well, want an error")
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("close took %s", took)
			}
			if err := test.do(c); !errors.Is(err, jsonrpc.ErrClosed) {
				t.Errorf("after close: got %v, want ErrClosed", err)
			}
		})
	}
}

// TestRefused: an HTTP status is told with what belongs to it, for an upgrade and for a POST.
func TestRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		http.Error(w, "server busy", http.StatusServiceUnavailable)
	}))
	defer s.Close()
	for _, url := range []string{s.URL, ws(s.URL)} {
		c := newClient(t, url, jsonrpc.ClientOptions{})
		err := c.Call(within(t, time.Minute), "m", jsonrpc.Array(), nil)
		var status *jsonrpc.StatusError
		if !errors.As(err, &status) || status.Status != 503 || status.RetryAfter != 7*time.Second || status.Body != "server busy" {
			t.Errorf("%s: got %v", url, err)
		}
	}
	c := newClient(t, "ws://127.0.0.1:1", jsonrpc.ClientOptions{})
	if err := c.Call(within(t, time.Minute), "m", jsonrpc.Array(), nil); !errors.Is(err, jsonrpc.ErrUnsent) {
		t.Errorf("nobody there: got %v, want ErrUnsent", err)
	}
	for _, bad := range []string{"", "localhost:26658", "ftp://x", "http://", "://"} {
		if _, err := jsonrpc.NewClient(bad, jsonrpc.ClientOptions{}); err == nil {
			t.Errorf("address %q was taken", bad)
		}
	}
}

// TestBodyDecides: an answer over HTTP is what its body is, whatever type the server or somebody between gives it, and
// an answer with a status that is no JSON-RPC keeps its status.
func TestBodyDecides(t *testing.T) {
	var contentType, body string
	var status int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		w.Header()["Content-Type"] = []string{contentType}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "ID", idOf(string(asked))))
	}))
	t.Cleanup(s.Close)
	const result, refusal = `{"jsonrpc":"2.0","id":ID,"result":"ok"}`, `{"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"no"}}`
	for _, kind := range []string{"application/json", "text/plain; charset=utf-8", "", "text/html"} {
		for _, test := range []struct {
			name, body string
			status     int
			want       string // "ok", "error", or the body that a *StatusError keeps
		}{
			{"result", result, 200, "ok"},
			{"error", refusal, 200, "error"},
			{"error with a status", refusal, 500, "error"},
			{"page", "<html>busy</html>", 200, "<html>busy</html>"},
			{"page with a status", "<html>busy</html>", 503, "<html>busy</html>"},
			{"other JSON", `{"error":"forbidden"}`, 403, `{"error":"forbidden"}`},
			{"nothing", "", 502, ""},
		} {
			contentType, body, status = kind, test.body, test.status
			c := newClient(t, s.URL, jsonrpc.ClientOptions{})
			var got string
			err := c.Call(within(t, time.Minute), "m", jsonrpc.Array(), keep(&got))
			var answered *jsonrpc.Error
			var refused *jsonrpc.StatusError
			switch ok := false; test.want {
			case "ok":
				ok = err == nil && got == `"ok"`
				fallthrough
			case "error":
				if ok = ok || errors.As(err, &answered) && answered.Code == jsonrpc.CodeNoMethod && test.want == "error"; !ok {
					t.Errorf("%s as %q: got %q, %v", test.name, kind, got, err)
				}
			default:
				if !errors.As(err, &refused) || refused.Status != test.status || refused.Body != test.want {
					t.Errorf("%s as %q: got %q, %v", test.name, kind, got, err)
				}
			}
		}
	}
}

// TestReconnect: after the connection breaks, calls fail with a reason, and the next one dials.
func TestReconnect(t *testing.T) {
	url := peer(t, func(ctx context.Context, ws *websocket.Conn) {
		say(ctx, ws, `{"id":%s,"jsonrpc":"2.0","result":1}`, idOf(hear(ctx, ws)))
		hear(ctx, ws) // the second call's connection breaks
	})
	c := newClient(t, url, jsonrpc.ClientOptions{})
	for i := range 6 {
		err := c.Call(within(t, time.Minute), "m", jsonrpc.Array(), nil)
		if broken := i%2 == 1; (err != nil) != broken {
			t.Errorf("call %d: got %v", i, err)
		}
	}
	if got := c.Stats().Dials; got != 3 {
		t.Errorf("dials: got %d, want 3", got)
	}
}

// TestSlowAnswer: an answer that takes several times as long as a call may go without a byte comes through, by either
// way, and so does a call behind it on the socket.
func TestSlowAnswer(t *testing.T) {
	const limit = 500 * time.Millisecond
	piece := strings.Repeat("x", 32<<10)
	drip := func(id string, write func(string)) { // 1.6 MB/s: far above the lowest rate
		write(`{"id":` + id + `,"jsonrpc":"2.0","result":"`)
		for start := time.Now(); time.Since(start) < 3*limit; {
			time.Sleep(20 * time.Millisecond) // the slow link
			write(piece)
		}
		write(`"}`)
	}
	socket := peer(t, func(ctx context.Context, ws *websocket.Conn) {
		first, second := hear(ctx, ws), hear(ctx, ws)
		w, err := ws.Writer(ctx, websocket.MessageText)
		if err != nil {
			return
		}
		drip(idOf(first), func(s string) { _, _ = w.Write([]byte(s)) })
		_ = w.Close()
		say(ctx, ws, `{"id":%s,"jsonrpc":"2.0","result":"ok"}`, idOf(second))
		hear(ctx, ws)
	})
	posts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		drip(idOf(string(body)), func(s string) {
			_, _ = w.Write([]byte(s))
			w.(http.Flusher).Flush()
		})
	}))
	t.Cleanup(posts.Close)
	for name, url := range map[string]string{"WebSocket": socket, "HTTP": posts.URL} {
		t.Run(name, func(t *testing.T) {
			var heard atomic.Int64
			c := newClient(t, url, jsonrpc.ClientOptions{CallTimeout: limit, Heard: func(n int) { heard.Add(int64(n)) }})
			var work sync.WaitGroup
			for range 2 {
				work.Go(func() {
					var got string
					if err := c.Call(within(t, time.Minute), "m", jsonrpc.Array(), keep(&got)); err != nil || got == "" {
						t.Errorf("slow answer: got %d bytes, %v", len(got), err)
					}
				})
			}
			work.Wait()
			if got := c.Stats().Received; uint64(heard.Load()) != got {
				t.Errorf("heard of %d bytes of %d", heard.Load(), got)
			}
		})
	}
}
