package engineapi_test

import (
	"math/big"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/exec"
	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/holiman/uint256"
)

// The hash of a transaction is Ethereum's, whether a blob transaction has its sidecar, as it is submitted, or not, as
// it is in a block; and of what is no transaction it is something.
func TestTxHashes(t *testing.T) {
	signer := types.LatestSignerForChainID(big.NewInt(geth.DevChainID))
	blobs := func(sidecar *types.BlobTxSidecar) *types.Transaction {
		return types.MustSignNewTx(geth.DevKey(0), signer, &types.BlobTx{
			ChainID: uint256.NewInt(geth.DevChainID), To: common.Address{1}, BlobHashes: []common.Hash{{1}}, Sidecar: sidecar,
		})
	}
	sidecar := types.NewBlobTxSidecar(types.BlobSidecarVersion0, make([]kzg4844.Blob, 1), make([]kzg4844.Commitment, 1), make([]kzg4844.Proof, 1))
	cells := types.NewBlobTxSidecar(types.BlobSidecarVersion1, make([]kzg4844.Blob, 1), make([]kzg4844.Commitment, 1), make([]kzg4844.Proof, 128))
	legacy := types.MustSignNewTx(geth.DevKey(0), signer, &types.LegacyTx{Nonce: 7, To: &common.Address{2}})
	for what, tx := range map[string]*types.Transaction{
		"a transfer": transfer(0, 0), "a legacy one": legacy, "a blob transaction": blobs(nil), "one with its sidecar": blobs(sidecar), "one with cell proofs": blobs(cells),
	} {
		for _, e := range []exec.TxHasher{new(engineapi.Engine), new(engineapi.Derived)} {
			if got := e.TxHash(raw(t, tx)); got != block.Hash(tx.Hash()) || !e.TxOnce() {
				t.Errorf("hash of %s: got %s, want %s", what, got, tx.Hash())
			}
		}
	}
	if blobs(sidecar).Hash() != blobs(nil).Hash() {
		t.Error("the sidecar is a part of the hash: the test tests nothing")
	}
}
