package ethereum

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/holiman/uint256"

	"headrace/l1"
)

// sign makes the transaction of an attempt.
func (a *Account) sign(r request, try *attempt) (*types.Transaction, error) {
	f := try.fees
	if r.sidecar == nil {
		return types.SignNewTx(a.key, a.signer, &types.DynamicFeeTx{
			ChainID: new(big.Int).SetUint64(a.client.opt.ChainID), Nonce: try.nonce, GasTipCap: f.tip, GasFeeCap: f.cap, Gas: r.gas(), To: r.to, Value: r.value, Data: r.data,
		})
	}
	sidecar := r.sidecar
	if a.cellProofs {
		if try.cells == nil {
			try.cells = sidecar.Copy()
			if err := try.cells.ToV1(); err != nil {
				return nil, fmt.Errorf("compute cell proofs: %w", err)
			}
		}
		sidecar = try.cells
	}
	return types.SignNewTx(a.key, a.signer, &types.BlobTx{
		ChainID: uint256.NewInt(a.client.opt.ChainID), Nonce: try.nonce, GasTipCap: uint256.MustFromBig(f.tip), GasFeeCap: uint256.MustFromBig(f.cap),
		Gas: r.gas(), To: *r.to, Data: r.data, BlobFeeCap: uint256.MustFromBig(f.blob), BlobHashes: sidecar.BlobHashes(), Sidecar: sidecar,
	})
}

// newSidecar packs content into blobs, with commitments and proofs.
func newSidecar(content []byte) (*types.BlobTxSidecar, error) {
	var blobs []kzg4844.Blob
	var commitments []kzg4844.Commitment
	var proofs []kzg4844.Proof
	for _, b := range l1.PackBlobs(content) {
		blob := kzg4844.Blob(*b)
		commitment, err := kzg4844.BlobToCommitment(&blob)
		if err != nil {
			return nil, fmt.Errorf("commit to blob: %w", err)
		}
		proof, err := kzg4844.ComputeBlobProof(&blob, commitment)
		if err != nil {
			return nil, fmt.Errorf("prove blob: %w", err)
		}
		blobs, commitments, proofs = append(blobs, blob), append(commitments, commitment), append(proofs, proof)
	}
	return types.NewBlobTxSidecar(types.BlobSidecarVersion0, blobs, commitments, proofs), nil
}
