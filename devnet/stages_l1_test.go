package devnet_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"headrace/devnet"
	"headrace/devnet/geth/gethtest"
	"headrace/devnet/proxy"
	"headrace/follow"
	"headrace/internal/latetest"
	"headrace/node"
)

// l1End is what stands between a node and its L1: a link, and behind it a gateway.
type l1End struct {
	link *proxy.Proxy
	rpc  atomic.Pointer[proxy.RPC]
	ws   string      // the L1's address for WebSockets
	http atomic.Bool // nothing else goes through
}

func newL1End(t *testing.T, ws string) *l1End {
	t.Helper()
	e := &l1End{ws: ws}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.http.Load() && r.Header.Get("Upgrade") != "" {
			http.Error(w, "no", http.StatusNotFound)
			return
		}
		e.rpc.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		if g := e.rpc.Load(); g != nil {
			g.Close()
		}
	})
	var err error
	if e.link, err = proxy.New(s.Listener.Addr().String(), 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = e.link.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return e
}

// well ends all faults.
func (e *l1End) well() {
	e.rpc.Load().Set(proxy.RPCFaults{})
	e.http.Store(false)
	e.link.Cut(false)
	e.link.Freeze(false)
	e.link.SetDelay(0)
	e.link.SetRate(0)
}

// l1Hindrance is hindrance for an L1.
type l1Hindrance struct {
	name  string
	begin func(*l1End)
	effect
}

// l1Hindrances are all faults of package proxy that an L1's endpoint can have. A row's name begins with that of a field
// of proxy.RPCFaults, or of a method of proxy.Proxy.
func l1Hindrances() []l1Hindrance {
	rpc := func(f proxy.RPCFaults) func(*l1End) { return func(e *l1End) { e.rpc.Load().Set(f) } }
	anew := func(f proxy.RPCFaults) func(*l1End) {
		return func(e *l1End) { e.rpc.Load().Set(f); e.link.Cut(false) }
	}
	lacks := func(methods ...string) func(*l1End) { return rpc(proxy.RPCFaults{Lacks: methods}) }
	const stands = `no new L1 block for`
	return []l1Hindrance{
		{"Cut", func(e *l1End) { e.link.Cut(true) }, stops(`.`, follow.StageSubscribe)},
		{"Cut once", func(e *l1End) { e.link.Cut(false) }, ready("it connects anew at once")},
		{"Freeze", func(e *l1End) { e.link.Freeze(true) }, stops(stands, follow.StageHead)},
		{"Swallow", func(e *l1End) { e.link.Swallow() }, stops(stands, follow.StageHead).heals("a dead connection is found out, and it connects anew")},
		{"SetDelay", func(e *l1End) { e.link.SetDelay(layerTime / 2) }, ready("less than a block's time is none")},
		{"SetDelay, long", func(e *l1End) { e.link.SetDelay(20 * layerTime) }, stops(`.`, follow.StageHead, follow.StageFetch, follow.StageCatchUp)},
		{"SetRate", func(e *l1End) { e.link.SetRate(1 << 20) }, ready("it is enough")},
		{"SetRate, little", func(e *l1End) { e.link.SetRate(200) }, stops(`.`, follow.StageHead, follow.StageFetch, follow.StageCatchUp)},
		{"Down", rpc(proxy.RPCFaults{Down: true}), stops(`.`, follow.StageFetch, follow.StageSubscribe)},
		{"Down, anew", anew(proxy.RPCFaults{Down: true}), stops(`.`, follow.StageSubscribe)},
		{"Refuse", rpc(proxy.RPCFaults{Refuse: 503}), stops(stands+`|503|was announced`, follow.StageHead, follow.StageEndpoint, follow.StageFetch).later(`503`)},
		{"Refuse, sockets alone", func(e *l1End) { e.http.Store(true); e.link.Cut(false) }, ready("the head is asked for over HTTP")},
		{"Refuse, anew", anew(proxy.RPCFaults{Refuse: 401}), stops(`401`, follow.StageSubscribe)},
		{"RetryAfter", anew(proxy.RPCFaults{Refuse: 429, RetryAfter: "1"}), stops(`429`, follow.StageSubscribe)},
		{"ContentType", rpc(proxy.RPCFaults{ContentType: "text/html"}), ready("what it says is JSON all the same")},
		{"MaxBatch", rpc(proxy.RPCFaults{MaxBatch: 1}), ready("it is asked for less")},
		{"Refusal", rpc(proxy.RPCFaults{MaxBatch: 1, Refusal: 413}), ready("it is asked for less")},
		{"Lacks what there is another way for", lacks("eth_getBlockReceipts"), ready("receipts are asked for one by one")},
		{"Lacks subscriptions", anew(proxy.RPCFaults{Lacks: []string{"eth_subscribe"}}), ready("the head is asked for")},
		{"Lacks blocks", anew(proxy.RPCFaults{Lacks: []string{"eth_getBlockByHash", "eth_getBlockByNumber"}}), stops(`.`, follow.StageSubscribe, follow.StageFetch)},
		{"NoHashes", rpc(proxy.RPCFaults{NoHashes: true}), ready("blocks are named by number")},
		{"OneInput", rpc(proxy.RPCFaults{OneInput: true}), ready("a call names its input in one way")},
		{"StripReceipts", rpc(proxy.RPCFaults{StripReceipts: []string{"logs", "logsBloom"}}), stops(`.`, follow.StageFetch)},
		{"StripPushed", rpc(proxy.RPCFaults{StripPushed: []string{"hash", "parentHash", "logsBloom"}}), ready("what is announced is asked for")},
	}
}

// sends is what a transaction is sent by.
const sends = "eth_sendRawTransaction"

// notFaults are methods that do nothing to what passes.
var notFaults = map[string]bool{"Address": true, "Passed": true, "Run": true}

// Every fault that an L1's endpoint can have has a row.
func TestNotReadyForAllFaultsOfAnL1(t *testing.T) {
	var faults []string
	for f := range reflect.TypeFor[proxy.RPCFaults]().Fields() {
		faults = append(faults, f.Name)
	}
	for m := range reflect.TypeFor[*proxy.Proxy]().Methods() {
		if !notFaults[m.Name] {
			faults = append(faults, m.Name)
		}
	}
	for _, f := range faults {
		if !slices.ContainsFunc(l1Hindrances(), func(h l1Hindrance) bool { return strings.HasPrefix(h.name, f) }) {
			t.Errorf("no row says what fault %s means for readiness", f)
		}
	}
}

// TestNotReadyForFaultsOfAnL1 is TestNotReadyForFaults for the endpoints of an L1, which is a real one, and then for what
// a gateway answers to its sequencer.
func TestNotReadyForFaultsOfAnL1(t *testing.T) {
	t.Parallel()
	gethtest.Binary(t) // or skip
	rows := l1Hindrances()
	ends := make([]*l1End, len(rows)+1)
	var fault atomic.Pointer[proxy.Fault] // of what the sequencer sends
	fault.Store(&proxy.Fault{})
	n, err := devnet.NewL1(bounded(t), devnet.L1Options{
		Nodes: len(rows), KV: true, BlockTime: layerTime / 2, L1BlockTime: layerTime, TxRate: 1,
		Through: func(i int, address string) (string, error) {
			if ends[i] == nil {
				ends[i] = newL1End(t, address)
				return ends[i].link.Address(), nil
			}
			ends[i].rpc.Store(proxy.NewRPC("http://"+address, "ws://"+ends[i].ws))
			if i > 0 {
				return ends[i].link.Address(), nil
			}
			g, err := proxy.NewGateway("http://"+address, proxy.GatewayOptions{Fault: func(_ *http.Request, body []byte) proxy.Fault {
				if bytes.Contains(body, []byte(sends)) {
					return *fault.Load()
				}
				return proxy.Fault{}
			}})
			if err != nil {
				return "", err
			}
			s := httptest.NewServer(g)
			t.Cleanup(func() { s.CloseClientConnections(); s.Close(); _ = g.Close() })
			return s.Listener.Addr().String(), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, n.Run)
	busy := &lateness{Meter: latetest.New(t)}
	seq := n.Nodes()[0]
	busy.follow(t, seq, layerTime)
	watch := func(t *testing.T, n *node.Node) *monitor {
		m := &monitor{T: t, n: n, busy: busy, bound: 3*layerTime + layerTime/2}
		m.until("well", func(s node.Status) bool {
			return s.Ready && s.Source.Live && s.Heads.Safe.Height >= 10 && s.Chain.Quiet != ""
		})
		return m
	}
	var all sync.WaitGroup
	for i, h := range rows {
		all.Go(func() {
			t.Run(h.name, func(t *testing.T) {
				e := ends[i+1]
				h.of(watch(t, n.Nodes()[i+1]), func() { h.begin(e) }, e.well, seq)
			})
		})
	}
	all.Wait()
	for _, h := range []struct {
		name  string
		fault proxy.Fault
		effect
	}{
		{"Status", proxy.Fault{Status: 403}, stops(sends, follow.StageSubmit)},
		{"Broken", proxy.Fault{Broken: true}, stops(`.`, follow.StageSubmit)},
		{"Error", proxy.Fault{Error: `{"code":-32000,"message":"not today"}`}, stops(`not today|has not answered`, follow.StageSubmit).later(`not today`)},
		{"Node", proxy.Fault{Status: 502, Node: proxy.Answered}, ready("what is reported as failed is looked for, and found")},
	} {
		t.Run("a gateway's "+h.name, func(t *testing.T) {
			h.of(watch(t, seq), func() {
				ends[0].rpc.Load().Set(proxy.RPCFaults{Lacks: []string{sends}}) // by its WebSocket nothing is sent
				fault.Store(&h.fault)
			}, func() { ends[0].rpc.Load().Set(proxy.RPCFaults{}); fault.Store(&proxy.Fault{}) }, seq)
		})
	}
}
