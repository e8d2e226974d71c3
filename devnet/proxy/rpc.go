package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

// RPCFaults are what an Ethereum endpoint, or a gateway before it, can do otherwise than a node that has everything.
// The zero value has none.
type RPCFaults struct {
	MaxBatch int // calls in one request that are borne; 0: any number
	Refusal  int // what larger ones get: an HTTP status, 200 for one error object, or 0: the connection is closed

	Down          bool     // every request ends with its connection
	Refuse        int      // the HTTP status of every request; 0: none
	RetryAfter    string   // a header of what is refused
	ContentType   string   // of answers; default application/json
	Lacks         []string // methods that are not there
	NoHashes      bool     // EIP-1898's objects, which name a block by its hash, are not known
	OneInput      bool     // a call that names its input twice, as input and as data, is refused, and input alone is not known
	StripReceipts []string // fields that receipts and the logs in them lack
	StripPushed   []string // fields that announcements lack
}

// RPC is a handler that passes JSON-RPC, over HTTP and WebSocket, on to an Ethereum node, with faults on demand. All
// methods are safe for concurrent use.
type RPC struct {
	http, ws string
	client   *http.Client

	mu     sync.Mutex // guards the rest
	faults RPCFaults
	calls  map[string]int // by method
	posts  int            // requests, each of one or more calls
}

// NewRPC returns a gateway before the node at these addresses.
func NewRPC(httpURL, wsURL string) *RPC {
	return &RPC{http: httpURL, ws: wsURL, client: &http.Client{Transport: &http.Transport{}}, calls: map[string]int{}}
}

// Set changes the faults from now on.
func (g *RPC) Set(f RPCFaults) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = f
}

// Calls returns how often a method was called.
func (g *RPC) Calls(method string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[method]
}

// Requests returns how many requests there were.
func (g *RPC) Requests() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.posts
}

// Close closes idle connections to the node.
func (g *RPC) Close() { g.client.CloseIdleConnections() }

type message map[string]json.RawMessage

// messages returns what one request or answer consists of.
func messages(body []byte) (list []message, many bool) {
	if json.Unmarshal(body, &list) == nil {
		return list, true
	}
	one := message{}
	_ = json.Unmarshal(body, &one)
	return []message{one}, false
}

func encode(list []message, many bool) []byte {
	var out []byte
	if many {
		out, _ = json.Marshal(list)
	} else {
		out, _ = json.Marshal(list[0])
	}
	return out
}

func refusal(id json.RawMessage, code, text string) message {
	if id == nil {
		id = json.RawMessage("null")
	}
	return message{"jsonrpc": json.RawMessage(`"2.0"`), "id": id, "error": json.RawMessage(`{"code":` + code + `,"message":"` + text + `"}`)}
}

// admit counts a request, and returns the faults that it meets and what becomes of it: status 0 is that its connection
// is closed, 200 that it goes on.
func (g *RPC) admit(list []message) (f RPCFaults, status int, tooMany bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.posts++
	for _, m := range list {
		g.calls[strings.Trim(string(m["method"]), `"`)]++
	}
	switch f = g.faults; {
	case f.Down:
		return f, 0, false
	case f.Refuse != 0:
		return f, f.Refuse, false
	case f.MaxBatch > 0 && len(list) > f.MaxBatch:
		return f, f.Refusal, true
	}
	return f, http.StatusOK, false
}

// without takes the calls out that the node is not to see, and returns their answers.
func (f *RPCFaults) without(list []message) (rest, answers []message) {
	for _, m := range list {
		method := strings.Trim(string(m["method"]), `"`)
		switch {
		case slices.Contains(f.Lacks, method):
			answers = append(answers, refusal(m["id"], "-32601", "the method "+method+" does not exist"))
		case f.NoHashes && method == "eth_call" && bytes.Contains(m["params"], []byte(`"blockHash"`)):
			answers = append(answers, refusal(m["id"], "-32602", "invalid block number"))
		case f.OneInput && method == "eth_call" && bytes.Contains(m["params"], []byte(`"input"`)):
			answers = append(answers, refusal(m["id"], "-32602", "duplicate field `data`"))
		default:
			rest = append(rest, m)
		}
	}
	return rest, answers
}

// strip takes fields out of a value, and out of the elements of a list.
func strip(raw json.RawMessage, fields []string) json.RawMessage {
	var list []json.RawMessage
	object := message{}
	switch {
	case len(fields) == 0:
		return raw
	case json.Unmarshal(raw, &list) == nil && list != nil:
		for i := range list {
			list[i] = strip(list[i], fields)
		}
		raw, _ = json.Marshal(list)
	case json.Unmarshal(raw, &object) == nil && object != nil:
		maps.DeleteFunc(object, func(name string, _ json.RawMessage) bool { return slices.Contains(fields, name) })
		raw, _ = json.Marshal(object)
	}
	return raw
}

// stripReceipts takes fields out of what is a receipt, or a list of them.
func stripReceipts(raw json.RawMessage, fields []string) json.RawMessage {
	if len(fields) == 0 || !bytes.Contains(raw, []byte(`"cumulativeGasUsed"`)) {
		return raw
	}
	list, many := messages(raw)
	for i := range list {
		list[i]["logs"] = strip(list[i]["logs"], fields)
	}
	return strip(encode(list, many), fields)
}

// garble changes answers and announcements.
func (f *RPCFaults) garble(list []message) {
	for _, m := range list {
		if m["result"] != nil {
			m["result"] = stripReceipts(m["result"], f.StripReceipts)
		}
		pushed := message{}
		if json.Unmarshal(m["params"], &pushed) == nil && pushed["result"] != nil {
			pushed["result"] = strip(pushed["result"], f.StripPushed)
			m["params"], _ = json.Marshal(pushed)
		}
	}
}

// ServeHTTP implements http.Handler.
func (g *RPC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		g.socket(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	list, many := messages(body)
	f, status, tooMany := g.admit(list)
	contentType := "application/json"
	if f.ContentType != "" {
		contentType = f.ContentType
	}
	w.Header().Set("Content-Type", contentType)
	switch {
	case status == 0:
		panic(http.ErrAbortHandler)
	case status != http.StatusOK:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		http.Error(w, "no", status)
		return
	case tooMany:
		_, _ = w.Write(encode([]message{refusal(nil, "-32005", "batch too large")}, false))
		return
	}
	rest, answers := f.without(list)
	if len(rest) > 0 {
		resp, err := g.client.Post(g.http, "application/json", bytes.NewReader(encode(rest, many)))
		if err != nil {
			http.Error(w, "node is gone", http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		more, _ := messages(got)
		answers = append(answers, more...)
	}
	f.garble(answers)
	_, _ = w.Write(encode(answers, many))
}

// socket passes messages both ways until either end closes.
func (g *RPC) socket(w http.ResponseWriter, r *http.Request) {
	if f, status, _ := g.admit(nil); status != http.StatusOK {
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Retry-After", f.RetryAfter)
		http.Error(w, "no", status)
		return
	}
	client, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer client.CloseNow()
	ctx, cancel := context.WithCancel(r.Context())
	node, _, err := websocket.Dial(ctx, g.ws, &websocket.DialOptions{HTTPClient: g.client})
	if err != nil {
		cancel()
		return
	}
	defer node.CloseNow()
	client.SetReadLimit(-1)
	node.SetReadLimit(-1)
	var back sync.WaitGroup
	defer back.Wait()
	defer cancel()
	back.Go(func() {
		defer cancel()
		for {
			_, raw, err := node.Read(ctx)
			if err != nil {
				return
			}
			list, many := messages(raw)
			g.mu.Lock()
			f := g.faults
			g.mu.Unlock()
			f.garble(list)
			if client.Write(ctx, websocket.MessageText, encode(list, many)) != nil {
				return
			}
		}
	})
	for {
		_, raw, err := client.Read(ctx)
		if err != nil || !g.pass(ctx, client, node, raw) {
			return
		}
	}
}

// pass handles one message of a client, and reports whether the connection goes on. An HTTP status has no place on a
// socket: it is an error object there.
func (g *RPC) pass(ctx context.Context, client, node *websocket.Conn, raw []byte) bool {
	list, many := messages(raw)
	f, status, tooMany := g.admit(list)
	switch {
	case status == 0:
		return false
	case tooMany || status != http.StatusOK:
		return client.Write(ctx, websocket.MessageText, encode([]message{refusal(nil, "-32005", "no")}, false)) == nil
	}
	rest, answers := f.without(list)
	if len(answers) > 0 && client.Write(ctx, websocket.MessageText, encode(answers, many)) != nil {
		return false
	}
	return len(rest) == 0 || node.Write(ctx, websocket.MessageText, encode(rest, many)) == nil
}
