package doctor

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/node"
)

// l1Sources are the endpoints of an L1, in the order ws, http, beacon, and the account that proposes.
func (d *doctor) l1Sources() []*patient {
	c, err := d.config.L1.In(d.opt.Home)
	if err != nil {
		return []*patient{{of: "l1", checks: []check{{name: "reachable", run: func(context.Context) *finding {
			return fail("mend the entries of l1.ws, l1.http and l1.beacon, and the files of their tokens", "%v", err)
		}}}}}
	}
	var patients []*patient
	var first *l1Endpoint
	for _, list := range []node.Addresses{c.WS, c.HTTP} {
		names := httpc.Names(list)
		for i, at := range list {
			e := &l1Endpoint{endpoint: endpoint{doctor: d}, c: c, at: at, name: names[i]}
			first = cmp.Or(first, e)
			patients = append(patients, e.patient())
		}
	}
	if first == nil {
		return nil
	}
	names := httpc.Names(c.Beacon)
	for i := range c.Beacon {
		patients = append(patients, first.beacon(i, names[i]))
	}
	if d.config.Sequencer.Enabled {
		patients = append(patients, first.account())
	}
	return patients
}

// l1Endpoint is an Ethereum node of the L1.
type l1Endpoint struct {
	endpoint
	c    node.L1Config
	at   ethereum.Endpoint
	name string
	*ethereum.Inspector
	first error // of the first call
	id    uint64
}

func (e *l1Endpoint) patient() *patient {
	p := &patient{of: e.name, close: e.release}
	p.checks = []check{
		{name: "reachable", needs: []string{"config", "genesis"}, run: e.checkReachable},
		{name: "token", needs: []string{"reachable"}, run: e.checkToken},
		{name: "network", needs: []string{"token"}, run: e.checkNetwork},
		{name: "synced", needs: []string{"network"}, run: e.checkSynced},
		{name: "inbox", needs: []string{"network"}, run: e.checkInbox},
		{name: "start", needs: []string{"inbox"}, run: e.checkStart},
		{name: "history", needs: []string{"inbox", "store"}, run: e.checkHistory},
		{name: "links", needs: []string{"network"}, run: e.checkLinks},
		{name: "news", needs: []string{"links", "inbox"}, more: e.waits, run: e.checkNews},
		{name: "clock", needs: []string{"news"}, run: e.checkClock},
		{name: "latency", needs: []string{"network"}, run: e.checkLatency},
	}
	return p
}

func (e *l1Endpoint) release() {
	if e.Inspector != nil {
		e.Inspector.Close()
	}
}

func (e *l1Endpoint) open() (err error) {
	inbox, err := l1.ParseAddress(e.genesis.L1.Inbox)
	if err != nil {
		return err
	}
	if e.given, err = e.c.Pace(); err != nil {
		return err
	}
	e.Inspector, err = ethereum.NewInspector(e.at, ethereum.Options{
		Beacon: e.c.Beacon, ChainID: e.genesis.L1.ChainID, Inbox: inbox, StartBlock: e.genesis.L1.StartBlock, CallTimeout: e.opt.Timeout, BlockTime: e.given,
		Poll: 250 * time.Millisecond, // of what is looked for, a part
	})
	if err != nil {
		return err
	}
	of := func(h ethereum.Header, err error) (header, error) {
		return header{h.Number, h.Time, h.Hash, h.Parent}, err
	}
	e.newest = func(ctx context.Context) (header, error) { return of(e.Newest(ctx)) }
	e.read = func(ctx context.Context, height uint64) (header, error) { return of(e.At(ctx, height)) }
	e.listen = func(ctx context.Context, heard func(uint64)) error {
		return e.Subscribe(ctx, func(u follow.Update[l1.Block]) { heard(u.Head.Height) })
	}
	e.mode = func() string {
		mode := e.Endpoints()[0].Mode
		if mode == "polling" && len(e.c.WS) > 0 && strings.HasPrefix(e.at.URL, "http") {
			return "HTTP" // news comes by another endpoint
		}
		return mode
	}
	return nil
}

func (e *l1Endpoint) checkReachable(ctx context.Context) *finding {
	if err := e.open(); err != nil {
		return fail(byCause(err, "mend the entry of l1.ws or l1.http, and the file of its token"), "%v", err)
	}
	e.id, e.first = ethereum.AskChainID(ctx, e.at, e.opt.Timeout)
	if e.first == nil || ethereum.Unauthorized(e.first) {
		return ok("it answers")
	}
	return fail("l1.ws and l1.http must name an Ethereum node's JSON-RPC that runs and can be reached from here, as ws://127.0.0.1:8546 and http://127.0.0.1:8545", "%v", e.first)
}

func (e *l1Endpoint) checkToken(context.Context) *finding {
	if e.first != nil {
		return fail("set the token that the endpoint asks for: {address: URL, token_file: PATH} in l1.ws or l1.http", "the endpoint refuses it: %v", e.first)
	}
	if e.at.Token == "" && e.at.TokenFile == "" {
		return nil // none is needed
	}
	return ok("the endpoint takes it")
}

func (e *l1Endpoint) checkNetwork(ctx context.Context) (f *finding) {
	if want := e.genesis.L1.ChainID; e.id != want {
		return fail("name an endpoint of the L1 that the genesis names", "its chain id is %d, and the genesis names the L1 with %d", e.id, want)
	}
	var err error
	if e.head, err = e.newest(ctx); err != nil {
		return fail("use another endpoint", "its head is not known: %v", err)
	}
	return ok("chain id %d, at block %d", e.id, e.head.height)
}

func (e *l1Endpoint) checkSynced(ctx context.Context) *finding {
	const remedy = "wait until it has caught up, or look at its log and its consensus client's"
	syncing, err := e.Syncing(ctx)
	switch at := e.doctor.at; {
	case err != nil:
		return warn(remedy, "whether it is at the network's head is not known: %v", err)
	case syncing:
		return warn(remedy, "it says that it is behind the network")
	case at.There && at.Position.Height > e.head.height+behind:
		return warn(remedy, "it is at block %d, and the node has applied %d", e.head.height, at.Position.Height)
	}
	return ok("it is at the network's head")
}

func (e *l1Endpoint) checkInbox(ctx context.Context) *finding {
	const remedy = "the genesis must be the chain's own, and the endpoint of the L1 that the inbox is on; a dev chain that began anew has lost it: headrace inbox deploy"
	switch state, err := e.State(ctx, l1.Hash{}); {
	case err != nil:
		return fail(remedy, "%v", err)
	default:
		return ok("%d proposals", state.NextID-min(state.NextID, 1))
	}
}

// checkStart looks whether the inbox was there before the block from which on it is read.
func (e *l1Endpoint) checkStart(ctx context.Context) *finding {
	const remedy = "l1.start_block in the genesis is to be the block of the inbox's deployment, as headrace inbox deploy printed it, or one below: use the chain's own genesis, the same at all nodes"
	from := e.genesis.L1.StartBlock
	if from > e.head.height { // history tells
		return nil
	}
	state, err := e.Before(ctx, from)
	switch {
	case errors.Is(err, ethereum.ErrNothingBefore):
		return ok("the inbox was not there before block %d", from)
	case errors.Is(err, ethereum.ErrNotKnown):
		return ok("whether the inbox was there before block %d is not known: the endpoint keeps no states of that time", from)
	case err != nil:
		return fail("use another endpoint", "what was before block %d is not known: %v", from, err)
	case state.NextID > 1 || state.ForcedTail > 0:
		return fail(remedy, "the inbox is older than block %d: %d proposals and %d forced items before it are never seen", from, state.NextID-min(state.NextID, 1), state.ForcedTail)
	}
	return warn(remedy, "the inbox is older than block %d, from which on it is read: nothing was lost by that", from)
}

func (e *l1Endpoint) checkHistory(ctx context.Context) *finding {
	need := e.doctor.at.Position.Height + 1
	if need > e.head.height+1 && !e.doctor.at.There {
		return fail("check l1.start_block in the genesis, and that the endpoint is of the right L1", "the chain is to be read from block %d on, and the head is %d", need, e.head.height)
	}
	at := min(need, e.head.height)
	if err := e.Fetch(ctx, at, at+1, func(follow.Item[l1.Block]) error { return nil }); err != nil {
		return fail("use an endpoint that keeps more: a full node keeps all blocks and receipts unless it is told to forget them, and a beacon API keeps blobs for 18 days", "block %d, which the node needs, cannot be read: %v", at, err)
	}
	return ok("block %d, which the node needs, can be read", at)
}

// beacon is the n-th beacon API, looked at by way of an Ethereum node.
func (first *l1Endpoint) beacon(n int, name string) *patient {
	e := &l1Endpoint{endpoint: endpoint{doctor: first.doctor}, c: first.c, at: first.at, name: name}
	return &patient{of: name, close: e.release, checks: []check{{name: "beacon", needs: []string{"config", "genesis"}, run: func(ctx context.Context) *finding {
		if err := e.open(); err != nil {
			return fail("mend the entry of l1.beacon, and the file of its token", "%v", err)
		}
		err := e.CheckBeacon(ctx, n, e.opt.Now())
		switch {
		case errors.Is(err, l1.ErrWrongChain):
			return fail("name the beacon API of a consensus node of the L1 that the genesis names", "%v", err)
		case ethereum.Unauthorized(err):
			return fail("set the token that it asks for: {address: URL, token_file: PATH} in l1.beacon", "%v", err)
		case err != nil:
			return fail("l1.beacon must name a consensus node's beacon API that runs and can be reached from here, as http://127.0.0.1:5052", "%v", err)
		}
		return ok("it is the L1's")
	}}}}
}

// account is what proposes, looked at by way of the first endpoint.
func (first *l1Endpoint) account() *patient {
	e := &l1Endpoint{endpoint: endpoint{doctor: first.doctor}, c: first.c, at: first.at, name: "l1.key_file"}
	var own l1.Address
	asks := func(run func(context.Context) *finding) func(context.Context) *finding {
		return func(ctx context.Context) *finding {
			if id, err := ethereum.AskChainID(ctx, e.at, e.opt.Timeout); err != nil || id != e.genesis.L1.ChainID {
				return skip("it needs an endpoint of the L1, and the first does not serve")
			}
			return run(ctx)
		}
	}
	return &patient{of: e.name, close: e.release, checks: []check{
		{name: "account", needs: []string{"config", "genesis"}, run: func(context.Context) *finding {
			if e.c.KeyFile == "" {
				return fail("set l1.key_file to a file with the private key, in hexadecimal, of the account that proposes", "a sequencer of a chain on an L1 needs it")
			}
			key, err := ethereum.ReadKey(e.c.KeyFile)
			if err == nil {
				own = ethereum.AddressOf(key)
				err = e.open()
			}
			if err != nil {
				return fail("it must hold a private key of 64 hexadecimal digits, and nothing else", "%v", err)
			}
			return ok("%s", own)
		}},
		{name: "proposer", needs: []string{"account"}, run: asks(func(ctx context.Context) *finding {
			may, err := e.IsProposer(ctx, own)
			switch {
			case errors.Is(err, l1.ErrNoInbox), errors.Is(err, l1.ErrNotFound):
				return skip("it needs the inbox, which is not there")
			case err != nil:
				return fail("use another endpoint", "whether it may propose is not known: %v", err)
			case !may:
				return fail("let the inbox's owner allow it: headrace inbox proposer, or use the key of an account that may", "%s may not propose to the inbox", own)
			}
			return ok("it may propose")
		})},
		{name: "funds", needs: []string{"account"}, run: asks(func(ctx context.Context) *finding {
			wei, err := e.Balance(ctx, own)
			switch {
			case err != nil:
				return fail("use another endpoint", "what it has is not known: %v", err)
			case wei.Sign() == 0:
				return fail("send ether to it: proposals cost gas", "%s has nothing to pay with", own)
			}
			return ok("it has %s wei", wei)
		})},
	}}
}
