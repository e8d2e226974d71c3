package engineapi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"headrace/block"
	"headrace/exec"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// Derived is the engine of Evolve's EVM chains, whose execution client is ev-reth. Their blocks hold transactions and
// nothing else: every node has its client make the execution block of them.
//
//   - What the client is asked for follows from the rollup block, the parent and the configuration: see derivedFrom. The
//     client must execute the transactions in their order, and pass over what cannot be executed.
//   - A payload is taken only if it is what was asked for, and its transactions are some of the block's, in that order.
//     The id of a payload does not depend on its transactions, so that of an earlier request can come back. So a payload
//     that will not do is asked for anew, and one with fewer transactions until it has come twice in a row.
//   - Which transactions it passed over is the client's word alone. The header of the next block names the state root,
//     and with it shows whether every node passed over the same.
//   - No content is invalid: Execute never fails with exec.ErrInvalid.
//   - A client that has the block already keeps it: one with all of the block's transactions at once, another only if
//     the client would not go back to make it anew.
//
// The initial height is 1. Position, connecting and labels are an Engine's. Build takes what waits in the client's pool,
// in its order (txpoolExt_getTxs).
type Derived struct {
	base
	e *Engine
}

// base is what both kinds of engines have.
type base interface {
	exec.Engine
	exec.Labeler
	exec.Disk
	io.Closer
}

var (
	_ exec.Builder   = (*Derived)(nil)
	_ exec.TxHasher  = (*Derived)(nil)
	_ exec.Receipter = (*Derived)(nil)
	_ exec.Skipper   = (*Derived)(nil)
)

// NewDerived is New for derived blocks. Options.FeeRecipient is a part of each block: all nodes of a chain need the
// same.
func NewDerived(opt Options) (*Derived, error) {
	if opt.InitialHeight != 1 {
		return nil, fmt.Errorf("%w: the chain begins at height %d: want 1, for the first block is the first on the execution genesis", ErrConfig, opt.InitialHeight)
	}
	e, err := open(opt, true)
	if err != nil {
		return nil, err
	}
	return &Derived{e, e}, nil
}

// derivation is what a client is asked to make of a rollup block, in the form that ev-reth takes: the payload attributes
// of the Engine API, with two more, and numbers that are no strings.
type derivation struct {
	Timestamp    uint64              `json:"timestamp"`
	Random       common.Hash         `json:"prevRandao"`
	FeeRecipient common.Address      `json:"suggestedFeeRecipient"`
	Withdrawals  []*types.Withdrawal `json:"withdrawals"`
	BeaconRoot   common.Hash         `json:"parentBeaconBlockRoot"`
	Transactions []hexutil.Bytes     `json:"transactions"`
	GasLimit     uint64              `json:"gasLimit"`

	parent common.Hash
	number uint64
}

// derivedFrom says what to make of b on our head.
func (e *Engine) derivedFrom(ctx context.Context, b *block.Block) (*derivation, error) {
	parent, err := e.client.ByHash(ctx, e.head.exec)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		return nil, e.lost(ctx, "does not know our head")
	}
	d := &derivation{
		Timestamp: b.Header.Header.Time / uint64(time.Second), FeeRecipient: e.opt.FeeRecipient, Withdrawals: []*types.Withdrawal{},
		Transactions: []hexutil.Bytes{}, GasLimit: parent.GasLimit, parent: e.head.exec, number: e.number(b.Height()),
	}
	binary.BigEndian.PutUint64(d.Random[24:], b.Height())
	for _, tx := range b.Data.Txs {
		if len(tx) > 0 {
			d.Transactions = append(d.Transactions, tx)
		}
	}
	return d, nil
}

// check says in what p is not what was asked for.
func (d *derivation) check(p *engine.ExecutableData) error {
	switch {
	case p.ParentHash != d.parent || p.Number != d.number:
		return fmt.Errorf("it is block %d on %s, want %d on %s", p.Number, p.ParentHash, d.number, d.parent)
	case p.Timestamp != d.Timestamp:
		return fmt.Errorf("its time is %d, want %d", p.Timestamp, d.Timestamp)
	case p.Random != d.Random:
		return fmt.Errorf("its prevRandao is %s, want %s", p.Random, d.Random)
	case p.GasLimit != d.GasLimit:
		return fmt.Errorf("its gas limit is %d, want the parent's, %d", p.GasLimit, d.GasLimit)
	case p.FeeRecipient != d.FeeRecipient:
		return fmt.Errorf("its fee recipient is %s, want %s", p.FeeRecipient, d.FeeRecipient)
	case len(p.Withdrawals) > 0:
		return fmt.Errorf("it has %d withdrawals, want none", len(p.Withdrawals))
	}
	asked := d.Transactions
	for i, tx := range p.Transactions {
		for len(asked) > 0 && !bytes.Equal(asked[0], tx) {
			asked = asked[1:]
		}
		if len(asked) == 0 {
			return fmt.Errorf("its transaction %d is not one of the block's, or not in their order", i)
		}
		asked = asked[1:]
	}
	return nil
}

// whole reports whether p has all transactions that were asked for.
func (d *derivation) whole(p *engine.ExecutableData) bool {
	return len(p.Transactions) == len(d.Transactions)
}

// skipped notes which of a block's transactions are not among those that were executed, which are in the same order.
func skipped(txs, executed [][]byte) string {
	var bits []byte
	for i, tx := range txs {
		if len(executed) > 0 && bytes.Equal(tx, executed[0]) {
			executed = executed[1:]
			continue
		}
		bits = append(bits, make([]byte, i/8+1-len(bits))...)
		bits[i/8] |= 1 << (i % 8)
	}
	return string(bits)
}

// Skipped is exec.Skipper's: those that the client passed over.
func (d *Derived) Skipped(b *block.Block) ([]bool, error) {
	r, ok, err := d.e.index.get(b.Height())
	if err != nil || !ok || r.hash != b.Hash() {
		return nil, err
	}
	txs := make([]bool, min(8*len(r.skipped), len(b.Data.Txs)))
	for i := range txs {
		txs[i] = r.skipped[i/8]>>(i%8)&1 == 1
	}
	return txs, nil
}

// derive has the client make and execute the execution block of b, unless it has that already. mu is held.
func (e *Engine) derive(ctx context.Context, b *block.Block) (*Payload, error) {
	d, err := e.derivedFrom(ctx, b)
	if err != nil {
		return nil, err
	}
	if e.ahead {
		if p, err := e.adopt(ctx, d); p != nil || err != nil {
			return p, err
		}
	}
	p, err := e.obtain(ctx, d)
	if err != nil {
		return nil, err
	}
	return p, e.run(ctx, p)
}

// deriveAttempts bounds how often a payload is asked for: an earlier one can come back once, and one with fewer
// transactions has to come twice.
const deriveAttempts = 4

// obtain has the client make what is asked for.
func (e *Engine) obtain(ctx context.Context, d *derivation) (*Payload, error) {
	var last common.Hash // of a payload with fewer transactions, the time before
	var why error
	for range deriveAttempts {
		envelope, err := e.ask(ctx, d, d.Timestamp, 0)
		if err != nil {
			return nil, err
		}
		p := envelope.ExecutionPayload
		if why = d.check(p); why != nil {
			last = common.Hash{}
			continue
		}
		if d.whole(p) || p.BlockHash == last {
			return &Payload{Data: *p, BlobHashes: blobHashes(p.Transactions), Requests: envelope.Requests}, nil
		}
		last, why = p.BlockHash, errors.New("it is another one each time")
	}
	return nil, fmt.Errorf("the client does not make the block that it is asked for, in %d requests: %w: does it take transactions as payload attributes, as ev-reth does? If it does, restart it", deriveAttempts, why)
}

// blobHashes are the versioned hashes of a block's blobs. What go-ethereum cannot decode may be a transaction of the
// client's own, which has none.
func blobHashes(txs [][]byte) (hashes []common.Hash) {
	for _, raw := range txs {
		var tx types.Transaction
		if len(raw) > 0 && raw[0] == types.BlobTxType && tx.UnmarshalBinary(raw) == nil {
			hashes = append(hashes, tx.BlobHashes()...)
		}
	}
	return hashes
}

// adopt returns the client's own block above our head if that is what is asked for, and nil if the client has gone back
// to our head. A block with fewer transactions may have been made of others: it is kept only where the client would not
// go back, since it holds it to be final.
func (e *Engine) adopt(ctx context.Context, d *derivation) (*Payload, error) {
	have, err := e.above(ctx)
	if err != nil {
		return nil, err
	}
	why := errors.New("it has none at this height")
	if have != nil {
		why = d.check(&have.Data)
	}
	if why == nil && d.whole(&have.Data) {
		return have, nil
	}
	if err := e.rewind(ctx); err != nil || !e.ahead {
		return nil, err
	}
	if why != nil {
		return nil, fmt.Errorf("the client keeps its block %d, which is not the one that is asked for: %w", d.number, why)
	}
	return have, nil
}

// above returns the client's canonical block on our head, as far as a derivation looks at it; nil if it has none.
func (e *Engine) above(ctx context.Context) (*Payload, error) {
	h, err := e.client.Canonical(ctx, e.number(e.head.height)+1)
	if err != nil || h == nil {
		return nil, err
	}
	var bodies []*struct {
		Transactions []hexutil.Bytes     `json:"transactions"`
		Withdrawals  []*types.Withdrawal `json:"withdrawals"`
	}
	if err := e.client.call(ctx, &bodies, "engine_getPayloadBodiesByHashV1", []common.Hash{h.Reported}); err != nil {
		return nil, err
	}
	if len(bodies) != 1 || bodies[0] == nil {
		return nil, fmt.Errorf("%w: it does not give the content of its block %s", ErrUnavailable, h.Reported)
	}
	p := &Payload{Data: engine.ExecutableData{
		ParentHash: h.ParentHash, FeeRecipient: h.Coinbase, StateRoot: h.Root, Random: h.MixDigest, Number: h.Number.Uint64(),
		GasLimit: h.GasLimit, Timestamp: h.Time, BlockHash: h.Reported, Withdrawals: bodies[0].Withdrawals,
	}}
	for _, tx := range bodies[0].Transactions {
		p.Data.Transactions = append(p.Data.Transactions, tx)
	}
	return p, nil
}

// SubmitTx is exec.Builder's: it puts a signed Ethereum transaction, in binary form, into the client's pool.
func (d *Derived) SubmitTx(ctx context.Context, tx []byte) error { return d.e.SubmitTx(ctx, tx) }

// Build is exec.Builder's: it takes what waits in the client's pool, in its order, as far as it fits.
func (d *Derived) Build(ctx context.Context, height, _ uint64, maxBytes int) (txs [][]byte, err error) {
	e := d.e
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	if height != e.head.height+1 {
		return nil, fmt.Errorf("build block %d: %w: head is %d", height, exec.ErrParent, e.head.height)
	}
	for range buildAttempts {
		if txs, err = e.waiting(ctx, maxBytes); err != nil {
			return nil, fmt.Errorf("build block %d: %w", height, err)
		}
		if len(txs) > 0 || len(e.submitted) == 0 {
			return txs, nil
		}
		select { // the pool has not sorted in what it was given: this time is its to use
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(e.opt.BuildTime):
		}
	}
	clear(e.submitted) // what is in there cannot be included now: it is not waited for again
	return txs, nil
}

// waiting returns what waits in the client's pool, as far as it fits.
func (e *Engine) waiting(ctx context.Context, maxBytes int) (txs [][]byte, err error) {
	if e.eth == nil {
		return nil, fmt.Errorf("%w: no address of the client's public JSON-RPC is given, which tells what waits in its pool", ErrConfig)
	}
	var pending []hexutil.Bytes
	err = e.eth.call(ctx, &pending, "txpoolExt_getTxs")
	if errors.Is(err, errNoMethod) {
		return nil, fmt.Errorf("%w: the client at %s offers no txpoolExt_getTxs: is that ev-reth's public JSON-RPC, with its txpoolExt namespace?", ErrConfig, e.eth.secrets.Text(e.opt.EthURL))
	}
	if err != nil {
		return nil, err
	}
	room := maxBytes
	for _, tx := range pending {
		size := len(tx) + exec.TxOverhead
		if _, in := e.recent[crypto.Keccak256Hash(tx)]; in || len(tx) == 0 || size > maxBytes {
			continue
		}
		if size > room {
			break // it is the first of a later block
		}
		room -= size
		txs = append(txs, tx)
	}
	return txs, nil
}

// recentBlocks is how many blocks a pool may take to notice that a transaction is in one.
const recentBlocks = 8

// remember keeps the transactions of a block of ours, which may be in the client's pool for a moment yet.
func (e *Engine) remember(height uint64, p *Payload) {
	if e.eth == nil {
		return
	}
	if e.recent == nil {
		e.recent = map[common.Hash]uint64{}
	}
	for hash, at := range e.recent {
		if at+recentBlocks <= height {
			delete(e.recent, hash)
		}
	}
	for _, tx := range p.Data.Transactions {
		e.recent[crypto.Keccak256Hash(tx)] = height
	}
}
