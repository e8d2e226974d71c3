package jsonrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"headrace/internal/httpd"
	"headrace/internal/jsonrpc"
)

// inPieces answers with n strings of size bytes each, one to a piece; the one at fails.
func inPieces(n, size, at int, made *atomic.Int64) jsonrpc.Method {
	return jsonrpc.Method{Bind: func(*jsonrpc.Args) jsonrpc.Run {
		return func(context.Context) (any, error) {
			i := 0
			return &jsonrpc.Pieces{Size: n*(size+3) + 1, Each: size, Next: func() ([]byte, error) {
				if made.Add(1); i == at {
					return nil, errors.New("no more")
				}
				out := fmt.Appendf(nil, `%c"%s"`, "[,"[min(i, 1)], strings.Repeat("x", size))
				if i++; i == n {
					out = append(out, ']')
				}
				return out, nil
			}}, nil
		}
	}}
}

// TestPieces: an answer in pieces is what it would be whole, by every way; an error of the first piece is an answer; and
// after that of a later one, or a piece too many, the connection ends without a word that could be taken for an answer.
func TestPieces(t *testing.T) {
	var made atomic.Int64
	long := inPieces(3, 10, 2, &made)
	url, _ := server(t, map[string]jsonrpc.Method{
		"p.All": inPieces(3, 100_000, -1, &made), "p.None": inPieces(3, 10, 0, &made), "p.Half": long,
		"p.Panic": {Bind: func(*jsonrpc.Args) jsonrpc.Run {
			return func(context.Context) (any, error) {
				return &jsonrpc.Pieces{Size: 2, Next: func() ([]byte, error) { panic("ouch") }}, nil
			}
		}},
		"p.More": {Bind: func(*jsonrpc.Args) jsonrpc.Run {
			return func(context.Context) (any, error) {
				return &jsonrpc.Pieces{Size: 2, Next: func() ([]byte, error) { return []byte("123"), nil }}, nil
			}
		}},
	}, jsonrpc.ServerOptions{})
	one := `"` + strings.Repeat("x", 100_000) + `"`
	all := `{"id":1,"jsonrpc":"2.0","result":[` + one + `,` + one + `,` + one + "]}\n"
	for name, c := range map[string]struct{ method, want string }{
		"all":    {"p.All", all},
		"none":   {"p.None", `{"error":{"code":1,"message":"no more"},"id":1,"jsonrpc":"2.0"}` + "\n"},
		"half":   {"p.Half", ""},
		"panic":  {"p.Panic", `{"error":{"code":1,"message":"panic making an answer: ouch"},"id":1,"jsonrpc":"2.0"}` + "\n"},
		"more":   {"p.More", `{"error":{"code":1,"message":"make an answer: a piece has 3 bytes, where 2 are to come"},"id":1,"jsonrpc":"2.0"}` + "\n"},
		"nobody": {"p.All", "none"}, // a notification
	} {
		request := `{"id":1,"jsonrpc":"2.0","method":"` + c.method + `"}`
		if c.want == "none" {
			request, c.want = `{"jsonrpc":"2.0","method":"`+c.method+`"}`, ""
		}
		for _, batch := range []bool{false, true} {
			body, want := request, c.want
			if batch {
				if body = "[" + request + "," + request + "]"; c.want != "" {
					want = "[" + c.want + "," + c.want + "]"
				}
			}
			resp, err := http.Post(url, "application/json", strings.NewReader(body))
			if name == "half" && err != nil {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if name == "half" {
				if err == nil {
					t.Errorf("half, batch %t: got %q, want an end that no reader takes for one", batch, got)
				}
				continue
			}
			if err != nil || string(got) != want {
				t.Errorf("%s, batch %t: got %.200q, %v, want %.200q", name, batch, got, err, want)
			}
		}
		if name == "nobody" {
			continue
		}
		conn, _, err := websocket.Dial(t.Context(), ws(url), nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetReadLimit(-1)
		say(t.Context(), conn, "%s", request)
		if got := hear(within(t, time.Minute), conn); got != c.want {
			t.Errorf("%s, WebSocket: got %.200q, want %.200q", name, got, c.want)
		}
		_ = conn.CloseNow()
	}
}

// TestPiecesAtATime: readers that do not read hold up nobody: who has a piece is cut. And who asks for more at a time than
// there is room for has them one after the other, with other answers among them, and is not cut.
func TestPiecesAtATime(t *testing.T) {
	const size, n = 10 << 20, 2
	var made atomic.Int64
	s := jsonrpc.NewServer(map[string]jsonrpc.Method{"p.All": inPieces(n, size, -1, &made), "t.Void": methods()["t.Void"]}, jsonrpc.ServerOptions{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := httpd.New(l, httpd.Options{})
	s.Bound(h.Answers(), h.Bodies())
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = h.Serve(ctx, s) })
	t.Cleanup(func() { _ = s.Close(); cancel(); work.Wait() })
	request := `{"id":1,"jsonrpc":"2.0","method":"p.All"}`
	for range 12 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", len(request), request)
	}
	conn, _, err := websocket.Dial(t.Context(), "ws://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	const many = 6
	for range many {
		say(t.Context(), conn, "%s", request)
	}
	say(t.Context(), conn, `{"id":2,"jsonrpc":"2.0","method":"t.Void"}`)
	for i := range many + 1 {
		if got := hear(within(t, time.Minute), conn); len(got) < n*size && !strings.HasPrefix(got, `{"id":2,`) {
			t.Fatalf("answer %d: got %.200q", i, got)
		}
	}
}
