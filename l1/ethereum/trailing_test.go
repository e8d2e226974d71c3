package ethereum_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"
)

// trailing is an endpoint in front of a real one, over HTTP and WebSocket alike, that answers as one which is some
// blocks behind it.
type trailing struct {
	*httptest.Server
	real       *rpc.Client
	lag        atomic.Uint64
	freshNonce atomic.Bool  // the nonce is the real one's: a pool of nodes, of which not all are behind
	noReceipts atomic.Bool  // of transactions
	receipts   atomic.Int64 // asked for
	work       sync.WaitGroup
}

func newTrailing(t *testing.T, target string) *trailing {
	t.Helper()
	real, err := rpc.Dial(target)
	if err != nil {
		t.Fatal(err)
	}
	e := &trailing{real: real}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(func() {
		e.Close()
		e.work.Wait()
		real.Close()
	})
	return e
}

type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  []any           `json:"params,omitempty"`
	Result  any             `json:"result,omitempty"`
	Error   any             `json:"error,omitempty"`
}

// response is a message with a result, which may be null.
type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result"`
}

func (e *trailing) serve(w http.ResponseWriter, r *http.Request) {
	if websocket.IsWebSocketUpgrade(r) {
		e.work.Add(1)
		defer e.work.Done()
		e.serveSocket(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(e.answerAll(r.Context(), body))
}

func (e *trailing) answerAll(ctx context.Context, body []byte) any {
	if body = bytes.TrimSpace(body); len(body) == 0 || body[0] != '[' {
		var m message
		_ = json.Unmarshal(body, &m)
		return e.answer(ctx, m)
	}
	var many []message
	_ = json.Unmarshal(body, &many)
	out := []any{}
	for _, m := range many {
		out = append(out, e.answer(ctx, m))
	}
	return out
}

func (e *trailing) answer(ctx context.Context, m message) any {
	result, err := e.result(ctx, m.Method, m.Params)
	if err != nil {
		code := -32000
		var rpcErr rpc.Error
		if errors.As(err, &rpcErr) {
			code = rpcErr.ErrorCode()
		}
		return message{Version: "2.0", ID: m.ID, Error: map[string]any{"code": code, "message": err.Error()}}
	}
	return response{"2.0", m.ID, result}
}

// head is the number of its head.
func (e *trailing) head(ctx context.Context) (uint64, error) {
	var n hexutil.Uint64
	err := e.real.CallContext(ctx, &n, "eth_blockNumber")
	return uint64(n) - min(uint64(n), e.lag.Load()), err
}

func (e *trailing) result(ctx context.Context, method string, params []any) (any, error) {
	head, err := e.head(ctx)
	if err != nil {
		return nil, err
	}
	for i, p := range params {
		if p == "latest" && !(method == "eth_getTransactionCount" && e.freshNonce.Load()) {
			params[i] = hexutil.EncodeUint64(head)
		}
		if at, ok := p.(map[string]any); ok && at["blockHash"] != nil && e.above(ctx, at["blockHash"], head) {
			return nil, errors.New("header not found")
		}
	}
	if method == "eth_getTransactionReceipt" {
		e.receipts.Add(1)
		if e.noReceipts.Load() {
			return nil, nil
		}
	}
	if (method == "eth_getBlockByHash" || method == "eth_getBlockReceipts") && e.above(ctx, params[0], head) {
		return nil, nil
	}
	var result any
	if err := e.real.CallContext(ctx, &result, method, params...); err != nil {
		return nil, err
	}
	if list, ok := result.([]any); ok && method == "eth_getLogs" {
		kept := []any{}
		for _, l := range list {
			if number(l, "blockNumber") <= head {
				kept = append(kept, l)
			}
		}
		return kept, nil
	}
	if max(number(result, "number"), number(result, "blockNumber")) > head {
		return nil, nil
	}
	return result, nil
}

// above reports whether a block is above the head.
func (e *trailing) above(ctx context.Context, hash any, head uint64) bool {
	var block any
	err := e.real.CallContext(ctx, &block, "eth_getBlockByHash", hash, false)
	return err == nil && number(block, "number") > head
}

func number(v any, field string) uint64 {
	m, _ := v.(map[string]any)
	text, _ := m[field].(string)
	n, _ := hexutil.DecodeUint64(text)
	return n
}

func (e *trailing) serveSocket(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex // one writer at a time
	write := func(v any) {
		mu.Lock()
		defer mu.Unlock()
		_ = conn.WriteJSON(v)
	}
	var heads sync.WaitGroup
	defer heads.Wait()
	defer conn.Close()
	defer cancel()
	for {
		_, body, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if strings.Contains(string(body), `"eth_subscribe"`) {
			var m message
			_ = json.Unmarshal(body, &m)
			write(response{"2.0", m.ID, "0x1"})
			heads.Go(func() { e.announce(ctx, write) })
			continue
		}
		write(e.answerAll(ctx, body))
	}
}

// announce pushes each head until ctx ends.
func (e *trailing) announce(ctx context.Context, write func(any)) {
	tick := time.NewTicker(5 * time.Millisecond) // the real one is asked: it has no news for us
	defer tick.Stop()
	last := ""
	for {
		result, err := e.result(ctx, "eth_getBlockByNumber", []any{"latest", false})
		block, _ := result.(map[string]any)
		if hash, _ := block["hash"].(string); err == nil && hash != "" && hash != last {
			last = hash
			write(map[string]any{"jsonrpc": "2.0", "method": "eth_subscription", "params": map[string]any{"subscription": "0x1", "result": result}})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
