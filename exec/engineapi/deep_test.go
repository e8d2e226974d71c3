package engineapi_test

import (
	"flag"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/exec/engineapi"
)

var deepFlag = flag.Int("deep", 400, "how many blocks TestDeepRevert takes back; 20000, all that may be unsafe on a DA layer, takes some minutes")

// All that may be unsafe is taken back at once, however much it is, and another branch goes on from there.
func TestDeepRevert(t *testing.T) {
	t.Parallel()
	n, e := fresh(t, geth.Prague, func(o *engineapi.Options) { o.BuildTime = 1 })
	first := produce(t, e, nil)
	parent := first
	for range *deepFlag {
		parent = produce(t, e, parent)
	}
	wantHead(t, e, n, parent)
	if err := e.Revert(t.Context(), first.Height()); err != nil {
		t.Fatal(err)
	}
	wantHead(t, e, n, first)
	var other *block.Block
	for last := first; other == nil || other.Height() < first.Height()+3; last = other {
		other = produce(t, e, last)
	}
	wantHead(t, e, n, other)
}
