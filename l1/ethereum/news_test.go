package ethereum_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/devnet/geth"
	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/watch"
)

func waitFor[T comparable](t *testing.T, v *watch.Value[T], want T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only for a test that hangs
	defer cancel()
	if got, err := v.Wait(ctx, func(got T) bool { return got == want }); err != nil {
		t.Fatalf("got %v, want %v: %v", got, want, err)
	}
}

// atLeast waits until a count has come so far: it may have gone further before anybody looks.
func atLeast(t *testing.T, v *watch.Value[int], n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only for a test that hangs
	defer cancel()
	if got, err := v.Wait(ctx, func(got int) bool { return got >= n }); err != nil {
		t.Fatalf("got %d, want %d: %v", got, n, err)
	}
}

// E3: the WebSocket is cut, refused and frozen for a while, with proposals in between. News comes by polling
// meanwhile, and over the socket afterwards.
func TestPollingAndBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	relay := newRelay(t, r.node.WS())
	polling := watch.New(false)
	c := r.client(func(o *ethereum.Options) {
		o.WS = httpc.At(relay.url())
		o.Silence, o.CallTimeout, o.Redial = 50*time.Millisecond, 300*time.Millisecond, 30*time.Millisecond
		o.Observer.Mode = func(_, mode string, _ error) {
			if mode != "" {
				polling.Set(mode == "polling")
			}
		}
	})
	sink, state := follower(t, c, r.head().Height+1)
	start := r.head().Height
	r.propose(payload("socket"))
	reach(t, state, r.head())
	for name, fault := range map[string]struct{ begin, end func() }{
		"down":   {func() { relay.setDown(true) }, func() { relay.setDown(false) }},
		"frozen": {relay.freeze, relay.thaw},
	} {
		fault.begin()
		r.propose(payload(name))
		r.propose(payload(name + " again"))
		waitFor(t, polling, true)
		reach(t, state, r.head())
		r.propose(payload("polling"))
		reach(t, state, r.head())
		fault.end()
		waitFor(t, polling, false)
		r.propose(payload("socket again"))
		reach(t, state, r.head())
	}
	if got, want := sink.Applied(), r.head().Height-start; got != want || sink.Reverted() != 0 {
		t.Errorf("got %d blocks applied and %d reverted, want %d and none", got, sink.Reverted(), want)
	}
}

// A socket that is frozen, with no HTTP endpoint beside it, ends in time; and after the thaw a new one catches up.
func TestFrozenSocketAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	relay := newRelay(t, r.node.WS())
	c := r.client(func(o *ethereum.Options) {
		o.WS, o.HTTP = httpc.At(relay.url()), nil
		o.Silence, o.CallTimeout = 50*time.Millisecond, 200*time.Millisecond
	})
	_, state := follower(t, c, r.head().Height+1)
	r.propose(payload("a"))
	reach(t, state, r.head())
	relay.freeze()
	r.propose(payload("b"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := state.Wait(ctx, func(s follow.State) bool { return s.News.Cause != "" }); err != nil {
		t.Fatalf("the frozen socket was not given up: %v", err)
	}
	relay.thaw()
	reach(t, state, r.head())
}

// muted is an endpoint whose subscriptions are acknowledged and then say nothing.
type muted struct{ real *rpc.Client }

func (m *muted) pass(ctx context.Context, method string, args ...any) (result json.RawMessage, err error) {
	err = m.real.CallContext(ctx, &result, method, args...)
	return result, err
}

func (m *muted) ChainId(ctx context.Context) (json.RawMessage, error) {
	return m.pass(ctx, "eth_chainId")
}

func (m *muted) GetBlockByNumber(ctx context.Context, number string, full bool) (json.RawMessage, error) {
	return m.pass(ctx, "eth_getBlockByNumber", number, full)
}

func (m *muted) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	return notifier.CreateSubscription(), nil
}

// A subscription that says nothing, on a socket that lives, is found out by the watchdog and made again: blocks come
// late, but they come. The watchdog's clock is the L1's block time, where that is known.
func TestMutedSubscription(t *testing.T) {
	for name, change := range map[string]func(*ethereum.Options){
		"by the longest silence": func(o *ethereum.Options) { o.Silence = 20 * time.Millisecond },
		"by the block time":      func(o *ethereum.Options) { o.Silence, o.BlockTime = time.Hour, 10*time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) { testMutedSubscription(t, change) })
	}
}

func testMutedSubscription(t *testing.T, change func(*ethereum.Options)) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	server := rpc.NewServer()
	if err := server.RegisterName("eth", &muted{r.eth.Client()}); err != nil {
		t.Fatal(err)
	}
	endpoint := httptest.NewServer(server.WebsocketHandler([]string{"*"}))
	t.Cleanup(func() { server.Stop(); endpoint.Close() })
	silent := watch.New(0)
	c := r.client(func(o *ethereum.Options) {
		o.WS = httpc.At("ws" + endpoint.URL[len("http"):])
		change(o)
		o.Observer.Mode = func(_, mode string, err error) {
			if mode == "" && strings.Contains(err.Error(), "the subscription did not announce it") {
				silent.Update(func(n int) int { return n + 1 })
			}
		}
	})
	_, state := follower(t, c, r.head().Height+1)
	for n := range 3 {
		before := silent.Load()
		r.propose(payload("a"))
		reach(t, state, r.head())
		if n > 0 && silent.Load() == before {
			t.Error("the block came without the watchdog")
		}
	}
}

// The L1 node is killed and comes back, with blocks lost and given again: the follower goes on where it was.
func TestNodeRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	sink, state := follower(t, r.client(nil), r.head().Height+1)
	r.propose(payload("a"))
	reach(t, state, r.head())
	r.node.Kill()
	r.check(r.node.Restart(t.Context()))
	var lost []common.Hash
	for n := uint64(1); n <= r.chain.Head().Number(); n++ {
		b, _ := r.chain.At(n)
		lost = append(lost, b.Hash())
	}
	for _, hash := range lost { // one by one: it may have kept a block and lost the state under it
		r.check(r.chain.SetHead(t.Context(), hash))
	}
	r.propose(payload("b"))
	reach(t, state, r.head())
	if sink.Reverted() != 0 {
		t.Errorf("%d blocks were reverted: a node that is behind is not a reorg", sink.Reverted())
	}
}
