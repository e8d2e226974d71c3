package node_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/internal/store"
	"headrace/node"
)

// flip changes one byte of a value that begins with this text, in each table of a database that has it: one may be left
// from before a compaction. It fails the test if none has it.
func flip(t *testing.T, dir, text string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := 0
	for _, name := range tables {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(content, []byte(text)); at >= 0 {
			content[at+len(text)+100] ^= 1
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
			flipped++
		}
	}
	if flipped == 0 {
		t.Fatalf("%q is in no table of %s", text, dir)
	}
}

// fill makes blocks of incompressible transactions, more than a database keeps in memory. The value of key "rot-N" is
// random, and in a block of its own.
func fill(t *testing.T, n *running) {
	t.Helper()
	for i := range 40 {
		raw := make([]byte, 100_000)
		_, _ = rand.Read(raw)
		value := hex.EncodeToString(raw)
		if code, body := ask(t, n, http.MethodPost, "/v1/txs", fmt.Sprintf("rot-%d=%s", i, value)); code != http.StatusAccepted {
			t.Fatalf("transaction: got %d: %s", code, body)
		}
		waitValue(t, n, fmt.Sprintf("rot-%d", i), value)
	}
	head := n.Status().Load().Heads.Unsafe.Height
	n.until(t, "safe", func(s node.Status) bool { return s.Heads.Safe.Height >= head })
}

// TestRottenBlock: one byte of a stored block is wrong. A read of it is answered with 500 and names it, the node is
// unready with the remedy, and so it is after a restart without that read; it goes on all the while. The remedy brings
// the block back, and nothing else has changed.
func TestRottenBlock(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "rotten")
	seq, full := c.sequencer(t, d.URL(), 50*time.Millisecond), c.full(t, d.URL())
	a, b := start(t, seq), start(t, full)
	a.until(t, "ready", ready)
	fill(t, a)
	top := a.Status().Load().Heads.Safe
	b.until(t, "level", func(s node.Status) bool { return s.Heads.Safe.Height >= top.Height })
	for name, o := range map[string]node.Options{"sequencer": seq, "full node": full} {
		n := a
		if name == "full node" {
			n = b
		}
		n.stopped(t)
		flip(t, filepath.Join(o.Home, "store"), "rot-3=")

		n = start(t, o)
		var rotten []uint64
		for h := uint64(1); h <= top.Height; h++ {
			code, body := ask(t, n, http.MethodGet, fmt.Sprintf("/v1/blocks/%d", h), "")
			switch {
			case code == http.StatusInternalServerError && strings.Contains(body, fmt.Sprintf("block %d:", h)) && strings.Contains(body, "corrupt"):
				rotten = append(rotten, h)
			case code != http.StatusOK:
				t.Fatalf("%s: block %d: got %d: %s", name, h, code, body)
			}
		}
		if len(rotten) == 0 {
			t.Fatalf("%s: no block was rotten", name)
		}
		remedy := "headrace repair --home " + o.Home
		told := func(s node.Status) bool { return !s.Ready && strings.Contains(s.Reason, remedy) && s.Reason == s.Disk }
		s := n.until(t, "told of the remedy", told)
		n.until(t, "going on", func(now node.Status) bool {
			return now.Source.Position.Height > s.Source.Position.Height+3 && (name == "full node" || now.Heads.Safe.Height > s.Heads.Unsafe.Height)
		})
		wantStatus(t, n, "/livez", 200)
		n.stopped(t)

		n = start(t, o)
		n.until(t, "told of the remedy without a read", told)
		if err := node.Repair(t.Context(), o, false, t.Logf); err == nil || !strings.Contains(err.Error(), "another process has it open") {
			t.Errorf("%s: repaired while it runs: got %v", name, err)
		}
		n.stopped(t)

		var said []string
		say := func(format string, a ...any) { said = append(said, fmt.Sprintf(format, a...)) }
		if err := node.Repair(t.Context(), o, false, say); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := fmt.Sprintf("read %d lost blocks again, from %d to %d", len(rotten), rotten[0], rotten[len(rotten)-1]); len(said) == 0 || said[0] != want {
			t.Errorf("%s: got %q, want %q", name, said, want)
		}
		n = start(t, o)
		n.until(t, name+" ready after the repair", ready)
		for _, h := range rotten {
			wantStatus(t, n, fmt.Sprintf("/v1/blocks/%d", h), 200)
		}
		if name == "full node" {
			b = n
		} else {
			a = n
		}
	}
	top = a.Status().Load().Heads.Unsafe
	b.until(t, "level", func(s node.Status) bool { return s.Heads.Safe.Height >= top.Height })
	wantSame(t, a, b, top.Height)
}

// TestRottenBlockOfAReplica: what a replica has lost it reads from any of the nodes that it follows. While none of them
// answers the home stays as it is, and it is said who was asked.
func TestRottenBlockOfAReplica(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "rotten-replica")
	seq := start(t, c.sequencer(t, d.URL(), 50*time.Millisecond))
	o := c.replica(t, "http://127.0.0.1:1", seq.URL())
	n := start(t, o)
	n.until(t, "ready", ready)
	fill(t, seq)
	top := seq.Status().Load().Heads.Safe
	n.until(t, "level", safeAt(top.Height))
	n.stopped(t)
	flip(t, filepath.Join(o.Home, "store"), "rot-3=")

	n = start(t, o)
	rotten := 0
	for h := uint64(1); h <= top.Height; h++ {
		if code, _ := ask(t, n, http.MethodGet, fmt.Sprintf("/v1/blocks/%d", h), ""); code == http.StatusInternalServerError {
			rotten++
		}
	}
	if rotten == 0 {
		t.Fatal("no block is rotten")
	}
	n.until(t, "told of the remedy", func(s node.Status) bool {
		return !s.Ready && strings.Contains(s.Reason, "headrace repair --home "+o.Home)
	})
	n.stopped(t)
	alone := o
	alone.Config.Source.Node = node.At("http://127.0.0.1:1")
	if err := node.Repair(t.Context(), alone, false, t.Logf); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("repaired with nobody there: got %v, want who was asked", err)
	}
	var said []string
	if err := node.Repair(t.Context(), o, false, func(format string, a ...any) { said = append(said, fmt.Sprintf(format, a...)) }); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("read %d lost blocks again, from ", rotten); len(said) == 0 || !strings.HasPrefix(said[0], want) {
		t.Errorf("got %q, want %q", said, want)
	}
	n = start(t, o)
	n.until(t, "ready after the repair", ready)
	sameChain(t, top.Height, seq, n)
	n.stopped(t)

	if err := node.Repair(t.Context(), o, true, t.Logf); err != nil {
		t.Fatal(err)
	}
	n = start(t, o)
	n.until(t, "ready with a new store", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= top.Height })
	sameChain(t, top.Height, seq, n)
}

// TestRottenEngine: a value of the engine is rotten. The read is an error, the node says what to do, and that gives the
// engine its blocks again.
func TestRottenEngine(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	o := newChain(t, "rotten-engine").sequencer(t, d.URL(), 50*time.Millisecond)
	n := start(t, o)
	n.until(t, "ready", ready)
	fill(t, n)
	_, want := ask(t, n, http.MethodGet, "/v1/kv/rot-3", "")
	n.stopped(t)
	var value struct{ Value string }
	decode(t, want, &value)
	flip(t, filepath.Join(o.Home, "kv"), value.Value[:60])

	n = start(t, o)
	if body := wantStatus(t, n, "/v1/kv/rot-3", 500); !strings.Contains(body, "corrupt") {
		t.Errorf("got %s, want it corrupt", body)
	}
	n.until(t, "told of the remedy", func(s node.Status) bool {
		return !s.Ready && strings.Contains(s.Reason, "headrace repair --home "+o.Home)
	})
	wantStatus(t, n, "/livez", 200)
	n.stopped(t)
	if err := node.Repair(t.Context(), o, false, t.Logf); err != nil {
		t.Fatal(err)
	}
	n = start(t, o)
	s := n.until(t, "ready after the repair", ready)
	if s.Counts.Replayed < 40 {
		t.Errorf("got %d blocks replayed, want all", s.Counts.Replayed)
	}
	if body := wantStatus(t, n, "/v1/kv/rot-3", 200); body != want {
		t.Errorf("got another value than before")
	}
}

// TestStartOver: a store of which more than blocks is damaged does not open, and says what to do; a full node then
// reads its chain from the beginning.
func TestStartOver(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "over")
	seq := start(t, c.sequencer(t, d.URL(), 50*time.Millisecond))
	o := c.full(t, d.URL())
	n := start(t, o)
	n.until(t, "beyond 5", func(s node.Status) bool { return s.Heads.Safe.Height > 5 })
	n.stopped(t)
	markers, err := filepath.Glob(filepath.Join(o.Home, "store", "marker.manifest.*"))
	if err != nil || len(markers) == 0 {
		t.Fatal(markers, err)
	}
	for _, m := range markers {
		if err := os.Remove(m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := node.New(o); !errors.Is(err, node.ErrDamaged) || !strings.Contains(err.Error(), "headrace repair") {
		t.Fatalf("got %v, want it damaged, and the remedy", err)
	}
	err = node.Repair(t.Context(), o, false, t.Logf)
	if !errors.Is(err, node.ErrDamaged) || !strings.Contains(err.Error(), "headrace repair --home "+o.Home+" --start-over") {
		t.Fatalf("got %v, want the advice to start over", err)
	}
	if err := node.Repair(t.Context(), o, true, t.Logf); err != nil {
		t.Fatal(err)
	}
	n = start(t, o)
	top := n.until(t, "ready", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height > 5 }).Heads.Safe.Height
	wantSame(t, seq, n, top)
}

// TestLostBlockAmongOthers: where a lost block was posted the source has more of the proposer's, and all of them are
// whole. The one that was lost is taken, and none if it is not there.
func TestLostBlockAmongOthers(t *testing.T) {
	c := newChain(t, "among")
	var headers []*block.SignedHeader
	var data []*block.DataBlob
	for i := range 3 {
		h, s, _ := c.signed(t, fmt.Appendf(nil, "key=%d", i))
		d, err := block.ReadDataBlob(s.Encode())
		if err != nil {
			t.Fatal(err)
		}
		headers, data = append(headers, h), append(data, d)
	}
	lost := func(hash block.Hash) (*block.Block, error) {
		l := store.Lost{Ref: block.Ref{Height: 1, Hash: hash}, Origin: store.Origin{Source: block.Ref{Height: 7}}}
		return node.Refetch(t.Context(), c.full(t, ""), headers, data, l)
	}
	for i, h := range headers {
		if b, err := lost(h.Header.Hash()); err != nil || b.Hash() != h.Header.Hash() {
			t.Errorf("block %d of what was posted: got %v, %v, want %s", i, b, err, h.Header.Hash())
		}
	}
	if b, err := lost(block.Hash{1}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a block that was not posted there: got %v, %v, want %v", b, err, store.ErrCorrupt)
	}
}
