package ethereum_test

import (
	"testing"
	"time"

	"headrace/devnet/geth"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// After how long a transaction is sent again follows the L1's block time: three of them, whether it is given, known by
// the chain id, or measured, unless somebody says otherwise.
func TestResendFollowsTheBlockTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opt          ethereum.Options
		resend, want time.Duration
	}{
		"not known":        {ethereum.Options{ChainID: geth.DevChainID}, 0, 36 * time.Second},
		"given":            {ethereum.Options{ChainID: geth.DevChainID, BlockTime: time.Second}, 0, 3 * time.Second},
		"given, slow":      {ethereum.Options{ChainID: geth.DevChainID, BlockTime: time.Minute}, 0, 3 * time.Minute},
		"given, very fast": {ethereum.Options{ChainID: geth.DevChainID, BlockTime: time.Millisecond}, 0, 2 * time.Second},
		"on demand":        {ethereum.Options{ChainID: geth.DevChainID, BlockTime: -1}, 0, 36 * time.Second},
		"a known L1":       {ethereum.Options{ChainID: 100}, 0, 15 * time.Second},
		"a known L1, but":  {ethereum.Options{ChainID: 100, BlockTime: time.Second}, 0, 3 * time.Second},
		"as somebody says": {ethereum.Options{ChainID: geth.DevChainID, BlockTime: time.Second}, time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			c.opt.HTTP, c.opt.Inbox = httpc.At("http://127.0.0.1:1"), l1.Address{1}
			client, err := ethereum.New(c.opt)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if got := ethereum.NewAccount(client, geth.DevKey(1), ethereum.AccountOptions{Resend: c.resend}).ResendAfter(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// What a dev chain took back is gone sooner than what a reorg of an L1 did.
func TestRegain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ blockTime, resend, want time.Duration }{
		{0, 0, 36 * time.Second}, {12 * time.Second, 0, 36 * time.Second}, {-1, 0, 6 * time.Second}, {-1, time.Second, time.Second},
	} {
		client, err := ethereum.New(ethereum.Options{ChainID: geth.DevChainID, BlockTime: c.blockTime, HTTP: []ethereum.Endpoint{{URL: "http://127.0.0.1:1"}}, Inbox: l1.Address{1}})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if got := ethereum.NewAccount(client, geth.DevKey(1), ethereum.AccountOptions{Resend: c.resend}).RegainWithin(); got != c.want {
			t.Errorf("block time %s: got %s, want %s", c.blockTime, got, c.want)
		}
	}
}

// An L1 that nobody gave a block time is measured, by the news of its blocks.
func TestBlockTimeIsMeasured(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	c := r.client(func(o *ethereum.Options) { o.Poll, o.WS = time.Millisecond, nil })
	_, state := follower(t, c, r.head().Height+1)
	r.mine()
	reach(t, state, r.head())
	if got := c.BlockTime(); got != 0 {
		t.Errorf("got %s after one block, want none yet", got)
	}
	for range 12 {
		r.mine()
		reach(t, state, r.head())
	}
	if got := c.BlockTime(); got <= 0 {
		t.Errorf("got %s after twelve blocks, want what they took", got)
	}
}
