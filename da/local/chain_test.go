package local_test

import (
	"testing"

	"headrace/da"
	"headrace/da/local"
	"headrace/internal/square"
)

func TestFirstBlock(t *testing.T) {
	c, err := local.New(local.Options{Interval: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	head, err := c.Produce()
	if err != nil {
		t.Fatal(err)
	}
	if head.Height != 2 {
		t.Errorf("got height %d, want 2", head.Height)
	}
	h, err := c.Header(2)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.Header.Hash(); got != head.Hash {
		t.Errorf("got header hash %x, want %x", got, head.Hash)
	}
	if !square.AbsentByHash(h.Header.DataHash) {
		t.Errorf("got data hash %X of an empty block, want the empty square's", h.Header.DataHash)
	}
	_ = da.ErrPruned
}
