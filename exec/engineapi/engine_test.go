package engineapi_test

import (
	"errors"
	"math/big"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec"
	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

func TestFollow(t *testing.T) {
	for _, fork := range []geth.Fork{geth.Cancun, geth.Prague, geth.Osaka} {
		t.Run(fork.String(), func(t *testing.T) {
			t.Parallel()
			blocks := history(t, fork)
			n, e := fresh(t, fork, nil)
			wantHead(t, e, n, nil)
			for _, b := range blocks {
				execute(t, e, b)
				wantHead(t, e, n, b)
			}
		})
	}
}

// A repeat costs the client nothing and changes nothing (I4, S1).
func TestKnownBlocksMakeNoRequest(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	var tap *tap
	n, e := fresh(t, geth.Prague, func(o *engineapi.Options) {
		tap = newTap(t, o.URL)
		o.URL = tap.url
	})
	for _, b := range blocks {
		execute(t, e, b)
	}
	tap.requests()
	for range 2 {
		for _, b := range blocks {
			execute(t, e, b)
		}
	}
	if got := tap.requests(); got != 0 {
		t.Errorf("%d requests for %d known blocks, want none: each is a hit", got, 2*len(blocks))
	}
	wantHead(t, e, n, blocks[len(blocks)-1])
}

func TestParent(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	var tap *tap
	n, e := fresh(t, geth.Prague, func(o *engineapi.Options) { tap = newTap(t, o.URL); o.URL = tap.url })
	for _, b := range blocks[:3] {
		execute(t, e, b)
	}
	sibling := wrap(blocks[1], blocks[2].Data.Txs)
	sibling.Header.Header.Time++ // another rollup block with the same execution block
	orphan := wrap(sibling, blocks[3].Data.Txs)
	tap.requests()
	for name, b := range map[string]*block.Block{"gap": blocks[4], "sibling of the head": sibling, "on another parent": orphan} {
		if _, err := e.Execute(t.Context(), b); !errors.Is(err, exec.ErrParent) {
			t.Errorf("%s: got error %v, want ErrParent", name, err)
		}
	}
	if got := tap.requests(); got != 0 {
		t.Errorf("got %d requests for blocks without their parent, want 0", got)
	}
	// After a revert the other rollup block takes the place, though the execution block is the same.
	if err := e.Revert(t.Context(), blocks[1].Height()); err != nil {
		t.Fatal(err)
	}
	execute(t, e, sibling)
	wantHead(t, e, n, sibling)
}

func TestRevert(t *testing.T) {
	t.Parallel()
	n, e := fresh(t, geth.Prague, func(o *engineapi.Options) { o.BuildTime = 1 })
	var blocks []*block.Block
	var parent *block.Block
	for range 80 {
		parent = produce(t, e, parent)
		blocks = append(blocks, parent)
	}
	at := func(height uint64) *block.Block {
		if height < initialHeight {
			return nil
		}
		return blocks[height-initialHeight]
	}
	top := parent.Height()
	for _, to := range []uint64{top + 5, top, top - 1, top - 31, top - 33, top - 70, initialHeight - 1} {
		if err := e.Revert(t.Context(), to); err != nil {
			t.Fatalf("revert to %d: %v", to, err)
		}
		wantHead(t, e, n, at(min(to, top)))
		for h := to + 1; h <= top; h++ {
			execute(t, e, at(h))
		}
		wantHead(t, e, n, at(top))
	}
	if err := e.Revert(t.Context(), initialHeight-2); err == nil {
		t.Error("revert below the beginning: got no error")
	}
	// Another branch, lower than the one before.
	if err := e.Revert(t.Context(), top-40); err != nil {
		t.Fatal(err)
	}
	other := produce(t, e, at(top-40))
	if other.Hash() == at(top-39).Hash() {
		t.Fatal("the other branch is the same")
	}
	wantHead(t, e, n, other)
}

// adoptions counts the blocks that an engine takes over from a client that has them as canonical: those that it gives
// to the client without a fork choice after it.
func adoptions() (count func() int, observe func(method string, took time.Duration, err error)) {
	var n atomic.Int64
	return func() int { return int(n.Load()) }, func(method string, _ time.Duration, _ error) {
		switch {
		case strings.HasPrefix(method, "engine_newPayload"):
			n.Add(1)
		case strings.HasPrefix(method, "engine_forkchoiceUpdated"):
			n.Add(-1)
		}
	}
}

func TestLabel(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	adopted, observe := adoptions()
	n, e := fresh(t, geth.Prague, func(o *engineapi.Options) { o.Called = observe })
	for _, b := range blocks {
		execute(t, e, b)
	}
	none := block.Ref{Height: initialHeight - 1}
	if err := e.Label(t.Context(), none, none); err != nil {
		t.Fatal(err)
	}
	if got := tagged(t, n, "finalized"); got != (common.Hash{}) {
		t.Errorf("finalized: got %s, want none", got)
	}
	if err := e.Label(t.Context(), blocks[8].Ref(), blocks[5].Ref()); err != nil {
		t.Fatal(err)
	}
	wantTags := func(safe, finalized *block.Block) {
		t.Helper()
		if got, want := tagged(t, n, "safe"), header(t, safe).Hash(); got != want {
			t.Errorf("safe: got %s, want %s", got, want)
		}
		if got, want := tagged(t, n, "finalized"), header(t, finalized).Hash(); got != want {
			t.Errorf("finalized: got %s, want %s", got, want)
		}
	}
	wantTags(blocks[8], blocks[5])
	wrong := blocks[8].Ref()
	wrong.Hash[0]++
	for _, ref := range []block.Ref{wrong, {Height: 1000}} {
		if err := e.Label(t.Context(), ref, none); !errors.Is(err, exec.ErrParent) {
			t.Errorf("label %v: got error %v, want ErrParent", ref, err)
		}
	}
	// Down to above the finalized block, and up again.
	if err := e.Revert(t.Context(), blocks[6].Height()); err != nil {
		t.Fatal(err)
	}
	wantHead(t, e, n, blocks[6])
	execute(t, e, blocks[7])
	if err := e.Label(t.Context(), blocks[7].Ref(), blocks[7].Ref()); err != nil {
		t.Fatal(err)
	}
	wantTags(blocks[7], blocks[7])

	// Below the finalized block the client stays where it is. Ours is the position that counts, and what comes again
	// is taken over.
	if err := e.Revert(t.Context(), initialHeight-1); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Head(t.Context()); err != nil || got.Height != initialHeight-1 || !got.Hash.IsZero() {
		t.Fatalf("head after reverting everything: got %v, %v", got, err)
	}
	if got, want := latest(t, n), header(t, blocks[7]).Hash(); got != want {
		t.Fatalf("client's head: got %s, want %s, which it holds to be final", got, want)
	}
	before := adopted()
	for _, b := range blocks[:4] {
		execute(t, e, b)
	}
	if got := adopted() - before; got != 4 {
		t.Errorf("adopted %d blocks, want 4", got)
	}
	other := wrap(blocks[3], sealWith(t, blocks[4], func(h *types.Header) { h.GasUsed++ }))
	if _, err := e.Execute(t.Context(), other); !errors.Is(err, exec.ErrInvalid) {
		t.Errorf("void block where the client is ahead: got error %v, want ErrInvalid", err)
	}
	for _, b := range blocks[4:] {
		execute(t, e, b)
	}
	wantHead(t, e, n, blocks[len(blocks)-1])
}

// The client's blocks above our head give way to others, whether or not it would go back by itself.
func TestLeftOverBlocksAreReplaced(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	n, e := fresh(t, geth.Prague, nil)
	for _, b := range blocks {
		execute(t, e, b)
	}
	if err := e.Label(t.Context(), blocks[9].Ref(), blocks[9].Ref()); err != nil {
		t.Fatal(err)
	}
	if err := e.Revert(t.Context(), blocks[3].Height()); err != nil {
		t.Fatal(err)
	}
	_, second := fresh(t, geth.Prague, nil) // makes another branch
	for _, b := range blocks[:4] {
		execute(t, second, b)
	}
	other := produce(t, second, blocks[3])
	execute(t, e, other)
	wantHead(t, e, n, other)
}

func TestReopen(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	n := gethtest.Open(t, geth.Options{})
	opt := options(t, n)
	var adopted func() int
	adopted, opt.Called = adoptions()
	run := func(upTo int) {
		e, err := connect(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		head, err := e.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks[head.Height+1-initialHeight : upTo] {
			execute(t, e, b)
		}
		if got := latest(t, n); got != header(t, blocks[max(upTo, adopted())-1]).Hash() {
			t.Errorf("client's head: got %s, want block %d", got, upTo)
		}
		if head, _ := e.Head(t.Context()); head.Hash != blocks[upTo-1].Hash() {
			t.Errorf("head: got %v, want block %d", head, upTo)
		}
	}
	run(3)
	run(5)
	if got := adopted(); got != 0 {
		t.Errorf("adopted %d blocks, want 0: the index has them", got)
	}
	opt.Dir = t.TempDir() // the index is lost
	run(5)
	if got := adopted(); got != 5 {
		t.Errorf("adopted %d blocks without an index, want 5", got)
	}
	run(12)
}

// A block with execution requests in it (EIP-7002) and one with blobs are no different for a follower.
func TestRequestsAndBlobs(t *testing.T) {
	t.Parallel()
	nodes, producer := fresh(t, geth.Prague, func(o *engineapi.Options) { o.BuildTime = 100 * time.Millisecond })
	_ = nodes
	follower, e := fresh(t, geth.Prague, nil)
	signer := types.LatestSignerForChainID(big.NewInt(geth.DevChainID))
	queue := params.WithdrawalQueueAddress
	submit(t, producer, types.MustSignNewTx(geth.DevKey(1), signer, &types.DynamicFeeTx{
		ChainID: big.NewInt(geth.DevChainID), To: &queue, Value: big.NewInt(1), Gas: 200_000, Data: make([]byte, 56),
		GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(100 * params.GWei),
	}))
	// The empty blob's commitment and proof are the point at infinity: nothing to compute.
	blob, commitment, proof := kzg4844.Blob{}, kzg4844.Commitment{0xc0}, kzg4844.Proof{0xc0}
	sidecar := types.NewBlobTxSidecar(types.BlobSidecarVersion0, []kzg4844.Blob{blob}, []kzg4844.Commitment{commitment}, []kzg4844.Proof{proof})
	submit(t, producer, types.MustSignNewTx(geth.DevKey(2), signer, &types.BlobTx{
		ChainID: uint256.NewInt(geth.DevChainID), Gas: 21_000, GasTipCap: uint256.NewInt(params.GWei), GasFeeCap: uint256.NewInt(100 * params.GWei),
		BlobFeeCap: uint256.NewInt(params.GWei), BlobHashes: sidecar.BlobHashes(), Sidecar: sidecar,
	}))
	b := produce(t, producer, nil)
	seal, err := engineapi.DecodeSeal(b.Data.Txs[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Data.Txs) != 3 || len(seal.Requests) != 1 || *seal.Header.BlobGasUsed == 0 {
		t.Fatalf("got %d transactions, %d requests, %d blob gas; want 3, 1 and some", len(b.Data.Txs), len(seal.Requests), *seal.Header.BlobGasUsed)
	}
	execute(t, e, b)
	wantHead(t, e, follower, b)
}

func TestBuild(t *testing.T) {
	t.Parallel()
	n, e := fresh(t, geth.Prague, nil)
	if _, err := e.Build(t.Context(), initialHeight+1, 0, 1<<20); !errors.Is(err, exec.ErrParent) {
		t.Errorf("build above the next height: got error %v, want ErrParent", err)
	}
	if _, err := e.Build(t.Context(), initialHeight, 0, 100); err == nil {
		t.Error("build a block of at most 100 bytes: got no error")
	}
	first := produce(t, e, nil)
	if got, want := header(t, first).Time, first.Header.Header.Time/1e9; got != want {
		t.Errorf("execution time: got %d, want %d", got, want)
	}
	second := produce(t, e, first) // a tenth of a second later
	if got, want := header(t, second).Time, header(t, first).Time+1; got != want {
		t.Errorf("execution time within the same second: got %d, want %d", got, want)
	}
	if got := header(t, second).Coinbase; got != (common.Address{0xfe}) {
		t.Errorf("fee recipient: got %s", got)
	}
	// Building does not move anything, and a block that was built and not executed does not stand in the way.
	build(t, e, second)
	wantHead(t, e, n, second)
	produce(t, e, second)
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	_, e := fresh(t, geth.Prague, nil)
	good := raw(t, transfer(0, 0))
	cases := []struct {
		name string
		tx   []byte
		want error
	}{
		{"good", good, nil},
		{"again", good, nil},
		{"empty", nil, exec.ErrInvalid},
		{"garbage", []byte("garbage"), exec.ErrInvalid},
		{"unknown type", append([]byte{0x55}, good[1:]...), exec.ErrInvalid},
		{"a sealed header", build(t, e, nil).Data.Txs[0], exec.ErrInvalid},
		{"other chain", raw(t, types.MustSignNewTx(geth.DevKey(3), types.LatestSignerForChainID(big.NewInt(5)), &types.DynamicFeeTx{
			ChainID: big.NewInt(5), Gas: 21000, To: &common.Address{}, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11)})), exec.ErrInvalid},
		{"too little gas", raw(t, types.MustSignNewTx(geth.DevKey(3), types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
			ChainID: big.NewInt(geth.DevChainID), Gas: 20000, To: &common.Address{}, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11)})), exec.ErrInvalid},
		{"more gas than a block", raw(t, types.MustSignNewTx(geth.DevKey(3), types.LatestSignerForChainID(big.NewInt(geth.DevChainID)), &types.DynamicFeeTx{
			ChainID: big.NewInt(geth.DevChainID), Gas: 31_000_000, To: &common.Address{}, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11)})), exec.ErrInvalid},
	}
	for _, c := range cases {
		if err := e.SubmitTx(t.Context(), c.tx); !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v, want %v", c.name, err, c.want)
		}
	}
	// One account has room for 16 transactions that can be included and 64 that wait for a gap to close.
	var err error
	for nonce := uint64(1000); nonce < 1100 && err == nil; nonce++ {
		err = e.SubmitTx(t.Context(), raw(t, transfer(4, nonce)))
	}
	if err != nil && !errors.Is(err, exec.ErrFull) {
		t.Errorf("too many transactions: got error %v, want ErrFull or none", err)
	}
	b := produce(t, e, nil)
	if len(b.Data.Txs) != 2 {
		t.Errorf("got %d transactions, want the seal and the good one", len(b.Data.Txs))
	}
	if err := e.SubmitTx(t.Context(), good); !errors.Is(err, exec.ErrInvalid) {
		t.Errorf("a transaction that is in a block: got error %v, want ErrInvalid", err)
	}
}
