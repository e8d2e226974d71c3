package engineapi

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
)

// sealPrefix begins the first transaction of a rollup block. No Ethereum transaction begins like this: 'H' is no known transaction type, and
// legacy ones begin with 0xc0 or more. The second byte is the version of what follows.
var sealPrefix = []byte{'H', 1}

// A Seal is the first transaction of a rollup block: the execution block's header, and the execution requests that its hash covers.
//
//	'H' 0x01 rlp([header, [request, ...]])
//
// The header is as Ethereum encodes it. A request is its type byte and its content, as in EIP-7685; the list is empty before Prague. The other
// transactions of the rollup block are the execution block's, each in its canonical binary form. There are no withdrawals.
type Seal struct {
	Header   *types.Header
	Requests [][]byte
}

// Encode returns the transaction.
func (s *Seal) Encode() ([]byte, error) {
	b := bytes.NewBuffer(bytes.Clone(sealPrefix))
	if err := rlp.Encode(b, s); err != nil {
		return nil, fmt.Errorf("encode seal: %w", err)
	}
	return b.Bytes(), nil
}

// DecodeSeal is the inverse of Encode. It accepts nothing but what Encode makes.
func DecodeSeal(tx []byte) (*Seal, error) {
	body, ok := bytes.CutPrefix(tx, sealPrefix)
	if !ok {
		return nil, errors.New("decode seal: no sealed execution header of a known version")
	}
	s := new(Seal)
	if err := rlp.DecodeBytes(body, s); err != nil {
		return nil, fmt.Errorf("decode seal: %w", err)
	}
	return s, nil
}

// Transactions makes a rollup block's transactions of an execution block, as a builder's getPayload gives it.
func Transactions(e *engine.ExecutionPayloadEnvelope, beaconRoot common.Hash) ([][]byte, error) {
	decoded, err := engine.DecodeTransactions(e.ExecutionPayload.Transactions)
	if err != nil {
		return nil, fmt.Errorf("decode payload: %w", err)
	}
	hashes := []common.Hash{}
	for _, tx := range decoded {
		hashes = append(hashes, tx.BlobHashes()...)
	}
	block, err := engine.ExecutableDataToBlock(*e.ExecutionPayload, hashes, &beaconRoot, e.Requests)
	if err != nil {
		return nil, fmt.Errorf("check payload: %w", err)
	}
	seal, err := (&Seal{Header: block.Header(), Requests: e.Requests}).Encode()
	if err != nil {
		return nil, err
	}
	return append([][]byte{seal}, e.ExecutionPayload.Transactions...), nil
}

// unseal makes the execution block of a rollup block's transactions. An error is a verdict on the content: it comes from the bytes alone.
// What it returns hashes to its Data.BlockHash, as computed here; so if the client finds another hash, that is not the content's fault.
func unseal(txs [][]byte) (*types.Header, *Payload, error) {
	if len(txs) == 0 {
		return nil, nil, errors.New("block is empty: want a sealed execution header")
	}
	seal, err := DecodeSeal(txs[0])
	if err != nil {
		return nil, nil, err
	}
	h := seal.Header
	if err := representable(seal); err != nil {
		return nil, nil, err
	}
	decoded, err := engine.DecodeTransactions(txs[1:])
	if err != nil {
		return nil, nil, err
	}
	p := &Payload{
		Data: engine.ExecutableData{
			ParentHash: h.ParentHash, FeeRecipient: h.Coinbase, StateRoot: h.Root, ReceiptsRoot: h.ReceiptHash, LogsBloom: h.Bloom[:],
			Random: h.MixDigest, Number: h.Number.Uint64(), GasLimit: h.GasLimit, GasUsed: h.GasUsed, Timestamp: h.Time, ExtraData: h.Extra,
			BaseFeePerGas: h.BaseFee, BlockHash: h.Hash(), Transactions: txs[1:], Withdrawals: []*types.Withdrawal{},
			BlobGasUsed: h.BlobGasUsed, ExcessBlobGas: h.ExcessBlobGas,
		},
		BeaconRoot: *h.ParentBeaconRoot,
	}
	if h.RequestsHash != nil {
		p.Requests = append([][]byte{}, seal.Requests...) // not nil: that says "before Prague"
	}
	for _, tx := range decoded {
		p.BlobHashes = append(p.BlobHashes, tx.BlobHashes()...)
	}
	// This compares what the header says of transactions, withdrawals, requests and constants with what they are, and checks sizes.
	if _, err := engine.ExecutableDataToBlock(p.Data, p.BlobHashes, &p.BeaconRoot, p.Requests); err != nil {
		return nil, nil, fmt.Errorf("sealed header does not belong to this content: %w", err)
	}
	return h, p, nil
}

// representable refuses headers that the Engine API has no way to express. Those would come back as errors of the request, not as verdicts.
func representable(s *Seal) error {
	h := s.Header
	switch {
	case h.Number == nil || !h.Number.IsUint64():
		return errors.New("sealed header: no valid number")
	case h.BaseFee == nil:
		return errors.New("sealed header: no base fee")
	case h.WithdrawalsHash == nil || h.BlobGasUsed == nil || h.ExcessBlobGas == nil || h.ParentBeaconRoot == nil:
		return errors.New("sealed header: fields of cancun are missing")
	case h.SlotNumber != nil || h.BlockAccessListHash != nil:
		return errors.New("sealed header: fields of a fork later than osaka")
	case h.RequestsHash == nil && len(s.Requests) > 0:
		return errors.New("sealed header: requests that its hash does not cover")
	}
	for i, r := range s.Requests {
		if len(r) < 2 || i > 0 && r[0] <= s.Requests[i-1][0] {
			return fmt.Errorf("execution request %d is empty or out of order", i)
		}
	}
	return nil
}
