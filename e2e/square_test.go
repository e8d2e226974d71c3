package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/devnet/proxy"
	"headrace/node"
)

var mbit = flag.Int("square.mbit", 64, "TestLargestSquare: Mbit/s of the link to the DA endpoint; 2 takes half an hour")

// TestLargestSquare: a stranger fills the largest square there is, 512 wide, with one namespace that a node follows:
// 340 MB on the wire, since what does not fit into a message comes as ranges of shares, each share twice. The endpoint
// restarts when half of that has come, and again near its end. The node passes the height and goes on, within 400 MiB,
// and little comes twice.
func TestLargestSquare(t *testing.T) {
	noteSources(t)
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "pass"), []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	headrace(t, "init", "--home", filepath.Join(home, "seq"), "--sequencer", "--passphrase-file", filepath.Join(home, "pass"), "--chain-id", "e2e", "--da.data_namespace", "crowded")
	chain, full := crowded(t, da.NamespaceFromName("crowded"))
	address := serveChain(t, chain)
	for _, level := range []da.Level{da.ProveEmpty, da.Prove} {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			passLargest(t, home, address, level, full, chain.Head().Load().Height)
		})
	}
}

// crowded returns a chain, and how many bytes its largest height takes on the wire.
func crowded(t *testing.T, ns da.Namespace) (*local.Chain, uint64) {
	chain, err := local.New(local.Options{Interval: -1, MaxBlockBytes: 160 << 20, MaxPending: 200 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chain.Close() })
	random := rand.NewChaCha8([32]byte{})
	const blobs, size, shares = 16, 7_850_000, 16 * (7_850_000/482 + 1)
	var work sync.WaitGroup
	for i := range blobs {
		b := da.Blob{Namespace: ns, Data: make([]byte, size), Index: -1}
		_, _ = random.Read(b.Data)
		work.Go(func() {
			if _, err := chain.Submit(t.Context(), []da.Blob{b}); err != nil {
				t.Error(err)
			}
		})
		if _, err := chain.Pending().Wait(t.Context(), func(n int) bool { return n > i }); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if _, err := chain.Produce(); err != nil {
			t.Fatal(err)
		}
	}
	work.Wait()
	return chain, shares * 512 * 8 / 3
}

// serveChain serves a chain until the test ends.
func serveChain(t *testing.T, chain *local.Chain) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = celestia.NewHandler(chain, celestia.HandlerOptions{}).Serve(ctx, l) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return l.Addr().String()
}

// passLargest runs a node over the largest height.
func passLargest(t *testing.T, home, address string, level da.Level, full, height uint64) {
	ctx, cancel := context.WithCancel(context.Background())
	link, err := proxy.New(address, 0)
	if err != nil {
		t.Fatal(err)
	}
	link.SetRate(*mbit * 1_000_000 / 8)
	var work sync.WaitGroup
	work.Go(func() { _ = link.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	dir := filepath.Join(home, level.String())
	headrace(t, "init", "--home", dir, "--genesis", filepath.Join(home, "seq", "genesis.json"), "--da.address", "http://"+link.Address(), "--da.level", level.String(), "--http.address", "127.0.0.1:0")
	p := spawn(t, "start", "--home", dir)
	t.Cleanup(p.kill)
	told, err := p.told.Wait(t.Context(), func(p progress) bool { return p.URL != "" })
	if err != nil {
		t.Fatal(err)
	}
	probe := time.NewTicker(50 * time.Millisecond) // a proxy and another process tell only when they are asked
	defer probe.Stop()
	parts := []uint64{50, 90}
	var s node.Status
	c := &asker{http.DefaultClient}
	limit := time.After(time.Duration(full)*8*3/time.Duration(*mbit)*time.Microsecond + 2*time.Minute)
	for s.Source.Position.Height < height {
		select {
		case <-probe.C:
		case <-limit:
			t.Fatalf("%d bytes of %d have come: %+v", link.Passed(), full, s)
		}
		if err := c.try(t.Context(), told.URL+"/v1/status", &s); err != nil {
			t.Fatalf("%v: %s", err, p.told.Load().Tail)
		}
		if len(parts) > 0 && link.Passed() > full*parts[0]/100 {
			link.Cut(true)
			link.Cut(false)
			parts = parts[1:]
		}
	}
	if len(parts) > 0 {
		t.Errorf("%d bytes of %d have come: the link was not cut twice", link.Passed(), full)
	}
	if got := link.Passed(); got > full*11/10 {
		t.Errorf("%d bytes have come, %d are enough", got, full)
	}
	rss := peak(t, p.cmd.Process.Pid)
	t.Logf("%d MB, %d MiB of memory", link.Passed()/1e6, rss>>10)
	if rss > 400<<10 {
		t.Errorf("the node took %d MiB of memory, 400 are allowed", rss>>10)
	}
}

// peak returns the most memory that a process has had, in KiB; 0 where the system does not tell.
func peak(t *testing.T, pid int) (kib int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}
