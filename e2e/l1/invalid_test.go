package l1_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"

	"headrace/block"
	"headrace/exec/engineapi"
	"headrace/follow"
	"headrace/l1"
	"headrace/node"
	"headrace/watch"
)

// invalid are blocks like good, which follows parent: well formed and signed by the proposer, and no good when they
// are executed.
func (w *world) invalid(parent, good *block.Block) map[string]*block.Block {
	w.t.Helper()
	made := func(txs [][]byte, change func(*types.Header)) *block.Block {
		seal, err := engineapi.DecodeSeal(good.Data.Txs[0])
		w.check(err)
		decoded, err := engine.DecodeTransactions(txs)
		w.check(err)
		seal.Header.TxHash = types.DeriveSha(types.Transactions(decoded), trie.NewStackTrie(nil))
		change(seal.Header)
		first, err := seal.Encode()
		w.check(err)
		return w.sign(good.Header.Header, parent, append([][]byte{first}, txs...))
	}
	txs := good.Data.Txs[1:]
	gap, err := transfer(0, 9).MarshalBinary()
	w.check(err)
	return map[string]*block.Block{
		"state root":    made(txs, func(h *types.Header) { h.Root[0]++ }),
		"receipts root": made(txs, func(h *types.Header) { h.ReceiptHash[0]++ }),
		"gas used":      made(txs, func(h *types.Header) { h.GasUsed++ }),
		"nonce":         made([][]byte{gap}, func(*types.Header) {}),
	}
}

// TestInvalid is S33, S38 and S15 with real execution clients: what they find invalid is no unsafe block, moves no
// head, and does not stand in the way of the good one; in a proposal it is void, on every node. All the good ones are
// the same on both.
func TestInvalid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 3)
	a := w.author()
	nodes := []*member{w.drive(), w.drive()}
	each := func(f func(m *member)) {
		for _, m := range nodes {
			f(m)
		}
	}
	first := a.next(a.tx())
	w.propose(first)
	each(func(m *member) { m.canonical(1, first); m.executed(first); m.open() })
	good := a.next(a.tx())
	bad := w.invalid(first, good)
	each(func(m *member) {
		for what, b := range bad {
			if code, answer := m.post(w.unsafeBody(b)); code != http.StatusUnprocessableEntity || !bytes.Contains(answer, []byte("invalid content")) {
				t.Fatalf("%s: got %d %s, want 422 and what is wrong", what, code, answer)
			}
			if s := m.Status().Load(); s.Heads.Unsafe != first.Ref() || s.Unsafe.Buffered != 0 || s.Counts.Offered != 0 || m.latest() != execution(t, first) {
				t.Fatalf("%s: got %+v, %+v, execution head %s; want block 1 as head, and nothing held", what, s.Heads, s.Unsafe, m.latest())
			}
		}
		if m.tap.take()["engine_newPayload"] < len(bad) {
			t.Fatal("the execution client was not asked about each")
		}
		m.offer(http.StatusOK, good)
		if s := m.unsafeHead(good); len(s.Waiting) != 0 || !s.Unsafe.Open {
			t.Fatalf("got %+v, %+v after a good block, want nothing waited for", s.Waiting, s.Unsafe)
		}
		m.executed(good)
		m.offer(http.StatusUnprocessableEntity, bad["gas used"]) // where a block is already: that one stays
		m.until("all as before", func(s node.Status) bool {
			return s.Heads.Unsafe == good.Ref() && s.Unsafe.Buffered == 0 && len(s.Waiting) == 0
		})
		m.executed(good)
	})

	// The same in proposals, one alone and one behind a good block. The unsafe block is still there afterwards, and
	// is promoted.
	for _, b := range bad {
		w.propose(b)
	}
	next := a.next(a.tx())
	w.propose(good, w.invalid(good, next)["state root"])
	id := uint64(len(bad)) + 2
	each(func(m *member) {
		s := m.canonical(id, first)
		if s.Counts.Void != id-1 || !strings.Contains(s.Proposal.Void, "block 3") || s.Heads.Unsafe != good.Ref() {
			t.Fatalf("got %+v, %+v, %+v, want %d void proposals, and the unsafe block where it was", s.Proposal, s.Counts, s.Heads, id-1)
		}
	})
	w.propose(good, next)
	each(func(m *member) {
		m.canonical(id+1, next)
		m.executed(next)
		m.chain(a.blocks)
	})
}

// unsafeBody is the body of POST /v1/unsafe.
func (w *world) unsafeBody(b *block.Block) []byte {
	w.t.Helper()
	e := w.encode(b)[0]
	return w.body(e.Header, e.Data)
}

func (w *world) body(header, data []byte) []byte {
	w.t.Helper()
	body := map[string][]byte{"header": header}
	if len(data) > 0 {
		body["data"] = data
	}
	raw, err := json.Marshal(body)
	w.check(err)
	return raw
}

// TestVerdicts is S21 with a real execution client: of proposals that are read together one that is proven invalid is
// void, after a question or two, and the rest goes on; an INVALID without proof is asked again and again, with the
// cause in the status, and never makes a proposal void. If the L1 drops the proposal meanwhile, so does the node
// (S20).
func TestVerdicts(t *testing.T) {
	t.Parallel()
	w, a, m := setup(t, chosen(t))
	w.propose(a.many(1)...)
	m.canonical(1, a.tip())

	m.stop()
	w.propose(a.many(2)...)
	parent := a.tip()
	good := a.many(1)
	w.propose(w.invalid(parent, good[0])["gas used"])
	w.propose(good...)
	w.mine(w.proposal(0, a.tip(), []byte("garbage")))
	w.propose(a.many(1)...)
	m.tap.take()
	m.start()
	if s := m.canonical(6, a.tip()); s.Counts.Void != 2 || s.Counts.Executed != 4 || s.Proposal.Void != "" {
		t.Fatalf("got %+v, %+v, want 4 blocks and 2 void proposals", s.Proposal, s.Counts)
	}
	if n, most := m.tap.take()["engine_newPayload"], 4+4; n > most { // a verdict is given twice, each time beside a block of the client's own
		t.Fatalf("got %d blocks handed to the execution client, want at most %d", n, most)
	}
	m.chain(a.blocks)

	// It calls everything invalid, as with a full disk: blocks of its own too.
	asked := watch.New(0)
	m.tap.then(func(method string) {
		if method == "engine_newPayload" {
			asked.Update(func(n int) int { return n + 1 })
		}
	})
	stalled := func(b *block.Block) {
		t.Helper()
		m.tap.answer(allInvalid)
		before, calls := m.Status().Load(), asked.Load()
		w.propose(b)
		s := m.until("stalled", func(s node.Status) bool {
			return len(s.Waiting) > 0 && s.Waiting[0].Stage == follow.StageExecute && strings.Contains(s.Waiting[0].Cause, "no verdict") && strings.Contains(s.Waiting[0].Cause, "disk is full")
		})
		if s.Proposal.ID != before.Proposal.ID || s.Heads != before.Heads || s.Counts.Void != before.Counts.Void {
			t.Fatalf("got %+v, %+v from a client that can execute nothing, want all as before", s.Proposal, s.Heads)
		}
		if _, err := asked.Wait(w.ctx, func(n int) bool { return n >= calls+8 }); err != nil { // two each time
			t.Fatalf("the execution client was asked %d times, want it again and again: %v", asked.Load()-calls, err)
		}
	}
	root := w.inbox.Chain.Head()
	stalled(a.next(a.tx()))
	a.back(5)
	w.reorg(root, 2)
	if s := m.canonical(6, a.tip()); len(s.Waiting) != 0 || s.Counts.Void != 2 {
		t.Fatalf("got %+v, %+v when the L1 has dropped the proposal, want nothing waited for", s.Waiting, s.Counts)
	}
	stalled(a.next(a.tx()))
	m.tap.answer(nil)
	if s := m.canonical(7, a.tip()); s.Counts.Void != 2 || s.Proposal.Void != "" {
		t.Fatalf("got %+v, %+v, want the block after all", s.Proposal, s.Counts)
	}
	m.executed(a.tip())
	m.chain(a.blocks)
}

// allInvalid changes the answers about blocks: each is said to be invalid, on its parent.
func allInvalid(method string, request, answer []byte) []byte {
	if method != "engine_newPayload" {
		return answer
	}
	var asked struct {
		ID     json.RawMessage
		Params []struct{ ParentHash string }
	}
	_ = json.Unmarshal(request, &asked) // the other parameters are of other types
	out, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": asked.ID, "result": map[string]any{
		"status": "INVALID", "latestValidHash": asked.Params[0].ParentHash, "validationError": "disk is full",
	}})
	return out
}
