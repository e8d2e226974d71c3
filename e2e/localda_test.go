package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"headrace/devnet/localda"
	"headrace/follow"
	"headrace/node"
)

// TestLocalDA: a sequencer and a full node on a local-da, which are killed and go on. A height that holds something else
// than it did is noticed by a node that is started: it takes no block more, until the height is as it was.
func TestLocalDA(t *testing.T) {
	noteSources(t)
	kind := []string{"--da.kind", "local-da", "--da.level", "trust"}
	r := newRollupWith(t, pace{block: 50 * time.Millisecond}, kind, kind)
	lis, err := net.Listen("tcp", r.da.args[4])
	if err != nil {
		t.Fatal(err)
	}
	layer := localda.New(localda.Options{})
	serving, served := &http.Server{Handler: layer}, make(chan struct{})
	go func() { defer close(served); _ = serving.Serve(lis) }()
	defer func() { _ = layer.Close(); _ = serving.Close(); <-served }()
	r.servers = []*server{r.seq, r.all}
	for _, s := range r.servers {
		s.start(t)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*patience, errors.New("it hangs"))
	defer cancel()
	c := &asker{client: &http.Client{Transport: &http.Transport{}}}
	defer c.client.CloseIdleConnections()

	above := uint64(0)
	for _, victim := range []*server{r.all, r.seq, r.all, r.seq} {
		above = r.settled(t, above)
		resp, err := c.client.Post(r.seq.ready(ctx, t)+"/v1/txs", "", strings.NewReader(fmt.Sprintf("at=%d", above)))
		if err != nil || resp.StatusCode != http.StatusAccepted {
			t.Fatalf("got %v, %v for a transaction", resp, err)
		}
		_ = resp.Body.Close()
		victim.p.kill()
		victim.start(t)
	}
	above = r.settled(t, above)
	seq, full := r.seq.ready(ctx, t), r.all.ready(ctx, t)
	if s := c.status(ctx, t, full, "ready", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= above }); !strings.Contains(s.Source.Unverified, "not verified, development only") {
		t.Errorf("got %q in the status, want it to say that nothing is verified", s.Source.Unverified)
	}
	c.status(ctx, t, seq, "ready", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= above })
	ours, theirs, txs := c.chain(ctx, t, seq, above), c.chain(ctx, t, full, above), 0
	for i := range ours {
		if txs += len(ours[i].Txs); !reflect.DeepEqual(ours[i], theirs[i]) {
			t.Fatalf("got block %+v on the full node, want the sequencer's %+v", theirs[i], ours[i])
		}
	}
	if txs == 0 {
		t.Error("no block has a transaction")
	}

	r.seq.p.kill() // nothing is posted any more
	head := layer.Height().Load()
	safe := c.status(ctx, t, full, "at the head", func(s node.Status) bool { return s.Source.Position.Height == head }).Heads.Safe.Height
	r.all.p.interrupt(t) // what a kill loses is read again, as it is then
	layer.Swap(head, head-1)
	r.all.start(t)
	full = r.all.ready(ctx, t)
	noticed := func(s node.Status) bool {
		return !s.Ready && strings.Contains(s.Reason, "another chain than the one followed so far")
	}
	if s := c.status(ctx, t, full, "noticing it", noticed); s.Heads.Safe.Height != safe {
		t.Errorf("got block %d, want none above %d", s.Heads.Safe.Height, safe)
	}
	layer.Swap(head, head-1)
	c.status(ctx, t, full, "following again", func(s node.Status) bool { // without its sequencer the chain stands
		return (s.Ready || s.Stage == follow.StageChain) && s.Heads.Safe.Height == safe
	})
	r.seq.start(t)
	r.settled(t, safe)
	for _, s := range r.servers {
		s.p.interrupt(t)
	}
}
