package l1_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/devnet/proxy"
	"headrace/l1"
	"headrace/node"
)

// link is what a node reaches the L1 by, over WebSocket and HTTP alike.
type link struct {
	*proxy.Proxy
}

func newLink(t testing.TB, w *world) *link {
	t.Helper()
	p, err := proxy.New(strings.TrimPrefix(w.inbox.Geth.HTTP(), "http://"), 0)
	w.check(err)
	if w.inbox.Geth.WS() != "ws://"+strings.TrimPrefix(w.inbox.Geth.HTTP(), "http://") {
		t.Fatalf("the L1 serves WebSocket at %s and HTTP at %s, want one port", w.inbox.Geth.WS(), w.inbox.Geth.HTTP())
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return &link{p}
}

func (l *link) through(o *node.Options) {
	o.Config.L1.WS, o.Config.L1.HTTP = node.At("ws://"+l.Address()), node.At("http://"+l.Address())
	o.Config.L1.CallTimeout = time.Second
}

func (l *link) cut(away bool) { l.Cut(away) }

// l1BlockTime is that of the L1 once a fault has ended; L1s that are in use take longer.
const l1BlockTime = 4 * time.Second

// TestLinks is E3, P25 and P35: the L1 is cut off, frozen and far away for a while, with proposals in between. Then
// the node catches up, with each block once, before the L1 has made its second block.
func TestLinks(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ begin, end func(l *link) }{
		"cut":     {func(l *link) { l.Cut(true) }, func(l *link) { l.Cut(false) }},
		"dropped": {func(l *link) { l.Cut(false) }, func(*link) {}},
		"frozen":  {func(l *link) { l.Freeze(true) }, func(l *link) { l.Freeze(false) }},
		"lagging": {func(l *link) { l.SetDelay(400 * time.Millisecond) }, func(l *link) { l.SetDelay(0) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, chosen(t), l1.Settings{}, 0)
			a, link := w.lightAuthor(), newLink(t, w)
			var mu sync.Mutex
			applied := map[uint64]int{} // how often a height was applied
			m := w.light(func(o *node.Options) {
				link.through(o)
				o.Observer.Applied = func(a node.Applied) {
					mu.Lock()
					defer mu.Unlock()
					applied[a.Ref.Height]++
				}
			})
			w.propose(a.many(1)...)
			m.canonical(1, a.tip())
			fault.begin(link)
			for range 3 {
				w.propose(a.many(2)...)
				w.mine()
			}
			head, tip := w.inbox.Chain.Head().Number(), a.tip().Ref()
			fault.end(link)
			w.check(w.inbox.WhileMining(w.ctx, l1BlockTime, func(context.Context) error {
				m.until("the L1's head at the end of the fault", func(s node.Status) bool {
					return s.Source.Position.Height >= head && s.Proposal.ID == 4 && s.Heads.Safe == tip
				})
				if n := w.inbox.Chain.Head().Number() - head; n > 1 { // the second comes two block times after the end
					t.Errorf("caught up only after %d more L1 blocks, want at most 1", n)
				}
				return nil
			}))
			w.propose(a.many(1)...)
			m.canonical(5, a.tip())
			m.chain(a.blocks)
			mu.Lock()
			defer mu.Unlock()
			for h := range a.blocks {
				if n := applied[uint64(h)+1]; n != 1 {
					t.Errorf("block %d was applied %d times, want once", h+1, n)
				}
			}
		})
	}
}
