package square_test

import (
	"fmt"
	"testing"

	"headrace/da"
	"headrace/internal/square"
)

func BenchmarkHeader(b *testing.B) {
	raw := result(b, "057")
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			var e square.ExtendedHeader
			if err := e.UnmarshalJSON(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := square.ScanHeader(raw, false); err != nil {
				b.Fatal(err)
			}
		}
	})
	h, _, err := square.ScanHeader(raw, false)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("hash", func(b *testing.B) {
		for b.Loop() {
			h.Hash()
		}
	})
	e := unmarshal[square.ExtendedHeader](b, raw)
	b.Run("encode", func(b *testing.B) {
		buf := make([]byte, 0, 8192)
		for b.Loop() {
			e.AppendJSON(buf)
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	for _, size := range []int{500, 100_000, 1 << 20, 7 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			one := []da.Blob{{Namespace: namespace("bench-data"), Data: make([]byte, size)}}
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := square.Build(one); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCommitment(b *testing.B) {
	blob := da.Blob{Namespace: namespace("bench-data"), Data: make([]byte, 1<<20)}
	b.SetBytes(1 << 20)
	for b.Loop() {
		if _, err := square.Commitment(&blob); err != nil {
			b.Fatal(err)
		}
	}
}
