package l1_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"headrace/block"
	"headrace/devnet/beacon"
	"headrace/l1"
	"headrace/node"
)

// teller is a WebSocket endpoint of the L1 that announces what the test says, and nothing else.
type teller struct {
	w      *world
	server *rpc.Server

	mu        sync.Mutex // guards the rest
	subscribe func()     // called once, while a subscription is being made
	to        *rpc.Notifier
	sub       *rpc.Subscription
}

func newTeller(w *world) (t *teller, url string) {
	w.t.Helper()
	t = &teller{w: w, server: rpc.NewServer()}
	w.check(t.server.RegisterName("eth", &telling{t}))
	s := httptest.NewServer(t.server.WebsocketHandler([]string{"*"}))
	w.t.Cleanup(func() { t.server.Stop(); s.Close() })
	return t, "ws" + strings.TrimPrefix(s.URL, "http")
}

// announce tells of a block.
func (t *teller) announce(b *beacon.Block) {
	t.w.t.Helper()
	var header json.RawMessage
	t.w.check(t.w.eth.Client().CallContext(t.w.ctx, &header, "eth_getBlockByHash", b.Hash(), false))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.w.check(t.to.Notify(t.sub.ID, header))
}

// telling are the endpoint's methods.
type telling struct{ t *teller }

func (m *telling) pass(ctx context.Context, method string, args ...any) (result json.RawMessage, err error) {
	err = m.t.w.eth.Client().CallContext(ctx, &result, method, args...)
	return result, err
}

func (m *telling) ChainId(ctx context.Context) (json.RawMessage, error) {
	return m.pass(ctx, "eth_chainId")
}

func (m *telling) GetBlockByNumber(ctx context.Context, number string, full bool) (json.RawMessage, error) {
	return m.pass(ctx, "eth_getBlockByNumber", number, full)
}

func (m *telling) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	to, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if f := m.t.subscribe; f != nil {
		m.t.subscribe = nil
		f()
	}
	m.t.to, m.t.sub = to, to.CreateSubscription()
	return m.t.sub, nil
}

// prompt is below the time after which a client looks into the silence of an L1 with blocks of 30 s, and long for a busy
// machine.
const prompt = time.Minute

// TestNews is P35, P38 and S23: a proposal that is made while the node subscribes is announced by nobody, and no
// other L1 block may ever come: the node has it all the same. What is announced twice, late, or leaving some out,
// makes each block once.
func TestNews(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a := w.lightAuthor()
	teller, url := newTeller(w)
	var mu sync.Mutex
	applied := map[block.Hash]int{}
	w.propose(a.many(1)...)
	between := a.next(a.tx())
	teller.subscribe = func() { w.propose(between) }
	began := time.Now()
	m := w.light(func(o *node.Options) {
		o.Config.L1.WS = node.At(url)
		o.Config.L1.BlockTime = "30s" // a busy machine's pauses between two blocks are no silence
		o.Observer.Applied = func(a node.Applied) {
			mu.Lock()
			defer mu.Unlock()
			applied[a.Ref.Hash]++
		}
	})
	m.until("the proposal between", func(s node.Status) bool { return s.Proposal.ID == 2 && s.Heads.Safe == between.Ref() })
	if took := time.Since(began); took > prompt {
		t.Errorf("the proposal between was there after %s, want it at once, and not when the silence was looked into", took)
	}
	m.open()
	subscribed := m.Status().Load().Counts.Subscriptions

	var blocks []*beacon.Block
	for range 4 {
		blocks = append(blocks, w.propose(a.many(1)...), w.mine())
	}
	for _, i := range []int{1, 1, 0, 6, 2, 6, 1, 7, 7, 5, 7} {
		teller.announce(blocks[i])
	}
	m.canonical(6, a.tip())
	teller.announce(blocks[0])
	teller.announce(blocks[7])
	last := w.propose(a.many(1)...)
	teller.announce(last)
	s := m.canonical(7, a.tip())
	if s.Proposal.Reorgs != 0 || s.Counts.Subscriptions != subscribed {
		t.Fatalf("got %+v, %+v, want no reorg and one subscription", s.Proposal, s.Counts)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, b := range a.blocks {
		if n := applied[b.Hash()]; n != 1 {
			t.Errorf("block %d was applied %d times, want once", b.Height(), n)
		}
	}
	m.chain(a.blocks)
}
