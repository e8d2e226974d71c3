package ethereum_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"headrace/devnet/geth"
	"headrace/devnet/proxy"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

var gatewayFailures = flag.Int("gateway-failures", 2, "failures of each kind in TestSentThroughGateway")

// before puts a gateway before a node's HTTP, and returns its address. fault says what becomes of a transaction.
func before(t *testing.T, r *rig, most int64, fault func() proxy.Fault) string {
	t.Helper()
	g, err := proxy.NewGateway(r.node.HTTP(), proxy.GatewayOptions{MaxBody: most, Fault: func(_ *http.Request, body []byte) proxy.Fault {
		if bytes.Contains(body, []byte(`"eth_sendRawTransaction"`)) {
			return fault()
		}
		return proxy.Fault{}
	}})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(g)
	t.Cleanup(func() { front.CloseClientConnections(); front.Close(); _ = g.Close() })
	return front.URL
}

// errorObjects are what gateways and providers answer as JSON-RPC, in the node's place.
var errorObjects = []string{
	`{"code":-32005,"message":"limit exceeded"}`,
	`{"code":-32000,"message":"upstream timeout"}`,
	`{"code":-32603,"message":"Internal error"}`,
	`{"code":-32001,"message":"backend is not available"}`,
	`{"code":429,"message":"compute units exhausted"}`,
}

// Whatever a gateway answers to a transaction, before and after the node took it, in call data and in blobs: each draft
// is included once, by one transaction, and none of them is reverted. Each kind of failure has an inbox and an account of
// its own in call data, and all go on side by side on one L1; those in blobs come after each other, as an L1 block has
// room for few.
func TestSentThroughGateway(t *testing.T) {
	t.Parallel()
	faults := []proxy.Fault{{Status: 401}, {Status: 403}, {Status: 404}, {Status: 413}, {Status: 429}}
	for _, on := range []proxy.Node{proxy.Untouched, proxy.Sent, proxy.Answered} {
		faults = append(faults, proxy.Fault{Broken: true, Node: on})
		for _, status := range []int{302, 408, 499, 500, 502, 503, 504} {
			faults = append(faults, proxy.Fault{Status: status, Node: on})
		}
		for _, object := range errorObjects {
			faults = append(faults, proxy.Fault{Error: object, Node: on})
		}
		faults = append(faults, proxy.Fault{Error: errorObjects[1], Status: 504, Node: on})
	}
	r := newRig(t, geth.Prague, l1.Settings{})
	var all []*unlucky
	for i, f := range faults {
		all = append(all, &unlucky{rig: r.beside(i), faults: []proxy.Fault{f}, times: *gatewayFailures, content: ethereum.CallData})
	}
	blobs := slices.DeleteFunc(slices.Clone(faults), func(f proxy.Fault) bool { return f.Node != proxy.Sent && f.Status < 400 }) // enough of them in call data
	all = append(all, &unlucky{rig: r, faults: blobs, times: min(*gatewayFailures, 10), content: ethereum.Blobs})
	limit := 2*time.Minute + time.Duration(*gatewayFailures)*10*time.Second // only for a test that hangs
	r.miningFor(limit, func(ctx context.Context) {
		r.deploy(ctx, all[:len(faults)])
		var each sync.WaitGroup
		defer each.Wait()
		for _, u := range all {
			each.Go(func() { u.propose(ctx) })
		}
	})
	sum := uint64(0)
	for _, u := range all {
		if got := u.rig.nonce(u.rig.proposer); got != u.proposals {
			t.Errorf("%+v: %d proposals cost %d transactions", u.faults, u.proposals, got)
		}
		if got := u.rig.state().NextID; got != u.proposals+1 {
			t.Errorf("%+v: next id %d after %d proposals", u.faults, got, u.proposals)
		}
		sum += u.proposals
	}
	t.Logf("%d proposals, as many transactions", sum)
}

// beside returns a rig of the same L1 for an inbox and a proposer of its own.
func (r *rig) beside(i int) *rig {
	r.t.Helper()
	other := *r
	var err error
	other.proposer, err = crypto.ToECDSA(crypto.Keccak256(fmt.Appendf(nil, "proposer %d", i)))
	r.check(err)
	return &other
}

// deploy gives each its inbox and its account money, while blocks are made.
func (r *rig) deploy(ctx context.Context, all []*unlucky) {
	r.t.Helper()
	nonce := r.nonce(r.owner)
	hash := common.Hash{}
	for i, u := range all {
		to := crypto.PubkeyToAddress(u.rig.proposer.PublicKey)
		tx, err := types.SignNewTx(r.owner, types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
			ChainID: big.NewInt(geth.DevChainID), Nonce: nonce + uint64(i), To: &to, Gas: 21_000, Value: new(big.Int).Mul(big.NewInt(1000), big.NewInt(1e18)),
			GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11),
		})
		r.check(err)
		r.check(r.eth.SendTransaction(ctx, tx))
		hash = tx.Hash()
	}
	_, err := bind.WaitMined(ctx, r.eth, hash)
	r.check(err)
	for _, u := range all {
		contract := ethereum.Contract{Proposers: []l1.Address{address(u.rig.proposer)}}
		at, block, err := ethereum.Deploy(ctx, r.opt, ethereum.AccountOptions{}, r.owner, contract)
		r.check(err)
		u.rig.opt.Inbox, u.rig.opt.StartBlock = at, block.Height
	}
}

// unlucky proposes through a gateway that fails: so often in each of these ways.
type unlucky struct {
	rig     *rig
	faults  []proxy.Fault
	times   int
	content ethereum.Content

	proposals uint64 // that are included
}

func (u *unlucky) propose(ctx context.Context) {
	t := u.rig.t
	var mu sync.Mutex // guards the two
	var fault proxy.Fault
	left := 0
	url := before(t, u.rig, 0, func() proxy.Fault {
		mu.Lock()
		defer mu.Unlock()
		if left--; left < 0 {
			return proxy.Fault{}
		}
		return fault
	})
	c := u.rig.client(func(o *ethereum.Options) { o.WS, o.HTTP = nil, httpc.At(url) })
	for _, f := range u.faults {
		// Each draft by an account of its own: what was learned is not carried over.
		for n := range u.times {
			a := ethereum.NewAccount(c, u.rig.proposer, ethereum.AccountOptions{Content: u.content, Resend: 80 * time.Millisecond})
			mu.Lock()
			fault, left = f, 1+n%4 // failures in a row
			mu.Unlock()
			d := draft(u.proposals+1, fmt.Sprint(u.proposals))
			at, err := a.Propose(ctx, d)
			for ; err != nil && ctx.Err() == nil; at, err = a.Propose(ctx, d) { // as the sequencer does
				if errors.Is(err, l1.ErrStale) || f.Node != proxy.Untouched && !errors.Is(err, l1.ErrUnknownOutcome) {
					t.Errorf("%+v: got %v, want that the outcome is not known", f, err)
				}
				if s := f.Status; f.Error == "" && 400 < s && s < 430 && s != 408 && errors.Is(err, l1.ErrUnknownOutcome) {
					t.Errorf("%+v: got %v, want that it was not sent", f, err)
				}
				if errors.Is(err, l1.ErrTooBig) != (f.Status == 413) {
					t.Errorf("%+v: got %v, want %v for 413 alone", f, err, l1.ErrTooBig)
				}
			}
			if u.proposals++; err != nil || at.ID != u.proposals {
				t.Errorf("%+v: got %+v, %v", f, at, err)
				return
			}
		}
	}
}

// Nothing but the node's own words is a verdict. What repeats ends the wait all the same, with the words.
func TestSentInVain(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	for name, c := range map[string]struct {
		fault   proxy.Fault
		unknown bool
		words   string
	}{
		"an object": {proxy.Fault{Error: errorObjects[1]}, true, "upstream timeout"},
		"a token":   {proxy.Fault{Status: 401}, false, "it got to no L1 node"},
		"a verdict": {proxy.Fault{Error: `{"code":-32000,"message":"exceeds block gas limit"}`}, false, "exceeds block gas limit"},
		"no method": {proxy.Fault{Error: `{"code":-32601,"message":"the method does not exist"}`}, false, "does not exist"},
	} {
		url := before(t, r, 0, func() proxy.Fault { return c.fault })
		client := r.client(func(o *ethereum.Options) { o.WS, o.HTTP = nil, httpc.At(url, url) })
		a := ethereum.NewAccount(client, r.proposer, ethereum.AccountOptions{Content: ethereum.CallData, Resend: 80 * time.Millisecond})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // only for a test that hangs
		defer cancel()
		if _, err := a.Propose(ctx, draft(1, "a")); err == nil || errors.Is(err, l1.ErrUnknownOutcome) != c.unknown || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: got %v, want %q, and an unknown outcome: %t", name, err, c.words, c.unknown)
		}
	}
	if got := r.nonce(r.proposer); got != 0 {
		t.Errorf("%d transactions were included", got)
	}
}

// An endpoint before which somebody lets nothing through, or that is too small, is passed over at once for the next one.
func TestSendPassedOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	for id, f := range []proxy.Fault{{Status: 401}, {Status: 403}, {Status: 404}, {Status: 429}, {}} { // the last one: too large for it
		url := before(t, r, 1<<14, func() proxy.Fault { return f })
		client := r.client(func(o *ethereum.Options) { o.WS, o.HTTP = nil, httpc.At(url, r.node.HTTP()) })
		a := ethereum.NewAccount(client, r.proposer, ethereum.AccountOptions{Content: ethereum.CallData, Resend: time.Hour})
		d := draft(uint64(id+1), "a")
		d.Blocks[0].Data = make([]byte, 1<<14)
		r.mining(func(ctx context.Context) {
			if at, err := a.Propose(ctx, d); err != nil || at.ID != d.ID {
				t.Errorf("%+v: got %+v, %v", f, at, err)
			}
		})
	}
}

// Nodes behind one address may stand at different blocks. The account's nonce is read as of the block that the inbox's
// state is of: a newer one would have a proposal follow what it does not know of, and be reverted, for a fee.
func TestNonceOfTheSameBlock(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	pool := newTrailing(t, r.node.HTTP())
	c := r.client(func(o *ethereum.Options) { o.WS, o.HTTP = nil, httpc.At(pool.URL) })
	a := ethereum.NewAccount(c, r.proposer, ethereum.AccountOptions{Content: ethereum.CallData, Resend: 200 * time.Millisecond})
	r.mining(func(ctx context.Context) {
		_, err := a.Propose(ctx, draft(1, "a"))
		r.check(err)
	})
	pool.freshNonce.Store(true)
	pool.lag.Store(r.head().Height - r.opt.StartBlock) // before the proposal
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	r.mining(func(context.Context) {
		if at, err := a.Propose(ctx, draft(1, "a")); err == nil && at.ID != 1 {
			t.Errorf("got %+v", at)
		}
	})
	if got := r.nonce(r.proposer); got != 1 {
		t.Errorf("got %d transactions, want the first alone", got)
	}
}

// Blobs that are too large for what stands before the L1's node are refused with that reason, and nothing is sent; fewer
// of them are taken. One that is too large even alone is refused too: the sequencer says what to do then.
func TestBlobsTooLargeForGateway(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	through := func(most int64) *ethereum.Account {
		url := before(t, r, most, func() proxy.Fault { return proxy.Fault{} })
		return r.account(r.client(func(o *ethereum.Options) { o.WS, o.HTTP = nil, httpc.At(url) }), r.proposer, ethereum.Blobs)
	}
	refuses := func(what string, a *ethereum.Account, d l1.Draft) {
		t.Helper()
		if _, err := a.Propose(t.Context(), d); !errors.Is(err, l1.ErrTooBig) || errors.Is(err, l1.ErrUnknownOutcome) || r.nonce(r.proposer) != 0 {
			t.Errorf("%s: got %v, want %v", what, err, l1.ErrTooBig)
		}
	}
	none, one := through(200<<10), through(400<<10) // a blob has 256 KiB in hexadecimal
	refuses("two blobs, no room", none, twoBlobs("large"))
	refuses("one blob, no room", none, draft(1, "one"))
	refuses("two blobs, room for one", one, twoBlobs("large"))
	r.mining(func(ctx context.Context) {
		if at, err := one.Propose(ctx, draft(1, "one")); err != nil || at.ID != 1 {
			t.Errorf("one blob, room for one: got %+v, %v", at, err)
		}
	})
}

// A dev chain that is put back to a snapshot forgets a transaction whose turn it is: there is no receipt, the nonce is
// as it was, and nobody knows it by its hash. It is sent again as it is, long before one that may still be included
// would be sent with a higher fee.
func TestForgottenTransaction(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	target, err := url.Parse(r.node.HTTP())
	r.check(err)
	pass := httputil.NewSingleHostReverseProxy(target)
	var mu sync.Mutex // guards sent
	var sent [][]byte
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		q.Body = io.NopCloser(bytes.NewReader(body))
		var call struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		if json.Unmarshal(body, &call) == nil && call.Method == "eth_sendRawTransaction" {
			mu.Lock()
			sent = append(sent, call.Params)
			forgotten := len(sent) == 1
			mu.Unlock()
			if forgotten {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":"0x%064x"}`, call.ID, 1)
				return
			}
		}
		pass.ServeHTTP(w, q)
	}))
	t.Cleanup(func() { node.CloseClientConnections(); node.Close() })
	c := r.client(func(o *ethereum.Options) { o.WS, o.HTTP, o.BlockTime = nil, httpc.At(node.URL), -1 })
	r.mining(func(ctx context.Context) {
		_, err := ethereum.NewAccount(c, geth.DevKey(5), ethereum.AccountOptions{}).Force(ctx, [][]byte{{1}})
		r.check(err)
	})
	if len(sent) != 2 || !bytes.Equal(sent[0], sent[1]) {
		t.Errorf("got %d transactions sent, want the same one twice", len(sent))
	}
}
