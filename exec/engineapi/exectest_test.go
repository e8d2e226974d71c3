package engineapi_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec"
	"headrace/exec/engineapi"
	"headrace/exec/exectest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
)

// The suite runs against real geths: one for all its tests, emptied in between, and another to compare with.
func TestSuite(t *testing.T) {
	t.Parallel()
	free := make(chan *geth.Node, 2)
	for range cap(free) {
		free <- gethtest.Open(t, geth.Options{})
	}
	exectest.Test(t, func(t *testing.T) exectest.Subject {
		n := <-free
		t.Cleanup(func() { empty(t, n); free <- n })
		return subject(t, n)
	})
}

// subject is an engine whose client can be killed, and whose disk can lose what was not synced.
func subject(t *testing.T, n *geth.Node) exectest.Subject {
	disk := vfs.NewCrashableMem()
	opt := options(t, n)
	opt.Dir, opt.FS, opt.BuildTime = "index", disk, 20*time.Millisecond
	var e *engineapi.Engine
	reopen := func(t *testing.T) exec.Engine {
		t.Helper()
		var err error
		if e, err = connect(t.Context(), opt); err != nil {
			t.Fatal(err)
		}
		return e
	}
	end := func(t *testing.T) {
		t.Helper()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { end(t) })
	random := rand.New(rand.NewPCG(1, 1))
	return exectest.Subject{
		Engine: reopen(t), ChainID: chainID, InitialHeight: initialHeight,
		Txs: func(t *testing.T, e exec.Engine, height uint64, at time.Time, _ int) [][]byte {
			t.Helper()
			txs, err := e.(exec.Builder).Build(t.Context(), height, uint64(at.UnixNano()), 1<<20)
			if err != nil {
				t.Fatalf("build block %d: %v", height, err)
			}
			return txs
		},
		Tx:        func(n int) []byte { return raw(t, transfer(n%geth.DevAccounts, uint64(n/geth.DevAccounts))) },
		InvalidTx: []byte("garbage"),
		MaxBytes:  1 << 20, // its gas limit bounds a block, not the bytes
		Reopen:    func(t *testing.T) exec.Engine { end(t); return reopen(t) },
		Crash: func(t *testing.T) exec.Engine {
			t.Helper()
			if random.IntN(2) == 0 { // the client with the node, or the node alone
				n.Kill()
				if err := n.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 30, RNG: random})
			end(t)
			disk, opt.FS = left, left
			return reopen(t)
		},
	}
}

// empty takes a geth back to its genesis, whatever it holds to be final.
func empty(t *testing.T, n *geth.Node) {
	t.Helper()
	client, err := rpc.Dial(n.HTTP())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var head hexutil.Uint64
	if err := client.Call(&head, "eth_blockNumber"); err != nil {
		t.Fatal(err)
	}
	if head == 0 {
		return
	}
	if err := client.Call(nil, "debug_setHead", hexutil.Uint64(0)); err != nil {
		t.Fatal(err)
	}
}
