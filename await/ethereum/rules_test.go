package ethereum_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"go.uber.org/goleak"

	"headrace/await"
	"headrace/await/ethereum"
	"headrace/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within is a context of a bubble, whose time is fake.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// P17: what has ended is looked at once more, not again and again.
func TestEndIsNoHotLoop(t *testing.T) {
	v := watch.New(0)
	v.Close(nil)
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		_, err := ethereum.Block(within(t, time.Hour), node, 7, await.WithAbort(await.Closed(v)))
		if s := node.Stats(); !errors.Is(err, await.ErrEnded) || s.Checks > 2 {
			t.Errorf("got %v after %d looks, want the producer's end at once", err, s.Checks)
		}
	})
}

// P18: what happened before, or in another order than it is waited for, is not gone: a wait looks at the state, and
// takes no event from another.
func TestAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain()
		node := c.node()
		defer node.Keep()()
		five, hash := block(t, node, 5), begin(func() (*ethereum.Header, error) { // one announcement is for both
			return ethereum.BlockHash(within(t, time.Hour), node, common.Hash{7: 6})
		})
		b := c.mine(5)
		want(t, five, b, 0)
		want(t, hash, b, 0)
		want(t, block(t, node, 2), c.blocks[2], 0)
		noHits(t, node)
	})
}

func hash(n byte) common.Hash { return common.Hash{31: n} }
