package celestia_test

import (
	"context"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/follow"
	"headrace/internal/httpc"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start")) // of the reference library
}

var alpha, beta = da.NamespaceFromName("alpha"), da.NamespaceFromName("beta")

// newChain returns a chain whose blocks are made by Produce.
func newChain(t testing.TB, opt local.Options) *local.Chain {
	t.Helper()
	if opt.Interval == 0 {
		opt.Interval = -1
	}
	chain, err := local.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chain.Close() })
	return chain
}

// serve serves a chain on the loopback until the test ends, and returns the address.
func serve(t testing.TB, chain celestia.Chain, opt celestia.HandlerOptions) string {
	t.Helper()
	opt.OldAPI = opt.OldAPI || os.Getenv(oldAPI) != ""
	address, _ := serveHandler(t, celestia.NewHandler(chain, opt))
	return address
}

// serveHandler also returns what stops it.
func serveHandler(t testing.TB, h *celestia.Handler) (string, func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := h.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	stop := func() { cancel(); work.Wait() }
	t.Cleanup(stop)
	return "http://" + l.Addr().String(), stop
}

// newClient is measuring, but for a test that is none of the watchdog: what a busy machine is late by shows nothing there.
func newClient(t testing.TB, address string, opt celestia.Options) *celestia.Client {
	t.Helper()
	if opt.BlockTime == 0 && (opt.Probe == 0 || opt.Probe >= time.Minute) {
		opt.BlockTime = time.Minute
	}
	return measuring(t, address, opt)
}

// measuring returns a client that measures the block time if the options do not say it.
func measuring(t testing.TB, address string, opt celestia.Options) *celestia.Client {
	t.Helper()
	c, err := celestia.New(httpc.At(address), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// deadline is only for a test that hangs.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// submit puts blobs into the chain's next block.
func submit(t testing.TB, chain *local.Chain, blobs ...da.Blob) uint64 {
	t.Helper()
	ctx := deadline(t)
	var work sync.WaitGroup
	defer work.Wait()
	var height uint64
	work.Go(func() {
		var err error
		if height, err = chain.Submit(ctx, blobs); err != nil {
			t.Error(err)
		}
	})
	if _, err := chain.Pending().Wait(ctx, func(n int) bool { return n > 0 }); err != nil {
		t.Fatal(err)
	}
	if _, err := chain.Produce(); err != nil {
		t.Fatal(err)
	}
	work.Wait()
	return height
}

// run makes blocks by the chain's clock until the test ends.
func run(t testing.TB, chain *local.Chain) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = chain.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
}

func produce(t testing.TB, chain *local.Chain, n int) {
	t.Helper()
	for range n {
		if _, err := chain.Produce(); err != nil {
			t.Fatal(err)
		}
	}
}

func blob(ns da.Namespace, data string) da.Blob {
	return da.Blob{Namespace: ns, Data: []byte(data), Index: -1}
}

// subscribe runs a subscription until the test ends, and returns its updates.
func subscribe(t testing.TB, c *celestia.Client) <-chan follow.Update[da.Block] {
	t.Helper()
	out := make(chan follow.Update[da.Block], 1024)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		err := c.Subscribe(ctx, func(u follow.Update[da.Block]) { out <- u })
		if ctx.Err() == nil {
			t.Errorf("subscription ended: %v", err)
		}
		close(out)
	})
	t.Cleanup(func() { cancel(); work.Wait() })
	return out
}

func next(t testing.TB, updates <-chan follow.Update[da.Block]) follow.Update[da.Block] {
	t.Helper()
	select {
	case u, ok := <-updates:
		if !ok {
			t.Fatal("subscription ended")
		}
		return u
	case <-time.After(time.Minute): // a watchdog over the other end
		t.Fatal("no update within a minute")
	}
	panic("unreachable")
}
