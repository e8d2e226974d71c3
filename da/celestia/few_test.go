package celestia_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
	"headrace/watch"
)

// TestLongLists: a request that names a list of millions is refused at the first element that is wrong, or at one that
// is too many; and one that names a full namespace again and again, before there is an answer.
func TestLongLists(t *testing.T) {
	chain := newChain(t, local.Options{})
	height := fill(t, chain, random(alpha, 1_000_000, 1))
	url := serve(t, chain, celestia.HandlerOptions{})
	of := func(n int, each string) string { return "[" + strings.Repeat(each+",", n-1) + each + "]" }
	alphaText := base64.StdEncoding.EncodeToString(alpha[:])
	for name, c := range map[string]struct{ method, params, want string }{
		"no proofs":             {"blob.Included", `"` + alphaText + `",` + of(1_000_000, "{}") + `,""`, "(param: "},
		"many proofs":           {"blob.Included", `"` + alphaText + `",` + of(1_000_000, "null") + `,""`, "more than 1024 elements"},
		"no namespaces":         {"blob.GetAll", `` + of(1_000_000, "null"), "invalid namespace length"},
		"many namespaces":       {"blob.GetAll", `` + of(1025, `"`+alphaText+`"`), "more than 1024 elements"},
		"a namespace each time": {"blob.GetAll", `` + of(200, `"`+alphaText+`"`), "more than 192 MiB"},
		"an object":             {"blob.GetAll", `{}`, "cannot unmarshal object"},
		"many samples":          {"share.GetSamples", of(1025, "{}"), "more than 1024 elements"},
	} {
		resp, err := http.Post(url, "application/json", strings.NewReader(`{"id":1,"jsonrpc":"2.0","method":"`+c.method+`","params":[`+strconv.FormatUint(height, 10)+`,`+c.params+`]}`))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: got %.200q, %v, want %q", name, body, err, c.want)
		}
	}
}

// TestExtendedSquare: an extended square that comes in several pieces is, byte for byte, what encoding/json makes of its
// shares, as a node does.
func TestExtendedSquare(t *testing.T) {
	chain := newChain(t, local.Options{})
	height := fill(t, chain, random(alpha, 4_500_000, 1)) // 128 shares wide: six pieces, one of them above and below
	url := serve(t, chain, celestia.HandlerOptions{})
	sq, err := chain.Square(height)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := sq.Rows(0, 2*sq.Width())
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		DataSquare [][]byte `json:"data_square"`
		Codec      string   `json:"codec"`
	}
	for _, row := range rows {
		result.DataSquare = append(result.DataSquare, row...)
	}
	result.Codec = "Leopard"
	want, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) < 40<<20 {
		t.Fatalf("the answer has %d bytes, want some pieces", len(want))
	}
	for _, address := range []string{url, "ws" + strings.TrimPrefix(url, "http")} {
		var got []byte
		c, err := jsonrpc.NewClient(address, jsonrpc.ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Call(t.Context(), "share.GetEDS", jsonrpc.Array(height), func(b []byte) error { got = bytes.Clone(b); return nil })
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, %v, want %d, and each the same", address, len(got), err, len(want))
		}
		_ = c.Close()
	}
}

// headersRead counts how many headers are asked for.
type headersRead struct {
	*local.Chain
	n atomic.Int64
}

func (c *headersRead) Header(height uint64) (*square.ExtendedHeader, error) {
	c.n.Add(1)
	return c.Chain.Header(height)
}

// TestByHash: a hash is looked up, and not looked for: one of no block costs no header.
func TestByHash(t *testing.T) {
	chain := &headersRead{Chain: newChain(t, local.Options{})}
	produce(t, chain.Chain, 100)
	url := serve(t, chain, celestia.HandlerOptions{})
	ask := func(hash string) string {
		resp, err := http.Post(url, "application/json", strings.NewReader(`{"id":1,"jsonrpc":"2.0","method":"header.GetByHash","params":["`+hash+`"]}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	if got, want := ask(strings.Repeat("AB", 32)), ": header: not found"; !strings.Contains(got, want) || chain.n.Load() > 0 {
		t.Errorf("a hash of nothing: got %q and %d headers read, want %q and none", got, chain.n.Load(), want)
	}
	hash := chain.Head().Load().Hash
	if got, want := ask(hash.String()), fmt.Sprintf(`"height":"%d"`, chain.Head().Load().Height); !strings.Contains(got, want) || chain.n.Load() != 1 {
		t.Errorf("the head's hash: got %.300q and %d headers read, want %q and one", got, chain.n.Load(), want)
	}
}

// TestTokenOfOpenServer: one that asks for no tokens makes them all the same, as a node does, and knows them.
func TestTokenOfOpenServer(t *testing.T) {
	url := serve(t, newChain(t, local.Options{}), celestia.HandlerOptions{})
	c, err := jsonrpc.NewClient(url, jsonrpc.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	var token json.RawMessage
	if err := c.Call(t.Context(), "node.AuthNew", jsonrpc.Array([]string{"read"}), func(b []byte) error { token = bytes.Clone(b); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), "node.AuthVerify", jsonrpc.Array(token), func(b []byte) error {
		if string(b) != `["public","read"]` {
			t.Errorf("got %s of a token to read", b)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	none, err := celestia.NewToken([]byte{0}, celestia.Admin, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Call(t.Context(), "node.AuthVerify", jsonrpc.Array(none), func([]byte) error { return nil }); err == nil {
		t.Error("a token with another secret is one of the server's")
	}
}

// TestBlocksComeFirst: while a block is being made no large message is read, and small ones are answered; then they are
// read, one after the other on a machine of two cores.
func TestBlocksComeFirst(t *testing.T) {
	chain := &making{Chain: newChain(t, local.Options{}), now: watch.New(true)}
	url := serve(t, chain, celestia.HandlerOptions{})
	ask := func(body string) string {
		resp, err := http.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return ""
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		return string(answer)
	}
	garbage := `{"id":1,"jsonrpc":"2.0","method":"node.Ready","params":[` + strings.Repeat("0,", 50_000) + `0]}`
	answered := watch.New(0)
	var work sync.WaitGroup
	defer work.Wait()
	for range 3 {
		work.Go(func() {
			if got := ask(garbage); !strings.Contains(got, "wrong param count") {
				t.Errorf("got %.200q", got)
			}
			answered.Update(func(n int) int { return n + 1 })
		})
	}
	if _, err := chain.asked.Wait(deadline(t), func(n int) bool { return n == 3 }); err != nil {
		t.Errorf("%d large messages wait for the block: %v", chain.asked.Load(), err)
	}
	if got := ask(`{"id":1,"jsonrpc":"2.0","method":"node.Ready","params":[]}`); !strings.Contains(got, "true") || answered.Load() > 0 {
		t.Errorf("beside a block that is being made: %q, and %d large messages were answered", got, answered.Load())
	}
	chain.now.Set(false)
	if _, err := answered.Wait(deadline(t), func(n int) bool { return n == 3 }); err != nil {
		t.Errorf("after the block: %v", err)
	}
}

// making is a chain that says whether it is making a block, and counts who asks.
type making struct {
	*local.Chain
	now   *watch.Value[bool]
	asked watch.Value[int]
}

func (c *making) Making() *watch.Value[bool] {
	c.asked.Update(func(n int) int { return n + 1 })
	return c.now
}
