package publish

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"headrace/node"
	"headrace/stream/nats"
	"headrace/stream/nats/server"
)

// never is a probe that no test sees: the publisher knows of a purge by what the server refuses.
const never = 24 * time.Hour

// TestPurged: a stream is purged, and a block comes before its publisher looks. The stream keeps its last sequence, and has
// all blocks again: that block alone would be a stream that begins with it. So it is where a block comes in parts, is the
// first behind a reorg, and where what stood last in the stream was nobody's message.
func TestPurged(t *testing.T) {
	large := func(height uint64) int {
		if height%10 == 1 { // as the one behind the purge is
			return 40_000
		}
		return 100
	}
	for name, c := range map[string]struct {
		sizes  func(height uint64) int
		before func(t *testing.T, r *reader, m *memory)
		next   func(m *memory)
		to     uint64
	}{
		"a block": {next: func(m *memory) { m.mine(1) }, to: 41},
		"many":    {next: func(m *memory) { m.mine(300) }, to: 340},
		"parts":   {sizes: large, next: func(m *memory) { m.mine(1) }, to: 41},
		"a reorg": {next: func(m *memory) {
			m.fork(35, 7)
			m.set(42, 5, 200)
		}, to: 42},
		"behind a message of nobody": {before: func(t *testing.T, r *reader, m *memory) {
			if _, err := r.js.Publish(bounded(t), nats.BlockSubject(testName, 41), []byte("garbage")); err != nil {
				t.Fatal(err)
			}
		}, next: func(m *memory) { m.mine(1) }, to: 41},
	} {
		t.Run(name, func(t *testing.T) {
			h, m := newHost(t, server.Options{MaxPayload: 16 << 10}), newMemory()
			m.l1, m.txBytes = true, c.sizes
			m.set(40, 5, 100)
			p := publishing(t, m, Options{Servers: h.servers(), Probe: never})
			p.until(t, "there", at(m.ref(40)))
			r := newReader(t, h.servers())
			if c.before != nil {
				c.before(t, r, m)
			}
			r.purgeOnce()
			c.next(m)
			p.until(t, "there again", at(m.ref(c.to)))
			r.wants(m, 1, c.to)
		})
	}
}

// TestPurgedMeanwhile: a stream is purged between two messages of a catch-up, of which many are on their way at once, and
// of another publisher that is as fast. It begins with the first block all the same.
func TestPurgedMeanwhile(t *testing.T) {
	for name, noIDs := range map[string]bool{"with ids": false, "without ids": true} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, server.Options{})
			r := newReader(t, h.servers())
			var nodes [2]*memory
			purges := map[uint64]*sync.Once{1: {}, 2: {}, 60: {}, 200: {}, 399: {}, 400: {}}
			for i := range nodes {
				nodes[i] = newMemory()
				nodes[i].mine(400)
				publishing(t, nodes[i], Options{Servers: h.servers(), Probe: never, noIDs: noIDs, sent: func(m *nats.Message) {
					if once := purges[m.Block.Height]; once != nil {
						once.Do(r.purgeOnce)
					}
				}})
			}
			for to := uint64(401); to <= 410; to++ {
				for _, m := range nodes {
					m.set(to, to, to)
				}
				r.eventually(nodes[0], to)
			}
			r.wants(nodes[0], 1, 410)
		})
	}
}

// TestPurgedOnACluster: as TestPurged, of a stream on three servers, which check what a message names before they agree on
// its place. A catch-up of such a stream is not slower for it: no message names what is still on its way.
func TestPurgedOnACluster(t *testing.T) {
	c, m := newCluster(t), newMemory()
	for _, h := range c.hosts {
		h.up()
	}
	m.l1 = true
	m.set(500, 5, 500)
	p := publishing(t, m, Options{Servers: c.servers(), Replicas: 3, Probe: never})
	to := uint64(500)
	there := func() { p.until(t, fmt.Sprintf("at block %d", to), at(m.ref(to))) }
	there()
	r := newReader(t, c.servers())
	r.caughtUp()
	for range 20 {
		to++
		m.set(to, 5, to)
		there()
	}
	if n := p.Streaming().Counts.Refused; n > to/4 { // a few where the servers have chosen another leader
		t.Errorf("messages were refused %d times, of %d blocks", n, to)
	}
	t.Logf("messages were refused %d times, of %d blocks", p.Streaming().Counts.Refused, to)
	for _, next := range []func(){
		func() { to++ },
		func() { to += 20 },
		func() {
			m.fork(to-3, 9)
			to += 2
		},
	} {
		r.purgeOnce()
		next()
		m.set(to, 5, to+100)
		p.until(t, "there again", func(s node.Stream) bool { return s.At == m.ref(to) && s.State == node.StreamPublishing })
		r.wants(m, 1, to)
	}
}

// purgeOnce purges the stream. A request that is asked again while it is under way, as purge
// does, could come behind the blocks of after, of which no publisher of these tests would know.
func (r *reader) purgeOnce() {
	r.t.Helper()
	var err error
	for range 3 { // one is lost where the servers have no leader just then
		ctx, cancel := context.WithTimeout(r.t.Context(), patience/2)
		err = r.stream().Purge(ctx)
		cancel()
		if err == nil {
			return
		}
		r.t.Logf("the purge is tried again: %v", err)
		r.caughtUp()
	}
	r.t.Fatal(err)
}

// TestOldServers: a server that does not know of another subject than the message's own would refuse every message that
// names one, so at servers before 2.12 none does.
func TestOldServers(t *testing.T) {
	info := &jetstream.StreamInfo{Config: jetstream.StreamConfig{Replicas: 1, Metadata: map[string]string{"_nats.level": "2"}}}
	f := (&session{at: &place{info: info, newest: mark{"hr.x.block.1", 1}}}).flight()
	if got := f.before(); got != f.last {
		t.Errorf("got the name %v at a server of level 2, want %v", got, f.last)
	}
	for _, level := range []string{"1", "0", "", "two"} {
		info.Config.Metadata["_nats.level"] = level
		if got := f.before(); got != (mark{}) {
			t.Errorf("got the name %v at a server of level %q, want none", got, level)
		}
	}
}
