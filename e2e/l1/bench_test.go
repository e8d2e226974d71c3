package l1_test

import (
	"testing"
	"time"
)

// BenchmarkWaits runs the same scenarios with each way of waiting, one after the other: what is measured is their wall time, with the start of three geths, and
// without (scenario-s).
//
//	go test ./e2e/l1 -run '^$' -bench Waits -benchtime 1x
func BenchmarkWaits(b *testing.B) {
	for _, mode := range []waits{events, poll500, poll50} {
		for _, s := range []struct {
			name string
			run  func(testing.TB, waits) *world
		}{{"S1", knownCanonical}, {"S2", proposals}, {"S3", outOfOrder}, {"S27-S30", reorgs}} {
			b.Run(mode.name+"/"+s.name, func(b *testing.B) {
				var spent time.Duration
				for b.Loop() {
					w := s.run(b, mode)
					spent += time.Since(w.began)
				}
				b.ReportMetric(spent.Seconds()/float64(b.N), "scenario-s")
			})
		}
	}
}
