package engineapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/exec"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// TxHash is exec.TxHasher's: Ethereum's hash of the transaction, in which a blob transaction's sidecar is no part.
func (e *Engine) TxHash(tx []byte) block.Hash { return txHash(tx) }

// TxOnce is exec.TxHasher's: an account uses a nonce once.
func (e *Engine) TxOnce() bool { return true }

// TxHash is exec.TxHasher's, as an Engine's.
func (d *Derived) TxHash(tx []byte) block.Hash { return txHash(tx) }

// TxOnce is exec.TxHasher's: a client passes over what was executed before.
func (d *Derived) TxOnce() bool { return true }

func txHash(tx []byte) block.Hash {
	if len(tx) > 0 && tx[0] == types.BlobTxType {
		var blobs types.Transaction
		if blobs.UnmarshalBinary(tx) == nil { // with its sidecar or without
			return block.Hash(blobs.Hash())
		}
	}
	return block.Hash(crypto.Keccak256Hash(tx))
}

// Receipt is exec.Receipter's: the receipt that the client has, as eth_getTransactionReceipt gives it.
func (e *Engine) Receipt(ctx context.Context, b *block.Block, tx block.Hash) (json.RawMessage, error) {
	if len(b.Data.Txs) == 0 {
		return nil, fmt.Errorf("%w: block %d is empty", exec.ErrNoReceipt, b.Height())
	}
	seal, err := DecodeSeal(b.Data.Txs[0])
	if err != nil {
		return nil, fmt.Errorf("%w: block %d: %w", exec.ErrNoReceipt, b.Height(), err)
	}
	return e.receipt(ctx, seal.Header.Hash(), tx)
}

// Receipt is exec.Receipter's, as an Engine's. A transaction that the client passed over has none.
func (d *Derived) Receipt(ctx context.Context, b *block.Block, tx block.Hash) (json.RawMessage, error) {
	r, ok, err := d.e.index.get(b.Height())
	if err != nil {
		return nil, err
	}
	if !ok || r.hash != b.Hash() {
		return nil, fmt.Errorf("%w: the engine does not know block %d", exec.ErrNoReceipt, b.Height())
	}
	return d.e.receipt(ctx, r.exec, tx)
}

// receipt asks the client for a receipt, and takes none of another block: the client may have gone elsewhere meanwhile.
func (e *Engine) receipt(ctx context.Context, in common.Hash, tx block.Hash) (json.RawMessage, error) {
	client := e.client
	if e.eth != nil {
		client = e.eth
	}
	var text json.RawMessage
	err := client.call(ctx, &text, "eth_getTransactionReceipt", common.Hash(tx))
	if errors.Is(err, errNoMethod) {
		return nil, fmt.Errorf("%w: the client offers no eth_getTransactionReceipt here", exec.ErrNoReceipt)
	}
	if err != nil {
		return nil, err
	}
	var of *struct{ TransactionHash, BlockHash common.Hash }
	if err := json.Unmarshal(text, &of); err != nil {
		return nil, fmt.Errorf("%w: eth_getTransactionReceipt: %w", ErrUnavailable, err)
	}
	if of == nil || of.TransactionHash != common.Hash(tx) || of.BlockHash != in {
		return nil, fmt.Errorf("%w: the client has none of transaction %s in its block %s", exec.ErrNoReceipt, tx, in)
	}
	return text, nil
}
