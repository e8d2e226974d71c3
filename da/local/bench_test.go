package local_test

import (
	"fmt"
	"testing"

	"headrace/da"
	"headrace/da/local"
	"headrace/follow"
)

func BenchmarkProduce(b *testing.B) {
	b.Run("empty", func(b *testing.B) {
		c := open(b, local.Options{Interval: -1})
		for b.Loop() {
			produce(b, c)
		}
	})
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20, 7 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := open(b, local.Options{Interval: -1})
			one := []da.Blob{blob(headers, "header"), {Namespace: data, Data: make([]byte, size)}}
			b.SetBytes(int64(size))
			for b.Loop() {
				submit(b, c, one)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, dir := range []string{"", b.TempDir()} {
		c := open(b, local.Options{Interval: -1, Dir: dir})
		const n = 1000
		for range n {
			submit(b, c, []da.Blob{blob(headers, "header"), {Namespace: data, Data: make([]byte, 1000)}})
		}
		b.Run(fmt.Sprintf("header/disk=%t", dir != ""), func(b *testing.B) {
			h := uint64(0)
			for b.Loop() {
				h++
				header(b, c, 2+h%n).AppendJSON(nil)
			}
		})
		b.Run(fmt.Sprintf("fetch/disk=%t", dir != ""), func(b *testing.B) {
			s := c.Source(headers, data)
			for i := 0; i < b.N; i += n {
				if err := s.Fetch(b.Context(), 2, 2+uint64(min(n, b.N-i)), func(follow.Item[da.Block]) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
