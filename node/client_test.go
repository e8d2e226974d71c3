package node_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/node"
	"headrace/watch"
)

// TestClientOfNode: a client of package await has of a real node what the waits in the process have; its stream goes on
// over a restart of the node, and its waits are told of the node's end.
func TestClientOfNode(t *testing.T) {
	d, _ := daLayer(t, "127.0.0.1:0", "", 20*time.Millisecond)
	o := newChain(t, "client").sequencer(t, d.URL(), 20*time.Millisecond)
	n := start(t, o)
	o.Config.HTTP.Address = n.Address()
	c, err := await.OpenNode(await.Endpoint{URL: "http://" + n.Address()}, await.ClientOptions{MaxBackoff: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Keep()()
	ctx := bounded(t)
	streamed := make(chan error, 1) // sent to once
	reached := watch.New(uint64(0))
	go func() {
		streamed <- c.Events(ctx, await.Stream{From: 1, Head: await.Unsafe, Kinds: "block,status"}, func(e await.Event) error {
			if e.Block == nil {
				return nil
			}
			if e.Block.Height != reached.Load()+1 {
				return fmt.Errorf("got block %d after block %d", e.Block.Height, reached.Load())
			}
			reached.Set(e.Block.Height)
			return nil
		})
	}()

	s, err := c.Height(ctx, 3)
	b, _ := n.Block(3)
	if err != nil || s.Block == nil || s.Block.Height != 3 || s.Block.Hash.String() != b.Hash || s.Progress().Safe.Height < 3 {
		t.Fatalf("got %s, %v, want block 3", s, err)
	}
	if s, err = c.Height(ctx, s.Progress().Unsafe.Height+1, await.WithLabel(await.Unsafe)); err != nil {
		t.Errorf("got %s, %v, want an unsafe block", s, err)
	}
	if s, err = c.L1Scanned(ctx, s.Progress().Scanned.Height+2); err != nil {
		t.Errorf("got %s, %v, want the position", s, err)
	}
	if s, err = c.Ready(ctx); err != nil || !s.Ready {
		t.Errorf("got %s, %v, want a ready node", s, err)
	}
	if s, err = c.Value(ctx, "the chain's id", func(s await.State) bool { return !s.StartedAt.IsZero() && s.Progress().Safe.Height > 3 }); err != nil {
		t.Errorf("got %s, %v, want a status", s, err)
	}
	if s, err = c.Proposal(ctx, 1); !errors.Is(err, await.ErrRefused) {
		t.Errorf("got %s, %v, want a refusal: there are none on a DA layer", s, err)
	}
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if s, err = c.NotReady(short); !errors.Is(err, context.DeadlineExceeded) || s.Progress().Safe.Height < 3 {
		t.Errorf("got %s, %v, want the deadline, and the last state", s, err)
	}

	high := make(chan error, 1) // sent to once
	stopped := make(chan error, 1)
	go func() { _, err := c.Height(ctx, 1<<40); high <- err }()
	go func() { _, err := c.Stopped(ctx); stopped <- err }()
	n.until(t, "with both waits", func(node.Status) bool { return n.Serving().Waiters >= 1 && n.Serving().Streams >= 2 })
	n.stopped(t)
	if err := <-high; !errors.Is(err, await.ErrEnded) {
		t.Errorf("got %v, want the end of the node", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("got %v, want the stop seen", err)
	}
	later := make(chan error, 1) // begun while nobody is there
	want := reached.Load() + 5
	go func() { _, err := c.Height(ctx, want, await.WithLabel(await.Unsafe)); later <- err }()
	n = start(t, o)
	if err := <-later; err != nil {
		t.Error(err)
	}
	if got, err := reached.Wait(ctx, func(h uint64) bool { return h >= want }); err != nil {
		select {
		case err = <-streamed:
		default:
		}
		t.Errorf("the stream is at block %d, want %d: %v", got, want, err)
	}
	if _, err := c.Ready(ctx); err != nil {
		t.Error(err)
	}
	d.Chain().Head().Close(nil) // whoever listens there hears nothing more
	if s, err := c.NotReady(ctx); err != nil || s.Ready || s.Reason == "" {
		t.Errorf("got %s, %v, want a node that is not ready, and why", s, err)
	}
}

// Whatever reorgs and cuts there are, a client of package await has the chain in the end, each block after its parent.
func TestClientFollowsEvents(t *testing.T) {
	const rounds = 60
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 3))
		c := newScripted(t)
		c.mine(3)
		client, err := await.OpenNode(await.Endpoint{URL: c.URL}, await.ClientOptions{MaxBackoff: 5 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		var have []await.Block
		at := watch.New(block.Ref{})
		done := make(chan error, 1) // sent to once
		ctx, cancel := context.WithCancel(bounded(t))
		go func() {
			done <- client.Events(ctx, await.Stream{From: 1}, func(e await.Event) error {
				switch {
				case e.Reorg != nil:
					have = have[:e.Reorg.To.Height]
				case e.Block != nil:
					if n := len(have); e.Block.Height != uint64(n)+1 || n > 0 && e.Block.ParentHash != have[n-1].Hash {
						return fmt.Errorf("got %+v after %d blocks", e.Block, n)
					}
					have = append(have, *e.Block)
				}
				if len(have) > 0 {
					at.Set(have[len(have)-1].Ref())
				}
				return nil
			})
		}()
		for range rounds {
			switch head := c.head().Height; random.IntN(4) {
			case 0:
				c.CloseClientConnections()
			case 1:
				depth := random.IntN(int(min(head, 4))) // and higher: a node that is behind is no reorg (I10)
				c.replace(head-uint64(depth), depth+1+random.IntN(3))
			default:
				c.mine(1 + random.IntN(3))
			}
			if random.IntN(3) == 0 {
				if _, err := at.Wait(ctx, func(r block.Ref) bool { return r == c.head() }); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
		}
		c.mine(1)
		if _, err := at.Wait(ctx, func(r block.Ref) bool { return r == c.head() }); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("seed %d: got %v", seed, err)
		}
	}
}

// A proposal is waited for by its L1 transaction or block, also when others have followed it before the client asks.
func TestWaitProposalAt(t *testing.T) {
	proposed := func(n byte) node.Proposal {
		return node.Proposal{ID: uint64(n), L1: block.Ref{Height: uint64(n), Hash: block.Hash{n}}, Tx: block.Hash{n, 1}}
	}
	status := watch.New(node.Status{})
	s := httptest.NewServer(node.Waits(status))
	t.Cleanup(s.Close)
	c := await.Node(s.URL)
	five, seven := proposed(5), proposed(7)
	later := make(chan error, 1) // sent to once
	go func() {
		_, err := c.ProposalAt(bounded(t), seven.Tx)
		later <- err
	}()
	status.Set(node.Status{Proposal: &five})
	status.Set(node.WithEarlier(node.Status{Proposal: &seven}, five))
	if err := <-later; err != nil {
		t.Error(err)
	}
	for _, hash := range []block.Hash{five.Tx, five.L1.Hash, seven.L1.Hash} {
		if s, err := c.ProposalAt(bounded(t), hash); err != nil || s.Progress().Proposal.ID != 7 {
			t.Errorf("%s: got %s, %v, want it found", hash, s, err)
		}
	}
	if _, err := c.Proposal(bounded(t), 6); err != nil {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(bounded(t), 100*time.Millisecond)
	defer cancel()
	if s, err := c.ProposalAt(short, block.Hash{9}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %s, %v of a proposal that is not there", s, err)
	}
}
