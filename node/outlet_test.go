package node_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"headrace/follow"
	"headrace/node"
)

// outlet says of itself what a test wants it to say.
type outlet struct {
	mu  sync.Mutex // guards now
	now node.Stream
}

func (o *outlet) Run(ctx context.Context, _ *node.Node) error {
	<-ctx.Done()
	return ctx.Err()
}

func (o *outlet) Streaming() node.Stream {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

func (o *outlet) is(n *running, state node.StreamState, cause string, since time.Time) {
	o.mu.Lock()
	o.now.State, o.now.Cause, o.now.Since = state, cause, since
	o.mu.Unlock()
	n.Refresh()
}

// TestOutlet: what becomes of a node's stream is in its status, and among what waits, and makes it not ready only when
// another node has published another block as final. It is never told as the cause of something else.
func TestOutlet(t *testing.T) {
	t.Parallel()
	d, stopDA := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "outlet")
	out := &outlet{now: node.Stream{Name: "hr-x", Head: "safe", State: node.StreamPublishing}}
	seq := c.sequencer(t, d.URL(), 50*time.Millisecond)
	seq.Outlets = []node.Outlet{out}
	n := start(t, seq)
	n.until(t, "ready, with its lag", func(s node.Status) bool {
		return s.Ready && s.Stream != nil && s.Stream.Name == "hr-x" && s.Heads.Safe.Height > 3 && s.Stream.Lag == s.Heads.Safe.Height
	})
	streams := func(s node.Status) bool {
		return slices.ContainsFunc(s.Waiting, func(w node.Waiting) bool { return w.Stage == follow.StageStream && w.Cause == "it is away" })
	}
	for _, state := range []node.StreamState{node.StreamConnecting, node.StreamWaiting, node.StreamFailing} {
		out.is(n, state, "it is away", time.Now().Add(-time.Hour))
		n.until(t, "told, and ready", func(s node.Status) bool { return streams(s) && s.Ready && s.Stream.State == state })
		out.is(n, state, "it is away", time.Now().Add(time.Hour))
		n.until(t, "new, and not told yet", func(s node.Status) bool { return s.Ready && !streams(s) })
	}
	out.is(n, node.StreamStopped, "two nodes disagree", time.Now())
	n.until(t, "not ready", func(s node.Status) bool {
		return !s.Ready && s.Reason == "two nodes disagree" && s.Stage == follow.StageStream
	})
	out.is(n, node.StreamFailing, "it is away", time.Now().Add(-time.Hour))
	n.until(t, "ready", ready)
	stopDA()
	n.until(t, "not ready for the DA layer's reason, with the stream's beside it", func(s node.Status) bool {
		return !s.Ready && s.Stage != follow.StageStream && streams(s)
	})
}
