package node_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/da"
	"headrace/internal/disk/disktest"
	"headrace/node"
)

// counts returns all that a status counts, by name, as it is served.
func counts(t *testing.T, s node.Status) map[string]uint64 {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"counts": s.Counts, "calls": s.Source.Calls, "skipped": s.Skipped})
	if err != nil {
		t.Fatal(err)
	}
	var by map[string]map[string]uint64
	if err := json.Unmarshal(raw, &by); err != nil {
		t.Fatal(err)
	}
	out := map[string]uint64{"submitted": s.Sequencer.Submitted, "failures": s.Sequencer.Failures, "refused": s.Sequencer.Pool.Refused}
	for group, of := range by {
		for name, n := range of {
			out[group+"."+name] = n
		}
	}
	for _, e := range s.Source.Endpoints {
		out["calls of "+e.Address+" "+e.Role], out["errors of "+e.Address+" "+e.Role] = e.Calls, e.Errors
	}
	return out
}

// TestCountsOutliveAReopen: what a status counts since the start does not begin again when the home is opened anew
// after a failed write, however often.
func TestCountsOutliveAReopen(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	chain := newChain(t, "counts")
	store := &disktest.FaultFS{FS: vfs.NewMem(), At: -1, Lasts: true}
	n := start(t, node.OnDisks(chain.sequencer(t, d.URL(), 20*time.Millisecond), store, vfs.NewMem()))
	n.until(t, "ready", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= 3 })
	garbage := da.Blob{Namespace: da.NamespaceFromName(chain.genesis.DA.HeaderNamespace), Data: []byte("garbage"), Index: -1}
	if _, err := d.Chain().Submit(bounded(t), []da.Blob{garbage}); err != nil {
		t.Fatal(err)
	}
	large := "large=" + strings.Repeat("x", 1<<20-100)
	for refused := 0; refused < 2; { // the pool is full before the next block
		if code, _ := ask(t, n, "POST", "/v1/txs", large); code == 503 {
			refused++
		}
	}
	before := n.until(t, "counting", func(s node.Status) bool {
		c := counts(t, s)
		return s.Ready && c["skipped.garbled"]+c["skipped.garbage"]+c["skipped.undecodable"] > 0 && c["refused"] >= 2
	})
	for range 3 {
		store.FailIn(0)
		down := n.until(t, "told of its disk", func(s node.Status) bool { return s.Disk != "" })
		store.Mend()
		up := n.until(t, "on again", func(s node.Status) bool {
			return s.Ready && s.Heads.Safe.Height > down.Heads.Safe.Height+3
		})
		was, now := counts(t, down), counts(t, up)
		for name, n := range was {
			if now[name] < n {
				t.Errorf("%s: got %d once the home is open again, want %d at least", name, now[name], n)
			}
		}
		if made := up.Counts.Produced - before.Counts.Produced; made < up.Heads.Unsafe.Height-before.Heads.Unsafe.Height {
			t.Errorf("got %d blocks produced in %d heights", made, up.Heads.Unsafe.Height-before.Heads.Unsafe.Height)
		}
		before = up
	}
	for _, name := range []string{"counts.produced", "counts.promoted", "counts.subscriptions", "counts.inline_items", "calls.submissions", "calls.events", "submitted", "refused"} {
		if counts(t, before)[name] == 0 {
			t.Errorf("%s is 0: there was nothing to keep", name)
		}
	}
}
