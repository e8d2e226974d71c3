package node_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/nettest"
	"headrace/node"
)

// order has a sequencer do something, with a token if it is not "".
func order(t *testing.T, n *running, what, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), http.MethodPost, n.URL()+"/v1/sequencer/"+what, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return answerOf(t, req)
}

// ordered is an order that is done.
func ordered(t *testing.T, n *running, what, token string) (s node.Sequencing) {
	t.Helper()
	code, text := order(t, n, what, token)
	if code != http.StatusOK {
		t.Fatalf("%s: got %d %s", what, code, text)
	}
	decode(t, text, &s)
	return s
}

// TestStopOverHTTP: who has the token stops the sequencer and starts it, and nobody else. Stopped it makes no block, says
// so with since when, posts what it has made, and stays so over a restart.
func TestStopOverHTTP(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	o := newChain(t, "hand").sequencer(t, d.URL(), 20*time.Millisecond)
	o.Config.HTTP.Token = token
	n := start(t, o)
	n.until(t, "ready", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height > 3 })
	for _, what := range []string{"stop", "start", "propose"} {
		for _, wrong := range []string{"", "a token that somebody guesses"} {
			if code, text := order(t, n, what, wrong); code != http.StatusUnauthorized {
				t.Errorf("%s with token %q: got %d %s, want 401", what, wrong, code, text)
			}
		}
	}
	if s := n.Status().Load(); !s.Sequencer.Stopped.IsZero() || s.Sequencer.Paused != "" {
		t.Errorf("stopped by nobody: %+v", s.Sequencer)
	}
	at := ordered(t, n, "stop", token)
	if at.StoppedSince.IsZero() || at.Head.Height == 0 {
		t.Errorf("got %+v", at)
	}
	said := func(s node.Status) bool {
		return !s.Ready && s.Stage == follow.StageProduce && s.Sequencer.Stopped.Equal(at.StoppedSince) && s.Heads.Safe == at.Head &&
			strings.Contains(s.Reason, "an operator has stopped sequencing") && strings.Contains(s.Reason, "headrace sequencer start")
	}
	s := n.until(t, "stopped, with all that it has made safe", said)
	since := func(w node.Waiting) bool { return w.Stage == follow.StageProduce && w.Since.Equal(at.StoppedSince) }
	if !slices.ContainsFunc(s.Waiting, since) || s.Heads.Unsafe != at.Head {
		t.Errorf("waits %+v at %v, want since %s at %v", s.Waiting, s.Heads.Unsafe, at.StoppedSince, at.Head)
	}
	if again := ordered(t, n, "stop", token); !again.StoppedSince.Equal(at.StoppedSince) || again.Head != at.Head {
		t.Errorf("stopped again: %+v, want %+v", again, at)
	}
	n.stop()
	n = start(t, o)
	n.until(t, "stopped after a restart", said)
	if got := ordered(t, n, "propose", token); got.Head != at.Head || got.Safe != at.Head || !got.StoppedSince.Equal(at.StoppedSince) {
		t.Errorf("propose: got %+v, want nothing pending at %v", got, at.Head)
	}
	if got := ordered(t, n, "start", token); !got.StoppedSince.IsZero() {
		t.Errorf("started: got %+v", got)
	}
	s = n.until(t, "ready again", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height > at.Head.Height+2 })
	if !s.Sequencer.Stopped.IsZero() || s.Sequencer.Paused != "" {
		t.Errorf("started, and says %+v", s.Sequencer)
	}
	n.stop()
	if _, err := os.Stat(filepath.Join(o.Home, "stopped")); err == nil {
		t.Error("the next restart would find it stopped")
	}
}

// TestStopIsNoted: what cannot be noted in the home is refused, and blocks are made as before.
func TestStopIsNoted(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	o := newChain(t, "noted").sequencer(t, d.URL(), 20*time.Millisecond)
	n := start(t, o)
	n.until(t, "ready", ready)
	if err := os.MkdirAll(filepath.Join(o.Home, "stopped", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"stop", "start"} {
		if code, text := order(t, n, what, ""); code != http.StatusInternalServerError || !strings.Contains(text, "error") {
			t.Errorf("%s: got %d %s, want 500", what, code, text)
		}
	}
	at := n.Status().Load()
	n.until(t, "at work", func(s node.Status) bool {
		return s.Heads.Unsafe.Height > at.Heads.Unsafe.Height+3 && s.Sequencer.Stopped.IsZero()
	})
}

// TestStopIsAnsweredWhileTheEngineHangs: a stop that has to wait for the engine is answered, and holds.
func TestStopIsAnsweredWhileTheEngineHangs(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	state, err := kv.Open(t.TempDir(), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	engine := &buildsLate{state, make(chan struct{}, 1), make(chan struct{})}
	o := newChain(t, "hangs").sequencer(t, d.URL(), 20*time.Millisecond)
	o.Engine = engine
	n := start(t, o)
	select {
	case <-engine.begun:
	case <-bounded(t).Done():
		t.Fatal("no block is begun")
	}
	code, text := order(t, n, "stop", "")
	var s node.Sequencing
	decode(t, text, &s)
	if code != http.StatusAccepted || !s.Making || s.StoppedSince.IsZero() || s.Head.Height != 0 {
		t.Errorf("got %d %s, want 202", code, text)
	}
	close(engine.held)
	if s := ordered(t, n, "stop", ""); s.Making || s.Head.Height != 1 {
		t.Errorf("got %+v, want the block that was under way to be the last", s)
	}
	n.until(t, "safe", func(s node.Status) bool { return s.Heads.Safe.Height == 1 && s.Heads.Unsafe.Height == 1 })
	n.stopped(t)
}

// TestBlobsArePrepared: where proposals may go into blobs, what these need is set up from the start on, which the status
// says; where they may not, it is not.
func TestBlobsArePrepared(t *testing.T) {
	t.Parallel()
	for name, blobs := range map[string]bool{"blobs": true, "call data": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newChain(t, "prepared").sequencer(t, "http://"+nettest.FreeAddress(t), time.Second)
			o.Genesis.DA, o.Genesis.L1 = nil, &block.GenesisL1{ChainID: 7, Inbox: "0x" + strings.Repeat("1", 40), StartBlock: 1}
			away := "http://" + nettest.FreeAddress(t)
			key := filepath.Join(o.Home, "l1.key")
			if err := os.WriteFile(key, []byte(strings.Repeat("1", 64)), 0o600); err != nil {
				t.Fatal(err)
			}
			l1 := &o.Config.L1
			l1.HTTP, l1.Beacon, l1.KeyFile, l1.Blobs = node.At(away), node.At(away), key, blobs
			n, err := node.New(o)
			if err != nil {
				t.Fatal(err)
			}
			if says := n.Status().Load().Sequencer.Preparing; (says != "") != blobs {
				t.Errorf("it prepares %q", says)
			}
			r := &running{n, goRun(t, "node", n.Run)}
			r.until(t, "prepared", func(s node.Status) bool { return s.Sequencer.Preparing == "" })
		})
	}
}
