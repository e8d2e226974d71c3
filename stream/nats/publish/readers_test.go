package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"headrace/internal/nettest"
	"headrace/ref"
	"headrace/stream/nats"
	"headrace/stream/nats/server"
	"headrace/watch"
)

// shelf is a reader's own store, which counts on nothing: each block must be the child of the last one.
type shelf struct {
	mu     sync.Mutex // guards the rest
	blocks []ref.Ref  // from height 1 on
	undone int
	last   *watch.Value[ref.Ref]
}

func (s *shelf) Last(context.Context) (ref.Ref, error) { return s.last.Load(), nil }

func (s *shelf) At(_ context.Context, height uint64) (ref.Hash, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if height == 0 || height > uint64(len(s.blocks)) {
		return ref.Hash{}, false, nil
	}
	return s.blocks[height-1].Hash, true, nil
}

func (s *shelf) Apply(_ context.Context, b nats.Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.last.Load(); b.Height != at.Height+1 || b.Parent != at.Hash {
		return fmt.Errorf("block %d on %s comes after %d %s", b.Height, b.Parent, at.Height, at.Hash)
	}
	s.blocks = append(s.blocks, b.Ref)
	s.last.Set(b.Ref)
	return nil
}

func (s *shelf) Undo(_ context.Context, u nats.Undo) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.last.Load(); u.From != at || u.To.Height >= at.Height || u.To.Height > 0 && s.blocks[u.To.Height-1] != u.To {
		return fmt.Errorf("undo from %v to %v comes after %v", u.From, u.To, at)
	}
	s.blocks = s.blocks[:u.To.Height]
	s.undone++
	s.last.Set(u.To)
	return nil
}

// TestReaders: two publishers, and readers who each store what they get, while the server ends, is put back to copies of
// before, and the stream is purged and deleted, and while the L1 has reorgs. At the end each of them has the chain of a node,
// each block once, each on its parent.
func TestReaders(t *testing.T) {
	h := newHost(t, server.Options{Listen: nettest.FreeAddress(t), Password: "of-readers"}) // the same after each restart
	nodes := [2]*memory{newMemory(), newMemory()}
	safe, position := uint64(30), uint64(100)
	set := func() {
		for _, m := range nodes {
			m.set(safe, 5, position)
		}
	}
	for _, m := range nodes {
		m.l1 = true
	}
	set()
	var publishers [2]*working
	for i, m := range nodes {
		publishers[i] = publishing(t, m, Options{Servers: h.servers()})
	}
	r := newReader(t, h.servers())
	ctx, cancel := context.WithCancelCause(context.Background())
	over := errors.New("over")
	var shelves [10]*shelf
	var reading sync.WaitGroup
	for i := range shelves {
		shelves[i] = &shelf{last: watch.New(ref.Ref{})}
		r := newReader(t, Servers{URLs: []string{h.now.ClientURL()}, User: "reader", Password: "of-readers"})
		reading.Go(func() {
			if err := nats.Read(ctx, r.js, testName, shelves[i], nats.ReadOptions{}); !errors.Is(err, over) {
				t.Errorf("reader %d: %v", i, err)
			}
		})
	}
	defer reading.Wait()
	defer cancel(over)
	all := func() {
		t.Helper()
		for i, s := range shelves {
			if at, err := s.last.Wait(bounded(t), func(at ref.Ref) bool { return at == nodes[0].ref(safe) }); err != nil {
				stands, _ := r.stands(t.Context(), time.Second)
				t.Fatalf("reader %d is at %v and does not come to %v: %v; the stream is at %v, and the publishers at %+v", i, at, nodes[0].ref(safe), err, stands, [2]any{publishers[0].Streaming(), publishers[1].Streaming()})
			}
		}
	}
	copied := t.TempDir() + "/copy"
	all()
	for round := range 12 {
		t.Logf("round %d: %d blocks", round, safe)
		switch round % 4 {
		case 0:
			h.down()
			copyDir(t, h.opt.Dir, copied)
			h.up()
		case 1: // a reorg
			from := safe - rand.Uint64N(10)
			for _, m := range nodes {
				m.fork(from, byte(round))
			}
		case 2: // what was acknowledged is gone, and with it, as a rule, a reorg
			h.down()
			copyDir(t, copied, h.opt.Dir)
			h.up()
		case 3:
			r.purge()
		}
		safe += rand.Uint64N(10)
		position += 20
		set()
		all()
	}
	for i, s := range shelves {
		for k, got := range s.blocks {
			if want := nodes[0].ref(uint64(k) + 1); got != want {
				t.Fatalf("reader %d has %v, want %v", i, got, want)
			}
		}
		if s.undone < 3 {
			t.Errorf("reader %d has undone %d times, want each of 3 reorgs", i, s.undone)
		}
	}
}

// purge purges the stream, as soon as there is a connection.
func (r *reader) purge() {
	r.t.Helper()
	ask(r, func(ctx context.Context) (struct{}, error) {
		s, err := r.js.Stream(ctx, nats.StreamName(testName))
		if err == nil {
			err = s.Purge(ctx)
		}
		return struct{}{}, err
	})
}
