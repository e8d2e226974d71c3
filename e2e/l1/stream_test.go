package l1_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"headrace/block"
	"headrace/l1"
	"headrace/node"
)

// copied is the chain as a client of /v1/events has it.
type copied struct {
	m      *member
	blocks []block.Ref
	last   string // event id
	reorgs int
}

// follow reads events, from the last one on, until the copy ends with a block.
func (c *copied) follow(want block.Ref) {
	t := c.m.w.t
	t.Helper()
	ctx, cancel := context.WithTimeout(c.m.w.ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.m.Address()+"/v1/events?from=1", nil)
	c.m.w.check(err)
	req.Header.Set("Last-Event-ID", c.last)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	c.m.w.check(err)
	defer resp.Body.Close()
	lines, kind, id := bufio.NewScanner(resp.Body), "", ""
	for len(c.blocks) == 0 || c.blocks[len(c.blocks)-1] != want {
		if !lines.Scan() {
			t.Fatalf("the stream has ended at %v, want %v: %v", c.blocks, want, lines.Err())
		}
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "event":
			kind = value
		case "id":
			id = value
		case "data":
			c.take(kind, []byte(value))
			c.last = id
		}
	}
}

func (c *copied) take(kind string, data []byte) {
	c.m.w.t.Helper()
	switch kind {
	case "block":
		var b node.BlockEvent
		c.m.w.check(json.Unmarshal(data, &b))
		if b.Height != uint64(len(c.blocks))+1 || b.Height > 1 && b.ParentHash != c.blocks[b.Height-2].Hash {
			c.m.w.t.Fatalf("got %s after %v, want its successor", data, c.blocks)
		}
		c.blocks = append(c.blocks, block.Ref{Height: b.Height, Hash: b.Hash})
	case "reorg":
		var r node.ReorgEvent
		c.m.w.check(json.Unmarshal(data, &r))
		if int(r.To.Height) >= len(c.blocks) || r.To.Height > 0 && c.blocks[r.To.Height-1] != r.To {
			c.m.w.t.Fatalf("got %s after %v, want one of those to go back to", data, c.blocks)
		}
		c.blocks = c.blocks[:r.To.Height]
		c.reorgs++
	default:
		c.m.w.t.Fatalf("got event %s %s", kind, data)
	}
}

// TestEvents is P9 across reorgs of the L1: who needs each step, and not only the latest, reads the events, and goes on exactly where it stopped; also when the L1 took
// blocks back meanwhile, or the node was started anew.
func TestEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	a, m := w.lightAuthor(), w.light(nil)
	c := copied{m: m}
	root := w.propose(a.many(2)...)
	w.propose(a.many(3)...)
	c.follow(a.tip().Ref())
	for i := range 3 {
		a.back(2)
		w.reorg(root, 3+i)
		if i > 0 { // else it learns of all that at once
			m.canonical(1, a.tip())
		}
		w.propose(a.many(3 + i)...) // a node with fewer blocks than its client would only be behind
		if i == 2 {
			m.canonical(2, a.tip())
			m.restart()
		}
		c.follow(a.tip().Ref())
		if len(c.blocks) != len(a.blocks) || c.reorgs != i+1 {
			t.Fatalf("got %v after %d reorgs, want %d blocks after %d", c.blocks, c.reorgs, len(a.blocks), i+1)
		}
		for h, b := range a.blocks {
			if c.blocks[h] != b.Ref() {
				t.Fatalf("got block %v, want %v", c.blocks[h], b.Ref())
			}
		}
	}
}
