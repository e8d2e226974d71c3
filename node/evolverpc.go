package node

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"headrace/internal/evrpc"
	"headrace/internal/store"
)

// evolvePaths are what is served of an ev-node's services. All of it is reading.
func (n *Node) evolvePaths() []string {
	if !n.opt.Config.Evolve.RPC {
		return nil
	}
	return evrpc.Paths()
}

// isEvolveRead reports whether a request is one of those, which are posted.
func (n *Node) isEvolveRead(r *http.Request) bool {
	return slices.ContainsFunc(n.evolvePaths(), func(path string) bool { return strings.HasPrefix(r.URL.Path, path) })
}

// checkEvolve refuses what an ev-node's services cannot tell of.
func (n *Node) checkEvolve() error {
	if n.opt.Config.Evolve.RPC && n.opt.Genesis.L1 != nil {
		return errors.New("evolve.rpc is set, and this chain is on an L1, by its genesis: an ev-node's tools read chains on a DA layer; leave it out")
	}
	if n.opt.Config.Evolve.RPC && n.opt.isReplica() {
		if _, _, err := n.opt.namespaces(); err != nil { // a replica's home is opened without them
			return fmt.Errorf("evolve.rpc: %w", err)
		}
	}
	return nil
}

// handleEvolve adds an ev-node's services, if the configuration asks for them.
func (n *Node) handleEvolve(mux *routes) {
	paths := n.evolvePaths()
	if len(paths) == 0 {
		return
	}
	header, data, err := n.opt.namespaces()
	if err != nil { // the home was opened with them
		panic(fmt.Sprintf("namespaces of an open home: %v", err))
	}
	s := evrpc.New(evrpc.Options{
		Genesis: n.opt.Genesis, Header: header, Data: data, Answers: n.answers(),
		Store: func() *store.Store { return n.at.Load().store },
	})
	for _, path := range paths {
		mux.Handle(path, s)
	}
}
