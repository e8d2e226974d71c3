package ethereum_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// call is a call of JSON-RPC.
type call struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// refusing serves what an endpoint serves, except calls that refuse has an error for.
func refusing(t *testing.T, endpoint string, refuse func(method string) string) string {
	t.Helper()
	return inFront(t, endpoint, func(c call) string {
		if message := refuse(c.Method); message != "" {
			return fmt.Sprintf(`"error":{"code":-32000,"message":%q}`, message)
		}
		return ""
	})
}

// inFront serves what an endpoint serves, except calls that answer has an answer for: what follows "result" or "error" in JSON.
func inFront(t *testing.T, endpoint string, answer func(call) string) string {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var c call
		if json.Unmarshal(body, &c) == nil {
			if text := answer(c); text != "" {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, c.ID, text)
				return
			}
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// An operator's questions, at an endpoint that keeps everything and at such that do not.
func TestContract(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedMax: 2})
	ctx := t.Context()
	for range 5 {
		_, err := r.chain.Mine(ctx, beacon.Spec{})
		r.check(err)
	}
	id, err := ethereum.AskChainID(ctx, ethereum.Endpoint{URL: r.node.WS()}, 0)
	if err != nil || id != geth.DevChainID {
		t.Errorf("chain id: got %d, %v, want %d", id, err, geth.DevChainID)
	}
	c := r.client(func(o *ethereum.Options) { o.StartBlock = 0 })
	if owner, err := c.Owner(ctx); err != nil || owner != address(r.owner) {
		t.Errorf("owner: got %v, %v, want %v", owner, err, address(r.owner))
	}
	other := l1.Address{1}
	r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetProposer(common.Address(other), true)))
	if got, err := c.Proposers(ctx); err != nil || !slices.Equal(got, []l1.Address{other, address(r.proposer)}) && !slices.Equal(got, []l1.Address{address(r.proposer), other}) {
		t.Errorf("proposers: got %v, %v, want %v and %v", got, err, other, address(r.proposer))
	}
	r.mine(r.tx(r.owner, r.inbox(), bindings.PackSetProposer(common.Address(other), false)))
	if got, err := c.Proposers(ctx); err != nil || !slices.Equal(got, []l1.Address{address(r.proposer)}) {
		t.Errorf("proposers: got %v, %v, want %v alone", got, err, address(r.proposer))
	}
	for account, want := range map[l1.Address]bool{other: false, address(r.proposer): true} {
		if got, err := c.IsProposer(ctx, account); err != nil || got != want {
			t.Errorf("is %s a proposer: got %v, %v, want %v", account, got, err, want)
		}
	}

	at := func(url string, inbox l1.Address) *ethereum.Client {
		return r.client(func(o *ethereum.Options) { o.StartBlock, o.HTTP, o.WS, o.Inbox = 0, httpc.At(url), nil, inbox })
	}
	noLogs := refusing(t, r.node.HTTP(), func(method string) string {
		if method == "eth_getLogs" {
			return "not so far back"
		}
		return ""
	})
	for name, url := range map[string]string{"by events": r.node.HTTP(), "by code": noLogs} {
		if got, err := at(url, r.opt.Inbox).DeployedAt(ctx); err != nil || got != r.opt.StartBlock {
			t.Errorf("deployed, %s: got block %d, %v, want %d", name, got, err, r.opt.StartBlock)
		}
	}
	if _, err := at(noLogs, other).DeployedAt(ctx); !errors.Is(err, l1.ErrNoInbox) {
		t.Errorf("deployed, with no contract: got %v, want ErrNoInbox", err)
	}
	if _, err := at(noLogs, r.opt.Inbox).Proposers(ctx); !errors.Is(err, ethereum.ErrNotKnown) {
		t.Errorf("proposers, without logs: got %v, want ErrNotKnown", err)
	}
	// An endpoint that has pruned old states answers for the head alone.
	pruned := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		var call struct {
			ID     json.RawMessage   `json:"id"`
			Method string            `json:"method"`
			Params []json.RawMessage `json:"params"`
		}
		_ = json.Unmarshal(body, &call)
		w.Header().Set("Content-Type", "application/json")
		head, err := r.eth.HeaderByNumber(ctx, nil)
		if err != nil {
			t.Error(err)
			return
		}
		switch {
		case call.Method == "eth_chainId":
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":"0x%x"}`, call.ID, geth.DevChainID)
		case call.Method == "eth_getBlockByNumber":
			h, _ := json.Marshal(head)
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, call.ID, h)
		case call.Method == "eth_getCode" && string(call.Params[1]) == fmt.Sprintf(`"0x%x"`, head.Number):
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":"0x00"}`, call.ID)
		default:
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"missing trie node"}}`, call.ID)
		}
	}))
	t.Cleanup(pruned.Close)
	if n, err := at(pruned.URL, r.opt.Inbox).DeployedAt(ctx); !errors.Is(err, ethereum.ErrNotKnown) {
		t.Errorf("deployed, without old states: got %d, %v, want ErrNotKnown", n, err)
	}
}

func TestQueued(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	c := r.client(nil)
	r.mining(func(ctx context.Context) {
		for want := range uint64(2) {
			at, err := r.account(c, geth.DevKey(5), ethereum.CallData).Force(ctx, [][]byte{{1}})
			r.check(err)
			if got, err := c.Queued(ctx, at); err != nil || got.Index != want || got.Fee.Sign() != 0 {
				t.Errorf("got %+v, %v, want index %d and no fee", got, err, want)
			}
		}
		at, err := r.account(c, r.owner, ethereum.CallData).SetProposer(ctx, l1.Address{1}, true)
		r.check(err)
		if got, err := c.Queued(ctx, at); !errors.Is(err, l1.ErrNotFound) {
			t.Errorf("of another transaction: got %+v, %v, want ErrNotFound", got, err)
		}
		at.Tx = l1.Hash{1}
		if got, err := c.Queued(ctx, at); !errors.Is(err, l1.ErrNotFound) {
			t.Errorf("of no transaction: got %+v, %v, want ErrNotFound", got, err)
		}
	})
}

// An endpoint that takes a connection and says nothing holds nobody up: neither beyond the bound of a request, nor
// when the caller ends earlier.
func TestDialEnds(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the system completes connections that nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	for _, scheme := range []string{"http://", "ws://"} {
		url := scheme + listener.Addr().String()
		if id, err := ethereum.AskChainID(t.Context(), ethereum.Endpoint{URL: url}, 50*time.Millisecond); err == nil {
			t.Errorf("%s: got chain id %d, want the end of the time", scheme, id)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel) // most likely in the handshake
		started := time.Now()
		if id, err := ethereum.AskChainID(ctx, ethereum.Endpoint{URL: url}, time.Minute); err == nil {
			t.Errorf("%s: got chain id %d, want the end of the context", scheme, id)
		}
		if took := time.Since(started); took > 20*time.Second {
			t.Errorf("%s: it took %s to end", scheme, took)
		}
	}
}

// A geth that has just begun to index transactions is no reason for alarm.
func TestReceiptWhileIndexing(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	var asked atomic.Int32
	var log bytes.Buffer
	c := r.client(func(o *ethereum.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.HTTP = httpc.At(refusing(t, r.node.HTTP(), func(method string) string {
			if method == "eth_getTransactionReceipt" && asked.Add(1) <= 2 {
				return "transaction indexing is in progress"
			}
			return ""
		}))
	})
	r.mining(func(ctx context.Context) {
		_, err := r.account(c, geth.DevKey(5), ethereum.CallData).Force(ctx, [][]byte{{1}})
		r.check(err)
	})
	if asked.Load() < 3 || log.Len() > 0 {
		t.Errorf("asked %d times, logged %q, want nothing", asked.Load(), log.String())
	}
}
