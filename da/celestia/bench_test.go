package celestia_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/follow"
)

// BenchmarkFetch catches up over a real socket: heights with a blob in each of two namespaces, or empty ones; with and without 50 ms added to each
// request. The server runs in the same process, on the same cores.
func BenchmarkFetch(b *testing.B) {
	for _, empty := range []bool{false, true} {
		for _, delay := range []time.Duration{0, 50 * time.Millisecond} {
			b.Run(fmt.Sprintf("empty=%t/delay=%s", empty, delay), func(b *testing.B) {
				heights := 3000
				if empty {
					heights = 20_000
				}
				chain := newChain(b, local.Options{})
				for range heights {
					if empty {
						produce(b, chain, 1)
						continue
					}
					submit(b, chain, blob(alpha, fmt.Sprintf("%0500d", 1)), blob(beta, fmt.Sprintf("%0500d", 2)))
				}
				faults := &fault.Set{}
				if delay > 0 {
					addFault(b, faults, fault.Fault{Kind: fault.Latency, Delay: fault.Duration(delay)})
				}
				c := newClient(b, serve(b, chain, celestia.HandlerOptions{Faults: faults}), celestia.Options{Namespaces: []da.Namespace{alpha, beta}})
				b.ResetTimer()
				for range b.N {
					n := 0
					if err := c.Fetch(context.Background(), 1, uint64(heights), func(follow.Item[da.Block]) error { n++; return nil }); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N*heights)/b.Elapsed().Seconds(), "heights/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
