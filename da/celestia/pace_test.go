package celestia_test

import (
	"strings"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/follow"
)

// An endpoint whose chain makes no block for longer than silence is borne says the same head again and again, by the
// one subscription. So who follows it sees that it is well, and nothing is held against it.
func TestSlowChain(t *testing.T) {
	const probe = 50 * time.Millisecond
	for _, mode := range []string{"websocket", "polling"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			chain, faults := newChain(t, local.Options{}), &fault.Set{}
			if mode == "polling" {
				addFault(t, faults, fault.Fault{Kind: fault.NoSubscription})
			}
			url := serve(t, chain, celestia.HandlerOptions{Faults: faults})
			c := newClient(t, url, celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Hold: probe / 10, Probe: probe})
			updates, start := subscribe(t, c), time.Now()
			first, before := next(t, updates), c.Endpoints()[0].Errors
			for range 5 {
				if u := next(t, updates); u.Head != first.Head || u.Item != nil {
					t.Fatalf("got %+v after %+v, want the same head again", u, first)
				}
			}
			if took := time.Since(start); mode == "websocket" && took < 4*probe { // polling has its own pauses, which grow
				t.Errorf("asked five times within %s, want a pause of %s each", took, probe)
			}
			if st := c.Endpoints()[0]; st.Mode != mode || st.Errors != before || !st.Healthy {
				t.Errorf("got %+v, want it well", st)
			}
			if st := c.Stats(); mode == "websocket" && st.Subscriptions != 2 {
				t.Errorf("got %d subscriptions, want one for each namespace", st.Subscriptions)
			}
			submit(t, chain, blob(alpha, "x"))
			for u := first; u.Head == first.Head; {
				u = next(t, updates)
				if u.Head != first.Head && u.Head.Height != first.Head.Height+1 {
					t.Errorf("got %+v after the block", u)
				}
			}
		})
	}
}

// The block time that somebody knows is the clock of what waits for a block: a subscription that has fallen silent is
// found out after three of them, not after the longest time that silence is borne.
func TestBlockTimeIsTheClock(t *testing.T) {
	t.Parallel()
	chain, faults := newChain(t, local.Options{}), &fault.Set{}
	url := serve(t, chain.View(faults), celestia.HandlerOptions{Faults: faults})
	c := newClient(t, url, celestia.Options{Namespaces: []da.Namespace{alpha}, Hold: 10 * time.Millisecond, Probe: time.Hour, BlockTime: 10 * time.Millisecond})
	if got := c.BlockTime(); got != 10*time.Millisecond {
		t.Errorf("got a block time of %s, want the one that was given", got)
	}
	told := 0
	err := c.Subscribe(deadline(t), func(follow.Update[da.Block]) {
		if told++; told == 1 {
			addFault(t, faults, fault.Fault{Kind: fault.Stall})
			produce(t, chain, 1)
		}
	})
	if err == nil || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("got %v, want a subscription that is stuck", err)
	}
}

// What has been learnt of an endpoint's pace is the endpoint's. After a silent gap the next subscription is silent too,
// and that is found out within a few blocks, not after the longest time that silence is borne.
func TestPaceOutlivesSubscription(t *testing.T) {
	t.Parallel()
	chain, faults := newChain(t, local.Options{Interval: 20 * time.Millisecond}), &fault.Set{}
	url := serve(t, chain.View(faults), celestia.HandlerOptions{Faults: faults})
	c := measuring(t, url, celestia.Options{Namespaces: []da.Namespace{alpha, beta}, Hold: 10 * time.Millisecond, Probe: time.Hour})
	run(t, chain)
	stuck := func(update func(told int)) {
		t.Helper()
		told := 0
		err := c.Subscribe(deadline(t), func(follow.Update[da.Block]) {
			told++
			update(told)
		})
		if err == nil || !strings.Contains(err.Error(), "stuck") {
			t.Fatalf("got %v, want a subscription that is stuck", err)
		}
	}
	stuck(func(told int) {
		if told == 20 {
			addFault(t, faults, fault.Fault{Kind: fault.Stall})
		}
	})
	stuck(func(told int) { // the new one hears of the head, and of nothing more
		if told > 2 {
			t.Errorf("got %d updates of a silent subscription", told)
		}
	})
}
