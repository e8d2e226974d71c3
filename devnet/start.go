package devnet

import (
	"cmp"
	"context"
	"sync"
	"time"

	"headrace/node"
)

// TB is what Start uses of a test. A *testing.T has it, and so has a *testing.B.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Fatal(args ...any)
	Error(args ...any)
}

// Start runs a devnet until the test ends, and returns when all of its nodes are ready. Options that are not given have
// the defaults of New, but for the block times: 50 ms.
func Start(t TB, opt ...Options) *Net {
	t.Helper()
	var o Options
	for _, given := range opt {
		o = given
	}
	o.BlockTime, o.DABlockTime = cmp.Or(o.BlockTime, quick), cmp.Or(o.DABlockTime, quick)
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // the test's own ends before its clean-up
	var failure error
	var work sync.WaitGroup
	work.Go(func() { failure = n.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		work.Wait()
		if failure != nil {
			t.Error("devnet:", failure)
		}
	})
	for i, each := range n.Nodes() {
		if s, err := each.Status().Wait(t.Context(), ready); err != nil {
			t.Fatal(n.Name(i), "is not ready:", s.Reason, err)
		}
	}
	return n
}

// quick is the block time of a devnet in a test.
const quick = 50 * time.Millisecond

func ready(s node.Status) bool { return s.Ready }
