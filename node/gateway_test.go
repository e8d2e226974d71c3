package node_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/devnet/proxy"
	"headrace/node"
)

var gatewayFailures = flag.Int("gateway-failures", 24, "failed submissions of each kind in TestGatewayFailures; from 100 on each kind has a chain of its own, and -parallel 8 a good time")

// troubled is a gateway before a DA layer that answers some submissions in its place, until it has done so often enough.
// It takes no WebSockets, so the node submits by POSTs.
type troubled struct {
	mu     sync.Mutex // guards the rest
	rng    *rand.Rand
	often  float64       // how many of the submissions fail
	faults []proxy.Fault // those to come
	done   chan struct{} // closed when all have been
}

func (g *troubled) decide(r *http.Request, body []byte) proxy.Fault {
	switch {
	case r.Header.Get("Upgrade") != "":
		return proxy.Fault{Status: http.StatusNotImplemented}
	case !bytes.Contains(body, []byte(`"blob.Submit"`)):
		return proxy.Fault{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.faults) == 0 || g.rng.Float64() >= g.often {
		return proxy.Fault{}
	}
	f := g.faults[0]
	if g.faults = g.faults[1:]; len(g.faults) == 0 {
		close(g.done)
	}
	return f
}

// Whatever a gateway answers to submissions in the DA layer's place, before and after that took them: all that is made
// becomes safe, and no blob is posted twice. The node, the wire, the gateway and the DA layer's server are the real ones.
func TestGatewayFailures(t *testing.T) {
	t.Parallel()
	kinds := map[string][]proxy.Fault{}
	for _, status := range []int{401, 403, 404, 413, 429} { // with these a gateway lets nothing through
		kinds["let nothing through"] = append(kinds["let nothing through"], proxy.Fault{Status: status})
	}
	for on, name := range map[proxy.Node]string{proxy.Untouched: "before the node has it", proxy.Sent: "while the node has it", proxy.Answered: "after the node has answered"} {
		kinds[name] = []proxy.Fault{{Broken: true, Node: on}}
		for _, status := range []int{302, 408, 499, 500, 502, 503, 504} {
			kinds[name] = append(kinds[name], proxy.Fault{Status: status, Node: on})
		}
	}
	for name, faults := range kinds {
		each := [][]proxy.Fault{faults}
		if *gatewayFailures >= 100 {
			each = slices.Collect(slices.Chunk(faults, 1))
		}
		for _, faults := range each {
			sub := name
			if len(each) > 1 {
				sub = fmt.Sprintf("%s/%d", name, faults[0].Status) // 0: broken
			}
			t.Run(sub, func(t *testing.T) {
				t.Parallel()
				throughTrouble(t, slices.Repeat(faults, *gatewayFailures))
			})
		}
	}
}

// throughTrouble runs a sequencer until all these faults have been, and looks at what is posted then.
func throughTrouble(t *testing.T, faults []proxy.Fault) {
	each := 50 * time.Millisecond // between the DA layer's blocks: what the gateway has sent is in one of the next ones
	if faults[0].Node == proxy.Untouched {
		each = 20 * time.Millisecond
	}
	d, _ := daLayer(t, "127.0.0.1:0", "", each)
	trouble := &troubled{rng: rand.New(rand.NewPCG(5, 9)), often: 0.75, faults: faults, done: make(chan struct{})}
	trouble.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	if s := faults[0].Status; 400 < s && s < 430 && s != http.StatusRequestTimeout {
		trouble.often = 0.5 // the node backs off then, for longer each time
	}
	gateway, err := proxy.NewGateway(d.URL(), proxy.GatewayOptions{Fault: trouble.decide})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(gateway)
	t.Cleanup(func() { front.Close(); _ = gateway.Close() })
	c := newChain(t, "troubled")
	o := c.sequencer(t, front.URL, each)
	o.Config.Sequencer.MaxPending = 60
	if faults[0].Node == proxy.Untouched {
		o.Bounds.Arrival = time.Millisecond // nothing is on its way
	}
	seq := start(t, o)
	for n, failing := 0, true; failing; n++ {
		if err := seq.SubmitTx(t.Context(), fmt.Appendf(nil, "n=%d", n)); err != nil {
			t.Fatal(err)
		}
		head := d.Chain().Head().Load()
		if _, err := d.Chain().Head().Wait(bounded(t), func(h local.Head) bool { return h.Height > head.Height }); err != nil {
			t.Fatal(err)
		}
		select {
		case <-trouble.done:
			failing = false
		default:
		}
	}
	made := seq.Status().Load().Heads.Unsafe.Height
	end := seq.until(t, "posting all that it had made", func(s node.Status) bool { return s.Heads.Safe.Height >= made })
	seq.stopped(t)
	posted, copies := posts(t, d, c.genesis.DA)
	if copies > 0 {
		t.Errorf("%d of %d blobs were posted again", copies, posted)
	}
	t.Logf("%d failures: %d blobs posted, %d of them again; %d blocks made, %d safe", len(faults), posted, copies, made, end.Heads.Safe.Height)
}

// posts returns how many blobs of a chain the DA layer has, and how many of them are copies.
func posts(t *testing.T, d *devnet.DA, in *block.GenesisDA) (posted, copies int) {
	t.Helper()
	seen := map[string]bool{}
	last := d.Chain().Head().Load().Height + 3 // what is under way, if anything is, comes within these
	if _, err := d.Chain().Head().Wait(bounded(t), func(h local.Head) bool { return h.Height >= last }); err != nil {
		t.Fatal(err)
	}
	for h := uint64(1); h <= last; h++ {
		for _, name := range []string{in.HeaderNamespace, in.DataNamespace} {
			blobs, err := d.Chain().Blobs(h, da.NamespaceFromName(name))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range blobs {
				posted++
				if seen[string(b.Data)] {
					copies++
				}
				seen[string(b.Data)] = true
			}
		}
	}
	return posted, copies
}
