package doctor

import (
	"context"
	"sync"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/follow"
)

// ofLocalDA are the checks of a local-da. It has no headers that could link or have a time, no token, and no account.
func (e *daEndpoint) ofLocalDA() []check {
	return []check{
		{name: "reachable", needs: []string{"config", "genesis"}, run: e.checkLocalDA},
		{name: "network", needs: []string{"reachable", "namespaces", "store"}, run: e.checkLocalNetwork},
		{name: "history", needs: []string{"network"}, run: e.checkLocalHistory},
		{name: "news", needs: []string{"reachable", "namespaces"}, run: e.checkLocalNews},
		{name: "latency", needs: []string{"reachable"}, run: e.checkLatency},
	}
}

func (e *daEndpoint) checkLocalDA(ctx context.Context) *finding {
	if err := e.open(); err != nil {
		return fail(byCause(err, "mend the entry of da.address, and the file of its token"), "%v", err)
	}
	var err error
	if e.head, err = e.newest(ctx); err != nil {
		return fail("da.address must name a local-da that runs and can be reached from here, as http://127.0.0.1:7980; for a celestia-node, set da.kind to celestia", "%v", err)
	}
	e.known = true
	return ok("it answers, at height %d; what it tells is %s", e.head.height, celestia.Unverified)
}

// checkLocalNetwork compares what is at the height that was applied last with what was there then.
func (e *daEndpoint) checkLocalNetwork(ctx context.Context) *finding {
	const remedy = "it has begun anew, or is another one: a home of a chain that is gone is of no more use, nor is its genesis to the other nodes"
	at := e.doctor.at.Position
	if at.Hash.IsZero() {
		return ok("nothing of it has been applied yet")
	}
	if at.Height > e.head.height {
		return fail(remedy, "it is at height %d, and the node has applied %d", e.head.height, at.Height)
	}
	var now follow.Hash
	err := e.Fetch(ctx, at.Height, at.Height+1, func(item follow.Item[da.Block]) error {
		now = item.Hash
		return nil
	})
	switch {
	case err != nil:
		return fail("look at its log, or start it again", "height %d, the last that was applied, cannot be read: %v", at.Height, err)
	case now != at.Hash:
		return fail(remedy, "its height %d holds something else than what the node has applied", at.Height)
	}
	return ok("it holds what the node has applied last, at height %d", at.Height)
}

func (e *daEndpoint) checkLocalHistory(ctx context.Context) *finding {
	need := e.doctor.at.Position.Height + 1
	switch {
	case need > e.head.height+1 && !e.doctor.at.There:
		return fail("check da_start_height in the genesis, and da.start_height: a local-da begins at 1 again when it is started again", "the chain is to be read from height %d on, and the head is %d", need, e.head.height)
	case need > e.head.height:
		return ok("there is nothing yet that the node needs")
	}
	if err := e.Fetch(ctx, need, need+1, func(follow.Item[da.Block]) error { return nil }); err != nil {
		return fail("look at its log, or start it again", "height %d, which the node needs, cannot be read: %v", need, err)
	}
	return ok("height %d, which the node needs, can be read", need)
}

// checkLocalNews waits for the present head to be told: a new one comes on demand.
func (e *daEndpoint) checkLocalNews(ctx context.Context) *finding {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	mode := ""
	err := e.listen(ctx, func(uint64) {
		mu.Lock()
		defer mu.Unlock()
		if mode == "" {
			mode = e.mode()
			cancel(errHeard)
		}
	})
	mu.Lock()
	defer mu.Unlock()
	switch mode {
	case "":
		return fail("look at its log, or start it again", "it cannot be subscribed to: %v", err)
	case "polling":
		return warn(noSocket, "news comes by polling alone: it takes no WebSocket")
	}
	return ok("its head is told over %s; blocks come on demand: none is waited for", mode)
}
