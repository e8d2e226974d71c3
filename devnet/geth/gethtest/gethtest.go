// Package gethtest gives tests real geth processes.
package gethtest

import (
	"context"
	"testing"
	"time"

	"headrace/devnet/geth"

	// geth is built by the go command while the first test that wants it runs, and that counts against the test's time limit. Its packages
	// are named here so that they are compiled with the test instead; linking is then all that is left.
	_ "github.com/ethereum/go-ethereum/cmd/utils"
)

// Open gives t a geth that ends with t. A directory that is not named is t.TempDir(). When there is no geth and none can be built, t is
// skipped with the reason. When t fails, the end of geth's output is logged.
func Open(t testing.TB, opt geth.Options) *geth.Node {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	if opt.Binary == "" {
		opt.Binary = Binary(t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	node, err := geth.Open(ctx, opt)
	if err != nil {
		t.Fatalf("open geth: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of geth's output:\n%s", node.Log())
		}
		node.Kill() // its directory goes too: no need to wait for a clean end
	})
	return node
}

// Binary returns a geth to run, or skips t with the reason.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := geth.Binary(context.Background())
	if err != nil {
		t.Skipf("no geth: %v", err)
	}
	return path
}
