package node_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/internal/store"
	"headrace/node"
	"headrace/watch"
)

// ledger is a node's store and status, whose blocks, reorgs and pruning the test makes as the node's own parts do:
// first the store changes, then the status.
type ledger struct {
	*node.Node
	t      *testing.T
	store  *store.Store
	status *watch.Value[node.Status]
	key    *block.PrivateKey
	made   uint64
	size   int  // of a transaction of each new block; 0: 3000
	safe   bool // blocks become safe and final at once
	open   bool // and safe ones are not final, but those of which that is said
	origin func(height uint64) store.Origin
}

const ledgerChain = "ledger-1"

func newLedger(t *testing.T, safe bool) *ledger {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Identity{ChainID: ledgerChain}, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{t: t, store: s, status: watch.New(node.Status{}), key: key, safe: safe}
	l.origin = func(height uint64) store.Origin { return store.Origin{HeaderAt: 100 + height, DataAt: 200 + height} }
	l.Node = node.Stored(l.status, s)
	return l
}

func (l *ledger) commit(b *store.Batch) {
	if err := l.store.Commit(b); err != nil {
		l.t.Error(err)
	}
	st := l.store.State()
	l.status.Set(node.Status{ChainID: ledgerChain, Heads: node.Heads{Unsafe: st.Unsafe, Safe: st.Safe, Finalized: st.Finalized}})
}

// mine makes n blocks, one after the other.
func (l *ledger) mine(n int) {
	for range n {
		rec := l.child(l.store.State().Unsafe)
		b := &store.Batch{Append: []store.Record{rec}}
		if l.safe {
			at := rec.Block.Ref()
			b.Append[0].Origin = l.origin(at.Height)
			if b.Safe = &at; !l.open {
				b.Finalized = &at
			}
		}
		l.commit(b)
	}
}

// child returns a block on parent, signed, and unlike any other.
func (l *ledger) child(parent block.Ref) store.Record {
	l.made++
	b := &block.Block{}
	h := block.Header{ChainID: ledgerChain, Height: parent.Height + 1, Time: l.made, ProposerAddress: l.key.Public().Address()}
	if !parent.Hash.IsZero() {
		h.LastHeaderHash = parent.Hash[:]
	}
	b.Data.Metadata = block.Metadata{ChainID: ledgerChain, Height: h.Height, Time: h.Time}
	b.Data.Txs = [][]byte{fmt.Appendf(nil, "made=%d", l.made), make([]byte, cmp.Or(l.size, 3000))}
	c := b.Data.Commitment()
	h.DataHash = c[:]
	signed, err := block.SignHeader(l.key, h)
	if err != nil {
		l.t.Error(err)
	}
	b.Header = signed
	return store.Record{Block: b, Root: fmt.Appendf(nil, "root %d", l.made)}
}

// fork drops the last depth blocks, and then makes n others.
func (l *ledger) fork(depth, n int) {
	to := l.store.State().Unsafe.Height - uint64(depth)
	b := &store.Batch{Truncate: &to}
	if l.safe {
		at, err := l.store.Ref(to)
		if err != nil {
			l.t.Error(err)
		}
		b.Safe = &at
	}
	l.commit(b)
	l.mine(n)
}

func (l *ledger) head() follow.Ref {
	return l.store.State().Unsafe
}

// fetch collects what a fetch delivers.
func fetch(ctx context.Context, s follow.Source[node.Delivered], from, to uint64) (items []follow.Item[node.Delivered], err error) {
	err = s.Fetch(ctx, from, to, func(i follow.Item[node.Delivered]) error { items = append(items, i); return nil })
	return items, err
}

// Blocks is a follow.Source like any other, over blocks that revert and over those that do not.
func TestBlocksAsSource(t *testing.T) {
	same := func(a, b *node.Delivered) bool {
		return a.Hash == b.Hash && bytes.Equal(a.Signed.Encode(), b.Signed.Encode())
	}
	for _, head := range []await.Label{await.Unsafe, await.Safe, await.Finalized} {
		t.Run(head.String(), func(t *testing.T) {
			followtest.TestSource(t, func(t *testing.T) followtest.Harness[node.Delivered] {
				l := newLedger(t, head != await.Unsafe)
				l.mine(5)
				h := followtest.Harness[node.Delivered]{Source: l.Blocks(head), Start: 1, Extend: l.mine, Head: l.head, Equal: same}
				if head == await.Unsafe {
					h.Fork = l.fork
				}
				return h
			})
		})
	}
}

// A block is delivered with all that an event, a peer or an archive needs of it.
func TestBlocksDeliverAllOfABlock(t *testing.T) {
	l := newLedger(t, true)
	l.mine(3)
	items, err := fetch(bounded(t), l.Blocks(await.Safe), 1, 4)
	if err != nil || len(items) != 3 {
		t.Fatalf("got %d blocks and %v, want 3", len(items), err)
	}
	for i, it := range items {
		height, d := uint64(i)+1, it.Data
		if err := d.Signed.Header.Verify(); err != nil || d.Signed.Hash() != it.Hash {
			t.Errorf("block %d: got the envelope of %s and %v, want the proposer's of %s", height, d.Signed.Hash(), err, it.Hash)
		}
		if want := fmt.Sprintf("root %d", height); string(d.StateRoot) != want || d.HeaderDAHeight != 100+height || d.DataDAHeight != 200+height || !d.Safe {
			t.Errorf("block %d: got root %q, heights %d and %d, safe %t", height, d.StateRoot, d.HeaderDAHeight, d.DataDAHeight, d.Safe)
		}
		if d.Heads.Safe.Height != 3 || d.Height != height || d.Hash != it.Hash.String() {
			t.Errorf("block %d: got %d %s under %+v", height, d.Height, d.Hash, d.Heads)
		}
		if it.Size < 3000 {
			t.Errorf("block %d: got %d bytes, want all of its transactions", height, it.Size)
		}
	}
}

// What the store has above the head is not delivered: it may yet be reverted, which the reader has chosen not to see.
func TestBlocksUpToTheirHead(t *testing.T) {
	l := newLedger(t, true)
	l.mine(2)
	l.safe = false
	l.mine(2)
	for head, want := range map[await.Label]int{await.Unsafe: 4, await.Safe: 2, await.Finalized: 2} {
		items, err := fetch(bounded(t), l.Blocks(head), 1, 6)
		if len(items) != want || !errors.Is(err, follow.ErrNotYet) {
			t.Errorf("%s: got %d blocks and %v, want %d and then ErrNotYet", head, len(items), err, want)
		}
	}
}

// A block that will not come back is told from one that is not there yet.
func TestBlocksPruned(t *testing.T) {
	l := newLedger(t, true)
	l.mine(9)
	if err := l.store.Prune(5); err != nil {
		t.Fatal(err)
	}
	blocks := l.Blocks(await.Safe)
	_, err := fetch(bounded(t), blocks, 4, 6)
	if !errors.Is(err, node.ErrPruned) || errors.Is(err, follow.ErrNotYet) || !strings.Contains(err.Error(), "block 4 is pruned: the oldest one here is 5") {
		t.Errorf("got %v, want that block 4 is pruned", err)
	}
	if items, err := fetch(bounded(t), blocks, 5, 11); len(items) != 5 || !errors.Is(err, follow.ErrNotYet) || errors.Is(err, node.ErrPruned) {
		t.Errorf("got %d blocks and %v, want 5 and that the next is not there yet", len(items), err)
	}
}

// A status can speak of blocks that are reverted by now: they are not there yet, until the next status says what is.
func TestBlocksRevertedSinceTheStatus(t *testing.T) {
	l := newLedger(t, false)
	l.mine(5)
	to := uint64(3)
	if err := l.store.Commit(&store.Batch{Truncate: &to}); err != nil {
		t.Fatal(err)
	}
	if items, err := fetch(bounded(t), l.Blocks(await.Unsafe), 1, 6); len(items) != 3 || !errors.Is(err, follow.ErrNotYet) {
		t.Errorf("got %d blocks and %v, want 3 and then ErrNotYet", len(items), err)
	}
}

// A subscriber that is busy finds the latest head afterwards, not all those in between.
func TestBlocksAnnounceTheLatest(t *testing.T) {
	l := newLedger(t, false)
	ctx, cancel := context.WithCancel(bounded(t))
	var heads []uint64
	err := l.Blocks(await.Unsafe).Subscribe(ctx, func(u follow.Update[node.Delivered]) {
		if u.Item != nil {
			t.Errorf("got block %d with the news, which a slow reader would have to hold", u.Item.Height)
		}
		if heads = append(heads, u.Head.Height); len(heads) == 1 {
			l.mine(100)
		}
		if u.Head.Height == 100 {
			cancel()
		}
	})
	if len(heads) != 2 || !errors.Is(err, context.Canceled) || errors.Is(err, watch.ErrClosed) {
		t.Errorf("got heads %v and %v, want the first, the last and the caller's end", heads, err)
	}
}

// I6: a reader that is slow holds one block, and the next is not read before it has taken that.
func TestBlocksAtTheReadersPace(t *testing.T) {
	c := &scripted{status: watch.New(node.Status{}), oldest: 1}
	c.mine(50)
	read := 0
	blocks := node.BlocksOf(c.status, func() uint64 { return 1 }, c.ref, func(height uint64) (node.Block, error) { read++; return c.at(height) })
	taken := 0
	err := blocks.Fetch(bounded(t), 1, 51, func(follow.Item[node.Delivered]) error {
		if taken++; read != taken {
			t.Errorf("got %d blocks read when the reader has %d", read, taken)
		}
		return nil
	})
	if err != nil || taken != 50 {
		t.Errorf("got %d blocks and %v, want 50", taken, err)
	}
	ctx, cancel := context.WithCancel(bounded(t))
	err = blocks.Fetch(ctx, 1, 51, func(follow.Item[node.Delivered]) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after the reader's end, want that", err)
	}
}

// The end of the node comes after its last head, with its cause, and so it does for who asks later.
func TestBlocksEnd(t *testing.T) {
	l := newLedger(t, false)
	cause := errors.New("disk is full")
	blocks := l.Blocks(await.Unsafe)
	for _, moment := range []string{"while it listens", "afterwards"} {
		var last uint64
		err := blocks.Subscribe(bounded(t), func(u follow.Update[node.Delivered]) {
			if last = u.Head.Height; last == 0 {
				l.mine(3)
				l.status.Close(cause)
				if err := l.store.Close(); err != nil {
					t.Error(err)
				}
			}
		})
		if last != 3 || !errors.Is(err, watch.ErrClosed) || !errors.Is(err, cause) {
			t.Errorf("%s: got head %d and %v, want head 3 and the node's end", moment, last, err)
		}
	}
	if _, err := fetch(bounded(t), blocks, 1, 2); !errors.Is(err, watch.ErrClosed) || !errors.Is(err, cause) {
		t.Errorf("got %v from a fetch, want the node's end", err)
	}
}

// A node on which nothing happens is not taken for a dead one: it shows that it lives, to a follower and to a client,
// and no more than that.
func TestSignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &scripted{status: watch.New(node.Status{}), oldest: 1}
		c.mine(2)
		blocks := node.BlocksOf(c.status, func() uint64 { return 1 }, c.ref, c.at)
		sink := followtest.NewSink[node.Delivered](1)
		f := follow.New(blocks, sink, follow.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = f.Run(ctx) }()
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			blocks.(http.Handler).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/events?from=1&events=block,status", nil))
		}()
		time.Sleep(time.Hour)
		if s := f.State().Load(); s.Last.Height != 2 || s.Counts.Subscriptions != 1 || !s.Live {
			t.Errorf("got %+v after a quiet hour, want one subscription that lives", s)
		}
		cancel()
		<-done
		text := w.Body.String()
		for part, want := range map[string]int{"event: block\n": 2, "event: status\n": 1, ": alive\n\n": 240 - 1, "event: end\n": 1} {
			if got := strings.Count(text, part); got < want || got > want+1 {
				t.Errorf("got %q %d times in an hour, want %d", part, got, want)
			}
		}
	})
}

// A follower of a running node has its blocks, in order, as the node itself serves them, until the node ends.
func TestBlocksOfNode(t *testing.T) {
	n, _ := sequencer(t)
	blocks := n.Blocks(await.Unsafe)
	sink := followtest.NewSink[node.Delivered](1)
	f := follow.New(blocks, sink, follow.Options{})
	stop := goRun(t, "follower", func(ctx context.Context) error {
		if err := f.Run(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	s, err := f.State().Wait(bounded(t), func(s follow.State) bool { return s.Last.Height >= 30 })
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := sink.Err(); err != nil {
		t.Error(err)
	}
	items, err := fetch(bounded(t), blocks, 1, s.Last.Height+1)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		b, err := n.Block(it.Height)
		if err != nil || b.Hash != it.Hash.String() || !b.Time.Equal(it.Data.Time) || it.Data.Heads.Unsafe.Height < it.Height {
			t.Errorf("got %+v, want %+v (%v)", it, b, err)
		}
	}
	n.stop()
	if err := blocks.Subscribe(bounded(t), func(follow.Update[node.Delivered]) {}); !errors.Is(err, watch.ErrClosed) {
		t.Errorf("got %v, want the node's end", err)
	}
	if _, err := fetch(bounded(t), blocks, 1, 2); !errors.Is(err, watch.ErrClosed) {
		t.Errorf("got %v, want the node's end", err)
	}
}

// Blocks are found by the DA height at which they were complete, though some of them were posted out of order: all of
// them, and no others, in a pruned chain too.
func TestBlocksOfDAHeight(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	at := func(height uint64) store.Origin { // three blocks a height, every fifth two heights early, and one height in four has none
		da := 100 + height/3*4/3
		if height%5 == 0 {
			da -= 2
		}
		return store.Origin{HeaderAt: da - height%2, DataAt: da - (height+1)%2}
	}
	l.origin = at
	l.mine(60)
	if err := l.store.Prune(10); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(l.Handler())
	defer s.Close()
	ask := func(query string) (int, node.Page) {
		t.Helper()
		l.status.Update(func(s node.Status) node.Status { s.Source.Position.Height = 1000; return s })
		resp, err := http.Get(s.URL + "/v1/blocks?" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var page node.Page
		if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, page
	}
	for _, head := range []string{"safe", "unsafe"} {
		for da := uint64(90); da < 140; da++ {
			code, page := ask(fmt.Sprintf("da_height=%d&head=%s", da, head))
			if da < at(10).HeaderAt-4 && code != http.StatusGone {
				t.Errorf("DA height %d, of pruned blocks: got %d", da, code)
			}
			var got, want []uint64
			for _, b := range page.Blocks {
				got = append(got, b.Height)
			}
			for height := uint64(10); height <= 60; height++ {
				if o := at(height); max(o.HeaderAt, o.DataAt) == da {
					want = append(want, height)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("DA height %d, %s: got %v, want %v", da, head, got, want)
			}
		}
		l.safe = false
		l.mine(100) // of which no half is there yet
	}

	l.safe, l.origin = true, func(uint64) store.Origin { return store.Origin{HeaderAt: 500, DataAt: 500} }
	l.size = 10
	l.mine(600) // after an outage
	seen := uint64(160)
	for {
		code, page := ask(fmt.Sprintf("da_height=500&from=%d", seen+1))
		if code != http.StatusOK || len(page.Blocks) == 0 {
			break
		}
		for _, b := range page.Blocks {
			if b.Height != seen+1 && seen != 160 {
				t.Fatalf("got block %d after %d", b.Height, seen)
			}
			seen = b.Height
		}
	}
	if seen < 800 {
		t.Errorf("the last block at DA height 500 is %d, want all of them, page by page", seen)
	}
}
