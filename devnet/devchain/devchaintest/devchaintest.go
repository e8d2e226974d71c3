// Package devchaintest gives tests the chains that people develop contracts against.
package devchaintest

import (
	"context"
	"testing"
	"time"

	"headrace/devnet/devchain"
)

// Open gives t a chain that ends with t. If it cannot be installed, t is skipped with the reason. When t fails, the end of the chain's
// output is logged.
func Open(t testing.TB, kind devchain.Kind, opt devchain.Options) *devchain.Chain {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if _, err := devchain.Install(ctx, kind); err != nil {
		t.Skipf("no %s: %v", kind, err)
	}
	chain, err := devchain.Open(ctx, kind, opt)
	if err != nil {
		t.Fatalf("open %s: %v", kind, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("end of %s' output:\n%s", kind, chain.Log())
		}
		chain.Kill()
	})
	return chain
}
