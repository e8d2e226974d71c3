package l1_test

import "testing"

// BenchmarkWaits runs the same scenarios with each way of waiting, one after the other: what is measured is their wall time.
//
//	go test ./e2e/l1 -run '^$' -bench Waits -benchtime 1x
func BenchmarkWaits(b *testing.B) {
	for _, mode := range []waits{events, poll500, poll50} {
		for _, s := range []struct {
			name string
			run  func(testing.TB, waits)
		}{{"S1", knownCanonical}, {"S2", proposals}, {"S3", outOfOrder}, {"S27-S30", reorgs}} {
			b.Run(mode.name+"/"+s.name, func(b *testing.B) {
				for b.Loop() {
					s.run(b, mode)
				}
			})
		}
	}
}
