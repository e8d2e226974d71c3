package devnet_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/da"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/devnet/proxy"
	"headrace/exec/kv"
	"headrace/node"
)

// BenchmarkCatchUp measures a fresh full node over loopback sockets from its start to the head: DA heights with two blocks of five transactions in each, or none, and with
// latency added to each request. The DA server is another process, on the same cores. It reports
//
//   - heights/s: DA heights per second, connecting and all;
//   - steady-heights/s: the same from the first quarter of the heights on, when as many requests are in flight as will be;
//   - node-us/block, server-us/block: CPU time of either process per rollup block (without blocks: per height);
//   - peak-MiB: the most memory the node's process has held so far, the ones before it in this process included.
func BenchmarkCatchUp(b *testing.B) {
	for _, c := range []struct{ heights, blocks int }{{5_000, 2}, {40_000, 0}} {
		for _, delay := range []time.Duration{0, 50 * time.Millisecond} {
			b.Run(fmt.Sprintf("blocks=%d/delay=%s", c.blocks, delay), func(b *testing.B) {
				s := serveChain(b, c.heights, c.blocks, delay)
				for b.Loop() {
					s.catchUp(b)
				}
			})
		}
	}
}

// chainServer is the process that serves the chain.
type chainServer struct {
	heights, blocks int
	head            uint64 // DA height
	address         string
	genesis         *block.Genesis
	asks            io.Writer      // a line asks for the process's CPU time
	answers         *bufio.Scanner // the address and the head, then answers
}

const serverEnv = "HEADRACE_BENCH_CHAIN"

func serveChain(b *testing.B, heights, blocks int, delay time.Duration) *chainServer {
	b.Helper()
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServeChain$", "-test.timeout=1h")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %d %x", serverEnv, heights, blocks, delay, key.Encode()))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Errorf("the chain's server: %v", err)
		}
	})
	s := &chainServer{heights: heights, blocks: blocks, genesis: benchGenesis(key), asks: in, answers: bufio.NewScanner(out)}
	if _, err := fmt.Sscan(s.answer(b), &s.address, &s.head); err != nil {
		b.Fatal(err)
	}
	return s
}

func (s *chainServer) answer(b *testing.B) string {
	b.Helper()
	if !s.answers.Scan() {
		b.Fatalf("the chain's server says nothing: %v", s.answers.Err())
	}
	return s.answers.Text()
}

func (s *chainServer) cpuTime(b *testing.B) (d time.Duration) {
	b.Helper()
	if _, err := io.WriteString(s.asks, "\n"); err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Sscan(s.answer(b), (*int64)(&d)); err != nil {
		b.Fatal(err)
	}
	return d
}

// caughtUp is what a fresh node's way to the head was like.
type caughtUp struct {
	first, last node.Status   // at a quarter of the heights, and at the head
	warm, took  time.Duration // until then
	used        syscall.Rusage
	cpu         time.Duration // user and system
}

// catchUp runs a fresh node until it stands at the head, and reports what that took.
func (s *chainServer) catchUp(b *testing.B) {
	server := s.cpuTime(b)
	r := s.follow(b, func(*node.Options) {}, func(*node.Node) {})
	server = s.cpuTime(b) - server
	per := float64(max(s.heights*s.blocks, s.heights))
	b.ReportMetric(float64(s.head)/r.took.Seconds(), "heights/s")
	b.ReportMetric(float64(r.last.Source.Position.Height-r.first.Source.Position.Height)/(r.took-r.warm).Seconds(), "steady-heights/s")
	b.ReportMetric(float64(r.cpu.Microseconds())/per, "node-us/block")
	b.ReportMetric(float64(server.Microseconds())/per, "server-us/block")
	b.ReportMetric(float64(r.used.Maxrss)/1024, "peak-MiB")
}

// follow runs a fresh node, made with what change makes of its options, until it stands at the head. made is called
// with it before it runs.
func (s *chainServer) follow(b *testing.B, change func(*node.Options), made func(*node.Node)) (r caughtUp) {
	c := node.Default()
	c.HTTP.Address, c.DA.Address = "127.0.0.1:0", node.At("http://"+s.address)
	begin, before := time.Now(), usage(b)
	o := node.Options{Home: b.TempDir(), Genesis: s.genesis, Config: c}
	change(&o)
	n, err := node.New(o)
	if err != nil {
		b.Fatal(err)
	}
	made(n)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	reach := func(height uint64) (node.Status, time.Duration) {
		st, err := n.Status().Wait(ctx, func(st node.Status) bool { return st.Source.Position.Height >= height })
		if err != nil {
			b.Fatal(err)
		}
		return st, time.Since(begin)
	}
	r.first, r.warm = reach(s.head / 4)
	r.last, r.took = reach(s.head)
	r.used = usage(b)
	r.cpu = cpuOf(r.used) - cpuOf(before)
	if got := r.last.Heads.Safe.Height; got != uint64(s.heights*s.blocks) {
		b.Fatalf("safe head is %d, want %d", got, s.heights*s.blocks)
	}
	cancel()
	wg.Wait()
	return r
}

func usage(tb testing.TB) (u syscall.Rusage) {
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return u
}

func cpuOf(u syscall.Rusage) time.Duration { return time.Duration(u.Utime.Nano() + u.Stime.Nano()) }

func benchGenesis(key *block.PrivateKey) *block.Genesis {
	return &block.Genesis{
		ChainID: "bench", StartTime: time.Unix(1, 0), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"},
	}
}

// TestServeChain is no test: it is the other process of BenchmarkCatchUp. It writes its address and the head, then its CPU time for each line it reads, and ends with its input.
func TestServeChain(t *testing.T) {
	var heights, blocks int
	var delay time.Duration
	var secret string
	if n, _ := fmt.Sscan(os.Getenv(serverEnv), &heights, &blocks, (*int64)(&delay), &secret); n != 4 {
		t.Skip("serves a chain to BenchmarkCatchUp alone")
	}
	raw, err := hex.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := block.ParsePrivateKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	server := chainOf(t, key, heights, blocks)
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	address := u.Host
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = server.Run(ctx) })
	if delay > 0 {
		p, err := proxy.New(u.Host, delay)
		if err != nil {
			t.Fatal(err)
		}
		address = p.Address()
		wg.Go(func() { _ = p.Run(ctx) })
	}
	fmt.Println(address, server.Chain().Head().Load().Height)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(cpuOf(usage(t)).Nanoseconds())
	}
}

// chainOf returns a DA server whose chain has so many heights of so many blocks, signed with key.
func chainOf(t *testing.T, key *block.PrivateKey, heights, blocks int) *devnet.DA {
	t.Helper()
	server, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: -1}})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := kv.Open("kv", kv.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	chain := server.Chain()
	var parent *block.Block
	var root []byte
	for h := range heights {
		var blobs []da.Blob
		for i := range blocks {
			blk := next(t, key, parent, root, h*blocks+i)
			if root, err = engine.Execute(t.Context(), blk); err != nil {
				t.Fatal(err)
			}
			data, err := block.SignData(key, blk.Data)
			if err != nil {
				t.Fatal(err)
			}
			blobs = append(blobs, da.Blob{Namespace: da.NamespaceFromName("hdr"), Data: blk.Header.Encode(), Index: -1}, da.Blob{Namespace: da.NamespaceFromName("dat"), Data: data.Encode(), Index: -1})
			parent = blk
		}
		var submit sync.WaitGroup
		if len(blobs) > 0 {
			submit.Go(func() {
				if _, err := chain.Submit(t.Context(), blobs); err != nil {
					t.Error(err)
				}
			})
			if _, err := chain.Pending().Wait(t.Context(), func(n int) bool { return n > 0 }); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := chain.Produce(); err != nil {
			t.Fatal(err)
		}
		submit.Wait()
	}
	return server
}

func next(t *testing.T, key *block.PrivateKey, parent *block.Block, root []byte, n int) *block.Block {
	h := block.Header{Height: 1, Time: uint64(n+2) * 1e9, ChainID: "bench", ProposerAddress: key.Public().Address(), AppHash: root}
	d := block.Data{Metadata: block.Metadata{ChainID: "bench"}}
	if parent != nil {
		hash, data := parent.Hash(), parent.Data.Hash()
		h.Height, h.LastHeaderHash, d.Metadata.LastDataHash = parent.Height()+1, hash[:], data[:]
	}
	for i := range 5 {
		d.Txs = append(d.Txs, fmt.Appendf(nil, "key-%d=%d", (n*5+i)%1000, n))
	}
	d.Metadata.Height, d.Metadata.Time = h.Height, h.Time
	c := d.Commitment()
	h.DataHash = c[:]
	signed, err := block.SignHeader(key, h)
	if err != nil {
		t.Fatal(err)
	}
	return &block.Block{Header: signed, Data: d}
}
