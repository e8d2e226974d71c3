package ethereum_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// liar is an HTTP endpoint in front of a real one that garbles the results of one method.
type liar struct {
	*httptest.Server
	mu     sync.Mutex // guards the rest
	method string
	lie    func(result any) any // nil: tell the truth
	status func(calls int) int  // of a request of so many calls; 0: as it is
	send   string               // the first transaction fails: "before" or "after" it is passed on
	lies   int
}

func newLiar(t *testing.T, target string) *liar {
	t.Helper()
	l := &liar{}
	client := &http.Client{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		methods := map[string]string{}
		for _, m := range messages(body) {
			methods[string(m["id"])] = string(m["method"])
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.status != nil {
			if s := l.status(len(methods)); s != 0 {
				http.Error(w, "no", s)
				return
			}
		}
		send := l.send
		for _, m := range methods {
			if m != `"eth_sendRawTransaction"` {
				send = ""
			}
		}
		if send != "" {
			l.send = ""
			l.lies++
		}
		if send == "before" {
			panic(http.ErrAbortHandler)
		}
		resp, err := client.Post(target, "application/json", bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		if send == "after" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(l.garble(answer, methods))
	}))
	t.Cleanup(func() { l.Close(); client.CloseIdleConnections() })
	return l
}

func messages(body []byte) []map[string]json.RawMessage {
	var many []map[string]json.RawMessage
	if json.Unmarshal(body, &many) != nil {
		many = make([]map[string]json.RawMessage, 1)
		_ = json.Unmarshal(body, &many[0])
	}
	return many
}

func (l *liar) garble(answer []byte, methods map[string]string) []byte {
	if l.lie == nil {
		return answer
	}
	many := messages(answer)
	for _, m := range many {
		if methods[string(m["id"])] != `"`+l.method+`"` || m["result"] == nil {
			continue
		}
		var result any
		_ = json.Unmarshal(m["result"], &result)
		m["result"], _ = json.Marshal(l.lie(result))
		l.lies++
	}
	out, _ := json.Marshal(many)
	if answer[0] != '[' {
		out, _ = json.Marshal(many[0])
	}
	return out
}

func (l *liar) set(method string, lie func(any) any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.method, l.lie, l.lies = method, lie, 0
}

// breakSend makes the connection break at the next transaction, before or after it is passed on.
func (l *liar) breakSend(after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lies, l.send = 0, map[bool]string{false: "before", true: "after"}[after]
}

func (l *liar) told() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lies
}

func list(v any) []any            { return v.([]any) }
func object(v any) map[string]any { return v.(map[string]any) }

// An endpoint that keeps something back, or garbles it, makes an error: never a block without its messages, and never
// a void proposal (I7, E8).
func TestLies(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedDelay: 1000})
	other := r.tx(geth.DevKey(4), r.inbox(), bindings.PackForce(payload("other")))
	r.mine(other, r.proposeTx(payload("a"), 0))
	height := r.head().Height
	truth := fetch(t, r.client(nil), height, height+1)
	if len(truth[0].Messages) != 2 {
		t.Fatalf("got %d messages, want 2", len(truth[0].Messages))
	}
	if err := r.chain.Tag(t.Context(), r.chain.Head().Hash(), r.chain.Head().Hash()); err != nil {
		t.Fatal(err)
	}
	var genuine map[string]any
	if err := r.eth.Client().Call(&genuine, "eth_getBlockByNumber", "0x1", false); err != nil {
		t.Fatal(err)
	}
	liar := newLiar(t, r.node.HTTP())
	lacks := map[string]bool{"no receipts": true, "no block": true, "no header": true}
	for _, c := range []struct {
		name, method string
		lie          func(any) any
	}{
		{"no receipts", "eth_getBlockReceipts", func(any) any { return nil }},
		{"empty receipts", "eth_getBlockReceipts", func(any) any { return []any{} }},
		{"a receipt is missing", "eth_getBlockReceipts", func(v any) any { return list(v)[1:] }},
		{"a log is missing", "eth_getBlockReceipts", func(v any) any { object(list(v)[1])["logs"] = []any{}; return v }},
		{"a log is garbled", "eth_getBlockReceipts", func(v any) any {
			object(list(object(list(v)[1])["logs"])[0])["data"] = "0x00"
			return v
		}},
		{"no block", "eth_getBlockByHash", func(any) any { return nil }},
		{"no transactions", "eth_getBlockByHash", func(v any) any { object(v)["transactions"] = []any{}; return v }},
		{"transactions in another order", "eth_getBlockByHash", func(v any) any {
			txs := list(object(v)["transactions"])
			txs[0], txs[1] = txs[1], txs[0]
			return v
		}},
		{"no header", "eth_getBlockByNumber", func(any) any { return nil }},
		{"header without bloom", "eth_getBlockByNumber", func(v any) any {
			object(v)["logsBloom"] = hexutil.Encode(make([]byte, 256))
			return v
		}},
		{"header of another number", "eth_getBlockByNumber", func(v any) any { object(v)["number"] = "0x1"; return v }},
		{"genuine header of another block", "eth_getBlockByNumber", func(any) any { return genuine }},
		{"header with another hash", "eth_getBlockByNumber", func(v any) any {
			object(v)["hash"] = hexutil.Encode(make([]byte, 32))
			return v
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			liar.set(c.method, c.lie)
			client := r.client(func(o *ethereum.Options) { o.HTTP, o.WS = httpc.At(liar.URL), nil })
			got, err := tryFetch(t.Context(), client, height, height+1)
			if err == nil || len(got) != 0 || errors.Is(err, l1.ErrContent) {
				t.Errorf("got %d blocks, %v, want an error that is no verdict", len(got), err)
			}
			if liar.told() == 0 {
				t.Error("the lie was not told")
			}
			if st := client.Endpoints()[0]; (st.Errors > 0) == lacks[c.name] || (st.LastError != "") == lacks[c.name] {
				t.Errorf("status: got %+v; a lie speaks against the endpoint, that it does not have something does not", st)
			}
			liar.set("", nil)
			if got, err := tryFetch(t.Context(), client, height, height+1); err != nil || !reflect.DeepEqual(got, truth) {
				t.Errorf("after the lie: got %+v, %v", got, err)
			}
		})
	}
	t.Run("logs that contradict headers", func(t *testing.T) {
		liar.set("eth_getLogs", func(v any) any {
			object(list(v)[0])["blockHash"] = hexutil.Encode(make([]byte, 32))
			return v
		})
		client := r.client(func(o *ethereum.Options) { o.HTTP, o.WS, o.TrustLogs = httpc.At(liar.URL), nil, true })
		if got, err := tryFetch(t.Context(), client, height, height+1); err == nil || len(got) != 0 || liar.told() == 0 {
			t.Errorf("got %d blocks, %v, want an error", len(got), err)
		}
		if st := client.Endpoints()[0]; st.Errors == 0 {
			t.Errorf("status: got %+v, want that it speaks against the endpoint", st)
		}
	})
	t.Run("another chain", func(t *testing.T) {
		liar.set("eth_chainId", func(any) any { return "0x1" })
		client := r.client(func(o *ethereum.Options) { o.HTTP, o.WS = httpc.At(liar.URL), nil })
		if _, err := tryFetch(t.Context(), client, height, height+1); !errors.Is(err, l1.ErrWrongChain) {
			t.Errorf("got %v, want ErrWrongChain", err)
		}
	})
}

// A forced item is read by number, on the canonical chain: when that changes before the proposal is complete, the
// item may be another fork's.
func TestForkWhileReading(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedDelay: 1000})
	r.mine(r.tx(geth.DevKey(4), r.inbox(), bindings.PackForce(l1.EncodeTxs([][]byte{{1}}))))
	r.mine(r.proposeTx(payload("a"), 1))
	height := r.head().Height
	var parent any
	liar := newLiar(t, r.node.HTTP())
	c := r.client(func(o *ethereum.Options) { o.HTTP, o.WS = httpc.At(liar.URL), nil })
	n := 0
	liar.set("eth_getBlockByNumber", func(v any) any {
		switch n++; n {
		case 2: // the block of the forced item
			parent = v
		case 3: // the proposal's block again
			return parent
		}
		return v
	})
	if got, err := tryFetch(t.Context(), c, height, height+1); err == nil || len(got) != 0 || n != 3 {
		t.Errorf("after %d headers: got %+v, %v, want an error", n, got, err)
	}
	if p := one(t, c, height).Proposal; len(p.Sources) != 2 || len(p.Sources[0].Txs) != 1 {
		t.Errorf("got %+v", p)
	}
}

// An endless answer ends in an error, and is not held in memory (I6).
func TestEndlessAnswer(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		spaces := bytes.Repeat([]byte{' '}, 1<<20)
		for {
			if _, err := w.Write(spaces); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	c, err := ethereum.New(ethereum.Options{HTTP: httpc.At(endless.URL), ChainID: 1, Inbox: l1.Address{1}, CallTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := tryFetch(t.Context(), c, 1, 2); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v, want an error that says so", err)
	}
}

// "No logs" right after a new head is often a lie: a follower that hears it goes on asking, and passes the height
// with its messages.
func testLateReceipts(t *testing.T, r *rig) {
	liar := newLiar(t, r.node.HTTP())
	c := r.client(func(o *ethereum.Options) { o.HTTP, o.WS = httpc.At(liar.URL), nil }) // nobody else to ask
	n := 0
	liar.set("eth_getBlockReceipts", func(v any) any {
		if n++; n <= 3 {
			return []any{}
		}
		return v
	})
	sink, state := follower(t, c, r.head().Height+1)
	r.propose(payload("a"))
	reach(t, state, r.head())
	if liar.told() < 4 || sink.Applied() != 1 {
		t.Errorf("got %d answers and %d blocks applied", liar.told(), sink.Applied())
	}
}

// Requests get smaller when the endpoint does not bear them, and larger again; a refusal that has nothing to do with
// size ends the fetch after a single call has been refused too.
func testAdaptive(t *testing.T, r *rig) {
	if _, err := r.chain.MineN(t.Context(), 60, beacon.Empty()); err != nil {
		t.Fatal(err)
	}
	liar := newLiar(t, r.node.HTTP())
	most, requests := 5, 0
	liar.status = func(calls int) int {
		if requests++; calls > most {
			return http.StatusRequestEntityTooLarge
		}
		return 0
	}
	c := r.client(func(o *ethereum.Options) { o.HTTP, o.WS = httpc.At(liar.URL), nil })
	if got := fetch(t, c, 1, 61); len(got) != 60 {
		t.Errorf("got %d blocks, want 60", len(got))
	}
	if requests > 40 {
		t.Errorf("got %d requests for 60 blocks, at most 5 at a time", requests)
	}
	for _, status := range []int{http.StatusTooManyRequests, http.StatusUnauthorized} {
		requests = 0
		liar.status = func(calls int) int { requests++; return status }
		if _, err := tryFetch(t.Context(), c, 1, 61); err == nil || requests != 2 {
			t.Errorf("status %d: got %d requests and %v, want two and an error", status, requests, err)
		}
	}
	liar.status = func(calls int) int { return http.StatusInternalServerError }
	if _, err := tryFetch(t.Context(), c, 1, 61); err == nil || errors.Is(err, follow.ErrNotYet) {
		t.Errorf("status 500: got %v", err)
	}
}
