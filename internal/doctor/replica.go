package doctor

import (
	"context"
	"strings"

	"headrace/block"
	"headrace/internal/httpc"
	"headrace/node"
)

// nodeSources are the nodes that a replica follows.
func (d *doctor) nodeSources() (patients []*patient) {
	names := httpc.Names(d.config.Source.Node)
	for i, at := range d.config.Source.Node {
		e := &nodeEndpoint{doctor: d, at: at.In(d.opt.Home), name: names[i]}
		patients = append(patients, &patient{of: names[i], checks: []check{
			{name: "reachable", needs: []string{"config", "genesis"}, run: e.checkReachable},
			{name: "network", needs: []string{"reachable"}, run: e.checkNetwork},
		}})
	}
	return patients
}

// nodeEndpoint is a node that a replica follows.
type nodeEndpoint struct {
	*doctor
	at   node.Address
	name string
	of   *block.Genesis // as it says
}

func (e *nodeEndpoint) checkReachable(ctx context.Context) (f *finding) {
	g, _, err := node.GenesisAt(ctx, node.Addresses{e.at})
	if err != nil {
		return fail(byCause(err, "source.node must name a node of the chain that runs and can be reached from here, as http://127.0.0.1:7331"), "%s", strings.TrimPrefix(err.Error(), e.name+": "))
	}
	e.of = g
	return ok("it answers")
}

func (e *nodeEndpoint) checkNetwork(context.Context) *finding {
	if e.of.Hash() != e.genesis.Hash() {
		return fail("name a node of this home's chain in source.node, or make a new home for that one's", "it has the genesis %s of the chain %.64q, and this home has %s", e.of.Hash(), e.of.ChainID, e.genesis.Hash())
	}
	return ok("it has this home's genesis, %s", e.of.Hash())
}
