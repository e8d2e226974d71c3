package devnet_test

import (
	"context"
	"fmt"
	"net/url"
	"runtime"
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

// BenchmarkCatchUp measures a fresh full node over loopback sockets from its start to the head: 2000 DA heights, with two blocks of five transactions in each, or none, and with
// latency added to each request. It reports DA heights per second, CPU time of the whole process per rollup block (the DA server's included), and the heap at the end.
func BenchmarkCatchUp(b *testing.B) {
	const heights = 2000
	for _, blocks := range []int{2, 0} {
		for _, delay := range []time.Duration{0, 50 * time.Millisecond} {
			b.Run(fmt.Sprintf("blocks=%d/delay=%s", blocks, delay), func(b *testing.B) {
				server, genesis := chainOf(b, heights, blocks)
				for b.Loop() {
					catchUp(b, server, genesis, heights, blocks, delay)
				}
			})
		}
	}
}

// chainOf returns a DA server whose chain has so many heights of so many blocks, and the genesis of the rollup.
func chainOf(b *testing.B, heights, blocks int) (*devnet.DA, *block.Genesis) {
	b.Helper()
	server, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: -1}})
	if err != nil {
		b.Fatal(err)
	}
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		b.Fatal(err)
	}
	genesis := &block.Genesis{ChainID: "bench", StartTime: time.Unix(1, 0), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(), DA: &block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"}}
	engine, err := kv.Open("kv", kv.Options{FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	defer engine.Close()
	chain := server.Chain()
	var parent *block.Block
	var root []byte
	for h := range heights {
		var blobs []da.Blob
		for i := range blocks {
			blk := next(b, key, parent, root, h*blocks+i)
			if root, err = engine.Execute(b.Context(), blk); err != nil {
				b.Fatal(err)
			}
			data, err := block.SignData(key, blk.Data)
			if err != nil {
				b.Fatal(err)
			}
			blobs = append(blobs, da.Blob{Namespace: da.NamespaceFromName("hdr"), Data: blk.Header.Encode(), Index: -1}, da.Blob{Namespace: da.NamespaceFromName("dat"), Data: data.Encode(), Index: -1})
			parent = blk
		}
		if len(blobs) > 0 {
			var submit sync.WaitGroup
			submit.Go(func() {
				if _, err := chain.Submit(b.Context(), blobs); err != nil {
					b.Error(err)
				}
			})
			if _, err := chain.Pending().Wait(b.Context(), func(n int) bool { return n > 0 }); err != nil {
				b.Fatal(err)
			}
			if _, err := chain.Produce(); err != nil {
				b.Fatal(err)
			}
			submit.Wait()
		} else if _, err := chain.Produce(); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Run(ctx) })
	b.Cleanup(func() { cancel(); wg.Wait() })
	return server, genesis
}

func next(b *testing.B, key *block.PrivateKey, parent *block.Block, root []byte, n int) *block.Block {
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
		b.Fatal(err)
	}
	return &block.Block{Header: signed, Data: d}
}

func catchUp(b *testing.B, server *devnet.DA, genesis *block.Genesis, heights, blocks int, delay time.Duration) {
	u, err := url.Parse(server.URL())
	if err != nil {
		b.Fatal(err)
	}
	p, err := proxy.New(u.Host, delay)
	if err != nil {
		b.Fatal(err)
	}
	c := node.Default()
	c.HTTP.Address, c.DA.Address = "127.0.0.1:0", []string{"http://" + p.Address()}
	n, err := node.New(node.Options{Home: b.TempDir(), Genesis: genesis, Config: c})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	begin, cpu := time.Now(), cpuTime(b)
	wg.Go(func() { _ = p.Run(ctx) })
	wg.Go(func() {
		if err := n.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	want := server.Chain().Head().Load().Height
	s, err := n.Status().Wait(ctx, func(s node.Status) bool { return s.Source.Position.Height >= want })
	if err != nil {
		b.Fatal(err)
	}
	took, used := time.Since(begin), cpuTime(b)-cpu
	if got := s.Heads.Safe.Height; got != uint64(heights*blocks) {
		b.Fatalf("safe head is %d, want %d", got, heights*blocks)
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	b.ReportMetric(float64(want)/took.Seconds(), "heights/s")
	b.ReportMetric(float64(mem.HeapInuse)/(1<<20), "heap-MiB")
	if blocks > 0 {
		b.ReportMetric(float64(used.Microseconds())/float64(heights*blocks), "cpu-us/block")
	}
	cancel()
	wg.Wait()
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
