package ethereum_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/devnet/geth"
	"headrace/devnet/proxy"
	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// slowLink puts a link of so many bytes a second before an address.
func slowLink(t *testing.T, address string, rate int) (*proxy.Proxy, string) {
	t.Helper()
	scheme, host, _ := strings.Cut(address, "://")
	link, err := proxy.New(host, 0)
	if err != nil {
		t.Fatal(err)
	}
	link.SetRate(rate)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = link.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return link, scheme + "://" + link.Address()
}

// TestSlowLinks: blocks whose content takes many times as long as any time-out are followed, over each transport, and
// blobs too: bytes that come in are progress, of the call and of the fetch. On the slowest link blocks that are read at
// the same time are each below the lowest rate, and above it alone.
func TestSlowLinks(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	r := newRig(t, geth.Prague, l1.Settings{})
	start := r.head().Height
	noise := rand.NewChaCha8([32]byte{1}) // which no transport makes shorter
	for range 4 {
		r.propose(random(noise, 50_000))
	}
	inCalls := r.head()
	account := r.account(r.client(nil), r.proposer, ethereum.Blobs)
	r.mining(func(ctx context.Context) {
		_, err := account.Propose(ctx, draft(r.state().NextID, string(random(noise, 50_000))))
		r.check(err)
	})
	for name, test := range map[string]struct {
		rate           int
		socket, beacon bool
	}{
		"http":                  {rate: 150_000},
		"websocket":             {rate: 150_000, socket: true},
		"blobs":                 {rate: 100_000, beacon: true},
		"http, one at a time":   {rate: 40_000},
		"socket, one at a time": {rate: 40_000, socket: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := start, inCalls
			if test.beacon {
				from, to = inCalls.Height, r.head()
			}
			var link *proxy.Proxy
			c := r.client(func(o *ethereum.Options) {
				o.CallTimeout = timeout
				switch {
				case test.beacon:
					var at string
					link, at = slowLink(t, r.beacon.URL, test.rate)
					o.Beacon = httpc.At(at)
				case test.socket:
					var at string
					link, at = slowLink(t, r.node.WS(), test.rate)
					o.HTTP, o.WS = nil, httpc.At(at)
				default:
					var at string
					link, at = slowLink(t, r.node.HTTP(), test.rate)
					o.HTTP, o.WS = httpc.At(at), nil
				}
			})
			sink := followtest.NewSink[l1.Block](from)
			f := follow.New[l1.Block](fetched{c, r.head()}, sink, follow.Options{FetchStall: 3 * timeout, Backoff: follow.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond}})
			ctx, cancel := context.WithCancel(context.Background())
			var work sync.WaitGroup
			work.Go(func() { _ = f.Run(ctx) })
			defer work.Wait()
			defer cancel()
			reached, end := context.WithTimeout(t.Context(), time.Minute)
			defer end()
			s, err := f.State().Wait(reached, func(s follow.State) bool { return s.Last.Height >= to.Height })
			if err != nil {
				t.Fatalf("got %v, want %v: %v (waiting %+v); %d bytes have come", s.Last, to, err, s.Waiting, link.Passed())
			}
			if err := sink.Err(); err != nil {
				t.Error(err)
			}
			t.Logf("%d bytes have come", link.Passed())
		})
	}
}

func random(from *rand.ChaCha8, n int) []byte {
	b := make([]byte, n)
	_, _ = from.Read(b) // never fails
	return b
}

// fetched is a source that announces one head, without its content.
type fetched struct {
	follow.Source[l1.Block]
	head follow.Ref
}

func (f fetched) Subscribe(ctx context.Context, update func(follow.Update[l1.Block])) error {
	update(follow.Update[l1.Block]{Head: f.head})
	<-ctx.Done()
	return context.Cause(ctx)
}
