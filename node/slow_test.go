package node_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"headrace/da"
	"headrace/node"
)

// TestSlowEndpointIsLeft: the endpoint that a node reads from drips, a little above the lowest rate, while another one
// could serve. A height that would take the dripping one minutes is there within one; the status says of which endpoint
// that it was too slow, and which one; and it is not gone back to.
func TestSlowEndpointIsLeft(t *testing.T) {
	t.Parallel()
	const size, rate = 4_000_000, 20 << 10 // 260 s in JSON
	d, _ := daLayer(t, "127.0.0.1:0", "", 250*time.Millisecond)
	c := newChain(t, "slow")
	garbage := da.Blob{Namespace: da.NamespaceFromName("slow-data"), Data: make([]byte, size), Index: -1}
	_, _ = rand.NewChaCha8([32]byte{1}).Read(garbage.Data)
	large, err := d.Chain().Submit(bounded(t), []da.Blob{garbage})
	if err != nil {
		t.Fatal(err)
	}

	slow, quick := link(t, d.URL()), link(t, d.URL())
	quick.Cut(true) // it is away until the other one is read from
	slow.SetRate(rate)
	o := c.full(t, "http://"+slow.Address())
	o.Config.DA.Address = append(o.Config.DA.Address, node.At("http://"+quick.Address())...)
	n := start(t, o)
	n.until(t, "reading from the slow endpoint", func(node.Status) bool { return slow.Passed() > 5*rate })
	if at := n.Status().Load().Source.Position.Height; at >= large {
		t.Fatalf("it is at %d already", at)
	}
	quick.Cut(false)
	s := n.until(t, "past the large height", func(s node.Status) bool { return s.Source.Position.Height >= large })
	var said []string
	for _, e := range s.Source.Endpoints {
		said = append(said, e.Address+": "+e.LastError)
	}
	t.Logf("%q, %d bytes from the slow one, %d from the other", said, slow.Passed(), quick.Passed())
	if got := quick.Passed(); got < size {
		t.Errorf("%d bytes came from the quick endpoint, want the large height", got)
	}
	if !strings.Contains(said[0], "too slow") || strings.Contains(said[1], "too slow") {
		t.Errorf("the endpoints are said to be %q, want the first too slow", said)
	}
	n.until(t, "ready", ready)
	before, at := slow.Passed(), n.Status().Load().Source.Position.Height
	n.until(t, "ten heights on", func(s node.Status) bool { return s.Source.Position.Height >= at+10 })
	if got := slow.Passed() - before; got > size/4 {
		t.Errorf("%d more bytes came from the slow endpoint", got)
	}
}
