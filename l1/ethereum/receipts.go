package ethereum

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/ethereum/go-ethereum/trie"

	"headrace/l1"
)

// receiptWays are the calls that a block's receipts can be had by, the cheapest first. The receipts root makes all of
// them equally safe.
var receiptWays = []func(*endpoint, context.Context, *header) (types.Receipts, error){
	(*endpoint).blockReceipts, (*endpoint).rawReceipts, (*endpoint).singleReceipts,
}

// receipts returns the receipts of a block, checked against its header. A call that the endpoint says it lacks is not
// made again over the same connection.
func (e *endpoint) receipts(ctx context.Context, h *header) (types.Receipts, error) {
	var errs []error
	for way := e.receiptWay.Load(); int(way) < len(receiptWays); way++ {
		receipts, err := receiptWays[way](e, ctx, h)
		switch {
		case err == nil && receipts == nil: // it has not indexed them yet, as a rule
			return nil, fmt.Errorf("receipts of block %s: %w", h.hash, l1.ErrNotFound)
		case err == nil:
			if got := types.DeriveSha(receipts, trie.NewListHasher()); got != h.ReceiptHash {
				return nil, e.lies("%d receipts of block %s have root %s, want %s", len(receipts), h.hash, got, h.ReceiptHash)
			}
			return receipts, nil
		case ctx.Err() != nil, !mayLack(err):
			return nil, err
		}
		if errs = append(errs, err); lacksMethod(err) && int(way) < len(receiptWays)-1 {
			e.receiptWay.CompareAndSwap(way, way+1)
		}
	}
	return nil, fmt.Errorf("the L1 endpoint must serve eth_getBlockReceipts, debug_getRawReceipts or eth_getTransactionReceipt, since a block's receipts show which messages of the inbox are in it: %w", errors.Join(errs...))
}

// mayLack reports whether an answer may say that the endpoint has no such call: it is one, and neither "later" nor
// trouble of its own.
func mayLack(err error) bool {
	if status, ok := errors.AsType[rpc.HTTPError](err); ok {
		return status.StatusCode == http.StatusNotImplemented || status.StatusCode < 500 && status.StatusCode != http.StatusTooManyRequests
	}
	return answered(err)
}

// lacksMethod knows how endpoints say that they have no such call: by JSON-RPC's code, by that of EIP-1474, and in
// words.
func lacksMethod(err error) bool {
	var rpcErr rpc.Error
	if !errors.As(err, &rpcErr) {
		return false
	}
	text := strings.ToLower(rpcErr.Error())
	return rpcErr.ErrorCode() == -32601 || rpcErr.ErrorCode() == -32004 ||
		strings.Contains(text, "method") && (strings.Contains(text, "not supported") || strings.Contains(text, "not available") || strings.Contains(text, "not exist"))
}

func (e *endpoint) blockReceipts(ctx context.Context, h *header) (types.Receipts, error) {
	var got []*receipt
	err := e.call(ctx, &got, "eth_getBlockReceipts", h.hash)
	return consensusReceipts(got), err
}

func (e *endpoint) rawReceipts(ctx context.Context, h *header) (types.Receipts, error) {
	var got []hexutil.Bytes
	if err := e.call(ctx, &got, "debug_getRawReceipts", h.hash); err != nil || got == nil {
		return nil, err
	}
	receipts := types.Receipts{}
	for i, raw := range got {
		r := new(types.Receipt)
		if err := r.UnmarshalBinary(raw); err != nil {
			return nil, e.lies("receipt %d of block %s: %v", i, h.hash, err)
		}
		receipts = append(receipts, r)
	}
	return receipts, nil
}

func (e *endpoint) singleReceipts(ctx context.Context, h *header) (types.Receipts, error) {
	var body *struct {
		Transactions []common.Hash `json:"transactions"`
	}
	if err := e.call(ctx, &body, "eth_getBlockByHash", h.hash, false); err != nil || body == nil {
		return nil, err
	}
	got := make([]*receipt, len(body.Transactions))
	elems := make([]rpc.BatchElem, len(got))
	for i, hash := range body.Transactions {
		elems[i] = rpc.BatchElem{Method: "eth_getTransactionReceipt", Args: []any{hash}, Result: &got[i]}
	}
	if err := e.callBatch(ctx, elems); err != nil {
		return nil, err
	}
	for i := range elems {
		if elems[i].Error != nil || got[i] == nil {
			return nil, elems[i].Error
		}
	}
	return consensusReceipts(got), nil
}

// receipt is what the receipts root is over, of what an endpoint says of a receipt: what else it says, or does not, is
// of no use.
type receipt types.Receipt

func (r *receipt) UnmarshalJSON(b []byte) error {
	var wire struct {
		Type   hexutil.Uint64  `json:"type"`
		Root   hexutil.Bytes   `json:"root"`
		Status *hexutil.Uint64 `json:"status"`
		Gas    hexutil.Uint64  `json:"cumulativeGasUsed"`
		Logs   []struct {
			Address common.Address `json:"address"`
			Topics  []common.Hash  `json:"topics"`
			Data    hexutil.Bytes  `json:"data"`
		} `json:"logs"`
	}
	if err := json.Unmarshal(b, &wire); err != nil {
		return err
	}
	full := types.Receipt{Type: uint8(wire.Type), CumulativeGasUsed: uint64(wire.Gas)}
	if wire.Status != nil {
		full.Status = uint64(*wire.Status)
	} else {
		full.PostState = wire.Root
	}
	for _, l := range wire.Logs {
		full.Logs = append(full.Logs, &types.Log{Address: l.Address, Topics: l.Topics, Data: l.Data})
	}
	full.Bloom = types.CreateBloom(&full)
	*r = receipt(full)
	return nil
}

// consensusReceipts returns nil for nil, and for what has a hole: not all of them are there yet.
func consensusReceipts(got []*receipt) types.Receipts {
	if got == nil {
		return nil
	}
	receipts := types.Receipts{}
	for _, r := range got {
		if r == nil {
			return nil
		}
		receipts = append(receipts, (*types.Receipt)(r))
	}
	return receipts
}
