package celestia_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/follow"
	"headrace/internal/httpc"
)

// TestSubmitRaisesFee: a price below the node's minimum is raised to it, once for all, and not beyond what is allowed.
func TestSubmitRaisesFee(t *testing.T) {
	chain := newChain(t, local.Options{Interval: 10 * time.Millisecond})
	run(t, chain)
	url := serve(t, chain, celestia.HandlerOptions{MinGasPrice: 0.01})
	c := newClient(t, url, celestia.Options{GasPrice: 0.001, MaxGasPrice: 0.02})
	for range 2 {
		if _, err := c.Submit(deadline(t), []da.Blob{blob(alpha, "x")}); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Stats().Submissions; got != 3 {
		t.Errorf("requests for two submissions: got %d, want 3", got)
	}
	poor := newClient(t, url, celestia.Options{GasPrice: 0.001, MaxGasPrice: 0.005})
	if _, err := poor.Submit(deadline(t), []da.Blob{blob(alpha, "x")}); !errors.Is(err, da.ErrFee) {
		t.Errorf("with too low a maximum: got %v, want ErrFee", err)
	}
	for _, bad := range []celestia.Options{{GasPrice: -1}, {Priority: 4}} {
		if _, err := celestia.New(httpc.At(url), bad); err == nil {
			t.Errorf("options %+v were taken", bad)
		}
	}
}

// TestSubmitKeys: accounts are used in turn, and one that there is not is said so.
func TestSubmitKeys(t *testing.T) {
	chain := newChain(t, local.Options{Interval: 10 * time.Millisecond})
	run(t, chain)
	url := serve(t, chain, celestia.HandlerOptions{Keys: []string{"one"}})
	c := newClient(t, url, celestia.Options{Keys: []string{"one", "two"}})
	ctx := deadline(t)
	if _, err := c.Submit(ctx, []da.Blob{blob(alpha, "x")}); err != nil {
		t.Error(err)
	}
	if _, err := c.Submit(ctx, []da.Blob{blob(alpha, "x")}); !errors.Is(err, da.ErrRejected) {
		t.Errorf("unknown key: got %v, want ErrRejected", err)
	}
}

// TestSubmitOutcome: what certainly was not posted is told from what may have been.
func TestSubmitOutcome(t *testing.T) {
	for _, test := range []struct {
		kind   fault.Kind
		want   error
		posted int
	}{
		{fault.SubmitReject, da.ErrRejected, 0},
		{fault.SubmitLost, da.ErrUnknownOutcome, 1},
		{fault.SubmitTimeout, da.ErrUnknownOutcome, 0},
		{fault.Disconnect, da.ErrUnknownOutcome, 1},
		{fault.HalfOpen, da.ErrUnknownOutcome, 1},
		{fault.Refuse, da.ErrRateLimited, 0},
		{fault.Unauthorized, da.ErrUnauthorized, 0},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			t.Parallel()
			chain := newChain(t, local.Options{})
			faults := &fault.Set{}
			url := serve(t, chain.View(faults), celestia.HandlerOptions{Faults: faults})
			c := newClient(t, url, celestia.Options{SubmitTimeout: 300 * time.Millisecond})
			addFault(t, faults, fault.Fault{Kind: test.kind})
			var work sync.WaitGroup
			defer work.Wait()
			ctx, cancel := context.WithCancel(deadline(t))
			defer cancel()
			work.Go(func() {
				if _, err := chain.Pending().Wait(ctx, func(n int) bool { return n > 0 }); err == nil {
					produce(t, chain, 1)
				}
			})
			_, err := c.Submit(ctx, []da.Blob{blob(alpha, "x")})
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			cancel()
			work.Wait()
			n := 0
			for h := uint64(1); h <= chain.Head().Load().Height; h++ {
				posted, err := chain.Blobs(h, alpha)
				if err != nil {
					t.Fatal(err)
				}
				n += len(posted)
			}
			if n != test.posted {
				t.Errorf("posted %d times, want %d", n, test.posted)
			}
		})
	}
}

// TestSubmitFailover: an endpoint that is not there is passed over.
func TestSubmitFailover(t *testing.T) {
	chain := newChain(t, local.Options{Interval: 10 * time.Millisecond})
	run(t, chain)
	c, err := celestia.New(httpc.At("http://127.0.0.1:1", serve(t, chain, celestia.HandlerOptions{})), celestia.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Submit(deadline(t), []da.Blob{blob(alpha, "x")}); err != nil {
		t.Error(err)
	}
	if got := c.Endpoints(); got[0].Healthy || !got[1].Healthy || got[0].LastError == "" {
		t.Errorf("endpoints: %+v", got)
	}
}

// TestSubmitTimeout: a submission waits for a dozen blocks, however slow or fast they come, but has time to get there;
// unless somebody says otherwise.
func TestSubmitTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		opt  celestia.Options
		want time.Duration
	}{
		"not known":        {celestia.Options{}, 72 * time.Second},
		"slow":             {celestia.Options{BlockTime: 40 * time.Second}, 8 * time.Minute},
		"usual":            {celestia.Options{BlockTime: 3 * time.Second}, 36 * time.Second},
		"fast":             {celestia.Options{BlockTime: 50 * time.Millisecond}, 30 * time.Second},
		"as somebody says": {celestia.Options{BlockTime: 40 * time.Second, SubmitTimeout: time.Second}, time.Second},
	} {
		if got := measuring(t, "http://127.0.0.1:1", c.opt).SubmitTimeout(); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

// TestSubmitTimeoutIsMeasured: while nobody knows the block time, it is that of the blocks that come.
func TestSubmitTimeoutIsMeasured(t *testing.T) {
	chain := newChain(t, local.Options{Interval: 10 * time.Millisecond})
	run(t, chain)
	c := measuring(t, serve(t, chain, celestia.HandlerOptions{}), celestia.Options{Namespaces: []da.Namespace{alpha}, Hold: time.Millisecond})
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	_ = c.Subscribe(ctx, func(follow.Update[da.Block]) {
		if c.BlockTime() > 0 {
			cancel()
		}
	})
	if got, pace := c.SubmitTimeout(), c.BlockTime(); pace == 0 || got != max(12*pace, 30*time.Second) {
		t.Errorf("got %s with a block each %s", got, pace)
	}
}
