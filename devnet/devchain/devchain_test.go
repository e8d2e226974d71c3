package devchain_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"go.uber.org/goleak"

	"headrace/devnet/devchain"
	"headrace/devnet/devchain/devchaintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each kind answers, is of the version that is pinned, goes back to a snapshot, and is gone when it is killed.
func TestKinds(t *testing.T) {
	t.Parallel()
	versions := map[devchain.Kind]string{devchain.Anvil: "anvil/v1.7.1", devchain.Ganache: "Ganache/v7.9.2", devchain.Hardhat: "HardhatNetwork/3.18.0"}
	for _, kind := range devchain.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			c := devchaintest.Open(t, kind, devchain.Options{})
			var version string
			if err := c.Call(t.Context(), &version, "web3_clientVersion"); err != nil || !strings.HasPrefix(version, versions[kind]) {
				t.Errorf("got version %q, %v, want %q", version, err, versions[kind])
			}
			snapshot, err := c.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for n, step := range []func() error{
				func() error { return nil },
				func() error { return c.Call(t.Context(), nil, "evm_mine") },
				func() error { return c.Revert(t.Context(), snapshot) },
			} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
				var head hexutil.Uint64
				if err := c.Call(t.Context(), &head, "eth_blockNumber"); err != nil || int(head) != n%2 {
					t.Errorf("step %d: got head %d, %v, want %d", n, head, err, n%2)
				}
			}
			if err := c.Revert(t.Context(), snapshot); err == nil {
				t.Error("a snapshot that is used up: got no error")
			}
			c.Kill()
			if err := c.Call(t.Context(), nil, "eth_blockNumber"); err == nil {
				t.Error("it answers after its end")
			}
		})
	}
}

// Without npm, or its registry, there is none, and the reason is given. Nothing half installed is left.
func TestNotInstalled(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ npm, says string }{
		"no npm":      {"", "npm"},
		"no registry": {"#!/bin/sh\nmkdir -p node_modules/half\necho npm error network unreachable >&2\nexit 1\n", "network unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			if c.npm != "" {
				if err := os.WriteFile(filepath.Join(bin, "npm"), []byte(c.npm), 0o755); err != nil {
					t.Fatal(err)
				}
				bin += string(filepath.ListSeparator) + os.Getenv("PATH")
			}
			t.Setenv("PATH", bin)
			for range 2 {
				if dir, err := devchain.Install(t.Context(), devchain.Anvil); err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %q, %v, want an error that says %q", dir, err, c.says)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "headrace", "*", "[bi]*")); len(left) > 0 {
				t.Errorf("what failed has left %v", left)
			}
		})
	}
}

func TestInterval(t *testing.T) {
	if c, err := devchain.Open(t.Context(), devchain.Anvil, devchain.Options{Dir: t.TempDir(), Interval: time.Millisecond}); err == nil {
		c.Kill()
		t.Error("an interval of a millisecond was taken")
	}
}
