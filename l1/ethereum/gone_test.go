package ethereum_test

import (
	"testing"

	"headrace/devnet/geth"
	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// Whether a block is gone is said by the endpoint that proposals go through. One that is behind another has no say in
// it, as long as it is known to be; one that is alone has.
func TestGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	p := newPair(r)
	for range 5 {
		p.mine()
	}
	c := p.client(func(o *ethereum.Options) { o.WS = nil })
	_, _ = follower(t, c, p.head().Height+1)
	becomes(t, c, "heads", func(s []follow.SourceStatus) bool {
		return s[0].Head == p.head().Height && s[1].Head == p.head().Height
	})
	head := l1.Ref(p.head())
	other := l1.Ref{Height: head.Height - 1, Hash: l1.Ref(p.head()).Hash}
	want := func(what string, c *ethereum.Client, at l1.Ref, stands uint64, want bool) {
		t.Helper()
		got, gone, err := c.Gone(t.Context(), at)
		if err != nil || gone != want || got.Height != stands {
			t.Errorf("%s: got %+v, gone %t, %v, want %d and %t", what, got, gone, err, stands, want)
		}
	}
	want("the head", c, head, head.Height, false)
	want("another block in the place of one", c, other, head.Height, true)
	want("a block above the head", c, l1.Ref{Height: head.Height + 1}, head.Height, true)

	p.behind[0].lag.Store(3)
	want("one of two is behind", c, head, head.Height, false)
	p.relay[1].setDown(true)
	want("only the one that is behind is there", c, head, head.Height-3, false)
	alone := r.client(func(o *ethereum.Options) { o.WS, o.HTTP = nil, httpc.At(p.behind[0].URL) })
	want("one that is alone", alone, head, head.Height-3, true)
}
