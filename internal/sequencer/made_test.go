package sequencer

import (
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
)

// When a block was made is known of what this process has made, whatever its header says, and by the header of what it
// found, as far as that can be.
func TestMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ref := func(height uint64, hash byte) block.Ref { return block.Ref{Height: height, Hash: block.Hash{hash}} }
		var m made
		start := time.Now()
		for height := uint64(1); height <= 10; height++ {
			m.note(ref(height, 1), time.Now(), height/2)
			time.Sleep(time.Second)
		}
		if len(m.own) != 5 {
			t.Errorf("%d blocks are remembered, want those from 6 to 10", len(m.own))
		}
		for _, header := range []time.Time{start.Add(-24 * time.Hour), start.Add(24 * time.Hour)} {
			for _, believed := range []bool{true, false} {
				if at := m.of(ref(7, 1), header, believed); !at.Equal(start.Add(6 * time.Second)) {
					t.Errorf("block 7 with the time %s was made at %s, want %s", header, at, start.Add(6*time.Second))
				}
			}
		}
		m.note(ref(7, 2), time.Now(), 6) // the blocks from 7 on were dropped
		for _, gone := range []block.Ref{ref(7, 1), ref(8, 1), ref(6, 1)} {
			if at := m.of(gone, start.Add(-time.Hour), true); !at.Equal(start.Add(-time.Hour)) {
				t.Errorf("block %d was made at %s, want what its header says", gone.Height, at)
			}
		}
		asked := time.Now()
		for _, c := range []struct {
			header   time.Time
			believed bool
			want     time.Time
		}{{asked.Add(time.Hour), true, asked}, {asked.Add(-24 * time.Hour), false, asked}, {asked.Add(-time.Hour), true, asked.Add(-time.Hour)}} {
			if at := m.of(ref(12, 1), c.header, c.believed); !at.Equal(c.want) {
				t.Errorf("a block from before with the time %s, believed %t, was made at %s, want %s", c.header, c.believed, at, c.want)
			}
			time.Sleep(time.Second)
		}
	})
}
