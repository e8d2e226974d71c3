package node_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"headrace/block"
	"headrace/da"
	"headrace/internal/logs/logstest"
	"headrace/internal/nettest"
	"headrace/internal/store"
	"headrace/node"
)

// hexName is 58 digits, which are a namespace.
var hexName = strings.Repeat("00", 19) + "0102030405060708090a"

// without returns the options of a full node of the chain as an ev-node's genesis has it: without namespaces.
func (c chain) without(t *testing.T, url, header, data string) node.Options {
	o := c.full(t, url)
	g := *c.genesis
	g.DA = nil
	o.Genesis, o.Config.DA.HeaderNamespace, o.Config.DA.DataNamespace = &g, header, data
	return o
}

// madeBefore gives a home the store that every earlier version would have made for it.
func madeBefore(t *testing.T, o node.Options, header, data da.Namespace) {
	t.Helper()
	id := store.Identity{ChainID: o.Genesis.ChainID, Genesis: o.Genesis.Hash(), Source: fmt.Sprintf("da:%s:%s", header, data)}
	s, err := store.Open(filepath.Join(o.Home, "store"), id, store.Options{InitialHeight: o.Genesis.InitialHeight})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// opens makes and closes a node, and returns what it has logged.
func opens(t *testing.T, o node.Options) (string, error) {
	t.Helper()
	log := new(logstest.Text)
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	n, err := node.New(o)
	if err == nil {
		err = n.Close()
	}
	return log.String(), err
}

// TestNamesOfNamespaces: a new home reads digits as digits and refuses what may have been meant so. A home that took
// it for a name goes on with that name, and says so: its namespaces are its identity.
func TestNamesOfNamespaces(t *testing.T) {
	t.Parallel()
	c := newChain(t, "digits")
	digits, err := da.ParseNamespace(hexName)
	if err != nil {
		t.Fatal(err)
	}
	dat := da.NamespaceFromName("dat")
	nowhere := "http://" + nettest.FreeAddress(t)
	for name, ns := range map[string]da.Namespace{hexName: digits, "0x" + hexName: digits, "0X" + hexName: digits, "hdr": da.NamespaceFromName("hdr")} {
		o := c.without(t, nowhere, name, "dat")
		for range 2 { // the second time there is a store
			log, err := opens(t, o)
			if err != nil || !strings.Contains(log, "header_namespace="+ns.String()) || !strings.Contains(log, "data_namespace="+dat.String()) || strings.Contains(log, "look like") {
				t.Errorf("%s: got %v, want namespace %s, logged without a warning:\n%s", name, err, ns, log)
			}
		}
	}
	for _, name := range []string{"0x", "0x" + hexName[2:] + "0", hexName + "00", hexName[:40], "0xhdr"} {
		o := c.without(t, nowhere, name, "dat")
		if _, err := opens(t, o); err == nil || !strings.Contains(err.Error(), "looks like hexadecimal digits") {
			t.Errorf("%s in a new home: got %v, want it refused", name, err)
		}
	}
	for _, name := range []string{"0x" + hexName, "0x", hexName + "00", hexName[:40]} {
		o := c.without(t, nowhere, name, "dat")
		madeBefore(t, o, da.NamespaceFromName(name), dat)
		log, err := opens(t, o)
		if err != nil || !strings.Contains(log, "header_namespace="+da.NamespaceFromName(name).String()) || !strings.Contains(log, "look like hexadecimal digits") {
			t.Errorf("%s in a home that took it for a name: got %v, want the name, with a warning:\n%s", name, err, log)
		}
	}
	o := c.without(t, nowhere, "0x"+hexName, "dat")
	madeBefore(t, o, da.NamespaceFromName("another"), dat)
	if _, err := opens(t, o); err == nil || !strings.Contains(err.Error(), "belongs to another chain") {
		t.Errorf("got %v for a home of another namespace, want it refused", err)
	}
}

// TestNamesInAGenesis: what a genesis names means the same for a new node of its chain as for those that run.
func TestNamesInAGenesis(t *testing.T) {
	t.Parallel()
	c := newChain(t, "digits")
	dat := da.NamespaceFromName("dat")
	c.genesis.DA = &block.GenesisDA{HeaderNamespace: "0x" + hexName, DataNamespace: "dat"}
	o := c.full(t, "http://"+nettest.FreeAddress(t))
	if _, err := opens(t, o); err == nil || !strings.Contains(err.Error(), "without 0x") {
		t.Errorf("got %v for a new home, want it refused", err)
	}
	madeBefore(t, o, da.NamespaceFromName("0x"+hexName), dat)
	if log, err := opens(t, o); err != nil || !strings.Contains(log, "look like hexadecimal digits") {
		t.Errorf("got %v for a home that took it for a name, want it to go on, with a warning:\n%s", err, log)
	}
}

// TestStartHeight: a start above the chain's first block is found out, and nothing is made of it: a full node is
// unready with the cause, and a sequencer makes no block. Another start helps until there is a block, and does not
// change whose home it is.
func TestStartHeight(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "late")
	c.genesis.DAStartHeight = 0
	seq := start(t, c.sequencer(t, d.URL(), 50*time.Millisecond))
	s := seq.until(t, "beyond 3", func(s node.Status) bool { return s.Heads.Safe.Height > 3 })
	late := s.Source.Position.Height + 1
	seq.until(t, "beyond that", func(s node.Status) bool { return s.Source.Position.Height > late && s.Heads.Safe.Height > 8 })
	seq.stopped(t)

	const cause = "the chain begins below"
	o := c.full(t, d.URL())
	o.Config.DA.StartHeight = late
	n := start(t, o)
	s = n.until(t, "told of its start", func(s node.Status) bool { return strings.Contains(s.Reason, cause) })
	if s.Ready || s.Heads.Unsafe.Height != 0 || !strings.Contains(s.Reason, fmt.Sprintf("from height %d on", late)) {
		t.Errorf("got %+v, want unready with the start", s)
	}
	n.stopped(t)

	p := c.sequencer(t, d.URL(), 50*time.Millisecond)
	p.Config.DA.StartHeight = late
	again := start(t, p)
	again.until(t, "paused", func(s node.Status) bool {
		return strings.Contains(s.Sequencer.Paused, "this chain has blocks already: ")
	})
	s = again.until(t, "told of its start", func(s node.Status) bool { return strings.Contains(s.Reason, cause) })
	if s.Heads.Unsafe.Height != 0 || s.Counts.Produced != 0 {
		t.Errorf("got %+v from a second sequencer, want no block", s.Heads)
	}
	again.stopped(t)

	o.Config.DA.StartHeight = 1
	n = start(t, o)
	n.until(t, "ready", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height > 8 })
	n.stopped(t)
	o.Config.DA.StartHeight = late
	if _, err := opens(t, o); err == nil || !strings.Contains(err.Error(), "this home has blocks") {
		t.Errorf("got %v for another start of a home with blocks, want it refused", err)
	}
	for _, same := range []uint64{0, 1} {
		o.Config.DA.StartHeight = same
		if _, err := opens(t, o); err != nil {
			t.Errorf("start height %d: got %v, want the home as it was", same, err)
		}
	}
}

// TestNoBlockSeen: a node at the head of a DA layer that has nothing of its chain says so, and in which namespaces it
// looks; and what it has found there if that is of an older format.
func TestNoBlockSeen(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "empty")
	n := start(t, c.full(t, d.URL()))
	says := func(text string) func(node.Status) bool {
		return func(s node.Status) bool { return strings.Contains(s.Unseen, text) }
	}
	ns := da.NamespaceFromName(c.genesis.DA.HeaderNamespace)
	n.until(t, "saying where it looks", says("no block of this chain seen yet in namespaces "+ns.String()))
	n.until(t, "ready all the same", ready)
	if _, err := d.Chain().Submit(bounded(t), []da.Blob{{Namespace: ns, Data: c.legacy(t), Index: -1}}); err != nil {
		t.Fatal(err)
	}
	n.until(t, "naming the older format", says("1 headers of an older format, with fields 5, 7 or 9"))
	n.stopped(t)
}

// legacy returns the first header of the chain in the format of before, signed with the fields that are no more.
func (c chain) legacy(t *testing.T) []byte {
	t.Helper()
	s, _, _ := c.signed(t)
	old := protowire.AppendBytes(protowire.AppendTag(s.Header.Encode(), 7, protowire.BytesType), make([]byte, 32))
	s.Signature = c.key.Sign(old)
	rest := s.Encode()
	_, _, n := protowire.ConsumeField(rest)
	return append(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), old), rest[n:]...)
}

// TestPortOfAnEvNode: who has taken the port is said if it is an ev-node, whose default is the same, with the flag
// that helps.
func TestPortOfAnEvNode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		contentType string
		status      int
		want        string
	}{
		"alive":       {"text/plain", 200, "by an ev-node"},
		"not alive":   {"text/plain; charset=utf-8", 503, "by an ev-node"},
		"not found":   {"text/plain", 404, "stop what uses the port"},
		"another one": {"application/json", 200, "stop what uses the port"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.contentType)
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, r.URL.Path+"\n")
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		o := newChain(t, "port").full(t, "http://"+nettest.FreeAddress(t))
		o.Config.HTTP.Address = l.Addr().String()
		if _, err := opens(t, o); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "set http.address to another one") {
			t.Errorf("%s: got %v, want %q and the setting", name, err, c.want)
		}
		_ = server.Close()
		<-served
	}
}

// TestLeave: a chain's key leaves when all that was signed is posted, and not before; the home then looks first whether
// another sequencer is at work. What else is known leaves at any time.
func TestLeave(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	l := link(t, d.URL())
	c := newChain(t, "leaves")
	c.genesis.DAStartHeight = 0
	o := c.sequencer(t, "http://"+l.Address(), 50*time.Millisecond)
	mark := filepath.Join(o.Home, "signed")
	n := start(t, o)
	n.until(t, "confirmed", func(s node.Status) bool { return s.Heads.Safe.Height > 2 })
	if err := node.Leave(o, true, func(node.Left) error { return errors.New("called") }); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("got %v for the key of a sequencer that runs, want it refused", err)
	}
	l.Cut(true)
	n.until(t, "ahead of the DA layer", func(s node.Status) bool { return s.Heads.Unsafe.Height > s.Heads.Safe.Height+2 })
	n.stopped(t)
	if err := node.Leave(o, true, func(node.Left) error { return errors.New("called") }); err == nil || !strings.Contains(err.Error(), "are not on the DA layer yet") {
		t.Errorf("got %v for a key that has signed what is not posted, want it refused", err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("got %v, want the home as it was after a refusal", err)
	}
	var first node.Left
	if err := node.Leave(o, false, func(left node.Left) error { first = left; return nil }); err != nil {
		t.Fatal(err)
	}
	if first.Start == 0 || first.Header != da.NamespaceFromName("leaves-headers") || first.Data != da.NamespaceFromName("leaves-data") {
		t.Errorf("got %+v, want the DA height of the first block, and the namespaces", first)
	}
	if blobs, err := d.Chain().Blobs(first.Start, first.Header); err != nil || len(blobs) == 0 {
		t.Errorf("got %d blobs, %v at DA height %d, want the first block's header", len(blobs), err, first.Start)
	}

	l.Cut(false)
	lazy := o
	lazy.Config.Sequencer.Lazy, lazy.Config.Sequencer.LazyInterval = true, time.Hour
	n = start(t, lazy)
	n.until(t, "posted", func(s node.Status) bool { return s.Source.Live && s.Heads.Safe == s.Heads.Unsafe })
	n.stopped(t)
	called := false
	if err := node.Leave(o, true, func(node.Left) error { called = true; return nil }); err != nil || !called {
		t.Errorf("got %v, %t after all was posted, want the key to leave", err, called)
	}
	if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no mark of what was signed last", err)
	}
	again := start(t, o)
	again.until(t, "looking for another sequencer", func(s node.Status) bool { return strings.Contains(s.Sequencer.Paused, "no block is signed until") })
	again.stopped(t)
}
