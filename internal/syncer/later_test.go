package syncer_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/l1"
	"headrace/l1/local"
)

// laterPayload is a payload of a later version, signed with a key for a chain.
func laterPayload(key *block.PrivateKey, chainID string, version byte, content string) []byte {
	l := l1.Later{Version: version, PubKey: key.Public().Encode(), Content: []byte(content)}
	l.Signature = key.Sign(l.Message(chainID))
	return l.Encode()
}

// TestLaterVersion: a node stops before a proposal of its chain's proposer in a version that it does not know, names the
// version and what to do, and passes nothing over, across a restart too. What anybody else puts there is void, and stops
// nobody. Without the proposal on the L1 it goes on.
func TestLaterVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		first := b.next()
		w.propose(0, first)
		w.want(1, 1)
		tip := l1.Hash(first.Hash())
		stranger, err := block.GenerateKey(block.Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		chain := w.Genesis.ChainID
		ours := laterPayload(w.Key, chain, 3, "what nobody knows yet")
		again := laterPayload(w.Key, chain, 4, "what nobody knows yet")
		again[0] = 3 // signed as another version
		theirs := l1.Later{Version: 3, PubKey: w.Key.Public().Encode(), Signature: stranger.Sign([]byte("?")), Content: []byte("x")}
		for i, c := range []local.Call{
			{Parent: tip, Payload: laterPayload(stranger, chain, 3, "x")},
			{Parent: tip, Payload: theirs.Encode()},
			{Parent: tip, Payload: laterPayload(w.Key, "another chain", 3, "x")},
			{Parent: tip, Payload: again},
			{Parent: tip, Payload: ours[:len(ours)-1]},
			{Parent: tip, Payload: []byte{3, 0, 0, 0, 0}},
			{Parent: l1.Hash{9}, Payload: ours}, // it builds on no block of this chain
		} {
			w.proposeRaw(c)
			if st := w.want(uint64(i+2), 1); st.Counts.Void != uint64(i+1) || !strings.Contains(st.Proposal.Void, "payload version 3") && c.Parent == tip {
				t.Fatalf("row %d: got %+v, want it void for its version", i, st.Proposal)
			}
		}
		before := w.node.Status().Load()
		for _, payload := range [][]byte{ours, append(ours, 0, 0)} {
			at := w.proposeRaw(local.Call{Parent: tip, Payload: payload}).Block.Height
			stands := func() {
				t.Helper()
				time.Sleep(time.Hour)
				synctest.Wait()
				st := w.node.Status().Load()
				if st.Proposal.ID != before.Proposal.ID || st.Counts.Void != 0 && st.Counts.Void != before.Counts.Void || st.Safe != before.Safe || st.Position.Height != at-1 {
					t.Fatalf("got %+v at L1 block %d, want it to stand before block %d", st.Proposal, st.Position.Height, at)
				}
				if st.Stage.Name != follow.StageApply || st.Stage.Height != at || !strings.Contains(st.Stage.Cause, "payload of a later version: 3, ") || !strings.Contains(st.Stage.Cause, "give this node a later release") {
					t.Fatalf("got stage %+v, want the version and what to do", st.Stage)
				}
			}
			stands()
			w.propose(0, b.next()) // whoever does not know what is between
			stands()
			again := func() {
				w.stop()
				w.node.Close()
				w.open(w.node.Home)
			}
			again()
			stands()
			if err := w.l1.Reorg(at-1, func() { w.l1.Mine(); w.l1.Mine(); w.l1.Mine() }); err != nil {
				t.Fatal(err)
			}
			again() // what it has read it tries again without reading it again
			time.Sleep(time.Minute)
			b = w.branch("b").at(1)
			w.want(before.Proposal.ID, 1)
			if st := w.node.Status().Load(); st.Stage.Name == follow.StageApply {
				t.Fatalf("got %+v when the L1 has dropped the proposal", st.Stage)
			}
		}
		w.propose(0, b.next())
		w.want(before.Proposal.ID+1, 2)
	})
}
