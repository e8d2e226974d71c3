package geth_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"

	"github.com/ethereum/go-ethereum/ethclient"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if binary := os.Getenv(failsEnv); binary != "" {
		fails(binary)
	}
	goleak.VerifyTestMain(m)
}

const failsEnv = "HEADRACE_TEST_GETH_THAT_FAILS"

// fails is a geth that fails when it is asked to end.
func fails(binary string) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt)
	cmd := exec.Command(binary, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	<-asked
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	os.Exit(3)
}

// TestCloseFails: a geth that fails while it ends may have lost something, and Close says so. What has ended is closed.
func TestCloseFails(t *testing.T) {
	t.Parallel()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "geth")
	script := fmt.Sprintf("#!/bin/sh\n%s='%s' exec '%s' \"$@\"\n", failsEnv, gethtest.Binary(t), own)
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	n := gethtest.Open(t, geth.Options{Binary: binary})
	if err := n.Close(); err == nil || !strings.Contains(err.Error(), "failed while it ended: exit status 3") {
		t.Errorf("got error %v, want one that says how it ended", err)
	}
	if err := n.Close(); err != nil {
		t.Errorf("closed once more: %v", err)
	}
}

// answers asks the node for its chain id over both of its open transports.
func answers(t *testing.T, n *geth.Node) {
	t.Helper()
	for _, url := range []string{n.HTTP(), n.WS()} {
		client, err := ethclient.DialContext(t.Context(), url)
		if err != nil {
			t.Fatalf("dial %s: %v", url, err)
		}
		id, err := client.ChainID(t.Context())
		client.Close()
		if err != nil || id.Uint64() != geth.DevChainID {
			t.Fatalf("chain id from %s: got %v, %v, want %d", url, id, err, geth.DevChainID)
		}
	}
}

func TestRestartKeepsPortsAndSecret(t *testing.T) {
	t.Parallel()
	n := gethtest.Open(t, geth.Options{})
	answers(t, n)
	urls, secret := n.HTTP()+n.Engine(), n.JWT()
	if err := n.Restart(t.Context()); err == nil {
		t.Error("restart of a running node: got no error")
	}
	for _, end := range []func(){func() { n.Kill() }, func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}} {
		end()
		end() // of an ended node: does nothing
		select {
		case <-n.Exited():
		default:
			t.Fatal("the process has not ended")
		}
		if err := n.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		answers(t, n)
	}
	if got := n.HTTP() + n.Engine(); got != urls || n.JWT() != secret {
		t.Errorf("after a restart: got %s, want %s and the same secret", got, urls)
	}
	// Another Node on the directory of an ended one takes over the secret.
	n.Kill()
	again := gethtest.Open(t, geth.Options{Dir: n.Dir()})
	if again.JWT() != secret {
		t.Error("the secret of a directory changed")
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	n := gethtest.Open(t, geth.Options{})
	ended := make(chan error)
	go func() { ended <- n.Run(t.Context()) }()
	n.Kill()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("run of a node that was killed: got error %v, want one that says so", err)
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- n.Run(ctx) }()
	cancel()
	if err := <-ended; err != nil && !ownPanic(n) {
		t.Errorf("run until the context ends: got error %v", err)
	}
	<-n.Exited()
}

// ownPanic reports whether geth has panicked: one that is asked to end before all its parts have begun may.
func ownPanic(n *geth.Node) bool { return strings.Contains(n.Log(), "\npanic: ") }

// However soon after its start a node is closed, it ends in good order, or Close says that it did not.
func TestCloseAtOnce(t *testing.T) {
	t.Parallel()
	n := gethtest.Open(t, geth.Options{})
	for range 3 {
		switch err := n.Close(); {
		case err != nil && ownPanic(n):
			t.Log(err)
		case err != nil:
			t.Fatal(err)
		case !strings.Contains(n.Log(), "Blockchain stopped"):
			t.Fatalf("the process ended without writing down its state:\n%s", n.Log())
		}
		if err := n.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A paused node is silent, not gone.
func TestPause(t *testing.T) {
	t.Parallel()
	n := gethtest.Open(t, geth.Options{})
	if err := n.Pause(); err != nil {
		t.Skip(err)
	}
	client, err := ethclient.DialContext(t.Context(), n.HTTP())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := client.BlockNumber(ctx)
		return err
	}
	err = ask()
	for range 100 { // the signal stops one thread after the other: some answers may still come
		if err != nil {
			break
		}
		err = ask()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("request to a paused node: got error %v, want a deadline", err)
	}
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
	answers(t, n)
	if err := n.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil { // wakes it up for that
		t.Error(err)
	}
}

// What is wrong is said in geth's own words, and nothing is left running.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	binary := gethtest.Binary(t)
	n := gethtest.Open(t, geth.Options{})
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		opt  geth.Options
		says string
	}{
		{"no directory", geth.Options{Binary: binary}, "directory"},
		{"no binary", geth.Options{Dir: t.TempDir(), Binary: "/nonexistent/geth"}, "/nonexistent/geth"},
		{"unknown flag", geth.Options{Dir: t.TempDir(), Binary: binary, Args: []string{"--no-such-flag"}}, "no-such-flag"},
		{"other genesis", geth.Options{Dir: n.Dir(), Binary: binary, Genesis: geth.DevGenesis(geth.Cancun)}, "genesis"},
	}
	for _, c := range cases {
		n, err := geth.Open(t.Context(), c.opt)
		if err == nil {
			n.Kill()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got error %v, want one saying %q", c.name, err, c.says)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := geth.Open(ctx, geth.Options{Dir: t.TempDir(), Binary: binary}); !errors.Is(err, context.Canceled) {
		t.Errorf("open with an ended context: got error %v", err)
	}
}

func TestBinary(t *testing.T) {
	want := gethtest.Binary(t)
	if got, err := geth.Binary(t.Context()); err != nil || got != want {
		t.Errorf("binary the second time: got %q, %v, want %q", got, err, want)
	}
	t.Setenv("HEADRACE_GETH", "/my/geth")
	if got, err := geth.Binary(t.Context()); err != nil || got != "/my/geth" {
		t.Errorf("binary from the environment: got %q, %v", got, err)
	}
	// With an empty cache and no go command there is none, and the reason is given; the next one to ask is not in its way.
	t.Setenv("HEADRACE_GETH", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	for range 2 {
		if got, err := geth.Binary(t.Context()); err == nil || !strings.Contains(err.Error(), "go") {
			t.Errorf("binary without a go command: got %q, %v, want an error", got, err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "headrace", "*", "build-*")); len(left) > 0 {
		t.Errorf("failed builds left %v", left)
	}
}

func TestDevGenesis(t *testing.T) {
	hashes := map[string]geth.Fork{}
	for _, fork := range []geth.Fork{geth.Cancun, geth.Prague, geth.Osaka} {
		g := geth.DevGenesis(fork)
		if got := strings.ToLower(g.Config.LatestFork(1 << 40).String()); got != fork.String() {
			t.Errorf("latest fork: got %s, want %s", got, fork)
		}
		if a, b := g.ToBlock().Hash(), geth.DevGenesis(fork).ToBlock().Hash(); a != b {
			t.Errorf("genesis of %s: got %s and %s", fork, a, b)
		}
		for i := range geth.DevAccounts {
			if g.Alloc[geth.DevAddress(i)].Balance.Sign() <= 0 {
				t.Errorf("account %d has no money", i)
			}
		}
		g.Config.ChainID.SetUint64(1) // ours to change
		hashes[geth.DevGenesis(fork).Config.ChainID.String()] = fork
	}
	if len(hashes) != 1 {
		t.Errorf("chain ids: got %v, want one", hashes)
	}
}
