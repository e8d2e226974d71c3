package node_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/internal/store"
	"headrace/node"
)

// get asks a ledger's node, which needs no socket for that.
func (l *ledger) get(path string) (int, string) {
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, httptest.NewRequestWithContext(bounded(l.t), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func (l *ledger) page(query string) (p node.Page) {
	l.t.Helper()
	code, body := l.get("/v1/blocks?" + query)
	if code != http.StatusOK || len(body) > 4<<20 && len(p.Blocks) > 1 {
		l.t.Fatalf("%s: got %d %.200s, want a page", query, code, body)
	}
	decode(l.t, body, &p)
	return p
}

// A block has names: its height, its hash, and those of the heads.
func TestBlockNames(t *testing.T) {
	l := newLedger(t, false)
	l.mine(5)
	refs := make([]block.Ref, 6)
	for h := range refs {
		refs[h], _ = l.store.Ref(uint64(h))
	}
	l.commit(&store.Batch{Safe: &refs[3], Finalized: &refs[2]})
	gone := refs[5]
	l.fork(1, 1)
	for name, want := range map[string]uint64{
		"finalized": 2, "safe": 3, "unsafe": 5, "latest": 5, "4": 4, refs[4].Hash.String(): 4, "0x" + strings.ToUpper(refs[1].Hash.String()): 1,
	} {
		var b node.Block
		code, body := l.get("/v1/blocks/" + name)
		if decode(t, body, &b); code != http.StatusOK || b.Height != want || b.SignedBytes != nil {
			t.Errorf("%s: got %d %s, want block %d", name, code, body, want)
		}
	}
	for name, want := range map[string]int{
		gone.Hash.String(): 404, block.Hash{1}.String(): 404, "6": 404, refs[4].Hash.String()[1:]: 400, "finalised": 400, "4?signed=perhaps": 400,
	} {
		if code, body := l.get("/v1/blocks/" + name); code != want || !json.Valid([]byte(body)) {
			t.Errorf("%s: got %d %s, want %d", name, code, body, want)
		}
	}
}

// Pages make the whole chain, whatever its length and the size of its blocks.
func TestPages(t *testing.T) {
	l := newLedger(t, true)
	l.mine(600)
	var have []node.Block
	for next := uint64(0); ; {
		p := l.page(fmt.Sprintf("from=%d", next))
		if p.Head.Height != 600 || len(p.Blocks) > 256 {
			t.Fatalf("got %d blocks and head %+v, want 256 at most, and head 600", len(p.Blocks), p.Head)
		}
		if have, next = append(have, p.Blocks...), p.Next; len(p.Blocks) == 0 {
			break
		}
	}
	if len(have) != 600 {
		t.Fatalf("got %d blocks, want 600", len(have))
	}
	for i, b := range have {
		if want, err := l.Block(uint64(i) + 1); err != nil || b.Hash != want.Hash || !bytes.Equal(b.Txs[0], want.Txs[0]) || b.HeaderDAHeight != 101+uint64(i) || b.DataDAHeight != 201+uint64(i) {
			t.Fatalf("got block %+v, want %+v (%v)", b, want, err)
		}
	}
	for query, want := range map[string][2]uint64{ // the number of blocks, and the next one
		"from=7&to=10": {3, 10}, "from=10&to=10": {0, 10}, "from=600": {1, 601}, "from=900": {0, 900}, "from=599&to=9000": {2, 601},
	} {
		if p := l.page(query); len(p.Blocks) != int(want[0]) || p.Next != want[1] || len(p.Blocks) > 0 && p.Blocks[0].Hash != have[p.Blocks[0].Height-1].Hash {
			t.Errorf("%s: got %d blocks and next %d, want %v", query, len(p.Blocks), p.Next, want)
		}
	}
	for query, says := range map[string]string{
		"": "say from which height", "to=3": "say from which height", "from=x": "not a height", "from=9007199254740992": "not a height",
		"from=3&to=2": "below from", "from=1&head=main": "safe, unsafe or finalized", "from=1&signed=x": "neither true nor false", "from=1&limit=3": "no parameter limit",
	} {
		if code, body := l.get("/v1/blocks?" + query); code != http.StatusBadRequest || !strings.Contains(body, says) {
			t.Errorf("%s: got %d %s, want 400 and %q", query, code, body, says)
		}
	}
	if err := l.store.Prune(100); err != nil {
		t.Fatal(err)
	}
	if code, body := l.get("/v1/blocks?from=99"); code != http.StatusGone || !strings.Contains(body, "the oldest one here is 100") {
		t.Errorf("got %d %s of a pruned block, want 410 and what there is", code, body)
	}
	if p := l.page("from=100&to=101"); len(p.Blocks) != 1 {
		t.Errorf("got %+v, want the oldest block", p)
	}
}

// I6: a page of large blocks is bounded in bytes, and one that is larger than that is alone in its page. Of unsafe
// blocks there are pages for who asks for them.
func TestPagesOfLargeBlocks(t *testing.T) {
	l := newLedger(t, false)
	for _, size := range []int{1 << 20, 1 << 20, 1 << 20, 1 << 20, 5 << 20, 10} {
		l.size = size
		l.mine(1)
	}
	if p := l.page("from=1"); len(p.Blocks) != 0 || p.Next != 1 || p.Head.Height != 0 {
		t.Errorf("got %d blocks, want none that is safe", len(p.Blocks))
	}
	var heights []int
	for next := uint64(1); next <= 6; {
		p := l.page(fmt.Sprintf("from=%d&head=unsafe", next))
		if next = p.Next; len(p.Blocks) == 0 {
			t.Fatalf("got no block before %d", next)
		}
		heights = append(heights, len(p.Blocks))
	}
	if fmt.Sprint(heights) != "[2 2 1 1]" { // a MiB is 1.4 in base64
		t.Errorf("got pages of %v blocks, want as many as fit", heights)
	}
}

// A reorg between the reads of a page ends it: each of its blocks is the child of the one before.
func TestReorgWithinAPage(t *testing.T) {
	c := newScripted(t)
	c.mine(9)
	reads := 0
	var again func()
	again = func() {
		if reads++; reads == 4 { // after block 3 was read
			c.replace(1, 9)
			return
		}
		c.onRead = again
	}
	c.onRead = again
	text, err := node.PageOf(c.status, func() uint64 { return 1 }, c.ref, c.at, 1)
	if err != nil {
		t.Fatal(err)
	}
	var p node.Page
	decode(t, string(text), &p)
	if len(p.Blocks) != 3 || p.Next != 4 {
		t.Errorf("got %d blocks and next %d, want the three that were read before", len(p.Blocks), p.Next)
	}
}

// What is signed is served as it is stored: a follower verifies the header, and by it the data. Where no signature is
// stored, the answer says so.
func TestSignedBytes(t *testing.T) {
	l := newLedger(t, true)
	l.mine(1)
	for _, strip := range []func(h *block.SignedHeader){
		func(h *block.SignedHeader) { h.EnvelopeSignature = nil },
		func(h *block.SignedHeader) { h.EnvelopeSignature, h.Signature = nil, nil },
	} {
		rec := l.child(l.store.State().Unsafe)
		strip(&rec.Block.Header)
		at := rec.Block.Ref()
		l.commit(&store.Batch{Append: []store.Record{rec}, Safe: &at, Finalized: &at})
	}
	server := httptest.NewServer(l.Handler())
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	events := listen(t, server.URL, "from=1&signed=true", "")
	whole := listen(t, server.URL, "from=1&signed=true&body=true", "")
	page := l.page("from=1&signed=true")
	for i, kind := range []node.SignatureKind{node.SignedEnvelope, node.SignedPlain, node.Unsigned} {
		var one, full node.Block
		_, body := l.get(fmt.Sprintf("/v1/blocks/%d?signed=true", i+1))
		decode(t, body, &one)
		decode(t, whole.next().data, &full)
		event := events.next().block(t)
		want, err := l.store.Block(uint64(i) + 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []*node.SignedBytes{one.SignedBytes, full.SignedBytes, event.SignedBytes, page.Blocks[i].SignedBytes} {
			if got == nil || got.Signature != kind || !bytes.Equal(got.Header, want.Block.Header.Encode()) || !bytes.Equal(got.Data, want.Block.Data.Encode()) {
				t.Fatalf("block %d: got %+v, want the stored bytes, and %q", i+1, got, kind)
			}
			h, err := block.DecodeSignedHeader(got.Header)
			if err != nil {
				t.Fatal(err)
			}
			d, err := block.DecodeData(got.Data)
			if err != nil {
				t.Fatal(err)
			}
			commitment := d.Commitment()
			if verified := h.Verify() == nil; verified != (kind != node.Unsigned) || h.Header.Hash().String() != one.Hash || !bytes.Equal(commitment[:], h.Header.DataHash) {
				t.Errorf("block %d: got a header that verifies: %t, of block %s", i+1, verified, h.Header.Hash())
			}
		}
		if len(event.SignedBytes.Header) == 0 || event.Txs != 2 {
			t.Errorf("got %+v", event)
		}
	}
}

// A live event says when a reader has what there was: after the last block of history, of a node that is live itself,
// once, and only to who asks for it.
func TestLiveEvent(t *testing.T) {
	c := newScripted(t)
	c.mine(3)
	l, plain := listen(t, c.URL, "from=1&events=block,live,status", ""), listen(t, c.URL, "from=1&events=block,status", "")
	kinds := func(l *listener, n int) (got []string) {
		for range n {
			e := l.next()
			if e.kind == "live" {
				var at node.LiveEvent
				if decode(t, e.data, &at); at != c.head() || e.id != "" {
					t.Errorf("got %+v, want the head %+v", e, c.head())
				}
			}
			got = append(got, e.kind)
		}
		return got
	}
	expect := func(l *listener, want string) {
		t.Helper()
		if got := strings.Join(kinds(l, strings.Count(want, " ")+1), " "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	expect(l, "block block block status") // the node is catching up: there may be much more to come
	live := func() {
		c.mu.Lock()
		c.live = true
		c.publishLocked()
		c.mu.Unlock()
	}
	live()
	expect(l, "live status")
	c.mine(1)
	expect(l, "block status")
	c.replace(2, 1)
	expect(l, "reorg block status")
	expect(plain, "block block block status")
	expect(listen(t, c.URL, "from=1&events=block,live", ""), "block block block live")
	expect(listen(t, c.URL, "events=block,live", ""), "live")
	ahead := listen(t, c.URL, "from=5&events=block,live,status", "")
	expect(ahead, "status")
	c.mine(1)
	expect(ahead, "live status")
	if resp, err := http.Get(c.URL + "/v1/events?events=live"); err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("got %v, %v of live without blocks, want 400", resp, err)
	} else {
		_ = resp.Body.Close()
	}
}

// numbers are those of a JSON text.
func numbers(t *testing.T, text string) (all []json.Number) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		switch token, err := d.Token(); n := token.(type) {
		case json.Number:
			all = append(all, n)
		default:
			if err == io.EOF {
				return all
			}
			if err != nil {
				t.Fatalf("%v: %s", err, text)
			}
		}
	}
}

// Whatever a block's header says, no number of an answer is one that JavaScript and others would read as another one. Its
// time is as exact as it was signed.
func TestNumbersAreExact(t *testing.T) {
	for _, nanos := range []uint64{1, 1 << 53, 1796000000123456789, math.MaxInt64, math.MaxUint64} {
		l := newLedger(t, true)
		l.made = nanos - 1
		l.mine(1)
		server := httptest.NewServer(l.Handler())
		stream := listen(t, server.URL, "from=1&events=block,status", "")
		event := stream.next()
		_, one := l.get("/v1/blocks/1")
		_, page := l.get("/v1/blocks?from=1")
		_, waited := l.get("/v1/wait?height=1")
		_, state := l.get("/v1/status")
		for what, text := range map[string]string{"block": one, "page": page, "event": event.data, "status event": stream.next().data, "wait": waited, "status": state} {
			if len(numbers(t, text)) == 0 {
				t.Errorf("%s: got %s, want something with numbers", what, text)
			}
			for _, n := range numbers(t, text) {
				if f, err := strconv.ParseFloat(n.String(), 64); err != nil || math.Abs(f) >= 1<<53 {
					t.Errorf("%s: got %s in %s, want nothing from 2^53 on", what, n, text)
				}
			}
		}
		var b node.Block
		decode(t, one, &b)
		if want := time.Unix(0, int64(nanos)); !b.Time.Equal(want) || !event.block(t).Time.Equal(want) || !strings.Contains(one, `"time": "`+want.UTC().Format(time.RFC3339Nano)+`"`) {
			t.Errorf("got %s, want time %s in RFC 3339", one, want.UTC())
		}
		stream.close()
		server.CloseClientConnections()
		server.Close()
	}
}
