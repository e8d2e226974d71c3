package node_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"headrace/exec"
	"headrace/exec/kv"
	"headrace/internal/nettest"
	"headrace/internal/square"
	"headrace/node"
)

// headOf is the head of a DA chain.
type headOf = square.Head

// ask sends a request to a node and returns the answer's status and body.
func ask(t *testing.T, n *running, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), method, "http://"+n.Address()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return answerOf(t, req)
}

// answerOf returns the answer to a request, on a connection of its own.
func answerOf(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func wantStatus(t *testing.T, n *running, path string, want int) string {
	t.Helper()
	got, body := ask(t, n, http.MethodGet, path, "")
	if got != want {
		t.Errorf("GET %s: got status %d, want %d: %s", path, got, want, body)
	}
	return body
}

// decode reads an answer that must be JSON.
func decode(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}

// waitValue waits until a key of n's engine has a value. A value can only change with a head.
func waitValue(t *testing.T, n *running, key, want string) {
	t.Helper()
	path := "/v1/kv/" + key
	n.until(t, fmt.Sprintf("at %s=%s", key, want), func(node.Status) bool {
		var got struct{ Value string }
		code, body := ask(t, n, http.MethodGet, path, "")
		if code == http.StatusOK {
			decode(t, body, &got)
		}
		return got.Value == want
	})
}

// TestHTTP: every endpoint, and what it answers to a request that makes no sense.
func TestHTTP(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "http")
	seq := start(t, c.sequencer(t, d.URL(), 50*time.Millisecond))
	full := start(t, c.full(t, d.URL()))
	seq.until(t, "ready", ready)
	if got, body := ask(t, seq, http.MethodPost, "/v1/txs", "a/b c=1=2"); got != http.StatusAccepted || !strings.Contains(body, "true") {
		t.Fatalf("post a transaction: got %d %s, want it accepted", got, body)
	}
	waitValue(t, full, "a%2Fb%20c", "1=2")
	full.until(t, "ready", ready)

	cases := []struct {
		to                 *running
		method, path, body string
		want               int
		has                string
	}{
		{full, "GET", "/livez", "", 200, "ok"},
		{full, "GET", "/readyz", "", 200, "ok"},
		{full, "POST", "/readyz", "", 405, "takes GET, HEAD alone"},
		{full, "GET", "/v1/status", "", 200, `"mode": "full"`},
		{seq, "GET", "/v1/status", "", 200, `"mode": "sequencer"`},
		{full, "POST", "/v1/status", "", 405, "takes GET, HEAD alone"},
		{full, "GET", "/v1/blocks/1", "", 200, `"height": 1,`},
		{full, "GET", "/v1/blocks/latest", "", 200, `"safe": true`},
		{full, "GET", "/v1/blocks/safe", "", 200, `"safe": true`},
		{seq, "GET", "/v1/blocks/unsafe", "", 200, `"proposer": "` + hex.EncodeToString(c.genesis.ProposerAddress)},
		{full, "GET", "/v1/blocks/0", "", 404, "no such block"},
		{full, "GET", "/v1/blocks/18446744073709551615", "", 404, "no such block"},
		{full, "GET", "/v1/blocks/18446744073709551616", "", 400, "the height must be a number"},
		{full, "GET", "/v1/blocks/-1", "", 400, "the height must be a number"},
		{full, "GET", "/v1/blocks/finalised", "", 400, "the height must be a number"},
		{full, "GET", "/v1/blocks/", "", 404, "nothing is served"},
		{full, "GET", "/v1/blocks/1/2", "", 404, "nothing is served"},
		{full, "GET", "/v1/txs", "", 405, "takes POST alone"},
		{full, "POST", "/v1/txs", "a=1", 409, "not the sequencer"},
		{seq, "POST", "/v1/txs", "no pair", 400, "not key=value"},
		{seq, "POST", "/v1/txs", "", 400, "not key=value"},
		{seq, "POST", "/v1/txs", "a=" + strings.Repeat("x", 1<<20), 413, "too large"},
		{full, "GET", "/v1/kv/nobody", "", 404, "no such key"},
		{full, "GET", "/v1/kv/", "", 404, "nothing is served"},
		{full, "GET", "/v2", "", 404, "nothing is served"},
		{full, "DELETE", "/v2", "", 404, "nothing is served"},
		{full, "DELETE", "/v1/blocks?from=1", "", 405, "takes GET, HEAD alone"},
		{full, "GET", "/v1//status", "", 200, `"mode": "full"`},
	}
	for _, q := range cases {
		got, body := ask(t, q.to, q.method, q.path, q.body)
		if got != q.want || !strings.Contains(body, q.has) {
			t.Errorf("%s %s: got %d %.200s, want %d with %q", q.method, q.path, got, body, q.want, q.has)
		}
		if got >= 400 && q.has != "" && !json.Valid([]byte(body)) {
			t.Errorf("%s %s: got %s, want an error in JSON", q.method, q.path, body)
		}
	}

	var s node.Status
	decode(t, wantStatus(t, full, "/v1/status", 200), &s)
	if s.ChainID != "http" || !s.Ready || s.Heads.Safe.Height == 0 || s.Heads.Safe != s.Heads.Finalized || s.Source.Position.Height == 0 || len(s.Source.Endpoints) != 1 || s.Sequencer != nil {
		t.Errorf("got status %+v", s)
	}
	var b, parent node.Block
	decode(t, wantStatus(t, full, fmt.Sprintf("/v1/blocks/%d", s.Heads.Safe.Height), 200), &b)
	decode(t, wantStatus(t, full, fmt.Sprintf("/v1/blocks/%d", s.Heads.Safe.Height-1), 200), &parent)
	if b.Hash != s.Heads.Safe.Hash.String() || fmt.Sprintf("%x", b.ParentHash) != parent.Hash || !bytes.Equal(b.AppHash, parent.StateRoot) || b.Txs == nil {
		t.Errorf("got block %+v after %+v, want the safe head of %+v", b, parent, s.Heads)
	}
}

// plainEngine hides everything of an engine but what exec.Engine has.
type plainEngine struct{ exec.Engine }

// TestOtherEngines: a node takes an engine from its caller, whose it stays; what the engine cannot do the node says.
func TestOtherEngines(t *testing.T) {
	t.Parallel()
	engine, err := kv.Open(t.TempDir(), kv.Options{PoolBytes: 600})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "engine")

	o := c.sequencer(t, d.URL(), time.Hour) // one block at the start, and none after
	o.Engine = plainEngine{engine}
	if _, err := node.New(o); err == nil || !strings.Contains(err.Error(), "this engine cannot build blocks") {
		t.Errorf("got %v, want an engine that cannot build to be refused", err)
	}

	o.Engine = engine
	seq := start(t, o)
	seq.until(t, "past the first block", func(s node.Status) bool { return s.Heads.Safe.Height >= 1 })
	for i, want := range []int{202, 202, 503} { // 256 bytes and their own each
		if got, body := ask(t, seq, http.MethodPost, "/v1/txs", fmt.Sprintf("k%d=v", i)); got != want {
			t.Errorf("transaction %d: got %d %s, want %d", i, got, body, want)
		}
	}
	seq.until(t, "saying that the pool is full", func(s node.Status) bool {
		return !s.Sequencer.Pool.FullSince.IsZero() && s.Sequencer.Pool.Refused == 1 && s.Sequencer.MaxTx == 1<<20-exec.TxOverhead
	})
	if got, body := ask(t, seq, http.MethodPost, "/v1/txs", "k="+strings.Repeat("x", 1<<20-exec.TxOverhead)); got != 413 || !strings.Contains(body, fmt.Sprint(1<<20-exec.TxOverhead)) {
		t.Errorf("a transaction larger than a block: got %d %s, want 413 and what a block holds", got, body)
	}
	err = seq.SubmitTx(t.Context(), make([]byte, 1<<20))
	if !errors.Is(err, node.ErrTooBig) || !strings.Contains(err.Error(), fmt.Sprint(1<<20-exec.TxOverhead)) {
		t.Errorf("in process: got %v, want %v and what a block holds", err, node.ErrTooBig)
	}
	wantStatus(t, seq, "/v1/kv/k0", 404)
	seq.stopped(t)
	if _, err := engine.Head(t.Context()); err != nil {
		t.Errorf("the caller's engine after the node's end: %v", err)
	}

	o = c.full(t, d.URL())
	o.Engine = plainEngine{engine}
	full := start(t, o)
	full.until(t, "at the head", func(s node.Status) bool { return s.Heads.Safe.Height >= 1 })
	if body := wantStatus(t, full, "/v1/kv/k0", 404); !strings.Contains(body, "not the key-value one") {
		t.Errorf("got %s, want that this engine has no keys", body)
	}
}

// failing is an engine whose pool fails in one way.
type failing struct {
	exec.Builder
	plainEngine
	err error
}

func (f failing) SubmitTx(context.Context, []byte) error { return f.err }

// The code of POST /v1/txs tells whether a transaction was taken: certainly not, or nobody knows.
func TestTxCodes(t *testing.T) {
	t.Parallel()
	engine, err := kv.Open(t.TempDir(), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	var c chain
	for i, test := range []struct {
		err    error
		status int
		code   string
	}{
		{exec.ErrInvalid, 400, "invalid"}, {exec.ErrFull, 503, "full"}, {exec.ErrTooBig, 413, "too_big"},
		{context.DeadlineExceeded, 500, "unknown"}, {errors.New("the engine answers 502"), 500, "unknown"},
	} {
		c = newChain(t, fmt.Sprint("codes-", i)) // each begins at once
		o := c.sequencer(t, d.URL(), time.Hour)
		o.Engine = failing{engine, plainEngine{engine}, fmt.Errorf("submit: %w", test.err)}
		seq := start(t, o)
		status, body := ask(t, seq, http.MethodPost, "/v1/txs", "a=1")
		var got struct{ Error, Code string }
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != test.status || got.Code != test.code || got.Error == "" {
			t.Errorf("%v: got %d %s, want %d and code %s", test.err, status, body, test.status, test.code)
		}
		if status, body := ask(t, seq, http.MethodPost, "/v1/txs", "a="+strings.Repeat("x", 1<<20)); status != 413 || !strings.Contains(body, `"too_big"`) {
			t.Errorf("got %d %s, want code too_big", status, body)
		}
		seq.stopped(t)
	}
	o := c.full(t, d.URL())
	full := start(t, o)
	if status, body := ask(t, full, http.MethodPost, "/v1/txs", "a=1"); status != 409 || !strings.Contains(body, `"not_sequencer"`) {
		t.Errorf("got %d %s, want code not_sequencer", status, body)
	}
}

// TestSlowClient: clients that keep requests open do not delay a stop.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	c := newChain(t, "slow")
	n := start(t, c.sequencer(t, "http://"+nettest.FreeAddress(t), time.Second))
	for _, begun := range []string{"", "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", "GET /live", "POST /v1/txs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\na="} {
		conn, err := net.Dial("tcp", n.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(begun)); err != nil {
			t.Fatal(err)
		}
	}
	wantStatus(t, n, "/livez", 200) // all of the above have been accepted by now
	n.stopped(t)
}
