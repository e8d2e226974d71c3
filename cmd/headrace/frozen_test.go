package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/trie"

	"headrace/await"
	awaiteth "headrace/await/ethereum"
	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/devnet/proxy"
	"headrace/exec/engineapi"
	execgrpc "headrace/exec/grpc"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/l1/ethereum/inbox"
	"headrace/watch"
)

// trustTestServers makes the certificate of package httptest one that this process trusts, before it looks at any.
func trustTestServers() {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	dir, err := os.MkdirTemp("", "headrace")
	if err != nil {
		panic(err)
	}
	file := filepath.Join(dir, "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		panic(err)
	}
	_ = os.Setenv("SSL_CERT_FILE", file)
}

// callTime is the time of one call to an endpoint.
const callTime = 3 * time.Second

// atOnce are calls that are under way at the same time, each on a connection of its own where there is one for each.
const atOnce = 4

// deadLinks is an endpoint behind a link whose connections die.
type deadLinks struct {
	handler http.Handler
	link    *proxy.Proxy

	missing watch.Value[int] // requests that must come before those that are there are answered
}

// ServeHTTP answers once as many requests are there as are to be gathered.
func (d *deadLinks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		d.handler.ServeHTTP(w, r)
		return
	}
	d.missing.Update(func(n int) int { return max(n-1, 0) })
	if _, err := d.missing.Wait(r.Context(), func(n int) bool { return n == 0 }); err != nil {
		return
	}
	d.handler.ServeHTTP(w, r)
}

// through runs a proxy to an address, until the test ends.
func through(t *testing.T, address string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New(address, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return p
}

// serveDead serves h at an address that begins with one of http, https, ws, wss.
func serveDead(t *testing.T, scheme string, h http.Handler) (d *deadLinks, address string) {
	d = &deadLinks{handler: h}
	s := httptest.NewUnstartedServer(d)
	if scheme == "https" || scheme == "wss" {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() { d.missing.Set(0); s.CloseClientConnections(); s.Close() })
	d.link = through(t, s.Listener.Addr().String())
	return d, scheme + "://" + d.link.Address()
}

// l1Answers answers what clients of an L1 and of an execution client ask first, over HTTP and WebSocket.
func l1Answers(w http.ResponseWriter, r *http.Request) {
	header := &types.Header{Number: big.NewInt(7), Difficulty: new(big.Int)}
	answer := func(raw []byte) []byte {
		var req struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		_ = json.Unmarshal(raw, &req)
		var result any = "0x1"
		if strings.HasPrefix(req.Method, "eth_getBlock") {
			result = header
		}
		text, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": req.ID, "result": result})
		return text
	}
	if r.Header.Get("Upgrade") == "" {
		raw, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer(raw))
		return
	}
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		_, raw, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), websocket.MessageText, answer(raw)) != nil {
			return
		}
	}
}

// nodeAnswers is a node with a height that is waited for, and with one event.
func nodeAnswers(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/events" {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "event: block\nid: 1\ndata: {}\n\n")
		return
	}
	_, _ = io.WriteString(w, `{"result": "reached"}`)
}

// celestiaNode is a DA layer of ten blocks. Without sockets it refuses WebSockets.
func celestiaNode(t *testing.T, sockets bool) http.Handler {
	chain, err := local.New(local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chain.Close() })
	for range 10 {
		if _, err := chain.Produce(); err != nil {
			t.Fatal(err)
		}
	}
	h := celestia.NewHandler(chain, celestia.HandlerOptions{})
	t.Cleanup(func() { _ = h.Close() })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" && !sockets {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// The one blob of the L1 below, and the inbox there. Nothing in it is a proposal's content: the proposal is void.
var (
	blobInbox  = l1.Address{7}
	blob       kzg4844.Blob
	commitment = sync.OnceValue(func() kzg4844.Commitment {
		c, err := kzg4844.BlobToCommitment(&blob)
		if err != nil {
			panic(err)
		}
		return c
	})
)

// beaconAnswers is a beacon API whose every slot has the blob.
func beaconAnswers(w http.ResponseWriter, r *http.Request) {
	var data any
	switch {
	case strings.HasSuffix(r.URL.Path, "/genesis"):
		data = map[string]string{"genesis_time": "0"}
	case strings.HasSuffix(r.URL.Path, "/spec"):
		data = map[string]string{"SECONDS_PER_SLOT": "12"}
	default:
		data = []*kzg4844.Blob{&blob}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

// blobL1 serves an L1 whose block 7 has a proposal in the blob, and returns its address. Its connections do not die.
func blobL1(t *testing.T) string {
	t.Helper()
	contract, err := inbox.InboxMetaData.ParseABI()
	if err != nil {
		t.Fatal(err)
	}
	c := commitment()
	source := inbox.InboxSource{BlockNumber: 7, Timestamp: 84, BlobHashes: [][32]byte{kzg4844.CalcBlobHashV1(sha256.New(), &c)}}
	event := contract.Events["Proposed"]
	data, err := event.Inputs.NonIndexed().Pack([32]byte{}, []inbox.InboxSource{source})
	if err != nil {
		t.Fatal(err)
	}
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	tx := types.MustSignNewTx(key, types.LatestSignerForChainID(big.NewInt(1)), &types.DynamicFeeTx{ChainID: big.NewInt(1)})
	receipt := &types.Receipt{
		Type: tx.Type(), Status: types.ReceiptStatusSuccessful, TxHash: tx.Hash(),
		Logs: []*types.Log{{Address: common.Address(blobInbox), Topics: []common.Hash{event.ID, common.BigToHash(big.NewInt(1)), {}}, Data: data}},
	}
	receipt.Bloom = types.CreateBloom(receipt)
	header := &types.Header{
		Number: big.NewInt(7), Difficulty: new(big.Int), Time: 84, Bloom: receipt.Bloom,
		TxHash: types.DeriveSha(types.Transactions{tx}, trie.NewListHasher()), ReceiptHash: types.DeriveSha(types.Receipts{receipt}, trie.NewListHasher()),
	}
	s := httptest.NewServer(rpcAnswers(map[string]any{
		"eth_chainId": "0x1", "eth_getBlockByNumber": header, "eth_getBlockReceipts": []*types.Receipt{receipt},
		"eth_getBlockByHash": map[string]any{"transactions": types.Transactions{tx}},
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// rpcAnswers answers calls over HTTP, always alike.
func rpcAnswers(results map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		_ = json.NewDecoder(r.Body).Decode(&req)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": req.ID, "result": results[req.Method]})
	}
}

// TestDeadConnections: connections that die without a word, be they in use or idle, cost every client of the product
// one call at most.
func TestDeadConnections(t *testing.T) {
	before := nodeClient
	nodeClient = httpc.New(httpc.Options{Timeout: callTime})
	t.Cleanup(func() { nodeClient = before })

	onDA := func(t *testing.T, url string) func(context.Context) error {
		c, err := celestia.Dial(url, celestia.Options{CallTimeout: callTime, Silence: callTime / 2, Level: da.Trust})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return func(ctx context.Context) error {
			return c.Fetch(ctx, 3, 4, func(follow.Item[da.Block]) error { return nil })
		}
	}
	onL1 := func(t *testing.T, url string) func(context.Context) error {
		opt := ethereum.Options{HTTP: httpc.At(url), ChainID: 1, Inbox: l1.Address{1}, CallTimeout: callTime}
		if strings.HasPrefix(url, "ws") {
			opt.WS, opt.HTTP = opt.HTTP, nil
		}
		c, err := ethereum.New(opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return func(ctx context.Context) error { _, err := c.Finalized(ctx); return err }
	}
	onEngine := func(t *testing.T, url string) func(context.Context) error {
		c, err := engineapi.Dial(url, [32]byte{1}, engineapi.DialOptions{Timeout: callTime})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return func(ctx context.Context) error { _, err := c.ChainID(ctx); return err }
	}
	atNode := func(t *testing.T, address string) *await.Client {
		c, err := await.OpenNode(await.Endpoint{URL: address}, await.ClientOptions{Poll: callTime, Quiet: callTime})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Keep())
		return c
	}
	once := func(t *testing.T, c *await.Client, ask func() error) error { // it asks again by itself
		before := c.Requests()
		err := ask()
		if asked := c.Requests() - before; asked > 2*(1+atOnce) {
			t.Errorf("a wait asked %d times, want one that fails at most, beside those of %d others", asked, atOnce)
		}
		return err
	}
	onWait := func(t *testing.T, address string) func(context.Context) error {
		c := atNode(t, address)
		return func(ctx context.Context) error {
			return once(t, c, func() error { _, err := c.Ready(ctx); return err })
		}
	}
	onTail := func(t *testing.T, address string) func(context.Context) error {
		c := atNode(t, address)
		return func(ctx context.Context) error {
			return once(t, c, func() error {
				err := c.Events(ctx, await.Stream{}, func(await.Event) error { return errEnough })
				if err == errEnough {
					return nil
				}
				return err
			})
		}
	}
	onAwait := func(t *testing.T, url string) func(context.Context) error {
		n := awaiteth.New(url, awaiteth.Options{CallTimeout: callTime})
		t.Cleanup(n.Keep())
		return func(ctx context.Context) error {
			before := n.Stats().Checks
			_, err := awaiteth.Block(ctx, n, 7) // which looks again by itself when a look fails
			if looks := n.Stats().Checks - before; looks > 2*(1+atOnce) {
				t.Errorf("a wait took %d looks, want one that fails at most, beside those of %d others", looks, atOnce)
			}
			return err
		}
	}
	onBeacon := func(t *testing.T, url string) func(context.Context) error {
		opt := ethereum.Options{HTTP: httpc.At(blobL1(t)), Beacon: httpc.At(url), ChainID: 1, Inbox: blobInbox, CallTimeout: callTime}
		c, err := ethereum.New(opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return func(ctx context.Context) error {
			return c.Fetch(ctx, 7, 8, func(item follow.Item[l1.Block]) error {
				if m := item.Data.Messages; len(m) != 1 || m[0].Proposal == nil || len(m[0].Proposal.Own().Blobs) != 1 {
					return fmt.Errorf("got %+v, want one proposal in a blob", m)
				}
				return nil
			})
		}
	}

	for _, c := range []struct {
		name    string
		schemes []string
		handler func(t *testing.T) http.Handler
		open    func(t *testing.T, url string) (call func(context.Context) error)
	}{
		{"DA with sockets", []string{"ws", "wss"}, func(t *testing.T) http.Handler { return celestiaNode(t, true) }, onDA},
		{"DA without", []string{"http", "https"}, func(t *testing.T) http.Handler { return celestiaNode(t, false) }, onDA},
		{"L1", []string{"ws", "wss", "http", "https"}, func(*testing.T) http.Handler { return http.HandlerFunc(l1Answers) }, onL1},
		{"engine", []string{"http", "https"}, func(*testing.T) http.Handler { return http.HandlerFunc(l1Answers) }, onEngine},
		{"wait", []string{"http", "https"}, func(*testing.T) http.Handler { return http.HandlerFunc(nodeAnswers) }, onWait},
		{"tail", []string{"http", "https"}, func(*testing.T) http.Handler { return http.HandlerFunc(nodeAnswers) }, onTail},
		{"await", []string{"ws", "wss", "http", "https"}, func(*testing.T) http.Handler { return http.HandlerFunc(l1Answers) }, onAwait},
		{"beacon", []string{"http", "https"}, func(*testing.T) http.Handler { return http.HandlerFunc(beaconAnswers) }, onBeacon},
	} {
		for _, scheme := range c.schemes {
			t.Run(c.name+"/"+scheme, func(t *testing.T) {
				d, address := serveDead(t, scheme, c.handler(t))
				diesOnce(t, d, c.open(t, address), strings.HasPrefix(scheme, "http"))
			})
		}
	}
	t.Run("engine/grpc", func(t *testing.T) {
		address := grpcEngine(t)
		d := &deadLinks{link: through(t, address)}
		c, err := execgrpc.Dial(d.link.Address(), execgrpc.Options{Timeout: callTime})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		diesOnce(t, d, func(ctx context.Context) error { _, err := c.Head(ctx); return err }, false)
	})
}

// grpcEngine serves an engine over gRPC until the test ends.
func grpcEngine(t *testing.T) string {
	e, err := kv.Open(t.TempDir(), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = execgrpc.Serve(ctx, l, e, execgrpc.ServerOptions{}) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return l.Addr().String()
}

// diesOnce makes calls side by side, and one that has no answer yet; lets all their connections die; and counts how
// many calls fail before one has its answer. gathered says that each call is one request.
func diesOnce(t *testing.T, d *deadLinks, call func(context.Context) error, gathered bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*callTime)
	defer cancel()
	if err := call(ctx); err != nil { // it has asked what it asks once
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	if gathered {
		d.missing.Set(atOnce)
	}
	for range atOnce {
		calls.Go(func() {
			if err := call(ctx); err != nil {
				t.Errorf("before the link died: %v", err)
			}
		})
	}
	calls.Wait()
	if t.Failed() {
		return
	}
	if gathered {
		d.missing.Set(2)
		calls.Go(func() { _ = call(ctx) })
		if _, err := d.missing.Wait(ctx, func(n int) bool { return n == 1 }); err != nil {
			t.Fatal(err)
		}
	}
	d.link.Swallow()
	failed := 0
	for err := call(ctx); err != nil; err = call(ctx) {
		if failed++; failed > 1 || ctx.Err() != nil {
			t.Fatalf("call %d after the link died failed too: %v", failed, err)
		}
	}
	cancel()
	calls.Wait()
}
