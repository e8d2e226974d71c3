package store_test

import (
	"fmt"
	"testing"

	"headrace/block"
	"headrace/internal/store"
)

const testChain = "test-1"

var testID = store.Identity{ChainID: testChain, Genesis: block.Hash{7}, Source: "celestia hdr dat"}

// successor returns a block on parent; salt makes siblings differ.
func successor(parent block.Ref, salt string) *block.Block {
	b := &block.Block{}
	h := &b.Header.Header
	h.ChainID, h.Height, h.Time = testChain, parent.Height+1, 1_700_000_000_000_000_000+parent.Height
	if !parent.Hash.IsZero() {
		h.LastHeaderHash = append([]byte{}, parent.Hash[:]...)
	}
	b.Data.Metadata = block.Metadata{ChainID: testChain, Height: h.Height, Time: h.Time}
	b.Data.Txs = [][]byte{[]byte(salt), fmt.Appendf(nil, "height=%d", h.Height)}
	c := b.Data.Commitment()
	h.DataHash = c[:]
	h.ProposerAddress = make([]byte, 32)
	return b
}

func ref(b *block.Block) *block.Ref {
	r := block.Ref{Height: b.Height(), Hash: b.Hash()}
	return &r
}

func ptr[T any](v T) *T { return &v }

func mustCommit(t testing.TB, s *store.Store, b *store.Batch) {
	t.Helper()
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
}

func mustClose(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
