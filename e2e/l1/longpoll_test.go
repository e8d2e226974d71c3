package l1_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"headrace/await"
	"headrace/block"
	"headrace/l1"
	"headrace/node"
)

// answered is how a request to /v1/wait ended.
type answered struct {
	code int
	node.Waited
}

// ask sends a request to /v1/wait. Its answer comes on the channel.
func (m *member) ask(query string) <-chan answered {
	m.w.t.Helper()
	ctx, cancel := context.WithTimeout(m.w.ctx, patience)
	m.w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.Address()+"/v1/wait?"+query, nil)
	m.w.check(err)
	out := make(chan answered, 1) // sent to once
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		var a answered
		resp, err := client.Do(req)
		if err == nil {
			a.code = resp.StatusCode
			err = errors.Join(json.NewDecoder(resp.Body).Decode(&a.Waited), resp.Body.Close())
		}
		if err != nil {
			a.Error = err.Error()
		}
		out <- a
	}()
	return out
}

// TestWaitForProposal is E1, E2, E4, P4, P5 and P40 at a node that follows an L1, from outside: a proposal that is
// there already, or comes later, or comes again after a reorg took it back; one named by its L1 transaction or block;
// an L1 block with nothing in it; a node that was started anew, and one that ends. The same by the command line.
func TestWaitForProposal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a, m := w.lightAuthor(), w.light(nil)
	reached := func(what string, got answered, id uint64, tip *block.Block) {
		t.Helper()
		if got.code != http.StatusOK || got.Result != "reached" || got.Proposal.ID != id || got.Heads.Safe != tip.Ref() || got.Proposal.L2 != tip.Ref() {
			t.Fatalf("%s: got %d %+v, proposal %+v; want proposal %d and block %v", what, got.code, got.Waited, got.Proposal, id, tip.Ref())
		}
	}
	by := func(hash common.Hash) (await.Proposed, error) {
		ctx, cancel := context.WithTimeout(w.ctx, patience)
		defer cancel()
		s, err := await.ProposalAt(ctx, m.Status(), hash)
		p, _ := s.Progress().ProposalAt(hash)
		return p, err
	}

	// Before, with others in between, and late.
	first, third := m.ask("proposal=1&timeout=1m"), m.ask("proposal=3&timeout=1m")
	root := w.propose(a.many(1)...)
	reached("the first", <-first, 1, a.tip())
	m.canonical(1, a.tip())
	second := w.propose(a.many(2)...)
	old := w.propose(a.many(1)...)
	m.canonical(3, a.tip())
	reached("the third", <-third, 3, a.tip())
	reached("there already", <-m.ask("proposal=2&timeout=0"), 3, a.tip())
	for _, hash := range []common.Hash{second.Hash(), second.Txs[0].Hash()} { // another has followed it
		if p, err := by(hash); err != nil || p.ID != 2 || p.L2 != (await.Ref{Height: 3, Hash: a.blocks[2].Hash()}) {
			t.Fatalf("proposal by %s: got %+v, %v, want the second", hash, p, err)
		}
	}

	// The L1 takes back the second and the third.
	tip := w.mine()
	if got := <-m.ask(fmt.Sprintf("position=%d&timeout=1m", tip.Number())); got.code != http.StatusOK || got.Position.Hash != block.Hash(tip.Hash()) || got.Proposal.ID != 3 {
		t.Fatalf("got %d %+v, want the L1 block without a proposal", got.code, got.Waited)
	}
	a.back(1)
	w.reorg(root, 4)
	m.canonical(1, a.tip())
	if got := <-m.ask("proposal=2&timeout=0"); got.code != http.StatusGatewayTimeout || got.Result != "timeout" || got.Proposal.ID != 1 || got.Proposal.Reorgs != 1 {
		t.Fatalf("got %d %+v, %+v for a proposal that was taken back, want the first and one reorg", got.code, got.Waited, got.Proposal)
	}
	again := m.ask("proposal=3&timeout=1m")
	gone := make(chan error, 1) // how a wait for what was taken back ends
	ended, cancel := context.WithCancel(w.ctx)
	defer cancel()
	go func() {
		_, err := await.ProposalAt(ended, m.Status(), old.Hash())
		gone <- err
	}()
	w.propose(a.many(1)...)
	renewed := w.propose(a.many(1)...)
	got := <-again
	if reached("the third again", got, 3, a.tip()); got.Proposal.Tx != block.Hash(renewed.Txs[0].Hash()) || got.Proposal.L1.Hash != block.Hash(renewed.Hash()) {
		t.Fatalf("got %+v, want the third proposal of the new branch", got.Proposal)
	}
	if p, err := by(renewed.Txs[0].Hash()); err != nil || p.ID != 3 {
		t.Fatalf("got %+v, %v, want the third", p, err)
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "proposal 3 of L1 block") {
		t.Fatalf("the wait for what was taken back ended with %v, want the context's end and what was seen last", err)
	}

	// A node that begins with what is stored, without an L1; the command; and the end.
	m.stop()
	link := newLink(t, w)
	link.cut(true)
	link.through(&m.opt)
	m.start()
	reached("after a restart", <-m.ask("proposal=3&timeout=0"), 3, a.tip())
	out, status := m.command("proposal", "3")
	var printed node.Waited
	if err := json.Unmarshal(out, &printed); err != nil || status != 0 || printed.Proposal == nil || *printed.Proposal != *got.Proposal {
		t.Fatalf("headrace wait proposal 3: got %s, exit status %d, want %+v", out, status, got.Proposal)
	}
	if out, status := m.command("proposal", "4", "--timeout", "100ms"); status != 3 || !bytes.Contains(out, []byte("proposal 3 of L1 block")) {
		t.Fatalf("headrace wait proposal 4: got %q, exit status %d, want 3 and the last proposal", out, status)
	}
	came := make(chan struct{}) // closed when the request is at the node
	arrived := sync.OnceFunc(func() { close(came) })
	front := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		arrived()
		m.Handler().ServeHTTP(out, r)
	}))
	defer front.Close()
	go func() {
		<-came
		m.stop()
	}()
	if out, status := m.commandAt(front.URL, "proposal", "4"); status != 4 || !bytes.Contains(out, []byte("the node has ended")) || !bytes.Contains(out, []byte("proposal 3 of L1 block")) {
		t.Fatalf("headrace wait proposal 4 when the node ends: got %q, exit status %d, want 4 and the last proposal", out, status)
	}
}

// command runs headrace wait at the node, and returns what it says.
func (m *member) command(args ...string) (out []byte, status int) {
	m.w.t.Helper()
	return m.commandAt("http://"+m.Address(), args...)
}

func (m *member) commandAt(url string, args ...string) (out []byte, status int) {
	m.w.t.Helper()
	path, err := command()
	m.w.check(err)
	ctx, cancel := context.WithTimeout(m.w.ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, slices.Concat([]string{"wait"}, args, []string{"--node", url})...)
	cmd.WaitDelay = time.Second
	out, err = cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.w.t.Fatalf("headrace wait %v: %v: %s", args, err, out)
	}
	return out, cmd.ProcessState.ExitCode()
}
