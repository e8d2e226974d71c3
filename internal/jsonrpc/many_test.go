package jsonrpc_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"headrace/internal/jsonrpc"
)

// TestManySmallThings: a message of millions of small values, where few belong or none, takes memory in proportion to
// its bytes, and the answer is what it would be for few (I6).
func TestManySmallThings(t *testing.T) {
	s := jsonrpc.NewServer(methods(), jsonrpc.ServerOptions{})
	t.Cleanup(func() { _ = s.Close() })
	const n = 500_000
	many := func(each string) string { return strings.Repeat(each+",", n) + each }
	for name, c := range map[string]struct {
		body, want string
		most       int
	}{
		"parameters": {`{"id":1,"jsonrpc":"2.0","method":"t.Add","params":[` + many("[]") + `]}`, fmt.Sprintf("wrong param count (method 't.Add'): %d != 2", n+1), 8},
		"an id":      {`{"id":[` + many("[]") + `],"jsonrpc":"2.0","method":"t.Void","params":[]}`, "invalid id type: []interface {}", 8},
		"an object":  {`{"id":{"a":[` + many("{}") + `]},"jsonrpc":"2.0","method":"t.Void","params":[]}`, "invalid id type: map[string]interface {}", 8},
		"a batch":    {`[` + many(`{"method":"t.Void"}`) + `]`, "", 30},
		"no batch":   {`[` + many(`{}`) + `,1]`, "Parse error", 8},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(c.body))
		w := httptest.NewRecorder()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		if got := w.Body.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %.200q, want %q", name, got, c.want)
		}
		// Six times is what it takes to read a body of unknown length, one buffer after the other.
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(c.most*len(c.body)); got > most {
			t.Errorf("%s: %d bytes were allocated for a message of %d, want at most %d times as many", name, got, len(c.body), c.most)
		}
	}
}

// TestMessageIsForgotten: a call that waits, as one does that has submitted blobs, keeps what was made of its
// parameters, and not the message that they came in (I6).
func TestMessageIsForgotten(t *testing.T) {
	waiting, release := make(chan struct{}, 8), make(chan struct{})
	url, _ := server(t, map[string]jsonrpc.Method{"t.Keep": {Params: 1, Bind: func(a *jsonrpc.Args) jsonrpc.Run {
		n := len(jsonrpc.Arg[string](a, "string"))
		return func(context.Context) (any, error) {
			waiting <- struct{}{}
			<-release
			return n, nil
		}
	}}}, jsonrpc.ServerOptions{})
	const size = 8 << 20
	var work sync.WaitGroup
	defer work.Wait()
	defer close(release)
	before := heap()
	for range 4 {
		work.Go(func() {
			text := io.LimitReader(xs{}, size) // the client keeps nothing of it
			resp, err := http.Post(url, "application/json", io.MultiReader(strings.NewReader(`{"id":1,"method":"t.Keep","params":["`), text, strings.NewReader(`"]}`)))
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
		})
	}
	for range 4 {
		<-waiting
	}
	if grown := heap() - before; grown > 2*size {
		t.Errorf("memory grew by %d MiB, with four messages of %d MiB at the other end", grown>>20, size>>20)
	}
}

// xs are without end.
type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
