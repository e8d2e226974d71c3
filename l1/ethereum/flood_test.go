package ethereum_test

import (
	"context"
	"math/big"
	"net/http/httptest"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/watch"
)

// flood is an endpoint that announces many heads at once.
type flood struct {
	begin chan struct{} // closed by the test
	done  chan struct{} // closed when all is announced
}

const floodHeads = 25_000 // go-ethereum's client drops a subscription with 20,000 heads unread

func floodHeader(n int64) *types.Header {
	return &types.Header{Number: big.NewInt(n), Difficulty: new(big.Int)}
}

func (f *flood) ChainId() hexutil.Uint64                       { return 1 }
func (f *flood) GetBlockByNumber(string, bool) *types.Header   { return floodHeader(0) }
func (f *flood) GetCode(string, rpc.BlockNumber) hexutil.Bytes { return hexutil.Bytes{1} }

func (f *flood) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	sub := notifier.CreateSubscription()
	go func() {
		defer close(f.done)
		select {
		case <-f.begin:
		case <-sub.Err():
			return
		}
		for n := range int64(floodHeads) {
			if notifier.Notify(sub.ID, floodHeader(n+1)) != nil {
				return
			}
		}
	}()
	return sub, nil
}

// P27: an onlooker that does not look for a while loses no subscription; when it looks again it sees the latest head.
func TestSlowOnlooker(t *testing.T) {
	if raceEnabled {
		t.Skip("takes half a minute under the race detector")
	}
	f := &flood{begin: make(chan struct{}), done: make(chan struct{})}
	server := rpc.NewServer()
	if err := server.RegisterName("eth", f); err != nil {
		t.Fatal(err)
	}
	endpoint := httptest.NewServer(server.WebsocketHandler([]string{"*"}))
	defer endpoint.Close()
	defer server.Stop()
	c, err := ethereum.New(ethereum.Options{WS: httpc.At("ws" + endpoint.URL[len("http"):]), ChainID: 1, Inbox: l1.Address{1}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	head := watch.New(uint64(0))
	ended := make(chan error, 1) // from the goroutine below
	go func() {
		updates := 0
		ended <- c.Subscribe(ctx, func(u follow.Update[l1.Block]) {
			if updates++; updates == 1 {
				close(f.begin)
				<-f.done
			}
			head.Set(u.Head.Height)
		})
		head.Close(nil)
	}()
	waitFor(t, head, floodHeads)
	cancel()
	if err := <-ended; err == nil {
		t.Error("Subscribe returned nil")
	}
}
