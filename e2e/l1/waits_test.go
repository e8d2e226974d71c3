package l1_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"headrace/await/ethereum"
	"headrace/block"
	"headrace/node"
)

// waits is a way to wait: on events, or by looking again and again.
type waits struct {
	name            string
	proposal, block time.Duration // between two looks; 0: events
	how             how           // blocks are proposed
}

var (
	events  = waits{name: "events"}
	poll500 = waits{"poll-500", 500 * time.Millisecond, 200 * time.Millisecond, how{}}
	poll50  = waits{"poll-50", 50 * time.Millisecond, 50 * time.Millisecond, how{}}
)

// chosen is the way to wait that HEADRACE_WAITS names, and the way to propose that is chosenHow.
func chosen(t testing.TB) waits {
	t.Helper()
	name := os.Getenv("HEADRACE_WAITS")
	for _, w := range []waits{events, poll500, poll50} {
		if name == w.name || name == "" {
			return w.in(chosenHow(t))
		}
	}
	t.Fatalf("HEADRACE_WAITS is %q, want events, poll-500 or poll-50", name)
	return waits{}
}

// poll looks until what it sees is wanted. Waiting by looking is what the switch is for.
func poll[T any](ctx context.Context, every time.Duration, look func() (T, bool)) (T, error) {
	clock := time.NewTicker(every)
	defer clock.Stop()
	for {
		v, ok := look()
		if ok {
			return v, nil
		}
		select {
		case <-clock.C:
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
}

// until waits until the node's status satisfies pred.
func (m *member) until(what string, pred func(node.Status) bool) node.Status {
	m.w.t.Helper()
	ctx, cancel := context.WithTimeout(m.w.ctx, patience)
	defer cancel()
	var s node.Status
	var err error
	if every := m.w.waits.proposal; every > 0 {
		s, err = poll(ctx, every, func() (node.Status, bool) { s := m.Status().Load(); return s, pred(s) })
	} else {
		s, err = m.Status().Wait(ctx, pred)
	}
	if err != nil {
		m.w.t.Fatalf("node is not at %s: %v; status %+v; proposal %+v", what, err, s, s.Proposal)
	}
	return s
}

// canonical waits until the node has followed the L1 to its head and says what the L1 says: the last proposal's id
// and its last block.
func (m *member) canonical(id uint64, safe *block.Block) node.Status {
	m.w.t.Helper()
	head, want := m.w.inbox.Chain.Head(), block.Ref{}
	if safe != nil {
		want = safe.Ref()
	}
	s := m.until("proposal and block", func(s node.Status) bool {
		return s.Source.Position.Hash == block.Hash(head.Hash()) && s.Proposal.ID == id && s.Heads.Safe == want
	})
	if id > 0 && s.Proposal.L2 != want {
		m.w.t.Fatalf("got proposal %+v, want one whose last block is %v", s.Proposal, want)
	}
	return s
}

// open waits until the node takes blocks from beside the L1.
func (m *member) open() {
	m.w.t.Helper()
	head := m.w.inbox.Chain.Head().Hash()
	m.until("an open gate", func(s node.Status) bool { return s.Unsafe.Open && s.Source.Position.Hash == block.Hash(head) })
}

// executed waits until the execution client has this block as its head.
func (m *member) executed(b *block.Block) {
	m.w.t.Helper()
	ctx, cancel := context.WithTimeout(m.w.ctx, patience)
	defer cancel()
	number, want := b.Height(), execution(m.w.t, b)
	var got common.Hash
	var err error
	if every := m.w.waits.block; every > 0 {
		got, err = poll(ctx, every, func() (common.Hash, bool) {
			h, err := m.eth.HeaderByNumber(ctx, nil)
			if err != nil {
				return common.Hash{}, false
			}
			return h.Hash(), h.Hash() == want
		})
	} else {
		var h *ethereum.Header
		if h, err = ethereum.Canonical(ctx, ethereum.New(m.geth.WS(), ethereum.Options{}), number, want, 0); err == nil {
			got = h.Hash
		}
	}
	if err != nil {
		m.w.t.Fatalf("execution client does not have block %d as %s: %v (%s)", number, want, err, got)
	}
}
