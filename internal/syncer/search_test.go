package syncer_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"headrace/block"
	"headrace/internal/derive"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/l1"
)

// TestSearch: what is missing is the same as if all blocks were looked at anew, while the chain grows, loses blocks, gets
// others in their place, also in the middle of a search, and while its first block and the queue move. A block is read
// again only then.
func TestSearch(t *testing.T) {
	const own = 1
	var chain []*block.Block               // height 1 is the first
	reads, lower, after := 0, uint64(0), 0 // with so many reads behind it, what is from lower on is replaced
	grow := func(n int) {
		for range n {
			b := &block.Block{Data: block.Data{Txs: [][]byte{[]byte("f1")}}} // the engine's own, and no forced one
			b.Header.Header.Height, b.Header.Header.AppHash = uint64(len(chain)+1), fmt.Append(nil, rand.Uint64())
			if len(chain) > 0 {
				b.Header.Header.LastHeaderHash = chain[len(chain)-1].Ref().Hash.Field()
			}
			for range rand.IntN(3) {
				b.Data.Txs = append(b.Data.Txs, fmt.Appendf(nil, "f%d", rand.IntN(6)))
			}
			chain = append(chain, b)
		}
	}
	replace := func(from uint64) {
		n := len(chain) - int(from) + 1
		chain = chain[:from-1]
		grow(n)
	}
	search := syncer.SearchIn(func(height uint64) (store.Record, error) {
		if lower > 0 && height > lower && reads >= after {
			replace(lower)
			lower = 0
		}
		reads++
		return store.Record{Block: chain[height-1]}, nil
	}, own)
	queueOf := func() (queue []l1.Forced) {
		for range rand.IntN(4) {
			q := l1.Forced{Source: l1.Source{Index: uint64(len(queue)), Forced: true}}
			for range 1 + rand.IntN(3) {
				q.Source.Txs = append(q.Source.Txs, fmt.Appendf(nil, "f%d", rand.IntN(6)))
			}
			queue = append(queue, q)
		}
		return queue
	}
	from, queue := uint64(1), queueOf()
	grow(3)
	goesOn := false // nothing but growth since the last search
	for range 20_000 {
		grew := 0
		switch what := rand.IntN(12); {
		case what < 6:
			grew = 1 + rand.IntN(3)
			grow(grew)
		case what == 6:
			queue, goesOn = queueOf(), false
		case what == 7 && from < uint64(len(chain)):
			from, goesOn = from+1, false
		case what == 8 && uint64(len(chain)) > from: // the last blocks are dropped, and there may be fewer
			chain, goesOn = chain[:from-1+1+rand.Uint64N(uint64(len(chain))-from)], false
		case what == 9:
			replace(from + rand.Uint64N(uint64(len(chain))-from+1))
			goesOn = false
		case what == 10:
			chain, from, queue, goesOn = nil, 1, queueOf(), false
			grow(1 + rand.IntN(10))
		case what == 11:
			lower, after, goesOn = from+rand.Uint64N(uint64(len(chain))-from+1), rand.IntN(8), false
			if rand.IntN(2) == 0 {
				queue = queueOf() // all is read
			}
		}
		reads = 0
		missing, err := search.Missing(from, uint64(len(chain)), queue)
		lower = 0
		if err != nil {
			t.Fatal(err)
		}
		var items []l1.Source
		for i := range queue {
			items = append(items, queue[i].Source)
		}
		if want := derive.MissingTxs(chain[from-1:], items, own); !reflect.DeepEqual(missing, want) {
			t.Fatalf("blocks %d to %d: got %v, want %v", from, len(chain), missing, want)
		}
		if goesOn && len(queue) > 0 && reads > grew+1 { // the last one is looked at again
			t.Fatalf("%d blocks were read for %d more", reads, grew)
		}
		goesOn = len(queue) > 0
	}
}
