package jsonrpc_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"headrace/internal/jsonrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a server whose every byte the test decides: one WebSocket at a time, until handle returns.
func peer(t testing.TB, handle func(ctx context.Context, ws *websocket.Conn)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		ws.SetReadLimit(-1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		handle(ctx, ws)
		_ = ws.CloseNow()
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// say writes a message and ignores that nobody may listen.
func say(ctx context.Context, ws *websocket.Conn, format string, args ...any) {
	_ = ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, format, args...))
}

// hear reads a message; "" at the end.
func hear(ctx context.Context, ws *websocket.Conn) string {
	_, msg, err := ws.Read(ctx)
	if err != nil {
		return ""
	}
	return string(msg)
}

func newClient(t testing.TB, url string, opt jsonrpc.ClientOptions) *jsonrpc.Client {
	t.Helper()
	c, err := jsonrpc.NewClient(url, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// server serves methods on the loopback.
func server(t testing.TB, methods map[string]jsonrpc.Method, opt jsonrpc.ServerOptions) (url string, s *jsonrpc.Server) {
	t.Helper()
	s = jsonrpc.NewServer(methods, opt)
	h := httptest.NewServer(s)
	t.Cleanup(func() { _ = s.Close(); h.Close() })
	return h.URL, s
}

func ws(url string) string { return "ws" + strings.TrimPrefix(url, "http") }

// keep copies a result into s.
func keep(s *string) func([]byte) error {
	return func(b []byte) error { *s = string(b); return nil }
}
