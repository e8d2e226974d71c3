package engineapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headrace/exec"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
)

// maxSubmitted bounds the memory of transactions that Build hopes to see in a block.
const maxSubmitted = 4096

// SubmitTx is exec.Builder's: it puts a signed Ethereum transaction, in binary form, into the client's pool.
func (e *Engine) SubmitTx(ctx context.Context, tx []byte) error {
	if !e.connected.Load() {
		if err := e.begin(ctx); err != nil {
			return err
		}
		e.mu.Unlock()
	}
	hash, err := e.send(ctx, tx) // without mu: it waits for no block
	if err != nil {
		return fmt.Errorf("submit transaction: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expect(hash)
	return nil
}

// send gives a transaction to the client's pool.
func (e *Engine) send(ctx context.Context, tx []byte) (hash common.Hash, err error) {
	if err := new(types.Transaction).UnmarshalBinary(tx); err != nil {
		return hash, fmt.Errorf("%w: %w", exec.ErrInvalid, err)
	}
	return hash, explainTx(e.client.call(ctx, &hash, "eth_sendRawTransaction", hexutil.Bytes(tx)))
}

// expect remembers a transaction that the pool has taken. mu is held.
func (e *Engine) expect(hash common.Hash) {
	if hash != (common.Hash{}) && len(e.submitted) < maxSubmitted {
		e.submitted[hash] = struct{}{}
	}
}

// included forgets submitted transactions that are in a block.
func (e *Engine) included(p *Payload) {
	if len(e.submitted) == 0 {
		return
	}
	for _, raw := range p.Data.Transactions {
		var tx types.Transaction
		if tx.UnmarshalBinary(raw) == nil {
			delete(e.submitted, tx.Hash())
		}
	}
}

// buildAttempts bounds how often Build asks again when what came back will not do.
const buildAttempts = 4

// Build is exec.Builder's. The client fills the block from its pool, up to its gas limit. Of a block with more than
// maxBytes as many transactions are taken as fit: first those that were left out before, longest first, then in the
// client's order. A client that cannot simulate them is asked again,
// with less time to fill the block, and then it is an error: a gas limit such that a full block fits avoids that (a
// byte costs at least 4 gas, and 10 from Prague on). time is the rollup block's, in nanoseconds; the execution
// block's is in whole seconds, and always after the last one's, so it runs ahead when there is more than one block
// per second.
func (e *Engine) Build(ctx context.Context, height uint64, time uint64, maxBytes int) ([][]byte, error) {
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	return e.build(ctx, height, time, maxBytes)
}

// build is Build. mu is held.
func (e *Engine) build(ctx context.Context, height uint64, time uint64, maxBytes int) ([][]byte, error) {
	if height != e.head.height+1 {
		return nil, fmt.Errorf("build block %d: %w: head is %d", height, exec.ErrParent, e.head.height)
	}
	wait := e.opt.BuildTime
	for attempt := 1; ; attempt++ {
		envelope, root, err := e.produce(ctx, time/1e9, wait)
		if err != nil {
			return nil, fmt.Errorf("build block %d: %w", height, err)
		}
		txs, err := Transactions(envelope, root)
		if err != nil {
			return nil, fmt.Errorf("build block %d: %w", height, err)
		}
		switch size, last := exec.Size(txs), attempt == buildAttempts; {
		case size > maxBytes:
			less, err := e.cut(ctx, time/1e9, txs[1:], maxBytes)
			if err == nil {
				return less, nil
			}
			if last {
				return nil, fmt.Errorf("build block %d: the client made %d bytes, want at most %d, and not all of it can be left out (%w): lower its gas limit", height, size, maxBytes, err)
			}
			wait /= 8
		case len(txs) == 1 && len(e.submitted) > 0 && !last:
			// The pool had not sorted in what it was given, or the client had not begun to fill the block.
		default:
			clear(e.passed)
			if len(txs) == 1 {
				clear(e.submitted) // what is in there cannot be included now: it is not waited for again
			}
			return txs, nil
		}
	}
}

// produce has the client make a block on our head, and gives it so long to fill it. The client is asked for a block
// unlike any other, because it would not go on with one that it had handed out. mu is held.
func (e *Engine) produce(ctx context.Context, seconds uint64, fill time.Duration) (*engine.ExecutionPayloadEnvelope, common.Hash, error) {
	a := e.attributes(seconds)
	envelope, err := e.ask(ctx, a, a.Timestamp, fill)
	if err == nil && envelope.ExecutionPayload.ParentHash != e.head.exec {
		err = fmt.Errorf("client made a block on %s, want %s", envelope.ExecutionPayload.ParentHash, e.head.exec)
	}
	return envelope, *a.BeaconRoot, err
}

// ask has the client make a block on our head, with these attributes and for this time, and gives it so long to fill
// it. mu is held.
func (e *Engine) ask(ctx context.Context, attributes any, timestamp uint64, fill time.Duration) (*engine.ExecutionPayloadEnvelope, error) {
	state := engine.ForkchoiceStateV1{HeadBlockHash: e.head.exec, SafeBlockHash: e.safe.exec, FinalizedBlockHash: e.finalized.exec}
	r, err := e.client.ForkchoiceUpdated(ctx, state, attributes)
	if err != nil {
		return nil, err
	}
	switch {
	case r.PayloadStatus.Status == engine.SYNCING:
		return nil, e.lost(ctx, "does not know our head")
	case r.PayloadStatus.Status != engine.VALID:
		return nil, fmt.Errorf("client answers a fork choice with status %q", r.PayloadStatus.Status)
	case r.PayloadID == nil:
		return nil, errors.New("client builds no block on our head, which it would not go back to")
	}
	e.ahead = false
	if fill > 0 {
		select { // the client works on it: this time is its to use
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(fill):
		}
	}
	envelope, err := e.client.GetPayload(ctx, *r.PayloadID, e.opt.Genesis.Config.LatestFork(timestamp))
	if err == nil && envelope.ExecutionPayload == nil {
		err = errors.New("client answers with no block")
	}
	return envelope, err
}

// attributes describes the block to be made on our head, unlike any that was asked for before. mu is held.
func (e *Engine) attributes(seconds uint64) *engine.PayloadAttributes {
	e.attempts++
	e.most = max(e.most, e.attempts)
	return &engine.PayloadAttributes{
		Timestamp: max(seconds, e.head.time+1), Random: randomOf(e.head.exec, e.attempts, seconds), SuggestedFeeRecipient: e.opt.FeeRecipient,
		Withdrawals: []*types.Withdrawal{}, BeaconRoot: &common.Hash{}, // there is no beacon chain
	}
}
