package ethereum

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"headrace/l1"
)

// However many forced items are read, and of whatever sizes, what is kept of them is bounded; the last ones are.
func TestForcedCacheIsBounded(t *testing.T) {
	c := newForcedCache()
	large := l1.EncodeTxs([][]byte{make([]byte, l1.MaxForced-20)})
	for i := range uint64(20_000) {
		var f l1.Forced
		if f.Source.Index = i; i%3 == 0 {
			f.Source.Resolve(large, nil)
		} else {
			f.Source.Resolve([]byte("garbage"), nil)
		}
		for range 2 { // it is read again
			c.add(forcedKey{common.Hash{1}, i}, f)
		}
		if got, ok := c.get(forcedKey{common.Hash{1}, i}); !ok || got.Source.Index != i {
			t.Fatalf("item %d is not kept", i)
		}
		if c.bytes > forcedCacheBytes || c.bytes <= 0 {
			t.Fatalf("after %d items: %d bytes are kept, want %d at most", i+1, c.bytes, forcedCacheBytes)
		}
	}
	held := 0
	for _, key := range c.items.Keys() {
		f, _ := c.items.Peek(key)
		held += f.Source.Size()
	}
	if held != c.bytes || held < forcedCacheBytes/2 {
		t.Errorf("%d bytes are kept, %d are counted, %d may be", held, c.bytes, forcedCacheBytes)
	}
}
