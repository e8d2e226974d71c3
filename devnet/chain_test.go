package devnet_test

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"headrace/node"
)

// checkLink fails the test unless b is the successor of a.
func checkLink(t *testing.T, a, b *node.Block) {
	t.Helper()
	switch {
	case b.Height != a.Height+1:
		t.Fatalf("got block %d after block %d", b.Height, a.Height)
	case hex.EncodeToString(b.ParentHash) != a.Hash:
		t.Fatalf("block %d: got parent %x, want %s", b.Height, b.ParentHash, a.Hash)
	case !bytes.Equal(b.AppHash, a.StateRoot):
		t.Fatalf("block %d: got the state before it as %x, want the one after its parent, %x", b.Height, b.AppHash, a.StateRoot)
	case !b.Time.After(a.Time):
		t.Fatalf("block %d: got time %s, want more than its parent's %s", b.Height, b.Time, a.Time)
	}
}

// sameChain fails the test unless both are the same blocks, with the same content, state and place on the DA layer.
func sameChain(t *testing.T, got, want []node.Block) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d blocks, want %d", len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("got block %+v, want %+v", got[i], want[i])
		}
	}
}
