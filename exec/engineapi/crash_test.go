package engineapi_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec"
	"headrace/exec/engineapi"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// S37: each step any number of times without the next one, as if the node crashed there again and again.
func TestStepsRepeat(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	n := gethtest.Open(t, geth.Options{})
	opt := options(t, n)
	tap := newTap(t, opt.URL)
	opt.URL = tap.url
	crashes := []struct {
		method string
		rule   rule
	}{
		{"engine_newPayloadV4", rule{drop: true}},
		{"engine_newPayloadV4", rule{drop: true, forward: true}},
		{"engine_forkchoiceUpdatedV3", rule{drop: true}},
		{"engine_forkchoiceUpdatedV3", rule{drop: true, forward: true}},
	}
	for i, b := range blocks[:6] {
		crash := crashes[i%len(crashes)]
		// A fork choice that was done needs no other: the next process finds the block and takes it over.
		adopts := crash.method == "engine_forkchoiceUpdatedV3" && crash.rule.forward
		for again := range 10 {
			func() {
				e, err := connect(t.Context(), opt) // a new process each time
				if err != nil {
					t.Fatal(err)
				}
				defer e.Close()
				tap.set(crash.method, crash.rule)
				defer tap.clear()
				_, err = e.Execute(t.Context(), b)
				if adopts && again > 0 && err == nil {
					return
				}
				if !errors.Is(err, engineapi.ErrUnavailable) {
					t.Fatalf("block %d: got error %v, want ErrUnavailable", b.Height(), err)
				}
			}()
		}
		e, err := connect(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		execute(t, e, b)
		wantHead(t, e, n, b)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The client is killed at random points, before and after it did what it was asked. By Head and replays alone the
// chain comes out the same.
func TestClientKilled(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	blocks := history(t, geth.Prague)
	n := gethtest.Open(t, geth.Options{})
	opt := options(t, n)
	tap := newTap(t, opt.URL)
	opt.URL = tap.url
	e := open(t, opt)
	points := []string{"engine_newPayloadV4", "engine_forkchoiceUpdatedV3", "eth_getBlockByNumber"}
	kills, lost := 0, 0
	for done := 0; done < len(blocks); {
		if kills < 5 && random.IntN(3) == 0 {
			kills++
			tap.kill(points[random.IntN(len(points))], random.IntN(2) == 0, n)
		}
		_, err := e.Execute(t.Context(), blocks[done])
		tap.clear()
		select {
		case <-n.Exited():
			if err := n.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		default:
		}
		switch {
		case err == nil:
			done++
		case errors.Is(err, exec.ErrParent), errors.Is(err, engineapi.ErrUnavailable):
			head, err := e.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if back := int(head.Height + 1 - initialHeight); back < done {
				lost += done - back
				done = back
			}
			if done > 0 && head.Hash != blocks[done-1].Hash() {
				t.Fatalf("head after a kill: got %v, want a block of the chain", head)
			}
		default:
			t.Fatalf("block %d: %v", blocks[done].Height(), err)
		}
	}
	t.Logf("%d kills, %d blocks lost and replayed", kills, lost)
	wantHead(t, e, n, blocks[len(blocks)-1])
}

// kill kills n at the next request of a method: before the client gets it, or after it has answered.
func (p *tap) kill(method string, after bool, n *geth.Node) {
	p.set(method, rule{drop: true, forward: after, once: true, then: n.Kill})
}

// The engine's own disk loses what was not synced, and the client does not; and the other way round. Either way all
// goes on from what both have.
func TestIndexLost(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	n := gethtest.Open(t, geth.Options{})
	opt := options(t, n)
	disk := vfs.NewCrashableMem()
	opt.Dir, opt.FS = "index", disk
	e := open(t, opt)
	for i, b := range blocks[:8] {
		execute(t, e, b)
		t.Run(fmt.Sprint(b.Height()), func(t *testing.T) {
			opt := opt
			opt.FS = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(i), 2))})
			crashed := open(t, opt)
			head, err := crashed.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			at := int(head.Height + 1 - initialHeight)
			if at > i+1 || at > 0 && head.Hash != blocks[at-1].Hash() {
				t.Fatalf("head: got %v, want a block at or below %d", head, b.Height())
			}
			for _, b := range blocks[at : i+1] {
				execute(t, crashed, b)
			}
			wantHead(t, crashed, n, b)
		})
	}
}

// A client that is frozen costs a time-out, and is used again when it goes on.
func TestClientFrozen(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	n, e := fresh(t, geth.Prague, func(o *engineapi.Options) { o.Timeout = 2 * time.Second })
	execute(t, e, blocks[0])
	if err := n.Pause(); err != nil {
		t.Skip(err)
	}
	if _, err := e.Execute(t.Context(), blocks[1]); !errors.Is(err, engineapi.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("execute on a frozen client: got error %v, want ErrUnavailable by a deadline", err)
	}
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks[1:] {
		execute(t, e, b)
	}
	wantHead(t, e, n, blocks[len(blocks)-1])
}

// Another client is put in place of the first, empty, and gets another branch; then the first is back. The index
// holds one chain at a time.
func TestClientReplaced(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	first, second := gethtest.Open(t, geth.Options{}), gethtest.Open(t, geth.Options{})
	opt := options(t, first)
	with := func(n *geth.Node, use func(*engineapi.Engine)) {
		opt.URL, opt.JWT = n.Engine(), n.JWT()
		e, err := connect(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		use(e)
	}
	with(first, func(e *engineapi.Engine) {
		for _, b := range blocks {
			execute(t, e, b)
		}
	})
	var other *block.Block
	with(second, func(e *engineapi.Engine) {
		wantHead(t, e, second, nil)
		execute(t, e, blocks[0])
		other = produce(t, e, blocks[0])
		wantHead(t, e, second, other)
	})
	with(first, func(e *engineapi.Engine) {
		if head, err := e.Head(t.Context()); err != nil || head.Hash != blocks[0].Hash() {
			t.Errorf("head: got %v, %v, want the block that both have", head, err)
		}
		execute(t, e, other)
		wantHead(t, e, first, other)
	})
}
