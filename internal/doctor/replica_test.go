package doctor_test

import (
	"strings"
	"testing"

	"headrace/block"
	"headrace/da/celestia"
	"headrace/internal/doctor"
	"headrace/node"
)

// TestReplica: of a replica's home is said that it is one, and what is wrong with the node that it follows.
func TestReplica(t *testing.T) {
	t.Parallel()
	followed := newWard(t, true, celestia.HandlerOptions{})
	n, err := node.New(node.Options{Home: followed.opt.Home, Genesis: followed.genesis, Config: followed.config, Key: followed.key})
	if err != nil {
		t.Fatal(err)
	}
	stop := goRun(t, n.Run)
	if _, err := n.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	w := &ward{T: t, config: node.Default(), genesis: followed.genesis}
	w.config.Source.Node = node.At(n.URL())
	w.config.HTTP.Address = "127.0.0.1:0"
	w.opt = w.options()
	healthy(t, w.opt, "config", "genesis", "namespaces", "home", "store", "disk", "space", "descriptors", "node", "reachable", "network")
	if r, text := examine(t, w.opt); r.Lines[0].Text != "a replica's" {
		t.Errorf("got %+v of a replica's home, in\n%s", r.Lines[0], text)
	}

	other := w.options()
	other.Genesis = func() (*block.Genesis, error) { return genesisOf("another", newKey(t)), nil }
	finds(t, other, want{"network", doctor.Fail, `of the chain "ward"`, "name a node of this home's chain"})

	stop()
	finds(t, w.opt, want{"reachable", doctor.Fail, "connection refused", "source.node must name a node"})
	r, text := examine(t, w.opt)
	for _, l := range r.Lines {
		if l.State == doctor.Fail && (l.Of != n.URL() || strings.HasPrefix(l.Text, n.URL())) {
			t.Errorf("got %+v, want the node named once, in\n%s", l, text)
		}
	}
}
