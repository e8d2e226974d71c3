package l1_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/follow"
	"headrace/internal/logs/logstest"
	"headrace/l1"
	"headrace/node"
)

// versions returns of the proposals that the L1 has, in order, the version of each one's payload; 0 of a void one.
func (w *world) versions() (all []int) {
	w.t.Helper()
	w.check(w.client.Fetch(w.ctx, w.genesis.L1.StartBlock, w.inbox.Chain.Head().Number()+1, func(item follow.Item[l1.Block]) error {
		for _, m := range item.Data.Messages {
			switch {
			case m.Proposal == nil:
			case m.Proposal.Compact != nil:
				all = append(all, 2)
			case m.Proposal.Void == "":
				all = append(all, 1)
			default:
				all = append(all, 0)
			}
		}
		return nil
	}))
	return all
}

// TestAChainGoesOnInVersion2: a sequencer that has proposed in version 1 is started again with l1.payload: 2, and goes on. The nodes that have followed it go on
// too, and one that comes later reads both.
func TestAChainGoesOnInVersion2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t).in(how{blobs: chosenHow(t).blobs}), l1.Settings{}, 3)
	sequencer, full := w.driveWith(w.sequencing(100*time.Millisecond)), w.drive()
	const each = 3
	w.check(w.inbox.WhileMining(w.ctx, 100*time.Millisecond, func(context.Context) error {
		full.until("proposals in version 1", func(s node.Status) bool { return s.Proposal.ID >= each })
		sequencer.stop()
		return nil
	}))
	before := w.versions()
	sequencer.opt.Config.L1.Payload = 2
	sequencer.start()
	w.check(w.inbox.WhileMining(w.ctx, 100*time.Millisecond, func(context.Context) error {
		// One that was sent before the restart may wait in the pool.
		full.until("proposals in version 2", func(s node.Status) bool { return s.Proposal.ID > uint64(len(before)+each) })
		sequencer.stop()
		return nil
	}))
	after := w.versions()
	if !slices.IsSorted(after) || !slices.Equal(after[:len(before)], slices.Repeat([]int{1}, len(before))) || slices.Index(after, 2) < each || len(after)-slices.Index(after, 2) < each {
		t.Fatalf("got proposals in versions %v, of which the first %d were made before the restart", after, len(before))
	}
	late := w.drive()
	head := w.inbox.Chain.Head()
	var at node.Status
	for _, m := range []*member{full, late} {
		s := m.until("the L1's head", func(s node.Status) bool { return s.Source.Position.Height == head.Number() })
		if s.Proposal.ID != uint64(len(after)) || s.Counts.Void != 0 || m == late && (s.Heads.Safe != at.Heads.Safe || s.Counts.Executed != s.Heads.Safe.Height) {
			t.Fatalf("got %+v, %+v, %+v, want all %d proposals, and the same blocks as %+v", s.Proposal, s.Counts, s.Heads, len(after), at.Heads)
		}
		at = s
	}
	for h := uint64(1); h <= at.Heads.Safe.Height; h++ {
		want, err := full.Block(h)
		w.check(err)
		if got, err := late.Block(h); err != nil || got.Hash != want.Hash || got.Txs == nil != (want.Txs == nil) {
			t.Fatalf("block %d: got %+v, %v, want %s", h, got, err, want.Hash)
		}
	}
}

// TestALaterPayloadIsSaid: a node that meets its proposer's payload of a version that it does not know stops before it, and is not ready.
// Its status, /readyz, headrace status and the log name the version, and what to do.
func TestALaterPayloadIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t).in(chosenHow(t)), l1.Settings{}, 0)
	a := w.lightAuthor()
	var log logstest.Text
	m := w.light(func(o *node.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	first := a.next(a.tx())
	w.propose(first)
	m.canonical(1, first)
	later := l1.Later{Version: 3, PubKey: w.key.Public().Encode(), Content: []byte("what nobody knows yet")}
	later.Signature = w.key.Sign(later.Message(w.genesis.ChainID))
	at := w.mine(w.proposal(0, a.next(), later.Encode()))
	const version, remedy = "payload of a later version: 3", "give this node a later release"
	says := func(where, text string) {
		t.Helper()
		if !strings.Contains(text, version) || !strings.Contains(text, remedy) {
			t.Errorf("%s: got %q, want the version and what to do", where, text)
		}
	}
	s := m.until("the later proposal", func(s node.Status) bool {
		return !s.Ready && s.Stage == follow.StageApply && strings.Contains(s.Reason, remedy)
	})
	if s.Heads.Safe != first.Ref() || s.Proposal.ID != 1 || s.Counts.Void != 0 || s.Source.Position.Height != at.Number()-1 {
		t.Errorf("got %+v, %+v, want it to stand at block 1, before L1 block %d", s.Heads, s.Source.Position, at.Number())
	}
	says("status", s.Reason)
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, m.URL()+"/readyz", nil)
	w.check(err)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	w.check(err)
	body, err := io.ReadAll(resp.Body)
	w.check(err)
	w.check(resp.Body.Close())
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz: got %s, want 503", resp.Status)
	}
	says("/readyz", string(body))
	path, err := command()
	w.check(err)
	out, _ := exec.CommandContext(w.ctx, path, "status", "--node", m.URL()).CombinedOutput() // its status is that the node is not ready
	says("headrace status", string(out))
	says("log", log.String())
}
