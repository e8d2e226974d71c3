package square_test

import (
	"math/rand/v2"
	"testing"

	"headrace/da"
	"headrace/internal/square"
)

// BenchmarkFull is what a full block of 32 MiB costs: to make it, to lay it out again, and a piece of its extended
// square from above and from below.
func BenchmarkFull(b *testing.B) {
	var subs [][]da.Blob
	for i := range 4 {
		data := make([]byte, 8<<20-64<<10)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(data)
		subs = append(subs, []da.Blob{{Namespace: alpha, Data: data}})
	}
	s, err := square.Build(subs...)
	if err != nil {
		b.Fatal(err)
	}
	built := make([][]da.Blob, len(subs))
	for i, p := range s.Blobs() {
		built[i] = []da.Blob{p.Blob}
	}
	check := func(b *testing.B, f func() error) {
		b.ReportAllocs()
		for b.Loop() {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("build", func(b *testing.B) { check(b, func() error { _, err := square.Build(subs...); return err }) })
	b.Run("restore", func(b *testing.B) { check(b, func() error { _, err := square.Restore(s.DAH(), built...); return err }) })
	b.Run("rows/above", func(b *testing.B) { check(b, func() error { _, err := s.Rows(0, 16); return err }) })
	b.Run("rows/below", func(b *testing.B) { check(b, func() error { _, err := s.Rows(1000, 1016); return err }) })
}
