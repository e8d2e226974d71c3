package ethereum_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/devnet/proxy"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/watch"
)

// gateway is one endpoint before the rig's node, with faults, over HTTP and WebSocket.
func gateway(t *testing.T, r *rig, f proxy.RPCFaults) (g *proxy.RPC, url string) {
	t.Helper()
	g = proxy.NewRPC(r.node.HTTP(), r.node.WS())
	g.Set(f)
	s := httptest.NewServer(g)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close(); g.Close() })
	return g, s.URL
}

// through returns a client of one endpoint, by one transport.
func through(r *rig, url string, socket bool, change func(*ethereum.Options)) *ethereum.Client {
	return r.client(func(o *ethereum.Options) {
		o.HTTP, o.WS = httpc.At(url), nil
		if socket {
			o.HTTP, o.WS = nil, httpc.At("ws"+strings.TrimPrefix(url, "http"))
		}
		if change != nil {
			change(o)
		}
	})
}

// What an endpoint bears in one request is found, whatever it says of what it does not, and costs few requests for
// nothing.
func TestAnyLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	if _, err := r.chain.MineN(t.Context(), 300, beacon.Empty()); err != nil {
		t.Fatal(err)
	}
	to := r.head().Height + 1
	for _, socket := range []bool{false, true} {
		for _, refusal := range []int{0, http.StatusOK, http.StatusForbidden, http.StatusTooManyRequests, http.StatusBadGateway} {
			if socket && refusal > http.StatusOK {
				continue // on a socket there is no status
			}
			for _, limit := range []int{1, 10, 100} {
				t.Run(fmt.Sprintf("socket %t, refusal %d, limit %d", socket, refusal, limit), func(t *testing.T) {
					t.Parallel()
					sub := *r
					sub.t = t
					g, url := gateway(t, &sub, proxy.RPCFaults{MaxBatch: limit, Refusal: refusal})
					c := through(&sub, url, socket, func(o *ethereum.Options) { o.CallTimeout = 2 * time.Second })
					if got := fetch(t, c, 1, to); len(got) != int(to-1) {
						t.Fatalf("got %d blocks, want %d", len(got), to-1)
					}
					before := g.Requests()
					if got := fetch(t, c, 1, to); len(got) != int(to-1) {
						t.Fatalf("again: got %d blocks, want %d", len(got), to-1)
					}
					best := int(to) / limit
					if got := g.Requests() - before; got > 3*best+12 {
						t.Errorf("got %d requests for %d blocks, %d would do", got, to-1, best)
					}
				})
			}
		}
	}
}

// An outage in a catch-up leaves the size of requests as it was.
func TestOutageLeavesSize(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	if _, err := r.chain.MineN(t.Context(), 300, beacon.Empty()); err != nil {
		t.Fatal(err)
	}
	to := r.head().Height + 1
	for _, socket := range []bool{false, true} {
		g, url := gateway(t, r, proxy.RPCFaults{})
		c := through(r, url, socket, nil)
		for range 5 {
			fetch(t, c, 1, to)
		}
		before := g.Requests()
		fetch(t, c, 1, to)
		usual := g.Requests() - before
		g.Set(proxy.RPCFaults{Down: true})
		for range 60 {
			if _, err := tryFetch(t.Context(), c, 1, to); err == nil {
				t.Fatal("got blocks in an outage")
			}
		}
		g.Set(proxy.RPCFaults{})
		before = g.Requests()
		fetch(t, c, 1, to)
		if got := g.Requests() - before; got > usual+3 { // it connects, and asks for the chain
			t.Errorf("socket %t: after an outage %d requests, before it %d", socket, got, usual)
		}
	}
}

// An endpoint that refuses what is too much for it, and asks to be left alone each time, is asked for less after that.
func TestLimitThatRests(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	if _, err := r.chain.MineN(t.Context(), 60, beacon.Empty()); err != nil {
		t.Fatal(err)
	}
	_, url := gateway(t, r, proxy.RPCFaults{MaxBatch: 10, Refusal: http.StatusTooManyRequests, RetryAfter: "1"})
	_, state := follower(t, through(r, url, false, nil), 1)
	reach(t, state, r.head())
}

// A block is proven by whatever receipts an endpoint has, with what fields they need, and state is read by number where
// a hash is not known.
func TestOneWayIsEnough(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedDelay: 1000})
	r.mine(r.tx(geth.DevKey(4), r.inbox(), bindings.PackForce(l1.EncodeTxs([][]byte{{1}}))), r.proposeTx(payload("a"), 0))
	height := r.head().Height
	truth := fetch(t, r.client(nil), height, height+1)
	state := r.state()
	const block, raw, single = "eth_getBlockReceipts", "debug_getRawReceipts", "eth_getTransactionReceipt"
	for name, f := range map[string]proxy.RPCFaults{
		"raw receipts":       {Lacks: []string{block}},
		"receipts by one":    {Lacks: []string{block, raw}},
		"one by one at once": {Lacks: []string{block, raw}, MaxBatch: 1, Refusal: 403},
		"few fields": {StripReceipts: []string{"transactionHash", "gasUsed", "logsBloom", "effectiveGasPrice", "blockHash", "blockNumber",
			"transactionIndex", "logIndex", "removed", "from", "to", "contractAddress"}},
		"no objects":   {NoHashes: true},
		"one input":    {OneInput: true},
		"another type": {ContentType: "text/plain"},
	} {
		for _, socket := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, socket %t", name, socket), func(t *testing.T) {
				sub := *r
				sub.t = t
				g, url := gateway(t, &sub, f)
				c := through(&sub, url, socket, func(o *ethereum.Options) { o.CallTimeout = 2 * time.Second })
				for range 3 {
					if got := fetch(t, c, height, height+1); !reflect.DeepEqual(got, truth) {
						t.Errorf("got %+v, want %+v", got, truth)
					}
				}
				most := 1
				if f.MaxBatch > 0 && socket {
					most = 2 // a batch that nobody answers ends its connection, and with it what is known of the endpoint
				}
				if got := g.Calls(block); slices.Contains(f.Lacks, block) && got > most {
					t.Errorf("%s was called %d times, want %d at most", block, got, most)
				}
				if got, err := c.State(t.Context(), l1.Hash(r.chain.Head().Hash())); err != nil || got != state {
					t.Errorf("state: got %+v, %v, want %+v", got, err, state)
				}
				if queue, err := c.Queue(t.Context(), l1.Hash(r.chain.Head().Hash()), 9); err != nil || len(queue) != 1 {
					t.Errorf("queue: got %+v, %v", queue, err)
				}
				if got, err := c.State(t.Context(), l1.Hash{9}); err == nil {
					t.Errorf("state of a block that is not there: got %+v", got)
				}
			})
		}
	}
	t.Run("none", func(t *testing.T) {
		_, url := gateway(t, r, proxy.RPCFaults{Lacks: []string{block, raw, single}})
		_, err := tryFetch(t.Context(), through(r, url, false, nil), height, height+1)
		if err == nil || !strings.Contains(err.Error(), "must serve eth_getBlockReceipts, debug_getRawReceipts or eth_getTransactionReceipt") {
			t.Errorf("got %v, want an error that says what is missing", err)
		}
	})
}

// A node that has no EIP-1898 objects and another branch at the height gives no state of that branch.
func TestNumberIsOfTheHash(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	_, url := gateway(t, r, proxy.RPCFaults{NoHashes: true})
	c := through(r, url, false, nil)
	fork := r.head()
	r.propose(payload("a"))
	gone := l1.Hash(r.chain.Head().Hash())
	r.check(r.chain.SetHead(t.Context(), [32]byte(fork.Hash)))
	if _, err := r.chain.Mine(t.Context(), beacon.Empty()); err != nil {
		t.Fatal(err)
	}
	if got, err := c.State(t.Context(), gone); !errors.Is(err, l1.ErrNotFound) || strings.Contains(err.Error(), "invalid block number") {
		t.Errorf("got %+v, %v, want that the block is not there, and no other reason", got, err)
	}
}

// An announcement that lacks something costs a call and no subscription, and a socket without subscriptions is polled.
func TestAnyNews(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	for name, test := range map[string]struct {
		faults      proxy.RPCFaults
		mode        string
		subscribing int
	}{
		"whole":           {proxy.RPCFaults{}, "websocket", 1},
		"a field missing": {proxy.RPCFaults{StripPushed: []string{"mixHash"}}, "websocket", 1},
		"hash and number": {proxy.RPCFaults{StripPushed: []string{"mixHash", "logsBloom", "parentHash", "stateRoot", "timestamp", "gasLimit", "extraData"}}, "websocket", 1},
		"nothing":         {proxy.RPCFaults{StripPushed: []string{"mixHash", "hash", "number"}}, "websocket", 1},
		"no subscription": {proxy.RPCFaults{Lacks: []string{"eth_subscribe"}}, "polling", 1},
	} {
		t.Run(name, func(t *testing.T) {
			sub := *r
			sub.t = t
			g, url := gateway(t, &sub, test.faults)
			c := through(&sub, url, true, func(o *ethereum.Options) { o.Redial = time.Hour })
			_, state := follower(t, c, r.head().Height+1)
			for range 16 {
				sub.propose(payload("a"))
				reach(t, state, sub.head())
			}
			if got := g.Calls("eth_subscribe"); got != test.subscribing {
				t.Errorf("subscribed %d times, want %d", got, test.subscribing)
			}
			if got := c.Endpoints()[0]; got.Mode != test.mode || !got.Healthy {
				t.Errorf("status: got %+v, want mode %s", got, test.mode)
			}
		})
	}
}

// A dev chain is put back to before an earlier transaction of the account while one is under way. No block will ever have
// that one: sending it again leads nowhere, and after a while it is given up.
func TestEarlierTransactionIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	g, url := gateway(t, r, proxy.RPCFaults{})
	looks := watch.New(0) // at the head
	c := through(r, url, false, func(o *ethereum.Options) {
		o.Observer.Called = func(method string, _ int, _ time.Duration, _ error) {
			if method == "eth_getBlockByNumber" {
				looks.Update(func(n int) int { return n + 1 })
			}
		}
	})
	a := ethereum.NewAccount(c, geth.DevKey(5), ethereum.AccountOptions{Content: ethereum.CallData, Resend: 600 * time.Millisecond})
	base := r.chain.Head()
	r.mining(func(ctx context.Context) {
		_, err := a.Force(ctx, [][]byte{{1}})
		r.check(err)
	})
	ended := make(chan error, 1)
	go func() {
		_, err := a.Force(t.Context(), [][]byte{{2}})
		ended <- err
	}()
	look := func(n int) {
		t.Helper()
		now := looks.Load()
		if _, err := looks.Wait(t.Context(), func(at int) bool { return at >= now+n }); err != nil {
			t.Fatal(err)
		}
	}
	look(25) // it is sent, and waited for
	r.check(r.chain.SetHead(t.Context(), base.Hash()))
	look(2)
	sent := g.Calls("eth_sendRawTransaction")
	if err := <-ended; !errors.Is(err, l1.ErrUnknownOutcome) {
		t.Errorf("got %v, want an unknown outcome", err)
	}
	if got := g.Calls("eth_sendRawTransaction"); got != sent {
		t.Errorf("it was sent %d times more while an earlier one was missing", got-sent)
	}
}
