package publish

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"headrace/internal/nettest"
	"headrace/node"
	"headrace/stream/nats"
	"headrace/stream/nats/internal/leader"
	"headrace/stream/nats/server"
)

var clusterCuts = flag.Int("cluster-cuts", 1, "how often TestCluster puts the directories of all its servers back")

// cluster is three servers that keep one stream.
type cluster struct{ hosts [3]*host }

// newCluster makes them. None runs yet.
func newCluster(t testing.TB) *cluster {
	c := new(cluster)
	var routes []string
	for range c.hosts {
		routes = append(routes, nettest.FreeAddress(t))
	}
	for i := range c.hosts {
		h := &host{t: t, opt: server.Options{
			Dir: t.TempDir(), Listen: nettest.FreeAddress(t), Password: "of-readers", Secret: "secret-of-tests",
			Cluster: &server.Cluster{Name: fmt.Sprintf("server-%d", i), Listen: routes[i], Routes: routes},
		}}
		t.Cleanup(h.down)
		c.hosts[i] = h
	}
	return c
}

func (c *cluster) servers() Servers {
	s := Servers{User: "publisher", Password: "secret-of-tests"}
	for _, h := range c.hosts {
		s.URLs = append(s.URLs, "nats://"+h.opt.Listen)
	}
	return s
}

// settle is how long servers may take to choose a leader, or to get what they lack, where nothing depends on it.
const settle = 45 * time.Second

// caughtUp waits until all servers of the stream have what its leader has: a fault of the next one before that is a
// fault of two. Each look is a question, since nothing tells of it.
func (r *reader) caughtUp() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), settle)
	defer cancel()
	js, err := jetstream.New(r.conn)
	if err != nil {
		r.t.Fatal(err)
	}
	lacks := func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline }
	for {
		of, err := leader.Ask(ctx, 500*time.Millisecond, func(ctx context.Context) (jetstream.Stream, error) { return js.Stream(ctx, nats.StreamName(testName)) })
		var at *jetstream.ClusterInfo
		if err == nil {
			at = of.CachedInfo().Cluster
		}
		if at != nil && at.Leader != "" && len(at.Replicas) == 2 && !slices.ContainsFunc(at.Replicas, lacks) {
			return
		}
		wait := time.NewTimer(200 * time.Millisecond) // between two questions
		select {
		case <-wait.C:
		case <-ctx.Done():
			r.t.Logf("the stream's servers have not caught up: %+v (%v)", at, err)
			return
		}
	}
}

// moves waits as eventually does. Servers of which one was put back to an old copy have forgotten a vote: where they choose
// no leader they are restarted, as docs/STREAM.md says.
func (r *reader) moves(c *cluster, m *memory, height uint64) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), settle)
	defer cancel()
	if err := r.waits(ctx, m.ref(height)); err != nil {
		r.t.Logf("the servers are restarted: %v", err)
		for _, h := range c.hosts {
			h.down()
		}
		for _, h := range c.hosts {
			h.up()
		}
		r.eventually(m, height)
	}
	r.caughtUp()
}

// TestCluster: three publishers and three servers. At the start there is one server, and no leader: a call is not answered
// at all. Then each server in turn is down, is put back to a copy of before, or is the only one that is there; and at last
// all of them are put back together, so that what was acknowledged is gone.
func TestCluster(t *testing.T) {
	c := newCluster(t)
	c.hosts[0].up()
	var nodes [3]*memory
	var all [3]*working
	to := uint64(20)
	for i := range nodes {
		nodes[i] = newMemory()
		nodes[i].mine(to)
		all[i] = publishing(t, nodes[i], Options{Servers: c.servers(), Replicas: 3})
		all[i].until(t, "failing, for want of a leader", func(s node.Stream) bool { return s.State == node.StreamFailing })
	}
	c.hosts[1].up()
	c.hosts[2].up()
	r := newReader(t, c.servers())
	more := func() {
		to += 1 + rand.Uint64N(30)
		for _, m := range nodes {
			m.set(to, to, to)
		}
	}
	r.eventually(nodes[0], to)
	copies := t.TempDir()
	for i, h := range c.hosts {
		h.down()
		copyDir(t, h.opt.Dir, fmt.Sprintf("%s/%d", copies, i))
		more()
		r.eventually(nodes[0], to) // two of three go on
		h.up()
		more()
		r.eventually(nodes[0], to)
		r.caughtUp()
	}
	for i, h := range c.hosts {
		h.down()
		copyDir(t, fmt.Sprintf("%s/%d", copies, i), h.opt.Dir) // one that was put back gets what is missing from the others
		h.up()
		more()
		r.moves(c, nodes[0], to)
	}
	r.wants(nodes[0], 1, to)
	for n := range *clusterCuts {
		for i, h := range c.hosts {
			h.down()
			if n%3 == 2 {
				copyDir(t, h.opt.Dir, fmt.Sprintf("%s/%d", copies, i))
			}
		}
		more()
		for i, h := range c.hosts {
			copyDir(t, fmt.Sprintf("%s/%d", copies, i), h.opt.Dir)
			h.up()
		}
		r.eventually(nodes[0], to)
		r.wants(nodes[0], 1, to)
	}
}
