package devchains_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/devnet/devchain"
	"headrace/exec/kv"
	"headrace/node"
)

// each runs a test with a chain of each kind.
func each(t *testing.T, opt devchain.Options, kinds []devchain.Kind, f func(t *testing.T, w *world)) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f(t, newWorld(t, kind, opt))
		})
	}
}

// A chain that mines with each transaction: an inbox is deployed, a sequencer proposes, nodes follow, over WebSocket and over HTTP; what
// is forced is taken; what is waited for comes.
func TestFollow(t *testing.T) {
	each(t, devchain.Options{}, devchain.Kinds, func(t *testing.T, w *world) {
		sequencer, socket, polling := w.sequencer(nil), w.run(func(*node.Options) {}), w.run(w.overHTTP)
		all := []*member{sequencer, socket, polling}
		for _, m := range all {
			m.until("readiness", func(s node.Status) bool { return s.Ready && s.Source.BlockTime == "on-demand" })
			w.headrace("wait", "ready", "--node", m.URL(), "--timeout", "30s")
			w.headrace("wait", "proposal", "3", "--node", m.URL(), "--timeout", "30s")
		}
		sequencer.put("color", "blue", all...)
		w.headrace("inbox", "force", "--inbox", w.inbox, "--l1.http", w.chain.HTTP(), "--l1.key_file", w.otherKey(), "--tx", "0x"+fmt.Sprintf("%x", "forced=yes"))
		w.has("forced", "yes", all...)
		at := sequencer.until("another proposal", func(s node.Status) bool { return s.Proposal.ID > 4 })
		for _, url := range []string{w.chain.WS(), w.chain.HTTP()} {
			number := strconv.FormatUint(at.Proposal.L1.Height, 10)
			w.headrace("wait", "block", number, "--rpc", url, "--timeout", "30s")
			w.headrace("wait", "block", number, "--depth", "2", "--rpc", url, "--timeout", "30s")
			got := w.headrace("wait", "block", "0x"+at.Proposal.L1.Hash.String(), "--rpc", url, "--timeout", "30s")
			if !strings.Contains(got, at.Proposal.L1.Hash.String()) {
				t.Errorf("wait block: got %s, want block %s", got, at.Proposal.L1.Hash)
			}
		}
		w.agree(at.Heads.Safe.Height, all...)
		if s := polling.until("the block", func(node.Status) bool { return true }); s.Counts.Void != 0 || s.Proposal.Reorgs != 0 {
			t.Errorf("got %+v, proposal %+v; want nothing void and nothing taken back", s.Counts, s.Proposal)
		}
	})
}

// The chain is put back to a snapshot: blocks are gone, and none are in their place. The sequencer proposes again, and everybody goes
// back and on. No transaction is lost.
func TestRevert(t *testing.T) {
	each(t, devchain.Options{}, devchain.Kinds, func(t *testing.T, w *world) {
		sequencer, socket, polling := w.sequencer(nil), w.run(func(*node.Options) {}), w.run(w.overHTTP)
		all := []*member{sequencer, socket, polling}
		for round := range 2 {
			sequencer.put(fmt.Sprintf("before-%d", round), "yes", all...)
			snapshot := sequencer.snapshot()
			sequencer.put(fmt.Sprintf("after-%d", round), "yes", all...)
			before := sequencer.Status().Load()
			sequencer.still(func() { w.check(w.chain.Revert(w.ctx, snapshot)) })
			for _, m := range all {
				s := m.until("a reorg", func(s node.Status) bool {
					return s.Proposal.Reorgs == uint64(round+1) && s.Heads.Safe.Height > before.Heads.Safe.Height
				})
				m.until("readiness", func(s node.Status) bool { return s.Ready })
				if m.value(fmt.Sprintf("after-%d", round)) != "yes" || s.Counts.Void != 0 {
					t.Errorf("round %d: a transaction is lost, or a proposal void: %+v", round, s.Counts)
				}
			}
		}
		w.agree(sequencer.Status().Load().Heads.Safe.Height, all...)
	})
}

// later is a key-value engine that builds what is forced only once it may: until then it is in no block.
type later struct {
	*kv.Engine
	may atomic.Bool
}

func (l *later) BuildForced(ctx context.Context, height, at uint64, most int, forced [][]byte) ([][]byte, error) {
	if !l.may.Load() {
		forced = nil
	}
	return l.Engine.BuildForced(ctx, height, at, most, forced)
}

// head returns the height of the chain.
func (w *world) head() uint64 {
	w.t.Helper()
	var head string
	w.check(w.chain.Call(w.ctx, &head, "eth_blockNumber"))
	at, err := strconv.ParseUint(strings.TrimPrefix(head, "0x"), 16, 64)
	w.check(err)
	return at
}

// The chain is put back to a snapshot while a forced item is due that is in no block yet, and nobody else makes a block of
// the chain: the sequencer proposes there all the same, with the item.
func TestRevertWithForcedDue(t *testing.T) {
	each(t, devchain.Options{}, devchain.Kinds, func(t *testing.T, w *world) {
		engine, err := kv.Open(t.TempDir(), kv.Options{InitialHeight: 1})
		w.check(err)
		t.Cleanup(func() { _ = engine.Close() })
		builder := &later{Engine: engine}
		full := w.run(func(*node.Options) {})
		sequencer := w.sequencer(func(o *node.Options) { o.Engine = builder })
		sequencer.safe(3)
		var snapshot string
		sequencer.still(func() {
			w.headrace("inbox", "force", "--inbox", w.inbox, "--l1.http", w.chain.HTTP(), "--l1.key_file", w.otherKey(), "--tx", "0x"+fmt.Sprintf("%x", "forced=yes"))
			snapshot, err = w.chain.Snapshot(w.ctx)
			w.check(err)
		})
		at := w.head()
		for w.head() < at+3 { // Ganache makes one block for calls that come while it makes one
			w.check(w.chain.Call(w.ctx, nil, "evm_mine"))
		}
		for _, m := range []*member{sequencer, full} {
			m.until("the blocks to come", func(s node.Status) bool { return s.Source.Position.Height >= at+3 })
		}
		before := sequencer.Status().Load()
		w.check(w.chain.Revert(w.ctx, snapshot))
		builder.may.Store(true)
		for _, m := range []*member{sequencer, full} {
			s := m.until("proposals on the old block", func(s node.Status) bool { return s.Heads.Safe.Height > before.Heads.Safe.Height })
			if s.Counts.Void != 0 {
				t.Errorf("got %+v, want nothing void", s.Counts)
			}
		}
		w.has("forced", "yes", full)
	})
}

// Blocks are replaced by others, without the proposals in them.
func TestReorg(t *testing.T) {
	each(t, devchain.Options{}, []devchain.Kind{devchain.Anvil}, func(t *testing.T, w *world) {
		sequencer, socket, polling := w.sequencer(nil), w.run(func(*node.Options) {}), w.run(w.overHTTP)
		all := []*member{sequencer, socket, polling}
		sequencer.put("color", "blue", all...)
		before := sequencer.Status().Load()
		w.check(w.chain.Call(w.ctx, nil, "anvil_reorg", 2, []any{}))
		for _, m := range all {
			m.until("a reorg", func(s node.Status) bool {
				return s.Proposal.Reorgs > 0 && s.Heads.Safe.Height > before.Heads.Safe.Height
			})
			if m.value("color") != "blue" {
				t.Error("a transaction is lost")
			}
		}
		w.agree(before.Heads.Safe.Height, all...)
	})
}

// With the command alone, as docs/L1-ENDPOINTS.md has it, on a chain that mines on a clock: its block time is measured.
func TestInterval(t *testing.T) {
	each(t, devchain.Options{Interval: time.Second}, devchain.Kinds, func(t *testing.T, w *world) {
		home := filepath.Join(t.TempDir(), "home")
		w.headrace("init", "--home", home, "--sequencer", "--inbox", w.inbox, "--l1.ws", w.chain.WS(), "--l1.key_file", w.l1key, "--l1.finality", "64", "--http.address", "127.0.0.1:0")
		url := w.spawn(home)
		w.headrace("wait", "ready", "--node", url, "--timeout", "50s")
		w.headrace("wait", "proposal", "3", "--node", url, "--timeout", "50s")
		w.headrace("wait", "block", "--rpc", w.chain.HTTP(), "--timeout", "50s", strconv.FormatUint(w.start+4, 10))
	})
}

// An L1 that calls its newest block final, and reverts it: the node stops there, the status names the setting, and nothing is paid for.
func TestRevertOfFinal(t *testing.T) {
	each(t, devchain.Options{}, []devchain.Kind{devchain.Ganache, devchain.Hardhat}, func(t *testing.T, w *world) {
		sequencer := w.sequencer(func(o *node.Options) { o.Config.L1.Finality = "node" })
		sequencer.safe(1)
		snapshot := sequencer.snapshot()
		at := sequencer.Status().Load()
		sequencer.until("finalized blocks", func(s node.Status) bool { return s.Heads.Finalized.Height > at.Heads.Safe.Height+1 })
		w.check(w.chain.Revert(w.ctx, snapshot))
		sequencer.until("the way out", func(s node.Status) bool {
			for _, waiting := range s.Waiting {
				if strings.Contains(waiting.Cause, "l1.finality") {
					return true
				}
			}
			return false
		})
		sequencer.stop()
		var head string
		w.check(w.chain.Call(context.Background(), &head, "eth_blockNumber"))
		if got, err := strconv.ParseUint(strings.TrimPrefix(head, "0x"), 16, 64); err != nil || got > at.Source.Position.Height+1 {
			t.Errorf("the L1 stands at %d, %v, it was put back to %d: proposals were paid for that nobody follows", got, err, at.Source.Position.Height)
		}
	})
}

// hardhat_mine makes blocks that name no parent, as of the third. No chain of headers can be followed through them: the status says so.
func TestUnlinkedBlocks(t *testing.T) {
	each(t, devchain.Options{}, []devchain.Kind{devchain.Hardhat}, func(t *testing.T, w *world) {
		m := w.run(func(*node.Options) {})
		w.check(w.chain.Call(w.ctx, nil, "hardhat_mine", "0x8"))
		m.until("an explanation", func(s node.Status) bool {
			for _, waiting := range s.Waiting {
				if strings.Contains(waiting.Cause, "does not follow") {
					return true
				}
			}
			return false
		})
	})
}
