package engineapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	chainID       = "rollup"
	initialHeight = 7 // not 1, so that heights and execution block numbers differ
)

func options(t testing.TB, n *geth.Node) engineapi.Options {
	t.Helper()
	return engineapi.Options{
		URL: n.Engine(), JWT: n.JWT(), Genesis: n.Genesis(), ChainID: chainID, InitialHeight: initialHeight, Dir: t.TempDir(),
		FeeRecipient: common.Address{0xfe}, BuildTime: 5 * time.Millisecond,
	}
}

// connect makes an engine that has asked its client once: what is wrong with the client shows here.
func connect(ctx context.Context, opt engineapi.Options) (*engineapi.Engine, error) {
	e, err := engineapi.New(opt)
	if err != nil {
		return nil, err
	}
	if _, err := e.Head(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func open(t testing.TB, opt engineapi.Options) *engineapi.Engine {
	t.Helper()
	e, err := connect(t.Context(), opt)
	if err != nil {
		t.Fatalf("open engine: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close engine: %v", err)
		}
	})
	return e
}

// wrap makes a rollup block of transactions.
func wrap(parent *block.Block, txs [][]byte) *block.Block {
	height, last, at := uint64(initialHeight), []byte(nil), uint64(1e18)
	if parent != nil {
		hash := parent.Hash()
		height, last, at = parent.Height()+1, hash[:], parent.Header.Header.Time+1e8
	}
	b := &block.Block{Data: block.Data{Metadata: block.Metadata{ChainID: chainID, Height: height, Time: at}, Txs: txs}}
	data := b.Data.Commitment()
	b.Header.Header = block.Header{ChainID: chainID, Height: height, Time: at, LastHeaderHash: last, DataHash: data[:]}
	return b
}

// produce builds a block on parent, which is e's head (nil: none yet), and executes it.
func produce(t testing.TB, e *engineapi.Engine, parent *block.Block) *block.Block {
	t.Helper()
	b := build(t, e, parent)
	execute(t, e, b)
	return b
}

func build(t testing.TB, e *engineapi.Engine, parent *block.Block) *block.Block {
	t.Helper()
	b := wrap(parent, nil)
	txs, err := e.Build(t.Context(), b.Height(), b.Header.Header.Time, 1<<20)
	if err != nil {
		t.Fatalf("build block %d: %v", b.Height(), err)
	}
	return wrap(parent, txs)
}

func execute(t testing.TB, e *engineapi.Engine, b *block.Block) {
	t.Helper()
	root, err := e.Execute(t.Context(), b)
	if err != nil {
		t.Fatalf("execute block %d: %v", b.Height(), err)
	}
	if want := header(t, b).Root; common.BytesToHash(root) != want {
		t.Fatalf("root of block %d: got %x, want %s", b.Height(), root, want)
	}
}

func header(t testing.TB, b *block.Block) *types.Header {
	t.Helper()
	s, err := engineapi.DecodeSeal(b.Data.Txs[0])
	if err != nil {
		t.Fatal(err)
	}
	return s.Header
}

var histories = map[geth.Fork]*struct {
	once   sync.Once
	blocks []*block.Block
}{geth.Cancun: {}, geth.Prague: {}, geth.Osaka: {}}

// history is a chain of 12 blocks with a transfer each, made once by an engine of its own, for others to follow.
func history(t testing.TB, fork geth.Fork) []*block.Block {
	t.Helper()
	h := histories[fork]
	h.once.Do(func() {
		_, e := fresh(t, fork, nil)
		h.blocks = extend(t, e, nil, 12)
	})
	if h.blocks == nil {
		t.Skip("no history: see the test that was to make it")
	}
	return h.blocks
}

// fresh is an engine on a new geth.
func fresh(t testing.TB, fork geth.Fork, change func(*engineapi.Options)) (*geth.Node, *engineapi.Engine) {
	t.Helper()
	n := gethtest.Open(t, geth.Options{Genesis: geth.DevGenesis(fork)})
	opt := options(t, n)
	if change != nil {
		change(&opt)
	}
	return n, open(t, opt)
}

// tapped is an engine on a new geth, with a tap in between.
func tapped(t testing.TB, geths geth.Options) (*geth.Node, *tap, *engineapi.Engine) {
	t.Helper()
	n := gethtest.Open(t, geths)
	p := newTap(t, n.Engine())
	opt := options(t, n)
	opt.URL = p.url
	return n, p, open(t, opt)
}

func extend(t testing.TB, e *engineapi.Engine, parent *block.Block, n int) (blocks []*block.Block) {
	t.Helper()
	for range n {
		nonce := uint64(0)
		if parent != nil {
			nonce = parent.Height() - initialHeight + 1
		}
		submit(t, e, transfer(0, nonce))
		parent = produce(t, e, parent)
		if len(parent.Data.Txs) != 2 {
			t.Fatalf("block %d: got %d transactions, want the seal and a transfer", parent.Height(), len(parent.Data.Txs))
		}
		blocks = append(blocks, parent)
	}
	return blocks
}

func submit(t testing.TB, e *engineapi.Engine, tx *types.Transaction) {
	t.Helper()
	if err := e.SubmitTx(t.Context(), raw(t, tx)); err != nil {
		t.Fatal(err)
	}
}

func raw(t testing.TB, tx *types.Transaction) []byte {
	t.Helper()
	b, err := tx.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// transfer is a signed transfer from account i.
func transfer(i int, nonce uint64) *types.Transaction {
	to := common.Address{0xaa}
	return types.MustSignNewTx(geth.DevKey(i), types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), Nonce: nonce, To: &to, Value: big.NewInt(1), Gas: 21_000,
		GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(100 * params.GWei),
	})
}

// wantHead checks where e says it stands, and that its client has that block as its head.
func wantHead(t testing.TB, e *engineapi.Engine, n *geth.Node, b *block.Block) {
	t.Helper()
	got, err := e.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	height, hash, exec := uint64(initialHeight-1), block.Hash{}, n.GenesisBlock().Hash()
	if b != nil {
		height, hash, exec = b.Height(), b.Hash(), header(t, b).Hash()
	}
	if got.Height != height || got.Hash != hash {
		t.Fatalf("head: got %d %s, want %d %s", got.Height, got.Hash, height, hash)
	}
	if latest := latest(t, n); latest != exec {
		t.Fatalf("client's head: got %s, want %s (block %d)", latest, exec, height)
	}
}

func latest(t testing.TB, n *geth.Node) common.Hash { t.Helper(); return tagged(t, n, "latest") }

// tagged is the hash of the block with that tag; zero when there is none.
func tagged(t testing.TB, n *geth.Node, tag string) common.Hash {
	t.Helper()
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":[%q,false]}`, tag)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(n.HTTP(), "application/json", bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Result struct{ Hash common.Hash } }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Result.Hash
}

// A tap stands between an engine and its client. It counts requests, and does with them what it is told.
type tap struct {
	url string
	see func(method string, params []json.RawMessage) // if set, before the first request: called with each

	mu     sync.Mutex
	counts map[string]int
	rules  map[string]rule
}

// rule is what happens to requests of one method.
type rule struct {
	answer        string // sent instead of the client's answer, if not empty: the JSON after "id"
	status        int    // HTTP status sent instead, if not 0
	forward, drop bool   // the client gets the request all the same; the answer never comes
	once          bool   // for one request

	garble func(result json.RawMessage) json.RawMessage // the client's answer is sent with this result in the place of its own
	then   func()                                       // called before the answer is sent, or not
}

func newTap(t testing.TB, target string) *tap {
	p := &tap{counts: map[string]int{}, rules: map[string]rule{}}
	transport := &http.Transport{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request struct {
			ID     json.RawMessage
			Method string
			Params []json.RawMessage
		}
		json.Unmarshal(body, &request)
		if p.see != nil {
			p.see(request.Method, request.Params)
		}
		var batch []struct { // of one method
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal(body, &batch) == nil && len(batch) > 0 {
			request.Method = batch[0].Method
		}
		rule, ruled := p.take(request.Method)
		var answer []byte
		if !ruled || rule.forward || rule.garble != nil {
			out, _ := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, target, bytes.NewReader(body))
			out.Header = r.Header.Clone()
			resp, err := transport.RoundTrip(out)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			answer, _ = io.ReadAll(resp.Body)
			resp.Body.Close()
			w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
			if !ruled {
				w.WriteHeader(resp.StatusCode)
				w.Write(answer)
				return
			}
		}
		if rule.then != nil {
			rule.then()
		}
		if rule.garble != nil {
			var told struct{ Result json.RawMessage }
			json.Unmarshal(answer, &told)
			rule.answer = `"result":` + string(rule.garble(told.Result))
		}
		switch {
		case rule.drop:
			panic(http.ErrAbortHandler)
		case rule.status != 0:
			w.WriteHeader(rule.status)
		default:
			w.Header().Set("Content-Type", "application/json")
			if len(batch) == 0 {
				fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, request.ID, rule.answer)
				return
			}
			var answers []string
			for i := range batch {
				answers = append(answers, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, batch[i].ID, rule.answer))
			}
			fmt.Fprintf(w, "[%s]", strings.Join(answers, ","))
		}
	}))
	t.Cleanup(func() { server.Close(); transport.CloseIdleConnections() })
	p.url = server.URL
	return p
}

func (p *tap) take(method string) (rule, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[method]++
	r, ok := p.rules[method]
	if ok && r.once {
		delete(p.rules, method)
	}
	return r, ok
}

func (p *tap) set(method string, r rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules[method] = r
}

func (p *tap) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.rules)
}

// asked is how many requests of a method have come since the last call of requests.
func (p *tap) asked(method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[method]
}

// requests is how many have come since the last call.
func (p *tap) requests() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.counts {
		n += c
	}
	clear(p.counts)
	return n
}
