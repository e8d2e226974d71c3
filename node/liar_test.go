package node_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/exec/kv"
	"headrace/internal/nettest"
	"headrace/node"
)

// signed returns the first block of a chain, as its proposer signs it, and the body that offers it.
func (c chain) signed(t *testing.T, txs ...[]byte) (*block.SignedHeader, *block.SignedData, string) {
	t.Helper()
	at := uint64(time.Now().UnixNano())
	d := block.Data{Metadata: block.Metadata{ChainID: c.genesis.ChainID, Height: 1, Time: at}, Txs: txs}
	commitment := d.Commitment()
	h, err := block.SignHeader(c.key, block.Header{ChainID: c.genesis.ChainID, Height: 1, Time: at, DataHash: commitment[:], ProposerAddress: c.genesis.ProposerAddress})
	if err != nil {
		t.Fatal(err)
	}
	s, err := block.SignData(c.key, d)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string][]byte{"header": h.Encode(), "data": s.Encode()})
	if err != nil {
		t.Fatal(err)
	}
	return &h, &s, string(body)
}

// oneWay is an engine that cannot take a block back.
type oneWay struct{ *kv.Engine }

func (oneWay) OneWay() bool { return true }

// TestNoOffersWithAOneWayEngine: where no block can be taken back none is taken beside the canonical source, not even
// the proposer's, however long the node has been at the head.
func TestNoOffersWithAOneWayEngine(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "offers")
	o := c.full(t, d.URL())
	engine, err := kv.Open(filepath.Join(o.Home, "engine"), kv.Options{InitialHeight: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	o.Engine = oneWay{engine}
	n := start(t, o)
	header, data, body := c.signed(t, []byte("a=1"))
	s := n.until(t, "ready", ready)
	for last := s.Source.Position.Height + 3; s.Source.Position.Height < last; { // the gate, if there were one, is open at one of them
		before := s.Source.Position
		s = n.until(t, "at the next height", func(s node.Status) bool { return s.Source.Position.Height > before.Height && s.Source.Live })
		if code, answer := ask(t, n, http.MethodPost, "/v1/unsafe", body); code != http.StatusConflict || !strings.Contains(answer, "cannot take a block back") {
			t.Errorf("offer over HTTP: got %d %s, want 409 and why", code, answer)
		}
		if buffered, err := n.Offer(t.Context(), header, data); buffered || !errors.Is(err, node.ErrGate) {
			t.Errorf("offer: got %t, %v, want ErrGate", buffered, err)
		}
	}
	if got := n.Status().Load(); got.Heads.Unsafe.Height != 0 || got.Unsafe != nil {
		t.Errorf("got an unsafe head at %d, %+v, want none", got.Heads.Unsafe.Height, got.Unsafe)
	}
}

// TestNewRefusesOnAnL1: a node that could not follow, or not read what it proposes, is not made; and its address of
// an L1 is one.
func TestNewRefusesOnAnL1(t *testing.T) {
	t.Parallel()
	c := newChain(t, "inbox")
	c.genesis.DA, c.genesis.DAStartHeight = nil, 0
	c.genesis.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x" + strings.Repeat("12", 20), StartBlock: 1}
	good := c.sequencer(t, "http://127.0.0.1:1", time.Second)
	good.Config.L1.HTTP, good.Config.L1.KeyFile = node.At("http://127.0.0.1:1"), filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(good.Config.L1.KeyFile, []byte(strings.Repeat("17", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		want   string
		change func(*node.Config)
	}{
		"no endpoint":               {"set l1.ws, l1.http or both", func(c *node.Config) { c.L1.HTTP = nil }},
		"no key":                    {"set l1.key_file", func(c *node.Config) { c.L1.KeyFile = "" }},
		"blobs that nobody reads":   {"set l1.beacon", func(c *node.Config) { c.L1.Blobs = true }},
		"socket of another scheme":  {"l1.ws", func(c *node.Config) { c.L1.WS = node.At("http://127.0.0.1:1") }},
		"address of another scheme": {"l1.http", func(c *node.Config) { c.L1.HTTP = node.At("ws://127.0.0.1:1") }},
		"beacon without a host":     {"l1.beacon", func(c *node.Config) { c.L1.Beacon = node.At("http://") }},
	} {
		o := good
		c.change(&o.Config)
		made, err := node.New(o)
		if err == nil {
			_ = made.Close()
			t.Errorf("%s: got a node, want it refused", name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, want %q in it", name, err, c.want)
		}
	}
	good.Config.L1.Blobs, good.Config.L1.Beacon = true, node.At("http://127.0.0.1:1")
	made, err := node.New(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Error(err)
	}
}

// TestNoBlockBeforeTheSource: a sequencer that has not heard of its source makes no block: the chain may have some
// that its home does not.
func TestNoBlockBeforeTheSource(t *testing.T) {
	t.Parallel()
	n := start(t, newChain(t, "before").sequencer(t, "http://"+nettest.FreeAddress(t), 50*time.Millisecond))
	s := n.until(t, "trying again and again, or making blocks", func(s node.Status) bool { // many block times, by the pauses between the tries
		return s.Heads.Unsafe.Height > 0 || s.Counts.Subscriptions >= 5 && strings.Contains(s.Sequencer.Paused, "waiting for the DA layer")
	})
	if s.Heads.Unsafe.Height > 0 {
		t.Errorf("got block %d, want none before the DA layer has shown whether the chain has some", s.Heads.Unsafe.Height)
	}
}

// TestEndpointsOfAnL1: the status of a node on an L1 tells of each endpoint who it is, what it is used for and how it
// does.
func TestEndpointsOfAnL1(t *testing.T) {
	t.Parallel()
	c := newChain(t, "inbox")
	c.genesis.DA, c.genesis.DAStartHeight = nil, 0
	c.genesis.L1 = &block.GenesisL1{ChainID: 1, Inbox: "0x" + strings.Repeat("12", 20), StartBlock: 1}
	o := c.full(t, "http://127.0.0.1:1")
	o.Config.L1.WS = node.At("ws://user:secret@127.0.0.1:1/", "ws://127.0.0.1:2/?secret")
	o.Config.L1.HTTP, o.Config.L1.Beacon = node.At("http://127.0.0.1:3"), node.At("http://127.0.0.1:4")
	n := start(t, o)
	failing := func(e node.Endpoint) bool {
		return !e.Healthy && e.Errors > 0 && !e.Since.IsZero() && e.LastError != ""
	}
	s := n.until(t, "in trouble", func(s node.Status) bool {
		e := s.Source.Endpoints
		return len(e) == 4 && failing(e[0]) && failing(e[1]) && failing(e[2])
	})
	want := []string{"news ws://127.0.0.1:1/", "news ws://127.0.0.1:2/", "read http://127.0.0.1:3", "beacon http://127.0.0.1:4"}
	for i, e := range s.Source.Endpoints {
		if got := e.Role + " " + e.Address; got != want[i] {
			t.Errorf("endpoint %d: got %s, want %s", i, got, want[i])
		}
	}
	n.stopped(t)
}
