package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/devnet"
	"headrace/node"
)

// sequencer starts a DA layer and a sequencer on it.
func sequencer(t *testing.T) (n *running, da *devnet.DA) {
	t.Helper()
	da, _ = daLayer(t, "127.0.0.1:0", "", 20*time.Millisecond)
	return start(t, newChain(t, "waits").sequencer(t, da.URL(), 20*time.Millisecond)), da
}

func waitFor(t *testing.T, n *running, query string, want int) (w node.Waited) {
	t.Helper()
	decode(t, wantStatus(t, n, "/v1/wait?"+query, want), &w)
	return w
}

// P14, P40: what /v1/wait answers, and refuses; when the time is up, with the last status.
func TestWaitEndpoint(t *testing.T) {
	n, _ := sequencer(t)
	w := waitFor(t, n, "height=3&timeout=60s", http.StatusOK)
	if w.Result != "reached" || w.Block == nil || w.Heads.Safe.Height < 3 || w.Position.Height == 0 {
		t.Errorf("got %+v, want block 3 reached", w)
	}
	b, err := n.Block(3)
	if err != nil || w.Block.Height != 3 || w.Block.Hash.String() != b.Hash {
		t.Errorf("got %+v, want block 3 %s (%v)", w.Block, b.Hash, err)
	}
	w = waitFor(t, n, fmt.Sprintf("height=%d&head=unsafe&timeout=60", w.Heads.Unsafe.Height+1), http.StatusOK)
	if w.Block == nil || w.Heads.Unsafe.Height < w.Block.Height {
		t.Errorf("got %+v, want an unsafe block", w)
	}
	if got := waitFor(t, n, fmt.Sprintf("position=%d&timeout=1m", w.Position.Height+2), http.StatusOK); got.Position.Height < w.Position.Height+2 {
		t.Errorf("got %+v, want the position waited for", got)
	}
	if w := waitFor(t, n, "ready&timeout=1m", http.StatusOK); !w.Ready {
		t.Errorf("got %+v, want a ready node", w)
	}

	began := time.Now()
	w = waitFor(t, n, "height=1000000&timeout=0.2", http.StatusGatewayTimeout)
	if took := time.Since(began); w.Result != "timeout" || w.Heads.Safe.Height < 3 || took < 200*time.Millisecond || !strings.Contains(w.Error, "safe height 1000000") {
		t.Errorf("got %+v after %s, want the last status after 200ms", w, took)
	}
	for query, says := range map[string]string{
		"":                              "say what to wait for",
		"timeout=1s":                    "say what to wait for",
		"proposal=1":                    "a DA layer, which has no proposals",
		"height=x":                      "not a number",
		"height=-1":                     "not a number",
		"height=1&proposal=1":           "one thing at a time",
		"height=1&timeout=soon":         "neither a duration",
		"height=1&timeout=-1s":          "neither a duration",
		"height=1&timeout=10m1s":        "timeout 10m1s is more than the 10m0s",
		"height=1&timeout=601":          "more than the 10m0s",
		"height=1&head=best":            "safe, unsafe or finalized",
		"position=1&head=safe":          "head goes with height",
		"hieght=1":                      "no parameter hieght",
		"ready=false":                   "not true",
		"height=1&height=2&position=77": "the parameter height is there 2 times",
	} {
		if body := wantStatus(t, n, "/v1/wait?"+query, http.StatusBadRequest); !strings.Contains(body, says) {
			t.Errorf("%s: got %s, want %q", query, body, says)
		}
	}
}

// E2, P15, P29: when the node stops, whoever waits or listens is told so, and does not hold it up.
func TestLongRequestsEndWithTheNode(t *testing.T) {
	n, _ := sequencer(t)
	if _, err := await.Height(bounded(t), n.Status(), 2); err != nil {
		t.Fatal(err)
	}
	l := listen(t, "http://"+n.Address(), "from=1", "")
	for want := uint64(1); want <= 2; want++ {
		if b := l.next().block(t); b.Height != want {
			t.Fatalf("got %+v, want block %d", b, want)
		}
	}
	type answer struct {
		code int
		body string
	}
	waiting := make(chan answer, 1) // sent to once
	asked := make(chan struct{})
	go func() {
		close(asked)
		code, body := ask(t, n, http.MethodGet, "/v1/wait?height=1000000&timeout=10m", "")
		waiting <- answer{code, body}
	}()
	<-asked
	if _, err := await.Height(bounded(t), n.Status(), n.Status().Load().Heads.Safe.Height+3); err != nil { // the request is there by now
		t.Fatal(err)
	}
	n.stopped(t)
	if a := <-waiting; a.code != http.StatusGone || !strings.Contains(a.body, `"result": "ended"`) {
		t.Errorf("got %d %s, want the end", a.code, a.body)
	}
	for {
		if e := l.next(); e.kind == "end" {
			break
		} else if e.kind != "block" {
			t.Fatalf("got %+v", e)
		}
	}
	_, err := await.Height(context.WithoutCancel(t.Context()), n.Status(), 1000000)
	if !errors.Is(err, await.ErrEnded) || !strings.Contains(err.Error(), "safe head") {
		t.Errorf("got %v, want the end of the node and its last head", err)
	}
}

// I6: only so many requests may wait; those beyond are told so, and the places are free again afterwards.
func TestTooManyWaits(t *testing.T) {
	n, _ := sequencer(t)
	const places, more = 1024, 50
	handler := n.Handler()
	ctx, cancel := context.WithCancel(bounded(t))
	request := func(query string) int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/wait?"+query, nil))
		return w.Code
	}
	codes := make(chan int, places+more)
	for range places + more {
		go func() { codes <- request("height=1000000&timeout=10m") }()
	}
	for range more {
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("got %d beyond %d waits, want 503", code, places)
		}
	}
	if code := request("height=0"); code != http.StatusServiceUnavailable {
		t.Errorf("got %d when all places are taken, want 503", code)
	}
	cancel()
	for range places {
		if code := <-codes; code != http.StatusGone {
			t.Errorf("got %d after the context's end, want 410", code)
		}
	}
	if code := request("height=0"); code != http.StatusOK {
		t.Errorf("got %d afterwards, want 200", code)
	}
}

// P9: every event of a node is a block of its store, in order, and /v1/events over a real node resumes where it was cut.
func TestEventsOfNode(t *testing.T) {
	n, _ := sequencer(t)
	var have copied
	for len(have.blocks) < 30 {
		l := listen(t, "http://"+n.Address(), "from=1&head=unsafe", have.last)
		for range 7 {
			have.take(t, l.next())
		}
		l.close()
	}
	for _, got := range have.blocks {
		b, err := n.Block(got.Height)
		if err != nil || b.Hash != got.Hash.String() || !b.Time.Equal(got.Time) || len(b.Txs) != got.Txs {
			t.Errorf("got %+v, want %+v (%v)", got, b, err)
		}
	}
}

// Status has all that the waits of package await look at.
func TestProgress(t *testing.T) {
	h := func(n byte) block.Hash { return block.Hash{n} }
	s := node.Status{
		Heads:    node.Heads{Unsafe: block.Ref{Height: 9, Hash: h(9)}, Safe: block.Ref{Height: 8, Hash: h(8)}, Finalized: block.Ref{Height: 7, Hash: h(7)}},
		Source:   node.Source{Position: block.Ref{Height: 60, Hash: h(60)}},
		Proposal: &node.Proposal{ID: 5, L1: block.Ref{Height: 50, Hash: h(50)}, Tx: h(51), L2: block.Ref{Height: 8, Hash: h(8)}, Void: "garbage"},
	}
	ref := func(height uint64, n byte) await.Ref { return await.Ref{Height: height, Hash: [32]byte(h(n))} }
	want := await.Progress{
		Unsafe: ref(9, 9), Safe: ref(8, 8), Finalized: ref(7, 7), Scanned: ref(60, 60),
		Proposal: await.Proposed{ID: 5, L1: ref(50, 50), Tx: [32]byte(h(51)), L2: ref(8, 8), Void: "garbage"},
	}
	if got := s.Progress(); fmt.Sprint(got) != fmt.Sprint(want) || got.Proposal != want.Proposal {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, ok := s.Progress().ProposalAt([32]byte(h(51))); !ok {
		t.Error("the proposal's transaction is not found")
	}
}
