package l1_test

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"headrace/block"
	"headrace/l1"
	"headrace/node"
)

// offer posts a block as another program does, and checks how it is answered.
func (m *member) offer(want int, b *block.Block) {
	m.w.t.Helper()
	if code, answer := m.post(m.w.unsafeBody(b)); code != want {
		m.w.t.Fatalf("offer block %d: got %d %s, want %d", b.Height(), code, answer, want)
	}
}

// give offers a block as a program does that the node is a part of.
func (m *member) give(b *block.Block) (buffered bool, err error) {
	m.w.t.Helper()
	e := m.w.encode(b)[0]
	header, err := block.DecodeSignedHeader(e.Header)
	m.w.check(err)
	var data *block.SignedData
	if len(e.Data) > 0 {
		data, err = block.DecodeSignedData(e.Data)
		m.w.check(err)
	}
	return m.Offer(m.w.ctx, header, data)
}

func (m *member) post(body []byte) (int, []byte) {
	m.w.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post("http://"+m.Address()+"/v1/unsafe", "application/json", bytes.NewReader(body))
	m.w.check(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	m.w.check(err)
	return resp.StatusCode, answer
}

// unsafeHead waits for an unsafe head.
func (m *member) unsafeHead(b *block.Block) node.Status {
	m.w.t.Helper()
	return m.until("the unsafe head", func(s node.Status) bool { return s.Heads.Unsafe == b.Ref() })
}

// TestOutOfOrder is S3 and P31: a block whose parent is not there is held, and nothing of it reaches the execution
// client; when the parent comes both become the head, in order.
func TestOutOfOrder(t *testing.T) { t.Parallel(); outOfOrder(t, chosen(t)) }

func outOfOrder(t testing.TB, mode waits) *world {
	w, a, m := setup(t, mode)
	first := a.next(a.tx())
	w.propose(first)
	m.canonical(1, first)
	m.executed(first)
	m.open()
	heads := recordHeads(w, m.geth.WS())
	m.tap.take()
	second, third := a.next(a.tx()), a.next(a.tx())
	m.offer(http.StatusAccepted, third)
	s := m.until("one block held", func(s node.Status) bool { return s.Unsafe.Buffered == 1 })
	calls := m.tap.take()
	delete(calls, "eth_getBlockByNumber") // a look at where the client stands changes nothing
	if s.Heads.Unsafe != first.Ref() || len(calls) != 0 || m.latest() != execution(t, first) {
		t.Fatalf("got unsafe head %v, requests %v; want %v and none", s.Heads.Unsafe, calls, first.Ref())
	}
	m.offer(http.StatusOK, second)
	m.unsafeHead(third)
	m.executed(third)
	seen, err := heads.heads.Wait(w.ctx, func(h []hdr) bool { return len(h) >= 2 })
	w.check(err)
	if seen[0].Hash() != execution(t, second) || seen[1].Hash() != execution(t, third) || seen[1].ParentHash != seen[0].Hash() || len(seen) != 2 {
		t.Fatalf("the execution client has announced %d heads, %s and %s first, want blocks 2 and 3", len(seen), seen[0].Hash(), seen[1].Hash())
	}
	w.propose(second, third)
	if s := m.canonical(2, third); s.Counts.Promoted != 2 || s.Unsafe.Buffered != 0 {
		t.Fatalf("got %+v and %d held, want both promoted", s.Counts, s.Unsafe.Buffered)
	}
	return w
}

// TestGapFilled is S9, S10 and P31: of four blocks the last comes first, and is not the head before the third; blocks
// in order are heads at once.
func TestGapFilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a, m := w.lightAuthor(), w.light(nil)
	m.open()
	b := a.many(7)
	m.offer(http.StatusAccepted, b[3])
	for i, want := range []*block.Block{b[0], b[1], b[3]} {
		m.offer(http.StatusOK, b[i])
		if s := m.unsafeHead(want); i < 2 && s.Unsafe.Buffered != 1 {
			t.Fatalf("after block %d: got %d held, want block 4", i+1, s.Unsafe.Buffered)
		}
	}
	for _, each := range b[4:] {
		m.offer(http.StatusOK, each)
		m.unsafeHead(each)
	}
	m.chain(b)
}

// TestGate is S22, S33, S36 and P36: what is refused and why, over HTTP; blocks come when the gate is closed, open,
// and after what is canonical has passed them.
func TestGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a := w.lightAuthor()
	link := newLink(t, w)
	m := w.light(link.through)
	m.open()
	b := a.many(4)
	m.offer(http.StatusOK, b[0])

	stranger := *w
	var err error
	stranger.key, err = block.GenerateKey(block.Ed25519)
	w.check(err)
	forged := *b[1]
	forged.Header.Signature = bytes.Clone(forged.Header.Signature)
	forged.Header.Signature[0] ^= 1
	m.offer(http.StatusForbidden, &forged)
	swapped := *b[1]
	swapped.Data = b[2].Data
	m.offer(http.StatusForbidden, &swapped)
	envelope := *b[1] // as a proposal with it is void
	envelope.Header.EnvelopeSignature = bytes.Clone(envelope.Header.EnvelopeSignature)
	envelope.Header.EnvelopeSignature[0] ^= 1
	m.offer(http.StatusForbidden, &envelope)
	signed, err := block.SignData(w.key, b[1].Data)
	w.check(err)
	signed.Signature[0] ^= 1
	others, err := block.SignData(stranger.key, b[1].Data)
	w.check(err)
	for what, data := range map[string]block.SignedData{"spoiled": signed, "another's": others} {
		if code, answer := m.post(w.body(b[1].Header.Encode(), data.Encode())); code != http.StatusForbidden {
			t.Fatalf("%s signature of the data: got %d %s, want 403", what, code, answer)
		}
	}
	h := b[1].Header.Header
	h.ProposerAddress = stranger.key.Public().Address()
	m.offer(http.StatusForbidden, stranger.sign(h, b[0], b[1].Data.Txs))
	for _, body := range []string{"", "{", `{"header":"AAAA"}`, `{"header":5}`} {
		if code, answer := m.post([]byte(body)); code != http.StatusBadRequest {
			t.Fatalf("body %q: got %d %s, want 400", body, code, answer)
		}
	}
	if s := m.Status().Load(); s.Heads.Unsafe != b[0].Ref() || s.Unsafe.Buffered != 0 {
		t.Fatalf("got %+v, %+v after forgeries, want block 1 and none held", s.Heads, s.Unsafe)
	}
	if got, err := m.Block(2); err == nil {
		t.Fatalf("got block 2, %+v, after forgeries, want none", got)
	}

	m.offer(http.StatusAccepted, b[2]) // held when the gate closes, connected when it has opened
	link.cut(true)
	m.until("a closed gate", func(s node.Status) bool { return !s.Unsafe.Open })
	m.offer(http.StatusConflict, b[1])
	if _, err := m.give(b[1]); !errors.Is(err, node.ErrGate) {
		t.Fatalf("offer while the gate is closed: got %v, want ErrGate", err)
	}
	w.propose(b[0], b[1])
	link.cut(false)
	s := m.until("block 3 on the canonical block 2", func(s node.Status) bool { return s.Heads.Safe == b[1].Ref() && s.Heads.Unsafe == b[2].Ref() })
	if s.Proposal.ID != 1 || s.Counts.Promoted != 1 {
		t.Fatalf("got %+v, %+v, want proposal 1 and block 1 promoted", s.Proposal, s.Counts)
	}
	m.open()
	m.offer(http.StatusGone, b[0])
	m.offer(http.StatusGone, b[1])
	m.offer(http.StatusOK, b[2])
	m.offer(http.StatusOK, b[3])
	m.unsafeHead(b[3])
}

// TestShuffled is S34 and S35: blocks of two branches in random order, with fakes among them and the two lowest
// missing: the head does not move before the missing ones are there; then it is the tip of the branch whose block
// connected last, and the canonical block decides.
func TestShuffled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a, m := w.lightAuthor(), w.light(nil)
	base := a.next(a.tx())
	w.propose(base)
	m.canonical(1, base)
	m.open()
	one := a.many(5)
	a.back(1)
	other := a.many(3)
	orphan := w.sign(func() block.Header {
		h := one[4].Header.Header
		h.LastHeaderHash = bytes.Repeat([]byte{7}, 32)
		return h
	}(), nil, nil)
	fake := *other[1]
	fake.Header.Signature = make([]byte, 64)
	offers := append([]*block.Block{orphan}, one[2:]...)
	rand.Shuffle(len(offers), func(i, j int) { offers[i], offers[j] = offers[j], offers[i] })
	for _, b := range offers {
		m.offer(http.StatusForbidden, &fake)
		m.offer(http.StatusAccepted, b)
	}
	m.until("four blocks held", func(s node.Status) bool { return s.Unsafe.Buffered == 4 })
	m.offer(http.StatusAccepted, one[1])
	if s := m.until("five blocks held", func(s node.Status) bool { return s.Unsafe.Buffered == 5 }); s.Heads.Unsafe != base.Ref() {
		t.Fatalf("got unsafe head %v without its ancestors, want %v", s.Heads.Unsafe, base.Ref())
	}
	m.offer(http.StatusOK, one[0])
	if s := m.unsafeHead(one[4]); s.Heads.Safe != base.Ref() || s.Unsafe.Buffered != 1 {
		t.Fatalf("got %+v and %d held, want the safe head where it was and the orphan held", s.Heads, s.Unsafe.Buffered)
	}
	m.offer(http.StatusAccepted, other[2])
	m.offer(http.StatusAccepted, other[1])
	m.offer(http.StatusOK, other[0])
	if s := m.unsafeHead(other[2]); s.Heads.Safe != base.Ref() {
		t.Fatalf("got %+v, want the safe head where it was", s.Heads)
	}
	w.propose(one[:2]...)
	if s := m.canonical(2, one[1]); s.Heads.Unsafe != one[1].Ref() {
		t.Fatalf("got %+v, want the other branch gone", s.Heads)
	}
}

// TestForks is S35: branches on one block, shuffled together. Of the blocks on that one the node has the preferred one,
// that with the later time or, at the same time, the greater hash, in whatever order they come; and its branch is the
// head. The safe head stays where it is.
func TestForks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a, m := w.lightAuthor(), w.light(nil)
	w.propose(a.many(1)...)
	base := a.tip()
	m.canonical(1, base)
	m.open()
	var best []*block.Block
	for range 5 {
		one := a.many(4)
		a.back(1)
		other := a.many(4)
		a.back(1)
		offers := slices.Concat(one, other)
		rand.Shuffle(len(offers), func(i, j int) { offers[i], offers[j] = offers[j], offers[i] })
		for _, b := range offers {
			if _, err := m.give(b); err != nil && !errors.Is(err, node.ErrOther) {
				t.Fatalf("offer block %d: %v", b.Height(), err)
			}
		}
		best = preferred(preferred(best, one), other)
		for _, b := range best { // those that gave way to the other branch must be offered again
			if _, err := m.give(b); err != nil {
				t.Fatalf("offer block %d again: %v", b.Height(), err)
			}
		}
		if s := m.unsafeHead(best[3]); s.Heads.Safe != base.Ref() || s.Proposal.ID != 1 {
			t.Fatalf("got %+v, %+v, want the safe head where it was", s.Heads, s.Proposal)
		}
	}
}

// preferred returns the branch whose first block is preferred.
func preferred(a, b []*block.Block) []*block.Block {
	if len(a) == 0 {
		return b
	}
	x, y := a[0], b[0]
	hx, hy := x.Hash(), y.Hash()
	if cmp.Or(cmp.Compare(x.Header.Header.Time, y.Header.Header.Time), bytes.Compare(hx[:], hy[:])) < 0 {
		return b
	}
	return a
}
