package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/follow"
	"headrace/internal/httpc"
)

// sources are the endpoints of the canonical source.
func (d *doctor) sources() []*patient {
	switch {
	case d.genesis == nil || len(d.config.DA.Address) == 0: // nothing is known of them
		return nil
	case d.config.IsReplica():
		return d.nodeSources()
	case d.genesis.L1 != nil:
		return d.l1Sources()
	}
	var patients []*patient
	names := httpc.Names(d.config.DA.Address)
	for i, at := range d.config.DA.Address {
		e := &daEndpoint{endpoint: endpoint{doctor: d, given: d.config.DA.Pace()}, at: at.In(d.opt.Home), name: names[i]}
		d.da = append(d.da, e)
		patients = append(patients, e.patient())
	}
	return patients
}

// daEndpoint is a celestia-node.
type daEndpoint struct {
	endpoint
	at   celestia.Endpoint
	name string
	*celestia.Inspector
	first error // of the first call
	chain string
	known bool // it is of the chain that the home knows, as far as that can be told
}

func (e *daEndpoint) patient() *patient {
	p := &patient{of: e.name}
	p.close = func() {
		if e.Inspector != nil {
			_ = e.Inspector.Close()
		}
	}
	if e.config.DA.IsLocal() {
		p.checks = e.ofLocalDA()
		return p
	}
	p.checks = []check{
		{name: "reachable", needs: []string{"config", "genesis"}, run: e.checkReachable},
		{name: "token", needs: []string{"reachable"}, run: e.checkToken},
		{name: "network", needs: []string{"token"}, run: e.checkNetwork},
		{name: "synced", needs: []string{"token"}, run: e.checkSynced},
		{name: "history", needs: []string{"network", "store"}, run: e.checkHistory},
		{name: "links", needs: []string{"network"}, run: e.checkLinks},
		{name: "news", needs: []string{"links", "namespaces"}, more: e.waits, run: e.checkNews},
		{name: "clock", needs: []string{"news"}, run: e.checkClock},
		{name: "latency", needs: []string{"token"}, run: e.checkLatency},
		{name: "funds", needs: []string{"token"}, run: e.checkFunds},
	}
	return p
}

func (e *daEndpoint) open() (err error) {
	c := &e.config.DA
	level, err := c.Verified()
	if err != nil {
		return err
	}
	var namespaces []da.Namespace
	if header, data, err := e.config.Namespaces(e.genesis); err == nil {
		namespaces = []da.Namespace{header, data}
	}
	e.Inspector, err = celestia.NewInspector(e.at, celestia.Options{
		Token: strings.TrimSpace(c.Token), Namespaces: namespaces, CallTimeout: e.opt.Timeout, DialTimeout: e.opt.Timeout, Level: level, LocalDA: c.IsLocal(), BlockTime: c.Pace(),
		Probe: time.Hour, // news must come by itself
	})
	if err != nil {
		return err
	}
	of := func(h celestia.Header, err error) (header, error) {
		return header{h.Height, h.Time, h.Hash, h.Parent}, err
	}
	e.newest = func(ctx context.Context) (header, error) { return of(e.Newest(ctx)) }
	if c.IsLocal() {
		e.newest = func(ctx context.Context) (header, error) {
			height, err := e.Head(ctx)
			return header{height: height}, err
		}
	}
	e.read = func(ctx context.Context, height uint64) (header, error) { return of(e.At(ctx, height)) }
	e.listen = func(ctx context.Context, heard func(uint64)) error {
		return e.Subscribe(ctx, func(u follow.Update[da.Block]) { heard(u.Head.Height) })
	}
	e.mode = func() string { return e.Endpoints()[0].Mode }
	return nil
}

func (e *daEndpoint) checkReachable(ctx context.Context) *finding {
	if err := e.open(); err != nil {
		return fail(byCause(err, "mend the entry of da.address, and the file of its token"), "%v", err)
	}
	h, err := e.Newest(ctx)
	e.first = err
	switch {
	case err == nil:
		e.chain = h.ChainID
		e.head = header{h.Height, h.Time, h.Hash, h.Parent}
		return ok("it answers")
	case errors.Is(err, da.ErrUnauthorized):
		return ok("it answers")
	case errors.Is(err, da.ErrRateLimited):
		return fail("raise the limit of what stands before it, or use another endpoint", "it asks to slow down: %v", err)
	}
	return fail("da.address must name a celestia-node's JSON-RPC that runs and can be reached from here, as http://127.0.0.1:26658; for ev-node's local-da, set da.kind to local-da", "%v", err)
}

func (e *daEndpoint) checkToken(ctx context.Context) *finding {
	const make = "make a token with celestia bridge auth %s (or light, with --p2p.network), and set it as da.token or in the file of its token_file"
	level := "read"
	if e.config.Sequencer.Enabled {
		level = "write"
	}
	if e.first != nil {
		return fail(fmt.Sprintf(make, level), "it must allow to %s, and the endpoint refuses it: %v", level, e.first)
	}
	if level == "read" {
		return ok("it suffices to read")
	}
	err := e.MayPost(ctx)
	switch {
	case errors.Is(err, da.ErrUnauthorized):
		return fail(fmt.Sprintf(make, level), "it allows to read, and a sequencer needs one that allows to write: %v", err)
	case err != nil:
		return warn("look at the celestia-node's log", "whether it allows to write is not known: %v", err)
	}
	return ok("it suffices to read and to write")
}

func (e *daEndpoint) checkNetwork(ctx context.Context) *finding {
	const remedy = "this endpoint is of another network, or its chain began anew: name one of the network that the chain is on; a home of a chain that is gone is of no more use"
	if at := e.doctor.at.Position; !at.Hash.IsZero() {
		h, err := e.At(ctx, at.Height)
		switch {
		case errors.Is(err, da.ErrPruned): // nothing can be said
		case err == nil && h.Hash == at.Hash:
		case errors.Is(err, da.ErrFuture), errors.Is(err, da.ErrSyncing):
			e.known = true
			f := skip("%q is at height %d, and the node has applied %d: whether it is the same chain cannot be told before it is there", e.chain, e.head.height, at.Height)
			f.open = true
			return f
		case err == nil:
			return fail(remedy, "it is %q, whose height %d is %s, and the node has applied %s there", e.chain, at.Height, h.Hash, at.Hash)
		default:
			return fail("use another endpoint", "header %d, the last that was applied, cannot be read: %v", at.Height, err)
		}
	}
	e.known = true
	return ok("%q, at height %d", e.chain, e.head.height)
}

// behind is how many heights an endpoint may be behind without a word.
const behind = 3

func (e *daEndpoint) checkSynced(ctx context.Context) *finding {
	const remedy = "wait until it has caught up, or look why it does not: its log names its peers and its core; if its chain began anew, a home of the one before is of no more use"
	h, err := e.Local(ctx)
	switch {
	case err != nil:
		return fail(remedy, "%v", err)
	case h.Height+behind < e.head.height:
		return warn(remedy, "it has height %d itself, and the network is at %d", h.Height, e.head.height)
	}
	if at := e.doctor.at; at.There && at.Position.Height > e.head.height+behind {
		return warn(remedy, "it is at height %d, and the node has applied %d", e.head.height, at.Position.Height)
	}
	return ok("it is at the network's head")
}

// checkHistory reads the height that the node needs next.
func (e *daEndpoint) checkHistory(ctx context.Context) *finding {
	const archival = "use an endpoint that keeps more, as an archival one does; or, if the chain begins later, say where: da.start_height"
	need := e.doctor.at.Position.Height + 1
	tail, err := e.Oldest(ctx)
	if err != nil {
		return fail("use another endpoint", "the oldest height is not known: %v", err)
	}
	e.oldest = tail.Height
	switch {
	case tail.Height > need:
		return fail(archival, "it keeps heights from %d on, and the node needs %d", tail.Height, need)
	case need > e.head.height+1 && e.doctor.at.There: // synced tells
		return ok("it keeps heights from %d on", tail.Height)
	case need > e.head.height+1:
		return fail("check da_start_height in the genesis, and da.start_height, and that the endpoint is of the right network", "the chain is to be read from height %d on, and the head is %d", need, e.head.height)
	}
	err = e.Fetch(ctx, min(need, e.head.height), min(need, e.head.height)+1, func(follow.Item[da.Block]) error { return nil })
	if err != nil {
		return fail(archival, "height %d, which the node needs, cannot be read: %v", need, err)
	}
	return ok("it keeps heights from %d on, and the node needs %d", tail.Height, need)
}

// checkFunds looks at the account that pays.
func (e *daEndpoint) checkFunds(ctx context.Context) *finding {
	if !e.config.Sequencer.Enabled || len(e.config.DA.Keys) > 0 {
		return nil
	}
	amount, err := e.Balance(ctx)
	switch {
	case err != nil:
		return warn("look at the celestia-node's keys: celestia state account-address", "what its account has is not known: %v", err)
	case amount == 0:
		return fail("send utia to the celestia-node's account (celestia state account-address), or name another with da.keys", "its account has nothing to pay with")
	}
	return ok("its account has %d utia", amount)
}

// together compares the endpoints with each other.
func (d *doctor) together() *patient {
	return &patient{checks: []check{{name: "agreement", needs: []string{"config", "genesis"}, run: func(context.Context) *finding {
		var first *daEndpoint
		highest := uint64(0)
		for _, e := range d.da {
			switch {
			case !e.known:
				continue
			case first == nil:
				first = e
			case e.chain != first.chain:
				return fail("all of da.address must be of one network: take the other out", "%s is of %q, and %s of %q", first.name, first.chain, e.name, e.chain)
			}
			highest = max(highest, e.head.height)
		}
		for _, e := range d.da {
			if e.known && e.head.height+behind < highest {
				return warn("it is passed over while it is behind: look at its log, or take it out", "%s is at height %d, and another endpoint at %d", e.name, e.head.height, highest)
			}
		}
		if len(d.da) < 2 {
			return nil
		}
		return ok("the endpoints that answer are of one network, and none is behind")
	}}}}
}
