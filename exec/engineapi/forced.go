package engineapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"headrace/exec"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/ethereum/go-ethereum/trie"
)

// sealRoom is what the sealed header takes of a block's bytes, at most: some 650, and 16 withdrawal and 2
// consolidation requests.
const sealRoom = 3 << 10

// signed is a transaction and its sender.
type signed struct {
	*types.Transaction
	raw  []byte
	from common.Address
}

// BuildForced is exec.Forcer's. If any of forced can be included, the block holds those and nothing else, and is put
// together without the client's pool: by eth_simulateV1, whose result the client then executes as a block. Where the
// client cannot do that, its pool is all there is: forced transactions are given to that too.
func (e *Engine) BuildForced(ctx context.Context, height, time uint64, maxBytes int, forced [][]byte) ([][]byte, error) {
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	if height != e.head.height+1 {
		return nil, fmt.Errorf("build block %d: %w: head is %d", height, exec.ErrParent, e.head.height)
	}
	a := e.attributes(time / 1e9)
	txs, err := e.pick(ctx, a.Timestamp, forced, maxBytes-e.OwnBytes())
	if err == nil && len(txs) > 0 {
		var out [][]byte
		if out, err = e.assembleSome(ctx, a, txs); err == nil {
			return out, nil
		}
	}
	if err != nil {
		e.said.Warn(e.opt.Logger, "forced transactions are left to the execution client's pool", err, "height", height)
		for _, tx := range txs {
			hash, err := e.send(ctx, tx.raw)
			if err != nil {
				e.said.Warn(e.opt.Logger, "and that does not take one", err, "hash", tx.Hash())
				continue
			}
			e.expect(hash)
		}
	}
	return e.build(ctx, height, time, maxBytes)
}

// assembleSome makes a block of as many of these transactions as it finds to go together in a few tries: one that the
// client trips over is not to keep the others out.
func (e *Engine) assembleSome(ctx context.Context, a *engine.PayloadAttributes, txs []signed) (out [][]byte, err error) {
	most := len(txs)
	for range 16 {
		if out, err = e.assemble(ctx, a, txs[:most]); err == nil || errors.Is(err, errNoMethod) {
			return out, err
		}
		if most /= 2; most == 0 {
			if txs = txs[1:]; len(txs) == 0 {
				return nil, err
			}
			most = len(txs)
		}
	}
	return nil, err
}

// pick returns those of forced that the next block has room for and its rules allow, one after the other. mu is held.
func (e *Engine) pick(ctx context.Context, time uint64, forced [][]byte, room int) (txs []signed, err error) {
	if len(forced) == 0 {
		return nil, nil
	}
	o, err := e.outlook(ctx, e.head, time, false)
	if errors.Is(err, errNoBlock) {
		err = e.lost(ctx, errNoBlock.Error())
	}
	if err != nil {
		return nil, err
	}
	offers := make([]offered, len(forced))
	for i, raw := range forced {
		offers[i].tx, offers[i].from, offers[i].why = o.rule.offer(raw)
	}
	if err := o.read(ctx, offers); err != nil {
		return nil, err
	}
	gas := o.rule.gasLimit
	for i, f := range offers {
		if raw := forced[i]; f.why == "" && f.tx.Gas() <= gas && len(raw)+exec.TxOverhead <= room {
			a := o.account(f.from)
			if a.exempt(f.tx) != "" {
				continue
			}
			a.spend(f.tx)
			gas, room = gas-f.tx.Gas(), room-len(raw)-exec.TxOverhead
			txs = append(txs, signed{f.tx, raw, f.from})
		}
	}
	return txs, nil
}

// cut makes a block of as many of a built block's transactions as fit. The client may go on to put a large one behind
// small ones for ever; so those that were left out before come first. Those of types that cannot be simulated are left
// out, with what their senders send after them. mu is held.
func (e *Engine) cut(ctx context.Context, seconds uint64, built [][]byte, maxBytes int) ([][]byte, error) {
	room := maxBytes - e.OwnBytes()
	if room < 0 {
		return nil, fmt.Errorf("%d bytes are too few for a sealed header", maxBytes)
	}
	all, err := e.longestFirst(built)
	if err != nil {
		return nil, err
	}
	var txs []signed
	most, skipped, passed := room, map[common.Address]bool{}, map[common.Hash]int{}
	for _, tx := range all {
		size, from := len(tx.raw)+exec.TxOverhead, tx.from
		if skipped[from] = skipped[from] || tx.Type() > types.DynamicFeeTxType || size > room; skipped[from] {
			if size <= most {
				passed[tx.Hash()] = e.passed[tx.Hash()] + 1
			}
			continue
		}
		room -= size
		txs = append(txs, tx)
	}
	out, err := e.assemble(ctx, e.attributes(seconds), txs)
	if err == nil {
		e.passed = passed
	}
	return out, err
}

// longestFirst orders a built block's transactions by how often their senders' were left out in a row. Those of one
// sender stay in their order.
func (e *Engine) longestFirst(built [][]byte) (txs []signed, err error) {
	signer, waited := types.LatestSignerForChainID(e.opt.Genesis.Config.ChainID), map[common.Address]int{}
	for _, raw := range built {
		tx := new(types.Transaction)
		if err := tx.UnmarshalBinary(raw); err != nil {
			return nil, err
		}
		from, err := types.Sender(signer, tx)
		if err != nil {
			return nil, err
		}
		waited[from] = max(waited[from], e.passed[tx.Hash()])
		txs = append(txs, signed{tx, raw, from})
	}
	slices.SortStableFunc(txs, func(a, b signed) int { return waited[b.from] - waited[a.from] })
	return txs, nil
}

// assemble makes a block of exactly these transactions on our head: the client simulates them, what differs because
// they are not signed there is put right, and the client says whether the block is valid. mu is held.
func (e *Engine) assemble(ctx context.Context, a *engine.PayloadAttributes, txs []signed) ([][]byte, error) {
	h, calls, err := e.simulate(ctx, a, txs, nil)
	if err != nil {
		return nil, err
	}
	requests, err := e.requests(ctx, a, txs, h, calls)
	if err != nil {
		return nil, err
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
	seal, err := (&Seal{Header: h, Requests: requests}).Encode()
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

// requests returns the execution requests (EIP-7685) of a simulated block, of which its header has the hash alone.
// What the system contracts give at a block's end they give to the same calls behind its transactions (EIP-7002,
// EIP-7251); deposits are in the logs (EIP-6110).
func (e *Engine) requests(ctx context.Context, a *engine.PayloadAttributes, txs []signed, h *types.Header, ran []simulated) (requests [][]byte, err error) {
	if h.RequestsHash == nil || *h.RequestsHash == types.EmptyRequestsHash {
		return nil, nil
	}
	_, again, err := e.simulate(ctx, a, txs, h.BaseFee)
	if err != nil {
		return nil, fmt.Errorf("ask for the block's requests: %w", err)
	}
	deposits := []byte{0}
	for i := range ran {
		for _, l := range ran[i].Logs {
			if uint64(ran[i].Status) == types.ReceiptStatusSuccessful && l.Address == e.opt.Genesis.Config.DepositContractAddress {
				d, err := types.DepositLogToRequest(l.Data)
				if err != nil {
					return nil, fmt.Errorf("read a deposit: %w", err)
				}
				deposits = append(deposits, d...)
			}
		}
	}
	withdrawals := append([]byte{1}, again[len(txs)].ReturnData...)
	consolidations := append([]byte{2}, again[len(txs)+1].ReturnData...)
	for _, r := range [][]byte{deposits, withdrawals, consolidations} {
		if len(r) > 1 {
			requests = append(requests, r)
		}
	}
	if got := types.CalcRequestsHash(requests); got != *h.RequestsHash {
		return nil, fmt.Errorf("the block's requests have the hash %s, want %s", got, h.RequestsHash)
	}
	return requests, nil
}

// simulated is what a transaction did.
type simulated struct {
	Status, GasUsed hexutil.Uint64
	ReturnData      hexutil.Bytes
	Logs            []*types.Log
}

// simulate runs transactions as the next block. Its header is right but for what covers transactions and receipts.
// With a base fee it runs the calls to the system contracts behind them, and the header means nothing.
func (e *Engine) simulate(ctx context.Context, a *engine.PayloadAttributes, txs []signed, baseFee *big.Int) (*types.Header, []simulated, error) {
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
	overrides := map[string]any{
		"time": hexutil.Uint64(a.Timestamp), "feeRecipient": a.SuggestedFeeRecipient, "prevRandao": a.Random, "beaconRoot": a.BeaconRoot,
	}
	if baseFee != nil {
		overrides["baseFeePerGas"], overrides["gasLimit"] = (*hexutil.Big)(baseFee), hexutil.Uint64(1<<40)
		for _, contract := range []common.Address{params.WithdrawalQueueAddress, params.ConsolidationQueueAddress} {
			calls = append(calls, map[string]any{"from": params.SystemAddress, "to": contract, "gas": hexutil.Uint64(30_000_000), "gasPrice": (*hexutil.Big)(new(big.Int))})
		}
	}
	block := map[string]any{"calls": calls, "blockOverrides": overrides}
	var results []json.RawMessage
	err := e.client.call(ctx, &results, "eth_simulateV1", map[string]any{"blockStateCalls": []any{block}, "validation": baseFee == nil}, rpc.BlockNumberOrHashWithHash(e.head.exec, false))
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
	if len(ran.Calls) != len(calls) || h.Number == nil || h.Number.Cmp(new(big.Int).SetUint64(e.number(e.head.height+1))) != 0 {
		return nil, nil, fmt.Errorf("client gives simulated block %v with %d transactions, want %d with %d", h.Number, len(ran.Calls), e.number(e.head.height+1), len(calls))
	}
	return &h, ran.Calls, nil
}
