package node_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/da"
	"headrace/devnet/localda"
	"headrace/internal/nettest"
	"headrace/node"
)

// localDA is a local-da that can be restarted.
type localDA struct {
	*localda.Layer
	at  atomic.Pointer[localda.Layer]
	url string
}

func newLocalDA(t *testing.T) *localDA {
	t.Helper()
	l := &localDA{}
	l.restart()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.at.Load().ServeHTTP(w, r) }))
	t.Cleanup(func() { _ = l.Close(); server.Close() })
	l.url = server.URL
	return l
}

// restart leaves nothing of what it held.
func (l *localDA) restart() {
	before := l.Layer
	l.Layer = localda.New(localda.Options{})
	l.at.Store(l.Layer)
	if before != nil {
		_ = before.Close()
	}
}

func onLocalDA(o node.Options) node.Options {
	o.Config.DA.Kind, o.Config.DA.Level = "local-da", "trust"
	return o
}

func says(text string) func(node.Status) bool {
	return func(s node.Status) bool { return !s.Ready && strings.Contains(s.Reason, text) }
}

// TestLocalDA: a sequencer and a full node on a local-da that holds nothing at first. They say that nothing is verified,
// and are ready while nothing is posted. A height that has changed is noticed, at the head at once, and by a node that
// starts; when it is as before, they go on. So is one that has lost everything.
func TestLocalDA(t *testing.T) {
	t.Parallel()
	const unverified = "not verified, development only"
	layer, c := newLocalDA(t), newChain(t, "local-da")
	o := onLocalDA(c.sequencer(t, layer.url, 50*time.Millisecond))
	o.Config.Sequencer.Lazy, o.Config.Sequencer.LazyInterval = true, time.Hour
	seq, of := start(t, o), onLocalDA(c.full(t, layer.url))
	full := start(t, of)
	for _, n := range []*running{seq, full} {
		s := n.until(t, "ready", ready)
		if !strings.Contains(s.Source.Unverified, unverified) || s.Source.BlockTime != "on-demand" {
			t.Errorf("got %q, a block each %q, want %q and blocks on demand", s.Source.Unverified, s.Source.BlockTime, unverified)
		}
	}
	send := func(value string) uint64 {
		t.Helper()
		before := seq.Status().Load().Heads.Safe.Height
		if err := seq.SubmitTx(bounded(t), []byte("key="+value)); err != nil {
			t.Fatal(err)
		}
		return seq.until(t, "confirmed", func(s node.Status) bool { return s.Heads.Safe.Height > before }).Heads.Safe.Height
	}
	for _, value := range []string{"1", "2", "3"} {
		send(value)
	}
	safe := send("4")
	at := func(height uint64) func(node.Status) bool {
		return func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= height }
	}
	position := full.until(t, "where the sequencer is", at(safe)).Source.Position.Height

	const another = "another chain than the one followed so far"
	layer.Swap(position, position-1)
	full.until(t, "noticing that the head has changed", says(another))
	seq.until(t, "noticing it, too", says(another))
	layer.Swap(position, position-1)
	full.until(t, "ready again", ready)
	seq.until(t, "ready again", ready)

	full.stopped(t)
	layer.Swap(position, position-1)
	full = start(t, of)
	if s := full.until(t, "noticing it at its start", says(another)); s.Heads.Safe.Height != safe {
		t.Errorf("got block %d on another chain, want %d", s.Heads.Safe.Height, safe)
	}
	layer.Post(da.NamespaceFromName("of others"), []byte("a height more"))
	full.until(t, "noticing it below the head", func(s node.Status) bool { return says(another)(s) && s.Source.Head.Height > position })
	layer.Swap(position, position-1)
	full.until(t, "ready again", at(safe))
	seq.until(t, "ready again", ready)
	safe = send("5")
	full.until(t, "going on", at(safe))

	layer.restart()
	full.until(t, "noticing that the layer has begun anew", says("it has begun anew"))
	full.stopped(t)
	full = start(t, of)
	full.until(t, "noticing it after a restart", says("it has begun anew"))
	full.stopped(t)
	seq.stopped(t)
}

// TestLocalDARefused: what a level promises, a local-da cannot show.
func TestLocalDARefused(t *testing.T) {
	t.Parallel()
	o := onLocalDA(newChain(t, "refused").full(t, "http://"+nettest.FreeAddress(t)))
	for level, want := range map[string]string{"": "not verified, development only", "prove-empty": "set da.level to trust", "prove": "not verified, development only", "much": "da.level"} {
		o.Config.DA.Level = level
		if _, err := opens(t, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("level %q: got %v, want %q", level, err, want)
		}
	}
	o.Config.DA.Kind, o.Config.DA.Level = "avail", "trust"
	if _, err := opens(t, o); err == nil || !strings.Contains(err.Error(), `da.kind "avail" is not known`) {
		t.Errorf("got %v, want it refused", err)
	}
}
