package derive_test

import (
	"runtime"
	"testing"
	"time"

	"headrace/da"
	"headrace/internal/derive"
)

// flood is an item of n blobs of strangers: headers for the next heights, empty blocks among them, each one different.
func flood(t testing.TB, n int) *da.Block {
	t.Helper()
	good := build(t, stranger, nil, nil, "theirs").Header
	empty := build(t, stranger, nil, nil).Header
	blobs := make([]blob, n)
	for i := range blobs {
		s := good
		if i%2 == 1 {
			s = empty
		}
		s.Header.Height, s.Header.Time = uint64(1+i%3), uint64(i)
		blobs[i] = hdr(s.Encode())
	}
	return item(1, blobs...)
}

// use returns the bytes that f allocates, those that stay, and the time it takes.
func use(f func()) (allocated, kept int64, took time.Duration) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	f()
	took = time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc), int64(after.HeapAlloc) - int64(before.HeapAlloc), took
}

// TestFlood: 20,000 headers of strangers at each of many heights leave nothing behind, take as much at the last
// height as at the first, and do not keep an honest block from being derived (I6, I9).
func TestFlood(t *testing.T) {
	const n, heights = 20_000, 8
	it := flood(t, n)
	c := chain(t, heights)
	d := newDeriver(t, config(), derive.State{})
	var first int64
	for i := range heights {
		var r derive.Result
		allocated, kept, took := use(func() { r = step(t, d, it) })
		if i == 0 {
			first = allocated
		}
		t.Logf("height %d: %v, %d bytes allocated per blob, %d bytes kept", i+1, took, allocated/n, kept)
		if r.Skipped[derive.Stranger]+r.Skipped[derive.Stale] != n {
			t.Fatalf("got counts %v, want %d strangers or stale", r.Skipped.Map(), n)
		}
		if kept > 64<<10 {
			t.Errorf("height %d: %d bytes are kept, want none", i+1, kept)
		}
		if allocated > first+first/10 {
			t.Errorf("height %d: %d bytes allocated, %d at the first: it grows", i+1, allocated, first)
		}
		if w := d.Waiting(); w.Bytes != 0 {
			t.Fatalf("got %+v, want nothing pending", w)
		}
		wantBlocks(t, step(t, d, item(uint64(i+2), hdr(c[i].header), dat(c[i].data))).Blocks, c[i])
		runtime.KeepAlive(d)
	}
}

// TestForgeries: what says that it is the proposer's costs a signature check each, once per item however often it is
// repeated, and leaves nothing behind either.
func TestForgeries(t *testing.T) {
	s := build(t, proposer, nil, nil, "real").Header
	var blobs []blob
	for i := range 500 {
		s.Header.Time = uint64(startTime + 1 + i)
		b := hdr(s.Encode())
		blobs = append(blobs, b, b)
	}
	d := newDeriver(t, config(), derive.State{})
	r := step(t, d, item(1, blobs...))
	wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Forged: 1000})
	if w := d.Waiting(); w.Bytes != 0 || len(r.Added) != 0 {
		t.Errorf("got %+v and %d added, want nothing", w, len(r.Added))
	}
}

// TestRepeatsAreCheap: a forgery repeated within an item is checked once.
func TestRepeatsAreCheap(t *testing.T) {
	const n = 1000
	s := build(t, proposer, nil, nil, "real").Header
	var same, different []blob
	for i := range n {
		s.Header.Time = uint64(startTime + 1 + i)
		different = append(different, hdr(s.Encode()))
		same = append(same, different[0])
	}
	cfg := config()
	derive.Verify(&cfg, derive.Known{}, item(1, same[0])) // the first signature makes tables
	_, _, once := use(func() { derive.Verify(&cfg, derive.Known{}, item(1, same...)) })
	_, _, each := use(func() { derive.Verify(&cfg, derive.Known{}, item(1, different...)) })
	if once > each/2 { // about a fifteenth
		t.Errorf("got %v for one forgery %d times, %v for as many different ones", once, n, each)
	}
}

// TestReplays: an authentic half that waits, posted over and over by anyone, takes no more room.
func TestReplays(t *testing.T) {
	c := chain(t, 3)
	d := newDeriver(t, config(), derive.State{})
	step(t, d, item(1, hdr(c[1].header), dat(c[2].data)))
	before := d.Waiting()
	for i := range 100 {
		r := step(t, d, item(uint64(2+i), hdr(c[1].header), dat(c[2].data), hdr(c[1].header), hdr(padded(c[1].header)), dat(padded(c[2].data))))
		wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Duplicate: 4, derive.Garbage: 1}) // padded, the header is too big for one
		if len(r.Added)+len(r.Removed) != 0 {
			t.Fatalf("got %+v, want no change", r)
		}
	}
	if got := d.Waiting(); got != before {
		t.Errorf("got %+v, want %+v", got, before)
	}
}

func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name  string
		empty bool
	}{{"data", false}, {"empty", true}} {
		b.Run(c.name, func(b *testing.B) {
			const n = 100
			var none []int
			for i := range n {
				if c.empty {
					none = append(none, i+1)
				}
			}
			var items []*da.Block
			for i, blk := range chain(b, n, none...) {
				blobs := []blob{hdr(blk.header)}
				if blk.data != nil {
					blobs = append(blobs, dat(blk.data))
				}
				items = append(items, item(uint64(i+1), blobs...))
			}
			cfg := config()
			var verify time.Duration
			b.ReportAllocs()
			for b.Loop() {
				d := newDeriver(b, cfg, derive.State{})
				for _, it := range items {
					start := time.Now()
					v := derive.Verify(&cfg, derive.Known{}, it)
					verify += time.Since(start)
					if r, err := d.StepVerified(v); err != nil || len(r.Blocks) != 1 {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/block")
			b.ReportMetric(float64((b.Elapsed()-verify).Nanoseconds())/float64(b.N*n), "ns/block-after-Verify")
		})
	}
}
