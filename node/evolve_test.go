package node_test

import (
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/node"
)

// TestOneWayEngine: a node whose engine cannot take blocks back is one of a DA layer, and of no L1.
func TestOneWayEngine(t *testing.T) {
	t.Parallel()
	c := newChain(t, "oneway")
	o := c.sequencer(t, "http://127.0.0.1:1", time.Second)
	o.Config.Engine = node.EngineConfig{Kind: "evolve-grpc", Address: "http://127.0.0.1:1"}
	made, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Error(err)
	}
	for address, want := range map[string]string{"": "set engine.address", "127.0.0.1:1": "http://host:port or unix:///path", "http://u:secret@h:1": "want http://host:port"} {
		o.Config.Engine.Address = address
		if _, err := node.New(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q", address, err, want)
		}
	}
	c = newChain(t, "oneway-l1")
	c.genesis.DA, c.genesis.DAStartHeight = nil, 0
	c.genesis.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x" + strings.Repeat("12", 20), StartBlock: 1}
	o = c.sequencer(t, "http://127.0.0.1:1", time.Second)
	o.Config.Sequencer.Enabled = false
	o.Config.L1.HTTP = node.At("http://127.0.0.1:1")
	o.Config.Engine = node.EngineConfig{Kind: "evolve-grpc", Address: "http://127.0.0.1:1"}
	made, err = node.New(o)
	if err == nil {
		_ = made.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "this engine cannot take blocks back") {
		t.Errorf("got %v, want the L1 to be refused", err)
	}
}
