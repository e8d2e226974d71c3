package devnet_test

import (
	"runtime"
	"testing"

	"headrace/node"
)

// BenchmarkIndex compares the CPU time, user and system, that a catch-up takes a block of five transactions with
// index.txs all and none. Runs alternate, since the machine does other things too; it reports
//
//   - plain-us/block, the median without an index;
//   - index-percent: how much more one with it takes, the median of the pairs.
func BenchmarkIndex(b *testing.B) {
	const pairs = 10
	s := serveChain(b, 2000, 2, 0)
	measure := func(txs string) float64 {
		runtime.GC()
		cpu := s.follow(b, func(o *node.Options) { o.Config.Index.Txs = txs }, func(*node.Node) {}).cpu
		return float64(cpu.Nanoseconds()) / 1e3 / float64(s.heights*s.blocks)
	}
	for b.Loop() {
		measure("none") // warm
		var base, more []float64
		for i := range pairs {
			first, second := "none", "all"
			if i%2 == 1 {
				first, second = second, first
			}
			one, two := measure(first), measure(second)
			if i%2 == 1 {
				one, two = two, one
			}
			base, more = append(base, one), append(more, 100*(two/one-1))
		}
		b.Logf("%.1f", more)
		b.ReportMetric(median(base), "plain-us/block")
		b.ReportMetric(median(more), "index-percent")
	}
}
