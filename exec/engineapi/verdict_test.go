package engineapi_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/exec"
	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"
)

// sealWith is b's transactions with a changed header.
func sealWith(t testing.TB, b *block.Block, change func(*types.Header)) [][]byte {
	t.Helper()
	return reseal(t, b.Data.Txs, func(s *engineapi.Seal) { change(s.Header) })
}

func reseal(t testing.TB, txs [][]byte, change func(*engineapi.Seal)) [][]byte {
	t.Helper()
	s, err := engineapi.DecodeSeal(txs[0])
	if err != nil {
		t.Fatal(err)
	}
	change(s)
	tx, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return append([][]byte{tx}, txs[1:]...)
}

// retx is b's transactions with others after the seal, and the header as it has to be for those.
func retx(t testing.TB, b *block.Block, txs ...[]byte) [][]byte {
	t.Helper()
	decoded, err := engine.DecodeTransactions(txs)
	if err != nil {
		t.Fatal(err)
	}
	root := types.DeriveSha(types.Transactions(decoded), trie.NewStackTrie(nil))
	return append(sealWith(t, b, func(h *types.Header) { h.TxHash = root })[:1], txs...)
}

// Content that shows by itself that it is void is so without asking anyone.
func TestVoidByContent(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	var tap *tap
	n, e := fresh(t, geth.Prague, func(o *engineapi.Options) { tap = newTap(t, o.URL); o.URL = tap.url })
	for _, b := range blocks[:2] {
		execute(t, e, b)
	}
	good := blocks[2]
	head := func(change func(*types.Header)) [][]byte { return sealWith(t, good, change) }
	cases := map[string][][]byte{
		"no transactions":      nil,
		"no seal":              good.Data.Txs[1:],
		"empty seal":           {{}, good.Data.Txs[1]},
		"other version":        {append([]byte{'H', 2}, good.Data.Txs[0][2:]...), good.Data.Txs[1]},
		"truncated seal":       {good.Data.Txs[0][:50], good.Data.Txs[1]},
		"something after seal": {append(slices.Clone(good.Data.Txs[0]), 0), good.Data.Txs[1]},
		"missing transaction":  good.Data.Txs[:1],
		"other transaction":    {good.Data.Txs[0], blocks[1].Data.Txs[1]},
		"doubled transaction":  {good.Data.Txs[0], good.Data.Txs[1], good.Data.Txs[1]},
		"undecodable":          {good.Data.Txs[0], []byte("garbage")},
		"transactions' root":   head(func(h *types.Header) { h.TxHash[0]++ }),
		"number":               head(func(h *types.Header) { h.Number.Add(h.Number, h.Number) }),
		"parent":               head(func(h *types.Header) { h.ParentHash[0]++ }),
		"time of the parent":   head(func(h *types.Header) { h.Time = header(t, blocks[1]).Time }),
		"difficulty":           head(func(h *types.Header) { h.Difficulty.SetUint64(1) }),
		"uncles":               head(func(h *types.Header) { h.UncleHash[0]++ }),
		"nonce":                head(func(h *types.Header) { h.Nonce[0]++ }),
		"withdrawals":          head(func(h *types.Header) { h.WithdrawalsHash = &common.Hash{1} }),
		"requests' hash":       head(func(h *types.Header) { h.RequestsHash = &common.Hash{1} }),
		"long extra data":      head(func(h *types.Header) { h.Extra = make([]byte, 33) }),
		"huge base fee":        head(func(h *types.Header) { h.BaseFee.Lsh(h.BaseFee, 300) }),
		"huge number":          head(func(h *types.Header) { h.Number.Lsh(h.Number, 64) }),
		"fields of shanghai": head(func(h *types.Header) {
			h.BlobGasUsed, h.ExcessBlobGas, h.ParentBeaconRoot, h.RequestsHash = nil, nil, nil, nil
		}),
		"fields of a later fork": head(func(h *types.Header) { h.BlockAccessListHash, h.SlotNumber = &common.Hash{}, new(uint64) }),
		"request added":          reseal(t, good.Data.Txs, func(s *engineapi.Seal) { s.Requests = [][]byte{{1, 2}} }),
		"empty request added":    reseal(t, good.Data.Txs, func(s *engineapi.Seal) { s.Requests = [][]byte{{1}} }),
	}
	tap.requests()
	for name, txs := range cases {
		if _, err := e.Execute(t.Context(), wrap(blocks[1], txs)); !errors.Is(err, exec.ErrInvalid) {
			t.Errorf("%s: got error %v, want ErrInvalid", name, err)
		}
	}
	if got := tap.requests(); got != 0 {
		t.Errorf("got %d requests for content that is void by itself, want 0", got)
	}
	execute(t, e, good)
	wantHead(t, e, n, good)
}

// Content that only execution shows to be void is so by the client's word, each time it is asked.
func TestVoidByExecution(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	n, e := fresh(t, geth.Prague, nil)
	for _, b := range blocks[:2] {
		execute(t, e, b)
	}
	good := blocks[2]
	head := func(change func(*types.Header)) [][]byte { return sealWith(t, good, change) }
	cases := map[string][][]byte{
		"state root":         head(func(h *types.Header) { h.Root[0]++ }),
		"receipts":           head(func(h *types.Header) { h.ReceiptHash[0]++ }),
		"bloom":              head(func(h *types.Header) { h.Bloom[0]++ }),
		"gas used":           head(func(h *types.Header) { h.GasUsed++ }),
		"gas limit":          head(func(h *types.Header) { h.GasLimit /= 2 }),
		"base fee":           head(func(h *types.Header) { h.BaseFee.SetUint64(1) }),
		"excess blob gas":    head(func(h *types.Header) { *h.ExcessBlobGas = 1 << 17 }),
		"nonce used already": retx(t, good, raw(t, transfer(0, 0))),
		"nonce gap":          retx(t, good, raw(t, transfer(0, 9))),
		"no money":           retx(t, good, raw(t, transfer(0, 2)), raw(t, transfer(0, 2))),
		"requests that are not": reseal(t, good.Data.Txs, func(s *engineapi.Seal) {
			s.Requests = [][]byte{{1, 2, 3}}
			hash := types.CalcRequestsHash(s.Requests)
			s.Header.RequestsHash = &hash
		}),
	}
	for name, txs := range cases {
		b := wrap(blocks[1], txs)
		for range 2 {
			if _, err := e.Execute(t.Context(), b); !errors.Is(err, exec.ErrInvalid) {
				t.Errorf("%s: got error %v, want ErrInvalid", name, err)
			}
		}
	}
	wantHead(t, e, n, blocks[1])
	execute(t, e, good)
	wantHead(t, e, n, good)
}

// S25: every status and error that is not a verdict; and whatever it was, when it is over the block is executed.
func TestNoVerdict(t *testing.T) {
	t.Parallel()
	blocks := history(t, geth.Prague)
	var tap *tap
	n, e := fresh(t, geth.Prague, func(o *engineapi.Options) { tap = newTap(t, o.URL); o.URL = tap.url })
	execute(t, e, blocks[0])
	parent := header(t, blocks[0]).Hash()
	const np, fc = "engine_newPayloadV4", "engine_forkchoiceUpdatedV3"
	status := func(s string, valid any) string {
		hash := "null"
		if h, ok := valid.(common.Hash); ok {
			hash = `"` + h.Hex() + `"`
		}
		return fmt.Sprintf(`{"status":%q,"latestValidHash":%s,"validationError":null}`, s, hash)
	}
	payload := func(s string, valid any) rule { return rule{answer: `"result":` + status(s, valid)} }
	choice := func(s string) rule {
		return rule{answer: `"result":{"payloadStatus":` + status(s, nil) + `,"payloadId":null}`}
	}
	once := func(r rule) rule { r.once = true; return r } // so that the client can show that it executes blocks
	fail := func(code int) rule { return rule{answer: fmt.Sprintf(`"error":{"code":%d,"message":"as told"}`, code)} }
	cases := []struct {
		name  string
		rules map[string]rule
		want  error // nil: any but ErrInvalid
		says  string
	}{
		{"newPayload SYNCING", map[string]rule{np: payload("SYNCING", nil)}, engineapi.ErrUnavailable, "does not know the parent"},
		{"newPayload ACCEPTED", map[string]rule{np: payload("ACCEPTED", nil)}, engineapi.ErrUnavailable, "state"},
		{"newPayload INVALID on nothing", map[string]rule{np: once(payload("INVALID", nil))}, nil, "no verdict"},
		{"newPayload INVALID on zero", map[string]rule{np: once(payload("INVALID", common.Hash{}))}, nil, "no verdict"},
		{"newPayload INVALID on another", map[string]rule{np: once(payload("INVALID", common.Hash{7}))}, nil, "no verdict"},
		{"newPayload INVALID_BLOCK_HASH", map[string]rule{np: payload("INVALID_BLOCK_HASH", parent)}, nil, "INVALID_BLOCK_HASH"},
		{"everything is INVALID", map[string]rule{np: payload("INVALID", parent)}, nil, "no verdict"},
		{"INVALID, and can build nothing", map[string]rule{np: payload("INVALID", parent), "engine_getPayloadV4": fail(-38001)}, nil, "no verdict"},
		{"newPayload unknown status", map[string]rule{np: payload("MAYBE", parent)}, nil, "MAYBE"},
		{"newPayload server error", map[string]rule{np: fail(-32000)}, nil, "-32000"},
		{"newPayload invalid parameters", map[string]rule{np: fail(-32602)}, nil, "-32602"},
		{"newPayload other fork", map[string]rule{np: fail(-38005)}, engineapi.ErrConfig, "fork schedule"},
		{"newPayload no method", map[string]rule{np: fail(-32601)}, engineapi.ErrConfig, "Engine API port"},
		{"newPayload 401", map[string]rule{np: {status: 401}}, engineapi.ErrConfig, "JWT"},
		{"newPayload 500", map[string]rule{np: {status: 500}}, engineapi.ErrUnavailable, "500"},
		{"newPayload 404", map[string]rule{np: {status: 404}}, engineapi.ErrConfig, "address"},
		{"newPayload 413", map[string]rule{np: {status: 413}}, engineapi.ErrConfig, "client_max_body_size"},
		{"newPayload not done", map[string]rule{np: {drop: true}}, engineapi.ErrUnavailable, np},
		{"newPayload done, answer lost", map[string]rule{np: {drop: true, forward: true}}, engineapi.ErrUnavailable, np},
		{"forkchoice SYNCING", map[string]rule{fc: choice("SYNCING")}, engineapi.ErrUnavailable, "does not know"},
		{"forkchoice INVALID", map[string]rule{fc: choice("INVALID")}, nil, `"INVALID"`},
		{"forkchoice ACCEPTED", map[string]rule{fc: choice("ACCEPTED")}, nil, `"ACCEPTED"`},
		{"forkchoice bad state", map[string]rule{fc: fail(-38002)}, nil, "-38002"},
		{"forkchoice too deep", map[string]rule{fc: fail(-38006)}, nil, "-38006"},
		{"forkchoice VALID and ignored", map[string]rule{fc: choice("VALID")}, nil, "another block"},
		{"forkchoice not done", map[string]rule{fc: {drop: true}}, engineapi.ErrUnavailable, fc},
		{"forkchoice done, answer lost", map[string]rule{fc: {drop: true, forward: true}}, engineapi.ErrUnavailable, fc},
		{"read-back lost", map[string]rule{"eth_getBlockByNumber": {drop: true}}, engineapi.ErrUnavailable, "eth_getBlockByNumber"},
		{"read-back says nothing", map[string]rule{"eth_getBlockByNumber": {answer: `"result":null`}}, nil, ""},
	}
	for i, c := range cases {
		next := wrap(blocks[0], blocks[1].Data.Txs)
		for method, r := range c.rules {
			tap.set(method, r)
		}
		_, err := e.Execute(t.Context(), next)
		tap.clear()
		switch {
		case err == nil:
			t.Errorf("%s: got no error", c.name)
		case errors.Is(err, exec.ErrInvalid):
			t.Errorf("%s: got a verdict: %v", c.name, err)
		case c.want != nil && !errors.Is(err, c.want), !strings.Contains(err.Error(), c.says):
			t.Errorf("%s: got error %v, want %v saying %q", c.name, err, c.want, c.says)
		}
		if t.Failed() {
			return
		}
		execute(t, e, next)
		wantHead(t, e, n, next)
		if err := e.Revert(t.Context(), blocks[0].Height()); err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		wantHead(t, e, n, blocks[0])
	}
}
