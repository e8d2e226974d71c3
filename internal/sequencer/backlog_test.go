package sequencer_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"headrace/internal/sequencer"
	"headrace/l1"
	"headrace/l1/compact"
	"headrace/l1/local"
)

// TestBacklogInBytes: while the L1 is away blocks wait, as many as may be and of any size. What a draft of them takes goes
// by what a proposal holds.
func TestBacklogInBytes(t *testing.T) {
	if raced {
		t.Skip("nothing here is at once with anything else")
	}
	b := newInboxBench(t, local.Options{}, nil)
	defer b.machine.Close()
	const blocks, size = 500, 117_000
	for i := range blocks {
		if err := b.machine.KV.SubmitTx(t.Context(), append(fmt.Appendf(nil, "key-%d=", i), bytes.Repeat([]byte{'x'}, size)...)); err != nil {
			t.Fatal(err)
		}
		if err := b.seq.MakeBlock(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		version byte
		blocks  int // of a draft, at least
		most    uint64
	}{
		{1, 1, 3 * compact.MaxMemory},
		{l1.CompactVersion, 100, 14 * compact.MaxMemory}, // written twice, read, and packed
	} {
		b.rebuild(t, func(c *sequencer.Config) { c.Payload = row.version })
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, _, err := b.seq.Drafted(t.Context())
		runtime.ReadMemStats(&after)
		took := after.TotalAlloc - before.TotalAlloc
		if err != nil || n < row.blocks || took > row.most {
			t.Errorf("version %d: a draft has %d of %d blocks (%v) and took %d bytes in all, want %d at least, and at most %d bytes", row.version, n, blocks, err, took, row.blocks, row.most)
		}
		t.Logf("version %d: %d blocks, took %d bytes", row.version, n, took)
	}
}

// TestFewer: the product of a number of blocks and of bytes is no int everywhere.
func TestFewer(t *testing.T) {
	for _, row := range []struct{ n, limit, size, want int }{
		{4096, 4 << 20, 8 << 20, 2048}, {4096, 761_856, 800_000, 3900}, {2, 100, 101, 1}, {2, 1, 1 << 20, 1}, {1, 100, 101, 0}, {10, 100, 100, 9},
	} {
		if got := sequencer.Fewer(row.n, row.limit, row.size); got != row.want {
			t.Errorf("of %d blocks of %d bytes %d fit into %d, want %d", row.n, row.size, got, row.limit, row.want)
		}
	}
}
