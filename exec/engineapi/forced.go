package engineapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"headrace/exec"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/ethereum/go-ethereum/trie"
)

// sealRoom is what the sealed header takes of a block's bytes, at most: some 650, and no requests.
const sealRoom = 1024

// signed is a transaction and its sender.
type signed struct {
	*types.Transaction
	raw  []byte
	from common.Address
}

// BuildForced is exec.Forcer's. If any of forced can be included, the block holds those and nothing else, and is put together without the client's pool: by
// eth_simulateV1, whose result the client then executes as a block. Where the client cannot do that, its pool is all there is: forced transactions
// are given to that too.
func (e *Engine) BuildForced(ctx context.Context, height, time uint64, maxBytes int, forced [][]byte) ([][]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if height != e.head.height+1 {
		return nil, fmt.Errorf("build block %d: %w: head is %d", height, exec.ErrParent, e.head.height)
	}
	a := e.attributes(time / 1e9)
	txs, err := e.pick(ctx, a.Timestamp, forced, maxBytes-sealRoom)
	if err == nil && len(txs) > 0 {
		var out [][]byte
		if out, err = e.assemble(ctx, a, txs); err == nil {
			return out, nil
		}
	}
	if err != nil {
		e.opt.Logger.Warn("forced transactions are left to the execution client's pool", "height", height, "err", err)
		for _, tx := range txs {
			hash, err := e.send(ctx, tx.raw)
			if err != nil {
				e.opt.Logger.Warn("and that does not take one", "hash", tx.Hash(), "err", err)
				continue
			}
			e.expect(hash)
		}
	}
	return e.build(ctx, height, time, maxBytes)
}

// pick returns those of forced that the next block has room for and its rules allow, one after the other. mu is held.
func (e *Engine) pick(ctx context.Context, time uint64, forced [][]byte, room int) (txs []signed, err error) {
	if len(forced) == 0 {
		return nil, nil
	}
	o, err := e.outlook(ctx, e.head, time)
	if err != nil {
		return nil, err
	}
	gas := o.next.GasLimit
	for _, raw := range forced {
		tx, from, why := o.offer(raw)
		if why != "" || tx.Gas() > gas || len(raw) > room {
			continue
		}
		a, err := o.account(ctx, from)
		if err != nil {
			return nil, err
		}
		if a.excuse(tx) != "" {
			continue
		}
		a.spend(tx)
		gas, room = gas-tx.Gas(), room-len(raw)
		txs = append(txs, signed{tx, raw, from})
	}
	return txs, nil
}

// cut makes a block of as many of a built block's first transactions as fit. Those of types that cannot be simulated are left out, with what their
// senders send after them. mu is held.
func (e *Engine) cut(ctx context.Context, seconds uint64, built [][]byte, maxBytes int) ([][]byte, error) {
	room, signer := maxBytes-sealRoom, types.LatestSignerForChainID(e.opt.Genesis.Config.ChainID)
	if room < 0 {
		return nil, fmt.Errorf("%d bytes are too few for a sealed header", maxBytes)
	}
	var txs []signed
	skipped := map[common.Address]bool{}
	for _, raw := range built {
		var tx types.Transaction
		if err := tx.UnmarshalBinary(raw); err != nil {
			return nil, err
		}
		from, err := types.Sender(signer, &tx)
		if err != nil {
			return nil, err
		}
		if skipped[from] = skipped[from] || tx.Type() > types.DynamicFeeTxType || len(raw) > room; skipped[from] {
			continue
		}
		room -= len(raw)
		txs = append(txs, signed{&tx, raw, from})
	}
	return e.assemble(ctx, e.attributes(seconds), txs)
}

// assemble makes a block of exactly these transactions on our head: the client simulates them, what differs because they are not signed there is put right, and
// the client says whether the block is valid. mu is held.
func (e *Engine) assemble(ctx context.Context, a *engine.PayloadAttributes, txs []signed) ([][]byte, error) {
	h, calls, err := e.simulate(ctx, a, txs)
	if err != nil {
		return nil, err
	}
	if h.RequestsHash != nil && *h.RequestsHash != types.EmptyRequestsHash {
		return nil, errors.New("the block would hold execution requests, which a simulation does not tell")
	}
	list, receipts, used := make(types.Transactions, len(txs)), make(types.Receipts, len(txs)), uint64(0)
	for i, tx := range txs {
		used += uint64(calls[i].GasUsed)
		r := &types.Receipt{Type: tx.Type(), Status: uint64(calls[i].Status), CumulativeGasUsed: used, Logs: calls[i].Logs}
		if r.Status == types.ReceiptStatusFailed {
			r.Logs = nil
		}
		r.Bloom = types.CreateBloom(r)
		list[i], receipts[i] = tx.Transaction, r
	}
	h.TxHash, h.ReceiptHash = types.DeriveSha(list, trie.NewStackTrie(nil)), types.DeriveSha(receipts, trie.NewStackTrie(nil))
	h.Bloom = types.MergeBloom(receipts)
	seal, err := (&Seal{Header: h}).Encode()
	if err != nil {
		return nil, err
	}
	out := [][]byte{seal}
	for _, tx := range txs {
		out = append(out, tx.raw)
	}
	_, payload, err := unseal(out)
	if err != nil {
		return nil, fmt.Errorf("simulated block: %w", err)
	}
	if err := e.run(ctx, payload); err != nil {
		return nil, fmt.Errorf("simulated block: %w", err)
	}
	return out, nil
}

// simulated is what a transaction did.
type simulated struct {
	Status, GasUsed hexutil.Uint64
	Logs            []*types.Log
}

// simulate runs transactions as the next block. Its header is right but for what covers transactions and receipts.
func (e *Engine) simulate(ctx context.Context, a *engine.PayloadAttributes, txs []signed) (*types.Header, []simulated, error) {
	calls := make([]map[string]any, len(txs))
	for i, tx := range txs {
		calls[i] = map[string]any{
			"from": tx.from, "nonce": hexutil.Uint64(tx.Nonce()), "gas": hexutil.Uint64(tx.Gas()), "value": (*hexutil.Big)(tx.Value()), "input": hexutil.Bytes(tx.Data()),
			"maxFeePerGas": (*hexutil.Big)(tx.GasFeeCap()), "maxPriorityFeePerGas": (*hexutil.Big)(tx.GasTipCap()), "chainId": (*hexutil.Big)(e.opt.Genesis.Config.ChainID),
		}
		if tx.To() != nil {
			calls[i]["to"] = tx.To()
		}
		if list := tx.AccessList(); len(list) > 0 {
			calls[i]["accessList"] = list
		}
	}
	block := map[string]any{"calls": calls, "blockOverrides": map[string]any{
		"time": hexutil.Uint64(a.Timestamp), "feeRecipient": a.SuggestedFeeRecipient, "prevRandao": a.Random, "beaconRoot": a.BeaconRoot,
	}}
	var results []json.RawMessage
	err := e.client.call(ctx, &results, "eth_simulateV1", map[string]any{"blockStateCalls": []any{block}, "validation": true}, rpc.BlockNumberOrHashWithHash(e.head.exec, false))
	if err != nil {
		return nil, nil, err
	}
	var h types.Header
	var ran struct{ Calls []simulated }
	if len(results) != 1 {
		return nil, nil, fmt.Errorf("client gives %d simulated blocks, want 1", len(results))
	}
	if err := errors.Join(json.Unmarshal(results[0], &h), json.Unmarshal(results[0], &ran)); err != nil {
		return nil, nil, fmt.Errorf("decode simulated block: %w", err)
	}
	if len(ran.Calls) != len(txs) || h.Number == nil || h.Number.Cmp(new(big.Int).SetUint64(e.number(e.head.height+1))) != 0 {
		return nil, nil, fmt.Errorf("client gives simulated block %v with %d transactions, want %d with %d", h.Number, len(ran.Calls), e.number(e.head.height+1), len(txs))
	}
	return &h, ran.Calls, nil
}
