package engineapi_test

import (
	"testing"

	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
)

func TestFollow(t *testing.T) {
	for _, fork := range []geth.Fork{geth.Cancun, geth.Prague, geth.Osaka} {
		t.Run(fork.String(), func(t *testing.T) {
			t.Parallel()
			blocks := history(t, fork, 5)
			n := gethtest.Open(t, geth.Options{Genesis: genesis(t, fork)})
			e := open(t, options(t, n))
			wantHead(t, e, n, nil)
			for _, b := range blocks {
				execute(t, e, b)
				wantHead(t, e, n, b)
			}
		})
	}
}
