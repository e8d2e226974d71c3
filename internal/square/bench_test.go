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

// BenchmarkVerify is what each level of verification costs for one height, beside fetching what it needs: a namespace of 3 kB in one of 30 kB,
// or of 1 MiB in one of 2 MiB.
func BenchmarkVerify(b *testing.B) {
	for _, size := range []int{3000, 1 << 20} {
		s, err := square.Build([]da.Blob{{Namespace: alpha, Data: make([]byte, size)}}, []da.Blob{{Namespace: namespace("ns-other"), Data: make([]byte, size+27_000)}})
		if err != nil {
			b.Fatal(err)
		}
		root, dah := s.DataHash(), s.DAH()
		told := []da.Blob{s.Blobs()[0].Blob}
		rows := map[da.Namespace][]square.NamespaceRow{alpha: rowsOf(b, s, alpha), beta: rowsOf(b, s, beta), none: rowsOf(b, s, none)}
		for _, c := range []struct {
			name  string
			level da.Level
			hash  []byte
			ns    da.Namespace
			told  []da.Blob
		}{
			{"trust", da.Trust, root[:], alpha, told},
			{"absent by hash", da.ProveEmpty, square.EmptyDataHash[:], alpha, nil},
			{"absent by roots or proof", da.ProveEmpty, root[:], none, nil},
			{"prove-empty with blobs", da.ProveEmpty, root[:], alpha, told},
			{"prove", da.Prove, root[:], alpha, told},
		} {
			b.Run(fmt.Sprintf("%d/%s", size, c.name), func(b *testing.B) {
				ev := &square.Evidence{DataHash: c.hash, DAH: &dah, Rows: rows}
				for b.Loop() {
					if need, err := square.VerifyBlobs(c.level, ev, []da.Namespace{c.ns}, c.told); err != nil || !need.Nothing() {
						b.Fatal(need, err)
					}
				}
			})
		}
		raw := marshal(b, rows[alpha])
		b.Run(fmt.Sprintf("%d/read answer", size), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if _, err := square.ScanNamespaceRows(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/serve namespace", size), func(b *testing.B) {
			for b.Loop() {
				rowsOf(b, s, alpha)
			}
		})
	}
}
