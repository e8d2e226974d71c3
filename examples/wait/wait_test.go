// Package wait_test waits for a block of a rollup in a test, and runs the examples beside it that do so in a shell, in
// Python and in Node.js. Each ends the moment that the block is there, and asks once.
package wait_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"headrace/await"
	"headrace/devnet"
)

// In Go: a rollup that lives as long as the test, a transaction, and a wait for its block on another node.
func TestWait(t *testing.T) {
	net := devnet.Start(t)
	sequencer, full := net.Nodes()[0], net.Nodes()[1]
	sent, err := sequencer.Send(t.Context(), []byte("color=blue"), await.Safe)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := await.Height(t.Context(), full.Status(), sent.Tx.Block.Height); err != nil {
		t.Fatal(err)
	}
	b, err := full.Block(sent.Tx.Block.Height)
	if err != nil || b.Hash != sent.Tx.Block.Hash.String() || string(b.Txs[sent.Tx.Index]) != "color=blue" {
		t.Errorf("got %+v, %v, want the block with the transaction at %d", b, err, sent.Tx.Index)
	}
}

// In Go, at a node that runs elsewhere: its waits are the same, and its blocks come as a stream that goes on by itself.
func TestWaitAtANode(t *testing.T) {
	net := devnet.Start(t)
	node := await.Node(net.Nodes()[1].URL())
	state, err := node.Height(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	var last await.Block
	err = node.Events(t.Context(), await.Stream{From: 1}, func(e await.Event) error {
		if e.Block == nil {
			return nil // a reorg: the blocks above e.Reorg.To are void
		}
		if last = *e.Block; last.Height == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || state.Block == nil || last.Ref() != *state.Block {
		t.Errorf("got %+v, %v, want block %v", last, err, state.Block)
	}
}

// In other languages, by HTTP.
func TestWaitElsewhere(t *testing.T) {
	net := devnet.Start(t)
	full := net.Nodes()[1]
	for _, each := range []struct{ file, program string }{{"wait.sh", "sh"}, {"wait.py", "python3"}, {"wait.mjs", "node"}} {
		t.Run(each.file, func(t *testing.T) {
			for _, program := range []string{each.program, map[string]string{"sh": "curl"}[each.program]} {
				if _, err := exec.LookPath(program); program != "" && err != nil {
					t.Skipf("no %s on this machine: %v", program, err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, each.program, each.file, full.URL(), "5").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			b, err := full.Block(5)
			if err != nil || !strings.Contains(string(out), b.Hash) {
				t.Errorf("got %s, want block 5 %s (%v)", out, b.Hash, err)
			}
			if out, err := exec.CommandContext(ctx, each.program, each.file, full.URL(), "never").CombinedOutput(); err == nil {
				t.Errorf("got success and %s of a height that is none", out)
			}
		})
	}
}
