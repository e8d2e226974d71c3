package beacon

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
)

// Spec says what a block is to be. The zero value is a block in the next slot with what is in the client's transaction pool.
type Spec struct {
	// Txs, if not nil, are exactly the transactions of the block; an empty slice makes an empty block. Blob transactions carry their sidecars.
	// All must be valid in this order, or there is no block.
	Txs []*types.Transaction

	// Include are hashes of transactions in the pool that the block must have. A pool takes a moment to sort in what was sent to it, or to
	// give back what a reorg took out; the block is built again until all are there, or ctx ends.
	Include []common.Hash

	// SkipSlots leaves this many slots without a block before it.
	SkipSlots uint64

	// Extra is the block's extra data, at most 32 bytes.
	Extra []byte

	// Parent is the block built on. Mine and Reorg set it; for Build the default is the head.
	Parent common.Hash
}

// Empty is a block without transactions.
func Empty() Spec { return Spec{Txs: []*types.Transaction{}} }

// With is a block of exactly these transactions.
func With(txs ...*types.Transaction) Spec {
	return Spec{Txs: slices.Concat([]*types.Transaction{}, txs)}
}

// Including is a block from the pool that has at least these transactions.
func Including(txs ...common.Hash) Spec { return Spec{Include: txs} }

// EmptyN are n specs of empty blocks, for Reorg.
func EmptyN(n int) []Spec { return slices.Repeat([]Spec{Empty()}, n) }

// A Block is an execution block and what the consensus knows about it. It is not changed after it was made.
type Block struct {
	Header *types.Header
	Txs    types.Transactions
	Slot   uint64
	Blobs  engine.BlobsBundle // of all its blob transactions, in order

	payload engineapi.Payload
	proofs  func() ([]hexutil.Bytes, error) // of the blobs; computed when first asked for
}

// Hash is the execution block's hash.
func (b *Block) Hash() common.Hash { return b.Header.Hash() }

// Number is the execution block's number.
func (b *Block) Number() uint64 { return b.Header.Number.Uint64() }

// Root is the beacon block's root: the next block's parentBeaconBlockRoot, and a name of this block in the beacon API. This consensus makes
// it from slot and hash.
func (b *Block) Root() common.Hash {
	hash := b.Hash()
	return sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, b.Slot), hash[:]...))
}

func newBlock(slot uint64, beaconRoot common.Hash, e *engine.ExecutionPayloadEnvelope) (*Block, error) {
	txs, err := engine.DecodeTransactions(e.ExecutionPayload.Transactions)
	if err != nil {
		return nil, fmt.Errorf("decode built block: %w", err)
	}
	b := &Block{
		Slot: slot, Txs: txs,
		payload: engineapi.Payload{Data: *e.ExecutionPayload, BeaconRoot: beaconRoot, Requests: e.Requests},
	}
	for _, tx := range txs {
		b.payload.BlobHashes = append(b.payload.BlobHashes, tx.BlobHashes()...)
	}
	if e.BlobsBundle != nil {
		b.Blobs = *e.BlobsBundle
	}
	if len(b.Blobs.Blobs) != len(b.payload.BlobHashes) || len(b.Blobs.Commitments) != len(b.payload.BlobHashes) {
		return nil, fmt.Errorf("built block has %d blobs and %d commitments, want %d", len(b.Blobs.Blobs), len(b.Blobs.Commitments), len(b.payload.BlobHashes))
	}
	block, err := engine.ExecutableDataToBlock(b.payload.Data, b.payload.BlobHashes, &beaconRoot, e.Requests)
	if err != nil {
		return nil, fmt.Errorf("check built block: %w", err)
	}
	b.Header = block.Header()
	b.proofs = sync.OnceValues(func() ([]hexutil.Bytes, error) { return blobProofs(&b.Blobs) })
	return b, nil
}
