package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/da"
	"headrace/exec/kv"
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
	n := start(t, node.OnDisks(chain.sequencer(t, d.URL(), 200*time.Millisecond), store, vfs.NewMem()))
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

// TestSubmittedOutlivesARestart: what is safe has been submitted, by whichever process.
func TestSubmittedOutlivesARestart(t *testing.T) {
	t.Parallel()
	d, stopDA := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	o := newChain(t, "submitted").sequencer(t, d.URL(), 50*time.Millisecond)
	n := start(t, o)
	n.until(t, "safe at 3", func(s node.Status) bool { return s.Heads.Safe.Height >= 3 })
	n.stopped(t)
	stopDA()
	n = start(t, o)
	if s := n.until(t, "open", func(s node.Status) bool { return s.Heads.Safe.Height >= 3 }); s.Sequencer.Submitted < s.Heads.Safe.Height {
		t.Errorf("got %d as the highest block submitted, and %d is safe", s.Sequencer.Submitted, s.Heads.Safe.Height)
	}
	n.stopped(t)
}

// gatedEngine makes no block until the gate is open.
type gatedEngine struct {
	*kv.Engine
	open atomic.Bool
}

// Build implements exec.Builder.
func (e *gatedEngine) Build(ctx context.Context, height, now uint64, most int) ([][]byte, error) {
	if !e.open.Load() {
		return nil, errors.New("the gate is shut")
	}
	return e.Engine.Build(ctx, height, now, most)
}

// TestFullPoolOutlivesAReopen: a pool that is full is said to be, and since when, once the home is open again after a
// failed write. A transaction that fits, and is smaller than the one that was refused, does not show that it has room.
func TestFullPoolOutlivesAReopen(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	chain := newChain(t, "full")
	engine, err := kv.Open(t.TempDir(), kv.Options{PoolBytes: 900})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	store := &disktest.FaultFS{FS: vfs.NewMem(), At: -1, Lasts: true}
	o := node.OnDisks(chain.sequencer(t, d.URL(), 20*time.Millisecond), store, nil)
	gated := &gatedEngine{Engine: engine}
	o.Engine = gated
	n := start(t, o)
	n.until(t, "live", func(s node.Status) bool { return s.Source.Live })
	post := func(want, size int) {
		t.Helper()
		if got, body := ask(t, n, "POST", "/v1/txs", "k="+strings.Repeat("x", size)); got != want {
			t.Errorf("a transaction of %d bytes: got %d %s, want %d", size, got, body, want)
		}
	}
	post(202, 300) // 256 bytes more are counted for each
	post(503, 200)
	full := func(s node.Status) bool { return !s.Sequencer.Pool.FullSince.IsZero() }
	before := n.until(t, "full", full).Sequencer.Pool
	store.FailIn(0)
	n.until(t, "told of its disk", func(s node.Status) bool { return s.Disk != "" })
	store.Mend()
	up := n.until(t, "on again", func(s node.Status) bool { return s.Disk == "" && s.Source.Live }).Sequencer.Pool
	if !up.FullSince.Equal(before.FullSince) || up.Refused != 1 {
		t.Errorf("got a pool full since %v, %d refused, want it full since %v, 1 refused", up.FullSince, up.Refused, before.FullSince)
	}
	post(202, 10)
	post(503, 201)
	s := n.until(t, "telling of the second one", func(s node.Status) bool { return s.Sequencer.Pool.Refused == 2 }).Sequencer.Pool
	if !s.FullSince.Equal(before.FullSince) {
		t.Errorf("got a pool full since %v, want it full since %v", s.FullSince, before.FullSince)
	}
	gated.open.Store(true)
	n.until(t, "with room", func(s node.Status) bool { return s.Sequencer.Pool.FullSince.IsZero() })
}
